"""The published corpora that serkit reads: a new one is a file in :mod:`serkit.corpora.readers` and its test."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from serkit.corpora import readers as package
from serkit.corpora.named import Published

__all__ = ["published"]


@cache
def published() -> dict[str, Published]:
    """The published corpora by name, sorted.

    Examples
    --------
    >>> published()["nemo"].language
    'pl'
    """
    modules = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    found = [importlib.import_module(f"{package.__name__}.{name}").CORPUS for name in modules]
    return {corpus.name: corpus for corpus in found}
