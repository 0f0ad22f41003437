"""Plotly figures of sound over time: emotion as a strip, features as curves and maps, a clip compared with averages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from serkit.app.averages import Average
from serkit.app.charts import told
from serkit.app.words import GREY, line, per_cent
from serkit.emotions import colour
from serkit.recognition.prediction import Prediction

__all__ = ["compared", "curves", "distances", "heat", "matrix", "number", "strip", "ticks"]

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)  # s
_HEAT = ("#0b0924", "#3b0f70", "#8c2981", "#de4968", "#fe9f6d", "#fcfdbf")  # dark to light in even steps
#: Lower than the average, the average (clear), higher; colour-blind readers can distinguish blue and orange.
_DIVERGING = [[0, "rgba(0,114,178,1)"], [0.5, "rgba(128,128,128,0)"], [1, "rgba(213,94,0,1)"]]
_LINES = ("#0072B2", "#D55E00", "#009E73")
_CLIP = "#D01C8B"  # differs from all colours of emotions


def strip(
    low: np.ndarray,
    high: np.ndarray,
    parts: Sequence[Prediction],
    clock: Callable[[float], str],
    *,
    chosen: int | None = None,
) -> go.Figure:
    """Draw the outline of a recording, and below it a strip with the answer of each segment in its colour.

    Unsure stretches are hatched; stretches without speech are empty.

    Parameters
    ----------
    low, high : np.ndarray, shape=(n,)
        Lowest and highest sample of stretches of equal length.
    parts : sequence of Prediction
        From :func:`serkit.recognition.segments.segments`; at least one. A bar's number is its ``customdata``.
    clock : callable
        Formats a time.
    chosen : int, optional
        Index of the segment whose outline is drawn in its colour.
    """
    end = parts[-1].end
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.04, row_heights=[0.62, 0.38])
    times = (np.arange(len(low)) + 0.5) * end / max(len(low), 1)
    _outline(figure, times, low, high, line(GREY))
    if chosen is not None:
        part = parts[chosen]
        inside = (times >= part.start) & (times <= part.end)
        hue = line(colour(part.emotion) if part.emotion else _CLIP)
        _outline(figure, times[inside], low[inside], high[inside], hue)
        figure.add_vline(
            x=(part.start + part.end) / 2, line={"color": hue, "width": 2}, row=1, col=1
        )  # shows any length
    whole = {"marker": {"opacity": 1}}  # the others do not fade
    figure.add_trace(
        go.Bar(
            x=[part.end - part.start for part in parts],
            base=[part.start for part in parts],
            y=[0] * len(parts),
            width=1,
            orientation="h",
            marker={
                "color": [_hue(part) for part in parts],
                "line": {"width": 0},
                "pattern": {"shape": ["/" if part.unsure else "" for part in parts], "solidity": 0.3},
            },
            selected=whole,
            unselected=whole,
            customdata=[[k] for k in range(len(parts))],
            text=[_says(part, clock) for part in parts],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        ),
        2,
        1,
    )
    _plain(figure, height=200)
    peak = max(float(np.abs([low, high]).max()) if len(low) else 0.0, 0.01)
    figure.update_yaxes(range=[-peak, peak], visible=False, row=1, col=1)
    figure.update_yaxes(range=[-0.5, 0.5], visible=False, row=2, col=1)
    places = ticks(end)
    figure.update_xaxes(range=[0, end], showgrid=False, zeroline=False)
    figure.update_xaxes(tickvals=places, ticktext=[clock(place) for place in places], row=2, col=1)
    figure.update_layout(clickmode="event+select", hovermode="closest")
    return told(
        figure, f"The waveform of {clock(end)}, and a strip of {len(parts)} segments. The table below has them."
    )


def ticks(end: float, *, most: int = 7) -> list[float]:
    """Return round times from 0 to at most `end`, no more than `most` of them up to 12 hours.

    Examples
    --------
    >>> ticks(21.0), ticks(3700.0)
    ([0, 5, 10, 15, 20], [0, 600, 1200, 1800, 2400, 3000, 3600])
    """
    step = next((step for step in _STEPS if end / step < most), _STEPS[-1])
    return [step * k for k in range(int(end / step) + 1)]


def curves(times: np.ndarray, rows: Mapping[str, np.ndarray], *, unit: str) -> go.Figure:
    """Draw one to three curves over time, with a legend if there are several."""
    figure = go.Figure()
    for hue, (name, values) in zip(_LINES, rows.items(), strict=False):
        figure.add_trace(
            go.Scatter(
                x=np.round(times, 3),
                y=np.round(values, 4),
                name=name,
                mode="lines",
                line={"color": line(hue), "width": 2},
                hovertemplate="%{x:.2f} s: %{y:.4~g}" + unit + "<extra>" + name + "</extra>",
            )
        )
    _plain(figure, height=220)
    figure.update_xaxes(ticksuffix=" s", showgrid=False, zeroline=False)
    figure.update_yaxes(ticksuffix=unit, nticks=5, zeroline=False, gridcolor="rgba(128,128,128,0.25)")
    if len(rows) > 1:
        figure.update_layout(showlegend=True, legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"})
    known = {name: values[np.isfinite(values)] for name, values in rows.items()}
    ranges = [f"{name} {number(v.min())} to {number(v.max())}{unit}" for name, v in known.items() if len(v)]
    return told(figure, f"Curves over {times[-1]:.1f} s: {', '.join(ranges)}.")


def heat(
    times: np.ndarray, rows: np.ndarray, names: Sequence[str], *, unit: str, own_scales: bool = False
) -> go.Figure:
    """Draw rows over time as a map, the first row at the bottom; `own_scales` scales each row from dark to light."""
    shades = rows
    if own_scales:
        shades = (rows - rows.mean(axis=1, keepdims=True)) / np.maximum(rows.std(axis=1, keepdims=True), 1e-6)
    figure = go.Figure(
        go.Heatmap(
            x=np.round(times, 3),
            y=list(names),
            z=np.round(shades, 2),
            zmin=-2.5 if own_scales else None,
            zmax=2.5 if own_scales else None,
            text=np.round(rows, 2),
            colorscale=[[k / (len(_HEAT) - 1), hue] for k, hue in enumerate(_HEAT)],
            showscale=False,
            hovertemplate="%{x:.2f} s, %{y}: %{text}" + unit + "<extra></extra>",
        )
    )
    _plain(figure, height=220)
    figure.update_xaxes(ticksuffix=" s", showgrid=False, zeroline=False)
    figure.update_yaxes(type="category", showgrid=False, ticks="")
    return told(figure, f"A map over {times[-1]:.1f} s with {len(names)} rows, {names[0]} to {names[-1]}.")


def compared(value: float, known: Mapping[str, Average], *, unit: str) -> go.Figure:
    """Draw the mean of each emotion with one deviation on either side, and the clip as a line across."""
    labels = list(known)
    hues = [line(colour(label)) for label in labels]
    figure = go.Figure()
    for label, hue in zip(labels, hues, strict=True):
        one = known[label]
        ends = [one.mean - one.deviation, one.mean + one.deviation]
        figure.add_trace(
            go.Scatter(
                x=ends, y=[label, label], mode="lines", line={"color": hue, "width": 7}, opacity=0.45, hoverinfo="skip"
            )
        )
    figure.add_trace(
        go.Scatter(
            x=[known[label].mean for label in labels],
            y=labels,
            mode="markers",
            marker={"color": hues, "size": 11},
            customdata=[[known[label].deviation] for label in labels],
            hovertemplate="%{y}: %{x:.3~g} ± %{customdata[0]:.3~g}" + unit + "<extra></extra>",
        )
    )
    figure.add_vline(x=value, line={"color": line(_CLIP), "width": 3})
    says = f"<b>this clip</b> {number(value)}{unit}"
    figure.add_annotation(x=value, y=1.0, yref="paper", yanchor="bottom", text=says, showarrow=False)
    _plain(figure, height=250)
    figure.update_layout(margin={"t": 24})
    figure.update_xaxes(ticksuffix=unit, nticks=5, zeroline=False, gridcolor="rgba(128,128,128,0.25)")
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, ticks="", zeroline=False)
    means = ", ".join(f"{label} {number(one.mean)}" for label, one in known.items())
    return told(figure, f"This clip: {number(value)}{unit}. Means of the emotions: {means}.")


def distances(
    values: Mapping[str, float], known: Mapping[str, Mapping[str, Average]], names: Sequence[str]
) -> go.Figure:
    """Draw how far each measure of a clip is from the mean of each emotion, in deviations: a map, clear at the mean.

    Parameters
    ----------
    values : mapping of str to float
        The measures of the clip, in the order of the columns.
    known : mapping
        Emotion to measure to average.
    names : sequence of str
        The columns' names, one per measure.
    """
    labels = list(known)
    table = [
        [(value - known[label][name].mean) / known[label][name].deviation for name, value in values.items()]
        for label in labels
    ]
    figure = go.Figure(
        go.Heatmap(
            x=list(names),
            y=labels,
            z=np.round(table, 2),
            zmin=-3,
            zmax=3,
            colorscale=_DIVERGING,
            xgap=1,
            ygap=1,
            showscale=False,
            hovertemplate="%{y}, %{x}: %{z:+.1f} deviations<extra></extra>",
        )
    )
    _plain(figure, height=250)
    figure.update_xaxes(type="category", showgrid=False, zeroline=False, ticks="")
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, zeroline=False, ticks="")
    return told(figure, f"A map: how far {len(names)} measures of this clip are from the mean of each emotion.")


def matrix(counts: Sequence[Sequence[int]], labels: Sequence[str], ink: str) -> go.Figure:
    """Draw a confusion matrix: rows are the truth, columns answers, shades the share of the row, numbers in `ink`."""
    table = np.asarray(counts, dtype=float)
    shared = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure = go.Figure(
        go.Heatmap(
            x=list(labels),
            y=list(labels),
            z=shared,
            zmin=0,
            zmax=1,
            colorscale=[[0, "rgba(0,114,178,0)"], [1, "rgba(0,114,178,0.6)"]],  # text is readable on all shades
            showscale=False,
            xgap=1,
            ygap=1,
            customdata=table,
            hovertemplate="%{y} answered as %{x}: %{customdata:.0f} clips<extra></extra>",
        )
    )
    for truth, row in zip(labels, shared, strict=True):
        for answer, share in zip(labels, row, strict=True):
            if share >= 0.005:
                figure.add_annotation(
                    x=answer, y=truth, text=f"{100 * share:.0f}", showarrow=False, font={"color": ink}
                )
    _plain(figure, height=380)
    figure.update_xaxes(title="answer", type="category", showgrid=False, ticks="", tickangle=-45)
    figure.update_yaxes(title="truth", autorange="reversed", type="category", showgrid=False, ticks="")
    right = [f"{label} {100 * shared[k, k]:.0f} %" for k, label in enumerate(labels)]
    return told(figure, f"A confusion matrix. Right answers: {', '.join(right)}.")


def number(value: float) -> str:
    """Format a number with three digits, or all digits before the point.

    Examples
    --------
    >>> number(2558.4), number(0.12973), number(-18.64)
    ('2558', '0.13', '-18.6')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _hue(part: Prediction) -> str:
    if part.emotion:
        return colour(part.emotion)
    return GREY if part.unsure else "rgba(140,140,140,0)"


def _outline(figure: go.Figure, times: np.ndarray, low: np.ndarray, high: np.ndarray, hue: str) -> None:
    shape = {"x": [*times, *times[::-1]], "y": [*high, *low[::-1]]}
    line = {"color": hue, "width": 1}
    outline = go.Scatter(**shape, mode="lines", fill="toself", fillcolor=hue, line=line, hoverinfo="skip")
    figure.add_trace(outline, 1, 1)


def _says(part: Prediction, clock: Callable[[float], str]) -> str:
    sure = "" if part.confidence is None else f" {per_cent(part.confidence)}"
    return f"{clock(part.start)}–{clock(part.end)} {part.answer}{sure}"


def _plain(figure: go.Figure, *, height: int) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 8, "t": 5, "b": 5},
        showlegend=False,
        dragmode=False,  # dragging on a touch screen scrolls the page
        plot_bgcolor="rgba(0,0,0,0)",
        paper_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(fixedrange=True, automargin=True)
    figure.update_yaxes(fixedrange=True, automargin=True)
