"""Text in CSV: any file name reads back as it was, and no spreadsheet reads one as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

__all__ = ["canonical", "csv_line", "guard", "unguard"]

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
