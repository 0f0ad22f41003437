"""What the benchmarks share: clips, a stopwatch for two rivals, and rows of a Markdown table."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
HEAD = "| what | serkit | peer | times as fast |\n| --- | --- | --- | --- |"


def find_clips(data: Path | None, count: int) -> list[Path]:
    """Pick clips spread evenly over RAVDESS if it is below `data`, else the synthetic ones of examples/."""
    folder = data / "ravdess" if data is not None and (data / "ravdess").is_dir() else ROOT / "examples"
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".flac", ".wav"))
    return found[:: max(1, len(found) // count)][:count]


def race(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of `repeats` calls of each, in turns, so that both meet the same weather."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for call, seconds in zip((ours, theirs), times, strict=True):
            start = perf_counter()
            call()
            seconds.append(perf_counter() - start)
    return times


def row(what: str, ours: Sequence[float], theirs: Sequence[float], *, unit: str = "ms") -> str:
    """A line of the table: medians and quartiles of both, and of the ratios of runs that stood side by side."""
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
