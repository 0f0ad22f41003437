"""URDU: 400 utterances of talk shows, four emotions, in Urdu (Latif et al., 2018)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names
from serkit.corpora.repositories import Repository

__all__ = ["CORPUS"]

_EMOTIONS = {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}


def _fields(match: re.Match[str]) -> Fields:
    """Speaker with sex, file of that speaker, and emotion with number: ``SM1_F6_A06``."""
    sex, number, emotion = match.groups()
    return {
        "speaker": f"S{sex}{number}",
        "sex": "male" if sex == "M" else "female",
        "emotion": _EMOTIONS[emotion],
    }


CORPUS = by_names(
    name="urdu",
    title="URDU",
    pattern=r"S([MF])(\d+)_F\d+_([AHNS])\d+",
    fields=_fields,
    example="SM1_F6_A06",
    licence="for research only (https://github.com/siddiquelatif/URDU-Dataset)",
    citation="Latif S, Qayyum A, Usman M, Qadir J (2018). Cross lingual speech emotion recognition: Urdu vs. Western "
    "languages. FIT 2018: 88-93. https://arxiv.org/abs/1812.10411",
    labels=tuple(_EMOTIONS.values()),
    language="ur",
    folders=("urdu_dataset",),
    clips=400,
    speakers=29,
    source="https://github.com/siddiquelatif/URDU-Dataset",
    defects="The authors write of 38 speakers, the names have 29.",
    repository=Repository(
        "https://github.com/siddiquelatif/URDU-Dataset",
        "4b546d4e0fa36d1c86c53a281631b2ab7ce2fdec",
        "59f8106064841ab91939afd579f2542577ec54614a8fa781a14e907c8c809307",
        400,
    ),
)
