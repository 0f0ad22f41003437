"""An earlier comparison, whose rows a new one keeps."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit.errors import TrainingError
from serkit.training import run_folder
from serkit.training.recipe_files import list_recipes, load_recipe, shortened

if TYPE_CHECKING:
    from serkit.corpora import Corpus

__all__ = ["kept", "read"]

_PARTS = ("command", "corpus", "date", "serkit", "grid", "cells", "rows", "failed")


def read(file: str | os.PathLike[str], corpus: Corpus) -> dict[str, Any]:
    """Read a ``results.json`` of ``ser compare`` and check that its rows belong beside new ones.

    Parameters
    ----------
    file : path
    corpus : Corpus
        What the new comparison reads.

    Returns
    -------
    dict
        As :func:`serkit.compare.scores.collect` returns it.

    Raises
    ------
    TrainingError
        If there is no such file, it is no comparison, it is of another corpus, or a packaged recipe has changed since.
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
    _check_recipes(path, document)
    return document


def _check_recipes(path: Path, document: Mapping[str, Any]) -> None:
    known = list_recipes()
    for cell in document["cells"]:
        if cell["recipe"] not in known:  # of a file that may be anywhere now
            continue
        recipe = load_recipe(cell["recipe"])
        if cell["reduced"]:  # "2 of 20 epochs"
            recipe = shortened(recipe, int(cell["reduced"].split()[0]))
        if recipe.hash != cell["recipe_hash"]:
            raise TrainingError(
                f"{path} holds scores of '{cell['recipe']}' as the recipe was then, and it has changed since: run it "
                "again, or leave the file out."
            )


def kept(document: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], int]]:
    """The commands that measured the rows which `document` took over, and how many rows are of each."""
    found: dict[str, tuple[Mapping[str, Any], int]] = {}
    for row in document["rows"]:
        written = row.get("written", {})
        if written.get("date", document["date"]) != document["date"]:
            _, number = found.get(written["date"], (written, 0))
            found[written["date"]] = (written, number + 1)
    return [found[date] for date in sorted(found)]
