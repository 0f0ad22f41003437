"""Sound that is read while it comes: WAV on a pipe, or raw samples."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from serkit.audio.arrays import check_rate
from serkit.audio.reader import AudioInfo
from serkit.errors import AudioError, TruncatedError

__all__ = ["LivePcm", "Rest", "open_live"]

_PIECE = 1 << 14  # bytes read at a time, at most
_MOST_HEAD = 1 << 20  # bytes before the samples
_OPEN_END = 0x7FFF0000  # a length from here on is that of a program that could not know it
_KINDS = {(1, 8): "u1", (1, 16): "<i2", (1, 24): "", (1, 32): "<i4", (3, 32): "<f4", (3, 64): "<f8"}


class Rest:
    """A stream of which the first bytes were read already.

    Parameters
    ----------
    head : bytes
        What was read.
    stream : binary file object
    """

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def read(self, count: int = -1) -> bytes:
        """Return up to `count` bytes; none at the end."""
        if self._head:
            size = len(self._head) if count < 0 else count
            found, self._head = self._head[:size], self._head[size:]
            return found
        return self._stream.read(count)


class LivePcm:
    """Samples of a stream. It can be answered once, while it comes: it is a source like a file.

    Parameters
    ----------
    stream : binary file object
        At its first sample.
    rate, channels : int
    kind : (int, int)
        Format tag of WAV (1: integers, 3: floats) and bits of a sample.
    left : int or None
        Bytes of samples that the header promises; None: until the stream ends.
    head : bytes
        What was read before the samples.

    Attributes
    ----------
    rate, channels : int
    name : str
        Its name in messages.
    info : AudioInfo
    broken : None
        Nothing is known about its end.
    """

    name = "'standard input'"
    broken: str | None = None

    def __init__(
        self,
        stream: BinaryIO,
        rate: int,
        channels: int,
        kind: tuple[int, int],
        left: int | None,
        head: bytes = b"",
    ) -> None:
        self.rate, self.channels, self._head = rate, channels, head
        self.info = AudioInfo(None, rate, channels, "PCM", f"{kind[1]} bits")
        self._stream, self._kind, self._left = stream, kind, left

    def rest(self) -> Rest:
        """Return the whole stream from its first byte, to be read another way; nothing may have been read yet."""
        return Rest(self._head, self._stream)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield the samples, as readers of files do; only from the start to the end, and only once."""
        if start or stop is not None:
            raise AudioError(f"{self.name} can only be read from its start to its end.")
        yield from self.chunks()

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield what has come, float32, shape (n, channels), as soon as it has.

        Raises
        ------
        TruncatedError
            If the stream ends before the length that its header promises; raised after everything that came.
        """
        size = self.channels * self._kind[1] // 8
        held, left = b"", self._left
        # A pipe gives what it holds; read() would wait for more.
        read = getattr(self._stream, "read1", self._stream.read)
        got = 0
        while left is None or left > 0:
            data = read(_PIECE if left is None else min(_PIECE, left))
            if not data:
                break
            got += len(data)
            left = None if left is None else left - len(data)
            held += data
            whole = len(held) // size * size
            if whole:
                yield self._floats(held[:whole])
                held = held[whole:]
        if left:
            said, came = ((got + left) / size / self.rate, got / size / self.rate)
            raise TruncatedError(f"{self.name} is truncated: header says {said:.2f} s, {came:.2f} s could be read.")

    def _floats(self, data: bytes) -> np.ndarray:
        tag, bits = self._kind
        if (tag, bits) == (1, 24):
            parts = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
            values = ((parts[:, 0] << 8 | parts[:, 1] << 16 | parts[:, 2] << 24) / 2.0**31).astype(np.float32)
        else:
            given = np.frombuffer(data, np.dtype(_KINDS[self._kind])).astype(np.float64)
            if tag == 1:
                given = (given - 128) / 128 if bits == 8 else given / 2.0 ** (bits - 1)
            values = given.astype(np.float32)
        return values.reshape(-1, self.channels)


def open_live(stream: BinaryIO, rate: int | None = None) -> LivePcm | Rest:
    """Open standard input to be answered while it comes.

    Parameters
    ----------
    stream : binary file object
    rate : int, optional
        The stream is raw samples of this rate in Hz: 16 bits, little-endian, mono.

    Returns
    -------
    LivePcm or Rest
        Rest where the stream is not WAV: it can only be read as a whole.

    Raises
    ------
    AudioError
        If it is empty, or a WAV header makes no sense.
    """
    if rate is not None:
        return LivePcm(stream, check_rate(rate, "--rate"), 1, (1, 16), None)
    head = _exactly(stream, 12)
    if not head:
        raise AudioError("'standard input' is empty (0 bytes).")
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return Rest(head, stream)
    form: tuple[int, int, int, int] | None = None
    while len(head) < _MOST_HEAD:
        start = _exactly(stream, 8)
        if len(start) < 8:
            raise AudioError("standard input ends inside its WAV header.")
        name, size = start[:4], struct.unpack("<I", start[4:])[0]
        head += start
        if name == b"data":
            if form is None:
                raise AudioError("standard input is damaged: its WAV header does not say how samples are stored.")
            tag, channels, hertz, bits = form
            if (tag, bits) not in _KINDS or not 1 <= channels <= 64:
                return Rest(head, stream)  # a coding that has to be read as a whole
            left = None if size == 0 or size >= _OPEN_END else size
            check_rate(hertz, "the sample rate of standard input")
            return LivePcm(stream, hertz, channels, (tag, bits), left, head)
        if size > _MOST_HEAD:
            break
        body = _exactly(stream, size + size % 2)
        head += body
        if name == b"fmt " and len(body) >= 16:
            tag, channels, hertz, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if tag == 0xFFFE and len(body) >= 26:
                tag = struct.unpack("<H", body[24:26])[0]
            form = (tag, channels, hertz, bits)
    raise AudioError("standard input is damaged: its WAV header does not end.")


def _exactly(stream: BinaryIO, count: int) -> bytes:
    found = b""
    while len(found) < count and (data := stream.read(count - len(found))):
        found += data
    return found
