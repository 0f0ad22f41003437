"""Sessions of ONNX Runtime for the graphs of bundles."""

from __future__ import annotations

from typing import Any

from serkit.bundle import Bundle
from serkit.devices import Place, open_session
from serkit.errors import BundleError, SerkitError

__all__ = ["first_line", "open_graph"]


def open_graph(bundle: Bundle, threads: int, device: str) -> Any:
    """Return the session of a bundle's graph.

    Parameters
    ----------
    bundle : Bundle
    threads : int
        Threads inside one answer.
    device : {"auto", "cpu", "cuda"}
        Where it runs.

    Raises
    ------
    BundleError
        If ONNX Runtime cannot run the graph.
    SerkitError
        If there is no such device.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only; they also come as exceptions
    options.enable_mem_pattern = False  # recordings differ in length
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads sleep

    def make(place: Place, providers: list[Any]) -> Any:
        data = bundle.onnx
        if place == "cuda":
            from serkit.recognition.gpu_graph import for_gpu

            data = for_gpu(data)
            from serkit.recognition.gpu_batches import Batches

            return Batches(onnxruntime.InferenceSession(data, options, providers=providers))
        return onnxruntime.InferenceSession(data, options, providers=providers)

    try:
        return open_session(device, make)
    except SerkitError:
        raise
    except Exception as error:  # ONNX Runtime raises its own kinds, one for each status
        raise BundleError(f"model.onnx of {bundle.path} does not load: {first_line(error)}.") from error


def first_line(error: Exception) -> str:
    """The first line of what ONNX Runtime says, without its full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
