"""The layers of an encoder as ONNX nodes of standard operators, with weights in float32, float16 or int8."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from onnx import TensorProto

from serkit.features.graph import GraphBuilder

__all__ = ["Precision", "attention", "convolution", "gelu", "layer_norm", "linear"]

#: How weights are stored. Everything is computed in float32, except the products of int8.
Precision: TypeAlias = Literal["float32", "float16", "int8"]

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
    g: GraphBuilder, x: str, weight: np.ndarray, bias: np.ndarray, stride: int, precision: Precision
) -> str:
    """Convolve (1, n, frames) with a weight (m, n, 3), padded by one frame on each side.

    With int8 the weight is stored in float16: the two convolutions are a small part of an encoder.
    """
    return g("Conv", x, _weight(g, weight, precision), g.floats(bias), strides=[stride], pads=[1, 1])


def gelu(g: GraphBuilder, x: str) -> str:
    """The Gaussian error linear unit, by the error function (Hendrycks and Gimpel, 2016)."""
    erf = g("Erf", g("Mul", x, g.floats(np.sqrt(0.5))))
    return g("Mul", g("Mul", x, g.floats(0.5)), g("Add", erf, g.floats(1)))


def layer_norm(g: GraphBuilder, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
    """Normalise the last axis to zero mean and unit variance, then scale and shift it."""
    return g("LayerNormalization", x, g.floats(weight), g.floats(bias), axis=-1, epsilon=1e-5)


def attention(g: GraphBuilder, query: str, key: str, value: str, width: int, heads: int) -> str:
    """Attend over all frames: (1, frames, width) three times -> (1, frames, width) (Vaswani et al., 2017)."""
    size = width // heads

    def split(x: str, order: list[int]) -> str:
        return g("Transpose", g("Reshape", x, g.ints(0, 0, heads, size)), perm=order)

    scores = g("MatMul", split(query, [0, 2, 1, 3]), split(key, [0, 2, 3, 1]))
    shares = g("Softmax", g("Mul", scores, g.floats(size**-0.5)), axis=-1)
    heard = g("Transpose", g("MatMul", shares, split(value, [0, 2, 1, 3])), perm=[0, 2, 1, 3])
    return g("Reshape", heard, g.ints(0, 0, width))
