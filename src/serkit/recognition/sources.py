"""One recording or many, and the row of one that failed."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from serkit.errors import AudioError, SerkitError
from serkit.recognition.prediction import Prediction, path_of

__all__ = ["failure", "many"]


def many(source: Any) -> Iterable[Any] | None:
    """Return the recordings if `source` is a collection of them, None if it is one recording or a path.

    Arrays, Series and tensors of numbers are one recording; those of text or of paths are many.

    Raises
    ------
    AudioError
        If it is a list of samples.
    """
    if isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview, Mapping)):
        return None
    if hasattr(source, "read") or not hasattr(source, "__iter__"):
        return None
    if hasattr(source, "__array__"):
        import numpy as np  # not loaded by a client that sends files

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
