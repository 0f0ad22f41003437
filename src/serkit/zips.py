"""Untrusted zip archives: the unpacked size is limited before a member is read and while it is read.

Nothing is ever extracted to disk. A zip bomb is recognised by its table of contents: the size of all members
together, compared with the size of the archive. Members are read in small pieces and never beyond the size that the
table claims, so a false entry cannot fill the memory.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

from serkit.errors import ArchiveError

__all__ = ["open_zip", "read_head", "read_member"]

_MAX_MEMBERS = 200_000
_MAX_DIRECTORY = 64 << 20  # bytes of the table of contents, which zipfile reads at once
_MAX_DEPTH = 32  # folders
_MAX_RATIO = 100  # bytes unpacked for each byte packed, of an archive that unpacks to more than this:
_SMALL = 64 << 20
_PIECE = 1 << 20  # bytes; zipfile unpacks no more of Deflate than requested
# RuntimeError: a password; ValueError: names, times, offsets
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, struct.error)


def open_zip(file: Path | IO[bytes], *, name: str) -> zipfile.ZipFile:
    """Open a zip archive and check its table of contents.

    Parameters
    ----------
    file : Path or binary file
    name : str
        The archive's name in messages.

    Returns
    -------
    zipfile.ZipFile
        To be closed by the caller; read its members with :func:`read_member`.

    Raises
    ------
    ArchiveError
        If it is damaged, has more than 200,000 members, a name twice, a name that leads outside of the archive or
        more than 32 folders deep, or if it unpacks to more than 64 MB and more than 100 times its own size.
    """
    try:
        if isinstance(file, Path):
            with file.open("rb") as opened:
                size, directory = _sizes(opened)
        else:
            size, directory = _sizes(file)
        if directory > _MAX_DIRECTORY:
            raise ArchiveError(
                f"{name} is refused: its table of contents has {directory:,} bytes, at most {_MAX_DIRECTORY:,} are "
                "read."
            )
        archive = zipfile.ZipFile(file)
    except _BROKEN as error:
        raise ArchiveError(f"{name} is a damaged or truncated zip ({_reason(error)}): get it again.") from None
    try:
        _check(archive.infolist(), size, name)
    except ArchiveError:
        archive.close()
        raise
    return archive


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, *, limit: int, name: str) -> bytes:
    """Unpack one member in memory.

    Parameters
    ----------
    archive : zipfile.ZipFile
        From :func:`open_zip`.
    member : zipfile.ZipInfo
    limit : int
        Most bytes that it may have.
    name : str
        The archive's name in messages.

    Raises
    ------
    ArchiveError
        If it is larger, damaged, encrypted, or compressed in another way than with Deflate: zipfile unpacks the other
        ways without a limit, and 2 GB fit into 2 kB of bzip2.
    """
    if member.file_size > limit:
        raise ArchiveError(f"{member.filename} of {name} is {member.file_size:,} bytes; at most {limit:,} are read.")
    _check_method(member, name)
    parts = []
    try:
        with archive.open(member) as packed:
            while part := packed.read(_PIECE):
                parts.append(part)
    except _BROKEN as error:
        raise ArchiveError(f"{member.filename} of {name} cannot be unpacked ({_reason(error)}).") from None
    data = b"".join(parts)
    if len(data) != member.file_size:
        raise ArchiveError(
            f"{member.filename} of {name} cannot be unpacked: it ends after {len(data):,} of {member.file_size:,} "
            "bytes."
        )
    return data


def read_head(archive: zipfile.ZipFile, member: zipfile.ZipInfo, count: int, *, name: str) -> bytes:
    """Unpack the first `count` bytes of one member; ArchiveError as for :func:`read_member`."""
    _check_method(member, name)
    try:
        with archive.open(member) as packed:
            return packed.read(count)
    except _BROKEN as error:
        raise ArchiveError(f"{member.filename} of {name} cannot be unpacked ({_reason(error)}).") from None


def _check_method(member: zipfile.ZipInfo, name: str) -> None:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError(
            f"{member.filename} of {name} is compressed with method {member.compress_type}: pack it again with Deflate."
        )


def _check(members: list[zipfile.ZipInfo], size: int, name: str) -> None:
    if len(members) > _MAX_MEMBERS:
        raise ArchiveError(f"{name} is refused: it holds {len(members):,} files, at most {_MAX_MEMBERS:,} are read.")
    seen: set[str] = set()
    for member in members:
        parts = re.split(r"[/\\]", member.filename)
        if parts[0] == "" or ".." in parts or re.match(r"[A-Za-z]:", member.filename):
            raise ArchiveError(f"{name} is refused: the name of its member {member.filename!r} leads outside of it.")
        if len(parts) > _MAX_DEPTH + 1:
            raise ArchiveError(f"{name} is refused: {member.filename[:40]!r}… is more than {_MAX_DEPTH} folders deep.")
        if member.filename in seen and not member.is_dir():
            raise ArchiveError(f"{name} is refused: it holds {member.filename} more than once.")
        seen.add(member.filename)
    total = sum(member.file_size for member in members)
    if total > _SMALL and total > _MAX_RATIO * size:
        raise ArchiveError(
            f"{name} is refused: {size / 1e6:.1f} MB would unpack to {total / 1e6:,.0f} MB, and more than "
            f"{_MAX_RATIO} times the size is taken for a zip bomb: unpack it yourself if you know what it holds."
        )


def _sizes(file: IO[bytes]) -> tuple[int, int]:
    """Size of the archive and, as far as its end says, of its table of contents, in bytes."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - (1 << 16) - 128)
    file.seek(start)
    tail = file.read()
    file.seek(0)
    at = len(tail) - 22  # an archive without a comment ends with this record
    if tail[at : at + 4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        at = tail.rfind(b"PK\5\6")
    if at < 0 or at + 22 > len(tail):
        return size, 0  # no zip: zipfile says so
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    if at >= 76 and tail[at - 20 : at - 16] == b"PK\6\7":
        file.seek(int.from_bytes(tail[at - 12 : at - 4], "little") & 0x7FFF_FFFF_FFFF_FFFF)
        record = file.read(56)
        file.seek(0)
        # zipfile takes the record from right before its locator, whatever the locator says.
        for found in (record, tail[at - 76 : at - 20]):
            if found[:4] == b"PK\6\6":
                directory = max(directory, int.from_bytes(found[40:48], "little"))
    return size, directory


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
