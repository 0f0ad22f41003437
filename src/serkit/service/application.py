"""The service as an ASGI application."""

from __future__ import annotations

import contextlib
import inspect
import logging
import signal
import threading
from collections.abc import AsyncIterator
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse

from serkit._version import __version__
from serkit.audio import apart
from serkit.errors import AudioError
from serkit.service import job_runner, routes, stream
from serkit.service.gate import Gate
from serkit.service.job_runner import Runner
from serkit.service.jobs import Jobs
from serkit.service.keys import Keys, Rates
from serkit.service.metrics import Metrics
from serkit.service.models import Models
from serkit.service.pool import Pool
from serkit.service.problems import Problem, add_handlers
from serkit.service.schemas import ProblemDetails
from serkit.service.settings import Settings
from serkit.service.state import State
from serkit.service.traces import Traces

__all__ = ["create"]

_PAGE_MAY = "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_ABOUT = "Emotions in recordings of speech. Errors are problems as RFC 9457 describes them."


def create(settings: Settings, models: Models | None = None) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    settings : Settings
    models : Models, optional
        By default those of the settings, which are loaded when the application starts.

    Raises
    ------
    SerkitError
        If a model or the file of keys is missing or wrong.
    """
    state = State(
        settings=settings,
        models=models or Models(settings.models, settings.device),
        keys=Keys(settings.keys, settings.keys_file),
        pool=Pool(settings.threads_used, settings.queue, settings.request_seconds),
        metrics=Metrics(),
        rates=Rates(settings.rate_per_minute, settings.rate_burst),
        jobs=_jobs(settings),
        traces=Traces() if settings.telemetry else None,
    )
    runner = Runner(state.jobs, state.models, settings, state.metrics) if state.jobs is not None else None

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        _on_hang_up(state)
        await run_in_threadpool(_load, state.models)
        threading.Thread(target=_warm, daemon=True).start()
        if runner is not None:
            runner.start()
        yield
        if runner is not None:
            await run_in_threadpool(runner.end)
        await run_in_threadpool(state.pool.end)
        if state.traces is not None:
            await run_in_threadpool(state.traces.end)

    # FastAPI's own spans would hold addresses and options.
    quiet: Any = {"telemetry": {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}}
    app = FastAPI(
        **(quiet if "telemetry" in inspect.signature(FastAPI).parameters else {}),
        title="serkit",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.serkit = state
    app.include_router(routes.router)
    app.add_route("/docs", _page, include_in_schema=False)
    app.include_router(job_runner.router)
    app.include_router(stream.router)
    add_handlers(app)
    app.add_middleware(Gate, state=state)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "X-Request-ID", "Content-Type"],
            expose_headers=["Retry-After", "X-Request-ID", "Serkit-Left-Out"],
        )
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _load(models: Models) -> None:
    try:
        models.load()
    except Problem as error:  # /health/ready says so, and each request tries again
        logging.getLogger("serkit.service").error("not ready", extra={"fields": {"error": error.detail}})


async def _page(request: Request) -> HTMLResponse:
    """The routes, as /openapi.json has them, with a form for each; nothing comes from elsewhere."""
    text = resources.files("serkit.service").joinpath("routes_page.html").read_text(encoding="utf-8")
    return HTMLResponse(text, headers={"Content-Security-Policy": _PAGE_MAY})


def _warm() -> None:
    """Start a process that decodes, so that the first recording does not wait for it."""
    with contextlib.suppress(AudioError):  # the first recording says so
        apart.warm(1)


def _jobs(settings: Settings) -> Jobs | None:
    if settings.jobs_folder is None or not settings.jobs_waiting:
        return None
    return Jobs(settings.jobs_folder, kept=settings.jobs_kept_seconds, most=settings.jobs_waiting)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """What /openapi.json says: with the schema of problems and the key."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        parts = found.setdefault("components", {})
        schema = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
        for name, one in schema.pop("$defs", {}).items():
            parts["schemas"].setdefault(name, one)
        parts["schemas"]["ProblemDetails"] = schema
        for path in found["paths"].values():
            for one in path.values():
                if "application/json" in one["responses"].get("422", {}).get("content", {}):
                    del one["responses"]["422"]  # FastAPI adds it to every route with a parameter
        for unused in ("HTTPValidationError", "ValidationError"):
            parts["schemas"].pop(unused, None)
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"key": []}, {}]
        app.openapi_schema = found
    return app.openapi_schema


def _on_hang_up(state: State) -> None:
    """At SIGHUP, look at keys and models at once."""
    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        return

    def look(number: int, frame: object) -> None:
        state.keys.look(now=True)
        state.models.look()

    signal.signal(signal.SIGHUP, look)
