"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serkit.recognition.profile import Profile
    from serkit.recognition.recognizer import Recognizer

__all__ = [
    "DropOption",
    "ForceOption",
    "LabelsOption",
    "MinConfidenceOption",
    "ModelOption",
    "RecursiveOption",
    "SkipBrokenOption",
    "StrictOption",
    "check_output",
    "profile_for",
    "refuse_recording",
]

ForceOption = Annotated[bool, typer.Option("--force", help="Replace what --out names if it exists.")]

ModelOption = Annotated[str, typer.Option("--model", "-m", help="Name of a packaged model, or a bundle.")]

RecursiveOption = Annotated[
    bool, typer.Option("--recursive", "-r", help="Also look into sub-folders and linked folders.")
]

StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse recordings that break off instead of answering what is there.")
]

MinConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--min-confidence",
        metavar="P",
        help="Answer unsure if the emotion is less probable than P; if left out, the model's own limit. 0: never.",
    ),
]

LabelsOption = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="LABELS",
        help="Answer among these of the model's labels, with commas between: neutral,happy,sad,angry; calm=neutral "
        "adds the probability of calm to that of neutral. By default all.",
    ),
]


SkipBrokenOption = Annotated[
    bool, typer.Option("--skip-broken", help="Leave out recordings that cannot be read; the report lists them.")
]

DropOption = Annotated[
    str | None, typer.Option("--drop", metavar="LABELS", help="Leave out clips of these labels: calm,disgust.")
]


def profile_for(recognizer: Recognizer, path: str | os.PathLike[str] | None) -> Profile | None:
    """Read the profile that ``--profile`` names, which must be one of this model; None without one."""
    if path is None:
        return None
    from serkit.recognition.profile import Profile

    found = Profile.load(path)
    found.check(recognizer.manifest)
    return found


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
