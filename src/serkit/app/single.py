"""The page for one clip: the answer, the probabilities, the sound, its picture, and what shaped the answer."""

from __future__ import annotations

import streamlit as st

from serkit import audio
from serkit.app import channel, charts, input_line, pictures, share, voice
from serkit.app.chosen_model import least
from serkit.app.clips import Clip, answers, pick
from serkit.app.share import Shared
from serkit.app.words import GREY, headline, per_cent, plain, remarks
from serkit.emotions import colour
from serkit.errors import SerkitError
from serkit.recognition.explain import Explanation
from serkit.recognition.prediction import Prediction
from serkit.recognition.profile import Profile
from serkit.recognition.recognizer import Recognizer
from serkit.recognition.rows import to_json

__all__ = ["explained", "show"]

_SHOWN = 60.0  # seconds of a long recording that are drawn


def show(model: str, recognizer: Recognizer) -> None:
    """Draw the page."""
    clip = pick("one", microphone=True)
    profile = voice.choose(recognizer)
    if clip is None:
        return
    input_line.show(clip)
    wanted = channel.choose("one", clip)
    ((found,),) = answers("one", model, recognizer, [clip], profile=profile, channel=wanted)
    if found.error is not None:
        st.error(plain(found.error))
        return
    answer = found.at_least(least())
    left, right = st.columns(2, gap="medium", vertical_alignment="center")
    with left:
        st.html(headline(answer))
        st.audio(clip.read(), format=clip.mime)
        if told := remarks(answer):
            (st.warning if answer.warnings else st.caption)(plain(told))
    if answer.speech:
        with right:
            as_pie = st.toggle("As a pie", key="pie")
            draw = pictures.pie if as_pie else pictures.bars
            charts.draw(draw(answer.probabilities), "bars")
    _sound(clip, answer, recognizer, profile)
    _next(answer)
    shared = Shared(clip.name, model, least(), wanted, profile is not None)
    share.show(shared, to_json([answer]))
    if answer.valence is not None and answer.arousal is not None:
        st.header("Valence and arousal")
        charts.draw(pictures.circumplex(answer.probabilities), "affect")
        st.caption(
            f"Valence {answer.valence:+.2f}, arousal {answer.arousal:+.2f}. Derived from the probabilities above, "
            "not measured: the cross is the weighted mean of the emotions' positions."
        )


def _next(answer: Prediction) -> None:
    """Offer what to try next, on the pages that keep this recording."""
    pages = st.session_state.get("pages", {})
    if answer.speech and pages:
        with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
            st.caption("Next, with this recording:", width="content")
            st.page_link(pages["Features"], label="What its voice is like")
            st.page_link(pages["Models"], label="What another model says")


def explained(why: Explanation) -> str:
    """Explain the shading, as Markdown."""
    if why.time_effect.max(initial=0.0) <= 0:
        return plain(f"No single stretch explains {why.emotion}: only all of them together do.")
    start, end = why.times[why.time_effect.argmax()]
    without = per_cent(why.covered(float(why.time_effect.max())))
    return plain(
        f"Shaded: what spoke for {why.emotion}. With {start:.1f} to {end:.1f} s covered, it would be {without} instead "
        f"of {per_cent(why.probability)}."
    )


def _sound(clip: Clip, answer: Prediction, recognizer: Recognizer, profile: Profile | None) -> None:
    """Draw the sound at once, and shade it when the explanation is ready."""
    heard = channel.heard(answer)
    wave = audio.load(
        clip.open(),
        duration=_SHOWN,
        target_rate=recognizer.sample_rate,
        channel=heard,
        on_break=lambda reason: None,
    )
    hue = colour(answer.emotion, answer.probabilities) if answer.emotion else GREY
    figure = pictures.sound(wave, hue)
    place, below = st.empty(), st.empty()
    charts.draw(figure, "sound", place=place)
    if answer.end > _SHOWN + 0.5:
        below.caption(f"The picture shows the first {_SHOWN:.0f} of {answer.end:.0f} s. The answer covers all of it.")
        return
    if answer.emotion is None or answer.end > recognizer.manifest.max_seconds:
        return
    below.caption("Finding what shaped the answer …")
    try:
        why = _explain(clip, answer, answer.emotion, recognizer, profile)
    except SerkitError as error:
        below.caption(plain(str(error)))
        return
    pictures.shaded(figure, why.times, why.time_effect, hue)
    charts.draw(figure, "sound explained", place=place)
    below.caption(explained(why))


def _explain(
    clip: Clip, answer: Prediction, emotion: str, recognizer: Recognizer, profile: Profile | None
) -> Explanation:
    """Return the explanation; only that of the last clip is kept."""
    key = (id(recognizer), clip.key, emotion, profile, answer.channel)
    known: tuple[object, Explanation] | None = st.session_state.get("explanation")
    if known is None or known[0] != key:
        why = recognizer.explain(clip.open(), emotion=emotion, profile=profile, channel=channel.heard(answer))
        known = (key, why)
        st.session_state["explanation"] = known
    return known[1]
