"""What commands over many recordings share: the inputs, the progress, the counts, the failures."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event, current_thread, main_thread
from time import monotonic
from typing import Protocol, TypeVar

import typer

from serkit import terminal

__all__ = ["Row", "Tally", "count", "failures_of", "interruptible", "progress", "report_skipped"]

_SHOW_PROGRESS = 20  # recordings; fewer are done before anyone could read a bar
_SAY_PROGRESS = 30.0  # s; between lines if there is no terminal for a bar
_SAY_SKIPPED = 5  # files that are named

_Rows = TypeVar("_Rows")


class Row(Protocol):
    """What is counted of a row, of a :class:`~serkit.recognition.prediction.Prediction` for example."""

    @property
    def path(self) -> str | None: ...

    @property
    def end(self) -> float: ...

    @property
    def error(self) -> str | None: ...

    @property
    def warnings(self) -> tuple[str, ...]: ...


@dataclass
class Tally:
    """The counts of a run. Only the first failures are kept: a million of them would fill the memory."""

    total: int = 0
    failed: int = 0
    truncated: int = 0
    first: list[Row] = field(default_factory=list)
    first_truncated: list[Row] = field(default_factory=list)
    interrupted: bool = False

    def add(self, rows: Sequence[Row]) -> None:
        """Count one recording, given all its rows."""
        self.total += 1
        row = rows[0]
        if row.error is not None:
            self.failed += 1
            if self.failed <= terminal.MOST_FAILURES:
                self.first.append(row)
        elif "truncated" in row.warnings:
            self.truncated += 1
            if self.truncated <= terminal.MOST_FAILURES:
                self.first_truncated.append(row)

    def report(self, *, rest_in: str | None = None, used: str = "answered") -> None:
        """Print on standard error what failed and what breaks off.

        Parameters
        ----------
        rest_in : str, optional
            The file that has the failures that are not printed.
        used : str
            What became of recordings that break off.
        """
        if self.failed:
            reasons = ((row.path or "-", row.error or "") for row in self.first)
            heading = f"ser: {failures_of(self.failed, self.total)}"
            terminal.print_failures(heading, reasons, total=self.failed, rest_in=rest_in)
        if self.truncated:
            ends = ((row.path or "-", f"It breaks off after {row.end:.2f} s.") for row in self.first_truncated)
            cut = count(self.truncated, "input is", "inputs are")
            heading = f"ser: {cut} truncated, of {self.total}; what could be read is {used}"
            terminal.print_failures(heading, ends, total=self.truncated, rest_in=rest_in)


def count(number: int, one: str, many: str) -> str:
    """Return a number with the word for it."""
    return f"{number} {one if number == 1 else many}"


@contextlib.contextmanager
def interruptible() -> Iterator[Event]:
    """Yield what the first Ctrl-C sets, so that work ends in good order; the second one interrupts it at once."""
    stop = Event()
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or current_thread() is not main_thread():
        yield stop
        return

    def first(number: int, frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def failures_of(failed: int, total: int) -> str:
    """Say how many inputs failed."""
    return "the input failed" if total == 1 else f"{failed} of {total} inputs failed"


def report_skipped(files: Sequence[Path], *, named: bool = True, total: int | None = None) -> None:
    """Say on standard error how many files in folders are not recordings, if any, and which.

    Where there are too many to keep, `files` are the first of `total`.
    """
    if not files:
        return
    number = len(files) if total is None else total
    files_were = count(number, "file was", "files were")
    which = ""
    if named:
        names = [terminal.printable(str(file)) for file in files[:_SAY_SKIPPED]]
        more = f" and {number - len(names)} more" if number > len(names) else ""
        which = f": {', '.join(names)}{more}"
    what = "not a recording" if number == 1 else "no recordings"
    typer.echo(f"ser: {files_were} skipped ({what}){which}.", err=True)


def progress(rows: Iterator[_Rows], total: int) -> Iterator[_Rows]:
    """Show pace and time left of long runs on standard error: a bar on a terminal, else lines."""
    if total <= _SHOW_PROGRESS:
        yield from rows
        return
    if not sys.stderr.isatty():
        yield from _progress_lines(rows, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Pace(TextColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} files/s" if task.speed else "")

    columns = (BarColumn(), MofNCompleteColumn(), Pace(""), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("predict", total=total)
        for row in rows:
            bar.advance(task)
            yield row


def _progress_lines(rows: Iterator[_Rows], total: int) -> Iterator[_Rows]:
    start = said = monotonic()
    for done, row in enumerate(rows, start=1):
        yield row
        now = monotonic()
        if now - said >= _SAY_PROGRESS:
            said, pace = now, done / (now - start)
            left = timedelta(seconds=round((total - done) / pace))
            typer.echo(f"ser: {done} of {total} recordings, {pace:.1f} files/s, {left} left", err=True)
