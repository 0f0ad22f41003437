"""Softmax regression and networks, averaged: each part alone, where clips come from, seeds, and the graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from serkit.errors import RecipeError
from serkit.models import build
from serkit.models.linear_network import LinearNetwork
from serkit.models.softmax import SoftmaxRegression
from serkit.models.spec import Model
from serkit.training.recipe_files import parse_recipe
from tests.small_recipes import QUICK_TEXT
from tests.test_softmax import clouds

SMALL: dict[str, Any] = {"hidden": 8, "epochs": 3, "batch_size": 32}


def rings(n: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Two labels that no line separates: one around the other."""
    rng = np.random.default_rng(3)
    angle, inner = rng.uniform(0, 2 * np.pi, n), np.arange(n) % 2 == 0
    radius = np.where(inner, 0.4, 2.0) + 0.1 * rng.standard_normal(n)
    X = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
    return X, np.where(inner, "calm", "angry")


def test_without_networks_it_is_softmax_regression() -> None:
    X, y = clouds()
    corpora = np.array(["a", "b", "b"] * 20)
    known = np.array([[True, True, True]] * 60)
    known[corpora == "b", 1] = y[corpora == "b"] == "calm"
    shared: dict[str, Any] = {"penalty": 0.03, "balance": 0.5, "class_weight": "balanced", "max_iter": 40}
    given: dict[str, Any] = {"known": known, "corpora": corpora}
    labels = ["angry", "calm", "sad"]
    linear = SoftmaxRegression(**shared, labels=labels).fit(X, y, **given)
    model = LinearNetwork(**shared, share=0.0, labels=labels).fit(X, y, **given)
    np.testing.assert_array_equal(model.linear_.coef_, linear.coef_)
    np.testing.assert_array_equal(model.linear_.intercept_, linear.intercept_)
    np.testing.assert_allclose(model.predict_proba(X), linear.predict_proba(X), rtol=1e-12)
    assert model.networks_ == model.history_ == []


def test_the_networks_learn_what_no_line_separates() -> None:
    X, y = rings()
    learns = {"hidden": 32, "dropout": 0.0, "epochs": 60, "batch_size": 32, "learning_rate": 0.01}
    found = {share: (LinearNetwork(share=share, **learns).fit(X, y).predict(X) == y).mean() for share in (0.0, 1.0)}
    assert found[0.0] < 0.7
    assert found[1.0] > 0.97


def test_the_parts_are_averaged_as_log_probabilities() -> None:
    X, y = clouds(40)
    model = LinearNetwork(**SMALL, members=2, share=0.25, temperature=2.0).fit(X, y)
    logs = []
    for w1, b1, w2, b2 in model.networks_:
        hidden = torch.nn.functional.gelu(torch.from_numpy(X @ w1.T + b1))
        logs.append(torch.log_softmax(hidden @ torch.from_numpy(w2.T) + torch.from_numpy(b2), dim=1).numpy())
    linear = np.log(model.linear_.predict_proba(X))
    mean = (0.75 * linear + 0.25 * (logs[0] + logs[1]) / 2) / 2.0
    p = np.exp(mean) / np.exp(mean).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), p, atol=1e-5)


def test_no_part_alone_can_rule_a_label_out() -> None:
    """Each part is certain, of different labels, one more than the other: they stay in balance."""
    model = LinearNetwork(**SMALL).fit(*clouds(30))
    model.linear_.coef_, model.linear_.intercept_ = np.zeros((3, 2)), np.array([900.0, 0.0, -900.0])
    zeros = np.zeros((8, 2), np.float32), np.zeros(8, np.float32), np.zeros((3, 8), np.float32)
    model.networks_ = [(*zeros, np.array([0.0, 90.0, 0.0], np.float32))]
    np.testing.assert_allclose(model.predict_proba(np.zeros((1, 2), np.float32)), [[0.5, 0.5, 0.0]], atol=1e-6)
    (found,) = _session(model, 2).run(["probabilities"], {"input": np.zeros((1, 2), np.float32)})
    np.testing.assert_allclose(found, [[0.5, 0.5, 0.0]], atol=1e-6)


def test_a_label_that_a_corpus_lacks_is_not_pushed_down_by_its_clips() -> None:
    X = np.ones((60, 1), dtype=np.float32)
    y = np.array(["angry", "calm", "sad"] * 10 + ["angry", "sad"] * 15)
    known = np.array([[True, True, True]] * 30 + [[True, False, True]] * 30)
    given: dict[str, Any] = {"corpora": np.array(["all"] * 30 + ["some"] * 30)}
    settings: dict[str, Any] = {"dropout": 0.0, "epochs": 80, "batch_size": 60, "learning_rate": 0.02}
    for share in (0.0, 0.5, 1.0):
        model = LinearNetwork(share=share, hidden=8, **settings, labels=["angry", "calm", "sad"])
        assert model.fit(X, y, known=known, **given).predict_proba(X)[0, 1] == pytest.approx(1 / 3, abs=0.06)
        assert model.fit(X, y, **given).predict_proba(X)[0, 1] == pytest.approx(1 / 6, abs=0.06)


def test_networks_hear_small_corpora_and_rare_labels_as_often_as_others_if_asked() -> None:
    settings: dict[str, Any] = {"share": 1.0, "hidden": 8, "dropout": 0.0, "epochs": 80, "learning_rate": 0.02}
    X = np.ones((100, 1), dtype=np.float32)
    y, corpora = np.array(["angry"] * 80 + ["sad"] * 20), np.array(["large"] * 80 + ["small"] * 20)
    share = {b: LinearNetwork(balance=b, **settings).fit(X, y, corpora=corpora).predict_proba(X)[0, 1] for b in (0, 1)}
    assert share[0] == pytest.approx(0.2, abs=0.07)
    assert share[1] == pytest.approx(0.5, abs=0.07)
    balanced = LinearNetwork(class_weight="balanced", **settings).fit(X, y)
    assert balanced.predict_proba(X)[0, 1] == pytest.approx(0.5, abs=0.07)


def _session(model: LinearNetwork, width: int) -> ort.InferenceSession:
    return ort.InferenceSession(model.vector_graph(width).SerializeToString())


@pytest.mark.parametrize(
    "settings", [{"share": 0.0}, {"share": 1.0}, {"share": 0.3, "members": 3}, {"temperature": 0.5}]
)
def test_the_graph_gives_its_probabilities(settings: dict[str, Any]) -> None:
    X, y = clouds()
    validation = None if "temperature" in settings else clouds(30, seed=2)
    model = LinearNetwork(**SMALL, **settings).fit(X, y, validation=validation)
    far = np.concatenate([X, 100 * X])
    (found,) = _session(model, 2).run(["probabilities"], {"input": far})
    np.testing.assert_allclose(found, model.predict_proba(far), atol=1e-5)


def test_weights_of_networks_take_two_bytes_each_in_the_graph() -> None:
    X, y = clouds(30)
    model = LinearNetwork(hidden=512, epochs=1).fit(X, y)
    stored = {tuple(t.dims): t.data_type for t in model.vector_graph(2).graph.initializer}
    assert stored[(2, 512)] == stored[(512, 3)] == onnx.TensorProto.FLOAT16
    for part in model.networks_[0]:
        np.testing.assert_array_equal(part, part.astype(np.float16).astype(np.float32))


def test_the_seed_alone_says_what_is_drawn() -> None:
    X, y = clouds()

    def answers(seed: int) -> np.ndarray:
        return LinearNetwork(**SMALL, members=2, seed=seed).fit(X, y).predict_proba(X)

    torch.manual_seed(1)
    before = torch.get_rng_state()
    np.random.seed(1)  # noqa: NPY002 - the global generator is what must be left alone
    state = np.random.get_state()[1].copy()  # type: ignore[index] # noqa: NPY002
    first = answers(5)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # type: ignore[index] # noqa: NPY002
    torch.manual_seed(99)
    np.testing.assert_array_equal(answers(5), first)
    assert not np.allclose(answers(6), first, atol=1e-4)
    networks = LinearNetwork(**SMALL, members=2).fit(X, y).networks_
    assert not np.allclose(networks[0][0], networks[1][0], atol=1e-3)


def test_validation_sets_the_temperature_and_nothing_else() -> None:
    X, y = clouds()
    plain = LinearNetwork(**SMALL, temperature=3.0).fit(X, y)
    assert plain.temperature_ == 3.0
    told = LinearNetwork(**SMALL, temperature=3.0).fit(X, y, validation=(X, np.roll(y, 1)))
    assert told.temperature_ > 1.5
    assert told.temperature_ != 3.0
    logits = told.temperature_ * np.log(told.predict_proba(X)), 3.0 * np.log(plain.predict_proba(X))
    np.testing.assert_allclose(logits[0] - logits[0][:, :1], logits[1] - logits[1][:, :1], atol=1e-6)
    none = LinearNetwork(**SMALL, temperature=3.0).fit(X, y, validation=(X[:0], y[:0]))
    assert none.temperature_ == 3.0


def test_the_temperature_is_that_of_the_labels_each_clip_could_have() -> None:
    """Validation clips of a corpus without calm are not held to be wrong for what the others say about calm."""
    X, y = clouds()
    kept = y != "calm"
    known = np.tile([True, False, True], (kept.sum(), 1))
    labels = ["angry", "calm", "sad"]
    model = LinearNetwork(**SMALL, share=0.0, labels=labels)
    temperature = model.fit(X, y, validation=(X[kept], y[kept]), validation_known=known).temperature_
    linear = SoftmaxRegression(penalty=0.1, max_iter=60, labels=labels)
    linear.fit(X, y, validation=(X[kept], y[kept]), validation_known=known)
    assert temperature == pytest.approx(linear.temperature_, rel=1e-4)


def test_progress_hears_of_each_epoch_of_each_network() -> None:
    heard: list[dict[str, Any]] = []
    model = LinearNetwork(**SMALL, members=2).fit(*clouds(), progress=heard.append)
    assert [row["epoch"] for row in heard] == [1, 2, 3, 4, 5, 6]
    assert {row["epochs"] for row in heard} == {6}
    assert all(0 < row["loss"] < 5 for row in heard)
    assert model.history_ == [{"epoch": row["epoch"], "loss": row["loss"]} for row in heard]


def test_ctrl_c_ends_the_training() -> None:
    def press(row: dict[str, Any]) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        LinearNetwork(**SMALL).fit(*clouds(), progress=press)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("penalty", -1.0),
        ("share", 1.5),
        ("share", float("nan")),
        ("members", 0),
        ("hidden", 0),
        ("hidden", 8.0),
        ("dropout", 1.0),
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("weight_decay", -0.1),
        ("balance", 2.0),
        ("temperature", 0.0),
        ("max_iter", 0),
    ],
)
def test_impossible_parameters_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        LinearNetwork(**{name: value}).fit(*clouds(10))


def test_recipes_know_it_and_its_mistakes() -> None:
    model = build(
        Model(name="linear_network", params={"share": 0.25}), labels=["happy", "sad"], seed=4, class_weight=True
    )
    assert (model.share, model.seed, model.class_weight, model.labels) == (0.25, 4, "balanced", ["happy", "sad"])
    text = QUICK_TEXT.replace('"logistic"', '"linear_network"\nparams = { PARAMS }')
    with pytest.raises(RecipeError, match=r"'linear_network': share must be between 0 and 1, got 2"):
        parse_recipe(text.replace("PARAMS", "share = 2.0"))
    with pytest.raises(RecipeError, match=r"unknown key 'hiden' .*did you mean 'hidden'"):
        parse_recipe(text.replace("PARAMS", "hiden = 2"))
    with pytest.raises(RecipeError, match="does not stop early"):
        parse_recipe(text.replace("PARAMS", "hidden = 8") + '[validation]\nuse = "early-stopping"\n')
