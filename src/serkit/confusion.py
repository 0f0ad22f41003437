"""Scores of confusion matrices: accuracy, UAR and F1 from counts."""

from __future__ import annotations

import numpy as np

__all__ = ["scores_of"]


def scores_of(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores of a stack of confusion matrices, shape (..., labels, labels) -> (...)."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    support = confusion.sum(axis=-1)
    answered = confusion.sum(axis=-2)
    present = (support > 0).sum(axis=-1)
    total = support.sum(axis=-1)
    f1 = 2 * right / np.maximum(support + answered, 1)  # 0 for classes missing from the truth, where right is 0
    return {
        "accuracy": right.sum(axis=-1) / total,
        "uar": (right / np.maximum(support, 1)).sum(axis=-1) / present,
        "f1_macro": f1.sum(axis=-1) / present,
        "f1_weighted": (f1 * support).sum(axis=-1) / total,
    }
