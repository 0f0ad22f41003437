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
    return write_bundle(folder, onnx_bytes=data, manifest=manifest, card=card, extra=extra, force=True)


# ----------------------------------------------------------------------- a model with an embedding, which adapts

#: What the made embedding model expects of voices it was not told about: six statistics of the sound.
USUAL_MEAN = np.array([[0.0204, 0.0353, 0.0145, 0.1714, 0.0102, 0.0259]], dtype=np.float32)
USUAL_DEVIATION = np.array([[0.0138, 0.0221, 0.0097, 0.0998, 0.0069, 0.0174]], dtype=np.float32)
SIZE = USUAL_MEAN.shape[1]
SHRINK = 5.0  # utterances that count as much as what was heard
PLAIN_HEAD, ADAPTED_HEAD = (
    0.7 * np.random.default_rng(s).standard_normal((SIZE, 8)).astype(np.float32) for s in (1, 2)
)

#: Manifest fields of the made embedding model; half of its clips are nearer than 1, and from 1.8 on it says so.
ADAPTATION = {"size": SIZE}
FAMILIARITY = {"distances": [k / 50 for k in range(101)], "unfamiliar": 0.1}


def embedding_of(samples: np.ndarray) -> np.ndarray:
    """The embedding that :func:`embedding_graph` gives for samples at its rate, shape (6,)."""
    x = samples.astype(np.float64)
    moves = [np.abs(x[step:] - x[:-step]).mean() for step in (1, 2)]
    sizes = [np.abs(x).mean(), np.sqrt(np.square(x).mean()), np.abs(x).max(), np.maximum(x, 0).mean()]
    return np.array([sizes[0], sizes[1], moves[0], sizes[2], sizes[3], moves[1]])


def distance_of(samples: np.ndarray) -> float:
    """The distance that :func:`embedding_graph` gives: mean distance from the usual voices, in their deviations."""
    return float(np.abs((embedding_of(samples) - USUAL_MEAN[0]) / USUAL_DEVIATION[0]).mean())


def adapted_answer(
    samples: np.ndarray, mean: np.ndarray | None = None, deviation: np.ndarray | float = 1.0, heard: float = 0.0
) -> np.ndarray:
    """The probabilities that :func:`embedding_graph` gives, plain or for what was heard, shape (8,)."""
    at = USUAL_MEAN[0] if mean is None else mean
    center = (heard * at + SHRINK * USUAL_MEAN[0]) / (heard + SHRINK)
    spread = np.sqrt((heard * np.square(deviation) + SHRINK * np.square(USUAL_DEVIATION[0])) / (heard + SHRINK))
    return softmax((embedding_of(samples) - center) / spread @ (ADAPTED_HEAD if heard else PLAIN_HEAD))


def embedding_graph(
    *, head: np.ndarray = PLAIN_HEAD, required: bool = False, size: int = SIZE, ir_version: int = 8
) -> onnx.ModelProto:
    """Six statistics of a waveform, standardised by what was heard, through one of two heads.

    Parameters
    ----------
    head : np.ndarray, shape=(6, n_labels)
        Of the plain answer.
    required : bool
        Whether ``mean``, ``deviation`` and ``heard`` must be given, for there are no initializers.
    size : int
        What the graph says its embedding has.
    ir_version : int
        Version of the format.
    """

    def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
        return helper.make_node(kind, inputs.split(), [output], **attributes)

    def mean_size(source: str, output: str) -> list[Any]:
        return [node("Abs", source, f"{output}_abs"), node("ReduceMean", f"{output}_abs", output, axes=[1], keepdims=1)]

    def difference(step: int) -> list[Any]:
        return [
            node("Slice", f"waveform from{step} end axis", f"late{step}"),
            node("Slice", f"waveform zero to{step} axis", f"early{step}"),
            node("Sub", f"late{step} early{step}", f"difference{step}"),
            *mean_size(f"difference{step}", f"moves{step}"),
        ]

    nodes = [
        *mean_size("waveform", "size"),
        node("ReduceL2", "waveform", "norm", axes=[1], keepdims=1),
        node("Shape", "waveform", "shape", start=1),
        node("Cast", "shape", "count", to=TensorProto.FLOAT),
        node("Sqrt", "count", "root"),
        node("Div", "norm root", "rms"),
        *difference(1),
        *difference(2),
        node("ReduceMax", "size_abs", "peak", axes=[1], keepdims=1),
        node("Relu", "waveform", "positive"),
        node("ReduceMean", "positive", "upper", axes=[1], keepdims=1),
        node("Concat", "size rms moves1 peak upper moves2", "embedding", axis=1),
        node("Add", "heard shrink", "total"),
        *(
            made
            for name, given, usual in (("centre", "mean", "usual_mean"), ("power", "square", "usual_square"))
            for made in (
                node("Mul", f"heard {given}", f"{name}_own"),
                node("Mul", f"shrink {usual}", f"{name}_usual"),
                node("Add", f"{name}_own {name}_usual", f"{name}_sum"),
                node("Div", f"{name}_sum total", name),
            )
        ),
        node("Sqrt", "power", "spread"),
        node("Sub", "embedding centre", "off"),
        node("Div", "off spread", "standardised"),
        node("MatMul", "standardised plain_head", "plain"),
        node("MatMul", "standardised adapted_head", "adapted"),
        node("Greater", "heard nothing", "known"),
        node("Where", "known adapted plain", "scores"),
        node("Softmax", "scores", "probabilities", axis=1),
        node("Sub", "embedding usual_mean", "away"),
        node("Div", "away usual_deviation", "away_scaled"),
        node("Abs", "away_scaled", "away_size"),
        node("ReduceMean", "away_size", "distance", axes=[1], keepdims=0),
    ]
    # Before what needs it: the square of the deviation.
    nodes.insert(0, node("Mul", "deviation deviation", "square"))
    float32 = TensorProto.FLOAT
    inputs = [
        helper.make_tensor_value_info("waveform", float32, [1, "n"]),
        helper.make_tensor_value_info("mean", float32, [1, size]),
        helper.make_tensor_value_info("deviation", float32, [1, size]),
        helper.make_tensor_value_info("heard", float32, [1]),
    ]
    outputs = [
        helper.make_tensor_value_info("probabilities", float32, [1, head.shape[1]]),
        helper.make_tensor_value_info("embedding", float32, [1, size]),
        helper.make_tensor_value_info("distance", float32, [1]),
    ]
    numbers = {"zero": 0, "from1": 1, "from2": 2, "to1": -1, "to2": -2, "end": np.iinfo(np.int64).max, "axis": 1}
    constants: dict[str, np.ndarray] = {
        **{name: np.array([number], dtype=np.int64) for name, number in numbers.items()},
        "shrink": np.array([SHRINK], dtype=np.float32),
        "nothing": np.zeros(1, dtype=np.float32),
        "usual_mean": USUAL_MEAN,
        "usual_deviation": USUAL_DEVIATION,
        "usual_square": np.square(USUAL_DEVIATION),
        "plain_head": head,
        "adapted_head": ADAPTED_HEAD[:, : head.shape[1]],
    }
    if not required:
        constants |= {
            "mean": np.zeros((1, size), dtype=np.float32),
            "deviation": np.ones((1, size), dtype=np.float32),
            "heard": np.zeros(1, dtype=np.float32),
        }
    made = model(nodes, inputs, outputs, constants)
    made.ir_version = ir_version
    return made


def write_adaptable(folder: Path, *, graph: onnx.ModelProto | None = None, **changes: Any) -> Bundle:
    """Write a bundle of :func:`embedding_graph` that adapts and tells how familiar a recording is."""
    values = {"adaptation": ADAPTATION, "familiarity": FAMILIARITY, **changes}
    return write_tiny(folder, graph=graph or embedding_graph(), **values)
