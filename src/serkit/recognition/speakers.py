"""Who speaks when: turns from an RTTM file, as diarisation tools write it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from serkit.errors import SerkitError

__all__ = ["Turns", "parse_rttm", "read_rttm"]

_SLACK = 0.5  # s; a turn may end this much after the recording


class Turns:
    """The turns of the speakers of a recording.

    Parameters
    ----------
    turns : iterable of (str, float, float)
        Speaker, start and end, s. Those of one speaker may touch or overlap.
    name : str
        Where they come from, for messages.

    Attributes
    ----------
    names : tuple of str
        The speakers, by their first turn.

    Examples
    --------
    >>> turns = Turns([("ann", 0.0, 2.0), ("bob", 1.5, 3.0)])
    >>> turns.names
    ('ann', 'bob')
    >>> turns.at(np.array([1.0, 1.7, 2.5])).tolist()
    [[True, True, False], [False, True, True]]
    """

    def __init__(self, turns: Iterable[tuple[str, float, float]], name: str = "the turns") -> None:
        self.name = name
        found = sorted(turns, key=lambda turn: (turn[1], turn[2]))
        for speaker, start, end in found:
            if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end):
                raise SerkitError(f"{name}: the turn of {speaker!r} from {start:g} to {end:g} s makes no sense.")
        if not found:
            raise SerkitError(f"{name} holds no turns.")
        self.names = tuple(dict.fromkeys(speaker for speaker, _, _ in found))
        self._edges = [_joined([(a, b) for who, a, b in found if who == speaker]) for speaker in self.names]

    @property
    def end(self) -> float:
        """The end of the last turn, s."""
        return max(float(ends[-1]) for _, ends in self._edges)

    def at(self, times: np.ndarray) -> np.ndarray:
        """Whether each speaker has a turn at each time, bool, shape (speakers, times)."""
        rows = []
        for starts, ends in self._edges:
            place = np.searchsorted(starts, times, side="right") - 1
            rows.append((place >= 0) & (times < ends[np.maximum(place, 0)]))
        return np.array(rows)

    def check(self, duration: float, recording: str) -> None:
        """Raise SerkitError if a turn ends after the recording."""
        if self.end > duration + _SLACK:
            raise SerkitError(
                f"{self.name} has turns up to {self.end:.2f} s, but {recording} lasts {duration:.2f} s: it belongs "
                "to another recording."
            )


def _joined(turns: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    found: list[list[float]] = []
    for start, end in turns:
        if found and start <= found[-1][1]:
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([start, end])
    return np.array([a for a, _ in found]), np.array([b for _, b in found])


def read_rttm(path: str | os.PathLike[str], recording: str | None = None) -> Turns:
    """Read the turns of a recording from an RTTM file.

    Parameters
    ----------
    path : path
        Its lines read ``SPEAKER recording channel start duration <NA> <NA> speaker <NA> <NA>``; other types of lines
        and lines that begin with ``;`` are skipped.
    recording : str, optional
        File name of the recording; its stem must be in the second column. By default the file must be about one only.

    Raises
    ------
    SerkitError
        If it cannot be read, holds no turns, or is about another recording.
    """
    shown = f"'{os.fspath(path)}'"
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SerkitError(f"Cannot read {shown}: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise SerkitError(f"{shown} is not text in UTF-8, so it is no RTTM file.") from None
    return parse_rttm(text, shown, recording)


def parse_rttm(text: str, shown: str, recording: str | None = None) -> Turns:
    """Read the turns of a recording from the text of an RTTM file; see :func:`read_rttm`.

    Parameters
    ----------
    text : str
    shown : str
        What messages call the file.
    recording : str, optional
        File name of the recording.

    Raises
    ------
    SerkitError
        If it is no RTTM, holds no turns, or is about another recording.

    Examples
    --------
    >>> parse_rttm("SPEAKER call 1 0.5 2.0 <NA> <NA> ann <NA> <NA>", "call.rttm").names
    ('ann',)
    """
    turns: dict[str, list[tuple[str, float, float]]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or line.startswith(";") or (fields[0] != "SPEAKER" and fields[0].isupper()):
            continue
        try:
            kind, name, _, start, length, _, _, speaker, *_ = fields
            if kind != "SPEAKER":
                raise ValueError
            begin, seconds = float(start), float(length)
        except ValueError:
            raise SerkitError(
                f"{shown}, line {number} is not RTTM: expected 'SPEAKER recording channel start duration <NA> <NA> "
                f"speaker', got {line[:80]!r}."
            ) from None
        if seconds > 0:
            turns.setdefault(name, []).append((speaker, begin, begin + seconds))
    if not turns:
        raise SerkitError(f"{shown} holds no turns of speakers.")
    if recording is None:
        if len(turns) > 1:
            raise SerkitError(f"{shown} is about {len(turns)} recordings: give a file with the turns of one.")
        return Turns(next(iter(turns.values())), shown)
    stem = Path(recording).stem
    for name in (stem, Path(recording).name):
        if name in turns:
            return Turns(turns[name], shown)
    others = ", ".join(repr(name) for name in list(turns)[:3])
    raise SerkitError(
        f"{shown} is about {others}, not about {stem!r}: give the RTTM of this recording, or write {stem!r} into its "
        "second column."
    )
