"""CaFE: twelve actors, six sentences, seven emotions, in Canadian French (Gournay et al., 2018)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names

__all__ = ["CORPUS"]

_EMOTIONS = {
    "C": "angry",
    "D": "disgust",
    "J": "happy",
    "N": "neutral",
    "P": "fearful",
    "S": "surprised",
    "T": "sad",
}


def _fields(match: re.Match[str]) -> Fields:
    """Actor, emotion, intensity (Faible, Fort) and sentence: ``03-P-1-5``. Neutral has one intensity."""
    speaker, emotion, intensity, statement = match.groups()
    return {
        "speaker": speaker,
        "sex": "male" if int(speaker) % 2 else "female",
        "statement": statement,
        "emotion": _EMOTIONS[emotion],
        "intensity": "" if emotion == "N" else {"1": "mild", "2": "strong"}[intensity],
    }


CORPUS = by_names(
    name="cafe",
    title="CaFE",
    pattern=r"(0[1-9]|1[0-2])-([CDJNPST])-([12])-([1-6])",
    fields=_fields,
    example="03-P-1-5",
    licence="CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/)",
    citation="Gournay P, Lahaie O, Lefebvre R (2018). A Canadian French emotional speech dataset. ACM Multimedia "
    "Systems "
    "2018: 399-402. https://doi.org/10.1145/3204949.3208121",
    labels=tuple(_EMOTIONS.values()),
    language="fr",
    acted=True,
    folders=("cafe_48k", "cafe_192k"),
    clips=936,
    speakers=12,
    source="https://zenodo.org/record/1478765",
    defects="The archive's folder names with accents unpack garbled on some systems; the file names say everything.",
)
