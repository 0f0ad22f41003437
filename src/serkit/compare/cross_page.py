"""A cross-corpus comparison as files: JSON, CSV, a Markdown page and the heat maps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serkit.compare.cross_corpus import OTHERS
from serkit.compare.cross_scores import to_csv
from serkit.compare.heat_map import heat_map, maps
from serkit.evaluation.plots import pct
from serkit.files import write_atomic, write_json

__all__ = ["NAME", "markdown", "matrix", "write"]

#: The name of the files, without suffix.
NAME = "cross-corpus"


def write(document: Mapping[str, Any], out: str | os.PathLike[str]) -> list[Path]:
    """Write cross-corpus.json, .csv, .md and .svg into the folder ``out``.

    Parameters
    ----------
    document : mapping
        As returned by :func:`serkit.compare.cross_scores.collect`.
    out : path

    Returns
    -------
    list of Path
    """
    place = Path(out) / NAME
    return [
        write_json(document, place.with_suffix(".json")),
        write_atomic(to_csv(document), place.with_suffix(".csv")),
        write_atomic(markdown(document), place.with_suffix(".md")),
        write_atomic(heat_map(document), place.with_suffix(".svg")),
    ]


def matrix(document: Mapping[str, Any], recipe: str, *, adapted: bool) -> list[list[str]]:
    """Return a matrix as text: its head, a row per tested corpus, and the mean over the other corpora.

    Each cell is UAR in percent with its 95 % interval, ``"62.1 [58.0, 66.3]"``, or ``–``.
    """
    columns = [*document["corpora"], OTHERS]
    cells = maps(document)[recipe, adapted]
    means = {
        row["trained_on"]: row for row in document["means"] if (row["recipe"], row["adapted"]) == (recipe, adapted)
    }
    rows = [["tested on", *columns]]
    for tested in document["corpora"]:
        rows.append([tested, *(_score(cells.get((tested, trained))) for trained in columns)])
    return [*rows, ["mean of the others", *(_score(means.get(trained)) for trained in columns)]]


def _score(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "–"
    low, high = (pct(value, unit=False) for value in cell["uar_interval"])
    return f"{pct(cell['uar'], unit=False)} [{low}, {high}]"


def markdown(document: Mapping[str, Any]) -> str:
    """Return the page: how to read it, the picture, a matrix for each recipe, what is missing and why."""
    seeds = ", ".join(map(str, document["seeds"]))
    counts = ", ".join(f"{name} {n:,}" for name, n in document["corpora"].items())
    lines = [
        "# Across corpora",
        "",
        "How well does a model do with people, rooms, microphones and languages that it has never met? A row is the "
        "corpus that is tested, a column the corpus that trained the model.",
        "",
        f"Written by `{document['command'] or 'ser compare'}` (serkit {document['serkit']}) on "
        f"{document['date'][:10]}, seed{'s' if len(document['seeds']) > 1 else ''} {seeds}. Clips: {counts}.",
        "",
        "![Recall by training corpus and tested corpus](cross-corpus.svg)",
        "",
        "- Scores are the unweighted average recall (UAR) in %, with the 95 % interval over the tested speakers in "
        "brackets. They are over the labels that both corpora have: compare a cell with its own chance, which "
        "cross-corpus.csv and the picture give, rather than with its neighbour.",
        f"- **{OTHERS}**: the model learnt from every corpus but the tested one (protocol `corpus`). Here the scored "
        "labels are those that any other corpus has.",
        "- **plain**: the model hears nothing of the tested corpus. **adapted**: it has heard up to 50 of its clips, "
        "without their labels; these are not scored.",
        "- **On the diagonal** the voices are new and the corpus is not (protocol `speaker`). A model is not adapted "
        "to the corpus that it comes from, so the adapted matrix has no diagonal.",
        "- **mean of the others**: over the tested corpora other than the one that trained, which share other labels "
        "with each of the training corpora. Intervals cover other speakers, not other corpora.",
    ]
    for recipe, adapted in maps(document):
        lines += ["", f"## `{recipe}`, {'adapted' if adapted else 'plain'}", ""]
        if recipe in document["reduced"]:
            lines += [f"*reduced: {document['reduced'][recipe]}*", ""]
        head, *rows = matrix(document, recipe, adapted=adapted)
        lines += [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
    missing = [
        f"- `{row['recipe']}`, {'adapted' if row['adapted'] else 'plain'}, {row['trained_on']} on {row['tested_on']}: "
        f"{row['why']}"
        for row in document["unscored"]
    ]
    missing += [f"- `{row['recipe']}`, {_what(row)}, seed {row['seed']}: {row['error']}" for row in document["failed"]]
    if missing:
        lines += ["", "## Without a score", "", *missing]
    return "\n".join(lines) + "\n"


def _what(row: Mapping[str, Any]) -> str:
    if row["protocol"] == "speaker":
        return f"unheard voices of {row['trained_on']}"
    return f"trained on {row['trained_on']}, {'adapted' if row['adapted'] else 'plain'}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
