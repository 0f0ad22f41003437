"""Labels of clips, from RAVDESS names or a table, and how the answers compare with them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from serkit.confusion import scores_of
from serkit.emotions import own
from serkit.errors import CorpusError
from serkit.ravdess_names import parse_stem
from serkit.recognition.prediction import Prediction

__all__ = ["Comparison", "by_name", "compare", "from_table"]


@dataclass(frozen=True)
class Comparison:
    """Answers compared with labels.

    Attributes
    ----------
    n, unanswered : int
        Clips with a label and an emotion; clips with a label but no emotion (unsure, no speech), which do not count in
        the scores.
    accuracy, uar : float
        In [0, 1].
    labels : list of str
        Labels of the rows and columns below: the model's, then those that only occur in the truth.
    confusion : list of list of int
        Counts; rows are the truth, columns the answers.
    """

    n: int
    unanswered: int
    accuracy: float
    uar: float
    labels: list[str]
    confusion: list[list[int]]


def by_name(names: Sequence[str]) -> dict[str, str]:
    """Return the emotion of each file with a RAVDESS name.

    Examples
    --------
    >>> by_name(["call.wav", "song/03-02-05-01-01-01-12.flac"])
    {'song/03-02-05-01-01-01-12.flac': 'angry'}
    """
    found = {}
    for name in names:
        try:
            found[name] = parse_stem(PurePosixPath(name).stem)["emotion"]
        except CorpusError:
            continue
    return found


def from_table(data: bytes) -> dict[str, str]:
    """Read a table of labels: CSV, UTF-8, with the columns ``file`` (or ``path``) and ``emotion`` (or ``label``).

    Raises
    ------
    CorpusError
        If it is not such a table, or a text in it cannot be a label.

    Examples
    --------
    >>> from_table(b"file,emotion\\na.wav,ANG\\n")
    {'a.wav': 'angry'}
    """
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error):
        raise CorpusError(
            "The labels are not CSV in UTF-8: save the table as CSV with the columns file,emotion."
        ) from None
    columns = {name.strip().lower(): name for name in (rows[0] if rows else {}) if name}
    file = columns.get("file") or columns.get("path")
    emotion = columns.get("emotion") or columns.get("label")
    if file is None or emotion is None:
        got = ", ".join(columns) or "an empty table"
        raise CorpusError(f"The labels need the columns file,emotion, got {got}.")
    return {str(row[file]).strip(): own(str(row[emotion])) for row in rows if row[file] and row[emotion]}


def compare(rows: Sequence[Prediction], truth: Mapping[str, str], labels: Sequence[str]) -> Comparison | None:
    """Compare answers with labels; None if no clip has both a label and an emotion.

    A label applies to the clip with that path, or else to the only clip with that file name.

    Examples
    --------
    >>> row = Prediction("a/x.wav", 0.0, 1.0, "sad", 0.9, {"happy": 0.1, "sad": 0.9}, speech=True)
    >>> compare([row], {"x.wav": "happy"}, ["happy", "sad"])
    Comparison(n=1, unanswered=0, accuracy=0.0, uar=0.0, labels=['happy', 'sad'], confusion=[[0, 1], [0, 0]])
    """
    pairs = list(_labelled(rows, truth))
    answered = [(label, row.emotion) for row, label in pairs if row.emotion is not None]
    if not answered:
        return None
    names = [*labels, *sorted({label for label, _ in answered} - set(labels))]
    place = {name: k for k, name in enumerate(names)}
    confusion = np.zeros((len(names), len(names)), int)
    for label, emotion in answered:
        confusion[place[label], place[emotion]] += 1
    scores = scores_of(confusion)
    return Comparison(
        len(answered),
        len(pairs) - len(answered),
        float(scores["accuracy"]),
        float(scores["uar"]),
        names,
        confusion.tolist(),
    )


def _labelled(rows: Sequence[Prediction], truth: Mapping[str, str]) -> Iterator[tuple[Prediction, str]]:
    bases = [PurePosixPath(row.path or "").name for row in rows]
    for row, base in zip(rows, bases, strict=True):
        label = truth.get(row.path or "") or (truth.get(base) if bases.count(base) == 1 else None)
        if label is not None and row.error is None:
            yield row, label
