"""Bounded copies of streams that cannot be read twice, such as standard input."""

from __future__ import annotations

import tempfile
from typing import BinaryIO

from serkit.errors import AudioError

__all__ = ["MAX_STREAM_BYTES", "spool"]

#: The longest stream that is read, bytes: over three hours of 48 kHz stereo in 16 bits, days of MP3.
MAX_STREAM_BYTES = 1 << 31

_MEMORY = 1 << 24  # bytes kept in memory; more goes to a temporary file
_PIECE = 1 << 18


class _Copy(tempfile.SpooledTemporaryFile):
    """A temporary file with the name of the stream that it copies, for messages."""

    def __init__(self, name: str) -> None:
        super().__init__(max_size=_MEMORY)
        self._label = name

    @property
    def name(self) -> str:
        return self._label


def spool(stream: BinaryIO, name: str) -> BinaryIO:
    """Copy a stream to a temporary file, of which the first 16 MiB stay in memory.

    Parameters
    ----------
    stream : binary file object
        Read from its current position to its end.
    name : str
        Its name in messages.

    Returns
    -------
    binary file object
        At its beginning; closing it removes it.

    Raises
    ------
    AudioError
        If the stream is longer than :data:`MAX_STREAM_BYTES`; it is not read beyond that.
    """
    copy = _Copy(name)
    try:
        left = MAX_STREAM_BYTES
        while piece := stream.read(min(_PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                raise AudioError(
                    f"{name} is longer than {MAX_STREAM_BYTES:,} bytes, the limit for a stream: write it "
                    "to a file and give that."
                )
            copy.write(piece)
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy  # type: ignore[return-value]
