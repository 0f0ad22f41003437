"""A graph with int8 products, for a GPU: the same arithmetic in operators that CUDA has.

ONNX Runtime has ``DynamicQuantizeLinear`` and the ``MatMulInteger`` that follows it on the processor only, so that each
product would travel to it and back. Here they become float32 operators. The numbers are whole, and their sums are below
2^24 but for rare ones, so the products are exact all the same. Each recording has a scale of its own, so several of the
same length may be answered at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from serkit.errors import MissingExtraError

if TYPE_CHECKING:
    import onnx

__all__ = ["for_gpu"]

_LEVELS = 255.0  # of a byte
_TINY = 1e-30  # in place of a range of 0


def for_gpu(data: bytes) -> bytes:
    """Return a graph that gives the same answers, has no int8 product, and takes (recordings, samples).

    Parameters
    ----------
    data : bytes
        A model of ONNX.

    Raises
    ------
    MissingExtraError
        If there are int8 products and the package ``onnx`` is not installed.
    """
    if b"DynamicQuantizeLinear" not in data:
        return data  # other graphs are run as they are, one recording at a time
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("Running an int8 model on a GPU", "onnx", "gpu") from None
    model = onnx.load_from_string(data)
    graph = model.graph
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in inferred}
    for value in (*graph.input[:1], *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "recordings"
    whole: dict[str, str] = {}  # quantised value -> its whole numbers, zero point taken off
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "DynamicQuantizeLinear":
            small, scale, zero = node.output
            whole[small] = f"{small}_whole"
            axes = f"{scale}_axes"
            inside = np.arange(1, ranks.get(node.input[0], 3), dtype=np.int64)
            graph.initializer.append(onnx.numpy_helper.from_array(inside, axes))
            nodes += _quantised(node.input[0], axes, whole[small], scale, zero)
        elif node.op_type == "MatMulInteger" and node.input[0] in whole:
            weight = f"{node.output[0]}_weight"
            nodes.append(onnx.helper.make_node("Cast", [node.input[1]], [weight], to=onnx.TensorProto.FLOAT))
            nodes.append(onnx.helper.make_node("MatMul", [whole[node.input[0]], weight], [node.output[0]]))
        else:
            nodes.append(node)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    for name, value in (("gpu_zero", 0.0), ("gpu_levels", _LEVELS), ("gpu_tiny", _TINY)):
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(value, np.float32), name))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _quantised(x: str, axes: str, whole: str, scale: str, zero: str) -> Iterator[onnx.NodeProto]:
    """What ``DynamicQuantizeLinear`` says, in float32: ``whole`` is the byte less its zero point."""
    from onnx.helper import make_node

    steps: list[tuple[str, list[str], str]] = [
        ("ReduceMin", [x, axes], f"{scale}_min"),
        ("ReduceMax", [x, axes], f"{scale}_max"),
        ("Min", [f"{scale}_min", "gpu_zero"], f"{scale}_low"),
        ("Max", [f"{scale}_max", "gpu_zero"], f"{scale}_high"),
        ("Sub", [f"{scale}_high", f"{scale}_low"], f"{scale}_span"),
        ("Max", [f"{scale}_span", "gpu_tiny"], f"{scale}_range"),
        ("Div", [f"{scale}_range", "gpu_levels"], scale),
        ("Div", [f"{scale}_low", scale], f"{scale}_from"),
        ("Round", [f"{scale}_from"], f"{scale}_least"),  # minus the zero point
        ("Neg", [f"{scale}_least"], zero),
        ("Sub", ["gpu_levels", zero], f"{scale}_most"),
        ("Div", [x, scale], f"{whole}_exact"),
        ("Round", [f"{whole}_exact"], f"{whole}_rounded"),
        ("Max", [f"{whole}_rounded", f"{scale}_least"], f"{whole}_above"),
        ("Min", [f"{whole}_above", f"{scale}_most"], whole),
    ]
    for kind, inputs, output in steps:
        yield make_node(kind, inputs, [output])
