"""The formats of a file of answers: how a row is written, and how it is found again."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from serkit.errors import SerkitError
from serkit.recognition.csv_text import csv_line, guard, unguard
from serkit.recognition.prediction import Prediction
from serkit.recognition.rows import columns, csv_cells, flat_row

__all__ = ["CODECS", "Codec", "Row"]


class Row(NamedTuple):
    """What is read of a row to find it again.

    Attributes
    ----------
    end : int
        Where the row ends in the file, bytes.
    path : str or None
        None for the header of a CSV.
    channel : str or None
    failed : bool
        Whether the row holds an error instead of an answer.
    """

    end: int
    path: str | None
    channel: str | None
    failed: bool


class Codec(NamedTuple):
    """A format: the first bytes of a file, an answer as bytes, and a reader of rows that stops at a cut-off row."""

    head: bytes
    encode: Callable[[Prediction], bytes]
    read: Callable[[BinaryIO, str], Iterator[Row]]


def _csv(labels: tuple[str, ...]) -> Codec:
    names = columns(labels)
    head = [guard(name) for name in names]
    path, channel, error = (names.index(name) if name in names else None for name in ("path", "channel", "error"))

    def line(cells: list[Any]) -> bytes:
        return csv_line(cells).encode("utf-8", "surrogateescape")

    def read(file: BinaryIO, name: str) -> Iterator[Row]:
        end, whole = 0, True

        def lines() -> Iterator[str]:
            nonlocal end, whole
            for raw in file:
                end, whole = end + len(raw), raw.endswith(b"\n")
                yield raw.decode("utf-8", "surrogateescape")

        def cell(row: list[str], column: int | None) -> str | None:
            return None if column is None else unguard(row[column])

        rows = csv.reader(lines(), strict=True)
        number = -1
        try:
            for number, row in enumerate(rows):
                if not whole:
                    return
                if len(row) != len(head) or (number == 0 and row != head):
                    raise _foreign(name, number)
                if number == 0:
                    yield Row(end, None, None, False)
                else:
                    yield Row(end, cell(row, path) or "-", cell(row, channel) or None, bool(cell(row, error)))
        except csv.Error:  # the last row ends inside its quotes
            if file.read(1):
                raise _foreign(name, number + 1) from None

    return Codec(line(head), lambda prediction: line(csv_cells(prediction, labels)), read)


def _jsonl(labels: tuple[str, ...]) -> Codec:
    return Codec(b"", lambda prediction: _json_line(prediction.to_dict()), _read_json_lines)


def _parquet(labels: tuple[str, ...]) -> Codec:
    return Codec(b"", lambda prediction: _json_line(flat_row(prediction, labels)), _read_json_lines)


def _json_line(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode("ascii") + b"\n"


def _read_json_lines(file: BinaryIO, name: str) -> Iterator[Row]:
    end = 0
    for number, raw in enumerate(file):
        if not raw.endswith(b"\n"):
            return
        end += len(raw)
        try:
            row = json.loads(raw)
            found = Row(end, row["path"] or "-", row.get("channel"), row.get("error") is not None)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _foreign(name, number) from None
        yield found


def _foreign(name: str, row: int) -> SerkitError:
    return SerkitError(f"{name!r} cannot be resumed: serkit did not write its line {row + 1}; give another file.")


#: Suffix -> the codec for these labels.
CODECS: dict[str, Callable[[tuple[str, ...]], Codec]] = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
