"""Recipe + corpus + split -> a run on disk: folds one by one, out-of-fold predictions, results and report."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from serkit.corpora.columns import COPY, FACTS
from serkit.errors import TrainingError
from serkit.protocol import Split
from serkit.training import fitting, run_folder, split_rows
from serkit.training.adaptation import ADAPTED
from serkit.training.clips import Clips
from serkit.training.familiarity import familiarity
from serkit.training.feature_cache import FeatureCache
from serkit.training.fold import Progress, Task, choices_of, load_clips
from serkit.training.recipe import Recipe
from serkit.training.run_folder import Run
from serkit.training.tuned import embedded

if TYPE_CHECKING:
    from imblearn.pipeline import Pipeline

    from serkit.corpora import Corpus

__all__ = ["Run", "run_evaluation", "train_final", "with_copies"]


def run_evaluation(
    recipe: Recipe,
    corpus: Corpus,
    split: Split,
    out_dir: str | os.PathLike[str],
    *,
    folds: Sequence[int] | None = None,
    resume: bool = False,
    n_jobs: int = 1,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train and test ``recipe`` on every fold of ``split`` and write the run to ``out_dir``.

    A fold is written in one step when it is done: whatever stops the run, finished folds are kept, and
    ``resume=True`` continues after them; a deep model continues after its last finished epoch, on any machine. The
    test clips of a fold are used once, after everything is fitted; their labels are only copied into the table.

    Under ``speaker+enrolled`` and ``corpus+adapted`` a recipe with ``[adaptation]`` is fitted as without them, and its
    model answers each test voice or place after hearing the clips that it enrolled with
    (:mod:`serkit.training.adaptation`). Features of other recipes are standardised by voice or by place, in training
    too.

    Test clips of a joined corpus are scored over the labels that their own corpus gives
    (:func:`serkit.training.fitting.known_labels`): the probabilities of the others are dropped and the rest
    renormalised, so CREMA-D has its six labels in ``ravdess+crema_d`` too. The group ``corpus`` of the results holds
    the scores of each.

    Under ``corpus`` and ``corpus+adapted`` the model of a fold knows the labels that its training corpora give, and the
    test clips are scored over those that their corpus gives too.

    Parameters
    ----------
    recipe : Recipe
    corpus : Corpus
    split : Split
        Its seed also seeds models and augmentation.
    out_dir : path
        A new folder, or with ``resume`` the folder of the interrupted run.
    folds : sequence of int, optional
        The folds to run; all of them by default. The results say which they are.
    resume : bool
        Continue a run of the same recipe, split and corpus.
    n_jobs : int
        Threads for features, and for estimators that can use them.
    cache : FeatureCache, optional
        Default: the user's cache.
    progress : callable, optional
        Called with events, mappings with a ``stage``:

        - ``plan``: the work ahead; ``recipe, clips, copies, epochs`` (None without), ``fits`` and their ``unit``
        - ``features``: ``done`` of ``total``, of which ``cached`` were there before
        - ``fit``: the ``fold`` (None in a final training) and ``clips`` when it begins; then ``epoch`` of ``epochs``
          with ``loss`` and ``uar`` where there are any, ``member`` of ``members`` and its ``name``, or the ``settings``
          and inner ``folds`` of a search
        - ``fold``: ``done`` of ``total`` folds

        :class:`serkit.waiting.Waiting` shows them.

    Returns
    -------
    Run

    Raises
    ------
    TrainingError
        If the folder exists, the run to resume is another one, a class is missing from training clips or too rare
        for SMOTE, a clip gives no features, or the disk is full.
    ProtocolError
        If the split does not fit the corpus.
    """
    split.check(corpus)
    labels = fitting.corpus_labels(corpus)
    clips = split_rows.joined(split, corpus)
    given = fitting.known_labels(clips["corpus"].tolist(), clips["emotion"].tolist(), labels)
    clips = split_rows.without_unheard(clips, recipe)
    chosen = _chosen(split, folds)
    _check_folds(recipe, split, clips, labels, chosen)
    out = Path(out_dir)
    with run_folder.disk(out):
        run_folder.start(out, recipe, corpus, split, resume=resume)
        todo = [k for k in chosen if not run_folder.finished(out, k)]
        if todo:
            rows = with_copies(clips[clips["fold"].isin(todo)], corpus, recipe, split)
            needed = rows.drop_duplicates(COPY).sort_values(COPY)
            _plan(progress, recipe, needed, "fold", len(todo))
            loaded = load_clips(needed, corpus, recipe, seed=split.seed, cache=cache, n_jobs=n_jobs, progress=progress)
            task = Task(recipe, labels, given, split.seed, split.by_speaker, n_jobs, progress, run=out)
            _count(progress, out, todo[0], chosen)
            for k in todo:
                own = rows[rows["fold"] == k].sort_values(COPY, kind="stable", ignore_index=True)
                _run_fold(task, split, k, loaded.matching(own), out)
                _count(progress, out, k + 1, chosen)
        return run_folder.close(out, recipe, corpus, split, labels, chosen)


def _chosen(split: Split, folds: Sequence[int] | None) -> list[int]:
    """Return the folds to run, in order."""
    chosen = sorted(set(range(split.n_folds) if folds is None else folds))
    strange = [k for k in chosen if k not in range(split.n_folds)]
    if strange or not chosen:
        what = f"There is no fold {', '.join(map(str, strange))}" if strange else "No fold is given"
        raise TrainingError(f"{what}: this split has folds 0 to {split.n_folds - 1}.")
    return chosen


def _check_folds(
    recipe: Recipe,
    split: Split,
    clips: pd.DataFrame,
    labels: list[str],
    chosen: Sequence[int],
) -> None:
    """Raise TrainingError now for what would stop a fold only after all features are computed."""
    for k in chosen:
        train = clips[(clips["fold"] == k) & split_rows.trains(clips, recipe)]
        asked = _labels(split, train, labels)
        fitting.check_classes(recipe, train["emotion"].tolist(), asked, where=f"Fold {k}")
        validates = (clips["fold"] == k) & (clips["role"] == "validation")
        if recipe.unheard and recipe.validation.use != "none" and not validates.any():
            raise TrainingError(
                f"Fold {k} has no clip to validate with beside those of voices that the recipe keeps unheard: use "
                'another seed, or set use = "none" in its [validation].'
            )


def _labels(split: Split, train: pd.DataFrame, labels: list[str]) -> list[str]:
    """Return the labels that a fold's model can learn; a corpus that is left out may be the only one with a label."""
    if not split.by_corpus:
        return labels
    given = set(train["emotion"])
    return [label for label in labels if label in given]


def with_copies(rows: pd.DataFrame, corpus: Corpus, recipe: Recipe, split: Split) -> pd.DataFrame:
    """Add the recipe's altered copies of the training clips of each fold."""
    if recipe.augment is None or split.protocol == "augmented-random":
        return rows
    return split_rows.with_copies(rows, rows[split_rows.trains(rows, recipe)], corpus, recipe)


def _plan(progress: Progress | None, recipe: Recipe, rows: pd.DataFrame, unit: str, fits: int) -> None:
    """Report the work ahead, before any of it is done."""
    if progress is None:
        return
    fits *= 1 if recipe.calibration is None else 1 + recipe.calibration.folds
    epochs = None if recipe.epochs is None else recipe.epochs * recipe.model.params.get("members", 1)
    clips = int((rows["copy"] == 0).sum())
    plan = {"recipe": recipe.name, "clips": clips, "copies": len(rows) - clips, "epochs": epochs}
    progress({"stage": "plan", **plan, "unit": unit, "fits": fits})


def _count(progress: Progress | None, out: Path, fold: int, chosen: Sequence[int]) -> None:
    """Report how many folds are done."""
    if progress is not None:
        done = sum(run_folder.finished(out, k) for k in chosen)
        progress({"stage": "fold", "fold": fold, "done": done, "total": len(chosen)})


def _run_fold(task: Task, split: Split, k: int, clips: Clips, out: Path) -> None:
    """Train and test one fold, and write it."""
    started = time.monotonic()
    if split.protocol in ADAPTED and task.recipe.adaptation is None:
        clips = clips.standardised(ADAPTED[split.protocol])
    validation = clips.with_role("validation") if task.recipe.validation.use != "none" else None
    train = clips.where(split_rows.trains(clips.rows, task.recipe))
    own = task.over(_labels(split, train.rows, task.labels))
    pipeline = own.fit(train, validation, fold=k)
    table = _tested(own, split, pipeline, clips, task.labels)
    model = pipeline.steps[-1][1]
    run_folder.write_fold(
        out,
        k,
        table,
        getattr(model, "history_", None),
        seconds=time.monotonic() - started,
        choices=choices_of(model),
    )


def _tested(task: Task, split: Split, pipeline: Pipeline, clips: Clips, labels: list[str]) -> pd.DataFrame:
    """Answer the test clips of a fold: the rows of its predictions, with a probability for each of `labels`."""
    test = clips.with_role("test")
    by = ADAPTED.get(split.protocol)
    enrolled = None if by is None else clips.with_role("enrol")
    probabilities = task.answers(pipeline, test, enrolled=enrolled, by=by or "voice")
    could_be = split_rows.known(test.rows, task.given)
    if could_be is not None:
        probabilities = fitting.restrict(probabilities, could_be)
    table = test.rows[[*COPY, "fold", "emotion"]].assign(
        predicted=np.array(task.labels)[probabilities.argmax(1)],
        confidence=probabilities.max(1),
        **{
            f"p_{label}": probabilities[:, task.labels.index(label)] if label in task.labels else 0.0
            for label in labels
        },
    )
    return table.join(test.rows[FACTS])


def train_final(
    recipe: Recipe,
    corpus: Corpus,
    *,
    seed: int = 0,
    n_jobs: int = 1,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> Pipeline:
    """Fit ``recipe`` on all clips of ``corpus``; there is no test side and no score.

    Where the recipe needs validation clips, speakers are held out for it by the rule of the protocol ``speaker``
    (15 %); a corpus without speakers gives the validation clips of the protocol ``random``. If they only calibrate,
    the recipe is fitted twice: without them for the temperature, then with them for everything else.

    A recipe with ``[adaptation]`` gives a model that adapts to voices and places, and that knows how far a clip is from
    its training clips (:mod:`serkit.training.familiarity`). Voices that the recipe keeps unheard are left out.

    Parameters
    ----------
    recipe : Recipe
    corpus : Corpus
    seed : int
        Seeds the held-out speakers, augmentation and the model.
    n_jobs, cache, progress
        As for :func:`run_evaluation`.

    Returns
    -------
    imblearn.pipeline.Pipeline
        Fitted; ``classes_`` are the corpus' labels.
        :func:`serkit.training.export.export_bundle` makes a bundle of it.

    Raises
    ------
    TrainingError
        As :func:`run_evaluation`.

    See Also
    --------
    run_evaluation : Scores of a recipe, fold by fold.
    serkit.export_bundle : Makes a bundle from the estimator.
    """
    corpus = split_rows.trainable(corpus, recipe)
    labels = fitting.corpus_labels(corpus)
    rows = _final_rows(corpus, recipe, labels, seed)
    fits = 2 if recipe.validation.use == "calibration" else 1
    _plan(progress, recipe, rows, "fit", fits)
    with run_folder.disk(None):
        clips = load_clips(rows, corpus, recipe, seed=seed, cache=cache, n_jobs=n_jobs, progress=progress)
    given = fitting.known_labels(rows["corpus"].tolist(), rows["emotion"].tolist(), labels)
    by_speaker = split_rows.has_voices(corpus, at_least=3)
    task = Task(recipe, labels, given, seed, by_speaker, n_jobs, progress)
    validation = clips.with_role("validation") if recipe.validation.use != "none" else None
    first = final = task.fit(clips.with_role("train"), validation)
    if recipe.validation.use == "calibration":
        final = task.fit(clips)
        final.steps[-1][1].temperature_ = first.steps[-1][1].temperature_
    if recipe.adaptation is not None:
        final.familiarity_ = familiarity(embedded(clips, final.tuned_), recipe.adaptation)
    return final


def _final_rows(corpus: Corpus, recipe: Recipe, labels: list[str], seed: int) -> pd.DataFrame:
    """Return the clips with their roles and copies: train, validation, and copies of validation clips.

    These copies serve the second fit only.
    """
    clips = split_rows.all_clips(corpus)
    if recipe.validation.use != "none":
        clips["role"] = split_rows.final_roles(corpus, seed)
    train = clips.loc[clips["role"] == "train", "emotion"]
    fitting.check_classes(recipe, train.tolist(), labels, where=f"The corpus {corpus.name}")
    source = clips.assign(role=clips["role"].replace("validation", "validation copy"))
    return split_rows.with_copies(clips, source, corpus, recipe).sort_values(COPY, ignore_index=True)
