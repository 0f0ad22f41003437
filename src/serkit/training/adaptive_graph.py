"""Adaptation as an ONNX graph, between an encoder and a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serkit.features.graph import IR_VERSION, OPSET
from serkit.models.classical import SMALLEST
from serkit.training.adaptation import Reference
from serkit.training.familiarity import Distance

__all__ = ["adaptive_graph", "softening_graph"]


def adaptive_graph(reference: Reference, distance: Distance) -> onnx.ModelProto:
    """Return the graph between an encoder and a classifier: ``features`` (1, d) -> ``standardised`` (1, d).

    Its other inputs have default values, so callers may leave them out: ``mean`` and ``deviation`` (1, d) of the
    embedding over unlabelled clips of a voice or place, and ``heard`` (1,), how many they were. Its other outputs are
    ``embedding`` (1, d), the features as they are, ``distance`` (1,) and the ``temperature`` (1, 1) for it.

    Parameters
    ----------
    reference : Reference
    distance : Distance

    See Also
    --------
    serkit.training.adaptation.Reference.standardise : the same arithmetic in NumPy.
    softening_graph : what comes behind the classifier.
    """
    size = len(reference.mean)
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def add(op: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        name = name or f"adapt_{len(nodes)}"
        nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def constant(value: Any, kind: Any = np.float32, name: str | None = None) -> str:
        name = name or f"adapt_c{len(constants)}"
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, kind), name))
        return name

    given = {"mean": np.zeros((1, size)), "deviation": np.ones((1, size)), "heard": np.zeros(1)}
    for name, value in given.items():
        constant(value, name=name)
    embedding = add("Identity", "features", name="embedding")
    usual_mean, usual_deviation = constant(reference.mean[None]), constant(reference.deviation[None])
    weight = add("Div", "heard", add("Add", "heard", constant([reference.prior])))
    rest = add("Sub", constant([1.0]), weight)
    mean = add("Add", add("Mul", weight, "mean"), add("Mul", rest, usual_mean))
    own, usual = add("Mul", "deviation", "deviation"), add("Mul", usual_deviation, usual_deviation)
    variance = add("Add", add("Mul", weight, own), add("Mul", rest, usual))
    add("Div", add("Sub", embedding, mean), add("Sqrt", variance), name="standardised")
    plain = add("Div", add("Sub", embedding, usual_mean), usual_deviation)
    axes = add("Cast", constant(distance.axes, np.float16), to=TensorProto.FLOAT)
    along = add("Sub", add("MatMul", plain, axes), constant(distance.centre[None]))
    mean_square = add("ReduceMean", add("Mul", along, along), constant([1], np.int64), keepdims=0)
    far = add("Max", add("Sub", add("Sqrt", mean_square, name="distance"), constant([1.0])), constant([0.0]))
    warmer = add("Add", add("Mul", far, constant([distance.caution])), constant([1.0]))
    add("Unsqueeze", warmer, constant([1], np.int64), name="temperature")
    outputs = [("standardised", [1, size]), ("embedding", [1, size]), ("distance", [1]), ("temperature", [1, 1])]
    graph = helper.make_graph(
        nodes,
        "adaptation",
        [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, size]),
            *(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, list(value.shape))
                for name, value in given.items()
            ),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(made, full_check=True)
    return made


def softening_graph(n_labels: int) -> onnx.ModelProto:
    """Return the graph behind a classifier: ``answers`` (1, n_labels) and ``temperature`` -> ``probabilities``.

    See Also
    --------
    serkit.training.familiarity.Distance.soften : the same arithmetic in NumPy.
    """
    shape = [1, n_labels]
    smallest = numpy_helper.from_array(np.array(SMALLEST, np.float32), "soften_smallest")
    graph = helper.make_graph(
        [
            helper.make_node("Max", ["answers", smallest.name], ["soften_floored"]),
            helper.make_node("Log", ["soften_floored"], ["soften_logs"]),
            helper.make_node("Div", ["soften_logs", "temperature"], ["soften_divided"]),
            helper.make_node("Softmax", ["soften_divided"], ["probabilities"], axis=1),
        ],
        "softening",
        [
            helper.make_tensor_value_info("answers", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("temperature", TensorProto.FLOAT, [1, 1]),
        ],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape)],
        [smallest],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
