"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ForceOption", "LabelsOption", "check_output", "refuse_recording"]

ForceOption = Annotated[bool, typer.Option("--force", help="Replace what --out names if it exists.")]

LabelsOption = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="LABELS",
        help="Answer among these of the model's labels, with commas between: neutral,happy,sad,angry; calm=neutral "
        "adds the probability of calm to that of neutral. By default all.",
    ),
]


def refuse_recording(path: str | os.PathLike[str]) -> None:
    """Raise SerkitError if `path` is a recording: what serkit writes never replaces one."""
    from serkit.audio.folders import is_audio
    from serkit.errors import SerkitError

    place = Path(path)
    if place.is_file() and place.stat().st_size > 0 and is_audio(place):
        raise SerkitError(f"'{os.fspath(path)}' is a recording, which is never replaced: choose another name.")


def check_output(path: str | os.PathLike[str], *, force: bool) -> None:
    """Make sure that writing `path` replaces no recording and, without `force`, no file with content."""
    from serkit.files import check_new

    refuse_recording(path)
    check_new(path, force=force)
