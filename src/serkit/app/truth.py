"""Labels of clips, from the names that published corpora use or from a table, and how the answers compare with them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

import numpy as np

from serkit.confusion import scores_of
from serkit.corpora.registry import published
from serkit.emotions import own
from serkit.errors import CorpusError
from serkit.recognition.prediction import Prediction

__all__ = ["Comparison", "Named", "by_name", "compare", "from_table", "matched"]


@dataclass(frozen=True)
class Named:
    """What the name of a file says.

    Attributes
    ----------
    corpus, title : str
        The published corpus that uses such names: its name in serkit and its authors' name for it.
    emotion, speaker : str
        The speaker is ``""`` where the name does not tell.
    """

    corpus: str
    title: str
    emotion: str
    speaker: str


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


@lru_cache(maxsize=8)
def by_name(paths: tuple[str, ...]) -> dict[str, Named]:
    """Return what the names of files say, for those that have the form of a published corpus.

    Where a name fits several corpora, the one that most of the files fit has it.

    Examples
    --------
    >>> found = by_name(("call.wav", "song/03-02-05-01-01-01-12.flac", "1001_DFA_SAD_XX.wav"))
    >>> [(path, name.title, name.emotion) for path, name in found.items()]
    [('song/03-02-05-01-01-01-12.flac', 'RAVDESS', 'angry'), ('1001_DFA_SAD_XX.wav', 'CREMA-D', 'sad')]
    """
    fits: list[dict[str, Named]] = []
    for corpus in published().values():
        found = {}
        for path in filter(corpus.fits, paths):
            try:
                fields = corpus.parse(corpus.name_of(path))
            except CorpusError:
                continue
            found[path] = Named(corpus.name, corpus.title, fields["emotion"], fields.get("speaker", ""))
        fits.append(found)
    best: dict[str, Named] = {}
    for found in sorted(fits, key=len):
        best |= found
    return {path: best[path] for path in paths if path in best}


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


def matched(paths: Sequence[str], truth: Mapping[str, str]) -> list[str | None]:
    """Return the label of each path, None where there is none.

    A label applies to the clip with that path, or else to the only clip with that file name.

    Examples
    --------
    >>> matched(["a/x.wav", "a/y.wav", "b/y.wav"], {"x.wav": "sad", "y.wav": "sad", "b/y.wav": "happy"})
    ['sad', None, 'happy']
    """
    bases = Counter(PurePosixPath(path).name for path in set(paths))
    found = []
    for path in paths:
        base = PurePosixPath(path).name
        found.append(truth.get(path) or (truth.get(base) if bases[base] == 1 else None))
    return found


def compare(rows: Sequence[Prediction], given: Sequence[str | None], labels: Sequence[str]) -> Comparison | None:
    """Compare answers with labels; None if no clip has both a label and an emotion.

    Parameters
    ----------
    rows : sequence of Prediction
    given : sequence of str or None
        The label of each.
    labels : sequence of str
        Those of the model.

    Examples
    --------
    >>> row = Prediction("a/x.wav", 0.0, 1.0, "sad", 0.9, {"happy": 0.1, "sad": 0.9}, speech=True)
    >>> compare([row], ["happy"], ["happy", "sad"])
    Comparison(n=1, unanswered=0, accuracy=0.0, uar=0.0, labels=['happy', 'sad'], confusion=[[0, 1], [0, 0]])
    """
    pairs = [(row, label) for row, label in zip(rows, given, strict=True) if label is not None and row.error is None]
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
