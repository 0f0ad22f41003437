"""AESDD: actors, 20 utterances for each of five emotions, in Greek (Vryzas et al., 2018)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names

__all__ = ["CORPUS"]

_EMOTIONS = {"a": "angry", "d": "disgust", "f": "fearful", "h": "happy", "s": "sad"}


def _fields(match: re.Match[str]) -> Fields:
    """Emotion, utterance and actor: ``a03 (3)``, with a letter for a second recording: ``a06 (5)b``.

    The sex of the actors is not published by number, so it stays unknown.
    """
    emotion, number, speaker, repetition = match.groups()
    return {
        "speaker": str(int(speaker)),
        "statement": emotion + number,
        "emotion": _EMOTIONS[emotion],
        "repetition": repetition,
    }


CORPUS = by_names(
    name="aesdd",
    title="AESDD",
    pattern=r"([adfhs])(\d\d) \((\d{1,2})\)([a-z]?)",
    fields=_fields,
    example="a03 (3)",
    licence="none stated: ask its authors (http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/)",
    citation="Vryzas N, Kotsakis R, Liatsou A, Dimoulas CA, Kalliris G (2018). Speech emotion recognition for "
    "performance interaction. Journal of the Audio Engineering Society 66(6): 457-467.",
    labels=tuple(_EMOTIONS.values()),
    language="el",
    acted=True,
    folders=("acted_emotional_speech_dynamic_database",),
    clips=604,
    speakers=6,
    source="http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/",
    defects="The authors write of five actors, the names have six. s05 (3).wav is left out of the copies that "
    "benchmarks use.",
)
