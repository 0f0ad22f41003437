"""What every reader of recordings shares: what a header says, the protocol of an opened recording, the mix to mono."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

__all__ = ["SLACK", "AudioInfo", "Reader", "mono"]

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
        How messages call it.
    info : AudioInfo
    broken : str or None
        What is known to be wrong with its end before it is decoded: the message of a TruncatedError.
    """

    name: str
    info: AudioInfo
    broken: str | None

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield consecutive mono float32 pieces of the frames `start` to `stop` (None: the end).

        Raises
        ------
        TruncatedError
            If the recording breaks off before `stop`, or before the length that its header promises; after all
            pieces that could be read.
        AudioError
            If it is damaged in another way.
        """
        ...


def mono(data: np.ndarray) -> np.ndarray:
    """Mean of the channels: (n, channels) to (n,), float32; not-a-number and infinity stay what they are."""
    if data.shape[1] == 1:
        return np.asarray(data[:, 0], dtype=np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        return data.mean(axis=1, dtype=np.float64).astype(np.float32)
