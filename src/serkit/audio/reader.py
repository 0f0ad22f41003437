"""What every reader of recordings shares: what a header says, and the protocol of an opened recording."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

__all__ = ["SLACK", "AudioInfo", "Reader"]

SLACK = 0.25  # s; compressed formats may fall this much short of their header


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a recording says.

    Attributes
    ----------
    duration : float or None
        Seconds; None if the header does not say (some live streams).
    sample_rate : int
        Hz.
    channels : int
    format : str
        Container, e.g. ``"WAV"``.
    subtype : str
        Coding of the samples, e.g. ``"PCM_16"``.
    """

    duration: float | None
    sample_rate: int
    channels: int
    format: str
    subtype: str


class Reader(Protocol):
    """An opened recording.

    Attributes
    ----------
    name : str
        Its name in messages.
    info : AudioInfo
    broken : str or None
        What is wrong with its end, if that is known before decoding: the message of a TruncatedError.
    """

    name: str
    info: AudioInfo
    broken: str | None

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield consecutive pieces of the frames `start` to `stop` (None: the end), shape (n, channels), float32.

        Only arrays can be read by a second call: to read a file twice, open it twice.

        Raises
        ------
        TruncatedError
            If the recording breaks off before `stop`, or before the length that its header promises. Raised after
            all pieces that could be read.
        AudioError
            If it is damaged in another way.
        """
        ...
