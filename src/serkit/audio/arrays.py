"""Arrays as recordings, and the checks that every recording passes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from serkit.audio.reader import AudioInfo
from serkit.errors import AudioError

__all__ = ["MAX_RATE", "MIN_RATE", "MIN_SECONDS", "ArrayReader", "check_rate", "check_values", "checked"]

MIN_SECONDS = 0.1  # s; a shorter recording is refused
MIN_RATE, MAX_RATE = 4000, 192_000  # Hz
_MAX_PEAK = 64.0  # floats beyond this are integers that were never scaled
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
        Its name in messages.
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
        if kind in "iu":
            _check_range(array, name)
        self._array = array
        channels = 1 if array.ndim == 1 else array.shape[1]
        self.info = AudioInfo(len(array) / sample_rate, sample_rate, channels, "array", str(array.dtype))

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield pieces of all channels; integers are scaled by the range of their type."""
        end = len(self._array) if stop is None else min(stop, len(self._array))
        for at in range(start, end, _BLOCK):
            yield self._scaled(self._array[at : min(at + _BLOCK, end)])

    def _scaled(self, data: np.ndarray) -> np.ndarray:
        data = data.reshape(len(data), -1)
        kind = data.dtype.kind
        if data.dtype == np.float32:
            return data
        values = data.astype(np.float64)
        if kind != "f":
            half = 2.0 ** (8 * data.dtype.itemsize - 1)
            values = values / half - (1.0 if kind == "u" else 0.0)
        return values


def _check_range(array: np.ndarray, name: str) -> None:
    """Refuse integers that are samples of a smaller type in a larger one, as ``np.array`` of a list of integers is.

    Read by the range of their type they would be far below any microphone's noise: samples of 16 bits peak at -96 dBFS
    in int32, samples of 32 bits at -192 dBFS in int64. No recording of that type is that quiet. Samples of 24 bits in
    int32 look like a quiet recording: they are accepted, with the warning ``"quiet"``.
    """
    bits = 8 * array.dtype.itemsize
    if bits == 8:
        return
    unsigned = array.dtype.kind == "u"
    low, high = int(array.min()), int(array.max())
    peak = high if unsigned else max(high, -low)
    inside = next((n for n in (8, 16, 32) if n < bits and peak <= 2 ** (n if unsigned else n - 1)), None)
    if peak == 0 or inside is None or (bits == 16 and not unsigned):
        return
    smaller = f"{'u' if unsigned else ''}int{inside if unsigned else max(inside, 16)}"
    scale = f"0 to {2**bits - 1}" if unsigned else f"{-(2 ** (bits - 1))} to {2 ** (bits - 1) - 1}"
    also = ", or array / 2**23 for samples of 24 bits" if inside == 32 else ""
    raise AudioError(
        f"{name} holds {array.dtype} from {low} to {high}, but full scale of {array.dtype} is {scale}: give samples in "
        f"the type they were recorded in, array.astype(np.{smaller}){also}."
    )


def check_rate(value: Any, what: str) -> int:
    """Return a rate as int, or raise AudioError if it is not a whole number of Hz from 4,000 to 192,000."""
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
            f"{first:.3f} s: write the recording again without them."
        )


def checked(pieces: Iterable[np.ndarray], at: int, rate: int, name: str) -> Iterator[np.ndarray]:
    """Yield mono pieces, the first of which begins at sample `at`; refuse NaN, infinity and unscaled integers."""
    for piece in pieces:
        check_values(piece, at, rate, name)
        peak = max(float(piece.max()), -float(piece.min()))
        if peak > _MAX_PEAK:
            divisor = 2 ** max(math.ceil(math.log2(peak)), 7)
            scale = 32768 if divisor <= 32768 else divisor
            raise AudioError(
                f"{name} holds floats up to {peak:g}, samples must be in [-1, 1]: divide them by "
                f"the range of the integers they were (here probably {scale})."
            )
        at += len(piece)
        yield piece
