"""The page for a long recording: emotion over time as a strip, a stretch to play, and segments to download."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import soundfile as sf
import streamlit as st

from serkit import audio
from serkit.app import channel, charts, pictures, sound_pictures, voice
from serkit.app.clips import Clip, as_csv, as_json, examples, pick
from serkit.app.words import per_cent, plain, remarks
from serkit.audio import Channel
from serkit.errors import SerkitError
from serkit.recognition.prediction import Prediction
from serkit.recognition.profile import Profile
from serkit.recognition.recognizer import Recognizer
from serkit.recognition.segments import shares
from serkit.recognition.timeline_page import timeline_page
from serkit.recognition.track_formats import FORMATS
from serkit.recognition.tracks import Timeline
from serkit.recognition.windows import default_window, window_limits
from serkit.waiting import clock

__all__ = ["Heard", "clock", "listen", "show", "stretch"]

_EXAMPLES = "The example clips, one after another: actors from CREMA-D (ODbL 1.0) in six emotions."
_PLAYED = 120.0  # s; the most of a segment that is played, so that a click responds at once
_COLUMNS = 900  # of the outline
_LEAST = 40  # per cent; the strip is grey below, unless the model has a limit of its own


@dataclass(frozen=True)
class Heard:
    """The answers for a recording.

    Attributes
    ----------
    timeline : Timeline or None
        None if nothing could be answered.
    low, high : np.ndarray, shape=(n,)
        The outline of the sound: lowest and highest sample of stretches of equal length.
    error : str or None
        Why it ended before the recording did, if it did.
    """

    timeline: Timeline | None
    low: np.ndarray
    high: np.ndarray
    error: str | None = None


def show(model: str, recognizer: Recognizer) -> None:
    """Draw the page."""
    joined = _joined()
    clip = pick("long", {joined.name: joined} if joined else {}, label="A long recording", note=_EXAMPLES)
    profile = voice.choose(recognizer)
    if clip is None:
        st.caption("A meeting, a call, a podcast: an hour is fine.")
        return
    window, smooth, least = _settings(model, recognizer)
    wanted = channel.choose("long", clip)
    heard = _heard(model, recognizer, clip, window, smooth, profile, wanted)
    if heard.error is not None:
        st.error(plain(heard.error))
    if heard.timeline is None:
        return
    parts = [replace(part, path=clip.name) for part in heard.timeline.at_least(least).segments]
    place = f"{model} {clip.key} {window} {smooth} {least} {profile.key if profile else ''} {wanted}"
    if st.session_state.get("long place") != place:
        st.session_state.update({"long place": place, "long chosen": None, "long taps": 0})
    _strip(heard, parts, place)
    _player(clip, parts, recognizer)
    _summary(parts, recognizer)
    _segments(parts, place)
    _downloads(replace(heard.timeline.at_least(least), path=clip.name), parts)


def listen(
    recognizer: Recognizer,
    clip: Clip,
    *,
    window: float,
    smooth: bool = True,
    profile: Profile | None = None,
    heard: Channel = "auto",
    progress: Callable[[float], None] = lambda seconds: None,
) -> Heard:
    """Answer a recording; for a broken one, up to where it can be read.

    Parameters
    ----------
    recognizer, window, smooth, profile, progress
        As for :meth:`serkit.Recognizer.timeline`.
    clip : Clip
    heard : {"auto", "mix", "left", "right"} or int
        The channel.
    """
    try:
        found = recognizer.timeline(
            clip.open(),
            window=window,
            smooth=smooth,
            profile=profile,
            min_confidence=0.0,
            channel=heard,
            progress=progress,
        )
    except SerkitError as error:
        return Heard(None, np.zeros(0), np.zeros(0), error=str(error))
    low, _ = pictures.envelope(found.outline[:, 0], _COLUMNS)
    _, high = pictures.envelope(found.outline[:, 1], _COLUMNS)
    return Heard(found, low, high, error=found.error)


def _known(reason: str) -> None:
    """That the recording breaks off is shown with its windows."""


def stretch(clip: Clip, start: float, end: float, rate: int, *, heard: Channel = "auto") -> bytes:
    """Return a stretch of a recording as a WAV file in memory.

    Parameters
    ----------
    clip : Clip
    start, end : float
        Seconds.
    rate : int
        Sample rate of the file, Hz.
    heard : {"auto", "mix", "left", "right"} or int
        The channel.
    """
    end = max(end, start + audio.MIN_SECONDS)
    wave = audio.load(clip.open(), offset=start, duration=end - start, target_rate=rate, channel=heard, on_break=_known)
    file = io.BytesIO()
    sf.write(file, wave.samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


@lru_cache(maxsize=1)
def _joined() -> Clip | None:
    """Return the example clips joined by a second of silence, in memory; None without examples."""
    waves = [audio.load(clip.open(), target_rate=16000) for clip in examples()]
    if not waves:
        return None
    silence = np.zeros(16000, np.float32)
    samples = np.concatenate([piece for wave in waves for piece in (wave.samples, silence)])
    file = io.BytesIO()
    sf.write(file, samples, 16000, format="WAV", subtype="PCM_16")
    return Clip("joined examples", "examples.wav", "audio/wav", file.getvalue)


def _settings(model: str, recognizer: Recognizer) -> tuple[float, bool, float]:
    shortest, longest = window_limits(recognizer)
    usual = round(default_window(recognizer), 1)
    limit = recognizer.manifest.min_confidence
    with st.expander("Settings"):
        least = st.slider(
            "Unsure below",
            0,
            90,
            _LEAST if limit is None else round(100 * limit),
            1,
            format="%d %%",
            help="If no emotion is at least this probable, the strip is grey.",
            key=f"long least {model}",
        )
        left, right = st.columns(2, vertical_alignment="bottom")
        low, high = max(round(shortest + 0.05, 1), 0.5), max(min(longest, 30.0), 0.5)
        window = left.number_input(
            "Window, s", low, high, min(max(usual, low), high), 0.5, format="%.1f", key=f"long window {model}",
            help="An utterance longer than one and a half windows is answered window by window.",
        )  # fmt: skip
        smooth = right.checkbox(
            "Smooth", True, key="long smooth", help="Fewer changes of the emotion within an utterance."
        )
    return window, smooth, least / 100


def _heard(
    model: str,
    recognizer: Recognizer,
    clip: Clip,
    window: float,
    smooth: bool,
    profile: Profile | None,
    wanted: Channel,
) -> Heard:
    """Return the answers for the recording; the session keeps only the last one."""
    key = (model, clip.key, window, smooth, profile, wanted)
    known: tuple[object, Heard] | None = st.session_state.get("answers long")
    if known is not None and known[0] == key:
        return known[1]
    total = _length(clip)
    bar = st.progress(0.0)

    def progress(seconds: float) -> None:
        says = f"{clock(seconds)} of {clock(total)}" if total else clock(seconds)
        bar.progress(min(seconds / total, 1.0) if total else 0.0, text=says)

    heard = listen(recognizer, clip, window=window, smooth=smooth, profile=profile, heard=wanted, progress=progress)
    bar.empty()
    st.session_state["answers long"] = (key, heard)
    return heard


def _length(clip: Clip) -> float | None:
    """Return the duration from the header, s; None if it is missing or broken, which reading will report."""
    try:
        return audio.probe(clip.open(), on_break=_known).duration
    except SerkitError:
        return None


def _strip(heard: Heard, parts: Sequence[Prediction], place: str) -> None:
    def chosen() -> None:
        points = st.session_state[key]["selection"]["points"]
        if points:
            st.session_state["long chosen"] = int(points[0]["customdata"][0])
            st.session_state["long taps"] += 1

    key = f"strip {place}"
    figure = sound_pictures.strip(heard.low, heard.high, parts, clock, chosen=st.session_state["long chosen"])
    charts.draw(figure, key, on_select=chosen, selection_mode="points")


def _player(clip: Clip, parts: Sequence[Prediction], recognizer: Recognizer) -> None:
    """Show the chosen stretch; before a choice, the first one with an emotion."""
    index = st.session_state["long chosen"]
    first = next((k for k, part in enumerate(parts) if part.emotion), 0)
    part = parts[first if index is None else index]
    end = min(part.end, part.start + _PLAYED)
    sure = "" if part.confidence is None else f", {per_cent(part.confidence)}"
    cut = f" (the first {_PLAYED:.0f} s of it)" if end < part.end else ""
    times = f"{clock(part.start, tenths=True)} to {clock(part.end, tenths=True)}"
    st.markdown(f"**{plain(part.answer.capitalize())}**{plain(sure)}, {plain(times)}{plain(cut)}")
    sound = stretch(clip, part.start, end, recognizer.sample_rate, heard=channel.heard(part))
    st.audio(sound, format="audio/wav", autoplay=index is not None)
    if told := remarks(part):
        st.caption(plain(told))
    st.caption("Click the strip or select a row of the table to hear that stretch. Hatched: unsure. Empty: no speech.")


def _summary(parts: Sequence[Prediction], recognizer: Recognizer) -> None:
    st.header("Share of the time")
    charts.draw(pictures.bars(shares(parts, recognizer.labels)), "long shares")


def _downloads(timeline: Timeline, parts: Sequence[Prediction]) -> None:
    """CSV and JSON as of ``ser predict``, and what ``ser timeline`` writes for other programs."""
    files = {
        "CSV": (as_csv(parts, timeline.labels), "segments.csv"),
        "JSON": (as_json(parts), "segments.json"),
        "HTML": (timeline_page(timeline), "timeline.html"),
        **{name.upper(): (write(timeline), f"segments{ending}") for name, (ending, write) in FORMATS.items()},
    }
    with st.container(horizontal=True):
        for name, (content, file) in files.items():
            st.download_button(f"Download {name}", content, file, on_click="ignore", key=f"long {name.lower()}")
    st.caption("SRT and VTT are subtitles. Praat opens TextGrid, ELAN opens EAF, tools for diarisation read RTTM.")


def _segments(parts: Sequence[Prediction], place: str) -> None:
    def chosen() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows:
            st.session_state["long chosen"] = int(rows[0])

    warnings = [", ".join(part.warnings) for part in parts]
    key = f"segments {place} {st.session_state['long taps']}"  # a click on the strip resets the selection of the table
    st.header(f"{len(parts)} segments" if len(parts) > 1 else "One segment")
    st.dataframe(
        {
            "start": [clock(part.start, tenths=True) for part in parts],
            "end": [clock(part.end, tenths=True) for part in parts],
            "emotion": [part.answer for part in parts],
            "confidence": [None if part.confidence is None else 100 * part.confidence for part in parts],
            **({"warnings": warnings} if any(warnings) else {}),
        },
        column_config={
            "confidence": st.column_config.ProgressColumn(format="%.0f %%", min_value=0.0, max_value=100.0),
        },
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(parts), 320),
        key=key,
        on_select=chosen,
        selection_mode="single-row",
    )
