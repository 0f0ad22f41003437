"""wav2vec 2.0, HuBERT and WavLM as ONNX nodes: convolutions, places of frames, blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from serkit.encoders.folder import Weights
from serkit.encoders.layers import Precision, attention, convolution, features_model, gelu, layer_norm, linear
from serkit.encoders.wav2vec2_settings import Wav2Vec2Settings
from serkit.features.graph import GraphBuilder

__all__ = ["bucket_of", "wav2vec2_graph"]

_EPSILON = 1e-5  # of the norms whose epsilon is not in config.json


def wav2vec2_graph(
    weights: Weights, settings: Wav2Vec2Settings, *, blocks: Sequence[int], pooled: bool, precision: Precision
) -> onnx.ModelProto:
    """Build ``waveform`` (1, n) -> ``features`` from the blocks up to the last one in use."""
    g = GraphBuilder()
    build = _Builder(g, weights, settings, precision)
    x = "waveform"
    if settings.normalised_input:
        x = build.standardised(x)
    x = build.projected(build.frames(x))
    x = g("Add", x, build.places(x))
    if not settings.stable:
        x = build.norm("encoder.layer_norm", x)
    bias = build.distances(x) if settings.family == "wavlm" else None
    taken = []
    for k in range(max(blocks)):
        x = build.block(x, f"encoder.layers.{k}.", bias)
        if k + 1 in blocks:
            taken.append(x)
    return features_model(g, taken, settings.family, width=settings.width, pooled=pooled)


class _Builder:
    """The parts of an encoder: each takes the name of a value and returns that of another."""

    def __init__(self, g: GraphBuilder, weights: Weights, settings: Wav2Vec2Settings, precision: Precision) -> None:
        self.g, self.weights, self.settings, self.precision = g, weights, settings, precision

    def norm(self, name: str, x: str, width: int | None = None, epsilon: float | None = None) -> str:
        """Layer norm over the last axis."""
        size = width or self.settings.width
        scale, shift = self.weights(f"{name}.weight", size), self.weights(f"{name}.bias", size)
        return layer_norm(self.g, x, scale, shift, epsilon or self.settings.epsilon)

    def dense(self, name: str, x: str, inputs: int, outputs: int) -> str:
        """Linear layer over the last axis."""
        weight, bias = self.weights(f"{name}.weight", outputs, inputs), self.weights(f"{name}.bias", outputs)
        return linear(self.g, x, weight, bias, self.precision)

    def standardised(self, wave: str) -> str:
        """The waveform with zero mean and unit variance."""
        g = self.g
        centred = g("Sub", wave, g("ReduceMean", wave, g.ints(1), keepdims=1))
        variance = g("ReduceMean", g("Mul", centred, centred), g.ints(1), keepdims=1)
        return g("Div", centred, g("Sqrt", g("Add", variance, g.floats(1e-7))))

    def frames(self, wave: str) -> str:
        """The convolutions of the feature extractor: (1, n) -> (1, frames, channels)."""
        g, s = self.g, self.settings
        x, inputs = g("Unsqueeze", wave, g.ints(1)), 1
        for k, (outputs, taps, stride) in enumerate(zip(s.conv_dim, s.conv_kernel, s.conv_stride, strict=True)):
            name = f"feature_extractor.conv_layers.{k}."
            kernel = self.weights(f"{name}conv.weight", outputs, inputs, taps)
            bias = self.weights(f"{name}conv.bias", outputs) if s.conv_bias else None
            x = convolution(g, x, kernel, bias, self.precision, stride=stride)
            if s.norm == "layer":
                x = self.norm(f"{name}layer_norm", g("Transpose", x, perm=[0, 2, 1]), outputs, _EPSILON)
                x = g("Transpose", x, perm=[0, 2, 1])
            elif k == 0:  # as many groups as channels: each channel over time
                scale = self.weights(f"{name}layer_norm.weight", outputs)
                shift = self.weights(f"{name}layer_norm.bias", outputs)
                x = g("InstanceNormalization", x, g.floats(scale), g.floats(shift), epsilon=_EPSILON)
            x, inputs = gelu(g, x), outputs
        return g("Transpose", x, perm=[0, 2, 1])

    def projected(self, x: str) -> str:
        """Frames of the feature extractor -> (1, frames, width)."""
        channels = self.settings.conv_dim[-1]
        if self.settings.projection_norm:
            x = self.norm("feature_projection.layer_norm", x, channels)
        return self.dense("feature_projection.projection", x, channels, self.settings.width)

    def places(self, x: str) -> str:
        """What a convolution over the neighbours of each frame says about its place, to be added to `x`."""
        g, s, name = self.g, self.settings, "encoder.pos_conv_embed."
        shape = (s.width, s.width // s.position_groups, s.position_taps)
        x = g("Transpose", x, perm=[0, 2, 1])
        if s.position_batch_norm:
            mean, variance, scale, shift = (
                self.weights(f"{name}batch_norm.{part}", s.width)
                for part in ("running_mean", "running_var", "weight", "bias")
            )
            scale = scale / np.sqrt(variance + _EPSILON)
            x = g("Mul", x, g.floats(scale[:, np.newaxis]))
            x = g("Add", x, g.floats((shift - mean * scale)[:, np.newaxis]))
            kernel = self.weights(f"{name}conv.weight", *shape)
        else:
            kernel = self._weight_normed(f"{name}conv.", shape)
        bias, half = self.weights(f"{name}conv.bias", s.width), s.position_taps // 2
        x = convolution(g, x, kernel, bias, self.precision, pad=half, groups=s.position_groups)
        if s.position_taps % 2 == 0:  # one frame too many
            x = g("Slice", x, g.ints(0), g.ints(-1), g.ints(2))
        return g("Transpose", gelu(g, x), perm=[0, 2, 1])

    def _weight_normed(self, name: str, shape: tuple[int, int, int]) -> np.ndarray:
        """The kernel of a weight-normed convolution: every tap has a length and a direction."""
        older = f"{name}weight_g" in self.weights
        names = (
            ("weight_g", "weight_v")
            if older
            else ("parametrizations.weight.original0", "parametrizations.weight.original1")
        )
        length, direction = self.weights(name + names[0], 1, 1, shape[2]), self.weights(name + names[1], *shape)
        kernel: np.ndarray = direction * (length / np.sqrt((direction**2).sum(axis=(0, 1), keepdims=True)))
        return kernel

    def distances(self, x: str) -> str:
        """WavLM's bias for the distance between two frames: (1, heads, frames, frames).

        Far distances share a bias, so a table of the near ones is all that is stored.
        """
        g, s = self.g, self.settings
        table = self.weights("encoder.layers.0.attention.rel_attn_embed.weight", s.n_buckets, s.heads)
        reach = s.max_distance
        near = table[bucket_of(np.arange(-reach, reach + 1), s.n_buckets, s.max_distance)]
        n = g("Squeeze", g("Shape", x, start=1, end=2))
        times = g("Range", g.constant(0, np.int64), n, g.constant(1, np.int64))
        distance = g("Sub", g("Unsqueeze", times, g.ints(0)), g("Unsqueeze", times, g.ints(1)))
        distance = g("Clip", distance, g.constant(-reach, np.int64), g.constant(reach, np.int64))
        rows = g("Add", distance, g.constant(reach, np.int64))
        return g("Unsqueeze", g("Gather", g.floats(near.T), rows, axis=1), g.ints(0))

    def _gated(self, x: str, name: str, bias: str) -> str:
        """The bias for distances, weighed for every frame and head by what the frame holds."""
        g, heads = self.g, self.settings.heads
        size = self.settings.width // heads
        # Two sums of four outputs each are one output each of the summed weights.
        weight = self.weights(f"{name}gru_rel_pos_linear.weight", 8, size).reshape(2, 4, size).sum(axis=1)
        shift = self.weights(f"{name}gru_rel_pos_linear.bias", 8).reshape(2, 4).sum(axis=1)
        factor = self.weights(f"{name}gru_rel_pos_const", 1, heads, 1, 1)
        parts = g("Transpose", g("Reshape", x, g.ints(0, 0, heads, size)), perm=[0, 2, 1, 3])
        gates = g("Sigmoid", g("Add", g("MatMul", parts, g.floats(weight.T)), g.floats(shift)))
        first, second = (g("Slice", gates, g.ints(k), g.ints(k + 1), g.ints(3)) for k in (0, 1))
        inner = g("Sub", g("Mul", second, g.floats(factor)), g.floats(1))
        return g("Mul", g("Add", g("Mul", first, inner), g.floats(2)), bias)

    def block(self, x: str, name: str, bias: str | None) -> str:
        """One transformer block."""
        g, s = self.g, self.settings
        heard = self.norm(f"{name}layer_norm", x) if s.stable else x
        query, key, value = (self.dense(f"{name}attention.{part}_proj", heard, s.width, s.width) for part in "qkv")
        gated = None if bias is None else self._gated(heard, f"{name}attention.", bias)
        y = attention(g, query, key, value, s.width, s.heads, gated)
        x = g("Add", x, self.dense(f"{name}attention.out_proj", y, s.width, s.width))
        if not s.stable:
            x = self.norm(f"{name}layer_norm", x)
        y = self.norm(f"{name}final_layer_norm", x) if s.stable else x
        y = gelu(g, self.dense(f"{name}feed_forward.intermediate_dense", y, s.width, s.n_hidden))
        x = g("Add", x, self.dense(f"{name}feed_forward.output_dense", y, s.n_hidden, s.width))
        return x if s.stable else self.norm(f"{name}final_layer_norm", x)


def bucket_of(distance: np.ndarray, n_buckets: int, max_distance: int) -> np.ndarray:
    """Row of WavLM's table for the distance between two frames: exact when near, by its logarithm when far.

    Parameters
    ----------
    distance : np.ndarray [int]
        Place of the frame that is heard less that of the frame that listens.
    n_buckets, max_distance : int
        Rows of the table; the distance from which on all are alike.
    """
    half = n_buckets // 2
    exact = half // 2
    size = np.abs(distance)
    # In float32 and in this order, as transformers computes it: the result is cut off to a whole number.
    far = np.log(np.maximum(size, 1).astype(np.float32) / np.float32(exact)) / np.float32(np.log(max_distance / exact))
    row = np.minimum(exact + (far * np.float32(half - exact)).astype(np.int64), half - 1)
    return np.where(distance > 0, half, 0) + np.where(size < exact, size, row)
