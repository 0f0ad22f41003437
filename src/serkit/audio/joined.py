"""Recordings that were joined byte by byte: links of a chained Ogg file, MP3 files one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import soxr

from serkit.audio.reader import AudioInfo, Reader
from serkit.errors import AudioError, TruncatedError

__all__ = ["JoinedReader"]


class JoinedReader:
    """The parts of a file, one after the other at the rate of the first.

    A part that cannot be read is left out, and the recording counts as broken. So does one in which a part breaks off.

    Parameters
    ----------
    name : str
        Its name in messages.
    parts : sequence of (int, int)
        First and last byte (exclusive) of each.
    open_part : callable
        Opens a part, given these two and a stack that closes it.
    """

    def __init__(
        self,
        name: str,
        parts: Sequence[tuple[int, int]],
        open_part: Callable[[int, int, contextlib.ExitStack], Reader],
    ) -> None:
        self.name = name
        self.broken: str | None = None
        self._open = open_part
        self._parts: list[tuple[int, int, AudioInfo]] = []
        problem: AudioError | None = None
        for begin, end in parts:
            try:
                with self._opened(begin, end) as reader:
                    self._parts.append((begin, end, reader.info))
                    broken: str | None = reader.broken
            except AudioError as error:
                problem = problem or error
                broken = str(error)
            self.broken = self.broken or broken
        if not self._parts:
            raise problem or AudioError(f"{name} is damaged and cannot be decoded.")
        first = self._parts[0][2]
        known = [info.duration for _, _, info in self._parts]
        seconds = None if None in known else sum(filter(None, known))
        self.info = AudioInfo(seconds, first.sample_rate, first.channels, first.format, first.subtype)

    @contextlib.contextmanager
    def _opened(self, begin: int, end: int) -> Iterator[Reader]:
        with contextlib.ExitStack() as stack:
            yield self._open(begin, end, stack)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        at = 0  # what is before `start` is decoded and dropped: exact lengths are known only afterwards
        for piece in self._all():
            part = piece[max(start - at, 0) : None if stop is None else max(stop - at, 0)]
            at += len(piece)
            if len(part):
                yield part
            if stop is not None and at >= stop:
                return
        if self.broken is not None:
            raise TruncatedError(self.broken)

    def _all(self) -> Iterator[np.ndarray]:
        rate = self.info.sample_rate
        for begin, end, info in self._parts:
            same, channels = info.sample_rate == rate, self.info.channels
            convert = None if same else soxr.ResampleStream(info.sample_rate, rate, channels, "float32")
            try:
                with self._opened(begin, end) as reader:
                    for piece in reader.blocks():
                        piece = _with_channels(piece, channels)
                        yield piece if convert is None else convert.resample_chunk(piece)
            except AudioError as error:
                self.broken = self.broken or str(error)
            if convert is not None:
                yield convert.resample_chunk(np.zeros((0, channels), dtype=np.float32), last=True)


def _with_channels(data: np.ndarray, channels: int) -> np.ndarray:
    """A part with a different number of channels than the first: the mean of its channels, on each channel."""
    if data.shape[1] == channels:
        return data
    return np.repeat(data.mean(axis=1, keepdims=True, dtype=np.float32), channels, axis=1)
