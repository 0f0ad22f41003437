"""A file as libsndfile sees it: without a name, and with methods that never raise."""

from __future__ import annotations

import os
from typing import BinaryIO

import soundfile as sf

__all__ = ["Sound", "VirtualFile"]


class VirtualFile:
    """A part of a file, its first bytes replaced where they are wrong.

    (It has no name, because libsndfile would look at the suffix: `.raw` turns recognition by content off.)

    libsndfile calls these methods from C, where an exception is printed and lost. So an impossible seek, as damaged
    headers request, leaves the position unchanged, and an error while reading is kept in :attr:`error` for the caller.

    Parameters
    ----------
    file : binary file object
    head : bytes
        Comes first.
    skip : int
        Bytes at the start of `file` that are left out.
    end : int, optional
        Where to stop in `file`; by default at its end.
    """

    def __init__(self, file: BinaryIO, head: bytes = b"", skip: int = 0, end: int | None = None) -> None:
        self._file, self._head, self._skip, self._at = file, head, skip, 0
        self._size = (file.seek(0, os.SEEK_END) if end is None else end) - skip + len(head)
        self.error: BaseException | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        place = offset + (0, self._at, self._size)[whence] if 0 <= whence <= 2 else -1
        if 0 <= place < 1 << 62:
            self._at = place
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int) -> bytes:
        count = max(min(count, self._size - self._at), 0)
        data = self._head[self._at : self._at + count]
        rest = count - len(data)
        if rest > 0:
            try:
                self._file.seek(self._at + len(data) - len(self._head) + self._skip)
                data += self._file.read(rest)
            except BaseException as error:
                self.error = error
        self._at += len(data)
        return data

    def check(self) -> None:
        """Raise the error of an earlier read."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error


class Sound(sf.SoundFile):
    """A SoundFile that does not seek after each read: FLAC files of unknown length cannot."""

    def seekable(self) -> bool:
        return False
