"""The names of the columns that pass between corpora, splits, runs and evaluations."""

from __future__ import annotations

__all__ = ["COPY", "FACTS", "GROUPS"]

#: What identifies a clip, or one altered copy of it.
COPY = ["path", "start", "end", "copy"]
#: What a table of predictions takes from the corpus.
FACTS = ["speaker", "sex", "channel", "intensity", "statement", "corpus"]
#: What scores are broken down by.
GROUPS = ("speaker", "sex", "intensity", "statement", "channel", "corpus", "fold")
