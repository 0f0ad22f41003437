"""BAVED: 61 speakers, seven words at three levels of emotion, in Arabic (Aouf, 2020)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names
from serkit.corpora.repositories import Repository

__all__ = ["CORPUS"]


def _fields(match: re.Match[str]) -> Fields:
    """Speaker, sex, age, word, level and record: ``9-f-20-5-1-1443``.

    The levels are no emotions: 0 is tired or down, 1 everyday speech, 2 strong emotion of any kind. They are kept as
    level_0, level_1 and level_2, which no model of serkit knows.
    """
    speaker, sex, age, word, level = match.groups()
    return {
        "speaker": speaker,
        "sex": "female" if sex == "f" else "male",
        "age": age,
        "statement": word,
        "emotion": f"level_{level}",
    }


CORPUS = by_names(
    name="baved",
    title="BAVED",
    pattern=r"(\d{1,3})-([fm])-(\d{1,2})-([0-6])-([0-2])-\d+",
    fields=_fields,
    example="9-f-20-5-1-1443",
    licence="none stated (https://github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset)",
    citation="Aouf A (2020). Basic Arabic Vocal Emotions Dataset (BAVED). "
    "https://github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset",
    labels=("level_0", "level_1", "level_2"),
    language="ar",
    folders=("basic_arabic_vocal_emotions_dataset", "basic_arabic_vocal_emotions_dataset_master"),
    clips=1935,
    speakers=60,
    source="https://github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset",
    defects="Levels, not emotions. The authors write of 61 speakers, the names have 60. Most speakers are male "
    "(1,109 of "
    "1,935 clips).",
    repository=Repository(
        "https://github.com/40uf411/Basic-Arabic-Vocal-Emotions-Dataset",
        "6e3d51261a15ec4d6f68ee082b1488147b706f2f",
        "cea42f3b2c8af051ec869316600d192d2ca018a50b41aa1d2720e6de45ff35a3",
        1935,
    ),
)
