"""TurEV-DB: six speakers, single words, four emotions, in Turkish (Canpolat et al., 2020)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names
from serkit.corpora.repositories import Repository

__all__ = ["CORPUS"]

_EMOTIONS = {"kz": "angry", "sk": "calm", "mt": "happy", "hl": "sad"}


def _fields(match: re.Match[str]) -> Fields:
    """Speaker, emotion and word: ``1157_kz_acik``; the codes agree with the folders Angry, Calm, Happy and Sad."""
    speaker, emotion, word = match.groups()
    return {"speaker": speaker, "statement": word, "emotion": _EMOTIONS[emotion]}


CORPUS = by_names(
    name="turev",
    title="TurEV-DB",
    pattern=r"(\d{4})_(kz|sk|mt|hl)_([a-z0-9]+)",
    fields=_fields,
    example="1157_kz_acik",
    licence="CC BY-NC-ND 4.0 (https://creativecommons.org/licenses/by-nc-nd/4.0/)",
    citation="Canpolat SF, Ormanoğlu Z, Zeyrek D (2020). Turkish Emotion Voice Database (TurEV-DB). SLTU and "
    "CCURL 2020: "
    "368-375.",
    labels=tuple(_EMOTIONS.values()),
    language="tr",
    acted=True,
    folders=("turev_db", "turevdb"),
    clips=1735,
    speakers=6,
    source="https://github.com/Xeonen/TurEV-DB",
    defects="The repository also holds filtered copies of 698 clips in Model Output for Test Data: give the "
    "folder Sound "
    "Source. The sex of the speakers is not published.",
    repository=Repository(
        "https://github.com/Xeonen/TurEV-DB",
        "be9873eccbc40538acbeb5e67c718bda96763cf3",
        "45b0f3d35b41d4d1ef6611ae86cab0cdf4881c1c20cefb10c7407a208ed3748a",
        1735,
        under="Sound Source/",
    ),
)
