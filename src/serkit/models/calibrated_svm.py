"""The support vector machine with probabilities, and the inner folds that they are fitted on."""

from __future__ import annotations

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.svm import SVC

from serkit.models.base import VectorClassifier

__all__ = ["SVM", "calibration_folds"]


def calibration_folds(
    y: np.ndarray, groups: np.ndarray | None, *, seed: int, n_folds: int = 5
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Inner folds (training rows, test rows), stratified by label, that leave every group in one piece.

    Parameters
    ----------
    y : np.ndarray, shape=(n,)
        Labels.
    groups : np.ndarray, shape=(n,), optional
        The group of each clip; by default each is one of its own.
    seed : int
    n_folds : int
        The number of folds; fewer where a label has fewer groups.

    Raises
    ------
    ValueError
        If a label has fewer than ``n_folds`` clips, or the groups leave no two folds whose training sides both have
        every label.
    """
    y = np.asarray(y)
    labels, counts = np.unique(y, return_counts=True)
    rarest = int(counts.argmin())
    if counts[rarest] < n_folds:
        raise ValueError(
            f"{n_folds} clips of each label are needed to calibrate, got {counts[rarest]} of {labels[rarest]}: add "
            "clips, or use another model."
        )
    if groups is None or len(np.unique(groups)) == len(y):
        return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y))
    groups = np.asarray(groups)
    fewest = min(len(np.unique(groups[y == label])) for label in labels)
    for number in range(min(n_folds, fewest), 1, -1):
        folds = list(StratifiedGroupKFold(number, shuffle=True, random_state=seed).split(y, y, groups))
        if all(len(np.unique(y[train])) == len(labels) and len(test) for train, test in folds):
            return folds
    raise ValueError(
        "the clips of a label are all of one speaker or recording, so nothing is left to calibrate with: add speakers, "
        "or use another model."
        if fewest == 1
        else "the speakers or recordings cannot be split into two inner folds so that both learn every label: add "
        "clips, or use another model."
    )


class SVM(VectorClassifier):
    """Support vector machine with an RBF kernel; its scores become probabilities by Platt's sigmoids.

    The sigmoids are fitted on scores of five folds inside the training clips (Platt, 1999). Fewer than five clips of a
    label are a ValueError. A group (a speaker, or a recording with its copies) is on one side of a fold only; where a
    label has fewer groups than five, so many folds are made, and one group is a ValueError.

    Parameters
    ----------
    C : float
        Cost of a training clip on the wrong side.
    gamma : "scale", "auto" or float
        Width of the kernel, as in ``sklearn.svm.SVC``.
    class_weight : "balanced", optional
        Weigh classes by the inverse of their frequency.
    sampler : SMOTE, optional
        Resamples the training side of each inner fold, and all clips for the last fit; never what is scored.
    seed : int
        Seed of the five folds.
    """

    uses_groups = True

    def __init__(
        self,
        *,
        C: float = 1.0,
        gamma: str | float = "scale",
        class_weight: str | None = None,
        sampler: SMOTE | None = None,
        seed: int = 0,
    ) -> None:
        self.C = C
        self.gamma = gamma
        self.class_weight = class_weight
        self.sampler = sampler
        self.seed = seed

    def check(self) -> None:
        """Raise ValueError for impossible values of C or gamma."""
        self._svc()._validate_params()

    def _svc(self) -> SVC:
        return SVC(C=self.C, gamma=self.gamma, class_weight=self.class_weight)

    def fit(self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> SVM:
        """Fit on ``X`` (n, d) and labels ``y``; without ``groups`` (n,) each clip is one of its own."""
        X, y = self._checked(X, y, at_least=2)
        model = self._svc()
        if self.sampler is not None:
            model = Pipeline([("balance", clone(self.sampler)), ("model", model)])
        folds = calibration_folds(y, groups, seed=self.seed)
        self.estimator_ = CalibratedClassifierCV(model, cv=folds, ensemble=False).fit(X, y)
        if self.sampler is not None:
            for part in self.estimator_.calibrated_classifiers_:
                part.estimator = part.estimator.steps[-1][1]
        self.classes_ = self.estimator_.classes_
        return self

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        return self.estimator_.predict_proba(X)
