"""Several recordings at once on a GPU: those that wait at the same time and have the same length go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Event, Lock, Semaphore
from typing import Any

import numpy as np

__all__ = ["WORKERS", "Batches"]

#: Recordings that are read and answered at the same time.
WORKERS = 16

_RUNS = 2  # of the session at the same time: while these run, others gather
_MOST = 16_000 * 120  # samples in a batch, so that memory has an end
_SAME = 1e-5  # by how much an answer may depend on the recordings beside it
_ROUNDING = 0.1  # and on whether there are any: other sums are rounded otherwise, which int8 makes larger


class _Call:
    """A recording that waits, and then what the graph gives for it."""

    def __init__(self, names: tuple[str, ...], wave: np.ndarray) -> None:
        self.kind, self.wave = (names, wave.shape), wave
        self.done = Event()
        self.found: list[np.ndarray] = []
        self.error: Exception | None = None


class Batches:
    """A session of ONNX Runtime for several threads: recordings that wait and have the same length go together.

    Whether its graph takes several is tried first: only if an answer does not depend on the recording beside it, the
    graph is given more than one. Recordings are not filled up to the same length, which would change their answers.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        With an input ``waveform`` (n, samples).
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._waiting: list[_Call] = []
        self._lock, self._turn = Lock(), Semaphore(_RUNS)
        self.takes_several = self._tried()
        #: The most recordings that went together.
        self.largest = 0

    def get_providers(self) -> list[str]:
        """Return those of the session."""
        found: list[str] = self._session.get_providers()
        return found

    def run(self, names: Sequence[str], feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Do what the session's `run` does."""
        if not self.takes_several or set(feed) != {"waveform"}:
            found: list[np.ndarray] = self._session.run(list(names), dict(feed))
            return found
        call = _Call(tuple(names), feed["waveform"])
        with self._lock:
            self._waiting.append(call)
        with self._turn:
            calls = self._taken(call)
            if calls:
                self._answer(calls)
        call.done.wait()  # another thread may have taken it, and still be at it
        if call.error is not None:
            raise call.error
        return call.found

    def _taken(self, call: _Call) -> list[_Call]:
        """Take a call and those that go with it off the list; none if another thread has taken it."""
        with self._lock:
            if call not in self._waiting:
                return []
            together = [call, *(one for one in self._waiting if one is not call and one.kind == call.kind)]
            together = together[: max(1, _MOST // call.wave.size)]
            self._waiting = [one for one in self._waiting if one not in together]
            self.largest = max(self.largest, len(together))
            return together

    def _answer(self, calls: list[_Call]) -> None:
        names = list(calls[0].kind[0])
        try:
            found = self._session.run(names, {"waveform": np.concatenate([call.wave for call in calls])})
            for k, call in enumerate(calls):
                call.found = [values[k : k + 1] for values in found]
        except Exception as error:  # ONNX Runtime raises its own kinds; the callers say what it means
            for call in calls:
                call.error = error
        finally:
            for call in calls:
                call.done.set()

    def _tried(self) -> bool:
        """Whether a recording gets the same answer beside any other."""
        first = self._session.get_inputs()[0]
        if first.name != "waveform" or isinstance(first.shape[0], int):
            return False
        rng = np.random.default_rng(0)
        wave, *others = (rng.standard_normal((3, 1, 16_000)) * [[[0.1]], [[0.01]], [[0.5]]]).astype(np.float32)
        try:
            beside = [self._session.run(None, {"waveform": np.concatenate([wave, other])}) for other in others]
            alone = self._session.run(None, {"waveform": wave})
        except Exception:  # some part of the graph is made for one
            return False
        return all(
            one.shape[0] == two.shape[0] == 2
            and np.allclose(one[:1], two[:1], atol=_SAME, rtol=_SAME)
            and np.allclose(one[:1], by_itself, atol=_ROUNDING, rtol=_ROUNDING)
            for one, two, by_itself in zip(*beside, alone, strict=True)
        )
