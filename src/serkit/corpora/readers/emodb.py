"""EmoDB: ten actors, ten sentences, seven emotions, in German (Burkhardt et al., 2005)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names

__all__ = ["CORPUS"]

_EMOTIONS = {
    "W": "angry",
    "L": "boredom",
    "E": "disgust",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
_MALE = {"03", "10", "11", "12", "15"}


def _fields(match: re.Match[str]) -> Fields:
    """Speaker, sentence, the first letter of the emotion's German name, and the version: ``03a01Wa``."""
    speaker, statement, emotion, version = match.groups()
    return {
        "speaker": speaker,
        "sex": "male" if speaker in _MALE else "female",
        "statement": statement,
        "emotion": _EMOTIONS[emotion],
        "repetition": version,
    }


CORPUS = by_names(
    name="emodb",
    title="EmoDB",
    pattern=r"(03|08|09|1[0-6])([ab]\d\d)([WLEAFTN])([a-z])",
    fields=_fields,
    example="03a01Wa",
    licence="none stated: ask its authors (http://emodb.bilderbar.info/)",
    citation="Burkhardt F, Paeschke A, Rolfes M, Sendlmeier WF, Weiss B (2005). A database of German emotional speech. "
    "Interspeech 2005: 1517-1520. https://doi.org/10.21437/Interspeech.2005-446",
    labels=tuple(_EMOTIONS.values()),
    language="de",
    acted=True,
    folders=("emo_db", "emodb_2.0", "berlin"),
    clips=535,
    speakers=10,
    source="http://emodb.bilderbar.info/ or https://zenodo.org/records/17651657",
)
