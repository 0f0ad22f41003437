"""Containers and codecs: read recordings in any format as blocks of float32 samples of all channels."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from serkit.audio import headers, signatures
from serkit.audio.bounded import Bounded
from serkit.audio.mp3 import mp3_header, mp3_parts
from serkit.audio.reader import Reader
from serkit.audio.sound_file import NotForLibsndfileError, SoundFileReader
from serkit.errors import AudioError, SerkitError

__all__ = ["guarded", "missing", "open_file_object", "open_path", "open_reader", "reopenable", "sound_file"]


@contextlib.contextmanager
def open_reader(source: Any) -> Iterator[Reader]:
    """Open a path, bytes or a binary file object for decoding.

    The content decides on the decoder, never the suffix. File objects are read from their beginning and
    left open.

    Raises
    ------
    AudioError
        If `source` is not a recording that can be read.
    MissingExtraError
        If it is in a container that only FFmpeg reads, such as M4A, WebM or WMA, and PyAV is not installed.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(source, (bytes, bytearray, memoryview)):
            file: BinaryIO = stack.enter_context(io.BytesIO(source))
            name = "the given data"
        elif isinstance(source, (str, os.PathLike)):
            name, file = open_path(source, stack)
        elif hasattr(source, "read"):
            name, file = open_file_object(source, stack)
        else:
            raise AudioError(
                f"cannot read audio from an object of type {type(source).__name__}: give a path, bytes, a binary file "
                "object, a NumPy array or a Waveform."
            )
        with guarded(name):
            reader = _Guarded(_reader(file, name, source, stack), source if isinstance(source, Bounded) else None)
        yield reader


@contextlib.contextmanager
def guarded(name: str) -> Iterator[None]:
    """Turn whatever a damaged recording raises into an AudioError, so that only that recording fails, not the run."""
    try:
        yield
    except SerkitError:
        raise
    except MemoryError:
        raise AudioError(f"{name} needs more memory than there is: it is damaged, or too long.") from None
    except OSError as error:
        raise AudioError(f"cannot read {name}: {error.strerror or error}.") from None
    except Exception as error:
        raise AudioError(f"{name} is damaged and cannot be decoded ({type(error).__name__}: {error}).") from error


class _Guarded:
    """A reader whose failures are AudioErrors; of one with bounds, no more sound than they allow."""

    def __init__(self, reader: Reader, bounds: Bounded | None = None) -> None:
        self._reader, self._bounds = reader, bounds
        self.name, self.info, self.broken = reader.name, reader.info, reader.broken
        if bounds is not None:
            bounds.most.check(self.name, self.info)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        with guarded(self.name):
            blocks = self._reader.blocks(start, stop)
            if self._bounds is not None:
                timed = self._bounds.timed(blocks, self.info.sample_rate)
                blocks = self._bounds.most.counted(timed, self.name, self.info)
            yield from blocks


def _reader(file: BinaryIO, name: str, source: Any, stack: contextlib.ExitStack) -> Reader:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise AudioError(f"{name} is empty (0 bytes).")
    head = headers.read_at(file, 0, signatures.HEAD)
    kind = signatures.container(head)
    path = os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else None
    if kind:
        return _av_reader(file, name, size, kind, path, stack)
    opened = stack.enter_context(contextlib.ExitStack())
    try:
        if isinstance(source, Bounded):
            from serkit.audio.apart import ApartReader  # only services need it

            return ApartReader(source.file, name, opened)
        return sound_file(file, name, size, head, opened)
    except NotForLibsndfileError as error:
        opened.close()
        kind = signatures.second_choice(head, mp3=mp3_header(file) is not None)
        if not kind:
            raise
        from serkit.audio.pyav import have_pyav  # imported only when needed

        if not have_pyav():
            raise AudioError(f"{error} FFmpeg may read it: run pip install 'serkit[formats]'.") from None
        try:
            return _av_reader(file, name, size, kind, path, stack)
        except AudioError:
            raise AudioError(str(error)) from None


def _av_reader(
    file: BinaryIO, name: str, size: int, kind: str, path: str | None, stack: contextlib.ExitStack
) -> Reader:
    from serkit.audio.breaks import breaks_off
    from serkit.audio.pyav import AvReader

    broken = f"{name} is truncated: its end is missing." if breaks_off(file, size, kind) else None
    return AvReader(file, name, kind, path, stack, broken)


def missing(path: Path) -> AudioError:
    """Make the error for a path that does not exist; suggest a file of a similar name beside it."""
    try:
        if path.is_symlink():
            return AudioError(f"{str(path)!r} is a link to {os.fspath(path.readlink())!r}, which does not exist.")
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        names = []
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return AudioError(f"no such file or folder: {str(path)!r}{hint}")


def open_path(source: str | os.PathLike[str], stack: contextlib.ExitStack) -> tuple[str, BinaryIO]:
    """Open a file; return what it is called in messages, and the file, which `stack` closes.

    Raises
    ------
    AudioError
        If there is no such file, or it cannot be read.
    """
    path = Path(source)
    name = repr(str(path))
    try:
        mode = path.stat().st_mode  # checked first: opening a named pipe would wait for its writer
        if stat.S_ISDIR(mode):
            raise AudioError(f"{name} is a folder, not a recording: name a file in it.")
        if not stat.S_ISREG(mode):
            raise AudioError(
                f"{name} is a pipe, socket or device, not a file: open it and give the binary file object instead."
            )
        return name, stack.enter_context(path.open("rb"))
    except FileNotFoundError:
        raise missing(path) from None
    except PermissionError:
        raise AudioError(f"no permission to read {name}: change its rights or those of its folder.") from None
    except ValueError:
        raise AudioError(f"cannot open {name}: a path cannot contain a null byte.") from None
    except OSError as error:  # a loop of links, a broken disk
        raise AudioError(f"cannot open {name}: {error.strerror or error}.") from None


def open_file_object(source: Any, stack: contextlib.ExitStack) -> tuple[str, BinaryIO]:
    """Return what a file object is called in messages, and the file at its beginning; a copy, if it is a pipe.

    Raises
    ------
    AudioError
        If it is no binary file object that can be read.
    """
    label = getattr(source, "name", None)
    name = repr(label) if isinstance(label, str) else "the file object"
    try:
        if inspect.iscoroutinefunction(source.read):
            raise AudioError(_asynchronous(source))
        if isinstance(source.read(0), str):
            raise AudioError(f"{name} was opened as text: open it in binary mode, open(..., 'rb').")
        if _seekable(source):
            source.seek(0)
            return name, source
        from serkit.audio.spool import spool

        return name, stack.enter_context(spool(source, name))
    except AudioError:
        raise
    except Exception as error:  # closed, opened for writing only, an archive that is damaged
        raise AudioError(f"cannot read {name}: {error}.") from None


def _seekable(file: Any) -> bool:
    return bool(file.seekable()) if hasattr(file, "seekable") else hasattr(file, "seek")


class _Copy:
    """A copy of a file object that could be read only once; its name in messages stays the same."""

    def __init__(self, copy: BinaryIO, name: object) -> None:
        self.name, self.read, self.seek, self.tell = name, copy.read, copy.seek, copy.tell

    def seekable(self) -> bool:
        return True


@contextlib.contextmanager
def reopenable(source: Any) -> Iterator[Any]:
    """Return what :func:`open_reader` can open more than once: a copy of a pipe's content, anything else unchanged."""
    with contextlib.ExitStack() as stack:
        if hasattr(source, "read") and not inspect.iscoroutinefunction(source.read):
            with contextlib.suppress(OSError, ValueError):  # the reader reports what is wrong
                if not isinstance(source.read(0), str) and not _seekable(source):
                    from serkit.audio.spool import spool

                    name = getattr(source, "name", None)
                    source = _Copy(stack.enter_context(spool(source, str(name or "the file object"))), name)
        yield source


def _asynchronous(source: Any) -> str:
    kind = type(source).__name__
    if hasattr(source, "file"):  # UploadFile of Starlette and FastAPI
        return f"an {kind} is read asynchronously: give the file in it, such as upload.file."
    return f"a {kind} is read asynchronously: give the bytes, such as await source.read()."


def sound_file(file: BinaryIO, name: str, size: int, head: bytes, stack: contextlib.ExitStack) -> Reader:
    """Open a file of `size` bytes for libsndfile; one that was joined from several is read to its end.

    Raises
    ------
    NotForLibsndfileError
        If libsndfile does not open it.
    AudioError
        If it holds no sound.
    """
    parts: list[tuple[int, int]] = []
    if head[:4] == b"OggS":
        from serkit.audio.breaks import ogg_links

        parts = ogg_links(file, size)
    elif head[:3] == b"ID3" or head[:1] == b"\xff":
        parts = mp3_parts(file, size)
    if not parts:
        return SoundFileReader(file, name, 0, size, stack)
    from serkit.audio.joined import JoinedReader

    return JoinedReader(name, parts, lambda begin, end, part: SoundFileReader(file, name, begin, end, part))
