"""Leaving out clips by their label: those that no model of serkit knows, and those that the user does not want."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from serkit.corpora.registry import published
from serkit.corpora.table import Corpus
from serkit.emotions import LABELS, canonical
from serkit.errors import CorpusError, nearest

__all__ = ["with_known_labels", "without_labels"]


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


def without_labels(corpus: Corpus, labels: Sequence[str]) -> Corpus:
    """Leave out the clips of some labels; a note says how many.

    Parameters
    ----------
    corpus : Corpus
    labels : sequence of str
        Labels of the corpus, or other names that serkit knows for them.

    Raises
    ------
    CorpusError
        If the corpus has no clips of a label, or of no other.
    """
    table, notes = corpus.table, list(corpus.notes)
    present = sorted(set(table["emotion"]))
    for given in labels:
        label = _label(given, present)
        if label not in present:
            raise CorpusError(
                f"{corpus.name} has no clips of {given!r} to leave out{nearest(given, present)} It has "
                f"{', '.join(present)}."
            )
        keep = table["emotion"] != label
        notes.append(f"{int((~keep).sum()):,} clips of {label} are left out, as asked.")
        table = table[keep]
    if table.empty:
        raise CorpusError(f"Nothing is left of {corpus.name} without {', '.join(labels)}: leave out fewer labels.")
    return replace(corpus, table=table.reset_index(drop=True), notes=tuple(notes))


def _label(given: str, present: Sequence[str]) -> str:
    try:
        return given if given in present else canonical(given, others=True)
    except CorpusError:
        return given
