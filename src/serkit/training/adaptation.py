"""Adaptation without labels: clips as they are, and as they are for a voice or a place that was heard before.

A model that adapts learns each training clip several times: standardised by what is usual over all corpora, by the
clips of its own voice, and by those of its own place (its corpus). The same weights then serve a stranger and a voice
or a place of which some unlabelled clips are known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from serkit.errors import TrainingError
from serkit.training.clips import By, Clips, group_names

__all__ = ["ADAPTED", "Reference"]

#: Protocol -> what its unlabelled clips, of the role ``enrol``, have in common with the test clips.
ADAPTED: dict[str, By] = {"speaker+enrolled": "voice", "corpus+adapted": "place", "cross-corpus+adapted": "place"}

#: Labels that the clips of a voice need, at least: a voice heard in one mood or two has that mood as its usual one.
_LABELS = 3

#: Clips of a voice that its view is measured on, about as many as 30 s hold.
_ENROLLED = 8


@dataclass(frozen=True)
class Reference:
    """What is usual for an embedding: its mean, its deviation within a voice, and how many clips outweigh them.

    Attributes
    ----------
    mean, deviation : np.ndarray [shape=(d,)], float64
        The mean over corpora of their means; the root of the mean over corpora of the mean variance within a voice.
    prior : float
        Clips that the two count for: after that many, the statistics of a voice or a place have half of the weight.

    See Also
    --------
    serkit.training.adaptive_graph.adaptive_graph : the same arithmetic as an ONNX graph.
    """

    mean: np.ndarray
    deviation: np.ndarray
    prior: float

    @classmethod
    def of(cls, clips: Clips, prior: float) -> Reference:
        """Measure the training clips; altered copies are left out."""
        own = clips.originals()
        X = np.stack(own.arrays).astype(np.float64)
        places, voices = group_names(own.rows, "place"), group_names(own.rows, "voice")
        means, variances = [], []
        for place in sorted(set(places)):
            here = places == place
            means.append(X[here].mean(axis=0))
            variances.append(np.mean([X[voices == voice].var(axis=0) for voice in sorted(set(voices[here]))], axis=0))
        deviation = np.sqrt(np.mean(variances, axis=0))
        return cls(np.mean(means, axis=0), np.where(deviation > 0, deviation, 1.0), prior)

    def standardise(self, X: np.ndarray, heard: np.ndarray | None = None) -> np.ndarray:
        """Standardise clips, by the usual alone or by clips `heard` of the same voice or place too.

        Parameters
        ----------
        X : np.ndarray [shape=(n, d)]
        heard : np.ndarray [shape=(m, d)], optional
            Unlabelled clips.

        Returns
        -------
        np.ndarray [shape=(n, d)], float32

        Examples
        --------
        One clip heard, which counts as much as the reference:

        >>> usual, clip = Reference(np.zeros(1), np.ones(1), prior=1.0), np.array([[2.0]])
        >>> usual.standardise(clip).item(), round(usual.standardise(clip, clip).item(), 3)
        (2.0, 1.414)
        """
        mean, variance = self.mean, np.square(self.deviation)
        if heard is not None and len(heard):
            own = np.asarray(heard, dtype=np.float64)
            weight = len(own) / (len(own) + self.prior)
            mean = weight * own.mean(axis=0) + (1 - weight) * mean
            variance = weight * own.var(axis=0) + (1 - weight) * variance
        return np.asarray((X - mean) / np.sqrt(variance), dtype=np.float32)

    def adapted(self, clips: Clips, enrolled: Clips | None = None, by: By = "voice") -> Clips:
        """Return `clips` standardised, each voice or place by its `enrolled` clips; without these, as strangers.

        Raises
        ------
        TrainingError
            If a voice or a place has no enrolled clip.
        """
        X = np.stack(clips.arrays)
        if enrolled is None:
            return clips.with_arrays(self.standardise(X))
        names, theirs = group_names(clips.rows, by), group_names(enrolled.rows, by)
        result = np.empty(X.shape, np.float32)
        for name in sorted(set(names.tolist())):
            heard = [enrolled.arrays[i] for i in np.flatnonzero(theirs == name)]
            if not heard:
                raise TrainingError(f"The {by} {name!r} has no clips to adapt to, which this protocol needs.")
            result[names == name] = self.standardise(X[names == name], np.stack(heard))
        return clips.with_arrays(result)

    def views(self, clips: Clips, seed: int) -> Clips:
        """Return training clips in each way in which the model will meet clips.

        As a stranger's; by eight clips of their own voice, drawn by `seed`, if it is heard with at least three labels;
        by all of their own place. Altered copies are a stranger's only.
        """
        own = clips.originals()
        voices, labels = group_names(own.rows, "voice"), own.labels
        varied = [voice for voice in sorted(set(voices)) if len(set(labels[voices == voice])) >= _LABELS]
        spoken = own.where(np.isin(voices, varied))
        parts = [self.adapted(clips), self.adapted(own, own, "place")]
        if len(spoken):
            parts.append(self.adapted(spoken, spoken.where(_some(spoken, seed)), "voice"))
        rows = pd.concat([part.rows for part in parts], ignore_index=True)
        return Clips(rows, [array for part in parts for array in part.arrays])


def _some(clips: Clips, seed: int) -> np.ndarray:
    """Draw as many clips of each voice as an enrolment holds: bool of shape (n,)."""
    drawn = np.random.default_rng(seed).permutation(len(clips))
    turn = pd.Series(drawn).groupby(group_names(clips.rows, "voice")[drawn]).cumcount()
    found = np.zeros(len(clips), dtype=bool)
    found[drawn[turn < _ENROLLED]] = True
    return found
