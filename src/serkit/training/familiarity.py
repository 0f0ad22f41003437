"""How far a clip is from everything heard in training: a distance in the embedding, and what is a usual one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import eigh

from serkit.models.classical import scale_probabilities
from serkit.training.adaptation import Reference
from serkit.training.clips import Clips, group_names

if TYPE_CHECKING:
    from serkit.training.recipe import Adaptation

__all__ = ["Distance", "familiarity"]

#: Clips whose distance is larger than that of all but this part of the clips of unheard corpora are unfamiliar.
UNFAMILIAR = 0.1

_FOLDS = 5
_USUAL = 1.0  # distance of training clips; see Distance


@dataclass(frozen=True)
class Distance:
    """A distance from the training clips: the root mean square over directions, each in units of its deviation.

    It is the Mahalanobis distance in the principal components, with one class (Lee et al., 2018, "A simple unified
    framework for detecting out-of-distribution samples and adversarial attacks"), divided by the root of their number:
    about 1 for training clips.

    Answers for clips farther away than that are softened by a temperature, 1 + `caution` * (distance - 1), because a
    model errs more there than its probabilities say.

    Attributes
    ----------
    axes : np.ndarray [shape=(d, k)], float32
        Principal directions of standardised training clips, each divided by its deviation; rounded to float16, as in a
        bundle.
    centre : np.ndarray [shape=(k,)], float32
        Mean of the training clips along them.
    caution : float
        What a unit of distance adds to the temperature.
    """

    axes: np.ndarray
    centre: np.ndarray
    caution: float

    @classmethod
    def of(cls, clips: Clips, usual: Reference, settings: Adaptation) -> Distance:
        """Measure training clips, of which altered copies are left out; places count alike."""
        own = usual.adapted(clips.originals())
        Z, places = np.stack(own.arrays), group_names(own.rows, "place")
        counts = dict(zip(*np.unique(places, return_counts=True), strict=True))
        weights = np.array([1 / counts[place] for place in places])
        weights /= weights.sum()
        mean = weights @ Z
        centred = ((Z - mean) * np.sqrt(weights)[:, None]).astype(np.float32)
        size = Z.shape[1]
        values, vectors = eigh(centred.T @ centred, subset_by_index=(max(0, size - settings.directions), size - 1))
        kept = values > 1e-3 * values[-1]
        axes = (vectors[:, kept] / np.sqrt(values[kept])).astype(np.float16).astype(np.float32)
        return cls(axes, np.asarray(mean @ axes, dtype=np.float32), settings.caution)

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        """Return the distance of standardised clips ``Z`` (n, d), shape (n,)."""
        return np.asarray(np.sqrt(np.mean(np.square(Z @ self.axes - self.centre), axis=1)))

    def soften(self, probabilities: np.ndarray, Z: np.ndarray) -> np.ndarray:
        """Return the probabilities (n, n_labels) of the clips ``Z`` (n, d), softened by how far these are."""
        temperature = 1 + self.caution * np.maximum(self(Z) - _USUAL, 0)
        return scale_probabilities(probabilities, temperature[:, None])


def familiarity(clips: Clips, settings: Adaptation) -> dict[str, Any]:
    """Return the manifest's ``familiarity`` for a model trained on `clips`.

    Its percentiles are those of clips that took no part in the distance: of each corpus in turn, measured by the
    others, corpora counting alike; of a fifth of the voices in turn, where there is one corpus.
    """
    own = clips.originals()
    places = group_names(own.rows, "place")
    if len(set(places)) > 1:
        parts = places
    else:
        voices = sorted(set(group_names(own.rows, "voice")))
        fold = {voice: str(k % _FOLDS) for k, voice in enumerate(voices)}
        parts = np.array([fold[voice] for voice in group_names(own.rows, "voice")])
    if len(set(parts)) < 2:
        return {}
    percentiles = []
    for part in sorted(set(parts)):
        rest, left = own.where(parts != part), own.where(parts == part)
        usual = Reference.of(rest, settings.prior)
        distance = Distance.of(rest, usual, settings)
        percentiles.append(distance(np.stack(usual.adapted(left).arrays)))
    grid = np.concatenate([np.percentile(found, np.arange(0.5, 100)) for found in percentiles])
    return {
        "distances": [round(float(value), 5) for value in np.percentile(grid, np.arange(101))],
        "unfamiliar": UNFAMILIAR,
    }
