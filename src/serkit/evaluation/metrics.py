"""The formulas behind :mod:`serkit.evaluation.scores`: checks, scores, resamples, calibration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from serkit.confusion import scores_of
from serkit.corpora.columns import COPY, GROUPS
from serkit.errors import TrainingError

__all__ = [
    "accuracy_surest_half",
    "calibration",
    "checked",
    "confusions",
    "correct_among_surest",
    "drawn_values",
    "group_table",
    "group_values",
    "interval",
    "per_class",
    "resample",
    "resampling_unit",
    "shared_names",
    "spread",
]

#: Bins of the expected calibration error.
N_BINS = 15


def checked(table: pd.DataFrame, labels: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check the table; return truth and predicted as indices of `labels` (n,), and probabilities (n, n_labels)."""
    if not labels or len(set(labels)) != len(labels):
        raise TrainingError(f"The labels must be distinct and at least one, got {labels}.")
    p_columns = [f"p_{label}" for label in labels]
    wanted = [*COPY, "emotion", "predicted", "confidence", *p_columns, *GROUPS]
    missing = [column for column in wanted if column not in table.columns]
    if missing:
        raise TrainingError(
            f"The predictions lack the column(s) {', '.join(missing)}: add them, with '' where unknown."
        )
    if len(table) == 0:
        raise TrainingError("The table of predictions is empty: there is nothing to evaluate.")
    for column in [*COPY, "fold", "emotion", "predicted", "confidence", *p_columns]:
        bad = np.flatnonzero(table[column].isna().to_numpy())
        if len(bad):
            raise TrainingError(
                f"Column {column!r} has {len(bad)} missing value(s) (NaN), first at {_where(table, bad[0])}."
            )
    twice = np.flatnonzero(table.duplicated(COPY).to_numpy())
    if len(twice):
        raise TrainingError(
            f"{len(twice)} clip(s) are listed more than once in the predictions, first {_where(table, twice[0])}: "
            "test each (path, start, end, copy) only once."
        )
    index = pd.Index(labels)
    codes = {}
    for column in ("emotion", "predicted"):
        codes[column] = index.get_indexer(table[column].astype(str))
        unknown = sorted(set(table[column].astype(str)) - set(labels))
        if unknown:
            raise TrainingError(f"Unknown label(s) {unknown} in {column!r}: the labels are {', '.join(labels)}.")
    probabilities = np.column_stack([_numbers(table, column) for column in p_columns])
    outside = (probabilities < -1e-6) | (probabilities > 1 + 1e-6)  # the rounding of a softmax in float32
    off = np.flatnonzero((np.abs(probabilities.sum(axis=1) - 1) > 1e-3) | outside.any(axis=1))
    if len(off):
        raise TrainingError(
            f"{len(off)} row(s) have invalid probabilities, first {_where(table, off[0])} with the sum "
            f"{probabilities[off[0]].sum():.4g}: p_<label> must be in [0, 1] and sum to 1 within 0.001."
        )
    of_predicted = probabilities[np.arange(len(table)), codes["predicted"]]
    off = np.flatnonzero(np.abs(_numbers(table, "confidence") - of_predicted) > 1e-3)
    if len(off):
        raise TrainingError(
            f"{len(off)} row(s) have a confidence that is not the probability of the predicted label, first "
            f"{_where(table, off[0])}: are the p_<label> columns in the model's order?"
        )
    return codes["emotion"], codes["predicted"], probabilities


def _where(table: pd.DataFrame, row: int) -> str:
    return f"{table['path'].iloc[row]} ({table['start'].iloc[row]} to {table['end'].iloc[row]} s)"


def _numbers(table: pd.DataFrame, column: str) -> np.ndarray:
    try:
        return table[column].to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        raise TrainingError(
            f"Column {column!r} must contain numbers, got values such as {table[column].iloc[0]!r}."
        ) from None


def shared_names(table: pd.DataFrame, column: str) -> set[str]:
    """Return the speakers (or channels) whose name occurs in several corpora."""
    corpora = table.assign(name=_text(table[column]), corpus=_text(table["corpus"])).groupby("name")["corpus"].nunique()
    return set(corpora.index[corpora > 1])


def group_values(
    table: pd.DataFrame, column: str, *, shared: Collection[str] | None = None
) -> tuple[list[str], np.ndarray]:
    """Return the sorted values of a column (as text; numbers by size) and the index of each row's value.

    Speakers and channels whose name several corpora share are called ``corpus/name``, because two corpora may give
    different people the same name. Every table by speaker and every interval uses this rule. `shared` says which names
    these are, for tables that hold only a part of the corpora; by default those of `table`.
    """
    if column == "fold":
        text = pd.Series(_numbers(table, "fold").astype(int).astype(str), index=table.index)
    else:
        text = _text(table[column]).replace("", "unknown")
    if column in ("speaker", "channel"):
        several = text.isin(shared_names(table, column) if shared is None else shared) & (text != "unknown")
        text = text.where(~several, _text(table["corpus"]) + "/" + text)
    names = sorted(set(text), key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    return names, pd.Index(names).get_indexer(text)


def _text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").astype(str)


def resampling_unit(names: Iterable[str]) -> str:
    """Return what intervals resample: ``"speaker"`` where two or more of the speakers are known, else ``"clip"``.

    Examples
    --------
    >>> resampling_unit(["07", "unknown"]), resampling_unit(["07", "08"])
    ('clip', 'speaker')
    """
    return "speaker" if sum(name != "unknown" for name in names) > 1 else "clip"


def drawn_values(
    table: pd.DataFrame, voices: Sequence[str], voice: np.ndarray, *, several: bool
) -> tuple[Sequence[str], np.ndarray]:
    """Return what intervals draw together, as :func:`group_values` does: the speakers, else the clips of several seeds.

    The answers of several seeds to one clip are no independent draws. Where fewer than two speakers are known,
    :func:`resample` would take them as such.

    Parameters
    ----------
    table : pandas.DataFrame
        Predictions, with ``path``, ``start`` and ``end`` if there are `several`.
    voices : sequence of str
        Names of speakers.
    voice : np.ndarray of int, shape=(n,)
        Which of these each row is from.
    several : bool
        Whether the table has the answers of several seeds.
    """
    if not several or resampling_unit([voices[one] for one in np.unique(voice)]) == "speaker":
        return voices, voice
    clip = table.groupby(["path", "start", "end"]).ngroup().to_numpy()
    return [str(number) for number in range(clip.max() + 1)], clip


def resample(stack: np.ndarray, names: Sequence[str], n_boot: int, seed: int | Sequence[int]) -> np.ndarray:
    """Draw confusion matrices by resampling with replacement.

    Parameters
    ----------
    stack : np.ndarray of int, shape=(n_speakers, n_labels, n_labels)
        The confusion matrix of each speaker; those without a clip are left out.
    names : sequence of str
        The speakers. :func:`resampling_unit` decides by the names whether speakers or single clips are drawn.
    n_boot : int
    seed : int or sequence of int

    Returns
    -------
    np.ndarray of int, shape=(n_boot, n_labels, n_labels)
    """
    rng = np.random.default_rng(seed)
    heard = stack.sum(axis=(1, 2)) > 0
    stack, names = stack[heard], [name for name, has_clips in zip(names, heard, strict=True) if has_clips]
    n_groups, n_labels = stack.shape[:2]
    if resampling_unit(names) == "clip":
        cells = stack.sum(axis=0).ravel()
        drawn = rng.multinomial(cells.sum(), cells / cells.sum(), size=n_boot)
    else:
        picks = rng.integers(n_groups, size=(n_boot, n_groups))
        times = np.zeros((n_boot, n_groups), dtype=np.int64)
        np.add.at(times, (np.arange(n_boot)[:, None], picks), 1)
        drawn = times @ stack.reshape(n_groups, -1)
    return drawn.reshape(n_boot, n_labels, n_labels)


def interval(resampled: np.ndarray) -> list[float]:
    """Return the 95 % percentile interval ``[low, high]`` of a score, from its values over resamples."""
    return [float(q) for q in np.quantile(resampled, [0.025, 0.975])]


def calibration(confidence: np.ndarray, correct: np.ndarray) -> tuple[float, list[dict[str, Any]]]:
    """Return the expected calibration error and its bins ``(low, high]``; a confidence of exactly 0 is in the first."""
    edges = np.linspace(0, 1, N_BINS + 1)
    which = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, N_BINS - 1)
    bins, ece = [], 0.0
    for k in range(N_BINS):
        inside = which == k
        n = int(inside.sum())
        mean = float(confidence[inside].mean()) if n else None
        accuracy = float(correct[inside].mean()) if n else None
        if mean is not None and accuracy is not None:
            ece += n / len(confidence) * abs(accuracy - mean)
        bins.append({"low": k / N_BINS, "high": (k + 1) / N_BINS, "n": n, "confidence": mean, "accuracy": accuracy})
    return float(ece), bins


def correct_among_surest(confidence: np.ndarray, correct: np.ndarray) -> Callable[[float], float]:
    """Return the function k -> expected number of correct answers among the k most confident."""
    levels, codes = np.unique(-confidence, return_inverse=True)
    reached = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(levels)))])
    right = np.concatenate([[0], np.cumsum(np.bincount(codes, weights=correct, minlength=len(levels)))])
    return lambda k: float(np.interp(k, reached, right))


def accuracy_surest_half(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Return the accuracy of the most confident half of the clips (rounded up)."""
    half = (len(confidence) + 1) // 2
    return correct_among_surest(confidence, correct)(half) / half


def confusions(
    truth: np.ndarray, predicted: np.ndarray, groups: np.ndarray, n_groups: int, n_labels: int
) -> np.ndarray:
    """Count the clips of each group by truth and prediction: int of shape (n_groups, n_labels, n_labels)."""
    cells = (groups * n_labels + truth) * n_labels + predicted
    return np.bincount(cells, minlength=n_groups * n_labels**2).reshape(n_groups, n_labels, n_labels)


def per_class(confusion: np.ndarray, labels: list[str]) -> dict[str, dict[str, Any]]:
    """Return precision, recall, F1, one-against-rest accuracy and support of each label."""
    total = int(confusion.sum())
    table: dict[str, dict[str, Any]] = {}
    for k, label in enumerate(labels):
        right, support, answered = (int(x) for x in (confusion[k, k], confusion[k].sum(), confusion[:, k].sum()))
        table[label] = {
            "precision": (right / answered if answered else 0.0) if support else None,
            "recall": right / support if support else None,
            "f1": 2 * right / (support + answered) if support else None,
            "accuracy": (total - support - answered + 2 * right) / total,
            "support": support,
        }
    return table


def group_table(names: list[str], stack: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return number of clips, accuracy, UAR and number of classes of each group in the stack."""
    scores = scores_of(stack)
    return {
        name: {
            "n": int(stack[k].sum()),
            "accuracy": float(scores["accuracy"][k]),
            "uar": float(scores["uar"][k]),
            "classes": int((stack[k].sum(axis=1) > 0).sum()),
        }
        for k, name in enumerate(names)
    }


def spread(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation (ddof 1) over the rows of a group table."""
    summary: dict[str, Any] = {"n": len(rows)}
    for score in ("accuracy", "uar"):
        values = [row[score] for row in rows]
        summary[f"{score}_mean"] = float(np.mean(values)) if values else None
        summary[f"{score}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return summary
