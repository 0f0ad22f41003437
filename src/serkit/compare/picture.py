"""The picture of a comparison: one SVG for a page of 800 px, on white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["picture", "short", "text"]

# Okabe and Ito's colours, which colour-blind readers can distinguish; the marks also differ in shape
_COLOURS = {
    "augmented-random": "#d55e00",
    "random": "#e69f00",
    "speaker": "#0072b2",
    "speaker+enrolled": "#009e73",
    "corpus": "#cc79a7",
    "corpus+adapted": "#cc79a7",
    "emobox": "#56b4e9",
}
_WORDS = {
    "augmented-random": "augmented-random (leaks)",
    "random": "random: known voices",
    "speaker": "speaker: a new voice, 95 % interval",
    "speaker+enrolled": "speaker+enrolled",
    "corpus": "corpus: each left out",
    "corpus+adapted": "corpus+adapted",
    "emobox": "emobox: a new voice",
}
_THIRD_LINE = ["corpus", "corpus+adapted", "emobox"]
_WIDTH, _RIGHT, _TOP, _STEP = 800, 40, 84, 26
_GREY, _INK = "#666", "#222"


def picture(document: Mapping[str, Any]) -> str:
    """Draw a line per recipe, a mark per protocol, a ring for the reported accuracy and a dashed line at chance.

    Parameters
    ----------
    document : mapping
        As returned by :func:`serkit.compare.scores.collect`, with at least one row.

    Returns
    -------
    str
        An SVG document; hovering over a mark shows its numbers.
    """
    table: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in document["rows"]:
        if row["protocol"] in _COLOURS:
            table.setdefault(row["recipe"], {})[row["protocol"]] = row
    present = {protocol for rows in table.values() for protocol in rows}
    protocols = [protocol for protocol in _COLOURS if protocol in present]
    # The width of names depends on the machine's font; 7.4 units per letter are enough for the usual fonts.
    names = {recipe: short(recipe) + (" *" if _is_reduced(rows) else "") for recipe, rows in table.items()}
    left = max(190.0, 72 + 7.4 * max(map(len, names.values()), default=0))
    top = _TOP + 22 * bool(present.intersection(_THIRD_LINE))
    bottom = top + _STEP * len(table)
    height = bottom + 58
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="13" fill="{_INK}">',
        "<title>Accuracy of every recipe by protocol, and the reported accuracy</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        *_key(protocols),
    ]
    for percent in range(0, 101, 20):
        at = _x(percent / 100, left)
        parts.append(f'<path d="M{at:.1f} {top - 6}V{bottom}" stroke="#ddd"/>')
        parts.append(text(at, bottom + 18, f"{percent}", anchor="middle", fill=_GREY))
    parts.append(text(_x(0.5, left), bottom + 38, "accuracy, %", anchor="middle", fill=_GREY))
    chances = sorted({round(_chance(row), 4) for rows in table.values() for row in rows.values()})
    places = [_x(chance, left) for chance in chances]
    for at in places:
        parts.append(f'<path d="M{at:.1f} {top - 6}V{bottom}" stroke="#888" stroke-dasharray="4 3"/>')
    if places:  # one text: those of several lines would cover each other
        words = f"chance {', '.join(f'{100 * chance:.3g} %' for chance in chances)}"
        parts.append(text(sum(places) / len(places), top - 11, words, anchor="middle", fill=_GREY, size=11))
    system = None
    for k, (recipe, rows) in enumerate(table.items()):
        y = top + _STEP * (k + 0.5)
        own = next(iter(rows.values()))["system"]
        if own != system:
            system = own
            parts.append(f'<path d="M8 {y - _STEP / 2:g}H{_WIDTH - _RIGHT + 20}" stroke="#bbb"/>')
            parts.append(text(10, y + 4, short(system, 10), weight=600, fill=_GREY))
        parts.append(text(left - 12, y + 4, names[recipe], anchor="end"))
        parts.extend(_marks(recipe, rows, y, left))
    if any(map(_is_reduced, table.values())):
        note = "* reduced schedule: fewer epochs or folds"
        parts.append(text(_WIDTH - 10, height - 8, note, anchor="end", fill=_GREY, size=11))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _chance(row: Mapping[str, Any]) -> float:
    """What always giving the same answer finds; rows of older documents do not state it."""
    return float(row.get("chance", 1 / len(row["recall"])))


def _is_reduced(rows: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(
        row["reduced"] or (row["folds_run"] < row["folds"] and protocol not in ("random", "augmented-random"))
        for protocol, row in rows.items()
    )


def _x(share: float, left: float) -> float:
    return left + share * (_WIDTH - left - _RIGHT)


def short(name: str, longest: int = 40) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"


def text(
    x: float, y: float, words: str, *, anchor: str = "start", fill: str = _INK, weight: int = 400, size: int = 13
) -> str:
    style = "" if size == 13 else f' font-size="{size}"'
    style += "" if weight == 400 else f' font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:g}" text-anchor="{anchor}" fill="{fill}"{style}>{escape(words)}</text>'


def _marks(recipe: str, rows: Mapping[str, Mapping[str, Any]], y: float, left: float) -> list[str]:
    """Draw one recipe: a line from its lowest to its highest score, the interval, the marks, the ring."""
    places = [_x(row["accuracy"], left) for row in rows.values()]
    parts = [f'<path d="M{min(places):.1f} {y:g}H{max(places):.1f}" stroke="#ccc"/>']
    if "speaker" in rows:
        low, high = (_x(share, left) for share in rows["speaker"]["accuracy_interval"])
        parts.append(_bar(low, high, y))
    for protocol in _COLOURS:
        if protocol in rows:
            share = rows[protocol]["accuracy"]
            parts.append(_mark(protocol, _x(share, left), y, f"{recipe}, {protocol}: {share:.1%}"))
    first = next(iter(rows.values()))
    if first["reported"] is not None:
        title = f"{recipe}, reported: {first['reported']:.2%}. {first['reported_as']}"
        parts.append(_ring(_x(first["reported"], left), y, title))
    return parts


def _bar(low: float, high: float, y: float) -> str:
    return (
        f'<path d="M{low:.1f} {y:g}H{high:.1f}" stroke="{_COLOURS["speaker"]}" stroke-width="7" stroke-opacity="0.25" '
        'stroke-linecap="round"/>'
    )


def _ring(x: float, y: float, title: str) -> str:
    hint = f"<title>{escape(title)}</title>"
    return f'<circle cx="{x:.1f}" cy="{y:g}" r="7" fill="none" stroke="{_INK}" stroke-width="1.5">{hint}</circle>'


def _mark(protocol: str, x: float, y: float, title: str) -> str:
    """A mark that differs in shape too: a cross for the leak, a diamond, squares, a triangle, discs of two sizes."""
    colour, hint = _COLOURS[protocol], f"<title>{escape(title)}</title>"
    if protocol == "augmented-random":
        return f'<path d="M{x - 4:.1f} {y - 4:g}l8 8m0 -8l-8 8" stroke="{colour}" stroke-width="2.5">{hint}</path>'
    if protocol == "random":
        return f'<path d="M{x:.1f} {y - 5.5:g}l5.5 5.5l-5.5 5.5l-5.5 -5.5z" fill="{colour}">{hint}</path>'
    if protocol.startswith("corpus"):
        inside = colour if protocol == "corpus" else "#fff"
        square = f'<path d="M{x - 3.5:.1f} {y - 3.5:g}h7v7h-7z"'
        return f'{square} fill="{inside}" stroke="{colour}" stroke-width="2">{hint}</path>'
    if protocol == "emobox":
        return f'<path d="M{x - 5:.1f} {y + 4:g}h10l-5 -9z" fill="{colour}">{hint}</path>'
    radius = 6 if protocol == "speaker" else 4
    return f'<circle cx="{x:.1f}" cy="{y:g}" r="{radius}" fill="{colour}" stroke="#fff">{hint}</circle>'


def _key(protocols: Sequence[str]) -> list[str]:
    """Draw the legend in two or three lines, with room for wider fonts."""
    lines = (
        ((24, 230, 430), ["reported", "random", "augmented-random"]),
        ((24, 430), ["speaker", "speaker+enrolled"]),
        ((24, 230, 430), _THIRD_LINE),
    )
    parts = []
    for k, (places, entries) in enumerate(lines):
        present = [entry for entry in entries if entry in ("reported", *protocols)]
        for x, entry in zip(places, present, strict=False):
            y = 24 + 22 * k
            if entry == "reported":
                parts += [_ring(x, y, "reported by its authors"), text(x + 14, y + 4, "reported by its authors")]
                continue
            if entry == "speaker":
                parts.append(_bar(x - 10, x + 10, y))
            parts.append(_mark(entry, x, y, _WORDS[entry]))
            parts.append(text(x + 18, y + 4, _WORDS[entry], weight=600 if entry == "speaker" else 400))
    return parts
