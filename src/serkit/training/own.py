"""A model of one's own in a minute: check, score and train a small head on the encoder of a shipped model."""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit.corpora.registry import published
from serkit.corpora.table import voice_names
from serkit.emotions import in_order
from serkit.errors import TrainingError
from serkit.protocol import make_split
from serkit.training import run_folder
from serkit.training.export import export_bundle, export_ratings
from serkit.training.rating_plan import plan_ratings
from serkit.training.ratings import score_ratings, train_ratings
from serkit.training.recipe_files import load_recipe, parse_recipe
from serkit.training.run import run_evaluation, train_final
from serkit.training.split_rows import has_voices

if TYPE_CHECKING:
    from serkit.bundle import Bundle
    from serkit.corpora import Corpus
    from serkit.protocol import Split
    from serkit.training.recipe import Recipe
    from serkit.training.run_folder import Run

__all__ = ["RECIPE", "Plan", "plan", "train_own"]

RECIPE = "own"
_FOLDS = 5
_FEWEST = 5  # clips of a label; with fewer, some inner fold would have none
_FEW = 20  # clips of a label; a score over fewer says little, and they are too few to calibrate with
_BY_CLIP = "so clips of the same voice are on both sides of the score: expect less for new voices."


@dataclass(frozen=True)
class Plan:
    """How a corpus will be scored, and what its user should know before.

    Attributes
    ----------
    corpus : Corpus
        Without labels that have too few clips.
    protocol : str
        ``"speaker"`` where speakers are known, else ``"random"``.
    folds : int
    calibrated : bool
        Whether there are enough clips to calibrate the probabilities.
    notes : tuple of str
        Sentences.
    """

    corpus: Corpus
    protocol: str
    folds: int
    calibrated: bool
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
        If fewer than two labels have five clips or more, or a clip has no label.
    """
    if not corpus.table["emotion"].all():
        raise TrainingError(
            f"{corpus.name} has clips without a label: to learn numbers, name their columns as targets."
        )
    counts = corpus.table.groupby("emotion")["audio_hash"].nunique()  # the same sound counts once
    labels = in_order(counts.index)
    rare = [label for label in labels if counts[label] < _FEWEST]
    kept = [label for label in labels if label not in rare]
    if len(kept) < 2:
        listed = ", ".join(f"{label} ({counts[label]})" for label in labels)
        raise TrainingError(
            f"{corpus.name} has different recordings of {listed}: a model needs two labels or more, each with "
            f"{_FEWEST} recordings or more."
        )
    notes = []
    known = published().get(corpus.name)
    if known is not None and corpus.licence == known.licence:  # a table of this name has no licence
        notes.append(
            f"The names of the files are those of {known.title}, so the labels come from them. If your folders are the "
            "labels, name the kind: folders."
        )
    notes += [
        f"{label} has only {counts[label]} different recordings and is left out: {_FEWEST} are needed."
        for label in rare
    ]
    corpus = replace(corpus, table=corpus.table[corpus.table["emotion"].isin(kept)].reset_index(drop=True))
    counts = counts[kept]
    notes += [
        f"Only {counts[label]} recordings of {label}: its score says little. 50 or more would be better."
        for label in kept
        if counts[label] < _FEW
    ]
    calibrated = bool(counts.min() >= _FEW)
    if not calibrated:
        notes.append(f"Probabilities are not calibrated: that needs {_FEW} recordings of each label.")
    twins = len(corpus.table) - corpus.table["audio_hash"].nunique()
    if twins:
        notes.append(f"{twins} clips have the same sound as another: they are learnt and tested together.")
    if has_voices(corpus, at_least=3):
        voices = voice_names(corpus.table).nunique()
        return Plan(corpus, "speaker", min(_FOLDS, voices), calibrated, tuple(notes))
    unknown = int(corpus.table["speaker"].eq("").sum())
    if unknown == len(corpus.table):
        notes.append(
            f"The speakers are not known, {_BY_CLIP} A column speaker, or names such as anna_01.wav, would tell."
        )
    elif unknown:
        notes.append(f"The speaker of {unknown} of {len(corpus.table)} clips is not known, {_BY_CLIP}")
    else:
        notes.append("All clips are of one or two speakers, so the score holds for these: expect less for new voices.")
    return Plan(corpus, "random", min(_FOLDS, int(counts.min())), calibrated, tuple(notes))


def train_own(
    corpus: Corpus,
    out: str | os.PathLike[str],
    *,
    targets: Sequence[str] = (),
    self_contained: bool = False,
    seed: int = 0,
    n_jobs: int = 1,
    force: bool = False,
    progress: Callable[[dict[str, Any]], None] | None = None,
    tell: Callable[[str], object] = warnings.warn,
) -> Bundle:
    """Score and train a model for the labels or the ratings of a corpus, and write it as a bundle.

    Parameters
    ----------
    corpus : Corpus
        A few dozen clips or more, of any labels; each at most 30 s.
    out : path
        Folder of the bundle. The evaluation, with its report, goes to the folder ``<out>-scores`` beside it; an
        interrupted one resumes.
    targets : sequence of str
        Columns with ratings, such as ``["arousal"]``, that `corpus` was read with: the model answers numbers, beside
        the labels if the clips have any.
    self_contained : bool
        Put the encoder (18 MB) into the bundle instead of a reference to the model that ships.
    seed : int
        Of split and training.
    n_jobs : int
        Threads for the encoder.
    force : bool
        Replace a bundle that is there, and the scores beside it if other recordings were scored.
    progress : callable, optional
        As for :func:`serkit.run_evaluation`.
    tell : callable
        Hears each sentence that the user should know before training: too few clips, unknown speakers and so on. By
        default a warning.

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
    serkit.training.rating_plan.plan_ratings : The same for ratings.
    """
    rated, scores = None, Path(f"{os.fspath(out).rstrip('/')}-scores")
    if scores.exists() and not scores.is_dir():
        raise TrainingError(
            f"{scores} is a file, and the scores need a folder of that name: move it, or choose another."
        )
    labelled = not targets or corpus.table["emotion"].any()
    how = plan(corpus) if labelled else None
    rating = plan_ratings(corpus, targets, seed=seed) if targets else None
    shipped = load_recipe(RECIPE)
    for note in (note for one in (how, rating) if one is not None for note in one.notes):
        tell(note)
    if rating is not None:
        assert shipped.front_end is not None
        asked: dict[str, Any] = {"seed": seed, "n_jobs": n_jobs, "progress": progress}
        rated, rows = train_ratings(corpus, rating, shipped.front_end, **asked)
        if how is None:
            score_ratings(rated, rows, corpus, scores, seed)
            name = _name(corpus)
            how_written: dict[str, Any] = {"seed": seed, "n_jobs": n_jobs, "force": force}
            return export_ratings(rated, shipped, corpus, out, name=name, self_contained=self_contained, **how_written)
    assert how is not None
    text = shipped.text
    if not how.calibrated:
        text = re.sub(r"\[calibration\]\n.*\n", "", text)
    corpus = how.corpus
    recipe = parse_recipe(text.replace(f'name = "{RECIPE}"', f'name = "{_name(corpus)}"', 1))
    split = make_split(corpus, how.protocol, seed=seed, n_folds=how.folds)
    run = _scored(recipe, corpus, split, scores, force=force, n_jobs=n_jobs, progress=progress)
    if rated is not None:
        score_ratings(rated, rows, corpus, scores, seed)
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
        rated=rated,
    )


def _scored(recipe: Recipe, corpus: Corpus, split: Split, scores: Path, *, force: bool, **how: Any) -> Run:
    """Score in a folder; scores of other recordings that are there stay until the new ones are finished."""
    new = run_folder.replacement(scores)
    replaces = not run_folder.begun(scores) and run_folder.begun(new)  # a run that ended while it was put there
    if run_folder.begun(scores):
        try:
            run_folder.check(scores, recipe, corpus, split, "replace it with --force, or use another --out")
        except TrainingError:
            if not force:
                raise
            replaces = True
    if not replaces:
        return run_evaluation(recipe, corpus, split, scores, resume=run_folder.begun(scores), **how)
    try:
        run_folder.check(new, recipe, corpus, split, "")
    except TrainingError:  # nothing, or a run on yet other recordings
        shutil.rmtree(new, ignore_errors=True)
    run = run_evaluation(recipe, corpus, split, new, resume=run_folder.begun(new), **how)
    run_folder.put(new, scores)
    return replace(run, folder=scores)


def _name(corpus: Corpus) -> str:
    """The name of the model: that of the corpus, as a manifest takes it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", corpus.name).strip("._-")[:64] or RECIPE
