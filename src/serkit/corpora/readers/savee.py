"""SAVEE: four men, seven emotions, in British English (Haq and Jackson, 2010)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names

__all__ = ["CORPUS"]

_EMOTIONS = {
    "a": "angry",
    "d": "disgust",
    "f": "fearful",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprised",
}


def _fields(match: re.Match[str]) -> Fields:
    """Speaker, emotion and number: ``DC/a01`` as published, ``DC_a01`` in a copy that many use."""
    speaker, emotion, number = match.groups()
    return {"speaker": speaker, "sex": "male", "emotion": _EMOTIONS[emotion], "statement": emotion + number}


CORPUS = by_names(
    name="savee",
    title="SAVEE",
    pattern=r"(DC|JE|JK|KL)[/_](a|d|f|h|n|sa|su)(\d\d)",
    fields=_fields,
    example="DC/a01",
    licence="free for research, after registration (http://kahlan.eps.surrey.ac.uk/savee/)",
    citation="Haq S, Jackson PJB (2010). Multimodal emotion recognition. In: Machine Audition: Principles, Algorithms "
    "and Systems. IGI Global: 398-423.",
    labels=tuple(_EMOTIONS.values()),
    language="en",
    acted=True,
    folders=("audiodata",),
    clips=480,
    speakers=4,
    source="http://kahlan.eps.surrey.ac.uk/savee/ (registration)",
    defects="Three sentences are spoken in every emotion, under numbers that the names do not tell.",
)
