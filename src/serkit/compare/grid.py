"""A grid of runs: many recipes under several protocols and seeds."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit.compare.cells import Cell, Outcome, Row
from serkit.corpora.table import voice_names
from serkit.errors import RecipeError, SerkitError, TrainingError
from serkit.protocol import LEAVES_OUT, PROTOCOLS, Split, make_split
from serkit.protocol.emobox import FOLDS
from serkit.training import run_folder
from serkit.training.recipe_files import load_recipe, reduced
from serkit.training.run import run_evaluation

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from serkit.corpora import Corpus
    from serkit.training.feature_cache import FeatureCache
    from serkit.training.recipe import Recipe

__all__ = [
    "N_FOLDS",
    "Splits",
    "capped",
    "estimate",
    "finished",
    "finished_or_run",
    "interrupted",
    "n_folds",
    "plan",
    "read_finished",
    "read_grid",
    "run",
    "stale",
]

#: Folds of every split, or one per speaker where there are fewer; a row may run fewer of them.
N_FOLDS = 5
# Of corpora, more than there are; each is a fold.
_FOLDS_OF = {**dict.fromkeys(LEAVES_OUT, 100), "emobox": len(FOLDS)}

Progress = Callable[[dict[str, Any]], None]


def read_grid() -> dict[str, Row]:
    """Read the packaged grid, which ``ser compare --all`` runs: recipe -> row, in the order of the table.

    Examples
    --------
    >>> read_grid()["s3-cnn"].reported
    0.9393
    """
    data = _grid_file()
    folds = data["folds"]
    return {row["recipe"]: Row(**{**row, "folds": {**folds, **row.get("folds", {})}}) for row in data["row"]}


def _grid_file() -> dict[str, Any]:
    return tomllib.loads(resources.files("serkit.compare").joinpath("grid.toml").read_text("utf-8"))


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
        Names or paths. The packaged grid's settings for a recipe apply unless the other arguments override them.
    protocols : sequence of str, optional
        Default: those of the grid's row; for other recipes ``random``, ``augmented-random``, ``speaker`` and
        ``speaker+enrolled``.
    seeds : sequence of int, optional
        Default: those of the grid's row; for other recipes 0.
    folds : int, optional
        How many of the five folds to run; default: as in the row, or one for the random protocols (a stratified 80/20
        split) and all for the others.
    epochs : int, optional
        Longest training; default: that of the row.
    full : bool
        Full training and all folds of the speaker protocols, whatever the row says about epochs and folds.

    Returns
    -------
    list of Cell

    Raises
    ------
    RecipeError
        If a recipe cannot be read.
    TrainingError
        If a protocol is unknown, a number out of range, or nothing is left to run.
    """
    for protocol in protocols or ():
        if protocol not in PROTOCOLS:
            raise TrainingError(f"Unknown protocol '{protocol}': expected some of {', '.join(PROTOCOLS)}.")
    if folds is not None and not 1 <= folds <= N_FOLDS:
        raise TrainingError(f"There are {N_FOLDS} folds, got {folds}: give 1 to {N_FOLDS}.")
    grid = read_grid()
    default = _grid_file()["folds"]
    cells: list[Cell] = []
    taken: dict[str, str] = {}
    for name in recipes:
        row = grid.get(name, Row(name, cells={p: (0,) for p in PROTOCOLS if p in default}, folds=default))
        whole = load_recipe(name)
        if taken.get(whole.name) == whole.hash:  # such as a packaged recipe and what 'ser recipes show' printed of it
            continue
        if whole.name in taken:
            raise RecipeError(f"Two different recipes are called '{whole.name}': give each its own name.")
        taken[whole.name] = whole.hash
        recipe, cut = reduced(whole, epochs or (None if full else row.epochs))
        for protocol in dict.fromkeys(protocols or row.cells):
            number = folds or (default if full else row.folds).get(protocol, _FOLDS_OF.get(protocol, N_FOLDS))
            for seed in dict.fromkeys(seeds or row.cells.get(protocol, (0,))):
                cells.append(Cell(row, recipe, protocol, seed, tuple(range(number)), cut))
    if not cells:
        raise TrainingError(
            f"The grid has no protocols for {', '.join(recipes)}: name some, as in --protocols speaker."
        )
    return cells


def capped(cells: Sequence[Cell], corpus: Corpus) -> list[Cell]:
    """Leave out the folds that a corpus of few speakers does not have."""
    return [replace(cell, folds=tuple(k for k in cell.folds if k < n_folds(corpus, cell.protocol))) for cell in cells]


def n_folds(corpus: Corpus, protocol: str) -> int:
    """The folds of a split: five, or one per speaker where a corpus, or a part of a joined one, has fewer."""
    if protocol in ("random", "augmented-random"):
        return N_FOLDS
    if protocol == "emobox":
        return len(FOLDS)
    if protocol in LEAVES_OUT:
        return max(1, corpus.table["corpus"].nunique())
    table = corpus.table[corpus.table["speaker"] != ""]
    if protocol == "leave-one-speaker-out":
        return max(1, voice_names(table).nunique())
    fewest = table.groupby("corpus")["speaker"].nunique().min() if len(table) else 0
    return int(fewest) if 3 <= fewest < N_FOLDS else N_FOLDS


def stale(cells: Sequence[Cell], corpus: Corpus, root: Path) -> set[Path]:
    """Return the folders of cells that contain a run of another recipe, such as an earlier version of the same one."""
    folders = {cell.folder(root, corpus): cell.recipe.hash for cell in cells}
    return {
        folder
        for folder, own in folders.items()
        if run_folder.begun(folder) and run_folder.recipe_hash(folder) not in (own, None)
    }


def estimate(cells: Sequence[Cell], corpus: Corpus, root: Path) -> list[tuple[int, float | None]]:
    """Return the number of folds left to run and their seconds, one pair per cell; None if the time is unknown.

    The time comes from finished folds of the same recipe and protocol among ``cells``, or from the grid. Cells
    whose folder is :func:`stale` do not run.
    """
    spent: dict[tuple[str, str], list[float]] = {}
    others = stale(cells, corpus, root)
    for cell in cells:
        folder = cell.folder(root, corpus)
        for file in folder.glob("folds/fold-*/fold.json") if folder not in others else ():
            seconds = float(json.loads(file.read_text("utf-8"))["seconds"])
            spent.setdefault((cell.recipe.hash, cell.protocol), []).append(seconds)
    found: list[tuple[int, float | None]] = []
    for cell in cells:
        folder = cell.folder(root, corpus)
        if folder in others:
            found.append((0, 0.0))
            continue
        todo = sum(not run_folder.finished(folder, k) for k in cell.folds)
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
    """Run the cells one after another; finished ones are read, interrupted ones resumed.

    Parameters
    ----------
    cells : sequence of Cell
    corpus : Corpus
    root : Path
        Folder of the runs.
    n_jobs : int
        Threads.
    progress : callable, optional
        As for :func:`serkit.training.run.run_evaluation`.

    Yields
    ------
    Outcome
        One per cell. A failed cell has an error, and the others continue.
    """
    splits = Splits(corpus)
    for cell in cells:
        try:
            split, folder = splits.of(cell), cell.folder(root, corpus)
            found = finished_or_run(folder, cell.recipe, corpus, split, cell.folds, n_jobs=n_jobs, progress=progress)
            yield Outcome(cell, found)
        except SerkitError as error:
            yield Outcome(cell, None, str(error))


def finished(cells: Sequence[Cell], corpus: Corpus, root: Path) -> list[Outcome]:
    """Read the finished cells without running any; one that cannot be read has an error."""
    splits, found = Splits(corpus), []
    for cell in cells:
        split = partial(splits.of, cell)
        done, error = read_finished(cell.folder(root, corpus), cell.recipe, corpus, split, cell.folds)
        if done is not None or error is not None:
            found.append(Outcome(cell, done, error))
    return found


def read_finished(
    folder: Path, recipe: Recipe, corpus: Corpus, split: Callable[[], Split], folds: Sequence[int] | None = None
) -> tuple[run_folder.Run | None, str | None]:
    """The finished run in `folder`, of these folds or all, or why it cannot be read; neither if there is none."""
    if not run_folder.begun(folder):
        return None, None
    try:
        made = split()
        return run_folder.read(folder, recipe, corpus, made, range(made.n_folds) if folds is None else folds), None
    except TrainingError:  # the folder contains another run, so this one is not finished
        return None, None
    except SerkitError as error:  # such as a missing encoder: whether it is finished cannot be told
        return None, str(error)


def interrupted(cells: Sequence[Cell], corpus: Corpus, root: Path) -> list[Cell]:
    """Return the cells that were begun and are not finished."""
    splits, found = Splits(corpus), []
    for cell in cells:
        folder = cell.folder(root, corpus)
        with contextlib.suppress(SerkitError):  # the folder contains another run
            if run_folder.begun(folder) and not run_folder.read(
                folder, cell.recipe, corpus, splits.of(cell), cell.folds
            ):
                found.append(cell)
    return found


class Splits:
    """The splits of a corpus, each made once."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.made: dict[tuple[Any, ...], Split] = {}

    def of(self, cell: Cell) -> Split:
        copies = {"n_copies": cell.recipe.augment.copies} if cell.recipe.augment else {}
        return self.make(cell.protocol, cell.seed, **copies)

    def make(self, protocol: str, seed: int, **copies: int) -> Split:
        key = (protocol, seed, *copies.values())
        if key not in self.made:
            number = max(2, n_folds(self.corpus, protocol))
            self.made[key] = make_split(self.corpus, protocol, seed=seed, n_folds=number, **copies)
        return self.made[key]


def finished_or_run(
    folder: Path,
    recipe: Recipe,
    corpus: Corpus,
    split: Split,
    folds: Sequence[int],
    *,
    n_jobs: int = 1,
    progress: Progress | None = None,
    cache: FeatureCache | None = None,
) -> run_folder.Run:
    """Read the run in `folder` if it is finished; else run it, after its finished folds.

    Raises
    ------
    TrainingError
        If the folder holds something else, or as :func:`serkit.training.run.run_evaluation`.
    """
    begun = run_folder.begun(folder)
    if not begun and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TrainingError(f"{folder} exists but is not a run: remove it or use another --runs.")
    found = run_folder.read(folder, recipe, corpus, split, folds) if begun else None
    if found is not None:
        return found
    return run_evaluation(
        recipe,
        corpus,
        split,
        folder,
        folds=folds,
        resume=begun,
        n_jobs=n_jobs,
        cache=cache,
        progress=progress,
    )
