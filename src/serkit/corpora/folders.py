"""A folder per class: ``angry/anna/001.wav``, ``anna/angry/001.wav`` or ``angry/anna_001.wav``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

from serkit.corpora.files import list_audio
from serkit.corpora.table import Listing
from serkit.emotions import ALIASES, OTHERS, canonical
from serkit.errors import CorpusError

__all__ = ["is_emotion", "read"]


def is_emotion(name: str) -> bool:
    """Return whether a folder's name is a known label, such as ``"Angry"``, ``"fear"`` or ``"neu"``.

    Plain numbers are not: ``"01"`` may be a speaker.
    """
    key = name.strip().lower().replace(" ", "_")
    return (key in ALIASES or key in OTHERS) and not key.isdigit()


def read(root: Path) -> Listing:
    """List a corpus that has one folder per emotion.

    The emotion is the one folder in the file's path that is named after an emotion. The speaker is what the other
    folders on the way are called. Without such a folder it is the part of the file name before the first underscore,
    if that is not an emotion and at least two files share it. Otherwise the speaker is unknown (``""``), and the
    speaker protocols will say so.

    Raises
    ------
    CorpusError
        If a file is not under exactly one emotion folder.
    """
    paths = list_audio(root)
    if not paths:
        raise CorpusError(
            f"{root} contains no audio files: expected folders named after emotions, such as angry/ and happy/."
        )
    prefixes = Counter(_prefix(path) for path in paths)
    rows: list[dict[str, str]] = []
    wrong: list[str] = []
    for path in paths:
        folders = PurePosixPath(path).parts[:-1]
        emotions = [name for name in folders if is_emotion(name)]
        if len(emotions) != 1:
            wrong.append(path)
            continue
        others = [name for name in folders if name != emotions[0]]
        prefix = _prefix(path)
        speaker = "/".join(others) or (prefix if prefixes[prefix] > 1 else "")
        rows.append({"path": path, "emotion": canonical(emotions[0], others=True), "speaker": speaker})
    if wrong:
        raise CorpusError(
            f"{len(wrong)} of {len(paths)} audio files in {root} are not in exactly one folder named after an "
            f"emotion: "
            + ", ".join(wrong[:5])
            + (", ..." if len(wrong) > 5 else "")
            + ". Rename the folders to labels such as angry, happy or sad, or describe the corpus in a manifest.csv."
        )
    return Listing(root.resolve().name, root, rows, "unknown", "unknown")


def _prefix(path: str) -> str:
    prefix, underscore, _ = PurePosixPath(path).stem.partition("_")
    return prefix if underscore and not is_emotion(prefix) else ""
