"""SUBESCO: 20 actors, ten sentences, seven emotions, in Bangla (Sultana et al., 2021)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names

__all__ = ["CORPUS"]

_EMOTIONS = {
    "ANGRY": "angry",
    "DISGUST": "disgust",
    "FEAR": "fearful",
    "HAPPY": "happy",
    "NEUTRAL": "neutral",
    "SAD": "sad",
    "SURPRISE": "surprised",
}


def _fields(match: re.Match[str]) -> Fields:
    """Sex, number and name of the speaker, sentence, emotion and take: ``F_02_MONIKA_S_1_NEUTRAL_5``."""
    sex, number, _, statement, emotion, take = match.groups()
    return {
        "speaker": f"{sex}_{number}",
        "sex": "female" if sex == "F" else "male",
        "statement": statement,
        "emotion": _EMOTIONS[emotion],
        "repetition": take,
    }


CORPUS = by_names(
    name="subesco",
    title="SUBESCO",
    pattern=rf"([FM])_(\d\d)_([A-Z]+)_S_(\d{{1,2}})_({'|'.join(_EMOTIONS)})_(\d)\]?",
    fields=_fields,
    example="F_02_MONIKA_S_1_NEUTRAL_5",
    licence="CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
    citation="Sultana S, Rahman MS, Selim MR, Iqbal MZ (2021). SUST Bangla Emotional Speech Corpus (SUBESCO): An "
    "audio-only emotional speech corpus for Bangla. PLoS ONE 16(4): e0250173. "
    "https://doi.org/10.1371/journal.pone.0250173",
    labels=tuple(_EMOTIONS.values()),
    language="bn",
    commercial=True,
    acted=True,
    clips=7000,
    speakers=20,
    source="https://zenodo.org/records/4526477",
    defects="One published name ends in a bracket. Some recordings have 44.1 kHz, others 48 kHz.",
)
