"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from serkit.recognition.profile import Profile
    from serkit.recognition.recognizer import Recognizer

__all__ = [
    "AddressOption",
    "Cluster",
    "DeviceOption",
    "DropOption",
    "EngineOption",
    "ForceOption",
    "FormatOption",
    "LabelsOption",
    "MinConfidenceOption",
    "ModelOption",
    "PartitionOption",
    "RecursiveOption",
    "SkipBrokenOption",
    "StrictOption",
    "TimeoutOption",
    "WorkersOption",
    "check_engine",
    "check_output",
    "profile_for",
    "refuse_recording",
]

ForceOption = Annotated[bool, typer.Option("--force", help="Replace what --out names if it exists.")]

ModelOption = Annotated[str, typer.Option("--model", "-m", help="Name of a packaged model, or a bundle.")]

DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="Where the model runs: cpu, cuda (an NVIDIA GPU; extra gpu), or auto: the GPU if there is one.",
    ),
]

RecursiveOption = Annotated[
    bool, typer.Option("--recursive", "-r", help="Also look into sub-folders and linked folders.")
]

StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse truncated recordings instead of answering what is there.")
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
        help="Answer only with these of the model's labels, separated by commas: neutral,happy,sad,angry; calm=neutral "
        "adds the probability of calm to that of neutral. By default all.",
    ),
]

_SCALE = "On many machines"

EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="ray",
        help="ray: divide the work among workers; --out is then a folder of partitions.",
        rich_help_panel=_SCALE,
    ),
]

AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="Address of a Ray cluster; by default RAY_ADDRESS, or the cores of this machine.",
        rich_help_panel=_SCALE,
    ),
]

FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="Format of the partitions: parquet (the default), csv or jsonl.",
        rich_help_panel=_SCALE,
    ),
]

PartitionOption = Annotated[
    int | None,
    typer.Option("--partition", min=1, metavar="N", help="Recordings in a partition.", rich_help_panel=_SCALE),
]

WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        metavar="N",
        help="At most this many workers; by default one per core.",
        rich_help_panel=_SCALE,
    ),
]

TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.1,
        metavar="S",
        help="How long to wait for an object store, seconds; by default 60.",
        rich_help_panel=_SCALE,
    ),
]


class Cluster(NamedTuple):
    """The options of ``--engine ray`` that the commands over recordings share."""

    address: str | None
    format: str | None
    partition: int | None
    workers: int | None
    timeout: float | None

    def given(self) -> dict[str, object]:
        """Return each option with its value."""
        return {f"--{name}": value for name, value in self._asdict().items()}


def check_engine(engine: str | None, given: Mapping[str, object], refused: Mapping[str, object]) -> None:
    """Refuse an engine that does not exist, and options that are not for this one.

    Parameters
    ----------
    engine : str or None
    given : mapping
        Options of ``--engine ray`` -> their values, None or False if they are left out.
    refused : mapping
        The options that it does not take.
    """
    if engine not in (None, "ray"):
        raise typer.BadParameter(f"There is no engine '{engine}': give --engine ray, or leave it out.")
    wrong = [name for name, value in (refused if engine else given).items() if value not in (None, False)]
    if wrong:
        needs = "is not for --engine ray, which writes rows to the folder of --out" if engine else "needs --engine ray"
        raise typer.BadParameter(f"{wrong[0]} {needs}.")


SkipBrokenOption = Annotated[
    bool, typer.Option("--skip-broken", help="Leave out recordings that cannot be read; the report lists them.")
]

DropOption = Annotated[
    str | None, typer.Option("--drop", metavar="LABELS", help="Leave out clips of these labels: calm,disgust.")
]


LabelMapOption = Annotated[
    Path | None,
    typer.Option(
        "--label-map",
        metavar="FILE",
        help="A CSV of two columns, a label and what it becomes; drop leaves its clips out: frustrated,angry.",
    ),
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
