"""List the recordings that files and folders contain; what cannot be opened becomes a failure among the others."""

from __future__ import annotations

import numbers
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from serkit import audio
from serkit.audio import folders
from serkit.errors import AudioError, SerkitError
from serkit.recognition.prediction import Prediction, path_of

__all__ = ["failure", "find_inputs", "many", "scan"]


def find_inputs(
    paths: Iterable[str | os.PathLike[str]],
    *,
    recursive: bool = False,
    passed_over: Callable[[Path], object] = bool,
) -> list[str | os.PathLike[str] | Prediction]:
    """List the recordings that files and folders contain; what cannot be found or opened becomes a failure.

    Parameters
    ----------
    paths : iterable of path
        Files, whatever they hold, and folders, whose files are judged by content.
    recursive : bool
        Also look into sub-folders and linked folders.
    passed_over : callable, optional
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
            items = scan(Path(path), recursive, passed_over)
            found += items if Path(path).is_dir() else [path]
        except (SerkitError, OSError) as error:
            found.append(failure(path, error))
    return found


def scan(path: Path, recursive: bool, passed_over: Callable[[Path], object] = bool) -> list[Path | Prediction]:
    """As ``find_audio``, but unreadable sub-folders become failures among the rest instead of ending the run."""
    if not path.is_dir():
        return [*audio.find_audio(path)]
    found = folders.scan(path, recursive=recursive)
    if not found.recordings and not (recursive and found.errors):
        return [*audio.find_audio(path, recursive=recursive)]  # reports what is wrong
    for other in found.passed_over:
        passed_over(other)
    return [*found.recordings, *(failure(error.filename, error) for error in found.errors)]


def many(source: Any) -> Iterable[Any] | None:
    """Return the recordings if `source` is a collection of them, None if it is one recording or a path.

    Arrays, Series and tensors of numbers are one recording; those of text or of paths are many.

    Raises
    ------
    AudioError
        If it is a list of samples.
    """
    if isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview, audio.Waveform, Mapping)):
        return None
    if hasattr(source, "read") or not hasattr(source, "__iter__"):
        return None
    if hasattr(source, "__array__"):
        values = np.asarray(source)
        if values.dtype == object and values.size and all(isinstance(item, numbers.Number) for item in values.flat):
            raise AudioError("An array of Python numbers is not a recording: convert it by array.astype('float32').")
        return values.tolist() if values.dtype.kind in "OUT" and values.ndim == 1 else None
    if isinstance(source, (list, tuple)) and _all_numbers(source):
        raise AudioError("A list is read as a list of recordings: for samples, use np.array(samples).")
    return cast("Iterable[Any]", source)


def _all_numbers(items: Sequence[Any]) -> bool:
    return bool(items) and all(isinstance(item, numbers.Number) for item in items)


def failure(source: object, error: Exception) -> Prediction:
    """Return the row of a recording that failed."""
    if isinstance(error, SerkitError):
        reason = str(error)
    elif isinstance(error, OSError):
        reason = f"{error.strerror or error}."
    elif isinstance(error, MemoryError):
        reason = "Not enough memory to answer this recording."
    else:
        reason = f"It could not be answered ({type(error).__name__}: {error})."
    return Prediction(path_of(source), 0.0, 0.0, None, None, {}, error=reason)
