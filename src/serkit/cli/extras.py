"""Name the extra that a command needs, before a module deep inside fails to import."""

from __future__ import annotations

import importlib.util
import sys
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


def read_to_learn(data: Path, corpus: str | None, channel: str) -> Corpus:
    """Read a corpus without the clips whose label no model knows, and report their number on stderr."""
    from serkit.corpora import read_corpus
    from serkit.corpora.known import with_known_labels

    recordings, left_out = with_known_labels(read_corpus(data, kind=corpus, channel=channel))
    for note in recordings.notes:
        print(note, file=sys.stderr)
    for label, count in left_out.items():
        print(f"{count:,} clips of {label} are left out: it is none of the labels that recipes know.", file=sys.stderr)
    return recordings
