"""The deep estimators: they learn and repeat themselves, validation clips stop and schedule them, errors are clear."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.metrics import log_loss, recall_score
from sklearn.utils.class_weight import compute_class_weight
from torch.utils.data import TensorDataset

from serkit.emotions import LABELS
from serkit.errors import TrainingError
from serkit.models import MODELS
from serkit.models.batches import VectorBatches
from serkit.models.deep import DeepClassifier
from serkit.models.network_registry import NETWORKS, sees_time
from serkit.training import fitting
from serkit.training.recipe_files import list_recipes, load_recipe, shortened

NAMES = ["neutral", "happy", "angry"]  # not in alphabetical order
SMALL: dict[str, dict[str, Any]] = {
    "dense": {"net": {"hidden": [16]}, "learning_rate": 1e-2},
    "attention": {"net": {"width": 8, "heads": 2, "blocks": 1}, "learning_rate": 1e-2},
    "cnn1d": {"epochs": 4, "batch_size": 8},
    "cnn_frames": {"net": {"widths": [8, 12]}, "learning_rate": 5e-3},
    "cnn_bilstm": {"net": {"channels": [8], "hidden": 8}, "learning_rate": 1e-2},
    "eca_cnn": {"net": {"width": 4}, "learning_rate": 1e-2},
}
ROWS, FRAMES = 6, 8


def clips(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Flat matrices of 6 rows and 8 frames whose class is the pair of rows that beats."""
    rng = np.random.default_rng(seed)
    X = rng.normal(0, 0.5, (n, ROWS, FRAMES)).astype(np.float32)
    kind = rng.permutation(n) % 3
    for x, k in zip(X, kind, strict=True):
        x[2 * k : 2 * k + 2] += 1 + np.sin(np.arange(FRAMES))
    return X.reshape(n, -1), np.array(NAMES)[kind]


def small(network: str = "dense", **changes: Any) -> DeepClassifier:
    given = {"epochs": 8, "batch_size": 16, "seed": 3, "device": "cpu", "rows": ROWS if sees_time(network) else None}
    return DeepClassifier(NAMES, network, **{**given, **SMALL[network], **changes})


def noise(n: int, *, seed: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Clips whose labels mean nothing: the loss on them grows with every epoch that learns something."""
    X, y = clips(n, seed=seed)
    return X, np.random.default_rng(seed).permutation(y)


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_each_network_learns_classes_that_can_be_told_apart(network: str) -> None:
    X, y = clips(96)
    unseen, truth = clips(60, seed=1)
    model = small(network).fit(X, y)
    assert np.mean(model.predict(unseen) == truth) > 0.9


def test_probabilities_sum_to_one_in_the_order_of_labels() -> None:
    model = small(epochs=2).fit(*clips(48))
    X, _ = clips(9, seed=4)
    p = model.predict_proba(X)
    assert (p.shape, p.dtype) == ((9, 3), np.float32)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    assert list(model.classes_) == NAMES
    np.testing.assert_array_equal(model.predict(X), np.array(NAMES)[p.argmax(1)])
    assert model.predict_proba(X[:0]).shape == (0, 3)


@pytest.mark.parametrize("network", ["dense", "cnn_frames", "eca_cnn"])
def test_same_seed_same_model_other_seed_other_model(network: str) -> None:
    augmented = {"mixup": 0.3, "mask_rows": 1, "mask_frames": 2, "shift": 1} if sees_time(network) else {}
    X, y = clips(40)
    probabilities = []
    for seed in (3, 3, 4):
        torch.rand(5)  # whatever was drawn before
        model = small(network, epochs=2, seed=seed, **augmented).fit(X, y, validation=clips(12, seed=1))
        probabilities.append(model.predict_proba(X))
    one, two, other = probabilities
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 1e-3


def test_training_leaves_the_global_random_state_and_the_clips_alone() -> None:
    X, y = clips(40)
    kept = X.copy()
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    small("cnn_frames", epochs=1, mixup=0.3, mask_rows=2, shift=2).fit(X, y, validation=(X, y))
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    np.testing.assert_array_equal(X, kept)


def test_clone_keeps_parameters() -> None:
    model = small("cnn_frames", mixup=0.2)
    assert clone(model).get_params() == model.get_params()


def test_the_graph_gives_the_estimators_probabilities() -> None:
    model = small().fit(*clips(48), validation=noise(30))
    assert model.temperature_ > 1.1
    X, _ = clips(8, seed=5)
    session = ort.InferenceSession(model.vector_graph(X.shape[1]).SerializeToString())
    got = np.concatenate([session.run(["probabilities"], {"input": x[None]})[0] for x in X])
    np.testing.assert_allclose(got, model.predict_proba(X), atol=1e-6)


# --- losses and weights -----------------------------------------------------------------------------------------------


def first_loss(**changes: Any) -> float:
    """The loss of a network that has hardly moved yet."""
    return small(epochs=1, learning_rate=1e-8, **changes).fit(*clips(48)).history_[0]["loss"]


def test_focal_loss_is_what_is_asked_for() -> None:
    plain = first_loss()
    assert first_loss(loss="focal", gamma=0.0) == pytest.approx(plain, rel=1e-4)
    assert first_loss(loss="focal", gamma=1.0) < 0.8 * plain
    assert first_loss(loss="focal", gamma=3.0) < 0.8 * first_loss(loss="focal", gamma=1.0)


def test_class_weights_are_the_inverse_of_the_frequency() -> None:
    X, y = clips(90)
    kept = np.concatenate([np.flatnonzero(y == "angry")[:3], np.flatnonzero(y != "angry")])
    X, y = X[kept], y[kept]
    rng = np.random.default_rng(0)
    X = X + rng.normal(0, 1.5, X.shape).astype(np.float32)  # hard, so that the rare class is given up
    unseen, truth = clips(300, seed=1)
    unseen = unseen + rng.normal(0, 1.5, unseen.shape).astype(np.float32)
    recall = {}
    for weight in (None, "balanced"):
        model = small(class_weight=weight, epochs=15).fit(X, y)
        recall[weight] = recall_score(truth, model.predict(unseen), labels=["angry"], average=None)[0]
    assert recall["balanced"] > recall[None] + 0.1
    weights = model.net_.criterion_.weight.numpy()
    np.testing.assert_allclose(weights, compute_class_weight("balanced", classes=np.array(NAMES), y=y), rtol=1e-6)


# --- what validation clips do -----------------------------------------------------------------------------------------


def test_history_has_a_row_for_each_epoch_and_progress_hears_of_it() -> None:
    rows: list[dict[str, Any]] = []
    model = small(epochs=3).fit(*clips(48), validation=clips(24, seed=1), progress=rows.append)
    assert [(row["epoch"], row["epochs"]) for row in rows] == [(1, 3), (2, 3), (3, 3)]
    assert [row["epoch"] for row in model.history_] == [1, 2, 3]
    assert set(model.history_[0]) == {"epoch", "loss", "learning_rate", "validation_loss", "uar"}
    assert model.history_[-1]["loss"] < model.history_[0]["loss"]
    assert [row["uar"] for row in rows] == [row["uar"] for row in model.history_]
    assert "uar" not in small(epochs=1).fit(*clips(48)).history_[0]


def final_loss(model: DeepClassifier, X: np.ndarray, y: np.ndarray) -> float:
    logits = np.log(model.predict_proba(X).astype(float)) * model.temperature_
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return float(log_loss(y, p[:, np.argsort(NAMES)], labels=sorted(NAMES)))


def test_early_stopping_waits_as_long_as_it_says_and_the_best_weights_come_back() -> None:
    validation = noise(60)
    last = small(epochs=40, early_stopping=4).fit(*clips(96), validation=validation)
    best = small(epochs=40, early_stopping=4, keep_best=True).fit(*clips(96), validation=validation)
    assert last.history_ == best.history_
    losses = [row["validation_loss"] for row in last.history_]
    assert len(losses) == 1 + int(np.argmin(losses)) + 4 < 40
    assert final_loss(last, *validation) == pytest.approx(losses[-1], rel=1e-3)
    assert final_loss(best, *validation) == pytest.approx(min(losses), rel=1e-3)
    assert min(losses) < 0.9 * losses[-1]


def test_the_best_weights_come_back_without_early_stopping_too() -> None:
    validation = noise(60)
    model = small(epochs=12, keep_best=True).fit(*clips(96), validation=validation)
    losses = [row["validation_loss"] for row in model.history_]
    assert len(losses) == 12
    assert final_loss(model, *validation) == pytest.approx(min(losses), rel=1e-3)


def test_the_learning_rate_falls_when_the_validation_loss_does_not() -> None:
    rates = [
        row["learning_rate"]
        for row in small(epochs=12, reduce_on_plateau=2).fit(*clips(96), validation=noise(60)).history_
    ]
    changes = {round(after / before, 6) for before, after in pairwise(rates)}
    assert changes == {1.0, 0.4}
    assert rates[0] == 1e-2
    steady = small(epochs=12).fit(*clips(96), validation=noise(60)).history_
    assert {row["learning_rate"] for row in steady} == {1e-2}


def test_one_cycle_rises_to_the_learning_rate_and_falls() -> None:
    rates = [row["learning_rate"] for row in small(epochs=20, schedule="one_cycle").fit(*clips(64)).history_]
    top = int(np.argmax(rates))
    assert 0 < top < 6
    assert rates[top] == pytest.approx(1e-2, rel=0.05)
    assert np.all(np.diff(rates[top:]) < 0)
    assert rates[-1] < 1e-4


def test_the_temperature_minimises_the_validation_loss() -> None:
    validation = noise(60)
    model = small().fit(*clips(96), validation=validation)
    p = model.predict_proba(validation[0]).astype(float)
    y = validation[1]

    def loss(temperature: float) -> float:
        q = p ** (model.temperature_ / temperature)
        return float(log_loss(y, (q / q.sum(1, keepdims=True))[:, np.argsort(NAMES)], labels=sorted(NAMES)))

    assert model.temperature_ > 1.2
    for other in (0.5, 0.9 * model.temperature_, 1.1 * model.temperature_):
        if other <= 5:
            assert loss(model.temperature_) <= loss(other) + 1e-9
    assert small(epochs=1).fit(*clips(48)).temperature_ == 1.0


@pytest.mark.parametrize("asked", [{"early_stopping": 3}, {"reduce_on_plateau": 2}, {"keep_best": True}])
def test_what_needs_validation_clips_says_so(asked: dict[str, Any]) -> None:
    assert small(**asked).stops_early
    assert not small().stops_early
    with pytest.raises(ValueError, match="need validation clips"):
        small(**asked).fit(*clips(48))


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "changes", "says"),
    [
        ("dense", {"epochs": 0}, "epochs must be at least 1, got 0"),
        ("dense", {"batch_size": 1}, "batch_size must be at least 2"),
        ("dense", {"learning_rate": "fast"}, "learning_rate must be a number, got 'fast'"),
        ("dense", {"label_smoothing": 1.5}, "label_smoothing must be between 0 and 1"),
        ("dense", {"early_stopping": 0}, "early_stopping must be at least 1"),
        ("dense", {"keep_best": 1}, "keep_best must be true or false, got 1"),
        ("dense", {"schedule": "cosine"}, "schedule must be one of 'constant', 'one_cycle', got 'cosine'"),
        ("dense", {"loss": "hinge"}, "loss must be one of 'cross_entropy', 'focal', got 'hinge'"),
        ("dense", {"class_weight": "balancd"}, "class_weight must be one of None, 'balanced', got 'balancd'"),
        ("dense", {"device": "tpu"}, "device must be one of 'auto', 'cpu', 'cuda'"),
        ("dense", {"loss": "focal", "label_smoothing": 0.1}, "label_smoothing only works with loss = 'cross_entropy'"),
        ("dense", {"schedule": "one_cycle", "reduce_on_plateau": 3}, "reduce_on_plateau needs schedule = 'constant'"),
        ("dense", {"mask_rows": 3}, "for networks that see time, and 'dense' does not"),
        ("dense", {"rows": 6}, "'dense' takes whole vectors and no rows, got rows = 6"),
        ("cnn_frames", {"rows": None}, "'cnn_frames' needs the number of rows of the flat matrix, got rows = None"),
        ("dense", {"net": {"hiden": [3]}}, "did you mean 'hidden'"),
        ("attention", {"net": {"width": 9, "heads": 2}}, "width must be a multiple of heads"),
        ("eca_cnn", {"net": {"windows": 4}}, "6 rows do not divide into 4 spectrograms"),
        ("dense", {"net": {"hidden": [10**15]}}, r"\[net\] of 'dense': "),
    ],
)
def test_impossible_values_are_refused_before_anything_is_learnt(
    network: str, changes: dict[str, Any], says: str
) -> None:
    model = small(network, **changes)
    with pytest.raises(ValueError, match=says):
        model.check()
    with pytest.raises(ValueError, match=says):
        model.fit(*clips(12))


def test_unknown_networks_and_labels_are_named() -> None:
    with pytest.raises(ValueError, match=r"network must be one of 'dense', .*, got 'dens'"):
        DeepClassifier(NAMES, "dens").check()
    X, y = clips(12)
    y = y.astype(object)
    y[0] = "bored"
    with pytest.raises(TrainingError, match="bored"):
        small().fit(X, y)


def test_a_vector_of_another_length_is_refused_with_both_shapes() -> None:
    X, y = clips(12)
    with pytest.raises(ValueError, match=r"\(47,\) does not fit \(6, frames\)"):
        small("cnn_frames").fit(X[:, :47], y)


def test_a_loss_that_is_no_number_ends_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(torch.nn.CrossEntropyLoss):
        def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return super().forward(logits, targets) * float("nan")

    monkeypatch.setattr(DeepClassifier, "_criterion", lambda self, targets, masked: Broken())
    with pytest.raises(TrainingError, match="The loss became nan in epoch 1"):
        small().fit(*clips(48))


def test_clips_that_are_no_numbers_are_refused() -> None:
    X, y = clips(48)
    X[5, 3] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        small().fit(X, y)


def test_ctrl_c_is_not_taken_for_the_end_of_the_training() -> None:
    def stop(row: dict[str, Any]) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(early_stopping=5).fit(*clips(48), validation=clips(24, seed=1), progress=stop)


# --- batches ----------------------------------------------------------------------------------------------------------

PLANES = 2


def batches(seed: int = 0, *, n: int = 24, batch_size: int = 6, **changes: Any) -> list[tuple[Any, Any]]:
    """Batches of clips of 2 planes, 3 rows and 8 frames that hold 1 + clip + frame / 100 everywhere in a frame."""
    x = 1 + torch.arange(n)[:, None, None] + torch.arange(FRAMES)[None, None] / 100 + torch.zeros(n, 3 * PLANES, 1)
    given = {"mixup": 0.0, "mask_rows": 0, "mask_frames": 0, "shift": 0}
    made = VectorBatches(
        TensorDataset(x.flatten(1), torch.arange(n) % 3),
        batch_size=batch_size,
        rng=np.random.default_rng(seed),
        n_classes=3,
        planes=PLANES,
        rows=3,
        **{**given, **changes},
    )
    result = [(x.unflatten(1, (PLANES, 3, FRAMES)).numpy(), y.numpy()) for x, y in made]
    assert len(result) == len(made)
    return result


def test_every_clip_comes_once_with_its_class_in_another_order_each_epoch() -> None:
    orders = []
    for seed in (0, 1):
        x = np.concatenate([x for x, _ in batches(seed)])
        y = np.concatenate([y for _, y in batches(seed)])
        clip = np.rint(x[:, 0, 0, 0] - 1).astype(int)
        assert sorted(clip) == list(range(24))
        np.testing.assert_array_equal(y, clip % 3)
        np.testing.assert_allclose(x[0, 1, 2], 1 + clip[0] + np.arange(FRAMES) / 100, rtol=1e-6)
        orders.append(clip.tolist())
    assert orders[0] != orders[1] != sorted(orders[1])
    assert [len(x) for x, _ in batches(n=20)] == [6, 6, 6]  # the rest of an epoch is left out


def test_a_shift_rotates_all_rows_of_a_clip_by_the_same_few_frames() -> None:
    x = np.concatenate([x for x, _ in batches(shift=2)])
    seen = set()
    for clip in x:
        frames = np.rint(100 * (clip - np.floor(clip[0, 0, 0] + 1e-3))).astype(int)
        assert (frames == frames[0, 0]).all()
        moved = int(np.flatnonzero(frames[0, 0] == 0)[0])
        np.testing.assert_array_equal(np.roll(np.arange(FRAMES), moved), frames[0, 0])
        seen.add((moved + 4) % FRAMES - 4)
    assert seen == {-2, -1, 0, 1, 2}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 4), st.integers(0, 12), st.integers(0, 100))
def test_masks_hide_at_most_two_stretches_in_all_planes_alike(mask_rows: int, mask_frames: int, seed: int) -> None:
    for x, _ in batches(seed, mask_rows=mask_rows, mask_frames=mask_frames):
        hidden = x == 0
        assert (hidden == hidden[:, :1]).all()  # the same in every plane
        for clip in hidden[:, 0]:
            rows, frames = clip.all(1), clip.all(0)
            np.testing.assert_array_equal(clip, rows[:, None] | frames[None])
            if rows.all() or frames.all():
                assert mask_rows >= 2 or mask_frames >= 4
                continue
            for stretch, largest in ((rows, mask_rows), (frames, mask_frames)):
                starts = np.flatnonzero(np.diff(np.r_[0, stretch.astype(int)]) == 1)
                assert len(starts) <= 2
                assert stretch.sum() <= 2 * largest


def test_masks_do_hide_something() -> None:
    hidden = np.concatenate([x == 0 for x, _ in batches(mask_rows=1, mask_frames=3)])
    assert 0.3 < hidden.all(3).any((1, 2)).mean() < 1  # half of the masks of up to one row hide none
    assert hidden.any((1, 2)).any(1).mean() > 0.7


def test_mixup_mixes_targets_as_it_mixes_clips() -> None:
    for x, y in batches(mixup=0.4, n=3, batch_size=3):
        np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)
        # Clip k is 1 + k at its first frame and of class k, so the mixed value is the expected class.
        np.testing.assert_allclose(x[:, 0, 0, 0] - 1, y @ np.arange(3), atol=1e-5)
        assert (y.max(1) >= 0.5).all()
    assert any(((y > 0.01) & (y < 0.99)).any() for seed in range(5) for _, y in batches(seed, mixup=0.4))


# --- recipes ----------------------------------------------------------------------------------------------------------

#: What the systems' texts say of training: model, values a clip, chains, and parameters.
SAID: dict[str, tuple[str, int, list[str], dict[str, Any]]] = {
    "s2-cnn": ("cnn1d", 2376, ["noise", "pitch", "stretch"], {"epochs": 20, "batch_size": 64, "keep_best": True}),
    "s3-cnn": ("cnn1d", 2376, ["noise", "pitch", "stretch", "speed", "shift"], {"epochs": 40, "batch_size": 64}),
    "s3-efficient": ("cnn_frames", 2376, ["noise", "pitch", "stretch", "speed", "shift"], {}),
    "s4-cnn-bilstm": ("cnn_bilstm", 59 * 130, [], {"loss": "focal", "gamma": 2.0}),
    "s0-dense": ("dense", 319, [], {}),
    "s0-attention": ("attention", 319, [], {}),
}

#: All recipes of the networks.
DEEP = [name for name in list_recipes() if load_recipe(name).model.name in NETWORKS]


@pytest.mark.parametrize("name", sorted(SAID))
def test_a_recipe_is_what_its_system_said(name: str) -> None:
    recipe = load_recipe(name)
    model, n, chains, said = SAID[name]
    assert recipe.model.name == model
    assert len(recipe.front_end.feature_names()) == n
    assert list(recipe.augment.chains if recipe.augment else ()) == chains
    assert {key: recipe.model.params[key] for key in said} == said


@pytest.mark.parametrize("name", DEEP)
def test_a_recipe_makes_its_estimator_and_can_be_shortened(name: str) -> None:
    recipe = load_recipe(name)
    model = recipe.model.name
    estimator = fitting.make_pipeline(recipe, list(LABELS), seed=7).steps[-1][1]
    assert (estimator.network, estimator.seed, estimator.rows) == (model, 7, recipe.rows if sees_time(model) else None)
    assert estimator.stops_early == (recipe.validation.use == "early-stopping")
    assert shortened(recipe, 2).epochs == 2


def test_recipes_balance_stop_and_schedule_as_their_systems_did() -> None:
    params = {name: load_recipe(name).model.params for name in SAID}
    for name in ("s2-cnn", "s0-dense"):
        assert {"early_stopping", "reduce_on_plateau"} <= set(params[name])
    assert "reduce_on_plateau" in params["s3-cnn"]
    for name in ("s2-cnn", "s3-cnn"):  # Adam and categorical cross-entropy
        assert not {"weight_decay", "loss"} & set(params[name])
    assert load_recipe("s4-cnn-bilstm").balance.kind == "smote+class_weight"
    assert load_recipe("s0-attention").balance.kind == "class_weight"
    select = load_recipe("s0-attention").select
    assert select is not None
    assert select.kind == "l1"
    recipe = load_recipe("s0-eca")  # several window lengths, each a channel of the network
    assert [feature.name for feature in recipe.features.features] == ["windowed_log_mel"] * 3
    assert len({feature.params["win_length"] for feature in recipe.features.features}) == 3
    assert recipe.model.params["net"]["windows"] == 3


def test_every_network_has_a_recipe() -> None:
    assert {load_recipe(name).model.name for name in DEEP} == set(NETWORKS)
    assert set(NETWORKS) <= set(MODELS)
