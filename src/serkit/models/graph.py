"""One ONNX graph from the waveform to the probabilities: the extractor's trim, level and log-mel, then the network.

The front end is written node by node, because its trim depends on the sound and its numbers must equal
:func:`serkit.features.log_mel`; the network is exported by torch and joined to it.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from serkit.errors import BundleError
from serkit.features.banks import mel_filters, taper
from serkit.models.resnet import scale

if TYPE_CHECKING:
    from serkit.features import Extractor

__all__ = ["frontend_graph", "vector_graph", "waveform_graph"]

OPSET = 18
IR_VERSION = 9
TRIM_FRAME, TRIM_HOP = 2048, 512  # of Window.trim_db


class _Graph:
    """A list of nodes and constants under construction; each call returns the name of its result."""

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
        name = f"frontend_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name


def _rows(g: _Graph, wave: str, width: int) -> str:
    """Reshape the wave (1, n) to (1, n // width, width), without the samples of an incomplete last row."""
    whole = g("Mul", g("Div", g("Shape", wave, start=1), g.ints(width)), g.ints(width))
    return g("Reshape", g("Slice", wave, g.ints(0), whole, g.ints(1)), g.ints(1, -1, width))


def _trim(g: _Graph, wave: str, trim_db: float) -> str:
    """Cut everything before the first and after the last frame within ``trim_db`` of the loudest one."""
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
    """Return the first FFT step with the least arithmetic, 1 to 16; see :func:`_spectrum_power`."""

    def cost(step: int) -> int:
        return (n_fft // step // 2 + 1) * (4 * win_length + 8 * step * step)

    return min((step for step in (1, 2, 4, 8, 16) if math.gcd(step, hop, n_fft // 2) == step), key=cost)


def _spectrum_power(g: _Graph, wave: str, extractor: Extractor, win_length: int) -> tuple[str, np.ndarray]:
    """Return the power of the bins of every frame, (n_bins, n_frames) in a special order, and the bin of each row.

    A matrix times each frame, as a convolution, but after the first step of an FFT (Cooley and Tukey, 1965): samples
    `step` apart are transformed together at that fraction of the bins, and a `step` x `step` transform joins the
    parts. With 4, that is a quarter of the arithmetic.
    """
    n_fft, hop = extractor.n_fft, extractor.hop_length
    step = _step(n_fft, hop, win_length)
    start = (n_fft - win_length) // 2  # the window is zero before it, so those taps are skipped
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


def _log_mel(g: _Graph, wave: str, extractor: Extractor, params: Mapping[str, Any]) -> str:
    win_length = params.get("win_length") or extractor.win_length or extractor.n_fft
    power, bins = _spectrum_power(g, wave, extractor, win_length)
    fmax = extractor.sample_rate / 2 if params["fmax"] is None else params["fmax"]
    filters = mel_filters(extractor.sample_rate, extractor.n_fft, params["n_mels"], params["fmin"], fmax)[:, bins]
    again = np.ones(len(bins), bool)
    again[np.unique(bins, return_index=True)[1]] = False  # at the seams a bin occurs twice
    bands = g("MatMul", g.floats(np.where(again, 0, filters)), power)
    decibels = g("Mul", g("Log", g("Max", bands, g.floats(1e-10))), g.floats(10 / np.log(10)))
    if params["top_db"] is not None:
        ceiling = g("ReduceMax", decibels, keepdims=1)
        decibels = g("Max", decibels, g("Sub", ceiling, g.floats(params["top_db"])))
    return decibels


def frontend_graph(extractor: Extractor) -> onnx.ModelProto:
    """Return the extractor as an ONNX graph: ``waveform`` (1, n) float32 -> ``features`` (1, rows, n_frames) in dB.

    Raises
    ------
    BundleError
        If the extractor is not frames of log-mel, with one or several window lengths and optional trim and
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
    g = _Graph()
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


class _Probabilities(nn.Module):
    """A network between normalisation and calibrated softmax, as in the graph."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, features: Tensor) -> Tensor:
        return (self.network(scale(features)) / self.temperature).softmax(1)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence torch's warnings about packages that the export does not need and about its own deprecations."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def waveform_graph(network: nn.Module, n_rows: int, temperature: float, extractor: Extractor) -> onnx.ModelProto:
    """Join the extractor's front end and a torch network: ``waveform`` (1, n) -> ``probabilities`` (1, n_classes).

    Parameters
    ----------
    network : torch.nn.Module
        Normalised log-mel (1, n_rows, n_frames) -> logits (1, n_classes).
    n_rows : int
        Number of log-mel rows the network was trained on.
    temperature : float
        Divides the logits.
    extractor : Extractor
        Log-mel frames; see :func:`frontend_graph`.
    """
    front = frontend_graph(extractor)
    module = _Probabilities(copy.deepcopy(network).cpu(), temperature).eval()
    frames = torch.export.Dim("frames", min=8, max=1_000_000)
    with _quiet():
        program = torch.onnx.export(
            module,
            (torch.zeros(1, n_rows, 200),),
            dynamo=True,
            input_names=["features"],
            output_names=["probabilities"],
            dynamic_shapes={"features": {2: frames}},
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise BundleError("torch could not export this network to ONNX.")
    network_model = program.model_proto
    network_model.ir_version = IR_VERSION
    joined = onnx.compose.merge_models(
        front,
        onnx.compose.add_prefix(network_model, "net_", rename_inputs=False, rename_outputs=False),
        io_map=[("features", "features")],
    )
    joined.ir_version = IR_VERSION
    onnx.checker.check_model(joined, full_check=True)
    return joined


class _VectorProbabilities(nn.Module):
    """A network on vectors followed by the calibrated softmax."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, vector: Tensor) -> Tensor:
        return (self.network(vector) / self.temperature).softmax(1)


def vector_graph(network: nn.Module, n_features: int, temperature: float) -> onnx.ModelProto:
    """Export a torch network on vectors: ``input`` (1, n_features) -> ``probabilities`` (1, n_classes).

    Parameters
    ----------
    network : torch.nn.Module
        Vectors (1, n_features) -> logits (1, n_classes).
    n_features : int
        Length of the vector.
    temperature : float
        Divides the logits.
    """
    module = _VectorProbabilities(copy.deepcopy(network).cpu(), temperature).eval()
    with _quiet():
        program = torch.onnx.export(
            module,
            (torch.zeros(1, n_features),),
            dynamo=True,
            input_names=["input"],
            output_names=["probabilities"],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise BundleError("torch could not export this network to ONNX.")
    model = program.model_proto
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model
