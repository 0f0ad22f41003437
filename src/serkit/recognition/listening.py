"""Listen to a recording that passes: find utterances on each track, and hand the windows of each to a model.

Files and live streams are listened to by the same code, so they give the same segments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from serkit.audio import MIN_SECONDS, Choice
from serkit.audio.quality import Meter
from serkit.audio.speech_frames import FRAME, FrameResampler, SpeechFrames
from serkit.audio.utterances import LONGEST, Cutter
from serkit.recognition.lanes import CONTEXT, Heard, Lane, WindowAnswer
from serkit.recognition.speakers import Turns

__all__ = ["CONTEXT", "Heard", "Listener", "WindowAnswer"]

_LOUDER_DB = 10.0  # a channel this much below another one that speaks is only its echo
_HOLD = 5  # frames over which the level of a channel is its highest


class Listener:
    """Finds utterances on one track or more while a recording passes; how it is cut into blocks makes no difference.

    Parameters
    ----------
    rate, target : int
        Rate of the recording and of the model, Hz.
    choices : sequence of Choice
        The channels to listen to. Of several channels, only the loudest one speaks at a time: a channel that is 10 dB
        quieter than another one with speech holds its echo.
    answer : callable, or a sequence of them
        Called with the samples of a window at the model's rate, float32, shape (n,); of a sequence, one for each track.
    window : float
        Longer utterances (from one and a half windows) are cut into windows that overlap by half, s.
    pause : float
        The shortest silence that ends an utterance, s.
    least : float
        The shortest input of the model, s.
    turns : Turns, optional
        Who speaks when, on one channel: a track for each speaker.
    """

    def __init__(
        self,
        rate: int,
        target: int,
        choices: Sequence[Choice],
        answer: Callable[[np.ndarray], Any] | Sequence[Callable[[np.ndarray], Any]],
        *,
        window: float,
        pause: float,
        least: float,
        turns: Turns | None = None,
    ) -> None:
        self._rate, self._turns = rate, turns
        self._ears = [_Ear(choice, rate, target) for choice in choices]
        count = len(choices) if turns is None else len(turns.names)
        least = max(least, MIN_SECONDS)
        longest = max(LONGEST, 4 * window)
        asked = [answer] * count if callable(answer) else list(answer)
        self._lanes = [
            Lane(k, self._ears[k if turns is None else 0], Cutter(pause, longest), asked[k], window, least)
            for k in range(count)
        ]
        self._levels = np.zeros((len(choices), _HOLD - 1))
        self._samples = 0

    @property
    def duration(self) -> float:
        """Seconds heard so far."""
        return self._samples / self._rate

    def choice(self, track: int) -> Choice:
        """The channel of a track."""
        return self._lanes[track].ear.choice

    def feed(self, data: np.ndarray) -> list[Heard]:
        """Hear the next samples, float32, shape (n, channels); return the utterances that have ended."""
        self._samples += len(data)
        return self._went_on([ear.feed(data) for ear in self._ears], None)

    def finish(self) -> list[Heard]:
        """Return the utterances that the end of the recording cuts."""
        return self._went_on([ear.finish() for ear in self._ears], self.duration)

    def begun(self, track: int) -> float | None:
        """Start of the current utterance of a track, s; None in silence."""
        return self._lanes[track].cutter.begun

    def latest(self, track: int) -> tuple[float, float, np.ndarray] | None:
        """Start and end of the last window of the current utterance, s, and its samples; None in silence.

        The samples begin a little before the start.
        """
        return self._lanes[track].latest()

    def paused(self, track: int) -> Heard | None:
        """The current utterance of a track, as if it ended now; given once for each silence, else None."""
        return self._lanes[track].paused()

    def _went_on(self, heard: Sequence[np.ndarray], duration: float | None) -> list[Heard]:
        frames = self._masked(np.array(heard))
        found = [one for lane, row in zip(self._lanes, frames, strict=True) for one in lane.feed(row, duration)]
        for ear in self._ears:
            ear.forget(min(lane.needs_from for lane in self._lanes if lane.ear is ear))
        return sorted(found, key=lambda one: (one.utterance.end, one.track))

    def _masked(self, frames: np.ndarray) -> np.ndarray:
        """Probabilities by track, (tracks, frames), of those by channel."""
        if self._turns is not None:
            first = self._ears[0].frames - frames.shape[1]
            middles = (first + np.arange(frames.shape[1]) + 0.5) * FRAME
            return np.where(self._turns.at(middles), frames[0], 0.0)
        if len(frames) == 1 or not frames.shape[1]:
            return frames
        levels = np.concatenate([self._levels, np.array([ear.levels(frames.shape[1]) for ear in self._ears])], axis=1)
        self._levels = levels[:, frames.shape[1] :]
        held = np.lib.stride_tricks.sliding_window_view(levels, _HOLD, axis=1).max(axis=2)
        louder = 10 ** (_LOUDER_DB / 20) * held < held.max(axis=0)
        return np.where(louder, 0.0, frames)


class _Ear:
    """One channel: its samples at the model's rate, its frames and its level."""

    def __init__(self, choice: Choice, rate: int, target: int) -> None:
        self.choice = choice
        self.meter = Meter(rate)
        self.frames = 0  # that have a probability
        self.rate = target
        self._resampler = None if rate == target else FrameResampler(rate, target)
        self._speech = SpeechFrames(target)
        self._held = np.zeros(0, np.float32)
        self._count = 0  # samples held, at the front of _held
        self._first = 0  # number of the first

    def feed(self, data: np.ndarray) -> np.ndarray:
        self.meter.add(self.choice.heard(data))
        samples = self.choice.mono(data)
        return self._add(samples if self._resampler is None else self._resampler.feed(samples))

    def finish(self) -> np.ndarray:
        first = self._add(self._resampler.finish()) if self._resampler is not None else np.zeros(0, np.float32)
        last = self._speech.finish()
        self.frames += len(last)
        return np.concatenate([first, last])

    def _add(self, samples: np.ndarray) -> np.ndarray:
        need = self._count + len(samples)
        if need > len(self._held):
            grown = np.zeros(2 * need, np.float32)
            grown[: self._count] = self._held[: self._count]
            self._held = grown
        self._held[self._count : need] = samples
        self._count = need
        found = self._speech.feed(samples)
        self.frames += len(found)
        return found

    @property
    def end(self) -> float:
        return (self._first + self._count) / self.rate

    @property
    def start(self) -> float:
        return self._first / self.rate

    def between(self, start: float, end: float) -> np.ndarray:
        low, high = round(start * self.rate) - self._first, round(end * self.rate) - self._first
        return self._held[max(low, 0) : min(high, self._count)].copy()

    def levels(self, count: int) -> np.ndarray:
        """Root mean square of the last frames that have a probability."""
        edges = np.arange(self.frames - count, self.frames + 1) * FRAME
        pieces = [self.between(a, b) for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
        return np.array([np.sqrt(np.mean(np.square(piece))) if len(piece) else 0.0 for piece in pieces])

    def forget(self, before: float) -> None:
        """Drop samples that are no longer needed, once they are many."""
        drop = int(before * self.rate) - self._first
        if drop > max(self.rate, self._count // 2):
            kept = self._count - drop
            self._held[:kept] = self._held[drop : self._count].copy()
            self._first, self._count = self._first + drop, kept
