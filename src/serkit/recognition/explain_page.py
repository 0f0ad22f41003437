"""An explanation as one HTML page: the answer, what moved it on the waveform and the spectrogram, how to read it."""

from __future__ import annotations

import base64
import os
import re
import struct
import zlib
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from serkit._version import __version__
from serkit.emotions import colour
from serkit.features import Analysis, log_mel
from serkit.features.banks import mel_frequencies
from serkit.files import write_atomic
from serkit.recognition.explain import Explanation
from serkit.terminal import printable

__all__ = ["explanation_page", "findings", "grey_png", "write_explanation"]

_NOTABLE = 0.05  # an effect below changes a probability by less than a twentieth
_FULL = 0.2  # the smallest effect that is drawn in full colour, so that tiny effects stay pale
_POINTS = 700  # of the waveform and columns of the spectrogram, at most
_ROWS = 6  # of the spectrogram in each band
_RANGE_DB = 70.0
_PROFILE = (
    "<li>A profile of the {kind}, made from {heard}, was used: each answer, with the part and without it, is adapted "
    "to this {kind}.</li>\n"
)
_TICKS = (200, 500, 1000, 2000, 4000, 8000, 16000)  # Hz


def write_explanation(explanation: Explanation, path: str | os.PathLike[str]) -> Path:
    """Write an explanation as one HTML file: pictures inside, no scripts, nothing loaded, light and dark.

    Parameters
    ----------
    explanation : Explanation
    path : path
        File to write or replace.

    Returns
    -------
    Path
        The path of the file.
    """
    return write_atomic(explanation_page(explanation), path)


def explanation_page(explanation: Explanation) -> str:
    """Return the page that :func:`write_explanation` writes."""
    prediction, emotion = explanation.prediction, _text(explanation.emotion)
    name = Path(prediction.path).name if prediction.path not in (None, "-") else "A recording"
    template = resources.files("serkit.recognition").joinpath("explain_template.html").read_text(encoding="utf-8")
    said = prediction.answer
    share = prediction.confidence or 0.0
    title = said.capitalize() if share >= 0.5 else f"Perhaps {said}"
    asked = "" if said == explanation.emotion else f" · explained here: {explanation.emotion}"
    profile = explanation.profile
    adapted = f" · adapted to this {profile.kind}, {profile.heard} heard" if profile else ""
    return Template(template).substitute(
        version=escape(__version__),
        title=_text(f"{explanation.emotion} {_percent(explanation.probability)}: {name}"),
        heading=_text(name),
        subtitle=_text(f"{_seconds(prediction.start, prediction.end)} · model {explanation.model}{adapted}{asked}"),
        answer=(
            f'<div class="said" style="border-color:{colour(said, prediction.probabilities)}"><b>{_text(title)}</b>'
            f"<span>{escape(_percent(share))} confidence</span></div>"
        ),
        shares=_shares(explanation),
        emotion=emotion,
        profile=_PROFILE.format(kind=profile.kind, heard=profile.heard) if profile else "",
        findings=f'<ul class="found">{"".join(f"<li>{_unbroken(line)}</li>" for line in findings(explanation))}</ul>',
        figure=_figure(explanation),
        tables=_tables(explanation),
        model=_text(explanation.model),
    )


def findings(explanation: Explanation) -> list[str]:
    """Say in words which stretch and which band speak most for the emotion, and which against it.

    Parameters
    ----------
    explanation : Explanation

    Returns
    -------
    list of str
        Two sentences at least: one about time, one about frequency.
    """
    lines = []
    for parts, effect, write, kind in (
        (explanation.times, explanation.time_effect, _seconds, "stretch"),
        (explanation.bands, explanation.band_effect, _hertz, "band"),
    ):
        most, least = int(np.argmax(effect)), int(np.argmin(effect))
        name, now = printable(explanation.emotion), _percent(explanation.probability)
        found = []
        if effect[most] >= _NOTABLE:
            then = _percent(explanation.covered(effect[most]))
            found.append(
                f"The {kind} {write(*parts[most])} speaks most for {name}: "
                f"without it, the probability of {name} falls from {now} to {then}."
            )
        if effect[least] <= -_NOTABLE:
            then = _percent(explanation.covered(effect[least]))
            found.append(
                f"The {kind} {write(*parts[least])} speaks most against {name}: "
                f"without it, the probability rises from {now} to {then}."
            )
        lines += found or [f"No {kind} matters much by itself: without any one of them, {name} is about as probable."]
    return lines


def grey_png(values: np.ndarray) -> bytes:
    """Return a picture as PNG: 0 is white, 255 is black.

    Parameters
    ----------
    values : np.ndarray, uint8, shape=(height, width)

    Examples
    --------
    >>> grey_png(np.zeros((2, 3), np.uint8))[:4]
    b'\\x89PNG'
    """
    height, width = values.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), 255 - values], axis=1)  # each row says: no filter
    head = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _text(text: str) -> str:
    return escape(printable(text))


def _unbroken(line: str) -> str:
    """Escaped, with numbers and units on one line."""
    return re.sub(r"(?<=\d) (?=%|s\b|Hz)", "\u00a0", escape(line))


def _percent(share: float) -> str:
    if 0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def _seconds(start: float, end: float) -> str:
    return f"{start:.1f} to {end:.1f} s"


def _hertz(low: float, high: float) -> str:
    return f"{low:.0f} to {high:.0f} Hz"


def _shares(explanation: Explanation) -> str:
    rows, shares = "", explanation.prediction.probabilities
    for label, share in shares.items():
        css = ' class="chosen"' if label == explanation.emotion else ""
        rows += (
            f"<span{css}>{_text(label)}</span>"
            f'<i><b style="width:{100 * share:.1f}%;background:{colour(label, shares)}"></b></i>'
            f"<span{css}>{escape(_percent(share))}</span>"
        )
    return f'<div class="shares" aria-label="Probabilities">{rows}</div>'


def _side(effect: float) -> str:
    return "for" if effect > 0 else "against"


def _strength(effects: np.ndarray) -> np.ndarray:
    """Effects from -1 to 1, relative to the strongest."""
    return effects / max(float(np.abs(effects).max()), _FULL)


def _figure(explanation: Explanation) -> str:
    wave, start, length = explanation.wave, explanation.prediction.start, explanation.wave.duration
    ticks = [hz for hz in _TICKS if explanation.bands[0, 0] <= hz <= 0.95 * explanation.bands[-1, 1]]
    hertz = "".join(
        f'<span style="top:{100 * (1 - place):.2f}%">{f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz} Hz"}</span>'
        for hz, place in zip(ticks, _height(np.array(ticks), explanation.bands), strict=True)
    )
    step = next(size for size in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 300) if length / size <= 5 or size == 300)
    marks = np.arange(np.ceil(start / step - 1e-6), (start + 0.98 * length) / step) * step + 0.0  # no minus 0
    seconds = "".join(f'<span style="left:{100 * (at - start) / length:.2f}%">{at:g} s</span>' for at in marks)
    label = escape(" ".join(findings(explanation)))
    png = base64.b64encode(grey_png(_spectrogram(explanation))).decode("ascii")
    return (
        f'<figure class="plot" role="img" aria-label="{label}">'
        f'<div class="wave">{_waveform(explanation)}</div>'
        '<div class="side"><span style="top:18%">for</span><span style="top:82%">against</span></div>'
        f'<div class="effect">{_time_bars(explanation)}</div>'
        '<div class="head"><span>against</span><span>for</span></div>'
        f'<div class="side">{hertz}</div>'
        f'<div class="sound"><img src="data:image/png;base64,{png}" alt=""></div>{_band_bars(explanation)}'
        f'<div class="seconds">{seconds}</div></figure>'
        f'<p class="sub" style="margin:8px 0 0;font-size:.85rem">From top to bottom: the waveform, the effect of each '
        f"stretch of {explanation.times[0, 1] - explanation.times[0, 0]:.2g} s at its middle, and the spectrogram on a "
        f"mel scale ({wave.sample_rate / 1000:g} kHz) with the effect of each band on its right.</p>"
    )


def _cells(explanation: Explanation) -> list[tuple[float, float, float, str]]:
    """Left end and width in per mille of the clip, strength and a hint, for each stretch around its middle."""
    middles = explanation.times.mean(axis=1) - explanation.prediction.start
    inner = (middles[1:] + middles[:-1]) / 2
    edges = 1000 * np.concatenate([[0.0], inner, [explanation.wave.duration]]) / explanation.wave.duration
    hints = [
        f"{_seconds(*span)}: {_percent(explanation.probability)} with it, "
        f"{_percent(explanation.covered(effect))} without"
        for span, effect in zip(explanation.times, explanation.time_effect, strict=True)
    ]
    return list(zip(edges[:-1], np.diff(edges), _strength(explanation.time_effect), hints, strict=True))


def _waveform(explanation: Explanation) -> str:
    samples = explanation.wave.samples
    count = min(_POINTS, len(samples))
    starts = np.arange(count) * len(samples) // count
    peak = max(float(np.abs(samples).max()), 1e-6)
    low, high = (f.reduceat(samples, starts) / peak for f in (np.minimum, np.maximum))
    x = (np.arange(count) + 0.5) * 1000 / count
    outline = zip([*x, *x[::-1]], [*(50 - 47 * high), *(50.4 - 47 * low[::-1])], strict=True)
    heat = "".join(
        f'<rect class="{_side(strength)}" x="{left:.1f}" y="0" width="{width:.1f}" height="100" '
        f'fill-opacity="{0.75 * abs(strength):.3f}"><title>{escape(hint)}</title></rect>'
        for left, width, strength, hint in _cells(explanation)
    )
    d = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in outline) + "Z"
    return f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none">{heat}<path class="trace" d="{d}"/></svg>'


def _time_bars(explanation: Explanation) -> str:
    bars = "".join(
        f'<rect class="{_side(strength)}" x="{left + 0.1 * width:.1f}" y="{50 - 46 * max(strength, 0):.1f}" '
        f'width="{0.8 * width:.1f}" height="{46 * abs(strength):.1f}"><title>{escape(hint)}</title></rect>'
        for left, width, strength, hint in _cells(explanation)
    )
    zero = '<line class="zero" x1="0" x2="1000" y1="50" y2="50"/>'
    return f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none">{bars}{zero}</svg>'


def _band_bars(explanation: Explanation) -> str:
    rows = ""
    for band, effect, strength in zip(
        explanation.bands[::-1], explanation.band_effect[::-1], _strength(explanation.band_effect)[::-1], strict=True
    ):
        half = 48 * abs(strength)
        left = 50 if strength > 0 else 50 - half
        hint = (
            f"{_hertz(*band)}: {_percent(explanation.probability)} with it, "
            f"{_percent(explanation.covered(effect))} without"
        )
        place = f"left:{left:.1f}%;width:{half:.1f}%"
        rows += f'<div title="{escape(hint)}"><b class="{_side(strength)}" style="{place}"></b></div>'
    return f'<div class="bands">{rows}</div>'


def _height(hz: np.ndarray, bands: np.ndarray) -> np.ndarray:
    """Positions of frequencies between the lowest and the highest band, 0 to 1: even in mel."""
    places = np.linspace(0, 1, 1001)
    return np.interp(hz, mel_frequencies(len(places), bands[0, 0], bands[-1, 1]), places)


def _spectrogram(explanation: Explanation) -> np.ndarray:
    """Levels of the clip, the highest frequency first: shape (rows, columns), 0 quiet to 255 loud."""
    wave, bands = explanation.wave, explanation.bands
    hop = max(round(wave.sample_rate / 200), -(-len(wave.samples) // _POINTS))
    analysis = Analysis(wave, n_fft=2 * max(1, round(wave.sample_rate * 0.02)), hop_length=hop)
    level = log_mel(analysis, n_mels=_ROWS * len(bands), fmin=float(bands[0, 0]), top_db=None)
    share = (level[::-1] - level.max()) / _RANGE_DB + 1
    return (255 * np.clip(share, 0, 1)).astype(np.uint8)


def _tables(explanation: Explanation) -> str:
    tables = ""
    for caption, parts, effects, write in (
        ("Stretches", explanation.times, explanation.time_effect, lambda a, b: f"{a:.2f} to {b:.2f} s"),
        ("Bands", explanation.bands, explanation.band_effect, _hertz),
    ):
        rows = "".join(
            f'<tr><th scope="row">{write(*part)}</th><td>{round(effect, 3) + 0.0:+.3f}</td>'
            f"<td>{100 * explanation.covered(effect):.1f} %</td></tr>"
            for part, effect in zip(parts, effects, strict=True)
        )
        tables += (
            f"<table><caption>{caption}</caption><thead><tr><th>covered</th><th>effect, ln(p / p covered)</th>"
            f"<th>{_text(explanation.emotion)} without it</th></tr></thead><tbody>{rows}</tbody></table>"
        )
    return tables
