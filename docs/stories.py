"""Draw the pictures of docs/leakage.md and docs/doubt.md from committed results, and write their tables.

``make docs`` runs it; ``python docs/stories.py`` draws the pictures alone. They have a ground and colours of their own
for light and for dark mode.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from serkit.evaluation.plots import pct
from serkit.evaluation.svg import Axes

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "pictures"
RECIPE = "s3-efficient"  # the one of S3 that was measured under all protocols
STYLE = """
:root { --ground: #fff; --ink: #222; --soft: #5c6166; --line: #ddd; --a: #0072b2; --b: #d55e00; --c: #c98500; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #16191d; --ink: #eee; --soft: #a8aeb5; --line: #3a3f45; --a: #56b4e9; --b: #ff8a4c; --c: #f0b642; }
}
text { font: 13px system-ui, sans-serif; fill: var(--ink); }
text.tick, text.axis { fill: var(--soft); } text.strong { font-weight: 600; }
.ground { fill: var(--ground); } .grid { stroke: var(--line); fill: none; }
.ideal { stroke: var(--soft); fill: none; stroke-dasharray: 5 4; }
.a { fill: var(--a); } .b { fill: var(--b); } .c { fill: var(--c); } .empty { fill: var(--line); }
.line-a, .line-b { fill: none; stroke-width: 2.5; } .line-a { stroke: var(--a); } .line-b { stroke: var(--b); }
"""
PROTOCOLS = {
    "augmented-random": ("copies of the tested clips are in training", "b"),
    "random": ("other clips of the tested voices are in training", "c"),
    "speaker": ("the tested voices are new", "a"),
}


def main() -> None:
    """Write the four pictures."""
    rows = _results()
    voice, place = (_metrics(f"default-{protocol}-0") for protocol in ("speaker", "corpus"))
    for name, picture in {
        "leakage-scores": scores(rows),
        "leakage-splits": splits(),
        "doubt-reliability": reliability(voice, place),
        "doubt-coverage": coverage(voice, place),
    }.items():
        (OUT / f"{name}.svg").write_text(picture + "\n", encoding="utf-8")


def leakage() -> str:
    """Return the table of docs/leakage.md: S3 and its recipe under three protocols."""
    rows = _results()
    found = {row["protocol"]: row for row in rows if row["recipe"] == RECIPE}
    lines = ["| case | protocol | accuracy | 95 % interval over speakers |", "| --- | --- | ---: | ---: |"]
    for name, (words, _) in PROTOCOLS.items():
        low, high = found[name]["accuracy_interval"]
        lines.append(f"| {words} | `{name}` | {pct(found[name]['accuracy'])} | {pct(low)} to {pct(high)} |")
    return "\n".join(lines)


def doubt() -> str:
    """Return the table of docs/doubt.md: accuracy, that of the surer half, and calibration error, of `default`."""
    cases = {"speaker": "a new voice", "speaker-enrolled": "the same after up to 30 s of it"}
    cases |= {"corpus": "a new place", "corpus-adapted": "the same after 50 clips from there"}
    lines = ["| | right answers | of the surer half | calibration error |", "| --- | ---: | ---: | ---: |"]
    for name, words in cases.items():
        metrics = _metrics(f"default-{name}-0")
        half, error = pct(metrics["accuracy_surest_half"]), f"{100 * metrics['ece']:.1f} points"
        lines.append(f"| {words} | {pct(metrics['accuracy'])} | {half} | {error} |")
    return "\n".join(lines)


def _results() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((ROOT / "docs" / "results.json").read_text(encoding="utf-8"))["rows"]
    return rows


def _metrics(name: str) -> dict[str, Any]:
    document = json.loads((ROOT / "docs" / "scores" / f"{name}.json").read_text(encoding="utf-8"))
    metrics: dict[str, Any] = document["metrics"]
    return metrics


def _alone(axes: Axes, label: str) -> str:
    """Return a file: the plot with its style, size and ground."""
    svg = axes.svg(label)
    size = f'<svg xmlns="http://www.w3.org/2000/svg" width="{axes.width:g}" height="{axes.height:g}"'
    ground = f'<rect class="ground" width="{axes.width:g}" height="{axes.height:g}" rx="8"/>'
    return re.sub(r"<svg([^>]*)>", rf"{size}\1><style>{STYLE}</style>{ground}", svg, count=1)


def scores(rows: Sequence[Mapping[str, Any]]) -> str:
    """The same recipe under three protocols, beside what S3 reported."""
    reported = next(row["reported"] for row in rows if row["system"] == "S3" and row["reported"])
    found = {row["protocol"]: row for row in rows if row["recipe"] == RECIPE}
    bars = [("S3's own report", reported, "empty", "copies made before the split")]
    bars += [(name, found[name]["accuracy"], css, words) for name, (words, css) in PROTOCOLS.items()]
    axes = Axes((0, 1), (0, 1), width=720, height=44 + 52 * len(bars), left=16, right=60, top=20, bottom=24)
    for k, (name, share, css, words) in enumerate(bars):
        y = 20.0 + 52 * k
        axes.text(axes.left, y + 10, f"{name}: {words}", "strong" if name == "speaker" else "", anchor="start")
        axes.box(axes.left, y + 18, axes.px(share) - axes.left, 18, css)
        axes.text(axes.px(share) + 6, y + 32, pct(share), "strong", anchor="start")
        axes.marks.append(f'<path class="ideal" d="M{axes.px(1 / 8):.1f} {y + 15:g}v24"/>')
    axes.text(axes.px(1 / 8), axes.height - 10, "guessing", anchor="start")
    told = ", ".join(f"{name} {pct(share)}" for name, share, *_ in bars)
    return _alone(axes, f"Accuracy of S3 on RAVDESS: {told}")


def splits() -> str:
    """Four clips of two people with their copies, and what is tested and trained on under each protocol."""
    # For each person, clip by clip: itself and two copies. t: tested, x: trained on, -: not made.
    sides = {
        "augmented-random": ("txx xxt", "xtx xxx"),
        "random": ("t-- xxx", "xxx t--"),
        "speaker": ("xxx xxx", "t-- t--"),
    }
    axes = Axes((0, 1), (0, 1), width=720, height=246)
    left, step = 168, 136
    for k, words in enumerate(("Ann, clip 1", "Ann, clip 2", "Bob, clip 1", "Bob, clip 2")):
        axes.text(left + step * k, 26, words, anchor="start")
    for row, (protocol, people) in enumerate(sides.items()):
        y = 42.0 + 58 * row
        axes.text(16, y + 24, protocol, "strong", anchor="start")
        for k, clip in enumerate(" ".join(people).split()):
            for copy, side in enumerate(clip):
                x = left + step * k + 38 * copy
                if side != "-":
                    axes.box(x, y + 6, 32, 28, "b" if side == "t" else "a")
                    axes.text(x + 16, y + 50, "copy" if copy else "clip", "tick")
    for k, (css, words) in enumerate((("a", "trained on"), ("b", "tested"))):
        axes.box(left + step * k, 222, 14, 14, css)
        axes.text(left + step * k + 20, 234, words, anchor="start")
    return _alone(axes, "Which clips and copies are trained on and tested under three protocols")


def reliability(voice: Mapping[str, Any], place: Mapping[str, Any]) -> str:
    """How often answers of a given confidence are right, for new voices and for new places."""
    axes = Axes((0, 1), (0, 1), width=520, height=360)
    ticks = {k / 5: f"{20 * k}" for k in range(6)}
    axes.grid(ticks, ticks, "confidence, %", "right answers, %")
    axes.line([(0, 0), (1, 1)], "ideal")
    for metrics, css in ((voice, "a"), (place, "b")):
        points = [(row["confidence"], row["accuracy"]) for row in metrics["reliability"] if row["n"] >= 30]
        axes.line(points, f"line-{css}")
        for x, y in points:
            axes.dot(x, y, css)
    _key(axes, 72, 34)
    axes.text(axes.px(0.8), axes.py(0.87), "ideal", "tick", anchor="end")
    return _alone(axes, "Share of right answers by confidence, for new voices and for new places")


def coverage(voice: Mapping[str, Any], place: Mapping[str, Any]) -> str:
    """How many of the answers are right if only the more confident ones are kept."""
    axes = Axes((0, 1), (0.4, 1), width=520, height=360)
    across = {k / 5: f"{20 * k}" for k in range(6)}
    axes.grid(across, {k / 10: f"{10 * k}" for k in range(4, 11)}, "answers kept, most confident first, %", "right, %")
    for metrics, css in ((voice, "a"), (place, "b")):
        points = [(row["coverage"], 1 - row["risk"]) for row in metrics["risk_coverage"]]
        axes.line(points, f"line-{css}")
        half = metrics["accuracy_surest_half"]
        axes.dot(0.5, half, css, r=5)
        axes.text(axes.px(0.5) + 4, axes.py(half) - 10, f"{pct(half)} of the surer half", anchor="start")
    _key(axes, 250, 34)
    return _alone(axes, "Share of right answers among the most confident ones, for new voices and for new places")


def _key(axes: Axes, x: float, y: float) -> None:
    for k, (css, words) in enumerate((("a", "a new voice (speaker)"), ("b", "a new place (corpus)"))):
        axes.box(x, y + 20 * k - 9, 14, 10, css)
        axes.text(x + 20, y + 20 * k, words, anchor="start")


if __name__ == "__main__":
    main()
