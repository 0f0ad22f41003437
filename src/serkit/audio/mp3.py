"""MP3 files read by hand: what the first frame promises, how many frames there are, and where files were joined."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

from serkit.audio.headers import read_at

__all__ = ["Mp3Header", "mp3_header", "mp3_note", "mp3_parts"]

_KBIT = (
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
_MOST_TAGS = 64  # one after the other


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
        Bytes from `start` according to the note.
    """

    start: int
    frame_bytes: int
    seconds: float | None
    promised: int | None


def _frame(head: bytes) -> tuple[int, int, int, int] | None:
    """Length in bytes, samples, rate in Hz and place of the Xing note of the frame in `head`; or None."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:  # 11 bits of sync, then layer III
        return None
    version, bitrate, rate_index = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate_index == 3:
        return None
    first = version == 3  # MPEG-1; else MPEG-2 or 2.5
    rate = (44100, 48000, 32000)[rate_index] // (1 if first else 2 if version == 2 else 4)
    samples = 1152 if first else 576
    length = samples // 8 * _KBIT[first][bitrate - 1] * 1000 // rate + (head[2] >> 1 & 1)
    mono = head[3] >> 6 == 3
    return length, samples, rate, 4 + ((17 if mono else 32) if first else (9 if mono else 17))


def _skip_tags(file: BinaryIO, at: int) -> int:
    """Position after the ID3 and APE tags at `at`."""
    for _ in range(_MOST_TAGS):
        tag = read_at(file, at, 32)
        if tag[:3] == b"ID3" and len(tag) >= 10:
            at += 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]) + (10 if tag[5] & 0x10 else 0)
        elif tag[:3] == b"TAG":
            at += 128
        elif tag[:8] == b"APETAGEX" and len(tag) == 32:
            at += struct.unpack("<I", tag[12:16])[0] + (32 if tag[23] & 0x80 else 0)
        else:
            break
    return at


def mp3_header(file: BinaryIO, at: int = 0) -> Mp3Header | None:
    """Read the first frame header of an MP3 after `at` and its tags; None if there is none."""
    start = _skip_tags(file, at)
    data = read_at(file, start, 256)
    frame = _frame(data)
    if frame is None:
        return None
    length, samples, rate, note = frame
    if data[note : note + 4] not in (b"Xing", b"Info") or len(data) < note + 16:
        return Mp3Header(start, length, None, None)
    flags, first_field, second_field = struct.unpack(">III", data[note + 4 : note + 16])
    seconds = first_field * samples / rate if flags & 1 and first_field else None  # 0: its writer was stopped
    promised = (second_field if flags & 1 else first_field) if flags & 2 else None
    return Mp3Header(start, length, seconds, promised)


def mp3_parts(file: BinaryIO, size: int) -> list[tuple[int, int]]:
    """First and last byte (exclusive) of each MP3 in a file joined from several; empty for other files.

    The note in its first frame says where a part ends. Tags between two parts belong to the first.
    """
    parts: list[tuple[int, int]] = []
    start = 0
    while (header := mp3_header(file, start)) is not None:
        end = header.start + (header.promised or size)
        after = _skip_tags(file, end) if end < size else size
        follows = mp3_header(file, after) if after < size else None
        if follows is None or _frame(read_at(file, follows.start + follows.frame_bytes, 4)) is None:
            parts.append((start, size))
            break
        parts.append((start, after))
        start = after
    return parts if len(parts) > 1 else []


def mp3_note(file: BinaryIO, size: int, start: int) -> tuple[bytes, bool]:
    """Make the frame with an Info note that an MP3 without one should start with.

    Decoders guess the length of such a file from its first frame and drop the rest when the bit rate varies,
    so its frames are counted here, in pieces of 1 MiB.

    Returns
    -------
    bytes
        The frame.
    bool
        Whether the last frame breaks off.
    """
    kind = read_at(file, start, 4)
    alike = re.compile(  # the first three bytes of a frame of the same kind, which may differ in bit rate and padding
        b"\xff["
        + re.escape(bytes([kind[1] & 0xFE, kind[1] | 1]))
        + b"]["
        + re.escape(bytes(b for b in range(256) if (b ^ kind[2]) & 0x0C == 0 and 0 < b >> 4 < 15))
        + b"]"
    )
    count, position, piece, piece_at, cut = 0, start, b"", start, False
    while position + 4 <= size:
        if not piece_at <= position <= piece_at + len(piece) - 4:
            piece, piece_at = read_at(file, position, 1 << 20), position
            if len(piece) < 4:
                break
        at = position - piece_at
        if alike.match(piece, at):
            frame = _frame(piece[at : at + 4])
            assert frame is not None  # a match is a frame
            cut = position + frame[0] > size
            count += not cut
            position += frame[0]
        else:
            found = alike.search(piece, at + 1)  # a loop over single bytes would take seconds in a run of 0xFF
            position = piece_at + (found.start() if found else max(len(piece) - 3, at + 1))
    # The same kind of frame, without checksum and padding, at the highest bit rate: room enough for the note.
    head = bytes([kind[0], kind[1] | 1, 0xE0 | kind[2] & 0x0C, kind[3]])
    frame = _frame(head)
    assert frame is not None
    length, _, _, note = frame
    body = head.ljust(note, b"\0") + b"Info" + struct.pack(">III", 3, count, length + size - start)
    return body.ljust(length, b"\0"), cut
