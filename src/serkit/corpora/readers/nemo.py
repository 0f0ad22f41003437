"""nEMO: nine actors, 90 sentences, six emotions, in Polish (Christop, 2024)."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from serkit.corpora.files import list_audio
from serkit.corpora.named import Published, rows_by_name
from serkit.corpora.table import Listing
from serkit.emotions import canonical
from serkit.errors import CorpusError

__all__ = ["CORPUS", "parse_stem", "read"]

_LICENCE = "CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/)"
_CITATION = (
    "Christop I (2024). nEMO: Dataset of Emotional Speech in Polish. LREC-COLING 2024: 12111-12116. "
    "https://aclanthology.org/2024.lrec-main.1059"
)
_STEM = re.compile(r"([A-Z]{2}\d)_(anger|fear|happiness|neutral|sadness|surprised)_(\d{1,3})")


def parse_stem(stem: str) -> dict[str, str]:
    """Return the content of an nEMO recording's name.

    Parameters
    ----------
    stem : str
        File name without folder and suffix: speaker, emotion and number of the sentence, joined by ``_``.

    Returns
    -------
    dict
        ``speaker``, ``emotion`` and ``statement``.

    Raises
    ------
    CorpusError
        If the name has another form.

    Examples
    --------
    >>> parse_stem("SM0_anger_77")
    {'speaker': 'SM0', 'emotion': 'angry', 'statement': '77'}
    """
    match = _STEM.fullmatch(stem)
    if not match:
        raise CorpusError(f"{stem!r} is not an nEMO name: expected speaker, emotion, number, as in SM0_anger_77.")
    speaker, emotion, statement = match.groups()
    return {"speaker": speaker, "emotion": canonical(emotion), "statement": statement}


def read(root: Path, channel: str = "both") -> Listing:
    """List the recordings of nEMO, in ``samples/`` or any other folders.

    Where ``data.tsv`` is there, it gives ``sex`` and the columns ``age`` and ``text``.

    Parameters
    ----------
    root : Path
    channel : str
        All recordings are speech.

    Raises
    ------
    CorpusError
        If a recording has another name or is there twice, or if ``data.tsv`` lacks an expected column.
    """
    rows = rows_by_name(root, list_audio(root), parse_stem, "nEMO")
    if not rows:
        raise CorpusError(f"{root} holds no nEMO recordings: expected samples/ with files such as SM0_anger_77.wav.")
    people = _people(root / "data.tsv")
    for row in rows if people else ():
        row |= people.get(Path(row["path"]).stem, {})
    return Listing("nemo", root, rows, _LICENCE, _CITATION)


def _people(file: Path) -> dict[str, dict[str, str]]:
    """Sex, age and text of each recording, by stem."""
    if not file.is_file():
        return {}
    with file.open(newline="", encoding="utf-8-sig") as opened:
        reader = csv.DictReader(opened, delimiter="\t")
        missing = [n for n in ("file_id", "gender", "age", "raw_text") if n not in (reader.fieldnames or [])]
        if missing:
            raise CorpusError(f"{file} lacks the column {missing[0]}: take the file as published with nEMO.")
        return {
            Path(line["file_id"]).stem: {
                "sex": line["gender"].strip(),
                "age": line["age"].strip(),
                "text": line["raw_text"].strip(),
            }
            for line in reader
        }


CORPUS = Published(
    name="nemo",
    title="nEMO",
    stem=_STEM,
    parse=parse_stem,
    read=read,
    licence=_LICENCE,
    citation=_CITATION,
    language="pl",
    acted=True,
    labels=("angry", "fearful", "happy", "neutral", "sad", "surprised"),
    clips=4481,
    speakers=9,
    source="https://github.com/amu-cai/nEMO",
)
