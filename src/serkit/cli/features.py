"""``ser features``: what is measured in the voices of recordings, as a table, CSV or JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from serkit import terminal
from serkit.cli import app
from serkit.cli.options import RecursiveOption, StrictOption, refuse_recording
from serkit.cli.runs import Tally, progress, report_skipped
from serkit.cli.standard_input import standard_input

if TYPE_CHECKING:
    from serkit.recognition.feature_rows import FeatureRow


@app.command()
def features(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Recordings, folders, or - for a recording on standard input."),
    ],
    csv: Annotated[str | None, typer.Option("--csv", metavar="FILE", help="Write rows as CSV; - prints them.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of rows and nothing else.")] = False,
    frames: Annotated[
        bool, typer.Option("--frames", help="With --csv: a row for every 23 ms instead of one for each recording.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --csv if it exists.")] = False,
    recursive: RecursiveOption = False,
    channel: Annotated[
        str,
        typer.Option("--channel", metavar="CHANNEL", help="Which of several channels: mix, left, right or a number."),
    ] = "auto",
    strict: StrictOption = False,
) -> None:
    """Measure voices: pitch, jitter, shimmer, harmonics to noise, formants and the spectrum; no model is used.

    Only voiced sound is measured: pauses, breath and hiss do not count, and silence is "no speech". The table shows the
    measures of the voice; CSV and JSON hold all measures.

    Exit code 0: all are measured. 1: some failed or are truncated; standard error names them. 2: wrong usage or no
    recording.
    """
    if as_json and csv is not None:
        raise typer.BadParameter("--json and --csv exclude each other.")
    if frames and csv is None:
        raise typer.BadParameter("--frames needs --csv: a table of frames would be too long to read.")
    if force and csv is None:
        raise typer.BadParameter("--force needs --csv.")
    from serkit.audio import check_channel
    from serkit.recognition.feature_rows import FRAME_COLUMNS, ROW_COLUMNS, measure, to_table
    from serkit.recognition.inputs import find_inputs
    from serkit.recognition.prediction import Prediction

    heard = check_channel(channel)
    if csv not in (None, "-"):
        refuse_recording(str(csv))
    others: list[Path] = []
    with contextlib.ExitStack() as stack:

        def piped() -> BinaryIO:
            return stack.enter_context(standard_input())

        inputs = [
            item
            for path in paths
            for item in ([piped] if path == "-" else find_inputs([path], recursive=recursive, skipped=others.append))
        ]
        put = _writer(stack, csv, as_json, frames, FRAME_COLUMNS if frames else ROW_COLUMNS, force)
        report_skipped(others)
        shown: list[FeatureRow] = []
        tally = Tally()
        try:
            for row in progress(measure(inputs, channel=heard, strict=strict), len(inputs)):
                row = row if row.path else replace(row, path="-")
                put(row) if put else shown.append(row)
                tally.add([row])
        except KeyboardInterrupt:
            tally.interrupted = True
    if any(row.found for row in shown):
        console = terminal.console()
        console.print(to_table(shown, unicode=console.encoding.lower().startswith("utf")))
    tally.report(used="measured")
    if tally.interrupted:
        typer.echo(f"ser: interrupted after {tally.total} of {len(inputs)} recordings; their rows are kept.", err=True)
        raise typer.Exit(130)
    if all(isinstance(item, Prediction) for item in inputs):
        raise typer.Exit(2)
    raise typer.Exit(1 if tally.failed or tally.truncated else 0)


def _writer(
    stack: contextlib.ExitStack,
    csv: str | None,
    as_json: bool,
    frames: bool,
    columns: tuple[str, ...],
    force: bool,
) -> Callable[[FeatureRow], None] | None:
    """Return what writes a row; None if a table is shown at the end."""
    if csv is not None:
        from serkit.recognition.csv_text import CsvFile

        file = stack.enter_context(CsvFile(csv, columns, force=force))
        return lambda row: file.write_rows(row.frames() if frames else [row.to_dict().values()])
    return stack.enter_context(_json()) if as_json else None


@contextlib.contextmanager
def _json() -> Iterator[Callable[[FeatureRow], None]]:
    """Print a JSON list, each row as it comes."""
    before = ["[\n"]

    def put(row: FeatureRow) -> None:
        print(before[0] + row.json(), end="", flush=True)
        before[0] = ",\n"

    try:
        yield put
    finally:
        print("[]" if before[0] == "[\n" else "\n]", flush=True)
