"""Download large files, with progress and resume."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from serkit.errors import SerkitError
from serkit.files import hold
from serkit.waiting import Waiting

__all__ = ["TIMEOUT", "Resume", "reason_of"]

TIMEOUT = (20, 60)  # s to connect, s of silence
_PIECE = 1 << 18  # bytes


class Resume:
    """A downloader that resumes an interrupted download; it has the form that pooch expects.

    Parameters
    ----------
    part : Path
        File that collects the bytes, ``<name>.part``. Once complete, it is moved; the caller checks it.
    error : type of SerkitError
        What is raised if the server cannot be reached or refuses, or the download breaks off; what came is kept.
    """

    def __init__(self, part: Path, error: type[SerkitError]) -> None:
        self.part, self.error = part, error

    def __call__(self, url: str, output_file: str | os.PathLike[str], _: object = None) -> None:
        """Download `url`, and move the complete file to `output_file`."""
        name = self.part.name.removesuffix(".part")
        with hold(self.part.with_name(name)):  # two downloads at once would append to the same part
            try:
                total = self._fetch(url, name)
            except requests.RequestException as error:
                raise self._broken(name, url, reason_of(error)) from None
            if total is not None and self._size() != total:
                raise self._broken(name, url, f"{self._size():,} of {total:,} bytes came")
            self.part.replace(output_file)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _broken(self, name: str, url: str, reason: str) -> SerkitError:
        have = self._size()
        kept = f"The first {have:,} bytes are kept: run the command again to resume." if have else ""
        return self.error(f"The download of {name} from {url} broke off ({reason}). {kept or 'Try again later.'}")

    def _fetch(self, url: str, name: str) -> int | None:
        """Append the missing bytes to the part file; return the total size if the server gives it."""
        have = self._size()
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            content_range = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
            total = int(content_range[2]) if content_range and content_range[2] != "*" else None
            if have and response.status_code == 416:  # nothing left to download
                if total == have:
                    return total
                self.part.unlink()  # longer than the file, so not a part of it
                return self._fetch(url, name)
            if response.status_code not in (200, 206):
                raise self.error(
                    f"The server answered {response.status_code} {response.reason} for {url}: check the address "
                    "or choose another with --mirror."
                )
            goes_on = bool(response.status_code == 206 and content_range and content_range[1] == str(have))
            if response.status_code == 206 and not goes_on:
                self.part.unlink(missing_ok=True)
                raise self.error(f"The server sent a different part of {name} than requested: run the command again.")
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


def reason_of(error: requests.RequestException) -> str:
    """Describe in a few words what happened to the connection."""
    if isinstance(error, requests.exceptions.Timeout):
        return "the server does not answer"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no connection"
    return str(error)
