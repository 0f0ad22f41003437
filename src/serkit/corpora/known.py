"""Leaving out the clips of published corpora whose label no model of serkit knows, such as RESD's enthusiasm."""

from __future__ import annotations

from dataclasses import replace

from serkit.corpora.registry import published
from serkit.corpora.table import Corpus
from serkit.emotions import LABELS

__all__ = ["with_known_labels"]


def with_known_labels(corpus: Corpus) -> tuple[Corpus, dict[str, int]]:
    """Leave out the clips of published corpora whose label is none of the eight.

    A label that a folder or manifest of the user's own gives stays: there it may be a slip of the pen, and training
    says so.

    Parameters
    ----------
    corpus : Corpus
        One, or several joined.

    Returns
    -------
    Corpus
        The same one if there is nothing to leave out.
    dict
        label -> number of clips left out.

    See Also
    --------
    serkit.training.fitting.corpus_labels : refuses labels that no recipe knows.
    """
    table = corpus.table
    other = table["corpus"].isin(list(published())) & ~table["emotion"].isin(LABELS)
    if not other.any():
        return corpus, {}
    counts = {str(label): int(n) for label, n in table.loc[other, "emotion"].value_counts().sort_index().items()}
    return replace(corpus, table=table[~other].reset_index(drop=True)), counts
