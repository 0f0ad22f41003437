"""``[calibration]`` and ``oversample``: options of any recipe, which learn from training speakers alone."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression

from serkit.bundle import read_bundle
from serkit.corpora import Corpus, read_corpus
from serkit.errors import RecipeError, TrainingError
from serkit.models.classical import TemperatureScaled, XGBoost, fit_temperature, scale_probabilities
from serkit.models.deep import DeepClassifier
from serkit.protocol import Split, make_split
from serkit.recognition.recognizer import Recognizer
from serkit.training import fold
from serkit.training.clips import Clips
from serkit.training.export import export_bundle
from serkit.training.feature_cache import FeatureCache
from serkit.training.fold import Task
from serkit.training.recipe_files import parse_recipe
from serkit.training.run import Run, run_evaluation, train_final
from tests.small_recipes import QUICK_TEXT, shrunk
from tests.test_protocol import corpus_of
from tests.test_training import made_up, noise

#: Nearest neighbours in disguise: sure of whatever they have learnt by heart, and wrong about other voices.
SURE = QUICK_TEXT.replace('"logistic"', '"gradient_boosting"\nparams = { n_estimators = 12, learning_rate = 0.9 }')
CALIBRATION = "[calibration]\nfolds = 3\n"


def crowd(per_label: dict[str, int] | None = None, voices: int = 8) -> Corpus:
    """Voices that say each label several times."""
    counts = per_label or {"happy": 6, "sad": 6, "angry": 6}
    return corpus_of(
        [
            {"path": f"{voice}/{label}-{k}.wav", "emotion": label, "speaker": f"v{voice}", "sex": "female"}
            for voice in range(voices)
            for label, number in counts.items()
            for k in range(number)
        ]
    )


def faint(clip: Any, row: Any) -> np.ndarray:
    """Features that say a little about the label."""
    hint = np.zeros(8)
    hint[["happy", "sad", "angry"].index(row["emotion"])] = 0.8
    return noise(clip.path) + hint


def run(text: str, corpus: Corpus, out: Path, split: Split | None = None) -> Run:
    return run_evaluation(parse_recipe(text), corpus, split or make_split(corpus, "speaker", n_folds=3), out)


def test_a_model_that_is_too_sure_is_calibrated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made_up(monkeypatch, faint)
    corpus = crowd()
    plain = run(SURE, corpus, tmp_path / "plain").results["metrics"]
    calibrated = run(SURE + CALIBRATION, corpus, tmp_path / "calibrated").results["metrics"]
    assert plain["ece"] > 0.2
    assert calibrated["ece"] < 0.5 * plain["ece"]
    assert calibrated["log_loss"] < plain["log_loss"]
    assert (calibrated["accuracy"], calibrated["confusion"]) == (plain["accuracy"], plain["confusion"])


def test_no_test_clip_enters_the_calibration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made_up(monkeypatch, faint)
    corpus = crowd(voices=6)
    split = make_split(corpus, "speaker", n_folds=3)
    learnt: list[tuple[int | None, set[str], set[str]]] = []
    inner = Task._fit
    asked = Task.answers

    def fit(self: Task, train: Clips, validation: Clips | None, *, fold: int | None, checkpoint: Any = None) -> Any:
        pipeline = inner(self, train, validation, fold=fold, checkpoint=checkpoint)
        pipeline.of = set(train.rows["speaker"])
        learnt.append((fold, set(train.rows["path"]), pipeline.of))
        return pipeline

    def answers(self: Task, pipeline: Any, clips: Clips, **given: Any) -> np.ndarray:
        assert not pipeline.of & set(clips.rows["speaker"])  # also inside: nobody is asked about a voice it has heard
        return asked(self, pipeline, clips, **given)

    monkeypatch.setattr(Task, "_fit", fit)
    monkeypatch.setattr(Task, "answers", answers)
    run(SURE + CALIBRATION, corpus, tmp_path / "run", split)
    assert len(learnt) == 3 * (3 + 1)
    for k, paths, _ in learnt:
        assert k is not None
        tested = split.fold(k).query("role == 'test'")["path"]
        assert not paths & set(tested)


def test_the_temperature_is_what_the_unheard_training_voices_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch, faint)
    corpus = crowd()
    fitted = train_final(parse_recipe(SURE + CALIBRATION), corpus)
    plain = train_final(parse_recipe(SURE), corpus)
    X = np.stack([noise(f"new {k}") for k in range(20)]).astype(np.float32)
    temperature = fitted.steps[-1][1].temperature_
    assert temperature > 1.5
    expected = scale_probabilities(plain.predict_proba(X), temperature)
    assert fitted.predict_proba(X) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        TemperatureScaled(LogisticRegression(), labels=["sad", "calm", "angry"]),
        XGBoost(n_estimators=5, max_depth=1, labels=["sad", "calm", "angry"]),
        DeepClassifier(["sad", "calm", "angry"], net={"hidden": [4]}, epochs=3, device="cpu"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_the_temperature_counts_only_the_labels_that_a_clip_could_have(model: BaseEstimator) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["sad", "calm", "angry"], 30)
    X = (rng.normal(size=(90, 3)) + 2 * np.repeat(np.eye(3), 30, axis=0)).astype(np.float32)
    heard = np.isin(y, ["sad", "angry"])  # the validation clips are from a corpus without calm
    X_val, y_val = X[heard] + rng.normal(size=(60, 3)).astype(np.float32), y[heard]
    known = np.tile([True, False, True], (60, 1))
    fitted = clone(model).fit(X, y, validation=(X_val, y_val), validation_known=known)
    everything = clone(model).fit(X, y, validation=(X_val, y_val))
    columns = [fitted.classes_.tolist().index(label) for label in ("sad", "angry")]
    pair = scale_probabilities(everything.predict_proba(X_val), 1 / everything.temperature_)[:, columns]
    best = fit_temperature(pair / pair.sum(axis=1, keepdims=True), (y_val == "angry").astype(int))
    assert fitted.temperature_ == pytest.approx(best, rel=1e-3)
    assert abs(everything.temperature_ / best - 1) > 0.02


def test_boosting_stops_by_the_labels_that_a_clip_could_have() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["sad", "calm", "angry"], 30)
    X = (rng.normal(size=(90, 3)) + 2 * np.repeat(np.eye(3), 30, axis=0)).astype(np.float32)
    heard = np.isin(y, ["sad", "angry"])
    X_val, y_val = X[heard] + rng.normal(size=(60, 3)).astype(np.float32), y[heard]
    model = XGBoost(n_estimators=40, max_depth=2, early_stopping_rounds=3, labels=["sad", "calm", "angry"])
    known = np.tile([True, False, True], (60, 1))
    fitted = clone(model).fit(X, y, validation=(X_val, y_val), validation_known=known)
    losses = [row["validation_loss"] for row in fitted.history_]
    for rounds in (1, len(losses)):
        p = fitted.booster_.predict_proba(X_val, iteration_range=(0, rounds))  # angry, calm, sad
        expected = -np.log(p[np.arange(60), np.where(y_val == "sad", 2, 0)] / (p[:, 0] + p[:, 2])).mean()
        assert losses[rounds - 1] == pytest.approx(expected, rel=1e-5)
    assert fitted.booster_.best_iteration == np.argmin(losses)
    everything = clone(model).fit(X, y, validation=(X_val, y_val))
    assert losses[0] < 0.95 * everything.history_[0]["validation_loss"]


def test_labels_that_a_corpus_lacks_do_not_enter_the_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch, faint)
    corpus = crowd()
    corpus.table["corpus"] = np.where(corpus.table["path"].str[0].isin(list("0123")), "whole", "without")
    lacks = (corpus.table["corpus"] == "without") & (corpus.table["emotion"] == "angry")
    corpus.table = corpus.table[~lacks].reset_index(drop=True)
    losses: list[Any] = []
    rng = np.random.default_rng(0)

    def answers(self: Task, pipeline: Any, clips: Clips, **rest: Any) -> np.ndarray:
        p = rng.dirichlet([0.5] * 3, len(clips))
        truth = [self.labels.index(label) for label in clips.labels]
        p[np.arange(len(p)), truth] += 0.3
        p /= p.sum(1, keepdims=True)
        for row, at, where in zip(p, truth, clips.rows["corpus"], strict=True):
            kept = [k for k, label in enumerate(self.labels) if where == "whole" or label != "angry"]
            logs = np.log(np.clip(row, 1e-6, 1))
            losses.append(lambda t, logs=logs, kept=kept, at=at: logsumexp(logs[kept] / t) - logs[at] / t)
        return p

    monkeypatch.setattr(Task, "answers", answers)
    fitted = train_final(parse_recipe(SURE + CALIBRATION), corpus)
    best = minimize_scalar(lambda t: sum(loss(t) for loss in losses), bounds=(0.2, 5), method="bounded").x
    assert 0.25 < best < 4.5
    assert fitted.steps[-1][1].temperature_ == pytest.approx(best, rel=1e-4)


@pytest.fixture(scope="module")
def tiny(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, FeatureCache]:
    corpus = read_corpus(tiny_corpus)
    table = corpus.table[corpus.table["emotion"].isin(["happy", "sad", "angry"])].reset_index(drop=True)
    corpus.table = table
    return corpus, FeatureCache(tmp_path_factory.mktemp("features"))


CHOSEN = (
    QUICK_TEXT.replace('"logistic"', '"best_of"')
    + """
[[model.members]]
name = "logistic"
[[model.members]]
name = "random_forest"
params = { n_estimators = 5 }
[validation]
use = "selection"
"""
)
DEEP = QUICK_TEXT.replace('"logistic"', '"dense"\nparams = { epochs = 2, net = { hidden = [8] } }')


@pytest.mark.parametrize("name", ["default", "best_of", "deep"])
def test_any_recipe_can_be_calibrated_and_evened_out(
    name: str, tiny: tuple[Corpus, FeatureCache], tmp_path: Path
) -> None:
    corpus, cache = tiny
    text = {"best_of": CHOSEN, "deep": DEEP}.get(name) or shrunk(name).text
    text = re.sub(r"\[balance\]\n(?:[^\[\n].*\n)+", "", text) + "\n[balance]\nkind = 'oversample'\n"
    plain, recipe = parse_recipe(text), parse_recipe(text + "[calibration]\nfolds = 2\n")
    split = make_split(corpus, "speaker", n_folds=3)
    found = [
        run_evaluation(one, corpus, split, tmp_path / str(k), folds=[0], cache=cache).predictions
        for k, one in enumerate((plain, recipe))
    ]
    assert recipe.hash != plain.hash
    assert (found[0]["predicted"] == found[1]["predicted"]).all()  # a temperature changes no answer
    assert not np.allclose(found[0]["confidence"], found[1]["confidence"], atol=1e-4)


def test_the_bundle_gives_the_calibrated_probabilities(tiny: tuple[Corpus, FeatureCache], tmp_path: Path) -> None:
    corpus, cache = tiny
    recipe = parse_recipe(SURE + CALIBRATION)
    fitted = train_final(recipe, corpus, cache=cache)
    made = export_bundle(fitted, recipe, corpus, tmp_path / "bundle", scores=[])  # compares graph and estimator
    assert "inner models" in read_bundle(made.path).manifest.calibration
    sound = corpus.load(corpus.table.iloc[0])
    said = next(iter(Recognizer(made).predict_iter([lambda: sound], detect_speech=False))).probabilities
    X = np.stack(fold.load_clips(corpus.table.iloc[:1].assign(copy=0), corpus, recipe, seed=0, cache=cache).arrays)
    expected = dict(zip(fitted.classes_, fitted.predict_proba(X)[0], strict=True))
    assert said == pytest.approx(expected, abs=1e-4)


def test_oversampling_repeats_whole_rounds_and_only_rare_labels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made_up(monkeypatch, faint)
    corpus = crowd({"happy": 7, "sad": 3, "angry": 2})
    seen: list[Clips] = []
    original = Task.inputs

    def inputs(self: Task, clips: Clips) -> np.ndarray:
        seen.append(clips)
        return original(self, clips)

    monkeypatch.setattr(Task, "inputs", inputs)
    run(QUICK_TEXT + "[balance]\nkind = 'oversample'\n", corpus, tmp_path / "run")
    train, test = seen[0], seen[1]
    counts = Counter(train.labels)
    assert len(set(counts.values())) == 1
    times = {label: Counter(train.rows.loc[train.labels == label, "path"]).values() for label in counts}
    assert all(max(number) - min(number) <= 1 for number in times.values())
    assert set(times["happy"]) == {1}
    assert not test.rows["path"].duplicated().any()
    assert not set(test.rows["speaker"]) & set(train.rows["speaker"])


def test_what_cannot_be_calibrated_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="both fit a temperature: leave one out"):
        parse_recipe(SURE + CALIBRATION + '[validation]\nuse = "calibration"\n')
    with pytest.raises(RecipeError, match=r"'calibration\.folds': input should be greater than or equal to 2"):
        parse_recipe(SURE + "[calibration]\nfolds = 1\n")
    made_up(monkeypatch, faint)
    corpus = crowd()
    corpus.table = corpus.table.query("emotion != 'angry' or speaker == 'v0'").reset_index(drop=True)
    with pytest.raises(TrainingError, match=r"\[calibration\] cannot make its inner folds: .*add speakers"):
        train_final(parse_recipe(SURE + CALIBRATION), corpus)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_class_weights_reach_the_perceptron(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made_up(monkeypatch, faint)
    corpus = crowd({"happy": 12, "sad": 2, "angry": 2})
    text = QUICK_TEXT.replace(
        '"logistic"', '"mlp"\nparams = { hidden_layer_sizes = [8], max_iter = 60, learning_rate_init = 0.01 }'
    )
    found = []
    for kind in ("none", "class_weight"):
        recipe = f"{text}[balance]\nkind = '{kind}'\n"
        found.append(run(recipe, corpus, tmp_path / kind).results["metrics"]["per_class"]["sad"]["recall"])
    assert found[1] > found[0]
