"""The models that :func:`serkit.predict` keeps loaded."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from serkit.bundle import locate
from serkit.recognition.recognizer import load

if TYPE_CHECKING:
    from serkit.recognition.recognizer import Recognizer

__all__ = ["MAX_LOADED", "recognizer_of"]

#: How many models are kept; the one that was not used for the longest time makes room.
MAX_LOADED = 4

_State: TypeAlias = "tuple[tuple[str, int, int, int], ...]"
_loaded: OrderedDict[Path, tuple[_State, Recognizer]] = OrderedDict()
_lock = threading.Lock()


def recognizer_of(model: str | os.PathLike[str]) -> Recognizer:
    """Return the model, loaded now or before: as long as neither its place nor its files have changed.

    Parameters
    ----------
    model : str or path
        As for :func:`serkit.load`.

    Raises
    ------
    BundleError
        As for :func:`serkit.load`.
    """
    place = locate(model).resolve()
    with _lock:
        state = _state(place)  # before it is read: a change in between shows at the next call
        before = _loaded.pop(place, None)
        kept = before if before is not None and before[0] == state else (state, load(place))
        _loaded[place] = kept
        while len(_loaded) > MAX_LOADED:
            _loaded.popitem(last=False)
        return kept[1]


def _state(place: Path) -> _State:
    """Name, size, time of change and number of each file: what tells a changed bundle without reading it."""
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    found = ((file.name, file.stat()) for file in files)
    return tuple((name, facts.st_size, facts.st_mtime_ns, facts.st_ino) for name, facts in found)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it at the fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
