"""Leave one corpus out: which clip does what when each corpus in turn is one that the model has never heard."""

from __future__ import annotations

import numpy as np
import pandas as pd

from serkit.errors import ProtocolError
from serkit.protocol import folds
from serkit.protocol.assignment import VALIDATION_SHARE, a_tenth

__all__ = ["ADAPT_CLIPS", "corpus_roles", "one_corpus_roles"]

#: The most clips of each tested corpus that ``corpus+adapted`` sets aside.
ADAPT_CLIPS = 50


def corpus_roles(clips: pd.DataFrame, protocol: str, seed: int, *, n_adapt: int = ADAPT_CLIPS) -> list[np.ndarray]:
    """Return the roles of the clips in each fold; a fold tests one corpus, in the order of their names.

    A clip of that corpus whose label no other corpus gives has the role ``outside``: the model of that fold cannot
    name it, so it is not scored. Of each other corpus about 15 % of the speakers validate, the same in every fold; of
    a corpus without speakers a tenth of the recordings.

    Parameters
    ----------
    clips : DataFrame
        Of :func:`serkit.protocol.assignment.clip_table`.
    protocol : {"corpus", "corpus+adapted"}
        ``corpus+adapted`` gives the role ``enrol`` to some clips of the tested corpus, whatever their labels.
    seed : int
    n_adapt : int
        How many these are; at most half of the corpus.

    Raises
    ------
    ProtocolError
        If there is one corpus only, one shares fewer than two labels with the others, no speaker can validate, or
        too few clips are left to test.
    """
    corpora = sorted(set(clips["corpus"]))
    if len(corpora) < 2:
        raise ProtocolError(
            f"The protocol {protocol} leaves one corpus out and needs at least 2, got {corpora[0]} alone: join some, "
            "as in --corpus ravdess+crema_d."
        )
    validates = np.zeros(len(clips), dtype=bool)
    for name in corpora:
        validates[_validating(clips[clips["corpus"] == name], name, seed)] = True
    result = [_roles(clips, protocol, name, validates) for name in corpora]
    if protocol == "corpus+adapted":
        for name, roles in zip(corpora, result, strict=True):
            _set_aside(clips, roles, name, seed, n_adapt)
    return result


def one_corpus_roles(
    clips: pd.DataFrame, train_on: str, seed: int, *, adapted: bool, n_adapt: int = ADAPT_CLIPS
) -> np.ndarray:
    """Return the roles of the clips where one corpus trains and validates, and every other one is tested.

    A clip whose label the training corpus lacks has the role ``outside``, and so has its double. So have all clips of a
    corpus that shares fewer than two labels with it, or that is too small to set clips aside to adapt with.

    Parameters
    ----------
    clips : DataFrame
        Of :func:`serkit.protocol.assignment.clip_table`.
    train_on : str
        The corpus that trains.
    seed : int
        Who validates, and which clips adapt: the same as under ``corpus`` and ``corpus+adapted``.
    adapted : bool
        Whether some clips of each tested corpus get the role ``enrol``.
    n_adapt : int
        How many these are; at most half of the corpus.

    Raises
    ------
    ProtocolError
        If there is no such corpus or no other, no speaker of it can validate, or no other corpus can be tested.
    """
    corpora = sorted(set(clips["corpus"]))
    if train_on not in corpora or len(corpora) < 2:
        raise ProtocolError(
            f"To train on {train_on} and test on others, it and another corpus must be there, got {', '.join(corpora)}."
        )
    own = (clips["corpus"] == train_on).to_numpy()
    emotions = clips["emotion"].to_numpy()
    learnt = sorted(set(emotions[own]))
    roles = np.where(own, "train", np.where(np.isin(emotions, learnt), "test", "outside")).astype(object)
    groups = clips["group"].to_numpy()
    roles[~own & np.isin(groups, groups[roles == "outside"])] = "outside"  # the same sound under two labels
    roles[_validating(clips[own], train_on, seed)] = "validation"
    if "validation" not in roles:
        raise ProtocolError(
            f"No speaker of {train_on} can validate without leaving a class without training clips: add speakers."
        )
    for name in corpora:
        there = (clips["corpus"] == name).to_numpy()
        try:
            if name != train_on and len(set(emotions[there & (roles == "test")])) < 2:
                roles[there] = "outside"
            elif name != train_on and adapted:
                _set_aside(clips, roles, name, seed, n_adapt)
        except ProtocolError:  # too small: the others are tested all the same
            roles[there] = "outside"
    if "test" not in roles:
        raise ProtocolError(f"The corpus {train_on} shares fewer than two labels with every other one: add a corpus.")
    return roles


def _roles(clips: pd.DataFrame, protocol: str, left_out: str, validates: np.ndarray) -> np.ndarray:
    """The roles in the fold that tests `left_out`."""
    tested = (clips["corpus"] == left_out).to_numpy()
    emotions = clips["emotion"].to_numpy()
    learnt = set(emotions[~tested])
    shared = learnt & set(emotions[tested])
    if len(shared) < 2:
        raise ProtocolError(
            f"The corpus {left_out} shares {' and '.join(sorted(shared)) or 'no label'} with the others, and the "
            f"protocol {protocol} needs at least two labels: leave it out, or add a corpus with its labels."
        )
    roles = np.where(validates, "validation", "train").astype(object)
    roles[tested] = np.where(np.isin(emotions[tested], sorted(shared)), "test", "outside")
    if "validation" not in roles:
        raise ProtocolError(
            f"Without {left_out} no speaker can validate without leaving a class without training clips: "
            "add speakers, or a corpus."
        )
    return roles


def _set_aside(clips: pd.DataFrame, roles: np.ndarray, left_out: str, seed: int, n_adapt: int) -> None:
    """Give some clips of the tested corpus the role enrol, in place; also of those that cannot be scored."""
    own = clips[clips["corpus"] == left_out]
    names, groups = own["name"].tolist(), own["group"].tolist()
    chosen = folds.some_clips(names, groups, count=n_adapt, seed=seed, purpose=f"corpus/adapt/{left_out}")
    roles[own["row"].to_numpy()[chosen]] = "enrol"
    left = set(own.loc[roles[own["row"]] == "test", "emotion"])
    if not chosen or len(left) < 2:
        raise ProtocolError(
            f"The corpus {left_out} has {len(own)} clips, too few for corpus+adapted, which sets some aside and tests "
            "two labels or more with the rest: leave it out, or use the protocol corpus."
        )


def _validating(clips: pd.DataFrame, name: str, seed: int) -> np.ndarray:
    """The rows of one corpus that validate wherever it trains."""
    if (clips["speaker"] == "").any():
        names, emotions, groups = (clips[column].tolist() for column in ("name", "emotion", "group"))
        part = a_tenth(np.arange(len(clips)), names, emotions, groups, seed, f"corpus/validation/{name}")
        left = np.setdiff1d(np.arange(len(clips)), part)
        if {emotions[i] for i in left} != set(emotions):
            return np.array([], dtype=int)
        return clips["row"].to_numpy()[part]
    people = {
        str(voice): (min(rows["sex"]), frozenset(rows["emotion"])) for voice, rows in clips.groupby("voice", sort=True)
    }
    number = max(1, round(VALIDATION_SHARE * len(people)))
    chosen = folds.validation_speakers(people, number, seed=seed, purpose=f"corpus/validation/{name}")
    return clips.loc[clips["voice"].isin(chosen), "row"].to_numpy()
