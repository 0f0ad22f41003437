"""What a folder holds: recordings, judged by content, and the files that are skipped."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from serkit.audio import decode, signatures
from serkit.audio.suffixes import AUDIO_SUFFIXES, has_audio_suffix
from serkit.errors import AudioError

__all__ = [
    "AUDIO_SUFFIXES",
    "FolderContent",
    "find_audio",
    "has_audio_suffix",
    "is_audio",
    "nothing_found",
    "passed",
    "scan",
    "walk",
]


_NAMED = 5  # files that a message names


def is_audio(path: Path) -> bool:
    """Return whether a file is a recording: by its suffix, else by its first bytes."""
    if has_audio_suffix(path.name):
        return True
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a named pipe would wait for its writer
            return False
        with path.open("rb") as file:
            return signatures.is_recording(file.read(signatures.HEAD))
    except (OSError, ValueError):
        return False


def walk(
    root: Path, *, recursive: bool = True, onerror: Callable[[OSError], object]
) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder and the names of its files, sorted; hidden ones are left out, links to folders are followed.

    A folder is visited once, however many links lead to it, so links cannot form an endless loop.

    Parameters
    ----------
    root : Path
    recursive : bool
        Also go into sub-folders.
    onerror : callable
        Called with the error when a folder cannot be read.
    """
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=onerror):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if recursive and not name.startswith((".", "__MACOSX")))
        yield Path(folder), sorted(name for name in names if not name.startswith("."))


@dataclass(frozen=True)
class FolderContent:
    """What :func:`scan` found.

    Attributes
    ----------
    recordings : list of Path
        Sorted by their POSIX form, so the order does not depend on the file system.
    skipped : list of Path
        Files that are not recordings; hidden ones are not counted.
    errors : list of OSError
        Why folders could not be read.
    """

    recordings: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    errors: list[OSError] = field(default_factory=list)


def scan(root: Path, *, recursive: bool = False) -> FolderContent:
    """Sort the files of a folder into recordings and others."""
    found = FolderContent()
    for folder, names in walk(root, recursive=recursive, onerror=found.errors.append):
        for name in names:
            path = folder / name
            (found.recordings if is_audio(path) else found.skipped).append(path)
    found.recordings.sort(key=lambda item: item.as_posix())
    found.skipped.sort(key=lambda item: item.as_posix())
    return found


def passed(files: list[Path], root: Path) -> str:
    """Name the first files, relative to `root`, and count the rest.

    Examples
    --------
    >>> passed([Path("d/a.txt"), Path("d/b/c.png")], Path("d"))
    'a.txt, b/c.png'
    """
    names = [file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file) for file in files[:_NAMED]]
    more = len(files) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def nothing_found(root: Path, content: FolderContent, *, recursive: bool) -> AudioError:
    """Make the error for a folder without recordings."""
    others = content.skipped
    count = f"{len(others)} other file{'s' if len(others) > 1 else ''}" if others else "no file at all"
    shown = f" ({passed(others, root)})" if others else ""
    deeper = not recursive and bool(scan(root, recursive=True).recordings)
    hint = "; its sub-folders hold some: add --recursive (recursive=True)" if deeper else ""
    return AudioError(f"no recording in {str(root)!r}, {count}{shown}{hint}.")


def find_audio(path: str | os.PathLike[str], *, recursive: bool = False) -> list[Path]:
    """List the recordings of a folder, judged by content; a known suffix (:data:`AUDIO_SUFFIXES`) is enough.

    Parameters
    ----------
    path : path
        A folder, or a file, which is returned whatever it holds.
    recursive : bool
        Also look into sub-folders and linked folders. Hidden files and folders are skipped.

    Returns
    -------
    list of Path
        Sorted by their POSIX form, so the order does not depend on the file system.

    Raises
    ------
    AudioError
        If the path does not exist, may not be read, or holds no recording.
    """
    root = Path(path)
    try:
        if not root.is_dir():
            root.stat()  # a missing path raises here
            return [root]
        found = scan(root, recursive=recursive)
        if found.errors:
            raise found.errors[0]
    except FileNotFoundError:
        raise decode.missing(root) from None
    except PermissionError as error:
        where = str(error.filename or root)
        raise AudioError(f"no permission to read {where!r}: change the rights of that folder.") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot read {str(root)!r}: {getattr(error, 'strerror', None) or error}.") from None
    if not found.recordings:
        raise nothing_found(root, found, recursive=recursive)
    return found.recordings
