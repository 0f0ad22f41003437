"""The encoder of a model that ships as a front end: its embedding, for small models of one's own."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit.audio import Waveform, resample
from serkit.errors import BundleError, FeatureError, RecipeError
from serkit.recognition.graph import Graph, shipped_encoder

if TYPE_CHECKING:
    import onnx

__all__ = ["ShippedEncoder"]


class ShippedEncoder:
    """The frozen part of a shipped model, from a waveform to the embedding; a front end like the others.

    Parameters
    ----------
    model : str
        Name of the model, such as ``"default"``.
    sha256 : str
        Of its graph: another version gives other embeddings.

    Raises
    ------
    RecipeError
        If this serkit does not ship that model in that version.

    See Also
    --------
    serkit.encoders.read_encoder : An encoder from a folder.

    Examples
    --------
    >>> from serkit.bundle import read_bundle
    >>> encoder = ShippedEncoder("fast", read_bundle("fast").manifest.files["model.onnx"])
    >>> encoder.sample_rate, encoder.shape
    (16000, (1536,))
    """

    layout = "mean_std"

    def __init__(self, model: str, sha256: str) -> None:
        self.model, self.sha256 = model, sha256
        try:
            self._graph: Graph = shipped_encoder({"model": model, "sha256": sha256}, "The recipe")
        except BundleError as error:
            raise RecipeError(str(error)) from None
        self.sample_rate = self._graph.sample_rate
        self.shape: tuple[int | None, ...] = (int(self._graph.manifest.adaptation["size"]),)

    def to_dict(self) -> dict[str, Any]:
        """Return what a manifest states, ready for JSON."""
        return {"model": self.model, "sha256": self.sha256, "size": self.shape[0], "sample_rate": self.sample_rate}

    @cached_property
    def key(self) -> str:
        """Sixteen hex digits that differ whenever the graph differs."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def __call__(self, wave: Waveform) -> np.ndarray:
        """Compute the embedding of a clip.

        Parameters
        ----------
        wave : Waveform
            At any rate, 0.1 to 30 s.

        Returns
        -------
        np.ndarray [float32], shape=(d,)

        Raises
        ------
        FeatureError
            If the clip is too short or too long, or the graph fails.
        """
        manifest = self._graph.manifest
        if not manifest.min_seconds <= wave.duration <= manifest.max_seconds:
            raise FeatureError(
                f"The clip lasts {wave.duration:.3f} s; the encoder takes {manifest.min_seconds:g} to "
                f"{manifest.max_seconds:g} s: cut it into utterances."
            )
        try:
            return self._graph.embedding(resample(wave, self.sample_rate))
        except BundleError as error:
            raise FeatureError(str(error)) from None

    def graph(self) -> onnx.ModelProto:
        """Return the encoder as an ONNX graph: ``waveform`` (1, n) float32 -> ``features`` (1, d)."""
        import onnx
        from onnx.utils import Extractor

        whole = onnx.load_model_from_string(self._graph.bundle.onnx)
        # The shipped graph computes `features` and passes them on as `embedding`; their shape is not stated there
        features = onnx.helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, [1, *self.shape])
        whole.graph.value_info.append(features)
        return Extractor(whole).extract_model(["waveform"], ["features"])
