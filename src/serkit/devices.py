"""Where ONNX graphs run: on the processor, or on a GPU through CUDA."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal, TypeAlias

from serkit.errors import SerkitError

__all__ = ["CUDA", "DEVICES", "Device", "Place", "check_device", "chosen", "gpus", "missing", "open_session", "runs_on"]

#: ``auto`` is the GPU where there is one that can be used, else the processor.
DEVICES = ("auto", "cpu", "cuda")
Device: TypeAlias = Literal["auto", "cpu", "cuda"]
Place: TypeAlias = Literal["cpu", "cuda"]

CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"

_NVML = {"win32": "nvml.dll"}.get(sys.platform, "libnvidia-ml.so.1")
_INSTALL = (
    "pip install 'serkit[gpu]', then pip uninstall -y onnxruntime, then pip install --force-reinstall --no-deps "
    "onnxruntime-gpu"
)
# TF32 would round to ten bits. Recordings differ in length: trying all algorithms for each length would take seconds.
_CUDA_OPTIONS = {
    "use_tf32": "0",
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": "kSameAsRequested",
}


def gpus(library: str = _NVML) -> list[str]:
    """Return the names of the GPUs that NVIDIA's driver shows; none without a driver, or if CUDA may not see them.

    Parameters
    ----------
    library : str
        The driver's library of management, NVML. Asking CUDA itself would make it unusable in forked processes.

    Examples
    --------
    >>> gpus("no-such-library.so")
    []
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return []
    try:
        nvml = ctypes.CDLL(library)
        if nvml.nvmlInit_v2():
            return []
        number, name, found = ctypes.c_uint(), ctypes.create_string_buffer(128), []
        nvml.nvmlDeviceGetCount_v2(ctypes.byref(number))
        for k in range(number.value):
            gpu = ctypes.c_void_p()
            if not nvml.nvmlDeviceGetHandleByIndex_v2(k, ctypes.byref(gpu)):
                nvml.nvmlDeviceGetName(gpu, name, len(name))
                found.append(name.value.decode(errors="replace"))
        nvml.nvmlShutdown()
        return found
    except (OSError, AttributeError):
        return []


def missing(offered: Collection[str] | None = None, found: Sequence[str] | None = None) -> str | None:
    """Return what is missing to use a GPU, as the start of a sentence; None if nothing is.

    Parameters
    ----------
    offered : collection of str, optional
        The providers of ONNX Runtime; default: those of this installation.
    found : sequence of str, optional
        The GPUs; default: those of this machine.
    """
    if offered is None:
        import onnxruntime

        offered = onnxruntime.get_available_providers()
    if CUDA not in offered:
        return f"the ONNX Runtime that is installed has no CUDA: {_INSTALL} (docs/gpu.md)"
    if not (gpus() if found is None else found):
        return "NVIDIA's driver shows no GPU: check nvidia-smi, or use the processor with auto or cpu"
    return None


def check_device(device: str) -> None:
    """Raise SerkitError if it is none of :data:`DEVICES`."""
    if device not in DEVICES:
        raise SerkitError(f"The device is auto, cpu or cuda, got {device!r}.")


def chosen(device: str, *, offered: Collection[str] | None = None, found: Sequence[str] | None = None) -> Place:
    """Return where graphs run.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
    offered, found
        As for :func:`missing`.

    Raises
    ------
    SerkitError
        If it is no device, or ``"cuda"`` where no GPU can be used.

    Examples
    --------
    >>> chosen("auto", offered=["CPUExecutionProvider"]), chosen("auto", offered=[CUDA], found=["A GPU"])
    ('cpu', 'cuda')
    """
    check_device(device)
    if device == "cpu":
        return "cpu"
    lacks = missing(offered, found)
    if lacks is not None and device == "cuda":
        raise SerkitError(f"The device cuda cannot be used: {lacks}.")
    return "cuda" if lacks is None else "cpu"


def open_session(device: str, make: Callable[[Place, list[Any]], Any]) -> Any:
    """Make an ONNX Runtime session on a device.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
    make : callable
        Called with the place and the `providers` of the ``onnxruntime.InferenceSession`` that it returns.

    Raises
    ------
    SerkitError
        If it is no device, or ``"cuda"`` where no GPU can be used.

    Warns
    -----
    UserWarning
        If ``"auto"`` finds a GPU that ONNX Runtime cannot use.
    """
    place = chosen(device)
    if place == "cuda":
        import onnxruntime

        if hasattr(onnxruntime, "preload_dlls"):  # those that pip has installed
            with contextlib.redirect_stdout(io.StringIO()):
                onnxruntime.preload_dlls()
        session = make(place, [(CUDA, dict(_CUDA_OPTIONS)), _CPU])
        if runs_on(session) == "cuda":
            return session
        says = "ONNX Runtime finds no CUDA or cuDNN that fits it: see docs/gpu.md"
        if device == "cuda":
            raise SerkitError(f"The device cuda cannot be used: {says}.")
        warnings.warn(f"The GPU is not used, the processor answers: {says}.", stacklevel=2)
    return make("cpu", [_CPU])


def runs_on(session: Any) -> Place:
    """Return where a session runs: ONNX Runtime takes the processor by itself if it cannot use the GPU."""
    return "cuda" if session.get_providers()[0] == CUDA else "cpu"
