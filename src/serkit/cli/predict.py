"""``ser predict``: recordings in, a table, JSON or a file of rows out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TypeAlias

import typer

from serkit import terminal
from serkit.cli import app
from serkit.cli.options import (
    AddressOption,
    Cluster,
    DeviceOption,
    EngineOption,
    FormatOption,
    LabelsOption,
    MinConfidenceOption,
    ModelOption,
    PartitionOption,
    RecursiveOption,
    StrictOption,
    TimeoutOption,
    WorkersOption,
    check_engine,
    check_output,
    profile_for,
    refuse_recording,
)
from serkit.cli.runs import Tally, count, progress, report_skipped
from serkit.errors import SerkitError
from serkit.recognition.rows import CsvWriter, JsonWriter, to_table

if TYPE_CHECKING:
    from serkit.recognition.prediction import Prediction
    from serkit.recognition.recognizer import Recognizer

    Item: TypeAlias = "str | os.PathLike[str] | Prediction | None"  # None: standard input


@app.command()
def predict(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Recordings, folders, or - for a recording on standard input."),
    ],
    model: ModelOption = "default",
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of rows and nothing else.")] = False,
    csv: Annotated[str | None, typer.Option("--csv", metavar="FILE", help="Write rows as CSV; - prints them.")] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write each row at once to FILE.csv, .jsonl or .parquet."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the --out of a run that was stopped, or add to a finished one.")
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="With --resume: try recordings that failed again and replace their rows."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --out or --csv if it exists.")] = False,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            min=1,
            metavar="N",
            help="How many probabilities to give; if left out, 3 in the table, all in JSON.",
        ),
    ] = None,
    recursive: RecursiveOption = False,
    channel: Annotated[
        str,
        typer.Option(
            "--channel",
            metavar="CHANNEL",
            help="Which of several channels: mix (their mean), left, right, a number, or each (a row per channel). "
            "By default the mix, or the channel with the voice where the mix would lose it.",
        ),
    ] = "auto",
    min_confidence: MinConfidenceOption = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="FILE.json",
            help="A profile of the voice (ser enrol) or of the place (ser adapt) of all recordings.",
        ),
    ] = None,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt", help="First adapt to these recordings, 20 or more, as ser adapt does; reads them twice."
        ),
    ] = False,
    labels: LabelsOption = None,
    affect: Annotated[
        bool,
        typer.Option("--affect", help="Add valence and arousal to the table, derived from the probabilities."),
    ] = False,
    rate: Annotated[
        int | None,
        typer.Option("--rate", metavar="HZ", help="Standard input is raw PCM: 16 bits, little-endian, mono."),
    ] = None,
    strict: StrictOption = False,
    engine: EngineOption = None,
    address: AddressOption = None,
    form: FormatOption = None,
    partition: PartitionOption = None,
    workers: WorkersOption = None,
    timeout: TimeoutOption = None,
) -> None:
    """Recognise the emotion in recordings.

    Exit code 0: all are answered (unsure is an answer). 1: some failed or are truncated, now or in the rows that
    --resume keeps; standard error names them. 2: wrong usage or no recording.
    """
    cluster = Cluster(address, form, partition, workers, timeout)
    check_engine(
        engine,
        cluster.given(),
        {"--json": as_json, "--csv": csv, "--top": top, "--affect": affect, "--rate": rate, "--adapt": adapt},
    )
    if as_json + (csv is not None) + (out is not None) > 1:
        raise typer.BadParameter("--json, --csv and --out exclude each other.")
    if resume and out is None:
        raise typer.BadParameter("--resume needs --out: give the file of the run to continue.")
    if retry_failed and not resume:
        raise typer.BadParameter("--retry-failed needs --resume: it tries the failed rows of an earlier run again.")
    if force and resume:
        raise typer.BadParameter("--force and --resume exclude each other: the file is replaced, or continued.")
    if force and out is None and csv is None:
        raise typer.BadParameter("--force needs --out or --csv.")
    if top is not None and (csv is not None or out is not None):
        raise typer.BadParameter("--top is for the table and --json; a file has all labels.")
    if affect and (as_json or csv is not None or out is not None):
        raise typer.BadParameter("--affect is for the table; JSON and files always hold derived valence and arousal.")
    if rate is not None and paths != ["-"]:
        raise typer.BadParameter("--rate is for standard input: give - as the only recording.")
    if adapt and profile is not None:
        raise typer.BadParameter(
            "--adapt and --profile exclude each other: adapt to these recordings, or use a profile."
        )
    if adapt and "-" in paths:
        raise typer.BadParameter("--adapt reads the recordings twice, which standard input does not allow: give files.")
    from serkit.audio import check_channel
    from serkit.recognition.inputs import find_inputs
    from serkit.recognition.prediction import Prediction, check_confidence
    from serkit.recognition.recognizer import load

    if min_confidence is not None:
        check_confidence(min_confidence)
    heard = check_channel(channel, each=True)
    recognizer = load(model, device="cpu" if engine else device).among(labels)
    least = recognizer.least(min_confidence)
    known = profile_for(recognizer, profile)
    made_with = {"min_confidence": least, **({"profile": known.key} if known else {})}
    made_with |= {} if heard == "auto" else {"channel": heard}
    made_with |= {} if recognizer.choice is None else {"labels": list(recognizer.choice.spelled)}
    made_with |= {"strict": True} if strict else {}
    if engine is not None:
        from serkit.cli.scaled import Again, answer_on_ray

        asked = {"min_confidence": least, "profile": known, "channel": heard, "strict": strict}
        how: dict[str, Any] = {"asked": asked, "options": made_with, "recursive": recursive}
        recognizer = recognizer.sent_to(device)
        raise typer.Exit(answer_on_ray(recognizer, paths, out, cluster, Again(resume, retry_failed, force), **how))
    for target in (out, csv):
        if target not in (None, "-"):
            refuse_recording(str(target))
    inputs: list[Item] = []
    others: list[Path] = []
    for path in paths:
        found = [None] if path == "-" else find_inputs([path], recursive=recursive, skipped=others.append)
        inputs += found
    if adapt:
        from serkit.cli.adapt import adapted_to

        if not resume:
            for target in (out, csv):
                if target not in (None, "-"):  # before the recordings are heard, not after
                    check_output(str(target), force=force)
        known = adapted_to(recognizer, inputs, channel=heard, strict=strict)
        made_with["profile"] = known.key
    rows: list[Prediction] = []  # of the table, whose column widths depend on all rows
    tally = Tally()
    with contextlib.ExitStack() as stack:
        answers = None

        def put(*group: Prediction) -> None:
            rows.extend(group)

        if out is not None:
            from serkit.recognition.answer_file import AnswerFile

            answers = stack.enter_context(
                AnswerFile(
                    out,
                    recognizer.bundle,
                    options=made_with,
                    labels=recognizer.columns,
                    resume=resume,
                    retry_failed=retry_failed,
                    force=force,
                )
            )
            put = answers.write
        elif as_json:
            put = stack.enter_context(JsonWriter(top=top)).write
        elif csv is not None:
            put = stack.enter_context(CsvWriter(csv, recognizer.columns, force=force)).write
        report_skipped(others)
        left = inputs if answers is None else list(answers.left(inputs))
        if answers is not None and answers.kept:
            again = "they are not among the inputs" if retry_failed else "--retry-failed tries them again"
            failed = f" ({answers.kept_failures} failed; {again})" if answers.kept_failures else ""
            there = count(answers.kept, "row is", "rows are")
            rest = count(len(left), "recording is", "recordings are")
            typer.echo(f"ser: {there} there already{failed}, {rest} left.", err=True)
        try:
            asked = {"min_confidence": least, "profile": known, "channel": heard, "strict": strict}
            for group in progress(_answers(recognizer, left, stack, rate=rate, **asked), len(left)):
                put(*group)
                tally.add(group)
            if answers is not None:
                answers.finish()
        except KeyboardInterrupt:
            tally.interrupted = True
    if any(row.error is None for row in rows):
        console = terminal.console()
        unicode = console.encoding.lower().startswith("utf")
        shown: dict[str, Any] = {"unicode": unicode, "show_affect": affect}
        shown |= {"labelled": bool(recognizer.labels), "dimensions": tuple(recognizer.manifest.dimensions)}
        console.print(to_table(rows, top=top or 3, **shown))
    tally.report(rest_in=out)
    if tally.interrupted:
        kept = "their answers are kept" if answers is None else f"--resume continues {terminal.printable(str(out))}"
        if answers is not None and answers.earlier_stays:
            kept = (
                f"{kept}, and the earlier file stays until it is finished" if tally.total else "the file is unchanged"
            )
        typer.echo(f"ser: interrupted after {tally.total} of {len(left)} recordings; {kept}.", err=True)
        raise typer.Exit(130)
    if all(isinstance(item, Prediction) for item in inputs):
        raise typer.Exit(2)
    raise typer.Exit(1 if tally.failed or tally.truncated or (answers is not None and answers.kept_failures) else 0)


def _answers(
    recognizer: Recognizer, inputs: Sequence[Item], stack: contextlib.ExitStack, *, rate: int | None, **asked: Any
) -> Iterator[list[Prediction]]:
    """Answer each input; None is standard input, which is read when its turn comes and kept until the stack closes."""
    if list(inputs) == [None]:
        yield _pipe(recognizer, stack, rate, asked)
        return

    def standard_input() -> BinaryIO:
        from serkit.cli.standard_input import standard_input

        return stack.enter_context(standard_input())

    sources = (standard_input if item is None else item for item in inputs)
    for item, rows in zip(inputs, recognizer.rows_of(sources, **asked), strict=True):
        yield [replace(row, path="-") for row in rows] if item is None else rows


def _pipe(
    recognizer: Recognizer, stack: contextlib.ExitStack, rate: int | None, asked: dict[str, Any]
) -> list[Prediction]:
    """Answer standard input while it comes, in this thread, so that Ctrl-C need not wait for the end of the pipe."""
    from serkit.cli.standard_input import live_input
    from serkit.recognition.sources import failure

    try:
        found: Any = recognizer.predict(live_input(rate, stack), **asked)
    except (SerkitError, OSError) as error:
        found = failure(None, error)
    return [replace(row, path="-") for row in (found if isinstance(found, list) else [found])]
