"""Arrays as recordings, and the checks that every recording passes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from serkit.audio.reader import AudioInfo, Reader
from serkit.errors import AudioError

__all__ = ["MAX_RATE", "MIN_RATE", "MIN_SECONDS", "ArrayReader", "check_rate", "check_values", "checked"]

MIN_SECONDS = 0.1  # s; a shorter recording is refused
MIN_RATE, MAX_RATE = 4000, 192_000  # Hz
_MAX_PEAK = 64.0  # floats beyond this are integers that nobody divided
_BLOCK = 1 << 20  # samples converted at a time


class ArrayReader:
    """A NumPy array, read like a file.

    Parameters
    ----------
    array : np.ndarray, shape=(n,), (n, channels) or (channels, n)
        The shorter axis is the channels.
    sample_rate : int
        Hz.
    name : str
        How messages call it.
    """

    broken: str | None = None

    def __init__(self, array: np.ndarray, sample_rate: int, name: str = "the array") -> None:
        self.name = name
        kind = array.dtype.kind
        if kind not in "iuf":
            raise AudioError(f"{name} has dtype {array.dtype}: samples are integers or floats.")
        if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[0] == array.shape[1]):
            raise AudioError(
                f"{name} has shape {array.shape}: give (n,), (n, channels) or (channels, n), with "
                "fewer channels than samples."
            )
        if array.size == 0:
            raise AudioError(f"{name} of shape {array.shape} holds no samples.")
        if array.ndim == 2:
            array = array if array.shape[1] < array.shape[0] else array.T
        self._array = array
        channels = 1 if array.ndim == 1 else array.shape[1]
        self.info = AudioInfo(len(array) / sample_rate, sample_rate, channels, "array", str(array.dtype))

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield mono float32 pieces; integers are scaled by the range of their type."""
        end = len(self._array) if stop is None else min(stop, len(self._array))
        for at in range(start, end, _BLOCK):
            yield self._mono(self._array[at : min(at + _BLOCK, end)])

    def _mono(self, data: np.ndarray) -> np.ndarray:
        kind = data.dtype.kind
        if kind == "f" and data.ndim == 1 and data.dtype == np.float32:
            return np.ascontiguousarray(data)
        values = data.astype(np.float64)
        if kind != "f":
            half = 2.0 ** (8 * data.dtype.itemsize - 1)
            values = values / half - (1.0 if kind == "u" else 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            return (values if values.ndim == 1 else values.mean(axis=1)).astype(np.float32)


def check_rate(value: Any, what: str) -> int:
    """Return a rate as int, or raise AudioError if it is no whole number of Hz from 4,000 to 192,000."""
    whole = isinstance(value, (int, np.integer)) or (isinstance(value, (float, np.floating)) and value % 1 == 0)
    if isinstance(value, bool) or not whole or not MIN_RATE <= value <= MAX_RATE:
        raise AudioError(f"{what} must be a whole number of Hz from {MIN_RATE} to {MAX_RATE}, got {value!r}.")
    return int(value)


def check_values(samples: np.ndarray, at: int, rate: int, name: str) -> None:
    """Refuse values that are not finite, naming their count and first time; `samples` begin at `at`."""
    finite = np.isfinite(samples)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        first = (at + int(bad[0])) / rate
        raise AudioError(
            f"{name}: {len(bad)} sample{'s are' if len(bad) > 1 else ' is'} NaN or infinite, first at "
            f"{first:.3f} s: write the recording anew without them."
        )


def checked(reader: Reader, start: int, stop: int | None) -> Iterator[np.ndarray]:
    """Yield the blocks of `reader`; refuse NaN, infinity and floats that are integers nobody divided."""
    at, rate = start, reader.info.sample_rate
    for piece in reader.blocks(start, stop):
        check_values(piece, at, rate, reader.name)
        peak = max(float(piece.max()), -float(piece.min()))
        if peak > _MAX_PEAK:
            divisor = 2 ** max(math.ceil(math.log2(peak)), 7)
            scale = 32768 if divisor <= 32768 else divisor
            raise AudioError(
                f"{reader.name} holds floats up to {peak:g}, samples should lie in [-1, 1]: divide them by "
                f"the range of the integers they were (here probably {scale})."
            )
        at += len(piece)
        yield piece
