"""What container headers promise, read by hand: decoders clamp a wrong length without a word."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

__all__ = [
    "DataChunk",
    "Mp3Header",
    "data_chunk",
    "looks_like_text",
    "mp3_header",
    "mp3_note",
    "ogg_cut_off",
]

_W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_MP3_KBIT = (
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
_MAX_CHUNKS = 1000  # of a chunk list that goes on longer than this, the rest is not looked at


@dataclass(frozen=True)
class DataChunk:
    """Where the samples of an uncompressed container stand.

    Attributes
    ----------
    start : int
        Byte position of the first sample.
    promised : int or None
        Bytes of samples that the header speaks of; None if the writer could not know (it wrote to a pipe).
    present : int
        Bytes between `start` and the end of the file, at most `promised`.
    size_at : int
        Byte position of the field that holds the size.
    more : int
        Bytes after the promised samples that are neither a further chunk, a tag nor padding: sound that the
        header hides.
    """

    start: int
    promised: int | None
    present: int
    size_at: int
    more: int = 0


@dataclass(frozen=True)
class Mp3Header:
    """The first frame of an MP3 and, where its encoder left one, the Xing/Info note on the whole file.

    Attributes
    ----------
    start : int
        Byte position of the first frame.
    frame_bytes : int
        Length of that frame in bytes.
    seconds : float or None
        Duration according to the note.
    promised : int or None
        Bytes from `start` on according to the note.
    """

    start: int
    frame_bytes: int
    seconds: float | None
    promised: int | None


def _read_at(file: BinaryIO, position: int, count: int) -> bytes:
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
    head = _read_at(file, 0, 40)
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
        head = _read_at(file, position, 8)
        if len(head) < 8:
            return None
        length = struct.unpack(order + "I", head[4:])[0]
        if head[:4] == b"ds64":
            field = _read_at(file, position + 16, 8)
            long_size = struct.unpack("<Q", field)[0] if len(field) == 8 else None
        if head[:4] == data:
            start = position + 8 + skip
            if length == 0xFFFFFFFF and long_size is not None:
                return _chunk(start, long_size, size, position + 4)
            promised = None if _unknown(length) else length - skip
            if length == 0:
                after = _read_at(file, start, 4)
                promised = 0 if len(after) < 4 or (after.isascii() and after.decode().isprintable()) else None
            hidden = _hidden(file, size, start, promised) if promised else 0
            return _chunk(start, promised, size, position + 4, hidden)
        position += 8 + length + length % 2
    return None


def _unknown(length: int) -> bool:
    """Sizes that writers put down when they cannot seek back: FFmpeg all ones, SoX and others about 2 GiB."""
    return length >= 0xFFFFFF00 or 0x7FFFEF00 <= length <= 0x80000000


def _hidden(file: BinaryIO, size: int, start: int, promised: int) -> int:
    """Bytes after the promised samples, if they are many and are no chunk, tag or padding."""
    end = start + promised + promised % 2
    if size - end <= promised:
        return 0
    after = _read_at(file, end, 64)
    known = after[:3] in (b"ID3", b"TAG") or (after[:4].isascii() and after[:4].decode().isprintable())
    return 0 if known or not any(after) else size - end


def _w64(file: BinaryIO, size: int) -> DataChunk | None:
    position = 40
    for _ in range(_MAX_CHUNKS):
        head = _read_at(file, position, 24)
        if len(head) < 24:
            return None
        length = struct.unpack("<Q", head[16:])[0]
        if head[:4] == b"data":
            return _chunk(position + 24, max(length - 24, 0), size, position + 16)
        position = min(position + max(24, (length + 7) // 8 * 8), size)
    return None


def _mp3_frame(head: bytes) -> tuple[int, int, int, int] | None:
    """Length in bytes, samples, rate in Hz and place of the Xing note of the frame in `head`; or None."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:  # 11 bits of sync, then layer III
        return None
    version, bitrate, rate_index = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate_index == 3:
        return None
    first = version == 3  # MPEG-1; else MPEG-2 or 2.5
    rate = (44100, 48000, 32000)[rate_index] // (1 if first else 2 if version == 2 else 4)
    samples = 1152 if first else 576
    length = samples // 8 * _MP3_KBIT[first][bitrate - 1] * 1000 // rate + (head[2] >> 1 & 1)
    mono = head[3] >> 6 == 3
    return length, samples, rate, 4 + ((17 if mono else 32) if first else (9 if mono else 17))


def mp3_header(file: BinaryIO) -> Mp3Header | None:
    """Read the first frame header of an MP3 after its ID3v2 tags; None if there is none."""
    start = 0
    while (tag := _read_at(file, start, 10))[:3] == b"ID3" and len(tag) == 10:
        start += 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]) + (10 if tag[5] & 0x10 else 0)
    data = _read_at(file, start, 256)
    frame = _mp3_frame(data)
    if frame is None:
        return None
    length, samples, rate, note = frame
    if data[note : note + 4] not in (b"Xing", b"Info") or len(data) < note + 16:
        return Mp3Header(start, length, None, None)
    flags, first_field, second_field = struct.unpack(">III", data[note + 4 : note + 16])
    seconds = first_field * samples / rate if flags & 1 else None
    promised = (second_field if flags & 1 else first_field) if flags & 2 else None
    return Mp3Header(start, length, seconds, promised)


def mp3_note(file: BinaryIO, size: int, start: int) -> bytes:
    """Make the frame with an Info note that an MP3 without one should start with.

    Decoders guess the length of such a file from its first frame and drop the rest when the bit rate varies;
    so its frames are counted here, in pieces of 1 MiB.
    """
    kind = _read_at(file, start, 4)
    count, position, piece, piece_at = 0, start, b"", start
    while position + 4 <= size:
        if not piece_at <= position <= piece_at + len(piece) - 4:
            piece, piece_at = _read_at(file, position, 1 << 20), position
        at = position - piece_at
        frame = _mp3_frame(piece[at : at + 4])
        if frame is not None and (piece[at + 1] ^ kind[1]) & 0xFE == 0 and (piece[at + 2] ^ kind[2]) & 0x0C == 0:
            count += position + frame[0] <= size
            position += frame[0]
        else:
            found = piece.find(b"\xff", at + 1)
            position = piece_at + (found if found >= 0 else max(len(piece) - 3, at + 1))
    # The same kind of frame, without checksum and padding, at the highest bit rate: room enough for the note.
    head = bytes([kind[0], kind[1] | 1, 0xE0 | kind[2] & 0x0C, kind[3]])
    frame = _mp3_frame(head)
    assert frame is not None
    length, _, _, note = frame
    body = head.ljust(note, b"\0") + b"Info" + struct.pack(">III", 3, count, length + size - start)
    return body.ljust(length, b"\0")


def ogg_cut_off(file: BinaryIO, size: int) -> bool:
    """Whether the last page of an Ogg file of `size` bytes ends before its own header says."""
    tail_at = max(0, size - 131072)  # a page holds at most 65,307 bytes
    tail = _read_at(file, tail_at, size - tail_at)
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27:
        return True
    segments = tail[page + 27 : page + 27 + tail[page + 26]]
    return len(segments) < tail[page + 26] or len(tail) < page + 27 + len(segments) + sum(segments)
