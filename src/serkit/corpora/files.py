"""Where the recordings of a corpus are: files below a folder, and members of zip archives read in place."""

from __future__ import annotations

import os
import threading
import zipfile
from pathlib import Path
from typing import Any

from serkit.audio.folders import has_audio_suffix, walk
from serkit.errors import ArchiveError, AudioError, CorpusError
from serkit.zips import open_zip, read_member

__all__ = ["Store", "list_audio", "list_zip"]

_MAX_MEMBER = 1 << 30  # bytes of one recording, unpacked


def list_audio(root: Path) -> list[str]:
    """Return the audio files below a folder as sorted POSIX paths relative to it; hidden ones are left out.

    The suffix decides, not the content: corpora keep films beside the sound (CREMA-D's ``VideoFlash``), which would be
    the same utterances twice.
    """
    found: list[str] = []
    for folder, names in walk(root, onerror=_refuse):
        relative = folder.relative_to(root)
        found.extend((relative / name).as_posix() for name in names if has_audio_suffix(name))
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise CorpusError(f"The folder {error.filename} cannot be read ({error.strerror}): check its permissions.")


def list_zip(archive: Path) -> list[str]:
    """Return the audio members of a zip archive, sorted, each as ``"<archive name>/<member>"``.

    Raises
    ------
    CorpusError
        If the file is not a zip archive, is cut off, or unpacks to far more than its size.

    See Also
    --------
    serkit.zips.open_zip : What is refused.
    """
    try:
        with open_zip(archive, name=str(archive)) as opened:
            names = [name for name in opened.namelist() if has_audio_suffix(name) and not name.startswith("__MACOSX")]
    except ArchiveError as error:
        raise CorpusError(str(error)) from None
    return sorted(f"{archive.name}/{name}" for name in names)


class Store:
    """Opens the audio of a path in a corpus table, whether it is a file or a member of a zip archive.

    Archives are opened once per process and read under a lock, so that threads can share a store. Pickling drops the
    open archives.

    Parameters
    ----------
    root : Path
        The folder that the paths are relative to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._archives: dict[tuple[int, Path], zipfile.ZipFile] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["root"])  # type: ignore[misc]

    def locate(self, path: str) -> tuple[Path, str]:
        """Return the file on disk and, inside an archive, the name of the member (else ``""``)."""
        parts = path.split("/")
        for i, part in enumerate(parts[:-1]):
            if part.lower().endswith(".zip"):
                archive = self.root.joinpath(*parts[: i + 1])
                if archive.is_file():
                    return archive, "/".join(parts[i + 1 :])
        return self.root / path, ""

    def source(self, path: str) -> Path | bytes:
        """Return what :func:`serkit.audio.load` reads: the path of a file, or the bytes of a zip member.

        Raises
        ------
        AudioError
            If the member is missing or damaged.
        """
        file, member = self.locate(path)
        if not member:
            return file
        try:
            with self._lock:
                archive = self._archives.get((os.getpid(), file))
                if archive is None:
                    archive = self._archives[(os.getpid(), file)] = open_zip(file, name=file.name)
                return read_member(archive, archive.getinfo(member), limit=_MAX_MEMBER, name=file.name)
        except KeyError:
            raise AudioError(f"{file.name} has no member {member!r}.") from None
        except ArchiveError as error:
            raise AudioError(str(error)) from None

    def stamp(self, path: str) -> tuple[int, int]:
        """Return (size in bytes, modification time in ns) of the file on disk that holds the path.

        Raises
        ------
        AudioError
            If there is no such file.
        """
        file, _ = self.locate(path)
        try:
            status = file.stat()
        except OSError as error:
            raise AudioError(f"{file} cannot be read ({error.strerror or error}).") from None
        return status.st_size, status.st_mtime_ns
