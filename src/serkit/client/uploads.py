"""Recordings as the library takes them -> what is sent."""

from __future__ import annotations

import contextlib
import os
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from serkit.recognition.prediction import path_of

if TYPE_CHECKING:
    from serkit.audio import Source

__all__ = ["Upload", "opened"]

_SUFFIX = re.compile(r"\.\w{1,8}", re.ASCII)


@dataclass(frozen=True)
class Upload:
    """A recording to be sent.

    Attributes
    ----------
    name : str
        What the service is told; of the file's own name it has only the suffix.
    content : bytes or binary file object
    shown : str
        What the library calls it in messages.
    path : str or None
        The file, as it was given.
    """

    name: str
    content: IO[bytes] | bytes
    shown: str
    path: str | None

    def told(self, message: str) -> str:
        """Return a message of the service with the name that the caller knows."""
        return message.replace(repr(self.name), self.shown)


@contextlib.contextmanager
def opened(sources: Iterable[Source], sample_rate: int | None = None) -> Iterator[list[Upload]]:
    """Open recordings; files are read while they are sent.

    Raises
    ------
    AudioError
        If one cannot be read, or is an array that holds no recording.
    """
    with contextlib.ExitStack() as stack:
        yield [_upload(number, source, sample_rate, stack) for number, source in enumerate(sources)]


def _upload(number: int, source: Any, sample_rate: int | None, stack: contextlib.ExitStack) -> Upload:
    path, suffix = path_of(source), ""
    content: IO[bytes] | bytes
    if isinstance(source, (str, os.PathLike)):
        found = _SUFFIX.fullmatch(Path(source).suffix)
        suffix = found[0] if found else ""
        shown, content = _file(source, stack)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        shown, content = "the given data", bytes(source)
    elif hasattr(source, "read") and not hasattr(source, "chunks"):
        shown, content = _file_object(source)
    else:
        shown, content = _wav(source, sample_rate)
    return Upload(f"recording{number}{suffix}", content, shown, path)


def _file(source: str | os.PathLike[str], stack: contextlib.ExitStack) -> tuple[str, IO[bytes]]:
    with contextlib.suppress(OSError, ValueError):
        if Path(source).is_file():  # opening a named pipe would wait for its writer
            return repr(str(Path(source))), stack.enter_context(Path(source).open("rb"))
    from serkit.audio.decode import open_path  # says what is wrong, as for the library

    return open_path(source, stack)


def _file_object(source: Any) -> tuple[str, bytes]:
    from serkit.audio.decode import open_file_object

    with contextlib.ExitStack() as stack:
        shown, file = open_file_object(source, stack)
        return shown, file.read()


def _wav(source: Any, sample_rate: int | None) -> tuple[str, bytes]:
    """An array or another recording in memory as a WAV file of float32."""
    from serkit.audio import Track

    track = Track(source, sample_rate=sample_rate, channel="mix")
    channels, data = 0, bytearray()
    for block in track.blocks():
        channels = block.shape[1]
        data += block.astype("<f4", copy=False).tobytes()
    size, kind, step = len(data), 3, 4 * channels
    layout = struct.pack("<HHIIHH", kind, channels, track.rate, track.rate * step, step, 32)
    fact = struct.pack("<I", size // step if step else 0)
    chunks = b"".join(name + struct.pack("<I", len(body)) + body for name, body in ((b"fmt ", layout), (b"fact", fact)))
    head = b"RIFF" + struct.pack("<I", (4 + len(chunks) + 8 + size) & 0xFFFFFFFF) + b"WAVE"
    return track.name, head + chunks + b"data" + struct.pack("<I", size & 0xFFFFFFFF) + bytes(data)
