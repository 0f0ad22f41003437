"""The models that :func:`serkit.predict` keeps loaded."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

__all__ = ["Loaded"]

_T = TypeVar("_T")
_State: TypeAlias = "tuple[tuple[str, int, int, int], ...]"


class Loaded(Generic[_T]):
    """Keep what was loaded from files or folders until their path or content changes.

    Parameters
    ----------
    load : callable
        Called with the resolved path of a file or folder.
    most : int
        How many are kept; the least recently used one is dropped first.
    """

    def __init__(self, load: Callable[[Path], _T], *, most: int = 4) -> None:
        self._load = load
        self._most = most
        self._kept: OrderedDict[Path, tuple[_State, _T]] = OrderedDict()
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def get(self, path: Path) -> _T:
        """Return what `path` holds; may be called from several threads at once."""
        place = path.resolve()
        with self._lock:
            state = _state(place)  # before it is loaded: a change in between shows at the next call
            before = self._kept.pop(place, None)
            found = before if before is not None and before[0] == state else (state, self._load(place))
            self._kept[place] = found
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return found[1]

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # another thread may have held the lock at the fork


def _state(place: Path) -> _State:
    """Name, size, time of change and inode of each file: these show that a bundle changed without reading it."""
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    found = ((file.name, file.stat()) for file in files)
    return tuple((name, facts.st_size, facts.st_mtime_ns, facts.st_ino) for name, facts in found)
