"""Runs in a store of MLflow, beside the files that are always written.

Nothing waits for the store and nothing depends on it: what is to be logged is on disk, and is compared with what the
store has already. So a store that fails can be tried again, and nothing is logged twice.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from serkit._version import __version__
from serkit.errors import MissingExtraError, TrainingError

__all__ = ["DEFAULT", "FAILED", "FINISHED", "KILLED", "Tracked", "Tracker"]

#: Where runs are logged if no address is given: SQLite, with the files beside it in ``runs/mlflow``.
DEFAULT = "sqlite:///runs/mlflow.db"
EXPERIMENT = "serkit"

FINISHED, FAILED, KILLED, RUNNING = "FINISHED", "FAILED", "KILLED", "RUNNING"  # as MLflow calls them

_SERVERS = ("http", "https", "databricks", "postgresql", "mysql", "mssql")
# MLflow reports its use to its makers, and tries a server that is not there for minutes, unless told otherwise.
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
_KEY, _STAMP = "serkit.key", "serkit.files"
_LONGEST = 5000  # letters of a tag
_BATCH = 500  # metrics of a request; the limit is 1,000


class Tracker:
    """A store of MLflow. Its failures are kept in :attr:`problem` and stop nothing; :meth:`close` tries again.

    Parameters
    ----------
    uri : str, optional
        Of a server or a database; default: the environment variable MLFLOW_TRACKING_URI, else :data:`DEFAULT`. The
        experiment is that of MLFLOW_EXPERIMENT_NAME, else ``serkit``.

    Attributes
    ----------
    problem : str or None
        Why the store could not be used the last time.

    Raises
    ------
    MissingExtraError
        If MLflow is not installed.
    TrainingError
        If there is no such kind of store, or if the file of a database cannot be used.
    """

    def __init__(self, uri: str | None = None) -> None:
        for module, package in (("mlflow", "mlflow-skinny"), ("sqlalchemy", "sqlalchemy"), ("alembic", "alembic")):
            if importlib.util.find_spec(module) is None:
                raise MissingExtraError("--mlflow", package, "tracking")
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT
        self.problem: str | None = None
        self._runs: list[Tracked] = []
        self._client: Any = None
        self._experiment: str | None = None
        kind = re.split(r"[:+]", self.uri, maxsplit=1)[0]
        if kind not in (*_SERVERS, "sqlite"):
            raise TrainingError(
                f"--mlflow takes the address of a server (http://...) or a database (sqlite:///FILE), got '{self.uri}'."
            )
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        self.attempt(self.experiment)
        if self.problem is not None and kind == "sqlite":
            raise TrainingError(f"The tracking store {self.uri} cannot be used ({self.problem}): give another one.")

    def run(self, name: str, key: str, **given: Any) -> Tracked:
        """Return a run of this store; `given` are further attributes of :class:`Tracked`."""
        found = Tracked(self, name, key, **given)
        self._runs.append(found)
        return found

    def forget(self, run: Tracked) -> None:
        """Do not log this run."""
        self._runs.remove(run)

    def close(self) -> str | None:
        """Log what the store lacks; return None, or the start of a sentence: why it still lacks something."""
        before, self.problem = self.problem, None
        for run in self._runs if before else ():
            run.push()
        if self.problem is None:
            return None
        return f"What is finished is on disk, but the tracking store {self.uri} lacks some of it ({self.problem})"

    def attempt(self, call: Callable[[], object]) -> None:
        """Call, unless the store has failed already; keep the reason if it fails now."""
        if self.problem is not None:
            return
        try:
            call()
        except Exception as error:  # MLflow, requests and SQLAlchemy raise their own kinds
            self.problem = _reason(error)

    @property
    def client(self) -> Any:
        """The connection: an ``mlflow.MlflowClient``."""
        if self._client is None:
            from mlflow import MlflowClient

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.ERROR)
            self._client = MlflowClient(self.uri)
        return self._client

    def experiment(self) -> str:
        """Return the id of the experiment; it is created if it is missing."""
        if self._experiment is None:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
            found = self.client.get_experiment_by_name(name)
            self._experiment = found.experiment_id if found else self.client.create_experiment(name, self._files())
        return self._experiment

    def _files(self) -> str | None:
        """Where a database on this machine has its files: beside it."""
        path = self.uri.partition("sqlite:///")[2].partition("?")[0]
        return Path(path).with_suffix("").resolve().as_uri() if path else None


@dataclass(eq=False)
class Tracked:
    """A run, as the store should have it; :meth:`push` makes it so.

    Attributes
    ----------
    tracker : Tracker
    name, key : str
        `key` is what continues and repetitions of the same run have in common.
    continues : bool
        Whether the run was begun by an earlier command, which may have logged it.
    parent : Tracked or None
    params, tags : dict
    metrics : dict
        (name, step) -> value, and when it was measured, ms since 1970.
    data : tuple of str or None
        Name and hash of the recordings.
    files : dict
        Place in the store -> folders of it that a file or folder of this machine goes to.
    draw : callable or None
        Called with a folder to write figures into.
    stamp : str
        What the files depend on: they are sent again only if it has changed. Empty: there are none yet.
    started, ended : int or None
        ms since 1970; default: now.
    status : str
    """

    tracker: Tracker
    name: str
    key: str
    continues: bool = False
    parent: Tracked | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[tuple[str, int], tuple[float, int]] = field(default_factory=dict)
    data: tuple[str, str] | None = None
    files: dict[Path, str] = field(default_factory=dict)
    draw: Callable[[Path], object] | None = None
    stamp: str = ""
    started: int | None = None
    ended: int | None = None
    status: str = RUNNING
    id: str | None = None
    _has: Any = None
    _wanted: bool = False

    def __enter__(self) -> Tracked:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.end(FINISHED)
        elif not self._wanted:
            self.tracker.forget(self)  # nothing was begun
        else:
            self.end(KILLED if issubclass(kind, KeyboardInterrupt) else FAILED, error)

    def end(self, status: str, error: object = None) -> None:
        """Log what is missing, and how it ended: "FINISHED", "FAILED" or "KILLED"."""
        self.status = status
        if error is not None and status == FAILED:
            self.tags["serkit.error"] = str(error)[:_LONGEST]
        self.push()

    def push(self) -> None:
        """Log what the store lacks; a failure is left to the tracker."""
        self._wanted = True
        self.tracker.attempt(self._push)

    def settled(self, stamp: str) -> bool:
        """Whether the store has the whole run already, with files of this stamp."""
        found = False

        def look() -> None:
            nonlocal found
            has = self._found()
            found = has is not None and has.info.status == FINISHED and has.data.tags.get(_STAMP) == stamp

        self.tracker.attempt(look)
        return found

    def _push(self) -> None:
        from mlflow.entities import Metric, Param

        client = self.tracker.client
        self._begin()
        has = client.get_run(self.id)
        names = {name for name, _ in self.metrics} & set(has.data.metrics)
        logged = {(name, one.step) for name in names for one in client.get_metric_history(self.id, name)}
        metrics = [
            Metric(name, value, when, step)
            for (name, step), (value, when) in self.metrics.items()
            if (name, step) not in logged
        ]
        params = [Param(*one) for one in self.params.items() if one[0] not in has.data.params]
        for at in range(0, len(metrics), _BATCH):
            client.log_batch(self.id, metrics=metrics[at : at + _BATCH])
        for at in range(0, len(params), 100):  # the most that a request takes
            client.log_batch(self.id, params=params[at : at + 100])
        for name, value in self.tags.items():
            if has.data.tags.get(name) != value:
                client.set_tag(self.id, name, value)
        if self.stamp and has.data.tags.get(_STAMP) != self.stamp:
            self._send(client)
        if has.info.status != self.status:
            if self.status == RUNNING:
                client.update_run(self.id, status=RUNNING)
            else:
                client.set_terminated(self.id, self.status, self.ended)

    def _begin(self) -> None:
        """Find the run in the store, or create it."""
        if self.id is not None:
            return
        if self.parent is not None:
            self.parent._begin()
        client, has = self.tracker.client, self._found()
        if has is None:
            about = {"mlflow.runName": self.name, _KEY: self.key, "serkit.version": __version__}
            if self.parent is not None:
                about["mlflow.parentRunId"] = str(self.parent.id)
            started = self.started or int(1000 * time.time())
            has = client.create_run(self.tracker.experiment(), start_time=started, tags={**about, **self.tags})
            if self.data is not None:
                from mlflow.entities import Dataset, DatasetInput

                name, digest = self.data
                client.log_inputs(
                    has.info.run_id,
                    [DatasetInput(Dataset(name[:500], digest[:32], source_type="local", source=name))],
                )
        self.id = has.info.run_id

    def _found(self) -> Any:
        """The run as an earlier command has left it, or None."""
        if self._has is None:
            asked = f"tags.`{_KEY}` = '{self.key}'"
            order = ["attributes.start_time DESC"]
            found = self.tracker.client.search_runs([self.tracker.experiment()], asked, max_results=1, order_by=order)
            # A run that failed before its first fold has nothing that could be continued, nor anything to keep.
            if found and (self.continues or (found[0].info.status == FAILED and not found[0].data.metrics)):
                self._has = found[0]
        return self._has

    def _send(self, client: Any) -> None:
        for path, place in self.files.items():
            (client.log_artifacts if path.is_dir() else client.log_artifact)(self.id, str(path), place or None)
        if self.draw is not None:
            with tempfile.TemporaryDirectory(prefix="ser-") as folder:
                self.draw(Path(folder))
                client.log_artifacts(self.id, folder, "figures")
        client.set_tag(self.id, _STAMP, self.stamp)


def _reason(error: Exception) -> str:
    """Return the first sentence of what went wrong."""
    with contextlib.suppress(ImportError):
        from requests.exceptions import ConnectionError as Unreachable

        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, Unreachable):
                return "it does not answer"
            cause = cause.__cause__ or cause.__context__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split())[:200].rstrip(".:")
