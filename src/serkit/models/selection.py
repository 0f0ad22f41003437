"""Estimators that combine others: parameter search, soft voting, the best of several."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedGroupKFold

from serkit.models.base import VectorClassifier
from serkit.models.classical import scale_probabilities

__all__ = ["BestOf", "Searched", "SoftVoting"]

Progress = Callable[[dict[str, Any]], None]
Pair = tuple[np.ndarray, np.ndarray]


class _Combined(VectorClassifier):
    """Shared by all three: probabilities come from fitted estimators with the same classes."""

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return self.estimator_.predict_proba(X)


class Searched(_Combined):
    """An estimator whose parameters are chosen by cross-validation inside the training clips.

    Parameters
    ----------
    estimator : estimator
        Cloned for every trial.
    kind : {"grid", "random"}
        Every combination, or ``n_iter`` of them.
    params : mapping
        Parameter -> list of values.
    n_iter : int, optional
        Trials of ``"random"``.
    folds : int
        Inner folds. A group (a speaker, or a recording with its copies) is never split between them.
    sampler : SMOTE, optional
        Resamples the training side of each inner fold, and all clips for the final fit; never the scored clips.
    seed : int
        Seed of the folds and of the random trials.
    n_jobs : int
        Processes.

    Attributes
    ----------
    estimator_ : estimator
        Fitted on all training clips with the best parameters.
    choices_ : dict
        ``{"params": {...}, "uar": mean UAR of the inner folds}``.
    """

    uses_groups = True
    uses_progress = True

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        kind: str,
        params: Mapping[str, Sequence[Any]],
        n_iter: int | None = None,
        folds: int = 3,
        sampler: SMOTE | None = None,
        seed: int = 0,
        n_jobs: int = 1,
    ) -> None:
        self.estimator = estimator
        self.kind = kind
        self.params = params
        self.n_iter = n_iter
        self.folds = folds
        self.sampler = sampler
        self.seed = seed
        self.n_jobs = n_jobs

    def fit(
        self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None, progress: Progress | None = None
    ) -> Searched:
        """Search on ``X`` (n, d) and labels ``y``; without ``groups`` (n,) each clip is its own group."""
        X, y = self._checked(X, y, at_least=2)
        if progress is not None:
            settings = math.prod(map(len, self.params.values())) if self.n_iter is None else self.n_iter
            progress({"settings": settings, "folds": self.folds})
        steps = [("balance", clone(self.sampler))] if self.sampler is not None else []
        pipeline = Pipeline([*steps, ("model", clone(self.estimator))])
        inside = "model__estimator__" if "estimator" in self.estimator.get_params(deep=False) else "model__"
        space = {f"{inside}{name}": list(values) for name, values in self.params.items()}
        cv = StratifiedGroupKFold(self.folds, shuffle=True, random_state=self.seed)
        given: dict[str, Any] = {"scoring": "balanced_accuracy", "n_jobs": self.n_jobs, "error_score": "raise"}
        groups = np.arange(len(y)) if groups is None else groups
        if (n_groups := len(np.unique(groups))) < self.folds:
            raise ValueError(
                f"the search has {self.folds} inner folds, but the training clips come from only {n_groups} speaker(s) "
                "or recording(s), each of which must stay in one fold: lower folds in [model.search]."
            )
        with warnings.catch_warnings():  # a class missing from an inner fold does not count in its UAR
            warnings.filterwarnings("ignore", "y_pred contains classes not in y_true", UserWarning)
            given["cv"] = list(cv.split(X, y, groups))
            if self.sampler is not None:
                _check_neighbours(given["cv"], y, self.sampler.k_neighbors)
            if self.kind == "grid":
                search = GridSearchCV(pipeline, space, **given)
            else:
                search = RandomizedSearchCV(pipeline, space, n_iter=self.n_iter, random_state=self.seed, **given)
            inner = {"model__groups": groups} if getattr(self.estimator, "uses_groups", False) else {}
            search.fit(X, y, **inner)
        self.estimator_ = search.best_estimator_.steps[-1][1]
        self.classes_ = self.estimator_.classes_
        best = {name.removeprefix(inside): value for name, value in search.best_params_.items()}
        self.choices_ = {"params": best, "uar": float(search.best_score_)}
        return self


class SoftVoting(_Combined):
    """The mean of the probabilities of several estimators.

    Parameters
    ----------
    estimators : sequence of estimator
        Cloned and fitted on the same clips.
    """

    uses_progress = True

    def __init__(self, estimators: Sequence[BaseEstimator]) -> None:
        self.estimators = estimators

    @property
    def uses_groups(self) -> bool:
        """Whether ``fit`` uses ``groups``."""
        return any(getattr(estimator, "uses_groups", False) for estimator in self.estimators)

    def fit(
        self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None, progress: Progress | None = None
    ) -> SoftVoting:
        """Fit all on ``X`` (n, d) and labels ``y``; ``progress`` hears which is fitted."""
        X, y = self._checked(X, y)
        self.estimators_ = _fit_all(self.estimators, X, y, groups, progress)
        self.classes_ = self.estimators_[0].classes_
        return self

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return np.mean([estimator.predict_proba(X) for estimator in self.estimators_], axis=0)


class BestOf(_Combined):
    """The estimator with the best UAR on the validation clips; the first one if several are equal.

    Parameters
    ----------
    estimators : sequence of estimator
        Cloned and fitted on the training clips.
    names : sequence of str
        Their names.

    Attributes
    ----------
    estimator_ : estimator
        The best one.
    choices_ : dict
        ``{"chosen": name, "uar": {name: UAR on the validation clips}}``.
    temperature_ : float
        1.0 until it is set: the temperature of its probabilities.
    """

    uses_validation = True
    uses_groups = True

    def __init__(self, estimators: Sequence[BaseEstimator], names: Sequence[str]) -> None:
        self.estimators = estimators
        self.names = names

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        validation: Pair | None = None,
        progress: Progress | None = None,
        groups: np.ndarray | None = None,
    ) -> BestOf:
        """Fit all on ``X`` (n, d) and labels ``y``, choose by ``validation``."""
        X, y = self._checked(X, y)
        if validation is None:
            raise ValueError("the best of several is chosen on validation clips, but there are none.")
        fitted = _fit_all(self.estimators, X, y, groups, progress, self.names)
        uar = [float(balanced_accuracy_score(validation[1], model.predict(validation[0]))) for model in fitted]
        best = int(np.argmax(uar))
        self.estimator_ = fitted[best]
        self.temperature_ = 1.0
        self.classes_ = self.estimator_.classes_
        self.choices_ = {"chosen": self.names[best], "uar": dict(zip(self.names, uar, strict=True))}
        self.choices_ |= {"params": found["params"]} if (found := getattr(fitted[best], "choices_", None)) else {}
        return self

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        found = super()._probabilities(X)
        return found if self.temperature_ == 1.0 else scale_probabilities(found, self.temperature_)


def _check_neighbours(folds: Sequence[Pair], y: np.ndarray, k: int) -> None:
    """Raise ValueError if an inner fold leaves too few training clips of a class for SMOTE with ``k`` neighbours."""
    for train, _ in folds:
        counts = Counter(y[train].tolist())
        rarest = min(sorted(counts), key=lambda label: counts[label])
        if counts[rarest] <= k and counts[rarest] < max(counts.values()):
            raise ValueError(
                f"an inner fold of the search has {counts[rarest]} training clip(s) of {rarest}, but SMOTE with {k} "
                f"neighbours needs at least {k + 1}: lower k_neighbors in [balance], or use kind 'none' or "
                "'class_weight'."
            )


def _fit_all(
    estimators: Sequence[BaseEstimator],
    X: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray | None,
    progress: Progress | None,
    names: Sequence[str] | None = None,
) -> list[BaseEstimator]:
    """Clones of the estimators, fitted one after the other; each gets the groups and the progress that it can use."""
    fitted = []
    for k, estimator in enumerate(map(clone, estimators)):
        given: dict[str, Any] = {"groups": groups} if getattr(estimator, "uses_groups", False) else {}
        if progress is not None:
            name = type(estimator).__name__ if names is None else names[k]
            progress({"member": k + 1, "members": len(estimators), "name": name})
            if getattr(estimator, "uses_progress", False):
                given["progress"] = progress
        fitted.append(estimator.fit(X, y, **given))
    return fitted
