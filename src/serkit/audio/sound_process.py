"""The process that decodes with libsndfile, for recordings of somebody who is not trusted.

:mod:`serkit.audio.worker` runs this file as a script; it answers as :mod:`serkit.audio.ffmpeg_process` does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from serkit.audio import headers, signatures
from serkit.audio.decode import guarded, sound_file
from serkit.audio.ffmpeg_process import serve


class Recording:
    """A file that libsndfile reads.

    Parameters
    ----------
    path : str
    name : str
        Its name in messages.
    """

    def __init__(self, path: str, name: str) -> None:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(Path(path).open("rb"))
            stack.enter_context(guarded(name))
            size = file.seek(0, os.SEEK_END)
            self._reader = sound_file(file, name, size, headers.read_at(file, 0, signatures.HEAD), stack)
            self._name = name
            self._opened = stack.pop_all()
        self.info = {"info": asdict(self._reader.info), "broken": self._reader.broken}

    def blocks(self, start: int, stop: int | None) -> Iterator[bytes]:
        """Yield interleaved float32 of the frames `start` to `stop`."""
        with guarded(self._name):
            for block in self._reader.blocks(start, stop):
                yield np.ascontiguousarray(block, dtype=np.float32).tobytes()

    def close(self) -> None:
        """Close the file."""
        self._opened.close()


def _opened(request: dict[str, Any]) -> Recording:
    return Recording(request["open"], request["name"])


if __name__ == "__main__":
    serve(_opened)
