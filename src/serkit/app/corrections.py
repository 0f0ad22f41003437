"""Segments that the user corrects: a table of what is said when, and the timeline that comes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from serkit.errors import SerkitError
from serkit.recognition.prediction import Prediction
from serkit.recognition.tracks import Timeline, Track
from serkit.waiting import clock

__all__ = ["Edited", "corrected", "seconds"]

_SHORTEST = 0.01  # s
_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d*)?)")


@dataclass(frozen=True)
class Edited:
    """A row of the table as it is now.

    Attributes
    ----------
    part : Prediction or None
        The segment that it was; None for a new row.
    track : int
    start, end : str
        As :func:`seconds` reads them.
    emotion : str
        A label of the model, or ``unsure``.
    """

    part: Prediction | None
    track: int
    start: str
    end: str
    emotion: str


def corrected(timeline: Timeline, rows: Iterable[Edited]) -> Timeline:
    """Return the timeline with these segments of speech, and no speech between them.

    A segment keeps its confidence while its emotion stays. One with another emotion has neither confidence nor
    probabilities: a person named it.

    Parameters
    ----------
    timeline : Timeline
    rows : iterable of Edited
        All segments with speech, in any order.

    Raises
    ------
    SerkitError
        If a time cannot be read, a segment does not end after its start or is not within the recording, or two
        segments of a track overlap.

    Examples
    --------
    >>> sad = Prediction(None, 0.0, 2.0, "sad", 0.9, {"happy": 0.1, "sad": 0.9}, speech=True)
    >>> before = Timeline(None, 3.0, "tiny 1", ("happy", "sad"), (Track(None, (sad,)),))
    >>> after = corrected(before, [Edited(sad, 0, "0:01", "0:02.5", "happy")])
    >>> [(part.start, part.end, part.answer, part.confidence) for part in after.segments]
    [(0.0, 1.0, 'no speech', None), (1.0, 2.5, 'happy', None), (2.5, 3.0, 'no speech', None)]
    """
    found: list[list[Prediction]] = [[] for _ in timeline.tracks]
    for row in rows:
        found[row.track].append(_segment(row, timeline))
    tracks = [
        replace(track, segments=tuple(_filled(track, parts, timeline.duration)))
        for track, parts in zip(timeline.tracks, found, strict=True)
    ]
    return replace(timeline, tracks=tuple(tracks))


def seconds(text: str) -> float:
    """Read a time such as ``83.5``, ``1:23.5`` or ``1:02:05``.

    Raises
    ------
    SerkitError
        If it is none.

    Examples
    --------
    >>> seconds("83,5"), seconds("1:23.5"), seconds("1:02:05")
    (83.5, 83.5, 3725.0)
    """
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise SerkitError(f"{text!r} is not a time: give seconds, or minutes and seconds such as 1:23.5.")
    hours, minutes, rest = match.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(rest.replace(",", "."))


def _segment(row: Edited, timeline: Timeline) -> Prediction:
    old = row.part
    start, end = (
        exact if old is not None and text == clock(exact, tenths=True) else seconds(text)
        for text, exact in ((row.start, old.start if old else 0.0), (row.end, old.end if old else 0.0))
    )
    if abs(end - timeline.duration) < 0.1:  # what is shown is rounded
        end = timeline.duration
    if end - start < _SHORTEST or end > timeline.duration:
        length = clock(timeline.duration, tenths=True)
        raise SerkitError(
            f"The segment from {row.start} to {row.end} must end after its start and within the recording ({length})."
        )
    if old is not None and old.answer == row.emotion:
        return replace(old, start=start, end=end)
    channel = old.channel if old is not None else _channel(timeline.tracks[row.track])
    emotion = None if row.emotion == "unsure" else row.emotion
    return Prediction(None, start, end, emotion, None, {}, speech=True, unsure=emotion is None, channel=channel)


def _filled(track: Track, parts: Sequence[Prediction], duration: float) -> list[Prediction]:
    """The segments in order, with no speech between them."""
    found: list[Prediction] = []
    at = 0.0
    for part in [*sorted(parts, key=lambda part: part.start), None]:
        start = duration if part is None else part.start
        if start < at - 0.1 or (part is not None and part.end - max(start, at) < _SHORTEST):
            raise SerkitError(f"Two segments overlap at {clock(start, tenths=True)}: end one before the other starts.")
        if start - at > _SHORTEST:
            found.append(Prediction(None, at, start, None, None, {}, speech=False, channel=_channel(track)))
        if part is not None:
            found.append(replace(part, start=at) if start < at else part)  # a start and an end that are shown alike
            at = part.end
    return found


def _channel(track: Track) -> str | None:
    return track.segments[0].channel if track.segments else None
