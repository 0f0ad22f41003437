"""A table that renames labels: theirs, yours; ``drop`` leaves the clips of a label out."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from serkit.corpora.table import Corpus
from serkit.emotions import in_order, own
from serkit.errors import CorpusError, nearest

__all__ = ["DROP", "read_label_map", "relabelled"]

#: In place of a new label: leave these clips out.
DROP = "drop"


def read_label_map(file: str | os.PathLike[str]) -> dict[str, str]:
    """Read a label map: CSV (or TSV) in UTF-8, two columns, a label of the corpus and what it becomes.

    Parameters
    ----------
    file : path
        A first line ``theirs,yours`` is a header and is skipped.

    Returns
    -------
    dict
        Label of the corpus -> new label, or :data:`DROP`.

    Raises
    ------
    CorpusError
        If the file cannot be read, a line has not two fields, or a label is there twice; the message names the line.

    See Also
    --------
    relabelled : Applies it.
    """
    path = Path(file)
    try:
        with path.open(newline="", encoding="utf-8-sig") as opened:
            lines = list(csv.reader(opened, delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
    except UnicodeDecodeError:
        raise CorpusError(f"The label map {path} is not UTF-8 text: save it as CSV in UTF-8.") from None
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise CorpusError(f"The label map {path} cannot be read ({reason}).") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line]
        if not any(cells) or (number == 1 and [cell.lower() for cell in cells] == ["theirs", "yours"]):
            continue
        if len(cells) != 2 or not all(cells):
            raise CorpusError(f"{path}, line {number}: expected two fields, as in frustrated,angry, got {line}.")
        theirs = own(cells[0])
        if theirs in found:
            raise CorpusError(f"{path}, line {number}: {theirs} has a line already.")
        found[theirs] = DROP if cells[1].lower() == DROP else own(cells[1])
    if not found:
        raise CorpusError(f"The label map {path} is empty: expected lines such as frustrated,angry.")
    return found


def relabelled(corpus: Corpus, changes: Mapping[str, str]) -> Corpus:
    """Rename the labels of a corpus, or leave their clips out; notes say how many clips of each.

    Labels that `changes` does not name stay as they are.

    Parameters
    ----------
    corpus : Corpus
    changes : mapping of str to str
        As :func:`read_label_map` returns it.

    Raises
    ------
    CorpusError
        If the corpus has no clips of a label in `changes`, or if fewer than two labels would be left.
    """
    table, notes = corpus.table, list(corpus.notes)
    present = sorted(set(table["emotion"]))
    missing = [label for label in changes if label not in present]
    if missing:
        raise CorpusError(
            f"{corpus.name} has no clips of {missing[0]!r}, which the label map names{nearest(missing[0], present)} "
            f"It has {', '.join(present)}."
        )
    for label, new in changes.items():
        count = int((table["emotion"] == label).sum())
        notes.append(f"{count:,} clips of {label} {'are left out' if new == DROP else f'count as {new}'}: label map.")
    becomes = table["emotion"].map(lambda label: changes.get(label, label))
    kept = table.assign(emotion=becomes)[becomes != DROP].reset_index(drop=True)
    left = in_order(kept["emotion"])
    if len(left) < 2:
        raise CorpusError(
            f"The label map leaves {corpus.name} {', '.join(left) or 'nothing'}: a model needs at least two labels."
        )
    return replace(corpus, table=kept, notes=tuple(notes))
