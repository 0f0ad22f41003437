"""CSV: any file name reads back as it was, no spreadsheet reads one as a formula, no row that was written is lost."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, TypeVar

from serkit.errors import SerkitError

__all__ = ["CsvFile", "canonical", "cell", "csv_line", "guard", "unguard"]

_Self = TypeVar("_Self", bound="CsvFile")

_FORMULA = "[=+\\-@\t\r\n＝＋－＠]"


def guard(text: str) -> str:
    """Return text that no spreadsheet reads as a formula: an apostrophe is put before it where needed.

    That is text which begins with ``= + - @``, their full-width forms, a tab or a line break, after any number of
    apostrophes. The text ``-`` alone, standard input, stays as it is. :func:`unguard` undoes it.

    Examples
    --------
    >>> guard("=1+1.wav"), guard("'=1+1.wav"), guard("'a.wav"), guard("-")
    ("'=1+1.wav", "''=1+1.wav", "'a.wav", '-')
    """
    return f"'{text}" if text != "-" and re.match(f"'*{_FORMULA}", text) else text


def unguard(text: str) -> str:
    """Return the text that :func:`guard` made safe.

    Examples
    --------
    >>> unguard("'=1+1.wav"), unguard("'a.wav")
    ('=1+1.wav', "'a.wav")
    """
    return text[1:] if re.match(f"'+{_FORMULA}", text) else text


def csv_line(cells: Iterable[object]) -> str:
    """Return a row of CSV that ends in a line feed; cells with a carriage return are quoted, as any reader needs."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)  # before Python 3.13, quotes only what is in here
    return canonical(text.getvalue()[:-2]) + "\n"


def canonical(text: str) -> str:
    """Return a file name as it reads back from UTF-8 with ``surrogateescape``, for any bytes.

    Examples
    --------
    >>> name = "caf" + chr(0xDCE9) + ".wav"   # of the byte E9
    >>> canonical(name) == name
    True
    """
    if text.isascii():
        return text
    escaped = re.sub(
        "[\ud800-\udc7f\udd00-\udfff]",
        lambda found: found[0].encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"),
        text,
    )
    return escaped.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def cell(value: Any) -> Any:
    """Return a value for CSV: true and false in lower case, nothing for None, text made safe by :func:`guard`.

    Examples
    --------
    >>> cell(True), cell(None), cell("=1"), cell(0.5)
    ('true', '', "'=1", 0.5)
    """
    if isinstance(value, str):
        return guard(value)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value


class CsvFile:
    """Write rows as CSV, one by one.

    Text that a spreadsheet would read as a formula gets an apostrophe before it (:func:`guard`).

    The rows go to ``.NAME.part`` beside the file, which takes the file's name when the ``with`` block ends, also by
    Ctrl-C or an error: no row that was written is lost, and a reader never sees half a file. If rows cannot be written,
    as on a full disk, a file that was there stays, and the new rows stay in ``.NAME.part``. It also stays if no rows
    were written at all, as after Ctrl-C at the start.

    Parameters
    ----------
    target : path or "-"
        The file, or standard output.
    header : sequence of str
        Names of the columns.
    force : bool
        Replace a file that exists.

    Raises
    ------
    SerkitError
        If the file cannot be written, if another process is writing it, or, without `force`, if it exists.
    """

    def __init__(self, target: str | Path, header: Sequence[str], *, force: bool = False) -> None:
        self._name = str(target)
        self._lock = contextlib.ExitStack()
        self._header = list(header)
        self._final: Path | None = None
        self._part: Path | None = None
        self._broken = False  # rows could not be written
        self._unused = True
        self._file: TextIO = sys.stdout
        if str(target) == "-":
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="")
            return
        from serkit.files import check_new, followed, hold, is_special

        path = followed(target)
        try:
            if is_special(path):
                self._file = path.open("w", encoding="utf-8", errors="surrogateescape", newline="")  # a device or pipe
                self._part = path
                return
            if path.is_dir():
                raise IsADirectoryError(0, "it is a folder")
            check_new(target, force=force)
            self._lock.enter_context(hold(target))
            self._part = path.with_name(f".{path.name}.part")
            self._file = self._part.open("w", encoding="utf-8", errors="surrogateescape", newline="")
            self._final = path
        except OSError as error:
            self._lock.close()
            raise self._refused(error) from None

    def __enter__(self: _Self) -> _Self:
        self._put([guard(name) for name in self._header])
        return self

    def write_rows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write rows of values, as :func:`cell` shows them; a full disk is a SerkitError."""
        try:
            for row in rows:
                self._put([cell(value) for value in row])
            self._file.flush()
            self._unused = False
        except OSError as error:
            if self._part is None:  # standard output: a reader may close it early
                raise
            self._broken = True
            raise self._refused(error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._part is None:
            return
        problem = None
        with self._lock:
            try:
                self._file.close()  # writes the rest
            except OSError as refused:
                problem, self._broken = refused, True
            try:
                if self._final is not None and self._unused and not self._broken and self._replaces():
                    self._part.unlink()
                elif self._final is not None and not (self._broken and self._replaces()):
                    self._part.replace(self._final)
            except OSError as refused:
                problem = refused
        if problem is not None and error is None:
            raise self._refused(problem)

    def _put(self, cells: list[Any]) -> None:
        self._file.write(csv_line(cells))

    def _replaces(self) -> bool:
        """Whether a file with content is there."""
        return self._final is not None and self._final.is_file() and self._final.stat().st_size > 0

    def _refused(self, error: OSError) -> SerkitError:
        kept = ""
        if self._part is not None and self._replaces():
            kept = f" The file that was there is kept; the new rows so far are in '{self._part.name}' beside it."
        return SerkitError(f"Cannot write {self._name!r}: {error.strerror or error}.{kept}")
