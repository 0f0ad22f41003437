"""Where the rows of a file of answers grow, so that an earlier table stays until the new one is finished.

====================================  ==================================================================================
``x.csv``                             the table
``x.csv.run.json``                    how its rows are made
``x.parquet.part``                    the rows of a Parquet table wait here until the end
``x.csv.new``, ``x.csv.new.run.json`` with ``force``: rows that replace an earlier table at the end, and their note
====================================  ==================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serkit.files import write_atomic

__all__ = ["Places"]


class Places:
    """The files beside a table.

    Parameters
    ----------
    table : Path
        Links followed.
    parquet : bool
        Whether the table is Parquet, whose rows wait as JSON lines.

    Attributes
    ----------
    rows : Path
        Where rows grow.
    replaces : bool
        Whether they replace an earlier table at the end.
    """

    def __init__(self, table: Path, *, parquet: bool) -> None:
        self.table, self.parquet = table, parquet
        self._waiting = table.with_name(f"{table.name}.part")
        self._new = table.with_name(f"{table.name}.new")
        self._notes = {new: table.with_name(f"{table.name}{'.new' * new}.run.json") for new in (False, True)}
        self._use(replaces=False)

    @property
    def note_name(self) -> str:
        """The name of the note."""
        return self._notes[self.replaces].name

    def taken(self) -> bool:
        """Whether there are rows that could be lost."""
        return self._earlier() or _filled(self._new)

    def _earlier(self) -> bool:
        return _filled(self.table) or (self.parquet and _filled(self._waiting))

    def _use(self, *, replaces: bool) -> None:
        self.replaces = replaces
        self.rows = self._new if replaces else self._waiting if self.parquet else self.table

    def find(self) -> None:
        """Look where the last run left its rows, and finish what it did at its end."""
        if not self._notes[True].exists():
            return
        merged = False
        if self.parquet and self._new.exists() and not self._notes[False].exists():
            from serkit.recognition import parquet

            merged = parquet.merged(self.table, self._new)
            if merged:
                self._new.unlink()
        if self._new.exists():
            self._use(replaces=True)
        elif not self._notes[False].exists():
            self._settle()

    def begin(self, head: bytes) -> None:
        """Make an empty table; an earlier one stays until :meth:`finish`."""
        self._use(replaces=self._earlier())
        self.forget()
        if not self.replaces:
            for path in (self._notes[False], self.table if self.parquet else self.rows):
                path.unlink(missing_ok=True)
        self.rows.write_bytes(head)

    def note(self) -> dict[str, Any] | None:
        """What is noted of the rows; None if there is no note, or a damaged one."""
        try:
            known = json.loads(self._notes[self.replaces].read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return known if isinstance(known, dict) else None

    def write_note(self, made: dict[str, Any]) -> None:
        """Note how the rows are made."""
        write_atomic(json.dumps(made, indent=2) + "\n", self._notes[self.replaces])

    def finish(self, columns: Sequence[str]) -> None:
        """Put the rows in their place; the earlier note goes first, so that it never speaks of new rows."""
        if self.replaces:
            self._notes[False].unlink(missing_ok=True)
        if self.parquet:
            from serkit.recognition import parquet

            parquet.merge(self.table, self.rows, columns, keep=not self.replaces)
        elif self.replaces:
            self.rows.replace(self.table)
        if self.replaces:
            self._settle()

    def _settle(self) -> None:
        """The new table has its place: so does its note, and rows of the earlier one no longer wait."""
        if self.parquet:
            self._waiting.unlink(missing_ok=True)
        self._notes[True].replace(self._notes[False])
        self._use(replaces=False)

    def forget(self) -> None:
        """Remove rows that were to replace an earlier table, with their note."""
        for path in (self._notes[True], self._new):
            path.unlink(missing_ok=True)


def _filled(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
