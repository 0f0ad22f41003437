"""``ser compare``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from serkit.cli import app
from serkit.cli.extras import need_train
from serkit.cli.train import JOBS, Bars, CorpusOption, DataOption, JobsOption
from serkit.errors import TrainingError

if TYPE_CHECKING:
    from serkit.compare import Cell, Outcome


@app.command()
def compare(
    data: DataOption,
    recipes: Annotated[list[str] | None, typer.Argument(help="Packaged recipes, or paths of .toml files.")] = None,
    all_recipes: Annotated[bool, typer.Option("--all", help="Every packaged recipe, as the grid says.")] = False,
    corpus: CorpusOption = None,
    channel: Annotated[str, typer.Option(help="speech, song or both.")] = "both",
    protocols: Annotated[str | None, typer.Option(help="Separated by commas; default: those of the grid.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Separated by commas; default: those of the grid.")] = None,
    folds: Annotated[int | None, typer.Option(min=1, help="How many of the five folds to run.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Longest training: a reduced schedule.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Whole training, where the grid has a reduced schedule.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="Folder of the runs; finished ones are not run again.")] = Path(
        "runs/compare"
    ),
    out: Annotated[Path, typer.Option(help="Folder for results.md, results.json and results.svg.")] = Path(),
    jobs: JobsOption = JOBS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and how long, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json.")] = False,
) -> None:
    """Train and test many recipes under several protocols; write a table and a picture of all of them.

    The same command again goes on where it stopped: finished folds are kept.
    """
    need_train("Training")
    from serkit import compare as grid
    from serkit.compare_report import write
    from serkit.corpora import read_corpus

    if all_recipes == bool(recipes):
        raise TrainingError("Name recipes to compare, or give --all for every packaged one; 'ser recipes' lists them.")
    cells = grid.plan(
        list(grid.read_grid()) if all_recipes else recipes or [],
        protocols=_parts(protocols),
        seeds=[_number(text) for text in _parts(seeds) or ()] or None,
        folds=folds,
        epochs=epochs,
        full=full,
    )
    recordings = read_corpus(data, kind=corpus, channel=channel)
    if channel != "both":
        runs = runs / channel
    console = Console(stderr=True)
    times = grid.estimate(cells, recordings, runs)
    console.print(_plan_table(cells, times))
    console.print(f"{sum(todo for todo, _ in times)} folds to run, {_total(times)}.", highlight=False)
    if dry_run:
        return
    outcomes: list[grid.Outcome] = []
    try:
        with Bars() as bars:
            for k, outcome in enumerate(grid.run(cells, recordings, runs, n_jobs=jobs, progress=bars), start=1):
                outcomes.append(outcome)
                line = f"[{k}/{len(cells)}] {_line(outcome)}; {_total(times[k:])} left"
                bars.console.print(line, highlight=False, markup=False)
    except KeyboardInterrupt:
        print(f"ser: interrupted; finished folds are kept in {runs}. Go on with the same command.", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        if any(outcome.run is not None for outcome in outcomes):
            document = grid.collect(outcomes, recordings)
            for path in write(document, out):
                print(f"Wrote {path}", file=sys.stderr)
            if as_json:
                print(json.dumps(document, indent=2, ensure_ascii=False))
    if any(outcome.error is not None for outcome in outcomes):
        raise typer.Exit(1)


def _parts(text: str | None) -> list[str] | None:
    """What stands between the commas."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> int:
    if not text.isdecimal():
        raise TrainingError(f"--seeds takes whole numbers from 0 on, separated by commas, got '{text}'.")
    return int(text)


def _clock(seconds: float) -> str:
    """A rough time in words."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def _total(times: Sequence[tuple[int, float | None]]) -> str:
    """What the cells take together; folds of unknown length are counted."""
    known = sum(seconds for _, seconds in times if seconds is not None)
    unknown = sum(todo for todo, seconds in times if seconds is None)
    return f"about {_clock(known)}" + (f" and {unknown} folds of unknown length" if unknown else "")


def _plan_table(cells: Sequence[Cell], times: Sequence[tuple[int, float | None]]) -> Table:
    table = Table("recipe", "protocol", "seed", "folds to run", "estimate", box=None, pad_edge=False)
    for cell, (todo, seconds) in zip(cells, times, strict=True):
        name = f"{cell.recipe.name} ({cell.reduced})" if cell.reduced else cell.recipe.name
        when = "finished" if not todo else "unknown" if seconds is None else _clock(seconds)
        table.add_row(name, cell.protocol, str(cell.seed), f"{todo} of {len(cell.folds)}", when)
    return table


def _line(outcome: Outcome) -> str:
    cell = outcome.cell
    what = f"{cell.recipe.name}, {cell.protocol}, seed {cell.seed}"
    if outcome.run is None:
        return f"{what}: failed: {outcome.error}"
    metrics = outcome.run.results["metrics"]
    return f"{what}: accuracy {metrics['accuracy']:.1%}, UAR {metrics['uar']:.1%}"
