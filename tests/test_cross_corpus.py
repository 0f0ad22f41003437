"""``ser compare --protocol cross-corpus``: every corpus against every other, plain and adapted, and all others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from serkit.compare import cross_corpus, grid
from serkit.compare.cross_page import markdown, write
from serkit.compare.cross_scores import collect
from serkit.compare.heat_map import heat_map
from serkit.corpora import Corpus
from serkit.errors import FeatureError, ProtocolError, TrainingError
from serkit.protocol import train_on_one
from serkit.training import fold, run_folder
from serkit.training.feature_cache import ClipRequest
from serkit.training.recipe_files import load_recipe, parse_recipe
from tests.conftest import call_ser, voice
from tests.small_recipes import QUICK_TEXT
from tests.test_left_out import LABELS, three
from tests.test_training import noise

RECIPE = parse_recipe(QUICK_TEXT)
Matrix: TypeAlias = tuple[Corpus, Path, list[cross_corpus.PartOutcome]]


def features(corpus: Corpus, clips: list[ClipRequest], *args: Any, **options: Any) -> list[np.ndarray]:
    """Features that tell the emotion, each corpus by another microphone."""
    rows = {row["path"]: row for _, row in corpus.table.iterrows()}
    names = sorted({label for labels in LABELS.values() for label in labels})
    found = []
    for clip in clips:
        row = rows[clip.path]
        hint = np.zeros(8)
        hint[names.index(row["emotion"])] = 2.0
        found.append((noise(clip.path) + hint + 3.0 * noise(row["corpus"])).astype(np.float32))
    return found


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    corpus, root = three(), tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold, "compute_features", features)
        parts = cross_corpus.plan([RECIPE], corpus, [0])
        parts = [part for part in parts if part.protocol != "speaker" or part.trained_on == "a"]
        found = list(cross_corpus.run(parts, corpus, root))
    return corpus, root, found


# --- who trains and who is tested ---------------------------------------------------------------------------------


def test_one_corpus_trains_and_the_others_are_tested_over_shared_labels() -> None:
    corpus = three()
    for adapted in (False, True):
        split = train_on_one(corpus, "a", adapted=adapted)
        rows = split.table.merge(corpus.table, on=["path", "start", "end"], validate="one_to_one")
        assert set(rows.loc[rows["corpus"] == "a", "role"]) == {"train", "validation"}
        assert set(rows.loc[rows["corpus"] != "a", "role"]) == {"test", "outside"} | ({"enrol"} if adapted else set())
        assert set(rows.loc[rows["role"] == "test", "emotion"]) == {"happy", "sad", "angry"}
        unknown = rows[(rows["corpus"] == "c") & (rows["emotion"] == "disgust")]
        assert set(unknown["role"]) <= {"outside", "enrol"}
        heard = rows[rows["role"] == "enrol"].groupby("corpus").size()
        assert (heard <= 50).all()
    assert train_on_one(corpus, "a").hash != train_on_one(corpus, "a", seed=1).hash


def test_a_pair_with_one_common_label_is_left_out_and_named() -> None:
    corpus = three()
    corpus.table = corpus.table.query("corpus != 'c' or emotion in ('sad', 'disgust')").reset_index(drop=True)
    split = train_on_one(corpus, "a")
    rows = split.table.merge(corpus.table, on=["path", "start", "end"])
    assert set(rows.loc[rows["corpus"] == "c", "role"]) == {"outside"}
    corpus.table = corpus.table.query("corpus != 'b'").reset_index(drop=True)
    with pytest.raises(ProtocolError, match="a shares fewer than two labels with every other one"):
        train_on_one(corpus, "a")
    with pytest.raises(ProtocolError, match="To train on x"):
        train_on_one(corpus, "x")


def test_the_same_sound_under_two_labels_does_not_stop_the_others() -> None:
    corpus = three()
    twins = corpus.table.index[(corpus.table["corpus"] == "c") & (corpus.table["speaker"] == "s1")]
    one = corpus.table.loc[twins].query("emotion == 'disgust'").index[0]
    other = corpus.table.loc[twins].query("emotion == 'sad'").index[0]
    corpus.table.loc[[one, other], "audio_hash"] = "twin"
    rows = train_on_one(corpus, "a").table.set_index("path")["role"]
    assert set(rows[corpus.table.loc[[one, other], "path"]]) == {"outside"}


# --- the numbers --------------------------------------------------------------------------------------------------


def test_each_cell_is_what_its_predictions_give(
    outcomes: Matrix,
) -> None:
    corpus, root, found = outcomes
    assert all(outcome.error is None for outcome in found)
    document = collect(found, corpus)
    keys = {(cell["adapted"], cell["trained_on"], cell["tested_on"]) for cell in document["cells"]}
    sources = ["a", "b", "c", "all others"]
    plain = {(False, source, tested) for source in sources for tested in "abc" if source != tested or source == "a"}
    adapted = {(True, source, tested) for source in sources for tested in "abc" if source != tested}
    assert keys == plain | adapted
    for cell in document["cells"]:
        given = set(LABELS[cell["tested_on"]])
        others = {label for name in "abc" if name != cell["tested_on"] for label in LABELS[name]}
        learnt = others if cell["trained_on"] == "all others" else set(LABELS[cell["trained_on"]])
        assert set(cell["labels"]) == given & learnt
        assert cell["chance"] == 1 / len(cell["labels"])
        assert cell["seeds"] == [0]
        low, high = cell["uar_interval"]
        assert low <= cell["uar"] <= high
    table = pd.read_csv(root / "quick-a-of-made-cross-corpus-0" / "predictions.csv")
    own = table[table["corpus"] == "c"]
    assert set(own["predicted"]) <= {"sad", "angry"}
    recall = (own["emotion"] == own["predicted"]).groupby(own["emotion"]).mean()
    cell = next(c for c in document["cells"] if (c["adapted"], c["trained_on"], c["tested_on"]) == (False, "a", "c"))
    assert cell["uar"] == pytest.approx(recall.mean())
    assert (cell["n_clips"], cell["n_speakers"]) == (32, 8)
    for mean in document["means"]:
        cells = [
            c["uar"]
            for c in document["cells"]
            if (c["adapted"], c["trained_on"]) == (mean["adapted"], mean["trained_on"])
            and c["tested_on"] != c["trained_on"]
        ]
        assert mean["uar"] == pytest.approx(np.mean(cells))


def test_seeds_are_averaged_and_answers_to_a_speaker_drawn_together(outcomes: Matrix) -> None:
    corpus, _, found = outcomes
    twice = [*found, *(replace(one, part=replace(one.part, seed=1)) for one in found)]
    document, plain = collect(twice, corpus), collect(found, corpus)
    assert document["seeds"] == [0, 1]
    for cell, before in zip(document["cells"], plain["cells"], strict=True):
        assert cell == {**before, "seeds": [0, 1]} | {name: pytest.approx(before[name]) for name in ("uar", "accuracy")}


def test_adapting_takes_another_microphone_out(
    outcomes: Matrix,
) -> None:
    corpus, _, found = outcomes
    means = {(row["adapted"], row["trained_on"]): row["uar"] for row in collect(found, corpus)["means"]}
    assert np.mean([means[True, name] for name in "abc"]) > np.mean([means[False, name] for name in "abc"]) + 0.1


def test_the_files_hold_every_cell(outcomes: Matrix, tmp_path: Path) -> None:
    corpus, _, found = outcomes
    document = collect(found, corpus, command="ser compare quick")
    paths = write(document, tmp_path / "out")
    assert [path.name for path in paths] == [f"cross-corpus.{suffix}" for suffix in ("json", "csv", "md", "svg")]
    table = pd.read_csv(paths[1])
    assert len(table) == len(document["cells"])
    assert table["uar"].tolist() == [cell["uar"] for cell in document["cells"]]
    page = markdown(document)
    assert "`ser compare quick`" in page
    assert "seed 0" in page
    for cell in document["cells"]:
        assert f"{100 * cell['uar']:.1f} [" in page
    drawing = ElementTree.fromstring(heat_map(document))
    space = "{http://www.w3.org/2000/svg}"
    hints = [title.text or "" for title in drawing.iter(f"{space}title")]
    assert sum("trained on a, tested on c" in hint for hint in hints) == 2
    assert (
        sum(text.text == "–" for text in drawing.iter(f"{space}text")) == 5
    )  # three adapted ones, and two that were not run


def test_a_reduced_schedule_is_marked_wherever_its_numbers_are(outcomes: Matrix, tmp_path: Path) -> None:
    corpus, root, found = outcomes
    (part, *_) = cross_corpus.plan([load_recipe("cnn")], corpus, [0], epochs=2)
    whole = cross_corpus.plan([load_recipe("cnn")], corpus, [0], epochs=None)[0]
    assert (part.recipe.epochs, part.reduced) == (2, f"2 of {whole.recipe.epochs} epochs")
    assert whole.reduced is None
    assert part.folder(root, corpus).name == f"{whole.folder(root, corpus).name}-e2"
    document = collect([replace(one, part=replace(one.part, reduced="2 of 9 epochs")) for one in found], corpus)
    _, table, page, drawing = write(document, tmp_path)
    assert page.read_text("utf-8").count("*reduced: 2 of 9 epochs*") == 2
    assert ">quick *, plain</text>" in drawing.read_text("utf-8")
    assert "*: a reduced schedule" in drawing.read_text("utf-8")
    assert set(pd.read_csv(table)["reduced"]) == {"2 of 9 epochs"}
    assert "reduced" not in markdown(collect(found, corpus))


def test_many_corpora_still_fit_the_picture(outcomes: Matrix) -> None:
    corpus, _, found = outcomes
    document = collect(found, corpus)
    wide = {**document, "corpora": {f"corpus {k}": 1 for k in range(30)} | document["corpora"]}
    drawing = ElementTree.fromstring(heat_map(wide))
    width = float(drawing.get("width") or 0)
    for box in drawing.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(box.get("x") or 0) + float(box.get("width") or 0) <= width + 0.1


# --- runs ---------------------------------------------------------------------------------------------------------


def test_finished_parts_are_read_and_the_others_estimated(
    outcomes: Matrix, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    corpus, root, found = outcomes
    parts = [outcome.part for outcome in found]
    assert cross_corpus.seconds_left(parts, corpus, root) == (0, 0)
    assert cross_corpus.seconds_left(parts, corpus, tmp_path) == (17, None)

    def never(*args: Any, **options: Any) -> None:
        raise AssertionError("a finished part was run again")

    monkeypatch.setattr(grid, "run_evaluation", never)
    again = list(cross_corpus.run(parts[:2], corpus, root))
    for one, before in zip(again, found, strict=False):
        pd.testing.assert_frame_equal(one.run.predictions, before.run.predictions)  # type: ignore[union-attr]
    assert len(cross_corpus.finished(parts[-2:], corpus, root)) == 2
    more = [*parts, *cross_corpus.plan([RECIPE], corpus, [2])]
    todo, seconds = cross_corpus.seconds_left(more, corpus, root)
    assert todo == 27
    assert seconds is not None
    assert seconds > 0

    def no_encoder(*args: Any, **options: Any) -> None:
        raise FeatureError("There is no encoder 'whisper-base'.")

    monkeypatch.setattr(cross_corpus.run_folder, "read", no_encoder)
    unread = cross_corpus.finished(parts[-2:], corpus, root)
    assert [(one.run, one.error) for one in unread] == [(None, "There is no encoder 'whisper-base'.")] * 2


def test_what_makes_no_matrix_is_a_sentence() -> None:
    corpus = three()
    with pytest.raises(TrainingError, match="Two recipes are called 'quick'"):
        cross_corpus.plan([RECIPE, RECIPE], corpus, [0])
    corpus.table = corpus.table.query("corpus == 'a'").reset_index(drop=True)
    with pytest.raises(TrainingError, match="needs at least 2, got a alone"):
        cross_corpus.plan([RECIPE], corpus, [0])


# --- the command --------------------------------------------------------------------------------------------------


def test_the_command_from_recordings_to_files(
    both: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "crema_d").symlink_to(both / "crema_d")
    (root / "banglaser").mkdir()
    for emotion in (1, 2, 3):  # two voices: too few for the diagonal
        for speaker in (1, 2):
            for k in (1, 2):
                sound = voice(emotion + 2, 20 + speaker, seconds=0.6, seed=k)
                sf.write(root / "banglaser" / f"03-01-{emotion:02}-01-01-{k:02}-{speaker:02}.wav", sound, 16000)
    monkeypatch.chdir(tmp_path)
    Path("quick.toml").write_text(QUICK_TEXT, encoding="utf-8")
    words = ["compare", "quick.toml", "--data", root, "--corpus", "crema_d+banglaser", "--jobs", 1]
    words += ["--protocol", "cross-corpus", "--out", "out"]
    assert call_ser(*words) == 1
    said = capsys.readouterr()
    assert "banglaser, its own unheard voices, seed 0: failed: The corpus banglaser has 2 speakers" in said.err
    assert "8 runs, 17 models left to train." in said.err
    assert "tested on" in said.out
    document = json.loads(Path("out/cross-corpus.json").read_text("utf-8"))
    assert len(document["cells"]) == 2 * 3 - 1 + 2 * 2
    assert [row["trained_on"] for row in document["failed"]] == ["banglaser"]
    assert "The corpus banglaser has 2 speakers" in Path("out/cross-corpus.md").read_text("utf-8")
    finished = run_folder.finished(Path("runs/compare/quick-crema_d-of-crema_d+banglaser-cross-corpus-0"), 0)
    assert finished
    assert call_ser(*words, "--finished", "--json") == 0
    assert json.loads(capsys.readouterr().out)["cells"] == document["cells"]
    for wrong, sentence in (
        (["--protocol", "cross-corpus,corpus"], "give it alone"),
        (["--folds-run", "1"], "--folds-run has no meaning under cross-corpus"),
    ):
        assert call_ser(*words, *wrong) == 2
        assert sentence in capsys.readouterr().err
