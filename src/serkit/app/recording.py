"""The page for a long recording: a player with emotion over time, segments to correct, shares and downloads."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
import soundfile as sf
import streamlit as st

from serkit import audio
from serkit.app import channel, charts, link, pictures, player, segment_table, share, voice
from serkit.app.clips import Clip, examples, pick
from serkit.app.listening import MOST_PLAYED, Heard, listen
from serkit.app.share import Shared
from serkit.app.words import plain
from serkit.audio import Channel
from serkit.errors import SerkitError
from serkit.recognition.profile import Profile
from serkit.recognition.recognizer import Recognizer
from serkit.recognition.speakers import Turns, parse_rttm
from serkit.recognition.timeline_page import timeline_page
from serkit.recognition.track_formats import FORMATS, to_csv, to_json
from serkit.recognition.tracks import Timeline
from serkit.recognition.windows import default_window, window_limits
from serkit.waiting import clock

__all__ = ["files", "show"]

_EXAMPLES = "The example clips, one after another: actors from CREMA-D (ODbL 1.0) in six emotions."
_LEAST = 40  # per cent; segments are unsure below, unless the model has a limit of its own


@dataclass(frozen=True)
class _Asked:
    """What the answers depend on."""

    model: str
    clip: str
    window: float
    smooth: bool
    profile: str
    channel: Channel | Literal["each"]
    speakers: str


def show(model: str, recognizer: Recognizer) -> None:
    """Draw the page."""
    joined = _joined()
    clip = pick("long", {joined.name: joined} if joined else {}, label="A long recording", note=_EXAMPLES)
    profile = voice.choose(recognizer)
    if clip is None:
        st.caption(
            f"A meeting, a call, a podcast. Recordings of up to {MOST_PLAYED / 60:.0f} minutes can be played here; "
            "longer ones are answered too."
        )
        return
    window, smooth, least, turns, speakers = _settings(model, recognizer)
    wanted = channel.choose("long", clip, each=turns is None)
    asked = _Asked(model, clip.key, window, smooth, profile.key if profile else "", wanted, speakers)
    heard = _heard(recognizer, clip, asked, profile, turns)
    if heard.error is not None:
        st.error(plain(heard.error))
    if heard.timeline is None:
        return
    place = f"{asked} {least}"
    before = replace(heard.timeline.at_least(least), path=clip.name)
    timeline = segment_table.corrected_before(before, place)
    player.draw(timeline, heard.peaks, heard.sound, key=str(asked), seek=segment_table.wanted(place))
    if not heard.sound[1]:
        st.info(
            f"Recordings of up to {MOST_PLAYED / 60:.0f} minutes can be played here; this one lasts "
            f"{timeline.duration / 60:.0f} minutes."
        )
    else:
        st.caption("Click the waveform or a row of the table to hear that moment. Point at a segment to read it.")
    timeline = segment_table.show(before, timeline, place)
    _shares(timeline)
    _downloads(timeline, heard.sound)
    share.show(Shared(clip.name, model, least, wanted, profile is not None, kind="recording"))


def files(timeline: Timeline, sound: tuple[str, bytes] = ("", b"")) -> dict[str, tuple[Callable[[], str], str]]:
    """Return what can be downloaded: format -> what makes the content, and the name of the file.

    They are what ``ser timeline`` writes.
    """
    return {
        "CSV": (lambda: to_csv([timeline]), "segments.csv"),
        "JSON": (lambda: to_json([timeline]), "segments.json"),
        "HTML": (lambda: timeline_page(timeline, sound), "timeline.html"),
        **{
            {"textgrid": "TextGrid"}.get(name, name.upper()): (lambda write=write: write(timeline), f"segments{ending}")  # type: ignore[misc]
            for name, (ending, write) in FORMATS.items()
        },
    }


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


def _settings(model: str, recognizer: Recognizer) -> tuple[float, bool, float, Turns | None, str]:
    shortest, longest = window_limits(recognizer)
    usual = round(default_window(recognizer), 1)
    wish = link.asked().min_confidence
    limit = recognizer.manifest.min_confidence if wish is None else min(wish, 0.9)
    with st.expander("Settings"):
        least = st.slider(
            "Unsure below",
            0,
            90,
            _LEAST if limit is None else round(100 * limit),
            1,
            format="%d %%",
            help="If no emotion is at least this probable, the segment is hatched.",
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
        turns, speakers = _speakers()
    return window, smooth, least / 100, turns, speakers


def _speakers() -> tuple[Turns | None, str]:
    """Who speaks when, if the user has a file that says so, and what identifies the file."""
    file = st.file_uploader("Who speaks when: an RTTM file of a diarisation tool", key="long speakers")
    if file is None:
        return None, ""
    try:
        text = file.getvalue().decode("utf-8-sig")
        return parse_rttm(text, repr(file.name)), file.file_id
    except UnicodeDecodeError:
        st.error(plain(f"{file.name!r} is not text in UTF-8, so it is no RTTM file."))
    except SerkitError as error:
        st.error(plain(str(error)))
    return None, ""


def _heard(recognizer: Recognizer, clip: Clip, asked: _Asked, profile: Profile | None, turns: Turns | None) -> Heard:
    """Return the answers for the recording; the session keeps only the last one."""
    known: tuple[_Asked, Heard] | None = st.session_state.get("answers long")
    if known is not None and known[0] == asked:
        return known[1]
    total = _length(clip)
    bar = st.progress(0.0)

    def progress(seconds: float) -> None:
        says = f"{clock(seconds)} of {clock(total)}" if total else clock(seconds)
        bar.progress(min(seconds / total, 1.0) if total else 0.0, text=says)

    heard = listen(
        recognizer,
        clip,
        window=asked.window,
        smooth=asked.smooth,
        profile=profile,
        heard=asked.channel,
        speakers=turns,
        progress=progress,
    )
    bar.empty()
    st.session_state["answers long"] = (asked, heard)
    return heard


def _length(clip: Clip) -> float | None:
    """Return the duration from the header, s; None if it is missing or broken, which reading will report."""
    try:
        return audio.probe(clip.open(), on_break=lambda reason: None).duration
    except SerkitError:
        return None


def _shares(timeline: Timeline) -> None:
    st.header("Share of the speech")
    names = [track.name for track in timeline.tracks]
    for place, (k, name) in zip(st.columns(min(len(names), 2)) * len(names), enumerate(names), strict=False):
        with place:
            if name is not None:
                st.markdown(f"**{plain(name)}**")
            charts.draw(pictures.bars(timeline.shares(k)), f"long shares {k}")


def _downloads(timeline: Timeline, sound: tuple[str, bytes]) -> None:
    """What ``ser timeline`` writes, made when it is asked for."""
    with st.container(horizontal=True):
        for name, (make, file) in files(timeline, sound).items():
            st.download_button(f"Download {name}", make, file, on_click="ignore", key=f"long {name.lower()}")
    st.caption(
        "HTML is one self-contained page, with the sound of recordings of up to an hour. SRT and VTT are subtitles. "
        "Praat opens TextGrid, ELAN opens EAF, and diarisation tools read RTTM."
    )
