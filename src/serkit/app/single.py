"""The tab for one clip: the answer, the probabilities, the sound and its picture."""

from __future__ import annotations

import streamlit as st

from serkit import audio
from serkit.app import pictures
from serkit.app.clips import Clip, answers, examples, uploaded
from serkit.app.words import GREY, headline, plain
from serkit.emotions import colour
from serkit.prediction import Prediction
from serkit.recognizer import Recognizer

__all__ = ["show"]

_SHOWN = 60.0  # seconds of a long recording that are drawn
_CONFIG = {"displayModeBar": False}


def show(model: str, recognizer: Recognizer) -> None:
    """Draw the tab."""
    clip = _pick()
    if clip is None:
        return
    (answer,) = answers("one", model, recognizer, [clip])
    if answer.error is not None:
        st.error(plain(answer.error))
        return
    left, right = st.columns(2, gap="medium", vertical_alignment="center")
    with left:
        st.html(headline(answer))
        st.audio(clip.read(), format=clip.mime)
    if answer.speech:
        with right:
            st.plotly_chart(pictures.bars(answer.probabilities), key="bars", width="stretch", config=_CONFIG)
    _sound(clip, answer, recognizer)


def _pick() -> Clip | None:
    """Let the user bring a clip, and return it."""
    at_hand = {clip.name.rpartition(".")[0].replace("_", " "): clip for clip in examples()}
    ways = [*(["Example"] if at_hand else []), "Upload", "Record"]
    way = st.radio("Where the clip comes from", ways, horizontal=True, label_visibility="collapsed", key="way")
    if way == "Example":
        name = st.selectbox("Example", list(at_hand), label_visibility="collapsed", key="example")
        st.caption("A synthetic voice in six styles. It feels nothing, so no answer is right or wrong.")
        return at_hand[name]
    if way == "Upload":
        file = st.file_uploader("A recording", key="upload")
        return None if file is None else uploaded(file)
    recording = st.audio_input("Record a sentence", key="record")
    return None if recording is None else uploaded(recording, name="recording.wav")


def _sound(clip: Clip, answer: Prediction, recognizer: Recognizer) -> None:
    wave = audio.load(clip.open(), duration=_SHOWN, target_rate=recognizer.sample_rate)
    hue = colour(answer.emotion) if answer.emotion else GREY
    st.plotly_chart(pictures.sound(wave, hue), key="sound", width="stretch", config=_CONFIG)
    if answer.end > _SHOWN + 0.5:
        st.caption(f"Drawn: the first {_SHOWN:.0f} of {answer.end:.0f} s. The answer is for all of it.")
