"""Plotly figures. Backgrounds are transparent and text has the theme's colour, so they suit light and dark mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from serkit.app.charts import fills, told
from serkit.app.words import GREY, line, per_cent
from serkit.audio import Waveform
from serkit.emotions import EMOTIONS, affect
from serkit.features import Analysis, f0, log_mel, rms
from serkit.features.banks import mel_frequencies

__all__ = ["bars", "circumplex", "confidences", "distribution", "envelope", "pie", "shaded", "sound"]

_BANDS = 64
_FRAMES = 600  # the most for a clip of any length: as many as a screen shows
_SOUND_HEIGHT = 560
# Names that would overlap above their dots
_BESIDE = {"fearful": "middle left", "angry": "middle right", "disgust": "bottom center", "sad": "bottom center"}
_TICKS = (500, 1000, 2000, 4000, 8000)  # Hz
_HEAT = ("#0b0924", "#3b0f70", "#8c2981", "#de4968", "#fe9f6d", "#fcfdbf")  # dark to light in even steps


def bars(probabilities: Mapping[str, float]) -> go.Figure:
    """Draw probabilities as bars from top to bottom, in the given order, in the colours of the emotions."""
    shares = list(probabilities.values())
    figure = _horizontal(list(probabilities), shares, [per_cent(share) for share in shares], room=1.0)
    return told(figure, f"Bars. {_listed(probabilities)}.")


def distribution(counts: Mapping[str, int]) -> go.Figure:
    """Draw the number of recordings for each emotion, from top to bottom in the given order."""
    numbers = list(counts.values())
    texts = [str(number) for number in numbers]
    figure = _horizontal(list(counts), numbers, texts, room=max(numbers, default=0) or 1)
    return told(figure, f"Bars of recordings. {', '.join(f'{name} {count}' for name, count in counts.items())}.")


def pie(numbers: Mapping[str, float]) -> go.Figure:
    """Draw shares as a pie with a hole, clockwise from the top in the given order; zeros are left out."""
    kept = {name: value for name, value in numbers.items() if value > 0}
    marks = fills(kept, numbers)
    figure = go.Figure(
        go.Pie(
            labels=list(kept),
            values=list(kept.values()),
            marker={"colors": marks.pop("color"), **marks},
            sort=False,
            direction="clockwise",
            hole=0.45,
            textinfo="label+percent",
            textposition="outside",
            hoverinfo="skip",
        )
    )
    _plain_axes(figure, height=32 * 8 + 10)
    figure.update_layout(margin={"l": 60, "r": 60, "t": 30, "b": 30})
    whole = sum(kept.values()) or 1.0
    return told(figure, f"A pie. {_listed({name: value / whole for name, value in kept.items()})}.")


def confidences(values: Sequence[float]) -> go.Figure:
    """Draw the number of answers by confidence, in ten steps from 0 to 100 %."""
    numbers, _ = np.histogram(values, bins=10, range=(0.0, 1.0))
    names = [f"{10 * k} to {10 * k + 10} %" for k in range(10)]
    figure = go.Figure(
        go.Bar(
            x=[10 * k + 5 for k in range(10)],
            y=numbers,
            width=9,
            marker={"color": GREY, "line": {"width": 0}},
            customdata=names,
            hovertemplate="%{customdata}: %{y}<extra></extra>",
        )
    )
    _plain_axes(figure, height=200)
    figure.update_xaxes(range=[0, 100], tickvals=list(range(0, 101, 20)), ticksuffix=" %", showgrid=False)
    figure.update_yaxes(rangemode="tozero", tickformat="d", dtick=max(1, -(-int(numbers.max()) // 5)))
    given = ", ".join(f"{name}: {number}" for name, number in zip(names, numbers.tolist(), strict=True) if number)
    return told(figure, f"Bars of recordings by confidence. {given}.")


def circumplex(probabilities: Mapping[str, float]) -> go.Figure:
    """Draw the emotions on the plane of valence and arousal, and the mean given by the probabilities.

    Examples
    --------
    >>> point = circumplex({"happy": 1.0}).data[-1]
    >>> point.x[0], point.y[0]
    (0.81, 0.51)
    """
    places = [emotion for emotion in EMOTIONS if emotion.label in probabilities]
    figure = go.Figure(
        go.Scatter(
            x=[emotion.valence for emotion in places],
            y=[emotion.arousal for emotion in places],
            mode="markers+text",
            marker={"color": [line(emotion.colour) for emotion in places], "size": 9},
            text=[emotion.label for emotion in places],
            textposition=[_BESIDE.get(emotion.label, "top center") for emotion in places],
            hoverinfo="skip",
        )
    )
    point = affect(probabilities)
    if point is not None:
        figure.add_trace(
            go.Scatter(
                x=[point[0]],
                y=[point[1]],
                mode="markers",
                marker={"symbol": "cross-thin", "size": 16, "line": {"width": 4, "color": line(GREY)}},
                hovertemplate="valence %{x:+.2f}, arousal %{y:+.2f}<extra></extra>",
            )
        )
    _plain_axes(figure, height=280)
    axis = {
        "showgrid": False,
        "zeroline": True,
        "zerolinewidth": 1,
        "zerolinecolor": line(GREY),
        "showticklabels": False,
    }
    figure.update_xaxes(range=[-1.15, 1.15], title="unpleasant to pleasant", **axis)
    figure.update_yaxes(range=[-1.1, 1.1], title="quiet to excited", **axis)
    where = "" if point is None else f" The cross is at valence {point[0]:+.2f} and arousal {point[1]:+.2f}."
    return told(figure, f"The emotions on the plane of valence and arousal.{where}")


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
    """Draw, on one time axis: the waveform in the colour `hue`, its log-mel spectrogram, its pitch and its energy."""
    hue = line(hue)
    figure = make_subplots(rows=4, shared_xaxes=True, vertical_spacing=0.04, row_heights=[0.22, 0.4, 0.2, 0.18])
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
    step = max(0.01, wave.duration / _FRAMES)
    pitch = f0(wave, hop=step)
    pitch_times = np.arange(len(pitch)) * step
    stroke = {"color": hue, "width": 2}
    hint = "%{x:.2f} s: %{y:.0f} Hz<extra></extra>"
    figure.add_trace(
        go.Scatter(x=pitch_times, y=np.round(pitch, 1), mode="lines", line=stroke, hovertemplate=hint), 3, 1
    )
    energy = 20 * np.log10(np.maximum(rms(Analysis(wave, n_fft=n_fft, hop_length=hop))[0], 1e-5))
    hint = "%{x:.2f} s: %{y:.0f} dB<extra></extra>"
    energy_times = np.arange(len(energy)) * hop / wave.sample_rate
    figure.add_trace(
        go.Scatter(x=energy_times, y=np.round(energy, 1), mode="lines", line=stroke, hovertemplate=hint), 4, 1
    )

    _plain_axes(figure, height=_SOUND_HEIGHT)
    figure.update_xaxes(range=[0, wave.duration], showgrid=False, zeroline=False)
    figure.update_xaxes(ticksuffix=" s", row=4, col=1)
    peak = max(float(np.abs(wave.samples).max()), 0.01)
    figure.update_yaxes(range=[-peak, peak], showgrid=False, zeroline=False, showticklabels=False, row=1, col=1)
    places = np.interp(ticks, centres, np.arange(_BANDS))
    figure.update_yaxes(tickvals=places, ticktext=names, showgrid=False, row=2, col=1)
    figure.update_layout(margin={"t": 20})
    figure.update_traces(hoverinfo="skip", row=1, col=1)
    heard = pitch[np.isfinite(pitch)]
    ends = [max(50.0, 0.9 * heard.min()), 1.1 * heard.max()] if len(heard) else [50.0, 400.0]
    figure.update_yaxes(range=ends, showgrid=False, zeroline=False, ticksuffix=" Hz", nticks=4, row=3, col=1)
    figure.update_yaxes(showgrid=False, zeroline=False, ticksuffix=" dB", nticks=4, row=4, col=1)
    for row, name in enumerate(("waveform", "log-mel spectrogram", "pitch", "energy"), start=1):
        figure.add_annotation(
            text=name, x=0, y=1.0, xref="x domain" if row == 1 else f"x{row} domain", xanchor="left",
            yref="y domain" if row == 1 else f"y{row} domain", yanchor="bottom", showarrow=False, font={"size": 12},
        )  # fmt: skip
    level = f"energy {energy.min():.0f} to {energy.max():.0f} dB"
    melody = f"pitch {heard.min():.0f} to {heard.max():.0f} Hz" if len(heard) else "no pitch"
    return told(
        figure, f"Waveform, log-mel spectrogram, pitch and energy over {wave.duration:.1f} s: {melody}, {level}."
    )


def shaded(figure: go.Figure, times: np.ndarray, effects: np.ndarray, hue: str) -> go.Figure:
    """Shade the stretches of a waveform that support the answer, darker for more; changes the figure.

    Parameters
    ----------
    figure : go.Figure
        From :func:`sound`.
    times : np.ndarray, shape=(n, 2)
        Start and end of each stretch, s; neighbours overlap by half.
    effects : np.ndarray, shape=(n,)
        As in :class:`serkit.recognition.explain.Explanation`; those of 0 or less are not shaded.
    hue : str
        Colour.
    """
    most = float(effects.max(initial=0.0))
    centres = times.mean(axis=1)
    reach = np.diff(times, axis=1)[:, 0] / 4  # half of a stretch overlaps no other
    for centre, half, effect in zip(centres, reach, effects, strict=True):
        if most > 0 and effect > 0.1 * most:
            figure.add_vrect(
                x0=centre - half, x1=centre + half, fillcolor=hue, opacity=0.5 * float(effect) / most, line_width=0,
                layer="below", row=1, col=1,
            )  # fmt: skip
    return figure


def _horizontal(names: list[str], values: list[float] | list[int], texts: list[str], *, room: float) -> go.Figure:
    figure = go.Figure(
        go.Bar(
            x=values,
            y=names,
            orientation="h",
            marker=fills(names),
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


def _listed(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {per_cent(share)}" for name, share in shares.items())


def _plain_axes(figure: go.Figure, *, height: int) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 5, "b": 5},
        showlegend=False,
        dragmode=False,  # dragging on a touch screen scrolls the page
        plot_bgcolor="rgba(0,0,0,0)",
        paper_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(fixedrange=True)
    figure.update_yaxes(fixedrange=True, automargin=True)
