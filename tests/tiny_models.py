"""Tiny ONNX models for tests, whose answers a few lines of NumPy give too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serkit.bundle import Bundle, Manifest, add_metadata, write_bundle
from serkit.emotions import LABELS

SLOPE = np.linspace(-200, 200, 8, dtype=np.float32)[np.newaxis]
BIAS = np.array([[2.0, 1.0, 1.5, 0.0, -1.0, -2.0, -2.5, -3.0]], dtype=np.float32)

WAVEFORM_INPUT = {"kind": "waveform", "sample_rate": 16000, "min_seconds": 0.25, "max_seconds": 10.0}

#: Whatever could make a page ask another machine for something.
HOSTILE_CARD = r"""# Evil

![seen](https://example.org/seen.png) ![ref] !\[seen](https://example.org/a.png)
[link](https://example.org) <img src="https://example.org/b.png"> &lt;img&gt;
| a | b |
| --- | --- |
| `ser` | **bold** $\includegraphics{c.png}$ :red[x] |

[ref]: https://example.org/ref.png
"""


def softmax(scores: np.ndarray) -> np.ndarray:
    grown = np.exp(scores - scores.max())
    return grown / grown.sum()


def expected(samples: np.ndarray) -> np.ndarray:
    """What :func:`waveform_graph` gives for samples at its rate."""
    return softmax(np.abs(samples.astype(np.float64)).mean() * SLOPE[0] + BIAS[0])


def model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def waveform_graph(
    *, slope: np.ndarray = SLOPE, bias: np.ndarray = BIAS, name: str = "waveform", samples: int | str = "n"
) -> onnx.ModelProto:
    """Mean absolute sample, times a slope a label, plus a bias, through softmax."""
    return model(
        [
            helper.make_node("Abs", [name], ["size"]),
            helper.make_node("ReduceMean", ["size"], ["level"], axes=[1], keepdims=1),
            helper.make_node("MatMul", ["level", "slope"], ["sloped"]),
            helper.make_node("Add", ["sloped", "bias"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, samples])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, slope.shape[1]])],
        {"slope": slope, "bias": bias},
    )


def features_graph(weights: np.ndarray) -> onnx.ModelProto:
    """A vector times `weights`, shape (n, labels), through softmax; the sizes are left free, as converters do."""
    return model(
        [
            helper.make_node("MatMul", ["features", "weights"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        ],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(weights)])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, None])],
        {"weights": weights.astype(np.float32)},
    )


def tiny_manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "name": "tiny",
        "version": "1.0",
        "labels": LABELS,
        "input": dict(WAVEFORM_INPUT),
        "licence": "MIT",
        "created": "2025-01-31",
        "scores": {"speaker": {"uar": 0.5, "uar_interval": [0.4, 0.6], "accuracy": 0.55, "n_clips": 90}},
    }
    return Manifest(**{**values, **changes})


def write_tiny(
    folder: Path,
    *,
    graph: onnx.ModelProto | None = None,
    clips: bytes | None = None,
    card: str = "# Tiny\n\nFor tests.\n",
    **changes: Any,
) -> Bundle:
    """Write a bundle of :func:`waveform_graph` or another graph, and the hashes of its training clips if given."""
    manifest = tiny_manifest(**changes)
    data = add_metadata((graph or waveform_graph()).SerializeToString(), manifest)
    extra = None if clips is None else {"clips.bin": clips}
    return write_bundle(folder, onnx_bytes=data, manifest=manifest, card=card, extra=extra)
