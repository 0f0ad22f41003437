"""A model of one's own in a minute: check, score and train a small head on the encoder of a shipped model."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit.corpora.table import voice_names
from serkit.emotions import in_order
from serkit.errors import TrainingError
from serkit.protocol import make_split
from serkit.training.export import export_bundle
from serkit.training.recipe_files import load_recipe
from serkit.training.run import run_evaluation, train_final
from serkit.training.split_rows import has_voices

if TYPE_CHECKING:
    from serkit.bundle import Bundle
    from serkit.corpora import Corpus

__all__ = ["RECIPE", "Plan", "plan", "train_own"]

RECIPE = "own"
_FOLDS = 5
_FEWEST = 4  # clips of a label: one to test, one to calibrate, two to learn from
_FEW = 20  # clips of a label; a score over fewer says little
_BY_CLIP = "so clips of the same voice are on both sides of the score: expect less for new voices."


@dataclass(frozen=True)
class Plan:
    """How a corpus will be scored, and what its user should know before.

    Attributes
    ----------
    protocol : str
        ``"speaker"`` where speakers are known, else ``"random"``.
    folds : int
    notes : tuple of str
        Sentences.
    """

    protocol: str
    folds: int
    notes: tuple[str, ...]


def plan(corpus: Corpus) -> Plan:
    """Check that a corpus can be learned from, and choose how it is scored.

    Parameters
    ----------
    corpus : Corpus
        With any labels.

    Raises
    ------
    TrainingError
        If fewer than two labels are there, or one has fewer than four clips.
    """
    counts = corpus.table.groupby("emotion")["audio_hash"].nunique()  # the same sound counts once
    labels = in_order(counts.index)
    if len(labels) < 2:
        raise TrainingError(
            f"{corpus.name} has clips of {' and '.join(labels) or 'no label'} only: a model needs two labels or more."
        )
    short = [label for label in labels if counts[label] < _FEWEST]
    if short:
        listed = ", ".join(f"{label} ({counts[label]})" for label in short)
        raise TrainingError(
            f"{corpus.name} has too few clips of {listed}: each label needs {_FEWEST} or more. Add clips, or leave "
            f"labels out with --drop {','.join(short)}."
        )
    notes = [
        f"Only {counts[label]} clips of {label}: its score says little. 50 or more would be better."
        for label in labels
        if counts[label] < _FEW
    ]
    twins = len(corpus.table) - corpus.table["audio_hash"].nunique()
    if twins:
        notes.append(f"{twins} clips have the same sound as another: they are learnt and tested together.")
    if has_voices(corpus, at_least=3):
        voices = voice_names(corpus.table).nunique()
        return Plan("speaker", min(_FOLDS, voices), tuple(notes))
    unknown = int(corpus.table["speaker"].eq("").sum())
    if unknown == len(corpus.table):
        notes.append(
            f"The speakers are not known, {_BY_CLIP} A column speaker, or names such as anna_01.wav, would tell."
        )
    elif unknown:
        notes.append(f"The speaker of {unknown} of {len(corpus.table)} clips is not known, {_BY_CLIP}")
    else:
        notes.append("All clips are of one or two speakers, so the score holds for these: expect less for new voices.")
    return Plan("random", min(_FOLDS, int(counts.min())), tuple(notes))


def train_own(
    corpus: Corpus,
    out: str | os.PathLike[str],
    *,
    self_contained: bool = False,
    seed: int = 0,
    n_jobs: int = 1,
    force: bool = False,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Bundle:
    """Score and train a model for the labels of a corpus, and write it as a bundle.

    Parameters
    ----------
    corpus : Corpus
        A few dozen clips or more, of any labels; each at most 30 s.
    out : path
        Folder of the bundle. The evaluation, with its report, goes to the folder ``<out>-scores`` beside it; an
        interrupted one resumes.
    self_contained : bool
        Put the encoder (18 MB) into the bundle instead of a reference to the model that ships.
    seed : int
        Of split and training.
    n_jobs : int
        Threads for the encoder.
    force : bool
        Replace a bundle that is there.
    progress : callable, optional
        As for :func:`serkit.run_evaluation`.

    Returns
    -------
    Bundle
        Its manifest states the scores.

    Raises
    ------
    TrainingError
        If the corpus cannot be learned from.

    See Also
    --------
    plan : What is checked, and how it is scored.
    """
    recipe, how = load_recipe(RECIPE), plan(corpus)
    split = make_split(corpus, how.protocol, seed=seed, n_folds=how.folds)
    scores = Path(f"{os.fspath(out).rstrip('/')}-scores")
    resume = (scores / "run.json").is_file()
    run = run_evaluation(recipe, corpus, split, scores, resume=resume, n_jobs=n_jobs, progress=progress)
    fitted = train_final(recipe, corpus, seed=seed, n_jobs=n_jobs, progress=progress)
    return export_bundle(
        fitted,
        recipe,
        corpus,
        out,
        scores=[run.results],
        seed=seed,
        n_jobs=n_jobs,
        force=force,
        self_contained=self_contained,
    )
