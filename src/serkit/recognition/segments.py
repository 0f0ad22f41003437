"""Windows become segments: time is cut between neighbours, neighbours are merged, and, if wanted, smoothed first.

How smoothing works, in this order, within one utterance (nothing passes a pause):

1. *Neighbouring windows.* The probabilities of a window are averaged with those of the windows beside it, which count
   half.
2. *Hysteresis.* The emotion changes only where another one leads by 0.1 or more.
3. *Shortest segment.* A segment shorter than 1 s is joined to the neighbour that its probabilities suit better.

A window that is less confident than ``min_confidence`` after the first step is unsure and takes no part in the others:
no neighbour makes it sure, and it joins none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np

from serkit.recognition.prediction import Prediction, in_order

__all__ = ["MARGIN", "SHORTEST", "joined", "segments", "shares", "smoothed"]

#: How far another emotion must lead before a segment ends.
MARGIN = 0.1
#: The shortest segment of an utterance that has several, s.
SHORTEST = 1.0

_BESIDE = 0.5  # weight of a neighbouring window


def segments(windows: Iterable[Prediction]) -> list[Prediction]:
    """Cut time between neighbouring windows, and merge neighbours that answer the same.

    Time between the middles of two windows belongs to the nearer one; the first window reaches back to its start, the
    last one to its end. So segments follow each other without gap or overlap, and have exact times.

    Parameters
    ----------
    windows : iterable of Prediction
        In order.

    Returns
    -------
    list of Prediction
        Neighbours differ in their answer. Probabilities and familiarity are means over the time of the segment, the
        confidence is the highest probability; without speech there are none. Warnings are those of any of its windows,
        but a segment is short only if all of them are.

    See Also
    --------
    smoothed : The same with fewer changes.
    shares : Share of the time of each answer.

    Examples
    --------
    >>> def says(start, label, p):
    ...     return Prediction(None, start, start + 2.0, label, p, {"happy": p, "sad": 1 - p}, speech=True)
    >>> for part in segments([says(0.0, "happy", 0.75), says(1.0, "happy", 0.875), says(2.0, "sad", 0.25)]):
    ...     print(part.start, part.end, part.answer, part.probabilities)
    0.0 2.5 happy {'happy': 0.8, 'sad': 0.2}
    2.5 4.0 sad {'happy': 0.25, 'sad': 0.75}
    """
    return [_merged(list(group)) for _, group in groupby(_cells(list(windows)), key=lambda cell: cell.answer)]


def smoothed(windows: Iterable[Prediction], min_confidence: float = 0.0) -> list[Prediction]:
    """Make the segments of one utterance from its windows; the top of the module says how.

    Parameters
    ----------
    windows : iterable of Prediction
        All with speech, in order.
    min_confidence : float
        In [0, 1]. A less confident segment names no emotion.

    Returns
    -------
    list of Prediction
        As of :func:`segments`. The emotion is the one that leads in the mean over the segment.

    Examples
    --------
    >>> def says(start, p):
    ...     return Prediction(None, start, start + 2.0, None, p, {"happy": p, "sad": 1 - p}, speech=True)
    >>> [(part.start, part.end, part.answer) for part in smoothed([says(0, 0.9), says(1, 0.45), says(2, 0.9)])]
    [(0.0, 4.0, 'happy')]
    """
    cells = _cells([_named(one) for one in _averaged(list(windows))])
    state: str | None = None
    groups: list[tuple[str | None, list[Prediction]]] = []
    for cell in cells:
        state = _next(state, cell, min_confidence)
        if groups and groups[-1][0] == state:
            groups[-1][1].append(cell)
        else:
            groups.append((state, [cell]))
    parts = [_named(_merged(group)) for _, group in _without_short(groups)]
    return joined(part.at_least(min_confidence) for part in parts)


def joined(parts: Iterable[Prediction]) -> list[Prediction]:
    """Merge segments that follow each other without a gap and answer the same."""
    found: list[list[Prediction]] = []
    for part in parts:
        last = found[-1][-1] if found else None
        if last is not None and last.answer == part.answer and abs(last.end - part.start) < 1e-6:
            found[-1].append(part)
        else:
            found.append([part])
    return [_merged(group) for group in found]


def shares(parts: Iterable[Prediction], labels: Sequence[str]) -> dict[str, float]:
    """Return the share of the time of each answer: the `labels` in order, then, where there are any, those without.

    Parameters
    ----------
    parts : iterable of Prediction
        Of :func:`segments`.
    labels : sequence of str
        The emotions of the model.

    Returns
    -------
    dict of str to float
        In [0, 1], 1 in sum; all 0 without segments.

    Examples
    --------
    >>> silent = Prediction(None, 0.0, 3.0, None, None, {}, speech=False)
    >>> sad = Prediction(None, 3.0, 4.0, "sad", 0.75, {"happy": 0.25, "sad": 0.75}, speech=True)
    >>> shares([silent, sad], ("happy", "sad"))
    {'happy': 0.0, 'sad': 0.25, 'no speech': 0.75}
    """
    found = dict.fromkeys([*labels, "unsure", "no speech"], 0.0)
    for part in parts:
        found[part.answer] += part.end - part.start
    total = sum(found.values()) or 1.0
    return {name: time / total for name, time in found.items() if time or name in labels}


def _cells(windows: list[Prediction]) -> list[Prediction]:
    """The windows with the times that belong to each."""
    if not windows:
        return []
    middles = [(one.start + one.end) / 2 for one in windows]
    edges = [windows[0].start, *((a + b) / 2 for a, b in pairwise(middles)), windows[-1].end]
    times = pairwise([float(edge) for edge in edges])
    return [replace(one, start=start, end=end) for (start, end), one in zip(times, windows, strict=True)]


def _merged(cells: Sequence[Prediction]) -> Prediction:
    """One segment of neighbours."""
    one = cells[0]
    whole = replace(one, path=None, end=cells[-1].end, warnings=_together([cell.warnings for cell in cells]))
    if one.confidence is None or len(cells) == 1:
        return whole
    weights = np.array([cell.end - cell.start for cell in cells])
    table = np.array([list(cell.probabilities.values()) for cell in cells])
    # An emotion that leads in every cell leads in the mean too.
    mean = np.average(table, axis=0, weights=weights).tolist()
    values = dict(zip(one.probabilities, mean, strict=True))
    familiarity = None
    if one.familiarity is not None:
        familiarity = float(np.average([cell.familiarity or 0.0 for cell in cells], weights=weights))
    return replace(whole, confidence=max(mean), probabilities=values, familiarity=familiarity)


def _together(warnings: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    found = {name for names in warnings for name in names}
    if not all("short" in names for names in warnings):
        found.discard("short")
    return in_order(found)


def _averaged(windows: list[Prediction]) -> list[Prediction]:
    """The windows, each averaged with those beside it."""
    if len(windows) < 2:
        return windows
    table = np.array([list(one.probabilities.values()) for one in windows])
    weight = np.ones((len(windows), 1))
    total, count = table.copy(), weight.copy()
    for beside in (np.s_[1:], np.s_[:-1]):
        other = np.s_[:-1] if beside == np.s_[1:] else np.s_[1:]
        total[beside] += _BESIDE * table[other]
        count[beside] += _BESIDE * weight[other]
    means = (total / count).tolist()
    return [
        replace(one, confidence=max(mean), probabilities=dict(zip(one.probabilities, mean, strict=True)))
        for one, mean in zip(windows, means, strict=True)
    ]


def _named(one: Prediction) -> Prediction:
    """With the emotion that leads."""
    best = max(one.probabilities, key=one.probabilities.__getitem__)
    return replace(one, emotion=best, confidence=one.probabilities[best], unsure=False)


def _next(state: str | None, cell: Prediction, min_confidence: float) -> str | None:
    """The emotion of a cell, given that of the cell before; None where it is unsure."""
    assert cell.confidence is not None
    if cell.confidence < min_confidence:
        return None
    if state is None or cell.confidence - cell.probabilities[state] >= MARGIN:
        return cell.emotion
    return state


def _without_short(groups: list[tuple[str | None, list[Prediction]]]) -> list[tuple[str | None, list[Prediction]]]:
    """Join each short group, the shortest first, to the neighbour whose emotion is more probable in it."""

    def length(k: int) -> float:
        return groups[k][1][-1].end - groups[k][1][0].start

    while True:
        short = [k for k in range(len(groups)) if groups[k][0] is not None and length(k) < SHORTEST]
        places = [
            (length(k), k, [n for n in (k - 1, k + 1) if 0 <= n < len(groups) and groups[n][0] is not None])
            for k in short
        ]
        places = [place for place in places if place[2]]
        if not places:
            return groups
        _, k, beside = min(places)
        mean = _merged(groups[k][1]).probabilities
        other = max(beside, key=lambda n: mean[groups[n][0] or ""])
        first, second = sorted((k, other))
        groups[first : second + 1] = [(groups[other][0], groups[first][1] + groups[second][1])]
