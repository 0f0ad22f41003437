"""An ONNX graph in a session of its own on one thread: the same numbers, whoever else computes."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

__all__ = ["OneThread", "one_thread_session"]


def one_thread_session(graph: bytes) -> Any:
    """Return an ONNX Runtime session on one thread: more sum in another order, and 8-bit numbers round otherwise."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # not that an input has a default value
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class OneThread(ABC):
    """What has a graph and runs it: one session per process, on one thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[int, Any] = {}

    @abstractmethod
    def graph(self) -> onnx.ModelProto:
        """Return the graph."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_sessions")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {**state, "_lock": threading.Lock(), "_sessions": {}}

    def _session(self) -> Any:
        with self._lock:
            process = os.getpid()
            if process not in self._sessions:
                self._sessions[process] = one_thread_session(self.graph().SerializeToString())
            return self._sessions[process]
