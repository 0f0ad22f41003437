"""Leaving out the clips of published corpora whose label no model of serkit knows, such as RESD's enthusiasm."""

from __future__ import annotations

from dataclasses import replace

from serkit.corpora.registry import published
from serkit.corpora.table import Corpus
from serkit.emotions import LABELS

__all__ = ["with_known_labels"]


def with_known_labels(corpus: Corpus) -> tuple[Corpus, dict[str, int]]:
    """Leave out the clips of published corpora whose label is none of the eight.

    A label from the user's own folders or manifest stays: it may be a typing error there, and training
    reports it.

    Parameters
    ----------
    corpus : Corpus
        One, or several joined.

    Returns
    -------
    Corpus
        The same corpus if there is nothing to leave out.
    dict
        label -> number of clips left out.

    See Also
    --------
    serkit.training.fitting.corpus_labels : Refuses labels that no recipe knows.
    """
    table = corpus.table
    other = table["corpus"].isin(list(published())) & ~table["emotion"].isin(LABELS)
    if not other.any():
        return corpus, {}
    counts = {str(label): int(n) for label, n in table.loc[other, "emotion"].value_counts().sort_index().items()}
    return replace(corpus, table=table[~other].reset_index(drop=True)), counts
