"""List the recordings that files and folders contain; what cannot be opened becomes a failure among the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from serkit import audio
from serkit.audio import folders
from serkit.errors import AudioError, SerkitError
from serkit.recognition.prediction import Prediction
from serkit.recognition.sources import failure

__all__ = ["find_inputs", "scan"]


def find_inputs(
    paths: Iterable[str | os.PathLike[str]],
    *,
    recursive: bool = False,
    skipped: Callable[[Path], object] = bool,
) -> list[str | os.PathLike[str] | Prediction]:
    """List the recordings that files and folders contain; what cannot be found or opened becomes a failure.

    Parameters
    ----------
    paths : iterable of path
        Files, whatever they hold, and folders, whose files are judged by content.
    recursive : bool
        Also look into sub-folders and linked folders.
    skipped : callable, optional
        Called with each file of a folder that is not a recording.

    Returns
    -------
    list of path or Prediction
        In the given order: files as they were given, a folder's recordings sorted.
    """
    found: list[str | os.PathLike[str] | Prediction] = []
    for path in paths:
        try:
            if not os.fspath(path):  # an unset shell variable, which pathlib would read as the current folder
                raise AudioError("An empty path names no recording: give a file or a folder.")
            items = scan(Path(path), recursive, skipped)
            found += items if Path(path).is_dir() else [path]
        except (SerkitError, OSError) as error:
            found.append(failure(path, error))
    return found


def scan(path: Path, recursive: bool, skipped: Callable[[Path], object] = bool) -> list[Path | Prediction]:
    """As ``find_audio``, but unreadable sub-folders become failures among the rest instead of ending the run."""
    if not path.is_dir():
        return [*audio.find_audio(path)]
    found = folders.scan(path, recursive=recursive)
    if not found.recordings and not (recursive and found.errors):
        return [*audio.find_audio(path, recursive=recursive)]  # reports what is wrong
    for other in found.skipped:
        skipped(other)
    return [*found.recordings, *(failure(error.filename, error) for error in found.errors)]
