"""``ser adapt``: recordings made at one place in, its profile out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serkit.cli import app
from serkit.cli.options import DeviceOption, ForceOption, ModelOption, RecursiveOption, check_output
from serkit.cli.runs import Tally, progress, report_skipped
from serkit.errors import SerkitError

if TYPE_CHECKING:
    from serkit.recognition.prediction import Prediction
    from serkit.recognition.profile import Profile
    from serkit.recognition.recognizer import Recognizer


@app.command()
def adapt(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Recordings, or folders of them.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE.json", help="Profile to write.")] = None,
    model: ModelOption = "default",
    device: DeviceOption = "auto",
    recursive: RecursiveOption = False,
    channel: Annotated[
        str,
        typer.Option(
            "--channel",
            metavar="CHANNEL",
            help="Which of several channels: mix, left, right, a number, or each (every channel counts).",
        ),
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the profile as JSON and nothing else.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Leave out truncated recordings.")] = False,
    force: ForceOption = False,
) -> None:
    """Make a profile of a place (microphone, room, language, style) for ser predict --profile.

    At least 20 recordings with speech are needed, 50 are better, and at most 1,000 are used, chosen evenly. Give
    recordings as varied in mood as those to be answered; recordings that are all of one mood are refused. A profile
    holds no audio and no file names.

    Exit code 0: all recordings were used. 1: some failed or are truncated; all that could be read was used. 2: wrong
    usage, or no profile.
    """
    if out is None and not as_json:
        raise typer.BadParameter("Say where the profile should go, as in --out here.json, or use --json.")
    if out is not None:
        check_output(out, force=force)
    from serkit.audio import check_channel
    from serkit.recognition.inputs import find_inputs
    from serkit.recognition.recognizer import load
    from serkit.terminal import printable

    if "-" in paths:
        raise typer.BadParameter("A place needs many recordings: give files or folders, not standard input.")
    heard = check_channel(channel, each=True)
    recognizer = load(model, device=device)
    others: list[Path] = []
    inputs = find_inputs(paths, recursive=recursive, skipped=others.append)
    report_skipped(others)
    tally = Tally()
    try:
        profile = adapted_to(recognizer, inputs, channel=heard, strict=strict, tally=tally)
    except KeyboardInterrupt:
        typer.echo(f"ser: interrupted after {tally.total} recordings; no profile was written.", err=True)
        raise typer.Exit(130) from None
    finally:
        tally.report(used="used")
    if out is not None:
        profile.save(out)
    if as_json:
        typer.echo(profile.to_json(), nl=False)
    else:
        typer.echo(f"Profile: {printable(str(out))} ({profile.utterances} recordings, {profile.seconds:.1f} s)")
    raise typer.Exit(1 if tally.failed or tally.truncated else 0)


def adapted_to(
    recognizer: Recognizer,
    inputs: Sequence[str | os.PathLike[str] | Prediction | None],
    *,
    channel: Any,
    strict: bool,
    tally: Tally | None = None,
) -> Profile:
    """Make a profile of the place of these recordings, with progress and remarks on standard error.

    Parameters
    ----------
    recognizer : Recognizer
    inputs : sequence of path or Prediction
        Of :func:`serkit.recognition.inputs.find_inputs`.
    channel, strict
        As for :meth:`serkit.Recognizer.adapt`.
    tally : Tally, optional
        Counts the recordings for a report that the caller prints. Without it, failures are printed only where they
        leave too few recordings.
    """
    from serkit.recognition.adapt import MOST, Adaptation, evenly

    made, counts = Adaptation(recognizer), Tally() if tally is None else tally
    chosen = evenly([item for item in inputs if item is not None])
    if len(chosen) < len(inputs):
        typer.echo(f"ser: {MOST:,} of {len(inputs):,} recordings, chosen evenly, make the profile.", err=True)
    for rows in progress(made.hear(chosen, channel=channel, strict=strict), len(chosen)):
        counts.add(rows)
    try:
        profile = made.profile()
    except SerkitError:
        if tally is None:
            counts.report(used="used")
        raise
    if remark := made.remark():
        typer.echo(f"ser: {remark}", err=True)
    return profile
