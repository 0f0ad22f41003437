"""The models that the service answers with."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from pathlib import Path

from serkit.bundle import locate
from serkit.devices import chosen
from serkit.errors import BundleError, SerkitError, nearest
from serkit.recognition.loaded import Loaded
from serkit.recognition.recognizer import Recognizer, load
from serkit.service.problems import Problem

__all__ = ["Models"]

_LOOK = 2.0  # s between two looks at the files
_log = logging.getLogger("serkit.service")


class Models:
    """Models by name, kept loaded; one whose files change is loaded again.

    A request gets one recognizer and keeps it, so that all of its answers come from one model. If the new files are
    not a whole model, the one before stays.

    Parameters
    ----------
    names : list of str
        Names of packaged models, or bundles. A bundle is asked for by the name of its file or folder.
    device : {"auto", "cpu", "cuda"}
        Where they run.

    Raises
    ------
    SerkitError
        If there is no such model, if two have the same name, or if the device cannot be used.
    """

    def __init__(self, names: list[str], device: str = "auto") -> None:
        chosen(device)
        self._places: dict[str, Path] = {}
        for name in names:
            place = locate(name)
            called = name if name == place.name else place.resolve().stem if place.suffix else place.resolve().name
            if called in self._places:
                raise SerkitError(f"Two models are called {called!r}: give each once, under its own name.")
            self._places[called] = place
        self._loaded: Loaded[Recognizer] = Loaded(partial(load, device=device), most=len(self._places))
        self._kept: dict[str, Recognizer] = {}
        self._looked: dict[str, float] = {}
        self._locks = {name: threading.Lock() for name in self._places}

    @property
    def names(self) -> list[str]:
        """What may be asked for; the first is the default."""
        return list(self._places)

    @property
    def ready(self) -> bool:
        """Whether all are loaded."""
        return len(self._kept) == len(self._places)

    def load(self) -> None:
        """Load all.

        Raises
        ------
        Problem
            503 if one is not a whole model.
        """
        for name in self._places:
            self.get(name)

    def get(self, name: str | None = None) -> Recognizer:
        """Return a model; call it in a thread, for it may have to be loaded.

        Raises
        ------
        Problem
            404 if it is not among those that are served, 503 if it cannot be loaded.
        """
        chosen = self.names[0] if name is None else name
        if chosen not in self._places:
            known = ", ".join(self._places)
            raise Problem(404, f"No model {chosen!r:.80} is served{nearest(chosen, self._places)} There are: {known}.")
        kept = self._kept.get(chosen)
        if kept is not None and time.monotonic() - self._looked[chosen] < _LOOK:
            return kept
        if kept is not None and not self._locks[chosen].acquire(blocking=False):
            return kept  # another thread is loading the new one
        if kept is None:
            self._locks[chosen].acquire()
        try:
            return self._look(chosen)
        finally:
            self._locks[chosen].release()

    def look(self) -> None:
        """Look at the files of all models at the next request."""
        self._looked = dict.fromkeys(self._looked, -_LOOK)

    def _look(self, name: str) -> Recognizer:
        before = self._kept.get(name)
        try:
            found = self._loaded.get(self._places[name])
        except (BundleError, OSError) as error:
            if before is None:
                says = f"The model {name} cannot be loaded: {error}"
                raise Problem(503, says, headers={"Retry-After": "2"}) from None
            found = before
            _log.warning("model not replaced", extra={"fields": {"model": name, "error": str(error)}})
        else:
            if before is not None and found is not before:
                _log.info("model replaced", extra={"fields": {"model": name, "version": found.manifest.version}})
        self._looked[name] = time.monotonic()  # first: whoever finds the model reads it
        self._kept[name] = found
        return found
