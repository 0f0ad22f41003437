"""Answers in a file that grows row by row, so that a run that was stopped can be resumed.

Beside ``answers.csv``, ``answers.csv.run.json`` holds the model and the options that the rows were made with. CSV and
JSON Lines grow row by row; Parquet cannot, so its rows wait in ``answers.parquet.part`` until the end. Each row is
handed to the operating system at once: however the process ends, only unfinished recordings are lost. Rows that replace
an earlier table grow in ``answers.csv.new`` (:mod:`serkit.recognition.answer_places`). A lock keeps a second process
from writing the same file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

from serkit._version import __version__
from serkit.bundle import Bundle
from serkit.errors import SerkitError
from serkit.files import differences, followed, hold
from serkit.recognition.answer_codecs import CODECS
from serkit.recognition.answer_places import Places
from serkit.recognition.csv_text import canonical
from serkit.recognition.prediction import Prediction
from serkit.recognition.rows import columns

__all__ = ["SUFFIXES", "AnswerFile", "model_key"]

#: What the name of an :class:`AnswerFile` may end in.
SUFFIXES = tuple(CODECS)

_Input = TypeVar("_Input", bound="str | os.PathLike[str] | Prediction | None")


class AnswerFile:
    """A table of answers, written row by row and resumable.

    Parameters
    ----------
    target : path
        Ends in ``.csv``, ``.jsonl`` or ``.parquet`` (extra ``parquet``).
    bundle : Bundle
        The model that answers.
    options : dict, optional
        What else changes the rows, JSON-able, such as ``{"min_confidence": 0.6}``.
    labels : sequence of str, optional
        The labels that are answered, by default those of the model: each has a column.
    resume : bool
        Keep the rows that are there and add to them.
    retry_failed : bool
        With `resume`: rows that hold an error are removed when :meth:`left` is given their recording again.
    force : bool
        Without `resume`: replace a file that is there, once the new one is finished.

    Attributes
    ----------
    kept : int
        Rows that were there before.
    kept_failures : int
        How many of them are failures. They are tried again only with `retry_failed`.

    Raises
    ------
    SerkitError
        If the name has another ending; if the file cannot be written, or another process is writing it; without
        `resume` and `force`, if it exists; with `resume`, if its rows were made by another model or with other
        options, if an earlier serkit began it with other columns, or if the note of how they were made is missing.
    MissingExtraError
        If the file is Parquet and pyarrow is not installed.

    Notes
    -----
    A recording is found again by its resolved path: ``./a.wav``, ``a.wav`` and ``/data/a.wav`` are one recording in
    the folder ``/data``. A file may be resumed from any folder: relative names in its rows always start from the
    folder in which the file was begun, which ``run.json`` names.

    Examples
    --------
    >>> with AnswerFile("answers.csv", recognizer.bundle, resume=True) as answers:      # doctest: +SKIP
    ...     for answer in recognizer.predict_iter(answers.left(paths)):
    ...         answers.write(answer)
    ...     answers.finish()
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        bundle: Bundle,
        *,
        options: dict[str, Any] | None = None,
        labels: Sequence[str] | None = None,
        resume: bool = False,
        retry_failed: bool = False,
        force: bool = False,
    ) -> None:
        self.name = os.fspath(target)
        path = Path(target)
        suffix = path.suffix.lower()
        if suffix not in CODECS:
            raise SerkitError(f"A file of answers ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}: {self.name!r}.")
        if path.is_dir():
            raise SerkitError(f"Cannot write {self.name!r}: it is a folder.")
        self._labels = bundle.manifest.labels if labels is None else tuple(labels)
        self._parquet = suffix == ".parquet"
        if self._parquet:
            from serkit.recognition import parquet  # now, so that a missing package shows before the first recording

            parquet.need()
        self._places = Places(followed(path), parquet=self._parquet)
        self._codec = CODECS[suffix](self._labels)
        self._retry = retry_failed
        self._made: dict[str, Any] = {
            "serkit": __version__,
            "model": f"{bundle.manifest.name} {bundle.manifest.version}",
            "model_key": model_key(bundle),
            "options": options or {},
            "columns": columns(self._labels),
            "folder": os.getcwd(),  # noqa: PTH109 - relative names in the rows start here
            "finished": False,
        }
        self._here: str = self._made["folder"]
        self._real: dict[str, str] = {}  # folder -> resolved
        self._seen: Counter[tuple[str, str | None]] = Counter()
        self._done: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self.kept = self.kept_failures = 0
        self._unused = False
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(hold(target))
                before = self._before(resume, force)
                self._file = self._continue(before) if before else self._begin()
            except OSError as error:
                raise self._refused(error) from None
            self._lock = stack.pop_all()

    def __enter__(self) -> AnswerFile:
        return self

    @property
    def earlier_stays(self) -> bool:
        """Whether an earlier table is in the file's place until the end."""
        return self._places.replaces

    def left(self, inputs: Iterable[_Input]) -> Iterator[_Input]:
        """Yield the inputs (paths, failures, or None for standard input) that have no row yet.

        An input that is given twice has two rows, as without a file. With ``retry_failed``, the rows of recordings
        that failed and are among the inputs are removed from the file first, so that they are yielded here.
        """
        if self._retry and self._failed:
            inputs = list(inputs)
            self._remove(self._failed.keys() & {self._key(_path(item), self._here) for item in inputs})
        done = self._done.copy()
        for item in inputs:
            key = self._key(_path(item), self._here)
            if done[key] > 0:
                done[key] -= 1
            else:
                yield item

    def write(self, *predictions: Prediction) -> None:
        """Write the rows of one recording, and hand them to the operating system at once."""
        try:
            self._file.write(b"".join(self._codec.encode(self._placed(prediction)) for prediction in predictions))
            self._file.flush()
        except OSError as error:
            raise self._refused(error) from None
        self._unused = False

    def finish(self) -> None:
        """Close the file, which is complete; Parquet is written only now."""
        with self._lock:
            try:
                self._file.close()
                self._places.finish(columns(self._labels))
                self._places.write_note({**self._made, "finished": True})
                self._unused = False
            except OSError as error:
                raise self._refused(error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            try:
                self._file.close()
                if self._unused:
                    self._places.forget()
            except OSError as refused:
                if error is None:
                    raise self._refused(refused) from None

    def _before(self, resume: bool, force: bool) -> dict[str, Any] | None:
        """What is known of existing rows that are kept; None if there are none."""
        self._places.find()
        known, there = self._places.note(), self._places.taken()
        if not resume:
            if there and not force:
                unfinished = known is not None and not known.get("finished")
                what = "belongs to a run that was stopped" if unfinished else "exists"
                more = "add --resume (resume=True) to continue it" if known else "choose another name"
                raise SerkitError(f"{self.name!r} {what}: {more}, or --force (force=True) to replace it.")
            return None
        if known is None:
            if there:
                raise SerkitError(
                    f"{self.name!r} cannot be resumed: {self._places.note_name}, which says how its rows were made, is "
                    "missing or damaged; give another file, or use --force without --resume to replace it."
                )
            return None
        for key in ("model_key", "options"):
            if known.get(key) != self._made[key]:
                if key == "options":
                    raise SerkitError(
                        f"{self.name!r} was begun with other options: {differences(known.get(key), self._made[key])}. "
                        "Take the same options, or give another file."
                    )
                was, now = known.get("model"), self._made["model"]
                same = " of the same name, but another graph" if was == now else ""
                raise SerkitError(
                    f"{self.name!r} was begun with the model {was}, this run has {now}{same}: take the same model, or "
                    "give another file."
                )
        if known.get("columns") != self._made["columns"]:
            raise SerkitError(
                f"{self.name!r} was begun by serkit {known.get('serkit')}, whose rows have other columns: give another "
                "file, or use --force without --resume to replace it."
            )
        return known

    def _begin(self) -> BinaryIO:
        """An empty table, then the note of how its rows are made: old rows are never mistaken for new ones."""
        self._places.begin(self._codec.head)
        self._places.write_note(self._made)
        self._unused = self._places.replaces
        return self._end()

    def _end(self) -> BinaryIO:
        """Open the table at its end."""
        file = self._places.rows.open("r+b")
        file.seek(0, os.SEEK_END)
        return file

    def _continue(self, known: dict[str, Any]) -> BinaryIO:
        """Open the existing table for its next row; a row that was cut off is removed."""
        self._made["folder"] = str(known.get("folder", self._here))
        places = self._places
        if self._parquet and not places.replaces:
            from serkit.recognition import parquet

            for found in parquet.rows(places.table, places.rows):
                self._count(*found)
        if not places.rows.exists():
            places.rows.write_bytes(self._codec.head)
        file = places.rows.open("r+b")
        last = 0
        for row in self._codec.read(file, self.name):
            last = row.end
            if row.path is not None:
                self._count(row.path, row.channel, row.failed)
        file.seek(last)
        file.truncate()
        if last == 0:
            file.write(self._codec.head)
            file.flush()
        places.write_note(self._made)
        return file

    def _count(self, path: str, channel: str | None, failed: bool) -> None:
        if path != "-" and not Path(path).is_absolute() and not Path(self._made["folder"]).is_dir():
            raise SerkitError(
                f"{self.name!r} was begun in {self._made['folder']!r}, which is gone, so its relative names cannot be "
                "found: give another file."
            )
        key = self._key(path, self._made["folder"])
        self._seen[key, channel] += 1
        self._done[key] = max(self._done[key], self._seen[key, channel])  # a recording has one row per channel
        self._failed.update([key] * failed)
        self.kept += 1
        self.kept_failures += failed

    def _remove(self, keys: set[str]) -> None:
        """Take all rows of these recordings out of the file, in one step."""
        if not keys:
            return

        def gone(path: str | None) -> bool:
            return self._key(path or "-", self._made["folder"]) in keys

        try:
            places, at = self._places, 0
            if self._parquet and not places.replaces and places.table.exists():
                from serkit.recognition import parquet

                parquet.remove(places.table, gone)
            new = places.rows.with_name(f".{places.rows.name}.tmp")
            with places.rows.open("rb") as rows, places.rows.open("rb") as old, new.open("wb") as file:
                for row in self._codec.read(rows, self.name):
                    data, at = old.read(row.end - at), row.end
                    if row.path is None or not gone(row.path):
                        file.write(data)
            self._file.close()
            new.replace(places.rows)
            self._file = self._end()
        except OSError as error:
            raise self._refused(error) from None
        for place in [place for place in self._seen if place[0] in keys]:
            self.kept -= self._seen.pop(place)
        for key in keys:
            self.kept_failures -= self._failed.pop(key)
            del self._done[key]

    def _key(self, path: str, folder: str) -> str:
        """The key of a recording: its absolute path, with links in its folder followed."""
        if path == "-":  # standard input
            return path
        above, name = os.path.split(os.path.join(folder, canonical(path)))  # noqa: PTH118
        if above not in self._real:
            try:
                self._real[above] = os.path.realpath(above)
            except (OSError, ValueError):  # a loop of links, a null byte
                self._real[above] = os.path.normpath(above)
        return os.path.normpath(os.path.join(self._real[above], name))  # noqa: PTH118

    def _placed(self, prediction: Prediction) -> Prediction:
        """The answer with a path that starts from the folder in which the file was begun."""
        path, folder = prediction.path, self._made["folder"]
        if folder == self._here or path in (None, "", "-") or os.path.isabs(path):  # noqa: PTH117
            return prediction
        whole = os.path.join(self._here, path)  # noqa: PTH118
        try:
            return replace(prediction, path=os.path.relpath(whole, folder))
        except ValueError:  # another drive
            return replace(prediction, path=whole)

    def _refused(self, error: OSError) -> SerkitError:
        return SerkitError(f"Cannot write {self.name!r}: {error.strerror or error}.")


def _path(item: str | os.PathLike[str] | Prediction | None) -> str:
    path = item.path if isinstance(item, Prediction) else item
    return "-" if path is None else os.fsdecode(path)


def model_key(bundle: Bundle) -> str:
    """A hash of everything that determines a row: graph, labels, input and, where the model tells it, familiarity."""
    manifest = bundle.manifest
    parts = [manifest.files["model.onnx"], list(manifest.labels), manifest.input]
    parts += [manifest.familiarity] if manifest.familiarity else []
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
