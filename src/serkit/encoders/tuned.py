"""The upper blocks of a Whisper encoder with weights of their own, over the frames of a lower block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from serkit.encoders.folder import Weights
from serkit.encoders.session import OneThread
from serkit.encoders.whisper import WhisperEncoder
from serkit.encoders.whisper_graph import blocks_graph
from serkit.errors import FeatureError

if TYPE_CHECKING:
    import onnx

    from serkit.encoders.layers import Precision

__all__ = ["TunedBlocks"]


class TunedBlocks(OneThread):
    """The blocks of a Whisper encoder above one that stays as it is: frames in, one vector out.

    Parameters
    ----------
    encoder : WhisperEncoder
        The lower part: one block, in the layout "frames".
    blocks : sequence of int
        The blocks whose output is taken, as for :class:`serkit.encoders.WhisperEncoder`; none below the one of
        `encoder`.
    precision : {"float32", "float16", "int8"}
    tensors : mapping of str to np.ndarray, optional
        Tensors that replace those of the folder, by their name in it, such as ``"layers.2.fc1.weight"``.

    Raises
    ------
    FeatureError
        If the blocks do not fit the encoder.

    See Also
    --------
    serkit.models.tuning.tune : learns the tensors.
    """

    def __init__(
        self,
        encoder: WhisperEncoder,
        *,
        blocks: Sequence[int],
        precision: Precision = "float32",
        tensors: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        super().__init__()
        (self.first,) = encoder.blocks
        self.blocks, self.precision = tuple(blocks), precision
        if encoder.layout != "frames" or min(self.blocks) < self.first or not self.first < max(self.blocks):
            raise FeatureError(
                f"Blocks {', '.join(map(str, self.blocks))} cannot be computed from the {encoder.layout} of block "
                f"{self.first}: give an encoder of one block below the last, with the layout 'frames'."
            )
        self.encoder = encoder
        self.tensors = {name: np.asarray(value, dtype=np.float32) for name, value in (tensors or {}).items()}

    @property
    def size(self) -> int:
        """Length of the vector: a mean and a deviation for each row of each block."""
        return 2 * self.encoder.width * len(self.blocks)

    def weight(self, name: str, *shape: int) -> np.ndarray:
        """Return a tensor, float32: a replaced one, or that of the encoder's folder."""
        if name not in self.tensors:
            return self._folder()(name, *shape)
        found = self.tensors[name]
        if found.shape != shape:
            raise FeatureError(f"The tensor {name} has the shape {found.shape}, the encoder needs {shape}.")
        return found

    def graph(self) -> onnx.ModelProto:
        """Return the blocks as an ONNX graph: ``frames`` (1, width, frames) float32 -> ``features`` (1, n)."""
        return blocks_graph(
            self.weight,
            width=self.encoder.width,
            heads=self.encoder.heads,
            n_hidden=self.encoder.n_hidden,
            first=self.first,
            blocks=self.blocks,
            precision=self.precision,
        )

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Compute the vector of a clip.

        Parameters
        ----------
        frames : np.ndarray [shape=(width, frames)]
            What the encoder gives.

        Returns
        -------
        np.ndarray [shape=(size,)], float32
        """
        (found,) = self._session().run(["features"], {"frames": np.asarray(frames, dtype=np.float32)[np.newaxis]})
        values: np.ndarray = found[0]
        return values

    def _folder(self) -> Weights:
        return Weights(self.encoder.folder, ("model.encoder.", "encoder.", ""))
