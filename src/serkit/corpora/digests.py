"""The content hash and position of every clip of a corpus, computed once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import soundfile

from serkit import audio
from serkit.corpora.files import Store
from serkit.errors import AudioError, CorpusError, SerkitError
from serkit.files import write_atomic
from serkit.scale.stores import is_address
from serkit.waiting import Waiting

__all__ = ["Clip", "Digest", "cache_dir", "digest_clips", "digest_readable"]

_FORMAT = 1
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Clip:
    """A piece of a file: ``start`` and ``end`` in seconds; ``None`` means the file's own start or end."""

    path: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Digest:
    """The content of a clip: the hash of its samples and its exact position in the file, s."""

    audio_hash: str
    start: float
    end: float


def cache_dir() -> Path:
    """Return serkit's cache folder on this machine: ``$SERKIT_CACHE`` or ``~/.cache/serkit``.

    Where the variable is an address (``s3://...``), only features are kept there.
    """
    value = os.environ.get("SERKIT_CACHE")
    return Path(value).expanduser() if value and not is_address(value) else Path.home() / ".cache" / "serkit"


def digest_clips(store: Store, clips: Sequence[Clip], *, progress: bool = True) -> list[Digest]:
    """Decode every clip once and return the hash of its content and its position in the file.

    Parameters
    ----------
    store, clips, progress
        As for :func:`digest_readable`.

    Returns
    -------
    list of Digest
        In the order of the clips.

    Raises
    ------
    CorpusError
        If a file cannot be decoded or a clip is outside its file. All are counted and five are shown: clips are
        never left out silently.
    """
    digests, broken = digest_readable(store, clips, progress=progress)
    if broken:
        raise _unreadable(store, clips, broken)
    return [digest for digest in digests if digest is not None]


def digest_readable(
    store: Store, clips: Sequence[Clip], *, progress: bool = True
) -> tuple[list[Digest | None], dict[Clip, str]]:
    """Decode every clip once; those that cannot be read come back with the reason.

    Results are cached in :func:`cache_dir` by path, size and modification time of the file, so reading the
    same corpus again is quick. A damaged cache is discarded and rebuilt.

    Parameters
    ----------
    store : Store
        Finds the files.
    clips : sequence of Clip
        The clips to decode.
    progress : bool
        Show progress on standard error: a bar on a terminal, else a line now and then.

    Returns
    -------
    list of Digest, or None for a clip that cannot be read
        In the order of the clips.
    dict
        Clip -> what is wrong with it.

    Raises
    ------
    CorpusError
        If no clip can be read.
    """
    memory_file = _memory_file(store.root)
    memory = _read_memory(memory_file)
    keys = [_key(clip) for clip in clips]
    stamps: dict[str, list[int]] = {}
    failures: dict[Clip, str] = {}
    for path in {clip.path for clip in clips}:
        try:
            stamps[path] = list(store.stamp(path))
        except AudioError:
            stamps[path] = []  # reported below, with the other failures
    todo = [
        i
        for i, (clip, key) in enumerate(zip(clips, keys, strict=True))
        if not _known(memory.get(key), stamps[clip.path])
    ]
    try:
        for i, outcome in zip(todo, _decode_all(store, [clips[i] for i in todo], progress), strict=True):
            if isinstance(outcome, str):
                failures[clips[i]] = outcome
            else:
                memory[keys[i]] = [*stamps[clips[i].path], outcome.audio_hash, outcome.start, outcome.end]
    finally:  # on Ctrl-C too
        if todo:
            _write_memory(memory_file, memory)
    if failures and len(failures) == len(set(clips)):
        raise _unreadable(store, clips, failures)
    found = [None if clip in failures else Digest(*memory[key][2:]) for clip, key in zip(clips, keys, strict=True)]
    return found, failures


def _unreadable(store: Store, clips: Sequence[Clip], failures: Mapping[Clip, str]) -> CorpusError:
    shown = "; ".join(sorted(failures.values())[:5]) + ("; ..." if len(failures) > 5 else "")
    return CorpusError(
        f"{len(failures)} of {len(clips)} clips below {store.root} cannot be read: {shown} Repair or remove them, or "
        "leave them out with --skip-broken (skip_broken=True): serkit never leaves out clips silently."
    )


def _decode_all(store: Store, clips: list[Clip], progress: bool) -> Iterator[Digest | str]:
    """The digests in order, as they come; on Ctrl-C the clips that have not begun are dropped."""
    if not clips:
        return
    with Waiting() if progress else nullcontext() as waiting:
        pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
        try:
            for done, outcome in enumerate(pool.map(lambda clip: _decode(store, clip), clips)):
                if waiting is not None:
                    waiting({"stage": "recordings", "done": done, "total": len(clips)})
                yield outcome
            if waiting is not None:
                waiting({"stage": "recordings", "done": len(clips), "total": len(clips)})
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _decode(store: Store, clip: Clip) -> Digest | str:
    """Return the digest of a clip, or a sentence that says why there is none."""
    try:
        source = store.source(clip.path)
        if clip.start is None and clip.end is None:
            wave = audio.load(source)
            return Digest(wave.digest, 0.0, round(wave.duration, 6))
        length = audio.probe(source).duration
        if length is None:  # the container does not give it
            length = audio.load(source).duration
        start = clip.start or 0.0
        end = round(length, 6) if clip.end is None else clip.end
        if start >= end or end > length + 0.001:
            return f"{clip.path} is {length:.3f} s long and has nothing from {start:g} to {end:g} s."
        wave = audio.load(source, offset=start, duration=end - start)
        return Digest(wave.digest, start, end)
    except (SerkitError, OSError) as error:
        reason = str(error).rstrip(".")
        return f"{reason}." if clip.path.rsplit("/", 1)[-1] in reason else f"{clip.path} ({reason})."


def _key(clip: Clip) -> str:
    return json.dumps([clip.path, clip.start, clip.end])


def _known(entry: object, stamp: list[int]) -> bool:
    """Return whether a cached entry is valid and still matches the file."""
    return (
        isinstance(entry, list)
        and len(entry) == 5
        and entry[:2] == stamp
        and isinstance(entry[2], str)
        and _HEX.fullmatch(entry[2]) is not None
        and all(isinstance(value, float) for value in entry[3:])
    )


def _memory_file(root: Path) -> Path:
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]
    return cache_dir() / "digests" / f"{name}.json"


def _made_by() -> list[object]:
    """Return what the hashes depend on besides the files: the decoder's version may change what a lossy file decodes
    to."""
    return [_FORMAT, soundfile.__libsndfile_version__]


def _read_memory(file: Path) -> dict[str, list]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing or damaged: recompute
        return {}
    if not isinstance(content, dict) or content.get("made_by") != _made_by():
        return {}
    clips = content.get("clips")
    return clips if isinstance(clips, dict) else {}


def _write_memory(file: Path, memory: dict[str, list]) -> None:
    text = json.dumps({"made_by": _made_by(), "clips": memory})
    try:
        write_atomic(text, file)
    except OSError as error:
        warnings.warn(
            f"Hashes of the recordings cannot be saved in {file.parent} ({error.strerror or error}), so the next "
            "read will "
            "take as long. Set SERKIT_CACHE to a writable folder.",
            stacklevel=2,
        )
