"""``--mlflow [URI]``: runs in a store of MLflow."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from serkit.compare.tracked import TrackedGrid
    from serkit.training.tracking import Tracker

__all__ = ["MlflowOption", "TracksRuns", "close_comparison", "close_tracker", "open_tracker", "show_pages"]

MlflowOption = Annotated[
    str | None,
    typer.Option(
        "--mlflow",
        metavar="[URI]",
        help="Log to MLflow: to a server (http://...) or a database; by default MLFLOW_TRACKING_URI, else the file "
        "runs/mlflow.db.",
    ),
]


class TracksRuns(TyperCommand):
    """A command whose ``--mlflow`` may be followed by an address."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give ``--mlflow`` an empty value where no address follows it."""
        end = args.index("--") if "--" in args else len(args)
        words = [
            "--mlflow=" if word == "--mlflow" and at < end and not _is_store((*args, "")[at + 1]) else word
            for at, word in enumerate(args)
        ]
        return super().parse_args(ctx, words)


def _is_store(word: str) -> bool:
    return word == "databricks" or re.match(r"[A-Za-z][A-Za-z0-9+]+:/", word) is not None


def open_tracker(uri: str | None) -> Tracker | None:
    """Return the store that ``--mlflow`` names, None without it; say so if it does not answer yet."""
    if uri is None:
        return None
    from serkit.training.tracking import Tracker

    tracker = Tracker(uri or None)
    if tracker.problem is not None:
        print(
            f"Warning: the tracking store {tracker.uri} cannot be used now ({tracker.problem}): it is tried again at "
            "the end.",
            file=sys.stderr,
        )
    return tracker


def close_tracker(tracker: Tracker | None, remedy: str, *, code: int = 1) -> None:
    """Log what is still missing, and say where it is; `remedy` says which command would log it later.

    Raises
    ------
    typer.Exit
        With `code`, if the store lacks something.
    """
    if tracker is None:
        return
    problem = tracker.close()
    if problem is None:
        print(f"Logged to {tracker.uri}", file=sys.stderr)
        return
    print(f"ser: {problem}: once it answers, {remedy}.", file=sys.stderr)
    raise typer.Exit(code)


def show_pages(tracked: TrackedGrid, pages: Sequence[Path], document: Mapping[str, Any], *, as_json: bool) -> None:
    """Log the pages of a comparison, name them on stderr and, if asked, print its results as JSON."""
    tracked.pages(pages)
    for path in pages:
        print(f"Wrote {path}", file=sys.stderr)
    if as_json:
        print(json.dumps(document, indent=2, ensure_ascii=False))


def close_comparison(tracker: Tracker | None, *, stopped: bool, failed: bool) -> None:
    """Log what is still missing of a comparison, and end the command.

    Raises
    ------
    typer.Exit
        130 after Ctrl-C, else 1 if a part failed or the store lacks something.
    """
    close_tracker(tracker, "the same command logs what is finished", code=130 if stopped else 1)
    if stopped or failed:
        raise typer.Exit(130 if stopped else 1)
