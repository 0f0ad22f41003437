"""One ONNX graph from the waveform to the probabilities: a front end's graph, and a network that torch exports."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import onnx
import torch
from torch import Tensor, nn

from serkit.errors import BundleError
from serkit.features.graph import IR_VERSION, OPSET
from serkit.models.resnet import scale

if TYPE_CHECKING:
    from serkit.features import FrontEnd

__all__ = ["vector_graph", "waveform_graph"]


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


def waveform_graph(network: nn.Module, n_rows: int, temperature: float, front_end: FrontEnd) -> onnx.ModelProto:
    """Join a front end and a torch network: ``waveform`` (1, n) -> ``probabilities`` (1, n_classes).

    Parameters
    ----------
    network : torch.nn.Module
        Normalised log-mel (1, n_rows, n_frames) -> logits (1, n_classes).
    n_rows : int
        Number of log-mel rows the network was trained on.
    temperature : float
        Divides the logits.
    front_end : FrontEnd
        Its graph gives log-mel frames.
    """
    front = front_end.graph()
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
