"""Several corpora as one, so a model can learn from all their voices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from serkit.corpora.table import COLUMNS, Corpus
from serkit.errors import CorpusError

__all__ = ["join"]


def join(corpora: Sequence[Corpus], root: Path) -> Corpus:
    """Join corpora below one folder into one table.

    Parameters
    ----------
    corpora : sequence of Corpus
        Two or more, with different names.
    root : Path
        A folder that contains all their folders; the paths of the table are relative to it.

    Returns
    -------
    Corpus
        Named after its parts, such as ``ravdess+crema_d``. A column that only one of them has is ``""`` for the clips
        of the others. A label that one of them never gives, such as calm in CREMA-D, says nothing about its clips:
        the models ``cnn``, ``softmax`` and ``linear_network`` leave it out of their loss, the others treat it as
        absent. Evaluations score each clip over the labels of its own corpus. :mod:`serkit.training.fitting` does both.

    Raises
    ------
    CorpusError
        If two have the same name, or one is outside `root`.
    """
    names = [corpus.name for corpus in corpora]
    if len(set(names)) != len(names):
        raise CorpusError(
            f"A corpus can only be joined with other corpora, got {' + '.join(names)}: name each one once."
        )
    parts = []
    for corpus in corpora:
        try:
            below = corpus.root.relative_to(root).as_posix()
        except ValueError:
            raise CorpusError(f"{corpus.root} is outside {root}: put the corpora into one folder.") from None
        parts.append(corpus.table.assign(path=below + "/" + corpus.table["path"]))
    table = pd.concat(parts, ignore_index=True)
    extra = [name for name in table.columns if name not in COLUMNS]
    table[extra] = table[extra].fillna("")
    table = table[[*COLUMNS, *extra]].sort_values(["path", "start", "end"], kind="stable", ignore_index=True)
    return Corpus(
        "+".join(names),
        root,
        table,
        "; ".join(f"{corpus.name}: {corpus.licence}" for corpus in corpora),
        " ".join(corpus.citation for corpus in corpora if corpus.citation),
        tuple(note for corpus in corpora for note in corpus.notes),
        tuple(reason for corpus in corpora for reason in corpus.broken),
    )
