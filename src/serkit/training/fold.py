"""One path through a fold, for evaluations and for final models: rows -> features -> pipeline -> fit -> answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit.errors import TrainingError
from serkit.models.calibrated_svm import calibration_folds
from serkit.models.classical import fit_temperature
from serkit.training import fitting, run_folder, split_rows
from serkit.training.adaptation import Reference
from serkit.training.clips import By, Clips
from serkit.training.familiarity import Distance
from serkit.training.feature_cache import FeatureCache, compute_features, requests
from serkit.training.tuned import embedded, tuned_blocks

if TYPE_CHECKING:
    import pandas as pd
    from imblearn.pipeline import Pipeline

    from serkit.corpora import Corpus
    from serkit.training.recipe import Recipe

__all__ = ["Progress", "Task", "choices_of", "load_clips"]

Progress = Callable[[dict[str, Any]], None]


def load_clips(
    rows: pd.DataFrame,
    corpus: Corpus,
    recipe: Recipe,
    *,
    seed: int,
    cache: FeatureCache | None = None,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> Clips:
    """Compute the features of `rows`, or read them from the cache; all training takes its features from here."""
    arrays = compute_features(
        corpus,
        requests(rows, seed=seed, **split_rows.copy_settings(recipe)),
        recipe.front_end,
        cache=cache or FeatureCache(),
        n_jobs=n_jobs,
        progress=progress,
        half=recipe.tuning is not None,
    )
    return Clips(rows, arrays)


@dataclass(frozen=True)
class Task:
    """What all fits of a run share.

    Attributes
    ----------
    recipe : Recipe
    labels : list of str
        Those of the corpus; the order of the answers.
    given : mapping or None
        Of :func:`serkit.training.fitting.known_labels`.
    seed : int
    by_speaker : bool
        Whether inner folds keep speakers apart, or only recordings.
    n_jobs : int
    progress : callable or None
        Called with ``{"stage": "fit", "fold", ...}``, as :func:`serkit.training.run.run_evaluation` says.
    run : Path or None
        The folder of the run, in which deep models keep each epoch of a fold that is not finished.
    """

    recipe: Recipe
    labels: list[str]
    given: Mapping[str, np.ndarray] | None
    seed: int
    by_speaker: bool
    n_jobs: int = 1
    progress: Progress | None = None
    run: Path | None = None

    def over(self, labels: Collection[str]) -> Task:
        """Return this task for a model that can learn these labels only."""
        if set(labels) >= set(self.labels):
            return self
        kept = np.array([label in labels for label in self.labels])
        given = None if self.given is None else {corpus: known[kept] for corpus, known in self.given.items()}
        return replace(self, labels=[label for label in self.labels if label in labels], given=given)

    def fit(self, train: Clips, validation: Clips | None = None, *, fold: int | None = None) -> Pipeline:
        """Fit the recipe's pipeline on `train`; the recipe says what `validation` is for.

        With ``[calibration]`` the temperature of its probabilities is that of models which have not learnt from the
        clips that they answer (:meth:`temperature`).

        The pipeline has the attributes ``tuned_``, None for a recipe without ``[encoder.tuning]``, and ``reference_``
        and ``distance_``, None for one without ``[adaptation]``.
        """
        temperature = 1.0 if self.recipe.calibration is None else self.temperature(train, validation, fold=fold)
        keep = None if self.run is None or fold is None else run_folder.epochs_folder(self.run, fold)
        pipeline = self._fit(train, validation, fold=fold, checkpoint=keep)
        if temperature != 1.0:
            pipeline.steps[-1][1].temperature_ *= temperature
        return pipeline

    def temperature(self, train: Clips, validation: Clips | None = None, *, fold: int | None = None) -> float:
        """Return the temperature that the answers to training clips ask for, each by a model that has not heard it.

        Raises
        ------
        TrainingError
            If a label has too few clips, or too few speakers or recordings, for two inner folds.
        """
        assert self.recipe.calibration is not None
        groups = split_rows.groups(train.rows, by_speaker=self.by_speaker)
        try:
            inner = calibration_folds(train.labels, groups, seed=self.seed, n_folds=self.recipe.calibration.folds)
        except ValueError as error:
            raise TrainingError(f"[calibration] cannot make its inner folds: {error}") from None
        found, truth, could = [], [], []
        for learns, held in inner:
            own = train.where(np.isin(np.arange(len(train)), learns))
            asked = train.where(np.isin(np.arange(len(train)), held)).originals()
            pipeline = self._fit(own, validation, fold=fold)
            found.append(self.answers(pipeline, asked))
            if (could_be := split_rows.known(asked.rows, self.given)) is not None:
                could.append(fitting.told_apart(could_be))
            truth += [self.labels.index(label) for label in asked.labels]
        return fit_temperature(np.concatenate(found), np.array(truth), np.concatenate(could) if could else None)

    def _fit(
        self, train: Clips, validation: Clips | None, *, fold: int | None, checkpoint: Path | None = None
    ) -> Pipeline:
        report = self._report(fold)
        report({"clips": len(train)})
        tuned = tuned_blocks(train, self.recipe, self.labels, self.given, seed=self.seed, progress=self.progress)
        train = embedded(train, tuned, self.progress)
        validation = None if validation is None else embedded(validation, tuned)
        reference = distance = None
        if self.recipe.adaptation is not None:
            reference = Reference.of(train, self.recipe.adaptation.prior)
            distance = Distance.of(train, reference, self.recipe.adaptation)
            train = reference.views(train, self.seed)
            validation = None if validation is None else reference.adapted(validation)
        if self.recipe.balance.kind == "oversample":
            train = train.evened(self.seed)
        rows = train.rows
        pipeline = fitting.fit(
            fitting.make_pipeline(self.recipe, self.labels, seed=self.seed, n_jobs=self.n_jobs),
            self.inputs(train),
            train.labels,
            groups=split_rows.groups(rows, by_speaker=self.by_speaker),
            known=split_rows.known(rows, self.given),
            **split_rows.origin(rows),
            validation=None if validation is None else (self.inputs(validation), validation.labels),
            validation_known=None if validation is None else split_rows.known(validation.rows, self.given),
            progress=report,
            checkpoint=checkpoint,
        )
        pipeline.tuned_, pipeline.reference_, pipeline.distance_ = tuned, reference, distance
        return pipeline

    def answers(
        self, pipeline: Pipeline, clips: Clips, *, enrolled: Clips | None = None, by: By = "voice"
    ) -> np.ndarray:
        """Return the probabilities of `clips`, float64 of shape (n, n_labels), in the order of the labels.

        With `enrolled`, a model that adapts answers each voice or place after hearing its clips among these.
        """
        clips = embedded(clips, pipeline.tuned_)
        enrolled = None if enrolled is None else embedded(enrolled, pipeline.tuned_)
        reference, distance = pipeline.reference_, pipeline.distance_
        if reference is None or not len(clips):
            return fitting.label_probabilities(pipeline, self.inputs(clips), self.labels)
        plain = reference.adapted(clips)
        adapted = plain if enrolled is None else reference.adapted(clips, enrolled, by)
        found = fitting.label_probabilities(pipeline, self.inputs(adapted), self.labels)
        softened: np.ndarray = distance.soften(found, np.stack(plain.arrays))
        return softened

    def inputs(self, clips: Clips) -> np.ndarray:
        """Return the features as the estimator takes them."""
        return fitting.as_input(clips.arrays, self.recipe.layout)

    def _report(self, fold: int | None) -> Progress:
        """Send what a fit reports, with the fold in which it is."""

        def send(row: dict[str, Any]) -> None:
            if self.progress is not None:
                self.progress({**row, "stage": "fit", "fold": fold})

        return send


def choices_of(model: Any) -> dict[str, Any] | None:
    """Return what a search or ``best_of`` chose, even if it is wrapped."""
    inner = getattr(model, "estimator_", model)
    return getattr(model, "choices_", getattr(inner, "choices_", None))
