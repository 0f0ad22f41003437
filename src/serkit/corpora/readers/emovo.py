"""EMOVO: six actors, 14 sentences, seven emotions, in Italian (Costantini et al., 2014)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names

__all__ = ["CORPUS"]

_EMOTIONS = {
    "dis": "disgust",
    "gio": "happy",
    "neu": "neutral",
    "pau": "fearful",
    "rab": "angry",
    "sor": "surprised",
    "tri": "sad",
}


def _fields(match: re.Match[str]) -> Fields:
    """Emotion, actor and sentence: ``gio-f2-b2``."""
    emotion, speaker, statement = match.groups()
    return {
        "speaker": speaker,
        "sex": "female" if speaker[0] == "f" else "male",
        "statement": statement,
        "emotion": _EMOTIONS[emotion],
    }


CORPUS = by_names(
    name="emovo",
    title="EMOVO",
    pattern=r"(dis|gio|neu|pau|rab|sor|tri)-([fm][1-3])-([bdln]\d)",
    fields=_fields,
    example="gio-f2-b2",
    licence="none stated: ask its authors (http://voice.fub.it/activities/corpora/emovo/index.html)",
    citation="Costantini G, Iaderola I, Paoloni A, Todisco M (2014). EMOVO Corpus: an Italian Emotional Speech "
    "Database. LREC 2014: 3501-3504. https://aclanthology.org/L14-1478/",
    labels=tuple(_EMOTIONS.values()),
    language="it",
    acted=True,
    clips=588,
    speakers=6,
    source="http://voice.fub.it/activities/corpora/emovo/index.html",
)
