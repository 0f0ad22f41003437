"""Plotly figures. Backgrounds are left free and text takes the theme's colour, so that they suit light and dark."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from serkit.app.words import GREY, per_cent
from serkit.audio import Waveform
from serkit.emotions import LABELS, colour
from serkit.features import Analysis, log_mel
from serkit.features.banks import mel_frequencies

__all__ = ["bars", "distribution", "envelope", "sound"]

_BANDS = 64
_FRAMES = 600  # at most, however long the clip: as many as a screen shows
_TICKS = (500, 1000, 2000, 4000, 8000)  # Hz
_HEAT = ("#0b0924", "#3b0f70", "#8c2981", "#de4968", "#fe9f6d", "#fcfdbf")  # dark to light in even steps


def bars(probabilities: Mapping[str, float]) -> go.Figure:
    """Draw probabilities as bars from top to bottom, in the given order and in the colours of the emotions."""
    shares = list(probabilities.values())
    return _horizontal(list(probabilities), shares, [per_cent(share) for share in shares], room=1.0)


def distribution(counts: Mapping[str, int]) -> go.Figure:
    """Draw how many recordings have which emotion, from top to bottom in the given order."""
    numbers = list(counts.values())
    return _horizontal(list(counts), numbers, [str(number) for number in numbers], room=max(numbers, default=0) or 1)


def envelope(samples: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest sample of each of at most `n` stretches of about equal length.

    Parameters
    ----------
    samples : np.ndarray, shape=(n_samples,)
        At least one.
    n : int

    Returns
    -------
    tuple of np.ndarray, shape=(min(n, n_samples),)

    Examples
    --------
    >>> low, high = envelope(np.array([0.0, 1.0, -1.0, 0.5]), 2)
    >>> low.tolist(), high.tolist()
    ([0.0, -1.0], [1.0, 0.5])
    """
    count = min(n, len(samples))
    starts = np.arange(count) * len(samples) // count
    return np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)


def sound(wave: Waveform, hue: str) -> go.Figure:
    """Draw the waveform in the colour `hue`, and its log-mel spectrogram below on the same time axis."""
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.36, 0.64])
    low, high = envelope(wave.samples, _FRAMES)
    times = (np.arange(len(low)) + 0.5) * wave.duration / len(low)
    outline = {"x": [*times, *times[::-1]], "y": [*high, *low[::-1]]}
    figure.add_trace(go.Scatter(**outline, fill="toself", fillcolor=hue, line={"color": hue, "width": 1}), 1, 1)

    hop = max(wave.sample_rate // 100, -(-len(wave.samples) // _FRAMES))
    n_fft = 2 * max(1, round(wave.sample_rate * 0.02))
    levels = log_mel(Analysis(wave, n_fft=n_fft, hop_length=hop), n_mels=_BANDS)
    floor = max(-100.0, float(levels.max()) - 80.0)
    picture = go.Heatmap(
        z=np.round(levels, 1),
        zmin=floor,
        zmax=max(float(levels.max()), floor + 40.0),  # silence is dark
        x=np.arange(levels.shape[1]) * hop / wave.sample_rate,
        colorscale=[[k / (len(_HEAT) - 1), hue] for k, hue in enumerate(_HEAT)],
        showscale=False,
        hovertemplate="%{x:.2f} s, %{z:.0f} dB<extra></extra>",
    )
    figure.add_trace(picture, 2, 1)
    centres = mel_frequencies(_BANDS + 2, 0.0, wave.sample_rate / 2)[1:-1]
    ticks = [hz for hz in _TICKS if centres[0] <= hz <= centres[-1]]
    names = [f"{hz / 1000:g} kHz" for hz in ticks]
    _plain_axes(figure, height=330)
    figure.update_xaxes(range=[0, wave.duration], showgrid=False, zeroline=False)
    figure.update_xaxes(ticksuffix=" s", row=2, col=1)
    peak = max(float(np.abs(wave.samples).max()), 0.01)
    figure.update_yaxes(range=[-peak, peak], showgrid=False, zeroline=False, showticklabels=False, row=1, col=1)
    places = np.interp(ticks, centres, np.arange(_BANDS))
    figure.update_yaxes(tickvals=places, ticktext=names, showgrid=False, row=2, col=1)
    figure.update_traces(hoverinfo="skip", selector={"type": "scatter"})
    return figure


def _horizontal(names: list[str], values: list[float] | list[int], texts: list[str], *, room: float) -> go.Figure:
    hues = [colour(name) if name in LABELS else GREY for name in names]
    figure = go.Figure(
        go.Bar(
            x=values,
            y=names,
            orientation="h",
            marker={"color": hues, "line": {"width": 0}},
            text=texts,
            textposition="outside",
            textfont={"size": 14},
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    _plain_axes(figure, height=32 * len(names) + 10)
    figure.update_xaxes(visible=False, range=[0, 1.2 * room])
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, ticks="", tickfont={"size": 14})
    figure.update_layout(bargap=0.3)
    return figure


def _plain_axes(figure: go.Figure, *, height: int) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 5, "b": 5},
        showlegend=False,
        dragmode=False,  # a finger on the picture scrolls the page
        plot_bgcolor="rgba(0,0,0,0)",
        paper_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(fixedrange=True)
    figure.update_yaxes(fixedrange=True, automargin=True)
