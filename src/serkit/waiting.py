"""The progress of long commands: on a terminal a bar with the time left, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

__all__ = ["Waiting", "clock", "duration"]

#: From this many recordings on, the number is announced before the first is done.
MANY = 200
#: Seconds between two lines of the same work, where no terminal shows a bar.
EVERY = 15.0


def duration(seconds: float) -> str:
    """A rough time in words.

    Examples
    --------
    >>> duration(42.3), duration(600), duration(36_000)
    ('42 s', '10 min', '10.0 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def clock(seconds: float, *, tenths: bool = False) -> str:
    """Format a time as minutes and seconds, with hours if needed.

    Examples
    --------
    >>> clock(7), clock(83.46, tenths=True), clock(3725)
    ('0:07', '1:23.5', '1:02:05')
    >>> clock(59.96, tenths=True)
    '1:00.0'
    """
    units = round(seconds * 10) if tenths else 10 * round(seconds)
    rest, hours = (units // 10) % 3600, units // 36000
    start = f"{hours}:{rest // 60:02d}" if hours else f"{rest // 60}"
    return f"{start}:{rest % 60:02d}" + (f".{units % 10}" if tenths else "")


@dataclass
class _Meter:
    """How fast a count rises; what was there at the start (``base``) took no time."""

    begun: float
    base: float = 0.0

    def left(self, now: float, done: float, total: float) -> str:
        """The time left in words; an empty text before there is a rate, or at the end."""
        if done <= self.base:
            self.begun = now
        elif done < total and now > self.begun:
            return f", {duration((now - self.begun) / (done - self.base) * (total - done))} left"
        return ""


@dataclass
class _Fits:
    """The progress of the fits of a run: fits, their members, their epochs."""

    meter: _Meter
    total: int = 1
    begun: int = 0
    member: int = 1
    members: int = 1
    where: str = ""

    def done(self, share: float) -> float:
        """The number of fits done, if ``share`` of the current member's epochs is done."""
        return max(0, self.begun - 1) + (self.member - 1 + share) / self.members


@dataclass
class Waiting:
    """Shows progress on standard error; call it with the events of training, transfer and reading a corpus.

    Parameters
    ----------
    every : float
        Where no terminal shows a bar: seconds between two lines of the same work.
    clock : callable
        The time in seconds.
    console : rich.console.Console, optional
        Default: standard error.

    Examples
    --------
    >>> from rich.console import Console
    >>> with Waiting(console=Console(width=80)) as waiting:
    ...     waiting({"stage": "features", "done": 20, "total": 20, "cached": 20})
    Features: 20 of 20 are cached.
    """

    every: float = EVERY
    clock: Callable[[], float] = time.monotonic
    console: Console | None = None
    _tasks: dict[str, TaskID] = field(default_factory=dict, repr=False)
    _meters: dict[str, _Meter] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self.console = self.console or Console(stderr=True)
        self.watched = self.console.is_terminal
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self.console,
            disable=not self.watched,
        )
        self._said = self.clock()
        self._fits = _Fits(_Meter(self._said))

    def __enter__(self) -> Waiting:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def line(self, text: str) -> None:
        """Print a line, above the bars where there are some."""
        assert self.console is not None
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
        self._said = self.clock()

    def __call__(self, event: dict[str, Any]) -> None:
        """Show an event: its ``stage`` is plan, recordings, features, tuning, embedding, answers, fit or fold."""
        stage = event["stage"]
        if stage == "plan":
            self._plan(event)
        elif stage == "fold":
            self._fold(event)
        elif stage != "fit":
            self._count(stage, event["done"], event["total"], event.get("cached"))
        elif "clips" in event:
            self._begin(event)
        elif "epochs" in event:
            self._epoch(event)
        elif "members" in event:
            self._fits.member, self._fits.members = event["member"], event["members"]
            self._show(0, f"member {event['member']} of {event['members']}, {event['name']}", always=True)
        elif "settings" in event:
            self._show(0, f"searching {event['settings']} settings on {event['folds']} inner folds", always=True)

    # ------------------------------------------------------------------------------------------------ counts of clips

    def _count(self, stage: str, done: int, total: int, cached: int | None) -> None:
        name = stage[0].upper() + stage[1:]
        first = name not in self._meters
        meter = self._meters.setdefault(name, _Meter(self.clock(), cached or 0))
        left = meter.left(self.clock(), done, total)
        self._bar(name, done, total, f"{done:,}/{total:,}{left}")
        if first and cached is not None:
            rest = ", the others are computed" if cached < total else ""
            self._log(f"{name}: {cached:,} of {total:,} are cached{rest}.")
        elif self._due() or (first and total >= MANY):
            self._log(f"{name}: {done:,} of {total:,}{left}")
        if done >= total:
            self._meters.pop(name)
            self._tasks.pop(name, None)

    # ----------------------------------------------------------------------------------------------------------- fits

    def _plan(self, event: dict[str, Any]) -> None:
        clips, copies, fits, epochs = (event[key] for key in ("clips", "copies", "fits", "epochs"))
        self._fits = _Fits(_Meter(self.clock()), total=fits)
        self._tasks.pop("Training", None)
        what = f"{clips:,} clips" + (f" and {copies:,} altered copies" if copies else "")
        work = f"{fits} {event['unit']}{'s' if fits > 1 else ''} to train"
        if epochs:
            work += f", up to {epochs} epochs each"
        self.line(f"{event['recipe']}: {what}, {work}.")

    def _begin(self, event: dict[str, Any]) -> None:
        fits = self._fits
        if not fits.begun:
            fits.meter = _Meter(self.clock())
        fits.begun += 1
        fits.member = fits.members = 1
        if event["fold"] is not None:
            fits.where = f"fold {event['fold']}"
        else:
            fits.where = f"fit {fits.begun} of {fits.total}" if fits.total > 1 else ""
        self._show(0, f"{event['clips']:,} clips", always=True)

    def _epoch(self, event: dict[str, Any]) -> None:
        fits, (epoch, epochs) = self._fits, (event["epoch"], event["epochs"])
        note = f"{event.get('unit', 'epoch')} {epoch}/{epochs}"
        if "loss" in event:
            note += f", loss {event['loss']:.3f}"
        if "uar" in event:
            note += f", UAR {event['uar']:.1%}"
        note += fits.meter.left(self.clock(), fits.done(epoch / epochs), fits.total)
        self._show(epoch / epochs, note, always=epoch in (1, epochs))

    def _show(self, share: float, note: str, *, always: bool) -> None:
        """Show how far the current fit is; as a line only if one is due, or ``always``."""
        fits = self._fits
        note = f"{fits.where}, {note}" if fits.where else note
        self._bar("Training", fits.done(share), fits.total, note)
        if always or self._due():
            self._log(f"Training: {note}")

    def _fold(self, event: dict[str, Any]) -> None:
        fits, (done, total) = self._fits, (event["done"], event["total"])
        left = fits.meter.left(self.clock(), fits.begun, fits.total)
        self._bar("Training", fits.begun, fits.total, f"{done} of {total} folds done{left}")
        self._log(f"{done} of {total} folds done{left}")

    # ---------------------------------------------------------------------------------------------------------- output

    def _due(self) -> bool:
        """Whether another line is due."""
        return self.clock() - self._said >= self.every

    def _log(self, text: str) -> None:
        """Print a line if there is no bar."""
        if not self.watched:
            self.line(text)

    def _bar(self, name: str, done: float, total: float, note: str) -> None:
        if not self.watched:
            return
        if name not in self._tasks:
            self._tasks[name] = self.bars.add_task(name, total=total, note=note)
        self.bars.update(self._tasks[name], completed=done, total=total, note=note)
