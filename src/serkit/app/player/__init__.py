"""The player of the page for long recordings: waveforms with segments in colour, a moving cursor, zoom.

It is wavesurfer.js 8.0.1 (BSD 3-Clause, ``LICENSE``) with its plugins for regions and timeline, as published, and the
glue in ``player.js``. The browser gets the outline of the sound as numbers, and the sound from an ``<audio>`` element,
which asks the app for the part that it needs. Nothing is asked of another machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import streamlit as st

from serkit.app.words import GREY
from serkit.emotions import colour
from serkit.recognition.prediction import Prediction
from serkit.recognition.track_formats import said
from serkit.recognition.tracks import Timeline
from serkit.terminal import printable

__all__ = ["draw", "legend", "regions"]

_SOUND = "recording-sound"


def draw(
    timeline: Timeline, peaks: Sequence[np.ndarray], sound: tuple[str, bytes], *, key: str, seek: tuple[int, float]
) -> None:
    """Draw the player.

    Parameters
    ----------
    timeline : Timeline
    peaks : sequence of np.ndarray
        For each track the largest sample of stretches of equal length, in [0, 1].
    sound : (str, bytes)
        Type and content of what is played; without content, nothing is.
    key : str
        Another one for another recording.
    seek : (int, float)
        A number that rises with each wish to hear a certain moment, and that moment, s.
    """
    kind, data = sound
    player = st.components.v2.component("serkit_player", html=_file("player.html"), css=_file("player.css"), js=_code())
    player(
        key="player",
        data={
            "key": key,
            "duration": timeline.duration,
            "peaks": [np.rint(200 * peak).astype(int).tolist() for peak in peaks],
            "tracks": regions(timeline),
            "names": [printable(track.name or "") for track in timeline.tracks],
            "legend": legend(timeline),
            "playable": bool(data),
            "sound": _SOUND,
            "seek": {"count": seek[0], "time": seek[1]},
        },
    )
    if data:
        with st.container(key=_SOUND):
            st.audio(data, format=kind)


def regions(timeline: Timeline) -> list[list[dict[str, Any]]]:
    """Return what is drawn of each track: where a segment is, what it says, and how it looks."""
    return [[_region(part) for part in track.speech] for track in timeline.tracks]


def legend(timeline: Timeline) -> list[dict[str, str]]:
    """Return the answers that occur, in the order of the labels, with their looks; *no speech* always.

    Examples
    --------
    >>> from serkit.recognition.tracks import Track
    >>> sad = Prediction(None, 0, 1, "sad", 0.9, {"happy": 0.1, "sad": 0.9}, speech=True)
    >>> timeline = Timeline(None, 2.0, "tiny 1", ("happy", "sad"), (Track(None, (sad, sad.at_least(0.95))),))
    >>> [(one["label"], one["kind"]) for one in legend(timeline)]
    [('sad', 'named'), ('unsure', 'unsure'), ('no speech', 'none')]
    """
    used = {part.answer for part in timeline.segments}
    names = [label for label in timeline.labels if label in used]
    extra = sorted(used - {*names, "unsure", "no speech"})
    among = timeline.labels
    found = [{"label": printable(name), "colour": colour(name, among), "kind": "named"} for name in [*names, *extra]]
    if "unsure" in used:
        found.append({"label": "unsure", "colour": GREY, "kind": "unsure"})
    return [*found, {"label": "no speech", "colour": GREY, "kind": "none"}]


def _region(part: Prediction) -> dict[str, Any]:
    named = part.emotion is not None
    return {
        "start": part.start,
        "end": part.end,
        "says": printable(said(part)),
        "colour": colour(part.emotion, part.probabilities) if part.emotion is not None else GREY,
        "kind": "named" if named else "unsure",
    }


@lru_cache(maxsize=8)
def _file(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _code() -> str:
    names = ("wavesurfer.min.js", "regions.min.js", "timeline.min.js", "player.js")
    return "\n".join(map(_file, names))
