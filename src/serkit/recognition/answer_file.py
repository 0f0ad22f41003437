"""Answers in a file that grows while they come, so that a run that was killed goes on where it stopped.

Beside ``answers.csv`` stands ``answers.csv.run.json``: the model and the options that the rows were made with. CSV and
JSON Lines grow row by row; Parquet cannot, so its rows wait in ``answers.parquet.part`` until the end. Each row is
handed to the operating system at once: whatever ends the process, only the recordings in hand are lost.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

from serkit._version import __version__
from serkit.bundle import Bundle
from serkit.errors import SerkitError
from serkit.files import write_atomic
from serkit.recognition.prediction import Prediction
from serkit.recognition.rows import columns, csv_cells, flat_row

__all__ = ["SUFFIXES", "ResultFile"]

#: What the name of a :class:`ResultFile` may end in.
SUFFIXES = (".csv", ".jsonl", ".parquet")

_Input = TypeVar("_Input", bound="str | os.PathLike[str] | Prediction | None")


class ResultFile:
    """A table of predictions, written row by row and resumable.

    Parameters
    ----------
    target : path
        Ends in ``.csv``, ``.jsonl`` or ``.parquet`` (extra ``parquet``).
    bundle : Bundle
        The model that answers.
    options : dict, optional
        What else changes the rows, JSON-able, such as ``{"min_confidence": 0.6}``.
    resume : bool
        Keep the rows that are there and add to them. If False, a finished file is replaced from the start.

    Attributes
    ----------
    kept : int
        Rows that were there before.
    kept_failures : int
        Those of them that are failures. They are not tried again.

    Raises
    ------
    SerkitError
        If the name has another ending; if the file cannot be written; without `resume`, if an unfinished run is
        there; with `resume`, if the rows there were made by another model, with other options or in another folder,
        or if nobody knows how.
    MissingExtraError
        If Parquet is asked for and pyarrow is not installed.

    Examples
    --------
    >>> with ResultFile("answers.csv", recognizer.bundle, resume=True) as results:      # doctest: +SKIP
    ...     for answer in recognizer.predict_iter(results.left(paths)):
    ...         results.write(answer)
    ...     results.finish()
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        bundle: Bundle,
        *,
        options: dict[str, Any] | None = None,
        resume: bool = False,
    ) -> None:
        self.name = os.fspath(target)
        path = Path(target)
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise SerkitError(f"A file of results ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}: {self.name!r}.")
        if path.is_dir():
            raise SerkitError(f"Cannot write {self.name!r}: it is a folder.")
        self._labels = bundle.manifest.labels
        self._parquet = suffix == ".parquet"
        if self._parquet:
            from serkit.recognition import parquet  # now, so that a missing package shows before the first recording

            parquet.need()
        self._path = path.resolve()  # a link stays a link
        self._beside = self._path.with_name(f"{self._path.name}.run.json")
        self._rows = self._path.with_name(f"{self._path.name}.part") if self._parquet else self._path
        self._head, self._encode, self._read = _CODECS[suffix](self._labels)
        self._made = {
            "serkit": __version__,
            "model": f"{bundle.manifest.name} {bundle.manifest.version}",
            "model_key": _model_key(bundle),
            "options": options or {},
            "folder": os.getcwd(),  # noqa: PTH109 - rows hold paths as they were given
            "finished": False,
        }
        self._done: Counter[str] = Counter()
        self.kept = self.kept_failures = 0
        try:
            before = self._before(resume)
            self._file = self._continue() if before else self._begin()
        except OSError as error:
            raise self._refused(error) from None

    def __enter__(self) -> ResultFile:
        return self

    def left(self, inputs: Iterable[_Input]) -> Iterator[_Input]:
        """Yield the inputs (paths, failures, or None for standard input) that have no row yet.

        An input that is given twice has two rows, as without a file.
        """
        done = self._done.copy()
        for item in inputs:
            key = _key(item.path if isinstance(item, Prediction) else item)
            if done[key] > 0:
                done[key] -= 1
            else:
                yield item

    def write(self, *predictions: Prediction) -> None:
        """Write the rows of one recording and hand them to the operating system."""
        try:
            self._file.write(b"".join(map(self._encode, predictions)))
            self._file.flush()
        except OSError as error:
            raise self._refused(error) from None

    def finish(self) -> None:
        """Close the file, which is complete; for Parquet this is where it comes to be."""
        try:
            self._file.close()
            if self._parquet:
                from serkit.recognition import parquet

                parquet.merge(self._path, self._rows, columns(self._labels))
            self._note({**self._made, "finished": True})
        except OSError as error:
            raise self._refused(error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as refused:
            if error is None:
                raise self._refused(refused) from None

    def _before(self, resume: bool) -> dict[str, Any] | None:
        """What is known of the rows that are there and are to be kept; None if there are none."""
        known: dict[str, Any] | None = None
        if self._beside.exists():
            try:
                known = json.loads(self._beside.read_text(encoding="utf-8"))
            except ValueError:
                known = None
            known = known if isinstance(known, dict) else None
        if not resume:
            if known is not None and not known.get("finished") and self._rows.exists():
                raise SerkitError(
                    f"{self.name!r} is of a run that did not come to its end: add --resume (resume=True) to go on, or "
                    "remove it to begin anew."
                )
            return None
        if known is None:
            if self._path.exists() or self._rows.exists():
                raise SerkitError(
                    f"{self.name!r} cannot be resumed: {self._beside.name}, which says how its rows were made, is not "
                    "beside it; give another file, or leave --resume out to write it anew."
                )
            return None
        for key in ("model_key", "options", "folder"):
            if known.get(key) != self._made[key]:
                shown = "model" if key == "model_key" else key
                was, now = known.get(shown), self._made[shown]
                same = " of the same name, but another graph" if was == now else ""
                raise SerkitError(
                    f"{self.name!r} was begun with the {shown} {was}, this run has {now}{same}: take the same "
                    f"{shown}, or give another file."
                )
        return known

    def _begin(self) -> BinaryIO:
        """An empty table, then the note of how its rows are made: old rows are never taken for new ones."""
        for path in (self._beside, self._path if self._parquet else self._rows):
            path.unlink(missing_ok=True)
        file = self._rows.open("wb")
        file.write(self._head)
        file.flush()
        self._note(self._made)
        return file

    def _continue(self) -> BinaryIO:
        """The table that is there, ready for its next row; a row that was cut off is removed."""
        if self._parquet:
            from serkit.recognition import parquet

            self._count(parquet.rows(self._path, self._rows))
        if not self._rows.exists():
            self._rows.write_bytes(self._head)
        file = self._rows.open("r+b")
        last = 0
        for end, path, failed in self._read(file, self.name):
            last = end
            if path is not None:
                self._count([(path, failed)])
        file.seek(last)
        file.truncate()
        if last == 0:
            file.write(self._head)
            file.flush()
        self._note(self._made)
        return file

    def _count(self, rows: Iterable[tuple[str, bool]]) -> None:
        for path, failed in rows:
            self._done[_key(path)] += 1
            self.kept += 1
            self.kept_failures += failed

    def _note(self, made: dict[str, Any]) -> None:
        write_atomic(json.dumps(made, indent=2) + "\n", self._beside)

    def _refused(self, error: OSError) -> SerkitError:
        return SerkitError(f"Cannot write {self.name!r}: {error.strerror or error}.")


def _model_key(bundle: Bundle) -> str:
    """A hash of all that decides on an answer: graph, labels, what goes in."""
    manifest = bundle.manifest
    parts = [manifest.files["model.onnx"], list(manifest.labels), manifest.input]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _key(path: str | os.PathLike[str] | None) -> str:
    """A path as rows are found by: ``./a.wav`` is ``a.wav``; bytes that are no Unicode as Parquet holds them."""
    return os.path.normpath(os.fspath(path or "-")).encode("utf-8", "backslashreplace").decode("utf-8")


# A codec: the first bytes of a file, a prediction as bytes, and a reader of (end of the row in bytes, path, failed),
# which stops before a row that was cut off. The path of a CSV's header is None.

_Codec = tuple[
    bytes, Callable[[Prediction], bytes], Callable[[BinaryIO, str], Iterator[tuple[int, "str | None", bool]]]
]


def _csv_codec(labels: tuple[str, ...]) -> _Codec:
    head = columns(labels)

    def line(cells: list[Any]) -> bytes:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        return text.getvalue().encode("utf-8", "surrogateescape")

    def read(file: BinaryIO, name: str) -> Iterator[tuple[int, str | None, bool]]:
        end, whole = 0, True

        def lines() -> Iterator[str]:
            nonlocal end, whole
            for raw in file:
                end, whole = end + len(raw), raw.endswith(b"\n")
                yield raw.decode("utf-8", "surrogateescape")

        rows = csv.reader(lines(), strict=True)
        path, error = head.index("path"), head.index("error")
        try:
            for number, row in enumerate(rows):
                if not whole:
                    return
                if len(row) != len(head) or (number == 0 and row != head):
                    raise _foreign(name, number)
                yield end, row[path] if number else None, bool(row[error]) and number > 0
        except csv.Error:  # the last row ends inside its quotes
            if file.read(1):
                raise _foreign(name, number + 1) from None

    return line(head), lambda prediction: line(csv_cells(prediction, labels)), read


def _jsonl_codec(labels: tuple[str, ...]) -> _Codec:
    return b"", lambda prediction: _json_line(prediction.to_dict()), _read_json_lines


def _parquet_codec(labels: tuple[str, ...]) -> _Codec:
    return b"", lambda prediction: _json_line(flat_row(prediction, labels)), _read_json_lines


def _json_line(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode("ascii") + b"\n"


def _read_json_lines(file: BinaryIO, name: str) -> Iterator[tuple[int, str | None, bool]]:
    end = 0
    for number, raw in enumerate(file):
        if not raw.endswith(b"\n"):
            return
        end += len(raw)
        try:
            row = json.loads(raw)
            path, failed = row["path"], row.get("error") is not None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _foreign(name, number) from None
        yield end, path or "-", failed


def _foreign(name: str, row: int) -> SerkitError:
    return SerkitError(f"{name!r} cannot be resumed: line {row + 1} is not what serkit wrote there; give another file.")


_CODECS: dict[str, Callable[[tuple[str, ...]], _Codec]] = {
    ".csv": _csv_codec,
    ".jsonl": _jsonl_codec,
    ".parquet": _parquet_codec,
}
