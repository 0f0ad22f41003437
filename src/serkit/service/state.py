"""What the parts of a running service share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request, WebSocket

from serkit.service.keys import Keys
from serkit.service.metrics import Metrics
from serkit.service.models import Models
from serkit.service.pool import Pool
from serkit.service.settings import Settings

__all__ = ["State", "state_of"]


@dataclass(frozen=True)
class State:
    """Settings, models, keys, threads and counters of one worker."""

    settings: Settings
    models: Models
    keys: Keys
    pool: Pool
    metrics: Metrics

    def count(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count the rows of an answer."""
        for row in rows:
            self.metrics.recordings.labels("answered" if row["error"] is None else "failed").inc()
            self.metrics.sound.inc(row["end"])


def state_of(connection: Request | WebSocket) -> State:
    """Return the state of the service that takes this request."""
    found: State = connection.app.state.serkit
    return found
