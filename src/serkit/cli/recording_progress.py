"""How far a long recording is, on standard error: a bar with the time left on a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
import os
import sys
from time import monotonic
from types import TracebackType
from typing import Any

import typer

from serkit.errors import SerkitError
from serkit.terminal import printable
from serkit.waiting import duration

__all__ = ["RecordingProgress"]

_SHOW = 60.0  # s of sound; less is answered before anyone could read a bar
_EVERY = 30.0  # s between lines


class RecordingProgress:
    """Call it with the seconds that are done.

    Parameters
    ----------
    source : path
        The recording; its header says how long it is.
    every : float
        Where no terminal shows a bar: seconds between two lines.
    """

    def __init__(self, source: str | os.PathLike[str], *, every: float = _EVERY) -> None:
        self._name, self._every = printable(os.fspath(source)), every
        self._total = _length(source)
        self._stack = contextlib.ExitStack()
        self._bar: Any = None

    def __enter__(self) -> RecordingProgress:
        self._begun = self._said = monotonic()
        if sys.stderr.isatty() and (self._total is None or self._total >= _SHOW):
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
            self._bar = self._stack.enter_context(
                Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
            )
            self._task = self._bar.add_task(self._name, total=self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __call__(self, seconds: float) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=seconds)
            return
        now = monotonic()
        if now - self._said < self._every:
            return
        self._said = now
        of, left = "", ""
        if self._total is not None and seconds > 0:
            of = f" of {duration(self._total)}"
            left = f", {duration((now - self._begun) / seconds * max(self._total - seconds, 0))} left"
        typer.echo(f"ser: {self._name}: {duration(seconds)}{of}{left}", err=True)


def _length(source: str | os.PathLike[str]) -> float | None:
    from serkit.audio import probe

    try:
        return probe(source, on_break=lambda reason: None).duration
    except SerkitError:
        return None  # reading it reports what is wrong
