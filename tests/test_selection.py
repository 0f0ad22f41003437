"""Searches, ensembles, selection and scaling: what they choose, and what they may look at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.class_weight import compute_sample_weight
from xgboost.core import XGBoostError

from serkit.emotions import LABELS
from serkit.errors import RecipeError, TrainingError
from serkit.models.classical import ClassWeighted, gradient_boosting
from serkit.models.selection import BestOf, Searched, SoftVoting
from serkit.training import fitting
from serkit.training.recipe_files import load_recipe, parse_recipe, shortened

TEXT = """
name = "mine"
description = "A test"
[features]
sample_rate = 16000
features = [{ name = "mfcc", params = { n_mfcc = 13 } }]
"""
SEARCH = """
[model]
name = "random_forest"
[model.search]
kind = "random"
n_iter = 2
[model.search.params]
n_estimators = [5, 10]
max_depth = [2, 3]
"""
VOTE = """
[model]
name = "soft_voting"
[[model.members]]
name = "logistic"
[[model.members]]
name = "random_forest"
params = { n_estimators = 5 }
"""


def clouds(n: int = 120, classes: int = 3, d: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors, labels and groups: six speakers, each with a shift of its own."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    groups = rng.integers(6, size=n)
    centres = 1.2 * np.random.default_rng(9).normal(size=(classes, d))
    X = centres[y] + rng.normal(size=(n, d)) + 0.8 * np.random.default_rng(5).normal(size=(6, d))[groups]
    return X.astype(np.float32), np.array(LABELS)[y], groups.astype(str)


# ------------------------------------------------------------------------------------------------------------ search


def test_a_grid_search_finds_what_trying_all_finds() -> None:
    X, y, groups = clouds()
    values = [1, 3, 9, 27]
    found = Searched(KNeighborsClassifier(), kind="grid", params={"n_neighbors": values}, folds=3, seed=4)
    found.fit(X, y, groups=groups)
    folds = list(StratifiedGroupKFold(3, shuffle=True, random_state=4).split(X, y, groups))
    scores = [
        cross_val_score(KNeighborsClassifier(k), X, y, cv=folds, scoring="balanced_accuracy").mean() for k in values
    ]
    assert found.choices_["params"] == {"n_neighbors": values[int(np.argmax(scores))]}
    assert found.choices_["uar"] == pytest.approx(max(scores))
    best = KNeighborsClassifier(values[int(np.argmax(scores))]).fit(X, y)
    np.testing.assert_allclose(found.predict_proba(X), best.predict_proba(X))


class Watched(LogisticRegression):
    """Keeps the rows that it was fitted on and asked about."""

    fitted: list[set[bytes]] = []  # noqa: RUF012
    asked: list[set[bytes]] = []  # noqa: RUF012

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: Any = None) -> Watched:
        Watched.fitted.append({row.tobytes() for row in X})
        return super().fit(X, y, sample_weight)

    def predict(self, X: np.ndarray) -> np.ndarray:
        Watched.asked.append({row.tobytes() for row in X})
        return super().predict(X)


def test_inner_folds_keep_speakers_apart_and_score_no_synthetic_clip() -> None:
    X, y, groups = clouds()
    keep = np.flatnonzero((y != "happy") | (np.arange(len(y)) % 2 == 0))
    X, y, groups = X[keep], y[keep], groups[keep]
    real = {row.tobytes(): group for row, group in zip(X, groups, strict=True)}
    Watched.fitted, Watched.asked = [], []
    search = Searched(
        Watched(), kind="grid", params={"C": [0.1]}, folds=3, sampler=SMOTE(k_neighbors=2, random_state=0)
    )
    search.fit(X, y, groups=groups)
    assert len(Watched.asked) == 3
    for fitted, asked in zip(Watched.fitted[:3], Watched.asked, strict=True):
        assert asked <= set(real)
        assert not {real[row] for row in fitted & set(real)} & {real[row] for row in asked}
        assert fitted - set(real), "SMOTE adds clips inside the folds"
    assert set(real) < Watched.fitted[3], "the last fit sees all clips and their synthetic neighbours"


def test_a_random_search_tries_as_many_as_it_may_and_hangs_on_the_seed_alone() -> None:
    X, y, groups = clouds()
    space = {"n_estimators": [2, 3, 5, 8], "max_depth": [1, 2, 4]}

    def search(seed: int, n_jobs: int) -> Searched:
        forest = RandomForestClassifier(random_state=0)
        found = Searched(forest, kind="random", params=space, n_iter=4, folds=2, seed=seed, n_jobs=n_jobs)
        return found.fit(X, y, groups=groups)

    a, b = search(1, 1), search(1, 2)
    assert a.choices_ == b.choices_
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_in_a_recipe_a_speakers_clips_stay_in_one_inner_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, groups = clouds(d=26)
    seen: list[np.ndarray] = []
    split = StratifiedGroupKFold.split

    def spy(self: Any, X: Any, y: Any, groups: Any) -> Any:
        seen.append(groups)
        return split(self, X, y, groups)

    monkeypatch.setattr(StratifiedGroupKFold, "split", spy)
    pipeline = fitting.make_pipeline(parse_recipe(TEXT + SEARCH), sorted(set(y)), seed=0)
    fitting.fit(pipeline, X, y, groups=groups)
    np.testing.assert_array_equal(seen[0], groups)
    assert set(pipeline.steps[-1][1].choices_["params"]) == {"n_estimators", "max_depth"}


def test_smote_inside_a_search_needs_neighbours_in_each_inner_fold() -> None:
    X, y, groups = clouds(d=26)
    keep = np.flatnonzero((y != "happy") | (np.cumsum(y == "happy") <= 7))  # enough outside, too few inside
    pipeline = fitting.make_pipeline(
        parse_recipe(TEXT + '[balance]\nkind = "smote"\n' + SEARCH), sorted(set(y)), seed=0
    )
    with pytest.raises(
        TrainingError, match=r"inner fold .* clip\(s\) of happy, .* 5 neighbours needs at least 6: lower"
    ):
        fitting.fit(pipeline, X[keep], y[keep], groups=groups[keep])


def test_a_search_cannot_have_more_inner_folds_than_speakers() -> None:
    X, y, groups = clouds(d=26)
    pipeline = fitting.make_pipeline(parse_recipe(TEXT + SEARCH), sorted(set(y)), seed=0)
    with pytest.raises(TrainingError, match=r"3 inner folds, .* 2 speaker\(s\) or recording\(s\).*: lower folds in"):
        fitting.fit(pipeline, X, y, groups=np.where(np.isin(groups, ["0", "1", "2"]), "a", "b"))


# ---------------------------------------------------------------------------------------------------------- ensembles


def test_soft_voting_is_the_mean() -> None:
    X, y, _ = clouds()
    members = [LogisticRegression(), RandomForestClassifier(20, random_state=1)]
    voted = SoftVoting(members).fit(X, y)
    expected = np.mean([m.fit(X, y).predict_proba(X) for m in members], axis=0)
    np.testing.assert_allclose(voted.predict_proba(X), expected)
    np.testing.assert_allclose(voted.predict_proba(X).sum(1), 1)


def test_the_best_of_several_is_the_best_on_the_validation_clips() -> None:
    X, y, _ = clouds()
    X_val, y_val, _ = clouds(seed=1)
    members = [RandomForestClassifier(1, max_depth=1, random_state=0), LogisticRegression(), KNeighborsClassifier(40)]
    best = BestOf(members, ["stump", "line", "neighbours"]).fit(X, y, validation=(X_val, y_val))
    uar = [balanced_accuracy_score(y_val, member.fit(X, y).predict(X_val)) for member in members]
    assert best.choices_["chosen"] == ["stump", "line", "neighbours"][int(np.argmax(uar))]
    assert list(best.choices_["uar"].values()) == pytest.approx(uar)
    np.testing.assert_array_equal(best.predict(X_val), members[int(np.argmax(uar))].predict(X_val))
    with pytest.raises(ValueError, match="there are none"):
        BestOf(members, ["a", "b", "c"]).fit(X, y)


def test_members_of_the_same_name_are_told_apart() -> None:
    X, y, groups = clouds(d=26)
    text = VOTE.replace("soft_voting", "best_of").replace(
        '"random_forest"\nparams = { n_estimators = 5 }', '"logistic"'
    )
    recipe = parse_recipe(TEXT + text.replace("[model]", '[validation]\nuse = "selection"\n[model]', 1))
    pipeline = fitting.make_pipeline(recipe, sorted(set(y)), seed=0)
    fitting.fit(pipeline, X, y, groups=groups, validation=(X, y))
    assert set(pipeline.steps[-1][1].choices_["uar"]) == {"logistic 1", "logistic 2"}


def test_class_weights_are_weights_of_the_clips() -> None:
    X, y, _ = clouds()
    keep = np.flatnonzero((y != y[0]) | (np.arange(len(y)) % 4 == 0))
    X, y = X[keep], y[keep]
    plain = gradient_boosting({"n_estimators": 5}, labels=LABELS, seed=0)
    weighted = ClassWeighted(plain).fit(X, y)
    expected = gradient_boosting({"n_estimators": 5}, labels=LABELS, seed=0)
    expected.fit(X, y, sample_weight=compute_sample_weight("balanced", y))
    np.testing.assert_array_equal(weighted.predict_proba(X), expected.predict_proba(X))
    assert not np.allclose(weighted.predict_proba(X), plain.fit(X, y).predict_proba(X))


# --------------------------------------------------------------------------------------------- scaling and selection


def test_row_scaling_standardises_rows_and_keeps_what_lies_between_frames() -> None:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(40, 3, 7)) * [[1.0], [20.0], [0.0]] + [[5.0], [-300.0], [2.0]]).astype(np.float32)
    X[:, 0] += np.arange(7)
    scaled = fitting.Scaler(rows=3).fit(X.reshape(40, -1)).transform(X.reshape(40, -1)).reshape(40, 3, 7)
    np.testing.assert_allclose(scaled.mean((0, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(scaled[:, :2].std((0, 2)), 1, rtol=1e-4)
    np.testing.assert_array_equal(scaled[:, 2], 0)
    expected = (X[:, :2] - X[:, :2].mean((0, 2), keepdims=True)) / X[:, :2].std((0, 2), keepdims=True)
    np.testing.assert_allclose(scaled[:, :2], expected, atol=1e-4)
    assert scaled.dtype == np.float32


@pytest.mark.parametrize("select", ['kind = "l1"\nk = 6', 'kind = "forest"', "k = 6"])
def test_selection_keeps_what_tells_classes_apart(select: str) -> None:
    rng = np.random.default_rng(0)
    y = np.array(LABELS)[np.arange(200) % 4]
    X = rng.normal(size=(200, 26)).astype(np.float32)
    X[:, [3, 11, 20]] += 3 * rng.normal(size=(4, 3))[np.arange(200) % 4]
    recipe = parse_recipe(TEXT + f'[select]\n{select}\n[model]\nname = "logistic"\n')
    pipeline = fitting.fit(fitting.make_pipeline(recipe, sorted(set(y)), seed=0), X, y)
    kept = set(pipeline.named_steps["select"].get_support(indices=True))
    assert {3, 11, 20} <= kept
    assert len(kept) <= 13


def test_without_scaling_the_estimator_sees_the_features_as_they_are() -> None:
    recipe = parse_recipe('scale = "none"\n' + TEXT + '[model]\nname = "logistic"\n')
    assert [name for name, _ in fitting.make_pipeline(recipe, list(LABELS), seed=0).steps] == ["model"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 GB"),
        RuntimeError("CUDA out of memory. Tried to allocate 9.00 GiB."),
        XGBoostError("[07:15:58] /workspace/src/tree/updater.cc:1: std::bad_alloc"),
        TerminatedWorkerError("This could be caused by ... an excessive memory usage causing the Operating System to"),
    ],
)
def test_too_little_memory_is_a_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(LogisticRegression, "fit", full)
    recipe = parse_recipe(TEXT + '[model]\nname = "logistic"\n')
    X, y, _ = clouds(d=26)
    with pytest.raises(TrainingError, match=r"Not enough memory to fit LogisticRegression on 120.*batch_size"):
        fitting.fit(fitting.make_pipeline(recipe, sorted(set(y)), seed=0), X, y)


# ------------------------------------------------------------------------------------------------ mistakes in recipes


def refused(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, source="mine.toml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n_estimators = [5, 10]", "n_estimatrs = [5]", "unknown key 'n_estimatrs'"),
        ("n_estimators = [5, 10]", "n_estimators = []", "'model.search.params.n_estimators'"),
        ("n_estimators = [5, 10]", "n_estimators = [5, -1]", "'n_estimators' parameter of RandomForestClassifier"),
        ("n_iter = 2\n", "", "needs n_iter with kind 'random'"),
        ('kind = "random"', 'kind = "grid"', "must not have it with kind 'grid'"),
        ('kind = "random"', 'kind = "bayes"', "'grid' or 'random'"),
        ('name = "random_forest"', 'name = "soft_voting"', "'soft_voting' needs two [[model.members]] or more, got 0"),
    ],
)
def test_mistakes_in_a_search(old: str, new: str, message: str) -> None:
    assert message in refused((TEXT + SEARCH).replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "logistic"', 'name = "logistik"', "unknown model 'logistik': did you mean 'logistic'?"),
        ('name = "logistic"', 'name = "best_of"', "'best_of' cannot be a member of 'soft_voting'"),
        (
            'name = "logistic"',
            'name = "cnn"',
            "'cnn' needs features of layout frames, of shape (bands, frames) per clip",
        ),
        (
            'name = "logistic"',
            'name = "cnn_frames"',
            "of shape (rows x frames,) per clip, got 'mean_std' of shape (26,)",
        ),
        ('name = "soft_voting"', 'name = "best_of"', "it needs [validation] use = 'selection'"),
        (
            "[model]",
            '[validation]\nuse = "early-stopping"\n[model]',
            "members of 'soft_voting' learn only from training clips",
        ),
        ('name = "soft_voting"', 'name = "svm"', "the model 'svm' has no members"),
        ('name = "soft_voting"', 'name = "soft_voting"\nparams = { a = 1 }', "no parameters itself"),
    ],
)
def test_mistakes_in_an_ensemble(old: str, new: str, message: str) -> None:
    assert message in refused((TEXT + VOTE).replace(old, new, 1))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[select]\nkind = "anova"\n[model]\nname = "svm"\n', "[select] needs k"),
        ('[select]\nkind = "forest"\nc = 0.1\n[model]\nname = "svm"\n', "c belongs to kind 'l1', got kind 'forest'"),
        ('[validation]\nuse = "selection"\n[model]\nname = "svm"\n', "no other model may use that"),
        ('[model]\nname = "dense"\nparams = { keep_best = true }\n', "needs [validation] use = 'early-stopping'"),
        ('[model]\nname = "dense"\n[model.params.net]\nhiden = [8]\n', "did you mean 'hidden'?"),
    ],
)
def test_mistakes_in_other_sections(more: str, message: str) -> None:
    assert message in refused(TEXT + more)


def test_rows_need_a_flat_matrix() -> None:
    model = '[model]\nname = "svm"\n'
    assert "scale = 'row' needs layout 'flat'" in refused('scale = "row"\n' + TEXT + model)


def test_nothing_is_selected_in_front_of_a_model_that_folds_the_vector_back() -> None:
    flat = TEXT.replace("[features]", '[features]\nlayout = "flat"\nwindow = { length = 1.0 }') + "[select]\nk = 20\n"
    assert "'cnn_frames' folds the vector back" in refused(flat + '[model]\nname = "cnn_frames"\n')
    assert "'cnn_frames' folds the vector back" in refused(flat + VOTE.replace('"logistic"', '"cnn_frames"'))


def test_spectrograms_of_unequal_height_are_refused_with_both_numbers() -> None:
    flat = TEXT.replace("[features]", '[features]\nlayout = "flat"\nwindow = { length = 1.0 }')
    assert "13 rows do not divide into 3 spectrograms" in refused(flat + '[model]\nname = "eca_cnn"\n')


# ----------------------------------------------------------------------------------------------- schedules and hashes


def test_a_shortened_recipe_says_so_in_its_text() -> None:
    text = TEXT + '[model]\nname = "dense"\n[model.params]\nepochs = 40  # as published\nbatch_size = 8\n'
    whole = parse_recipe(text)
    short = shortened(whole, 3)
    assert (whole.epochs, short.epochs, short.name) == (40, 3, whole.name)
    assert "epochs = 3  # a reduced schedule: the recipe has 40\n" in short.text
    assert parse_recipe(short.text).hash == short.hash != whole.hash
    assert shortened(whole, 40) is whole
    assert shortened(parse_recipe(TEXT + '[model]\nname = "svm"\n'), 3).epochs is None


def test_hashes_of_older_recipes_stay() -> None:
    """Scores that were published with a recipe must go on belonging to it, whatever keys come later."""
    more = '[augment]\nchains = ["noise"]\n[balance]\nkind = "smote"\n[select]\nk = 9\n[model]\nname = "svm"\n'
    more += 'params = { C = 2.0 }\n[validation]\nuse = "calibration"\n'
    assert parse_recipe(TEXT + '[model]\nname = "svm"\n').hash.startswith("07ce2e83e275f462")
    assert parse_recipe(TEXT + more).hash.startswith("7053f982cbd07ed1")
    assert load_recipe("s0-forest").hash.startswith("b341376ef3cae618")
    assert load_recipe("cnn").hash.startswith("d59da002d5066c65")
    searched = load_recipe("s1-xgboost").text
    fixed = searched.replace(
        searched[searched.index("[model.search]") : searched.index("[validation]")],
        "[model.params]\nn_estimators = 300\nmax_depth = 6\nlearning_rate = 0.1\nsubsample = 0.8\n"
        "colsample_bytree = 0.5\n",
    )
    assert parse_recipe(fixed).hash.startswith("b4024bb90edc9c86"), "s1-xgboost before it searched"
