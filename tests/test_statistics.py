"""One rule for who counts as one: speakers, recordings and their copies, in intervals, inner folds and tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE
from sklearn.datasets import make_classification

from serkit.compare import grid
from serkit.compare.cells import Cell, Outcome, Row
from serkit.compare.page import markdown
from serkit.compare.picture import picture
from serkit.compare.scores import collect
from serkit.corpora import Corpus, read_corpus
from serkit.emotions import LABELS
from serkit.errors import RecipeError, TrainingError
from serkit.evaluation.metrics import calibration, group_values, resample
from serkit.evaluation.scores import evaluate, results
from serkit.evaluation.submission import Submission
from serkit.evaluation.submission_scores import compare
from serkit.models.classical import SVM, calibration_folds
from serkit.models.selection import Searched
from serkit.protocol import make_split
from serkit.protocol.yardstick import make_yardstick
from serkit.training import fitting, split_rows
from serkit.training.recipe_files import parse_recipe
from serkit.training.run_folder import Run
from tests.small_recipes import QUICK_TEXT

TWO = ["angry", "sad"]


def answered(n: int, rights: dict[tuple[str, str], float], *, channel: str = "speech", seed: int = 0) -> pd.DataFrame:
    """Predictions of two labels: `n` clips a speaker (corpus, name), of whom so large a share is right."""
    rng = np.random.default_rng(seed)
    parts = []
    for (corpus, speaker), share in rights.items():
        truth = np.arange(n) % 2
        right = rng.permutation(np.arange(n) < round(share * n))
        said = np.where(right, truth, 1 - truth)
        rows = {
            "path": [f"{corpus}/{speaker}-{channel}-{i}.wav" for i in range(n)],
            "start": 0.0,
            "end": 1.0,
            "copy": 0,
            "fold": 0,
            "emotion": np.array(TWO)[truth],
            "predicted": np.array(TWO)[said],
            "confidence": 0.9,
            "p_angry": np.where(said == 0, 0.9, 0.1),
            "p_sad": np.where(said == 1, 0.9, 0.1),
            "speaker": speaker,
            **dict.fromkeys(("sex", "intensity", "statement"), ""),
            "channel": channel,
            "corpus": corpus,
        }
        parts.append(pd.DataFrame(rows))
    return pd.concat(parts, ignore_index=True)


def outcome(
    table: pd.DataFrame,
    *,
    labels: list[str] = TWO,
    name: str = "quick",
    protocol: str = "speaker",
    seed: int = 0,
    folds_run: tuple[int, ...] = (0,),
) -> Outcome:
    """A finished cell of a comparison with these predictions."""
    recipe = parse_recipe(QUICK_TEXT.replace("quick", name))
    info: dict[str, Any] = {"recipe": name, "recipe_hash": recipe.hash, "protocol": protocol, "seed": seed}
    info |= {"folds": 5, "folds_run": list(folds_run), "time": {"folds": 1.0}}
    cell = Cell(Row(name), recipe, protocol, seed, folds_run, None)
    return Outcome(cell, Run(Path("run"), table, results(info, table, labels)))


def corpus_of(*tables: pd.DataFrame) -> Corpus:
    return Corpus("a+b", Path(), pd.concat(tables, ignore_index=True), "", "")


# ------------------------------------------------------------------------------------------------------- comparisons


def test_a_fold_without_one_label_and_seeds_of_different_channels_still_make_a_table() -> None:
    speech, song = (answered(20, {("a", "1"): 0.8, ("a", "2"): 0.6}, channel=c) for c in ("speech", "song"))
    labels = [*TWO, "calm"]  # no test clip of this fold is calm
    outcomes = [outcome(table.assign(p_calm=0.0), labels=labels, seed=k) for k, table in enumerate((speech, song))]
    document = collect(outcomes, corpus_of(speech, song))
    (row,) = document["rows"]
    assert row["recall"]["calm"] is None
    assert row["lowest"]["label"] in TWO
    assert row["channels"] == {
        c: {"accuracy": pytest.approx(0.7), "uar": pytest.approx(0.7)} for c in ("speech", "song")
    }
    assert "| 70.0 / 70.0 | 70.0 / 70.0 |" in markdown(document)
    picture(document)


def test_speakers_of_the_same_name_in_two_corpora_are_two_in_every_interval() -> None:
    shares = dict(zip([(c, str(k)) for c in "ab" for k in range(8)], [*[0.9] * 8, *[0.4] * 8], strict=True))
    table = answered(40, shares)
    (row,) = collect([outcome(table)], corpus_of(table))["rows"]
    assert row["n_speakers"] == 16
    metrics = evaluate(table, TWO)
    assert row["accuracy_interval"] == metrics["intervals"]["accuracy"]
    low, high = row["accuracy_interval"]
    assert low < 0.56  # with each pair merged into one mediocre voice, the interval had no width
    assert high > 0.74


def test_a_voice_has_one_name_in_all_folds_and_seeds() -> None:
    both = answered(20, {("a", "1"): 1.0, ("b", "1"): 0.0, ("a", "2"): 0.5})
    alone = both[both["corpus"] == "a"].reset_index(drop=True)  # this seed tested no voice of the other corpus
    document = collect([outcome(both), outcome(alone, seed=1)], corpus_of(both))
    names = [set(cell["speakers"]) for cell in document["cells"]]
    assert names == [{"a/1", "b/1", "2"}, {"a/1", "2"}]


def test_unknown_speakers_are_nobody_in_a_paired_test() -> None:
    good, bad = (answered(20, {("a", "1"): x, ("a", "2"): x, ("a", ""): 0.5}) for x in (0.9, 0.7))
    document = collect([outcome(good, name="good"), outcome(bad, name="bad")], corpus_of(good))
    (test,) = document["paired"]
    assert test["n_speakers"] == 2
    assert test["difference"] == pytest.approx(0.2)


def test_four_voices_are_compared_and_the_page_says_what_they_cannot_show() -> None:
    good, bad = (answered(20, {("a", str(k)): x for k in range(4)}) for x in (0.9, 0.7))
    document = collect([outcome(good, name="good"), outcome(bad, name="bad")], corpus_of(good))
    page = markdown(document)
    assert "| `bad` | -20.0 [-20.0, -20.0] | 0.125 | 0.125 | 4 |" in page
    assert "With 4 speakers no p can be smaller than 0.125." in page


@pytest.fixture(scope="module")
def corpus(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", str(tmp_path_factory.mktemp("digests")))
        return read_corpus(tiny_corpus)


def test_a_corpus_of_four_voices_has_four_folds_by_speaker(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "quick.toml").write_text(QUICK_TEXT)
    speakers = sorted(set(corpus.table["speaker"]))[:4]
    four = replace(corpus, table=corpus.table[corpus.table["speaker"].isin(speakers)].reset_index(drop=True))
    asked = grid.plan([str(tmp_path / "quick.toml")], protocols=["speaker", "leave-one-speaker-out"], seeds=[0])
    cells = grid.capped(asked, four)
    assert [cell.folds for cell in cells] == [(0, 1, 2, 3)] * 2
    outcomes = list(grid.run(cells, four, tmp_path / "runs"))
    assert [o.error for o in outcomes] == [None, None]
    document = collect(outcomes, four)
    assert [(row["folds"], row["folds_run"], row["n_speakers"]) for row in document["rows"]] == [(4, 4, 4)] * 2
    assert "reduced" not in markdown(document)
    assert [cell.folds for cell in grid.capped(asked, corpus)] == [(0, 1, 2, 3, 4)] * 2


def test_seeds_do_not_count_a_clip_of_an_unknown_speaker_twice() -> None:
    table = answered(60, {("a", ""): 0.7})
    row = collect([outcome(table)], corpus_of(table))["rows"][0]
    twice = collect([outcome(table), outcome(table, seed=1)], corpus_of(table))["rows"][0]
    assert (row["interval_unit"], twice["interval_unit"]) == ("clip", "clip")
    widths = [high - low for low, high in (r["accuracy_interval"] for r in (row, twice))]
    assert widths[1] == pytest.approx(widths[0], rel=0.15)  # the same answers twice say no more than once
    assert "Interval over clips, because fewer than two speakers are known" in markdown(
        collect([outcome(table)], corpus_of(table))
    )


# ----------------------------------------------------------------------------------------------------- one run alone


@pytest.mark.parametrize("known", [("1",), ("1", "2")])
def test_the_whole_its_channels_and_its_corpora_are_resampled_by_one_rule(known: tuple[str, ...]) -> None:
    table = answered(30, {("a", name): 0.9 - 0.4 * k for k, name in enumerate((*known, ""))})
    metrics = evaluate(table, TWO)
    assert metrics["interval_unit"] == ("clip" if len(known) == 1 else "speaker")
    for column, name in (("channel", "speech"), ("corpus", "a")):
        assert metrics["groups"][column][name]["intervals"]["accuracy"] == metrics["intervals"]["accuracy"]
    (row,) = collect([outcome(table)], corpus_of(table))["rows"]
    assert row["accuracy_interval"] == metrics["intervals"]["accuracy"]


def test_a_speaker_without_clips_has_no_say_in_a_resample() -> None:
    stack = np.zeros((3, 2, 2), int)
    stack[0, 0, 0], stack[2, 1, 0] = 5, 5
    drawn = resample(stack, ["1", "2", "3"], 200, 0)
    assert set(drawn.sum(axis=(1, 2))) == {10}


def test_a_submission_is_compared_on_known_speakers(corpus: Corpus) -> None:
    table = answered(10, {("ravdess", str(k)): 0.8 for k in range(3)})
    table = pd.concat([table, answered(10, {("ravdess", ""): 0.2})], ignore_index=True)
    speakers = evaluate(table, TWO)["groups"]["speaker"]
    yardstick = make_yardstick(corpus)
    row = {"recipe": "r", "corpus": "ravdess speech", "protocol": "speaker", "seed": 0, "folds_run": [0]}
    row |= {"reduced": None, "accuracy": 0.5, "speakers": speakers}
    tested, notes = compare(Submission(table, yardstick, "both", False, []), [row])
    assert notes == []
    assert (tested[0]["n_speakers"], tested[0]["difference"]) == (3, 0)


# -------------------------------------------------------------------------------------------------------- inner folds


def noisy(n: int = 150, *, copies: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors whose labels can hardly be told, each with near copies, and the group of each."""
    X, y = make_classification(n, 30, n_informative=3, n_classes=3, flip_y=0.4, class_sep=0.5, random_state=seed)
    rng = np.random.default_rng(seed)
    X = np.concatenate([X + 0.01 * rng.normal(size=X.shape) for _ in range(copies + 1)])
    return X.astype(np.float32), np.array(LABELS)[np.tile(y, copies + 1)], np.tile(np.arange(n).astype(str), copies + 1)


def test_an_svm_is_calibrated_on_groups_that_its_fold_has_not_heard() -> None:
    X, y, groups = noisy(600)
    heard = np.arange(len(y)) % 600 < 300
    errors = {}
    for name, given in (("torn", None), ("whole", groups[heard])):
        model = SVM(C=10.0).fit(X[heard], y[heard], groups=given)
        p = model.predict_proba(X[~heard])
        errors[name] = calibration(p.max(1), (model.predict(X[~heard]) == y[~heard]).astype(float))[0]
    assert errors["whole"] < 0.1
    assert errors["torn"] > 3 * errors["whole"]


@pytest.mark.parametrize(
    "text", ["", '[balance]\nkind = "smote"\nk_neighbors = 2\n', '[validation]\nuse = "calibration"\n']
)
@pytest.mark.parametrize(
    "model",
    [
        '[model]\nname = "svm"\n',
        '[model]\nname = "svm"\n[model.search]\nkind = "grid"\nfolds = 2\n[model.search.params]\nC = [1.0]\n',
        '[model]\nname = "soft_voting"\n[[model.members]]\nname = "svm"\n[[model.members]]\nname = "logistic"\n',
    ],
)
def test_a_recipe_hands_an_svm_its_groups(text: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, groups = noisy(copies=1)
    seen: list[tuple[np.ndarray, np.ndarray | None]] = []

    def spy(y: np.ndarray, groups: np.ndarray | None, *, seed: int) -> Any:
        seen.append((y, groups))
        return calibration_folds(y, groups, seed=seed)

    monkeypatch.setattr("serkit.models.classical.calibration_folds", spy)
    recipe = parse_recipe(QUICK_TEXT.replace('[model]\nname = "logistic"\n', text + model))
    pipeline = fitting.make_pipeline(recipe, sorted(set(y)), seed=0)
    fitting.fit(pipeline, X, y, groups=groups, validation=(X[:30], y[:30]))
    assert len(seen) >= 1
    for labels, given in seen:
        assert given is not None
        assert len(given) == len(labels) <= len(y)  # real clips only
    assert len(seen[-1][0]) == len(y)


def test_without_copies_the_folds_are_the_usual_ones() -> None:
    y = np.array(TWO)[np.arange(40) % 2]
    alone, named = (calibration_folds(y, groups, seed=3) for groups in (None, np.arange(40)))
    for one, other in zip(alone, named, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    groups = np.arange(40) // 8  # 5 speakers
    for train, test in calibration_folds(y, groups, seed=3):
        assert not set(groups[train]) & set(groups[test])
    assert len(calibration_folds(y, np.arange(40) // 14, seed=0)) == 3
    with pytest.raises(ValueError, match="all of one speaker or recording"):
        calibration_folds(y, np.array(TWO)[np.arange(40) % 2], seed=0)
    with pytest.raises(ValueError, match="5 clips of each label are needed to calibrate, got 3 of sad"):
        calibration_folds(np.array(["angry"] * 9 + ["sad"] * 3), None, seed=0)


def test_a_balanced_svm_is_calibrated_on_real_clips() -> None:
    X, y, groups = noisy(copies=1)
    few = (y != LABELS[0]) | (np.cumsum(y == LABELS[0]) <= 20)
    model = SVM(sampler=SMOTE(k_neighbors=2, random_state=0)).fit(X[few], y[few], groups=groups[few])
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
    (part,) = model.estimator_.calibrated_classifiers_
    assert part.estimator.n_support_[0] > 20  # it learnt from made-up clips too


def test_stopping_by_clips_drawn_at_random_is_refused() -> None:
    for name, params in (("mlp", "early_stopping = true"), ("gradient_boosting", "n_iter_no_change = 3")):
        text = QUICK_TEXT.replace("logistic", name) + f"[model.params]\n{params}\n"
        with pytest.raises(RecipeError, match=f"of '{name}' stops the training by clips drawn at random"):
            parse_recipe(text)


def test_clips_that_overlap_in_a_file_are_one_recording_inside_and_outside(corpus: Corpus) -> None:
    table = corpus.table.copy()
    # Clips 0 and 1 overlap in one file; 2 and 3 lie in one file apart from each other; 4 sounds like 5.
    table.loc[[0, 1], "path"] = "long.wav"
    table.loc[[0, 1], ["start", "end"]] = [[0.0, 1.0], [0.5, 1.5]]
    table.loc[[2, 3], "path"] = "other.wav"
    table.loc[[2, 3], ["start", "end"]] = [[0.0, 1.0], [1.0, 2.0]]
    table.loc[4, "audio_hash"] = table.loc[5, "audio_hash"]
    own = replace(corpus, table=table)
    names = split_rows.recordings(own)
    assert names[0] == names[1]
    assert names[2] != names[3]
    assert names[4] == names[5]
    assert len(set(names)) == len(table) - 2
    split = make_split(own, "augmented-random", n_folds=2, n_copies=1)
    rows = split_rows.joined(split, own)
    inner = pd.Series(split_rows.groups(rows, by_speaker=False)).groupby(rows["row"]).nunique()
    assert set(inner) == {1}  # a clip and its copies
    whole = split_rows.all_clips(own)
    np.testing.assert_array_equal(split_rows.groups(whole, by_speaker=False), names)


def test_final_inner_folds_keep_voices_of_two_corpora_apart(corpus: Corpus) -> None:
    # Two speakers in each part, under the same two names: four voices.
    table = corpus.table[corpus.table["speaker"].isin(sorted(set(corpus.table["speaker"]))[:4])].copy()
    numbers = pd.factorize(table["speaker"], sort=True)[0]
    table["corpus"], table["speaker"] = np.array(["a", "b"])[numbers // 2], np.array(["1", "2"])[numbers % 2]
    own = replace(corpus, table=table.reset_index(drop=True))
    assert split_rows.has_voices(own, at_least=3)
    assert set(group_values(own.table, "speaker")[0]) == {"a/1", "a/2", "b/1", "b/2"}


def test_a_search_refuses_what_cannot_be_calibrated() -> None:
    X, y, _ = noisy(copies=0)
    one_each = np.array([LABELS.index(label) for label in y])
    recipe = parse_recipe(QUICK_TEXT.replace("logistic", "svm"))
    pipeline = fitting.make_pipeline(recipe, sorted(set(y)), seed=0)
    with pytest.raises(TrainingError, match="SVM cannot be fitted: the clips of a label are all of one speaker"):
        fitting.fit(pipeline, X, y, groups=one_each)
    search = Searched(SVM(), kind="grid", params={"C": [1.0]}, folds=2)
    with pytest.raises(ValueError, match="all of one speaker"):
        search.fit(X, y, groups=one_each)
