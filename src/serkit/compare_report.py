"""The document of a comparison as a page of Markdown and as a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from serkit.evaluation import write_atomic, write_json
from serkit.plots import pct
from serkit.protocol import PROTOCOLS

__all__ = ["markdown", "overview", "picture", "write"]

_ANSWERS = {
    "augmented-random": "leaks on purpose: altered copies of the test clips are in training",
    "random": "clips held out at random: known voices",
    "speaker": "whole speakers held out: an unknown voice",
    "speaker+enrolled": "an unknown voice, standardised by some of its own unlabelled clips",
}
# Okabe and Ito's colours, which the colour-blind can tell apart
_COLOURS = {"augmented-random": "#d55e00", "random": "#e69f00", "speaker": "#0072b2", "speaker+enrolled": "#009e73"}


def write(document: Mapping[str, Any], out: str | os.PathLike[str]) -> list[Path]:
    """Write results.json, results.md and results.svg into the folder ``out``.

    Parameters
    ----------
    document : mapping
        The return value of :func:`serkit.compare.collect`.
    out : path

    Returns
    -------
    list of Path
    """
    folder = Path(out)
    return [
        write_json(document, folder / "results.json"),
        write_atomic(markdown(document), folder / "results.md"),
        write_atomic(picture(document), folder / "results.svg"),
    ]


def _protocols(document: Mapping[str, Any]) -> list[str]:
    present = {row["protocol"] for row in document["rows"]}
    order = [*_ANSWERS, *(protocol for protocol in PROTOCOLS if protocol not in _ANSWERS)]
    return [protocol for protocol in order if protocol in present]


def _by_recipe(document: Mapping[str, Any]) -> dict[str, dict[str, Mapping[str, Any]]]:
    table: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in document["rows"]:
        table.setdefault(row["recipe"], {})[row["protocol"]] = row
    return table


def markdown(document: Mapping[str, Any]) -> str:
    """The tables: accuracy by protocol beside what was reported, details, tests between recipes, failures, notes."""
    notes: list[str] = []
    lines = [
        "# Results",
        "",
        f"Written by `ser compare` (serkit {document['serkit']}) on {document['date'][:10]} from the corpus "
        f"{document['corpus']}. Nobody typed a number.",
        "",
        "![Accuracy of every recipe by protocol](results.svg)",
        "",
        *_legend(_protocols(document)),
        "",
        "## Reported and measured",
        "",
        "Accuracy in %, in brackets the 95 % interval over speakers; a mean over seeds where there are several (± "
        "their standard deviation).",
        "",
        *_overview(document, notes),
        *_details(document, notes),
        *_tests(document),
    ]
    if document["failed"]:
        lines += ["", "## Failed", ""]
        lines += [f"- `{f['recipe']}`, {f['protocol']}, seed {f['seed']}: {f['error']}" for f in document["failed"]]
    return _page(lines, notes)


def overview(document: Mapping[str, Any]) -> str:
    """The first of the tables by itself, for a README: reported and measured accuracy."""
    notes: list[str] = []
    return _page(_overview(document, notes), notes).rstrip()


def _page(lines: Sequence[str], notes: Sequence[str]) -> str:
    return "\n".join([*lines, "", *(f"{k}. {note}" for k, note in enumerate(notes, start=1))]).rstrip() + "\n"


def _overview(document: Mapping[str, Any], notes: list[str]) -> list[str]:
    protocols = _protocols(document)
    heads = [f"⚠ {protocol}" if protocol == "augmented-random" else protocol for protocol in protocols]
    lines = [_line(["system", "recipe", "reported", *heads]), _line(["---"] * (3 + len(protocols)))]
    for recipe, rows in _by_recipe(document).items():
        first = next(iter(rows.values()))
        reported = "–"
        if first["reported"] is not None:
            reported = f"{100 * first['reported']:.4g}{_note(notes, first['reported_as'])}"
        lines.append(_line([first["system"], f"`{recipe}`", reported, *(_cell(rows.get(p), notes) for p in protocols)]))
    if "augmented-random" in protocols:
        warning = next(row["warning"] for row in document["rows"] if row["warning"])
        lines += ["", f"> **⚠ Not a result:** {warning}"]
    return lines


def _legend(protocols: Sequence[str]) -> list[str]:
    return [f"- **{protocol}**: {_ANSWERS[protocol]}" for protocol in protocols if protocol in _ANSWERS]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _note(notes: list[str], text: str) -> str:
    """The mark of a footnote, which is added unless it is there."""
    if not text:
        return ""
    if text not in notes:
        notes.append(text)
    return f" <sup>{notes.index(text) + 1}</sup>"


def _cell(row: Mapping[str, Any] | None, notes: list[str]) -> str:
    if row is None:
        return "–"
    low, high = row["accuracy_interval"]
    spread = "" if row["accuracy_sd"] is None else f" ± {pct(row['accuracy_sd'], unit=False)}"
    text = f"{pct(row['accuracy'], unit=False)}{spread} [{pct(low, unit=False)}, {pct(high, unit=False)}]"
    return text + _note(notes, _reduced(row))


def _reduced(row: Mapping[str, Any]) -> str:
    """What makes a row less than a whole run, in words."""
    parts = [f"{row['reduced']}"] if row["reduced"] else []
    if row["folds_run"] < row["folds"] and row["protocol"] not in ("random", "augmented-random"):
        parts.append(f"{row['folds_run']} of {row['folds']} folds")
    return f"reduced schedule: {', '.join(parts)}" if parts else ""


def _details(document: Mapping[str, Any], notes: list[str]) -> list[str]:
    lines: list[str] = []
    for protocol in ("speaker", "random"):
        rows = [row for row in document["rows"] if row["protocol"] == protocol]
        if not rows:
            continue
        channels = sorted({channel for row in rows for channel in row["channels"]}, reverse=True)
        lines += ["", f"## In detail: {protocol}", ""]
        head = ["recipe", "UAR", "F1, weighted", *(f"{channel}: accuracy / UAR" for channel in channels)]
        lines += [_line([*head, "calibration error", "lowest recall", "seeds"]), _line(["---"] * (6 + len(channels)))]
        for row in sorted(rows, key=lambda row: -row["accuracy"]):
            low, high = row["uar_interval"]
            cells = [
                f"`{row['recipe']}`{_note(notes, _reduced(row))}",
                f"{pct(row['uar'], unit=False)} [{pct(low, unit=False)}, {pct(high, unit=False)}]",
                pct(row["f1_weighted"], unit=False),
            ]
            for channel in channels:
                scores = row["channels"].get(channel)
                both = (pct(scores[s], unit=False) for s in ("accuracy", "uar")) if scores else ("–",)
                cells.append(" / ".join(both))
            lowest = f"{row['lowest']['label']} {pct(row['lowest']['recall'], unit=False)}"
            lines.append(_line([*cells, pct(row["ece"], unit=False), lowest, ", ".join(map(str, row["seeds"]))]))
    return lines


def _tests(document: Mapping[str, Any]) -> list[str]:
    """The best recipe under ``speaker`` against every other one."""
    rows = {row["recipe"]: row for row in document["rows"] if row["protocol"] == "speaker"}
    if not document["paired"]:
        return []
    best = max(rows, key=lambda recipe: (not _reduced(rows[recipe]), rows[recipe]["accuracy"]))
    lines = [
        "",
        f"## Is `{best}` better under speaker?",
        "",
        "Difference of the accuracies in points, by speaker, with the 95 % interval; p of a sign-flip permutation test "
        "over speakers, adjusted for all pairs of recipes (Holm).",
        "",
        _line(["against", "difference", "p", "speakers"]),
        _line(["---"] * 4),
    ]
    for test in document["paired"]:
        if best not in (test["a"], test["b"]):
            continue
        sign = 1 if test["a"] == best else -1
        other = test["b"] if test["a"] == best else test["a"]
        low, high = sorted(sign * 100 * test[bound] for bound in ("low", "high"))
        p = "< 0.001" if test["p_holm"] < 0.001 else f"{test['p_holm']:.3f}"
        difference = f"{sign * 100 * test['difference']:+.1f} [{low:+.1f}, {high:+.1f}]"
        lines.append(_line([f"`{other}`", difference, p, str(test["n_speakers"])]))
    return lines


def picture(document: Mapping[str, Any]) -> str:
    """One SVG: a line a recipe, a mark a protocol, a hollow ring for what was reported."""
    table = _by_recipe(document)
    protocols = [protocol for protocol in _protocols(document) if protocol in _COLOURS]
    left, right, top, step = 190, 40, 64, 26
    width = 800
    height = top + step * len(table) + 58

    def x(share: float) -> float:
        return left + share * (width - left - right)

    def text(at: float, y: float, words: str, *, anchor: str = "start", extra: str = "") -> str:
        return f'<text x="{at:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(words)}</text>'

    bottom = top + step * len(table)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#222">',
        "<title>Accuracy of every recipe by protocol, beside what was reported</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for percent in range(0, 101, 20):
        at = x(percent / 100)
        parts.append(f'<path d="M{at:.1f} {top - 6}V{bottom}" stroke="#ddd"/>')
        parts.append(text(at, bottom + 18, f"{percent}", anchor="middle", extra='fill="#666"'))
    parts.append(text(x(0.5), bottom + 38, "accuracy, %", anchor="middle", extra='fill="#666"'))
    parts.extend(_key(protocols, width))
    system = None
    for k, (recipe, rows) in enumerate(table.items()):
        first = next(iter(rows.values()))
        y = top + step * (k + 0.5)
        if first["system"] != system:
            system = first["system"]
            parts.append(f'<path d="M8 {y - step / 2:.1f}H{width - right + 20}" stroke="#bbb"/>')
            parts.append(text(10, y + 4, system, extra='font-weight="600" fill="#666"'))
        reduced = any(row["reduced"] for row in rows.values())
        parts.append(text(left - 12, y + 4, recipe + (" *" if reduced else ""), anchor="end"))
        shares = [rows[p]["accuracy"] for p in protocols if p in rows]
        parts.append(f'<path d="M{x(min(shares)):.1f} {y}H{x(max(shares)):.1f}" stroke="#ccc"/>')
        if "speaker" in rows:
            low, high = rows["speaker"]["accuracy_interval"]
            parts.append(
                f'<path d="M{x(low):.1f} {y}H{x(high):.1f}" stroke="{_COLOURS["speaker"]}" stroke-width="7" '
                'stroke-opacity="0.25" stroke-linecap="round"/>'
            )
        for protocol in protocols:
            if protocol in rows:
                share = rows[protocol]["accuracy"]
                parts.append(_mark(protocol, x(share), y, f"{recipe}, {protocol}: {share:.1%}"))
        if first["reported"] is not None:
            title = escape(f"{recipe}, reported: {first['reported']:.2%}. {first['reported_as']}")
            parts.append(
                f'<circle cx="{x(first["reported"]):.1f}" cy="{y}" r="7" fill="none" stroke="#222" stroke-width="1.5">'
                f"<title>{title}</title></circle>"
            )
    if any(row["reduced"] for row in document["rows"]):
        parts.append(
            text(width - 10, height - 8, "* reduced schedule", anchor="end", extra='font-size="11" fill="#666"')
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _mark(protocol: str, x: float, y: float, title: str) -> str:
    """A mark that differs in shape too: a cross for the leak, a diamond, a large and a small disc."""
    colour, hint = _COLOURS[protocol], f"<title>{escape(title)}</title>"
    if protocol == "augmented-random":
        return f'<path d="M{x - 4:.1f} {y - 4}l8 8m0 -8l-8 8" stroke="{colour}" stroke-width="2.5">{hint}</path>'
    if protocol == "random":
        return f'<path d="M{x:.1f} {y - 5.5}l5.5 5.5l-5.5 5.5l-5.5 -5.5z" fill="{colour}">{hint}</path>'
    radius = 6 if protocol == "speaker" else 4
    return f'<circle cx="{x:.1f}" cy="{y}" r="{radius}" fill="{colour}">{hint}</circle>'


def _key(protocols: Sequence[str], width: int) -> list[str]:
    names = {
        "augmented-random": "augmented-random (leaks)",
        "random": "random",
        "speaker": "speaker: an unknown voice",
        "speaker+enrolled": "speaker+enrolled",
    }
    at, parts = 24.0, ['<circle cx="24" cy="24" r="7" fill="none" stroke="#222" stroke-width="1.5"/>']
    parts.append('<text x="37" y="28">reported</text>')
    at += 96
    for protocol in protocols:
        parts.append(_mark(protocol, at, 24, names[protocol]))
        weight = ' font-weight="600"' if protocol == "speaker" else ""
        parts.append(f'<text x="{at + 13:.1f}" y="28"{weight}>{escape(names[protocol])}</text>')
        at += 36 + 7.1 * len(names[protocol])
    return parts
