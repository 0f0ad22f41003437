"""OpenTelemetry (extra ``telemetry``), only where it is asked for: spans of requests and recordings.

They hold no sound, no names of files, no options, no keys and no addresses. The standard variables of OpenTelemetry say
where they go, such as ``OTEL_EXPORTER_OTLP_ENDPOINT``.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from serkit._version import __version__
from serkit.audio.bounded import Bounded
from serkit.errors import MissingExtraError

__all__ = ["Traces", "recording", "trace_of"]

_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_tracer: ContextVar[Any] = ContextVar("serkit_tracer", default=None)


class Traces:
    """Makes spans and sends them.

    Raises
    ------
    MissingExtraError
        If the extra is not installed.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

            exporter = _exporter()
        except ImportError as error:
            package = "opentelemetry-exporter-otlp-proto-http" if "exporter" in str(error.name) else "opentelemetry-sdk"
            raise MissingExtraError("The setting telemetry", package, "telemetry") from error
        resource = Resource.create({"service.name": "serkit", "service.version": __version__})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._propagator = TraceContextTextMapPropagator()
        self._tracer = self._provider.get_tracer("serkit", __version__)

    @contextlib.contextmanager
    def request(self, method: str, traceparent: str) -> Iterator[Any]:
        """Make a span of a request while the block runs, below the caller's if it sent one; give it."""
        from opentelemetry.trace import SpanKind

        parent = self._propagator.extract({"traceparent": traceparent})
        token = _tracer.set(self._tracer)
        try:
            with self._tracer.start_as_current_span(
                method, parent, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
            ) as span:
                yield span
        finally:
            _tracer.reset(token)

    def end(self) -> None:
        """Send what has not been sent."""
        self._provider.shutdown()


def _exporter() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


@contextlib.contextmanager
def recording(bounded: Bounded) -> Iterator[None]:
    """Make a span of a recording while the block runs, and one below it of its decoding; none if nobody asked."""
    tracer = _tracer.get()
    if tracer is None:
        yield
        return
    with tracer.start_as_current_span("recording", record_exception=False, set_status_on_exception=False) as span:
        begun = time.time_ns()
        try:
            yield
        finally:
            if bounded.decoded_at is not None:
                decode = tracer.start_span("decode", start_time=begun)
                decode.set_attribute("serkit.decode.busy_seconds", bounded.decode_seconds)
                decode.end(bounded.decoded_at)
            span.set_attribute("serkit.sound.seconds", bounded.seconds)


def trace_of(traceparent: str) -> str | None:
    """Return the number of the trace in a header of W3C Trace Context.

    Examples
    --------
    >>> trace_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    >>> trace_of("anything")
    """
    found = _TRACE.fullmatch(traceparent)
    return found[1] if found else None
