"""ESD: ten speakers of Mandarin and ten of English, five emotions, made for voice conversion (Zhou et al., 2022)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names

__all__ = ["CORPUS"]

_EMOTIONS = {"Angry": "angry", "Happy": "happy", "Neutral": "neutral", "Sad": "sad", "Surprise": "surprised"}
_MALE = {4, 5, 6, 8, 10, 11, 13, 14, 20}
#: Public readers of the corpus disagree on the sex of these two.
_UNKNOWN = {12, 19}


def _fields(match: re.Match[str]) -> Fields:
    """Emotion by folder, then speaker and number: ``Angry/0001_000351``, with or without train, evaluation, test."""
    emotion, speaker = match.groups()
    number = int(speaker)
    return {
        "speaker": speaker,
        "sex": "" if number in _UNKNOWN else "male" if number in _MALE else "female",
        "emotion": _EMOTIONS[emotion],
        "language": "zh" if number <= 10 else "en",
    }


CORPUS = by_names(
    name="esd",
    title="ESD",
    pattern=r"(Angry|Happy|Neutral|Sad|Surprise)/(?:(?:train|evaluation|test)/)?(00(?:0[1-9]|1\d|20))_\d{6}",
    fields=_fields,
    example="Angry/0001_000351",
    licence="for research only, after signing a licence (https://github.com/HLTSingapore/Emotional-Speech-Data)",
    citation="Zhou K, Sisman B, Liu R, Li H (2022). Emotional voice conversion: Theory, databases and ESD. Speech "
    "Communication 137: 1-18. https://doi.org/10.1016/j.specom.2021.11.006",
    labels=tuple(_EMOTIONS.values()),
    acted=True,
    folders=("emotion_speech_dataset", "emotional_speech_dataset_(esd)"),
    clips=35000,
    speakers=20,
    source="https://hltsingapore.github.io/ESD/ (licence to sign)",
    defects="The published train, evaluation and test share speakers, so they are not used.",
)
