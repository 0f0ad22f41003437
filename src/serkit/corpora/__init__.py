"""Corpora: a folder of labelled recordings becomes one table.

Examples
--------
>>> import serkit
>>> corpus = serkit.read_corpus("ravdess", channel="speech")   # doctest: +SKIP
>>> len(corpus.table)                                          # doctest: +SKIP
1440
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from serkit.corpora import folders, manifest
from serkit.corpora.datasets import from_dataset, is_saved
from serkit.corpora.files import list_audio, list_zip
from serkit.corpora.joined import join
from serkit.corpora.named import Published
from serkit.corpora.registry import published
from serkit.corpora.table import CHANNELS, COLUMNS, Corpus, Listing, build
from serkit.corpora.tables import SUFFIXES
from serkit.errors import CorpusError, nearest

__all__ = ["CHANNELS", "COLUMNS", "KINDS", "Corpus", "from_dataset", "from_frame", "read_corpus", "recognise"]

#: The kinds of corpus that can be read.
KINDS = (*published(), "folders", "manifest")

# Names that folders of corpora may have.
_FOLDER_NAMES = {folder: name for name, corpus in published().items() for folder in (name, *corpus.folders)}

_NEARLY = 0.9  # of the files: a published corpus, even if the others have names of another kind


def read_corpus(
    folder: str | os.PathLike[str],
    *,
    kind: str | None = None,
    channel: str = "both",
    skip_broken: bool = False,
    targets: Sequence[str] = (),
) -> Corpus:
    """Read labelled recordings into one table.

    Parameters
    ----------
    folder : path
        A published corpus (:func:`serkit.corpora.registry.published`) under its original file names, in folders of any
        depth or, for RAVDESS, as the published zip archives, read in place; a folder per emotion; or a table in CSV,
        TSV or Parquet (the file, or the folder that holds it; :func:`serkit.corpora.manifest.read`). Or a folder that
        holds folders of corpora, such as ``ravdess/`` and ``crema_d/``.
    kind : str, optional
        One of :data:`KINDS`, or several published corpora joined by ``+``, such as ``ravdess+crema_d``,
        from a folder that holds the folders of all (:func:`serkit.corpora.joined.join`). By default it is recognised
        from the names of the files.
    channel : {"both", "speech", "song"}
        Which recordings to take.
    skip_broken : bool
        Leave out recordings that cannot be read, and list them in ``broken``; by default they are an error.
    targets : sequence of str
        Columns of a table that hold ratings, such as ``["arousal"]``: numbers to learn. The label is then optional.

    Returns
    -------
    Corpus
        Its table is sorted by (path, start, end); every clip has been decoded once and has the hash of its samples in
        ``audio_hash``. The hashes are remembered below ``$SERKIT_CACHE`` or ``~/.cache/serkit``, so a second read is
        quick.

    Raises
    ------
    CorpusError
        If it is not a corpus, if names or labels are unknown, or if a recording cannot be read.

    See Also
    --------
    serkit.make_split : Assigns the clips to folds.
    serkit.run_transfer : Scores a finished model on the corpus.
    """
    if channel not in CHANNELS:
        raise CorpusError(f"Unknown channel {channel!r}: expected one of {', '.join(CHANNELS)}.")
    if targets and kind not in (None, "manifest"):
        raise CorpusError(f"A corpus of the kind {kind} has no column {targets[0]}: ratings come from a table.")
    if kind is not None and "+" in kind:
        return _several(Path(folder).expanduser(), kind, channel, skip_broken)
    if kind is not None and kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise CorpusError(f"Unknown kind of corpus {kind!r}: expected one of {', '.join(KINDS)}.{hint}")
    root = Path(folder).expanduser()
    if not root.exists():
        raise CorpusError(f"There is no corpus at {root}: the path does not exist.")
    if targets:
        return build(manifest.read(root, targets), channel=channel, skip_broken=skip_broken)
    root, kind = recognise(root, kind)
    return build(_list(root, kind, channel), channel=channel, skip_broken=skip_broken)


def from_frame(
    frame: pd.DataFrame,
    *,
    root: str | os.PathLike[str] = ".",
    name: str | None = None,
    skip_broken: bool = False,
    targets: Sequence[str] = (),
) -> Corpus:
    """Read the recordings that a pandas data frame describes.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row for each clip, with the columns of a manifest (:func:`serkit.corpora.manifest.read`); audformat's index of
        file, start and end is understood.
    root : path
        The folder of relative paths.
    name : str, optional
        What the corpus is called; by default as the folder.
    skip_broken, targets
        As for :func:`read_corpus`.

    Returns
    -------
    Corpus

    Raises
    ------
    CorpusError
        If a column is missing or a row is wrong, which the message names, counted from 0; or if a recording is missing
        or cannot be read.
    """
    folder = Path(root).expanduser()
    return build(
        manifest.listing_of_frame(frame, folder, name or folder.resolve().name, targets),
        channel="both",
        skip_broken=skip_broken,
    )


def _several(root: Path, kind: str, channel: str, skip_broken: bool) -> Corpus:
    """Read and join the corpora that `kind` names."""
    names = kind.split("+")
    unknown = [name for name in names if name not in published()]
    if unknown:
        raise CorpusError(
            f"Unknown corpus {unknown[0]!r} in {kind!r}{nearest(unknown[0], published())} Corpora that can be joined "
            f"are {', '.join(published())}."
        )
    if len(set(names)) < len(names):
        raise CorpusError(f"{kind!r} names a corpus twice: name each once.")
    folders_of = _corpora_inside(root) if root.is_dir() else {}
    for name in names:
        if name not in folders_of:
            there = f"it holds {', '.join(sorted(folders_of))}" if folders_of else "it holds none"
            raise CorpusError(
                f"{kind} needs {name!r} below {root}, but {there}: give a folder that holds the folders of "
                f"{' and '.join(names)}."
            )
    read = [read_corpus(folders_of[name], kind=name, channel=channel, skip_broken=skip_broken) for name in names]
    return join(read, root)


def _list(root: Path, kind: str, channel: str) -> Listing:
    if kind == "manifest":
        return manifest.read(root)
    corpus = published().get(kind)
    if root.is_file() and not (corpus and corpus.archives and root.suffix.lower() == ".zip"):
        raise CorpusError(f"{root} is a file: a corpus of the kind {kind} is a folder.")
    return folders.read(root) if corpus is None else corpus.listing(root, channel)


def recognise(root: Path, kind: str | None = None) -> tuple[Path, str]:
    """Return the folder or file of the corpus and its kind, one of :data:`KINDS`.

    Raises
    ------
    CorpusError
        If it is no corpus, or may be several.
    """
    if root.is_file():
        suffix = root.suffix.lower()
        if suffix not in (*SUFFIXES, ".zip") and kind is None:
            raise CorpusError(
                f"{root} is not a corpus: expected a folder, a CSV, TSV or Parquet table, or a RAVDESS zip archive."
            )
        return root, kind or ("ravdess" if suffix == ".zip" else "manifest")
    if is_saved(root):
        raise CorpusError(
            f"{root} is a data set of Hugging Face: 'ser data unpack {root} --to FOLDER' writes its recordings as "
            "files, which can be read."
        )
    inside = _corpora_inside(root)
    if kind is not None:
        return inside.get(kind, root), kind
    if len(inside) > 1:
        raise CorpusError(
            f"{root} holds several corpora ({', '.join(sorted(inside))}): name one, with kind or --kind; "
            f"{'+'.join(sorted(inside, reverse=True))} takes them together."
        )
    if inside:
        found, path = next(iter(inside.items()))
        return path, found
    if any((root / f"manifest{suffix}").is_file() for suffix in SUFFIXES) and manifest.find_manifest(root):
        return root, "manifest"
    paths = [PurePosixPath(name) for name in list_audio(root)]
    paths += [PurePosixPath(name) for archive in sorted(root.glob("*.zip")) for name in list_zip(archive)]
    by_names = _published_by_names(root, paths)
    if by_names is None and manifest.find_manifest(root):
        return root, "manifest"
    return root, by_names or _recognise_names(root, paths)


def _corpora_inside(root: Path) -> dict[str, Path]:
    try:
        names = sorted(path.name for path in root.iterdir() if path.is_dir())
    except OSError as error:
        raise CorpusError(f"The folder {root} cannot be read ({error.strerror}): check its permissions.") from None
    keys = {name: name.lower().replace("-", "_") for name in names}
    return {_FOLDER_NAMES[key]: root / name for name, key in keys.items() if key in _FOLDER_NAMES}


def _published_by_names(root: Path, paths: list[PurePosixPath]) -> str | None:
    """The published corpus whose archives are there or whose names all files have."""
    for name, corpus in published().items():
        if any((root / f"{archive}{end}").is_file() for archive in corpus.archives.values() for end in ("", ".part")):
            return name
        if corpus.mark and (root / corpus.mark).is_file():
            return name
    told = [corpus for corpus in published().values() if not corpus.mark]
    whole = [corpus.name for corpus in told if paths and all(_parses(corpus, path) for path in paths)]
    if len(whole) > 1:  # BanglaSER's names have the form of RAVDESS'
        raise CorpusError(f"{root} could be {' or '.join(whole)} by its file names: name one, with kind or --kind.")
    return next(iter(whole), None)


def _recognise_names(root: Path, paths: list[PurePosixPath]) -> str:
    """The kind of corpus whose names some of the files have."""
    told = {name: corpus for name, corpus in published().items() if not corpus.mark}
    parsed = {name: sum(_parses(corpus, path) for path in paths) for name, corpus in told.items()}
    nearly = [name for name, count in parsed.items() if count >= _NEARLY * len(paths) > 0]
    if len(nearly) == 1:  # its reader names the files that do not fit
        return nearly[0]
    fits: dict[str, int] = {}
    alike = {corpus.stem.pattern for corpus in told.values()}
    for pattern in alike:  # of corpora whose names look alike, the one whose codes fit best
        names = [name for name, corpus in told.items() if corpus.stem.pattern == pattern]
        best = max(names, key=lambda name: (parsed[name], name))
        fits[best] = sum(told[best].fits(str(path)) for path in paths)
    fits = dict(sorted(fits.items(), reverse=True))
    fits["folders"] = sum(any(folders.is_emotion(part) for part in path.parts[:-1]) for path in paths)
    for kind, count in fits.items():
        if paths and count == len(paths):
            return kind
    some = [kind for kind, count in fits.items() if count]
    if len(some) == 1:
        return some[0]
    if some:
        raise CorpusError(f"{root} looks like a mixture ({', '.join(some)}): name the kind, with kind or --kind.")
    if folders.name_labels(list(map(str, paths))):
        return "folders"
    raise CorpusError(
        f"{root} is not a corpus that serkit knows ({len(paths)} audio files): expected "
        f"{', '.join(corpus.title for corpus in published().values())}, a folder per label, or a table such as "
        "manifest.csv with the columns path and emotion."
    )


def _parses(corpus: Published, path: PurePosixPath) -> bool:
    try:
        corpus.parse(corpus.name_of(str(path)))
    except CorpusError:
        return False
    return True
