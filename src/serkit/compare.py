"""Many recipes under several protocols, side by side: a grid of runs, and one document of their scores."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib import resources
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import serkit
from serkit import runs
from serkit.errors import RecipeError, SerkitError, TrainingError
from serkit.evaluation import environment
from serkit.metrics import resample, scores_of
from serkit.paired import MIN_SPEAKERS, holm, paired_test
from serkit.protocol import PROTOCOLS, Split, make_split
from serkit.recipe import Recipe, load_recipe
from serkit.training import run_evaluation

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from serkit.corpora import Corpus

__all__ = ["N_FOLDS", "Cell", "Outcome", "Row", "collect", "estimate", "plan", "read_grid", "run"]

#: Folds of every split; a row may run fewer of them.
N_FOLDS = 5

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Row:
    """A recipe in the grid.

    Attributes
    ----------
    recipe : str
        Name, or path of a TOML file.
    reported : float or None
        The accuracy that the authors of the system wrote, in [0, 1]; ``reported_as`` says what it was.
    cells : mapping
        Protocol -> seeds.
    folds : mapping
        Protocol -> how many of the five folds are run.
    epochs : int or None
        Longest training; a recipe with more is run under a reduced schedule, which every table says.
    seconds : float or None
        Measured for one fold on two cores, for the estimate.
    """

    recipe: str
    reported: float | None = None
    reported_as: str = ""
    cells: Mapping[str, Sequence[int]] = field(default_factory=dict)
    folds: Mapping[str, int] = field(default_factory=dict)
    epochs: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Cell:
    """One run of the grid: a recipe, a protocol, a seed."""

    row: Row
    recipe: Recipe
    protocol: str
    seed: int
    folds: tuple[int, ...]
    reduced: str | None

    def folder(self, root: Path, corpus: Corpus) -> Path:
        """Where its run stands."""
        short = f"-e{self.recipe.epochs}" if self.reduced else ""
        return root / f"{self.recipe.name}-{corpus.name}-{self.protocol}-{self.seed}{short}"


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: a finished run, or the sentence that says why there is none."""

    cell: Cell
    run: runs.Run | None
    error: str | None = None


def read_grid() -> dict[str, Row]:
    """Read the packaged grid, which ``ser compare --all`` runs: recipe -> row, in the order of the table.

    Examples
    --------
    >>> read_grid()["s3-cnn"].reported
    0.9393
    """
    data = tomllib.loads(resources.files("serkit").joinpath("grid.toml").read_text("utf-8"))
    folds = data["folds"]
    return {row["recipe"]: Row(**{**row, "folds": {**folds, **row.get("folds", {})}}) for row in data["row"]}


def plan(
    recipes: Sequence[str],
    *,
    protocols: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    folds: int | None = None,
    epochs: int | None = None,
    full: bool = False,
) -> list[Cell]:
    """Lay out the grid.

    Parameters
    ----------
    recipes : sequence of str
        Names or paths. What the packaged grid says of a recipe holds unless the other arguments say otherwise.
    protocols : sequence of str, optional
        Default: those of the grid's row; for other recipes all but ``leave-one-speaker-out``.
    seeds : sequence of int, optional
        Default: those of the grid's row; for other recipes 0.
    folds : int, optional
        How many of the five folds are run; default: those of the row, or one for the random protocols (a stratified
        80/20 split) and all for the others.
    epochs : int, optional
        Longest training; default: that of the row.
    full : bool
        Whole training and all seeds of the protocols, whatever the row says of epochs.

    Returns
    -------
    list of Cell

    Raises
    ------
    RecipeError
        If a recipe cannot be read.
    TrainingError
        If a protocol or a number is none.
    """
    for protocol in protocols or ():
        if protocol not in PROTOCOLS:
            raise TrainingError(f"Unknown protocol '{protocol}': expected some of {', '.join(PROTOCOLS)}.")
    if folds is not None and not 1 <= folds <= N_FOLDS:
        raise TrainingError(f"There are {N_FOLDS} folds, got {folds}: give 1 to {N_FOLDS}.")
    grid = read_grid()
    default = next(iter(grid.values())).folds
    cells, taken = [], set()
    for name in recipes:
        row = grid.get(name, Row(name, cells={p: (0,) for p in PROTOCOLS if p in default}, folds=default))
        whole = load_recipe(name)
        if whole.name in taken:
            raise RecipeError(f"Two recipes are called '{whole.name}': give each a name of its own.")
        taken.add(whole.name)
        cap = epochs or (None if full else row.epochs)
        recipe = whole if cap is None else whole.shortened(cap)
        reduced = None if recipe.epochs == whole.epochs else f"{recipe.epochs} of {whole.epochs} epochs"
        for protocol in protocols or row.cells:
            number = folds or row.folds.get(protocol, N_FOLDS)
            for seed in seeds or row.cells.get(protocol, (0,)):
                cells.append(Cell(row, recipe, protocol, seed, tuple(range(number)), reduced))
    return cells


def estimate(cells: Sequence[Cell], corpus: Corpus, root: Path) -> list[tuple[int, float | None]]:
    """Folds that are still to run and their seconds, one pair a cell; None where nothing is known.

    Known are the finished folds of the same recipe and protocol among ``cells``, or else what the grid says.
    """
    spent: dict[tuple[str, str], list[float]] = {}
    for cell in cells:
        for file in cell.folder(root, corpus).glob("folds/fold-*/fold.json"):
            seconds = float(json.loads(file.read_text("utf-8"))["seconds"])
            spent.setdefault((cell.recipe.hash, cell.protocol), []).append(seconds)
    found = []
    for cell in cells:
        folder = cell.folder(root, corpus)
        todo = sum(not runs.finished(folder, k) for k in cell.folds)
        own = spent.get((cell.recipe.hash, cell.protocol))
        per_fold = float(np.mean(own)) if own else cell.row.seconds
        found.append((todo, 0.0 if not todo else None if per_fold is None else todo * per_fold))
    return found


def run(
    cells: Sequence[Cell],
    corpus: Corpus,
    root: Path,
    *,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Run the cells one after the other; finished ones are read, interrupted ones resumed.

    Parameters
    ----------
    cells : sequence of Cell
    corpus : Corpus
    root : Path
        Folder of the runs.
    n_jobs : int
        Threads.
    progress : callable, optional
        As of :func:`serkit.training.run_evaluation`.

    Yields
    ------
    Outcome
        One a cell. A cell that fails says so, and the others go on.
    """
    splits: dict[tuple[Any, ...], Split] = {}
    for cell in cells:
        copies = {"n_copies": cell.recipe.augment.copies} if cell.recipe.augment else {}
        key = (cell.protocol, cell.seed, *copies.values())
        try:
            if key not in splits:
                splits[key] = make_split(corpus, cell.protocol, seed=cell.seed, n_folds=N_FOLDS, **copies)
            yield Outcome(cell, _finished_or_run(cell, corpus, splits[key], root, n_jobs, progress))
        except SerkitError as error:
            yield Outcome(cell, None, str(error))


def _finished_or_run(
    cell: Cell, corpus: Corpus, split: Split, root: Path, n_jobs: int, progress: Progress | None
) -> runs.Run:
    folder = cell.folder(root, corpus)
    begun = runs.begun(folder)
    found = runs.read(folder, cell.recipe, corpus, split, cell.folds) if begun else None
    if found is not None:
        return found
    return run_evaluation(
        cell.recipe, corpus, split, folder, folds=cell.folds, resume=begun, n_jobs=n_jobs, progress=progress
    )


def collect(outcomes: Sequence[Outcome], corpus: Corpus) -> dict[str, Any]:
    """Put outcomes together to the document that stands in ``results.json``.

    Returns
    -------
    dict
        ``format``, ``date``, ``serkit``, ``corpus``, ``environment``; ``cells``, one a run; ``rows``, one a recipe and
        protocol: means over the seeds with 95 % intervals over speakers (the clips of all seeds, speakers drawn with
        replacement); ``paired``, the tests between recipes under ``speaker`` with p-values adjusted for their number
        (Holm, 1979); ``failed``, the cells without a run.
    """
    done = [(outcome.cell, outcome.run) for outcome in outcomes if outcome.run is not None]
    by_row: dict[tuple[str, str], list[tuple[Cell, runs.Run]]] = {}
    for cell, finished in done:
        by_row.setdefault((cell.recipe.name, cell.protocol), []).append((cell, finished))
    cells = [_cell(cell, finished) for cell, finished in done]
    return {
        "format": 1,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "serkit": serkit.__version__,
        "corpus": runs.corpus_title(corpus),
        "environment": environment(),
        "cells": cells,
        "rows": [_row(members) for members in by_row.values()],
        "paired": _paired([cell for cell in cells if cell["protocol"] == "speaker"]),
        "failed": [
            {
                "recipe": outcome.cell.recipe.name,
                "protocol": outcome.cell.protocol,
                "seed": outcome.cell.seed,
                "error": outcome.error,
            }
            for outcome in outcomes
            if outcome.error is not None
        ],
    }


def _cell(cell: Cell, finished: runs.Run) -> dict[str, Any]:
    document = finished.results
    metrics = document["metrics"]
    return {
        "recipe": cell.recipe.name,
        "system": cell.recipe.system or "serkit",
        "recipe_hash": document["recipe_hash"],
        "reported": cell.row.reported,
        "reported_as": cell.row.reported_as,
        **{key: document[key] for key in ("protocol", "seed", "split_hash", "folds", "folds_run", "warning", "date")},
        "reduced": cell.reduced,
        "n_clips": metrics["n_clips"],
        **{key: metrics[key] for key in ("accuracy", "uar", "f1_macro", "f1_weighted", "intervals", "ece")},
        "recall": {label: scores["recall"] for label, scores in metrics["per_class"].items()},
        "channels": metrics["groups"]["channel"],
        "speakers": metrics["groups"]["speaker"],
        "choices": document["choices"],
        "seconds": document["time"]["folds"],
    }


def _row(members: Sequence[tuple[Cell, runs.Run]]) -> dict[str, Any]:
    cell, first = members[0]
    documents = [finished.results["metrics"] for _, finished in members]
    tables = pd.concat([finished.predictions for _, finished in members])
    labels = first.results["metrics"]["labels"]
    speakers, which = np.unique(tables["speaker"].to_numpy(dtype=str), return_inverse=True)
    truth, said = (pd.Index(labels).get_indexer(tables[name]) for name in ("emotion", "predicted"))
    n = len(labels)
    stack = np.bincount((which * n + truth) * n + said, minlength=len(speakers) * n * n).reshape(-1, n, n)
    drawn = scores_of(resample(stack, 1000, 0))
    recalls = {
        label: float(np.mean([metrics["per_class"][label]["recall"] for metrics in documents])) for label in labels
    }
    lowest = min(recalls, key=recalls.__getitem__)
    row: dict[str, Any] = {
        "recipe": cell.recipe.name,
        "system": cell.recipe.system or "serkit",
        "reported": cell.row.reported,
        "reported_as": cell.row.reported_as,
        "protocol": cell.protocol,
        "seeds": [member.seed for member, _ in members],
        "folds_run": len(cell.folds),
        "folds": first.results["folds"],
        "warning": first.results["warning"],
        "reduced": cell.reduced,
        "n_speakers": len(speakers),
        "recall": recalls,
        "lowest": {"label": lowest, "recall": recalls[lowest]},
        "channels": {
            channel: {
                score: float(np.mean([m["groups"]["channel"][channel][score] for m in documents]))
                for score in ("accuracy", "uar")
            }
            for channel in documents[0]["groups"]["channel"]
        },
    }
    for score in ("accuracy", "uar", "f1_weighted", "ece"):
        values = [metrics[score] for metrics in documents]
        row[score] = float(np.mean(values))
        row[f"{score}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
        if score in drawn:
            row[f"{score}_interval"] = [float(q) for q in np.quantile(drawn[score], [0.025, 0.975])]
    return row


def _paired(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every pair of recipes on the seeds and speakers that both were tested with."""
    by_recipe: dict[str, dict[int, Mapping[str, Any]]] = {}
    for cell in cells:
        by_recipe.setdefault(cell["recipe"], {})[cell["seed"]] = cell["speakers"]
    tests: list[dict[str, Any]] = []
    for a, b in combinations(by_recipe, 2):
        seeds = sorted(set(by_recipe[a]) & set(by_recipe[b]))
        sides = [_by_speaker([by_recipe[name][seed] for seed in seeds]) for name in (a, b)]
        shared = set(sides[0]) & set(sides[1])
        if len(shared) < MIN_SPEAKERS:
            continue
        result = paired_test(*({speaker: side[speaker] for speaker in shared} for side in sides))
        tests.append({"a": a, "b": b, "seeds": seeds, **vars(result)})
    for test, p_value in zip(tests, holm([test["p_value"] for test in tests]), strict=True):
        test["p_holm"] = p_value
    return tests


def _by_speaker(tables: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Each speaker's accuracy, averaged over the seeds in which the speaker was tested."""
    found: dict[str, list[float]] = {}
    for table in tables:
        for speaker, scores in table.items():
            found.setdefault(speaker, []).append(scores["accuracy"])
    return {speaker: float(np.mean(values)) for speaker, values in found.items()}
