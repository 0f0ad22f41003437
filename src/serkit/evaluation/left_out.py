"""Scores of the protocols that leave a corpus out: each corpus by itself, and the mean over the corpora."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from serkit.confusion import scores_of
from serkit.corpora.columns import COPY
from serkit.evaluation.metrics import (
    accuracy_surest_half,
    calibration,
    confusions,
    drawn_values,
    group_values,
    interval,
    resample,
)
from serkit.protocol import LEAVES_OUT

__all__ = ["chance", "headline", "mean_over_corpora", "means_of"]


def mean_over_corpora(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    *,
    shared: Collection[str] | None = None,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Score each corpus over the labels that its clips have, and average: a small corpus counts like a large one.

    Parameters
    ----------
    predictions : pandas.DataFrame
        As in :func:`serkit.evaluation.scores.evaluate`; those of several seeds may follow one another.
    labels : sequence of str
        In the order of the model.
    shared : collection of str, optional
        Speakers' names that several corpora use; see :func:`serkit.evaluation.metrics.group_values`.
    n_boot, seed : int
        Of the intervals. Speakers are drawn within each corpus; the corpora stay the same.

    Returns
    -------
    dict or None
        ``n`` (corpora), ``accuracy, uar, f1_macro, f1_weighted, ece, accuracy_surest_half`` in [0, 1], and
        ``intervals`` of the first four. None where there are fewer than two corpora.

    Examples
    --------
    >>> table = pd.DataFrame({"emotion": ["sad", "happy", "sad", "happy"], "corpus": ["a", "a", "b", "b"],
    ...     "predicted": ["sad", "happy", "sad", "sad"], "confidence": 0.5, "speaker": ""})
    >>> mean_over_corpora(table, ["happy", "sad"])["uar"]
    0.75
    """
    names, codes = group_values(predictions, "corpus")
    if len(names) < 2:
        return None
    truth, said = (pd.Index(labels).get_indexer(predictions[column]) for column in ("emotion", "predicted"))
    confidence = predictions["confidence"].to_numpy(dtype=np.float64)
    correct = (truth == said).astype(float)
    voices, voice = group_values(predictions, "speaker", shared=shared)
    several = set(COPY) <= set(predictions) and bool(predictions.duplicated(COPY).any())
    scores: list[dict[str, float | None]] = []
    drawn: list[dict[str, np.ndarray]] = []
    for k in range(len(names)):
        own = codes == k
        stack = confusions(truth[own], said[own], voice[own], len(voices), len(labels))
        together, which = drawn_values(predictions[own], voices, voice[own], several=several)
        drawn_stack = confusions(truth[own], said[own], which, len(together), len(labels))
        plain = {name: float(value) for name, value in scores_of(stack.sum(axis=0)).items()}
        ece, _ = calibration(confidence[own], correct[own])
        surest = accuracy_surest_half(confidence[own], correct[own])
        scores.append({**plain, "ece": ece, "accuracy_surest_half": surest})
        drawn.append(scores_of(resample(drawn_stack, together, n_boot, [seed, k])))
    return {
        "n": len(names),
        **{name: _mean([row[name] for row in scores]) for name in scores[0]},
        "intervals": {name: interval(np.mean([row[name] for row in drawn], axis=0)) for name in drawn[0]},
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def headline(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics of a results document with its headline scores.

    Under ``corpus`` and ``corpus+adapted`` these are the means over the corpora left out; else those of all clips
    together.

    Parameters
    ----------
    results : mapping
        The document of :func:`serkit.evaluation.scores.results`.

    Returns
    -------
    dict
        As ``results["metrics"]``.
    """
    return {**results["metrics"], **{name: value for name, value in (means_of(results) or {}).items() if name != "n"}}


def chance(results: Mapping[str, Any]) -> float:
    """Return the unweighted average recall of always giving the same answer, in [0, 1].

    Under ``corpus`` and ``corpus+adapted`` this is the mean over the corpora left out, each over the labels that it
    shares with the others.

    Parameters
    ----------
    results : mapping
        The document of :func:`serkit.evaluation.scores.results`.
    """
    metrics = results["metrics"]
    if means_of(results) is None:
        return 1 / (len(metrics["labels"]) - len(metrics["missing_classes"]))
    return float(np.mean([1 / row["classes"] for row in metrics["groups"]["corpus"].values()]))


def means_of(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the means over the corpora left out; None under other protocols, or where one corpus alone was tested."""
    means: dict[str, Any] | None = results["metrics"].get("mean_over_corpora")
    return means if results.get("protocol") in LEAVES_OUT else None
