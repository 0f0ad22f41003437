"""The recordings that paths, folders, patterns, manifests and addresses name, one by one and in a fixed order.

The list goes to a temporary file, so that memory does not grow with the number of recordings.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import json
import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from serkit.audio import folders
from serkit.errors import AudioError, SerkitError
from serkit.recognition.inputs import find_inputs
from serkit.recognition.prediction import Prediction
from serkit.recognition.sources import failure
from serkit.scale.stores import TIMEOUT, Store, is_address

__all__ = ["MANIFESTS", "Input", "Listing", "list_inputs"]

#: What the name of a manifest ends in.
MANIFESTS = (".csv", ".tsv", ".jsonl")
_PATTERN = "*?["


class Input(NamedTuple):
    """A recording, or the reason why there is none."""

    path: str
    error: str | None = None


def list_inputs(
    paths: Iterable[str],
    *,
    recursive: bool = False,
    skipped: Callable[[Path], object] = bool,
    timeout: float = TIMEOUT,
) -> Iterator[Input]:
    """Yield the recordings that `paths` name, in the order in which one process takes them.

    Parameters
    ----------
    paths : iterable of str
        Files, folders, patterns such as ``calls/*.wav``, manifests (``.csv``, ``.tsv`` or ``.jsonl`` with a column
        ``path``, whose relative paths start from the manifest's folder), and addresses of all of these. In a folder
        of an object store the suffix says what is a recording.
    recursive : bool
        Also look into sub-folders.
    skipped : callable, optional
        Called with each file of a local folder that is not a recording.
    timeout : float
        Longest silence of an object store, s.
    """
    for path in paths:
        try:
            yield from _listed(path, recursive, skipped, timeout)
        except (SerkitError, OSError) as error:
            yield Input(path, failure(path, error).error)


def _listed(path: str, recursive: bool, skipped: Callable[[Path], object], timeout: float) -> Iterator[Input]:
    if path.lower().endswith(MANIFESTS):
        yield from _manifest(path, timeout)
    elif not is_address(path):
        if Path(path).is_dir():
            yield from _folder(path, recursive, skipped)
        elif any(sign in path for sign in _PATTERN) and not Path(path).exists():
            found = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - names as they were given
            if not found:
                raise AudioError(f"no file matches {path!r}: check the pattern.")
            yield from map(Input, found)
        else:
            yield from map(_input, find_inputs([path]))
    elif any(sign in path.partition("://")[2] for sign in "*[" if not path.startswith("http")):
        found = Store(path, timeout=timeout).glob(path)
        if not found:
            raise AudioError(f"no file matches {path!r}: check the pattern.")
        yield from map(Input, found)
    elif path.endswith("/") or not folders.has_audio_suffix(path):
        yield from _store_folder(path, recursive, timeout)
    else:
        yield Input(path)


def _input(item: str | os.PathLike[str] | Prediction) -> Input:
    return Input(item.path or "-", item.error) if isinstance(item, Prediction) else Input(os.fspath(item))


def _folder(path: str, recursive: bool, skipped: Callable[[Path], object]) -> Iterator[Input]:
    """Yield a folder's recordings in the order of their POSIX form, a folder's names in memory at a time."""
    seen: set[str] = set()
    errors: list[OSError] = []
    found = False

    def visit(folder: Path) -> Iterator[Input]:
        real = os.path.realpath(folder)
        if real in seen:
            return
        seen.add(real)
        try:
            with os.scandir(folder) as entries:
                # with the stroke behind a folder's name, names sort as whole paths do
                names = sorted((f"{one.name}/", True) if one.is_dir() else (one.name, False) for one in entries)
        except OSError as error:
            errors.append(error)
            return
        for name, is_folder in names:
            if name.startswith("."):
                continue
            if is_folder:
                if recursive and not name.startswith("__MACOSX"):
                    yield from visit(folder / name)
            elif folders.is_audio(folder / name):
                yield Input(str(folder / name))
            else:
                skipped(folder / name)

    for one in visit(Path(path)):
        found = True
        yield one
    if not found and not (recursive and errors):
        yield from map(_input, find_inputs([path], recursive=recursive))  # says what is wrong
        return
    for error in errors:
        yield _input(failure(error.filename, error))


def _store_folder(path: str, recursive: bool, timeout: float) -> Iterator[Input]:
    store = Store(path, timeout=timeout)
    if store.entries(path) is None:
        yield Input(path)  # a file without a suffix; if it is not there, reading it says so
        return
    found = False

    def visit(folder: str) -> Iterator[Input]:
        entries = store.entries(folder) or []
        for name, is_folder in sorted(
            (f"{name}/", True) if is_folder else (name, False) for name, is_folder in entries
        ):
            if is_folder and recursive and not name.startswith("."):
                yield from visit(folder + name)
            elif not is_folder and folders.has_audio_suffix(name):
                yield Input(folder + name)

    for one in visit(path.rstrip("/") + "/"):
        found = True
        yield one
    if not found:
        raise AudioError(f"no recording in {path!r}: add --recursive (recursive=True) to look into its sub-folders.")


def _manifest(path: str, timeout: float) -> Iterator[Input]:
    """Yield the paths of a manifest, which is read row by row."""
    base = path.rpartition("/")[0] if is_address(path) else os.path.dirname(path)  # noqa: PTH120
    raw = Store(path, timeout=timeout).open(path) if is_address(path) else open(path, "rb")  # noqa: PTH123, SIM115
    with raw, io.TextIOWrapper(raw, "utf-8-sig", "surrogateescape", newline="") as file:
        if path.lower().endswith(".jsonl"):
            rows: Iterator[object] = (_json(path, number, line) for number, line in enumerate(file, 1) if line.strip())
        else:
            table = csv.DictReader(file, delimiter="\t" if path.lower().endswith(".tsv") else ",")
            if "path" not in (table.fieldnames or ()):
                raise SerkitError(f"The manifest {path!r} has no column 'path': its first line must name one.")
            rows = iter(table)
        empty = True
        for number, row in enumerate(rows, 1):
            name = row.get("path") if isinstance(row, dict) else None
            if not isinstance(name, str) or not name:
                raise SerkitError(f"Row {number} of the manifest {path!r} has no path.")
            empty = False
            if is_address(name) or os.path.isabs(name) or not base:  # noqa: PTH117
                yield Input(name)
            else:
                yield Input(f"{base}/{name}" if is_address(path) else os.path.join(base, name))  # noqa: PTH118
        if empty:
            raise SerkitError(f"The manifest {path!r} names no recording.")


def _json(path: str, number: int, line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        raise SerkitError(f"Line {number} of the manifest {path!r} is not JSON.") from None


class Listing:
    """Recordings in a temporary file, in partitions of the same size.

    Parameters
    ----------
    inputs : iterable of Input
    size : int
        Recordings in a partition.

    Attributes
    ----------
    total : int
        Recordings.
    failed : int
        Those that could not be found.

    Examples
    --------
    >>> listing = Listing([Input("a.wav"), Input("b.wav"), Input("c.wav")], 2)
    >>> len(listing), listing.part(1)
    (2, [Input(path='c.wav', error=None)])
    """

    def __init__(self, inputs: Iterable[Input], size: int) -> None:
        self._size = size
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the listing
        self._starts = array("Q")
        self.total = self.failed = 0
        for one in inputs:
            if self.total % size == 0:
                self._starts.append(self._file.tell())
            self._file.write(json.dumps(one).encode("ascii") + b"\n")
            self.total += 1
            self.failed += one.error is not None

    def __len__(self) -> int:
        return len(self._starts)

    def part(self, number: int) -> list[Input]:
        """Return the recordings of a partition."""
        return [Input(*json.loads(line)) for line in self._lines(number)]

    def fingerprint(self, number: int) -> str:
        """Return a hash of the names of a partition's recordings."""
        return hashlib.sha256(b"".join(self._lines(number))).hexdigest()

    def _lines(self, number: int) -> list[bytes]:
        self._file.seek(self._starts[number])
        return [self._file.readline() for _ in range(min(self._size, self.total - number * self._size))]

    def close(self) -> None:
        """Remove the temporary file."""
        self._file.close()
