"""Which recordings files and folders stand for; what cannot be opened is a failure beside the others."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from serkit import audio
from serkit.errors import AudioError, SerkitError
from serkit.recognition.prediction import Prediction

__all__ = ["failure", "find_inputs", "scan"]


def find_inputs(
    paths: Iterable[str | os.PathLike[str]], *, recursive: bool = False
) -> list[str | os.PathLike[str] | Prediction]:
    """List the recordings that files and folders stand for; what cannot be found or opened becomes a failure.

    Parameters
    ----------
    paths : iterable of path
        Files, whatever their suffix, and folders.
    recursive : bool
        Also look into sub-folders.

    Returns
    -------
    list of path or Prediction
        In the given order: files as they were given, a folder's recordings sorted.
    """
    found: list[str | os.PathLike[str] | Prediction] = []
    for path in paths:
        try:
            if not os.fspath(path):  # an unset shell variable, which pathlib takes for the current folder
                raise AudioError("An empty path names no recording: give a file or a folder.")
            items = scan(Path(path), recursive)
            found += items if Path(path).is_dir() else [path]
        except (SerkitError, OSError) as error:
            found.append(failure(path, error))
    return found


def scan(path: Path, recursive: bool) -> list[Path | Prediction]:
    """As ``find_audio``, but sub-folders that may not be read are failures among the rest instead of the end of all."""
    if not recursive or not path.is_dir():
        return [*audio.find_audio(path)]
    locked: list[OSError] = []
    files: list[Path | Prediction] = []
    for folder, subfolders, names in os.walk(path, onerror=locked.append):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if any(Path(name).suffix.lower() in audio.AUDIO_SUFFIXES for name in names if not name.startswith(".")):
            files += audio.find_audio(folder)
    files.sort(key=lambda item: item.as_posix() if isinstance(item, Path) else "")
    if not files and not locked:
        return [*audio.find_audio(path, recursive=True)]  # says what is wrong
    return [*files, *(failure(error.filename, error) for error in locked)]


def failure(source: object, error: Exception) -> Prediction:
    """Return the row of a recording that failed."""
    path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
    if isinstance(error, SerkitError):
        reason = str(error)
    elif isinstance(error, OSError):
        reason = f"{error.strerror or error}."
    elif isinstance(error, MemoryError):
        reason = "Not enough memory to answer this recording."
    else:
        reason = f"It could not be answered ({type(error).__name__}: {error})."
    return Prediction(path, 0.0, 0.0, None, None, {}, error=reason)
