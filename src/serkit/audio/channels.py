"""Which channel of a recording is used: one of them, or the mean of all.

Readers give all channels. By default the mean is used, as in earlier versions, unless it would lose the voice:

- *One side is empty*, as with a headset recorded on one side of a stereo file: all channels but one are at least
  40 dB quieter than that one. It is used alone, because the mean would halve it (6 dB).
- *The channels cancel*, as where one plug is wired the wrong way round: the mean is 6 dB quieter than channels that
  are unrelated would be together. The loudest channel is used.

Levels are measured over the whole recording and where a voice is strongest (300 Hz to 1.6 kHz), so that hum, a DC
offset and hiss matter little. The same recording gives the same choice, whether it comes as
a file, bytes or an array, and whether it is read at once or in pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, overload

import numpy as np

from serkit.errors import AudioError, nearest

__all__ = ["Channel", "Choice", "Levels", "channel_number", "check_channel", "choose", "every_channel"]

#: A choice of channel: a word, or the number of a channel, from 1.
Channel: TypeAlias = "Literal['auto', 'mix', 'left', 'right'] | int"

_WORDS = ("auto", "mix", "left", "right", "each")
# Crosstalk in cables and headsets is 50 dB and more below the voice; a quiet partner in a call is seldom 30 dB below.
_EMPTY = 1e-4  # of the loudest channel's energy: -40 dB
_CANCELLED = 0.25  # of the energy that the mean of unrelated channels has: -6 dB
_BINS = 3200  # a second; the mean over a bin keeps what is below half of that


@dataclass(frozen=True)
class Choice:
    """The channel that is used.

    Attributes
    ----------
    name : str or None
        ``"mix"``, in stereo ``"left"`` or ``"right"``, else the number of the channel; None if there is only one.
    index : int or None
        The channel's place, from 0; None for the mean of all.
    one_sided : bool
        Whether one channel holds all the sound; only detected with ``"auto"``.
    """

    name: str | None
    index: int | None = None
    one_sided: bool = False

    def heard(self, data: np.ndarray) -> np.ndarray:
        """Return the channels that the answer depends on: (n, channels) to (n, those that are used)."""
        if data.ndim == 1:
            return data[:, np.newaxis]
        return data if self.index is None else data[:, self.index : self.index + 1]

    def mono(self, data: np.ndarray) -> np.ndarray:
        """Return the chosen channel or mix, (n, channels) to (n,), float32; NaN and infinity are kept."""
        with np.errstate(invalid="ignore", over="ignore"):
            if data.ndim == 1 or data.shape[1] == 1:
                return np.ascontiguousarray(data.reshape(-1), dtype=np.float32)
            if self.index is not None:
                return np.ascontiguousarray(data[:, self.index], dtype=np.float32)
            return data.mean(axis=1, dtype=np.float64).astype(np.float32)


@overload
def check_channel(channel: object) -> Channel: ...


@overload
def check_channel(channel: object, *, each: bool) -> Channel | Literal["each"]: ...


def check_channel(channel: object, *, each: bool = False) -> Channel | Literal["each"]:
    """Return a word or a number that names a channel, checked; digits become a number.

    Parameters
    ----------
    channel : object
    each : bool
        Whether ``"each"`` is allowed, where one recording may have several answers.

    Raises
    ------
    AudioError
        If it does not name a channel.

    Examples
    --------
    >>> check_channel("2"), check_channel("mix")
    (2, 'mix')
    >>> check_channel("lft")
    Traceback (most recent call last):
    serkit.errors.AudioError: No channel is called 'lft': did you mean 'left'? Give auto, mix, left, right or a number.
    """
    if isinstance(channel, (int, np.integer)) and not isinstance(channel, bool) and channel >= 1:
        return int(channel)
    words = _WORDS if each else _WORDS[:-1]
    if isinstance(channel, str):
        if channel in words:
            return cast("Channel", channel)
        if channel.isascii() and channel.isdigit() and len(channel) < 10 and int(channel) >= 1:
            return int(channel)
    if channel == "each":
        raise AudioError(
            "'each' gives one answer per channel, but a recording has one here: give auto, mix, left, right or a "
            "number."
        )
    given = repr(channel)
    if isinstance(channel, (int, np.integer, float)):
        raise AudioError(f"A channel is a whole number from 1, or a word such as left, got {given}.")
    hint = nearest(channel, words) if isinstance(channel, str) else "."
    options = "auto, mix, left, right, each or a number" if each else "auto, mix, left, right or a number"
    raise AudioError(f"No channel is called {given}{hint} Give {options}.")


def channel_number(channel: Channel, channels: int, name: str) -> Choice:
    """Return the choice that ``"mix"``, a side or a number names in a recording of that many channels.

    Raises
    ------
    AudioError
        If the recording has no such channel.
    """
    if channel == "mix" or (channel == "auto" and channels == 1):
        return Choice(None if channels == 1 else "mix", None)
    number = {"left": 1, "right": 2}.get(channel, 0) if isinstance(channel, str) else channel
    if channels == 1 and isinstance(channel, str):
        raise AudioError(f"{name} has one channel, so it has no {channel} one: leave the channel out, or give mix.")
    if not 1 <= number <= channels:
        has = "one channel" if channels == 1 else f"{channels} channels"
        raise AudioError(f"{name} has {has}, so there is no channel {channel}: give 1 to {channels}, or mix.")
    return Choice(_label(number - 1, channels), number - 1)


def every_channel(channels: int) -> list[Choice]:
    """Return one choice for each channel."""
    return [Choice(_label(index, channels), index) for index in range(channels)]


def _label(index: int, channels: int) -> str | None:
    if channels == 1:
        return None
    return ("left", "right")[index] if channels == 2 else str(index + 1)


class Levels:
    """How loud the channels are and what they have in common, measured while a recording passes.

    Parameters
    ----------
    channels : int
    sample_rate : int
        Hz.
    """

    def __init__(self, channels: int, sample_rate: int) -> None:
        self._size = max(sample_rate // _BINS, 1)
        self._rest = np.zeros((0, channels))
        self._last = np.zeros((0, channels))
        self.gram = np.zeros((channels, channels))

    def add(self, data: np.ndarray) -> None:
        """Add the next samples, shape (n, channels)."""
        if len(self._rest):
            data = np.concatenate([self._rest, data])
        whole = len(data) - len(data) % self._size
        self._rest = data[whole:].copy()
        if not whole:
            return
        sums = np.zeros((whole // self._size, data.shape[1]))
        with np.errstate(invalid="ignore", over="ignore"):
            for k in range(self._size):  # many times faster than a mean over such a short axis
                sums += data[k : whole : self._size]
            bins = np.concatenate([self._last, sums / self._size])
            self._last = bins[-2:]
            steps = np.diff(bins, n=2, axis=0)
            self.gram += np.einsum("ni,nj->ij", steps, steps)


def choose(levels: Levels) -> Choice:
    """Return the channel or the mix that holds the voice; see the top of the module for the rule.

    Examples
    --------
    >>> levels = Levels(2, 16000)
    >>> sound = np.sin(np.arange(16000) / 8)
    >>> levels.add(np.stack([sound, -sound], axis=1))
    >>> choose(levels)
    Choice(name='left', index=0, one_sided=False)
    """
    gram = levels.gram
    channels = len(gram)
    energy = np.diag(gram)
    if not np.isfinite(gram).all() or energy.max() == 0:
        return Choice("mix", None)
    loudest = int(energy.argmax())
    if (energy > _EMPTY * energy[loudest]).sum() == 1:
        return Choice(_label(loudest, channels), loudest, one_sided=True)
    if gram.sum() < _CANCELLED * energy.sum():
        return Choice(_label(loudest, channels), loudest)
    return Choice("mix", None)
