"""wav2vec 2.0, HuBERT and WavLM as front ends: from the waveform to the output of their blocks.

Baevski A, Zhou H, Mohamed A, Auli M (2020). wav2vec 2.0: a framework for self-supervised learning of speech
representations. NeurIPS 33, 12449-12460.

Hsu W-N, Bolte B, Tsai Y-HH, Lakhotia K, Salakhutdinov R, Mohamed A (2021). HuBERT: self-supervised speech
representation learning by masked prediction of hidden units. IEEE/ACM TASLP 29, 3451-3460.

Chen S, Wang C, Chen Z et al. (2022). WavLM: large-scale self-supervised pre-training for full stack speech processing.
IEEE Journal of Selected Topics in Signal Processing 16 (6), 1505-1518.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from serkit.encoders.base import Encoder
from serkit.encoders.folder import CONFIG, INPUT, WEIGHTS, Weights, read_config
from serkit.encoders.wav2vec2_settings import Wav2Vec2Settings
from serkit.errors import FeatureError

if TYPE_CHECKING:
    import onnx

__all__ = ["Wav2Vec2Encoder"]

_VERSION = 1  # raised whenever a value changes, so that arrays cached earlier are not used


class Wav2Vec2Encoder(Encoder):
    """The lower blocks of a wav2vec 2.0, HuBERT or WavLM encoder: a waveform in, one array out.

    The output of block `k` is ``hidden_states[k]`` of transformers 5: that of the block itself, without the layer norm
    that some models have after the last one.

    Parameters
    ----------
    folder : str or path
        Beside ``config.json`` and ``model.safetensors`` it holds ``preprocessor_config.json``, which says whether
        waveforms are brought to zero mean and unit variance.
    blocks, layout, precision
        See :class:`serkit.encoders.Encoder`. With the convolutions of the published models, "frames" has 50 frames a
        second, of 25 ms each.

    Raises
    ------
    FeatureError
        If the folder is not one of these models, is damaged, or has no such block.
    MissingExtraError
        If a package of the extras ``train`` or ``encoders`` is missing.

    See Also
    --------
    WhisperEncoder : Whisper's encoder.
    serkit.features.Extractor : Acoustic features, with the same protocol.

    Examples
    --------
    >>> encoder = Wav2Vec2Encoder("wavlm-base", blocks=[4, 5, 6])         # doctest: +SKIP
    >>> encoder(serkit.load_audio("clip.wav")).shape                       # doctest: +SKIP
    (4608,)
    """

    families = ("wav2vec2", "hubert", "wavlm")
    files = (CONFIG, INPUT, WEIGHTS)
    title = "the encoder"

    def _read(self, config: dict[str, Any]) -> None:
        if not (self.folder / INPUT).is_file():
            raise FeatureError(
                f"{self.folder} has no {INPUT}, which says how waveforms are normalised: fetch the encoder again."
            )
        given = read_config(self.folder, INPUT)
        normalise = given.get("do_normalize", True)
        if not isinstance(normalise, bool):
            raise ValueError(f"do_normalize of {INPUT} is {normalise!r}, expected true or false")
        self.sample_rate = int(given.get("sampling_rate", self.sample_rate))
        self.settings = Wav2Vec2Settings.read(config, normalised_input=normalise)
        if not self.settings.possible or self.sample_rate < 1:
            raise self._impossible()
        self.width, self.n_blocks = self.settings.width, self.settings.n_blocks
        self.min_seconds = max(self.min_seconds, self.settings.samples / self.sample_rate)

    @property
    def max_seconds(self) -> float:
        """The longest clip, s. Memory grows with the square of the length."""
        return 30.0

    @property
    def _way(self) -> Mapping[str, Any]:
        return {"wav2vec2_version": _VERSION, "sample_rate": self.sample_rate, "settings": asdict(self.settings)}

    def graph(self) -> onnx.ModelProto:
        """Return the encoder as an ONNX graph; see :meth:`Encoder.graph`."""
        from serkit.encoders.wav2vec2_graph import wav2vec2_graph

        weights = Weights(self.folder, (f"{self.family}.", ""))
        return wav2vec2_graph(
            weights, self.settings, blocks=self.blocks, pooled=self.layout == "mean_std", precision=self.precision
        )
