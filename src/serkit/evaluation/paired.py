"""Is one model better than another? A paired test over speakers.

Clips of one voice are not independent, so the unit is the speaker: one score per speaker and model, and the
difference between the two.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from serkit.errors import TrainingError

__all__ = ["PairedResult", "holm", "paired_test"]

#: The fewest speakers that can be compared. The smallest p of n speakers is 2 / 2**n (5: 0.0625), so whether a
#: difference is significant needs six or more; the difference itself needs only two.
MIN_SPEAKERS = 2


@dataclass(frozen=True)
class PairedResult:
    """The result of :func:`paired_test`.

    Attributes
    ----------
    difference : float
        Mean over speakers of first minus second score.
    low, high : float
        95 % percentile interval of the difference, by resampling speakers with replacement.
    p_value : float
        Two-sided; at most 1, at least 2 / 2**n_speakers.
    n_speakers : int
    """

    difference: float
    low: float
    high: float
    p_value: float
    n_speakers: int


def paired_test(
    a: Mapping[str, float], b: Mapping[str, float], *, n_resamples: int = 10_000, seed: int = 0
) -> PairedResult:
    """Compare two models by the scores of the same speakers.

    The p-value is that of a sign-flip permutation test (Good, 2005, Permutation, Parametric and Bootstrap Tests of
    Hypotheses; Dror et al., 2018, The Hitchhiker's Guide to Testing Statistical Significance in Natural Language
    Processing, ACL): if the models were equally good, each speaker's difference could equally well have the other
    sign. It is the share of sign patterns whose mean is at least as far from 0 as the observed one. All ``2**n``
    patterns are tried if there are at most `n_resamples`; otherwise `n_resamples` are drawn and the observed one is
    added to them, so p is never 0 (Phipson and Smyth, 2010).

    Parameters
    ----------
    a, b : mapping
        Speaker -> score of each model, such as accuracy in [0, 1]; the same speakers in both.
    n_resamples : int
        Resamples for the interval and sign patterns for the test; 1 or more.
    seed : int
        Seed of both.

    Returns
    -------
    PairedResult

    Raises
    ------
    TrainingError
        If the speakers differ or are fewer than two, or if a score is not a finite number.

    Examples
    --------
    >>> ours = {"01": 0.62, "02": 0.55, "03": 0.71, "04": 0.48, "05": 0.66, "06": 0.59}
    >>> theirs = {"01": 0.57, "02": 0.51, "03": 0.64, "04": 0.47, "05": 0.60, "06": 0.58}
    >>> result = paired_test(ours, theirs)
    >>> round(result.difference, 3), result.p_value, result.n_speakers
    (0.04, 0.03125, 6)
    """
    if n_resamples < 1:
        raise TrainingError(f"n_resamples is {n_resamples}: the test needs at least one.")
    differences = _differences(a, b)
    n = len(differences)
    rng = np.random.default_rng(seed)
    means = differences[rng.integers(n, size=(n_resamples, n))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    observed = abs(differences.sum())
    # Sums of the same numbers in another order differ by rounding; they count as equal.
    least = observed - 1e-12 * np.abs(differences).sum()
    if 2**n <= n_resamples:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=n)))
        p_value = float(np.mean(np.abs(signs @ differences) >= least))
    else:
        signs = rng.integers(2, size=(n_resamples, n)) * 2.0 - 1.0
        p_value = (int(np.sum(np.abs(signs @ differences) >= least)) + 1) / (n_resamples + 1)
    return PairedResult(float(differences.mean()), float(low), float(high), p_value, n)


def _differences(a: Mapping[str, float], b: Mapping[str, float]) -> np.ndarray:
    """Return the differences, sorted by the speakers' names, so the order of the mappings does not matter."""
    if set(a) != set(b):
        alone = [
            f"{min(set(one) - set(other))} only in the {side}"
            for one, other, side in ((a, b, "first"), (b, a, "second"))
            if set(one) - set(other)
        ]
        raise TrainingError(
            f"A paired test needs the same speakers on both sides, got {len(a)} and {len(b)}: {' and '.join(alone)}."
        )
    if len(a) < MIN_SPEAKERS:
        raise TrainingError(f"A paired test needs at least {MIN_SPEAKERS} speakers, got {len(a)}.")
    speakers = sorted(a)
    scores = np.array([[float(side[name]) for name in speakers] for side in (a, b)])
    wrong = np.flatnonzero(~np.isfinite(scores).all(axis=0))
    if len(wrong):
        raise TrainingError(
            f"Speaker {speakers[wrong[0]]} has a score that is not a finite number: {scores[:, wrong[0]]}."
        )
    differences: np.ndarray = scores[0] - scores[1]
    return differences


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of several comparisons for their number (Holm, 1979).

    The chance of any false positive among all of them stays below the chosen level.

    Parameters
    ----------
    p_values : sequence of float
        In [0, 1].

    Returns
    -------
    list of float
        Adjusted p-values in the given order, each at least as large as the original and at most 1.

    Raises
    ------
    TrainingError
        If a value is not in [0, 1].

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    wrong = [p for p in p_values if not 0 <= p <= 1]
    if wrong:
        raise TrainingError(f"{wrong[0]} is not a p-value: expected 0 to 1.")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted
