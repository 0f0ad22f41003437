"""``ser explain``: what shaped the answer for one recording, as a page or as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from serkit.cli import app
from serkit.cli.options import DeviceOption, ForceOption, LabelsOption, ModelOption, check_output, profile_for
from serkit.cli.standard_input import standard_input
from serkit.errors import AudioError, SerkitError


@app.command()
def explain(
    clip: Annotated[str, typer.Argument(metavar="CLIP", help="A recording, or - for one on standard input.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="PAGE.html", help="Page to write.")] = None,
    emotion: Annotated[
        str | None, typer.Option("--emotion", "-e", metavar="LABEL", help="Explain this label instead of the answer.")
    ] = None,
    model: ModelOption = "default",
    device: DeviceOption = "auto",
    offset: Annotated[float, typer.Option("--offset", metavar="S", help="Start at this time, in seconds.")] = 0.0,
    duration: Annotated[
        float | None, typer.Option("--duration", metavar="S", help="How many seconds to explain; all by default.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="FILE.json", help="A profile of the voice (ser enrol) or of the place (ser adapt)."
        ),
    ] = None,
    labels: LabelsOption = None,
    channel: Annotated[
        str,
        typer.Option("--channel", metavar="CHANNEL", help="Which of several channels: mix, left, right or a number."),
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the effects as JSON and nothing else.")] = False,
    force: ForceOption = False,
) -> None:
    """Show which stretches and which frequency bands of a recording shaped the answer.

    Each part is covered in turn and the model answers again. The page is one file: open it in a browser.

    Exit code 0: explained. 1: the recording holds no speech, cannot be read or is truncated. 2: wrong usage or no
    recording.
    """
    if out is None and not as_json:
        raise typer.BadParameter("Say where the page should go, as in --out page.html, or use --json.")
    if not (math.isfinite(offset) and offset >= 0):
        raise typer.BadParameter(f"--offset must be 0 s or more, got {offset:g}.")
    if duration is not None and not (math.isfinite(duration) and duration > 0):
        raise typer.BadParameter(f"--duration must be more than 0 s, got {duration:g}.")
    from serkit.audio import check_channel
    from serkit.recognition.explain_page import findings, write_explanation
    from serkit.recognition.recognizer import load
    from serkit.terminal import printable

    heard = check_channel(channel)
    recognizer = load(model, device=device).among(labels)
    known = profile_for(recognizer, profile)
    if out is not None and out.is_dir():
        raise SerkitError(f"Cannot write '{out}': it is a folder.")
    if out is not None:
        check_output(out, force=force)
    source = standard_input() if clip == "-" else _file(clip)
    try:
        found = recognizer.explain(
            source, emotion=emotion, offset=offset, duration=duration, profile=known, channel=heard
        )
    except AudioError as error:
        if clip != "-" and not Path(clip).exists():
            raise
        typer.echo(f"ser: {printable(str(error))}", err=True)
        raise typer.Exit(1) from None
    if clip == "-":
        found = replace(found, prediction=replace(found.prediction, path="-"))
    if out is not None:
        try:
            write_explanation(found, out)
        except OSError as error:
            raise SerkitError(f"Cannot write '{out}': {error.strerror or error}.") from None
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
    else:
        for line in findings(found):
            typer.echo(line)
        typer.echo(f"Page: {printable(str(out))}")
    if "truncated" in found.prediction.warnings:
        typer.echo("ser: The recording is truncated; what could be read is explained.", err=True)
        raise typer.Exit(1)


def _file(clip: str) -> str:
    if not clip:  # an unset shell variable
        raise SerkitError("An empty path names no recording: give a file.")
    if Path(clip).is_dir():
        raise SerkitError(f"'{clip}' is a folder: ser explain takes one recording.")
    return clip
