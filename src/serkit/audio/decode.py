"""Containers and codecs: anything a recording can come in, read as mono float32 blocks."""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile as sf

from serkit.audio import headers
from serkit.audio.reader import SLACK, AudioInfo, Reader, mono
from serkit.errors import AudioError

__all__ = ["missing", "open_reader"]

_BLOCK = 1 << 14  # frames decoded at a time


@contextlib.contextmanager
def open_reader(source: Any) -> Iterator[Reader]:
    """Open a path, bytes or a binary file object for decoding.

    The content decides on the decoder, the suffix never does. File objects are read from their beginning and
    are left open.

    Raises
    ------
    AudioError
        If `source` is no recording that can be read.
    MissingExtraError
        If it is an M4A, MP4, AAC, WebM, Matroska or AMR file and PyAV is not installed.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(source, (bytes, bytearray, memoryview)):
            file: BinaryIO = stack.enter_context(io.BytesIO(source))
            name = "the given data"
        elif isinstance(source, (str, os.PathLike)):
            name, file = _open_path(source, stack)
        elif hasattr(source, "read"):
            name, file = _open_file_object(source, stack)
        else:
            raise AudioError(
                f"cannot read audio from a {type(source).__name__}: give a path, bytes, a binary file "
                "object, a NumPy array or a Waveform."
            )
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            raise AudioError(f"{name} is empty (0 bytes).")
        file.seek(0)
        head = file.read(4096)
        kind = headers.container(head)
        reader: Reader
        if kind:
            from serkit.audio.pyav import AvReader  # only who needs it pays for it

            reader = AvReader(file, name, kind, stack)
        else:
            reader = _SoundFileReader(file, name, size, head, stack)
        yield reader


def missing(path: Path) -> AudioError:
    """Make the error for a path that does not exist; a file of similar name beside it is named."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        names = []
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return AudioError(f"no such file or folder: {str(path)!r}{hint}")


def _open_path(source: str | os.PathLike[str], stack: contextlib.ExitStack) -> tuple[str, BinaryIO]:
    path = Path(source)
    name = repr(str(path))
    try:
        mode = path.stat().st_mode  # looked at first: opening a named pipe would wait for its writer
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
    except (OSError, ValueError) as error:  # a null byte in the name, a loop of links, a broken disk
        raise AudioError(f"cannot open {name}: {getattr(error, 'strerror', None) or error}.") from None


def _open_file_object(source: Any, stack: contextlib.ExitStack) -> tuple[str, BinaryIO]:
    label = getattr(source, "name", None)
    name = repr(label) if isinstance(label, str) else "the file object"
    try:
        if isinstance(source.read(0), str):
            raise AudioError(f"{name} was opened as text: open it in binary mode, open(..., 'rb').")
        seekable = source.seekable() if hasattr(source, "seekable") else hasattr(source, "seek")
        if seekable:
            source.seek(0)
            return name, source
        from serkit.audio.spool import spool

        return name, stack.enter_context(spool(source, name))
    except (OSError, ValueError) as error:  # closed, or opened for writing only
        raise AudioError(f"cannot read {name}: {error}.") from None


class _View:
    """A file as libsndfile sees it: without a name, and with its first bytes replaced where they are wrong.

    (Without a name because the suffix would otherwise have a say: `.raw` turns recognition by content off.)
    """

    def __init__(self, file: BinaryIO, head: bytes = b"", skip: int = 0) -> None:
        self._file, self._head, self._skip, self._at = file, head, skip, 0
        self._size = file.seek(0, os.SEEK_END) - skip + len(head)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int) -> bytes:
        data = self._head[self._at : self._at + count]
        rest = count - len(data)
        if rest > 0:
            self._file.seek(self._at + len(data) - len(self._head) + self._skip)
            data += self._file.read(rest)
        self._at += len(data)
        return data


class _Sound(sf.SoundFile):
    """A SoundFile that does not seek after each read: FLAC files of unknown length cannot."""

    def seekable(self) -> bool:
        return False


class _SoundFileReader:
    """WAV, FLAC, Ogg, MP3, AIFF and the like, through libsndfile."""

    def __init__(self, file: BinaryIO, name: str, size: int, head: bytes, stack: contextlib.ExitStack) -> None:
        self.name = name
        chunk = headers.data_chunk(file, size)
        view = self._mend(file, size, chunk)
        try:
            self._sound = stack.enter_context(_Sound(view))
        except sf.LibsndfileError as error:
            raise self._refused(error, head) from None
        sound = self._sound
        self._frames = sound.frames if 0 < sound.frames < 1 << 62 else None
        seconds = sound.frames / sound.samplerate if self._frames else None
        self.info = AudioInfo(seconds, sound.samplerate, sound.channels, sound.format, sound.subtype)
        if chunk is not None:
            self._check_chunk(chunk)
        if sound.frames == 0:
            raise AudioError(f"{name} holds no samples: its header stands alone.")

    def _mend(self, file: BinaryIO, size: int, chunk: headers.DataChunk | None) -> _View:
        """Look for what libsndfile would get wrong without a word, and put it right or refuse it."""
        file.seek(0)
        magic = file.read(4)
        if chunk is not None and chunk.promised is None and chunk.present:  # written to a pipe: all that follows
            file.seek(0)
            head = file.read(chunk.size_at)
            order = "<" if head[:4] == b"RIFF" else ">"
            length = min(chunk.present, 0xFFFFFFFF)
            return _View(file, head + struct.pack(order + "I", length), chunk.size_at + 4)
        if magic == b"OggS" and headers.ogg_cut_off(file, size):
            raise AudioError(f"{self.name} is truncated: its last Ogg page breaks off.")
        mp3 = headers.mp3_header(file)
        if mp3 is None:
            return _View(file)
        there = size - mp3.start
        if mp3.seconds is not None and mp3.promised and there < 0.99 * mp3.promised:
            raise self._truncated(mp3.seconds, mp3.seconds * there / mp3.promised)
        if there < 2 * mp3.frame_bytes:
            raise AudioError(f"{self.name} holds less than two MP3 frames: it is truncated or no recording.")
        if mp3.seconds is None:
            return _View(file, headers.mp3_note(file, size, mp3.start), mp3.start)
        return _View(file)

    def _check_chunk(self, chunk: headers.DataChunk) -> None:
        seconds = (self._frames or 0) / self.info.sample_rate
        if chunk.promised and chunk.present == 0:
            raise AudioError(f"{self.name} is truncated: header promises {chunk.promised} bytes of sound, none follow.")
        if chunk.promised is not None and seconds > 0:
            promised = seconds * chunk.promised / chunk.present
            if promised - seconds > 0.01:
                raise self._truncated(promised, seconds)
        if chunk.more and seconds * chunk.more / chunk.present > 0.01:
            raise AudioError(
                f"the header of {self.name} lies about its length: it says {seconds:.2f} s, but "
                f"{seconds * chunk.more / chunk.present:.2f} s more follow; write the file anew."
            )

    def _truncated(self, promised: float, present: float) -> AudioError:
        return AudioError(f"{self.name} is truncated: header says {promised:.2f} s, {present:.2f} s could be read.")

    def _refused(self, error: sf.LibsndfileError, head: bytes) -> AudioError:
        if headers.looks_like_text(head):
            return AudioError(f"{self.name} is text, not audio, whatever its name says.")
        if error.code == 1:  # SF_ERR_UNRECOGNISED_FORMAT
            return AudioError(f"{self.name} is no audio file of a known format (it begins with {head[:8]!r}).")
        reason = error.error_string.rstrip(".").lower()
        if error.code == 2:  # SF_ERR_SYSTEM: what it says is about pipes, what it means is an early end of file
            reason = "it ends before its header does"
        return AudioError(f"{self.name} is truncated or damaged and cannot be decoded ({reason}).")

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        rate = self.info.sample_rate
        end = self._frames if stop is None else min(stop, self._frames or stop)
        if end is not None and start >= end:
            return
        at = 0 if self.info.format == "MP3" else start  # seeking in MP3 is not exact: decode and drop
        try:
            if at:
                self._sound.seek(at)
            while end is None or at < end:
                count = _BLOCK if end is None else min(_BLOCK, end - at)
                data = self._sound.read(count, dtype="float32", always_2d=True)
                if len(data) == 0:
                    break
                at += len(data)
                if at > start:
                    yield mono(data[max(start - at, -len(data)) :])
        except sf.LibsndfileError as error:
            if self._frames is not None:
                raise AudioError(
                    f"{self.name} is truncated or damaged: header says {self._frames / rate:.2f} s, "
                    f"{at / rate:.2f} s could be read."
                ) from None
            reason = error.error_string.rstrip(".")
            raise AudioError(f"{self.name} is damaged after {at / rate:.2f} s ({reason}).") from None
        slack = SLACK if self.info.format in ("MP3", "OGG") else 0.01
        if self._frames is not None and end is not None and end - at > slack * rate:
            raise self._truncated(self._frames / rate, at / rate)
