"""What serkit sees in a corpus and what will go wrong with it, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from serkit.corpora.known import with_known_labels
from serkit.corpora.table import Corpus, voice_names

__all__ = ["findings"]

_FEW = 5  # clips: fewer cannot be in every fold
_SHOWN = 3


def findings(corpus: Corpus) -> list[str]:
    """Return what a user should know about a corpus, a sentence or two each; none if all is well.

    Parameters
    ----------
    corpus : Corpus
        Read with ``skip_broken=True``, so that its damaged recordings are among the findings.
    """
    found = list(corpus.notes)
    total = len(corpus) + len(corpus.broken)
    if corpus.broken:
        found.append(
            f"{len(corpus.broken):,} of {total:,} clips cannot be read: {_first(corpus.broken, ' ')} Repair them, "
            f"or leave "
            "them out with --skip-broken."
        )
    return [*found, *_labels(corpus), *_speakers(corpus), *_copies(corpus)]


def _labels(corpus: Corpus) -> list[str]:
    known, others = with_known_labels(corpus)
    found = [
        f"{count:,} clips of {label} will not be trained on: it is none of the labels that recipes know."
        for label, count in others.items()
    ]
    counts = known.table["emotion"].value_counts()
    if len(counts) < 2:
        found.append("There is one label: a model needs two or more to tell apart.")
    few = {str(label): int(count) for label, count in sorted(counts.items()) if count < _FEW}
    if few:
        listed = ", ".join(f"{label} {count}" for label, count in few.items())
        found.append(
            f"Too few clips for five folds: {listed}. Add some, or leave labels out, as in --drop {next(iter(few))}."
        )
    return found


def _speakers(corpus: Corpus) -> list[str]:
    table = corpus.table
    told = table["speaker"] != ""
    voices = voice_names(table)[told].nunique()
    if not told.any():
        return [
            "No speaker is known, so scores hold for these voices only (--protocol random). Name the speakers in "
            "a column "
            "speaker, in folders or at the start of the file names, as in anna_001.wav."
        ]
    found = []
    if not told.all():
        found.append(
            f"{int((~told).sum()):,} of {len(table):,} clips have no speaker: protocols by speaker will refuse "
            f"the corpus."
        )
    if voices == told.sum() > 2:
        found.append(
            "Every clip has a speaker of its own. If that is not so, the speakers are read from the wrong column "
            "or folder."
        )
    elif voices < 3:
        found.append(
            f"{corpus.name} has {voices} speaker{'s' if voices > 1 else ''}: protocols by speaker need three or "
            f"more; use "
            "--protocol random, whose scores hold for these voices only."
        )
    return found


def _copies(corpus: Corpus) -> list[str]:
    found = []
    groups = corpus.table[corpus.table.duplicated("audio_hash", keep=False)].groupby("audio_hash", sort=False)
    for column, advice in (("emotion", "correct the labels"), ("speaker", "correct the speakers")):
        clash = [rows for _, rows in groups if rows[column].nunique() > 1]
        if clash:
            first = clash[0]
            pairs = ", ".join(f"{row.path} ({getattr(row, column) or 'unknown'})" for row in first.head(2).itertuples())
            found.append(
                f"{_some(len(clash), 'recording')} there twice with another {column}, first {pairs}: {advice}, or "
                f"remove one."
            )
    copies = sum(len(rows) - 1 for _, rows in groups)
    if copies:
        found.append(f"{_some(copies, 'clip')} of the same sound as another: they stay on one side of every split.")
    return found


def _first(reasons: Sequence[str], between: str) -> str:
    return between.join(reasons[:_SHOWN]) + (" ..." if len(reasons) > _SHOWN else "")


def _some(count: int, noun: str) -> str:
    return f"{count:,} {noun}s are" if count > 1 else f"{count} {noun} is"
