"""Between the steps of a call and httpx."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any

import httpx

from serkit.client.steps import Lost, Reply, Request

if TYPE_CHECKING:
    from serkit.client.calls import Calls

__all__ = ["lost", "options", "reply", "request", "unreachable"]

_CONNECT = 10.0  # s


def options(calls: Calls, ssl_context: ssl.SSLContext | None) -> dict[str, Any]:
    """Return how to make a client of httpx."""
    secure = calls.address.startswith("https")
    return {
        "base_url": calls.address,
        "headers": calls.headers,
        "verify": (ssl_context or True) if secure else False,  # reading the certificates takes a while
        "trust_env": not calls.local,  # no proxy to this machine
    }


def request(step: Request) -> dict[str, Any]:
    """Return a request as httpx takes it."""
    timeout = httpx.Timeout(step.seconds, connect=min(_CONNECT, step.seconds))
    found: dict[str, Any] = {"method": step.method, "url": step.path, "timeout": timeout}
    if step.files:
        found["files"] = [("file", (name, content, "application/octet-stream")) for name, content in step.files]
        found["data"] = dict(step.fields)
    return found


def reply(answer: httpx.Response) -> Reply:
    """Return an answer as the calls take it."""
    return Reply(answer.status_code, answer.headers, answer.content)


def lost(error: httpx.HTTPError, step: Request) -> Lost:
    """Return why there is no answer."""
    if isinstance(error, httpx.ConnectTimeout):
        return Lost(f"no connection within {min(_CONNECT, step.seconds):g} s; check the address", arrived=False)
    if isinstance(error, httpx.ConnectError):
        return Lost(unreachable(str(error)), arrived=False)
    if isinstance(error, httpx.TimeoutException):
        return Lost(f"it took more than {step.seconds:.1f} s; give a longer timeout, or submit a job", arrived=False)
    return Lost(f"the connection broke ({str(error).rstrip('.') or type(error).__name__})", arrived=True)


def unreachable(text: str) -> str:
    """Return why a connection cannot be made, as the end of a sentence."""
    if "refused" in text.lower():
        return "the connection was refused; start ser serve there, or check the address"
    return re.sub(r"^\[Errno -?\d+\] ", "", text).rstrip(".") or "it cannot be reached"
