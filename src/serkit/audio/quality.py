"""What makes an answer less trustworthy and can be heard in the sound: clipping, a very low level, too little voice.

The limits were measured with the default model on the whole clips of six corpora and on parts of them:

- *short*: an answer for less than 0.5 s of voiced sound, which is about a second of flowing speech, agrees with the
  answer for the whole clip in four of ten cases; for 1 s and more, in seven of ten. 0.4 % of the clips of RAVDESS and
  4.8 % of those of CREMA-D are as short; of EmoSpeech's one-word commands, half.
- *clipped*: three samples in a thousand at full scale. Where fewer were clipped on purpose, one answer in ten changed;
  from there on one in five, and above 3 % every second one. No clip of RAVDESS is clipped, 0.1 % of those of CREMA-D.
- *quiet*: -60 dBFS, where 16 bits leave 33 steps. The quietest clip of RAVDESS has -58 dBFS (its peak: 201 of 32,767).
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["MIN_VOICE", "Meter"]

#: Voiced sound that an answer needs not to be called short, s.
MIN_VOICE = 0.5

_CLIPPED = 3e-3  # of the samples
_QUIET = 1e-6  # mean square: -60 dBFS
_LOUD = 0.95  # of the cells are quieter than the level that counts, so that a click in silence has no say
_FULL = 0.999  # of full scale
_CELL = 0.1  # s; what is measured is kept for cells of this length, 16 bytes each: half a megabyte an hour


class Meter:
    """Level and clipping over time, measured at the recording's own rate while it passes.

    Parameters
    ----------
    sample_rate : int
        Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._size = round(_CELL * sample_rate)
        self._at = 0  # samples seen
        self._energy = np.zeros(16)
        self._clipped = np.zeros(16)

    def add(self, data: np.ndarray) -> None:
        """Take in the next samples, shape (n, channels that are heard)."""
        first, last = self._at // self._size, (self._at + len(data) - 1) // self._size
        if last >= len(self._energy):
            grow = max(len(self._energy), last + 1)
            self._energy = np.concatenate([self._energy, np.zeros(grow)])
            self._clipped = np.concatenate([self._clipped, np.zeros(grow)])
        starts = np.maximum(np.arange(first, last + 1) * self._size - self._at, 0)
        with np.errstate(invalid="ignore", over="ignore"):
            power = np.square(data, dtype=np.float64).mean(axis=1)
        self._energy[first : last + 1] += np.add.reduceat(power, starts)
        if max(data.max(), -data.min()) >= _FULL:
            flat = np.zeros(len(data))
            for side in (data >= _FULL, data <= -_FULL):
                flat[1:] += (side[1:] & side[:-1]).any(axis=1)
            self._clipped[first : last + 1] += np.add.reduceat(flat, starts)
        self._at += len(data)

    def remarks(self, start: float = 0.0, end: float | None = None) -> list[str]:
        """Return ``"clipped"`` and ``"quiet"`` if they are true of the part from `start` to `end`, in s.

        Clipped: at least three samples in a thousand follow another one at full scale on the same side. Quiet: the
        level that 95 % of the cells stay below is under -60 dBFS.
        """
        first = int(start / _CELL)
        total = -(-self._at // self._size)
        last = total if end is None else min(max(math.ceil(end / _CELL - 1e-6), first + 1), total)
        counts = np.full(last - first, float(self._size))
        if last == total and self._at % self._size:
            counts[-1:] = self._at % self._size
        if not len(counts):
            return []
        found = []
        if self._clipped[first:last].sum() >= _CLIPPED * counts.sum():
            found.append("clipped")
        level = np.sort(self._energy[first:last] / counts)[int(_LOUD * (len(counts) - 1) + 0.5)]
        if level < _QUIET:
            found.append("quiet")
        return found
