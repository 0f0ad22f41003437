"""``ser enrol``: recordings of one person in, a speaker profile out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from serkit.cli import app
from serkit.cli.options import ForceOption
from serkit.cli.standard_input import standard_input
from serkit.files import check_new


@app.command()
def enrol(
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="RECORDING...", help="Recordings of one person, folders, or - for a recording on standard input."
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE.json", help="Profile to write.")] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Name of a packaged model, or a bundle.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print the profile as JSON and nothing else.")] = False,
    force: ForceOption = False,
) -> None:
    """Make a profile of a person's voice for ser predict --speaker.

    3 s of speech are needed; the first 30 s are used. Give utterances as varied as those to be judged: what they say
    on average becomes the person's zero point. A profile holds no audio and no file names.
    """
    if out is None and not as_json:
        raise typer.BadParameter("Say where the profile should go, as in --out voice.json, or ask for --json.")
    if out is not None:
        check_new(out, force=force)
    from serkit.recognition.recognizer import load
    from serkit.terminal import printable

    profile = load(model).enrol(*(standard_input() if name == "-" else name for name in recordings))
    if out is not None:
        profile.save(out)
    if as_json:
        typer.echo(json.dumps(profile.to_dict(), indent=2))
        return
    count = f"{profile.utterances} utterance{'s' if profile.utterances > 1 else ''}"
    typer.echo(f"Profile: {printable(str(out))} ({count}, {profile.seconds:.1f} s)")
