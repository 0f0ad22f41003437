"""The role of each clip in each fold, by protocol; :mod:`serkit.protocol.make` turns them into splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from serkit.corpora.table import voice_names
from serkit.errors import ProtocolError
from serkit.protocol import folds
from serkit.protocol.emobox import FOLDS, emobox_folds

if TYPE_CHECKING:
    from serkit.corpora import Corpus

__all__ = [
    "ENROL_SECONDS",
    "VALIDATION_SHARE",
    "a_tenth",
    "clip_table",
    "keyed",
    "milliseconds",
    "random_roles",
    "speaker_roles",
]

#: The most audio of each test speaker that ``speaker+enrolled`` sets aside, s.
ENROL_SECONDS = 30.0
#: Of the training speakers, how many validate.
VALIDATION_SHARE = 0.15


def milliseconds(values: pd.Series) -> pd.Series:
    return (values * 1000).round().astype("int64")


def keyed(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(start=milliseconds(table["start"]), end=milliseconds(table["end"]))


def clip_table(corpus: Corpus) -> pd.DataFrame:
    """Return the clips, in the order of the corpus' table, with the columns that the protocols use.

    Adds the columns name, row (0, 1, ...), copy (0), group (of clips that share sound) and voice (speaker within a
    corpus). The random assignment depends on the name, which is the file's stem if all stems differ. So RAVDESS is
    split in the same way whether its files are WAV or FLAC, in folders or in zips.
    """
    table = corpus.table.reset_index(drop=True)
    ms = keyed(table)
    names = ms["path"] + "\x1f" + ms["start"].astype(str) + "\x1f" + ms["end"].astype(str)
    if names.duplicated().any():
        raise ProtocolError(
            f"The clip {table['path'][names.duplicated().idxmax()]} is listed twice in the corpus: list it once."
        )
    stems = table["path"].map(lambda path: PurePosixPath(path).stem)
    return table.assign(
        name=names if stems.duplicated().any() else stems,
        row=np.arange(len(table)),
        copy=0,
        group=folds.recording_groups(table),
        voice=voice_names(table),
    )


def _enough(clips: pd.DataFrame, protocol: str, n_folds: int) -> None:
    counts = clips.groupby("emotion")["group"].nunique()
    few = counts[counts < n_folds]
    if len(few):
        raise ProtocolError(
            f"The class {few.index[0]} has {few.iloc[0]} different recordings, but {protocol} with {n_folds} folds "
            f"needs at least {n_folds}: use fewer folds or leave the class out."
        )


def random_roles(clips: pd.DataFrame, protocol: str, seed: int, n_folds: int) -> list[np.ndarray]:
    """Return the roles of the rows in each fold, assigned by clip (``random``) or by copy (``augmented-random``)."""
    _enough(clips, protocol, n_folds)
    names = (clips["name"] + "\x1f" + clips["copy"].astype(str)).tolist()
    strata = (clips["emotion"] + "/" + clips["channel"]).tolist()
    groups = (clips["group"] if protocol == "random" else pd.Series(np.arange(len(clips)))).tolist()
    fold_of = folds.stratified_folds(names, strata, groups, n_folds, seed=seed, purpose=protocol)
    emotions = clips["emotion"].to_numpy()
    result = []
    for k in range(n_folds):
        roles = np.where(fold_of == k, "test", "train").astype(object)
        training = np.flatnonzero(fold_of != k)
        tenth = a_tenth(training, names, strata, groups, seed, f"{protocol}/validation/{k}")
        left = np.setdiff1d(training, tenth)
        kept = np.isin(emotions[tenth], emotions[left])  # never the last clips of a class
        back = {groups[i] for i in tenth[~kept]}
        roles[[i for i in tenth if groups[i] not in back]] = "validation"
        result.append(roles)
    return result


def a_tenth(
    rows: np.ndarray, names: Sequence[str], strata: Sequence[str], groups: Sequence[int], seed: int, purpose: str
) -> np.ndarray:
    """Return about a tenth of `rows`, evenly over the strata and with whole groups."""
    parts = min(10, len({groups[i] for i in rows}))
    part = folds.stratified_folds(
        [names[i] for i in rows],
        [strata[i] for i in rows],
        [groups[i] for i in rows],
        parts,
        seed=seed,
        purpose=purpose,
    )
    return rows[part == 0]


def speaker_roles(clips: pd.DataFrame, protocol: str, seed: int, n_folds: int) -> tuple[int, list[np.ndarray]]:
    """Return the number of folds and the roles of the clips in each."""
    fixed = emobox_folds(clips) if protocol == "emobox" else None
    people = _people(clips, protocol, n_folds if fixed is None else len(FOLDS))
    if fixed is not None:
        fold_of, n_folds = fixed, len(FOLDS)
    elif protocol == "leave-one-speaker-out":
        fold_of = {voice: k for k, voice in enumerate(sorted(people))}
        n_folds = len(people)
    else:
        _enough(clips, protocol, n_folds)
        counts = clips["voice"].value_counts()
        fold_of = folds.speaker_folds(
            {voice: (sex, int(counts[voice])) for voice, (sex, _) in people.items()}, n_folds, seed=seed
        )
    at = clips["voice"].map(fold_of).to_numpy()
    result = []
    for k in range(n_folds):
        training = {voice: person for voice, person in people.items() if fold_of[voice] != k}
        lacking = set(clips["emotion"]).difference(*(classes for _, classes in training.values()))
        if lacking:
            raise ProtocolError(
                f"Fold {k} has no training clips of {', '.join(sorted(lacking))}, because too few speakers have any: "
                "use more folds or another seed, or leave the class out."
            )
        number = max(1, round(VALIDATION_SHARE * len(training)))
        chosen = folds.validation_speakers(training, number, seed=seed, purpose=f"validation/{k}")
        if not chosen:
            raise ProtocolError(
                f"Fold {k} has no speaker for validation whose removal keeps training clips of every class: add "
                "speakers or use more folds."
            )
        roles = np.where(at == k, "test", np.where(clips["voice"].isin(chosen), "validation", "train")).astype(object)
        if protocol == "speaker+enrolled":
            enrolled, silent = _enrolled(clips[at == k], seed)
            roles[enrolled], roles[silent] = "enrol", "outside"
        result.append(roles)
    return n_folds, result


def _people(clips: pd.DataFrame, protocol: str, n_folds: int) -> dict[str, tuple[str, frozenset[str]]]:
    """Return each voice with its sex and its classes, after checking that there are enough voices."""
    name = "+".join(sorted(set(clips["corpus"])))
    nameless = int((clips["speaker"] == "").sum())
    if nameless:
        raise ProtocolError(
            f"{nameless} of {len(clips)} clips of {name} have no speaker, which {protocol} needs: give the "
            f"speakers (in "
            "sub-folders or the manifest), or use the protocol random."
        )
    needed = 3 if protocol == "leave-one-speaker-out" else max(3, n_folds)
    number = clips["voice"].nunique()
    if number < needed:
        why = "one or more each to train, validate and test" if needed == 3 else f"one for each of {n_folds} folds"
        fewer = "use fewer folds, " if number >= 3 else ""
        raise ProtocolError(
            f"The corpus {name} has {number} speaker{'s' if number > 1 else ''}, but {protocol} needs at least "
            f"{needed} "
            f"({why}): "
            f"{fewer}add speakers, or use the protocol random."
        )
    shared = clips.groupby("group")["voice"].nunique()
    if (shared > 1).any():
        rows = clips[clips["group"] == shared.idxmax()]
        raise ProtocolError(
            f"The same recording is listed under different speakers ({', '.join(sorted(set(rows['speaker'])))}): "
            f"{', '.join(rows['path'].iloc[:2])}. Correct the labels or remove one."
        )
    return {
        str(voice): (min(rows["sex"]), frozenset(rows["emotion"])) for voice, rows in clips.groupby("voice", sort=True)
    }


def _enrolled(clips: pd.DataFrame, seed: int) -> tuple[list[int], list[int]]:
    """Return the rows of the enrolment clips of the test speakers, and all rows of those who have none."""
    rows: list[int] = []
    silent: list[int] = []
    for voice, own in clips.groupby("voice", sort=True):
        seconds = (own["end"] - own["start"]).tolist()
        chosen = folds.enrolment(
            own["name"].tolist(),
            seconds,
            own["group"].tolist(),
            limit=ENROL_SECONDS,
            seed=seed,
            purpose=f"enrol/{voice}",
        )
        if chosen:
            rows += own["row"].iloc[chosen].tolist()
        else:
            silent += own["row"].tolist()
    if not rows:
        raise ProtocolError(
            f"No speaker of a fold, such as {clips['speaker'].iloc[0]}, has a clip to enrol with: speaker+enrolled "
            f"needs speakers with two recordings or more, some of them shorter than {ENROL_SECONDS:g} s."
        )
    return rows, silent
