"""Figures of a report: SVG that follows the page's colours, and a confusion matrix as PNG.

The SVG builders return one ``<svg>`` element as text. Its colours are CSS variables that the page defines
for light and dark mode (``--ink``, ``--soft``, ``--line``, ``--accent``, ``--warm``), so one figure serves
both.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from serkit.errors import TrainingError
from serkit.evaluation.svg import Axes

__all__ = ["NARROW", "curves_svg", "pct", "reliability_svg", "risk_coverage_svg", "save_confusion", "speakers_svg"]


#: The narrow no-break space between a number and its unit.
NARROW = "\u202f"


def pct(share: float | None, *, unit: bool = True) -> str:
    """Write a share as percent with one decimal, ``None`` as a dash.

    Examples
    --------
    >>> pct(0.6234, unit=False), pct(None)
    ('62.3', '–')
    """
    if share is None:
        return "–"
    return f"{100 * share:.1f}{NARROW + '%' if unit else ''}"


def _percent(values: Sequence[float]) -> dict[float, str]:
    return {value: f"{100 * value:.0f}" for value in values}


def reliability_svg(metrics: Mapping[str, Any]) -> str:
    """Draw how often answers of a given confidence are correct, with the number of answers below.

    Parameters
    ----------
    metrics : mapping
        As returned by :func:`serkit.evaluation.scores.evaluate`.

    Returns
    -------
    str
        One SVG element.
    """
    ticks = _percent([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes = Axes((0, 1), (0, 1), height=316, bottom=82)
    floor = axes.height - axes.bottom
    axes.grid({}, ticks, "", "correct answers, %")
    most = max(row["n"] for row in metrics["reliability"])
    for row in metrics["reliability"]:
        if not row["n"]:
            continue
        about = (
            f"confidence {row['low']:.0%} to {row['high']:.0%}: {row['n']} clips, {pct(row['accuracy'])} correct, "
            f"mean confidence {pct(row['confidence'])}"
        )
        x, right, says = axes.px(row["low"]) + 1.5, axes.py(row["accuracy"]), axes.py(row["confidence"])
        wide = axes.px(row["high"]) - 1.5 - x
        lower, upper = max(right, says), min(right, says)  # drawing units grow downwards
        axes.box(x, lower, wide, floor - lower, "bar", title=about)
        axes.box(x, upper, wide, lower - upper, "gap", title=about)
        axes.box(x, right - 1, wide, 2.5, "top")
        axes.box(x, floor + 4, wide, 26 * row["n"] / most, "count", title=about)
    axes.line([(0, 0), (1, 1)], "ideal")
    for value, text in ticks.items():
        axes.text(axes.px(value), floor + 48, text)
    axes.text(axes.left - 7, floor + 16, "clips", anchor="end")
    axes.text(axes.px(0.5), axes.height - 8, "confidence, %", "axis")
    return axes.svg(
        f"Reliability diagram: expected calibration error {pct(metrics['ece'])}, mean confidence "
        f"{pct(metrics['mean_confidence'])}, accuracy {pct(metrics['accuracy'])}"
    )


def risk_coverage_svg(metrics: Mapping[str, Any]) -> str:
    """Draw the accuracy of the most confident answers, by how many are kept.

    Parameters
    ----------
    metrics : mapping
        As returned by :func:`serkit.evaluation.scores.evaluate`.

    Returns
    -------
    str
        One SVG element.
    """
    points = [(row["coverage"], 1 - row["risk"]) for row in metrics["risk_coverage"]]
    low = math.floor(min(y for _, y in points) * 5) / 5
    low = min(max(low, 0), 0.8)
    axes = Axes((0, 1), (low, 1), height=316)
    steps = round((1 - low) / 0.2)
    axes.grid(
        _percent([0, 0.2, 0.4, 0.6, 0.8, 1]),
        _percent([low + 0.2 * k for k in range(steps + 1)]),
        "answers kept, most confident first, %",
        "correct among the kept, %",
    )
    half = metrics["accuracy_surest_half"]
    axes.line([(0.5, low), (0.5, half), (0, half)], "guide")
    axes.line(points, "curve")
    for x, y in points:
        axes.dot(x, y, "hit", r=6, title=f"most confident {x:.0%}: {pct(y)} correct")
    axes.dot(0.5, half, "mark")
    axes.text(axes.px(0.5) + 8, axes.py(half) - 9, f"{pct(half)}", "note", anchor="start")
    return axes.svg(
        f"Risk-coverage curve: {pct(half)} of the more confident half of the answers are correct, "
        f"{pct(points[-1][1])} of all"
    )


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927)."""
    z = 1.959964
    centre, spread = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)


def speakers_svg(speakers: Mapping[str, Mapping[str, Any]], mean: float, sex: Mapping[str, str]) -> str:
    """Draw the accuracy of each speaker, best first, with an interval for the number of clips.

    Parameters
    ----------
    speakers : mapping
        Speaker -> row with ``accuracy`` and ``n``, as in the groups of :func:`serkit.evaluation.scores.evaluate`.
    mean : float
        Position of the mean line, in [0, 1].
    sex : mapping
        Speaker -> ``"female"``, ``"male"`` or anything else for unknown.

    Returns
    -------
    str
        One SVG element.
    """
    ranked = sorted(speakers.items(), key=lambda item: (-item[1]["accuracy"], item[0]))
    step = 17 if len(ranked) <= 40 else 7
    longest = max(len(name) for name in speakers) if step == 17 else 0
    axes = Axes(
        (0, 1), (len(ranked) - 0.5, -0.5), height=60 + step * len(ranked), left=18 + 6.6 * min(longest, 16), top=18
    )
    axes.grid(_percent([0, 0.2, 0.4, 0.6, 0.8, 1]), {}, "accuracy, %", "")
    axes.line([(mean, len(ranked) - 0.5), (mean, -0.5)], "ideal")
    axes.text(axes.px(mean), 12, f"mean {pct(mean)}", "note")
    for place, (name, row) in enumerate(ranked):
        low, high = _wilson(row["accuracy"], row["n"])
        kind = sex.get(name, "")
        about = f"{name}{', ' + kind if kind else ''}: {pct(row['accuracy'])} of {row['n']} clips"
        axes.line([(low, place), (high, place)], "whisker", title=about)
        if kind == "male":
            x, y = axes.px(row["accuracy"]), axes.py(place)
            axes.marks.append(
                f'<path class="male" d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z"><title>{escape(about)}</title></path>'
            )
        else:
            axes.dot(row["accuracy"], place, "female" if kind == "female" else "other", r=4, title=about)
        if longest:
            short = name if len(name) <= 16 else name[:15] + "…"
            axes.text(axes.left - 8, axes.py(place) + 4, short, anchor="end")
    (best, first), (worst, last) = ranked[0], ranked[-1]
    return axes.svg(
        f"Accuracy of {len(ranked)} speakers: mean {pct(mean)}, best {best} with {pct(first['accuracy'])}, "
        f"worst {worst} with {pct(last['accuracy'])}"
    )


def curves_svg(curves: Sequence[Mapping[str, Sequence[float | None]]], kind: str) -> str:
    """Draw the training curves of all folds: validation solid, training dashed.

    Parameters
    ----------
    curves : sequence of mapping
        One mapping per fold: ``"epoch"`` and series of the same length, named ``train_...`` or ``valid_...``,
        ending in ``loss`` or ``uar``; None or NaN leave a gap.
    kind : {"loss", "uar"}
        Which series to draw.

    Returns
    -------
    str
        One SVG element, or ``""`` if no fold has such a series.

    Raises
    ------
    TrainingError
        If a series has an unknown name or not as many values as there are epochs.
    """
    lines: list[tuple[str, str, list[tuple[float, float]]]] = []
    for fold, series in enumerate(curves):
        if "epoch" not in series:
            raise TrainingError(f"The training curves of fold {fold} have no 'epoch', only {sorted(series)}.")
        for name, values in series.items():
            if name == "epoch":
                continue
            if not name.endswith(("loss", "uar")) or not name.startswith(("train_", "valid_")):
                raise TrainingError(
                    f"Unknown training curve {name!r}: expected a name such as train_loss or valid_uar."
                )
            if len(values) != len(series["epoch"]):
                n = len(series["epoch"])
                raise TrainingError(f"Curve {name!r} of fold {fold} has {len(values)} values for {n} epochs.")
            if name.endswith(kind):
                points = [(_number(x), _number(y)) for x, y in zip(series["epoch"], values, strict=True)]
                css = f"fold{fold % 5}{' dashed' if name.startswith('train') else ''}"
                lines.append((f"fold {fold}, {name.replace('_', ' ')}", css, points))
    finite = np.array([p for _, _, points in lines for p in points if not any(map(math.isnan, p))])
    if not len(finite):
        return ""
    first, last = float(finite[:, 0].min()), float(finite[:, 0].max())
    last = last if last > first else first + 1
    top = 1.0 if kind == "uar" else float(finite[:, 1].max())
    ys = _steps(0, top if top > 0 else 1)
    if ys[-1] < top:
        ys.append(ys[-1] + ys[1])
    axes = Axes((first, last), (0, ys[-1]), height=260)
    xs = [x for x in _steps(first, last) if first <= x <= last and x == int(x)]
    scale = 100 if kind == "uar" else 1
    axes.grid(
        {x: f"{x:g}" for x in xs}, {y: f"{scale * y:g}" for y in ys}, "epoch", "UAR, %" if kind == "uar" else "loss"
    )
    for title, css, points in lines:
        axes.line(points, f"curve {css}", title=title)
    return axes.svg(
        f"Training curves, {'UAR' if kind == 'uar' else 'loss'} over {last - first + 1:g} epochs, {len(curves)} folds"
    )


def _number(value: float | None) -> float:
    return math.nan if value is None or not math.isfinite(value) else float(value)


def _steps(low: float, high: float) -> list[float]:
    """Return about five round numbers from `low` or below to `high`."""
    raw = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * k for k in (1, 2, 2.5, 5, 10) if unit * k >= raw * 0.999)
    return [round(step * k, 10) for k in range(math.floor(low / step), math.floor(high / step + 1e-9) + 1)]


def save_confusion(metrics: Mapping[str, Any], path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Save the confusion matrix as a picture: percent of each true class, with counts below.

    Parameters
    ----------
    metrics : mapping
        As returned by :func:`serkit.evaluation.scores.evaluate`.
    path : path
        File to write; its suffix sets the format, such as ``.png``, ``.svg`` or ``.pdf``.
    title : str
        Title above the picture.

    Returns
    -------
    Path
        The file.
    """
    from matplotlib.figure import Figure  # not pyplot: that needs a window system and keeps global state

    labels, counts = metrics["labels"], np.asarray(metrics["confusion"])
    rows = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 1.8 + 0.75 * len(labels)
    figure = Figure(figsize=(size, size), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(rows, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    axes.set_title(title or f"UAR {pct(metrics['uar'])}, accuracy {pct(metrics['accuracy'])}", fontsize=11)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for (i, j), share in np.ndenumerate(rows):
        if counts[i, j]:
            colour = "white" if share > 0.55 else "#222222"
            axes.text(j, i - 0.08, f"{100 * share:.0f} %", ha="center", va="center", color=colour, fontsize=9)
            axes.text(j, i + 0.24, f"{counts[i, j]}", ha="center", va="center", color=colour, fontsize=6.5)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)
    return target
