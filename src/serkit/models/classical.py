"""Classical models on feature vectors, and temperature scaling for any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.utils.class_weight import compute_sample_weight

from serkit.models import check_numbers
from serkit.models.base import VectorClassifier, of_classes
from serkit.models.calibrated_svm import SVM

__all__ = ["ClassWeighted", "TemperatureScaled", "XGBoost", "fit_temperature", "scale_probabilities"]

Progress = Callable[[dict[str, Any]], None]
Pair = tuple[np.ndarray, np.ndarray]

#: Lower bound of probabilities before taking the logarithm.
SMALLEST = 1e-6


def scale_probabilities(probabilities: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Soften (``temperature`` > 1) or sharpen (< 1) probabilities (n, n_classes); rows sum to 1.

    Guo et al. (2017), "On Calibration of Modern Neural Networks", with log-probabilities in place of logits. With a
    temperature of shape (n, 1), each row has its own.

    Examples
    --------
    >>> scale_probabilities(np.array([[0.8, 0.2]]), 0.5).round(3)
    array([[0.941, 0.059]])
    """
    logits = np.log(np.clip(probabilities, SMALLEST, 1)) / temperature
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def fit_temperature(probabilities: np.ndarray, truth: np.ndarray, could: np.ndarray | None = None) -> float:
    """Return the temperature in [0.2, 5] with the smallest cross-entropy on some clips.

    Parameters
    ----------
    probabilities : np.ndarray, shape=(n, n_classes)
    truth : np.ndarray of int, shape=(n,)
        Column numbers.
    could : np.ndarray of bool, shape=(n, n_classes), optional
        The classes that each clip could have had, as scores take them; all by default.
    """
    rows = np.arange(len(truth))

    def loss(log_t: float) -> float:
        scaled = scale_probabilities(probabilities, float(np.exp(log_t)))
        if could is not None:
            scaled = scaled / np.where(could, scaled, 0).sum(1, keepdims=True)
        return float(-np.log(scaled[rows, truth]).mean())

    best = minimize_scalar(loss, bounds=(np.log(0.2), np.log(5.0)), method="bounded")
    return float(np.exp(best.x))


def _learnt(
    validation: Pair, classes: np.ndarray, known: np.ndarray | None, labels: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the validation clips whose label occurs in training, their column numbers, and the classes of each."""
    X, y = validation
    keep = np.isin(y, classes)
    could = of_classes(known, labels, classes)
    return X[keep], np.searchsorted(classes, np.asarray(y)[keep]), None if could is None else could[keep]


class TemperatureScaled(VectorClassifier):
    """A classifier whose temperature is fitted on the validation clips, over the labels that each could have had.

    The estimator itself learns from joined corpora as from one: every clip counts against every label.

    Parameters
    ----------
    estimator : estimator
        Cloned and fitted only on the training clips.
    labels : sequence of str, optional
        The labels of the columns of ``validation_known``.

    Attributes
    ----------
    estimator_ : estimator
        The fitted one.
    temperature_ : float
        See :func:`scale_probabilities`; 1.0 without validation clips.
    """

    uses_validation = True
    uses_known = True

    def __init__(self, estimator: BaseEstimator, *, labels: Sequence[str] | None = None) -> None:
        self.estimator = estimator
        self.labels = labels

    @property
    def uses_groups(self) -> bool:
        """Whether ``fit`` uses ``groups``."""
        return bool(getattr(self.estimator, "uses_groups", False))

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        validation: Pair | None = None,
        progress: Progress | None = None,
        groups: np.ndarray | None = None,
        known: np.ndarray | None = None,
        validation_known: np.ndarray | None = None,
    ) -> TemperatureScaled:
        """Fit on ``X`` (n, d) and labels ``y`` (of the ``groups``), then the temperature on ``validation``.

        ``validation_known`` (n, n_labels) marks the labels that each validation clip could have had; ``known`` is not
        used.
        """
        X, y = self._checked(X, y)
        given: dict[str, Any] = {"groups": groups} if self.uses_groups else {}
        if progress is not None and getattr(self.estimator, "uses_progress", False):
            given["progress"] = progress
        self.estimator_ = clone(self.estimator).fit(X, y, **given)
        self.classes_ = self.estimator_.classes_
        self.temperature_ = 1.0
        if validation is not None:
            X_val, truth, could = _learnt(validation, self.classes_, validation_known, self.labels)
            if len(truth):
                self.temperature_ = fit_temperature(self.estimator_.predict_proba(X_val), truth, could)
        return self

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return scale_probabilities(self.estimator_.predict_proba(X), self.temperature_)


class ClassWeighted(VectorClassifier):
    """A classifier without class weights that gets them as sample weights.

    Parameters
    ----------
    estimator : estimator
        Its ``fit`` takes ``sample_weight``.
    """

    def __init__(self, estimator: BaseEstimator) -> None:
        self.estimator = estimator

    def fit(self, X: np.ndarray, y: np.ndarray) -> ClassWeighted:
        """Fit on ``X`` (n, d) and labels ``y``, each clip weighted by the inverse frequency of its class."""
        X, y = self._checked(X, y)
        self.estimator_ = clone(self.estimator).fit(X, y, sample_weight=compute_sample_weight("balanced", y))
        self.classes_ = self.estimator_.classes_
        return self

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return self.estimator_.predict_proba(X)


class XGBoost(VectorClassifier):
    """Gradient-boosted trees by XGBoost (Chen and Guestrin, 2016) for labels that are strings.

    The trees learn from joined corpora as from one: XGBoost's objective for several classes has no masks, so every clip
    counts against every label, also those that its corpus does not give. Early stopping and the temperature go over the
    labels that each validation clip could have had, and so do evaluations
    (:func:`serkit.training.fitting.restrict`).

    Parameters
    ----------
    n_estimators, max_depth, learning_rate, subsample, colsample_bytree, min_child_weight, gamma, reg_alpha, reg_lambda
        As in ``xgboost.XGBClassifier``.
    early_stopping_rounds : int, optional
        Stop when the loss of the validation clips has not fallen for this many rounds; needs validation clips.
    class_weight : "balanced", optional
        Weigh classes by the inverse of their frequency.
    labels : sequence of str, optional
        The labels of the columns of ``validation_known``.
    seed : int
        Seed of the sampling.

    Attributes
    ----------
    classes_ : ndarray of str
        Sorted labels of the training clips.
    temperature_ : float
        Fitted on the validation clips, 1.0 without them.
    history_ : list of dict
        With early stopping, one row per round: epoch and validation_loss.
    """

    uses_validation = True
    uses_progress = True
    uses_known = True

    def __init__(
        self,
        *,
        n_estimators: int = 300,
        max_depth: int = 6,
        learning_rate: float = 0.1,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        min_child_weight: float = 1.0,
        gamma: float = 0.0,
        reg_alpha: float = 0.0,
        reg_lambda: float = 1.0,
        early_stopping_rounds: int | None = None,
        class_weight: str | None = None,
        labels: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.min_child_weight = min_child_weight
        self.gamma = gamma
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.early_stopping_rounds = early_stopping_rounds
        self.class_weight = class_weight
        self.labels = labels
        self.seed = seed

    @property
    def stops_early(self) -> bool:
        """Whether validation clips influence the training."""
        return self.early_stopping_rounds is not None

    def check(self) -> None:
        """Raise ValueError for impossible values; XGBoost itself checks them only when fitted."""
        limits: dict[str, tuple[type, float, float | None]] = {
            "n_estimators": (int, 1, None),
            "max_depth": (int, 1, 64),
            "learning_rate": (float, 1e-6, 1),
            "subsample": (float, 1e-6, 1),
            "colsample_bytree": (float, 1e-6, 1),
            "min_child_weight": (float, 0, None),
            "gamma": (float, 0, None),
            "reg_alpha": (float, 0, None),
            "reg_lambda": (float, 0, None),
        }
        if self.early_stopping_rounds is not None:
            limits["early_stopping_rounds"] = (int, 1, None)
        check_numbers(self, limits)

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        validation: Pair | None = None,
        progress: Progress | None = None,
        known: np.ndarray | None = None,
        validation_known: np.ndarray | None = None,
    ) -> XGBoost:
        """Fit on ``X`` (n, d) and labels ``y``; ``validation`` is for early stopping (if set) and the temperature.

        ``known`` is not used; ``validation_known`` (n, n_labels) marks the labels that each validation clip could have
        had.
        """
        from xgboost import XGBClassifier

        X, y = self._checked(X, y)
        self.classes_, target = np.unique(y, return_inverse=True)
        held = None
        if validation is not None:
            held = _learnt(validation, self.classes_, validation_known, self.labels)
        if held is not None and not len(held[1]):
            held = None
        if self.early_stopping_rounds is not None and held is None:
            raise ValueError("early_stopping_rounds needs validation clips.")
        metric: Any = "mlogloss" if len(self.classes_) > 2 else "logloss"
        if held is not None and held[2] is not None and len(self.classes_) > 2:
            metric = _loss_over(held[2])
        self.booster_ = XGBClassifier(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            subsample=self.subsample,
            colsample_bytree=self.colsample_bytree,
            min_child_weight=self.min_child_weight,
            gamma=self.gamma,
            reg_alpha=self.reg_alpha,
            reg_lambda=self.reg_lambda,
            early_stopping_rounds=self.early_stopping_rounds,
            eval_metric=metric,
            random_state=self.seed,
            callbacks=None if progress is None else [_rounds(progress, self.n_estimators)],
            n_jobs=1,  # gives the same trees on every machine; on a busy one, more threads were 20 times slower
        )
        weight = None if self.class_weight is None else compute_sample_weight(self.class_weight, target)
        stop_on = [held[:2]] if held is not None and self.early_stopping_rounds is not None else None
        self.booster_.fit(X, target, sample_weight=weight, eval_set=stop_on, verbose=False)
        self.booster_.set_params(callbacks=None, **({"eval_metric": None} if callable(metric) else {}))
        self.temperature_ = 1.0
        if held is not None:
            X_val, truth, could = held
            self.temperature_ = fit_temperature(self.booster_.predict_proba(X_val), truth, could)
        if stop_on:
            losses = list(self.booster_.evals_result()["validation_0"].values())[-1]  # after XGBoost's own
            self.history_ = [{"epoch": k + 1, "validation_loss": float(v)} for k, v in enumerate(losses)]
        return self

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        probabilities = self.booster_.predict_proba(X)
        return probabilities if self.temperature_ == 1.0 else scale_probabilities(probabilities, self.temperature_)


def _loss_over(could: np.ndarray) -> Callable[[np.ndarray, np.ndarray], float]:
    """The cross-entropy of clips over the classes that each could have had, as a metric of XGBoost."""

    def masked_loss(truth: np.ndarray, probabilities: np.ndarray) -> float:
        rows = np.arange(len(could))
        of_truth = probabilities[rows, truth.astype(int)] / np.where(could, probabilities, 0).sum(1)
        return float(-np.log(np.maximum(of_truth, 1e-30)).mean())

    return masked_loss


def _rounds(progress: Progress, rounds: int) -> Any:
    """A callback of XGBoost that sends every tenth round."""
    from xgboost.callback import TrainingCallback

    class Rounds(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            if (epoch + 1) % 10 == 0 or epoch + 1 == rounds:
                progress({"epoch": epoch + 1, "epochs": rounds, "unit": "round"})
            return False

    return Rounds()


def random_forest(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> RandomForestClassifier:
    """Random forest (Breiman, 2001), scikit-learn's parameters."""
    return RandomForestClassifier(**params, random_state=seed)


def gradient_boosting(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> GradientBoostingClassifier:
    """Gradient boosting (Friedman, 2001), scikit-learn's parameters."""
    return GradientBoostingClassifier(**params, random_state=seed)


def xgboost(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> XGBoost:
    """See :class:`XGBoost`."""
    return XGBoost(**params, labels=list(labels), seed=seed)


def svm(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> SVM:
    """See :class:`SVM`."""
    return SVM(**params, seed=seed)


def logistic(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> LogisticRegression:
    """Multinomial logistic regression, scikit-learn's parameters; up to 1,000 iterations by default."""
    return LogisticRegression(**{"max_iter": 1000, **params}, random_state=seed)


def mlp(params: dict[str, Any], *, labels: Sequence[str], seed: int) -> MLPClassifier:
    """Dense network with scikit-learn's parameters."""
    return MLPClassifier(**params, random_state=seed)
