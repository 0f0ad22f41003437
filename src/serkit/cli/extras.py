"""Name the extra that a command needs, before a module deep inside fails to import."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from serkit.errors import MissingExtraError

if TYPE_CHECKING:
    from serkit.corpora import Corpus

__all__ = ["need_train", "read_to_learn"]

# The packages of the extra `train`, as imported and as installed.
_TRAIN = {
    "pandas": "pandas",
    "pydantic": "pydantic",
    "matplotlib": "matplotlib",
    "pooch": "pooch",
    "sklearn": "scikit-learn",
    "imblearn": "imbalanced-learn",
    "torch": "torch",
    "onnx": "onnx",
}


def need_train(what: str) -> None:
    """Raise :class:`MissingExtraError` unless the extra ``train`` is installed; ``what`` starts the sentence."""
    for module, package in _TRAIN.items():
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(what, package, "train")


def read_to_learn(
    data: Path,
    corpus: str | None,
    channel: str,
    *,
    skip_broken: bool = False,
    drop: str | None = None,
    label_map: Path | None = None,
    targets: Sequence[str] = (),
    finished: bool = False,
) -> Corpus:
    """Read a corpus to train on, and report on stderr what was left out and how many clips that are.

    Parameters
    ----------
    data, corpus, channel, skip_broken, targets
        As for :func:`serkit.read_corpus`.
    drop : str, optional
        Labels to leave out, with commas between them.
    label_map : Path, optional
        A table of labels and what they become (:func:`serkit.corpora.label_map.read_label_map`). Without it, clips of
        published corpora whose label is none of the eight are left out.
    finished : bool
        For a model that has its labels: nothing is said of those that it may not know, and none is left out for it.
    """
    from dataclasses import replace

    from serkit.corpora import read_corpus
    from serkit.corpora.known import with_known_labels, without_labels
    from serkit.corpora.label_map import read_label_map, relabelled
    from serkit.emotions import LABELS, in_order
    from serkit.errors import CorpusError

    recordings = read_corpus(data, kind=corpus, channel=channel, skip_broken=skip_broken, targets=targets)
    if targets and not recordings.table["emotion"].any():
        if drop is not None or label_map is not None:
            raise CorpusError(f"{data} has no labels that --drop or --label-map could be for: leave them out.")
        return _told(recordings)
    if drop is not None:
        recordings = without_labels(recordings, [label.strip() for label in drop.split(",") if label.strip()])
    if label_map is not None:
        recordings = relabelled(recordings, read_label_map(label_map))
    elif not finished:
        recordings, left_out = with_known_labels(recordings)
        notes = [
            f"{count:,} clips of {label} are left out: it is none of serkit's eight labels. A --label-map that names "
            "it keeps it."
            for label, count in left_out.items()
        ]
        recordings = replace(recordings, notes=(*recordings.notes, *notes))
    counts = recordings.table["emotion"].value_counts()
    yours = {label: int(counts[label]) for label in in_order(counts.index) if label not in LABELS}
    if yours and not finished:
        listed = ", ".join(f"{label} ({count:,} clips)" for label, count in yours.items())
        recordings = replace(
            recordings, notes=(*recordings.notes, f"Labels of your own, beside serkit's eight: {listed}.")
        )
    return _told(recordings)


def _told(recordings: Corpus) -> Corpus:
    """Report on stderr what was left out."""
    for note in recordings.notes:
        print(note, file=sys.stderr)
    if recordings.broken:
        print(f"Left out, because they cannot be read: {len(recordings.broken):,} recordings.", file=sys.stderr)
        for reason in recordings.broken:
            print(f"  {reason}", file=sys.stderr)
    return recordings
