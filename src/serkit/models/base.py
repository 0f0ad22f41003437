"""What all classifiers over vectors have in common: they check their input and answer in the order of their classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["VectorClassifier", "clip_weights", "of_classes"]


def of_classes(known: np.ndarray | None, labels: Sequence[str] | None, classes: np.ndarray) -> np.ndarray | None:
    """Return which classes each clip could have had.

    Parameters
    ----------
    known : np.ndarray of bool, shape=(n, n_labels), optional
        Which labels the corpus of each clip gives.
    labels : sequence of str, optional
        The labels of the columns of `known`.
    classes : np.ndarray of str, shape=(n_classes,)
        Some of these labels, in the order of the model.

    Returns
    -------
    np.ndarray of bool, shape=(n, n_classes), or None
        None where nothing is known: every clip could have had every label.

    See Also
    --------
    serkit.training.fitting.known_labels : makes `known`.

    Examples
    --------
    >>> of_classes(np.array([[True, False]]), ["sad", "calm"], np.array(["calm", "sad"]))
    array([[False,  True]])
    """
    if known is None or labels is None:
        return None
    order = list(labels)
    return np.asarray(known, dtype=bool)[:, [order.index(label) for label in classes]]


def clip_weights(
    target: np.ndarray, corpora: np.ndarray | None, *, balance: float = 1.0, by_label: bool = True
) -> np.ndarray:
    """Return how much each clip counts; they sum to 1.

    Parameters
    ----------
    target : np.ndarray of int, shape=(n,)
        The class of each clip.
    corpora : np.ndarray, shape=(n,), optional
        Where each clip comes from; one place by default.
    balance : float
        From 0, each clip counts alike, to 1, each corpus does.
    by_label : bool
        Let the labels of a corpus count alike within it.

    Returns
    -------
    np.ndarray, shape=(n,)

    Examples
    --------
    >>> clip_weights(np.array([0, 0, 1, 1]), np.array(["a", "a", "a", "b"])).tolist()
    [0.125, 0.125, 0.25, 0.5]
    """
    places = np.zeros(len(target), dtype=int) if corpora is None else np.unique(corpora, return_inverse=True)[1]
    sizes = np.bincount(places).astype(float)
    weights = sizes[places] ** -balance
    if by_label:
        n_classes = int(target.max()) + 1
        cells = places * n_classes + target
        counts = np.bincount(cells)
        present = np.bincount(np.flatnonzero(counts) // n_classes)
        weights *= sizes[places] / (present[places] * counts[cells])
    return np.asarray(weights / weights.sum())


class VectorClassifier(ClassifierMixin, BaseEstimator):
    """Base of the classifiers over vectors; those derived have ``fit``, ``classes_`` and :meth:`_probabilities`."""

    classes_: np.ndarray

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probabilities (n, n_classes) of the vectors ``X`` (n, d), columns in the order of ``classes_``."""
        check_is_fitted(self)
        return self._probabilities(validate_data(self, X, reset=False, ensure_min_samples=0))

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
