"""Plotly figures of sound over time: features as curves and maps, a clip compared with averages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from serkit.app.averages import Average
from serkit.app.charts import told
from serkit.app.words import line
from serkit.emotions import colour

__all__ = ["compared", "curves", "distances", "heat", "matrix", "number"]

_HEAT = ("#0b0924", "#3b0f70", "#8c2981", "#de4968", "#fe9f6d", "#fcfdbf")  # dark to light in even steps
#: Lower than the average, the average (clear), higher; colour-blind readers can distinguish blue and orange.
_DIVERGING = [[0, "rgba(0,114,178,1)"], [0.5, "rgba(128,128,128,0)"], [1, "rgba(213,94,0,1)"]]
_LINES = ("#0072B2", "#D55E00", "#009E73")
_CLIP = "#D01C8B"  # differs from all colours of emotions


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
    hues = [line(colour(label, labels)) for label in labels]
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
