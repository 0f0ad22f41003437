"""What the benchmarks share: clips, a stopwatch for two competitors, and rows of a Markdown table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
HEAD = "| task | serkit | peer | speed-up |\n| --- | --- | --- | --- |"
VOICES = ROOT / "tests" / "voices"  # synthetic
MODELS = ROOT / "benchmarks" / ".models"  # saved models of the peers; made once


def all_clips(data: Path | None) -> tuple[Path, list[Path]]:
    """Return RAVDESS and its folder if it is below `data`, else the synthetic voices of the tests."""
    folder = data / "ravdess" if data is not None and (data / "ravdess").is_dir() else VOICES
    return folder, sorted(path for path in folder.rglob("*") if path.suffix in (".flac", ".wav"))


def run(*words: str | Path) -> str:
    """Run a command as its users do, with bytecode kept, and return what it prints."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} fails: {done.stderr.strip()}")
    return done.stdout


class Peer:
    """A script of peers/ that runs in its own environment, with one thread unless told otherwise.

    Parameters
    ----------
    name : str
        Its name in tables.
    script : str
        File in peers/.
    environment : str
        Folder in benchmarks/ that ``make bench`` fills from the requirements in peers/.
    """

    def __init__(self, name: str, script: str, environment: str) -> None:
        self.name = name
        self.python = ROOT / "benchmarks" / environment / "bin" / "python"
        self.script = ROOT / "benchmarks" / "peers" / script
        self.missing = "" if self.python.exists() else f"{name}: left out: no benchmarks/{environment}"

    def __call__(self, *words: str | Path) -> str:
        """Run a command of the script."""
        return run(self.python, self.script, *words)

    def serve(self, model: Path, clip: Path, *, threads: int = 1) -> Served:
        """Start it once for many clips."""
        return Served([self.python, self.script, "serve", model, clip], threads)


class Served:
    """A running peer that answers clips and measures its own time."""

    def __init__(self, words: Sequence[str | Path], threads: int) -> None:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        self._process = subprocess.Popen(
            [*map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._answer()

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # closes its standard input, which stops it

    def seconds(self, clips: Sequence[Path]) -> float:
        """Time for these clips, one after the other."""
        assert self._process.stdin is not None
        self._process.stdin.write("\t".join(map(str, clips)) + "\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # libraries print messages of their own
                return dict(json.loads(line))
        raise SystemExit(f"{self._process.args} ended with {self._process.wait()}.")


KERAS = Peer("librosa + Keras CNN (S3's way)", "keras_cnn.py", ".venv-keras")
SMILE = Peer("openSMILE ComParE + SVM", "smile.py", ".venv-smile")
ENCODER = Peer("frozen Whisper base through transformers", "frozen_encoder.py", ".venv-transformers")


def race(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of `repeats` calls of each, in turns, so both run under the same conditions."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for call, seconds in zip((ours, theirs), times, strict=True):
            start = perf_counter()
            call()
            seconds.append(perf_counter() - start)
    return times


def row(what: str, ours: Sequence[float], theirs: Sequence[float], *, unit: str = "ms") -> str:
    """A line of the table: medians and quartiles of both, and of the ratios of consecutive runs."""
    factor, digits = (1e3, 1) if unit == "ms" else (1.0, 2)
    ratios = [slow / fast for fast, slow in zip(ours, theirs, strict=True)]
    cells = [f"{spread([factor * s for s in seconds], digits)} {unit}" for seconds in (ours, theirs)]
    return f"| {what} | {cells[0]} | {cells[1]} | {spread(ratios, 1)} |"


def spread(values: Sequence[float], digits: int) -> str:
    """Median and quartiles as text."""
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else (values[0],) * 3
    return f"{median(values):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def machine() -> str:
    """Processor, cores, system and versions, without the machine's name."""
    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    packages = ("serkit", "numpy", "scipy", "onnxruntime", "librosa", "scikit-learn")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{processor}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}; "
        f"Python {platform.python_version()}, {versions}."
    )
