"""How far numbers agree with numbers, such as answers with ratings: concordance, correlation and error."""

from __future__ import annotations

import numpy as np

__all__ = ["agreement_of", "concordance", "correlation", "rmse", "terms"]


def concordance(truth: np.ndarray, given: np.ndarray) -> float:
    """Return the concordance correlation coefficient of two series.

    2 cov(t, g) / (var(t) + var(g) + (mean(t) - mean(g))^2), with variances divided by n: the correlation, lowered
    where the answers are shifted, or spread less or more than the truth (Lin, 1989).

    Parameters
    ----------
    truth, given : np.ndarray, shape=(n,)
        Ratings and answers, n of 2 or more, in the same unit.

    Returns
    -------
    float [-1, 1]
        0 where both are constant, and different or the same: nothing was followed.

    See Also
    --------
    correlation : The part of it that neither shift nor spread lowers.

    References
    ----------
    Lin LI-K (1989). A concordance correlation coefficient to evaluate reproducibility. Biometrics 45(1), 255-268.

    Examples
    --------
    >>> concordance(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    1.0
    >>> round(concordance(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])), 3)  # shifted by 1
    0.571
    """
    return float(_concordance(_sums(truth, given)))


def correlation(truth: np.ndarray, given: np.ndarray) -> float:
    """Return Pearson's correlation of two series, in [-1, 1]; 0 where one of them is constant.

    Examples
    --------
    >>> correlation(np.array([1.0, 2.0, 3.0]), np.array([20.0, 30.0, 40.0]))
    1.0
    """
    return float(_correlation(_sums(truth, given)))


def rmse(truth: np.ndarray, given: np.ndarray) -> float:
    """Return the root of the mean squared difference, in the unit of the ratings.

    Examples
    --------
    >>> round(rmse(np.array([1.0, 2.0]), np.array([2.0, 4.0])), 4)
    1.5811
    """
    made, unit = terms(truth, given)
    return float(unit * _rmse(made.sum(axis=0)))


def _sums(truth: np.ndarray, given: np.ndarray) -> np.ndarray:
    return np.asarray(terms(truth, given)[0].sum(axis=0))


def terms(truth: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, float]:
    """Return what the scores are made of for each pair, and their unit; :func:`agreement_of` takes sums of these.

    Returns
    -------
    np.ndarray, float64, shape=(n, 6)
        Of the series shifted by the mean of the truth and divided by the unit, so that squares lose no digits.
    float
        About the largest distance from that mean: a power of two, so that the division is exact.
    """
    truth, given = np.asarray(truth, np.float64), np.asarray(given, np.float64)
    centre = truth.mean()
    truth, given = truth - centre, given - centre
    unit = 2.0 ** (int(np.frexp(max(np.abs(truth).max(), np.abs(given).max()))[1]) - 1)
    truth, given = truth / unit, given / unit
    return np.stack([np.ones_like(truth), truth, given, truth**2, given**2, truth * given], axis=1), unit


def _moments(sums: np.ndarray) -> tuple[np.ndarray, ...]:
    """Difference of the means, both variances and the covariance, for each row of sums."""
    n, t, g, tt, gg, tg = np.moveaxis(sums, -1, 0)
    mean_t, mean_g = t / n, g / n
    var_t, var_g = np.maximum(tt / n - mean_t**2, 0), np.maximum(gg / n - mean_g**2, 0)
    return mean_t - mean_g, var_t, var_g, tg / n - mean_t * mean_g


def _concordance(sums: np.ndarray) -> np.ndarray:
    shift, var_t, var_g, cov = _moments(sums)
    return _ratio(2 * cov, var_t + var_g + shift**2)


def _correlation(sums: np.ndarray) -> np.ndarray:
    _, var_t, var_g, cov = _moments(sums)
    return _ratio(cov, np.sqrt(var_t * var_g))


def _rmse(sums: np.ndarray) -> np.ndarray:
    n, _, _, tt, gg, tg = np.moveaxis(sums, -1, 0)
    return np.sqrt(np.maximum(tt + gg - 2 * tg, 0) / n)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """A ratio in [-1, 1]; 0 where there is nothing below, or only what rounding left."""
    tiny = 1e-12
    return np.clip(np.where(below > tiny, above / np.where(below > tiny, below, 1), 0.0), -1, 1)


def agreement_of(sums: np.ndarray, unit: float = 1.0) -> dict[str, np.ndarray]:
    """Return ``ccc``, ``correlation`` and ``rmse`` from sums of :func:`terms`, shape (..., 6), and their unit."""
    return {"ccc": _concordance(sums), "correlation": _correlation(sums), "rmse": unit * _rmse(sums)}
