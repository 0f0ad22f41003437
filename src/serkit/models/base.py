"""What all classifiers over vectors have in common: they check their input and answer in the order of their classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["VectorClassifier"]


class VectorClassifier(ClassifierMixin, BaseEstimator):
    """Base of the classifiers over vectors; those derived have ``fit``, ``classes_`` and :meth:`_probabilities`."""

    classes_: np.ndarray

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probabilities (n, n_classes) of the vectors ``X`` (n, d), columns in the order of ``classes_``."""
        check_is_fitted(self)
        return self._probabilities(validate_data(self, X, reset=False))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Most probable label of each row of ``X`` (n, d)."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _checked(self, X: np.ndarray, y: Any, *, at_least: int = 1) -> tuple[Any, Any]:
        """Return ``X`` (n, d) and the labels ``y`` (n,) as arrays.

        Raises
        ------
        ValueError
            If they do not fit each other, are not numbers and labels, or are fewer than ``at_least`` rows.
        """
        X, y = validate_data(self, X, y, ensure_min_samples=at_least)
        check_classification_targets(y)
        return X, y
