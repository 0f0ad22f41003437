"""What in the sound makes an answer less trustworthy: clipping, a very low level, too little voice.

The limits were measured with the default model on the whole clips of six corpora and on parts of them:

- *short*: an answer for less than 0.5 s of voiced sound, which is about a second of flowing speech, agrees with the
  answer for the whole clip in four of ten cases; for 1 s and more, in seven of ten. 0.4 % of the clips of RAVDESS and
  4.8 % of those of CREMA-D are this short, and half of EmoSpeech's one-word commands.
- *clipped*: three samples in a thousand at full scale. Where fewer were clipped on purpose, one answer in ten changed;
  from there on one in five, and above 3 % one in two. No clip of RAVDESS is clipped, 0.1 % of those of CREMA-D are.
- *quiet*: -60 dBFS, where 16 bits leave 33 steps. The quietest clip of RAVDESS has -58 dBFS (its peak: 201 of 32,767).
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["MIN_VOICE", "Meter"]

#: An answer for less voiced sound than this is called short, s.
MIN_VOICE = 0.5

_CLIPPED = 3e-3  # of the samples
_QUIET = 60  # dB below full scale, root mean square
_LOUD = 0.95  # of the cells are quieter than the level that counts, so a click in silence does not matter
_FULL = 0.999  # of full scale
_CELL = 0.1  # s; level and clipping are kept for cells of this length
_SILENT = 100  # dB below full scale
_KEPT = 18_000  # cells, half an hour; of earlier ones, only the number per level


class Meter:
    """Level and clipping over time, measured at the recording's own rate while it is read, in constant memory.

    Parameters
    ----------
    sample_rate : int
        Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._size = round(_CELL * sample_rate)
        self._at = 0  # samples seen
        self._first = 0  # number of the first cell that is kept
        self._cells = np.zeros((0, 2))  # energy and clipped samples
        self._levels = np.zeros(_SILENT + 1, np.int64)  # cells that are no longer kept, by level
        self._clipped = 0.0  # samples in them
        self._before: np.ndarray | None = None  # the last samples

    def add(self, data: np.ndarray) -> None:
        """Add the next samples, shape (n, channels in use)."""
        first, last = self._at // self._size, (self._at + len(data) - 1) // self._size
        new = last + 1 - self._first - len(self._cells)
        if new > 0:
            self._cells = np.concatenate([self._cells, np.zeros((new, 2))])
        here = self._cells[first - self._first : last + 1 - self._first]
        starts = np.maximum(np.arange(first, last + 1) * self._size - self._at, 0)
        with np.errstate(invalid="ignore", over="ignore"):
            for channel in data.T:
                here[:, 0] += np.add.reduceat(np.square(channel, dtype=np.float64), starts) / data.shape[1]
            if max(data.max(), -data.min()) >= _FULL:
                flat = np.zeros(len(data))
                before = np.zeros_like(data[:1]) if self._before is None else self._before
                joined = np.concatenate([before, data])
                for side in (joined >= _FULL, joined <= -_FULL):
                    flat += (side[1:] & side[:-1]).any(axis=1)
                here[:, 1] += np.add.reduceat(flat, starts)
        self._at += len(data)
        self._before = data[-1:].copy()
        if len(self._cells) > 2 * _KEPT:
            old, self._cells = self._cells[:_KEPT], self._cells[_KEPT:].copy()
            self._levels += self._by_level(old, np.full(len(old), self._size))
            self._clipped += old[:, 1].sum()
            self._first += len(old)

    def remarks(self, start: float | None = None, end: float | None = None) -> list[str]:
        """Return ``"clipped"`` and ``"quiet"`` if they apply to the part from `start` to `end`, in s, or to all.

        Clipped: at least three samples in a thousand follow another one at full scale on the same side. Quiet: the
        level that 95 % of the cells do not exceed is 60 dB or more below full scale, but not digital silence.
        """
        total = self._first + len(self._cells)
        low = self._first if start is None else min(max(int(start / _CELL + 1e-6), self._first), total - 1)
        high = total if end is None else min(max(math.ceil(end / _CELL - 1e-6), low + 1), total)
        cells = self._cells[low - self._first : high - self._first]
        sizes = np.minimum(self._at - np.arange(low, high) * self._size, self._size)
        levels, clipped, samples = self._by_level(cells, sizes), cells[:, 1].sum(), int(sizes.sum())
        if start is None:
            levels, clipped, samples = levels + self._levels, clipped + self._clipped, self._at
        found = []
        if clipped >= _CLIPPED * samples:
            found.append("clipped")
        count = int(levels.sum())
        level = int(np.searchsorted(np.cumsum(levels), count - int(_LOUD * (count - 1) + 0.5)))
        if _QUIET <= level < _SILENT:
            found.append("quiet")
        return found

    @staticmethod
    def _by_level(cells: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Number of cells by dB below full scale, rounded down; the last place counts all silent ones."""
        with np.errstate(divide="ignore", invalid="ignore"):
            below = np.nan_to_num(-10 * np.log10(cells[:, 0] / sizes), nan=0.0, posinf=_SILENT)
        return np.bincount(np.clip(below, 0, _SILENT).astype(int), minlength=_SILENT + 1)
