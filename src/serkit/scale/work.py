"""What a worker does with recordings: rows of predictions, or of timelines, in the format of the folder."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, BinaryIO, Literal, NamedTuple, TypeAlias

from serkit.audio import Source
from serkit.recognition import parquet
from serkit.recognition.answer_codecs import CODECS
from serkit.recognition.prediction import Prediction
from serkit.recognition.recognizer import Recognizer
from serkit.recognition.rows import columns, flat_row
from serkit.recognition.sources import failure
from serkit.scale.inputs import Input
from serkit.scale.stores import TIMEOUT, Store, is_address

__all__ = ["FORMATS", "Answer", "Format", "Problem", "Work", "crashed"]

#: How partitions can be written.
FORMATS = ("parquet", "csv", "jsonl")
Format: TypeAlias = Literal["parquet", "csv", "jsonl"]

_AHEAD = 2  # files of an object store that are fetched while another is answered
_CRASHED = "It ends the process that reads it: its decoder crashes, or it needs more memory than there is."


class Problem(NamedTuple):
    """A row of the table of errors."""

    path: str
    problem: str  #: ``failed`` or ``breaks off``
    reason: str


class Answer(NamedTuple):
    """The rows of one recording, as they are written."""

    rows: tuple[bytes | dict[str, Any], ...]
    problem: Problem | None = None


@dataclass(frozen=True)
class Work:
    """What is done with each recording; it can be sent to other processes.

    Attributes
    ----------
    recognizer : Recognizer
    format : {"parquet", "csv", "jsonl"}
    asked : dict
        The options of :meth:`serkit.Recognizer.predict`, or those of :meth:`serkit.Recognizer.timeline`.
    timelines : bool
        Make timelines, with a row for each segment; in JSON Lines, a line for each recording.
    timeout : float
        Longest silence of an object store, s.
    """

    recognizer: Recognizer
    format: Format
    asked: dict[str, Any]
    timelines: bool = False
    timeout: float = TIMEOUT

    @property
    def columns(self) -> list[str]:
        """The columns of the rows."""
        path, *rest = columns(self._names)
        return [path, *(["track"] if self.timelines else []), *rest]

    @property
    def _names(self) -> tuple[str, ...]:
        return self.recognizer.labels if self.timelines else self.recognizer.columns

    def answer(self, inputs: Sequence[Input]) -> Iterator[Answer]:
        """Yield the answer for each recording, in order; one that fails costs only itself."""
        return self._timelines(inputs) if self.timelines else self._predictions(inputs)

    def encode(self, answers: Sequence[Answer]) -> bytes:
        """Return a partition as a file."""
        rows: list[Any] = [row for answer in answers for row in answer.rows]
        if self.format == "parquet":
            return parquet.encode(rows, self.columns)
        return self._head + b"".join(rows)

    @cached_property
    def _head(self) -> bytes:
        if self.format == "csv" and self.timelines:
            return self._csv([]).encode()
        return CODECS[f".{self.format}"](self._names).head

    def _predictions(self, inputs: Sequence[Input]) -> Iterator[Answer]:
        encode = CODECS[f".{self.format}"](self._names).encode
        found = self.recognizer.rows_of(_sources(inputs, self.timeout), workers=1, **self.asked)
        for one, rows in zip(inputs, found, strict=True):
            placed = [replace(row, path=one.path) for row in rows]
            if self.format == "parquet":
                yield Answer(tuple(flat_row(row, self._names) for row in placed), _problem(placed[0]))
            else:
                yield Answer(tuple(map(encode, placed)), _problem(placed[0]))

    def _timelines(self, inputs: Sequence[Input]) -> Iterator[Answer]:
        for one, source in zip(inputs, _sources(inputs, self.timeout), strict=True):
            try:
                if isinstance(source, Prediction):
                    yield Answer((), _problem(source))
                    continue
                timeline = replace(self.recognizer.timeline(source, **self.asked), path=one.path)
            except Exception as error:  # if one recording fails, the others are still answered
                yield Answer((), _problem(replace(failure(None, error), path=one.path)))
                continue
            problem = None
            if timeline.error is not None:
                reason = f"{timeline.error} The first {timeline.duration:.2f} s are answered."
                problem = Problem(one.path, "breaks off", reason)
            if self.format == "jsonl":
                yield Answer((json.dumps(timeline.to_dict()).encode("ascii") + b"\n",), problem)
            elif self.format == "csv":
                text = self._csv([timeline]).encode("utf-8", "surrogateescape")
                yield Answer((text[len(self._head) :],), problem)
            else:
                labels = self.recognizer.labels
                rows = (
                    {**flat_row(replace(part, path=one.path), labels), "track": track}
                    for track, part in timeline.rows()
                )
                yield Answer(tuple(rows), problem)

    def _csv(self, timelines: list[Any]) -> str:
        from serkit.recognition.track_formats import to_csv

        return to_csv(timelines, labels=self.recognizer.labels)


def crashed(path: str) -> Input:
    """Return the input for a recording that ends whatever reads it."""
    return Input(path, _CRASHED)


def _problem(row: Prediction) -> Problem | None:
    if row.error is not None:
        return Problem(row.path or "-", "failed", row.error)
    if "truncated" in row.warnings:
        return Problem(row.path or "-", "breaks off", f"It breaks off after {row.end:.2f} s.")
    return None


def _sources(inputs: Sequence[Input], timeout: float) -> Iterator[Source | Prediction]:
    """Yield what each recording is read from; files of object stores are fetched ahead and closed after their turn."""
    stores: dict[str, Store] = {}

    def fetch(path: str) -> BinaryIO | Prediction:
        try:
            kind = path.partition("://")[0]
            if kind not in stores:
                stores[kind] = Store(path, timeout=timeout)
            return stores[kind].open(path)
        except Exception as error:
            return failure(path, error)

    left = deque(inputs)
    waiting: deque[Input | Future[BinaryIO | Prediction]] = deque()
    opened: deque[BinaryIO] = deque()
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="serkit") as pool:
        while left or waiting:
            while left and len(waiting) <= _AHEAD:
                one = left.popleft()
                waiting.append(pool.submit(fetch, one.path) if one.error is None and is_address(one.path) else one)
            first = waiting.popleft()
            if isinstance(first, Input):
                yield (
                    first.path
                    if first.error is None
                    else Prediction(first.path, 0.0, 0.0, None, None, {}, error=first.error)
                )
                continue
            source = first.result()
            yield source
            if not isinstance(source, Prediction):
                opened.append(source)
            if len(opened) > 2 * _AHEAD:  # answered: no more than two are read at the same time
                opened.popleft().close()
    for file in opened:
        file.close()
