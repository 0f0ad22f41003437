"""Make the graph that ``serkit.audio.speech_frames`` runs from the one in the package silero-vad.

    python benchmarks/silero_graph.py silero_vad_16k_sequence.onnx out.onnx

The convolutions of Silero's network see four short frames of sound at a time, for which ONNX Runtime has no fast
convolution. As products of matrices, with the same weights, they take less than half the time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_SAMPLES, _HOP, _WINDOW = 576, 128, 256  # of a frame with what comes before it, and of its spectra
_SPECTRA = 4  # in a frame


def convert(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the network with matrices in the place of convolutions."""
    values = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    (lstm,) = (node for node in model.graph.node if node.op_type == "LSTM")
    basis = values["stft.forward_basis_buffer"][:, 0]  # (258, 256): cosines, then sines
    constants: dict[str, np.ndarray] = {
        "basis": basis.T,
        "five": np.array([0, _SPECTRA + 1, _HOP], np.int64),
        "flat": np.array([0, -1], np.int64),
        "mirror": np.arange(_SAMPLES - 2, _SAMPLES - 66, -1),  # 64 samples, mirrored at the end
        "first": np.arange(_SPECTRA),
        "second": np.arange(1, _SPECTRA + 1),
        "one": np.array([1], np.int64),
        "half": np.array([basis.shape[0] // 2] * 2, np.int64),
        "output_weight": values["output.weight"][0],
        "output_bias": values["output.bias"],
        "W": values[lstm.input[1]],
        "R": values[lstm.input[2]],
        "B": values[lstm.input[3]],
    }
    length = _SPECTRA
    for k, stride in enumerate((1, 2, 2, 1)):
        constants[f"w{k}"], length = _matrix(values[f"encoder.{k}.weight"], length, stride)
        constants[f"b{k}"] = np.tile(values[f"encoder.{k}.bias"], length)
    n = helper.make_node
    nodes = [
        n("Gather", ["input", "mirror"], ["end"], axis=1),
        n("Concat", ["input", "end"], ["longer"], axis=1),
        n("Reshape", ["longer", "five"], ["hops"]),
        n("Gather", ["hops", "first"], ["left"], axis=1),
        n("Gather", ["hops", "second"], ["right"], axis=1),
        n("Concat", ["left", "right"], ["windows"], axis=2),
        n("MatMul", ["windows", "basis"], ["spectra"]),
        n("Mul", ["spectra", "spectra"], ["squares"]),
        n("Split", ["squares", "half"], ["cosines", "sines"], axis=2),
        n("Add", ["cosines", "sines"], ["power"]),
        n("Sqrt", ["power"], ["magnitude"]),
        n("Reshape", ["magnitude", "flat"], ["e0"]),
    ]
    for k in range(4):
        nodes += [n("Gemm", [f"e{k}", f"w{k}", f"b{k}"], [f"g{k}"]), n("Relu", [f"g{k}"], [f"e{k + 1}"])]
    nodes += [
        n("Unsqueeze", ["e4", "one"], ["sequence"]),
        n("LSTM", ["sequence", "W", "R", "B", "", "h", "c"], ["y", "hn", "cn"], hidden_size=128),
        n("Reshape", ["y", "flat"], ["hidden"]),
        n("Relu", ["hidden"], ["positive"]),
        n("MatMul", ["positive", "output_weight"], ["scores"]),
        n("Add", ["scores", "output_bias"], ["biased"]),
        n("Sigmoid", ["biased"], ["speech_probs"]),
    ]
    state = [1, 1, 128]
    graph = helper.make_graph(
        nodes,
        "silero_vad_16k_sequence",
        [_of("input", ["n", _SAMPLES]), _of("h", state), _of("c", state)],
        [_of("speech_probs", ["n", 1]), _of("hn", state), _of("cn", state)],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def _of(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _matrix(weight: np.ndarray, length: int, stride: int) -> tuple[np.ndarray, int]:
    """A convolution of three taps over `length` moments, padded by one on both sides, as a matrix of all of them."""
    outputs, inputs, taps = weight.shape
    count = (length - 1) // stride + 1
    found = np.zeros((length, inputs, count, outputs), np.float32)
    for at in range(count):
        for tap in range(taps):
            moment = at * stride + tap - 1
            if 0 <= moment < length:
                found[moment, :, at] = weight[:, :, tap].T
    return found.reshape(length * inputs, count * outputs), count


def main() -> None:
    """Convert, and compare both on noise."""
    import onnxruntime

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("original", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    before = options.original.read_bytes()
    made = convert(onnx.load_from_string(before)).SerializeToString()
    rng = np.random.default_rng(0)
    state = np.zeros((1, 1, 128), np.float32)
    given = {"input": rng.normal(0, 0.1, (512, _SAMPLES)).astype(np.float32), "h": state, "c": state}
    results = []
    for data in (before, made):
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        results.append([value.reshape(-1) for value in session.run(["speech_probs", "hn", "cn"], given)])
    largest = max(float(np.abs(a - b).max()) for a, b in zip(*results, strict=True))
    options.out.write_bytes(made)
    print(f"The largest difference of probabilities and states is {largest:.1g}.")


if __name__ == "__main__":
    main()
