"""What a call does, without doing it: a generator that yields requests and waits, and is sent what came of them."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from itertools import count
from typing import IO, Any, TypeAlias, TypeVar

from serkit.errors import ServiceError

__all__ = ["Lost", "Reply", "Request", "Steps", "Wait", "patient"]

_T = TypeVar("_T")
_BUSY = (429, 503)
_FIRST, _LONGEST = 0.5, 8.0  # s to wait where the service does not say how long
_SPREAD = 0.25  # of a wait, at random, so that many clients do not come back at the same moment
_TRIES = 3  # where the connection is lost
_LEAST = 0.1  # s for a request, at least


@dataclass(frozen=True)
class Request:
    """A request.

    Attributes
    ----------
    method, path : str
    files : sequence of (str, bytes or binary file)
        Sent as fields ``file`` of a form, under these names.
    fields : mapping of str to str
        The other fields of the form.
    again : bool
        Whether it may be sent again if nobody knows whether it arrived.
    seconds : float
        How long to wait for each part of the answer.
    """

    method: str
    path: str
    files: Sequence[tuple[str, IO[bytes] | bytes]] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    again: bool = True
    seconds: float = 60.0


@dataclass(frozen=True)
class Wait:
    """A wait of so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """The type of its content."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Return what the body says; ValueError if it is no JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Lost:
    """No answer: why, as the end of a sentence, and whether the request may have arrived."""

    why: str
    arrived: bool


#: A call: yields what to do, is sent what came of it (None after a wait), returns what the caller gets.
Steps: TypeAlias = Generator[Request | Wait, Reply | Lost | None, _T]


def patient(request: Request, address: str, seconds: float) -> Steps[Reply]:
    """Send a request until it is taken: wait as long as a busy service asks, but no more than `seconds` in all.

    Raises
    ------
    ServiceError
        If there is no answer, or the service stays busy.
    """
    end = time.monotonic() + seconds
    lost, busy = 0, count()
    while True:
        got = yield replace(request, seconds=max(end - time.monotonic(), _LEAST))
        if isinstance(got, Lost):
            lost += 1
            if got.arrived and request.again and lost < _TRIES and time.monotonic() < end:
                continue
            raise ServiceError(f"There is no answer from {address}: {got.why}.")
        assert got is not None
        if got.status not in _BUSY:
            return got
        wait = _asked(got) if "retry-after" in got.headers else min(_FIRST * 2.0 ** next(busy), _LONGEST)
        wait *= 1 + _SPREAD * random.random()
        left = end - time.monotonic()
        if wait > left:
            raise ServiceError(
                f"{address} is busy ({got.status}) and asks to wait for {wait:.1f} s, {max(left, 0):.1f} s are left of "
                f"{seconds:g} s: try again later, or give a longer timeout.",
                status=got.status,
            )
        yield Wait(wait)


def _asked(reply: Reply) -> float:
    """The seconds that Retry-After asks for, given as a number or as a date."""
    text = reply.headers["retry-after"].strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return _FIRST
