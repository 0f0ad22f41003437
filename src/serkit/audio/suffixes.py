"""The suffixes of recordings."""

from __future__ import annotations

import os

__all__ = ["AUDIO_SUFFIXES", "has_audio_suffix"]

#: Suffixes of files that count as recordings unopened, so that broken ones are reported: lower case, with the dot.
# fmt: off
AUDIO_SUFFIXES = frozenset({
    ".wav", ".wave", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".spx", ".mp3", ".mp2", ".mpga", ".aif",
    ".aiff", ".aifc", ".au", ".caf", ".sph", ".m4a", ".m4b", ".mp4", ".aac", ".ac3", ".webm", ".amr", ".mkv", ".mka",
    ".3gp", ".mov", ".wma", ".voc", ".eac3", ".dts", ".wv", ".tta", ".ra", ".paf", ".sds", ".htk", ".pvf", ".ircam",
})
# fmt: on


def has_audio_suffix(name: str) -> bool:
    """Return whether a file's suffix is that of a recording (:data:`AUDIO_SUFFIXES`) and the file is not hidden."""
    base = name.rsplit("/", 1)[-1]
    return not base.startswith(".") and os.path.splitext(base)[1].lower() in AUDIO_SUFFIXES  # noqa: PTH122
