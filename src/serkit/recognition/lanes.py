"""One track of a recording: its utterances, and the windows of each that a model answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from serkit.audio import Choice
from serkit.audio.quality import Meter
from serkit.audio.speech_frames import FRAME
from serkit.audio.utterances import LONGEST, Cutter, Utterance
from serkit.recognition.prediction import in_order

__all__ = ["CONTEXT", "Ear", "Heard", "Lane", "WindowAnswer"]

#: Sound before and after an utterance that the model hears too, s.
CONTEXT = 0.1
#: An utterance up to this many windows long is answered in one piece.
WHOLE = 1.5

_SHORT = 1.0  # s of speech; an answer for less is called short


@dataclass(frozen=True)
class WindowAnswer:
    """A window of an utterance: start and end, s, and what `answer` gave for its samples."""

    start: float
    end: float
    answer: Any


@dataclass(frozen=True)
class Heard:
    """An utterance of a track, the answers for its windows, and the warnings that apply."""

    track: int
    utterance: Utterance
    windows: tuple[WindowAnswer, ...]
    warnings: tuple[str, ...]


class Ear(Protocol):
    """The sound of one channel, of which the last part is kept."""

    choice: Choice
    meter: Meter

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...

    def between(self, start: float, end: float) -> np.ndarray: ...


class Lane:
    """One track: the utterances of a channel, or of a speaker on it."""

    def __init__(
        self,
        track: int,
        ear: Ear,
        cutter: Cutter,
        answer: Callable[[np.ndarray], Any],
        window: float,
        least: float,
    ) -> None:
        self.track, self.ear, self.cutter = track, ear, cutter
        self._answer, self._window, self._least = answer, window, least
        self._early: list[WindowAnswer] = []  # of the current utterance
        self._early_of: float | None = None  # its start
        self._paused: tuple[float, float] | None = None  # start and end of the utterance that paused last
        self._last: WindowAnswer | None = None  # its last window

    @property
    def needs_from(self) -> float:
        return max(self.cutter.held_from - CONTEXT - self._least - 2 * FRAME, 0.0)

    def feed(self, frames: np.ndarray, duration: float | None) -> list[Heard]:
        ended = self.cutter.feed(frames.tolist())
        if duration is not None:
            ended += self.cutter.finish(duration)
        found = [self._finished(one) for one in ended if self._enough(one)]
        self._ahead()
        return found

    def _enough(self, utterance: Utterance) -> bool:
        """Whether the model can answer it; only sound that is too short altogether gives it too little."""
        start, end = self._reach(utterance.start, utterance.end)
        return end - start >= self._least

    def latest(self) -> tuple[float, float, np.ndarray] | None:
        begun = self.cutter.begun
        if begun is None:
            return None
        start, end = self._reach(begun, self.cutter.until)
        start = max(start, end - self._window)
        return max(start, begun), end, self.ear.between(start, end)

    def paused(self) -> Heard | None:
        utterance = self.cutter.paused
        if utterance is None or self._paused == (utterance.start, utterance.end) or not self._enough(utterance):
            return None
        missing = max(self._least + FRAME - (utterance.end - utterance.start + 2 * CONTEXT), 0.0)
        if self.ear.end < utterance.end + CONTEXT + missing / 2:
            return None  # the model will hear more of it
        self._paused = utterance.start, utterance.end
        found = self._finished(utterance)
        self._last = found.windows[-1]
        return found

    def _reach(self, start: float, end: float) -> tuple[float, float]:
        """What the model hears of an utterance: a little more on both sides, and no less than it needs."""
        first, last = self.ear.start, self.ear.end
        low, high = max(round(start - CONTEXT, 3), first), min(round(end + CONTEXT, 3), last)
        missing = self._least + FRAME - (high - low)
        if missing > 0:
            high = min(high + missing / 2, last)
            low = max(high - self._least - FRAME, first)
            high = min(max(high, low + self._least + FRAME), last)
        return low, high

    def _finished(self, utterance: Utterance) -> Heard:
        start, end = self._reach(utterance.start, utterance.end)
        length, step = self._window, self._window / 2
        if end - start <= WHOLE * length:
            windows = [self._asked(start, end)]
        else:
            early = self._early if self._early_of == utterance.start else []
            count = int((end - start - length) / step + 1e-9) + 1
            windows = early[:count]
            windows += [self._asked(start + k * step, start + k * step + length) for k in range(len(windows), count)]
            if end - windows[-1].end > FRAME:
                windows.append(self._asked(end - length, end))
        warnings = self.ear.meter.remarks(utterance.start, utterance.end)
        warnings += ["short"] if utterance.speech < _SHORT else []
        warnings += ["one-sided"] if self.ear.choice.one_sided else []
        return Heard(self.track, utterance, tuple(windows), in_order(warnings))

    def _ahead(self) -> None:
        """Ask for windows of the current utterance as soon as it is certain that the whole one will have them."""
        begun = self.cutter.begun
        if begun is None:
            return
        if self._early_of != begun:
            self._early, self._early_of = [], begun
        start, _ = self._reach(begun, self.cutter.until)
        sure = min(self.cutter.until, begun + LONGEST / 2)
        if sure - start <= WHOLE * self._window:
            return
        while (at := start + len(self._early) * self._window / 2) + self._window <= sure:
            self._early.append(self._asked(at, at + self._window))

    def _asked(self, start: float, end: float) -> WindowAnswer:
        if self._last is not None and (self._last.start, self._last.end) == (start, end):
            return self._last  # asked in the pause that has ended the utterance
        return WindowAnswer(start, end, self._answer(self.ear.between(start, end)))
