"""Enrolment by answers on the learn road: how voices sound to a model on the whole, and test voices with theirs off.

Which voices are the reference is the same for an evaluation and for a bundle, so that a bundle does what was measured.
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

__all__ = ["adjust_voices", "reference", "reference_rows", "voice_names"]


def reference_rows(rows: pd.DataFrame, recipe: Recipe, given: Mapping[str, np.ndarray] | None) -> np.ndarray:
    """Tell which rows say how voices sound to the model on the whole.

    They are the validation clips: of speakers that the model did not learn from. A recipe without validation has only
    its training clips to offer, whose answers are surer than those for any new voice; that reference is biased.

    Parameters
    ----------
    rows : DataFrame
        With the columns role, copy, corpus, speaker; augmented copies are left out.
    recipe : Recipe
    given : mapping or None
        Of :func:`serkit.training.fitting.known_labels`: voices of a corpus that lacks labels are left out, because what
        they would say with those labels is not known.

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
        Whose; each voice counts the same, however many clips it has.

    Returns
    -------
    np.ndarray, float64, shape=(n_labels,)
    """
    names = np.asarray(voices, dtype=object)
    return np.mean([voice_mean(probabilities[names == name]) for name in sorted(set(voices))], axis=0)


def adjust_voices(
    probabilities: np.ndarray,
    rows: pd.DataFrame,
    enrolled: np.ndarray,
    enrolled_rows: pd.DataFrame,
    reference: np.ndarray,
    settings: Enrolment,
) -> np.ndarray:
    """Take each voice's lean off its answers.

    Parameters
    ----------
    probabilities : np.ndarray, shape=(n, n_labels)
        To adjust, of the clips of `rows`.
    enrolled : np.ndarray, shape=(m, n_labels)
        Answers for the clips of `enrolled_rows`, with which the voices enrolled.
    reference : np.ndarray, shape=(n_labels,)
    settings : Enrolment
        Of the recipe.

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
            raise TrainingError(f"The speaker {voice!r} has no enrolment clips, and 'speaker+enrolled' needs some.")
        result[voices == voice] = adjust(
            probabilities[voices == voice],
            voice_mean(enrolled[own]),
            reference,
            seconds=float(seconds[own].sum()),
            weight=settings.weight,
            half=settings.seconds,
        )
    return result
