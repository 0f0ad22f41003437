"""A folder of partitions, on this machine or on an object store.

=============================  =====================================================================================
``run.json``                   how the rows are made, and whether the run is finished
``rows/part-000000.parquet``   the rows of the first recordings, and so on; or ``.csv``, or ``.jsonl``
``errors/part-000000.csv``     which of these failed or break off, and why; only where some do
``done/part-000000.json``      written last: the partition is complete, and made from these recordings
=============================  =====================================================================================
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serkit.errors import SerkitError
from serkit.files import hold
from serkit.recognition.csv_text import csv_line, guard
from serkit.scale.stores import TIMEOUT, Store, is_address
from serkit.scale.work import Answer, Problem, Work

__all__ = ["Marker", "Parts"]

_SHOWN = 20  # problems that a marker keeps for the report


@dataclass(frozen=True)
class Marker:
    """What a complete partition holds.

    Attributes
    ----------
    fingerprint : str
        A hash of the names of its recordings.
    inputs, rows, failed, truncated : int
        How many recordings, rows, recordings that failed and that break off.
    problems : list of Problem
        The first of those.
    run : str
        The run that made it; in a folder that is replaced, partitions of an earlier one are not its own.
    """

    fingerprint: str
    inputs: int
    rows: int
    failed: int
    truncated: int
    problems: list[Problem]
    run: str = ""


class Parts:
    """Reads and writes the files of a folder of partitions; it can be sent to other processes.

    Parameters
    ----------
    target : str
        Path or address of the folder.
    suffix : str
        What the files with rows end in.
    timeout : float
        Longest silence of an object store, s.

    Attributes
    ----------
    replaces : bool
        Whether partitions of an earlier run may be there, which stay until this one has made its first.
    """

    def __init__(self, target: str, suffix: str, *, timeout: float = TIMEOUT) -> None:
        self.target, self._suffix, self._timeout = target.rstrip("/"), suffix, timeout
        self.replaces = False
        self._run: str | None = None  # any, unless begun
        self._waits: dict[str, Any] | None = None  # what is noted once the first partition is there

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_made"}

    @property
    def _store(self) -> Store:
        made = self.__dict__.get("_made")
        if made is None:
            made = self.__dict__["_made"] = Store(self.target, timeout=self._timeout)
        return made

    def place(self, kind: str, number: int) -> str:
        """Return the path or address of a file: ``rows``, ``errors`` or ``done``."""
        suffix = {"rows": self._suffix, "errors": "csv", "done": "json"}[kind]
        return f"{self.target}/{kind}/part-{number:06d}.{suffix}"

    @contextlib.contextmanager
    def begin(self, made: dict[str, Any], *, resume: bool, force: bool) -> Iterator[None]:
        """Hold the folder while the ``with`` block runs, and note how its rows are made.

        Raises
        ------
        SerkitError
            If the folder is in use, holds other files, or, with `resume`, rows of another model or other options.
        """
        with contextlib.ExitStack() as stack:
            if not is_address(self.target):
                place = Path(self.target)
                if place.exists() and not place.is_dir():
                    raise SerkitError(f"{self.target!r} is a file: with --engine ray, --out names a folder.")
                try:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    stack.enter_context(hold(self.target))
                except OSError as error:
                    raise SerkitError(f"Cannot write {self.target!r}: {error.strerror or error}.") from None
            before = self._before()
            if before is None and self._store.entries(self.target):
                raise SerkitError(f"{self.target!r} holds other files: give a new folder to --out.")
            if before is not None and not resume and not force:
                what = "exists" if before.get("finished") else "belongs to a run that was stopped"
                raise SerkitError(
                    f"{self.target!r} {what}: add --resume (resume=True) to continue it, or --force (force=True) "
                    "to replace it."
                )
            self._run, self.replaces = uuid.uuid4().hex, before is not None and not resume
            self._waits = {**made, "finished": False}
            if before is not None and resume:
                self._check(before, made)
                self._run, self.replaces = before.get("run", ""), before.get("replaces", False)
            if before is None or resume:
                self.begun()
            try:
                yield
            except SerkitError:
                if before is None:
                    self._forget()
                raise
            finally:
                with contextlib.suppress(SerkitError):  # what is left is swept when the run is resumed
                    self.sweep()

    def begun(self) -> None:
        """Note how the rows are made, if it is not noted yet; call it after the first partition at the latest."""
        if self._waits is not None:
            self.note(self._waits)
            self._waits = None

    def sweep(self) -> None:
        """Remove what an earlier run left, if this one has made a partition."""
        if not self.replaces or self._waits is not None:
            return
        own = {number for number, _ in self._numbered("done") if self.marker(number) is not None}
        for kind in ("done", "errors", "rows"):
            for number, name in self._numbered(kind):
                if number not in own or self.place(kind, number) != f"{self.target}/{kind}/{name}":
                    self._store.remove(f"{self.target}/{kind}/{name}")
        self.replaces = False

    def _forget(self) -> None:
        """Leave nothing of a run that has written nothing, so that the same command can begin again."""
        if [one.name for one in self._store.entries(self.target) or []] == ["run.json"]:
            self._store.remove(f"{self.target}/run.json")
            if not is_address(self.target):
                Path(self.target).rmdir()

    def note(self, made: dict[str, Any]) -> None:
        """Write ``run.json``."""
        made = {**made, "run": self._run, "replaces": self.replaces}
        self._store.write(f"{self.target}/run.json", json.dumps(made, indent=2).encode() + b"\n")

    def marker(self, number: int) -> Marker | None:
        """Return what is noted of a complete partition of this run; None if it is not complete."""
        data = self._store.read(self.place("done", number))
        try:
            found = Marker(**json.loads(data or b""))
        except (ValueError, TypeError):
            return None
        if self._run is not None and found.run != self._run:
            return None
        return Marker(**{**asdict(found), "problems": [Problem(*one) for one in found.problems]})

    def write(self, number: int, work: Work, answers: Sequence[Answer], fingerprint: str) -> Marker:
        """Write a partition: its rows, its errors, then its marker.

        Raises
        ------
        SerkitError
            If a file cannot be written.
        """
        problems = [answer.problem for answer in answers if answer.problem is not None]
        failed = sum(one.problem == "failed" for one in problems)
        rows = sum(len(answer.rows) for answer in answers)
        marker = Marker(
            fingerprint, len(answers), rows, failed, len(problems) - failed, problems[:_SHOWN], self._run or ""
        )
        self._store.remove(self.place("done", number))
        self._store.write(self.place("rows", number), work.encode(answers))
        if problems:
            lines = [csv_line(Problem._fields), *(csv_line(map(guard, one)) for one in problems)]
            self._store.write(self.place("errors", number), "".join(lines).encode("utf-8", "surrogateescape"))
        else:
            self._store.remove(self.place("errors", number))
        self._store.write(self.place("done", number), json.dumps(asdict(marker)).encode() + b"\n")
        return marker

    def clear(self, first: int) -> None:
        """Remove all partitions from `first` on, and what a killed worker left behind."""
        for kind in ("done", "errors", "rows"):
            for name, folder in self._store.entries(f"{self.target}/{kind}") or []:
                if not folder and name.startswith(".part-") and name.endswith(".tmp"):
                    self._store.remove(f"{self.target}/{kind}/{name}")
            for number, name in self._numbered(kind):
                if number >= first:
                    self._store.remove(f"{self.target}/{kind}/{name}")

    def _numbered(self, kind: str) -> list[tuple[int, str]]:
        """The files of partitions, of any format."""
        found = []
        for name, folder in self._store.entries(f"{self.target}/{kind}") or []:
            number = name.removeprefix("part-").partition(".")[0]
            if not folder and number.isdecimal():
                found.append((int(number), name))
        return found

    def _before(self) -> dict[str, Any] | None:
        data = self._store.read(f"{self.target}/run.json")
        if data is None:
            return None
        try:
            known = json.loads(data)
        except ValueError:
            known = None
        if not isinstance(known, dict):
            raise SerkitError(f"{self.target}/run.json is damaged: give a new folder to --out.")
        return known

    def _check(self, before: dict[str, Any], made: dict[str, Any]) -> None:
        for key, value in made.items():
            if key == "serkit" or before.get(key) == value:
                continue
            shown = "model" if key == "model_key" else key
            was, now = before.get(shown), made[shown]
            same = " of the same name, but another graph" if was == now else ""
            raise SerkitError(
                f"{self.target!r} was begun with the {shown} {was}, this run has {now}{same}: take the same {shown}, "
                "or give another folder."
            )
