"""``ser predict``: recordings in, a table, JSON or CSV out."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from serkit.cli import app

if TYPE_CHECKING:
    from serkit.prediction import Prediction
    from serkit.recognizer import Recognizer

_SHOW_PROGRESS = 20  # recordings; fewer are done before a bar is read


@app.command()
def predict(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Recordings, folders, or - for a recording on standard input."),
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Name of a packaged model, or a bundle.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of rows and nothing else.")] = False,
    csv: Annotated[str | None, typer.Option("--csv", metavar="FILE", help="Write rows as CSV; - prints them.")] = None,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            min=1,
            metavar="N",
            help="How many probabilities to give; if left out, 3 in the table, all in JSON.",
        ),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Also look into sub-folders.")] = False,
    min_confidence: Annotated[
        float,
        typer.Option("--min-confidence", metavar="P", help="Answer unsure instead of an emotion less probable than P."),
    ] = 0.0,
    affect: Annotated[
        bool,
        typer.Option("--affect", help="Add valence and arousal to the table, derived from the probabilities."),
    ] = False,
) -> None:
    """Tell the emotion in recordings.

    Exit code 0: all are answered, also by unsure. 1: some failed; standard error gives the reasons. 2: wrong usage or
    no recording.
    """
    if as_json and csv is not None:
        raise typer.BadParameter("--json and --csv exclude each other.")
    if csv is not None and top is not None:
        raise typer.BadParameter("--top goes with the table and --json; CSV has a column for each label.")
    if affect and (as_json or csv is not None):
        raise typer.BadParameter("--affect goes with the table; JSON and CSV always hold derived valence and arousal.")
    from serkit import output
    from serkit.inputs import find_inputs
    from serkit.prediction import Prediction, check_confidence
    from serkit.recognizer import load

    check_confidence(min_confidence)
    recognizer = load(model)
    inputs: list[str | os.PathLike[str] | Prediction | None] = []
    for path in paths:
        inputs += [None] if path == "-" else find_inputs([path], recursive=recursive)
    rows: list[Prediction] = []
    interrupted = False
    with output.CsvWriter(csv, recognizer.labels) if csv is not None else contextlib.nullcontext() as writer:
        try:
            for row in _progress(_answers(recognizer, inputs, min_confidence), len(inputs)):
                rows.append(row)
                if writer is not None:
                    writer.write(row)
        except KeyboardInterrupt:
            interrupted = True
    if as_json:
        typer.echo(output.to_json(rows, top=top))
    elif csv is None and any(row.error is None for row in rows):
        console = output.console()
        unicode = console.encoding.lower().startswith("utf")
        console.print(output.to_table(rows, top=top or 3, unicode=unicode, show_affect=affect))
    failed = [row for row in rows if row.error is not None]
    _report(failed, len(rows))
    if interrupted:
        typer.echo(f"ser: interrupted after {len(rows)} of {len(inputs)} recordings; their answers are kept.", err=True)
        raise typer.Exit(130)
    if all(isinstance(item, Prediction) for item in inputs):
        raise typer.Exit(2)
    raise typer.Exit(1 if failed else 0)


def _answers(
    recognizer: Recognizer, inputs: list[str | os.PathLike[str] | Prediction | None], min_confidence: float
) -> Iterator[Prediction]:
    """Answer each input; None is standard input, read when its turn comes."""
    sources = (sys.stdin.buffer.read() if item is None else item for item in inputs)
    for item, row in zip(inputs, recognizer.predict_iter(sources, min_confidence=min_confidence), strict=True):
        yield replace(row, path="-") if item is None else row


def _progress(rows: Iterator[Prediction], total: int) -> Iterator[Prediction]:
    """Show a bar with pace and time left on a terminal's standard error, if there is much to do."""
    if total <= _SHOW_PROGRESS or not sys.stderr.isatty():
        yield from rows
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Pace(TextColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} files/s" if task.speed else "")

    columns = (BarColumn(), MofNCompleteColumn(), Pace(""), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("predict", total=total)
        for row in rows:
            progress.advance(task)
            yield row


def _report(failed: list[Prediction], total: int) -> None:
    """List the failures and their reasons on standard error."""
    from serkit.output import printable

    if failed:
        typer.echo(f"ser: {len(failed)} of {total} inputs failed:", err=True)
    for row in failed:
        typer.echo(f"  {printable(row.path or '-')}: {printable(row.error or '')}", err=True)
