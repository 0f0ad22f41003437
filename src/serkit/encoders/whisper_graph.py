"""Whisper's encoder as ONNX nodes: log-mel as it was trained on, two convolutions, blocks, pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import onnx
from onnx import TensorProto

from serkit.encoders.layers import (
    Precision,
    attention,
    convolution,
    features_model,
    gelu,
    layer_norm,
    linear,
)
from serkit.features.banks import mel_filters
from serkit.features.graph import GraphBuilder

__all__ = ["Weigh", "blocks_graph", "log_mel", "whisper_graph"]

#: Gives a tensor by its name and its shape, as :class:`serkit.encoders.folder.Weights` does.
Weigh: TypeAlias = Callable[..., np.ndarray]

_RATE, _N_FFT, _HOP = 16000, 400, 160


def log_mel(g: GraphBuilder, wave: str, n_mels: int) -> str:
    """Whisper's log-mel: (1, n) -> (1, n_mels, n // 160).

    Power of 25 ms every 10 ms in mel bands up to 8 kHz; log10, at most 8 below the loudest; then plus 4, divided by 4.
    """
    half = _N_FFT // 2
    padded = g("Unsqueeze", g("Pad", wave, g.ints(0, half, 0, half), mode="reflect"), g.ints(1))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_N_FFT) / _N_FFT)
    # 160,800 kernel values are computed from 800 when a session starts.
    turn = 2 * np.pi * np.arange(_N_FFT) / _N_FFT
    bins, times = (np.arange(n, dtype=np.int64) for n in (half + 1, _N_FFT))
    steps = g("Mul", g.constant(bins[:, np.newaxis], np.int64), g.constant(times[np.newaxis], np.int64))
    steps = g("Mod", steps, g.ints(_N_FFT))
    waves = [g("Gather", g.floats(table), steps) for table in (np.cos(turn), -np.sin(turn))]
    kernels = g("Unsqueeze", g("Mul", g("Concat", *waves, axis=0), g.floats(window)), g.ints(1))
    parts = g("Conv", padded, kernels, strides=[_HOP])
    parts = g("Slice", parts, g.ints(0), g.ints(-1), g.ints(2))  # Whisper drops the last frame
    squares = g("Mul", parts, parts)
    real = g("Slice", squares, g.ints(0), g.ints(half + 1), g.ints(1))
    imag = g("Slice", squares, g.ints(half + 1), g.ints(2 * half + 2), g.ints(1))
    filters = mel_filters(_RATE, _N_FFT, n_mels, 0.0, _RATE / 2)
    bands = g("MatMul", g.floats(filters), g("Add", real, imag))
    logarithm = g("Mul", g("Log", g("Max", bands, g.floats(1e-10))), g.floats(1 / np.log(10)))
    floor = g("Sub", g("ReduceMax", logarithm, keepdims=1), g.floats(8))
    return g("Mul", g("Add", g("Max", logarithm, floor), g.floats(4)), g.floats(0.25))


def whisper_graph(
    weights: Weigh,
    *,
    n_mels: int,
    width: int,
    heads: int,
    n_hidden: int,
    n_positions: int,
    blocks: Sequence[int],
    pooled: bool,
    precision: Precision,
) -> onnx.ModelProto:
    """Build ``waveform`` (1, n) -> ``features`` from the blocks up to the last one in use."""
    g = GraphBuilder()
    x = log_mel(g, "waveform", n_mels)
    for k, (inputs, stride) in enumerate([(n_mels, 1), (width, 2)], start=1):
        kernel = weights(f"conv{k}.weight", width, inputs, 3)
        x = gelu(g, convolution(g, x, kernel, weights(f"conv{k}.bias", width), precision, stride=stride, pad=1))
    x = g("Transpose", x, perm=[0, 2, 1])
    x = g("Add", x, _positions(g, x, weights("embed_positions.weight", n_positions, width), precision))
    taken = []
    for k in range(max(blocks)):
        x = _block(g, x, weights, f"layers.{k}.", width, heads, n_hidden, precision)
        if k + 1 in blocks:
            taken.append(x)
    return features_model(g, taken, "whisper", width=width, pooled=pooled)


def blocks_graph(
    weights: Weigh, *, width: int, heads: int, n_hidden: int, first: int, blocks: Sequence[int], precision: Precision
) -> onnx.ModelProto:
    """Build ``frames`` (1, width, frames) -> ``features`` (1, n) from the blocks after number `first`.

    ``frames`` are the output of block `first`, in the layout "frames". If `first` is among `blocks`, its mean and
    deviation are taken too.
    """
    g = GraphBuilder()
    x = g("Transpose", "frames", perm=[0, 2, 1])
    taken = [x] if first in blocks else []
    for k in range(first, max(blocks)):
        x = _block(g, x, weights, f"layers.{k}.", width, heads, n_hidden, precision)
        if k + 1 in blocks:
            taken.append(x)
    return features_model(g, taken, "whisper blocks", width=width, pooled=True, source=("frames", [1, width, "frames"]))


def sinusoids(n: int, width: int) -> np.ndarray:
    """The positions of Whisper's encoders, shape (n, width): sines, then cosines, of falling frequency."""
    angle = np.arange(n)[:, np.newaxis] * _rates(width)
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def _rates(width: int) -> np.ndarray:
    half = width // 2
    return np.exp(-np.log(10000) / max(half - 1, 1) * np.arange(half))


def _positions(g: GraphBuilder, x: str, positions: np.ndarray, precision: Precision) -> str:
    """The positions of the frames of `x` (1, frames, width); sinusoids, as published models have, are not stored."""
    n = g("Shape", x, start=1, end=2)
    if np.allclose(positions, sinusoids(*positions.shape), atol=1e-3):  # some copies of the weights are in float16
        times = g(
            "Cast", g("Range", g.constant(0, np.int64), g("Squeeze", n), g.constant(1, np.int64)), to=TensorProto.FLOAT
        )
        angle = g("Mul", g("Unsqueeze", times, g.ints(1)), g.floats(_rates(positions.shape[1])))
        return g("Concat", g("Sin", angle), g("Cos", angle), axis=1)
    stored = g("Cast", g.constant(positions, np.float16), to=TensorProto.FLOAT) if precision != "float32" else ""
    return g("Slice", stored or g.floats(positions), g.ints(0), n, g.ints(0))


def _block(
    g: GraphBuilder, x: str, weights: Weigh, name: str, width: int, heads: int, n_hidden: int, precision: Precision
) -> str:
    def norm(part: str, x: str) -> str:
        return layer_norm(g, x, weights(f"{name}{part}.weight", width), weights(f"{name}{part}.bias", width))

    def dense(part: str, x: str, inputs: int, outputs: int, *, bias: bool = True) -> str:
        shift = weights(f"{name}{part}.bias", outputs) if bias else None
        return linear(g, x, weights(f"{name}{part}.weight", outputs, inputs), shift, precision)

    y = norm("self_attn_layer_norm", x)
    query = dense("self_attn.q_proj", y, width, width)
    key = dense("self_attn.k_proj", y, width, width, bias=False)
    value = dense("self_attn.v_proj", y, width, width)
    x = g("Add", x, dense("self_attn.out_proj", attention(g, query, key, value, width, heads), width, width))
    hidden = gelu(g, dense("fc1", norm("final_layer_norm", x), width, n_hidden))
    return g("Add", x, dense("fc2", hidden, n_hidden, width))
