"""Every call of the clients, once, as a generator of requests; :mod:`serkit.client.steps` says how they are run."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar
from urllib.parse import quote, urlsplit

from serkit._version import __version__
from serkit.client import answers
from serkit.client.answers import Job, ServedModel
from serkit.client.steps import Reply, Request, Steps, Wait, patient
from serkit.client.uploads import Upload, opened
from serkit.errors import SerkitError, ServiceError
from serkit.recognition.prediction import Prediction
from serkit.recognition.sources import failure, many

if TYPE_CHECKING:
    from serkit.audio import Channel, Source
    from serkit.recognition.label_choice import Labels
    from serkit.recognition.profile import Profile
    from serkit.recognition.tracks import Timeline

__all__ = ["Asked", "AskedOfTimeline", "Calls", "Options", "listed"]

_T = TypeVar("_T")

_LOCAL = ("127.0.0.1", "localhost", "::1")
_OTHERS = (None, 401, 403, 404, 429, 503, 507)  # statuses that say nothing about the recording
_FIRST_LOOK, _LONGEST_LOOK = 0.1, 2.0  # s between two looks at a job


class Options(TypedDict, total=False):
    """What may be asked of every answer, as for :meth:`serkit.Recognizer.predict`; `model` is one of the service."""

    model: str | None
    sample_rate: int | None
    min_confidence: float | None
    profile: Profile | None
    labels: Labels | None
    strict: bool


class Asked(Options, total=False):
    """The same, and the channel."""

    channel: Channel | Literal["each"]


class AskedOfTimeline(Asked, total=False):
    """What may be asked of a timeline, as for :meth:`serkit.Recognizer.timeline`."""

    window: float | None
    pause: float
    smooth: bool


class Calls:
    """What both clients have: the address, the key, and every call as a generator.

    Parameters
    ----------
    address : str
        ``http://HOST:PORT`` or ``https://…``.
    key : str, optional
    timeout : float
        Seconds that a call may take, with all waits and repetitions.
    """

    def __init__(self, address: str, key: str | None, timeout: float) -> None:
        parts = urlsplit(address if isinstance(address, str) else "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SerkitError(f"An address is http://HOST:PORT or https://HOST, got {address!r:.80}.")
        if not timeout > 0:
            raise SerkitError(f"timeout must be more than 0 s, got {timeout:g} s.")
        self.address, self.key, self.timeout = address.rstrip("/"), key, float(timeout)
        #: Whether the service is on this machine.
        self.local = parts.hostname in _LOCAL

    @property
    def headers(self) -> dict[str, str]:
        """Sent with every request."""
        return {"User-Agent": f"serkit/{__version__}", **({"X-API-Key": self.key} if self.key is not None else {})}

    # ----------------------------------------------------------------------------------------------- asking

    def _ask(self, request: Request, uploads: Sequence[Upload] = ()) -> Steps[Reply]:
        files = [(upload.name, upload.content) for upload in uploads]
        reply = yield from patient(replace(request, files=files), self.address, self.timeout)
        if reply.status >= 400:
            if reply.status == 404 and b"There is nothing here" in reply.body:
                raise answers.other_version(reply, self.address, (yield from self._version()))
            raise answers.failed(reply, self.address, self.key, uploads)
        return reply

    def _read(self, reply: Reply, make: Callable[[Any], _T]) -> Steps[_T]:
        found = answers.parsed(reply, make)
        if found is None:
            raise answers.other_version(reply, self.address, (yield from self._version()))
        return found

    def _version(self) -> Steps[str | None]:
        """The serkit that the service runs, to explain an answer that is not understood."""
        with contextlib.suppress(ServiceError):
            reply = yield from patient(Request("GET", "/openapi.json"), self.address, self.timeout)
            return answers.parsed(reply, lambda content: str(content["info"]["version"]))
        return None

    # ---------------------------------------------------------------------------------------------- answers

    def _predict(self, source: Source, asked: Mapping[str, Any]) -> Steps[list[Prediction]]:
        with opened([source], asked.get("sample_rate")) as uploads:
            reply = yield from self._ask(Request("POST", "/v1/predict", fields=fields(asked)), uploads)
        return (yield from self._read(reply, lambda content: answers.rows_of(content, uploads[0])))

    def _predict_or_row(self, source: Source | Prediction, asked: Mapping[str, Any]) -> Steps[list[Prediction]]:
        """The same, with a failure as a row, unless it says nothing about the recording."""
        if isinstance(source, Prediction):
            return [source]
        try:
            return (yield from self._predict(source, asked))
        except ServiceError as error:
            if error.status in _OTHERS:
                raise
            return [failure(source, error)]
        except SerkitError as error:
            return [failure(source, error)]

    def _timeline(self, source: Source, asked: Mapping[str, Any]) -> Steps[Timeline]:
        with opened([source], asked.get("sample_rate")) as uploads:
            reply = yield from self._ask(Request("POST", "/v1/timeline", fields=fields(asked)), uploads)
        return (yield from self._read(reply, _timeline_of(uploads[0])))

    def _profile(self, path: str, sources: Sequence[Source], asked: Mapping[str, Any]) -> Steps[Profile]:
        from serkit.recognition.profile import Profile

        with opened(sources, asked.get("sample_rate")) as uploads:
            reply = yield from self._ask(Request("POST", path, fields=fields(asked)), uploads)
        left_out = int(reply.headers.get("serkit-left-out", "0"))
        if left_out:
            warnings.warn(f"{left_out} of {len(sources)} recordings failed and were not used.", stacklevel=4)
        return (yield from self._read(reply, Profile.from_dict))

    def _adapt(self, sources: Any, asked: Mapping[str, Any]) -> Steps[Profile]:
        items = listed(sources, recursive=False)
        found: list[Any] = [sources] if items is None else list(items)
        return (yield from self._profile("/v1/adapt", found, asked))

    def _models(self) -> Steps[list[ServedModel]]:
        reply = yield from self._ask(Request("GET", "/v1/models"))
        return (yield from self._read(reply, lambda content: [answers.model_of(one) for one in content["models"]]))

    # ------------------------------------------------------------------------------------------------- jobs

    def _submit(self, source: Source, kind: str, asked: Mapping[str, Any]) -> Steps[Job]:
        with opened([source], asked.get("sample_rate")) as uploads:
            request = Request("POST", "/v1/jobs", fields=fields({**asked, "kind": kind}), again=False)
            reply = yield from self._ask(request, uploads)
        return (yield from self._read(reply, lambda content: answers.job_of(content, uploads[0].path)))

    def _job(self, job: Job | str, method: str = "GET") -> Steps[Job]:
        number, path = (job.id, job.path) if isinstance(job, Job) else (job, None)
        reply = yield from self._ask(Request(method, f"/v1/jobs/{quote(number, safe='')}", again=method == "GET"))
        return (yield from self._read(reply, lambda content: answers.job_of(content, path)))

    def _wait(self, job: Job | str, progress: Callable[[Job], object] | None, seconds: float | None) -> Steps[Job]:
        end = None if seconds is None else time.monotonic() + seconds
        pause = _FIRST_LOOK
        while True:
            found = yield from self._job(job)
            if progress is not None:
                progress(found)
            if found.is_over:
                break
            if end is not None and time.monotonic() + pause > end:
                raise ServiceError(f"The job {found.id} is {found.state} after {seconds:g} s: wait for it again later.")
            yield Wait(pause)
            pause = min(1.5 * pause, _LONGEST_LOOK)
        if found.state == "failed":
            raise ServiceError(f"The job {found.id} failed: {found.error}")
        if found.state == "done" and found.format != "json":
            reply = yield from self._ask(Request("GET", f"/v1/jobs/{found.id}/result"))
            return replace(found, result=reply.body.decode("utf-8"))
        return found


def listed(source: Source | Iterable[Source], recursive: bool) -> Iterable[Source | Prediction] | None:
    """Return the recordings of a collection or a folder; None if `source` is one recording."""
    found = many(source)
    if found is None and isinstance(source, (str, os.PathLike)) and os.path.isdir(source):  # noqa: PTH112 - bad names
        from serkit.recognition.inputs import scan

        return scan(Path(source), recursive)
    return found


def fields(asked: Mapping[str, Any]) -> dict[str, str]:
    """Return options as fields of a form; what is None is left out.

    Examples
    --------
    >>> fields({"labels": {"sad": "sad", "calm": "sad"}, "strict": True, "channel": 2, "model": None})
    {'labels': 'sad,calm=sad', 'strict': 'true', 'channel': '2'}
    """
    return dict(_given(asked))


def _given(asked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in asked.items():
        if value is None or name == "sample_rate":
            continue
        if name == "labels" and isinstance(value, Mapping):
            yield name, ",".join(label if label == into else f"{label}={into}" for label, into in value.items())
        elif name == "labels" and not isinstance(value, str):
            yield name, ",".join(value)
        elif name == "profile":
            yield name, value.to_json()
        else:
            yield name, str(value).lower() if isinstance(value, bool) else str(value)


def _timeline_of(upload: Upload) -> Callable[[Any], Timeline]:
    def made(content: Any) -> Timeline:
        from serkit.recognition.tracks import Timeline

        found = Timeline.from_dict(content)
        error = found.error if found.error is None else upload.told(found.error)
        return replace(found, path=upload.path, error=error)

    return made
