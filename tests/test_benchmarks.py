"""The benchmarks run on a tiny input and write their page; how fast anything is, is not tested."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_models import write_tiny

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_benchmarks_write_their_page(tmp_path: Path) -> None:
    write_tiny(tmp_path / "model")
    words = [
        str(BENCHMARKS / "run.py"),
        "--quick",
        "--models",
        str(tmp_path / "model"),
        "--out",
        str(tmp_path / "b.md"),
    ]
    done = subprocess.run(
        [sys.executable, *words, "--data", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "b.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| .+ m?s \| .+ m?s \| [\d.]+ \[", page, re.MULTILINE)
    kinds = [
        re.split("[;:,]", row)[0]
        for row in rows
        if not any(peer in row for peer in ("Keras", "openSMILE", "transformers"))
    ]
    assert kinds == ["fresh process", "warm", "2 workers (left) and 1 worker (right)", "S0", "S1", "S3"]
    for peer in (
        "librosa + Keras CNN (S3's way)",
        "openSMILE ComParE + SVM",
        "frozen Whisper base through transformers",
    ):
        rows_of_peer = [row for row in rows if row.endswith(peer)]
        left_out = page.count(f"{peer}: left out: no benchmarks/.venv-")
        assert (len(rows_of_peer), left_out > 0) in ((3, False), (0, True))
    assert re.search(r"^\| arithmetic \| [\d.]+ TFLOP \| [\d.]+ TFLOP \| \d+ \| \d+ \|$", page, re.MULTILINE)
    assert re.search(r"^\| 1 min \| [\d,]+ MiB \| [\d,]+ MiB \|$", page, re.MULTILINE)
    stages = ["decode", "resample", "voice activity", "graph", "the rest (Python)", "total"]
    assert re.findall(r"^\| ([\w ()]+) \| [\d.-]+ \| [\d-]+ % \|", page, re.MULTILINE) == stages
    assert "synthetic speech" in page
    assert "Model tiny 1.0" in page


def test_targets_are_judged_by_the_medians_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from run import targets

    rows = "| fresh process: peer | 0.71 [0.6, 0.8] s | 2 [2, 2] s | 3 |\n| warm: peer | 29.9 [28, 31] ms | 9 ms | 1 |"
    assert targets({"default": rows}).splitlines()[-2:] == [
        "| `default`, a clip of about 4 s (target: of 3 s), warm, one thread | 30 ms | 29.9 ms | reached |",
        "| `default`, `ser predict` in a fresh process | 0.7 s | 0.71 s | **missed** |",
    ]


def test_values_that_differ_from_the_peers_stop_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from features import check

    want = np.array([[1.0, 200.0], [2.0, 100.0]])
    assert check("S0", want * (1 + 5e-5), want, ["a", "b"]) == pytest.approx(5e-5)
    with pytest.raises(SystemExit, match="S0: b differs"):
        check("S0", want + np.array([[0, 0], [0, 0.1]]), want, ["a", "b"])


def test_damaged_requests_are_answered_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from service_torment import fuzz

    write_tiny(tmp_path / "model")
    (line,) = fuzz(argparse.Namespace(count=300, quick=True, seed=2, model=tmp_path / "model"))
    assert line.startswith("- 300 damaged bodies")
    assert re.search(r"\d × 200.*\d × 415.*\d × 422", line)
    assert "none over 5 s, met)" in line
