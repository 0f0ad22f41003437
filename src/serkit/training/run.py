"""Recipe + corpus + split -> a run on disk: folds one by one, out-of-fold predictions, results and report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from serkit.corpora.columns import COPY, FACTS
from serkit.errors import TrainingError
from serkit.protocol import Split, make_split
from serkit.protocol.folds import validation_speakers
from serkit.training import fitting, run_folder, split_rows
from serkit.training.feature_cache import FeatureCache, compute_features, requests
from serkit.training.recipe import Recipe
from serkit.training.run_folder import Run
from serkit.training.voice_adjustment import adjust_voices, reference, reference_rows, voice_names

if TYPE_CHECKING:
    from imblearn.pipeline import Pipeline

    from serkit.corpora import Corpus

__all__ = ["Run", "run_evaluation", "train_final"]

Progress = Callable[[dict[str, Any]], None]


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

    A fold is written when it is done, in one step: whatever stops the run, finished folds stay, and ``resume=True``
    goes on behind them. The test clips of a fold are looked at once, after everything is fitted; their labels are
    only copied into the table.

    Under ``speaker+enrolled`` a recipe whose ``[enrolment]`` has ``method = "answers"`` is fitted as under ``speaker``;
    the answers are then corrected for each test voice, as heard in its enrolment clips
    (:mod:`serkit.recognition.profile`). The reference is the mean over the validation speakers. Without validation
    clips it is that over the training speakers, which is biased: the model answers their clips with more confidence
    than those of any new voice.

    Test clips of a joined corpus are scored over the labels that their own corpus gives
    (:func:`serkit.training.fitting.known_labels`): the probabilities of the others are dropped and the rest
    renormalised, so CREMA-D has its six labels in ``ravdess+crema_d`` too. The group ``corpus`` of the results holds
    the scores of each.

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
        Go on with a run of the same recipe, split and corpus.
    n_jobs : int
        Threads for features, and for estimators that can use them.
    cache : FeatureCache, optional
        Default: the user's cache.
    progress : callable, optional
        Called with ``{"stage": "features", "done", "total"}``, ``{"stage": "fold", "done", "total"}`` and, by
        estimators that go epoch by epoch, ``{"stage": "fit", "fold", "epoch", "epochs", ...}``.

    Returns
    -------
    Run

    Raises
    ------
    TrainingError
        If the folder is taken, the run to resume is another one, a class is missing from training clips or too rare
        for SMOTE, a clip gives no features, or the disk is full.
    ProtocolError
        If the split does not fit the corpus.
    """
    split.check(corpus)
    labels = fitting.corpus_labels(corpus)
    clips = split_rows.joined(split, corpus)
    chosen = sorted(set(range(split.n_folds) if folds is None else folds))
    strange = [k for k in chosen if k not in range(split.n_folds)]
    if strange or not chosen:
        what = f"There is no fold {', '.join(map(str, strange))}" if strange else "No fold is asked for"
        raise TrainingError(f"{what}: this split has folds 0 to {split.n_folds - 1}.")
    for k in chosen:
        train = clips[(clips["fold"] == k) & split_rows.trains(clips, recipe)]
        fitting.check_classes(recipe, train["emotion"].tolist(), labels, where=f"Fold {k}")
    given = fitting.known_labels(clips["corpus"].tolist(), clips["emotion"].tolist(), labels)
    if _adjusts(recipe, split):
        asked = clips[reference_rows(clips, recipe, given)]
        lacking = [k for k in chosen if not (asked["fold"] == k).any()]
        if lacking:
            raise TrainingError(
                f"Fold {lacking[0]} has no voice to compare with, of a corpus that gives every label: add one, or take "
                "the method 'standardise' in the recipe's [enrolment]."
            )
    out = Path(out_dir)
    with run_folder.disk(out):
        run_folder.start(out, recipe, corpus, split, resume=resume)
        todo = [k for k in chosen if not run_folder.finished(out, k)]
        if todo:
            runner = _Folds(
                recipe, corpus, split, chosen, clips, labels, given, out, n_jobs, cache or FeatureCache(), progress
            )
            runner.run(todo)
        return run_folder.close(out, recipe, corpus, split, labels, chosen)


@dataclass
class _Folds:
    """The folds of one run that are still to be done."""

    recipe: Recipe
    corpus: Corpus
    split: Split
    chosen: Sequence[int]
    clips: pd.DataFrame
    labels: list[str]
    given: dict[str, np.ndarray] | None
    out: Path
    n_jobs: int
    cache: FeatureCache
    progress: Progress | None

    def run(self, todo: Sequence[int]) -> None:
        gets = split_rows.copies_of(self.corpus, self.recipe)
        rows = {k: self._with_copies(self.clips[self.clips["fold"] == k], gets) for k in todo}
        needed = pd.concat(rows.values()).drop_duplicates(COPY).sort_values(COPY)
        arrays = compute_features(
            self.corpus,
            requests(needed, seed=self.split.seed, **split_rows.how_copied(self.recipe)),
            self.recipe.front_end,
            cache=self.cache,
            n_jobs=self.n_jobs,
            progress=self.progress,
        )
        features = dict(zip(needed[COPY].itertuples(index=False, name=None), arrays, strict=True))
        self._report(todo[0])
        for k in todo:
            started = time.monotonic()
            table, history, choices = self._fold(k, rows[k], features)
            seconds = time.monotonic() - started
            run_folder.write_fold(self.out, k, table, history, seconds=seconds, choices=choices)
            self._report(k + 1)

    def _report(self, fold: int) -> None:
        if self.progress is not None:
            done = sum(run_folder.finished(self.out, k) for k in self.chosen)
            self.progress({"stage": "fold", "fold": fold, "done": done, "total": len(self.chosen)})

    def _with_copies(self, fold: pd.DataFrame, gets: pd.DataFrame) -> pd.DataFrame:
        """The rows of a fold with the recipe's augmented copies of its training clips behind them."""
        if self.recipe.augment is None or self.split.protocol == "augmented-random":
            return fold
        train = fold[split_rows.trains(fold, self.recipe)]
        copies = [train[gets[c].loc[train["row"]].to_numpy()].assign(copy=c) for c in gets]
        return pd.concat([fold, *copies], ignore_index=True)

    def _fold(
        self, k: int, rows: pd.DataFrame, features: dict[tuple[Any, ...], np.ndarray]
    ) -> tuple[pd.DataFrame, list[dict[str, Any]] | None, dict[str, Any] | None]:
        rows = rows.sort_values(COPY, kind="stable", ignore_index=True)
        arrays = [features[key] for key in rows[COPY].itertuples(index=False, name=None)]
        role = rows["role"].to_numpy()
        adjusts = _adjusts(self.recipe, self.split)
        if self.split.protocol == "speaker+enrolled" and not adjusts:
            voices = voice_names(rows).tolist()
            # Training voices by their own clips, test voices by what they enrolled with; copies are left out.
            known = np.flatnonzero((role != "test") & (rows["copy"] == 0))
            statistics = fitting.speaker_statistics([arrays[i] for i in known], [voices[i] for i in known])
            arrays = fitting.standardise(arrays, voices, statistics)

        def pick(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            chosen = np.flatnonzero(mask)
            X = fitting.as_input([arrays[i] for i in chosen], self.recipe.layout)
            return X, rows["emotion"].to_numpy(dtype=str)[chosen]

        held_out = self.recipe.validation.use != "none"
        trains = split_rows.trains(rows, self.recipe)
        pipeline = fitting.fit(
            fitting.make_pipeline(self.recipe, self.labels, seed=self.split.seed, n_jobs=self.n_jobs),
            *pick(trains),
            groups=split_rows.groups(rows[trains], by_speaker=self.split.by_speaker),
            known=split_rows.known(rows[trains], self.given),
            **split_rows.origin(rows[trains]),
            validation=pick(role == "validation") if held_out else None,
            validation_known=split_rows.known(rows[role == "validation"], self.given) if held_out else None,
            progress=_epochs(self.progress, k),
        )

        def answers(mask: np.ndarray) -> np.ndarray:
            return fitting.label_probabilities(pipeline, pick(mask)[0], self.labels)

        test = rows[role == "test"]
        probabilities = answers(role == "test")
        if adjusts:
            asked, enrolled = reference_rows(rows, self.recipe, self.given), role == "enrol"
            others = reference(answers(asked), voice_names(rows[asked]).tolist())
            probabilities = adjust_voices(
                probabilities, test, answers(enrolled), rows[enrolled], others, self.recipe.enrolment
            )
        could_be = split_rows.known(test, self.given)
        if could_be is not None:
            probabilities = fitting.restrict(probabilities, could_be)
        table = test[[*COPY, "fold", "emotion"]].assign(
            predicted=np.array(self.labels)[probabilities.argmax(1)],
            confidence=probabilities.max(1),
            **{f"p_{label}": probabilities[:, i] for i, label in enumerate(self.labels)},
        )
        model = pipeline.steps[-1][1]
        choices = getattr(getattr(model, "estimator_", model), "choices_", None)
        choices = getattr(model, "choices_", choices)
        return table.join(test[FACTS]), getattr(model, "history_", None), choices


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

    Where the recipe's ``[enrolment]`` has ``method = "answers"``, the validation speakers are also the reference that
    enrolled voices are compared with, heard by the fit that did not learn from them. As in :func:`run_evaluation`, a
    recipe without validation takes its training speakers, which is biased. A corpus without speakers, or of one alone,
    or none of whose parts gives every label, leaves no reference: that model does not enrol.

    Returns
    -------
    imblearn.pipeline.Pipeline
        Fitted; ``classes_`` are the corpus' labels, ``enrolment_`` is what a manifest says under ``enrolment``.
        :func:`serkit.training.export.export_bundle` makes a bundle of it.

    Raises
    ------
    TrainingError
        As :func:`run_evaluation`.
    """
    labels = fitting.corpus_labels(corpus)
    clips = corpus.table.assign(copy=0, role="train")
    if recipe.validation.use != "none":
        clips["role"] = _final_roles(corpus, seed)
    train = clips[clips["role"] == "train"]
    fitting.check_classes(recipe, train["emotion"].tolist(), labels, where=f"The corpus {corpus.name}")
    gets = split_rows.copies_of(corpus, recipe)
    # Copies of validation clips serve the second fit only.
    source = clips.assign(role=clips["role"].replace("validation", "validation copy"))
    copies = [source[gets[c]].assign(copy=c) for c in gets]
    clips = pd.concat([clips, *copies]).sort_values(COPY, ignore_index=True)
    with run_folder.disk(None):
        arrays = compute_features(
            corpus,
            requests(clips, seed=seed, **split_rows.how_copied(recipe)),
            recipe.front_end,
            cache=cache or FeatureCache(),
            n_jobs=n_jobs,
            progress=progress,
        )

    given = fitting.known_labels(clips["corpus"].tolist(), clips["emotion"].tolist(), labels)
    by_speaker = bool((corpus.table["speaker"] != "").all()) and corpus.table["speaker"].nunique() > 2

    def fit(*roles: str, validation: str | None = None) -> Pipeline:
        def pick(*roles: str) -> tuple[np.ndarray, np.ndarray]:
            chosen = np.flatnonzero(clips["role"].isin(roles))
            X = fitting.as_input([arrays[i] for i in chosen], recipe.layout)
            return X, clips["emotion"].to_numpy(dtype=str)[chosen]

        return fitting.fit(
            fitting.make_pipeline(recipe, labels, seed=seed, n_jobs=n_jobs),
            *pick(*roles),
            groups=split_rows.groups(clips[clips["role"].isin(roles)], by_speaker=by_speaker),
            known=split_rows.known(clips[clips["role"].isin(roles)], given),
            **split_rows.origin(clips[clips["role"].isin(roles)]),
            validation=pick(validation) if validation else None,
            validation_known=split_rows.known(clips[clips["role"] == validation], given) if validation else None,
            progress=_epochs(progress, None),
        )

    def enrolment(heard: Pipeline) -> dict[str, Any]:
        asked = reference_rows(clips, recipe, given)
        if recipe.enrolment.method != "answers" or not _has_voices(corpus) or not asked.any():
            return {}
        X = fitting.as_input([arrays[i] for i in np.flatnonzero(asked)], recipe.layout)
        means = reference(fitting.label_probabilities(heard, X, labels), voice_names(clips[asked]).tolist())
        settings = recipe.enrolment
        return {
            "weight": settings.weight,
            "seconds": settings.seconds,
            "reference": dict(zip(labels, means.tolist(), strict=True)),
        }

    first = fit("train", validation=None if recipe.validation.use == "none" else "validation")
    final = first
    if recipe.validation.use == "calibration":
        final = fit("train", "validation", "validation copy")
        final.steps[-1][1].temperature_ = first.steps[-1][1].temperature_
    final.enrolment_ = enrolment(first)
    return final


def _final_roles(corpus: Corpus, seed: int) -> pd.Series:
    table = corpus.table
    voices = voice_names(table)
    people = {
        str(voice): (min(rows["sex"]), frozenset(rows["emotion"])) for voice, rows in table.groupby(voices, sort=True)
    }
    if not _has_voices(corpus):
        fold = split_rows.joined(make_split(corpus, "random", seed=seed), corpus)
        fold = fold[fold["fold"] == 0].set_index("row")
        return fold["role"].where(fold["role"] == "validation", "train").reindex(table.index)
    chosen = validation_speakers(people, max(1, round(0.15 * len(people))), seed=seed, purpose="validation/final")
    if not chosen:
        raise TrainingError(
            f"The corpus {corpus.name} has no speaker to validate with who would not leave a class without training "
            'clips: add speakers, or set use = "none" in the recipe\'s [validation].'
        )
    return voices.isin(chosen).map({True: "validation", False: "train"})


def _has_voices(corpus: Corpus) -> bool:
    """Whether all clips have a speaker, and there are two or more."""
    return bool((corpus.table["speaker"] != "").all()) and voice_names(corpus.table).nunique() > 1


def _adjusts(recipe: Recipe, split: Split) -> bool:
    """Whether voices enrol and have their lean taken off their answers."""
    return split.protocol == "speaker+enrolled" and recipe.enrolment.method == "answers"


def _epochs(progress: Progress | None, fold: int | None) -> Progress | None:
    if progress is None:
        return None
    return lambda row: progress({**row, "stage": "fit", "fold": fold})
