"""Download RAVDESS from its authors' site, with checksum."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pooch

from serkit.corpora.readers.ravdess import ARCHIVES
from serkit.corpora.table import CHANNELS
from serkit.downloads import Resume
from serkit.errors import CorpusError

__all__ = ["CHECKSUMS", "ZENODO", "fetch_ravdess"]

#: Location of the archives of Zenodo record 1188976.
ZENODO = "https://zenodo.org/records/1188976/files"

#: Checksums published by Zenodo, by file name.
CHECKSUMS = {
    ARCHIVES["speech"]: "md5:bc696df654c87fed845eb13823edef8a",
    ARCHIVES["song"]: "md5:5411230427d67a21e18aa4d466e6d1b9",
}


def fetch_ravdess(
    to: str | os.PathLike[str],
    *,
    channel: str = "both",
    base_url: str = ZENODO,
    checksums: Mapping[str, str] = CHECKSUMS,
) -> list[Path]:
    """Download the audio-only archives of RAVDESS; they stay zips, which :func:`serkit.read_corpus` reads in place.

    A file with the correct checksum is not downloaded again. What arrives is kept as ``<name>.part`` until it
    is complete, so the next call resumes an interrupted download.

    Parameters
    ----------
    to : path
        Folder for the archives; created if missing.
    channel : {"both", "speech", "song"}
        Which of the two archives, or both.
    base_url : str
        Address of the folder with the archives: Zenodo, or a mirror.
    checksums : mapping
        File name -> ``"<algorithm>:<hex>"``.

    Returns
    -------
    list of Path
        The archives.

    Raises
    ------
    CorpusError
        If the server cannot be reached or refuses, the download breaks off (received bytes are kept), or the checksum
        is wrong (the file is removed).
    """
    if channel not in CHANNELS:
        raise CorpusError(f"Unknown channel {channel!r}: expected one of {', '.join(CHANNELS)}.")
    names = [name for part, name in ARCHIVES.items() if channel in ("both", part)]
    folder = Path(to).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CorpusError(f"The folder {folder} cannot be created ({error.strerror}): change --to.") from None
    pooch.get_logger().setLevel("WARNING")
    source = pooch.create(
        path=folder, base_url=base_url.rstrip("/") + "/", registry={name: checksums[name] for name in names}
    )
    paths = []
    for name in names:
        try:
            paths.append(Path(source.fetch(name, downloader=Resume(folder / f"{name}.part", CorpusError))))
        except ValueError as error:
            raise CorpusError(
                f"{name} from {base_url} has the wrong checksum and was removed: expected {checksums[name]}. Run the "
                "command again; if it fails again, the server has a different file."
            ) from error
        except OSError as error:
            raise CorpusError(f"{name} cannot be written to {folder} ({error.strerror or error}).") from None
    return paths
