"""A fitted pipeline over vectors -> its ONNX graph, and graphs joined to one."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from imblearn.pipeline import Pipeline
from onnx import TensorProto, compose, helper, numpy_helper

from serkit.errors import BundleError, TrainingError
from serkit.models.calibrated_svm import SVM
from serkit.models.classical import SMALLEST, ClassWeighted, TemperatureScaled, XGBoost
from serkit.models.selection import BestOf, Searched, SoftVoting

if TYPE_CHECKING:
    pass

__all__ = ["joined", "pipeline_graph"]

_OPSET, _IR_VERSION = 15, 8  # the newest operator set that onnxmltools converts XGBoost to


def pipeline_graph(
    pipeline: Pipeline,
    labels: Sequence[str],
    n_features: int,
    *,
    source: str = "features",
    target: str = "probabilities",
) -> onnx.ModelProto:
    """Join scaler, selection, classifier and temperature to one graph; samplers act in training only.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted, over vectors.
    labels : sequence of str
        Order of the output.
    n_features : int
        Width of the input.
    source, target : str
        Names of input and output.

    Returns
    -------
    onnx.ModelProto
        Input `source` float32 (1, n_features), output `target` float32 (1, n_labels).
    """
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(value: Any, dtype: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value, dtype), f"constant_{len(constants)}"))
        return str(constants[-1].name)

    def add(op: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op, list(inputs), [f"value_{len(nodes)}"], **attributes))
        return str(nodes[-1].output[0])

    value, width = source, n_features
    for name, step in pipeline.steps[:-1]:
        if name == "scale":
            # The operations of fitting.Scaler, bit for bit
            value = add("Sub", value, constant(step.mean_, np.float32))
            value = add("Div", value, constant(step.scale_, np.float32))
        elif name == "select":
            kept = step.get_support(indices=True)
            value, width = add("Gather", value, constant(kept, np.int64), axis=1), len(kept)
        elif not hasattr(step, "fit_resample"):
            raise TrainingError(f"The step '{name}' of the pipeline has no ONNX counterpart.")
    model = pipeline.steps[-1][1]
    versions = {"": _OPSET}

    def classify(model: Any, value: str, prefix: str) -> str:
        """The probabilities of ``model``, in the order of its classes."""
        while isinstance(model, (TemperatureScaled, Searched, BestOf, ClassWeighted, SVM, Pipeline)):
            model = model.steps[-1][1] if isinstance(model, Pipeline) else model.estimator_
        if isinstance(model, SoftVoting):
            parts = [classify(part, value, f"{prefix}{k}_") for k, part in enumerate(model.estimators_)]
            return add("Div", add("Sum", *parts), constant(len(parts), np.float32))
        part = compose.add_prefix(_convert(model, width), prefix)
        nodes.append(helper.make_node("Identity", [value], [part.graph.input[0].name]))
        nodes.extend(part.graph.node)
        constants.extend(part.graph.initializer)
        for used in part.opset_import:
            versions[used.domain] = max(used.version, versions.get(used.domain, 1))
        return f"{prefix}probabilities"

    value = classify(model, value, "model_")
    # A deep model has its temperature inside.
    temperature = 1.0 if hasattr(model, "vector_graph") else getattr(model, "temperature_", 1.0)
    if temperature != 1.0:
        value = add("Clip", value, constant(SMALLEST, np.float32), constant(1, np.float32))
        value = add("Div", add("Log", value), constant(temperature, np.float32))
        value = add("Softmax", value, axis=1)
    column = {str(label): k for k, label in enumerate(model.classes_)}
    order = constant([column[label] for label in labels], np.int64)
    nodes.append(helper.make_node("Gather", [value, order], [target], axis=1))
    graph = helper.make_graph(
        nodes,
        "serkit",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, [1, n_features])],
        [helper.make_tensor_value_info(target, TensorProto.FLOAT, [1, len(labels)])],
        constants,
    )
    joined = helper.make_model(
        graph,
        producer_name="serkit",
        ir_version=max(_IR_VERSION, 9 if versions[""] > _OPSET else 0),
        opset_imports=[helper.make_opsetid(domain, number) for domain, number in versions.items()],
    )
    onnx.checker.check_model(joined)
    return joined


def joined(*parts: onnx.ModelProto) -> onnx.ModelProto:
    """Put graphs one behind the other: each takes by name what those before it give.

    The inputs are what no part gives, each once, the outputs what no part takes, those of the last part first.

    Raises
    ------
    BundleError
        If an operator of the last part is not the same in the newer operator set of another one.
    """
    versions = {entry.domain: entry.version for part in parts for entry in part.opset_import}
    versions[""] = max(entry.version for part in parts for entry in part.opset_import if entry.domain == "")
    graphs = [part.graph for part in parts]
    given = {value.name for graph in graphs for value in graph.output}
    taken = {value.name for graph in graphs for value in graph.input}
    graph = helper.make_graph(
        [node for graph in graphs for node in graph.node],
        "serkit",
        list({value.name: value for graph in graphs for value in graph.input if value.name not in given}.values()),
        [value for graph in graphs[::-1] for value in graph.output if value.name not in taken],
        [constant for graph in graphs for constant in graph.initializer],
    )
    made = helper.make_model(
        graph,
        producer_name="serkit",
        ir_version=max(part.ir_version for part in parts),
        opset_imports=[helper.make_opsetid(domain, number) for domain, number in versions.items()],
    )
    try:
        onnx.checker.check_model(made, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BundleError(f"The head does not fit the operator set of its front end: {error}") from error
    return made


def _convert(model: Any, width: int) -> onnx.ModelProto:
    """A classifier by itself, each kind through its own converter."""
    if hasattr(model, "vector_graph"):
        graph: onnx.ModelProto = model.vector_graph(width)
        return graph
    if isinstance(model, XGBoost):
        # By itself, not as a pipeline that skl2onnx converts as a whole: see fitting.Scaler.
        from onnxmltools.convert import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        types = [("input", FloatTensorType([None, width]))]
        return convert_xgboost(model.booster_, initial_types=types, target_opset=_OPSET)
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType as Floats

    with warnings.catch_warnings():  # skl2onnx looks for SVC's own probabilities, which are not used here
        warnings.filterwarnings("ignore", "Attribute `prob[AB]_` was deprecated", FutureWarning)
        return convert_sklearn(
            model,
            initial_types=[("input", Floats([None, width]))],
            options={id(model): {"zipmap": False}},
            target_opset={"": _OPSET, "ai.onnx.ml": 1},
        )
