"""``ser data``: what is printed, what is written, and that a mistake is one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import serkit.cli.data  # noqa: F401  (registers the commands)
from serkit.cli import app
from serkit.cli.data import Channel
from serkit.corpora import CHANNELS
from serkit.corpora.registry import published
from serkit.errors import CorpusError, ProtocolError
from serkit.protocol import Split


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> pytest.MonkeyPatch:
    patch = pytest.MonkeyPatch()
    patch.setenv("SERKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield patch
    patch.undo()


def ser(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


def test_the_choices_are_those_of_the_library() -> None:
    assert tuple(channel.value for channel in Channel) == CHANNELS


def test_list_names_every_published_corpus_and_whether_it_may_be_used_at_work() -> None:
    rows = json.loads(ser("list", "--json").stdout)
    assert [row["name"] for row in rows] == list(published())
    commercial = {row["name"] for row in rows if row["commercial"]}
    assert {"banglaser", "crema_d", "resd"} < commercial
    assert not commercial & {"ravdess", "nemo", "emospeech", "tess", "esd"}
    shown = ser("list").stdout
    assert all(row["title"] in shown and row["licence"] in shown for row in rows)


def test_describe_prints_classes_in_order(tiny_corpus: Path) -> None:
    result = ser("describe", tiny_corpus)
    assert result.exit_code == 0
    at = [result.output.index(label) for label in ("neutral", "calm", "happy", "sad", "angry", "fearful", "surprised")]
    assert at == sorted(at)
    assert "90 clips, 1 min 30 s" in result.output
    assert "speakers   6, 15 to 15 clips each" in result.output
    assert "female 45, male 45" in result.output
    assert "…" not in result.output


def test_describe_where_only_ascii_can_be_written(tiny_corpus: Path) -> None:
    code = "import sys, serkit.cli; sys.argv = ['ser', 'data', 'describe', sys.argv[1]]; serkit.cli.main()"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", code, tiny_corpus], capture_output=True, text=True, env=environment)
    assert done.returncode == 0
    assert done.stderr.startswith("RAVDESS has 2,452 clips of 24 speakers; ")
    assert "############" in done.stdout


def test_describe_as_json_with_a_picture(tiny_corpus: Path, tmp_path: Path) -> None:
    result = ser("describe", tiny_corpus, "--json", "--plot", tmp_path / "a.png", "--channel", "speech")
    numbers = json.loads(result.stdout)
    assert result.exit_code == 0
    assert [row["clips"] for row in numbers["classes"]] == [6, 12, 12, 12, 12, 12, 12, 12]
    assert numbers["by_channel"] == {"speech": 90}
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_split_writes_what_reads_back(tiny_corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.csv"
    result = ser("split", tiny_corpus, "--protocol", "speaker", "--seed", 3, "--folds", 3, "--out", out)
    assert result.exit_code == 0
    split = Split.from_csv(out)
    assert (split.protocol, split.seed, split.n_folds, split.corpus) == ("speaker", 3, 3, "ravdess")
    assert f"hash {split.hash[:12]}" in result.output
    assert "fold 0: 45 train, 15 validation, 30 test" in result.output
    assert "Warning" not in result.output


def test_split_leaves_out_and_renames_labels(tiny_corpus: Path, tmp_path: Path) -> None:
    """With 6 neutral clips and 12 of each other label, of three people."""
    (tmp_path / "map.csv").write_text("theirs,yours\ncalm,neutral\nneutral,neutral\nsad,low\nhappy,drop\n")
    result = ser(
        *("split", tiny_corpus, "--folds", 3, "--out", tmp_path / "split.csv"),
        *("--drop", "disgust,surprised", "--label-map", tmp_path / "map.csv"),
    )
    assert result.exit_code == 0, result.output
    split = Split.from_csv(tmp_path / "split.csv")
    assert len(split.table) == 3 * (6 + 12 + 12 + 24)  # neutral and calm, sad as low, angry and fearful
    assert "12 clips of disgust are left out, as asked." in result.stderr


def test_split_warns_of_the_leak(tiny_corpus: Path, tmp_path: Path) -> None:
    result = ser("split", tiny_corpus, "--protocol", "augmented-random", "--out", tmp_path / "split.csv")
    assert result.exit_code == 0
    assert "Warning: augmented-random leaks" in result.stderr


@pytest.mark.parametrize("words", [("split", "--folds", 3, "--out"), ("describe", "--plot")], ids=str)
def test_a_full_disk_leaves_what_force_was_to_replace(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[object, ...]
) -> None:
    out = tmp_path / "x.svg"
    out.write_text("earlier")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    error = ser(words[0], tiny_corpus, *words[1:], out, "--force").exception
    assert "No space left on device" in str(error)
    assert out.read_text() == "earlier"
    assert [one.name for one in tmp_path.iterdir()] == ["x.svg"]


def test_mistakes_are_errors_of_serkit(tiny_corpus: Path, tmp_path: Path) -> None:
    assert isinstance(ser("describe", tmp_path / "nowhere").exception, CorpusError)
    assert isinstance(ser("describe", tiny_corpus, "--plot", tmp_path / "a.gif").exception, CorpusError)
    assert isinstance(
        ser("split", tiny_corpus, "--protocol", "speeker", "--out", tmp_path / "s").exception, ProtocolError
    )
    error = ser("split", tiny_corpus, "--folds", 3, "--out", tmp_path / "no" / "s.csv").exception
    assert isinstance(error, ProtocolError)
    assert "cannot be written" in str(error)
    assert isinstance(ser("describe", tiny_corpus, "--kind", "folder").exception, CorpusError)
