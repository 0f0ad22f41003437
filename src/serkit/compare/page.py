"""A comparison as a Markdown page and a picture."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from serkit.compare.picture import picture
from serkit.evaluation.plots import pct
from serkit.files import write_atomic, write_json
from serkit.protocol import PROTOCOLS

__all__ = ["markdown", "picture", "write"]

_ANSWERS = {
    "augmented-random": "leaks on purpose: altered copies of the test clips are in training",
    "random": "clips held out at random: known voices",
    "speaker": "whole speakers held out: a new voice",
    "speaker+enrolled": "a new voice, after enrolling with some of its own unlabelled clips",
    "corpus": "each corpus left out in turn: other people, rooms and ways of labelling; a mean over the corpora",
    "corpus+adapted": "each corpus left out in turn, after hearing some of its unlabelled clips; a mean too",
    "emobox": "EmoBox's six folds of RAVDESS' speech, four actors each: a new voice",
}

_BY_CLIP = "Interval over clips, because fewer than two speakers are known: too narrow for new voices."
_REDUCED = "A reduced schedule: the recipe has more epochs, or the protocol more folds."


def write(document: Mapping[str, Any], out: str | os.PathLike[str]) -> list[Path]:
    """Write results.json, results.md and results.svg into the folder ``out``.

    Parameters
    ----------
    document : mapping
        As returned by :func:`serkit.compare.scores.collect`.
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
    present = {entry["protocol"] for entry in (*document["rows"], *document["failed"])}
    order = [*_ANSWERS, *(protocol for protocol in PROTOCOLS if protocol not in _ANSWERS)]
    return [*(protocol for protocol in order if protocol in present), *sorted(present.difference(order))]


def _by_recipe(document: Mapping[str, Any]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Recipe -> protocol -> row, in the order of the grid; recipes that only failed have no rows."""
    table: dict[str, dict[str, Mapping[str, Any]]] = {
        entry["recipe"]: {} for entry in document["grid"] if any(_of(document, entry["recipe"]))
    }
    for row in document["rows"]:
        table[row["recipe"]][row["protocol"]] = row
    return table


def _of(document: Mapping[str, Any], recipe: str) -> Iterator[Mapping[str, Any]]:
    """Rows and failures of a recipe."""
    return (entry for entry in (*document["rows"], *document["failed"]) if entry["recipe"] == recipe)


def markdown(document: Mapping[str, Any]) -> str:
    """Return all tables: accuracy by protocol, details, tests between recipes, failures, notes."""
    notes: list[str] = []
    lines = [
        "# Results",
        "",
        f"Written by `{document['command'] or 'ser compare'}` (serkit {document['serkit']}) on {document['date'][:10]} "
        f"from the corpus {document['corpus']}. {_kept(document)}Nobody typed a number.",
        "",
        "![Accuracy of every recipe by protocol](results.svg)",
        "",
        *_legend(_protocols(document)),
        "",
        "## Reported and measured",
        "",
        "Accuracy in % with the 95 % interval over speakers in brackets; below it the unweighted average recall (UAR). "
        "Rows with several seeds show the mean ± standard deviation; –: not run.",
        "",
        *_overview(document, notes),
        *_details(document, notes),
        *_tests(document),
    ]
    if document["failed"]:
        lines += ["", "## Failed", ""]
        lines += [f"- `{f['recipe']}`, {f['protocol']}, seed {f['seed']}: {f['error']}" for f in document["failed"]]
    return _page(lines, notes)


def _kept(document: Mapping[str, Any]) -> str:
    """Say which rows come from earlier commands, and how many from each."""
    earlier: dict[str, list[Mapping[str, Any]]] = {}
    for row in document["rows"]:
        written = row.get("written", document)
        if written["date"] != document["date"]:
            earlier.setdefault(written["date"], []).append(written)
    return "".join(
        f"{len(same)} of the {len(document['rows'])} results are from `{same[0]['command'] or 'ser compare'}` (serkit "
        f"{same[0]['serkit']}) on {date[:10]}. "
        for date, same in sorted(earlier.items())
    )


def _page(lines: Sequence[str], notes: Sequence[str]) -> str:
    return "\n".join([*lines, "", *(f"{k}. {note}" for k, note in enumerate(notes, start=1))]).rstrip() + "\n"


def _overview(document: Mapping[str, Any], notes: list[str]) -> list[str]:
    protocols = _protocols(document)
    heads = [f"⚠ {protocol}" if protocol == "augmented-random" else protocol for protocol in protocols]
    lines = [_line(["system", "recipe", "reported", *heads]), _line(["---"] * (3 + len(protocols)))]
    for recipe, rows in _by_recipe(document).items():
        first = next(_of(document, recipe))
        reported = "–"
        if first["reported"] is not None:
            reported = f"{100 * first['reported']:.4g}{_note(notes, first['reported_as'])}"
        cells = []
        for protocol in protocols:
            failed = [f for f in document["failed"] if (f["recipe"], f["protocol"]) == (recipe, protocol)]
            cells.append(_cell(rows.get(protocol), failed, notes))
        lines.append(_line([first["system"], f"`{recipe}`", reported, *cells]))
    warning = next((row["warning"] for row in document["rows"] if row["warning"]), None)
    if warning:
        lines += ["", f"> **⚠ Not a result:** {warning}"]
    return lines


def _legend(protocols: Sequence[str]) -> list[str]:
    return [f"- **{protocol}**: {_ANSWERS[protocol]}" for protocol in protocols if protocol in _ANSWERS]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _note(notes: list[str], text: str) -> str:
    """Return the mark of a footnote, adding the footnote if it is new."""
    if not text:
        return ""
    if text not in notes:
        notes.append(text)
    return f" <sup>{notes.index(text) + 1}</sup>"


def _cell(row: Mapping[str, Any] | None, failed: Sequence[Mapping[str, Any]], notes: list[str]) -> str:
    parts = []
    if row is not None:
        low, high = row["accuracy_interval"]
        spread = "" if row["accuracy_sd"] is None else f" ± {pct(row['accuracy_sd'], unit=False)}"
        accuracy = f"{pct(row['accuracy'], unit=False)}{spread} [{pct(low, unit=False)}, {pct(high, unit=False)}]"
        if row.get("interval_unit") == "clip":
            accuracy += _note(notes, _BY_CLIP)
        parts.append(f"**⚠** {accuracy}" if row["warning"] else accuracy)
        parts.append(f"UAR {pct(row['uar'], unit=False)}")
        if row.get("adapted"):
            counts = ", ".join(f"{name} {n}" for name, n in row["adapted"].items())
            parts[-1] += _note(notes, f"Unlabelled clips to adapt with: {counts}.")
        if _reduced(row):
            parts.append(f"*reduced: {_reduced(row)}*{_note(notes, _REDUCED)}")
    if failed:
        seeds = ", ".join(str(cell["seed"]) for cell in failed)
        parts.append(f"**failed**: seed {seeds}{_note(notes, ' '.join(dict.fromkeys(f['error'] for f in failed)))}")
    return "<br>".join(parts) or "–"


def _reduced(row: Mapping[str, Any]) -> str:
    """Say how a row falls short of a full run; under a random protocol, one fold is a full run."""
    parts = [f"{row['reduced']}"] if row["reduced"] else []
    if row["folds_run"] < row["folds"] and row["protocol"] not in ("random", "augmented-random"):
        parts.append(f"{row['folds_run']} of {row['folds']} folds")
    return ", ".join(parts)


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
                f"`{row['recipe']}`" + (f" (reduced: {_reduced(row)})" if _reduced(row) else ""),
                f"{pct(row['uar'], unit=False)} [{pct(low, unit=False)}, {pct(high, unit=False)}]",
                pct(row["f1_weighted"], unit=False),
            ]
            for channel in channels:
                scores = row["channels"].get(channel)
                both = [pct(scores[s], unit=False) for s in ("accuracy", "uar")] if scores else ["–"]
                cells.append(" / ".join(both))
            lowest = f"{row['lowest']['label']} {pct(row['lowest']['recall'], unit=False)}"
            lines.append(_line([*cells, pct(row["ece"], unit=False), lowest, ", ".join(map(str, row["seeds"]))]))
    return lines


def _tests(document: Mapping[str, Any]) -> list[str]:
    """Compare the best recipe under ``speaker`` with every other one."""
    rows = [row for row in document["rows"] if row["protocol"] == "speaker" and row["against_best"]]
    if not rows:
        return []
    best = document["best"]["speaker"]
    lines = [
        "",
        f"## Is `{best}` better under speaker?",
        "",
        f"Accuracy of each recipe minus that of `{best}` in points, mean over speakers with the 95 % interval; p of a "
        "sign-flip permutation test over speakers, plain and adjusted for all pairs of recipes (Holm). "
        f"results.json has every pair.{_smallest_p(rows)}",
        "",
        _line(["recipe", "difference", "p", "p adjusted", "speakers"]),
        _line(["---"] * 5),
    ]
    for row in sorted(rows, key=lambda row: -row["against_best"]["difference"]):
        test = row["against_best"]
        low, high = (100 * test[bound] for bound in ("low", "high"))
        difference = f"{100 * test['difference']:+.1f} [{low:+.1f}, {high:+.1f}]"
        p_values = (_p(test[name]) for name in ("p_value", "p_holm"))
        lines.append(_line([f"`{row['recipe']}`", difference, *p_values, str(test["n_speakers"])]))
    return lines


def _smallest_p(rows: Sequence[Mapping[str, Any]]) -> str:
    """A warning where the speakers are too few for any difference to be significant."""
    fewest = min(row["against_best"]["n_speakers"] for row in rows)
    return "" if fewest > 5 else f" With {fewest} speakers no p can be smaller than {2 / 2**fewest:.3g}."


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
