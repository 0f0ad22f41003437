"""Extractors as ONNX graphs: trim, level and log-mel, node by node.

They are written node by node because the trim depends on the sound and the numbers must equal
:func:`serkit.features.log_mel`. Needs the package onnx, which is part of the extra ``train``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serkit.errors import BundleError
from serkit.features.banks import mel_filters, taper

if TYPE_CHECKING:
    from serkit.audio.waveform import Window
    from serkit.features.catalogue import Feature

__all__ = ["IR_VERSION", "OPSET", "GraphBuilder", "extractor_graph"]

OPSET = 18
IR_VERSION = 9
TRIM_FRAME, TRIM_HOP = 2048, 512  # of Window.trim_db


class _Settings(Protocol):
    """What the graph takes from an :class:`serkit.features.Extractor`."""

    @property
    def sample_rate(self) -> int: ...

    @property
    def window(self) -> Window: ...

    @property
    def features(self) -> tuple[Feature, ...]: ...

    @property
    def layout(self) -> str: ...

    @property
    def n_fft(self) -> int: ...

    @property
    def hop_length(self) -> int: ...

    @property
    def win_length(self) -> int | None: ...

    @property
    def taper(self) -> str: ...

    @property
    def center(self) -> bool: ...

    @property
    def pad_mode(self) -> str: ...

    def to_dict(self) -> dict[str, Any]: ...


class GraphBuilder:
    """A list of nodes and constants under construction; every call returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any, dtype: Any) -> str:
        name = f"frontend_c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def floats(self, value: Any) -> str:
        return self.constant(value, np.float32)

    def ints(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        return self.outputs(op, 1, *inputs, **attributes)[0]

    def outputs(self, op: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with several results and return their names."""
        name = f"frontend_{len(self.nodes)}"
        names = [name, *(f"{name}_{k}" for k in range(1, count))]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=name, **attributes))
        return names


def _rows(g: GraphBuilder, wave: str, width: int) -> str:
    """The wave (1, n) as rows (1, n // width, width), without the samples that fill no row."""
    whole = g("Mul", g("Div", g("Shape", wave, start=1), g.ints(width)), g.ints(width))
    return g("Reshape", g("Slice", wave, g.ints(0), whole, g.ints(1)), g.ints(1, -1, width))


def _trim(g: GraphBuilder, wave: str, trim_db: float) -> str:
    """Cut what is before the first and after the last frame within ``trim_db`` of the loudest one."""
    half = TRIM_FRAME // 2
    hops = _rows(g, g("Pad", wave, g.ints(0, half, 0, half)), TRIM_HOP)
    energy = g("ReduceSumSquare", hops, g.ints(2), keepdims=0)  # of each hop; a frame is the mean of its four
    mean = g("AveragePool", g("Unsqueeze", energy, g.ints(1)), kernel_shape=[TRIM_FRAME // TRIM_HOP])
    power = g("Mul", mean, g.floats(1 / TRIM_HOP))
    power = g("Max", power, g.floats(1e-10))
    loudest = g("ReduceMax", power, keepdims=1)
    heard = g("Greater", power, g("Mul", loudest, g.floats(10 ** (-trim_db / 10))))
    frames = g("Gather", g("NonZero", heard), g.constant(2, np.int64), axis=0)
    first = g("ReduceMin", frames, keepdims=1)
    last = g("ReduceMax", frames, keepdims=1)
    hop = g.ints(TRIM_HOP)
    end = g("Mul", g("Add", last, g.ints(1)), hop)
    return g("Slice", wave, g("Mul", first, hop), end, g.ints(1))


def _step(n_fft: int, hop: int, win_length: int) -> int:
    """The first step of the FFT that takes the least arithmetic, 1 to 16; see :func:`_spectrum_power`."""

    def cost(step: int) -> int:
        return (n_fft // step // 2 + 1) * (4 * win_length + 8 * step * step)

    return min((step for step in (1, 2, 4, 8, 16) if math.gcd(step, hop, n_fft // 2) == step), key=cost)


def _spectrum_power(g: GraphBuilder, wave: str, extractor: _Settings, win_length: int) -> tuple[str, np.ndarray]:
    """Power of the bins of every frame, (n_bins, n_frames) in an order of its own, and the bin in each row.

    A matrix times each frame, as a convolution, but after the first step of an FFT (Cooley and Tukey, 1965): samples
    `step` apart are transformed together at that fraction of the bins, and a `step` x `step` transform joins the
    parts. With 4, that is a quarter of the arithmetic.
    """
    n_fft, hop = extractor.n_fft, extractor.hop_length
    step = _step(n_fft, hop, win_length)
    start = (n_fft - win_length) // 2  # the window is zero before it: those taps are left out of the arithmetic
    taps = -(-win_length // step) * step
    window = np.zeros(taps)
    window[:win_length] = taper(extractor.taper, win_length, n_fft)[start : start + win_length]

    half = n_fft // 2
    padded = g("Pad", wave, g.ints(0, half - start, 0, taps - half + start))
    phases = g("Transpose", _rows(g, padded, step), perm=[0, 2, 1])

    k = np.arange(n_fft // step // 2 + 1)
    angle = 2 * np.pi * np.outer(k, np.arange(taps)) / n_fft
    kernels = np.stack([np.cos(angle), -np.sin(angle)]) * window  # (2, n_k, taps)
    kernels = kernels.reshape(2 * len(k), -1, step).transpose(2, 0, 1)  # (step, 2 n_k, taps / step)
    weights = g.floats(kernels.reshape(step * 2 * len(k), 1, -1))
    parts = g("Conv", phases, weights, strides=[hop // step], group=step)
    if step > 1:
        turn = 2 * np.pi * np.outer(np.arange(step), np.arange(step)) / step
        joined = np.block([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        by_phase = joined.reshape(2 * step, 2, step).transpose(0, 2, 1).reshape(2 * step, 2 * step)
        parts = g("MatMul", g.floats(by_phase), g("Reshape", parts, g.ints(1, 2 * step, -1)))
    squares = g("Reshape", g("Mul", parts, parts), g.ints(1, 2 * step * len(k), -1))
    bins = (np.arange(step)[:, None] * (n_fft // step) + k).ravel()
    real = g("Slice", squares, g.ints(0), g.ints(len(bins)), g.ints(1))
    imag = g("Slice", squares, g.ints(len(bins)), g.ints(2 * len(bins)), g.ints(1))
    return g("Add", real, imag), np.where(bins > half, n_fft - bins, bins)


def _log_mel(g: GraphBuilder, wave: str, extractor: _Settings, params: Mapping[str, Any]) -> str:
    win_length = params.get("win_length") or extractor.win_length or extractor.n_fft
    power, bins = _spectrum_power(g, wave, extractor, win_length)
    fmax = extractor.sample_rate / 2 if params["fmax"] is None else params["fmax"]
    filters = mel_filters(extractor.sample_rate, extractor.n_fft, params["n_mels"], params["fmin"], fmax)[:, bins]
    again = np.ones(len(bins), bool)
    again[np.unique(bins, return_index=True)[1]] = False  # at the seams a bin comes twice
    bands = g("MatMul", g.floats(np.where(again, 0, filters)), power)
    decibels = g("Mul", g("Log", g("Max", bands, g.floats(1e-10))), g.floats(10 / np.log(10)))
    if params["top_db"] is not None:
        ceiling = g("ReduceMax", decibels, keepdims=1)
        decibels = g("Max", decibels, g("Sub", ceiling, g.floats(params["top_db"])))
    return decibels


def extractor_graph(extractor: _Settings) -> onnx.ModelProto:
    """Return an extractor as an ONNX graph: ``waveform`` (1, n) float32 -> ``features`` (1, rows, n_frames) in dB.

    Raises
    ------
    BundleError
        If the extractor is anything but frames of log-mel, of one or several window lengths, with optional trim and
        level.
    """
    window = extractor.window
    if (
        any(f.name not in ("log_mel", "windowed_log_mel") or f.params.get("deltas") for f in extractor.features)
        or extractor.layout != "frames"
        or (extractor.center, extractor.pad_mode) != (True, "constant")
        or window.offset
        or window.length is not None
    ):
        raise BundleError(
            "A waveform graph takes frames of log_mel or windowed_log_mel without deltas, centred and padded with "
            f"zeros, with trim_db and level but without offset or length; got {extractor.to_dict()}."
        )
    g = GraphBuilder()
    wave = "waveform"
    if window.trim_db is not None:
        wave = _trim(g, wave, window.trim_db)
    if window.level == "peak":
        peak = g("Max", g("ReduceMax", g("Abs", wave), keepdims=1), g.floats(1e-10))
        wave = g("Div", wave, peak)
    elif window.level == "rms":
        mean_square = g("ReduceMean", g("Mul", wave, wave), keepdims=1)
        root = g("Sqrt", g("Max", mean_square, g.floats(1e-20)))
        wave = g("Div", g("Mul", wave, g.floats(0.1)), root)
    parts = [_log_mel(g, wave, extractor, feature.params) for feature in extractor.features]
    if len(parts) > 1:
        g("Concat", *parts, axis=1)
    g.nodes[-1].output[0] = "features"
    rows = sum(feature.params["n_mels"] for feature in extractor.features)
    graph = helper.make_graph(
        g.nodes,
        "frontend",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, rows, "frames"])],
        g.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model
