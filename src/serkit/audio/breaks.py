"""Whether a compressed recording breaks off, and where one was joined to another: decoders do not report this."""

from __future__ import annotations

import re
from typing import BinaryIO

from serkit.audio.headers import read_at

__all__ = ["breaks_off", "ends_early", "ogg_cut_off", "ogg_links"]

_AMR_BYTES = (13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1)
_AMR_WB_BYTES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1)
_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
#: What a Matroska file, its segment and its clusters may hold.
_ELEMENTS = frozenset({_SEGMENT, _CLUSTER, 0x1A45DFA3, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1043A770})
_ELEMENTS |= {0x1254C367, 0x1941A469, 0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0xAF, 0x5854, 0xEC, 0xBF}


def breaks_off(file: BinaryIO, size: int, kind: str) -> bool:
    """Whether a file of `size` bytes ends inside a packet; `kind` is the name of its container."""
    if kind == "AAC":
        return _adts_cut_off(file, size)
    if kind == "AMR":
        return _amr_cut_off(file, size)
    if kind == "WebM/Matroska":
        return _matroska_cut_off(file, size)
    if kind == "AVI":
        return int.from_bytes(read_at(file, 4, 4), "little") + 8 > size
    if kind == "CAF":
        return _caf_ends_early(file, size)
    return kind == "Ogg" and ogg_cut_off(file, size)


def ends_early(file: BinaryIO, size: int, head: bytes) -> bool:
    """Whether a CAF, VOC or NIST file of `size` bytes ends before its header says; libsndfile does not tell."""
    if head[:4] == b"caff":
        return _caf_ends_early(file, size)
    if head[:19] == b"Creative Voice File":
        return _voc_ends_early(file, size)
    return head[:7] == b"NIST_1A" and _nist_ends_early(head, size)


def _caf_ends_early(file: BinaryIO, size: int) -> bool:
    position = 8
    while position + 12 <= size:
        chunk = read_at(file, position, 12)
        length = int.from_bytes(chunk[4:], "big", signed=True)
        if chunk[:4] == b"data":
            return length > 0 and position + 12 + length > size  # -1: to the end of the file
        if length < 0:
            return False
        position += 12 + length
    return False


def _voc_ends_early(file: BinaryIO, size: int) -> bool:
    position = int.from_bytes(read_at(file, 20, 2), "little")
    while 0 < position < size:
        block = read_at(file, position, 4)
        if block[:1] == b"\0":  # the end of the blocks
            return False
        if len(block) < 4:
            return True
        position += 4 + int.from_bytes(block[1:4], "little")
    return position > size


def _nist_ends_early(head: bytes, size: int) -> bool:
    text = head[:1024].decode("ascii", "replace")
    if "pcm" not in text.split("end_head")[0] and "sample_coding" in text:
        return False
    numbers = dict(re.findall(r"(sample_count|sample_n_bytes|channel_count) -i (\d+)", text))
    first = re.match(r"NIST_1A\s+(\d+)", text)
    if first is None or "sample_count" not in numbers:
        return False
    frame = int(numbers.get("sample_n_bytes", 2)) * int(numbers.get("channel_count", 1))
    return int(first[1]) + int(numbers["sample_count"]) * frame > size


def ogg_cut_off(file: BinaryIO, size: int) -> bool:
    """Whether the last page of an Ogg file of `size` bytes ends before its own header says."""
    tail_at = max(0, size - 131072)  # a page holds at most 65,307 bytes
    tail = read_at(file, tail_at, size - tail_at)
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + 27:
        return True
    segments = tail[page + 27 : page + 27 + tail[page + 26]]
    return len(segments) < tail[page + 26] or len(tail) < page + 27 + len(segments) + sum(segments)


def ogg_links(file: BinaryIO, size: int) -> list[tuple[int, int]]:
    """First and last byte (exclusive) of each link of a chained Ogg file; none if it is one stream.

    A link begins with a first page that follows a page of another kind.
    """
    starts: list[int] = []
    position, page, in_heads = 0, -1, False
    while position + 27 <= size:
        head = read_at(file, position, 282)
        if head[:4] != b"OggS" or len(head) < 27:
            position = _find(file, size, page + 1, b"OggS")  # the page before broke off: it is shorter than stated
            page = position
            continue
        page = position
        first_page = bool(head[5] & 2)
        if first_page and not in_heads:
            starts.append(position)
        in_heads = first_page
        segments = head[27 : 27 + head[26]]
        position += 27 + len(segments) + sum(segments)
    if len(starts) < 2:
        return []
    return list(zip([0, *starts[1:]], [*starts[1:], size], strict=True))


def _find(file: BinaryIO, size: int, position: int, what: bytes) -> int:
    piece = 1 << 12  # bytes searched at a time; grows, so that short and long searches are both cheap
    while position < size:
        found = read_at(file, position, piece).find(what)
        if found >= 0:
            return position + found
        position += piece - len(what) + 1
        piece = min(2 * piece, 1 << 20)
    return size


def _adts_cut_off(file: BinaryIO, size: int) -> bool:
    position = 0
    while position + 7 <= size:
        head = read_at(file, position, 7)
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or length <= 7:
            return False  # a tag, or damage: the decoder reports it
        position += length
    return position > size


def _amr_cut_off(file: BinaryIO, size: int) -> bool:
    wide = read_at(file, 0, 9) == b"#!AMR-WB\n"
    sizes, position = (_AMR_WB_BYTES, 9) if wide else (_AMR_BYTES, 6)
    while position < size:
        piece, at = read_at(file, position, 1 << 20), 0
        while at < len(piece):
            at += sizes[piece[at] >> 3 & 15]
        position += at
    return position > size


def _matroska_cut_off(file: BinaryIO, size: int) -> bool:
    """Follow the elements to the end of the file. Those of unknown length, as browsers write them, are entered."""
    position, piece_at, piece = 0, 0, b""
    while position < size:
        if not piece_at <= position <= piece_at + len(piece) - 12:
            piece_at, piece = position, read_at(file, position, 1 << 14)
        head = piece[position - piece_at : position - piece_at + 12]
        identity, width = _vint(head, 0, keep_mark=True)
        length, more = _vint(head, width, keep_mark=False) if width else (0, 0)
        if not more:
            return size - position < 12  # an element's header that breaks off
        if identity not in _ELEMENTS:
            return False  # damage: the decoder reports it
        unknown = length == (1 << 7 * more) - 1
        position += width + more + (0 if unknown else length)
        if identity == _SEGMENT and not unknown:
            break
    return position > size


def _vint(data: bytes, at: int, *, keep_mark: bool) -> tuple[int, int]:
    """An EBML number of variable length, and how many bytes it takes; 0 bytes if there is none."""
    if at >= len(data) or data[at] == 0:
        return 0, 0
    width = 9 - data[at].bit_length()
    if at + width > len(data):
        return 0, 0
    value = int.from_bytes(data[at : at + width], "big")
    return (value if keep_mark else value & (1 << 7 * width) - 1), width
