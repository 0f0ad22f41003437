"""A long recording in one pass: its answers, the outline of its tracks, and its sound small enough for a browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from serkit.app.clips import Clip
from serkit.audio import Channel
from serkit.errors import SerkitError
from serkit.recognition.long_recording import make_timeline
from serkit.recognition.profile import Profile
from serkit.recognition.recognizer import Recognizer
from serkit.recognition.speakers import Turns
from serkit.recognition.timeline_page import Sound
from serkit.recognition.tracks import Outline, Timeline

__all__ = ["MOST_PLAYED", "Heard", "listen"]

#: The longest recording that is played, s.
MOST_PLAYED = 3 * 3600.0

_PEAKS = 16_000  # of each track, at most


@dataclass(frozen=True)
class Heard:
    """The answers for a recording.

    Attributes
    ----------
    timeline : Timeline or None
        None if nothing could be answered.
    peaks : list of np.ndarray, shape=(n,)
        For each track the largest sample of stretches of equal length, in [0, 1].
    sound : (str, bytes)
        Type and content of what is played; no content if the recording is too long.
    error : str or None
        Why it ended before the recording did, if it did.
    """

    timeline: Timeline | None
    peaks: list[np.ndarray]
    sound: tuple[str, bytes]
    error: str | None = None


def listen(
    recognizer: Recognizer,
    clip: Clip,
    *,
    window: float,
    smooth: bool = True,
    profile: Profile | None = None,
    heard: Channel | Literal["each"] = "auto",
    speakers: Turns | None = None,
    progress: Callable[[float], object] = lambda seconds: None,
) -> Heard:
    """Answer a recording; for a broken one, up to where it can be read.

    Parameters
    ----------
    recognizer, window, smooth, profile, speakers, progress
        As for :meth:`serkit.Recognizer.timeline`.
    clip : Clip
    heard : {"auto", "mix", "left", "right", "each"} or int
        The channel.
    """
    outlines: list[Outline] = []
    with Sound(MOST_PLAYED, on_disk=False) as sound:

        def add(block: np.ndarray, rate: int) -> None:
            sound.add(block, rate)
            columns = np.split(block, block.shape[1], axis=1) if heard == "each" else [block]
            if not outlines:
                outlines.extend(Outline(rate, most=_PEAKS) for _ in columns)
            for outline, column in zip(outlines, columns, strict=True):
                outline.add(column)

        try:
            found = make_timeline(
                recognizer,
                clip.open(),
                window=window,
                smooth=smooth,
                profile=profile,
                speakers=speakers,
                min_confidence=0.0,
                channel=heard,
                progress=progress,
                on_block=add,
            )
        except SerkitError as error:
            return Heard(None, [], ("", b""), error=str(error))
        peaks = [np.minimum(np.abs(outline.values()).max(axis=1), 1.0) for outline in outlines]
        if speakers is not None:
            peaks = [_spoken(peaks[0], found, k) for k in range(len(found.tracks))]
        return Heard(found, peaks, sound.data(), error=found.error)


def _spoken(peaks: np.ndarray, timeline: Timeline, track: int) -> np.ndarray:
    """The outline of the sound where somebody speaks."""
    times = (np.arange(len(peaks)) + 0.5) / len(peaks) * timeline.duration
    starts, ends = np.array([(part.start, part.end) for part in timeline.tracks[track].speech] or [(0, 0)]).T
    place = np.searchsorted(starts, times, side="right") - 1
    return np.where((place >= 0) & (times < ends[np.maximum(place, 0)]), peaks, 0.0)
