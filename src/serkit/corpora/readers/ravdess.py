"""RAVDESS: 24 actors, two sentences, spoken and sung, eight emotions (Livingstone and Russo, 2018)."""

from __future__ import annotations

from pathlib import Path

from serkit.corpora.files import list_audio, list_zip
from serkit.corpora.named import Published, rows_by_name
from serkit.corpora.table import Listing
from serkit.emotions import LABELS
from serkit.errors import CorpusError
from serkit.ravdess_names import STEM, parse_stem

__all__ = ["ARCHIVES", "CORPUS", "read"]

_LICENCE = "CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/)"
_CITATION = (
    "Livingstone SR, Russo FA (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS): A "
    "dynamic, multimodal set of facial and vocal expressions in North American English. PLoS ONE 13(5): e0196391. "
    "https://doi.org/10.1371/journal.pone.0196391"
)

#: The published archives of the audio-only part, by channel.
ARCHIVES = {"speech": "Audio_Speech_Actors_01-24.zip", "song": "Audio_Song_Actors_01-24.zip"}


def read(root: Path, channel: str = "both") -> Listing:
    """List the audio-only recordings of RAVDESS.

    The recordings may be in any folders (``Actor_01/``, ``speech/``, flat) or in zip archives directly in ``root``,
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
    rows = rows_by_name(root, paths, _audio_only, "RAVDESS")
    if not rows:
        raise CorpusError(
            f"{root} holds no RAVDESS recordings: expected {ARCHIVES['speech']}, Actor_NN folders, or files such as "
            "03-01-06-01-02-01-12.wav."
        )
    films = len(paths) - len(rows)
    note = f"{films:,} recordings of RAVDESS with video are left out."
    return Listing("ravdess", root, rows, _LICENCE, _CITATION, (note,) if films else ())


def _audio_only(stem: str) -> dict[str, str] | None:
    fields = parse_stem(stem)
    return fields if fields.pop("modality") == "03" else None


CORPUS = Published(
    name="ravdess",
    title="RAVDESS",
    stem=STEM,
    parse=parse_stem,
    read=read,
    licence=_LICENCE,
    citation=_CITATION,
    language="en",
    acted=True,
    archives=ARCHIVES,
    labels=LABELS,
    clips=2452,
    speakers=24,
    source="https://zenodo.org/records/1188976",
    defects="03-01-03-01-02-01-07 and 03-01-03-01-02-02-07 are the same recording. Actor 18 does not sing.",
)
