"""CREMA-D: 91 actors, twelve sentences, six emotions, and what listeners heard (Cao et al., 2014)."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from serkit.corpora.files import list_audio
from serkit.corpora.named import Published, rows_by_name
from serkit.corpora.repositories import Repository
from serkit.corpora.table import Listing
from serkit.emotions import canonical
from serkit.errors import CorpusError

__all__ = ["CORPUS", "parse_stem", "read"]

_LICENCE = "ODbL 1.0 (https://opendatacommons.org/licenses/odbl/1-0/)"
_CITATION = (
    "Cao H, Cooper DG, Keutmann MK, Gur RC, Nenkova A, Verma R (2014). CREMA-D: Crowd-sourced Emotional Multimodal "
    "Actors Dataset. IEEE Transactions on Affective Computing 5(4): 377-390. https://doi.org/10.1109/TAFFC.2014.2336244"
)

#: The form of a recording's name, without its suffix. One published name ends in a single X.
_STEM = re.compile(r"(\d{4})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(XX?|LO|MD|HI)")

_FOLDERS = ("AudioWAV", "audio")
_VOTES = {"A": "angry", "D": "disgust", "F": "fearful", "H": "happy", "N": "neutral", "S": "sad"}


def parse_stem(stem: str) -> dict[str, str]:
    """Return the content of a CREMA-D recording's name.

    Parameters
    ----------
    stem : str
        File name without folder and suffix: actor, sentence, emotion and level, joined by ``_``.

    Returns
    -------
    dict
        ``speaker`` (four digits), ``statement`` (code of the sentence), ``emotion`` and ``intensity``: "LO", "MD", "HI"
        or "XX" (no level asked of the actor).

    Raises
    ------
    CorpusError
        If the name has another form.

    Examples
    --------
    >>> parse_stem("1001_DFA_ANG_XX")
    {'speaker': '1001', 'statement': 'DFA', 'emotion': 'angry', 'intensity': 'XX'}
    """
    match = _STEM.fullmatch(stem)
    if not match:
        raise CorpusError(
            f"{stem!r} is not a CREMA-D name: expected actor, sentence, emotion, level, as in 1001_DFA_ANG_XX."
        )
    speaker, statement, emotion, level = match.groups()
    return {
        "speaker": speaker,
        "statement": statement,
        "emotion": canonical(emotion),
        "intensity": "XX" if level == "X" else level,
    }


def read(root: Path, channel: str = "both") -> Listing:
    """List the recordings of CREMA-D.

    They are looked for in ``AudioWAV/`` or ``audio/``, else anywhere below ``root``. Where ``VideoDemographics.csv`` is
    there, it gives ``sex`` and the columns ``age``, ``race`` and ``ethnicity``; where ``summaryTable.csv`` is there,
    it gives the column ``listeners``: the emotion that most people heard in the voice alone, ties joined by ``:``
    ("angry:disgust").

    Parameters
    ----------
    root : Path
        The folder as published, or a part of it.
    channel : str
        All recordings are speech.

    Raises
    ------
    CorpusError
        If a recording has a malformed name, or a table lacks an expected column.
    """
    if root.name in _FOLDERS and (root.parent / "VideoDemographics.csv").is_file():
        root = root.parent
    folder = next((name for name in _FOLDERS if (root / name).is_dir()), "")
    paths = [f"{folder}/{path}" if folder else path for path in list_audio(root / folder)]
    people = _table(root / "VideoDemographics.csv", "ActorID", ("Sex", "Age", "Race", "Ethnicity"))
    votes = _table(root / "summaryTable.csv", "FileName", ("VoiceVote",))
    rows = rows_by_name(root, paths, parse_stem, "CREMA-D")
    for row in rows:
        stem = Path(row["path"]).stem
        if people:
            person = people.get(row["speaker"], {})
            row["sex"] = person.get("Sex", "").lower()
            row |= {name.lower(): person.get(name, "") for name in ("Age", "Race", "Ethnicity")}
        if votes:
            row["listeners"] = _listeners(votes.get(stem, {}).get("VoiceVote", ""), stem)
    if not rows:
        raise CorpusError(
            f"{root} holds no CREMA-D recordings: expected AudioWAV/ with files such as 1001_DFA_ANG_XX.wav."
        )
    return Listing("crema_d", root, rows, _LICENCE, _CITATION)


def _listeners(vote: str, stem: str) -> str:
    try:
        return ":".join(_VOTES[letter] for letter in vote.split(":") if letter)
    except KeyError as error:
        raise CorpusError(
            f"summaryTable.csv has the vote {error} for {stem}: expected letters of {'ADFHNS'}."
        ) from None


def _table(file: Path, key: str, columns: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Read one of the corpus' own tables as rows by key; a table that is not there is empty."""
    if not file.is_file():
        return {}
    with file.open(newline="", encoding="utf-8-sig") as opened:
        reader = csv.DictReader(opened)
        missing = [name for name in (key, *columns) if name not in (reader.fieldnames or [])]
        if missing:
            raise CorpusError(f"{file} lacks the column {missing[0]}: take the file as published with CREMA-D.")
        return {row[key]: row for row in reader}


CORPUS = Published(
    name="crema_d",
    title="CREMA-D",
    stem=_STEM,
    parse=parse_stem,
    read=read,
    licence=_LICENCE,
    citation=_CITATION,
    language="en",
    commercial=True,
    acted=True,
    folders=("cremad",),
    labels=tuple(sorted(_VOTES.values())),
    clips=7442,
    speakers=91,
    source="https://github.com/CheyneyComputerScience/CREMA-D",
    defects="1076_MTI_SAD_XX is silent. One name ends in a single X. Six clips are duplicates of others with "
    "another label.",
    repository=Repository(
        "https://github.com/CheyneyComputerScience/CREMA-D",
        "1658cd342dff90010aa843eaeebd53610a08b1dc",
        "f721bb0aa21e8a03128e06b926f6ab615079100d9b4dba61bc38288329e742e1",
        7442,
        under="AudioWAV/",
        tables=("VideoDemographics.csv", "SentenceFilenames.csv", "processedResults/summaryTable.csv"),
    ),
)
