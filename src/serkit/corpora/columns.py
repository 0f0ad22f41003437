"""The names of the columns that pass between corpora, splits, runs and evaluations."""

from __future__ import annotations

__all__ = ["COPY", "FACTS", "GROUPS"]

#: The key of a clip or of one altered copy.
COPY = ["path", "start", "end", "copy"]
#: The columns that a table of predictions takes from the corpus.
FACTS = ["speaker", "sex", "channel", "intensity", "statement", "corpus"]
#: The columns by which scores are grouped.
GROUPS = ("speaker", "sex", "intensity", "statement", "channel", "corpus", "fold")
