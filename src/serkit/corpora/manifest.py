"""Any recordings, described by a table: a CSV, TSV or Parquet file, or a data frame."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from serkit.corpora import tables
from serkit.corpora.table import CHANNELS, Listing
from serkit.corpora.targets import check_targets
from serkit.emotions import own
from serkit.errors import CorpusError

__all__ = ["find_manifest", "listing", "listing_of_frame", "read"]

_SEX = {"": "", "f": "female", "female": "female", "m": "male", "male": "male"}
_REQUIRED = ("path", "emotion")
#: Stems of files that say nothing about the corpus: it is named after the folder.
_GENERIC = {"manifest", "labels", "label", "metadata", "data", "dataset", "files", "index", "list", "clips", "samples"}
#: Speakers that other software writes where there is none.
_NOBODY = ("nan", "none", "null", "<na>")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_LONGEST = 4096  # letters of a path


def find_manifest(folder: Path, targets: Sequence[str] = ()) -> Path | None:
    """Return the table of a folder: ``manifest.csv`` or ``.tsv``, else the only one that describes clips.

    With `targets`, it needs these columns instead of one for the emotion.

    Raises
    ------
    CorpusError
        If the folder has several tables with a column for the path and one for the emotion.
    """
    files = [file for file in folder.iterdir() if file.suffix.lower() in tables.SUFFIXES and file.is_file()]
    found = [file for file in sorted(files) if set(_required(targets)) <= set(tables.columns(file))]
    named = [file for file in found if file.stem.lower() == "manifest"]
    if named or len(found) < 2:
        return next(iter(named or found), None)
    names = ", ".join(file.name for file in found)
    raise CorpusError(f"{folder} has several tables of clips ({names}): give the file that you mean.")


def _required(targets: Sequence[str]) -> tuple[str, ...]:
    return ("path", *targets) if targets else _REQUIRED


def read(file: Path, targets: Sequence[str] = ()) -> Listing:
    """List a corpus that a table describes.

    The columns are ``path`` and ``emotion`` (an alias of serkit's eight labels, or any label of your own; "01" to "08"
    are RAVDESS' emotions only where the corpus is called ravdess; :func:`serkit.corpora.tables.missing` says which
    words mean that the label is missing); optional are
    ``start`` and ``end`` (seconds, or timedeltas as in audformat's tables; empty: the file's start, its end),
    ``speaker``, ``sex`` (female, male, f, m), ``channel`` (speech, song), ``intensity``, ``statement``, ``repetition``
    and ``corpus``. :data:`serkit.corpora.tables.ALIASES` has other names for four of them. Other columns are kept as
    text; ``audio_hash`` is always recomputed.

    Paths are absolute or relative to the table's folder, with ``/`` or ``\\``.

    Parameters
    ----------
    file : Path
        The table, or a folder that holds one.
    targets : sequence of str
        Columns of ratings: numbers, where a row without one of them is left out. The emotion is then optional.

    Raises
    ------
    CorpusError
        For a wrong header, a wrong line (the message names the line), an unknown label or missing files.

    See Also
    --------
    serkit.corpora.tables.read : Encodings and separators.
    """
    if file.is_dir():
        found = find_manifest(file, targets)
        if found is None:
            needs = " and ".join(_required(targets))
            raise CorpusError(
                f"{file} has no manifest.csv or other table (.csv, .tsv, .parquet) with the columns {needs}."
            )
        file = found
    name = file.resolve().parent.name if file.stem.lower() in _GENERIC else file.stem
    return listing(tables.read(file), file.parent, name, targets)


def listing_of_frame(frame: pd.DataFrame, root: Path, name: str, targets: Sequence[str] = ()) -> Listing:
    """List a corpus that a data frame describes; `root` is the folder of relative paths."""
    return listing(tables.from_frame(frame), root, name, targets)


def listing(table: tables.Rows, root: Path, name: str, targets: Sequence[str] = ()) -> Listing:
    """List the clips of a table whose relative paths begin at `root`; see :func:`read`."""
    check_targets(targets)
    missing = [column for column in _required(targets) if column not in table.header]
    if missing and missing[0] in targets:
        raise CorpusError(
            f"{table.source} has no column {missing[0]} to learn from: its header is {', '.join(table.header)}."
        )
    if missing:
        others = ", ".join(tables.ALIASES[missing[0]])
        raise CorpusError(
            f"{table.source} lacks the column {missing[0]}: its header is {', '.join(table.header) or 'empty'}; it "
            f"needs path and emotion ({missing[0]} may also be called {others})."
        )
    rows: list[dict[str, Any]] = []
    absent: list[str] = []
    unrated = 0
    commas = table.decimal_commas(("start", "end", *targets))
    for where, values in table.rows:
        try:
            row = _row(values, root, name, targets, commas=commas)
        except CorpusError as error:
            raise CorpusError(f"{table.source}, {where}: {error}") from None
        if not _is_file(root / row["path"]):
            absent.append(f"{where}: {values['path']:.200}")
        if any(row[target] is None for target in targets):
            unrated += 1
        else:
            rows.append(row)
    if absent:
        raise CorpusError(
            f"{len(absent)} of {len(table.rows)} files of {table.source} are missing: {'; '.join(absent[:3])}"
            + ("; ..." if len(absent) > 3 else "")
            + f". Paths are absolute, or relative to {root}."
        )
    if targets and (blank := [row for row in rows if not row.get("emotion")]) and len(blank) < len(rows):
        raise CorpusError(
            f"{table.source} has no label for {len(blank)} of {len(rows)} clips, first {blank[0]['path']}: "
            "fill the column, or take it out to learn numbers alone."
        )
    if not rows:
        raise CorpusError(f"{table.source} has a header but no clips{' with ratings' if unrated else ''}.")
    notes = (
        (f"{unrated} of {len(table.rows)} rows have no {' or '.join(targets)} and are left out.",) if unrated else ()
    )
    return Listing(name, _common_root(rows, root, table.source), rows, "unknown", "unknown", notes)


def _common_root(rows: list[dict[str, Any]], root: Path, source: str) -> Path:
    """Return the folder that all paths are below, and make them relative to it."""
    if not any(Path(row["path"]).is_absolute() for row in rows):
        return root
    full = [os.path.normpath(Path.cwd() / root / row["path"]) for row in rows]
    base = os.path.normpath(Path.cwd() / root)
    try:
        below = all(os.path.commonpath([path, base]) == base for path in full)
        common = base if below else os.path.commonpath([str(Path(path).parent) for path in full])
    except ValueError:
        raise CorpusError(f"The files of {source} are on several drives: copy them to one.") from None
    for row, path in zip(rows, full, strict=True):
        row["path"] = Path(os.path.relpath(path, common)).as_posix()
    return root if below else Path(common)


def _path(given: str, root: Path) -> str:
    """Return a path with ``/``; a backslash separates folders unless the file's own name has it."""
    if not given:
        raise CorpusError("the path is empty.")
    if len(given) > _LONGEST:
        raise CorpusError(
            f"{given[:40]}... is no path: recordings that are in the table itself are written as files by "
            "serkit.corpora.from_dataset."
        )
    if "\\" in given and not _is_file(root / given):
        if _DRIVE.match(given) and os.name != "nt":
            raise CorpusError(
                f"{given} is a path on a Windows drive, which this computer does not have: give it relative to {root}."
            )
        given = given.replace("\\", "/")
    return posixpath.normpath(given)


def _is_file(path: Path) -> bool:
    """Whether a file is there; not where its name is longer than any file's."""
    try:
        return path.is_file()
    except OSError:
        return False


def _row(values: dict[str, str], root: Path, corpus: str, targets: Sequence[str], *, commas: bool) -> dict[str, Any]:
    row: dict[str, Any] = {name: value for name, value in values.items() if name != "audio_hash"}
    row["path"] = _path(row["path"], root)
    if tables.missing(row.get("emotion", "")):
        if not targets:
            raise CorpusError(
                "the label is missing: fill it in, or take the row out of the table; nan, NA, None and null mean that "
                "there is none."
            )
        if "emotion" in row:
            row["emotion"] = ""
    else:
        row["emotion"] = own(row["emotion"], corpus=row.get("corpus") or corpus)
    for target in targets:
        row[target] = tables.number(target, values[target], commas=commas)
    for name in ("start", "end"):
        row[name] = tables.seconds(name, row.get(name, ""), commas=commas)
    if row["end"] is not None and row["end"] <= (row["start"] or 0.0):
        raise CorpusError(f"end {row['end']:g} s is not after start {row['start'] or 0:g} s.")
    if row.get("speaker", "").lower() in _NOBODY:
        row["speaker"] = ""
    if row.get("sex", "").lower() not in _SEX:
        raise CorpusError(f"sex is {row['sex']!r}: expected female, male or an empty field.")
    row["sex"] = _SEX[row.get("sex", "").lower()]
    row["channel"] = row.get("channel", "").lower() or "speech"
    if row["channel"] not in CHANNELS[1:]:
        raise CorpusError(f"channel is {row['channel']!r}: expected speech or song.")
    if not row.get("corpus", ""):
        row.pop("corpus", None)
    return row
