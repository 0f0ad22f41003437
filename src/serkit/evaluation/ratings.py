"""Scores of numeric answers, such as arousal from 1 to 7, with intervals over speakers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from serkit.agreement import agreement_of, terms
from serkit.errors import TrainingError
from serkit.evaluation.metrics import resampling_unit

__all__ = ["rate"]

_DRAWS = 2000


def rate(truth: np.ndarray, given: np.ndarray, speakers: Sequence[str], *, seed: int = 0) -> dict[str, Any]:
    """Score answers, with 95 % intervals by resampling speakers.

    Parameters
    ----------
    truth, given : np.ndarray, shape=(n,)
    speakers : sequence of str
        Whose clip each is. With fewer than two known speakers, clips are resampled.
    seed : int
        Of the resampling.

    Returns
    -------
    dict
        ``ccc``, ``correlation``, ``rmse``, each with ``..._interval`` (lower and upper end); ``n_clips``,
        ``n_speakers`` and ``interval_unit``, ``"speaker"`` or ``"clip"``.

    Raises
    ------
    TrainingError
        If there are fewer than two answers, or one is not finite.
    """
    truth, given = np.asarray(truth, np.float64), np.asarray(given, np.float64)
    if len(truth) < 2 or not (np.isfinite(truth).all() and np.isfinite(given).all()):
        raise TrainingError(f"Scores need two or more finite numbers, got {len(truth)} ratings and answers.")
    names = np.array([name or "unknown" for name in speakers])
    unit = resampling_unit(sorted(set(names)))
    groups = np.unique(names, return_inverse=True)[1] if unit == "speaker" else np.arange(len(truth))
    number = int(groups.max()) + 1
    parts = np.zeros((number, 6))
    made, measure = terms(truth, given)
    np.add.at(parts, groups, made)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(number, np.full(number, 1 / number), size=_DRAWS) @ parts
    whole = parts.sum(axis=0)
    result: dict[str, Any] = {}
    spread = agreement_of(drawn, measure)
    for name, value in agreement_of(whole, measure).items():
        result[name] = float(value)
        result[f"{name}_interval"] = [float(end) for end in np.percentile(spread[name], [2.5, 97.5])]
    known = set(names) - {"unknown"}
    return {**result, "n_clips": len(truth), "n_speakers": len(known), "interval_unit": unit}
