"""Whisper's encoder as a front end: from the waveform to the output of its blocks (Radford et al., 2023).

Radford A, Kim JW, Xu T, Brockman G, McLeavey C, Sutskever I (2023). Robust speech recognition via large-scale weak
supervision. ICML, 28492-28518.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from serkit.audio.waveform import Waveform, resample
from serkit.encoders.folder import Weights, find_encoder, read_config, weights_hash
from serkit.errors import FeatureError

if TYPE_CHECKING:
    import onnx

    from serkit.encoders.layers import Precision

__all__ = ["WhisperEncoder"]

_VERSION = 2  # raised whenever a value changes, so that arrays cached earlier are not used
_PRECISIONS = ("float32", "float16", "int8")
_LAYOUTS = ("mean_std", "frames")


class WhisperEncoder:
    """The lower blocks of a Whisper encoder: a waveform in, one array out.

    Unlike in Whisper itself, clips are not padded to 30 s. Values are those of the ONNX graph, which is also in
    bundles: a model is trained on exactly what it receives later.

    Parameters
    ----------
    folder : str or path
        A folder in Hugging Face's layout, or the name of one; see :func:`serkit.encoders.find_encoder`.
    blocks : sequence of int
        The blocks whose output is taken, counted from 1. Blocks above the last of these are left out.
    layout : {"mean_std", "frames"}
        "mean_std": shape (n,); for each block the means over time of its rows, then their standard deviations.
        "frames": shape (rows, frames), block after block, 50 frames a second.
    precision : {"float32", "float16", "int8"}
        How weights are stored; int8 products are also computed in int8.

    Raises
    ------
    FeatureError
        If the folder is not one of a Whisper model, is damaged, or has no such block.
    MissingExtraError
        If a package of the extras ``train`` or ``encoders`` is missing.

    See Also
    --------
    serkit.features.Extractor : Acoustic features, with the same protocol.

    Examples
    --------
    >>> encoder = WhisperEncoder("whisper-base", blocks=[2, 3, 4])        # doctest: +SKIP
    >>> encoder(serkit.load_audio("clip.wav")).shape                       # doctest: +SKIP
    (3072,)
    """

    #: Hz, of all Whisper models.
    sample_rate = 16000
    #: The shortest clip, s: a frame of the spectrogram needs that much on both sides.
    min_seconds = 0.1

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
        if config.get("model_type") != "whisper":
            raise FeatureError(f"{self.folder} holds a model of type {config.get('model_type')!r}, expected 'whisper'.")
        try:
            self.width, self.heads = int(config["d_model"]), int(config["encoder_attention_heads"])
            self.n_blocks, self.n_hidden = int(config["encoder_layers"]), int(config["encoder_ffn_dim"])
            self.n_mels, self.n_positions = int(config["num_mel_bins"]), int(config["max_source_positions"])
        except (KeyError, TypeError, ValueError) as error:
            raise FeatureError(f"config.json of {self.folder} lacks a size or has a wrong one: {error}.") from None
        if min(self.width, self.heads, self.n_hidden, self.n_mels, self.n_positions) < 1 or self.width % self.heads:
            raise FeatureError(f"config.json of {self.folder} has impossible sizes: fetch the encoder again.")
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
        self._lock = threading.Lock()
        self._sessions: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_sessions")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {**state, "_lock": threading.Lock(), "_sessions": {}}

    @property
    def max_seconds(self) -> float:
        """The longest clip, s: 30 for the published models."""
        return self.n_positions / 50

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of a clip's array; None for a size that depends on the clip."""
        rows = self.width * len(self.blocks)
        return (2 * rows,) if self.layout == "mean_std" else (rows, None)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings, ready for JSON; the folder is named by the hash of its weights."""
        return {
            "family": "whisper",
            "weights": weights_hash(self.folder),
            "blocks": list(self.blocks),
            "layout": self.layout,
            "precision": self.precision,
        }

    @cached_property
    def key(self) -> str:
        """Sixteen hex digits that differ whenever a setting, the weights or the way of computing differ."""
        text = json.dumps({"whisper_version": _VERSION, **self.to_dict()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def graph(self) -> onnx.ModelProto:
        """Return the encoder as an ONNX graph: ``waveform`` (1, n) float32 -> ``features``.

        ``features`` are (1, n) for the layout "mean_std", (1, rows, frames) for "frames".
        """
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

    def __call__(self, wave: Waveform) -> np.ndarray:
        """Compute the features of a clip.

        Parameters
        ----------
        wave : Waveform
            At any rate, from 0.1 s to :attr:`max_seconds`.

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
                f"The clip lasts {wave.duration:.3f} s; Whisper's encoder takes {self.min_seconds:g} to "
                f"{self.max_seconds:g} s."
            )
        samples = resample(wave, self.sample_rate).samples[np.newaxis]
        (found,) = self._session().run(["features"], {"waveform": samples})
        values: np.ndarray = np.ascontiguousarray(found[0], dtype=np.float32)
        if not np.isfinite(values).all():
            raise FeatureError(f"The encoder gives values that are not finite for this clip of {wave.duration:.3f} s.")
        return values

    def _session(self) -> Any:
        """One session per process, on one thread: clips are computed side by side, each always in the same order."""
        with self._lock:
            process = os.getpid()
            if process not in self._sessions:
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                options.log_severity_level = 3
                self._sessions[process] = onnxruntime.InferenceSession(
                    self.graph().SerializeToString(), options, providers=["CPUExecutionProvider"]
                )
            return self._sessions[process]
