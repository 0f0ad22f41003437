"""A recording from somebody who is not trusted: how much sound may come out of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from serkit.audio.reader import AudioInfo
from serkit.errors import AudioError

__all__ = ["Bounded", "Most"]


@dataclass(frozen=True)
class Most:
    """How much sound a recording may hold.

    Attributes
    ----------
    seconds : float
        Of sound.
    decoded : int
        Bytes as float32 samples of all channels: a few KiB of FLAC can hold hours of silence.
    """

    seconds: float
    decoded: int

    def check(self, name: str, info: AudioInfo) -> None:
        """Refuse a recording whose header says that it is longer.

        Raises
        ------
        AudioError
            If it does.
        """
        if info.duration is not None:
            self._compare(name, info, info.duration * info.sample_rate, "lasts")

    def counted(self, blocks: Iterator[np.ndarray], name: str, info: AudioInfo) -> Iterator[np.ndarray]:
        """Yield the blocks until they are too many, whatever the header says."""
        frames = 0
        for block in blocks:
            frames += len(block)
            self._compare(name, info, frames, "lasts more than")
            yield block

    def _compare(self, name: str, info: AudioInfo, frames: float, lasts: str) -> None:
        seconds = frames / info.sample_rate
        if seconds > self.seconds:
            raise AudioError(f"{name} {lasts} {seconds:,.0f} s, and {self.seconds:,.0f} s are allowed: cut it.")
        size = frames * info.channels * 4
        if size > self.decoded:
            raise AudioError(
                f"{name} unpacks to more than {self.decoded:,} bytes of sound, which are allowed: cut it, or give "
                "fewer channels."
            )


class Bounded:
    """A binary file object for :func:`serkit.audio.load` and all that reads recordings, with a limit to its sound.

    It is decoded in a process of its own, whatever its format, so that it cannot crash this one.

    Parameters
    ----------
    file : binary file object
        Seekable.
    name : str
        Its name in messages.
    most : Most

    Attributes
    ----------
    seconds : float
        Seconds of sound that came out of it last.
    decode_seconds : float
        Time that was spent waiting for its decoder.
    decoded_at : int or None
        When the decoder gave the last block, ns since 1970.

    See Also
    --------
    serkit.audio.load : Raises AudioError where the limit is passed.

    Examples
    --------
    >>> import io
    >>> from serkit.audio import load
    >>> wav = io.BytesIO()
    >>> import soundfile
    >>> soundfile.write(wav, np.zeros(16000), 8000, format="WAV")
    >>> load(Bounded(wav, "a.wav", Most(seconds=1, decoded=1 << 20)))
    Traceback (most recent call last):
    serkit.errors.AudioError: 'a.wav' lasts 2 s, and 1 s are allowed: cut it.
    """

    def __init__(self, file: BinaryIO, name: str, most: Most) -> None:
        self.file, self.name, self.most = file, name, most
        self.read, self.seek, self.tell = file.read, file.seek, file.tell
        self.seconds = self.decode_seconds = 0.0
        self.decoded_at: int | None = None

    def timed(self, blocks: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
        """Yield the blocks, and note how long they took to come."""
        frames, asked = 0, time.perf_counter()
        for block in blocks:
            self.decode_seconds += time.perf_counter() - asked
            frames += len(block)
            self.seconds, self.decoded_at = frames / rate, time.time_ns()
            yield block
            asked = time.perf_counter()

    def seekable(self) -> bool:
        """Whether it can be read from any position: yes."""
        return True
