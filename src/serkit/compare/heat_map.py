"""The heat maps of a cross-corpus comparison: one SVG for a page of 800 px, on white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from serkit.compare.cross_corpus import OTHERS
from serkit.compare.picture import short, text
from serkit.evaluation.plots import pct

__all__ = ["heat_map", "maps"]

_WIDTH, _LEFT, _TOP, _ROW, _GAP = 800.0, 104.0, 92.0, 30.0, 24.0
_GREY, _INK = "#666", "#222"
_LOW, _HIGH = (247, 251, 255), (8, 69, 148)  # from chance to always right; readable without colour vision too
_BESIDE = 7  # columns up to which the plain and the adapted map fit beside each other


def maps(document: Mapping[str, Any]) -> dict[tuple[str, bool], dict[tuple[str, str], Mapping[str, Any]]]:
    """Return the cells of each map: (recipe, adapted) -> (tested corpus, training corpus) -> cell."""
    found: dict[tuple[str, bool], dict[tuple[str, str], Mapping[str, Any]]] = {}
    for recipe in document["recipes"]:
        for adapted in (False, True):
            cells = [cell for cell in document["cells"] if (cell["recipe"], cell["adapted"]) == (recipe, adapted)]
            if cells:
                found[recipe, adapted] = {(cell["tested_on"], cell["trained_on"]): cell for cell in cells}
    return found


def heat_map(document: Mapping[str, Any]) -> str:
    """Draw the matrices of a comparison: a row per tested corpus, a column per training corpus.

    Parameters
    ----------
    document : mapping
        As returned by :func:`serkit.compare.cross_scores.collect`.

    Returns
    -------
    str
        An SVG document. Cells show UAR in percent and are the darker the further that is above chance; hovering over
        one shows its interval, labels and clips.
    """
    names = list(document["corpora"])
    columns = [*names, OTHERS]
    beside = len(columns) <= _BESIDE
    width = _WIDTH / 2 if beside else _WIDTH
    height = _TOP + _ROW * len(names) + _GAP
    found = maps(document)
    recipes = list(dict.fromkeys(recipe for recipe, _ in found))
    total = 34 + height * (len(recipes) if beside else len(found))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {total:g}" width="{_WIDTH:g}" '
        f'height="{total:g}" role="img" font-family="system-ui, sans-serif" font-size="13" fill="{_INK}">',
        "<title>Unweighted average recall by training corpus and tested corpus</title>",
        f'<rect width="{_WIDTH:g}" height="{total:g}" fill="#fff"/>',
    ]
    for k, ((recipe, adapted), cells) in enumerate(found.items()):
        x = width * adapted if beside else 0.0
        y = height * (recipes.index(recipe) if beside else k)
        title = f"{recipe}{' *' if recipe in document['reduced'] else ''}, {'adapted' if adapted else 'plain'}"
        parts += _map(title, cells, names, columns, x, y, width)
    note = "UAR in %; darker: further above chance; framed: unheard voices of the training corpus itself"
    if document["reduced"]:
        note += "; *: a reduced schedule"
    parts.append(text(10, total - 12, note, fill=_GREY, size=11))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _map(
    title: str,
    cells: Mapping[tuple[str, str], Mapping[str, Any]],
    names: Sequence[str],
    columns: Sequence[str],
    x: float,
    y: float,
    width: float,
) -> list[str]:
    """One matrix, its upper left corner at (x, y)."""
    step = (width - _LEFT - 28) / len(columns)
    parts = [text(x + 10, y + 20, short(title, 46), weight=600)]
    for line, words in ((24, "trained on →"), (8, "tested on ↓")):
        parts.append(text(x + _LEFT - 4, y + _TOP - line, words, anchor="end", fill=_GREY, size=11))
    for k, name in enumerate(columns):
        at = x + _LEFT + step * (k + 0.5)
        turned = f'transform="rotate(-40 {at - 4:.1f} {y + _TOP - 8:.1f})"'
        parts.append(
            f'<text x="{at - 4:.1f}" y="{y + _TOP - 8:.1f}" font-size="11" {turned}>{escape(short(name, 11))}</text>'
        )
    for row, tested in enumerate(names):
        top = y + _TOP + _ROW * row
        parts.append(text(x + _LEFT - 8, top + _ROW / 2 + 4, short(tested, 12), anchor="end", size=12))
        for k, trained in enumerate(columns):
            parts += _cell(cells.get((tested, trained)), x + _LEFT + step * k, top, step, own=tested == trained)
    return parts


def _cell(cell: Mapping[str, Any] | None, x: float, y: float, step: float, *, own: bool) -> list[str]:
    frame = f' stroke="{_INK}"' if own else ' stroke="#fff"'
    box = f'<rect x="{x + 1:.1f}" y="{y + 1:g}" width="{step - 2:.1f}" height="{_ROW - 2:g}"'
    if cell is None:
        return [f'{box} fill="#f2f2f2" stroke="#fff"/>', text(x + step / 2, y + 19, "–", anchor="middle", fill=_GREY)]
    above = max(0.0, (cell["uar"] - cell["chance"]) / (1 - cell["chance"]))
    fill = "#" + "".join(f"{round(low + above * (high - low)):02x}" for low, high in zip(_LOW, _HIGH, strict=True))
    ink = "#fff" if above > 0.68 else _INK
    words = pct(cell["uar"], unit=False) if step >= 32 else f"{100 * cell['uar']:.0f}"
    return [f'{box} fill="{fill}"{frame}><title>{escape(hint(cell))}</title></rect>'] + [
        text(x + step / 2, y + 19, words, anchor="middle", fill=ink, size=12)
    ] * (step >= 18)


def hint(cell: Mapping[str, Any]) -> str:
    """Everything about a cell in a sentence."""
    low, high = cell["uar_interval"]
    return (
        f"{cell['recipe']}, trained on {cell['trained_on']}, tested on {cell['tested_on']}"
        f"{', adapted' if cell['adapted'] else ''}: UAR {cell['uar']:.1%} [{low:.1%}, {high:.1%}], accuracy "
        f"{cell['accuracy']:.1%}, {cell['n_clips']:,} clips of {cell['n_speakers']} speakers, "
        f"{', '.join(cell['labels'])} (chance {cell['chance']:.1%})"
    )
