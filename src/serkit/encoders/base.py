"""What the front ends of all families of encoders share: their settings, their key, and how they answer."""

from __future__ import annotations

import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from serkit.audio.waveform import Waveform, resample
from serkit.encoders.folder import CONFIG, WEIGHTS, find_encoder, read_config, weights_hash
from serkit.encoders.session import OneThread
from serkit.errors import FeatureError

if TYPE_CHECKING:
    import onnx

    from serkit.encoders.layers import Precision

__all__ = ["Encoder", "natural"]

_PRECISIONS = ("float32", "float16", "int8")
_LAYOUTS = ("mean_std", "frames")


class Encoder(OneThread):
    """The lower blocks of a pretrained encoder: a waveform in, one array out.

    Values are those of the ONNX graph, which is also in bundles: a model is trained on exactly what it receives later.
    Each family of models is a subclass; :func:`serkit.encoders.read_encoder` picks the right one for a folder.

    Parameters
    ----------
    folder : str or path
        A folder in Hugging Face's layout, or the name of one; see :func:`serkit.encoders.find_encoder`.
    blocks : sequence of int
        The blocks whose output is taken, counted from 1. Blocks above the last of these are left out.
    layout : {"mean_std", "frames"}
        "mean_std": shape (n,); for each block the means over time of its rows, then their standard deviations.
        "frames": shape (rows, frames), block after block, about 50 frames a second.
    precision : {"float32", "float16", "int8"}
        How weights are stored; int8 products are also computed in int8.

    Attributes
    ----------
    folder : Path
    family : str
        The model type of ``config.json``.
    width : int
        Values that each block gives for a frame.
    n_blocks : int
        Blocks of the whole encoder.
    blocks, layout, precision
        As given.

    Raises
    ------
    FeatureError
        If the folder is not one of this family, is damaged, or has no such block.
    MissingExtraError
        If a package of the extras ``train`` or ``encoders`` is missing.

    See Also
    --------
    serkit.features.Extractor : Acoustic features, with the same protocol.
    """

    #: The model types of ``config.json`` that the class reads.
    families: ClassVar[tuple[str, ...]]
    #: The files that it reads.
    files: ClassVar[tuple[str, ...]] = (CONFIG, WEIGHTS)
    #: The family in an error message.
    title: ClassVar[str]
    #: Hz.
    sample_rate: int = 16000
    #: The shortest clip, s.
    min_seconds: float = 0.1

    width: int
    n_blocks: int

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        blocks: Sequence[int],
        layout: Literal["mean_std", "frames"] = "mean_std",
        precision: Precision = "float32",
    ) -> None:
        self.folder: Path = find_encoder(folder)
        config = read_config(self.folder)
        self.family: str = config.get("model_type", "")
        if self.family not in self.families:
            raise FeatureError(
                f"{self.folder} holds a model of type {config.get('model_type')!r}, "
                f"expected {natural(map(repr, self.families))}."
            )
        try:
            self._read(config)
        except (KeyError, TypeError, ValueError) as error:
            raise FeatureError(f"config.json of {self.folder} lacks a size or has a wrong one: {error}.") from None
        self.blocks = tuple(blocks)
        wrong = [k for k in self.blocks if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= self.n_blocks]
        if wrong or not self.blocks or list(self.blocks) != sorted(set(self.blocks)):
            raise FeatureError(
                f"blocks must be numbers from 1 to {self.n_blocks} in rising order, each once, got {list(blocks)}."
            )
        if layout not in _LAYOUTS:
            raise FeatureError(f"layout must be one of {', '.join(_LAYOUTS)}, got {layout!r}.")
        if precision not in _PRECISIONS:
            raise FeatureError(f"precision must be one of {', '.join(_PRECISIONS)}, got {precision!r}.")
        self.layout, self.precision = layout, precision
        super().__init__()

    @abstractmethod
    def _read(self, config: dict[str, Any]) -> None:
        """Take sizes and settings from `config`: KeyError, TypeError or ValueError if one is missing or wrong."""

    @abstractmethod
    def graph(self) -> onnx.ModelProto:
        """Return the encoder as an ONNX graph: ``waveform`` (1, n) float32 -> ``features``.

        ``features`` are (1, n) for the layout "mean_std", (1, rows, frames) for "frames".

        Raises
        ------
        FeatureError
            If the weights are damaged or belong to another ``config.json``, or the graph would have more than 2 GB.
        """

    @property
    @abstractmethod
    def max_seconds(self) -> float:
        """The longest clip, s."""

    @property
    @abstractmethod
    def _way(self) -> Mapping[str, Any]:
        """What the values depend on besides :meth:`to_dict`, ready for JSON."""

    def _impossible(self) -> FeatureError:
        return FeatureError(f"config.json of {self.folder} has impossible sizes: fetch the encoder again.")

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of a clip's array; None for a size that depends on the clip."""
        rows = self.width * len(self.blocks)
        return (2 * rows,) if self.layout == "mean_std" else (rows, None)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings, ready for JSON; the folder is named by the hash of its weights."""
        return {
            "family": self.family,
            "weights": weights_hash(self.folder),
            "blocks": list(self.blocks),
            "layout": self.layout,
            "precision": self.precision,
        }

    @cached_property
    def key(self) -> str:
        """Sixteen hex digits that differ whenever a setting, the weights or the way of computing differ."""
        text = json.dumps({**self._way, **self.to_dict()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __call__(self, wave: Waveform) -> np.ndarray:
        """Compute the features of a clip.

        Parameters
        ----------
        wave : Waveform
            At any rate, from :attr:`min_seconds` to :attr:`max_seconds`.

        Returns
        -------
        np.ndarray [float32]
            Of :attr:`shape`.

        Raises
        ------
        FeatureError
            If the clip is too short or too long, or a value is not finite.
        """
        if not self.min_seconds <= wave.duration <= self.max_seconds:
            raise FeatureError(
                f"The clip lasts {wave.duration:.3f} s; {self.title} takes {self.min_seconds:g} to "
                f"{self.max_seconds:g} s."
            )
        samples = resample(wave, self.sample_rate).samples[np.newaxis]
        (found,) = self._session().run(["features"], {"waveform": samples})
        values: np.ndarray = np.ascontiguousarray(found[0], dtype=np.float32)
        if not np.isfinite(values).all():
            raise FeatureError(f"The encoder gives values that are not finite for this clip of {wave.duration:.3f} s.")
        return values


def natural(names: Iterable[str], word: str = "or") -> str:
    """Names joined as in a sentence.

    Examples
    --------
    >>> natural(["a"]), natural(["a", "b", "c"]), natural(["a", "b"], "and")
    ('a', 'a, b or c', 'a and b')
    """
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last
