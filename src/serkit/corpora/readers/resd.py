"""RESD: 50 dialogues of two roles, seven emotions, in Russian (Aniemore, 2022)."""

from __future__ import annotations

import re
from pathlib import Path

from serkit.corpora.files import list_audio
from serkit.corpora.named import Published, rows_by_name
from serkit.corpora.table import Listing
from serkit.emotions import canonical
from serkit.errors import CorpusError

__all__ = ["CORPUS", "parse_stem", "read"]

_LICENCE = "MIT (https://opensource.org/license/mit)"
_CITATION = (
    "Lubenets I, Davidchuk N, Amentes A (2022). RESD: Russian Emotional Speech Dialogs. Aniemore. "
    "https://github.com/aniemore/Aniemore"
)
_NAMES = "anger|disgust|enthusiasm|fear|happiness|neutral|sadness"
_STEM = re.compile(rf"(\d\d)_({_NAMES})_({_NAMES})[ _]([a-z])_(\d+)")


def parse_stem(stem: str) -> dict[str, str]:
    """Return what the name of a RESD recording says.

    Parameters
    ----------
    stem : str
        File name without folder and suffix: dialogue, the emotions of its two roles, the first letter of the role that
        speaks, and a number.

    Returns
    -------
    dict
        ``emotion``, ``statement`` (dialogue and number), ``role`` (the letter) and ``speaker``: the dialogue, because
        who plays a role is not known and one actor may play several. So whatever keeps speakers apart keeps dialogues
        together.

    Raises
    ------
    CorpusError
        If the name has another form.

    Examples
    --------
    >>> parse_stem("12_sadness_disgust_s_060")
    {'speaker': '12', 'emotion': 'sad', 'statement': '12-060', 'role': 's'}
    """
    match = _STEM.fullmatch(stem)
    roles = [name for name in match.group(2, 3) if name.startswith(match.group(4))] if match else []
    if match is None or len(roles) != 1:
        raise CorpusError(
            f"{stem!r} is not a RESD name: expected dialogue, two emotions, the letter of one of them and a number, as "
            "in 12_sadness_disgust_s_060."
        )
    dialogue, number = match.group(1), match.group(5)
    return {
        "speaker": dialogue,
        "emotion": canonical(roles[0], others=True),
        "statement": f"{dialogue}-{number}",
        "role": match.group(4),
    }


def read(root: Path, channel: str = "both") -> Listing:
    """List the recordings of RESD, in ``train/`` and ``test/`` or any other folders.

    The published division into train and test shares dialogues, so it is not used. Its enthusiasm is none of the eight
    emotions that serkit's models know.

    Parameters
    ----------
    root : Path
    channel : str
        All recordings are speech.

    Raises
    ------
    CorpusError
        If a recording has another name, or is there twice.
    """
    rows = rows_by_name(root, list_audio(root), parse_stem, "RESD")
    if not rows:
        raise CorpusError(f"{root} holds no RESD recordings: expected names such as 12_sadness_disgust_s_060.wav.")
    return Listing("resd", root, rows, _LICENCE, _CITATION)


CORPUS = Published(
    name="resd",
    title="RESD",
    stem=_STEM,
    parse=parse_stem,
    read=read,
    licence=_LICENCE,
    citation=_CITATION,
    language="ru",
    commercial=True,
    acted=True,
    labels=("angry", "disgust", "enthusiasm", "fearful", "happy", "neutral", "sad"),
    clips=1396,
    speakers=50,
    source="https://huggingface.co/datasets/Aniemore/resd_annotated",
    defects="Speakers are dialogues, because the actors are not named. The published train and test share "
    "dialogues, so they "
    "are not used.",
)
