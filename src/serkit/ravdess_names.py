"""The names of RAVDESS recordings: seven two-digit numbers (Livingstone and Russo, 2018)."""

from __future__ import annotations

import re

from serkit.emotions import EMOTIONS
from serkit.errors import CorpusError

__all__ = ["STEM", "parse_stem"]

#: Pattern of a recording's name without suffix.
STEM = re.compile(r"\d\d(?:-\d\d){6}")

_FIELDS = ("modality", "channel", "emotion", "intensity", "statement", "repetition", "actor")
_HIGHEST = (3, 2, 8, 2, 2, 2, 24)
_EMOTION = {e.code: e.label for e in EMOTIONS}


def parse_stem(stem: str) -> dict[str, str]:
    """Return the fields of a RAVDESS file name.

    Parameters
    ----------
    stem : str
        File name without folder and suffix: modality, channel, emotion, intensity, statement, repetition and actor, two
        digits each.

    Returns
    -------
    dict
        ``modality`` ("01" to "03"), ``channel``, ``emotion``, ``intensity`` ("normal", "strong"), ``statement``
        ("kids", "dogs": the noun of the sentence), ``repetition`` ("1", "2"), ``speaker`` ("01" to "24") and ``sex``.

    Raises
    ------
    CorpusError
        If the name has another form or a number out of range.

    Examples
    --------
    >>> clip = parse_stem("03-01-06-01-02-01-12")
    >>> clip["emotion"], clip["speaker"], clip["sex"], clip["statement"]
    ('fearful', '12', 'female', 'dogs')
    """
    if not STEM.fullmatch(stem):
        raise CorpusError(
            f"{stem!r} is not a RAVDESS name: expected seven two-digit numbers such as 03-01-06-01-02-01-12."
        )
    numbers = [int(part) for part in stem.split("-")]
    for name, number, highest in zip(_FIELDS, numbers, _HIGHEST, strict=True):
        if not 1 <= number <= highest:
            raise CorpusError(f"{stem!r} is not a RAVDESS name: {name} is {number:02d}, expected 01 to {highest:02d}.")
    modality, channel, emotion, intensity, statement, repetition, actor = numbers
    if _EMOTION[emotion] == "neutral" and intensity == 2:
        raise CorpusError(f"{stem!r} is not a RAVDESS name: neutral has no strong intensity.")
    return {
        "modality": f"{modality:02d}",
        "channel": ("speech", "song")[channel - 1],
        "emotion": _EMOTION[emotion],
        "intensity": ("normal", "strong")[intensity - 1],
        "statement": ("kids", "dogs")[statement - 1],
        "repetition": str(repetition),
        "speaker": f"{actor:02d}",
        "sex": "male" if actor % 2 else "female",
    }
