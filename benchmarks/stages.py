"""Where the time of one warm clip goes, stage by stage, and how that compares with what the machine can do."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any

import numpy as np
import onnxruntime
import soundfile as sf
import soxr
from threadpoolctl import threadpool_limits

import serkit
from serkit import audio
from serkit.audio import voice_activity
from serkit.audio.waveform import QUALITY

#: Operators of ONNX Runtime by kind of work.
KINDS = {
    "matrix products of 8-bit integers": ("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulInteger"),
    "convolutions": ("Conv", "FusedConv"),
    "matrix products of floats": ("MatMul", "FusedMatMul", "Gemm", "FusedGemm"),
}


def measure(clips: Sequence[Path], repeats: int, model: str) -> str:
    """Time the stages of `Recognizer.predict` on each clip, one thread, warm.

    Returns
    -------
    str
        Markdown.
    """
    recognizer = serkit.load(model)
    sums: dict[str, list[float]] = defaultdict(list)
    kinds: dict[str, list[float]] = defaultdict(list)
    with threadpool_limits(1):
        transforms = _transforms_per_second()
        for clip in clips:
            for key, value in _clip(recognizer, clip, repeats).items():
                sums[key].append(value)
            for key, value in _by_kind(recognizer, clip).items():
                kinds[key].append(value)
    typical = {key: mean(values) for key, values in sums.items()}
    typical["voice activity, limit"] = typical["transforms"] / transforms
    stages = {
        "decode": f"{typical['bytes'] / 1024:.0f} KiB; libsndfile alone",
        "resample": "soxr alone",
        "voice activity": f"{typical['transforms']:.0f} transforms of {voice_activity._N_FFT} samples",
        "graph": "log-mel, encoder and head",
    }
    rows = [
        _row(stage, typical[stage], typical["whole"], work, typical.get(f"{stage}, limit", 0.0))
        for stage, work in stages.items()
    ]
    rest = typical["whole"] - sum(typical[stage] for stage in stages)
    rows += [
        _row("the rest (Python)", rest, typical["whole"], "", 0.0),
        _row("total", typical["whole"], typical["whole"], "", 0.0),
    ]
    length = typical["seconds of sound"]
    about = (
        f"Model {recognizer.manifest.name} {recognizer.manifest.version}. {len(clips)} clips of {length:.1f} s on "
        f"average, from file to answer, warm, one thread, the fastest of {repeats} runs, mean over the clips: "
        f"{length / typical['whole']:.0f} times real time on a core. The limit is the time of the same work under "
        f"ideal conditions, measured in the same run: {1e6 / transforms:.1f} µs for a real transform of "
        f"{voice_activity._N_FFT} samples, libsndfile and soxr called directly. Inside the graph, by ONNX Runtime's "
        f"own profile: {_shares(kinds)}."
    )
    head = "| stage | ms | share | work | limit, ms | ratio to limit |\n| --- | --- | --- | --- | --- | --- |"
    return "\n".join(["## Where the time goes", "", about, "", head, *rows])


def _clip(recognizer: serkit.Recognizer, clip: Path, repeats: int) -> dict[str, float]:
    """Return the seconds and the amount of work of each stage for one clip."""
    rate = recognizer.sample_rate
    raw = audio.load(clip)
    wave = audio.resample(raw, rate)
    session, inputs = _session(recognizer), {recognizer.manifest.input["kind"]: recognizer._prepare(wave)}
    alone = _fast(lambda: soxr.resample(raw.samples, raw.sample_rate, rate, quality=QUALITY), repeats)
    return {
        "seconds of sound": wave.duration,
        "whole": _fast(lambda: recognizer.predict(clip), repeats),
        "decode": _fast(lambda: audio.load(clip), repeats),
        "decode, limit": _fast(lambda: sf.read(clip, dtype="float32"), repeats),
        "bytes": clip.stat().st_size,
        "resample": _fast(lambda: audio.resample(raw, rate), repeats),
        "resample, limit": alone if raw.sample_rate != rate else 0.0,
        "voice activity": _fast(lambda: voice_activity.speech_activity(wave), repeats),
        "transforms": _transforms(wave),
        "graph": _fast(lambda: session.run(None, inputs), repeats),
    }


def _transforms(wave: audio.Waveform) -> int:
    """Count the transforms of voice activity detection: one per frame, and another per loud frame."""
    counts: list[int] = []
    voicing, spectra = voice_activity._voicing, voice_activity._spectra

    def counted(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        def call(given: np.ndarray) -> np.ndarray:
            made = function(given)
            counts.append(len(made))
            return made

        return call

    voice_activity._voicing, voice_activity._spectra = counted(voicing), counted(spectra)
    try:
        voice_activity.speech_activity(wave)
    finally:
        voice_activity._voicing, voice_activity._spectra = voicing, spectra
    return sum(counts)


def _row(stage: str, seconds: float, whole: float, work: str, limit: float) -> str:
    far = f"{1e3 * limit:.2f} | {seconds / limit:.1f}" if limit else "– | –"
    return f"| {stage} | {1e3 * seconds:.2f} | {100 * seconds / whole:.0f} % | {work} | {far} |"


def _fast(call: Callable[[], Any], repeats: int) -> float:
    """The fastest of some runs, after one that is not counted."""
    call()
    seconds = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    return min(seconds)


def _transforms_per_second() -> float:
    """Real transforms a second of the size that the search for speech uses."""
    rows = np.ones((32, voice_activity._N_FFT), np.float32)
    return 32 / _fast(lambda: np.fft.rfft(rows), 20)


def _session(recognizer: serkit.Recognizer, profile: str | None = None) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return onnxruntime.InferenceSession(recognizer.bundle.onnx, options, providers=["CPUExecutionProvider"])


def _by_kind(recognizer: serkit.Recognizer, clip: Path) -> dict[str, float]:
    """Seconds of the graph by kind of operator, from a profile of ten runs."""
    wave = audio.load(clip, target_rate=recognizer.sample_rate)
    inputs = {recognizer.manifest.input["kind"]: recognizer._prepare(wave)}
    with tempfile.TemporaryDirectory() as folder:
        session = _session(recognizer, str(Path(folder, "profile")))
        for _ in range(10):
            session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    found: dict[str, float] = dict.fromkeys([*KINDS, "other"], 0.0)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name = event["args"]["op_name"]
            kind = next((kind for kind, operators in KINDS.items() if name in operators), "other")
            found[kind] += event["dur"]
    return found


def _shares(kinds: dict[str, list[float]]) -> str:
    whole = sum(map(sum, kinds.values()))
    return ", ".join(f"{kind} {100 * sum(times) / whole:.0f} %" for kind, times in kinds.items())
