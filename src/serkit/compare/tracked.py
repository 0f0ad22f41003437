"""A comparison in a store of MLflow: a run for the folder of the runs, and below it one for each of its parts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from serkit.training import run_folder
from serkit.training.tracked_runs import key_of, log_finished, log_folds, settings_of, stamp_of
from serkit.training.tracking import FAILED, FINISHED, KILLED, Tracker

if TYPE_CHECKING:
    from serkit.compare.cells import Outcome
    from serkit.corpora import Corpus
    from serkit.training.recipe import Recipe
    from serkit.training.run_folder import Run

__all__ = ["TrackedGrid"]


class TrackedGrid:
    """Logs the parts of a comparison as they are finished; the process that computes them knows nothing of it.

    Parameters
    ----------
    tracker : Tracker or None
        None logs nothing.
    root : Path
        The folder of the runs. Commands with the same one continue the same run of the store.
    folders : iterable of Path
        Those of the parts, before anything is run.
    command : str
        What is compared.

    Attributes
    ----------
    stopped : bool
        Whether Ctrl-C ended the command.
    """

    def __init__(self, tracker: Tracker | None, root: Path, folders: Iterable[Path], command: str) -> None:
        self._tracker = tracker
        self._begun = {folder for folder in folders if run_folder.begun(folder)}
        self._failed = self.stopped = False
        if tracker is not None:
            name, key = f"compare {root.resolve().name}", key_of("compare", root.resolve())
            tags = {"mlflow.note.content": command}
            self._run = tracker.run(name, key, continues=root.is_dir(), tags=tags)

    def __enter__(self) -> TrackedGrid:
        if self._tracker is not None:
            self._run.push()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._tracker is not None:
            failed = kind is not None or self._failed
            self._run.end(KILLED if self.stopped else FAILED if failed else FINISHED)

    def cell(self, outcome: Outcome, corpus: Corpus, root: Path) -> None:
        """Log a cell of a grid."""
        cell = outcome.cell
        self.part(
            f"{cell.recipe.name}, {cell.protocol}, seed {cell.seed}",
            cell.recipe,
            corpus,
            cell.folder(root, corpus),
            outcome.run,
            outcome.error,
            protocol=cell.protocol,
            seed=cell.seed,
            folds=len(cell.folds),
        )

    def part(
        self,
        title: str,
        recipe: Recipe,
        corpus: Corpus,
        folder: Path,
        run: Run | None,
        error: str | None = None,
        **settings: Any,
    ) -> None:
        """Log a part: a finished run, one that failed, or with neither `run` nor `error` one that was stopped."""
        if self._tracker is None:
            return
        params = settings_of(recipe, corpus, **settings)
        data = params["data_sha256"]
        key = key_of(folder.resolve(), recipe.hash, data)
        own = self._tracker.run(title, key, parent=self._run, continues=folder in self._begun, params=params)
        own.data = (corpus.name, data)
        if run is not None:
            if own.settled(stamp_of(folder)):
                self._tracker.forget(own)
                return
            log_finished(own, folder, run.results)
            own.end(FINISHED)
        elif error is not None:
            self._failed = True
            own.end(FAILED, error)
        else:
            log_folds(own, folder)
            own.end(KILLED)

    def pages(self, paths: Sequence[Path]) -> None:
        """Log the tables and pictures of the comparison."""
        if self._tracker is not None:
            self._run.files = dict.fromkeys(paths, "")
            self._run.stamp = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
