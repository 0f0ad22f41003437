"""A published corpus as serkit knows it: file names that carry all labels, a reader, and the facts about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from serkit.corpora.files import list_audio
from serkit.corpora.repositories import Repository
from serkit.corpora.table import Listing
from serkit.errors import CorpusError

__all__ = ["LANGUAGES", "Fields", "Published", "by_names", "rows_by_name"]

#: The content of a name: columns of the table.
Fields = dict[str, str]

#: The languages of published corpora, by code.
LANGUAGES = {
    "am": "Amharic",
    "ar": "Arabic",
    "bn": "Bangla",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fr": "French",
    "it": "Italian",
    "pl": "Polish",
    "ru": "Russian",
    "tr": "Turkish",
    "ur": "Urdu",
    "": "several",
}


@dataclass(frozen=True)
class Published:
    """A published corpus.

    Attributes
    ----------
    name : str
        Its name for ``--corpus``, and the usual name of its folder.
    title : str
        Its authors' name for it.
    stem : re.Pattern
        The form of a recording's name, without suffix; with ``/``, its folders too, which then carry labels.
    parse : callable
        ``parse(name)`` gives the content of a name: ``emotion``, ``speaker`` and more; CorpusError for any other name.
    read : callable
        ``read(root, channel)`` lists the recordings below a folder as a :class:`serkit.corpora.table.Listing`.
    licence, citation : str
    language : str
        ISO 639-1 code, ``""`` for several.
    commercial : bool
        Whether the licence allows commercial use.
    acted : bool
        Whether actors play the emotions in a studio, at a constant volume.
    folders : tuple of str
        Other names that its folder may have, in lower case, with ``_`` for ``-``.
    archives : mapping
        Channel -> name of the zip archive that its authors publish, for corpora that are read from archives.
    labels : tuple of str
        The emotions that it gives.
    clips, speakers : int
        How many it has as published; 0 if its authors do not say.
    source : str
        Where to get it.
    defects : str
        What is known to be wrong with it.
    repository : Repository, optional
        Where ``ser data get`` fetches it from.
    mark : str
        A file that tells it from others, relative to its folder, for names that say nothing.
    """

    name: str
    title: str
    stem: re.Pattern[str]
    parse: Callable[[str], Fields]
    read: Callable[[Path, str], Listing]
    licence: str
    citation: str
    language: str = ""
    commercial: bool = False
    acted: bool = False
    folders: tuple[str, ...] = ()
    archives: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    clips: int = 0
    speakers: int = 0
    source: str = ""
    defects: str = ""
    mark: str = ""
    repository: Repository | None = None

    def name_of(self, path: str) -> str:
        """Return the part of a path that is a recording's name: what :attr:`stem` finds at its end, else its stem."""
        return _name(self.stem, path)

    def fits(self, path: str) -> bool:
        """Return whether the end of a path has the form of a name of this corpus, with any codes."""
        return self.stem.fullmatch(self.name_of(path)) is not None

    def listing(self, root: Path, channel: str) -> Listing:
        """List the recordings below a folder; a note says what is missing."""
        found = self.read(root, channel)
        speakers = {row.get("speaker", "") for row in found.rows} - {""}
        if len(found.rows) >= self.clips and len(speakers) >= self.speakers:
            return found
        has = f"{len(found.rows):,} clips of {len(speakers):,} speakers"
        note = f"{self.title} has {self.clips:,} clips of {self.speakers:,} speakers; {root} has {has}."
        return replace(found, notes=(*found.notes, note))


def by_names(
    *,
    name: str,
    title: str,
    pattern: str,
    fields: Callable[[re.Match[str]], Fields | None],
    example: str,
    licence: str,
    citation: str,
    labels: Sequence[str],
    complete: Callable[[Path, list[Fields]], None] | None = None,
    **facts: str | int | tuple[str, ...] | Repository,
) -> Published:
    """Describe a corpus whose recordings are told by their names.

    Parameters
    ----------
    pattern : str
        The form of a name, without suffix. ``/`` in it makes the folders part of the name.
    fields : callable
        Makes the columns of a row from the match; None if a code has no meaning.
    example : str
        A published name, for messages.
    complete : callable, optional
        ``complete(root, rows)`` adds what the corpus' own tables say.
    name, title, licence, citation, labels, **facts
        As :class:`Published` has them.

    Returns
    -------
    Published
    """
    stem = re.compile(pattern)

    def parse(text: str) -> Fields:
        match = stem.fullmatch(text)
        found = fields(match) if match else None
        if found is None:
            article = "an" if title[0] in "AEIOU" else "a"
            raise CorpusError(f"{text!r} is not {article} {title} name: expected one such as {example}.")
        return found

    def read(root: Path, channel: str = "both") -> Listing:
        rows = rows_by_name(root, list_audio(root), parse, title, key=lambda path: _name(stem, path))
        if not rows:
            raise CorpusError(f"{root} holds no {title} recordings: expected files such as {example}.wav.")
        if complete is not None:
            complete(root, rows)
        return Listing(name, root, rows, licence, citation)

    return Published(name, title, stem, parse, read, licence, citation, labels=tuple(labels), **facts)  # type: ignore[arg-type]


def _name(stem: re.Pattern[str], path: str) -> str:
    whole = str(PurePosixPath(path).with_suffix(""))
    if "/" not in stem.pattern:
        return PurePosixPath(whole).name
    parts = whole.split("/")
    ends = ("/".join(parts[at:]) for at in range(len(parts)))
    return next((end for end in ends if stem.fullmatch(end)), parts[-1])


def rows_by_name(
    root: Path,
    paths: Sequence[str],
    parse: Callable[[str], Fields | None],
    title: str,
    *,
    key: Callable[[str], str] = lambda path: Path(path).stem,
) -> list[Fields]:
    """Make a row from each recording whose name can be read.

    Parameters
    ----------
    root : Path
        The corpus, for messages.
    paths : sequence of str
        POSIX, relative to `root`.
    parse : callable
        ``parse(key(path))`` gives the fields of the row, or None for a recording that is left out.
    title : str
        The authors' name of the corpus, for messages.
    key : callable
        What identifies a recording, by default the name without folder and suffix.

    Raises
    ------
    CorpusError
        If names cannot be read, or if a recording occurs twice.
    """
    rows: list[Fields] = []
    wrong: list[str] = []
    seen: dict[str, str] = {}
    for path in paths:
        name = key(path)
        try:
            fields = parse(name)
        except CorpusError as error:
            wrong.append(f"{path}: {error}")
            continue
        if fields is None:
            continue
        if name in seen:
            raise CorpusError(
                f"The recording {name} occurs twice, as {seen[name]} and {path}: remove one of the two copies of the "
                "corpus, or name the folder of one."
            )
        seen[name] = path
        rows.append({"path": path, **fields})
    if wrong:
        raise CorpusError(
            f"{len(wrong)} of {len(paths)} audio files in {root} do not have {title} names. "
            + " ".join(wrong[:3])
            + (" ..." if len(wrong) > 3 else "")
        )
    return rows
