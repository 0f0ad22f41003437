"""The choice of channel, shown only for recordings with several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import streamlit as st

from serkit import audio
from serkit.app import link
from serkit.app.clips import Clip
from serkit.audio import Channel
from serkit.errors import SerkitError
from serkit.recognition.prediction import Prediction

__all__ = ["asked", "choose", "choose_for_many", "heard"]

_HELP = (
    "Automatic is the mean of all channels, or the one that holds the voice where the mean would lose it: if all "
    "others are empty, or if the channels cancel."
)
_NAMES = {"auto": "Automatic", "mix": "Mix of all", "left": "Left", "right": "Right", "each": "Each by itself"}


@overload
def choose(place: str, clip: Clip) -> Channel: ...


@overload
def choose(place: str, clip: Clip, *, each: bool) -> Channel | Literal["each"]: ...


def choose(place: str, clip: Clip, *, each: bool = False) -> Channel | Literal["each"]:
    """Let the user choose the channel of a clip that has several.

    Parameters
    ----------
    place : str
        Part of the page; the key of the widget begins with it.
    clip : Clip
    each : bool
        Whether each channel by itself may be chosen too.
    """
    try:
        count = audio.probe(clip.open()).channels
    except SerkitError:  # reading it reports the error
        return "auto"
    if count == 1:
        return "auto"
    options: list[Any] = ["auto", "mix", *(["left", "right"] if count == 2 else range(1, count + 1))]
    options += ["each"] if each else []
    wish = link.asked().channel
    first = next((k for k, option in enumerate(options) if str(option) == wish), 0)
    key = f"{place} channel {clip.key}"
    given = st.selectbox("Channel", options, index=first, format_func=_name, help=_HELP, key=key)
    return audio.check_channel(given, each=each)


def asked(place: str) -> Channel | Literal["each"]:
    """Return the current choice for many clips."""
    return audio.check_channel(st.session_state.get(f"{place} channel", "auto"), each=True)


def choose_for_many(place: str, clips: Sequence[Clip], rows: Sequence[Prediction]) -> None:
    """Draw the choice for many clips, if one of them has several channels; :func:`asked` gives it at the next run."""
    keys = tuple(clip.key for clip in clips)
    if any(row.channel is not None for row in rows):
        st.session_state[f"{place} channels"] = keys
    if st.session_state.get(f"{place} channels") == keys:
        options = ["auto", "mix", "left", "right", "each"]
        st.selectbox("Channel", options, format_func=_name, help=_HELP, key=f"{place} channel")


def heard(answer: Prediction) -> Channel:
    """The channel that an answer is for, to read it again."""
    return audio.check_channel(answer.channel or "auto")


def _name(option: str | int) -> str:
    return _NAMES.get(str(option), f"Channel {option}")
