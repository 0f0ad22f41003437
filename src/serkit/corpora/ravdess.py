"""RAVDESS: 24 actors, two sentences, spoken and sung, eight emotions (Livingstone and Russo, 2018)."""

from __future__ import annotations

import re
from pathlib import Path

from serkit.corpora.files import list_audio, list_zip
from serkit.corpora.table import Listing
from serkit.emotions import EMOTIONS
from serkit.errors import CorpusError

__all__ = ["ARCHIVES", "CITATION", "LICENCE", "NAME", "STEM", "parse_stem", "read"]

NAME = "ravdess"
LICENCE = "CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/)"
CITATION = (
    "Livingstone SR, Russo FA (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS): A "
    "dynamic, multimodal set of facial and vocal expressions in North American English. PLoS ONE 13(5): e0196391. "
    "https://doi.org/10.1371/journal.pone.0196391"
)

#: The published archives of the audio-only part, by channel.
ARCHIVES = {"speech": "Audio_Speech_Actors_01-24.zip", "song": "Audio_Song_Actors_01-24.zip"}

#: What the name of a recording looks like, without its suffix.
STEM = re.compile(r"\d\d(?:-\d\d){6}")

_FIELDS = ("modality", "channel", "emotion", "intensity", "statement", "repetition", "actor")
_HIGHEST = (3, 2, 8, 2, 2, 2, 24)
_EMOTION = {e.code: e.label for e in EMOTIONS}


def parse_stem(stem: str) -> dict[str, str]:
    """Return what the name of a RAVDESS recording says.

    Parameters
    ----------
    stem : str
        File name without folder and suffix: modality, channel, emotion, intensity, statement, repetition and actor, two
        digits each.

    Returns
    -------
    dict
        ``modality`` ("01" to "03"), ``channel``, ``emotion``, ``intensity`` ("normal", "strong"), ``statement``
        ("kids", "dogs": the noun of the sentence), ``repetition`` ("1", "2"), ``speaker`` ("01" to "24") and ``sex``.

    Raises
    ------
    CorpusError
        If the name has another form or a number out of range.

    Examples
    --------
    >>> clip = parse_stem("03-01-06-01-02-01-12")
    >>> clip["emotion"], clip["speaker"], clip["sex"], clip["statement"]
    ('fearful', '12', 'female', 'dogs')
    """
    if not STEM.fullmatch(stem):
        raise CorpusError(
            f"{stem!r} is no RAVDESS name: expected seven two-digit numbers such as 03-01-06-01-02-01-12."
        )
    numbers = [int(part) for part in stem.split("-")]
    for name, number, highest in zip(_FIELDS, numbers, _HIGHEST, strict=True):
        if not 1 <= number <= highest:
            raise CorpusError(f"{stem!r} is no RAVDESS name: {name} is {number:02d}, expected 01 to {highest:02d}.")
    modality, channel, emotion, intensity, statement, repetition, actor = numbers
    if _EMOTION[emotion] == "neutral" and intensity == 2:
        raise CorpusError(f"{stem!r} is no RAVDESS name: neutral has no strong intensity.")
    return {
        "modality": f"{modality:02d}",
        "channel": ("speech", "song")[channel - 1],
        "emotion": _EMOTION[emotion],
        "intensity": ("normal", "strong")[intensity - 1],
        "statement": ("kids", "dogs")[statement - 1],
        "repetition": str(repetition),
        "speaker": f"{actor:02d}",
        "sex": "male" if actor % 2 else "female",
    }


def read(root: Path, *, channel: str = "both") -> Listing:
    """List the audio-only recordings of RAVDESS.

    The recordings may lie in any folders (``Actor_01/``, ``speech/``, flat) or in zip archives directly in ``root``,
    read in place. Recordings with video (modality 01 and 02) are left out.

    Parameters
    ----------
    root : Path
        The folder, or one of the published zip archives.
    channel : {"both", "speech", "song"}
        What will be used of it: an unfinished download of that part is an error.

    Raises
    ------
    CorpusError
        If a recording has a malformed name, or occurs twice (say, in the zip and unpacked beside it).
    """
    if root.is_file():
        root, paths = root.parent, list_zip(root)
    else:
        for part, archive in ARCHIVES.items():
            if channel in ("both", part) and (root / f"{archive}.part").is_file():
                raise CorpusError(
                    f"{archive} in {root} is an unfinished download: finish it with 'ser data get ravdess --to "
                    f"{root}', or ask for the other channel."
                )
        zips = sorted(path for path in root.glob("*.zip") if path.is_file())
        paths = [*list_audio(root), *(path for archive in zips for path in list_zip(archive))]
    rows: list[dict[str, str]] = []
    wrong: list[str] = []
    seen: dict[str, str] = {}
    for path in paths:
        stem = Path(path).stem
        try:
            fields = parse_stem(stem)
        except CorpusError as error:
            wrong.append(f"{path}: {error}")
            continue
        if fields.pop("modality") != "03":
            continue
        if stem in seen:
            raise CorpusError(
                f"The recording {stem} is there twice, as {seen[stem]} and {path}: remove one of the two copies of the "
                "corpus, or name the folder of one."
            )
        seen[stem] = path
        rows.append({"path": path, **fields})
    if wrong:
        raise CorpusError(
            f"{len(wrong)} of {len(paths)} audio files in {root} have no RAVDESS name. "
            + " ".join(wrong[:5])
            + (" ..." if len(wrong) > 5 else "")
        )
    if not rows:
        raise CorpusError(
            f"{root} holds no RAVDESS recordings: expected {ARCHIVES['speech']}, Actor_NN folders, or files such as "
            "03-01-06-01-02-01-12.wav."
        )
    return Listing(NAME, root, rows, LICENCE, CITATION)
