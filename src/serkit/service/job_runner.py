"""The thread of a worker that answers jobs, and the routes to them."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from serkit import audio
from serkit.audio.bounded import Most
from serkit.errors import SerkitError
from serkit.recognition.long_recording import check_window
from serkit.service import work
from serkit.service.jobs import Claimed, Jobs
from serkit.service.metrics import Metrics
from serkit.service.models import Models
from serkit.service.problems import Problem, unexpected
from serkit.service.routes import documented, problems
from serkit.service.schemas import Job, JobOptions
from serkit.service.settings import Settings
from serkit.service.state import state_of
from serkit.service.uploads import Upload, options, received

__all__ = ["Runner", "router"]

router = APIRouter()
_LOOK = 0.5  # s between two looks at the folder, and two notes of progress
_CLEAN = 30.0  # s
_log = logging.getLogger("serkit.service")


class Runner:
    """Answers jobs, one at a time, in a thread of this worker.

    Parameters
    ----------
    jobs, models, settings, metrics
        Of the service.
    """

    def __init__(self, jobs: Jobs, models: Models, settings: Settings, metrics: Metrics) -> None:
        self._jobs, self._models, self._settings, self._metrics = jobs, models, settings, metrics
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="serkit-jobs", daemon=True)

    def start(self) -> None:
        """Begin to look for jobs."""
        self._thread.start()

    def end(self) -> None:
        """Put the job that runs back, and stop."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        cleaned = 0.0
        while not self._ending.is_set():
            try:
                if time.monotonic() - cleaned > _CLEAN:
                    self._jobs.clean()
                    cleaned = time.monotonic()
                with self._jobs.claim() as claimed:
                    if claimed is not None:
                        self._answer(claimed)
                        continue
            except Exception as error:  # a full disk must not end the thread
                unexpected(error, "jobs")
            self._ending.wait(_LOOK)

    def _answer(self, claimed: Claimed) -> None:
        stop = threading.Event()
        heard = [0.0]
        with ThreadPoolExecutor(1) as executor:
            answer = executor.submit(self._work, claimed, stop, heard)
            cancelled = self._watch(claimed, answer, stop, heard)
        if self._ending.is_set() and not cancelled and answer.exception() is not None:
            self._jobs.put_back(claimed)
            return
        error, result, state = None, None, "cancelled"
        if not cancelled:
            state, error, result = _outcome(answer)
        claimed.job["seconds"] = heard[0]
        state = self._jobs.finish(claimed, state, error=error, result=result)
        self._metrics.jobs.labels(state).inc()
        _log.info("job", extra={"fields": {"kind": claimed.job["kind"], "state": state, "seconds": heard[0]}})

    def _watch(self, claimed: Claimed, answer: Future[str], stop: threading.Event, heard: list[float]) -> bool:
        """Note the progress until there is an answer; return whether the job was cancelled."""
        cancelled = False
        while True:
            try:
                answer.exception(timeout=_LOOK)
                return cancelled
            except NotYet:
                pass
            cancelled = cancelled or claimed.cancelled
            if cancelled or self._ending.is_set():
                stop.set()
            elif heard[0] > claimed.job["seconds"]:
                length = claimed.job.get("length")
                with contextlib.suppress(OSError):  # a full disk: the answer is worth more than its progress
                    claimed.write(seconds=heard[0], progress=min(heard[0] / length, 1.0) if length else None)

    def _work(self, claimed: Claimed, stop: threading.Event, heard: list[float]) -> str:
        settings = self._settings
        most = Most(settings.job_max_seconds, settings.job_max_decoded_bytes)
        asked = JobOptions.model_validate(claimed.job["options"])
        recognizer = self._models.get(asked.model)

        def progress(seconds: float) -> None:
            heard[0] = seconds

        with (claimed.place / "recording").open("rb") as file:
            upload = Upload(file, claimed.job["name"])
            if asked.kind == "predict":
                return json.dumps(work.answers(recognizer, [upload], asked, most, stop))
            claimed.job["length"] = audio.probe(upload.bounded(most)).duration
            found = work.timeline(recognizer, upload, asked, most, stop, progress)
        return found if isinstance(found, str) else json.dumps(found)


def _outcome(answer: Future[str]) -> tuple[str, str | None, str | None]:
    """State, error and result."""
    error = answer.exception()
    if error is None:
        return "done", None, answer.result()
    if isinstance(error, Problem):
        return "failed", error.detail, None
    if isinstance(error, SerkitError):
        return "failed", str(error), None
    return "failed", unexpected(error, "job").detail, None


def _jobs(request: Request) -> Jobs:
    found = state_of(request).jobs
    if found is None:
        raise Problem(404, "This service takes no jobs.")
    return found


def _owner(request: Request) -> str:
    """Who may see the jobs of this request: its key's name; without keys, all may see all."""
    return str(request.state.who) if state_of(request).keys.needed else ""


@router.post(
    "/v1/jobs",
    status_code=202,
    response_model=Job,
    responses=problems(400, 404, 408, 413, 415, 422, 507),
    openapi_extra=documented(JobOptions, many=False),
    summary="Answer a long recording in the background",
)
async def add(request: Request) -> Response:
    """Keep a recording and answer it when its turn comes. `GET` says how far it is, `DELETE` cancels it."""
    jobs, state = _jobs(request), state_of(request)
    async with received(request, most_files=1) as body:
        asked = options(JobOptions, request, body)
        if asked.kind == "predict" and asked.format != "json":
            raise Problem(422, f"The format {asked.format!r} is for timelines: leave it out, or ask for a timeline.")
        await run_in_threadpool(_check, state.models, asked)
        job = await run_in_threadpool(jobs.add, body.uploads[0], asked.model_dump(), _owner(request))
    return JSONResponse(job, 202, headers={"Location": f"/v1/jobs/{job['id']}"})


def _check(models: Models, asked: JobOptions) -> None:
    """Report now what would make the job fail later."""
    recognizer = models.get(asked.model).among(asked.labels)
    audio.check_channel(asked.channel, each=True)
    work.profile_of(recognizer, asked.profile)
    if asked.kind == "timeline":
        check_window(recognizer, asked.window)


@router.get("/v1/jobs/{number}", response_model=Job, responses=problems(404), summary="How far a job is")
async def read(request: Request, number: str) -> Response:
    """Return the state of a job; once it is done, with its result if that is JSON."""
    return JSONResponse(await run_in_threadpool(_jobs(request).read, number, _owner(request)))


@router.get(
    "/v1/jobs/{number}/result", response_class=Response, responses=problems(404, 409), summary="The result of a job"
)
async def result(request: Request, number: str) -> Response:
    """Return what /v1/timeline or /v1/predict would have returned."""
    kind, text = await run_in_threadpool(_jobs(request).result, number, _owner(request))
    return Response(text, media_type=work.MEDIA_TYPES[kind])


@router.delete("/v1/jobs/{number}", response_model=Job, responses=problems(404), summary="Cancel or remove a job")
async def cancel(request: Request, number: str) -> Response:
    """Cancel a job that is not finished; remove one that is. Its last state is returned."""
    return JSONResponse(await run_in_threadpool(_jobs(request).cancel, number, _owner(request)))
