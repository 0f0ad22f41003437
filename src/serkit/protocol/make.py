"""How splits are made: the roles of all clips under each protocol, in one checked table."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from serkit.corpora.columns import COPY
from serkit.errors import ProtocolError
from serkit.protocol.assignment import clip_table, random_roles, speaker_roles
from serkit.protocol.left_out import ADAPT_CLIPS, corpus_roles, one_corpus_roles
from serkit.protocol.split import BY_SPEAKER, COLUMNS, LEAVES_OUT, ONE_CORPUS, PROTOCOLS, Split

if TYPE_CHECKING:
    from serkit.corpora import Corpus

__all__ = ["make_split", "train_on_one"]

#: Their number of folds is that of all speakers, of all corpora, or six.
_OWN_FOLDS = ("leave-one-speaker-out", "emobox", *LEAVES_OUT)


def make_split(
    corpus: Corpus,
    protocol: str,
    *,
    seed: int = 0,
    n_folds: int = 5,
    n_copies: int = 3,
    n_adapt: int = ADAPT_CLIPS,
) -> Split:
    """Assign the clips of a corpus to folds and roles.

    Parameters
    ----------
    corpus : Corpus
        Each part of a joined corpus is split as it would be alone.
    protocol : str
        - ``random``: by clip, stratified by emotion and channel; duplicates stay together. About a tenth of the
          training part is used for validation.
        - ``speaker``: by speaker, balanced by sex and number of clips. About 15 % of the training speakers are used
        for validation.
        - ``speaker+enrolled``: the folds of ``speaker`` with the same seed. Up to 30 s of each test speaker, drawn
          at random and at most half of the clips, get the role enrol: a model may use them without their labels.
          They are not scored, so no scored clip was available to the model before. This is stricter than
          standardising a speaker's clips by all of them, including the tested ones. Speakers with a single
          recording cannot enrol: theirs get the role outside.
        - ``augmented-random``: each clip and its augmented copies are assigned independently of each other,
          stratified by emotion and channel. This leaks, on purpose: ``Split.warning`` says so.
        - ``leave-one-speaker-out``: as ``speaker``, with one fold per speaker.
        - ``corpus``: leave one corpus out; one fold per corpus, in the order of their names. Its clips whose label
          no other corpus has get the role outside. About 15 % of the speakers of each other corpus validate.
        - ``corpus+adapted``: the folds of ``corpus`` with the same seed. Some clips of each tested corpus, drawn at
          random whatever their labels, get the role enrol: a model may use them without their labels, to adapt to
          microphone, language and style. They are not scored.
        - ``emobox``: EmoBox's six folds of RAVDESS' speech, four actors each. About 15 % of the training speakers
          validate.
    seed : int
        Seed of the assignment. Under ``emobox`` it only chooses who validates.
    n_folds : int
        2 or more; ``leave-one-speaker-out``, ``corpus``, ``corpus+adapted`` and ``emobox`` have their own numbers.
    n_copies : int
        Augmented copies of each clip; only for ``augmented-random``.
    n_adapt : int
        1 or more clips of each tested corpus, and at most half of it; only for ``corpus+adapted``.

    Returns
    -------
    Split
        Already checked.

    Raises
    ------
    ProtocolError
        If the corpus cannot be split in this way: too few speakers, corpora or clips of a class, clips without a
        speaker, or one recording under two speakers.

    See Also
    --------
    serkit.read_corpus : Reads the corpus.
    serkit.run_evaluation : Trains and tests a recipe on the split.
    """
    if protocol not in PROTOCOLS:
        near = difflib.get_close_matches(protocol, PROTOCOLS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ProtocolError(f"Unknown protocol {protocol!r}: expected one of {', '.join(PROTOCOLS)}.{hint}")
    if n_folds < 2 or n_copies < 1 or n_adapt < 1:
        raise ProtocolError(
            f"Expected at least 2 folds, 1 copy and 1 clip to adapt with, got n_folds={n_folds}, n_copies={n_copies} "
            f"and n_adapt={n_adapt}."
        )
    clips = clip_table(corpus)
    if protocol == "augmented-random":
        clips = pd.concat([clips.assign(copy=copy) for copy in range(n_copies + 1)], ignore_index=True)
    whole = protocol in _OWN_FOLDS
    parts = [clips] if whole else [part.reset_index(drop=True) for _, part in clips.groupby("corpus", sort=False)]
    tables = []
    for part in parts:
        if protocol in LEAVES_OUT:
            roles = corpus_roles(part, protocol, seed, n_adapt=n_adapt)
            number = len(roles)
        elif protocol in BY_SPEAKER:
            number, roles = speaker_roles(part.assign(row=np.arange(len(part))), protocol, seed, n_folds)
        else:
            number, roles = n_folds, random_roles(part, protocol, seed, n_folds)
        tables += [part.assign(fold=k, role=roles[k])[COLUMNS] for k in range(number)]
    table = pd.concat(tables)
    table = table.sort_values(["fold", *COPY], kind="stable", ignore_index=True)
    split = Split(protocol, seed, number, corpus.name, table)
    split.check(corpus)
    return split


def train_on_one(
    corpus: Corpus, train_on: str, *, adapted: bool = False, seed: int = 0, n_adapt: int = ADAPT_CLIPS
) -> Split:
    """Assign the clips of a joined corpus for a model that learns from one part and is tested on all others.

    Parameters
    ----------
    corpus : Corpus
        A joined one.
    train_on : str
        The part that trains; about 15 % of its speakers validate.
    adapted : bool
        Whether the model may hear `n_adapt` unlabelled clips of each tested corpus first, as in ``corpus+adapted``.
    seed, n_adapt
        As in :func:`make_split`.

    Returns
    -------
    Split
        One fold, of the protocol ``cross-corpus`` or ``cross-corpus+adapted``; already checked. Clips that the model
        cannot be scored on are ``outside``.

    Raises
    ------
    ProtocolError
        As :func:`serkit.protocol.left_out.one_corpus_roles`.
    """
    clips = clip_table(corpus)
    roles = one_corpus_roles(clips, train_on, seed, adapted=adapted, n_adapt=n_adapt)
    table = clips.assign(fold=0, role=roles)[COLUMNS].sort_values(COPY, kind="stable", ignore_index=True)
    split = Split(ONE_CORPUS[adapted], seed, 1, corpus.name, table)
    split.check(corpus)
    return split
