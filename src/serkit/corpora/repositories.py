"""Corpora that their authors publish in a repository: fetched at one commit, every recording checked."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import requests

from serkit.audio.folders import has_audio_suffix
from serkit.downloads import TIMEOUT, Resume, reason_of
from serkit.errors import ArchiveError, CorpusError
from serkit.waiting import Waiting
from serkit.zips import open_zip, read_member

__all__ = ["Repository", "fetch_repository"]

_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
_LARGEST = 1 << 26  # bytes of one file in the archive
_AT_ONCE = 8  # files fetched at the same time


@dataclass(frozen=True)
class Repository:
    """Where a corpus is in a repository on GitHub.

    Attributes
    ----------
    address : str
        ``https://github.com/OWNER/NAME``.
    commit : str
        The 40 digits of the commit.
    digest : str
        SHA-256 of the sorted lines ``<SHA-256 of a recording>  <path>\\n`` of all recordings.
    files : int
        How many recordings there are.
    under : str
        The folder of the recordings, ending in ``/``; ``""`` for all.
    tables : tuple of str
        Paths of tables to take too.
    """

    address: str
    commit: str
    digest: str
    files: int
    under: str = ""
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class _File:
    path: str
    digest: str
    size: int
    data: bytes | None  # None: stored apart from the archive (Git LFS)


def fetch_repository(repository: Repository, to: str | os.PathLike[str], *, address: str | None = None) -> list[Path]:
    """Download the recordings and tables of a corpus that is published in a repository.

    What is there with the right content is not downloaded again, so the next call resumes an interrupted download.

    Parameters
    ----------
    repository : Repository
    to : path
        Folder for them; created if missing. The recordings keep their paths.
    address : str, optional
        Another server with the same repository; it is asked for ``<address>/archive/<commit>.zip`` and
        ``<address>/raw/<commit>/<path>``.

    Returns
    -------
    list of Path
        The recordings.

    Raises
    ------
    CorpusError
        If the server cannot be reached or refuses, or a checksum is wrong. What arrived is kept.
    """
    folder = Path(to).expanduser()
    server = (address or repository.address).rstrip("/")
    name = f"{repository.address.rsplit('/', 1)[-1]}-{repository.commit[:8]}.zip"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        archive = folder / f".{name}"
        if not archive.is_file():
            Resume(folder / f"{name}.part", CorpusError)(f"{server}/archive/{repository.commit}.zip", str(archive))
        files, tables = _content(archive, repository, server)
        for path, data in tables.items():
            _write(folder / PurePosixPath(path).name, data)
        with Waiting() as waiting:
            _store(files, folder, f"{server}/raw/{repository.commit}", waiting)
        archive.unlink()
    except OSError as error:
        raise CorpusError(f"{name} cannot be unpacked in {folder} ({error.strerror or error}).") from None
    return [folder / file.path for file in files]


def _content(archive: Path, repository: Repository, server: str) -> tuple[list[_File], dict[str, bytes]]:
    """The recordings and tables of the archive, if the recordings are those that were published."""
    files, tables = [], {}
    try:
        with open_zip(archive, name=archive.name) as opened:
            for member in opened.infolist():
                path = member.filename.partition("/")[2]  # all is in one folder
                recording = path.startswith(repository.under) and has_audio_suffix(path)
                if member.is_dir() or not (recording or path in repository.tables):
                    continue
                data = read_member(opened, member, limit=_LARGEST, name=archive.name)
                if not recording:
                    tables[path] = data
                elif pointer := _POINTER.fullmatch(data):
                    files.append(_File(path, pointer[1].decode(), int(pointer[2]), None))
                else:
                    files.append(_File(path, hashlib.sha256(data).hexdigest(), len(data), data))
    except ArchiveError as error:
        archive.unlink()
        raise CorpusError(f"{error} It was removed: run the command again.") from None
    lines = sorted(f"{file.digest}  {file.path}\n" for file in files)
    if hashlib.sha256("".join(lines).encode()).hexdigest() != repository.digest:
        archive.unlink()
        raise CorpusError(
            f"{server} at {repository.commit[:8]} has {len(files):,} recordings that are not the {repository.files:,} "
            "published ones (wrong checksum): nothing was kept."
        )
    return files, tables


def _store(files: list[_File], folder: Path, raw: str, waiting: Waiting) -> None:
    """Write the recordings; those that are not in the archive are fetched one by one, several at a time."""
    here = threading.local()

    def one(file: _File) -> str | None:
        target = folder / file.path
        if target.is_file() and target.stat().st_size == file.size and _digest(target.read_bytes()) == file.digest:
            return None
        data = file.data
        if data is None:
            if not hasattr(here, "session"):
                here.session = requests.Session()
            address = f"{raw}/{file.path}"
            try:
                response = here.session.get(address, timeout=TIMEOUT)
            except requests.RequestException as error:
                return f"{address}: {reason_of(error)}"
            if response.status_code != 200:
                return f"{address}: the server answered {response.status_code} {response.reason}"
            data = response.content
            if _digest(data) != file.digest:
                return f"{address}: wrong checksum"
        _write(target, data)
        return None

    failed: list[str] = []
    pool = ThreadPoolExecutor(max_workers=_AT_ONCE)
    try:
        for done, problem in enumerate(pool.map(one, files)):
            waiting({"stage": "recordings", "done": done + 1, "total": len(files)})
            if problem:
                failed.append(problem)
            if len(failed) >= 3 * _AT_ONCE:  # the server is away or refuses
                break
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if failed:
        raise CorpusError(
            f"{len(failed):,} of {len(files):,} recordings did not arrive: {'; '.join(failed[:3])}. What arrived is "
            "kept: run the command again to resume."
        )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(target: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(data)
    part.replace(target)
