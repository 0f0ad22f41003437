"""How clips and speakers are assigned to folds, for :mod:`serkit.protocol`.

Randomness comes from the SHA-256 of the seed and the name of each item. So an assignment does not depend on the
order of the rows, the file system, the platform or the version of a library.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

__all__ = [
    "draw",
    "enrolment",
    "recording_groups",
    "some_clips",
    "speaker_folds",
    "stratified_folds",
    "validation_speakers",
]


def draw(seed: int, *names: object) -> str:
    """Return a pseudo-random hexadecimal number that depends only on this seed and these names.

    Examples
    --------
    >>> sorted(["ann", "ben", "cleo"], key=lambda name: draw(1, name))
    ['ben', 'ann', 'cleo']
    """
    text = "\x1f".join([str(seed), *map(str, names)])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def recording_groups(table: pd.DataFrame) -> np.ndarray:
    """Number the rows so that clips that share sound get the same number.

    Clips share sound if their ``audio_hash`` is the same, or if they overlap in one file. Clips whose hash is ``""``
    are only compared by overlap.

    Parameters
    ----------
    table : DataFrame
        With the columns path, start, end and audio_hash.

    Returns
    -------
    np.ndarray of int, shape (n,)
    """
    parent = list(range(len(table)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, value in enumerate(table["audio_hash"]):
        if value:
            parent[root(i)] = root(first.setdefault(value, i))
    paths, starts, ends = (table[name].to_numpy() for name in ("path", "start", "end"))
    latest: dict[str, int] = {}  # per file, the clip with the latest end so far
    for i in sorted(range(len(table)), key=lambda i: (starts[i], ends[i])):
        before = latest.get(paths[i])
        if before is not None and starts[i] < ends[before] - 1e-6:
            parent[root(i)] = root(before)
        if before is None or ends[i] > ends[before]:
            latest[paths[i]] = i
    return np.array([root(i) for i in range(len(table))], dtype=int)


def stratified_folds(
    names: Sequence[str], strata: Sequence[Hashable], groups: Sequence[int], n_folds: int, *, seed: int, purpose: str
) -> np.ndarray:
    """Assign rows to folds, evenly within every stratum, with each group in one fold.

    Parameters
    ----------
    names : sequence of str
        Identifies each row.
    strata : sequence
        The stratum of each row. A group has the stratum of its first name.
    groups : sequence of int
        Rows with the same number stay together.
    n_folds : int
    seed : int
    purpose : str
        Gives independent assignments with the same seed.

    Returns
    -------
    np.ndarray of int, shape (n,)
        0 to ``n_folds - 1``.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    by_stratum: dict[str, list[tuple[int, str, list[int]]]] = defaultdict(list)
    for rows in members.values():
        first = min(rows, key=lambda i: names[i])
        by_stratum[str(strata[first])].append((-len(rows), draw(seed, purpose, names[first]), rows))
    folds = np.zeros(len(names), dtype=int)
    total = [0] * n_folds
    for stratum in sorted(by_stratum):
        here = [0] * n_folds
        ties = [draw(seed, purpose, stratum, k) for k in range(n_folds)]
        for size, _, rows in sorted(by_stratum[stratum]):  # the largest groups first
            fold = min(range(n_folds), key=lambda k: (here[k], total[k], ties[k]))
            folds[rows] = fold
            here[fold] -= size
            total[fold] -= size
    return folds


def speaker_folds(speakers: Mapping[str, tuple[str, int]], n_folds: int, *, seed: int) -> dict[str, int]:
    """Assign speakers to folds, balanced first by sex, then by number of speakers and of clips.

    Parameters
    ----------
    speakers : mapping
        Speaker -> (sex, number of clips).
    n_folds : int
    seed : int

    Returns
    -------
    dict
        Speaker -> fold, 0 to ``n_folds - 1``.

    Examples
    --------
    >>> folds = speaker_folds({"a": ("male", 9), "b": ("male", 9), "c": ("female", 9), "d": ("female", 9)}, 2, seed=0)
    >>> folds["a"] != folds["b"], folds["c"] != folds["d"]
    (True, True)
    """
    by_sex: dict[str, list[str]] = defaultdict(list)
    for speaker, (sex, _) in speakers.items():
        by_sex[sex].append(speaker)
    folds: dict[str, int] = {}
    count, clips = [0] * n_folds, [0] * n_folds
    ties = [draw(seed, "fold", k) for k in range(n_folds)]
    for sex in sorted(by_sex):
        here = [0] * n_folds
        # Speakers with similar numbers of clips go to different folds, in random order.
        chance = {speaker: draw(seed, "speaker", speaker) for speaker in by_sex[sex]}
        ordered = sorted(by_sex[sex], key=lambda s: (-speakers[s][1], chance[s]))
        for block in range(0, len(ordered), n_folds):
            for speaker in sorted(ordered[block : block + n_folds], key=chance.__getitem__):
                fold = min(range(n_folds), key=lambda k: (here[k], count[k], clips[k], ties[k]))
                folds[speaker] = fold
                here[fold] += 1
                count[fold] += 1
                clips[fold] += speakers[speaker][1]
    return folds


def validation_speakers(
    speakers: Mapping[str, tuple[str, frozenset[str]]], count: int, *, seed: int, purpose: str
) -> set[str]:
    """Choose validation speakers, alternating between the sexes; the remaining speakers still cover every class.

    Parameters
    ----------
    speakers : mapping
        Training speaker -> (sex, the classes of this speaker's clips).
    count : int
        How many to choose.
    seed : int
    purpose : str
        Gives independent choices with the same seed.

    Returns
    -------
    set of str
        Fewer than ``count``, or none, if more would leave a class without training clips.
    """
    cover = Counter(label for _, classes in speakers.values() for label in classes)
    waiting: dict[str, list[str]] = defaultdict(list)
    chance = {speaker: draw(seed, purpose, speaker) for speaker in speakers}
    for speaker in sorted(speakers, key=chance.__getitem__):
        waiting[speakers[speaker][0]].append(speaker)
    chosen: set[str] = set()
    taken = Counter(dict.fromkeys(waiting, 0))
    while len(chosen) < count and waiting:
        sex = min(waiting, key=lambda s: (taken[s], chance[waiting[s][0]]))
        speaker = waiting[sex].pop(0)
        if not waiting[sex]:
            del waiting[sex]
        classes = speakers[speaker][1]
        if len(chosen) + 1 < len(speakers) and all(cover[label] > 1 for label in classes):
            chosen.add(speaker)
            taken[sex] += 1
            cover.subtract(classes)
    return chosen


def enrolment(
    names: Sequence[str], seconds: Sequence[float], groups: Sequence[int], *, limit: float, seed: int, purpose: str
) -> list[int]:
    """Choose clips of one speaker for enrolment: at random, up to `limit` seconds and at most half of the clips.

    Clips that share sound are chosen together, so none of that sound remains in the test part.

    Parameters
    ----------
    names : sequence of str
        Identifies each clip.
    seconds : sequence of float
        Durations of the clips, s.
    groups : sequence of int
        Clips with the same number share sound.
    limit : float
        Total duration, s.
    seed : int
    purpose : str

    Returns
    -------
    list of int
        Positions of the chosen clips; empty if no clip is short enough, or if the speaker has too few.
    """
    chosen: list[int] = []
    total = 0.0
    for rows in _by_chance(names, groups, seed, purpose):
        length = sum(seconds[i] for i in rows)
        if total + length > limit or len(chosen) + len(rows) > len(names) // 2:
            if chosen:
                break
            continue
        chosen += rows
        total += length
    return chosen


def some_clips(names: Sequence[str], groups: Sequence[int], *, count: int, seed: int, purpose: str) -> list[int]:
    """Choose clips at random, up to `count` and at most half of them; labels and voices have no say.

    Clips that share sound are chosen together, or not at all where they are too many. Apart from those, a smaller
    `count` chooses among the clips of a larger one.

    Parameters
    ----------
    names : sequence of str
        Identifies each clip.
    groups : sequence of int
        Clips with the same number share sound.
    count : int
    seed : int
    purpose : str

    Returns
    -------
    list of int
        Positions of the chosen clips; empty if there are too few, or all share sound.

    Examples
    --------
    >>> some_clips(["a", "b", "c", "d", "e", "f", "g"], [0, 1, 2, 2, 4, 5, 6], count=3, seed=0, purpose="adapt")
    [4, 1, 0]
    """
    most = min(count, len(names) // 2)
    chosen: list[int] = []
    for rows in _by_chance(names, groups, seed, purpose):
        if len(chosen) + len(rows) <= most:
            chosen += rows
    return chosen


def _by_chance(names: Sequence[str], groups: Sequence[int], seed: int, purpose: str) -> list[list[int]]:
    """Return the positions of each group, the groups in random order."""
    members: dict[int, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    return sorted(members.values(), key=lambda rows: draw(seed, purpose, min(names[i] for i in rows)))
