"""Ridge regression for ratings, whose answers are spread as the ratings are."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from serkit.agreement import concordance
from serkit.errors import TrainingError

__all__ = ["RatingRegression"]

_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


class RatingRegression:
    """From vectors to one number or several: ridge regression, then the spread of the ratings.

    Features and ratings are standardised on the training clips. Ridge regression pulls answers towards the mean, which
    concordance punishes; so they are stretched until their deviation, on inner held-out clips, is that of the ratings
    (Trigeorgis et al., 2016). The penalty, and the stretch, are chosen on inner folds of whole groups, for each rating
    apart: the penalty with the highest concordance.

    Attributes
    ----------
    coef_ : np.ndarray, float64, shape=(d, k)
    intercept_ : np.ndarray, float64, shape=(k,)
        With these, ``X @ coef_ + intercept_`` is the answer in the unit of the ratings.
    penalties_ : np.ndarray, shape=(k,)
        The chosen ones, as shares of the features' mean squared length.

    See Also
    --------
    serkit.agreement.concordance : What is maximised.

    References
    ----------
    Trigeorgis G et al. (2016). Adieu features? End-to-end speech emotion recognition using a deep convolutional
    recurrent network. ICASSP, 5200-5204.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 30)[:, None]
    >>> model = RatingRegression().fit(X, 3 + 2 * X, np.arange(30))
    >>> model.predict(np.array([[0.5]])).round(1).tolist()
    [[4.0]]
    """

    def fit(self, X: np.ndarray, y: np.ndarray, groups: np.ndarray, *, inner: int = 4) -> RatingRegression:
        """Fit on ``X`` (n, d) and ratings ``y`` (n, k); rows of a group (n,), a speaker say, stay on one side.

        Raises
        ------
        TrainingError
            If a rating has the same value in all rows, or there are fewer than two groups.
        """
        X, y = np.asarray(X, np.float64), np.asarray(y, np.float64)
        if not np.isfinite(X).all() or not np.isfinite(y).all():
            raise TrainingError("Features and ratings must be finite numbers.")
        if (y.max(axis=0) == y.min(axis=0)).any():
            raise TrainingError("A rating has the same value in all training clips: there is nothing to learn.")
        names, of_group = np.unique(groups, return_inverse=True)
        if len(names) < 2:
            raise TrainingError("Ratings need clips of two or more groups to choose the penalty with.")
        parts = min(inner, len(names))
        held = np.zeros((len(_PENALTIES), *y.shape))
        for part in range(parts):
            test = of_group % parts == part
            weights, offset = _paths(X[~test], y[~test])
            held[:, test] = X[test] @ weights + offset
        weights, offset = _paths(X, y)
        self.coef_ = np.zeros((X.shape[1], y.shape[1]))
        self.intercept_, self.penalties_ = np.zeros(y.shape[1]), np.zeros(y.shape[1])
        for k in range(y.shape[1]):
            stretched, stretches = zip(*(_stretched(one[:, k], y[:, k]) for one in held), strict=True)
            best = int(np.argmax([concordance(y[:, k], one) for one in stretched]))
            mean, stretch = y[:, k].mean(), stretches[best]
            self.coef_[:, k] = weights[best, :, k] * stretch
            self.intercept_[k] = mean + stretch * (offset[best, 0, k] - mean)
            self.penalties_[k] = _PENALTIES[best]
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return ratings (n, k) for ``X`` (n, d); they may lie outside the range of the training ratings."""
        return np.asarray(np.asarray(X, np.float64) @ self.coef_ + self.intercept_)


def _stretched(held: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, float]:
    """Answers with the deviation of the truth around its mean, and the factor; at most 10, for answers of noise."""
    deviation = float(held.std())
    factor = min(float(truth.std()) / deviation, 10.0) if deviation > 0 else 1.0
    mean = truth.mean()
    return mean + factor * (held - mean), factor


def _paths(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ridge solutions in the units of X and y: weights (n_penalties, d, k) and offsets (n_penalties, 1, k).

    The features' Gram matrix is decomposed once, on its smaller side.
    """
    mean, scale = X.mean(axis=0), X.std(axis=0)
    scale[scale < 1e-9] = 1.0
    Z = (X - mean) / scale
    level, spread = y.mean(axis=0), y.std(axis=0)
    target = (y - level) / np.where(spread > 0, spread, 1.0)
    few = len(Z) <= Z.shape[1]
    values, vectors = eigh(Z @ Z.T if few else Z.T @ Z)
    values = np.maximum(values, 0)
    turned = vectors.T @ (target if few else Z.T @ target)
    found, offsets = [], []
    for penalty in _PENALTIES:
        inside = vectors @ (turned / (values + penalty * values.sum() / len(Z) + 1e-12)[:, None])
        weights = (Z.T @ inside if few else inside) * spread / scale[:, None]
        found.append(weights)
        offsets.append((level - mean @ weights)[None])
    return np.array(found), np.array(offsets)
