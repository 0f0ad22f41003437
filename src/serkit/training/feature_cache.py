"""Features by content: each is computed once, whatever recipe, fold, protocol or corpus folder needs it.

The key of an array consists of the clip's audio hash, the extractor's key and, for an augmented copy, the chain with
its seed and the content of the folders that it takes recordings from. Paths, labels, folds and splits do not matter.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit.corpora.digests import cache_dir
from serkit.errors import AudioError, FeatureError, TrainingError
from serkit.files import write_atomic
from serkit.scale.stores import Store, is_address
from serkit.training.augment import augment, chain_key, clip_seed

if TYPE_CHECKING:
    import pandas as pd

    from serkit.corpora import Corpus
    from serkit.features import FrontEnd
    from serkit.training.noise_and_rooms import SoundFolders

__all__ = ["ClipRequest", "FeatureCache", "compute_features", "requests"]


@dataclass(frozen=True)
class ClipRequest:
    """One clip, or one augmented copy of it.

    Attributes
    ----------
    path : str
        As in the corpus table, as are ``start`` and ``end`` (s) and ``audio_hash``.
    chain : str or None
        The augmentation chain, None for the clip itself.
    seed : int
        Seed of the chain for this copy; 0 without one.
    folders : SoundFolders or None
        The sources of the chains ``room`` and ``background``.
    """

    path: str
    start: float
    end: float
    audio_hash: str
    chain: str | None = None
    seed: int = 0
    folders: SoundFolders | None = None

    def key(self, front_end: FrontEnd) -> str:
        """SHA-256 (hex) of everything that the array depends on."""
        change = "" if self.chain is None else f"{chain_key(self.chain, self.folders)}:{self.seed}"
        # The hash covers the samples between start and end, so the two need not be in the key.
        return hashlib.sha256(f"{self.audio_hash}\n{front_end.key}\n{change}".encode()).hexdigest()


def requests(
    clips: pd.DataFrame, *, chains: Sequence[str], seed: int, folders: SoundFolders | None = None
) -> list[ClipRequest]:
    """One request a row of ``clips`` (columns path, start, end, audio_hash, copy).

    Copy 0 is the clip itself, copy ``k`` goes through chain ``k``, and around again when there are more copies than
    chains. ``folders`` are the folders of the chains ``room`` and ``background``.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"path": "a.wav", "start": 0.0, "end": 1.0, "audio_hash": "ab", "copy": [0, 1, 2, 3]})
    >>> [r.chain for r in requests(rows, chains=("noise", "pitch"), seed=0)]
    [None, 'noise', 'pitch', 'noise']
    """
    columns = (clips[name].tolist() for name in ("path", "start", "end", "audio_hash", "copy"))
    found = []
    for path, start, end, audio_hash, copy in zip(*columns, strict=True):
        chain = chains[(copy - 1) % len(chains)] if copy else None
        drawn = clip_seed(seed, audio_hash, copy) if copy else 0
        found.append(ClipRequest(path, start, end, audio_hash, chain, drawn, folders if copy else None))
    return found


class FeatureCache:
    """Arrays in files, one small one each, in 256 folders on this machine or on an object store.

    Parameters
    ----------
    folder : path or address, optional
        Default: ``features`` in ``$SERKIT_CACHE``, which may be an address, or in ``~/.cache/serkit``. It may be
        deleted at any time.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        value = os.environ.get("SERKIT_CACHE", "")
        if folder is None:
            folder = f"{value.rstrip('/')}/features" if is_address(value) else cache_dir() / "features"
        self.folder = os.fspath(folder)

    def path(self, key: str) -> str:
        """The path or address of the array of ``key``, whether or not it exists."""
        return f"{self.folder}/{key[:2]}/{key[2:]}.npz"

    def count(self, keys: Iterable[str]) -> int:
        """How many of these arrays there are; a folder is listed once."""
        by_folder: dict[str, set[str]] = {}
        for key in keys:
            by_folder.setdefault(key[:2], set()).add(f"{key[2:]}.npz")
        return sum(
            len(names.intersection(one.name for one in self._store.entries(f"{self.folder}/{folder}") or ()))
            for folder, names in by_folder.items()
        )

    def get(self, key: str) -> np.ndarray | None:
        """The array, or None if there is none; a damaged file is one warning and None."""
        path = self.path(key)
        try:
            data = self._store.read(path) if is_address(path) else Path(path).read_bytes()
            if data is None:
                return None
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:  # a zip: each read checks its CRC-32
                array: np.ndarray = stored["x"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            warnings.warn(f"The cached features in {path} are damaged ({error}) and are computed again.", stacklevel=2)
            return None
        return array

    def put(self, key: str, array: np.ndarray) -> None:
        """Store ``array``, all of it or nothing."""
        file = io.BytesIO()
        np.savez(file, x=array)
        if is_address(self.folder):
            self._store.write(self.path(key), file.getvalue())
        else:
            write_atomic(file.getvalue(), self.path(key))

    def __getstate__(self) -> dict[str, str]:
        return {"folder": self.folder}

    @cached_property
    def _store(self) -> Store:
        return Store(self.folder)


def compute_features(
    corpus: Corpus,
    clips: Sequence[ClipRequest],
    front_end: FrontEnd,
    *,
    cache: FeatureCache,
    n_jobs: int = 1,
    progress: Callable[[dict[str, Any]], None] | None = None,
    half: bool = False,
) -> list[np.ndarray]:
    """The features of ``clips``, in their order; what the cache lacks is computed in ``n_jobs`` threads and stored.

    Parameters
    ----------
    corpus : Corpus
        Gives the sound.
    clips : sequence of ClipRequest
    front_end : FrontEnd
    cache : FeatureCache
    n_jobs : int
        Threads, at least 1.
    progress : callable, optional
        Called with ``{"stage": "features", "done": int, "total": int, "cached": int}`` before anything is read and
        after each array.
    half : bool
        Hold the arrays in float16, for frames that would fill the memory; the cache has float32.

    Returns
    -------
    list of np.ndarray
        float32, or float16; requests for the same content share one array.

    Raises
    ------
    TrainingError
        If one clip cannot be read or gives no features; what was computed before is kept.
    """
    keys = [clip.key(front_end) for clip in clips]
    asked = dict(zip(keys, clips, strict=True))
    cached = cache.count(asked)
    found: dict[str, np.ndarray] = {}
    kind = np.float16 if half else np.float32

    def report() -> None:
        if progress is not None:
            progress({"stage": "features", "done": len(found), "total": len(asked), "cached": cached})

    report()
    for key in asked:
        array = cache.get(key)
        if array is not None:
            found[key] = array.astype(kind, copy=False)
            report()
    missing = {key: clip for key, clip in asked.items() if key not in found}

    def compute(key: str, clip: ClipRequest) -> tuple[str, np.ndarray]:
        array = _extract(corpus, clip, front_end)
        cache.put(key, array)
        return key, array.astype(kind, copy=False)

    for key, array in _in_threads(compute, missing.items(), n_jobs):
        found[key] = array
        report()
    return [found[key] for key in keys]


def _extract(corpus: Corpus, clip: ClipRequest, front_end: FrontEnd) -> np.ndarray:
    try:
        wave = corpus.load({"path": clip.path, "start": clip.start, "end": clip.end}, target_rate=front_end.sample_rate)
        if clip.chain is not None:
            wave = augment(wave, clip.chain, seed=clip.seed, folders=clip.folders)
        return np.ascontiguousarray(front_end(wave), dtype=np.float32)
    except (AudioError, FeatureError) as error:
        raise TrainingError(f"The clip {clip.path} gives no features: {error}") from error


def _in_threads(
    compute: Callable[[str, ClipRequest], tuple[str, np.ndarray]],
    todo: Iterable[tuple[str, ClipRequest]],
    n_jobs: int,
) -> Iterable[tuple[str, np.ndarray]]:
    """Results as they come; on Ctrl-C or an error the clips that have not begun are dropped.

    Even a single thread is started: libsndfile's callbacks would swallow a Ctrl-C that reaches them in the main thread.
    """
    pool = ThreadPoolExecutor(max_workers=n_jobs)
    try:
        futures: list[Future[tuple[str, np.ndarray]]] = [pool.submit(compute, key, clip) for key, clip in todo]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
