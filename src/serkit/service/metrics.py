"""Counters in the format of Prometheus."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

__all__ = ["FOLDER", "Metrics"]

#: The environment variable of prometheus-client with the folder that several workers share.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """What the service counts. With several workers, the folder of :data:`FOLDER` adds them up."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        own = {"registry": self._registry}
        live = {**own, "multiprocess_mode": "livesum"}
        self.requests = Counter("serkit_requests_total", "Requests answered.", ["route", "status"], **own)
        self.seconds = Histogram("serkit_request_seconds", "From head to answer.", ["route"], buckets=_SECONDS, **own)
        self.recordings = Counter("serkit_recordings_total", "Recordings by outcome.", ["outcome"], **own)
        self.sound = Counter("serkit_sound_seconds_total", "Seconds of sound that were answered.", **own)
        self.waiting = Gauge("serkit_queue", "Requests that wait for a thread.", **live)
        self.streams = Gauge("serkit_streams", "Streams that are open.", **live)
        self.jobs = Counter("serkit_jobs_total", "Jobs by outcome.", ["outcome"], **own)

    def text(self) -> bytes:
        """Return all of them, of all workers."""
        if FOLDER not in os.environ:
            return bytes(generate_latest(self._registry))
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return bytes(generate_latest(registry))
