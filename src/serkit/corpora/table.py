"""The one table that every corpus becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from serkit import audio
from serkit.corpora.digests import Clip, Digest, digest_clips, digest_readable
from serkit.corpora.files import Store
from serkit.errors import CorpusError

__all__ = ["CHANNELS", "COLUMNS", "Corpus", "Listing", "build", "voice_names"]

CHANNELS = ("both", "speech", "song")

#: The columns that every corpus has, in order.
COLUMNS = (
    "path",
    "start",
    "end",
    "emotion",
    "speaker",
    "corpus",
    "sex",
    "channel",
    "intensity",
    "statement",
    "repetition",
    "audio_hash",
)


@dataclass(eq=False)
class Corpus:
    """Labelled recordings: one table, and access to the sound of its rows.

    Attributes
    ----------
    name : str
        ``"ravdess"``, ``"crema_d"``, or the name of the folder.
    root : Path
        The folder that the paths are relative to.
    table : pandas.DataFrame
        One row per clip, sorted by (path, start, end), with the columns of :data:`COLUMNS`; columns that only this
        corpus has follow. ``start`` and ``end`` are seconds of the file, rounded to microseconds. Text that is unknown
        is ``""``.
    licence, citation : str
        How to cite the recordings.
    notes : tuple of str
        What the reader has to say about the folder, such as how many clips of a published corpus are missing.
    broken : tuple of str
        What is wrong with each recording that was left out because it cannot be read.
    """

    name: str
    root: Path
    table: pd.DataFrame
    licence: str
    citation: str
    notes: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    _store: Store = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.root = Path(self.root)
        self._store = Store(self.root)

    def __len__(self) -> int:
        return len(self.table)

    def load(self, row_or_path: Any, target_rate: int | None = None) -> audio.Waveform:
        """Load the sound of one clip.

        Parameters
        ----------
        row_or_path : row of the table, or str
            A row as a Series, a mapping or a named tuple (``itertuples``) gives the clip from ``start`` to ``end``.
            A path as in the column ``path`` gives the whole file.
        target_rate : int, optional
            Resample to this rate in Hz.

        Returns
        -------
        Waveform

        Raises
        ------
        AudioError
            If the file cannot be read.
        """
        if isinstance(row_or_path, str):
            return audio.load(self._store.source(row_or_path), target_rate=target_rate)
        if isinstance(row_or_path, (Mapping, pd.Series)):
            path, start, end = (row_or_path[name] for name in ("path", "start", "end"))
        else:
            path, start, end = row_or_path.path, row_or_path.start, row_or_path.end
        return audio.load(
            self._store.source(path), target_rate=target_rate, offset=float(start), duration=float(end) - float(start)
        )


@dataclass(frozen=True)
class Listing:
    """The result of a corpus reader, before any sound is decoded.

    ``rows`` hold at least ``path`` and ``emotion``; ``start`` and ``end`` where only a piece of the file is meant.
    ``notes`` are sentences for the user.
    """

    name: str
    root: Path
    rows: list[dict[str, Any]]
    licence: str
    citation: str
    notes: tuple[str, ...] = ()


def voice_names(rows: pd.DataFrame) -> pd.Series:
    """Return each row's speaker with its corpus, because two corpora may use the same name for different people.

    Examples
    --------
    >>> voice_names(pd.DataFrame({"corpus": ["ravdess", "crema_d"], "speaker": ["07", "1007"]})).tolist()
    ['ravdess/07', 'crema_d/1007']
    """
    return rows["corpus"] + "/" + rows["speaker"]


def build(listing: Listing, *, channel: str, skip_broken: bool = False) -> Corpus:
    """Decode and hash the clips of a listing and return the corpus; with `skip_broken`, of those that can be read.

    Raises
    ------
    CorpusError
        If this channel has no recordings, a name is not UTF-8 text, a clip is listed twice, or a recording cannot be
        read.
    """
    rows = [row for row in listing.rows if channel in ("both", row.get("channel", "speech"))]
    if not rows:
        raise CorpusError(
            f"{listing.root} has no {channel} recordings, but {len(listing.rows)} of another channel: use channel both."
            if listing.rows
            else f"{listing.root} contains no recordings."
        )
    for row in rows:
        try:
            row["path"].encode("utf-8")
        except UnicodeEncodeError:
            raise CorpusError(
                f"The name {row['path']!a} in {listing.root} is not UTF-8 text, as tables of clips are: rename it."
            ) from None
    clips = [Clip(row["path"], row.get("start"), row.get("end")) for row in rows]
    digests: Sequence[Digest | None]
    broken: dict[Clip, str] = {}
    if skip_broken:
        digests, broken = digest_readable(Store(listing.root), clips)
    else:
        digests = digest_clips(Store(listing.root), clips)
    extra = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in COLUMNS]
    table = pd.DataFrame(
        [
            {
                **dict.fromkeys((*COLUMNS, *extra), ""),
                "corpus": listing.name,
                "channel": "speech",
                **row,
                "start": digest.start,
                "end": digest.end,
                "audio_hash": digest.audio_hash,
            }
            for row, digest in zip(rows, digests, strict=True)
            if digest is not None
        ],
        columns=[*COLUMNS, *extra],
    )
    table = table.sort_values(["path", "start", "end"], kind="stable", ignore_index=True)
    twice = table[table.duplicated(["path", "start", "end"])]
    if len(twice):
        first = twice.iloc[0]
        raise CorpusError(
            f"The clip {first['path']} from {first['start']:g} to {first['end']:g} s is listed {len(twice) + 1} "
            "times in "
            f"{listing.root}: list each clip once."
            if len(twice) == 1
            else f"{len(twice)} clips are listed more than once in {listing.root}, first {first['path']} from "
            f"{first['start']:g} to {first['end']:g} s: list each clip once."
        )
    return Corpus(
        listing.name,
        listing.root,
        table,
        listing.licence,
        listing.citation,
        listing.notes,
        tuple(sorted(broken.values())),
    )
