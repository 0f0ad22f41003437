"""Errors as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import errno
import logging
import traceback
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serkit.errors import SerkitError

__all__ = ["Problem", "ProblemResponse", "add_handlers", "invalid", "mistake", "unexpected"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_log = logging.getLogger("serkit.service")


class Problem(Exception):
    """An answer that is an error.

    Parameters
    ----------
    status : int
        HTTP status.
    detail : str
        One or two sentences: what was got, what was expected, what to do.
    headers : dict of str to str, optional
    **more
        Further members of the answer.
    """

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, headers or {}, more

    def to_dict(self) -> dict[str, Any]:
        """Return the members of the answer."""
        title = HTTPStatus(self.status).phrase
        return {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail, **self.more}

    def response(self) -> ProblemResponse:
        """Return the answer."""
        return ProblemResponse(self.to_dict(), self.status, headers=self.headers)


class ProblemResponse(JSONResponse):
    """A response of the type that RFC 9457 names."""

    media_type = "application/problem+json"


def add_handlers(app: FastAPI) -> None:
    """Answer every error of `app` with a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(SerkitError, _mistake)


async def _problem(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, Problem)
    return error.response()


async def _http(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)
    said = {
        404: "There is nothing here: /docs lists what there is.",
        405: f"{request.method} is not possible here: use {(error.headers or {}).get('Allow', 'another method')}.",
    }.get(error.status_code, str(error.detail))
    return Problem(error.status_code, said, headers=dict(error.headers or {})).response()


async def _invalid(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)
    return invalid(error.errors()).response()


def invalid(errors: Any) -> Problem:
    """Return the problem for what pydantic found."""
    found = [{"name": ".".join(map(str, one["loc"])) or "body", "reason": str(one["msg"])} for one in errors]
    first = found[0] if found else {"name": "body", "reason": "it is not valid"}
    return Problem(422, f"{first['name']}: {first['reason']}.", errors=found)


def mistake(error: BaseException) -> Problem:
    """Return the problem for an error of the library; ``error`` names its class, for clients."""
    return Problem(422, str(error), error=type(error).__name__)


async def _mistake(request: Request, error: Exception) -> ProblemResponse:
    return mistake(error).response()


def unexpected(error: BaseException, request_id: str) -> Problem:
    """Log an error that should not happen, without its message, which may hold names; return the problem for it.

    A full disk is a problem of its own, 507: whoever waits can only ask for room.
    """
    where = [f"{one.filename}:{one.lineno} {one.name}" for one in traceback.extract_tb(error.__traceback__)[-8:]]
    _log.error("failed", extra={"fields": {"request": request_id, "error": type(error).__name__, "where": where}})
    if isinstance(error, OSError) and error.errno in _FULL:
        return Problem(507, "The disk of the service is full: ask for room on it, then send the recording again.")
    return Problem(500, "The service failed. Its log says more under the number in X-Request-ID.")
