"""The layers of an encoder as ONNX nodes of standard operators, with weights in float32, float16 or int8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

from serkit.errors import FeatureError
from serkit.features.graph import IR_VERSION, OPSET, GraphBuilder

__all__ = [
    "Precision",
    "attention",
    "convolution",
    "features_model",
    "gelu",
    "layer_norm",
    "linear",
]

#: How weights are stored. Everything is computed in float32, except the products of int8.
Precision: TypeAlias = Literal["float32", "float16", "int8"]

_MOST_BYTES = 2_000_000_000  # protobuf allows 2 GiB
_LEVELS = 64  # of int8 weights: with 127, adding products of two bytes overflows on processors without VNNI


def _weight(g: GraphBuilder, value: np.ndarray, precision: Precision) -> str:
    if precision == "float32":
        return g.floats(value)
    return g("Cast", g.constant(value, np.float16), to=TensorProto.FLOAT)


def linear(g: GraphBuilder, x: str, weight: np.ndarray, bias: np.ndarray | None, precision: Precision) -> str:
    """Multiply (..., n) by a weight (m, n) and add a bias (m,).

    With int8, each row of the weight has a scale of its own and `x` is quantised as it comes, as a whole
    (``DynamicQuantizeLinear``).
    """
    if precision == "int8":
        scale = np.maximum(np.abs(weight).max(axis=1), 1e-12) / _LEVELS
        rounded = np.rint(weight / scale[:, None]).T
        small, x_scale, x_zero = g.outputs("DynamicQuantizeLinear", 3, x)
        product = g("MatMulInteger", small, g.constant(rounded, np.int8), x_zero, g.constant(0, np.int8))
        result = g("Mul", g("Cast", product, to=TensorProto.FLOAT), g("Mul", x_scale, g.floats(scale)))
    else:
        result = g("MatMul", x, _weight(g, weight.T, precision))
    return result if bias is None else g("Add", result, g.floats(bias))


def convolution(
    g: GraphBuilder,
    x: str,
    weight: np.ndarray,
    bias: np.ndarray | None,
    precision: Precision,
    *,
    stride: int = 1,
    pad: int = 0,
    groups: int = 1,
) -> str:
    """Convolve (1, n, frames) with a weight (m, n / groups, taps), padded by `pad` zeros on each side.

    With int8 the weight is stored in float16: the convolutions are a small part of an encoder.
    """
    shift = () if bias is None else (g.floats(bias),)
    return g("Conv", x, _weight(g, weight, precision), *shift, strides=[stride], pads=[pad, pad], group=groups)


def gelu(g: GraphBuilder, x: str) -> str:
    """The Gaussian error linear unit, by the error function (Hendrycks and Gimpel, 2016)."""
    erf = g("Erf", g("Mul", x, g.floats(np.sqrt(0.5))))
    return g("Mul", g("Mul", x, g.floats(0.5)), g("Add", erf, g.floats(1)))


def layer_norm(g: GraphBuilder, x: str, weight: np.ndarray, bias: np.ndarray, epsilon: float = 1e-5) -> str:
    """Normalise the last axis to zero mean and unit variance, then scale and shift it."""
    return g("LayerNormalization", x, g.floats(weight), g.floats(bias), axis=-1, epsilon=epsilon)


def attention(
    g: GraphBuilder, query: str, key: str, value: str, width: int, heads: int, bias: str | None = None
) -> str:
    """Attend over all frames: (1, frames, width) three times -> (1, frames, width) (Vaswani et al., 2017).

    `bias` (1, heads, frames, frames) is added to the scores.
    """
    size = width // heads

    def split(x: str, order: list[int]) -> str:
        return g("Transpose", g("Reshape", x, g.ints(0, 0, heads, size)), perm=order)

    scores = g("MatMul", split(query, [0, 2, 1, 3]), split(key, [0, 2, 3, 1]))
    scores = g("Mul", scores, g.floats(size**-0.5))
    shares = g("Softmax", scores if bias is None else g("Add", scores, bias), axis=-1)
    heard = g("Transpose", g("MatMul", shares, split(value, [0, 2, 1, 3])), perm=[0, 2, 1, 3])
    return g("Reshape", heard, g.ints(0, 0, width))


def features_model(
    g: GraphBuilder,
    blocks: Sequence[str],
    name: str,
    *,
    width: int,
    pooled: bool,
    source: tuple[str, list[int | str]] = ("waveform", [1, "samples"]),
) -> onnx.ModelProto:
    """Take from each block its rows (1, width, frames), or their mean and deviation, and build the graph.

    It maps `source`, an input and its shape, to ``features``, (1, rows, frames) or (1, n).

    Raises
    ------
    FeatureError
        If the weights have more than 2 GB, which one ONNX file cannot hold.
    """
    size = sum(len(constant.raw_data) for constant in g.constants)
    if size > _MOST_BYTES:
        raise FeatureError(
            f"The blocks in use have {size / 1e9:.1f} GB of weights, one ONNX file holds 2 GB: use lower blocks or "
            "the precision float16 or int8."
        )
    taken = [_pooled(g, x) if pooled else g("Transpose", x, perm=[0, 2, 1]) for x in blocks]
    rows = width * len(taken)
    g("Identity", taken[0]) if len(taken) == 1 else g("Concat", *taken, axis=1)
    g.nodes[-1].output[0] = "features"
    graph = helper.make_graph(
        g.nodes,
        name,
        [helper.make_tensor_value_info(source[0], TensorProto.FLOAT, source[1])],
        [
            helper.make_tensor_value_info(
                "features", TensorProto.FLOAT, [1, 2 * rows] if pooled else [1, rows, "frames"]
            )
        ],
        g.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def _pooled(g: GraphBuilder, x: str) -> str:
    """Mean and standard deviation over frames: (1, frames, width) -> (1, 2 width)."""
    mean = g("ReduceMean", x, g.ints(1), keepdims=1)
    centred = g("Sub", x, mean)
    deviation = g("Sqrt", g("ReduceMean", g("Mul", centred, centred), g.ints(1), keepdims=0))
    return g("Concat", g("Squeeze", mean, g.ints(1)), deviation, axis=1)
