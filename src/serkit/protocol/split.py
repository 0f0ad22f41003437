"""Splits: made before anything else, checked against their protocol, and stored with a hash.

A protocol answers a question. ``random``: how well does a model know voices that it was trained on? ``speaker``: how
well does it do with a voice it has never heard? ``corpus``: how well with people, places and
languages that it has never heard? The differences are large, so a score without its protocol says little.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from serkit.corpora.columns import COPY
from serkit.errors import ProtocolError
from serkit.files import write_atomic
from serkit.protocol.assignment import clip_table, keyed, milliseconds

if TYPE_CHECKING:
    from serkit.corpora import Corpus

__all__ = ["BY_SPEAKER", "COLUMNS", "LEAVES_OUT", "ONE_CORPUS", "PROTOCOLS", "Split"]

#: The names of the protocols; :func:`serkit.make_split` describes them.
PROTOCOLS = (
    "random",
    "speaker",
    "speaker+enrolled",
    "augmented-random",
    "leave-one-speaker-out",
    "corpus",
    "corpus+adapted",
    "emobox",
)
#: Those that test each corpus by a model made from the others; their headline is the mean over the corpora.
LEAVES_OUT = ("corpus", "corpus+adapted")
#: Those that test every other corpus by a model made from one; :func:`serkit.protocol.make.train_on_one` makes them.
ONE_CORPUS = ("cross-corpus", "cross-corpus+adapted")

#: Those under which training, validation and held-out speakers are different people.
BY_SPEAKER = ("speaker", "speaker+enrolled", "leave-one-speaker-out", "emobox", *LEAVES_OUT, *ONE_CORPUS)
#: The columns of a split.
COLUMNS = [*COPY, "fold", "role"]
_ROLES = ("train", "validation", "test", "enrol", "outside")
_HELD = ("test", "enrol", "outside")
_HEADER = "# serkit split "
_LEAK = (
    "augmented-random leaks: altered copies of the test clips are in training, so the score says nothing about new "
    "recordings. It only shows whether a number that was published this way can be reproduced."
)


@dataclass(eq=False)
class Split:
    """The role of each clip in each fold.

    Attributes
    ----------
    protocol : str
        One of :data:`PROTOCOLS` or :data:`ONE_CORPUS`.
    seed, n_folds : int
        ``n_folds`` is the number of folds.
    corpus : str
        Name of the corpus.
    table : pandas.DataFrame
        Columns path, start, end, copy, fold, role. Every clip is listed once in every fold. ``role`` is train,
        validation, test, enrol or outside (held out with its corpus and not scored, because no training clip has its
        label); ``copy`` is 0 for the clip itself and 1, 2, ... for augmented copies
        (``augmented-random`` only).

    See Also
    --------
    serkit.make_split : makes a split.
    serkit.run_evaluation : trains and tests a recipe on its folds.
    """

    protocol: str
    seed: int
    n_folds: int
    corpus: str
    table: pd.DataFrame

    @property
    def warning(self) -> str | None:
        """The warning that belongs to every score of this split; None if its test clips are clean."""
        return _LEAK if self.protocol == "augmented-random" else None

    @property
    def by_speaker(self) -> bool:
        """Whether training, validation and held-out speakers are different people."""
        return self.protocol in BY_SPEAKER

    @property
    def by_corpus(self) -> bool:
        """Whether no corpus both trains and is tested."""
        return self.protocol in (*LEAVES_OUT, *ONE_CORPUS)

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of protocol, seed, folds, corpus and rows; the order of the rows does not matter."""
        table = self.table
        columns = (
            table["path"].astype(str),
            *(milliseconds(table[name]) for name in ("start", "end")),
            *(table[name].astype(int) for name in ("copy", "fold")),
            table["role"].astype(str),
        )
        rows = sorted("\0".join(map(str, row)) for row in zip(*columns, strict=True))
        head = "\0".join(["serkit split 1", self.protocol, str(self.seed), str(self.n_folds), self.corpus])
        return hashlib.sha256("\0\n".join([head, *rows]).encode("utf-8", "surrogateescape")).hexdigest()

    def fold(self, k: int) -> pd.DataFrame:
        """Return the rows of fold `k`, 0 to ``n_folds - 1``, with a fresh index.

        Raises
        ------
        ProtocolError
            If there is no such fold.
        """
        if not 0 <= k < self.n_folds:
            raise ProtocolError(f"There is no fold {k}: this split has folds 0 to {self.n_folds - 1}.")
        return self.table[self.table["fold"] == k].reset_index(drop=True)

    def check(self, corpus: Corpus) -> None:
        """Check that the split fits the corpus and follows its protocol.

        Every clip of the corpus, and no other, occurs once in every fold, and is held out (test, enrol or outside) in
        exactly one; in :data:`ONE_CORPUS`, of which one corpus only trains, in one at most. In every fold the roles
        share no clip and no recording (same sound or overlap in one file), except in ``augmented-random``. In the
        speaker protocols, training, validation and held-out speakers are different people; where corpora are kept
        apart, they are also of different corpora. Every fold has clips to train, validate and test with, and training
        clips of every class (of every class that it tests, where it leaves a corpus out).

        Raises
        ------
        ProtocolError
            If any of this is violated.
        """
        rows = self._join(corpus)
        copies = rows.groupby(["row", "copy"], sort=False)
        if (copies["fold"].nunique() != self.n_folds).any() or (copies.size() != self.n_folds).any():
            raise ProtocolError("The split is broken: a clip is not listed exactly once in every fold.")
        held = rows["role"].isin(_HELD)
        times = held.groupby([rows["row"], rows["copy"]]).sum()
        if (times > 1).any() or (self.protocol not in ONE_CORPUS and (times < 1).any()):
            raise ProtocolError("The split is broken: a clip is not held out in exactly one fold.")
        if self.protocol != "augmented-random":
            if (rows["copy"] != 0).any():
                raise ProtocolError(f"The split is broken: {self.protocol} has augmented copies.")
            self._apart(rows, "group", rows["role"], "recording")
        if self.by_speaker:
            named = rows[rows["speaker"] != ""]
            self._apart(named, "voice", named["role"].replace(["enrol", "outside"], "test"), "speaker")
        if self.by_corpus:
            self._apart(rows, "corpus", rows["role"].isin(_HELD), "corpus")
        for k, fold in rows.groupby("fold"):
            missing = {"train", "validation", "test"} - set(fold["role"])
            if missing:
                raise ProtocolError(
                    f"Fold {k} has no {' and no '.join(sorted(missing))} clips: the corpus is too small for this split."
                )
            asked = fold.loc[~fold["role"].isin(["enrol", "outside"]), "emotion"]
            absent = set(asked) - set(fold.loc[fold["role"] == "train", "emotion"])
            if absent:
                lacking = ", ".join(sorted(absent))
                raise ProtocolError(
                    f"Fold {k} has no training clips of {lacking}: use other folds or leave the class out."
                )
            alone = set(fold.loc[fold["role"] == "enrol", "voice"]) - set(fold.loc[fold["role"] == "test", "voice"])
            if alone and not self.by_corpus:
                raise ProtocolError(f"Fold {k} enrols {sorted(alone)[0]} but tests none of their clips.")

    def _join(self, corpus: Corpus) -> pd.DataFrame:
        """Return the table with group, voice, emotion, speaker and corpus of each clip, joined by key."""
        unknown = set(self.table["role"]) - set(_ROLES)
        numbers = set(self.table["fold"])
        if unknown or numbers != set(range(self.n_folds)):
            got = f"the role {sorted(unknown)[0]!r}" if unknown else f"folds {sorted(numbers)}"
            raise ProtocolError(
                f"The split is broken: it has {got}, expected {self.n_folds} folds and {', '.join(_ROLES)}."
            )
        clips = clip_table(corpus)
        left, right = (keyed(table) for table in (self.table, clips))
        rows = left.merge(
            right[["path", "start", "end", "row", "group", "voice", "emotion", "speaker", "corpus"]],
            how="left",
            on=["path", "start", "end"],
        )
        stray = rows["row"].isna()
        absent = set(clips["row"]) - set(rows.loc[~stray, "row"].astype(int))
        if stray.any() or absent:
            example = rows.loc[stray, "path"].iloc[0] if stray.any() else clips["path"].iloc[min(absent)]
            where = "in the split but not in the corpus" if stray.any() else "in the corpus but not in the split"
            raise ProtocolError(
                f"The split was made for other recordings than {corpus.root}: {example} is {where}. Make a new split."
            )
        return rows

    def _apart(self, rows: pd.DataFrame, column: str, side: pd.Series, what: str) -> None:
        sides = side.groupby([rows["fold"], rows[column]]).nunique()
        broken = sides[sides > 1]
        if len(broken):
            k, value = broken.index[0]
            example = rows.loc[(rows["fold"] == k) & (rows[column] == value), "path"].iloc[0]
            raise ProtocolError(
                f"Fold {k} has one {what} on two sides (see {example}), which {self.protocol} does not allow."
            )

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the split as CSV; the first line, a comment, holds protocol, seed, folds, corpus and hash as JSON."""
        head = {name: getattr(self, name) for name in ("protocol", "seed", "n_folds", "corpus", "hash")}
        table = self.table[COLUMNS].sort_values(["fold", *COPY], kind="stable")
        rows = table.to_csv(index=False, lineterminator="\n")
        write_atomic(f"{_HEADER}{json.dumps(head)}\n{rows}", path, new_folder=False)

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> Split:
        """Read what :meth:`to_csv` wrote.

        Raises
        ------
        ProtocolError
            If it is not a split, or was changed after it was written.
        """
        try:
            with Path(path).open(encoding="utf-8", newline="") as file:
                line = file.readline()
                if not line.startswith(_HEADER):
                    raise ProtocolError(
                        f"{path} is not a split: its first line does not start with {_HEADER.strip()!r}."
                    )
                head = json.loads(line[len(_HEADER) :])
                table = pd.read_csv(file, dtype=str, keep_default_na=False)
            stored = head.pop("hash")
            for name, kind in (("start", float), ("end", float), ("copy", int), ("fold", int)):
                table[name] = [kind(value) for value in table[name]]
            split = cls(**head, table=table[COLUMNS])
        except OSError as error:
            raise ProtocolError(f"The split {path} cannot be read ({error.strerror or error}).") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProtocolError(
                f"{path} is not a readable split ({error}): make a new one with 'ser data split'."
            ) from None
        if split.hash != stored:
            raise ProtocolError(
                f"The split {path} was changed after it was written: make a new one with 'ser data split'."
            )
        return split
