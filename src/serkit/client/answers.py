"""What a service answers -> the library's objects and exceptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from serkit._version import __version__
from serkit.client.steps import Reply
from serkit.client.uploads import Upload
from serkit.errors import AudioError, BundleError, FeatureError, ProfileError, SerkitError, ServiceError, TruncatedError
from serkit.recognition.prediction import Prediction

__all__ = ["Job", "ServedModel", "failed", "job_of", "model_of", "parsed", "rows_of"]

_T = TypeVar("_T")
_ERRORS: dict[str, type[SerkitError]] = {
    kind.__name__: kind for kind in (SerkitError, AudioError, TruncatedError, FeatureError, BundleError, ProfileError)
}


@dataclass(frozen=True)
class ServedModel:
    """A model that a service answers with.

    Attributes
    ----------
    name : str
        What to ask for it by.
    default : bool
        Whether it answers if none is asked for.
    model, version, description, licence, created : str
    labels : tuple of str
    dimensions : dict
        Numbers that it answers, each with the ends of the ratings that it learned from: ``low`` and ``high``.
    sample_rate : int
        Hz.
    min_seconds, max_seconds : float
        The shortest and the longest input at once, s.
    min_confidence : float or None
        Its own limit, below which no emotion is named.
    adapts : bool
        Whether it adapts to voices and places.
    sha256 : str
        Of its ``model.onnx``; a profile works with this model alone.
    """

    name: str
    default: bool
    model: str
    version: str
    description: str
    labels: tuple[str, ...]
    dimensions: dict[str, dict[str, float]]
    sample_rate: int
    min_seconds: float
    max_seconds: float
    min_confidence: float | None
    adapts: bool
    licence: str
    created: str
    sha256: str


@dataclass(frozen=True)
class Job:
    """A recording that a service answers in the background.

    Attributes
    ----------
    id : str
    kind : {"timeline", "predict"}
    format : str
        Of the result.
    state : {"waiting", "running", "done", "failed", "cancelled"}
    progress : float or None
        The share that has been heard, in [0, 1]; None where the recording does not say how long it is.
    seconds : float
        Seconds of sound that have been answered.
    created : str
        ISO 8601, as the other dates.
    finished, expires : str or None
        When it was finished, and when it is removed.
    error : str or None
        Why it failed.
    result : Timeline, list of Prediction, str or None
        Of a job that is done, and was waited for if its format is not JSON.
    path : str or None
        The file, as it was given to this client.
    """

    id: str
    kind: str
    format: str
    state: str
    progress: float | None
    seconds: float
    created: str
    finished: str | None
    expires: str | None
    error: str | None
    result: Any = None
    path: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self.state not in ("waiting", "running")


def model_of(content: Mapping[str, Any]) -> ServedModel:
    """Return one of the models of /v1/models."""
    given = {name: content[name] for name in ServedModel.__dataclass_fields__}
    return ServedModel(**{**given, "labels": tuple(given["labels"])})


def rows_of(content: Mapping[str, Any], upload: Upload | None) -> list[Prediction]:
    """Return the rows of /v1/predict for one recording."""
    found = []
    for row in map(Prediction.from_dict, content["rows"]):
        error = row.error if upload is None or row.error is None else upload.told(row.error)
        found.append(replace(row, path=None if upload is None else upload.path, error=error))
    if not found:
        raise ValueError("no rows")
    return found


def job_of(content: Mapping[str, Any], path: str | None = None) -> Job:
    """Return a job as /v1/jobs shows it."""
    names = [name for name in Job.__dataclass_fields__ if name not in ("result", "path")]
    return Job(**{name: content[name] for name in names}, result=_result(content, path), path=path)


def _result(content: Mapping[str, Any], path: str | None) -> Any:
    result = content.get("result")
    if result is None:
        return None
    if content["kind"] == "predict":
        return [replace(row, path=path) for row in rows_of(result, None)]
    from serkit.recognition.tracks import Timeline

    return replace(Timeline.from_dict(result), path=path)


def parsed(reply: Reply, make: Callable[[Any], _T]) -> _T | None:
    """Return what `make` returns for the content of an answer; None if it is not what this client knows."""
    try:
        return make(reply.json())
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def failed(reply: Reply, address: str, key: str | None, uploads: Sequence[Upload] = ()) -> SerkitError:
    """Return the exception for an answer that is an error."""
    problem = parsed(reply, dict) if reply.kind == "application/problem+json" else None
    if problem is None or "detail" not in problem:
        what = f"with {reply.status} and {reply.kind or 'no type of content'}"
        return ServiceError(f"{address} answers {what}, so it is no ser serve: check the address.", status=reply.status)
    detail = str(problem["detail"])
    for upload in uploads:
        detail = upload.told(detail)
    if reply.status == 401:
        does = "needs a key" if key is None else "does not know this key, or no longer"
        return ServiceError(f"{address} {does}: give key=... with one that it knows.", status=401)
    kind = _ERRORS.get(str(problem.get("error")))
    return kind(detail) if kind is not None else ServiceError(detail, status=reply.status)


def other_version(reply: Reply, address: str, version: str | None) -> ServiceError:
    """Return the exception for an answer that this client does not know."""
    theirs = f"serkit {version}" if version else "another version of serkit"
    return ServiceError(
        f"The answer of {address} is not what this client expects: the service runs {theirs}, this is {__version__}; "
        "install the same.",
        status=reply.status,
    )
