"""What libsndfile reads, in a process of its own: for recordings of somebody who is not trusted."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from serkit.audio import worker
from serkit.audio.copies import copied
from serkit.audio.reader import AudioInfo
from serkit.audio.sound_file import NotForLibsndfileError
from serkit.errors import AudioError, TruncatedError

__all__ = ["ApartReader", "warm"]

_SCRIPT = Path(__file__).with_name("sound_process.py")
_NOT_THERE = ("FileNotFoundError", "IsADirectoryError", "OSError", "PermissionError")  # "" is the current folder
_ERRORS = {kind.__name__: kind for kind in (AudioError, TruncatedError, NotForLibsndfileError)}


class ApartReader:
    """A recording that another process decodes as this one would.

    Parameters
    ----------
    file : binary file object
    name : str
        Its name in messages.
    stack : ExitStack
        Returns the process to the pool.
    """

    def __init__(self, file: BinaryIO, name: str, stack: contextlib.ExitStack) -> None:
        self.name = name
        self._worker = worker.take(_SCRIPT)
        stack.callback(worker.give_back, self._worker)
        letter, data = self._opened(_descriptor(file))
        if letter == b"E" and json.loads(data)["kind"] in _NOT_THERE:
            letter, data = self._opened(copied(file, name, stack))
        if letter != b"I":
            raise _error(data)
        found = json.loads(data)
        self.info, self.broken = AudioInfo(**found["info"]), found["broken"]

    def _opened(self, path: str) -> tuple[bytes, bytes]:
        self._worker.ask({"open": path, "name": self.name})
        return self._answer()

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        self._worker.ask({"read": [start, stop]})
        while True:
            letter, data = self._answer()
            if letter != b"P":
                break
            yield np.frombuffer(data, dtype=np.float32).reshape(-1, self.info.channels)
        if letter == b"E":
            raise _error(data)

    def _answer(self) -> tuple[bytes, bytes]:
        try:
            return self._worker.receive()
        except worker.WorkerDiedError as error:
            raise AudioError(f"{self.name} is damaged and cannot be decoded ({error}).") from None


def warm(count: int) -> None:
    """Start `count` processes, so that the first recordings do not wait for them."""
    for one in [worker.take(_SCRIPT) for _ in range(count)]:
        worker.give_back(one)


def _descriptor(file: BinaryIO) -> str:
    """Where the other process finds an open file, which may have no name; an empty path if that cannot be."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError, ValueError):
            file.flush()
            return f"/proc/{os.getpid()}/fd/{file.fileno()}"
    return ""


def _error(data: bytes) -> AudioError:
    found = json.loads(data)
    return _ERRORS.get(found["kind"], AudioError)(found["reason"])
