"""A recording on standard input."""

from __future__ import annotations

import sys
from typing import BinaryIO

from serkit.errors import SerkitError

__all__ = ["standard_input"]


def standard_input() -> BinaryIO:
    """Return a bounded copy of standard input that can be read from any position: :func:`serkit.audio.spool.spool`."""
    from serkit.audio.spool import spool

    if sys.stdin is None:
        raise SerkitError("Standard input is closed: give a file, or pipe a recording in.")
    return spool(sys.stdin.buffer, "standard input")
