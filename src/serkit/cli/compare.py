"""``ser compare``."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from serkit.cli import app
from serkit.cli.cross_corpus import compare_corpora
from serkit.cli.extras import need_train, read_to_learn
from serkit.cli.learning import JOBS, ChannelOption, CorpusOption, DataOption, JobsOption
from serkit.cli.options import AddressOption, DropOption, LabelMapOption, SkipBrokenOption, check_engine
from serkit.cli.tracking import MlflowOption, TracksRuns, close_comparison, open_tracker, show_pages
from serkit.errors import TrainingError
from serkit.waiting import Waiting, duration

if TYPE_CHECKING:
    from serkit.compare.cells import Cell, Outcome


@app.command(cls=TracksRuns)
def compare(
    data: DataOption,
    recipes: Annotated[list[str] | None, typer.Argument(help="Packaged recipes, or paths of .toml files.")] = None,
    all_recipes: Annotated[bool, typer.Option("--all", help="Every packaged recipe, as planned in the grid.")] = False,
    corpus: CorpusOption = None,
    channel: ChannelOption = "both",
    drop: DropOption = None,
    label_map: LabelMapOption = None,
    skip_broken: SkipBrokenOption = False,
    protocols: Annotated[
        str | None,
        typer.Option(
            "--protocols",
            "--protocol",
            help="Protocols, separated by commas; default: as in the grid. cross-corpus, alone: each of several "
            "corpora against every other one.",
        ),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, separated by commas; default: as in the grid.")] = None,
    folds_run: Annotated[
        int | None,
        typer.Option(min=1, help="How many of the five folds to run; default: 1 for random protocols, else all."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Train for at most this many epochs: a reduced schedule.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="All epochs and folds, even where the grid has a reduced schedule.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="Folder of the runs; finished ones are not run again.")] = Path(
        "runs/compare"
    ),
    out: Annotated[
        Path, typer.Option(help="Folder for results.md, .json and .svg; under cross-corpus, cross-corpus.md, .csv too.")
    ] = Path(),
    add_to: Annotated[
        Path | None,
        typer.Option(
            "--add-to",
            metavar="FILE",
            help="A results.json of an earlier comparison: its rows stay in the table, except those measured now.",
        ),
    ] = None,
    jobs: JobsOption = JOBS,
    finished: Annotated[bool, typer.Option("--finished", help="Run nothing; tabulate the finished cells.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run and for how long.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json.")] = False,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="ray",
            help="ray: run the cells side by side on a cluster, whose machines share the folders of --data and --runs.",
        ),
    ] = None,
    address: AddressOption = None,
    mlflow: MlflowOption = None,
) -> None:
    """Train and test many recipes under several protocols; write a table and a picture.

    First shows what will run and for how long.

    Run the same command again to resume: finished folds are kept.

    A failed run is marked in the table, the others continue, and the exit code is 1. It is also 1 if not everything
    could be logged with --mlflow.
    """
    check_engine(engine, {"--address": address}, {})
    need_train("Training")
    from serkit.compare import earlier, grid
    from serkit.compare.cells import Outcome
    from serkit.compare.page import write
    from serkit.compare.scores import collect
    from serkit.compare.tracked import TrackedGrid
    from serkit.protocol import ONE_CORPUS
    from serkit.training.recipe_files import load_recipe

    if all_recipes == bool(recipes):
        raise TrainingError("Name recipes to compare, or use --all for every packaged one; 'ser recipes' lists them.")
    mapped = None if label_map is None else label_map.name
    beside = {"--corpus": corpus, "--drop": drop, "--label-map": mapped, "--skip-broken": skip_broken}
    tracker = None if dry_run else open_tracker(mlflow)
    wanted = [_number(text) for text in _parts(seeds) or ()]
    if ONE_CORPUS[0] in (_parts(protocols) or ()):
        settings = {"--all": all_recipes, "--folds-run": folds_run, "--full": full, "--add-to": add_to}
        _check_cross(_parts(protocols) or (), [name for name, value in settings.items() if value])
        names = list(recipes or [])
        compare_corpora(
            [load_recipe(name) for name in names],
            read_to_learn(data, corpus, channel, skip_broken=skip_broken, drop=drop, label_map=label_map),
            seeds=wanted or [0],
            epochs=epochs,
            runs=runs if channel == "both" else runs / channel,
            out=out,
            jobs=jobs,
            finished=finished,
            dry_run=dry_run,
            as_json=as_json,
            tracker=tracker,
            command=_command(names, channel, protocols, seeds, None, epochs, None, None, beside=beside),
        )
        return
    cells = grid.plan(
        list(grid.read_grid()) if all_recipes else recipes or [],
        protocols=_parts(protocols),
        seeds=wanted or None,
        folds=folds_run,
        epochs=epochs,
        full=full,
    )
    recordings = read_to_learn(data, corpus, channel, skip_broken=skip_broken, drop=drop, label_map=label_map)
    before = None if add_to is None else earlier.read(add_to, recordings, cells)
    cells = grid.capped(cells, recordings)
    if channel != "both":
        runs = runs / channel
    console = Console(stderr=True)
    times = grid.estimate(cells, recordings, runs)
    stale = grid.stale(cells, recordings, runs)
    if finished:
        done = [
            not todo and cell.folder(runs, recordings) not in stale
            for cell, (todo, _) in zip(cells, times, strict=True)
        ]
        cells = [cell for cell, is_done in zip(cells, done, strict=True) if is_done]
        times = [(0, 0.0)] * len(cells)
        if not cells:
            raise TrainingError(f"No cell of this grid is finished in {runs}: run the command without --finished.")
    console.print(_plan_table(cells, times, [cell.folder(runs, recordings) in stale for cell in cells]))
    todo = sum(folds for folds, _ in times)
    console.print(f"{_folds(todo)} to run, {_total(times)}." if todo else "Nothing left to run.", highlight=False)
    for folder in sorted(stale):
        print(f"ser: {folder} holds a run of another recipe: remove it or use another --runs.", file=sys.stderr)
    if dry_run:
        return
    command = _command(recipes, channel, protocols, seeds, folds_run, epochs, full, finished, beside=beside)
    outcomes: list[Outcome] = []
    with TrackedGrid(tracker, runs, [cell.folder(runs, recordings) for cell in cells], command) as tracked:
        try:
            with contextlib.ExitStack() as stack:
                if engine is None:
                    waiting = stack.enter_context(Waiting())
                    found = grid.run(cells, recordings, runs, n_jobs=jobs, progress=waiting)
                else:
                    from serkit.compare import ray_cells
                    from serkit.scale.session import session

                    dashboard = stack.enter_context(session(address))
                    waiting = stack.enter_context(Waiting())
                    if dashboard:
                        waiting.line(f"Ray's dashboard: {dashboard}")
                    found = ray_cells.run(cells, recordings, runs, n_jobs=jobs, progress=waiting)
                for k, outcome in enumerate(found, start=1):
                    outcomes.append(outcome)
                    left = _total(grid.estimate(cells, recordings, runs)[k:])
                    waiting.line(f"[{k}/{len(cells)}] {_line(outcome)} ({left} left)")
                    tracked.cell(outcome, recordings, runs)
        except KeyboardInterrupt:
            tracked.stopped = True
            also = grid.finished(cells[len(outcomes) :], recordings, runs)
            outcomes += also
            print(f"ser: interrupted; finished folds are kept in {runs}. The same command resumes.", file=sys.stderr)
        finally:
            if any(outcome.run is not None for outcome in outcomes):
                document = collect(outcomes, recordings, command=command, earlier=before)
                show_pages(tracked, write(document, out), document, as_json=as_json)
        if tracked.stopped:
            left_over = [Outcome(cell, None) for cell in grid.interrupted(cells, recordings, runs)]
            for outcome in (*also, *left_over):
                tracked.cell(outcome, recordings, runs)
    failed = any(outcome.error is not None for outcome in outcomes)
    close_comparison(tracker, stopped=tracked.stopped, failed=failed)


def _parts(text: str | None) -> list[str] | None:
    """Split at commas."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> int:
    if not text.isdecimal():
        raise TrainingError(f"--seeds takes integers from 0, separated by commas, got '{text}'.")
    return int(text)


def _check_cross(protocols: Sequence[str], settings: Sequence[str]) -> None:
    """Raise TrainingError for what cannot be said beside cross-corpus."""
    if len(protocols) > 1:
        raise TrainingError(f"cross-corpus is a matrix of its own, got {', '.join(protocols)}: give it alone.")
    if settings:
        raise TrainingError(f"{settings[0]} has no meaning under cross-corpus: leave it out, and name the recipes.")


def _command(
    recipes: Sequence[str] | None, channel: str, *rest: str | int | None, beside: Mapping[str, str | bool | None]
) -> str:
    """Return the command without the paths of this machine."""
    names = [Path(name).name if name.endswith(".toml") else name for name in recipes or ["--all"]]
    words = ["ser", "compare", *names, "--data", "DATA"]
    options = ("--channel", "--protocols", "--seeds", "--folds-run", "--epochs", "--full", "--finished")
    given = dict(zip(options, (None if channel == "both" else channel, *rest), strict=True))
    for option, value in {**beside, **given}.items():
        if value:
            words += [option] if value is True else [option, str(value)]
    return shlex.join(words)


def _folds(number: int) -> str:
    return "1 fold" if number == 1 else f"{number} folds"


def _total(times: Sequence[tuple[int, float | None]]) -> str:
    """Return the total time of the cells; folds of unknown length are counted separately."""
    known = sum(seconds for _, seconds in times if seconds is not None)
    unknown = sum(todo for todo, seconds in times if seconds is None)
    parts = [f"about {duration(known)}"] if known or not unknown else []
    return " and ".join([*parts, *([f"{_folds(unknown)} of unknown length"] if unknown else [])])


def _plan_table(cells: Sequence[Cell], times: Sequence[tuple[int, float | None]], stale: Sequence[bool]) -> Table:
    table = Table("recipe", "protocol", "seed", "folds to run", "estimate", box=None, pad_edge=False)
    for cell, (todo, seconds), other in zip(cells, times, stale, strict=True):
        name = f"{cell.recipe.name} ({cell.reduced})" if cell.reduced else cell.recipe.name
        if other:
            when = "another recipe's run"
        else:
            when = "finished" if not todo else "unknown" if seconds is None else duration(seconds)
        table.add_row(name, cell.protocol, str(cell.seed), f"{todo} of {len(cell.folds)}", when)
    return table


def _line(outcome: Outcome) -> str:
    from serkit.evaluation.left_out import headline

    cell = outcome.cell
    what = f"{cell.recipe.name}, {cell.protocol}, seed {cell.seed}"
    if outcome.run is None:
        return f"{what}: failed: {outcome.error}"
    metrics = headline(outcome.run.results)
    return f"{what}: accuracy {metrics['accuracy']:.1%}, UAR {metrics['uar']:.1%}"
