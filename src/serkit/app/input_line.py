"""The line under a recording that says what was received: name, length, rate, channels, level, clipping, phase."""

from __future__ import annotations

import io

import numpy as np
import streamlit as st

from serkit import audio
from serkit.app.clips import Clip
from serkit.app.words import plain
from serkit.errors import SerkitError
from serkit.waiting import clock

__all__ = ["LONG", "describe", "show"]

#: From this length on, the page for long recordings tells more, s.
LONG = 60.0
_HEARD = 60.0  # s that level, clipping and phase are measured on
_FULL = 0.999  # of full scale
_OPPOSITE = -0.5  # correlation of two channels that cancel each other


def show(clip: Clip) -> None:
    """Draw the line, and for a long recording offer the page that is made for it."""
    known: tuple[str, str, bool] | None = st.session_state.get("input line")
    if known is None or known[0] != clip.key:
        known = (clip.key, *describe(clip))
        st.session_state["input line"] = known
    _, says, long = known
    if says:
        st.caption(plain(says))
    pages = st.session_state.get("pages", {})
    if long and "Long recording" in pages:
        st.info("This recording lasts more than a minute, and one answer covers all of it.")
        st.page_link(pages["Long recording"], label="Answer each utterance instead")


def describe(clip: Clip) -> tuple[str, bool]:
    """Return the line, and whether the recording is a long one; an empty line if it cannot be read.

    Examples
    --------
    >>> import io, numpy as np, soundfile
    >>> file = io.BytesIO()
    >>> left = 0.5 * np.sin(np.arange(16000))
    >>> soundfile.write(file, np.stack([left, -left], axis=1), 16000, format="WAV")
    >>> describe(Clip("a", "a.wav", "audio/wav", file.getvalue))
    ('a.wav · 1.0 s · 16 kHz · 2 channels in opposite phase · -9 dBFS', False)
    """
    try:
        info = audio.probe(clip.open(), on_break=lambda reason: None)
        heard = [_channel(clip.open(), k) for k in range(1, min(info.channels, 2) + 1)]
    except SerkitError:  # the answer says why
        return "", False
    length = "unknown length" if info.duration is None else _length(info.duration)
    level = 20 * np.log10(max(float(np.sqrt(np.mean(np.square(wave)))) for wave in heard) + 1e-10)
    parts = [clip.name, length, f"{info.sample_rate / 1000:g} kHz", _channels(info.channels, heard)]
    parts.append(f"{level:.0f} dBFS" if level > -100 else "silence")
    clipped = max(float(np.mean(np.abs(wave) >= _FULL)) for wave in heard)
    if clipped > 0:
        parts.append(f"{100 * clipped:.2g} % of the samples at full scale")
    return " · ".join(parts), info.duration is not None and info.duration > LONG


def _channel(file: io.BytesIO, number: int) -> np.ndarray:
    return audio.load(file, duration=_HEARD, channel=number, on_break=lambda reason: None).samples


def _length(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < LONG else clock(seconds)


def _channels(count: int, heard: list[np.ndarray]) -> str:
    if count == 1:
        return "mono"
    if count == 2:
        left, right = (wave - wave.mean() for wave in heard)
        power = float(np.sqrt(np.sum(left**2) * np.sum(right**2)))
        if power > 0 and float(np.sum(left * right)) / power < _OPPOSITE:
            return "2 channels in opposite phase"
    return f"{count} channels"
