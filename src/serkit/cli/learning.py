"""What the commands that learn share: options, the recipe that is read first, and the scores on the terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from serkit.training.recipe import Recipe

RecipeArgument = Annotated[str, typer.Argument(help="A packaged recipe ('ser recipes') or the path of a .toml file.")]
DataOption = Annotated[Path, typer.Option("--data", envvar="SERKIT_DATA", help="Folder with the labelled recordings.")]
CorpusOption = Annotated[
    str | None,
    typer.Option(
        "--corpus",
        "--kind",
        help="A published corpus (ser data list), several joined by +, folders or manifest; recognised if left out.",
    ),
]
ChannelOption = Annotated[str, typer.Option(help="speech, song or both.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of splits, augmentation and models.")]
TargetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="COLUMN",
        help="A column of numbers to learn from your own table, such as arousal; may be repeated.",
    ),
]
JobsOption = Annotated[int, typer.Option(min=1, help="Number of threads.", show_default="all cores")]

JOBS = os.cpu_count() or 1


def ready_recipe(name: str) -> Recipe:
    """Read a recipe, and its encoder: one that is missing is noticed before any recording is read."""
    from serkit.training.recipe_files import load_recipe

    recipe = load_recipe(name)
    assert recipe.front_end is not None
    return recipe


def tell(note: str) -> None:
    """Say something on standard error."""
    print(note, file=sys.stderr)


def print_ratings(document: dict[str, Any]) -> None:
    """Print the scores of numbers: what ``ratings.json`` holds."""
    table = Table("number", "CCC", "95 % interval", "correlation", "RMSE", "clips", "speakers")
    for name, row in document["dimensions"].items():
        low, high = row["ccc_interval"]
        numbers = f"{row['ccc']:.2f}", f"{low:.2f} to {high:.2f}", f"{row['correlation']:.2f}", f"{row['rmse']:.3g}"
        table.add_row(name, *numbers, str(row["n_clips"]), str(row["n_speakers"]))
    console = Console(markup=False)
    by = "speakers that the model had not heard" if document["protocol"] == "speaker" else "clips held out"
    console.print(f"Numbers, on {by} (protocol {document['protocol']}, {document['folds']} folds):")
    console.print(table)


def print_summary(document: dict[str, Any]) -> None:
    """Print the scores of labels: what ``results.json`` holds."""
    from serkit.evaluation.report import summary_table

    console = Console(markup=False)
    console.print(summary_table(document))
    per_class = Table("emotion", "recall", "precision", "F1", "clips")
    for label, row in document["metrics"]["per_class"].items():
        shown = ("–" if row[key] is None else f"{row[key]:.1%}" for key in ("recall", "precision", "f1"))
        per_class.add_row(label, *shown, str(row["support"]))
    console.print(per_class)
