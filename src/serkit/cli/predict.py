"""``ser predict``: recordings in, a table, JSON or a file of rows out."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from serkit import terminal
from serkit.cli import app
from serkit.recognition.rows import CsvWriter, JsonWriter, to_table

if TYPE_CHECKING:
    from serkit.recognition.prediction import Prediction
    from serkit.recognition.profile import Profile
    from serkit.recognition.recognizer import Recognizer

    Item: TypeAlias = "str | os.PathLike[str] | Prediction | None"  # None: standard input

_SHOW_PROGRESS = 20  # recordings; fewer are done before a bar is read
_SAY_PROGRESS = 30.0  # s; between lines where no terminal shows a bar


@app.command()
def predict(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Recordings, folders, or - for a recording on standard input."),
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Name of a packaged model, or a bundle.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of rows and nothing else.")] = False,
    csv: Annotated[str | None, typer.Option("--csv", metavar="FILE", help="Write rows as CSV; - prints them.")] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write rows as they come to FILE.csv, .jsonl or .parquet."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the --out of a run that was stopped, or add to one.")
    ] = False,
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
    speaker: Annotated[
        str | None,
        typer.Option("--speaker", metavar="FILE.json", help="Who speaks in all of them: a profile of ser enrol."),
    ] = None,
    affect: Annotated[
        bool,
        typer.Option("--affect", help="Add valence and arousal to the table, derived from the probabilities."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse recordings that break off instead of answering what is there.")
    ] = False,
) -> None:
    """Tell the emotion in recordings.

    Exit code 0: all are answered, also by unsure. 1: some failed or break off; standard error says which. 2: wrong
    usage or no recording.
    """
    if as_json + (csv is not None) + (out is not None) > 1:
        raise typer.BadParameter("--json, --csv and --out exclude each other.")
    if resume and out is None:
        raise typer.BadParameter("--resume goes with --out: give the file of the run to go on with.")
    if top is not None and (csv is not None or out is not None):
        raise typer.BadParameter("--top goes with the table and --json; a file has all labels.")
    if affect and (as_json or csv is not None or out is not None):
        raise typer.BadParameter(
            "--affect goes with the table; JSON and files always hold derived valence and arousal."
        )
    from serkit.recognition.inputs import find_inputs
    from serkit.recognition.prediction import Prediction, check_confidence
    from serkit.recognition.recognizer import load

    check_confidence(min_confidence)
    recognizer = load(model)
    profile = None
    if speaker is not None:
        from serkit.recognition.profile import Profile

        profile = Profile.load(speaker)
        profile.check(recognizer.manifest)
    rows: list[Prediction] = []  # of the table, whose columns are as wide as its widest row
    tally = _Tally()
    with contextlib.ExitStack() as stack:
        put, results = rows.append, None
        if out is not None:
            from serkit.recognition.answer_file import ResultFile

            made_with = {"min_confidence": min_confidence, **({"speaker": profile.key} if profile else {})}
            results = stack.enter_context(ResultFile(out, recognizer.bundle, options=made_with, resume=resume))
            put = results.write
        elif as_json:
            put = stack.enter_context(JsonWriter(top=top)).write
        elif csv is not None:
            put = stack.enter_context(CsvWriter(csv, recognizer.labels)).write
        inputs: list[Item] = []
        for path in paths:
            inputs += [None] if path == "-" else find_inputs([path], recursive=recursive)
        left = inputs if results is None else list(results.left(inputs))
        if results is not None and results.kept:
            typer.echo(f"ser: {results.kept} rows are there already, {len(left)} recordings are left.", err=True)
        try:
            for row in _progress(_answers(recognizer, left, min_confidence, profile, strict), len(left)):
                put(row)
                tally.add(row)
            if results is not None:
                results.finish()
        except KeyboardInterrupt:
            tally.interrupted = True
    if any(row.error is None for row in rows):
        console = terminal.console()
        unicode = console.encoding.lower().startswith("utf")
        console.print(to_table(rows, top=top or 3, unicode=unicode, show_affect=affect))
    if tally.failed:
        reasons = ((row.path or "-", row.error or "") for row in tally.first)
        heading = f"ser: {tally.failed} of {tally.total} inputs failed"
        terminal.print_failures(heading, reasons, total=tally.failed, rest_in=out)
    if tally.truncated:
        ends = ((row.path or "-", f"It breaks off after {row.end:.2f} s.") for row in tally.first_truncated)
        heading = f"ser: {tally.truncated} of {tally.total} inputs are truncated, what could be read is answered"
        terminal.print_failures(heading, ends, total=tally.truncated, rest_in=out)
    if tally.interrupted:
        kept = f"--resume goes on with {terminal.printable(out)}" if out is not None else "their answers are kept"
        typer.echo(f"ser: interrupted after {tally.total} of {len(left)} recordings; {kept}.", err=True)
        raise typer.Exit(130)
    if all(isinstance(item, Prediction) for item in inputs):
        raise typer.Exit(2)
    raise typer.Exit(1 if tally.failed or tally.truncated or (results is not None and results.kept_failures) else 0)


@dataclass
class _Tally:
    """What a run comes to. Only the first failures are kept: a million of them would fill the memory."""

    total: int = 0
    failed: int = 0
    truncated: int = 0
    first: list[Prediction] = field(default_factory=list)
    first_truncated: list[Prediction] = field(default_factory=list)
    interrupted: bool = False

    def add(self, row: Prediction) -> None:
        self.total += 1
        if row.error is not None:
            self.failed += 1
            if self.failed <= terminal.MOST_FAILURES:
                self.first.append(row)
        elif "truncated" in row.warnings:
            self.truncated += 1
            if self.truncated <= terminal.MOST_FAILURES:
                self.first_truncated.append(row)


def _answers(
    recognizer: Recognizer, inputs: Sequence[Item], min_confidence: float, speaker: Profile | None, strict: bool
) -> Iterator[Prediction]:
    """Answer each input; None is standard input, read when its turn comes."""
    sources = (sys.stdin.buffer.read() if item is None else item for item in inputs)
    rows = recognizer.predict_iter(sources, min_confidence=min_confidence, speaker=speaker, strict=strict)
    for item, row in zip(inputs, rows, strict=True):
        yield replace(row, path="-") if item is None else row


def _progress(rows: Iterator[Prediction], total: int) -> Iterator[Prediction]:
    """Show pace and time left on standard error if there is much to do: on a terminal a bar, else lines."""
    if total <= _SHOW_PROGRESS:
        yield from rows
        return
    if not sys.stderr.isatty():
        yield from _progress_lines(rows, total)
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


def _progress_lines(rows: Iterator[Prediction], total: int) -> Iterator[Prediction]:
    start = said = monotonic()
    for done, row in enumerate(rows, start=1):
        yield row
        now = monotonic()
        if now - said >= _SAY_PROGRESS:
            said, pace = now, done / (now - start)
            left = timedelta(seconds=round((total - done) / pace))
            typer.echo(f"ser: {done} of {total} recordings, {pace:.1f} files/s, {left} left", err=True)
