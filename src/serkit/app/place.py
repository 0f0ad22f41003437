"""Adapting to the clips of the page for many clips, as ``ser predict --adapt`` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from serkit.app.clips import Clip, opened
from serkit.app.words import plain
from serkit.audio import Channel
from serkit.errors import SerkitError
from serkit.recognition.adapt import LEAST, Adaptation, evenly
from serkit.recognition.profile import Profile
from serkit.recognition.recognizer import Recognizer

__all__ = ["choose"]

_HELP = (
    "The mean of the clips becomes the zero point: for recordings from one place (microphone, language, style) in "
    f"different moods. Each clip is read twice. At least {LEAST} clips with speech are needed."
)


def choose(
    model: str, recognizer: Recognizer, clips: Sequence[Clip], channel: Channel | Literal["each"]
) -> Profile | None:
    """Draw the switch if the model adapts and there are enough clips, and return the profile of their place.

    The session keeps the profile of the last clips.

    Parameters
    ----------
    model : str
        Name under which `recognizer` was chosen.
    recognizer : Recognizer
    clips : sequence of Clip
    channel : {"auto", "mix", "left", "right", "each"} or int
        As for :meth:`serkit.Recognizer.adapt`.
    """
    if not recognizer.manifest.adaptation or len(clips) < LEAST:
        return None
    if not st.toggle("Adapt to these clips", key="place switch", help=_HELP):
        return None
    key = (model, channel, *(clip.key for clip in clips))
    known: tuple[object, Profile, str | None] | None = st.session_state.get("place")
    if known is None or known[0] != key:
        made = Adaptation(recognizer)
        chosen = evenly(clips)
        bar = st.progress(0.0)
        for done, _ in enumerate(made.hear(map(opened, chosen), channel=channel), start=1):
            bar.progress(done / len(chosen), text=f"Listening: {done} of {len(chosen)}")
        bar.empty()
        try:
            known = (key, made.profile(), made.remark())
        except SerkitError as error:
            st.warning(plain(str(error)))
            return None
        st.session_state["place"] = known
    _, profile, remark = known
    st.caption(plain(" ".join(filter(None, [f"Adapted to {profile.heard}.", remark]))))
    return profile
