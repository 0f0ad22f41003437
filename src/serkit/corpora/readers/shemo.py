"""ShEMO: 87 speakers of radio plays, six emotions, in Persian (Mohamad Nezami et al., 2019)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names

__all__ = ["CORPUS"]

_EMOTIONS = {"A": "angry", "F": "fearful", "H": "happy", "N": "neutral", "S": "sad", "W": "surprised"}


def _fields(match: re.Match[str]) -> Fields:
    """Speaker with sex, emotion and number: ``F03S02``."""
    sex, number, emotion = match.groups()
    return {
        "speaker": sex + number,
        "sex": "female" if sex == "F" else "male",
        "emotion": _EMOTIONS[emotion],
    }


CORPUS = by_names(
    name="shemo",
    title="ShEMO",
    pattern=r"([FM])(\d\d)([AFHNSW])\d+",
    fields=_fields,
    example="F03S02",
    licence="free for academic use (https://github.com/mansourehk/ShEMO)",
    citation="Mohamad Nezami O, Jamshid Lou P, Karami M (2019). ShEMO: a large-scale validated database for Persian "
    "speech emotion detection. Language Resources and Evaluation 53(1): 1-16. "
    "https://doi.org/10.1007/s10579-018-9427-x",
    labels=tuple(_EMOTIONS.values()),
    language="fa",
    clips=3000,
    speakers=87,
    source="https://github.com/mansourehk/ShEMO",
    defects="Labels are what most of twelve listeners heard. Fear has very few clips (29 of the 2,838 in the copy that "
    "EmoBox uses).",
)
