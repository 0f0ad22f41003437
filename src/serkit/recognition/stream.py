"""Live sound in, events out: :class:`Stream`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from serkit.audio import Channel, check_channel
from serkit.audio.arrays import check_rate, checked
from serkit.audio.channels import channel_number, every_channel
from serkit.audio.utterances import MIN_PAUSE
from serkit.errors import AudioError, SerkitError
from serkit.recognition.events import Event
from serkit.recognition.listening import Heard, Listener
from serkit.recognition.long_recording import check_pause, check_window, window_answer
from serkit.recognition.prediction import Prediction
from serkit.recognition.profile import Profile, check_profile
from serkit.recognition.runner import Runner
from serkit.recognition.tracks import SegmentMaker

if TYPE_CHECKING:
    from serkit.recognition.label_choice import Labels

__all__ = ["Event", "Stream", "as_floats"]

_MOST_CHANNELS = 64
_CHUNK = 0.01  # s; less is kept until there is more


class Stream:
    """Answers live sound. Its final segments and silences are those that the same sound in a file gives.

    All state is in the stream: many streams may share one recognizer, each in its own thread.

    Parameters
    ----------
    recognizer : Recognizer
    sample_rate : int
        Rate of the sound, Hz.
    channel : {"mix", "left", "right", "each"} or int
        Of chunks with several channels. ``"each"`` answers all; ``segment.channel`` says which.
    window, pause, smooth, min_confidence, profile, labels
        As for :meth:`serkit.Recognizer.timeline`.
    partial : float or None
        A partial answer each time that so many seconds of an utterance have passed, and one as soon as a silence
        begins, within which the utterance may end; None: none.

    Raises
    ------
    SerkitError
        If a value is out of its limits.

    See Also
    --------
    serkit.Recognizer.timeline : The same for a file.

    Examples
    --------
    >>> stream = Stream(serkit.load(), sample_rate=16000)         # doctest: +SKIP
    >>> while (chunk := microphone.read()) is not None:           # doctest: +SKIP
    ...     stream.feed(chunk)
    ...     for event in stream.events():
    ...         print(event.kind, event.segment.answer)
    >>> stream.finish()                                           # doctest: +SKIP
    >>> last = list(stream.events())                              # doctest: +SKIP
    """

    def __init__(
        self,
        recognizer: Runner,
        *,
        sample_rate: int,
        channel: Channel | Literal["each"] = "mix",
        window: float | None = None,
        pause: float = MIN_PAUSE,
        smooth: bool = True,
        min_confidence: float | None = None,
        profile: Profile | None = None,
        labels: Labels | None = None,
        partial: float | None = 0.5,
    ) -> None:
        recognizer.need_labels("answer live")
        self._least = recognizer.least(min_confidence)
        if profile is not None:
            check_profile(profile, recognizer.manifest)
        if partial is not None and not partial > 0:
            raise SerkitError(f"partial must be more than 0 s, or None, got {partial:g} s.")
        wanted = check_channel(channel, each=True)
        self._channel: Channel | Literal["each"] = "mix" if wanted == "auto" else wanted
        self._recognizer = recognizer = recognizer.among(labels)
        self._rate = check_rate(sample_rate, "sample_rate")
        self._window, self._pause = check_window(recognizer, window), check_pause(pause)
        self._how: dict[str, Any] = {"min_confidence": self._least, "smooth": smooth}
        self._partial = partial
        self._answer = window_answer(recognizer, profile)
        self._events: deque[Event] = deque()
        self._held: list[np.ndarray] = []
        self._count = 0  # samples held
        self._at = 0  # samples given
        self._channels = 0
        self._listener: Listener | None = None
        self._told: dict[int, float] = {}  # when each track told a partial answer last, s
        self._finished = False

    @property
    def seconds(self) -> float:
        """Seconds of sound given so far."""
        return self._at / self._rate

    def feed(self, samples: np.ndarray, *, partial: bool = True) -> None:
        """Take the next samples.

        Parameters
        ----------
        samples : np.ndarray, shape=(n,) or (n, channels)
            Of any length, also 0. Floats in [-1, 1], or integers, which are scaled by the range of their type.
        partial : bool
            False: no partial answer this time, for who is short of time. Finals and silences stay the same.

        Raises
        ------
        AudioError
            If the chunk holds NaN, infinity or integers as floats, has another number of channels than the first one,
            or comes after :meth:`finish`. It is not taken; the stream goes on with the next one.
        """
        if self._finished:
            raise AudioError("The stream has finished: make another one for more sound.")
        data = as_floats(np.asarray(samples))
        channels = data.shape[1]
        if self._listener is not None and channels != self._channels:
            raise AudioError(f"A chunk has {channels} channels, those before had {self._channels}.")
        if not len(data):
            return
        for _ in checked([data.reshape(-1)], self._at * channels, self._rate * channels, "The chunk"):
            pass
        if self._listener is None:
            self._listener = self._make(channels)
        self._at += len(data)
        self._held.append(data)
        self._count += len(data)
        if self._count >= _CHUNK * self._rate:
            self._pass_on(partial=partial)

    def events(self) -> Iterator[Event]:
        """Yield what was found out since the last call."""
        while self._events:
            yield self._events.popleft()

    def finish(self) -> None:
        """End the stream: what was being said becomes final. Calling it again does nothing."""
        if self._finished:
            return
        if self._listener is not None:
            if self._count:
                self._pass_on(partial=False)
            for one in self._listener.finish():
                self._put(one)
            for track in range(self._tracks):
                self._tell("silence", self._maker.silence(track, self._listener.duration))
        self._finished = True

    def _make(self, channels: int) -> Listener:
        choices = every_channel(channels) if self._channel == "each" else [
            channel_number(self._channel, channels, "The stream")
        ]  # fmt: skip
        self._channels, self._tracks = channels, len(choices)
        listener = Listener(
            self._rate,
            self._recognizer.sample_rate,
            choices,
            self._answer,
            window=self._window,
            pause=self._pause,
            least=self._recognizer.manifest.min_seconds,
        )
        self._maker = SegmentMaker(self._recognizer, listener, **self._how)
        return listener

    def _pass_on(self, *, partial: bool = True) -> None:
        assert self._listener is not None
        data = self._held[0] if len(self._held) == 1 else np.concatenate(self._held)
        self._held, self._count = [], 0
        for one in self._listener.feed(data):
            self._put(one)
        for track in range(self._tracks):
            begun = self._listener.begun(track)
            if begun is not None:
                self._tell("silence", self._maker.silence(track, begun))
        if partial and self._partial is not None:
            for track in range(self._tracks):
                self._tell_partial(track, self._partial)

    def _put(self, one: Heard) -> None:
        for part in self._maker.heard(one, [window.answer for window in one.windows]):
            self._tell("final" if part.speech else "silence", [part])

    def _tell(self, kind: Literal["partial", "final", "silence"], parts: list[Prediction]) -> None:
        self._events.extend(Event(kind, part) for part in parts)

    def _tell_partial(self, track: int, every: float) -> None:
        assert self._listener is not None
        heard = self._listener.paused(track)
        if heard is not None:
            last = self._maker.parts(heard, [window.answer for window in heard.windows])[-1]
            self._events.append(Event("partial", last, paused=True))
            self._told[track] = self._listener.duration
            return
        found = self._listener.latest(track)
        if found is None:
            self._told.pop(track, None)
            return
        start, end, samples = found
        now = self._listener.duration
        if now - self._told.get(track, start) < every or len(samples) < self._least_samples():
            self._told.setdefault(track, start)
            return
        self._told[track] = now
        answer = self._maker.named(start, end, self._answer(samples), self._listener.choice(track).name)
        self._tell("partial", [answer.at_least(self._least)])

    def _least_samples(self) -> int:
        return int(self._recognizer.manifest.min_seconds * self._recognizer.sample_rate) + 1


def as_floats(samples: np.ndarray) -> np.ndarray:
    """Return a chunk as float32, shape (n, channels)."""
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "iuf":
        raise AudioError(
            f"A chunk is an array of numbers of shape (n,) or (n, channels), got {samples.dtype} of shape "
            f"{samples.shape}."
        )
    if samples.ndim == 2 and samples.shape[1] > _MOST_CHANNELS:
        raise AudioError(f"A chunk has the shape (n, channels), got {samples.shape}: turn it round, chunk.T.")
    data = samples.reshape(len(samples), -1) if samples.size else np.zeros((0, max(samples.shape[-1], 1)), np.float32)
    if data.dtype.kind in "iu":
        half = 2.0 ** (8 * data.dtype.itemsize - 1)
        return ((data - half if data.dtype.kind == "u" else data) / half).astype(np.float32)
    return data.astype(np.float32, copy=False)
