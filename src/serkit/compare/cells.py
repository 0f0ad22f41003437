"""The parts of a comparison: rows of the grid, their cells, and the outcome of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from serkit.training.recipe import Recipe
from serkit.training.run_folder import Run

if TYPE_CHECKING:
    from serkit.corpora import Corpus

__all__ = ["Cell", "Outcome", "Row"]


@dataclass(frozen=True)
class Row:
    """A recipe in the grid.

    Attributes
    ----------
    recipe : str
        Name, or path of a TOML file.
    reported : float or None
        The accuracy that the system's authors reported, in [0, 1]; ``reported_as`` describes it.
    cells : mapping
        Protocol -> seeds.
    folds : mapping
        Protocol -> how many of the five folds to run.
    epochs : int or None
        Longest training; a recipe with more epochs runs on a reduced schedule, which every table marks.
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
        """Return the folder of its run."""
        short = f"-e{self.recipe.epochs}" if self.reduced else ""
        return root / f"{self.recipe.name}-{corpus.name}-{self.protocol}-{self.seed}{short}"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a cell: a finished run, or the sentence that says why there is none."""

    cell: Cell
    run: Run | None
    error: str | None = None
