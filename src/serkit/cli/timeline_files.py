"""The files that ``ser timeline`` writes: which they are, whether they are there, and how they were made."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from serkit._version import __version__
from serkit.cli.options import check_output
from serkit.errors import SerkitError
from serkit.files import differences, followed, hold, write_atomic, write_json

if TYPE_CHECKING:
    from serkit.bundle import Bundle
    from serkit.recognition.tracks import Timeline

__all__ = ["NOTE", "Outputs", "SoundKeeper"]

#: In each folder of files: how they were made, so that ``--resume`` adds no others.
NOTE = ".timeline.run.json"

_SUFFIXES = {
    "csv": ".csv",
    "srt": ".srt",
    "vtt": ".vtt",
    "textgrid": ".TextGrid",
    "eaf": ".eaf",
    "rttm": ".rttm",
    "html": ".html",
}


class SoundKeeper(Protocol):
    """Keeps the sound for a page, or nothing."""

    def add(self, block: np.ndarray, rate: int) -> None: ...

    def data(self) -> tuple[str, bytes]: ...


class _NoSound:
    def add(self, block: np.ndarray, rate: int) -> None:
        pass

    def data(self) -> tuple[str, bytes]:
        return "", b""


class Outputs:
    """Which file each recording is written to.

    While the ``with`` block runs, no other process can write into the same folders.

    Parameters
    ----------
    targets : dict of str to str
        Format -> a file, a folder, or ``"-"`` for standard output.
    recordings : sequence of (path, Path)
        The recordings, and the name of each, relative to the folders of files.
    force : bool
        Replace files that exist.
    resume : bool
        Skip recordings whose files exist.

    Raises
    ------
    SerkitError
        If a file exists, or several recordings would go to one.
    """

    def __init__(
        self,
        targets: dict[str, str],
        recordings: Sequence[tuple[str | os.PathLike[str], Path]],
        *,
        force: bool = False,
        resume: bool = False,
    ) -> None:
        self._targets, self._resume, self._force = targets, resume, force
        self.passed = 0
        self._unfinished: dict[Path, set[str]] = {}  # files in a folder that --resume makes again
        self._note: dict[str, Any] = {}
        self._rows: list[Timeline] = []  # for one CSV of all
        self._lock = contextlib.ExitStack()
        self._folders = {
            name: Path(target)
            for name, target in targets.items()
            if target != "-"
            and (Path(target).is_dir() or target.endswith(("/", os.sep)) or self._many(name, recordings))
        }
        if resume and len(self._folders) < len(targets):
            raise SerkitError("--resume needs a folder for each kind of file, such as --srt subtitles/.")
        stems = Counter(name.with_suffix("") for _, name in recordings)
        self._files: dict[tuple[str, str], Path | None] = {}
        for source, name in recordings:
            for kind, target in targets.items():
                if kind not in self._folders:
                    self._files[os.fspath(source), kind] = None if target == "-" else Path(target)
                    continue
                whole = name if stems[name.with_suffix("")] > 1 else name.with_suffix("")
                self._files[os.fspath(source), kind] = self._folders[kind] / f"{whole}{_SUFFIXES[kind]}"
        self._check_names()
        self._check_new()
        for folder in self._folders.values():
            if folder.exists() and not folder.is_dir():
                raise SerkitError(
                    f"'{folder}' is a file, but there are {len(recordings)} recordings: give a folder, such as "
                    f"'{folder.stem}/'."
                )

    def _check_new(self) -> None:
        """Refuse to replace files unasked."""
        if not self._resume:
            for place in {place for place in self._files.values() if place is not None}:
                check_output(place, force=self._force)

    def _check_names(self) -> None:
        """Refuse recordings whose files would replace each other."""
        taken: dict[Path, str] = {}
        for (source, kind), place in self._files.items():
            if place is not None and kind in self._folders and taken.setdefault(place, source) != source:
                raise SerkitError(
                    f"'{taken[place]}' and '{source}' would both be written to '{place}': answer them one after the "
                    "other, with a folder for each, or give the folder that holds both, with --recursive."
                )

    @staticmethod
    def _many(kind: str, recordings: Sequence[object]) -> bool:
        return len(recordings) > 1 and kind != "csv"

    def __enter__(self) -> Outputs:
        with contextlib.ExitStack() as stack:
            for folder in {followed(folder): folder for folder in self._folders.values()}.values():
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(hold(folder / NOTE))  # within, because beside it may not be ours to write
            self._check_new()  # again: another run may have ended just before
            self._lock = stack.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            if self._rows and "csv" in self._targets and "csv" not in self._folders:
                from serkit.recognition.track_formats import to_csv

                _put(to_csv(self._rows), self._file(self._rows[0], "csv"))

    def _file(self, timeline: Timeline, kind: str) -> Path | None:
        return self._files[str(timeline.path), kind]

    def check_note(self, bundle: Bundle, options: dict[str, Any]) -> None:
        """Note in each folder how its files are made; without `force`, refuse a folder whose files were made otherwise.

        Raises
        ------
        SerkitError
            If the model or an option is another one.
        """
        self._note = note = {
            "serkit": __version__,
            "model_sha256": bundle.manifest.files["model.onnx"],
            "options": options,
        }
        for folder in set(self._folders.values()):
            place = folder / NOTE
            before: dict[str, Any] = {}
            if not self._force and place.is_file():
                with contextlib.suppress(ValueError):
                    before = json.loads(place.read_text(encoding="utf-8"))
                changed = {key for key in note if before.get(key) != note[key]} - {"serkit"}
                if changed:
                    named = f"other options ({differences(before.get('options'), options)})"
                    what = "another model" if "model_sha256" in changed else named
                    raise SerkitError(
                        f"The files in '{folder}' were made with {what}: choose another folder, or replace them with "
                        "--force."
                    )
            elif self._resume and any(
                file and folder in file.parents and file.is_file() for file in self._files.values()
            ):
                raise SerkitError(
                    f"The files in '{folder}' cannot be resumed: {NOTE}, which says how they were made, is missing; "
                    "choose another folder, or replace them with --force."
                )
            old = self._present(folder) if self._force else before.get("unfinished", [])
            self._unfinished[folder] = set(old)
            self._write_note(folder)

    def _present(self, folder: Path) -> Iterator[str]:
        """The files in a folder that are there before this run; nobody knows how they were made."""
        for suffix in _SUFFIXES.values():
            yield from (str(place.relative_to(folder)) for place in folder.rglob(f"*{suffix}"))

    def _write_note(self, folder: Path) -> None:
        write_json({**self._note, "unfinished": sorted(self._unfinished[folder])}, folder / NOTE)

    def there(self, source: str | os.PathLike[str]) -> bool:
        """Whether all files of a recording are there, with `resume`."""
        places = [place for (path, _), place in self._files.items() if path == os.fspath(source)]
        found = self._resume and all(
            place is not None and place.is_file() and str(place) not in self._marked() for place in places
        )
        self.passed += found
        return found

    def _marked(self) -> set[str]:
        return {str(folder / name) for folder, names in self._unfinished.items() for name in names}

    def mark(self, source: str | os.PathLike[str], *, unfinished: bool) -> None:
        """Note whether the files of a recording must be made again by ``--resume``: the run was stopped."""
        for kind, folder in self._folders.items():
            place = self._files[os.fspath(source), kind]
            if place is None or folder not in self._unfinished:
                continue
            name, names = str(place.relative_to(folder)), self._unfinished[folder]
            if unfinished != (name in names):
                names.symmetric_difference_update({name})
                self._write_note(folder)

    @contextlib.contextmanager
    def sound(self) -> Iterator[SoundKeeper]:
        """Keep the sound of a recording, if a page wants it."""
        if "html" not in self._targets:
            yield _NoSound()
            return
        from serkit.recognition.timeline_page import Sound

        with Sound() as sound:
            yield sound

    def write(self, source: str | os.PathLike[str], timeline: Timeline, sound: SoundKeeper) -> None:
        """Write all files of a recording."""
        from serkit.recognition.track_formats import FORMATS, to_csv

        for kind in self._targets:
            place = self._files[os.fspath(source), kind]
            if kind == "html":
                from serkit.recognition.timeline_page import timeline_page

                _put(timeline_page(timeline, sound.data()), place)
            elif kind != "csv":
                _put(FORMATS[kind][1](timeline), place)
            elif kind in self._folders:
                _put(to_csv([timeline]), place)
            else:
                self._rows.append(timeline)


def _put(text: str, place: Path | None) -> None:
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if place is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    write_atomic(text, place)
