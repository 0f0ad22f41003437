"""The protocols as files: which clip is held out in which fold, for any software.

A fold file is a CSV. Its first line, a comment, holds corpus, protocol, seed, number of folds and a hash as JSON.
Then there is one row per clip: ``clip`` (file name without folder and suffix), ``emotion``, ``speaker``, ``sex``,
``channel``, ``fold`` (the one in which the clip is held out), ``role`` there (``test``, ``enrol``, or ``outside``: of
a speaker with one recording, who cannot enrol) and ``validation`` (the folds in which it is used for validation,
joined by ``;``). In all other folds the clip is used for training.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pandas as pd

from serkit.emotions import LABELS
from serkit.errors import ProtocolError
from serkit.protocol import make_split

if TYPE_CHECKING:
    from serkit.corpora import Corpus

__all__ = ["COLUMNS", "Yardstick", "load_yardstick", "make_yardstick", "packaged", "write_yardstick"]

COLUMNS = ("clip", "emotion", "speaker", "sex", "channel", "fold", "role", "validation")

_HEADER = "# serkit yardstick "
_FIELDS = ("corpus", "protocol", "seed", "n_folds", "hash")


@dataclass(eq=False)
class Yardstick:
    """The folds of a corpus by the names of its clips, regardless of folders and containers.

    Attributes
    ----------
    corpus, protocol : str
        As in :func:`serkit.make_split`.
    seed, n_folds : int
    table : pandas.DataFrame
        One row per clip, sorted by clip, with the columns of :data:`COLUMNS`; ``fold`` is an integer from 0, the others
        are text.
    """

    corpus: str
    protocol: str
    seed: int
    n_folds: int
    table: pd.DataFrame

    @property
    def name(self) -> str:
        """Name of its file, without suffix."""
        return f"{self.corpus}-{self.protocol}-{self.seed}"

    @property
    def labels(self) -> list[str]:
        """The emotions of the corpus: the eight in RAVDESS order, then any others by name."""
        present = set(self.table["emotion"])
        return [label for label in LABELS if label in present] + sorted(present.difference(LABELS))

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the file's content; the order of the rows does not matter."""
        rows = sorted("\0".join(map(str, row)) for row in self.table[list(COLUMNS)].itertuples(index=False, name=None))
        head = "\0".join(["serkit yardstick 1", self.corpus, self.protocol, str(self.seed), str(self.n_folds)])
        return hashlib.sha256("\n".join([head, *rows]).encode("utf-8")).hexdigest()

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the fold file."""
        head = {name: getattr(self, name) for name in _FIELDS}
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            file.write(f"{_HEADER}{json.dumps(head)}\n")
            self.table[list(COLUMNS)].to_csv(file, index=False, lineterminator="\n")

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> Yardstick:
        """Read what :meth:`to_csv` wrote.

        Raises
        ------
        ProtocolError
            If it is not a fold file, or was changed after it was written.
        """
        try:
            with Path(path).open(encoding="utf-8", newline="") as file:
                line = file.readline()
                if not line.startswith(_HEADER):
                    raise ProtocolError(
                        f"{path} is not a fold file: its first line does not start with {_HEADER.strip()!r}."
                    )
                head = json.loads(line[len(_HEADER) :])
                stored = head.pop("hash")
                table = pd.read_csv(file, dtype=str, keep_default_na=False)[list(COLUMNS)]
            made = cls(**head, table=table.astype({"fold": int}))
        except OSError as error:
            raise ProtocolError(f"The fold file {path} cannot be read ({error.strerror or error}).") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProtocolError(f"{path} is not a readable fold file ({error}): copy it from serkit again.") from None
        if made.hash != stored:
            raise ProtocolError(f"The fold file {path} was changed after it was written: copy it from serkit again.")
        return made


def packaged() -> list[tuple[str, str, int]]:
    """Return corpus, protocol and seed of the fold files that ship with serkit, sorted.

    Examples
    --------
    >>> ("crema_d", "speaker", 0) in packaged()
    True
    """
    names = (item.name for item in resources.files(__name__).iterdir() if item.name.endswith(".csv"))
    found = []
    for name in names:
        corpus, _, rest = name.removesuffix(".csv").partition("-")
        protocol, _, seed = rest.rpartition("-")
        found.append((corpus, protocol, int(seed)))
    return sorted(found)


def load_yardstick(corpus: str, protocol: str = "speaker", seed: int = 0) -> Yardstick:
    """Read a fold file that ships with serkit.

    Parameters
    ----------
    corpus : {"ravdess", "crema_d", "nemo", "emospeech", "banglaser", "resd"}
    protocol : {"random", "speaker", "speaker+enrolled", "emobox"}
        ``emobox`` for RAVDESS only, whose speech it has; no ``random`` for RESD.
    seed : int

    Returns
    -------
    Yardstick

    Raises
    ------
    ProtocolError
        If there is no such file, or if it was changed.

    Examples
    --------
    >>> folds = load_yardstick("ravdess", "speaker")
    >>> len(folds.table), folds.n_folds
    (2452, 5)
    >>> folds.table.set_index("clip").loc["03-01-06-01-02-01-12", ["emotion", "speaker", "role"]].tolist()
    ['fearful', '12', 'test']
    """
    there = packaged()
    if (corpus, protocol, seed) not in there:
        raise ProtocolError(
            f"There is no yardstick for {corpus}, protocol {protocol}, seed {seed}: "
            f"{_nearest(there, corpus, protocol)}."
        )
    with resources.as_file(resources.files(__name__) / f"{corpus}-{protocol}-{seed}.csv") as path:
        return Yardstick.from_csv(path)


def _nearest(there: list[tuple[str, str, int]], corpus: str, protocol: str) -> str:
    corpora = sorted({row[0] for row in there})
    if corpus not in corpora:
        return f"the corpora are {', '.join(corpora) or 'none'}"
    protocols = sorted({row[1] for row in there if row[0] == corpus})
    if protocol == "augmented-random":
        return f"it leaks, so its scores are not comparable; the protocols are {', '.join(protocols)}"
    if protocol not in protocols:
        return f"the protocols are {', '.join(protocols)}"
    return f"the seeds are {', '.join(str(row[2]) for row in there if row[:2] == (corpus, protocol))}"


def make_yardstick(corpus: Corpus, protocol: str = "speaker", *, seed: int = 0, n_folds: int = 5) -> Yardstick:
    """Make the folds of a corpus, as :func:`serkit.make_split` assigns them.

    Parameters
    ----------
    corpus : Corpus
        Each clip must be a whole file. The names without folder and suffix must be unique and contain no dot.
    protocol, seed, n_folds
        As in :func:`serkit.make_split`.

    Returns
    -------
    Yardstick

    Raises
    ------
    ProtocolError
        If the protocol leaks, if two clips have the same name, or if the corpus cannot be split in this way.
    """
    split = make_split(corpus, protocol, seed=seed, n_folds=n_folds)
    if split.warning:
        raise ProtocolError(f"{protocol} cannot be a yardstick: altered copies of its test clips are in training.")
    clips = corpus.table.assign(clip=[PurePosixPath(path).stem for path in corpus.table["path"]])
    wrong = clips.loc[clips["clip"].duplicated() | clips["clip"].str.contains(".", regex=False), "path"]
    if len(wrong):
        raise ProtocolError(
            f"{wrong.iloc[0]} has the name of another clip, or a dot in its name: a yardstick identifies clips by the "
            "name without folder and suffix."
        )
    roles = split.table.assign(clip=[PurePosixPath(path).stem for path in split.table["path"]])
    held = roles[roles["role"].isin(["test", "enrol", "outside"])].set_index("clip")
    validates = roles[roles["role"] == "validation"].sort_values("fold").groupby("clip")["fold"]
    table = clips.set_index("clip")[["emotion", "speaker", "sex", "channel"]].join(held[["fold", "role"]])
    table["validation"] = validates.agg(lambda numbers: ";".join(map(str, numbers))).reindex(table.index).fillna("")
    table = table.sort_index().reset_index()
    return Yardstick(corpus.name, protocol, seed, split.n_folds, table[list(COLUMNS)])


def write_yardstick(corpus: Corpus, folder: str | os.PathLike[str], protocol: str, *, seed: int = 0) -> Path:
    """Write the fold file of a corpus into a folder and return its path; see :func:`make_yardstick`."""
    made = make_yardstick(corpus, protocol, seed=seed)
    path = Path(folder) / f"{made.name}.csv"
    made.to_csv(path)
    return path
