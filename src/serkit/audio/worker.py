"""Processes that decode, so that a crash or a hang affects one recording, not the whole run.

A process is started when a recording first needs it (a fraction of a second) and serves one recording after the
other. There are as many as there are recordings read at the same time. They end with this process, however it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serkit.errors import AudioError

__all__ = ["HANG_SECONDS", "Worker", "WorkerDiedError", "give_back", "take"]

#: A decoder that gives no sound for this long counts as hung, s.
HANG_SECONDS = 30.0

_CLOSE_SECONDS = 2.0  # for closing a recording; then the process is ended
_MOST_IDLE = 4  # processes kept for later recordings
_LARGEST = 1 << 28  # bytes of one answer
_CAN_WAIT = hasattr(select, "poll")  # not on Windows
_PIPE = 1 << 20  # bytes on their way, where the system lets us choose
#: Isolated from the current folder and the environment; it uses the same packages as this process.
_START = "import sys, json, runpy; sys.path[:] = json.loads(sys.argv[1]); runpy.run_path({!r}, run_name='__main__')"


class WorkerDiedError(AudioError):
    """The process crashed, or was ended because it hung; the message is the end of a sentence."""


class Worker:
    """One process; used by one recording at a time.

    Parameters
    ----------
    script : path
        What it runs, as :mod:`serkit.audio.ffmpeg_process`.
    """

    def __init__(self, script: Path) -> None:
        self.script = script
        packages = json.dumps([os.path.abspath(path) for path in sys.path])  # noqa: PTH100 - "" is the current folder
        command = [sys.executable, "-I", "-c", _START.format(str(script)), packages]
        self.process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # of Windows
        )
        with contextlib.suppress(ImportError, AttributeError, OSError):
            import fcntl

            fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, _PIPE)  # type: ignore[arg-type]
        self._whole = True  # whether the next byte is the first of an answer
        self._hung = False

    @property
    def alive(self) -> bool:
        """Whether the process runs and can take a request."""
        return self._whole and self.process.poll() is None

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request; if the process has ended, :meth:`receive` reports it."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps(request).encode() + b"\n")

    def receive(self, seconds: float | None = None) -> tuple[bytes, bytes]:
        """Return the next answer: its letter and its data.

        Raises
        ------
        WorkerDiedError
            If the process ends first, or sends nothing for `seconds` (by default :data:`HANG_SECONDS`).
        """
        self._whole = False
        end = time.monotonic() + (HANG_SECONDS if seconds is None else seconds)
        with self._guard(end):
            letter, size = struct.unpack("<cI", self._read(5, end))
            data = self._read(size, end)
        self._whole = True
        return letter, data

    @contextlib.contextmanager
    def _guard(self, end: float) -> Iterator[None]:
        """Where a pipe cannot be waited for with an end, a timer ends the process; it costs a thread."""
        if _CAN_WAIT:
            yield
            return
        timer = threading.Timer(end - time.monotonic(), self._hang)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _hang(self) -> None:
        self._hung = True
        self.process.kill()

    def _read(self, size: int, end: float) -> bytes:
        pipe = self.process.stdout
        assert pipe is not None
        if size > _LARGEST:
            raise WorkerDiedError("its decoder gave an answer of impossible size")
        data = bytearray(size)
        view, at = memoryview(data), 0
        if _CAN_WAIT:
            ready = select.poll()
            ready.register(pipe, select.POLLIN)
        while at < size:
            if _CAN_WAIT and not ready.poll(max(1e3 * (end - time.monotonic()), 0)):
                self._hang()
            count = pipe.readinto(view[at:])  # type: ignore[attr-defined]
            if not count:
                code = self.process.wait()
                if self._hung:
                    raise WorkerDiedError("its decoder hung and was stopped")
                raise WorkerDiedError(f"its decoder crashed, {f'signal {-code}' if code < 0 else f'code {code}'}")
            at += count
        return bytes(data)

    def close_recording(self) -> bool:
        """Close the current recording; return whether the process is ready for the next one."""
        if not self.alive:
            return False
        self.ask({"close": True})
        try:
            while True:
                if self.receive(_CLOSE_SECONDS)[0] == b"C":
                    return True
        except WorkerDiedError:
            return False

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        self.forget()

    def forget(self) -> None:
        """Close this side of the pipes."""
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError, ValueError):
                if pipe is not None:
                    pipe.close()


_lock = threading.Lock()
_all: set[Worker] = set()
_idle: list[Worker] = []  # of all scripts


def take(script: Path) -> Worker:
    """Return an idle process, or else a new one.

    Parameters
    ----------
    script : path
        What it runs.

    Raises
    ------
    AudioError
        If no process can be started.
    """
    while True:
        with _lock:
            worker = next((one for one in reversed(_idle) if one.script == script), None)
            if worker is not None:
                _idle.remove(worker)
        if worker is None:
            break
        if worker.alive:
            return worker
        _end(worker)
    try:
        worker = Worker(script)
    except OSError as error:
        raise AudioError(f"the process that decodes does not start ({error.strerror or error}).") from None
    with _lock:
        _all.add(worker)
    return worker


def give_back(worker: Worker) -> None:
    """Keep a process for the next recording, or end it if it is no longer needed."""
    if worker.close_recording():
        with _lock:
            if sum(one.script == worker.script for one in _idle) < _MOST_IDLE:
                _idle.append(worker)
                return
    _end(worker)


def _end(worker: Worker) -> None:
    worker.end()
    with _lock:
        _all.discard(worker)


def _end_all() -> None:
    with _lock:
        workers = list(_all)
        _all.clear()
        _idle.clear()
    for worker in workers:
        worker.end()


def _after_fork() -> None:
    """In a forked process: drop the parent's workers without ending them, so that it starts its own."""
    global _lock
    _lock = threading.Lock()
    for worker in _all:
        worker.forget()
        worker.process.returncode = 0  # not a child of this process
    _all.clear()
    _idle.clear()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
