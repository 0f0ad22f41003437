"""scikit-learn's own checks, for every estimator of serkit; what is not kept is listed with its reason."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB
from sklearn.utils.estimator_checks import parametrize_with_checks

import serkit.features
import serkit.models
import serkit.training
from serkit.features import s3, transformers
from serkit.models.base import VectorClassifier
from serkit.models.calibrated_svm import SVM
from serkit.models.classical import ClassWeighted, TemperatureScaled, XGBoost
from serkit.models.cnn import LogMelCNN
from serkit.models.deep import DeepClassifier
from serkit.models.linear_network import LinearNetwork
from serkit.models.loop import Net
from serkit.models.selection import BestOf, Searched, SoftVoting
from serkit.models.softmax import SoftmaxRegression
from serkit.training.fitting import Scaler


class Best(BestOf):
    """The checks give no validation clips, and without them there is no best: here the training clips are they."""

    def fit(self, X: Any, y: Any) -> Best:  # type: ignore[override]
        super().fit(X, y, validation=(X, y))
        return self


ESTIMATORS: list[BaseEstimator] = [
    Scaler(),
    TemperatureScaled(GaussianNB()),
    ClassWeighted(GaussianNB()),
    XGBoost(n_estimators=8),
    SVM(),
    SoftmaxRegression(),
    LinearNetwork(hidden=32, epochs=30, batch_size=16),
    Searched(GaussianNB(), kind="grid", params={"var_smoothing": [1e-9, 1e-6]}, folds=2),
    SoftVoting([GaussianNB(), GaussianNB(var_smoothing=1e-6)]),
    Best([GaussianNB(), GaussianNB(var_smoothing=1e-6)], ["a", "b"]),
    DeepClassifier(epochs=60, learning_rate=0.01, net={"hidden": [16]}, device="cpu"),
    LogMelCNN(epochs=1, width=4, device="cpu"),
    transformers.Features(s3()),
    *(getattr(transformers, name)() for name in transformers.__all__ if name != "Features"),
]

NAMED_SCALER = "the check takes every class named Scaler for one with scikit-learn's parameter with_mean"
REASONS: dict[type[BaseEstimator], dict[str, str]] = {
    Scaler: {"check_estimator_sparse_array": NAMED_SCALER, "check_estimator_sparse_matrix": NAMED_SCALER},
    SVM: {
        "check_class_weight_classifiers": "the calibration takes the weights of the classes out of the answers again",
        "check_fit2d_1feature": "its ten clips have a label with three: five of each are needed to calibrate",
    },
    SoftmaxRegression: {
        "check_class_weight_classifiers": "classes are weighed by their frequency; no other weights are offered",
    },
    LinearNetwork: {
        "check_class_weight_classifiers": "classes are weighed by their frequency; no other weights are offered",
    },
    DeepClassifier: {
        "check_class_weight_classifiers": "classes are weighed by their frequency; no other weights are offered",
    },
}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: REASONS.get(type(estimator), {}))
def test_scikit_learns_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


def test_no_estimator_is_forgotten() -> None:
    found: set[type] = set()
    for package in (serkit.features, serkit.models, serkit.training):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            members = vars(importlib.import_module(module.name)).values()
            found |= {m for m in members if inspect.isclass(m) and issubclass(m, BaseEstimator)}
    own = {cls for cls in found if cls.__module__.startswith("serkit.") and not cls.__name__.startswith("_")}
    own -= {VectorClassifier, Net}  # a base without fit; skorch's net, which our estimators hold
    checked = {cls for estimator in ESTIMATORS for cls in type(estimator).__mro__}
    assert own <= checked


def frames(n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Clips of 16 bands and some frames, low and high."""
    rng = np.random.default_rng(0)
    X = np.empty(n, object)
    X[:] = [rng.normal(size=(16, 10 + k)).astype(np.float32) for k in range(n)]
    return X, np.array(["low", "high"])[np.arange(n) % 2]


def test_the_cnn_which_takes_no_vectors_keeps_the_rules_too() -> None:
    X, y = frames()
    model = LogMelCNN(width=4, epochs=1, crop=8, device="cpu")
    for ask in (model.predict, model.predict_proba):
        with pytest.raises(NotFittedError):
            ask(X)
    parameters = model.get_params()
    assert model.fit(X, y) is model
    assert model.get_params() == parameters
    assert model.classes_.tolist() == ["high", "low"]  # sorted, where no order is given
    np.testing.assert_array_equal(clone(model).fit(X, y).predict_proba(X), model.predict_proba(X))
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_allclose(model.predict_proba(X[order]), model.predict_proba(X)[order], atol=1e-6)
    with pytest.raises(ValueError, match="requires y to be passed"):
        model.fit(X, None)  # type: ignore[arg-type]


def test_vectors_of_another_length_are_refused_with_both_lengths() -> None:
    X = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    y = np.array(["calm", "sad"])[np.arange(20) % 2]
    for estimator in (SVM(), XGBoost(n_estimators=3), DeepClassifier(epochs=1, net={"hidden": [4]}), Scaler()):
        fitted = clone(estimator).fit(X, y)
        with pytest.raises(ValueError, match=r"has 4 features, but .* is expecting 5 features"):
            (fitted.transform if isinstance(fitted, Scaler) else fitted.predict)(X[:, :4])
