"""What ``config.json`` and ``preprocessor_config.json`` say about a wav2vec 2.0, HuBERT or WavLM encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Wav2Vec2Settings"]


@dataclass(frozen=True)
class Wav2Vec2Settings:
    """Sizes and variants, as transformers names them.

    Attributes
    ----------
    family : {"wav2vec2", "hubert", "wavlm"}
    normalised_input : bool
        The waveform is brought to zero mean and unit variance (``do_normalize``).
    conv_dim, conv_kernel, conv_stride : tuple of int
        Channels, taps and step of each convolution of the feature extractor, samples or frames.
    conv_bias : bool
        Whether these have a bias.
    norm : {"group", "layer"}
        Where they are normalised: each channel over time after the first one, or each frame after every one.
    projection_norm : bool
        Whether frames are normalised before the projection to `width`.
    width, heads, n_hidden, n_blocks : int
        Of the transformer blocks.
    position_taps, position_groups : int
        Of the convolution that tells frames their place.
    position_batch_norm : bool
        It has a batch norm before it instead of a weight norm.
    stable : bool
        Blocks normalise their input instead of their output (``do_stable_layer_norm``).
    epsilon : float
        Of layer norms.
    n_buckets, max_distance : int
        Of WavLM's relative positions; 0 for the others.
    """

    family: str
    normalised_input: bool
    conv_dim: tuple[int, ...]
    conv_kernel: tuple[int, ...]
    conv_stride: tuple[int, ...]
    conv_bias: bool
    norm: str
    projection_norm: bool
    width: int
    heads: int
    n_hidden: int
    n_blocks: int
    position_taps: int
    position_groups: int
    position_batch_norm: bool
    stable: bool
    epsilon: float
    n_buckets: int = 0
    max_distance: int = 0

    @classmethod
    def read(cls, config: Mapping[str, Any], *, normalised_input: bool) -> Wav2Vec2Settings:
        """Read `config`; keys that transformers lets a file leave out have its defaults.

        Raises
        ------
        KeyError, TypeError
            If a size is missing, or is no number.
        ValueError
            If a value is none that transformers or this package computes; the message ends a sentence.
        """
        family = config["model_type"]
        for key in ("hidden_act", "feat_extract_activation"):
            if config.get(key, "gelu") != "gelu":
                raise ValueError(f"{key} is {config[key]!r}, expected 'gelu'")
        if config.get("adapter_attn_dim") is not None:
            raise ValueError("its blocks have adapters for languages (adapter_attn_dim), which are not supported")
        if config["feat_extract_norm"] not in ("group", "layer"):
            raise ValueError(f"feat_extract_norm is {config['feat_extract_norm']!r}, expected 'group' or 'layer'")
        of_wavlm = family == "wavlm"
        made = cls(
            family=family,
            normalised_input=normalised_input,
            conv_dim=_whole(config, "conv_dim"),
            conv_kernel=_whole(config, "conv_kernel"),
            conv_stride=_whole(config, "conv_stride"),
            conv_bias=_switch(config, "conv_bias", False),
            norm=config["feat_extract_norm"],
            projection_norm=family != "hubert" or _switch(config, "feat_proj_layer_norm", True),
            width=int(config["hidden_size"]),
            heads=int(config["num_attention_heads"]),
            n_hidden=int(config["intermediate_size"]),
            n_blocks=int(config["num_hidden_layers"]),
            position_taps=int(config["num_conv_pos_embeddings"]),
            position_groups=int(config["num_conv_pos_embedding_groups"]),
            position_batch_norm=family == "hubert" and _switch(config, "conv_pos_batch_norm", False),
            stable=_switch(config, "do_stable_layer_norm", False),
            epsilon=float(config.get("layer_norm_eps", 1e-5)),
            n_buckets=int(config.get("num_buckets", 320)) if of_wavlm else 0,
            max_distance=int(config.get("max_bucket_distance", 800)) if of_wavlm else 0,
        )
        if len({len(made.conv_dim), len(made.conv_kernel), len(made.conv_stride)}) > 1 or not made.conv_dim:
            raise ValueError("conv_dim, conv_kernel and conv_stride must have the same length")
        return made

    @property
    def possible(self) -> bool:
        """Whether all sizes are positive and fit each other."""
        sizes = (self.width, self.heads, self.n_hidden, self.n_blocks, self.position_taps, self.position_groups)
        positive = min(*sizes, *self.conv_dim, *self.conv_kernel, *self.conv_stride) > 0 and self.epsilon > 0
        fits = positive and self.width % self.heads == 0 == self.width % self.position_groups
        return fits and (self.family != "wavlm" or (self.n_buckets >= 4 and self.max_distance > self.n_buckets // 4))

    @property
    def samples(self) -> int:
        """The samples behind one frame: 400, or 25 ms, for the published models."""
        needed = 1
        for kernel, stride in zip(reversed(self.conv_kernel), reversed(self.conv_stride), strict=True):
            needed = (needed - 1) * stride + kernel
        return needed


def _whole(config: Mapping[str, Any], key: str) -> tuple[int, ...]:
    return tuple(int(value) for value in config[key])


def _switch(config: Mapping[str, Any], key: str, default: bool) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise ValueError(f"{key} is {value!r}, expected true or false")
    return value
