"""Whisper's encoder as a front end: from the waveform to the output of its blocks (Radford et al., 2023).

Radford A, Kim JW, Xu T, Brockman G, McLeavey C, Sutskever I (2023). Robust speech recognition via large-scale weak
supervision. ICML, 28492-28518.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from serkit.encoders.base import Encoder
from serkit.encoders.folder import Weights

if TYPE_CHECKING:
    import onnx

__all__ = ["WhisperEncoder"]

_VERSION = 2  # raised whenever a value changes, so that arrays cached earlier are not used
_HEAD = 64  # values of an attention head, in every published model


class WhisperEncoder(Encoder):
    """The lower blocks of a Whisper encoder: a waveform in, one array out.

    Unlike in Whisper itself, clips are not padded to 30 s.

    Parameters
    ----------
    folder, blocks, layout, precision
        See :class:`serkit.encoders.Encoder`. "frames" has 50 frames a second.

    Raises
    ------
    FeatureError
        If the folder is not one of a Whisper model, is damaged, or has no such block.
    MissingExtraError
        If a package of the extras ``train`` or ``encoders`` is missing.

    See Also
    --------
    Wav2Vec2Encoder : wav2vec 2.0, HuBERT and WavLM.
    serkit.features.Extractor : Acoustic features, with the same protocol.

    Examples
    --------
    >>> encoder = WhisperEncoder("whisper-base", blocks=[2, 3, 4])        # doctest: +SKIP
    >>> encoder(serkit.load_audio("clip.wav")).shape                       # doctest: +SKIP
    (3072,)
    """

    families = ("whisper",)
    title = "Whisper's encoder"

    def _read(self, config: dict[str, Any]) -> None:
        if config.get("activation_function", "gelu") != "gelu":
            raise ValueError(f"activation_function is {config['activation_function']!r}, expected 'gelu'")
        self.width, self.heads = int(config["d_model"]), int(config["encoder_attention_heads"])
        self.n_blocks, self.n_hidden = int(config["encoder_layers"]), int(config["encoder_ffn_dim"])
        self.n_mels, self.n_positions = int(config["num_mel_bins"]), int(config["max_source_positions"])
        if min(self.width, self.heads, self.n_hidden, self.n_mels, self.n_positions) < 1 or self.width % self.heads:
            raise self._impossible()

    @property
    def max_seconds(self) -> float:
        """The longest clip, s: 30 for the published models."""
        return self.n_positions / 50

    @property
    def _way(self) -> Mapping[str, Any]:
        # The shapes of the weights tell all sizes that matter but this one.
        usual = self.width == _HEAD * self.heads
        return {"whisper_version": _VERSION, **({} if usual else {"heads": self.heads})}

    def graph(self) -> onnx.ModelProto:
        """Return the encoder as an ONNX graph; see :meth:`Encoder.graph`."""
        from serkit.encoders.whisper_graph import whisper_graph

        weights = Weights(self.folder, ("model.encoder.", "encoder.", ""))
        return whisper_graph(
            weights,
            n_mels=self.n_mels,
            width=self.width,
            heads=self.heads,
            n_hidden=self.n_hidden,
            n_positions=self.n_positions,
            blocks=self.blocks,
            pooled=self.layout == "mean_std",
            precision=self.precision,
        )
