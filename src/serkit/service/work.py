"""What is done with recordings, in a thread: the calls of the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event
from typing import Any

from serkit.audio import check_channel
from serkit.audio.bounded import Most
from serkit.errors import AudioError, SerkitError
from serkit.recognition.prediction import Prediction
from serkit.recognition.profile import Profile
from serkit.recognition.recognizer import Recognizer
from serkit.recognition.sources import failure
from serkit.service import traces
from serkit.service.problems import Problem
from serkit.service.schemas import PredictOptions, TimelineOptions
from serkit.service.uploads import Upload

__all__ = ["MEDIA_TYPES", "adapted", "answers", "enrolled", "profile_of", "timeline"]

#: What /v1/timeline returns for each format.
MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "textgrid": "text/plain; charset=utf-8",
    "eaf": "application/xml",
    "rttm": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
}


class Stopped(AudioError):
    """Nobody waits for the answer any more."""


def answers(
    recognizer: Recognizer, uploads: Sequence[Upload], asked: PredictOptions | TimelineOptions, most: Most, stop: Event
) -> dict[str, Any]:
    """Answer recordings one after the other.

    Raises
    ------
    Problem
        422 if none could be answered; it says why for each.
    """
    answering = recognizer.among(asked.labels)
    least = answering.least(asked.min_confidence)
    channel, profile = check_channel(asked.channel, each=True), profile_of(answering, asked.profile)
    explain = isinstance(asked, PredictOptions) and asked.explain
    rows: list[dict[str, Any]] = []
    kinds: list[str] = []
    for upload in uploads:
        if stop.is_set():
            raise Stopped("The answer is no longer needed.")
        bounded = upload.bounded(most)
        try:
            with traces.recording(bounded):
                found = answering.listen(bounded, stop=stop, profile=profile, strict=asked.strict, channel=channel)
            given = [replace(heard.answer, path=upload.name).at_least(least) for heard in found]
        except Exception as error:  # if one recording fails, the others are still answered
            given = [replace(failure(None, error), path=upload.name)]
            kinds.append(type(error).__name__ if isinstance(error, SerkitError) else "AudioError")
        for answer in given:
            more = _explanation(answering, upload, answer, profile, most) if explain and answer.error is None else {}
            rows.append({**answer.to_dict(), **more})
    if all(row["error"] is not None for row in rows):
        says = rows[0]["error"]
        raise Problem(
            422,
            says if len(rows) == 1 else f"None of {len(rows)} recordings can be answered: {says}",
            error=kinds[0],
            rows=rows,
        )
    return {"model": _called(recognizer), "labels": list(answering.labels), "rows": rows}


def _explanation(
    recognizer: Recognizer, upload: Upload, answer: Prediction, profile: Profile | None, most: Most
) -> dict[str, Any]:
    try:
        channel = check_channel(answer.channel or "mix")
        found = recognizer.explain(upload.bounded(most), profile=profile, channel=channel).to_dict()
    except SerkitError as error:
        return {"explanation": None, "explanation_error": str(error)}
    kept = ("emotion", "probability", "stretches", "bands")
    return {"explanation": {name: found[name] for name in kept}, "explanation_error": None}


def timeline(
    recognizer: Recognizer,
    upload: Upload,
    asked: TimelineOptions,
    most: Most,
    stop: Event,
    progress: Callable[[float], object] = bool,
) -> dict[str, Any] | str:
    """Return the timeline of a recording: what JSON says, or the text of another format."""
    from serkit.recognition.long_recording import make_timeline
    from serkit.recognition.timeline_page import Sound, timeline_page
    from serkit.recognition.track_formats import FORMATS, to_csv

    answering = recognizer.among(asked.labels)

    def heard(seconds: float) -> None:
        if stop.is_set():
            raise Stopped("The answer is no longer needed.")
        progress(seconds)

    def make(**more: Any) -> Any:
        bounded = upload.bounded(most)
        with traces.recording(bounded):
            found = make_timeline(
                answering,
                bounded,
                channel=check_channel(asked.channel, each=True),
                window=asked.window,
                pause=asked.pause,
                smooth=asked.smooth,
                min_confidence=asked.min_confidence,
                profile=profile_of(answering, asked.profile),
                strict=asked.strict,
                progress=heard,
                **more,
            )
        return replace(found, path=upload.name)

    if asked.format == "html":
        with Sound() as sound:
            return timeline_page(make(on_block=sound.add), sound.data())
    found = make()
    if asked.format == "json":
        return {**found.to_dict(), "labels": list(found.labels)}
    return to_csv([found]) if asked.format == "csv" else FORMATS[asked.format][1](found)


def enrolled(recognizer: Recognizer, uploads: Sequence[Upload], channel: str, most: Most, stop: Event) -> str:
    """Return the profile of a voice, as a file of it reads."""
    from serkit.recognition.enrol import enrol

    sources = [upload.bounded(most) for upload in uploads]
    heard: Any = check_channel(channel)
    return enrol(recognizer, *sources, channel=heard, stop=stop).to_json()


def adapted(
    recognizer: Recognizer, uploads: Sequence[Upload], channel: str, strict: bool, most: Most, stop: Event
) -> tuple[str, int]:
    """Return the profile of a place, and how many recordings failed and are not in it."""
    from serkit.recognition.adapt import Adaptation

    made = Adaptation(recognizer)
    left_out = 0
    sources = [upload.bounded(most) for upload in uploads]
    for rows in made.hear(sources, channel=check_channel(channel, each=True), workers=1, strict=strict, stop=stop):
        if stop.is_set():
            raise Stopped("The answer is no longer needed.")
        left_out += any(row.error is not None for row in rows)
    return made.profile().to_json(), left_out


def profile_of(recognizer: Recognizer, text: str | None) -> Profile | None:
    """Read a profile from its JSON, for this model."""
    if text is None:
        return None
    profile = Profile.from_json(text.encode("utf-8", "surrogateescape"), name="profile")
    recognizer.check_profile(profile)
    return profile


def _called(recognizer: Recognizer) -> str:
    return f"{recognizer.manifest.name} {recognizer.manifest.version}"
