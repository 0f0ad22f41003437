"""A CSV or TSV manifest: any recordings, described by a table."""

from __future__ import annotations

import csv
import math
import posixpath
from pathlib import Path
from typing import Any

from serkit.corpora.table import CHANNELS, Listing
from serkit.emotions import canonical
from serkit.errors import CorpusError

__all__ = ["find_manifest", "read"]

_SEX = {"": "", "f": "female", "female": "female", "m": "male", "male": "male"}
_REQUIRED = ("path", "emotion")


def find_manifest(folder: Path) -> Path | None:
    """Return ``manifest.csv`` or ``manifest.tsv`` of a folder if its header has the columns path and emotion."""
    for name in ("manifest.csv", "manifest.tsv"):
        file = folder / name
        if file.is_file():
            header, _ = _records(file)
            if set(_REQUIRED) <= set(header):
                return file
    return None


def read(file: Path) -> Listing:
    """List a corpus that a manifest describes.

    The file is UTF-8 with a header: columns ``path`` (relative to the manifest's folder, with ``/``) and
    ``emotion`` (a label, an alias, or one of :data:`serkit.emotions.OTHERS`); optional are ``start`` and ``end``
    (seconds; empty: the file's start, its end), ``speaker``, ``sex`` (female, male, f, m), ``channel`` (speech, song),
    ``intensity``, ``statement``, ``repetition`` and ``corpus``.
    Other columns are kept as text; ``audio_hash`` is always recomputed. ``.tsv`` files are separated by tabs, all
    others by commas.

    Parameters
    ----------
    file : Path
        The manifest, or a folder with ``manifest.csv`` or ``manifest.tsv``.

    Raises
    ------
    CorpusError
        For a wrong header, a wrong line (the message names the line), an unknown label or missing files.
    """
    if file.is_dir():
        found = find_manifest(file)
        if found is None:
            raise CorpusError(f"{file} has no manifest.csv or manifest.tsv with the columns path and emotion.")
        file = found
    header, records = _records(file)
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise CorpusError(
            f"{file} lacks the column {missing[0]}: its header is {', '.join(header) or 'empty'}; it needs path and "
            f"emotion."
        )
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise CorpusError(f"{file} has two columns named {repeated[0]!r}: name each column once.")
    rows: list[dict[str, Any]] = []
    absent: list[str] = []
    for line, values in records:
        if len(values) != len(header):
            raise CorpusError(f"{file}, line {line}: {len(values)} fields, expected the {len(header)} of the header.")
        try:
            row = _row(dict(zip(header, values, strict=True)), file.parent)
        except CorpusError as error:
            raise CorpusError(f"{file}, line {line}: {error}") from None
        if not (file.parent / row["path"]).is_file():
            absent.append(f"line {line}: {row['path']}")
        rows.append(row)
    if absent:
        raise CorpusError(
            f"{len(absent)} of {len(rows)} files of {file} are missing: {'; '.join(absent[:5])}"
            + ("; ..." if len(absent) > 5 else "")
            + ". Paths are relative to the folder of the manifest."
        )
    if not rows:
        raise CorpusError(f"{file} has a header but no clips.")
    name = file.resolve().parent.name if file.stem.lower() == "manifest" else file.stem
    return Listing(name, file.parent, rows, "unknown", "unknown")


def _row(values: dict[str, str], root: Path) -> dict[str, Any]:
    row: dict[str, Any] = {name: value.strip() for name, value in values.items() if name != "audio_hash"}
    if not row["path"]:
        raise CorpusError("the path is empty.")
    if Path(row["path"]).is_absolute():
        raise CorpusError(f"{row['path']} is an absolute path: give it relative to {root}.")
    row["path"] = posixpath.normpath(row["path"])
    row["emotion"] = canonical(row["emotion"], others=True)
    for name in ("start", "end"):
        row[name] = _seconds(name, row.get(name, ""))
    if row["end"] is not None and row["end"] <= (row["start"] or 0.0):
        raise CorpusError(f"end {row['end']:g} s is not after start {row['start'] or 0:g} s.")
    if row.get("sex", "").lower() not in _SEX:
        raise CorpusError(f"sex is {row['sex']!r}: expected female, male or an empty field.")
    row["sex"] = _SEX[row.get("sex", "").lower()]
    row["channel"] = row.get("channel", "").lower() or "speech"
    if row["channel"] not in CHANNELS[1:]:
        raise CorpusError(f"channel is {row['channel']!r}: expected speech or song.")
    if not row.get("corpus", ""):
        row.pop("corpus", None)
    return row


def _seconds(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise CorpusError(f"{name} is {text!r}: expected seconds, such as 1.25.")
    return round(value, 6)


def _records(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and the non-empty lines, each with its number."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.reader(opened, delimiter="\t" if file.suffix.lower() == ".tsv" else ",", strict=True)
            header = [name.strip() for name in next(reader, [])]
            return header, [(reader.line_num, values) for values in reader if any(value.strip() for value in values)]
    except UnicodeDecodeError:
        raise CorpusError(f"{file} is not UTF-8 text: save the table as CSV in UTF-8.") from None
    except (csv.Error, OSError) as error:
        raise CorpusError(f"{file} cannot be read as a table ({error}).") from None
