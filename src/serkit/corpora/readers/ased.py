"""ASED: 65 speakers, five emotions, in Amharic (Retta et al., 2023)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names
from serkit.corpora.repositories import Repository

__all__ = ["CORPUS"]

_EMOTIONS = {"n": "neutral", "f": "fearful", "h": "happy", "s": "sad", "a": "angry"}


def _fields(match: re.Match[str]) -> Fields:
    """Emotion with folder, sentence, repetition, sex and speaker: ``a5-03-01-02-50``.

    Speakers are told by their number alone, so a number that occurs with both sexes stays together.
    """
    emotion, statement, repetition, sex, speaker = match.groups()
    return {
        "speaker": speaker,
        "sex": "female" if sex == "01" else "male",
        "statement": emotion.lower() + statement,
        "emotion": _EMOTIONS[emotion.lower()],
        "repetition": str(int(repetition)),
    }


CORPUS = by_names(
    name="ased",
    title="ASED",
    pattern=r"([nfhsaS])[1-5]-(\d\d)-(\d\d)-(0[12])-(\d\d)",
    fields=_fields,
    example="a5-03-01-02-50",
    licence="none stated: ask its authors (https://github.com/Ethio2021/ASED_V1)",
    citation="Retta EA, Almekhlafi E, Sutcliffe R, Mhamed M, Ali H, Feng J (2023). A new Amharic speech emotion "
    "dataset "
    "and classification benchmark. ACM TALLIP 22(1): 1-22. https://doi.org/10.1145/3529759",
    labels=tuple(_EMOTIONS.values()),
    language="am",
    acted=True,
    folders=("ased_v1",),
    clips=2474,
    speakers=65,
    source="https://github.com/Ethio2021/ASED_V1",
    defects="Five speakers' numbers occur with both sexes. One name has S in place of s. Clips that judges "
    "rejected are "
    "missing.",
    repository=Repository(
        "https://github.com/Ethio2021/ASED_V1",
        "30fee0345cbd37e12dd725fbe69f90522cffb046",
        "e46112ab96ec6cc3657c99da62bf4ca351c25653ef5066a9b13368607e0b136e",
        2474,
    ),
)
