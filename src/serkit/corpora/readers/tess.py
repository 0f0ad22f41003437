"""TESS: two women, 200 words in one sentence, seven emotions, in Canadian English (Pichora-Fuller and Dupuis, 2010)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names

__all__ = ["CORPUS"]

_EMOTIONS = {
    "angry": "angry",
    "disgust": "disgust",
    "fear": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "ps": "surprised",
    "sad": "sad",
}


def _fields(match: re.Match[str]) -> Fields:
    """Speaker, word and emotion: ``OAF_back_angry``. One published name begins with OA in place of OAF."""
    speaker, word, emotion = match.groups()
    young = speaker == "YAF"
    return {
        "speaker": "YAF" if young else "OAF",
        "sex": "female",
        "age": "26" if young else "64",
        "statement": word,
        "emotion": _EMOTIONS[emotion],
    }


CORPUS = by_names(
    name="tess",
    title="TESS",
    pattern=r"(OAF?|YAF)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)",
    fields=_fields,
    example="OAF_back_angry",
    licence="CC BY-NC-ND 4.0 (https://creativecommons.org/licenses/by-nc-nd/4.0/)",
    citation="Pichora-Fuller MK, Dupuis K (2010). Toronto emotional speech set (TESS). University of Toronto. "
    "https://doi.org/10.5683/SP2/E8H2MF",
    labels=tuple(_EMOTIONS.values()),
    language="en",
    acted=True,
    clips=2800,
    speakers=2,
    source="https://tspace.library.utoronto.ca/handle/1807/24487",
    defects="OA_bite_neutral.wav lacks the F of OAF. YAF_germ_angry.wav and YAF_neat_fear.wav are not WAV inside (they "
    "are read by their content). Only two voices.",
)
