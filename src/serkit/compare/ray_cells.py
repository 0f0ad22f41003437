"""The cells of a grid as tasks of a Ray cluster whose machines share the folders of the corpus and of the runs.

Features are computed first, a few clips a task, so that no two cells compute the same. A task that dies with its worker
is begun again, and continues after the folds that are finished.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit.compare.cells import Cell, Outcome
from serkit.compare.grid import Progress, Splits, finished_or_run
from serkit.errors import SerkitError
from serkit.scale.session import cores
from serkit.training import run_folder, split_rows
from serkit.training.feature_cache import ClipRequest, FeatureCache, compute_features, requests
from serkit.training.run import with_copies

if TYPE_CHECKING:
    from serkit.corpora import Corpus
    from serkit.features import FrontEnd
    from serkit.protocol import Split

__all__ = ["fill", "run"]

_CLIPS = 128  # of a task that computes features
_RETRIES = 3  # for tasks whose worker dies


def run(
    cells: Sequence[Cell],
    corpus: Corpus,
    root: Path,
    *,
    n_jobs: int = 1,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Run the cells side by side, as :func:`serkit.compare.grid.run` does one after another: the same scores.

    Parameters
    ----------
    cells, corpus, root, progress
        As for :func:`serkit.compare.grid.run`; of the progress, only that of the features is told.
    n_jobs : int
        Settings of a search that are tried at the same time, through joblib on the cluster.
    cache : FeatureCache, optional
        On a folder or an address that all machines share; default: the user's cache.

    Yields
    ------
    Outcome
        One per cell, in order. A failed cell has an error, and the others continue.
    """
    import ray
    from ray.exceptions import RayError

    splits, store = Splits(corpus), cache or FeatureCache()
    fill(cells, corpus, splits, root, cache=store, progress=progress)
    place = root.resolve()
    shared = ray.put(corpus)
    task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_outcome)

    def tasks() -> Iterator[tuple[Cell, Any]]:
        for cell in cells:
            try:
                split = splits.of(cell)
            except SerkitError as error:
                yield cell, Outcome(cell, None, str(error))
                continue
            yield cell, task.remote(cell, shared, split, place, min(n_jobs, cores()), store.folder)

    coming = tasks()
    waiting = deque(islice(coming, 2 * max(1, cores())))
    try:
        while waiting:
            cell, asked = waiting.popleft()
            try:
                yield asked if isinstance(asked, Outcome) else ray.get(asked)
            except RayError as error:
                reason = " ".join(str(error).split())[:200]
                yield Outcome(cell, None, f"Its worker died {_RETRIES + 1} times: {reason}")
            waiting.extend(islice(coming, 1))
    finally:
        for _, asked in waiting:
            if not isinstance(asked, Outcome):
                ray.cancel(asked, force=True)


def fill(
    cells: Sequence[Cell],
    corpus: Corpus,
    splits: Splits,
    root: Path,
    *,
    cache: FeatureCache,
    progress: Progress | None = None,
) -> None:
    """Compute the features that the cells need and the cache lacks, on the cluster.

    A clip that gives none is left to the cell that needs it, which says why.
    """
    import ray

    asked: dict[str, tuple[ClipRequest, FrontEnd]] = {}
    for cell in cells:
        with contextlib.suppress(SerkitError):  # the cell itself says what is wrong
            left = [k for k in cell.folds if not run_folder.finished(cell.folder(root, corpus), k)]
            for one in _needed(cell, corpus, splits.of(cell), left):
                asked.setdefault(one.key(cell.recipe.front_end), (one, cell.recipe.front_end))
    by_front_end: dict[str, tuple[FrontEnd, list[ClipRequest]]] = {}
    for one, front_end in asked.values():
        by_front_end.setdefault(front_end.key, (front_end, []))[1].append(one)
    shared = ray.put(corpus)
    task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_features)
    chunks = [
        task.remote(shared, clips[at : at + _CLIPS], front_end, cache.folder)
        for front_end, clips in by_front_end.values()
        for at in range(0, len(clips), _CLIPS)
    ]
    done, total = 0, len(chunks)
    while chunks:
        if progress is not None:
            progress({"stage": "features, in tasks", "done": done, "total": total})
        ready, chunks = ray.wait(chunks, timeout=1.0)
        for one in ready:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.get(one)
            done += 1


def _needed(cell: Cell, corpus: Corpus, split: Split, folds: Sequence[int]) -> list[ClipRequest]:
    """The clips, and altered copies, whose features the folds need."""
    clips = split_rows.without_unheard(split_rows.joined(split, corpus), cell.recipe)
    rows = with_copies(clips[clips["fold"].isin(folds)], corpus, cell.recipe, split)
    return requests(rows, seed=split.seed, **split_rows.copy_settings(cell.recipe))


def _features(corpus: Corpus, clips: list[ClipRequest], front_end: FrontEnd, cache: str) -> None:
    """Put the features of clips into the cache; runs in a worker."""
    for clip in clips:
        with contextlib.suppress(SerkitError):
            compute_features(corpus, [clip], front_end, cache=FeatureCache(cache))


def _outcome(cell: Cell, corpus: Corpus, split: Split, root: Path, n_jobs: int, cache: str) -> Outcome:
    """Run a cell; runs in a worker."""
    with contextlib.ExitStack() as stack:
        if _searches(cell.recipe.model):
            import joblib
            from ray.util.joblib import register_ray

            register_ray()
            stack.enter_context(joblib.parallel_config(backend="ray"))
        try:
            run = finished_or_run(
                cell.folder(root, corpus),
                cell.recipe,
                corpus,
                split,
                cell.folds,
                n_jobs=n_jobs,
                cache=FeatureCache(cache),
            )
            return Outcome(cell, run)
        except SerkitError as error:
            return Outcome(cell, None, str(error))


def _searches(model: Any) -> bool:
    return model.search is not None or any(member.search is not None for member in getattr(model, "members", ()))
