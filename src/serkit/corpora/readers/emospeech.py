"""EmoSpeech: short commands in Indian English and Hindi, in real places, four emotions (Banga et al., 2019)."""

from __future__ import annotations

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
    "Banga S, Upadhyay U, Agarwal P, Sharma A, Mukherjee P (2019). Indian EmoSpeech Command Dataset: A dataset for "
    "emotion based speech recognition in the wild. arXiv:1910.13801. https://arxiv.org/abs/1910.13801"
)
_STEM = re.compile(r"([a-z]+)-([a-z]+)-([A-Za-z]+)-(\d+|\?\?)-([0-9a-f]{56})")
#: The hash that its authors use for unknown people.
_UNKNOWN = "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f"


def parse_stem(stem: str) -> dict[str, str]:
    """Return the content of an EmoSpeech recording's name.

    Parameters
    ----------
    stem : str
        File name without folder and suffix: keyword, environment, emotion, time (``??`` in six published
        names) and user, joined by ``-``.

    Returns
    -------
    dict
        ``statement`` (the keyword), ``environment``, ``emotion`` and ``speaker`` (the first ten digits of the user's
        hash).

    Raises
    ------
    CorpusError
        If the name has another form, or an emotion that serkit does not know.

    Examples
    --------
    >>> clip = parse_stem("go-safe-angry-1566229421468-340a803168cbebd76b289a6adaf5622430355128c75e67ef2f3ec11e")
    >>> clip["statement"], clip["emotion"], clip["speaker"]
    ('go', 'angry', '340a803168')
    """
    match = _STEM.fullmatch(stem)
    if not match:
        raise CorpusError(
            f"{stem!r} is not an EmoSpeech name: expected keyword-environment-emotion-time-user, the user as 56 "
            "hexadecimal digits."
        )
    keyword, environment, emotion, _, user = match.groups()
    return {
        "statement": keyword,
        "environment": environment,
        "emotion": canonical(emotion),
        "speaker": user[:10],
    }


def read(root: Path, channel: str = "both") -> Listing:
    """List the recordings of EmoSpeech, in any folders.

    Recordings without speech (their emotion is ``None``) and those of unknown users are left out, because their
    speakers cannot be told apart. Some files are identical.

    Parameters
    ----------
    root : Path
    channel : str
        All recordings are speech.

    Raises
    ------
    CorpusError
        If a recording has another name, or occurs twice.
    """
    paths = list_audio(root)
    rows = rows_by_name(root, paths, _known, "EmoSpeech")
    if not rows:
        raise CorpusError(
            f"{root} holds no EmoSpeech recordings of known users: expected names such as go-safe-angry-..."
        )
    left_out = len(paths) - len(rows)
    note = f"{left_out:,} recordings of EmoSpeech are left out: they are of unknown people or without speech."
    return Listing("emospeech", root, rows, _LICENCE, _CITATION, (note,) if left_out else ())


def _known(stem: str) -> dict[str, str] | None:
    match = _STEM.fullmatch(stem)
    if match and (match.group(3) == "None" or match.group(5) == _UNKNOWN):
        return None
    return parse_stem(stem)


CORPUS = Published(
    name="emospeech",
    title="EmoSpeech",
    stem=_STEM,
    parse=parse_stem,
    read=read,
    licence=_LICENCE,
    citation=_CITATION,
    folders=("emospeech_dataset_v1", "emospeech_dataset"),
    labels=("angry", "calm", "fearful", "happy"),
    source="https://github.com/RakshakTeam/emospeech-dataset-v1",
    defects="Recordings of unknown people and those without speech are left out. Some files are identical.",
)
