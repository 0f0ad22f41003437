"""Download RAVDESS from its authors' site, with checksum, progress and resume."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from serkit.corpora.readers.ravdess import ARCHIVES
from serkit.corpora.table import CHANNELS
from serkit.errors import CorpusError
from serkit.files import hold
from serkit.waiting import Waiting

__all__ = ["CHECKSUMS", "ZENODO", "Resume", "fetch_ravdess"]

#: Location of the archives of Zenodo record 1188976.
ZENODO = "https://zenodo.org/records/1188976/files"

#: Checksums published by Zenodo, by file name.
CHECKSUMS = {
    ARCHIVES["speech"]: "md5:bc696df654c87fed845eb13823edef8a",
    ARCHIVES["song"]: "md5:5411230427d67a21e18aa4d466e6d1b9",
}

_TIMEOUT = (20, 60)  # s to connect, s of silence
_PIECE = 1 << 18  # bytes


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
            paths.append(Path(source.fetch(name, downloader=Resume(folder / f"{name}.part"))))
        except ValueError as error:
            raise CorpusError(
                f"{name} from {base_url} has the wrong checksum and was removed: expected {checksums[name]}. Run the "
                "command again; if it fails again, the server has a different file."
            ) from error
        except OSError as error:
            raise CorpusError(f"{name} cannot be written to {folder} ({error.strerror or error}).") from None
    return paths


class Resume:
    """A downloader for pooch that resumes an interrupted download.

    Parameters
    ----------
    part : Path
        File that collects the bytes. Once complete, it goes to pooch, which checks it.
    """

    def __init__(self, part: Path) -> None:
        self.part = part

    def __call__(self, url: str, output_file: str | os.PathLike[str], _: pooch.Pooch) -> None:
        """Download `url`, and move the complete file to `output_file`."""
        name = self.part.name.removesuffix(".part")
        with hold(self.part.with_name(name)):  # two downloads at once would append to the same part
            try:
                total = self._fetch(url, name)
            except requests.RequestException as error:
                raise self._broken(name, url, _reason(error)) from None
            if total is not None and self._size() != total:
                raise self._broken(name, url, f"{self._size():,} of {total:,} bytes came")
            self.part.replace(output_file)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _broken(self, name: str, url: str, reason: str) -> CorpusError:
        have = self._size()
        kept = f"The first {have:,} bytes are kept: run the command again to resume." if have else ""
        return CorpusError(f"The download of {name} from {url} broke off ({reason}). {kept or 'Try again later.'}")

    def _fetch(self, url: str, name: str) -> int | None:
        """Append the missing bytes to the part file; return the total size if the server gives it."""
        have = self._size()
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            content_range = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
            total = int(content_range[2]) if content_range and content_range[2] != "*" else None
            if have and response.status_code == 416:  # nothing left to download
                if total == have:
                    return total
                self.part.unlink()  # longer than the file, so not a part of it
                return self._fetch(url, name)
            if response.status_code not in (200, 206):
                raise CorpusError(
                    f"The server answered {response.status_code} {response.reason} for {url}: check the address "
                    "or choose another with --mirror."
                )
            goes_on = bool(response.status_code == 206 and content_range and content_range[1] == str(have))
            if response.status_code == 206 and not goes_on:
                self.part.unlink(missing_ok=True)
                raise CorpusError(f"The server sent a different part of {name} than requested: run the command again.")
            if not goes_on:  # a server without ranges starts from the beginning
                have = 0
                length = response.headers.get("Content-Length")
                total = int(length) if length else None
            self._write(response, "ab" if goes_on else "wb", name, have, total)
        return total

    def _write(self, response: Any, mode: str, name: str, have: int, total: int | None) -> None:
        console = Console(stderr=True)
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        with bar, self.part.open(mode) as file:
            task = bar.add_task(name, total=total, completed=have)
            log = Waiting(console=console)
            for piece in response.iter_content(_PIECE):
                file.write(piece)
                bar.update(task, advance=len(piece))
                if not console.is_terminal and total is not None:
                    log({"stage": f"{name}, MB", "done": file.tell() // 10**6, "total": total // 10**6})


def _reason(error: requests.RequestException) -> str:
    """Describe in a few words what happened to the connection."""
    if isinstance(error, requests.exceptions.Timeout):
        return "the server does not answer"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no connection"
    return str(error)
