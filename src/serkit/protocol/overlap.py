"""Do published folds keep speakers apart? Fold files in EmoBox's format, and who is on both sides of each.

EmoBox (Ma Z et al., 2024, arXiv:2406.07162) publishes the folds of each corpus as ``fold_<k>/<corpus>_train_fold_<k>``
and ``..._test_fold_<k>``: JSON lines with ``key`` and ``wav`` (or ``audio``) of each clip, or one JSON object with
the keys as names.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from serkit.corpora.registry import published
from serkit.errors import CorpusError, ProtocolError

__all__ = ["FoldOverlap", "find_overlap", "read_folds", "speaker_reader"]

#: A clip: its key and its path. One file may hold several clips.
Clip = tuple[str, str]
#: Fold -> "train" or "test" -> its clips.
Folds = Mapping[int, Mapping[str, frozenset[Clip]]]

_NAME = re.compile(r"(?:^|_)(train|valid|validation|val|dev|test)(?:_.*)?_fold_?(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class FoldOverlap:
    """Who is on both sides of a fold.

    Attributes
    ----------
    fold : int
        As the files count.
    train, test : int
        Clips; those that validate count as training.
    speakers : int
        Speakers that are tested.
    shared : tuple of str
        Those of them who are in training too, sorted.
    shared_clips : int
        Tested clips that are in training themselves.
    """

    fold: int
    train: int
    test: int
    speakers: int
    shared: tuple[str, ...]
    shared_clips: int


def read_folds(folder: str | os.PathLike[str]) -> Folds:
    """Read the fold files below a folder.

    Parameters
    ----------
    folder : path
        As EmoBox has it for a corpus, such as ``data/cremad``.

    Raises
    ------
    ProtocolError
        If there are none, a fold lacks one of its sides, or a file is not of this format.
    """
    place = Path(folder)
    found: dict[int, dict[str, set[Clip]]] = {}
    for path in sorted((*place.rglob("*.jsonl"), *place.rglob("*.json"))):
        match = _NAME.search(path.stem)
        if match is not None:
            side = "test" if match.group(1).lower() == "test" else "train"
            found.setdefault(int(match.group(2)), {}).setdefault(side, set()).update(_clips(path))
    if not found:
        raise ProtocolError(
            f"{place} has no fold files: expected names such as cremad_train_fold_1.jsonl and cremad_test_fold_1.jsonl."
        )
    for fold, sides in sorted(found.items()):
        missing = {"train", "test"} - {side for side, clips in sides.items() if clips}
        if missing:
            raise ProtocolError(f"Fold {fold} in {place} has no {' and no '.join(sorted(missing))} clips.")
    return {fold: {side: frozenset(clips) for side, clips in sides.items()} for fold, sides in sorted(found.items())}


def _clips(path: Path) -> set[Clip]:
    """The clips that a file lists."""
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".json":
            rows = list(json.loads(text).items())
        else:
            rows = [(row["key"], row) for row in map(json.loads, filter(None, text.splitlines()))]
        return {(str(key), str(row.get("wav") or row["audio"])) for key, row in rows}
    except OSError as error:
        raise ProtocolError(f"The fold file {path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ProtocolError(
            f'{path} is not a fold file: expected JSON with "key" and "wav" (or "audio") for each clip.'
        ) from None


def speaker_reader(folds: Folds, *, pattern: str | None = None) -> Callable[[str], str]:
    """Return how to read the speaker from a clip's path.

    Parameters
    ----------
    folds : mapping
        Of :func:`read_folds`.
    pattern : str, optional
        Regular expression, searched in the path; what its groups hold, joined, is the speaker. Default: the names of
        the published corpus that these are.

    Raises
    ------
    ProtocolError
        If the pattern is none, or no published corpus has such names, or several.
    """
    if pattern is not None:
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise ProtocolError(f"{pattern!r} is not a regular expression: {error}.") from None
        if not expression.groups:
            raise ProtocolError(f"{pattern!r} marks no speaker: put it in parentheses, as in '/(\\d+)_'.")
        return lambda path: _searched(expression, path)
    names = {PurePosixPath(path).stem for sides in folds.values() for clips in sides.values() for _, path in clips}
    first = min(path for _, path in next(iter(folds.values()))["test"])
    parts = {_plain(part) for part in PurePosixPath(first).parts}
    fits = [corpus for corpus in published().values() if all(corpus.stem.fullmatch(name) for name in names)]
    named = [corpus for corpus in fits if _plain(corpus.name) in parts]
    chosen = named or fits
    if len(chosen) != 1:
        what = f"names of {' and '.join(corpus.name for corpus in chosen)}" if chosen else "names of no corpus it reads"
        raise ProtocolError(
            f"These are {what}, such as {first}: say where the speaker is in the path, as in --speaker '/(\\d+)_'."
        )
    parse = chosen[0].parse

    def read(path: str) -> str:
        try:
            return str(parse(PurePosixPath(path).stem)["speaker"])
        except (CorpusError, KeyError):
            raise ProtocolError(f"{path} has no speaker in its name: use --speaker.") from None

    return read


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _searched(expression: re.Pattern[str], path: str) -> str:
    match = expression.search(path)
    if match is None or not any(match.groups()):
        raise ProtocolError(f"{path} does not match {expression.pattern!r}: change --speaker.")
    return "".join(group or "" for group in match.groups())


def find_overlap(folds: Folds, speaker_of: Callable[[str], str]) -> list[FoldOverlap]:
    """Compare the two sides of each fold.

    Examples
    --------
    >>> folds = {1: {"train": frozenset({("a", "1_a.wav"), ("b", "2_a.wav")}), "test": frozenset({("c", "1_b.wav")})}}
    >>> find_overlap(folds, lambda path: path[0])
    [FoldOverlap(fold=1, train=2, test=1, speakers=1, shared=('1',), shared_clips=0)]
    """
    found = []
    for fold, sides in folds.items():
        trained, tested = ({speaker_of(path) for _, path in sides[side]} for side in ("train", "test"))
        shared = tuple(sorted(trained & tested))
        again = len(sides["train"] & sides["test"])
        found.append(FoldOverlap(fold, len(sides["train"]), len(sides["test"]), len(tested), shared, again))
    return found
