"""MESD: words in the voices of women, men and children, six emotions, in Mexican Spanish (Duville et al., 2021)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names

__all__ = ["CORPUS"]

_EMOTIONS = {
    "Anger": "angry",
    "Disgust": "disgust",
    "Fear": "fearful",
    "Happiness": "happy",
    "Neutral": "neutral",
    "Sadness": "sad",
}
_SEX = {"F": "female", "M": "male", "C": ""}


def _fields(match: re.Match[str]) -> Fields:
    """Emotion, voice (F, M, or C for a child), list of words, and word: ``Anger_F_A_tarde``.

    The names do not tell people apart, so the speaker is the kind of voice: whatever keeps speakers apart keeps women,
    men and children apart.
    """
    emotion, voice, words, word = match.groups()
    return {
        "speaker": voice,
        "sex": _SEX[voice],
        "statement": word,
        "emotion": _EMOTIONS[emotion],
        "words": words,
    }


CORPUS = by_names(
    name="mesd",
    title="MESD",
    pattern=rf"({'|'.join(_EMOTIONS)})_([FMC])_([AB])_(\w+)",
    fields=_fields,
    example="Anger_F_A_tarde",
    licence="CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
    citation="Duville MM, Alonso-Valerdi LM, Ibarra-Zarate DI (2021). The Mexican Emotional Speech Database (MESD): "
    "elaboration and assessment based on machine learning. EMBC 2021. "
    "https://pubmed.ncbi.nlm.nih.gov/34891601/",
    labels=tuple(_EMOTIONS.values()),
    language="es",
    commercial=True,
    acted=True,
    folders=("mexican_emotional_speech_database_(mesd)",),
    clips=862,
    speakers=3,
    source="https://data.mendeley.com/datasets/cy34mh68j9/5",
    defects="Eleven people (three women, two men, six children) whom the names do not tell apart. The authors write of "
    "864 clips, the release has 862.",
)
