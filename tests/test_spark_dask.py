"""The lines for Spark and Dask in docs/scale.md, run as written, on engines of this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile as sf

from serkit.recognition.recognizer import load
from tests.conftest import voice
from tests.tiny_models import write_tiny

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"

SPARK = """
import pandas as pd
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
         .config("spark.driver.host", "127.0.0.1").getOrCreate())
calls = spark.createDataFrame([(f"{k}.wav",) for k in range(4)] + [("none.wav",)], ["path"])
"""
DASK = """
if __name__ == "__main__":
    import dask
    dask.config.set(scheduler="processes", num_workers=2)
    paths = [f"{k}.wav" for k in range(4)] + ["none.wav"]
"""


def lines_of(name: str) -> str:
    """The block of Python below the heading `name`."""
    found = re.search(rf"^## {name}$.*?```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    return found[1].replace("serkit.load()", 'serkit.load("tiny")')


def run_in(folder: Path, code: str) -> list[str]:
    (folder / "run.py").write_text(code)
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "run.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_tiny(tmp_path / "tiny")
    for number in range(4):
        sf.write(tmp_path / f"{number}.wav", (0.3 + 0.3 * number) * voice(3, number), 16000)
    return tmp_path


def expected(place: Path) -> list[str]:
    """What one process answers."""
    rows = load(place / "tiny").predict([place / f"{k}.wav" for k in range(4)])
    return [f"{row.emotion} {row.confidence!r}" for row in rows] + ["None None"]


def test_dask_answers_as_one_process_does(place: Path) -> None:
    pytest.importorskip("dask")
    code = DASK + "".join(f"    {line}\n" for line in lines_of("Dask").splitlines())
    found = run_in(place, code + '    for row in rows.compute(): print(row["emotion"], repr(row["confidence"]))\n')
    assert found[-5:] == expected(place)


@pytest.mark.slow
def test_spark_answers_as_one_process_does(place: Path) -> None:
    pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    shown = 'for row in answers.select("answer.*").collect(): print(row.emotion, repr(row.confidence))\n'
    found = run_in(place, SPARK + lines_of("Spark") + shown)
    assert found[-5:] == expected(place)
