"""Counters in the format of Prometheus."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

__all__ = ["FOLDER", "Metrics"]

#: The environment variable of prometheus-client with the folder that several workers share.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """What the service counts. With several workers, the folder of :data:`FOLDER` adds them up."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        to = self._registry
        self.requests = Counter("serkit_requests_total", "Requests answered.", ["route", "status"], registry=to)
        self.seconds = Histogram(
            "serkit_request_seconds", "From head to answer.", ["route"], buckets=_SECONDS, registry=to
        )
        self.recordings = Counter("serkit_recordings_total", "Recordings by outcome.", ["outcome"], registry=to)
        self.sound = Counter("serkit_sound_seconds_total", "Seconds of sound that were answered.", registry=to)
        self.waiting = _live("serkit_queue", "Requests that wait for a thread.", to)
        self.streams = _live("serkit_streams", "Streams that are open.", to)
        self.jobs = Counter("serkit_jobs_total", "Jobs by outcome.", ["outcome"], registry=to)

    def text(self) -> bytes:
        """Return all of them, of all workers."""
        if FOLDER not in os.environ:
            return bytes(generate_latest(self._registry))
        for file in Path(os.environ[FOLDER]).glob("gauge_live*_*.db"):
            number = file.stem.rpartition("_")[2]
            if number.isdigit() and not _runs(int(number)):
                multiprocess.mark_process_dead(int(number))
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        return bytes(generate_latest(registry))


def _runs(process: int) -> bool:
    """Whether a worker still runs; one that was killed could not take its values back."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _live(name: str, says: str, registry: CollectorRegistry) -> Gauge:
    """A value whose sum over the workers that run is of interest."""
    return Gauge(name, says, registry=registry, multiprocess_mode="livesum")
