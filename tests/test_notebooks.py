"""The notebooks run from top to bottom on a small corpus, and are committed with the outputs of the full one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
import soundfile as sf

from serkit.errors import CorpusError
from tests.conftest import voice

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ABSOLUTE = re.compile(r"(?<![\w.<])/(?:home|root|tmp|work|Users|mnt|opt|usr|var|private)/|\b[A-Z]:\\")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[:2])


@pytest.fixture(scope="module")
def two_takes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RAVDESS in small: six speakers, eight emotions, both takes, some song, and one take that stands there twice."""
    root = tmp_path_factory.mktemp("two_takes")
    for speaker in range(1, 7):
        for emotion in range(1, 9):
            intensity = 1 if emotion == 1 else 2
            for statement in (1, 2):
                for take in (1, 2):
                    same = (speaker, emotion, statement) == (3, 3, 2)
                    sound = voice(emotion, speaker, seed=10 * statement + (1 if same else take))
                    name = f"03-01-{emotion:02d}-{intensity:02d}-{statement:02d}-{take:02d}-{speaker:02d}.wav"
                    sf.write(root / name, sound, 16000, subtype="PCM_16")
            if emotion < 7:
                name = f"03-02-{emotion:02d}-01-01-01-{speaker:02d}.wav"
                sf.write(root / name, voice(emotion, speaker, seed=99), 16000, subtype="PCM_16")
    return root


def run_quickly(path: Path, data: Path, out: Path) -> subprocess.CompletedProcess[str]:
    words = [str(ROOT / "docs" / "notebooks.py"), str(data), path.name, "--quick", "--out", str(out)]
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def printed(cells: list[Any]) -> str:
    """All text among the outputs: what was printed, tables, error messages."""
    texts = []
    for output in (output for cell in cells for output in cell.outputs):
        texts.append(output.get("text", ""))
        texts += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
        texts += output.get("traceback", [])
    return "\n".join(texts)


#: What each notebook must have found out on the small corpus, where that is known beforehand.
FINDINGS = {
    "01": ["228 clips, 6 actors", "6 in song, 6 in speech", "03-01-03-02-02-01-03.wav", "03-01-03-02-02-02-03.wav"],
    "02": ['name = "s1-mlp"', "XGBoost", "chosen {'max_depth': "],
    "03": ["epochs = 2  # a reduced schedule", "epoch  2", "model.onnx", "heavy imports: none"],
    "04": ["augmented-random leaks", "copies: shift", "voices never heard"],
}


@each_notebook
def test_runs_from_top_to_bottom(
    path: Path, two_takes: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any
) -> None:
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path_factory.getbasetemp() / "notebook_cache"))
    done = run_quickly(path, two_takes, tmp_path)
    assert done.returncode == 0, done.stderr
    cells = code_cells(tmp_path / path.name)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    text = printed(cells)
    assert [words for words in FINDINGS[path.stem[:2]] if words not in text] == []
    assert not ABSOLUTE.search(text)


def test_a_cell_that_fails_stops_the_run_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run_quickly(NOTEBOOKS[0], tmp_path / "empty", tmp_path)
    assert done.returncode == 1
    assert f"{NOTEBOOKS[0].name} stopped" in done.stderr
    assert "holds no RAVDESS recordings" in done.stderr
    assert not list(tmp_path.glob("*.ipynb"))


@each_notebook
def test_says_that_it_needs_the_corpus(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERKIT_DATA", raising=False)
    setup = compile(code_cells(path)[0].source, path.name, "exec")
    with pytest.raises(CorpusError, match="SERKIT_DATA is not set: set it to the folder with RAVDESS"):
        exec(setup, {})


@each_notebook
def test_is_committed_with_the_outputs_of_the_full_corpus(path: Path) -> None:
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    text = printed(cells)
    assert "2,452 clips, 24 actors" in text
    assert not ABSOLUTE.search(text)
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    assert path.stat().st_size < 700_000


def test_there_are_four() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == sorted(FINDINGS)
