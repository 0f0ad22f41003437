"""A model of one's own labels on the encoder of a shipped model: from a folder to answers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import serkit
from serkit.bundle import read_bundle
from serkit.corpora import read_corpus
from serkit.corpora.label_map import read_label_map, relabelled
from serkit.emotions import LABELS, colour
from serkit.errors import BundleError, CorpusError, TrainingError
from serkit.training import run_folder
from serkit.training.own import plan
from serkit.training.recipe_files import load_recipe
from tests.conftest import Ser, voice

NAMES = {"hasty": 2, "sad": 4, "stressed": 5}


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three labels of three people, four clips each; one is there twice, another is no recording."""
    root = tmp_path_factory.mktemp("own") / "calls"
    for label, emotion in NAMES.items():
        (root / label).mkdir(parents=True)
        for person in (1, 2, 3):
            for take in range(4):
                sound = voice(emotion, person, seed=take, seconds=0.6)
                sf.write(root / label / f"p{person}_{take}.wav", sound, 16000, subtype="PCM_16")
    shutil.copy(root / "hasty" / "p1_0.wav", root / "hasty" / "p1_again.wav")
    (root / "sad" / "p2_notes.wav").write_bytes(b"Dear diary\n" * 20)
    return root


@pytest.fixture(scope="module")
def model(calls: Path) -> Path:
    from tests.conftest import call_ser

    out = calls.parent / "mine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", str(calls.parent / "cache"))
        assert call_ser("train", calls, "--out", out, "--skip-broken", "--jobs", 1) == 0
    return out


def test_labels_from_the_names_of_a_published_corpus_are_announced(tmp_path: Path) -> None:
    for k, (folder, code) in enumerate([("stressed", "W"), ("relaxed", "N")] * 5):
        (tmp_path / "mine" / folder).mkdir(parents=True, exist_ok=True)
        sound = voice(5 if code == "W" else 1, 1, seed=k, seconds=0.3)
        sf.write(tmp_path / "mine" / folder / f"03a0{k // 2 + 1}{code}a.wav", sound, 16000)
    by_name, by_folder = read_corpus(tmp_path / "mine"), read_corpus(tmp_path / "mine", kind="folders")
    assert set(by_name.table["emotion"]) == {"angry", "neutral"}
    assert "names of the files are those of EmoDB" in plan(by_name).notes[0]
    assert set(by_folder.table["emotion"]) == {"relaxed", "stressed"}
    assert not any("EmoDB" in note for note in plan(by_folder).notes)


def test_the_bundle_is_small_scored_by_speaker_and_answers_in_own_labels(model: Path, calls: Path, ser: Ser) -> None:
    bundle = read_bundle(model)
    assert bundle.size < 1_000_000
    assert bundle.manifest.name == "calls"
    assert bundle.manifest.labels == ("sad", "hasty", "stressed")  # serkit's eight first, then by alphabet
    assert bundle.manifest.scores["speaker"]["n_clips"] == 37
    assert bundle.manifest.scores["speaker"]["n_speakers"] == 3
    assert bundle.manifest.citation.startswith("Radford A")
    assert (model.parent / "mine-scores" / "report.html").is_file()
    code, out, _ = ser("predict", calls / "stressed", "--model", model, "--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["emotion"] for row in rows].count("stressed") >= 10  # of its own 12 training clips
    assert all(row["derived"] == {"valence": None, "arousal": None} for row in rows)


def test_a_self_contained_bundle_gives_the_same_answers(model: Path, calls: Path, ser: Ser, tmp_path: Path) -> None:
    cache = {"SERKIT_CACHE": str(calls.parent / "cache")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", cache["SERKIT_CACHE"])
        code, _, err = ser(
            "train", calls, "--out", tmp_path / "whole", "--skip-broken", "--self-contained", "--jobs", 1
        )
    assert code == 0, err
    clip = calls / "sad" / "p3_2.wav"
    whole, small = serkit.load(tmp_path / "whole").predict(clip), serkit.load(model).predict(clip)
    assert read_bundle(tmp_path / "whole").manifest.input["kind"] == "waveform"
    assert list(whole.probabilities) == list(small.probabilities)
    np.testing.assert_allclose(list(whole.probabilities.values()), list(small.probabilities.values()), atol=5e-3)


def interrupted(*given: object) -> None:
    raise KeyboardInterrupt


def test_scores_of_other_recordings_are_replaced_when_asked(
    model: Path, calls: Path, ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERKIT_CACHE", str(calls.parent / "cache"))
    scores = shutil.copytree(f"{model}-scores", tmp_path / "mine-scores")
    (scores / "notes.txt").write_text("mine")
    words = ("train", calls, "--out", tmp_path / "mine", "--skip-broken", "--drop", "sad", "--jobs", 1)
    code, _, err = ser(*words)
    assert (code, "was started with another" in err) == (2, True)
    assert "replace it with --force" in err
    before = {one: one.read_bytes() for one in scores.rglob("*") if one.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "close", interrupted)
        assert ser(*words, "--force")[0] == 130
    assert {one: one.read_bytes() for one in scores.rglob("*") if one.is_file()} == before
    code, _, err = ser(*words, "--force")
    assert code == 0, err
    assert not (tmp_path / "mine-scores.new").exists()
    found = json.loads((scores / "results.json").read_text("utf-8"))
    assert found["metrics"]["labels"] == ["hasty", "stressed"]
    assert (scores / "notes.txt").read_text() == "mine"


def test_another_version_of_the_shipped_model_is_refused(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "old")
    file = tmp_path / "old" / "manifest.json"
    document = json.loads(file.read_text("utf-8"))
    document["input"]["encoder"]["sha256"] = "0" * 64
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BundleError, match=r"builds on the shipped model 'default' .* has version \S+, a different one"):
        serkit.load(tmp_path / "old")
    document["input"]["encoder"]["model"] = "gone"
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BundleError, match=r"builds on the shipped model 'gone' .* does not have it"):
        serkit.load(tmp_path / "old")


def test_the_recipe_names_the_graph_that_ships() -> None:
    section = load_recipe("own").embedding
    assert section is not None
    assert section.sha256 == read_bundle(section.model).manifest.files["model.onnx"]


def test_what_cannot_be_learned_and_what_is_said_before(calls: Path) -> None:
    corpus = read_corpus(calls, skip_broken=True)
    assert plan(corpus).protocol == "speaker"
    assert "1 clips have the same sound as another" in plan(corpus).notes[-1]
    assert plan(corpus).notes[0].startswith("Only 12 recordings of sad: its score says little.")
    assert "not calibrated: that needs 20" in plan(corpus).notes[3]
    table = corpus.table
    nobody = plan(replace(corpus, table=table.assign(speaker="")))
    assert (nobody.protocol, "The speakers are not known" in nobody.notes[-1]) == ("random", True)
    pair = plan(replace(corpus, table=table[table["speaker"] != "p3"].reset_index(drop=True)))
    assert (pair.protocol, "one or two speakers" in pair.notes[-1]) == ("random", True)
    part = plan(replace(corpus, table=table.assign(speaker=table["speaker"].replace("p3", ""))))
    assert "The speaker of 12 of 37 clips is not known" in part.notes[-1]
    few = table[(table["emotion"] != "sad") | table["path"].str.contains("p1_[012]")].reset_index(drop=True)
    left = plan(replace(corpus, table=few))
    assert left.notes[0] == "sad has only 3 different recordings and is left out: 5 are needed."
    assert set(left.corpus.table["emotion"]) == {"hasty", "stressed"}
    two = few[few["emotion"] != "hasty"].reset_index(drop=True)
    with pytest.raises(TrainingError, match=r"calls has different recordings of sad \(3\), stressed \(12\): a"):
        plan(replace(corpus, table=two))


def test_a_label_map_renames_and_drops_aloud(calls: Path, tmp_path: Path, ser: Ser) -> None:
    corpus = read_corpus(calls, skip_broken=True)
    (tmp_path / "map.csv").write_text("theirs,yours\nStressed,ANG\nhasty,drop\n", encoding="utf-8")
    changed = relabelled(corpus, read_label_map(tmp_path / "map.csv"))
    assert changed.table["emotion"].value_counts().to_dict() == {"angry": 12, "sad": 12}
    assert changed.notes[-2:] == (
        "12 clips of stressed count as angry: label map.",
        "13 clips of hasty are left out: label map.",
    )
    with pytest.raises(CorpusError, match="has no clips of 'hast', which the label map names: did you mean 'hasty'"):
        relabelled(corpus, {"hast": "sad"})
    with pytest.raises(CorpusError, match="The label map leaves calls sad: a model needs at least two labels"):
        relabelled(corpus, {"stressed": "sad", "hasty": "sad"})
    (tmp_path / "old.csv").write_bytes("müde,sad\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"old.csv is not UTF-8 text: save it as CSV in UTF-8"):
        read_label_map(tmp_path / "old.csv")
    with pytest.raises(CorpusError, match=r"gone.csv cannot be read \(No such file or directory\)"):
        read_label_map(tmp_path / "gone.csv")
    (tmp_path / "bad.csv").write_text("stressed\n", encoding="utf-8")
    code, _, err = ser("train", calls, "--label-map", tmp_path / "bad.csv", "--skip-broken", "--out", tmp_path / "x")
    assert (code, "bad.csv, line 1: expected two fields" in err) == (2, True)


def test_own_labels_have_colours_of_their_own() -> None:
    taken = {colour(label) for label in LABELS}
    assert not taken & {colour(label) for label in ("stressed", "hasty", "up", "level_0", "frustrated")}


def test_the_command_line_tells_a_recipe_from_recordings(calls: Path, ser: Ser, tmp_path: Path) -> None:
    for words, says in (
        (("train", "s0-forest", "--data", calls), "Name the folder for the bundle of s0-forest"),
        (("train", "s0-forest", "--data", calls, "--out", tmp_path / "m", "--self-contained"), "is for your own"),
        (("train", calls, "--results", "r.json"), "--results is for a recipe"),
        (("train", "no-such-thing", "--data", calls, "--out", tmp_path / "m"), "no-such-thing"),
    ):
        code, _, err = ser(*words)
        assert (code, says in err) == (2, True), err
