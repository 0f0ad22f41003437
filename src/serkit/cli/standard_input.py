"""A recording on standard input."""

from __future__ import annotations

import sys
from typing import BinaryIO

__all__ = ["standard_input"]


def standard_input() -> BinaryIO:
    """Return a bounded copy of standard input that can be read from any position: :func:`serkit.audio.spool.spool`."""
    from serkit.audio.spool import spool

    return spool(sys.stdin.buffer, "standard input")
