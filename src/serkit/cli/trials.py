"""The trials of ``ser doctor``: it decodes a short tone of each container, predicts, writes and checks the cache."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from serkit.errors import MissingExtraError

__all__ = ["try_cache", "try_decoding", "try_model", "try_writing"]

#: One short tone of 440 Hz for each container: files of the package.
TONES = Path(__file__).parent / "tones"
#: Container -> the tone's file and, where an extra decodes it, the name of that extra.
CONTAINERS: dict[str, tuple[str, str | None]] = {
    "WAV": ("tone.wav", None),
    "FLAC": ("tone.flac", None),
    "AIFF": ("tone.aiff", None),
    "Ogg Vorbis": ("tone.ogg", None),
    "Ogg Opus": ("tone.opus", None),
    "MP3": ("tone.mp3", None),
    "M4A": ("tone.m4a", "formats"),
    "AAC": ("tone.aac", "formats"),
    "WebM": ("tone.webm", "formats"),
}
_HERTZ = 440.0
_REPAIR = {
    None: "run pip install --force-reinstall soundfile soxr",
    "formats": "run pip install --force-reinstall 'serkit[formats]'",
}


def try_decoding() -> list[dict[str, Any]]:
    """Decode the tone of each container and look for its frequency.

    Returns
    -------
    list of dict
        ``container``; ``ok``, which is None if an extra is not installed; ``problem``, including what to do.
    """
    from serkit.audio import load

    rows: list[dict[str, Any]] = []
    for container, (file, extra) in CONTAINERS.items():
        problem, ok = None, True
        try:
            wave = load(TONES / file)
            spectrum = np.abs(np.fft.rfft(wave.samples * np.hanning(len(wave.samples))))
            heard = int(spectrum.argmax()) * wave.sample_rate / len(wave.samples)
            if abs(heard - _HERTZ) > 10 or not 0.3 < wave.duration < 0.6:
                problem = f"a tone of {_HERTZ:g} Hz and 0.4 s came out as {heard:.0f} Hz and {wave.duration:.2f} s"
        except MissingExtraError as error:
            rows.append({"container": container, "ok": None, "problem": str(error)})
            continue
        except Exception as error:  # a library that has changed may raise anything
            problem = f"cannot be decoded ({_says(error)})"
        if problem is not None:
            ok, problem = False, f"{problem}: {_REPAIR[extra]}."
        rows.append({"container": container, "ok": ok, "problem": problem})
    return rows


def try_model() -> dict[str, Any]:
    """Load the default model, run it on a made-up sound, and predict a WAV file from end to end."""
    import soundfile

    from serkit.audio import Waveform
    from serkit.recognition.recognizer import load

    try:
        recognizer = load()
        rate = recognizer.sample_rate
        t = np.arange(2 * rate) / rate
        sound = (0.2 * np.sin(2 * np.pi * 180 * t) * (1 + np.sin(2 * np.pi * 4 * t))).astype(np.float32)
        recognizer.probabilities(Waveform(sound, rate))
        with tempfile.TemporaryDirectory() as folder:
            soundfile.write(str(Path(folder, "sound.wav")), sound, rate)
            recognizer.predict(str(Path(folder, "sound.wav")))
    except Exception as error:  # ONNX Runtime and libsndfile raise kinds of their own
        return {"ok": False, "name": None, "version": None, "problem": _says(error)}
    manifest = recognizer.manifest
    return {"ok": True, "name": manifest.name, "version": manifest.version, "problem": None}


def try_writing() -> list[dict[str, Any]]:
    """Write a row as CSV, JSON Lines and, if pyarrow is installed, Parquet into a temporary folder, and read it back.

    Returns
    -------
    list of dict
        ``format``; ``ok``, which is None if an extra is not installed; ``problem``, including what to do.
    """
    from serkit.recognition.answer_file import AnswerFile
    from serkit.recognition.prediction import Prediction
    from serkit.recognition.recognizer import load

    def lines(path: Path) -> int:
        return len(path.read_text(encoding="utf-8").splitlines())

    def parquet_rows(path: Path) -> int:
        import pyarrow.parquet

        return int(pyarrow.parquet.read_table(path).num_rows)

    formats: dict[str, tuple[Callable[[Path], int], int, str]] = {
        ".csv": (lines, 2, "free some space, or set TMPDIR to a folder that you may write to"),
        ".jsonl": (lines, 1, "free some space, or set TMPDIR to a folder that you may write to"),
        ".parquet": (parquet_rows, 1, "run pip install --force-reinstall 'serkit[parquet]'"),
    }
    rows: list[dict[str, Any]] = []
    for suffix, (count, wanted, repair) in formats.items():
        name = suffix[1:]
        if suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
            problem = "Writing .parquet needs the package 'pyarrow': run pip install 'serkit[parquet]'."
            rows.append({"format": name, "ok": None, "problem": problem})
            continue
        problem = ""
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, f"rows{suffix}")
                with AnswerFile(path, load().bundle) as results:
                    results.write(Prediction("sound.wav", 0.0, 1.0, None, None, {}, speech=False))
                    results.finish()
                if (got := count(path)) != wanted:
                    problem = f"a file of {wanted} rows was read back with {got}: {repair}."
        except Exception as error:  # pyarrow raises kinds of its own
            problem = f"cannot be written ({_says(error)}): {repair}."
        rows.append({"format": name, "ok": not problem, "problem": problem or None})
    return rows


def try_cache() -> dict[str, Any]:
    """Write to the cache folder and read back. Only training uses it: ``ok`` is None where that is not installed."""
    try:
        from serkit.corpora.digests import cache_dir
    except ImportError:
        return {"ok": None, "path": None, "problem": None}
    path = cache_dir()
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path) as file:
            file.write(b"serkit")
            file.flush()
            same = Path(file.name).read_bytes() == b"serkit"
        problem = None if same else f"{path} gives back other bytes than were written"
    except OSError as error:
        problem = f"{path} cannot be written to ({error.strerror or error})"
    if problem is not None:
        problem += ": set SERKIT_CACHE to a folder that you may write to."
    return {"ok": problem is None, "path": str(path), "problem": problem}


def _says(error: Exception) -> str:
    """The first line of an error, with its kind if it is not serkit's own."""
    from serkit.errors import SerkitError

    text = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return text if isinstance(error, SerkitError) else f"{type(error).__name__}: {text}"
