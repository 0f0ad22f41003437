"""Training and evaluation: nothing of the test side leaks, runs repeat and resume to the same numbers."""

from __future__ import annotations

import errno
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from serkit.corpora import Corpus
from serkit.emotions import LABELS
from serkit.errors import TrainingError
from serkit.protocol import make_split
from serkit.training import fitting, fold, run_folder
from serkit.training.feature_cache import ClipRequest, FeatureCache
from serkit.training.recipe import Recipe
from serkit.training.recipe_files import list_recipes, parse_recipe
from serkit.training.run import run_evaluation, train_final
from tests.golden import make_folds_golden
from tests.small_recipes import QUICK_TEXT, shrunk

QUICK = parse_recipe(QUICK_TEXT)
CALIBRATED = parse_recipe(QUICK_TEXT + '[validation]\nuse = "calibration"\n')
AUGMENTED = parse_recipe(QUICK_TEXT + '[augment]\nchains = ["noise", "gain"]\n')
COLUMNS = [
    *("path", "start", "end", "copy", "fold", "emotion", "predicted", "confidence"),
    *(f"p_{label}" for label in LABELS),
    *("speaker", "sex", "channel", "intensity", "statement", "corpus"),
]


def with_model(recipe: Recipe, name: str, **params: Any) -> Recipe:
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"name": name, "params": params})})


def with_table(corpus: Corpus, table: pd.DataFrame) -> Corpus:
    return replace(corpus, table=table)


Made = Callable[[ClipRequest, "pd.Series[Any]"], Any]


def made_up(monkeypatch: pytest.MonkeyPatch, make: Made) -> None:
    """Features made from the request and the clip's row of the true table, without any sound."""

    def compute(corpus: Corpus, clips: Sequence[ClipRequest], *args: Any, **options: Any) -> list[np.ndarray]:
        rows = {row["path"]: row for _, row in corpus.table.iterrows()}
        return [np.asarray(make(clip, rows[clip.path]), np.float32) for clip in clips]

    monkeypatch.setattr(fold, "compute_features", compute)


def noise(path: str, n: int = 8) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(path.encode())).normal(size=n)


def signal(row: pd.Series[Any], n: int = 8) -> np.ndarray:
    return 2.0 * np.eye(n)[LABELS.index(row["emotion"])]


# ---------------------------------------------------------------------------------------------- the whole way


@pytest.mark.parametrize("name", list_recipes())
def test_every_packaged_recipe_runs_from_recordings_to_report(
    name: str, corpus: Corpus, cache: FeatureCache, tmp_path: Path
) -> None:
    recipe = shrunk(name)
    columns = COLUMNS
    if "search" in recipe.text:  # its inner folds would be left with one neutral clip
        corpus = with_table(corpus, corpus.table[corpus.table["emotion"] != "neutral"].reset_index(drop=True))
        columns = [column for column in COLUMNS if column != "p_neutral"]
    split = make_split(corpus, "speaker", n_folds=3)
    # What a recipe without epochs has learnt is asked of two folds: a single one has only 28 clips of two voices.
    chosen = [0, 1] if recipe.epochs is None else [1]
    run = run_evaluation(recipe, corpus, split, tmp_path / "run", folds=chosen, n_jobs=2, cache=cache)
    assert list(run.predictions.columns) == columns
    assert set(run.predictions["fold"]) == set(chosen)
    truth = run.predictions.merge(corpus.table, on=["path", "start", "end"], validate="one_to_one")
    assert len(truth) == sum((split.fold(k)["role"] == "test").sum() for k in chosen)
    assert (truth["emotion_x"] == truth["emotion_y"]).all()
    assert (truth["speaker_x"] == truth["speaker_y"]).all()
    curves = tmp_path / "run/folds/fold-1/curves.json"
    if recipe.epochs is None:  # two epochs teach a network nothing
        assert run.results["metrics"]["uar"] > 0.2  # unknown voices, after four to learn from; guessing gives 0.125
        assert not curves.exists()
    else:
        assert [row["epoch"] for row in json.loads(curves.read_text())["epochs"]] == [1, 2]
    assert (run.results["folds"], run.results["folds_run"]) == (3, chosen)
    assert bool(run.results["choices"]) == ("search" in recipe.text)
    assert json.loads((tmp_path / "run/results.json").read_text())["recipe_hash"] == recipe.hash
    assert (tmp_path / "run/recipe.toml").read_text() == recipe.text
    assert recipe.name in (tmp_path / "run/report.html").read_text()
    assert split.hash in (tmp_path / "run/split.csv").read_text()


def test_the_table_on_disk_is_the_table(corpus: Corpus, cache: FeatureCache, tmp_path: Path) -> None:
    split = make_split(corpus, "speaker", n_folds=3)
    run = run_evaluation(QUICK, corpus, split, tmp_path / "run", cache=cache)
    read = pd.read_csv(tmp_path / "run/predictions.csv", dtype={"speaker": str}, keep_default_na=False)
    pd.testing.assert_frame_equal(read, run.predictions, check_dtype=False, rtol=1e-12)
    p = read[[f"p_{label}" for label in LABELS]].to_numpy()
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(np.array(LABELS)[p.argmax(1)], read["predicted"])
    np.testing.assert_allclose(p.max(1), read["confidence"], rtol=1e-12)


@pytest.mark.parametrize("recipe", [QUICK, CALIBRATED])
def test_the_same_seed_gives_the_same_numbers_in_any_order_of_rows(
    recipe: Recipe, corpus: Corpus, cache: FeatureCache, tmp_path: Path
) -> None:
    forest = with_model(recipe, "random_forest", n_estimators=10)
    shuffled = with_table(corpus, corpus.table.sample(frac=1, random_state=3).reset_index(drop=True))
    tables = [
        run_evaluation(
            forest, c, make_split(c, "speaker", n_folds=3, seed=s), tmp_path / str(i), cache=cache, n_jobs=jobs
        ).predictions
        for i, (c, s, jobs) in enumerate([(corpus, 1, 1), (corpus, 1, 2), (shuffled, 1, 2), (corpus, 2, 1)])
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    pd.testing.assert_frame_equal(tables[0], tables[2], check_exact=True)
    assert not tables[0]["confidence"].equals(tables[3]["confidence"])


def test_evaluations_and_final_models_give_the_numbers_that_they_gave(corpus: Corpus, cache: FeatureCache) -> None:
    expected = np.load(make_folds_golden.GOLDEN)
    found = make_folds_golden.probabilities(corpus, cache)
    assert sorted(found) == sorted(expected.files)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], atol=0.02, err_msg=name)  # two epochs amplify rounding


# ---------------------------------------------------------------------------------------------- no leak


@pytest.mark.parametrize("protocol", ["random", "speaker", "speaker+enrolled"])
@pytest.mark.parametrize("recipe", [QUICK, CALIBRATED])
def test_predictions_do_not_hang_on_test_labels(
    protocol: str, recipe: Recipe, corpus: Corpus, cache: FeatureCache, tmp_path: Path
) -> None:
    split = make_split(corpus, protocol, n_folds=3)
    fold = split.fold(0)
    held = corpus.table["path"].isin(fold.loc[fold["role"].isin(["test", "enrol"]), "path"])
    table = corpus.table.copy()
    table.loc[held, "emotion"] = np.roll(table.loc[held, "emotion"].to_numpy(), 1)
    outputs = []
    for name, each in (("true", corpus), ("false", with_table(corpus, table))):
        run_evaluation(recipe, each, split, tmp_path / name, cache=cache)
        outputs.append(pd.read_csv(tmp_path / name / "folds/fold-0/predictions.csv"))
    assert not outputs[0]["emotion"].equals(outputs[1]["emotion"])
    columns = ["path", "predicted", "confidence", *(f"p_{label}" for label in LABELS)]
    pd.testing.assert_frame_equal(outputs[0][columns], outputs[1][columns], check_exact=True)


@pytest.mark.parametrize(
    ("protocol", "role"), [("speaker", "test"), ("speaker+enrolled", "test"), ("speaker+enrolled", "enrol")]
)
def test_a_clips_prediction_hangs_on_no_other_test_clip(
    protocol: str, role: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = make_split(corpus, protocol, n_folds=3)
    fold = split.fold(0)
    strange = fold.loc[fold["role"] == role, "path"].iloc[0]
    voice = corpus.table.set_index("path").loc[strange, "speaker"]
    outputs = []
    for name, shift in (("as it is", 0.0), ("changed", 50.0)):
        made_up(monkeypatch, lambda c, r, shift=shift: noise(c.path) + signal(r) + shift * (c.path == strange))
        run_evaluation(QUICK, corpus, split, tmp_path / name)
        found = pd.read_csv(tmp_path / name / "folds/fold-0/predictions.csv", dtype={"speaker": str})
        outputs.append(found.set_index("path")["confidence"].drop(strange, errors="ignore"))
    changed = set(outputs[0].index[outputs[0] != outputs[1]])
    same_voice = set(corpus.table.loc[corpus.table["speaker"] == voice, "path"]) & set(outputs[0].index)
    assert changed == (set() if role == "test" else same_voice)


@pytest.mark.parametrize("protocol", ["random", "speaker", "speaker+enrolled", "augmented-random"])
@pytest.mark.parametrize("use", ["none", "calibration"])
def test_only_training_clips_have_augmented_copies(
    protocol: str, use: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first feature tells a copy from an original; (after enrolment it still takes two values).
    made_up(monkeypatch, lambda c, r: np.r_[0.0 if c.chain is None else 1000.0, noise(c.path) + signal(r)])
    if protocol == "speaker+enrolled":
        monkeypatch.setattr(fitting, "standardise", lambda arrays, voices, statistics: list(arrays))
    seen: list[dict[str, float]] = []
    fit, test = fitting.fit, fitting.label_probabilities

    def spy_fit(pipeline: Any, X: np.ndarray, y: np.ndarray, *, validation: Any, **given: Any) -> Any:
        seen.append({"train": (X[:, 0] > 0).mean()})
        if validation is not None:
            seen[-1]["validation"] = (validation[0][:, 0] > 0).mean()
        return fit(pipeline, X, y, validation=validation, **given)

    def spy_test(pipeline: Any, X: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        seen[-1]["test"] = (X[:, 0] > 0).mean()
        return test(pipeline, X, labels)

    monkeypatch.setattr(fitting, "fit", spy_fit)
    monkeypatch.setattr(fitting, "label_probabilities", spy_test)
    recipe = AUGMENTED.model_copy(update={"validation": AUGMENTED.validation.model_copy(update={"use": use})})
    run_evaluation(recipe, corpus, make_split(corpus, protocol, n_folds=3, n_copies=2), tmp_path / "run")
    assert len(seen) == 3
    for shares in seen:
        assert shares["train"] == pytest.approx(2 / 3, abs=0.05)
        assert ("validation" in shares) == (use == "calibration")
        if protocol == "augmented-random":  # the leak that this protocol is there to show
            assert shares["test"] == pytest.approx(2 / 3, abs=0.1)  # copies are dealt out one by one
        else:
            assert shares["test"] == shares.get("validation", 0) == 0


def test_validation_clips_train_only_where_the_recipe_has_no_use_for_them(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up(monkeypatch, lambda c, r: noise(c.path) + signal(r))
    sizes: list[tuple[int, int]] = []
    fit = fitting.fit

    def spy(pipeline: Any, X: np.ndarray, y: np.ndarray, *, validation: Any, **given: Any) -> Any:
        sizes.append((len(X), 0 if validation is None else len(validation[0])))
        return fit(pipeline, X, y, validation=validation, **given)

    monkeypatch.setattr(fitting, "fit", spy)
    split = make_split(corpus, "speaker", n_folds=3)
    for recipe in (QUICK, CALIBRATED):
        run_evaluation(recipe, corpus, split, tmp_path / recipe.hash)
    counts = [split.fold(k)["role"].value_counts() for k in range(3)]
    assert sizes[:3] == [(c["train"] + c["validation"], 0) for c in counts]
    assert sizes[3:] == [(c["train"], c["validation"]) for c in counts]


# ---------------------------------------------------------------------------------------------- what the numbers mean


@pytest.mark.parametrize("model", ["logistic", "random_forest", "svm", "xgboost"])
def test_probabilities_stand_under_their_labels(
    model: str, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Estimators sort classes by name, the table has RAVDESS order: a mix-up by position would score near zero.
    made_up(monkeypatch, lambda c, r: 0.2 * noise(c.path) + signal(r))
    run = run_evaluation(
        with_model(QUICK, model, **({} if model in ("logistic", "svm") else {"n_estimators": 30})),
        corpus,
        make_split(corpus, "speaker", n_folds=6),
        tmp_path / "run",
    )
    assert run.results["metrics"]["accuracy"] > 0.85


def test_enrolment_takes_the_speakers_voice_out(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up(monkeypatch, lambda c, r: 0.2 * noise(c.path) + signal(r) + 30 * noise(r["speaker"]))
    accuracy = {
        protocol: run_evaluation(QUICK, corpus, make_split(corpus, protocol, n_folds=3), tmp_path / protocol).results[
            "metrics"
        ]["accuracy"]
        for protocol in ("speaker", "speaker+enrolled")
    }
    assert accuracy["speaker+enrolled"] > 0.8 > 0.5 > accuracy["speaker"]


def test_standardising_by_hand() -> None:
    vectors = [np.array([1.0, 5.0], np.float32), np.array([3.0, 5.0], np.float32), np.array([7.0, 0.0], np.float32)]
    statistics = fitting.speaker_statistics(vectors[:2], ["a", "a"])
    np.testing.assert_array_equal(statistics["a"], [[2.0, 5.0], [1.0, 1.0]])
    np.testing.assert_array_equal(fitting.standardise(vectors[2:], ["a"], statistics)[0], [5.0, -5.0])
    frames = [np.array([[0.0, 2.0]], np.float32), np.array([[4.0, 6.0, 8.0]], np.float32)]
    statistics = fitting.speaker_statistics(frames, ["a", "a"])  # every frame counts as one
    np.testing.assert_allclose([statistics["a"][0].item(), statistics["a"][1].item()], [4.0, np.sqrt(8.0)])
    with pytest.raises(TrainingError, match="'b' has no enrolment clips"):
        fitting.standardise(vectors, ["a", "a", "b"], statistics)


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_standardised_speakers_look_alike(seed: int, scale: float, shift: float) -> None:
    x = np.random.default_rng(seed).normal(size=(12, 5)).astype(np.float32)
    own = [*x, *(scale * x + shift).astype(np.float32)]
    voices = ["a"] * 12 + ["b"] * 12
    result = np.stack(fitting.standardise(own, voices, fitting.speaker_statistics(own, voices)))
    np.testing.assert_allclose(result[:12].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(result[:12].std(0), 1, atol=1e-5)
    np.testing.assert_allclose(result[:12], result[12:], atol=0.02)


# ---------------------------------------------------------------------------------------------- interrupted runs


def test_an_interrupted_run_goes_on_where_it_stopped(
    corpus: Corpus, cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = make_split(corpus, "speaker", n_folds=3)
    whole = run_evaluation(QUICK, corpus, split, tmp_path / "whole", cache=cache)
    fit, calls = fitting.fit, 0

    def stop_in_fold_2(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return fit(*args, **options)

    monkeypatch.setattr(fitting, "fit", stop_in_fold_2)
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        run_evaluation(QUICK, corpus, split, out, cache=cache)
    assert sorted(p.name for p in (out / "folds").iterdir()) == ["fold-0", "fold-1"]
    assert not (out / "results.json").exists()
    events: list[dict[str, Any]] = []
    resumed = run_evaluation(QUICK, corpus, split, out, resume=True, cache=cache, progress=events.append)
    assert calls == 4
    assert [e["done"] for e in events if e["stage"] == "fold"] == [2, 3]
    pd.testing.assert_frame_equal(resumed.predictions, whole.predictions, check_exact=True)
    assert resumed.results["metrics"] == whole.results["metrics"]
    run_evaluation(QUICK, corpus, split, out, resume=True, cache=cache)
    assert calls == 4


def test_a_run_that_is_stopped_at_once_leaves_nothing(
    corpus: Corpus, cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = make_split(corpus, "speaker", n_folds=3)

    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_folder, "write_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_evaluation(QUICK, corpus, split, tmp_path / "run", cache=cache)
    assert not (tmp_path / "run").exists()


def test_another_run_is_not_resumed(corpus: Corpus, cache: FeatureCache, tmp_path: Path) -> None:
    split = make_split(corpus, "speaker", n_folds=3)
    out = tmp_path / "run"
    with pytest.raises(TrainingError, match="no run to resume"):
        run_evaluation(QUICK, corpus, split, out, resume=True, cache=cache)
    run_evaluation(QUICK, corpus, split, out, cache=cache)
    with pytest.raises(TrainingError, match=r"exists already: use --resume .* or another --out"):
        run_evaluation(QUICK, corpus, split, out, cache=cache)
    (out / "ratings.json").write_text("{}")  # of ser train --target: scores of numbers may be beside those of labels
    with pytest.raises(TrainingError, match="exists already"):
        run_evaluation(CALIBRATED, corpus, split, out, cache=cache)
    with pytest.raises(TrainingError, match="started with another recipe"):
        run_evaluation(CALIBRATED, corpus, split, out, resume=True, cache=cache)
    with pytest.raises(TrainingError, match="started with another split"):
        run_evaluation(QUICK, corpus, make_split(corpus, "speaker", n_folds=3, seed=1), out, resume=True, cache=cache)
    table = corpus.table.copy()
    table.loc[[1, 3], "emotion"] = table.loc[[3, 1], "emotion"].to_numpy()
    with pytest.raises(TrainingError, match="started with another corpus"):
        run_evaluation(QUICK, with_table(corpus, table), split, out, resume=True, cache=cache)
    for damaged in ("{", "[]"):
        (out / "run.json").write_text(damaged)
        with pytest.raises(TrainingError, match="damaged"):
            run_evaluation(QUICK, corpus, split, out, resume=True, cache=cache)


def test_a_full_disk_is_a_sentence_and_finished_folds_stay(
    corpus: Corpus, cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = make_split(corpus, "speaker", n_folds=3)
    write = run_folder.write_json

    def full(data: Any, path: Path) -> Path:
        if "fold-1" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(data, path)

    monkeypatch.setattr(run_folder, "write_json", full)
    with pytest.raises(TrainingError, match=r"disk is full .* free some space.* continue with --resume"):
        run_evaluation(QUICK, corpus, split, tmp_path / "run", cache=cache)
    monkeypatch.undo()
    assert [k for k in range(3) if run_folder.finished(tmp_path / "run", k)] == [0]
    resumed = run_evaluation(QUICK, corpus, split, tmp_path / "run", resume=True, cache=cache)
    assert len(resumed.predictions) == 90


def test_too_little_memory_in_a_fold_keeps_those_before_it(
    corpus: Corpus, cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = make_split(corpus, "speaker", n_folds=3)
    learn, calls = LogisticRegression.fit, 0

    def starve(self: LogisticRegression, *args: Any, **options: Any) -> LogisticRegression:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 9.00 GiB.")
        return learn(self, *args, **options)

    monkeypatch.setattr(LogisticRegression, "fit", starve)
    with pytest.raises(TrainingError, match=r"Not enough memory to fit .* lower batch_size"):
        run_evaluation(QUICK, corpus, split, tmp_path / "run", cache=cache)
    assert [k for k in range(3) if run_folder.finished(tmp_path / "run", k)] == [0]
    run_evaluation(QUICK, corpus, split, tmp_path / "run", resume=True, cache=cache)
    assert calls == 4


# ---------------------------------------------------------------------------------------------- what cannot be trained


def test_smote_with_too_few_clips_says_how_many_it_needs(corpus: Corpus, tmp_path: Path) -> None:
    recipe = parse_recipe(QUICK_TEXT + '[balance]\nkind = "smote"\n')
    with pytest.raises(TrainingError, match=r"Fold 0 has 4 training clip.* of neutral, and SMOTE .* at least 6"):
        run_evaluation(recipe, corpus, make_split(corpus, "speaker", n_folds=3), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_smote_evens_out_the_classes_of_the_training_side(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up(monkeypatch, lambda c, r: noise(c.path) + signal(r))
    recipe = parse_recipe(QUICK_TEXT + '[balance]\nkind = "smote"\nk_neighbors = 2\n[select]\nk = 5\n')
    pipeline = train_final(recipe, corpus)
    assert [name for name, _ in pipeline.steps] == ["scale", "select", "balance", "model"]
    made = {label: count for label, count in pipeline.named_steps["balance"].sampling_strategy_.items() if count}
    assert made == {"neutral": 6}
    assert pipeline.named_steps["model"].n_features_in_ == 5


def test_labels_that_cannot_be_learnt(corpus: Corpus) -> None:
    table = corpus.table
    with pytest.raises(TrainingError, match="holds 1 label"):
        train_final(QUICK, with_table(corpus, table[table["emotion"] == "calm"]))
    with pytest.raises(TrainingError, match="Here has no training clip of sad"):
        fitting.check_classes(QUICK, ["happy", "happy"], ["happy", "sad"], where="Here")


def test_an_estimators_refusal_is_a_training_error(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up(monkeypatch, lambda c, r: noise(c.path))
    few = with_table(corpus, corpus.table[corpus.table["speaker"].isin(["1", "01", "2", "02"])])
    with pytest.raises(TrainingError, match="SVM cannot be fitted"):
        train_final(with_model(QUICK, "svm"), few)


# ---------------------------------------------------------------------------------------------- the final model


def test_the_final_model_learns_from_all_clips_and_calibrates_on_held_out_speakers(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up(monkeypatch, lambda c, r: np.r_[noise(c.path) + signal(r), float(r["speaker"] or -1)])
    seen: list[tuple[np.ndarray, np.ndarray | None]] = []
    fit = fitting.fit

    def spy(pipeline: Any, X: np.ndarray, y: np.ndarray, *, validation: Any, **given: Any) -> Any:
        seen.append((X[:, -1], None if validation is None else validation[0][:, -1]))
        return fit(pipeline, X, y, validation=validation, **given)

    monkeypatch.setattr(fitting, "fit", spy)
    train_final(QUICK, corpus)
    assert len(seen[0][0]) == 90
    assert seen[0][1] is None
    final = train_final(CALIBRATED, corpus)
    train, validation = seen[1]
    assert validation is not None
    assert len(train) + len(validation) == 90
    assert len(set(validation)) == 1
    assert not set(train) & set(validation)
    # The second fit sees every clip and takes the temperature over.
    assert sorted(seen[2][0]) == sorted([*train, *validation])
    assert seen[2][1] is None
    assert final.steps[-1][1].temperature_ != 1.0
    train_final(CALIBRATED, with_table(corpus, corpus.table.assign(speaker="")))
    train, validation = seen[3]
    assert validation is not None
    assert len(train) + len(validation) == 90
    assert 4 <= len(validation) <= 14


def test_the_final_model_repeats(corpus: Corpus, cache: FeatureCache) -> None:
    forest = with_model(QUICK, "random_forest", n_estimators=10)
    X = np.random.default_rng(0).normal(size=(20, 26)).astype(np.float32)
    a, b, c = (train_final(forest, corpus, seed=s, n_jobs=j, cache=cache) for s, j in ((0, 1), (0, 2), (1, 1)))
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    assert not np.array_equal(a.predict_proba(X), c.predict_proba(X))
