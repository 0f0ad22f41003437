"""BanglaSER: 34 speakers, three sentences, five emotions, on phones and laptops (Das et al., 2022)."""

from __future__ import annotations

from pathlib import Path

from serkit.corpora.files import list_audio
from serkit.corpora.named import Published, rows_by_name
from serkit.corpora.table import Listing
from serkit.errors import CorpusError
from serkit.ravdess_names import STEM

__all__ = ["CORPUS", "parse_stem", "read"]

_LICENCE = "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)"
_CITATION = (
    "Das RK, Islam N, Ahmed MR, Islam S, Shatabda S, Islam AKMM (2022). BanglaSER: A speech emotion recognition "
    "dataset for the Bangla language. Data in Brief 42: 108091. https://doi.org/10.1016/j.dib.2022.108091"
)
_EMOTIONS = {"01": "happy", "02": "sad", "03": "angry", "04": "surprised", "05": "neutral"}
_INTENSITIES = {"01": "normal", "02": "strong"}


def parse_stem(stem: str) -> dict[str, str]:
    """Return the content of a BanglaSER recording's name.

    Parameters
    ----------
    stem : str
        File name without folder and suffix, in the form of RAVDESS' names with codes of its own: modality, channel,
        emotion (01 happy, 02 sad, 03 angry, 04 surprised, 05 neutral), intensity, statement, repetition, speaker.

    Returns
    -------
    dict
        ``emotion``, ``intensity`` ("normal", "strong"), ``statement`` and ``repetition`` ("1" to "3"), ``speaker``
        ("01" to "34") and ``sex`` (odd speakers are male).

    Raises
    ------
    CorpusError
        If the name has another form or a number out of range.

    Examples
    --------
    >>> clip = parse_stem("03-01-04-02-01-03-28")
    >>> clip["emotion"], clip["speaker"], clip["sex"]
    ('surprised', '28', 'female')
    """
    if STEM.fullmatch(stem):
        _, _, emotion, intensity, statement, repetition, speaker = stem.split("-")
        if (
            emotion in _EMOTIONS
            and intensity in _INTENSITIES
            and 1 <= int(statement) <= 3
            and 1 <= int(repetition) <= 3
            and 1 <= int(speaker) <= 34
        ):
            return {
                "emotion": _EMOTIONS[emotion],
                "intensity": _INTENSITIES[intensity],
                "statement": str(int(statement)),
                "repetition": str(int(repetition)),
                "speaker": speaker,
                "sex": "male" if int(speaker) % 2 else "female",
            }
    raise CorpusError(
        f"{stem!r} is not a BanglaSER name: expected seven two-digit numbers with emotion 01 to 05, statement and "
        "repetition 01 to 03 and speaker 01 to 34, such as 03-01-04-02-01-03-28."
    )


def read(root: Path, channel: str = "both") -> Listing:
    """List the recordings of BanglaSER, in any folders.

    Neutral was almost always recorded at 44.1 kHz and half of the rest at 48 kHz, so bandwidth reveals the label unless
    all recordings are resampled to one lower rate, as every recipe of serkit does. Two pairs of files are identical.

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
    rows = rows_by_name(root, list_audio(root), parse_stem, "BanglaSER")
    if not rows:
        raise CorpusError(f"{root} holds no BanglaSER recordings: expected files such as 03-01-04-02-01-03-28.wav.")
    return Listing("banglaser", root, rows, _LICENCE, _CITATION)


CORPUS = Published(
    name="banglaser",
    title="BanglaSER",
    stem=STEM,
    parse=parse_stem,
    read=read,
    licence=_LICENCE,
    citation=_CITATION,
    language="bn",
    commercial=True,
    acted=True,
    labels=tuple(sorted(_EMOTIONS.values())),
    clips=1467,
    speakers=34,
    source="https://data.mendeley.com/datasets/t9h6p943xy",
    defects="Neutral was almost always recorded at 44.1 kHz and half of the rest at 48 kHz, so bandwidth tells "
    "the label. Two "
    "pairs of files are identical.",
)
