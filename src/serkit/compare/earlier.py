"""An earlier comparison, whose rows a new one keeps."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit.compare.grid import Splits
from serkit.errors import ProtocolError, TrainingError
from serkit.evaluation.metrics import group_values, shared_names
from serkit.training import run_folder, split_rows
from serkit.training.recipe_files import list_recipes, load_recipe, shortened

if TYPE_CHECKING:
    from serkit.compare.cells import Cell
    from serkit.corpora import Corpus

__all__ = ["read"]

_PARTS = ("command", "corpus", "date", "serkit", "grid", "cells", "rows", "failed")


def read(file: str | os.PathLike[str], corpus: Corpus, cells: Sequence[Cell]) -> dict[str, Any]:
    """Read a ``results.json`` of ``ser compare`` and check that its rows belong beside new ones.

    Parameters
    ----------
    file : path
    corpus : Corpus
        What the new comparison reads.
    cells : sequence of Cell
        What it measures itself.

    Returns
    -------
    dict
        As :func:`serkit.compare.scores.collect` returns it, without scores by earlier versions of a recipe.

    Raises
    ------
    TrainingError
        If there is no such file, it is no comparison, it is of other recordings or labels, or a recipe has changed
        since and `cells` do not measure all its scores again.
    """
    path = Path(file)
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be read ({error.strerror}): give the results.json of ser compare."
        ) from None
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("format") != 1 or any(part not in document for part in _PARTS):
        raise TrainingError(f"{path} is not a results.json of ser compare: give one of those.")
    title = run_folder.corpus_title(corpus)
    if document["corpus"] != title:
        raise TrainingError(f"{path} is of the corpus {document['corpus']}, and this is {title}: compare one corpus.")
    old = _old(path, document, cells)
    for part in ("cells", "rows"):
        document[part] = [one for one in document[part] if (one["recipe"], one["protocol"]) not in old]
    _check_clips(path, document, corpus)
    return document


def _old(path: Path, document: Mapping[str, Any], cells: Sequence[Cell]) -> set[tuple[str, str]]:
    """Recipe and protocol of scores whose recipe has changed since: an error unless `cells` measure them again."""
    sources = {name: name for name in list_recipes()} | {cell.recipe.name: cell.row.recipe for cell in cells}
    again = {(cell.recipe.name, cell.protocol) for cell in cells}
    old = set()
    for cell in document["cells"]:
        if cell["recipe"] not in sources:  # of a file that may be anywhere now
            continue
        recipe = load_recipe(sources[cell["recipe"]])
        if cell["reduced"]:  # "2 of 20 epochs"
            recipe = shortened(recipe, int(cell["reduced"].split()[0]))
        if recipe.hash == cell["recipe_hash"]:
            continue
        old.add((cell["recipe"], cell["protocol"]))
        if (cell["recipe"], cell["protocol"]) not in again:
            raise TrainingError(
                f"{path} holds scores of '{cell['recipe']}' as the recipe was then, and it has changed since: compare "
                f"it again under {cell['protocol']}, or leave the file out."
            )
    return old


def _check_clips(path: Path, document: Mapping[str, Any], corpus: Corpus) -> None:
    """Raise TrainingError unless the scores are of the same labels, and of the same clips in the same folds."""
    labels = set(corpus.table["emotion"])
    other = next((sorted(row["recall"]) for row in document["rows"] if set(row["recall"]) != labels), None)
    if other is not None:
        raise TrainingError(
            f"{path} is of the labels {', '.join(other)}, and this comparison of {', '.join(sorted(labels))}: use the "
            "same --drop and --label-map."
        )
    splits, shared = Splits(corpus), shared_names(corpus.table, "speaker")
    # Copies are tested under augmented-random; the other protocols say enough
    of_protocol = {cell["protocol"]: cell for cell in document["cells"] if cell["protocol"] != "augmented-random"}
    for protocol, cell in of_protocol.items():
        if _tested(cell, splits, shared) != {name: scores["n"] for name, scores in cell["speakers"].items()}:
            raise TrainingError(
                f"{path} is of other recordings than this comparison, as the clips tested under {protocol} show: "
                "compare the same recordings, with the same --drop, --label-map and --skip-broken."
            )


def _tested(cell: Mapping[str, Any], splits: Splits, shared: Collection[str]) -> dict[str, int] | None:
    """How many clips of each speaker are tested where these recordings are split as a cell says; None if they cannot.

    Unlike the hash of a split, this does not depend on the folders that the recordings are in.
    """
    try:
        split = splits.make(cell["protocol"], cell["seed"])
    except ProtocolError:
        return None
    rows = split_rows.joined(split, splits.corpus)
    names, codes = group_values(
        rows[(rows["role"] == "test") & rows["fold"].isin(cell["folds_run"])], "speaker", shared=shared
    )
    return {name: int((codes == k).sum()) for k, name in enumerate(names)}
