"""Leave one corpus out: which clip does what when each corpus in turn is one that the model has never heard."""

from __future__ import annotations

import numpy as np
import pandas as pd

from serkit.errors import ProtocolError
from serkit.protocol import folds
from serkit.protocol.assignment import VALIDATION_SHARE, a_tenth

__all__ = ["corpus_roles"]


def corpus_roles(clips: pd.DataFrame, seed: int) -> list[np.ndarray]:
    """Return the roles of the clips in each fold; a fold tests one corpus, in the order of their names.

    A clip of that corpus whose label no other corpus gives has the role ``outside``: the model of that fold cannot
    name it, so it is not scored. Of each other corpus about 15 % of the speakers validate, the same in every fold; of
    a corpus without speakers a tenth of the recordings.

    Parameters
    ----------
    clips : DataFrame
        Of :func:`serkit.protocol.assignment.clip_table`.
    seed : int

    Raises
    ------
    ProtocolError
        If there is one corpus only, one shares fewer than two labels with the others, or no speaker can validate.
    """
    corpora = sorted(set(clips["corpus"]))
    if len(corpora) < 2:
        raise ProtocolError(
            f"The protocol corpus leaves one corpus out and needs at least 2, got {corpora[0]} alone: join some, as in "
            "--corpus ravdess+crema_d."
        )
    validates = np.zeros(len(clips), dtype=bool)
    for name in corpora:
        validates[_validating(clips[clips["corpus"] == name], name, seed)] = True
    return [_roles(clips, name, validates) for name in corpora]


def _roles(clips: pd.DataFrame, left_out: str, validates: np.ndarray) -> np.ndarray:
    """The roles in the fold that tests `left_out`."""
    tested = (clips["corpus"] == left_out).to_numpy()
    emotions = clips["emotion"].to_numpy()
    learnt = set(emotions[~tested])
    shared = learnt & set(emotions[tested])
    if len(shared) < 2:
        raise ProtocolError(
            f"The corpus {left_out} shares {' and '.join(sorted(shared)) or 'no label'} with the others, and the "
            "protocol corpus needs at least two labels: leave it out, or add a corpus with its labels."
        )
    roles = np.where(validates, "validation", "train").astype(object)
    roles[tested] = np.where(np.isin(emotions[tested], sorted(shared)), "test", "outside")
    if "validation" not in roles:
        raise ProtocolError(
            f"Without {left_out} no speaker can validate without leaving a class without training clips: "
            "add speakers, or a corpus."
        )
    return roles


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
