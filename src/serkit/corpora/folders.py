"""A folder per class: ``angry/anna/001.wav``, ``anna/angry/001.wav`` or ``angry/anna_001.wav``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from serkit.corpora.files import list_audio
from serkit.corpora.table import Listing
from serkit.emotions import ALIASES, OTHERS, own
from serkit.errors import CorpusError

__all__ = ["is_emotion", "name_labels", "read"]

#: Folders of a published division into sides: neither speakers nor labels.
_SIDES = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation"}


def is_emotion(name: str) -> bool:
    """Return whether a folder's name is a known label, such as ``"Angry"``, ``"fear"`` or ``"neu"``.

    Plain numbers are not: ``"01"`` may be a speaker.
    """
    key = name.strip().lower().replace(" ", "_")
    return key in ALIASES or key in OTHERS


def read(root: Path) -> Listing:
    """List a corpus that has one folder per emotion.

    The label is the folder in the file's path that is named after an emotion, as in ``angry/`` or ``anna/angry/``;
    beside such folders, others at the same level are labels too: ``stressed/``. Without any folder named after an
    emotion, the top folders (or those below ``train/``, ``test/`` and the like) are labels, unless one of them is a
    number. The speaker is what the other folders on the way are called, apart from ``train/`` and the like. Without
    such a folder it is the part of the file name before the first underscore, if that is not an emotion and at least
    two files share it. Otherwise the speaker is unknown (``""``), and the speaker protocols will say so.

    Raises
    ------
    CorpusError
        If a file is in no folder that names a label, or in two.
    """
    paths = list_audio(root)
    if not paths:
        raise CorpusError(
            f"{root} contains no audio files: expected folders named after emotions, such as angry/ and happy/."
        )
    prefixes = Counter(_prefix(path) for path in paths)
    rows: list[dict[str, str]] = []
    wrong: list[str] = []
    level = _level(paths)
    for path in paths:
        folders = PurePosixPath(path).parts[:-1]
        emotions = [k for k, name in enumerate(folders) if is_emotion(name)]
        at = emotions[0] if len(emotions) == 1 else level
        if len(emotions) > 1 or at is None or at >= len(folders):
            wrong.append(path)
            continue
        prefix = _prefix(path)
        others = [name for k, name in enumerate(folders) if k != at and name.lower() not in _SIDES]
        speaker = "/".join(others) or (prefix if prefixes[prefix] > 1 else "")
        rows.append({"path": path, "emotion": own(folders[at]), "speaker": speaker})
    if wrong:
        raise CorpusError(
            f"{len(wrong)} of {len(paths)} audio files in {root} are not in exactly one folder that names a "
            f"label: "
            + ", ".join(wrong[:5])
            + (", ..." if len(wrong) > 5 else "")
            + ". Rename the folders to labels such as angry, happy or sad, or describe the corpus in a manifest.csv."
        )
    sides = sorted({name for path in paths for name in PurePosixPath(path).parts[:-1] if name.lower() in _SIDES})
    said = f"The folders {' and '.join(sides)} are read together: serkit makes its own splits, by speaker if it can."
    return Listing(root.resolve().name, root, rows, "unknown", "unknown", (said,) if sides else ())


def name_labels(paths: Sequence[str]) -> bool:
    """Return whether each file is in a folder that names a label, also one that serkit does not know."""
    level = _level(paths)
    return level is not None and all(len(PurePosixPath(path).parts) > level + 1 for path in paths)


def _level(paths: Sequence[str]) -> int | None:
    """At which level the folders name labels that serkit does not know; None if that cannot be told."""
    parts = [PurePosixPath(path).parts[:-1] for path in paths]
    levels = {k for folders in parts for k, name in enumerate(folders) if is_emotion(name)}
    if levels:
        return levels.pop() if len(levels) == 1 else None
    at = 1 if {folders[0].lower() for folders in parts if folders} <= _SIDES else 0
    names = {folders[at] for folders in parts if len(folders) > at}
    return at if len(names) > 1 and not any(name.strip().isdigit() for name in names) else None


def _prefix(path: str) -> str:
    prefix, underscore, _ = PurePosixPath(path).stem.partition("_")
    return prefix if underscore and not is_emotion(prefix) else ""
