"""The page for live answers: what the microphone hears, utterance by utterance, while somebody speaks."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import streamlit as st

from serkit.app import charts, microphone, pictures
from serkit.app.chosen_model import least
from serkit.app.clips import as_csv
from serkit.app.words import headline, no_speech, plain
from serkit.errors import SerkitError
from serkit.recognition.prediction import Prediction
from serkit.recognition.recognizer import Recognizer
from serkit.recognition.segments import shares
from serkit.recognition.stream import Stream
from serkit.waiting import clock

__all__ = ["Live", "show"]

_SHOWN = 12  # of the latest segments
_MOST = 60.0  # s of one message
_BUTTON = """<button type="button" aria-pressed="false">Speak</button><p role="alert"></p>"""
_STYLE = """button {
    background: var(--st-primary-color); color: var(--st-background-color); border: 0; border-radius: 0.5rem;
    padding: 0.6rem 1.6rem; font: 600 1rem var(--st-font); cursor: pointer;
}
button:focus-visible { outline: 0.2rem solid var(--st-text-color); outline-offset: 0.15rem; }
p { color: var(--st-text-color); font: 0.9rem var(--st-font); margin: 0.4rem 0 0; }"""


@dataclass
class Live:
    """Sound that comes in messages, and its answers.

    Attributes
    ----------
    session : str
        The browser's name for it; with another name, recording starts over.
    heard : int
        Samples so far.
    parts : list of Prediction
        Final segments, silences included.
    now : Prediction or None
        The answer so far for the utterance that has not ended.
    finished : bool
    """

    session: str = ""
    heard: int = 0
    parts: list[Prediction] = field(default_factory=list)
    now: Prediction | None = None
    finished: bool = False
    stream: Stream | None = None

    def take(self, message: Mapping[str, Any], recognizer: Recognizer) -> None:
        """Hear a message of the browser; what was heard before is skipped.

        Parameters
        ----------
        message : mapping
            session, from (number of its first sample), rate (Hz), pcm (16 bits, little-endian, Base64), last.
        recognizer : Recognizer

        Raises
        ------
        SerkitError
            If the message is not such a one.
        """
        try:
            session, start, rate = str(message["session"]), int(message["from"]), int(message["rate"])
            samples = np.frombuffer(base64.b64decode(message["pcm"], validate=True), "<i2")
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise SerkitError("The browser sent no sound that can be read: reload the page.") from None
        if self.stream is None or session != self.session:
            self.session, self.heard, self.parts, self.now, self.finished = session, 0, [], None, False
            self.stream = Stream(recognizer, sample_rate=rate, min_confidence=0.0)
        if self.finished or start > self.heard or len(samples) > _MOST * rate:
            return
        fresh = samples[self.heard - start :]
        if len(fresh):
            self.stream.feed(fresh.astype(np.float32) / 32768)
            self.heard += len(fresh)
        if message.get("last"):
            self.stream.finish()
            self.finished = True
        for event in self.stream.events():
            self.now = event.segment if event.kind == "partial" else None
            if event.kind != "partial":
                self.parts.append(event.segment)


def show(model: str, recognizer: Recognizer) -> None:
    """Draw the page."""
    st.caption("Press Speak and talk. Each utterance is answered when it ends. Nothing that you say is stored.")
    microphone.why_not()
    _heard(model, recognizer)


@st.fragment
def _heard(model: str, recognizer: Recognizer) -> None:
    """The button and the answers: all that is drawn again when sound comes."""
    live: Live = st.session_state.setdefault(f"live {model}", Live())
    key = f"live sound {model}"

    def sound() -> None:
        message = st.session_state[key].get("sound")
        if message:
            try:
                live.take(message, recognizer)
            except SerkitError as error:
                st.session_state["live error"] = str(error)

    button = st.container()
    if problem := st.session_state.pop("live error", None):
        st.error(plain(problem))
    _answers(live, recognizer)
    with button:  # drawn last: it lets the browser send more, which would interrupt what is still being drawn
        _component()(
            key=key,
            data={"session": live.session, "heard": live.heard, "finished": live.finished},
            on_sound_change=sound,
        )


def _answers(live: Live, recognizer: Recognizer) -> None:
    limit = least()
    spoken = [part.at_least(limit) for part in live.parts if part.speech]
    current = live.now.at_least(limit) if live.now else spoken[-1] if spoken else None
    if live.stream is not None:
        st.caption(f"{'Heard' if live.finished else 'Listening,'} {clock(live.stream.seconds)}")
    if current is None:
        if live.finished:
            st.html(no_speech("so there is no emotion to name"))
        return
    left, right = st.columns(2, gap="medium", vertical_alignment="center")
    left.html(headline(current))
    left.caption(
        "So far …" if live.now else f"{clock(current.start, tenths=True)} to {clock(current.end, tenths=True)}"
    )
    charts.draw(pictures.bars(current.probabilities), "live bars", place=right)
    if spoken:
        _spoken(live, spoken, recognizer, limit)


def _spoken(live: Live, spoken: list[Prediction], recognizer: Recognizer, limit: float) -> None:
    st.header("Said so far")
    last = spoken[-_SHOWN:][::-1]
    st.dataframe(
        {
            "start": [clock(part.start, tenths=True) for part in last],
            "end": [clock(part.end, tenths=True) for part in last],
            "emotion": [part.answer for part in last],
            "confidence": [math.nan if part.confidence is None else 100 * part.confidence for part in last],
        },
        column_config={"confidence": st.column_config.ProgressColumn(format="%.0f %%", min_value=0.0, max_value=100.0)},
        hide_index=True,
        width="stretch",
        key="live table",
    )
    if live.finished:
        parts = [replace(part.at_least(limit), path="live") for part in live.parts]
        charts.draw(pictures.bars(shares(parts, recognizer.labels)), "live shares")
        st.download_button("Download CSV", as_csv(parts, recognizer.labels), "live.csv", on_click="ignore")


@lru_cache(maxsize=1)
def _component() -> Any:
    """Register the button once."""
    script = resources.files("serkit.app").joinpath("live.js").read_text(encoding="utf-8")
    return st.components.v2.component("serkit.live", html=_BUTTON, css=_STYLE, js=script)
