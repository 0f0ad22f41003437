"""Peak memory for recordings of any length: serkit, which streams, and librosa, which loads the whole file."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile as sf
from measure import VOICES, run

# The peak of this process alone: ru_maxrss would include that of its parent process.
PEAK = """
import json, re, sys
def done(seconds):
    peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
    print(json.dumps({"mib": int(peak[1]) / 1024, "seconds": seconds}))
"""
SERKIT = PEAK + "import serkit; done(serkit.load(sys.argv[2]).predict(sys.argv[1]).end)"
LIBROSA = PEAK + "import librosa; y, rate = librosa.load(sys.argv[1]); done(len(y) / rate)"


def measure(hours: Sequence[float], model: str, *, whole_up_to: float) -> str:
    """Answer recordings of these lengths, each in its own process; librosa loads those up to `whole_up_to` hours.

    Returns
    -------
    str
        Markdown.
    """
    speech, rate = sf.read(VOICES / "plain.flac", dtype="float32")
    rows = []
    for length in hours:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "long.flac")
            write(path, speech, rate, length * 3600)
            ours = json.loads(run(sys.executable, "-c", SERKIT, path, model))
            assert abs(ours["seconds"] - length * 3600) < 1
            theirs = "not tried"
            if length <= whole_up_to:
                theirs = f"{json.loads(run(sys.executable, '-c', LIBROSA, path))['mib']:,.0f} MiB"
        rows.append(f"| {length * 60:,.0f} min | {ours['mib']:,.0f} MiB | {theirs} |")
    about = (
        "Peak resident memory of a process that answers one FLAC of 22 kHz with a sentence every half minute, from "
        "`import serkit` to the answer. The peer is a process that only runs `librosa.load(path)`. Its memory grows "
        "with the length, so it is not tried on the longest recording."
    )
    return "\n".join(["## Memory", "", about, "", "| recording | serkit | librosa |", "| --- | --- | --- |", *rows])


def write(path: Path, speech: np.ndarray, rate: int, seconds: float) -> None:
    """Write a sentence every half minute, and quiet noise between."""
    rng = np.random.default_rng(0)
    block = 1e-4 * rng.standard_normal(30 * rate).astype(np.float32)
    block[: len(speech)] += speech[: len(block)]
    with sf.SoundFile(path, "w", rate, 1, subtype="PCM_16", format="FLAC") as file:
        left = round(seconds * rate)
        while left > 0:
            file.write(block[:left])
            left -= len(block)
