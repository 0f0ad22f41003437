"""Softmax regression over joined corpora: scikit-learn's where there is one corpus, masked and balanced where not."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from sklearn.linear_model import LogisticRegression

from serkit.models import build
from serkit.models.softmax import SoftmaxRegression
from serkit.models.spec import Model


def clouds(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.array(["angry", "calm", "sad"])[rng.integers(3, size=n)]
    places = {"angry": (2, 0), "calm": (0, 2), "sad": (-2, -1)}
    return (np.array([places[label] for label in y]) + rng.normal(size=(n, 2))).astype(np.float32), y


def test_on_one_corpus_it_is_logistic_regression() -> None:
    X, y = clouds()
    ours = SoftmaxRegression(penalty=0.02).fit(X, y)
    theirs = LogisticRegression(C=1 / (2 * 0.02 * len(y)), tol=1e-8).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=2e-3)


def test_a_label_that_a_corpus_lacks_is_not_pushed_down_by_its_clips() -> None:
    X = np.ones((60, 1), dtype=np.float32)
    y = np.array(["angry", "calm", "sad"] * 10 + ["angry", "sad"] * 15)
    corpora = np.array(["all"] * 30 + ["some"] * 30)
    known = np.array([[True, True, True]] * 30 + [[True, False, True]] * 30)
    labels = ["angry", "calm", "sad"]
    masked = SoftmaxRegression(labels=labels).fit(X, y, known=known, corpora=corpora)
    plain = SoftmaxRegression(labels=labels).fit(X, y, corpora=corpora)
    assert masked.predict_proba(X)[0, 1] == pytest.approx(1 / 3, abs=0.01)
    assert plain.predict_proba(X)[0, 1] == pytest.approx(1 / 6, abs=0.01)


def test_corpora_count_alike_if_asked() -> None:
    X = np.array([[1.0]] * 90 + [[1.0]] * 10, dtype=np.float32)
    y = np.array(["angry"] * 90 + ["sad"] * 10)
    corpora = np.array(["large"] * 90 + ["small"] * 10)
    share = {b: SoftmaxRegression(balance=b).fit(X, y, corpora=corpora).predict_proba(X)[0, 1] for b in (0, 0.5, 1)}
    assert share[0] == pytest.approx(0.1, abs=0.01)
    assert share[0.5] == pytest.approx(0.25, abs=0.01)
    assert share[1] == pytest.approx(0.5, abs=0.01)


def test_balanced_classes_count_alike_within_their_corpus() -> None:
    X = np.ones((12, 1), dtype=np.float32)
    y = np.array(["angry"] * 9 + ["sad"] * 3)
    balanced = SoftmaxRegression(class_weight="balanced").fit(X, y)
    np.testing.assert_allclose(balanced.predict_proba(X)[0], 0.5, atol=0.01)


def test_validation_softens_answers_that_are_too_sure() -> None:
    X, y = clouds()
    wrong = np.roll(y, 1)
    sure = SoftmaxRegression(penalty=1e-5).fit(X, y)
    told = SoftmaxRegression(penalty=1e-5).fit(X, y, validation=(X, wrong))
    assert told.temperature_ > 1.5
    assert (told.predict(X) == sure.predict(X)).all()
    assert told.predict_proba(X).max(axis=1).mean() < sure.predict_proba(X).max(axis=1).mean()


def test_the_graph_gives_its_probabilities() -> None:
    X, y = clouds()
    model = SoftmaxRegression().fit(X, y, validation=clouds(30, seed=2))
    session = ort.InferenceSession(model.vector_graph(2).SerializeToString())
    (found,) = session.run(["probabilities"], {"input": X})
    np.testing.assert_allclose(found, model.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(("name", "value"), [("penalty", -1.0), ("balance", 1.5), ("max_iter", 0)])
def test_impossible_parameters_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        SoftmaxRegression(**{name: value}).fit(*clouds(10))


def test_recipes_know_it() -> None:
    model = build(Model(name="softmax", params={"penalty": 0.1}), labels=["happy", "sad"], seed=0, class_weight=True)
    assert (model.penalty, model.class_weight, model.labels) == (0.1, "balanced", ["happy", "sad"])
