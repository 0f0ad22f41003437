"""What the parts of a running service share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request, WebSocket

from serkit.service.jobs import Jobs
from serkit.service.keys import Keys, Rates
from serkit.service.metrics import Metrics
from serkit.service.models import Models
from serkit.service.pool import Pool
from serkit.service.problems import Problem
from serkit.service.settings import Settings
from serkit.service.traces import Traces

__all__ = ["State", "state_of"]


@dataclass(frozen=True)
class State:
    """Settings, models, keys, threads and counters of one worker."""

    settings: Settings
    models: Models
    keys: Keys
    pool: Pool
    metrics: Metrics
    rates: Rates
    jobs: Jobs | None
    traces: Traces | None = None
    _streams: set[object] = field(default_factory=set)

    def count(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count the rows of an answer."""
        for row in rows:
            self.metrics.recordings.labels("answered" if row["error"] is None else "failed").inc()
            self.metrics.sound.inc(row["end"])

    @contextmanager
    def one_stream(self) -> Iterator[None]:
        """Count a stream while it is open.

        Raises
        ------
        Problem
            503 if there are too many.
        """
        if len(self._streams) >= self.settings.streams:
            raise Problem(503, f"{self.settings.streams} streams are open: try again later.")
        this = object()
        self._streams.add(this)
        self.metrics.streams.set(len(self._streams))
        try:
            yield
        finally:
            self._streams.discard(this)
            self.metrics.streams.set(len(self._streams))


def state_of(connection: Request | WebSocket) -> State:
    """Return the state of the service that takes this request."""
    found: State = connection.app.state.serkit
    return found
