"""A recording on standard input."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, BinaryIO, cast

from serkit.errors import SerkitError

if TYPE_CHECKING:
    from serkit.audio import Source

__all__ = ["live_input", "standard_input"]


def live_input(rate: int | None, stack: contextlib.ExitStack) -> Source:
    """Return standard input so that it can be answered once, while it comes if it is mono WAV or raw PCM of `rate`.

    A choice of channels needs all of the sound, so anything else is a copy, as of :func:`standard_input`; `stack`
    removes it.
    """
    from serkit.audio.live_pcm import LivePcm, open_live
    from serkit.audio.spool import spool

    if sys.stdin is None:
        raise SerkitError("Standard input is closed: give a file, or pipe a recording in.")
    found = open_live(sys.stdin.buffer, rate)
    if isinstance(found, LivePcm):
        if found.channels == 1:
            return found
        found = found.rest()
    return stack.enter_context(spool(cast("BinaryIO", found), "standard input"))


def standard_input() -> BinaryIO:
    """Return a bounded copy of standard input that can be read from any position: :func:`serkit.audio.spool.spool`."""
    from serkit.audio.spool import spool

    if sys.stdin is None:
        raise SerkitError("Standard input is closed: give a file, or pipe a recording in.")
    return spool(sys.stdin.buffer, "standard input")
