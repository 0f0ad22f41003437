"""How far a clip is from everything heard in training: a distance in the embedding, and what is a usual one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from serkit.training.adaptation import Reference
from serkit.training.clips import Clips, group_names

__all__ = ["Distance", "familiarity"]

#: Directions in which training clips differ most, along which distance is measured.
DIRECTIONS = 64

#: Clips whose distance is larger than that of all but this part of the clips of unheard corpora are unfamiliar.
UNFAMILIAR = 0.02

_FOLDS = 5


@dataclass(frozen=True)
class Distance:
    """A distance from the training clips: the root mean square over directions, each in units of its deviation.

    It is the Mahalanobis distance in the principal components, with one class (Lee et al., 2018, "A simple unified
    framework for detecting out-of-distribution samples and adversarial attacks"), divided by the root of their number:
    about 1 for training clips.

    Attributes
    ----------
    axes : np.ndarray [shape=(d, k)], float32
        Principal directions of standardised training clips, each divided by its deviation; rounded to float16, as in a
        bundle.
    centre : np.ndarray [shape=(k,)], float32
        Mean of the training clips along them.
    """

    axes: np.ndarray
    centre: np.ndarray

    @classmethod
    def of(cls, Z: np.ndarray, places: np.ndarray) -> Distance:
        """Measure standardised training clips ``Z`` (n, d); their places (n,) count alike."""
        counts = dict(zip(*np.unique(places, return_counts=True), strict=True))
        weights = np.array([1 / counts[place] for place in places])
        weights /= weights.sum()
        mean = weights @ Z
        centred = (Z - mean) * np.sqrt(weights)[:, None]
        values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        kept = [k for k in range(len(values) - 1, -1, -1) if values[k] > 1e-9 * values[-1]][:DIRECTIONS]
        axes = (vectors[:, kept] / np.sqrt(values[kept])).astype(np.float16).astype(np.float32)
        return cls(axes, np.asarray(mean @ axes, dtype=np.float32))

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        """Return the distance of standardised clips ``Z`` (n, d), shape (n,)."""
        return np.asarray(np.sqrt(np.mean(np.square(Z @ self.axes - self.centre), axis=1)))


def familiarity(clips: Clips, prior: float) -> dict[str, Any]:
    """Return the manifest's ``familiarity`` for a model trained on `clips`.

    Its percentiles are those of clips that took no part in the distance: of each corpus in turn, measured by the
    others, corpora counting alike; of a fifth of the voices in turn, where there is one corpus.
    """
    own = clips.where((clips.rows["copy"] == 0).to_numpy())
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
        usual = Reference.of(rest, prior)
        distance = Distance.of(np.stack(usual.adapted(rest).arrays), group_names(rest.rows, "place"))
        percentiles.append(distance(np.stack(usual.adapted(left).arrays)))
    grid = np.concatenate([np.percentile(found, np.arange(0.5, 100)) for found in percentiles])
    return {
        "distances": [round(float(value), 5) for value in np.percentile(grid, np.arange(101))],
        "unfamiliar": UNFAMILIAR,
    }
