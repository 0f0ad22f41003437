"""Emozionalmente: 431 amateurs, 18 sentences, seven emotions, crowdsourced in Italian (Catania, 2022)."""

from __future__ import annotations

import re
from pathlib import Path

from serkit.corpora import tables
from serkit.corpora.named import Fields, by_names
from serkit.errors import CorpusError

__all__ = ["CORPUS"]

_EMOTIONS = {
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fearful",
    "joy": "happy",
    "neutrality": "neutral",
    "sadness": "sad",
    "surprise": "surprised",
}
_SEX = {"f": "female", "female": "female", "m": "male", "male": "male"}
_SAMPLES, _USERS = "metadata/samples.csv", "metadata/users.csv"


def _fields(match: re.Match[str]) -> Fields:
    """Nothing: names are times, and everything else is in the tables."""
    return {}


def _complete(root: Path, rows: list[Fields]) -> None:
    """Take emotion, speaker and sentence from ``metadata/samples.csv``, sex and age from ``metadata/users.csv``."""
    table = _table(root, _SAMPLES, "path", ("actor", "sentence", "emotion_expressed"))
    samples = {Path(file).stem: values for file, values in table.items()}
    users = _table(root, _USERS, "username", ("sex", "age")) if (root / _USERS).is_file() else {}
    absent = [row["path"] for row in rows if Path(row["path"]).stem not in samples]
    if absent:
        raise CorpusError(
            f"{len(absent)} of {len(rows)} recordings in {root} are not in {_SAMPLES}: {', '.join(absent[:3])}"
            + (", ..." if len(absent) > 3 else ".")
        )
    for row in rows:
        sample = samples[Path(row["path"]).stem]
        user = users.get(sample["actor"], {})
        if sample["emotion_expressed"] not in _EMOTIONS:
            raise CorpusError(
                f"{_SAMPLES} has the emotion {sample['emotion_expressed']!r} for {row['path']}: expected one of "
                f"{', '.join(_EMOTIONS)}."
            )
        row |= {
            "emotion": _EMOTIONS[sample["emotion_expressed"]],
            "speaker": sample["actor"],
            "statement": sample["sentence"],
            "sex": _SEX.get(user.get("sex", "").lower(), ""),
            "age": user.get("age", ""),
        }


def _table(root: Path, file: str, key: str, columns: tuple[str, ...]) -> dict[str, Fields]:
    if not (root / file).is_file():
        raise CorpusError(f"{root} has no {file}, which says the emotions: give the folder as published.")
    table = tables.read(root / file)
    lacking = [name for name in (key, *columns) if name not in table.header]
    if lacking:
        raise CorpusError(f"{root / file} lacks the column {lacking[0]}: take the file as published.")
    return {values[key]: values for _, values in table.rows}


CORPUS = by_names(
    name="emozionalmente",
    title="Emozionalmente",
    pattern=r"1[56]\d{11}",
    fields=_fields,
    example="1613655062436",
    complete=_complete,
    licence="CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
    citation="Catania F (2022). Emozionalmente: a crowdsourced Italian speech emotional corpus. "
    "https://doi.org/10.5281/zenodo.6569824",
    labels=tuple(_EMOTIONS.values()),
    language="it",
    commercial=True,
    acted=True,
    folders=("emozionalmente_dataset",),
    clips=6902,
    speakers=431,
    source="https://zenodo.org/records/6569824",
    mark=_SAMPLES,
)
