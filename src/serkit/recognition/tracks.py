"""The timeline of a recording: its segments, one track for each channel or speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit.recognition.prediction import Prediction, check_confidence, in_order
from serkit.recognition.segments import joined, segments, shares, smoothed

if TYPE_CHECKING:
    from serkit.recognition.graph import Graph, Outputs
    from serkit.recognition.listening import Heard, Listener

__all__ = ["Outline", "SegmentMaker", "Timeline", "Track"]


@dataclass(frozen=True)
class Track:
    """What was said on one channel, or by one speaker.

    Attributes
    ----------
    name : str or None
        The speaker or the channel; None if the recording has only one track.
    segments : tuple of Prediction
        Without gap or overlap from 0 s to the end of the recording; what is not speech is ``"no speech"``.
    adapted : int or None
        How many utterances of this voice its answers are adapted to, 0 if there were too few or all of one mood; None
        if it was not asked for.
    """

    name: str | None
    segments: tuple[Prediction, ...]
    adapted: int | None = None

    @property
    def speech(self) -> tuple[Prediction, ...]:
        """The segments that hold speech."""
        return tuple(part for part in self.segments if part.speech)

    @property
    def seconds(self) -> float:
        """Time with speech, s."""
        return sum(part.end - part.start for part in self.speech)


@dataclass(frozen=True)
class Timeline:
    """Emotion over time in one recording.

    Attributes
    ----------
    path : str or None
        The file, as it was given.
    duration : float
        Seconds that were heard.
    model : str
        Name and version of the model.
    labels : tuple of str
        The emotions that are answered: those of the model, or some of them.
    tracks : tuple of Track
        One for each channel or speaker.
    error : str or None
        Why it ends before the recording does, if it does.
    outline : np.ndarray, shape=(n, 2)
        Lowest and highest sample of `n` stretches of equal length, of all channels that are answered.

    See Also
    --------
    serkit.Recognizer.timeline : Makes it.
    serkit.recognition.track_formats : Writes it as JSON, CSV, subtitles, RTTM.
    """

    path: str | None
    duration: float
    model: str
    labels: tuple[str, ...]
    tracks: tuple[Track, ...]
    error: str | None = None
    outline: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)), compare=False, repr=False)

    @property
    def segments(self) -> list[Prediction]:
        """The segments of all tracks, in the order of their start."""
        return [part for _, part in self.rows()]

    def rows(self) -> list[tuple[str | None, Prediction]]:
        """Track name and segment, in the order of start, then of the tracks."""
        found = [(part.start, k, track.name, part) for k, track in enumerate(self.tracks) for part in track.segments]
        return [(name, part) for _, _, name, part in sorted(found, key=lambda row: row[:2])]

    def shares(self, track: int | None = None) -> dict[str, float]:
        """Return the share of each answer in the time with speech, of all tracks together or of one.

        Returns
        -------
        dict of str to float
            In [0, 1], 1 in sum, the labels first, ``"unsure"`` after them if there is any; all 0 without speech.
        """
        chosen = self.tracks if track is None else (self.tracks[track],)
        return shares([part for one in chosen for part in one.speech], self.labels)

    def at_least(self, min_confidence: float) -> Timeline:
        """Return the same with less confident segments unsure."""
        tracks = (
            replace(one, segments=tuple(joined(part.at_least(min_confidence) for part in one.segments)))
            for one in self.tracks
        )
        return replace(self, tracks=tuple(tracks))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the outline, ready for JSON."""
        return {
            "path": self.path,
            "duration": self.duration,
            "model": self.model,
            "error": self.error,
            "tracks": [
                {
                    "name": track.name,
                    **({} if track.adapted is None else {"adapted": track.adapted}),
                    "speech_seconds": track.seconds,
                    "shares": self.shares(k),
                    "segments": [_row(part) for part in track.segments],
                }
                for k, track in enumerate(self.tracks)
            ],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Timeline:
        """Return the timeline that :meth:`to_dict` made the dictionary of; KeyError or TypeError if it is none.

        Parameters
        ----------
        content : mapping
            With ``"labels"`` beside what :meth:`to_dict` gives. The outline is empty.

        Examples
        --------
        >>> quiet = Prediction(None, 0.0, 2.5, None, None, {}, speech=False)
        >>> found = Timeline("a.wav", 2.5, "fast 2.0", ("happy", "sad"), (Track(None, (quiet,)),))
        >>> Timeline.from_dict({**found.to_dict(), "labels": found.labels}) == found
        True
        """
        tracks = (
            Track(track["name"], tuple(map(Prediction.from_dict, track["segments"])), track.get("adapted"))
            for track in content["tracks"]
        )
        given: dict[str, Any] = {name: content[name] for name in ("path", "duration", "model", "error")}
        return cls(labels=tuple(content["labels"]), tracks=tuple(tracks), **given)


def _row(part: Prediction) -> dict[str, Any]:
    row = part.to_dict()
    return {name: value for name, value in row.items() if name not in ("path", "error")}


class SegmentMaker:
    """Turns utterances with their answers into the segments of each track, with what is not speech between them.

    Parameters
    ----------
    model : Graph
        What answers.
    listener : Listener
    min_confidence : float
        In [0, 1]. A less confident segment names no emotion.
    smooth : bool
        Whether :func:`serkit.recognition.segments.smoothed` makes the segments of an utterance.
    """

    def __init__(self, model: Graph, listener: Listener, *, min_confidence: float = 0.0, smooth: bool = True) -> None:
        check_confidence(min_confidence)
        self._model, self._listener = model, listener
        self._least, self._smooth = min_confidence, smooth
        self._until: dict[int, float] = {}

    def heard(self, one: Heard, answers: Sequence[Outputs]) -> list[Prediction]:
        """Return the silence before an utterance, if any, and its segments; `answers` are those for its windows."""
        found = self.silence(one.track, one.utterance.start)
        self._until[one.track] = one.utterance.end
        return found + self.parts(one, answers)

    def parts(self, one: Heard, answers: Sequence[Outputs]) -> list[Prediction]:
        """Return the segments of an utterance; `answers` are those for its windows."""
        utterance = one.utterance
        name = self._listener.choice(one.track).name
        windows = []
        for window, given in zip(one.windows, answers, strict=True):
            start, end = max(window.start, utterance.start), min(window.end, utterance.end)
            answer = self.named(start, end, given, name)
            windows.append(replace(answer, warnings=in_order([*one.warnings, *answer.warnings])))
        if self._smooth:
            return smoothed(windows, self._least)
        return segments(window.at_least(self._least) for window in windows)

    def silence(self, track: int, end: float) -> list[Prediction]:
        """Return the stretch without speech up to `end`, in a list; an empty one if there is none."""
        start = self._until.get(track, 0.0)
        if end - start < 1e-6:
            return []
        self._until[track] = end
        return [Prediction(None, start, end, None, None, {}, speech=False, channel=self._listener.choice(track).name)]

    def named(self, start: float, end: float, answer: Outputs, channel: str | None) -> Prediction:
        """Return the answer for a window, whatever its confidence."""
        found = dict(zip(self._model.labels, answer.probabilities.tolist(), strict=True))
        best = max(found, key=found.__getitem__)
        return Prediction(
            None,
            start,
            end,
            best,
            found[best],
            found,
            speech=True,
            channel=channel,
            warnings=("unfamiliar",) if self._model.manifest.is_unfamiliar(answer.familiarity) else (),
            familiarity=answer.familiarity,
        )


class Outline:
    """Lowest and highest sample of equal stretches of a recording of any length, in constant memory.

    Parameters
    ----------
    rate : int
        Hz.
    most : int
        Stretches, at most; their length doubles when they become more.

    Examples
    --------
    >>> outline = Outline(100, most=4)
    >>> outline.add(np.arange(20.0)[:, np.newaxis])
    >>> outline.values().tolist()
    [[0.0, 7.0], [8.0, 15.0], [16.0, 19.0]]
    """

    def __init__(self, rate: int, most: int = 4000) -> None:
        self._size = max(rate // 50, 1)
        self._most = most
        self._low: list[float] = []
        self._high: list[float] = []
        self._count = 0  # samples in the last cell; 0 if it is full

    def add(self, data: np.ndarray) -> None:
        """Add the next samples, shape (n, channels)."""
        low, high = data.min(axis=1), data.max(axis=1)
        if self._count:  # fill the last cell
            end = min(self._size - self._count, len(data))
            self._low[-1] = min(self._low[-1], float(low[:end].min()))
            self._high[-1] = max(self._high[-1], float(high[:end].max()))
            self._count = (self._count + end) % self._size
            low, high = low[end:], high[end:]
        if len(low):
            starts = np.arange(0, len(low), self._size)
            self._low += np.minimum.reduceat(low, starts).tolist()
            self._high += np.maximum.reduceat(high, starts).tolist()
            self._count = len(low) % self._size
        while len(self._low) > self._most:
            odd = len(self._low) % 2
            whole = self._count == 0
            self._low = [min(self._low[k : k + 2]) for k in range(0, len(self._low), 2)]
            self._high = [max(self._high[k : k + 2]) for k in range(0, len(self._high), 2)]
            self._count += self._size if odd == whole else 0
            self._size *= 2

    def values(self) -> np.ndarray:
        """Return what was found so far, shape (n, 2)."""
        return np.array([self._low, self._high], dtype=np.float64).T
