"""Predictions made by any software, checked against the folds of a yardstick.

The file's folds are checked and the truth comes from the fold file. So, as far as a file can show, the scored
predictions were made under the protocol that is reported with the score.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from serkit.corpora.registry import published
from serkit.emotions import canonical
from serkit.errors import CorpusError, TrainingError
from serkit.protocol.yardstick import Yardstick, load_yardstick, packaged

__all__ = ["MissingClipsError", "Submission", "match", "read_predictions"]

#: Columns that may name the clip; the first one present is used.
NAMES = ("clip", "path", "file")


class MissingClipsError(TrainingError):
    """The predictions lack clips of the yardstick; ``clips`` lists them all."""

    def __init__(self, message: str, clips: list[str]) -> None:
        super().__init__(message)
        self.clips = clips

    def __reduce__(self) -> tuple[type[MissingClipsError], tuple[str, list[str]]]:
        return type(self), (str(self), self.clips)


@dataclass(frozen=True)
class Submission:
    """Predictions that fit a yardstick.

    Attributes
    ----------
    table : pandas.DataFrame
        As for :func:`serkit.evaluation.scores.evaluate`, in the order of the file; ``path`` holds the names of the
        clips. If the file has no probabilities, the predicted label gets probability 1.
    yardstick : Yardstick
    channel : str
        The channel that was requested: both, speech or song.
    probabilities : bool
        Whether the file has probabilities.
    notes : list of str
        What to know about the file, in sentences.
    """

    table: pd.DataFrame
    yardstick: Yardstick
    channel: str
    probabilities: bool
    notes: list[str]


def read_predictions(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a table of predictions as text.

    Parameters
    ----------
    path : path
        CSV, or TSV if the name ends in ``.tsv``; UTF-8, with a header.

    Returns
    -------
    pandas.DataFrame
        One row per line; all columns are text without surrounding blanks.

    Raises
    ------
    TrainingError
        If the file cannot be read, has no rows, names a column twice, or has a line that is too long or too short.
    """
    file = Path(path)
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.reader(opened, delimiter="\t" if file.suffix.lower() == ".tsv" else ",", strict=True)
            header = [name.strip() for name in next(reader, [])]
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except UnicodeDecodeError:
        raise TrainingError(f"{file} is not UTF-8 text: save the predictions as CSV in UTF-8.") from None
    except (OSError, csv.Error) as error:
        raise TrainingError(
            f"{file} cannot be read as a table ({getattr(error, 'strerror', None) or error})."
        ) from None
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise TrainingError(f"{file} has two columns named {twice[0]!r}: name each column once.")
    for number, row in lines:
        if len(row) != len(header):
            raise TrainingError(f"{file}, line {number}: {len(row)} fields, expected the {len(header)} of the header.")
    if not lines:
        raise TrainingError(f"{file} has no predictions: expected a header and one line per clip.")
    return pd.DataFrame([row for _, row in lines], columns=header)


def match(predictions: pd.DataFrame, yardstick: Yardstick, *, channel: str = "both") -> Submission:
    """Check a table of predictions against a yardstick and prepare it for scoring.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Columns of text: ``clip``, ``path`` or ``file`` (any folder and suffix), ``fold`` (of the model that predicted
        the clip), and ``predicted`` or ``p_<label>`` for each label, or both. ``emotion``, if present, is
        checked. Other columns are ignored.
    yardstick : Yardstick
    channel : {"both", "speech", "song"}
        The clips to score; others are left out.

    Returns
    -------
    Submission

    Raises
    ------
    TrainingError
        If a column is missing; if a clip is unknown, listed twice or in the wrong fold; if a label is unknown or the
        truth differs; if probabilities are invalid.
    MissingClipsError
        If clips are missing.
    """
    names = next((name for name in NAMES if name in predictions.columns), None)
    if names is None or "fold" not in predictions.columns:
        what = "fold" if names else "clip (or path, or file)"
        raise TrainingError(
            f"The predictions lack the column {what}: they have {', '.join(predictions.columns)}. Give clip, fold "
            "(of the model that predicted the clip), and predicted or p_<label> for each label."
        )
    notes: list[str] = []
    table = predictions.assign(clip=[_stem(name) for name in predictions[names]])
    truth = yardstick.table.set_index("clip")
    _refuse(
        table,
        ~table["clip"].isin(truth.index),
        f"do not name a clip of {yardstick.name}",
        "Give the original file names.",
    )
    table, asked = _asked(table, truth, channel, notes)
    _refuse(
        table,
        table["clip"].duplicated(),
        "repeat a clip",
        "Predict each clip once, with the model of its fold.",
    )
    truth = truth.loc[table["clip"]].reset_index()
    table = table.reset_index(drop=True)
    _check_folds(table, truth["fold"], yardstick)
    _check_missing(asked.difference(table["clip"]), len(asked), yardstick, channel)
    _check_truth(table, truth["emotion"], yardstick)
    p_table = _probabilities(table, set(truth["emotion"]), yardstick)
    predicted = _predicted(table, p_table, yardstick, notes)
    if p_table is None:
        notes.append(
            "There are no probabilities, so the calibration error, the report and everything else that needs them "
            "are missing."
        )
        of_label = {f"p_{label}": (predicted == label).astype(float) for label in yardstick.labels}
    else:
        of_label = {f"p_{label}": p_table[label] for label in yardstick.labels}
    made = pd.DataFrame({"path": truth["clip"], "start": 0.0, "end": 0.0, "copy": 0, "fold": truth["fold"]})
    made = made.assign(emotion=truth["emotion"], predicted=predicted, confidence=0.0, **of_label)
    made["confidence"] = [made.at[i, f"p_{label}"] for i, label in enumerate(predicted)]
    corpus = published().get(yardstick.corpus)
    for column in ("intensity", "statement"):
        made[column] = [corpus.parse(clip).get(column, "") if corpus else "" for clip in truth["clip"]]
    made = made.assign(speaker=truth["speaker"], sex=truth["sex"], channel=truth["channel"], corpus=yardstick.corpus)
    return Submission(made, yardstick, channel, p_table is not None, notes)


def _stem(name: str) -> str:
    """Return the name without folder and suffixes; names of clips contain no dot."""
    return name.replace("\\", "/").rsplit("/", 1)[-1].split(".", 1)[0]


def _some(names: Iterable[str], most: int = 5) -> str:
    names = list(names)
    return ", ".join(map(str, names[:most])) + (", ..." if len(names) > most else "")


def _refuse(table: pd.DataFrame, wrong: pd.Series, what: str, do: str) -> None:
    """Raise an error that names the wrong rows, if there are any."""
    if wrong.any():
        raise TrainingError(f"{wrong.sum()} of {len(table)} rows {what}: {_some(table.loc[wrong, 'clip'])}. {do}")


def _asked(
    table: pd.DataFrame, truth: pd.DataFrame, channel: str, notes: list[str]
) -> tuple[pd.DataFrame, pd.Index[str]]:
    """Return the rows to score and the clips that must be present."""
    held = table["clip"].map(truth["role"])
    other = (table["clip"].map(truth["channel"]) != channel) & (channel != "both")
    if other.any():
        notes.append(f"{other.sum()} predictions of the other channel were ignored.")
    enrolled = held.isin(["enrol", "outside"]) & ~other
    if enrolled.any():
        notes.append(f"{enrolled.sum()} predictions of clips that enrol, or cannot be scored, were ignored.")
    in_channel = truth["channel"].isin([channel] if channel != "both" else ["speech", "song"])
    asked = truth.index[(truth["role"] == "test") & in_channel]
    if not len(asked):
        raise TrainingError(f"This corpus has no {channel} clips: choose another channel.")
    return table[~other & ~enrolled], asked


def _check_folds(table: pd.DataFrame, expected: pd.Series, yardstick: Yardstick) -> None:
    numbers = pd.to_numeric(table["fold"], errors="coerce")
    wrong = numbers.isna() | (numbers % 1 != 0)
    if wrong.any():
        first = table[wrong].iloc[0]
        raise TrainingError(
            f"The fold of {first['clip']} is {first['fold']!r}: expected a number from 0 to {yardstick.n_folds - 1}."
        )
    wrong = numbers != expected
    if not wrong.any():
        return
    at = int(np.flatnonzero(wrong)[0])
    raise TrainingError(
        f"The folds are not those of {yardstick.name}: {wrong.sum()} of {len(table)} clips were predicted in the "
        f"wrong fold, first {table['clip'][at]} in fold {numbers[at]:g}, expected {expected[at]}."
        + _fold_hint(table["clip"], numbers.astype(int), expected, yardstick)
    )


def _fold_hint(clips: pd.Series, got: pd.Series, expected: pd.Series, yardstick: Yardstick) -> str:
    """Say what may have gone wrong: renumbered folds, or the folds of another seed or protocol."""
    pairs = sorted(set(zip(got, expected, strict=True)))
    if len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}):
        return f" They are the same folds with other numbers: {_some(f'{b} is called {a}' for a, b in pairs)}."
    for corpus, protocol, seed in packaged():
        if corpus == yardstick.corpus and (protocol, seed) != (yardstick.protocol, yardstick.seed):
            other = load_yardstick(corpus, protocol, seed).table.set_index("clip")["fold"]
            if (other.reindex(clips).to_numpy() == got.to_numpy()).all():  # some have fewer clips
                return f" They are the folds of --protocol {protocol} --seed {seed}."
    return " Train and predict with the folds of the fold file, as docs/yardstick.md explains."


def _check_missing(missing: pd.Index[str], n: int, yardstick: Yardstick, channel: str) -> None:
    if not len(missing):
        return
    clips = sorted(missing)
    tested = yardstick.table[yardstick.table["role"] == "test"]
    hint = ""
    for one, other in (("speech", "song"), ("song", "speech")):
        if channel == "both" and set(clips) == set(tested.loc[tested["channel"] == one, "clip"]):
            hint = f" To score only {other}, use --channel {other}."
    raise MissingClipsError(
        f"{len(clips)} of {n} clips of {yardstick.name} are missing: {_some(clips)}. Predict all of them.{hint}",
        clips,
    )


def _check_truth(table: pd.DataFrame, truth: pd.Series, yardstick: Yardstick) -> None:
    """Raise an error if a given ``emotion`` is not the true one."""
    if "emotion" not in table.columns:
        return
    given = table["emotion"].map(partial(_label, corpus=yardstick.corpus))
    wrong = (given != truth) & (table["emotion"] != "")
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise TrainingError(
            f"The column emotion disagrees with the corpus in {wrong.sum()} of {len(table)} rows, first "
            f"{table['clip'][at]}: {table['emotion'][at]!r}, expected {truth[at]!r}. Put the true label there and the "
            "model's answer into predicted."
        )


def _label(name: str, corpus: str) -> str | None:
    try:
        return canonical(name, others=True, corpus=corpus)
    except CorpusError:
        return None


def _probabilities(table: pd.DataFrame, present: set[str], yardstick: Yardstick) -> pd.DataFrame | None:
    """Return the probabilities by label, or None; labels that no clip has may be absent and count as 0."""
    columns = [name for name in table.columns if name.startswith("p_")]
    labels = {name: _label(name[2:], yardstick.corpus) for name in columns}
    strange = [name for name, label in labels.items() if label not in yardstick.labels]
    if strange:
        raise TrainingError(
            f"{strange[0]} does not belong to a label of {yardstick.corpus}: expected p_ and one of "
            f"{', '.join(yardstick.labels)}. Leave out labels that the corpus lacks and rescale the others to sum to 1."
        )
    if len(set(labels.values())) < len(columns):
        raise TrainingError(f"Two of the columns {', '.join(columns)} are the same label: give each label one column.")
    if not columns:
        return None
    lacking = [label for label in yardstick.labels if label in present - set(labels.values())]
    if lacking:
        raise TrainingError(f"There are probabilities, but no p_{lacking[0]}: give a column for each label, or none.")
    values = table[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    slack = 1e-6  # rounding of a softmax in float32
    fine = (values >= -slack) & (values <= 1 + slack)
    wrong = np.flatnonzero(~fine.all(axis=1) | ~(np.abs(values.sum(axis=1) - 1) <= 1e-3))
    if len(wrong):
        at = int(wrong[0])
        raise TrainingError(
            f"{len(wrong)} of {len(table)} rows have invalid probabilities, first {table['clip'][at]} with "
            f"{', '.join(table.loc[at, columns])}: they must be in [0, 1] and sum to 1 within 0.001."
        )
    # float() restores exactly the number that serkit wrote
    made = pd.DataFrame({labels[name]: [float(cell) for cell in table[name]] for name in columns})
    return made.reindex(columns=yardstick.labels, fill_value=0.0)


def _predicted(table: pd.DataFrame, p_table: pd.DataFrame | None, yardstick: Yardstick, notes: list[str]) -> pd.Series:
    if "predicted" not in table.columns:
        if p_table is None:
            raise TrainingError("The predictions have neither a column predicted nor p_<label>: add one of them.")
        return p_table.idxmax(axis=1)
    predicted = table["predicted"].map(partial(_label, corpus=yardstick.corpus))
    unknown = ~predicted.isin(yardstick.labels)
    if unknown.any():
        at = int(np.flatnonzero(unknown)[0])
        raise TrainingError(
            f"{unknown.sum()} of {len(table)} predicted labels are unknown, first {table['predicted'][at]!r} "
            f"({table['clip'][at]}): expected one of {', '.join(yardstick.labels)}."
        )
    if p_table is not None:
        own = p_table.to_numpy()[np.arange(len(p_table)), pd.Index(p_table.columns).get_indexer(predicted)]
        less = int((own < p_table.max(axis=1)).sum())
        if less:
            notes.append(
                f"In {less} rows, predicted is not the label with the highest probability; predicted was scored."
            )
    return predicted
