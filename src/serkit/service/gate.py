"""What each request passes before and after its route: number, limits, key, rate, log, counters."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serkit.service.pool import Gone
from serkit.service.problems import Problem, unexpected
from serkit.service.settings import Settings
from serkit.service.state import State
from serkit.service.traces import trace_of

__all__ = ["Gate", "given_key"]

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]

_OPEN = ("/health/live", "/health/ready", "/openapi.json", "/docs")
_NUMBER = re.compile(r"[\w.-]{1,64}")
_log = logging.getLogger("serkit.service")


def given_key(headers: dict[bytes, bytes]) -> str | None:
    """Return the key in ``Authorization: Bearer`` or ``X-API-Key``."""
    kind, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if kind.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get(b"x-api-key", b"").decode("latin-1").strip() or None


class Gate:
    """ASGI middleware around all routes.

    Parameters
    ----------
    app : ASGI application
    state : State
        Of the service.
    """

    def __init__(self, app: _App, *, state: State) -> None:
        self._app, self._settings, self._keys = app, state.settings, state.keys
        self._metrics, self._pool, self._rates = state.metrics, state.pool, state.rates
        self._traces = state.traces
        self._inside = 0

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        headers = dict(scope["headers"])
        asked = headers.get(b"x-request-id", b"").decode("latin-1")
        number = asked if _NUMBER.fullmatch(asked) else secrets.token_hex(8)
        limited = _Limited(receive, self._settings, scope["path"])
        status = 0
        parent = headers.get(b"traceparent", b"").decode("latin-1")
        span: Any = None

        async def answer(message: _Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", number.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"cache-control", b"no-store"),
                    *([(b"connection", b"close")] if limited.unread(headers) else []),
                ]
            await send(message)

        self._inside += 1
        stack = contextlib.ExitStack()
        try:
            try:
                if self._traces is not None:
                    span = stack.enter_context(self._traces.request(scope["method"], parent))
                self._admit(scope, headers)
                limited.check(headers)
                await self._app(scope, limited, answer)
            except Gone:
                status = 499
            except Problem as problem:
                if not status:
                    await problem.response()(scope, receive, answer)
            except Exception as error:
                found = unexpected(error, number)
                if not status:
                    await found.response()(scope, receive, answer)
        finally:
            self._inside -= 1
            took = time.perf_counter() - start
            self._tell(scope, number, trace_of(parent), status or 499, limited.bytes, took)
            if span is not None:
                _tell_span(span, scope, number, status or 499, limited.bytes)
            stack.close()

    def _admit(self, scope: _Message, headers: dict[bytes, bytes]) -> None:
        path = scope["path"]
        if path in _OPEN:
            return
        if self._inside > self._settings.requests_at_once:
            raise Problem(503, "Too many requests at once: try again.", headers={"Retry-After": "1"})
        name = "anyone"
        if self._keys.needed:
            key = given_key(headers)
            found = None if key is None else self._keys.name_of(key)
            if found is None:
                says = "There is no such key" if key else "A key is needed"
                raise Problem(
                    401, f"{says}: send it as Authorization: Bearer KEY.", headers={"WWW-Authenticate": "Bearer"}
                )
            name = found
        elif scope.get("client"):
            name = scope["client"][0]
        scope.setdefault("state", {})["who"] = name
        if seconds := self._rates.wait(name):
            raise Problem(
                429,
                f"More than {self._settings.rate_per_minute:g} requests in a minute: wait {seconds:.1f} s.",
                headers={"Retry-After": str(int(seconds) + 1)},
            )

    def _tell(self, scope: _Message, number: str, trace: str | None, status: int, size: int, seconds: float) -> None:
        route = _route(scope)
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        self._metrics.waiting.set(self._pool.waiting)
        fields: dict[str, Any] = {"request": number, "method": scope["method"], "route": route, "status": status}
        fields |= {"seconds": round(seconds, 4), "bytes": size, **({} if trace is None else {"trace": trace})}
        if self._keys.needed:
            fields["key"] = scope.get("state", {}).get("who")
        _log.info("request", extra={"fields": fields})


def _route(scope: _Message) -> str:
    """The route as it is declared: a path holds the numbers of jobs, and whatever else somebody sends."""
    return str(getattr(scope.get("route"), "path", "none"))


def _tell_span(span: Any, scope: _Message, number: str, status: int, size: int) -> None:
    route = _route(scope)
    span.update_name(f"{scope['method']} {route}")
    span.set_attributes(
        {
            "http.request.method": scope["method"],
            "http.route": route,
            "http.response.status_code": status,
            "http.request.body.size": size,
            "serkit.request": number,
        }
    )


class _Limited:
    """The messages of a request, as long as its body is neither too large nor too slow."""

    def __init__(self, receive: _Receive, settings: Settings, path: str) -> None:
        self._receive, self._settings = receive, settings
        self._most = settings.job_max_bytes if path.rstrip("/") == "/v1/jobs" else settings.max_bytes
        self.bytes = 0
        self._begun: float | None = None
        self._done = False

    def check(self, headers: dict[bytes, bytes]) -> None:
        """Refuse a body that says itself that it is too large."""
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._most:
            raise self._too_large()

    def unread(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a part of the body has not been read, so that the connection cannot be used again."""
        there = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        return there and not self._done

    async def __call__(self) -> _Message:
        if self._done:
            return await self._receive()
        now = time.monotonic()
        self._begun = self._begun or now
        left = self._begun + self._settings.upload_seconds - now
        try:
            message = await asyncio.wait_for(self._receive(), max(min(left, self._settings.upload_idle_seconds), 0))
        except asyncio.TimeoutError:
            raise Problem(408, "The body came too slowly: send it faster, or in smaller parts.") from None
        if message["type"] == "http.disconnect":
            raise Gone
        self.bytes += len(message.get("body", b""))
        if self.bytes > self._most:
            raise self._too_large()
        self._done = not message.get("more_body", False)
        return message

    def _too_large(self) -> Problem:
        return Problem(413, f"The body holds more than {self._most:,} bytes, which are allowed: send less at a time.")
