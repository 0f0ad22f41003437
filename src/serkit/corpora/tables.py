"""Tables of clips as people have them, files and data frames, become rows of text under serkit's names."""

from __future__ import annotations

import csv
import io
import math
import numbers
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from serkit.errors import CorpusError, MissingExtraError

__all__ = ["ALIASES", "SUFFIXES", "Rows", "columns", "from_frame", "missing", "number", "read", "seconds", "text_of"]

#: Other names of serkit's columns; case, and ``-`` or a blank for ``_``, do not matter.
ALIASES: dict[str, tuple[str, ...]] = {
    "path": ("file", "filename", "file_name", "file_path", "wav", "audio"),
    "emotion": ("label", "class"),
    "speaker": ("speaker_id", "spk"),
    "sex": ("gender",),
}

#: The suffixes of files that can be tables.
SUFFIXES = (".csv", ".tsv", ".parquet")

_DELIMITERS = ("\t", ";", ",")
_BLANK = {"", "nan", "nat", "none", "<na>", "null"}
_DECIMAL = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_TIMEDELTA = re.compile(r"(-?\d+) days?(?: (\d+):(\d\d):(\d\d(?:\.\d+)?))?")


@dataclass(frozen=True)
class Rows:
    """A table as text.

    Attributes
    ----------
    source : str
        Its name in messages.
    header : tuple of str
        The columns, under serkit's names where :data:`ALIASES` has them, else as they are in the table.
    rows : list of (str, dict)
        Where each row is ("line 3", "row 2"), and its values by column; what is missing is ``""``.
    separator : str
        Between the fields of a text file; ``""`` for other tables.
    """

    source: str
    header: tuple[str, ...]
    rows: list[tuple[str, dict[str, str]]]
    separator: str = ""

    def decimal_commas(self, columns: Iterable[str]) -> bool:
        """Return whether every comma in some columns is a decimal one.

        It is where semicolons or tabs separate the fields, or where one of the columns has a comma that cannot part the
        thousands, as in 0,25.
        """
        return self.separator in (";", "\t") or any(
            _DECIMAL.fullmatch(values.get(column, "")) and not _THOUSANDS.fullmatch(values[column])
            for column in columns
            for _, values in self.rows
        )


def read(file: Path) -> Rows:
    """Read a table from a file.

    Parameters
    ----------
    file : Path
        Parquet, or text in UTF-8 or UTF-16, with or without a byte-order mark. The fields of text are separated by
        tabs, semicolons or commas: by whichever the header has most of.

    Raises
    ------
    CorpusError
        If it cannot be read as a table, a line has too many or too few fields, or two columns mean the same.
    MissingExtraError
        For Parquet without pyarrow.
    """
    if file.suffix.lower() == ".parquet":
        return from_frame(_parquet(file), source=str(file))
    text = _decoded(file)
    try:
        separator = _delimiter(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        header = [name.strip() for name in next(reader, [])]
        records = [(reader.line_num, values) for values in reader if any(value.strip() for value in values)]
    except csv.Error as error:
        raise CorpusError(f"{file} cannot be read as a table ({error}).") from None
    for line, values in records:
        if len(values) != len(header):
            raise CorpusError(f"{file}, line {line}: {len(values)} fields, expected the {len(header)} of the header.")
    names = _names(header, str(file))
    return Rows(
        str(file),
        names,
        [
            (f"line {line}", {name: value.strip() for name, value in zip(names, values, strict=True)})
            for line, values in records
        ],
        separator,
    )


def columns(file: Path) -> tuple[str, ...]:
    """Return the columns of a file that may be a table, under serkit's names; none if it cannot be read."""
    try:
        if file.suffix.lower() == ".parquet":
            return _names([str(name) for name in _parquet_columns(file)], str(file))
        text = _decoded(file)
        return _names(
            [name.strip() for name in next(csv.reader([_first(text)], delimiter=_delimiter(text)))], str(file)
        )
    except (CorpusError, MissingExtraError, csv.Error):
        return ()


def from_frame(frame: pd.DataFrame, *, source: str = "the data frame") -> Rows:
    """Take the rows of a data frame; a named index, such as audformat's file, start and end, counts as columns.

    Parameters
    ----------
    frame : pandas.DataFrame
        Times may be seconds or timedeltas; missing values become ``""``.
    source : str
        Its name in messages, which count rows from 0.

    Raises
    ------
    CorpusError
        If two columns mean the same.
    """
    levels = [name for name in frame.index.names if name is not None and name not in frame.columns]
    if levels:
        frame = frame.reset_index(levels)
    names = _names([str(name).strip() for name in frame.columns], source)
    columns = [[text_of(value) for value in frame.iloc[:, at]] for at in range(frame.shape[1])]
    return Rows(
        source,
        names,
        [(f"row {at}", dict(zip(names, values, strict=True))) for at, values in enumerate(zip(*columns, strict=True))],
    )


def seconds(name: str, text: str, *, commas: bool = False) -> float | None:
    """Return a time in seconds, rounded to microseconds; None for an empty field.

    Parameters
    ----------
    name : str
        The column, for messages.
    text : str
        Seconds with a decimal point or a decimal comma, or a timedelta as pandas and audformat write it.
    commas : bool
        As for :func:`number`.

    Raises
    ------
    CorpusError
        If it is not a time of 0 s or more, or if 1,085 could be 1.085 or 1085.

    Examples
    --------
    >>> seconds("start", "1,25"), seconds("end", "0 days 00:01:02.500000"), seconds("end", "NaT")
    (1.25, 62.5, None)
    """
    if text.lower() in _BLANK:
        return None
    delta = _TIMEDELTA.fullmatch(text)
    try:
        if delta:
            days, *clock = (float(part or 0) for part in delta.groups())
            value = 86400 * days + 3600 * clock[0] + 60 * clock[1] + clock[2]
        else:
            value = _decimal(name, text, commas)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise CorpusError(f"{name} is {text!r}: expected seconds, such as 1.25.")
    return round(value, 6)


def missing(text: str) -> bool:
    """Whether a label or a number is missing: empty, or a word that software writes there, in capitals or not.

    Examples
    --------
    >>> [missing(text) for text in ("", "nan", "NA", "N/A", "None", "null", "NaT", "<NA>", "neutral")]
    [True, True, True, True, True, True, True, True, False]
    """
    return text.lower() in {*_BLANK, "na", "n/a"}


def number(name: str, text: str, *, commas: bool = False) -> float | None:
    """Return a number with a decimal point or a decimal comma; None for an empty field.

    Parameters
    ----------
    name : str
        The column, for messages.
    text : str
    commas : bool
        Whether every comma of the table is known to be a decimal one; see :meth:`Rows.decimal_commas`.

    Raises
    ------
    CorpusError
        If it is no finite number, or if 1,085 could be 1.085 or 1085.

    Examples
    --------
    >>> number("arousal", "4,5"), number("arousal", "-0.25"), number("arousal", "NA")
    (4.5, -0.25, None)
    >>> number("arousal", "1,085", commas=True)
    1.085
    """
    if missing(text):
        return None
    try:
        value = _decimal(name, text, commas)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CorpusError(f"{name} is {text!r}: expected a number, such as 3.5, or an empty field.")
    return value


def _decimal(name: str, text: str, commas: bool) -> float:
    """A number with a point or a comma: ValueError if it is none, CorpusError if the comma may part the thousands."""
    if not commas and _THOUSANDS.fullmatch(text):
        raise CorpusError(
            f"{name} is {text!r}, which could be {text.replace(',', '.')} or {text.replace(',', '')}: write it without "
            "a comma."
        )
    return float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)


def _names(header: list[str], source: str) -> tuple[str, ...]:
    """The columns under serkit's names: those that have it already, else those that an alias names."""
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise CorpusError(f"{source} has two columns named {repeated[0]!r}: name each column once.")
    keys = [re.sub(r"[\s-]+", "_", name.lower()) for name in header]
    names = list(header)
    for own, others in ALIASES.items():
        found = _claimed(keys, [own]) or _claimed(keys, others)
        if len(found) > 1:
            which = ", ".join(repr(header[at]) for at in found)
            raise CorpusError(f"{source} has the columns {which}, which all mean {own}: rename one of them to {own}.")
        for at in found:
            names[at] = own
    for own in ("start", "end"):
        for at in _claimed(keys, [own])[:1]:
            names[at] = own
    return tuple(names)


def _first(text: str) -> str:
    return text.lstrip("\r\n").partition("\n")[0].rstrip("\r")


def _delimiter(text: str) -> str:
    first = _first(text)
    return max(_DELIMITERS, key=lambda mark: (first.count(mark), -_DELIMITERS.index(mark)))


def _claimed(keys: list[str], wanted: Iterable[str]) -> list[int]:
    chosen = set(wanted)
    return [at for at, key in enumerate(keys) if key in chosen]


def _decoded(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CorpusError(f"{file} cannot be read as a table ({error.strerror or error}).") from None
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise CorpusError(f"{file} is not UTF-8 text: save the table as CSV in UTF-8.") from None


def _parquet(file: Path) -> pd.DataFrame:
    try:
        import pyarrow
    except ImportError:
        raise MissingExtraError("Reading .parquet", "pyarrow", "parquet") from None
    try:
        return pd.read_parquet(file, engine="pyarrow")
    except (OSError, pyarrow.ArrowException) as error:
        raise CorpusError(f"{file} cannot be read as Parquet ({error}).") from None


def _parquet_columns(file: Path) -> list[str]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("Reading .parquet", "pyarrow", "parquet") from None
    try:
        return list(pyarrow.parquet.read_schema(file).names)
    except (OSError, pyarrow.ArrowException) as error:
        raise CorpusError(f"{file} cannot be read as Parquet ({error}).") from None


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return "" if value.strip().lower() in _BLANK else value.strip()
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    if isinstance(value, pd.Timedelta):
        return repr(value.total_seconds())
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        number = float(value)
        if math.isnan(number):
            return ""
        return str(int(number)) if number.is_integer() else repr(number)
    return str(value)
