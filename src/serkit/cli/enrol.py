"""``ser enrol``: recordings of one person in, the profile of a voice out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serkit.cli import app
from serkit.cli.options import DeviceOption, ForceOption, ModelOption, check_output
from serkit.cli.runs import count
from serkit.cli.standard_input import standard_input


@app.command()
def enrol(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDING...", help="Recordings of one person, folders, or - for a recording on standard input."
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE.json", help="Profile to write.")] = None,
    model: ModelOption = "default",
    device: DeviceOption = "auto",
    channel: Annotated[
        str,
        typer.Option(
            "--channel",
            metavar="CHANNEL",
            help="The person's channel, if recordings have several: mix, left, right or a number.",
        ),
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the profile as JSON and nothing else.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a truncated recording.")] = False,
    force: ForceOption = False,
) -> None:
    """Make a profile of a person's voice for ser predict --profile.

    At least 3 s of speech is needed; the first 30 s are used. Give utterances as varied in mood as those to be
    answered: their average becomes the person's zero point. A profile holds no audio and no file names.

    Exit code 0: all recordings were used. 1: some are truncated; what could be read was used.
    """
    if out is None and not as_json:
        raise typer.BadParameter("Say where the profile should go, as in --out voice.json, or use --json.")
    if out is not None:
        check_output(out, force=force)
    from serkit.audio import check_channel
    from serkit.recognition.recognizer import load
    from serkit.terminal import printable

    side, broken = check_channel(channel), list[str]()
    sources = (standard_input() if name == "-" else name for name in recordings)
    profile = load(model, device=device).enrol(*sources, channel=side, on_break=None if strict else broken.append)
    if out is not None:
        profile.save(out)
    if as_json:
        typer.echo(profile.to_json(), nl=False)
    else:
        heard = count(profile.utterances, "utterance", "utterances")
        typer.echo(f"Profile: {printable(str(out))} ({heard}, {profile.seconds:.1f} s)")
    for reason in broken:
        typer.echo(f"ser: {printable(reason)} What could be read was used.", err=True)
    if broken:
        raise typer.Exit(1)
