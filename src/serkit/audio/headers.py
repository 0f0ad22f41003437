"""What container headers promise, read by hand: decoders silently clamp a wrong length."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["DataChunk", "data_chunk", "looks_like_text", "read_at"]

_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_MAX_CHUNKS = 1000  # longer lists of chunks are not read to their end


@dataclass(frozen=True)
class DataChunk:
    """Where the samples of an uncompressed container are.

    Attributes
    ----------
    start : int
        Byte position of the first sample.
    promised : int or None
        Bytes of samples that the header states; None if the writer could not know (it wrote to a pipe).
    present : int
        Bytes between `start` and the end of the file, at most `promised`.
    size_at : int
        Byte position of the field that holds the size.
    more : int
        Bytes after the promised samples that are neither another chunk, a tag nor padding: sound that the
        header leaves out.
    """

    start: int
    promised: int | None
    present: int
    size_at: int
    more: int = 0


def read_at(file: BinaryIO, position: int, count: int) -> bytes:
    """Read `count` bytes at `position`; fewer at the end."""
    file.seek(position)
    return file.read(count)


def looks_like_text(head: bytes) -> bool:
    """Whether a file begins like text: UTF-8 without control characters, or UTF-16 with its mark."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    try:
        text = head[: max(len(head) - 3, 1)].decode("utf-8-sig")  # the last character may be cut in two
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\r\n\t\f" for char in text)


def data_chunk(file: BinaryIO, size: int) -> DataChunk | None:
    """Find the samples of a WAV, RF64, W64, AIFF or AU file of `size` bytes; None for any other file."""
    head = read_at(file, 0, 40)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _riff(file, size, ">" if head[:4] == b"RIFX" else "<")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _riff(file, size, ">", data=b"SSND", skip=8)
    if head[:16] == _W64_RIFF:
        return _w64(file, size)
    if head[:4] == b".snd" and len(head) >= 12:
        start, promised = struct.unpack(">II", head[4:12])
        return _chunk(start, None if promised == 0xFFFFFFFF else promised, size, 8)
    return None


def _chunk(start: int, promised: int | None, size: int, size_at: int, more: int = 0) -> DataChunk:
    there = max(size - start, 0)
    return DataChunk(start, promised, there if promised is None else min(there, promised), size_at, more)


def _riff(file: BinaryIO, size: int, order: str, *, data: bytes = b"data", skip: int = 0) -> DataChunk | None:
    position, long_size = 12, None
    for _ in range(_MAX_CHUNKS):
        head = read_at(file, position, 8)
        if len(head) < 8:
            return None
        length = struct.unpack(order + "I", head[4:])[0]
        if head[:4] == b"ds64":
            field = read_at(file, position + 16, 8)
            long_size = struct.unpack("<Q", field)[0] if len(field) == 8 else None
        if head[:4] == data:
            start = position + 8 + skip
            if length == 0xFFFFFFFF and long_size is not None:
                return _chunk(start, long_size, size, position + 4)
            promised = None if _unknown(length) else max(length - skip, 0)
            if length == 0:
                after = read_at(file, start, 4)
                promised = 0 if len(after) < 4 or (after.isascii() and after.decode().isprintable()) else None
            hidden = _hidden(file, size, start, promised) if promised else 0
            return _chunk(start, promised, size, position + 4, hidden)
        position += 8 + length + length % 2
    return None


def _unknown(length: int) -> bool:
    """Whether a writer put this size because it cannot seek back: FFmpeg all ones, SoX and others about 2 GiB."""
    return length >= 0xFFFFFF00 or 0x7FFFEF00 <= length <= 0x80000000


def _hidden(file: BinaryIO, size: int, start: int, promised: int) -> int:
    """Bytes after the promised samples, if there are many and they are not a chunk, tag or padding."""
    end = start + promised + promised % 2
    if size - end <= promised:
        return 0
    after = read_at(file, end, 64)
    known = after[:3] in (b"ID3", b"TAG") or (after[:4].isascii() and after[:4].decode().isprintable())
    return 0 if known or not any(after) else size - end


def _w64(file: BinaryIO, size: int) -> DataChunk | None:
    position = 40
    for _ in range(_MAX_CHUNKS):
        head = read_at(file, position, 24)
        if len(head) < 24:
            return None
        length = struct.unpack("<Q", head[16:])[0]
        if head[:4] == b"data":
            return _chunk(position + 24, max(length - 24, 0), size, position + 16)
        position = min(position + max(24, (length + 7) // 8 * 8), size)
    return None
