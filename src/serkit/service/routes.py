"""The routes that answer at once: predict, timeline, enrol, adapt, models, health, metrics."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from serkit.audio.bounded import Most
from serkit.service import work
from serkit.service.problems import Problem
from serkit.service.schemas import (
    AdaptOptions,
    Answers,
    EnrolOptions,
    Health,
    Models,
    PredictOptions,
    ProblemDetails,
    ProfileContent,
    TimelineContent,
    TimelineOptions,
)
from serkit.service.state import State, state_of
from serkit.service.uploads import Body, options, received

__all__ = ["documented", "problems", "router"]

router = APIRouter()
_T = TypeVar("_T")
_Options = TypeVar("_Options", bound=BaseModel)


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of errors: these, and those of every route."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {code: {"description": "Problem", "content": content} for code in sorted({401, 429, 503, *codes})}


def documented(kind: type[BaseModel], *, many: bool) -> dict[str, Any]:
    """Return what OpenAPI says of a body of recordings and options."""
    own = kind.model_json_schema()["properties"]
    file: dict[str, Any] = {"type": "string", "format": "binary", "description": "A recording."}
    form = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "array", "items": file, "minItems": 1} if many else file, **own},
    }
    content = {"multipart/form-data": {"schema": form}, "application/octet-stream": {"schema": file}}
    query = [
        {"name": name, "in": "query", "required": False, "schema": what, "description": what.get("description", "")}
        for name, what in own.items()
        if name != "profile"
    ]
    return {"requestBody": {"required": True, "content": content}, "parameters": query}


_HEARD = problems(400, 404, 408, 413, 415, 422, 504, 507)


async def _answer(
    request: Request, kind: type[_Options], call: Callable[[State, Body, _Options, Event], _T], *, one: bool = False
) -> _T:
    """Read the body, and do what `call` says with it in a thread."""
    state = state_of(request)
    state.pool.check()  # before the body is read, and again after
    async with received(request, most_files=1 if one else state.settings.max_files) as body:
        asked = options(kind, request, body)
        return await state.pool.run(lambda stop: call(state, body, asked, stop), request)


def _most(state: State) -> Most:
    return Most(state.settings.max_seconds, state.settings.max_decoded_bytes)


@router.post(
    "/v1/predict",
    response_model=Answers,
    responses=_HEARD,
    openapi_extra=documented(PredictOptions, many=True),
    summary="One answer for each recording",
)
async def predict(request: Request) -> Response:
    """Answer one or many recordings: the rows of `ser predict --json`.

    A recording that fails has its `error`; 422 if none could be answered.
    """

    def call(state: State, body: Body, asked: PredictOptions, stop: Event) -> dict[str, Any]:
        try:
            found = work.answers(state.models.get(asked.model), body.uploads, asked, _most(state), stop)
        except Problem as problem:
            state.count(problem.more.get("rows", []))
            raise
        state.count(found["rows"])
        return found

    return JSONResponse(await _answer(request, PredictOptions, call))


@router.post(
    "/v1/timeline",
    response_model=TimelineContent,
    responses={
        200: {
            "content": {kind.partition(";")[0]: {"schema": {"type": "string"}} for kind in work.MEDIA_TYPES.values()}
            | {"application/json": {"schema": {"$ref": "#/components/schemas/TimelineContent"}}}
        },
        **_HEARD,
    },
    openapi_extra=documented(TimelineOptions, many=False),
    summary="Emotion over time in a recording",
)
async def timeline(request: Request) -> Response:
    """Answer a recording utterance by utterance, as JSON or in another format of `ser timeline`."""

    def call(state: State, body: Body, asked: TimelineOptions, stop: Event) -> Response:
        found = work.timeline(state.models.get(asked.model), body.uploads[0], asked, _most(state), stop)
        if isinstance(found, str):
            return Response(found.encode("utf-8", "replace"), media_type=work.MEDIA_TYPES[asked.format])
        state.count([{"error": found["error"], "end": found["duration"]}])
        return JSONResponse(found)

    return await _answer(request, TimelineOptions, call, one=True)


@router.post(
    "/v1/enrol",
    response_model=ProfileContent,
    responses=_HEARD,
    openapi_extra=documented(EnrolOptions, many=True),
    summary="The profile of a voice",
)
async def enrol(request: Request) -> Response:
    """Make a profile of a voice from recordings of one person, as `ser enrol` does. The service keeps nothing."""

    def call(state: State, body: Body, asked: EnrolOptions, stop: Event) -> str:
        recognizer = state.models.get(asked.model)
        return work.enrolled(recognizer, body.uploads, asked.channel, _most(state), stop)

    return Response(await _answer(request, EnrolOptions, call), media_type="application/json")


@router.post(
    "/v1/adapt",
    response_model=ProfileContent,
    responses=_HEARD,
    openapi_extra=documented(AdaptOptions, many=True),
    summary="The profile of a place",
)
async def adapt(request: Request) -> Response:
    """Make a profile of a place from 20 recordings or more, as `ser adapt` does. The service keeps nothing.

    The header `Serkit-Left-Out` says how many recordings failed and were not used.
    """

    def call(state: State, body: Body, asked: AdaptOptions, stop: Event) -> tuple[str, int]:
        recognizer = state.models.get(asked.model)
        return work.adapted(recognizer, body.uploads, asked.channel, asked.strict, _most(state), stop)

    profile, left_out = await _answer(request, AdaptOptions, call)
    return Response(profile, media_type="application/json", headers={"Serkit-Left-Out": str(left_out)})


@router.get("/v1/models", response_model=Models, responses=problems(), summary="The models that are served")
async def models(request: Request) -> Response:
    """List the models that may be asked for; the first is the default."""
    state = state_of(request)

    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for name in state.models.names:
            manifest = state.models.get(name).manifest
            found.append(
                {
                    "name": name,
                    "default": not found,
                    "model": manifest.name,
                    "version": manifest.version,
                    "description": manifest.description,
                    "labels": list(manifest.labels),
                    "dimensions": manifest.dimensions,
                    "sample_rate": manifest.sample_rate,
                    "min_seconds": manifest.min_seconds,
                    "max_seconds": manifest.max_seconds,
                    "min_confidence": manifest.min_confidence,
                    "adapts": bool(manifest.adaptation),
                    "licence": manifest.licence,
                    "created": manifest.created,
                    "sha256": manifest.files["model.onnx"],
                }
            )
        return found

    return JSONResponse({"models": await run_in_threadpool(listed)})


@router.get("/health/live", response_model=Health, summary="Whether the process runs")
async def live() -> Health:
    """Say that the process runs."""
    return Health(status="live")


@router.get("/health/ready", response_model=Health, responses={503: problems()[503]}, summary="Whether it can answer")
async def ready(request: Request) -> Health:
    """Say whether the models are loaded; 503 until then."""
    if not state_of(request).models.ready:
        raise Problem(503, "The models are being loaded.", headers={"Retry-After": "1"})
    return Health(status="ready")


@router.get("/metrics", response_class=Response, responses=problems(), summary="Counters for Prometheus")
async def metrics(request: Request) -> Response:
    """Return counters in the text format of Prometheus."""
    text = await run_in_threadpool(state_of(request).metrics.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


ERRORS = ProblemDetails  # its schema is part of /openapi.json
