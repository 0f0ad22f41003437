"""Whether ratings can be learned from, and how they are scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serkit.corpora.table import voice_names
from serkit.corpora.targets import check_targets
from serkit.errors import TrainingError
from serkit.protocol.folds import recording_groups, speaker_folds, stratified_folds
from serkit.training.split_rows import has_voices

if TYPE_CHECKING:
    from serkit.corpora import Corpus

__all__ = ["RatingPlan", "plan_ratings"]

_FOLDS = 5
_FEWEST = 20  # clips; with fewer, a fold would be a handful
_FEW = 100
_NARROW = 1e-3  # a range so small against the numbers themselves is lost in float32
_EXTREME = 1e30


@dataclass(frozen=True)
class RatingPlan:
    """How ratings will be scored, and what their user should know before.

    Attributes
    ----------
    targets : tuple of str
    values : np.ndarray, float64, shape=(n, k)
        The ratings, in the order of the corpus' table.
    groups : np.ndarray of int, shape=(n,)
        Clips of a group, a speaker or a recording, are never on both sides.
    folds : np.ndarray of int, shape=(n,)
        The fold that tests each clip.
    protocol : str
        ``"speaker"`` where speakers are known, else ``"random"``.
    notes : tuple of str
        Sentences.
    """

    targets: tuple[str, ...]
    values: np.ndarray
    groups: np.ndarray
    folds: np.ndarray
    protocol: str
    notes: tuple[str, ...]


def plan_ratings(corpus: Corpus, targets: Sequence[str], *, seed: int = 0) -> RatingPlan:
    """Check that ratings can be learned from, and choose how they are scored.

    Parameters
    ----------
    corpus : Corpus
        Read with these `targets` (:func:`serkit.read_corpus`).
    targets : sequence of str
    seed : int
        Of the folds.

    Raises
    ------
    TrainingError
        If a column is missing, constant, called like a label or no number, there are fewer than 20 different
        recordings, or one recording is under two speakers.
    CorpusError
        If a column has a name that no number can have.
    """
    table = corpus.table
    check_targets(targets)
    labels = sorted(set(table["emotion"]) & set(targets))
    if labels:
        raise TrainingError(f"{labels[0]} is a label and a column of numbers in {corpus.name}: rename one of them.")
    lacking = [target for target in targets if target not in table]
    if lacking:
        raise TrainingError(
            f"{corpus.name} has no column {lacking[0]} to learn from: its columns are {', '.join(map(str, table))}."
        )
    try:
        values = table[list(targets)].to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        values = np.full((1, 1), np.nan)
    if not np.isfinite(values).all():
        named = ", ".join(targets)
        raise TrainingError(f"{corpus.name} was read without its ratings: give read_corpus the same targets ({named}).")
    groups = recording_groups(table)
    number = len(np.unique(groups))
    if number < _FEWEST:
        raise TrainingError(
            f"{corpus.name} has {number} different recordings with ratings: at least {_FEWEST} are needed."
        )
    for target, column in zip(targets, values.T, strict=True):
        if column.min() == column.max():
            raise TrainingError(f"{target} is {column[0]:g} in all clips of {corpus.name}: there is nothing to learn.")
        largest, span = np.abs(column).max(), column.max() - column.min()
        if largest > _EXTREME or span < 1 / _EXTREME:
            raise TrainingError(
                f"{target} goes from {column.min():g} to {column.max():g}, too extreme for a model: use another unit."
            )
        if span < _NARROW * largest:
            raise TrainingError(
                f"{target} goes from {column.min():.10g} to {column.max():.10g}, a range too small beside the numbers "
                f"themselves: subtract {column.min():.10g} from all."
            )
    notes = []
    if number < _FEW:
        notes.append(f"Only {number} recordings with ratings: the scores say little. {_FEW} or more would be better.")
    if has_voices(corpus, at_least=4):
        voices = voice_names(table)
        twice = voices.groupby(groups).transform("nunique") > 1
        if twice.any():
            rows = table[groups == groups[twice.to_numpy().argmax()]]
            raise TrainingError(
                f"The same recording is listed under different speakers ({', '.join(sorted(set(rows['speaker'])))}): "
                f"{', '.join(rows['path'].iloc[:2])}. Correct the speakers or remove one."
            )
        facts = {str(name): (str(min(rows["sex"])), len(rows)) for name, rows in table.groupby(voices, sort=True)}
        fold_of = speaker_folds(facts, min(_FOLDS, len(facts)), seed=seed)
        codes = np.unique(voices.to_numpy(), return_inverse=True)[1]
        folds = voices.map(fold_of).to_numpy()
        _check_folds(targets, values, folds)
        return RatingPlan(tuple(targets), values, codes, folds, "speaker", tuple(notes))
    unknown = int(table["speaker"].eq("").sum())
    known = voice_names(table)[table["speaker"] != ""].nunique()
    why = "Fewer than four speakers are known"
    if known >= 4:
        why = f"The speaker of {unknown} of {len(table)} clips is not known"
    notes.append(
        f"{why}, so clips of the same voice are on both sides of the score: expect less for new voices. A column "
        "speaker would tell."
    )
    names = (table["path"] + "\x1f" + table["start"].astype(str)).tolist()
    folds = stratified_folds(names, [""] * len(names), groups.tolist(), _FOLDS, seed=seed, purpose="ratings")
    _check_folds(targets, values, np.asarray(folds))
    return RatingPlan(tuple(targets), values, groups, folds, "random", tuple(notes))


def _check_folds(targets: Sequence[str], values: np.ndarray, folds: np.ndarray) -> None:
    """Raise TrainingError if a rating has one value in all clips that a fold learns from."""
    for fold in np.unique(folds):
        learned = values[folds != fold]
        for target, column in zip(targets, learned.T, strict=True):
            if column.min() == column.max():
                raise TrainingError(
                    f"{target} is {column[0]:g} in {len(column)} of {len(folds)} clips, and the others are tested "
                    "together, so their fold has nothing to learn: other values are needed from more speakers."
                )
