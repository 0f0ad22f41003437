"""What libsndfile does not read, through PyAV (FFmpeg) in a process of its own: the extra ``formats``."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from serkit.audio import worker
from serkit.audio.copies import copied
from serkit.audio.reader import SLACK, AudioInfo
from serkit.audio.signatures import DEMUXERS
from serkit.errors import AudioError, MissingExtraError, TruncatedError

__all__ = ["AvReader", "have_pyav"]

_SCRIPT = Path(__file__).with_name("ffmpeg_process.py")
_NO_LENGTH = ("AAC", "AC3", "AMR", "DTS", "E-AC3", "FLV", "MP3", "MPEG", "MPEG-TS")  # FFmpeg estimates it


def have_pyav() -> bool:
    """Whether PyAV is installed; it is not imported."""
    try:
        return importlib.util.find_spec("av") is not None
    except ValueError:  # sys.modules holds None for it
        return False


class AvReader:
    """A recording that another process decodes.

    Parameters
    ----------
    file : binary file object
    name : str
        Its name in messages.
    kind : str
        A key of :data:`serkit.audio.signatures.DEMUXERS`.
    path : str or None
        Where `file` is on disk; None copies it to a temporary file.
    stack : ExitStack
        Returns the process to the pool.
    broken : str or None
        What is known to be wrong with its end.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        kind: str,
        path: str | None,
        stack: contextlib.ExitStack,
        broken: str | None = None,
    ) -> None:
        if not have_pyav():
            raise MissingExtraError(f"Reading {kind} ({name})", "av", "formats")
        self.name, self.broken = name, broken
        if path is None:
            path = copied(file, name, stack)
        self._worker = worker.take(_SCRIPT)
        stack.callback(worker.give_back, self._worker)
        self._worker.ask({"open": os.path.abspath(path), "demuxer": DEMUXERS[kind]})  # noqa: PTH100
        try:
            letter, data = self._worker.receive()
        except worker.WorkerDiedError as error:
            raise AudioError(f"{name} looks like {kind} but is damaged ({error}).") from None
        found = json.loads(data)
        if letter != b"I":
            raise self._refused(kind, found)
        seconds = found["seconds"]
        self._promised = seconds if found["of_stream"] and kind not in _NO_LENGTH else None
        self.info = AudioInfo(seconds, found["rate"], found["channels"], kind, found["codec"])

    def _refused(self, kind: str, found: dict[str, str]) -> AudioError:
        if found["reason"] == "no sound":
            return AudioError(f"{self.name} is {kind} without a sound track.")
        if found["reason"] == "no sense":
            return AudioError(f"{self.name} is damaged or in an unknown coding: its {kind} header makes no sense.")
        if found["kind"] in ("ImportError", "ModuleNotFoundError"):
            return AudioError(f"{self.name} cannot be read: PyAV is installed but does not load ({found['reason']}).")
        return AudioError(f"{self.name} looks like {kind} but is truncated or damaged ({found['reason']}).")

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        rate, at, reason = self.info.sample_rate, start, None
        self._worker.ask({"read": [start, stop]})
        try:
            while True:
                letter, data = self._worker.receive()
                if letter != b"P":
                    break
                samples = np.frombuffer(data, dtype=np.float32).reshape(-1, self.info.channels)
                at += len(samples)
                yield samples
        except worker.WorkerDiedError as error:  # do not trust anything that came from such a decoder
            raise AudioError(f"{self.name} is damaged after {at / rate:.2f} s ({error}).") from None
        if letter == b"E":
            reason = json.loads(data)["reason"]
            said = f"{self.name} is truncated or damaged after {at / rate:.2f} s ({reason})."
            raise TruncatedError(said) if at else AudioError(said)
        if stop is not None and at >= stop:
            return
        if at > start and self._promised is not None and self._promised - at / rate > SLACK:
            raise TruncatedError(
                f"{self.name} is truncated: header says {self._promised:.2f} s, {at / rate:.2f} s could be read."
            )
        if self.broken is not None:
            raise TruncatedError(self.broken)
