"""A published corpus as serkit knows it: file names that carry all labels, and a reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from serkit.corpora.table import Listing
from serkit.errors import CorpusError

__all__ = ["Published", "rows_by_name"]


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
        The form of a recording's name, without folder and suffix.
    parse : callable
        ``parse(stem)`` gives the content of a name: ``emotion``, ``speaker`` and more; CorpusError for any other name.
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
    """

    name: str
    title: str
    stem: re.Pattern[str]
    parse: Callable[[str], dict[str, str]]
    read: Callable[[Path, str], Listing]
    licence: str
    citation: str
    language: str = ""
    commercial: bool = False
    acted: bool = False
    folders: tuple[str, ...] = ()
    archives: Mapping[str, str] = field(default_factory=dict)


def rows_by_name(
    root: Path,
    paths: Sequence[str],
    parse: Callable[[str], dict[str, str] | None],
    title: str,
    *,
    key: Callable[[str], str] = lambda path: Path(path).stem,
) -> list[dict[str, str]]:
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
    rows: list[dict[str, str]] = []
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
            + " ".join(wrong[:5])
            + (" ..." if len(wrong) > 5 else "")
        )
    return rows
