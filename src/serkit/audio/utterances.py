"""Utterances: stretches of speech between pauses, cut while a recording passes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from serkit.audio.speech_frames import FRAME

__all__ = ["MIN_PAUSE", "Cutter", "Utterance"]

#: The shortest silence that ends an utterance, s.
MIN_PAUSE = 0.24
#: An utterance is cut after this long if nobody pauses, s.
LONGEST = 30.0

_SPEECH = 0.35  # probability from which a frame holds speech
_LEAST = 4  # frames with speech; fewer are no utterance
# The network reacts a little late at both ends: measured on clips whose ends are known.
_EARLIER, _SHORTER = 0.03, 0.05  # s
_SLIVER = 0.1  # s; less silence at either end of a recording belongs to the speech beside it
_SAFE = 8  # frames; a long utterance is not cut nearer than this to the present


@dataclass(frozen=True)
class Utterance:
    """A stretch of speech.

    Attributes
    ----------
    start, end : float
        Seconds.
    speech : float
        Seconds of it that hold speech.
    """

    start: float
    end: float
    speech: float


class Cutter:
    """Makes utterances from the probabilities of :class:`serkit.audio.speech_frames.SpeechFrames`.

    A frame holds speech from a probability of 0.35 on. An utterance ends where there is none for `pause` seconds, or
    after `longest` seconds at the moment with the least speech in its last third. Four frames of speech are the least.
    How the frames are handed over makes no difference.

    Parameters
    ----------
    pause : float
        The shortest silence that ends an utterance, s.
    longest : float
        Seconds.

    Attributes
    ----------
    now : float
        The time up to which everything was heard, s.

    Examples
    --------
    >>> cutter = Cutter()
    >>> said, silence = [0.9] * 25, [0.0] * 25    # 0.8 s each
    >>> cutter.feed(said + silence + said)
    [Utterance(start=0.0, end=0.75, speech=0.8)]
    >>> round(cutter.begun, 2)
    1.57
    >>> cutter.finish(2.4)
    [Utterance(start=1.57, end=2.4, speech=0.8)]
    """

    def __init__(self, pause: float = MIN_PAUSE, longest: float = LONGEST) -> None:
        self._pause = max(round(pause / FRAME), 1)
        self._longest = round(longest / FRAME)
        self._frame = 0
        self._start: int | None = None
        self._last = 0  # the frame after the last one with speech
        self._heard: list[float] = []  # since the start
        self._joined = False  # whether the utterance goes on where the one before was cut
        self._before = 0.0  # end of the utterance before

    @property
    def now(self) -> float:
        return self._frame * FRAME

    @property
    def begun(self) -> float | None:
        """Start of the current utterance, s; None in silence and before four frames of speech."""
        if self._start is None or not self._counts():
            return None
        return self._time_of_start()

    @property
    def held_from(self) -> float:
        """The earliest time that an utterance that is not finished may reach back to, s."""
        return self.now if self._start is None else self._time_of_start()

    @property
    def until(self) -> float:
        """The time up to which the current utterance surely lasts, s."""
        return max(round(self._last * FRAME - _SHORTER, 3), 0.0)

    @property
    def paused(self) -> Utterance | None:
        """The current utterance as it will be if the silence that just began lasts; None at any other time."""
        if self._start is None or self._frame == self._last or not self._counts():
            return None
        start, end = self._time_of_start(), self.until
        return Utterance(start, end, self._speech()) if end > start else None

    def feed(self, probabilities: Iterable[float]) -> list[Utterance]:
        """Return the utterances that end within these frames."""
        found: list[Utterance] = []
        for p in probabilities:
            self._frame += 1
            if p >= _SPEECH:
                if self._start is None:
                    self._start, self._joined = self._frame - 1, False
                    self._heard = []
                self._last = self._frame
            if self._start is None:
                continue
            self._heard.append(float(p))
            if self._frame - self._last >= self._pause:
                found += self._end(self.until)
            elif len(self._heard) >= self._longest:
                found += self._cut()
        return found

    def finish(self, duration: float) -> list[Utterance]:
        """Return the utterance that the end of the recording cuts, if there is one; times stay within `duration`, s."""
        if self._start is None:
            return []
        to_the_end = self.until + _SLIVER >= duration
        return self._end(duration if to_the_end else self.until)

    def _counts(self) -> bool:
        return self._joined or sum(p >= _SPEECH for p in self._heard) >= _LEAST

    def _time_of_start(self) -> float:
        assert self._start is not None
        earlier = 0.0 if self._joined else _EARLIER
        start = round(self._start * FRAME - earlier, 3)
        return 0.0 if start < _SLIVER else max(start, self._before)

    def _end(self, end: float) -> list[Utterance]:
        start, counts = self._time_of_start(), self._counts()
        self._start = None
        if not counts or end <= start:
            return []
        self._before = end
        return [Utterance(start, end, self._speech())]

    def _speech(self) -> float:
        return round(FRAME * sum(p >= _SPEECH for p in self._heard), 3)

    def _cut(self) -> list[Utterance]:
        """End the utterance where there is least speech, and begin another there."""
        assert self._start is not None
        first = 2 * self._longest // 3
        at = first + int(np.argmin(self._heard[first : len(self._heard) - _SAFE]))
        rest, self._heard = self._heard[at:], self._heard[:at]
        cut, last = self._start + at, self._last
        found = self._end(round(cut * FRAME, 3))
        self._start, self._heard, self._joined, self._last = cut, rest, True, last
        return found
