"""Enrolment by answers in training: the reference of other voices, and answers corrected for each test voice.

Evaluations and bundles use the same reference voices, so a bundle does what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from serkit.corpora.table import voice_names
from serkit.errors import TrainingError
from serkit.recognition.profile import adjust, voice_mean

if TYPE_CHECKING:
    from serkit.training.recipe import Enrolment, Recipe

__all__ = ["adjust_answers", "reference", "reference_rows", "voice_names"]


def reference_rows(rows: pd.DataFrame, recipe: Recipe, given: Mapping[str, np.ndarray] | None) -> np.ndarray:
    """Return which rows are the reference of other voices.

    They are the validation clips, of speakers that are not in training. A recipe without validation has only its
    training clips, whose answers are more confident than those for any new voice, so that reference is biased.

    Parameters
    ----------
    rows : DataFrame
        With the columns role, copy, corpus, speaker; augmented copies are left out.
    recipe : Recipe
    given : mapping or None
        From :func:`serkit.training.fitting.known_labels`. Voices of a corpus that lacks labels are left out, because
        their answers for those labels are unknown.

    Returns
    -------
    np.ndarray of bool, shape=(n,)
    """
    roles = ["validation"] if recipe.validation.use != "none" else ["train", "validation"]
    found = rows["role"].isin(roles) & (rows["copy"] == 0)
    if given is not None:
        found &= rows["corpus"].map({corpus: bool(labels.all()) for corpus, labels in given.items()})
    return found.to_numpy(dtype=bool)


def reference(probabilities: np.ndarray, voices: Sequence[str]) -> np.ndarray:
    """Return the mean over voices of each voice's mean log-probability.

    Parameters
    ----------
    probabilities : np.ndarray, shape=(n, n_labels)
        Answers of the model.
    voices : sequence of str
        The voice of each answer. Each voice has the same weight, however many clips it has.

    Returns
    -------
    np.ndarray, float64, shape=(n_labels,)
    """
    names = np.asarray(voices, dtype=object)
    return np.mean([voice_mean(probabilities[names == name]) for name in sorted(set(voices))], axis=0)


def adjust_answers(
    probabilities: np.ndarray,
    rows: pd.DataFrame,
    enrolled: np.ndarray,
    enrolled_rows: pd.DataFrame,
    reference: np.ndarray,
    settings: Enrolment,
) -> np.ndarray:
    """Correct the answers of each voice for the model's bias towards it.

    Parameters
    ----------
    probabilities : np.ndarray, shape=(n, n_labels)
        Answers to correct, for the clips of `rows`.
    enrolled : np.ndarray, shape=(m, n_labels)
        Answers for the enrolment clips, `enrolled_rows`.
    reference : np.ndarray, shape=(n_labels,)
    settings : Enrolment
        Settings of the recipe.

    Returns
    -------
    np.ndarray, float64, shape=(n, n_labels)

    Raises
    ------
    TrainingError
        If a voice has no clip to enrol with.
    """
    result = np.empty(probabilities.shape)
    voices, theirs = voice_names(rows).to_numpy(), voice_names(enrolled_rows).to_numpy()
    seconds = (enrolled_rows["end"] - enrolled_rows["start"]).to_numpy()
    for voice in sorted(set(voices)):
        own = theirs == voice
        if not own.any():
            raise TrainingError(f"The speaker {voice!r} has no enrolment clips, which 'speaker+enrolled' needs.")
        result[voices == voice] = adjust(
            probabilities[voices == voice],
            voice_mean(enrolled[own]),
            reference,
            seconds=float(seconds[own].sum()),
            weight=settings.weight,
            half=settings.seconds,
        )
    return result
