"""JL-Corpus: four speakers, 15 sentences twice, ten emotions, in New Zealand English (James et al., 2018)."""

from __future__ import annotations

import re

from serkit.corpora.named import Fields, by_names

__all__ = ["CORPUS"]

_EMOTIONS = {
    "angry": "angry",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "excited": "excitement",
    "anxious": "anxious",
    "apologetic": "apologetic",
    "assertive": "assertive",
    "concerned": "concerned",
    "encouraging": "encouraging",
}


def _fields(match: re.Match[str]) -> Fields:
    """Speaker, emotion, sentence with session, and repetition: ``female1_angry_10a_1``."""
    speaker, emotion, statement, repetition = match.groups()
    return {
        "speaker": speaker,
        "sex": speaker[:-1],
        "statement": statement,
        "emotion": _EMOTIONS[emotion],
        "repetition": repetition,
    }


CORPUS = by_names(
    name="jl",
    title="JL-Corpus",
    pattern=rf"((?:fe)?male[12])_({'|'.join(_EMOTIONS)})_(\d{{1,2}}[ab])_([12])",
    fields=_fields,
    example="female1_angry_10a_1",
    licence="CC0 1.0 (https://creativecommons.org/publicdomain/zero/1.0/)",
    citation="James J, Tian L, Watson CI (2018). An open source emotional speech corpus for human robot interaction "
    "applications. Interspeech 2018. https://doi.org/10.21437/Interspeech.2018-1349",
    labels=tuple(_EMOTIONS.values()),
    language="en",
    commercial=True,
    acted=True,
    folders=("jl_corpus", "jlcorpus"),
    clips=2400,
    speakers=4,
    source="https://www.kaggle.com/tli725/jl-corpus",
    defects="The release is unchecked: its authors announced a checked one.",
)
