"""Weighted mean and standard deviation of embeddings that come one by one."""

from __future__ import annotations

from datetime import date

import numpy as np

from serkit.bundle.manifest import Manifest
from serkit.recognition.profile import LEAST_DEVIATION, Profile

__all__ = ["Moments"]


class Moments:
    """Weighted mean and standard deviation of vectors, in constant memory.

    After West DHD (1979), Updating mean and variance estimates: an improved method, Communications of the ACM 22(9),
    532-535.

    Parameters
    ----------
    size : int
        Length of the vectors.

    Attributes
    ----------
    mean : np.ndarray, float64, shape=(size,)

    Examples
    --------
    >>> moments = Moments(1)
    >>> for value, weight in ((0.0, 1.0), (5.0, 4.0)):
    ...     moments.add(np.array([value]), weight)
    >>> float(moments.mean[0]), float(moments.deviation[0])
    (4.0, 2.0)
    """

    def __init__(self, size: int) -> None:
        self.mean = np.zeros(size)
        self._squares = np.zeros(size)
        self._weight = 0.0

    def add(self, vector: np.ndarray, weight: float = 1.0) -> None:
        """Count a vector with this weight, more than 0."""
        self._weight += weight
        off = vector - self.mean
        self.mean = self.mean + weight / self._weight * off
        self._squares = self._squares + weight * off * (vector - self.mean)

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation (divided by the sum of the weights), float64, shape=(size,)."""
        return np.asarray(np.sqrt(np.maximum(self._squares, 0) / max(self._weight, 1e-300)))

    def profile(self, kind: str, manifest: Manifest, *, utterances: int, seconds: float) -> Profile:
        """Return the profile of a voice or place that the model of `manifest` heard."""
        return Profile(
            kind=kind,
            model=manifest.name,
            version=manifest.version,
            model_sha256=manifest.files["model.onnx"],
            mean=self.mean,
            deviation=np.maximum(self.deviation, LEAST_DEVIATION),
            utterances=utterances,
            seconds=round(seconds, 3),
            created=date.today().isoformat(),
        )
