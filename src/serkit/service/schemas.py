"""What the service takes and gives, as types: they are what /openapi.json says."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AdaptOptions",
    "Answers",
    "EnrolOptions",
    "Job",
    "JobOptions",
    "Model",
    "Models",
    "PredictOptions",
    "ProblemDetails",
    "ProfileContent",
    "Row",
    "TimelineContent",
    "TimelineOptions",
]

_ROW: dict[str, Any] = {
    "path": "clip.wav",
    "start": 0.0,
    "end": 2.4,
    "channel": None,
    "emotion": "angry",
    "confidence": 0.91,
    "dimensions": {},
    "familiarity": 0.62,
    "unsure": False,
    "speech": True,
    "error": None,
    "warnings": [],
    "probabilities": {"angry": 0.91, "happy": 0.06, "neutral": 0.03},
    "derived": {"valence": -0.48, "arousal": 0.74},
}


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, max_length=200, description="One of /v1/models; by default the first.")
    channel: str = Field("auto", max_length=20, description="auto, mix, left, right, each, or a number from 1.")


class _Answering(_Options):
    min_confidence: float | None = Field(None, ge=0, le=1, description="Less sure answers name no emotion.")
    labels: str | None = Field(
        None, max_length=2000, description="Answer among these labels: `neutral,happy,sad,calm=neutral`."
    )
    profile: str | None = Field(
        None, max_length=1 << 20, description="Content of a profile, the JSON that /v1/enrol or /v1/adapt returned."
    )
    strict: bool = Field(False, description="Refuse truncated recordings instead of answering what is there.")


class PredictOptions(_Answering):
    """Options of /v1/predict."""

    explain: bool = Field(False, description="Add what moved each answer; takes about 40 times as long.")


class TimelineOptions(_Answering):
    """Options of /v1/timeline."""

    format: Literal["json", "csv", "srt", "vtt", "textgrid", "eaf", "rttm", "html"] = Field(
        "json", description="What to return."
    )
    window: float | None = Field(None, gt=0, le=600, description="Length of a window in long utterances, s.")
    pause: float = Field(0.24, ge=0.1, le=5, description="The shortest silence that ends an utterance, s.")
    smooth: bool = Field(True, description="Smooth the answers within an utterance.")


class EnrolOptions(_Options):
    """Options of /v1/enrol."""


class AdaptOptions(_Options):
    """Options of /v1/adapt."""

    strict: bool = Field(False, description="Leave out truncated recordings.")


class JobOptions(TimelineOptions):
    """Options of /v1/jobs."""

    kind: Literal["timeline", "predict"] = Field("timeline", description="What to do with the recording.")


class Derived(BaseModel):
    """The place of an answer on the affect plane, derived from the probabilities."""

    valence: float | None
    arousal: float | None


class Segment(BaseModel):
    """The answer for a stretch of a recording."""

    start: float
    end: float
    channel: str | None
    emotion: str | None
    confidence: float | None
    familiarity: float | None
    unsure: bool
    speech: bool | None
    warnings: list[str]
    probabilities: dict[str, float]
    dimensions: dict[str, float]
    derived: Derived


class Stretch(BaseModel):
    """How much a stretch of time moved an answer."""

    start: float
    end: float
    effect: float


class Band(BaseModel):
    """How much a band of frequencies moved an answer."""

    low: float
    high: float
    effect: float


class ExplanationContent(BaseModel):
    """What moved an answer, as ``ser explain --json`` says it, without what the row has already."""

    emotion: str
    probability: float
    stretches: list[Stretch]
    bands: list[Band]


class Row(Segment):
    """The answer for a recording, or for a channel of it: a row of ``ser predict --json``."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ROW]})

    path: str | None
    error: str | None
    explanation: ExplanationContent | None = None
    explanation_error: str | None = None


class Answers(BaseModel):
    """The answers of /v1/predict, in the order of the files."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "default 4.0", "labels": ["angry", "happy", "neutral"], "rows": [_ROW]}]})  # fmt: skip  # noqa: E501

    model: str
    labels: list[str]
    rows: list[Row]


class TrackContent(BaseModel):
    """What was said on one channel."""

    name: str | None
    speech_seconds: float
    shares: dict[str, float]
    segments: list[Segment]


class TimelineContent(BaseModel):
    """Emotion over time in a recording, as ``ser timeline --json`` says it, and the labels."""

    path: str | None
    duration: float
    model: str
    labels: list[str]
    error: str | None
    tracks: list[TrackContent]


class ProfileContent(BaseModel):
    """A profile of a voice or a place, as ``ser enrol`` and ``ser adapt`` write it."""

    format: int
    kind: Literal["voice", "place"]
    model: str
    version: str
    model_sha256: str
    mean: list[float]
    deviation: list[float]
    utterances: int
    seconds: float
    created: str


class Model(BaseModel):
    """A model that is served."""

    name: str
    default: bool
    model: str
    version: str
    description: str
    labels: list[str]
    dimensions: dict[str, dict[str, float]]
    sample_rate: int
    min_seconds: float
    max_seconds: float
    min_confidence: float | None
    adapts: bool
    licence: str
    created: str
    sha256: str


class Models(BaseModel):
    """The models that are served."""

    models: list[Model]


class Job(BaseModel):
    """A recording that is answered in the background."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "Zx1c0N5q3vUO0o4mJ1r9dA",
                    "kind": "timeline",
                    "format": "json",
                    "state": "running",
                    "progress": 0.4,
                    "seconds": 720.0,
                    "created": "2025-01-31T12:00:00Z",
                    "finished": None,
                    "expires": None,
                    "error": None,
                    "result": None,
                }
            ]
        }
    )

    id: str
    kind: Literal["timeline", "predict"]
    format: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: float | None = Field(description="In [0, 1]; null where the recording does not say how long it is.")
    seconds: float = Field(description="Seconds of sound that were answered.")
    created: str
    finished: str | None
    expires: str | None = Field(description="When it is removed.")
    error: str | None
    result: Answers | TimelineContent | None = Field(description="Of a job with the format json that is done.")


class Health(BaseModel):
    """Whether the service runs, or can answer."""

    status: Literal["live", "ready"]


class Reason(BaseModel):
    """A value that is wrong."""

    name: str
    reason: str


class ProblemDetails(BaseModel):
    """An error as RFC 9457 describes it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Service Unavailable",
                    "status": 503,
                    "detail": "All threads are busy and the queue is full: try again.",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    errors: list[Reason] | None = Field(None, description="Of 422: the values that are wrong.")
    error: str | None = Field(None, description="Of 422: the exception of the library, as `AudioError`.")
    rows: list[Row] | None = Field(None, description="Of 422, if no recording could be answered: why.")
