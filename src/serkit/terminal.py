"""Printing to the terminal: text made safe, lists of failures, the console."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["MOST_FAILURES", "console", "print_failures", "printable"]

#: Failures that are listed with their reasons; a file of answers holds all.
MOST_FAILURES = 100

_WIDE = 100_000  # columns; piped output is never wrapped, so that a row stays a line
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable(text: str) -> str:
    r"""Escape what a terminal would execute and what it cannot show: control characters, direction marks, broken bytes.

    Examples
    --------
    >>> print(printable("naïve\n\x1b[31m.wav"))
    naïve\n\x1b[31m.wav
    """
    return "".join(
        c if unicodedata.category(c) not in _UNSAFE else c.encode("unicode_escape").decode("ascii") for c in text
    )


def print_failures(
    heading: str, failures: Iterable[tuple[str, str]], *, total: int, rest_in: str | None = None
) -> None:
    """Print to standard error what failed and why: at most :data:`MOST_FAILURES`, and how many more there are.

    Parameters
    ----------
    heading : str
        The line before them, without its colon.
    failures : iterable of (str, str)
        Name and reason of each, or of the first.
    total : int
        How many failed altogether.
    rest_in : str, optional
        The file that holds all of them.
    """
    listed = list(islice(failures, MOST_FAILURES))
    print(f"{heading}:", file=sys.stderr)
    for name, reason in listed:
        print(f"  {printable(name)}: {printable(reason)}", file=sys.stderr)
    if total > len(listed):
        where = f"; {printable(rest_in)} has them all" if rest_in is not None else ""
        print(f"  and {total - len(listed)} more{where}", file=sys.stderr)


def console(*, stderr: bool = False) -> Console:
    """A rich console for standard output or error; without colour or wrapping where no terminal reads it."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)
    return made if stream.isatty() else Console(file=stream, width=_WIDE, highlight=False, markup=False, emoji=False)
