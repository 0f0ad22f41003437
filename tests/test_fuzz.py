"""The fuzzer: damaged recordings of every container give sound or a reason, and a page says so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FUZZER = Path(__file__).parents[1] / "benchmarks" / "fuzz_audio.py"


def fuzz(folder: Path, *words: str) -> str:
    page = folder / "fuzz.md"
    given = ["--inputs", "240", "--jobs", "1", "--page", str(page), "--folder", str(folder), *words]
    done = subprocess.run([sys.executable, str(FUZZER), *given], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return page.read_text(encoding="utf-8")


def table(page: str) -> list[tuple[str, str, str]]:
    """Container, inputs and how they ended; without how long they took."""
    return re.findall(r"^\| ([\w, -]+) \| ([\d,]+) \| (.+) \| [\d.]+ s \|$", page, re.MULTILINE)


def test_no_damaged_recording_fails_and_the_same_seed_gives_the_same_counts(tmp_path: Path) -> None:
    page = fuzz(tmp_path)
    rows = table(page)
    assert {"WAV, PCM 16", "W64, PCM 16", "RF64, PCM 16", "FLAC, PCM 16", "OGG, chained", "MP3, joined"} <= {
        name for name, _, _ in rows
    }
    assert rows[-1][:2] == ("all", "240")
    cells = [[int(cell) for cell in rest.split(" | ")] for _, _, rest in rows]
    assert all(row[5] == 0 for row in cells)  # failed
    assert cells[-1] == [sum(column) for column in zip(*cells[:-1], strict=True)]
    assert sum(cells[-1]) == 240
    assert min(cells[-1][:3]) > 0  # sound, broken off, a reason: all of them occur
    assert "Inputs that failed: 0." in page
    again = table(fuzz(tmp_path))
    assert [row[:2] for row in again] == [row[:2] for row in rows]
    # FFmpeg decodes damaged AAC and the like differently from run to run: only these end alike each time.
    steady = ("WAV", "W64", "RF64", "AIFF", "AU", "FLAC")
    assert [row for row in again if row[0].startswith(steady)] == [row for row in rows if row[0].startswith(steady)]
