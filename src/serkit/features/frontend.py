"""What every front end is to recipes, cache, models and bundles: a waveform in, one array out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from serkit.audio.waveform import Waveform

if TYPE_CHECKING:
    import onnx

__all__ = ["FrontEnd"]


class FrontEnd(Protocol):
    """Turns a clip into one array, always in the same way.

    Attributes
    ----------
    key : str
        Differs whenever the values may differ: the cache stores arrays under it.
    sample_rate : int
        Hz; clips of other rates are resampled.
    layout : str
        ``"mean_std"`` or ``"flat"`` for vectors, ``"frames"`` for (rows, frames).
    shape : tuple of int or None
        Shape of what a clip gives; None for a number that depends on the clip.

    See Also
    --------
    serkit.features.Extractor : acoustic features.
    """

    @property
    def key(self) -> str: ...

    @property
    def sample_rate(self) -> int: ...

    @property
    def layout(self) -> str: ...

    @property
    def shape(self) -> tuple[int | None, ...]: ...

    def __call__(self, wave: Waveform) -> np.ndarray:
        """Compute the features of a clip: float32, of :attr:`shape`."""
        ...

    def to_dict(self) -> Mapping[str, Any]:
        """Return all settings, ready for JSON."""
        ...

    def graph(self) -> onnx.ModelProto:
        """Return the same computation as an ONNX graph of standard operators, ``waveform`` -> ``features``."""
        ...
