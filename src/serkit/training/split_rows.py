"""The clips of a split as rows: which of them train, which altered copies they get, what a fit must know of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from serkit.corpora.columns import FACTS
from serkit.corpora.registry import published
from serkit.corpora.table import voice_names
from serkit.errors import RecipeError, TrainingError
from serkit.protocol import make_split
from serkit.protocol.assignment import milliseconds
from serkit.protocol.folds import recording_groups, validation_speakers
from serkit.training.augment import S2_CHAINS

if TYPE_CHECKING:
    from serkit.corpora import Corpus
    from serkit.protocol import Split
    from serkit.training.recipe import Recipe

__all__ = [
    "all_clips",
    "copies_of",
    "copy_settings",
    "final_roles",
    "groups",
    "has_voices",
    "joined",
    "known",
    "origin",
    "recordings",
    "trainable",
    "trains",
    "with_copies",
    "without_unheard",
    "without_voices",
]


def joined(split: Split, corpus: Corpus) -> pd.DataFrame:
    """The split's rows with the corpus' columns for each clip, joined by key; ``row`` is the corpus' index."""

    def keyed(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(**{f"{c}_ms": milliseconds(table[c]) for c in ("start", "end")})

    keys = ["path", "start_ms", "end_ms"]
    clips = keyed(corpus.table).assign(recording=recordings(corpus))
    right = clips[[*keys, "start", "end", "emotion", "audio_hash", "recording", *FACTS]]
    left = keyed(split.table)[[*keys, "copy", "fold", "role"]]
    return left.merge(right.assign(row=corpus.table.index), on=keys, how="left", validate="many_to_one").drop(
        columns=keys[1:]
    )


def all_clips(corpus: Corpus) -> pd.DataFrame:
    """The clips of the corpus as rows, all for training; ``row`` is the corpus' index."""
    return corpus.table.assign(copy=0, role="train", row=corpus.table.index, recording=recordings(corpus))


def recordings(corpus: Corpus) -> np.ndarray:
    """Name the recording of each clip, shape (n,): clips that share sound have the same name.

    See Also
    --------
    serkit.protocol.folds.recording_groups : Which clips share sound.
    """
    table = corpus.table
    place = table["path"] + " " + table["start"].astype(str)
    names = table["audio_hash"].where(table["audio_hash"] != "", place)
    return names.groupby(recording_groups(table)).transform("min").to_numpy(dtype=str)


def final_roles(corpus: Corpus, seed: int) -> pd.Series:
    """Which clips validate while all others train: speakers, or clips where speakers are not known."""
    table = corpus.table
    voices = voice_names(table)
    people = {
        str(voice): (min(rows["sex"]), frozenset(rows["emotion"])) for voice, rows in table.groupby(voices, sort=True)
    }
    if not has_voices(corpus):
        fold = joined(make_split(corpus, "random", seed=seed), corpus)
        fold = fold[fold["fold"] == 0].set_index("row")
        return fold["role"].where(fold["role"] == "validation", "train").reindex(table.index)
    chosen = validation_speakers(people, max(1, round(0.15 * len(people))), seed=seed, purpose="validation/final")
    if not chosen:
        raise TrainingError(
            f"The corpus {corpus.name} has no speaker to validate with who would not leave a class without training "
            'clips: add speakers, or set use = "none" in the recipe\'s [validation].'
        )
    return voices.isin(chosen).map({True: "validation", False: "train"})


def has_voices(corpus: Corpus, *, at_least: int = 2) -> bool:
    """Whether all clips have a speaker, and there are at least `at_least` speakers."""
    return bool((corpus.table["speaker"] != "").all()) and voice_names(corpus.table).nunique() >= at_least


def with_copies(rows: pd.DataFrame, source: pd.DataFrame, corpus: Corpus, recipe: Recipe) -> pd.DataFrame:
    """The rows with the recipe's altered copies of those of ``source`` behind them."""
    gets = copies_of(corpus, recipe)
    copies = [source[gets[c].loc[source["row"]].to_numpy()].assign(copy=c) for c in gets]
    return pd.concat([rows, *copies], ignore_index=True)


def trains(rows: pd.DataFrame, recipe: Recipe) -> np.ndarray:
    """Which rows the estimator is fitted on: train, and validation where the recipe has no other use for it."""
    roles = ["train", "validation"] if recipe.validation.use == "none" else ["train"]
    return rows["role"].isin(roles).to_numpy()


def without_unheard(rows: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Return rows in which voices that the recipe keeps unheard are tested, and enrol, but do not train or validate."""
    if not recipe.unheard:
        return rows
    learns = rows["role"].isin(["train", "validation"]).to_numpy()
    return rows[~learns | without_voices(rows, recipe.unheard)].reset_index(drop=True)


def trainable(corpus: Corpus, recipe: Recipe) -> Corpus:
    """Return the corpus without the voices that the recipe keeps unheard."""
    if not recipe.unheard:
        return corpus
    kept = without_voices(corpus.table, recipe.unheard)
    return replace(corpus, table=corpus.table[kept].reset_index(drop=True))


def without_voices(rows: pd.DataFrame, voices: Iterable[str]) -> np.ndarray:
    """Return which rows may train, and validate, so that the model never hears some voices.

    Parameters
    ----------
    rows : DataFrame
        All clips of the corpus, in any roles, with the columns corpus and speaker.
    voices : iterable of str
        As :func:`serkit.corpora.table.voice_names` gives them, such as ``"crema_d/1005"``. Those of a published
        corpus that no row is of have no say, so that a recipe can be used with one of its corpora.

    Returns
    -------
    np.ndarray of bool, shape (n,)

    Raises
    ------
    RecipeError
        If a voice is of no such corpus, or that corpus does not have it.

    Examples
    --------
    >>> rows = pd.DataFrame({"corpus": ["ravdess", "crema_d", "crema_d"], "speaker": ["07", "1007", "1005"]})
    >>> without_voices(rows, ["crema_d/1005"]).tolist()
    [True, True, False]
    """
    names, asked = voice_names(rows), set(voices)
    there, corpora = set(names[rows["speaker"] != ""]), set(rows["corpus"])
    for voice in sorted(asked - there):
        corpus, slash, speaker = voice.partition("/")
        if slash and speaker and corpus not in corpora and corpus in published():
            continue
        near = difflib.get_close_matches(voice, sorted(there), n=1, cutoff=0.8)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        known = f"the corpus {corpus} has no such voice" if slash and corpus in corpora else "there is no such voice"
        raise RecipeError(
            f"'{voice}' cannot be left unheard: {known}. Expected a corpus and one of its speakers, as in "
            f"'crema_d/1005'.{hint}"
        )
    return ~names.isin(asked).to_numpy()


def copies_of(corpus: Corpus, recipe: Recipe) -> pd.DataFrame:
    """Which copies each clip of ``corpus`` gets while it trains: boolean, a column for each copy.

    The smallest part of a joined corpus gets all copies, a larger one as many as make it equally large, in turn.
    """
    table, n = corpus.table, recipe.augment.copies if recipe.augment else 0
    gets = pd.DataFrame(False, index=table.index, columns=range(1, n + 1))
    parts = [rows for _, rows in table.groupby("corpus")]
    smallest = min(map(len, parts))
    for rows in parts if n else ():
        each = min(n, -(-(n + 1) * smallest // len(rows)) - 1)
        turns = (np.arange(len(rows))[:, None] * each + np.arange(each)) % n
        own = np.zeros((len(rows), n), bool)
        np.put_along_axis(own, turns, True, axis=1)
        gets.loc[rows.index] = own
    return gets


def groups(rows: pd.DataFrame, *, by_speaker: bool) -> np.ndarray:
    """What inner folds must keep together: the clips of a speaker, or a recording and its copies."""
    return voice_names(rows).to_numpy(dtype=str) if by_speaker else rows["recording"].to_numpy(dtype=str)


def known(rows: pd.DataFrame, given: Mapping[str, np.ndarray] | None) -> np.ndarray | None:
    """Which labels each row could have had; None if all rows could have all labels."""
    return None if given is None else np.array([given[corpus] for corpus in rows["corpus"]])


def origin(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Channel and corpus of each row."""
    return {"channels": rows["channel"].to_numpy(dtype=str), "corpora": rows["corpus"].to_numpy(dtype=str)}


def copy_settings(recipe: Recipe) -> dict[str, Any]:
    """How to make copies: the recipe's chains, or S2's for ``augmented-random`` if the recipe has none."""
    if recipe.augment is None:
        return {"chains": S2_CHAINS}
    return {"chains": recipe.augment.chains, "folders": recipe.augment.sound_folders()}
