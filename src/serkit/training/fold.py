"""One path through a fold, for evaluations and for final models: rows -> features -> pipeline -> fit -> answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from serkit.corpora.columns import COPY
from serkit.training import fitting, split_rows
from serkit.training.feature_cache import FeatureCache, compute_features, requests
from serkit.training.voice_adjustment import reference, reference_rows, voice_names

if TYPE_CHECKING:
    from imblearn.pipeline import Pipeline

    from serkit.corpora import Corpus
    from serkit.training.recipe import Recipe

__all__ = ["Clips", "Progress", "Task", "choices_of", "load_clips"]

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Clips:
    """Clips with their features.

    Attributes
    ----------
    rows : DataFrame
        A row a clip or altered copy, as :func:`serkit.training.split_rows.joined` gives them, with the index 0 to
        n - 1.
    arrays : list of np.ndarray
        The features of each row.
    """

    rows: pd.DataFrame
    arrays: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> np.ndarray:
        """The true label of each row, shape (n,)."""
        return self.rows["emotion"].to_numpy(dtype=str)

    def where(self, mask: np.ndarray) -> Clips:
        """Return the rows for which the boolean array `mask` (n,) is true."""
        arrays = [self.arrays[i] for i in np.flatnonzero(mask)]
        return Clips(self.rows[mask].reset_index(drop=True), arrays)

    def with_role(self, *roles: str) -> Clips:
        """Return the rows that have one of these roles."""
        return self.where(self.rows["role"].isin(roles).to_numpy())

    def matching(self, rows: pd.DataFrame) -> Clips:
        """Return these clips for `rows`, which name them by path, start, end and copy."""
        found = dict(zip(self.rows[COPY].itertuples(index=False, name=None), self.arrays, strict=True))
        return Clips(rows, [found[key] for key in rows[COPY].itertuples(index=False, name=None)])

    def standardised(self) -> Clips:
        """Return these clips, standardised voice by voice.

        Training voices are measured on their own clips, test voices on those that they enrolled with; copies are left
        out.
        """
        voices = voice_names(self.rows).tolist()
        known = np.flatnonzero(((self.rows["role"] != "test") & (self.rows["copy"] == 0)).to_numpy())
        statistics = fitting.speaker_statistics([self.arrays[i] for i in known], [voices[i] for i in known])
        return Clips(self.rows, fitting.standardise(self.arrays, voices, statistics))


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
    """

    recipe: Recipe
    labels: list[str]
    given: Mapping[str, np.ndarray] | None
    seed: int
    by_speaker: bool
    n_jobs: int = 1
    progress: Progress | None = None

    def over(self, labels: Collection[str]) -> Task:
        """Return this task for a model that can learn these labels only."""
        if set(labels) >= set(self.labels):
            return self
        kept = np.array([label in labels for label in self.labels])
        given = None if self.given is None else {corpus: known[kept] for corpus, known in self.given.items()}
        return replace(self, labels=[label for label in self.labels if label in labels], given=given)

    def fit(self, train: Clips, validation: Clips | None = None, *, fold: int | None = None) -> Pipeline:
        """Fit the recipe's pipeline on `train`; the recipe says what `validation` is for."""
        report = self._report(fold)
        report({"clips": len(train)})
        rows = train.rows
        return fitting.fit(
            fitting.make_pipeline(self.recipe, self.labels, seed=self.seed, n_jobs=self.n_jobs),
            self.inputs(train),
            train.labels,
            groups=split_rows.groups(rows, by_speaker=self.by_speaker),
            known=split_rows.known(rows, self.given),
            **split_rows.origin(rows),
            validation=None if validation is None else (self.inputs(validation), validation.labels),
            validation_known=None if validation is None else split_rows.known(validation.rows, self.given),
            progress=report,
        )

    def answers(self, pipeline: Pipeline, clips: Clips) -> np.ndarray:
        """Return the probabilities of `clips`, float64 of shape (n, n_labels), in the order of the labels."""
        return fitting.label_probabilities(pipeline, self.inputs(clips), self.labels)

    def inputs(self, clips: Clips) -> np.ndarray:
        """Return the features as the estimator takes them."""
        return fitting.as_input(clips.arrays, self.recipe.layout)

    def reference(self, pipeline: Pipeline, clips: Clips) -> np.ndarray | None:
        """Return the mean log-probabilities, shape (n_labels,), that the voices of `clips` are compared with.

        None if there is no such clip (:func:`serkit.training.voice_adjustment.reference_rows`).
        """
        asked = clips.where(reference_rows(clips.rows, self.recipe, self.given))
        if not len(asked):
            return None
        return reference(self.answers(pipeline, asked), voice_names(asked.rows).tolist())

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
