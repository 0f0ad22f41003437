"""Your own recordings: what serkit sees in them, and what it leaves out when it is told to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serkit.corpora import read_corpus
from serkit.corpora.check import findings
from serkit.corpora.known import without_labels
from serkit.errors import CorpusError
from tests.conftest import call_ser
from tests.small_recipes import QUICK_TEXT
from tests.test_corpora import write


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Twelve clips of three people, in a table."""
    lines = ["file;label;speaker"]
    for seed, label in enumerate(["angry", "calm", "happy"] * 4):
        write(tmp_path / "calls" / f"{seed}.wav", seed)
        lines.append(f"calls\\{seed}.wav;{label};{'abc'[seed % 4 % 3]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    return tmp_path


def test_check_says_what_it_reads_and_what_is_wrong(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call_ser("data", "check", own) == 0
    said = capsys.readouterr().out
    assert f"Read as manifest, from {own}" in said
    assert "12 clips" in said
    assert "speakers   3" in said
    assert (
        "- Too few clips for five folds: angry 4, calm 4, happy 4. Add some, or leave labels out, as in --drop angry."
        in said
    )
    (own / "calls/3.wav").write_text("no sound")
    write(own / "calls/5.wav", 4)
    assert call_ser("data", "check", own / "labels.csv", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["read_as"], found["corpus"], found["clips"]) == ("manifest", own.name, 11)
    assert len(found["broken"]) == 1
    assert "3.wav" in found["broken"][0]
    said = " ".join(found["findings"])
    assert "1 of 12 clips cannot be read: " in said
    assert "1 recording is there twice with another emotion, first calls/4.wav (calm), calls/5.wav (happy)" in said


def test_damaged_clips_are_refused_or_left_out_aloud(own: Path) -> None:
    (own / "calls/3.wav").write_text("no sound")
    with pytest.raises(CorpusError, match=r"1 of 12 clips .* cannot be read: .*--skip-broken \(skip_broken=True\)"):
        read_corpus(own)
    corpus = read_corpus(own, skip_broken=True)
    assert len(corpus) == 11
    assert [("3.wav" in reason) for reason in corpus.broken] == [True]
    for seed in range(12):
        (own / f"calls/{seed}.wav").write_text("no sound")
    with pytest.raises(CorpusError, match="12 of 12 clips"):  # nothing would be left
        read_corpus(own, skip_broken=True)


@pytest.mark.parametrize("name", ["calm", "CAL"])
def test_a_label_is_left_out_by_any_of_its_names(own: Path, name: str) -> None:
    corpus = without_labels(read_corpus(own), [name])
    assert set(corpus.table["emotion"]) == {"angry", "happy"}
    assert corpus.notes == ("4 clips of calm are left out, as asked.",)


def test_a_label_that_is_not_there_is_named(own: Path) -> None:
    corpus = read_corpus(own)
    with pytest.raises(CorpusError, match=r"no clips of 'clam' to leave out: did you mean 'calm'\? It has angry, calm"):
        without_labels(corpus, ["clam"])
    with pytest.raises(CorpusError, match="Nothing is left"):
        without_labels(corpus, ["angry", "calm", "happy"])


@pytest.mark.parametrize(
    ("speakers", "says"),
    [
        (("", "", "", ""), "No speaker is known"),
        (("a", "a", "", ""), "2 of 4 clips have no speaker"),
        (("a", "b", "c", "d"), "Every clip has a speaker of its own"),
        (("a", "a", "b", "b"), "has 2 speakers: protocols by speaker need three"),
    ],
)
def test_speakers_are_judged(tmp_path: Path, speakers: tuple[str, ...], says: str) -> None:
    lines = ["path,emotion,speaker"]
    for seed, speaker in enumerate(speakers):
        write(tmp_path / f"{seed}.wav", seed)
        lines.append(f"{seed}.wav,angry,{speaker}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    found = findings(read_corpus(tmp_path))
    assert any(says in sentence for sentence in found)
    assert any("There is one label" in sentence for sentence in found)


def test_a_report_lists_what_was_left_out(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "calls/3.wav").write_text("no sound")
    recipe = tmp_path / "quick.toml"
    recipe.write_text(QUICK_TEXT)
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    words = ["evaluate", recipe, "--data", own, "--protocol", "random", "--folds", "2", "--out", tmp_path / "run"]
    assert call_ser(*words) == 2
    assert "--skip-broken" in capsys.readouterr().err
    assert call_ser(*words, "--skip-broken", "--drop", "calm") == 0
    err = capsys.readouterr().err
    assert "4 clips of calm are left out, as asked." in err
    assert "Left out, because they cannot be read: 1 recordings.\n  " in err
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results["notes"] == ["4 clips of calm are left out, as asked."]
    assert "3.wav" in results["broken"][0]
    page = (tmp_path / "run/report.html").read_text()
    assert "Left out, because they cannot be read (1):" in page
    assert "3.wav" in page
