"""Transcripts with times, written again with the emotion of each line: SRT, WebVTT and the JSON of Whisper."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serkit.errors import SerkitError
from serkit.files import parse_json
from serkit.recognition.prediction import Prediction
from serkit.recognition.tracks import Timeline

__all__ = ["Transcript", "line_answers", "read_transcript"]

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_CUE = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}")
_SLACK = 0.5  # s; a line may begin this much after the recording


@dataclass(frozen=True)
class Transcript:
    """A transcript with times.

    Attributes
    ----------
    name : str
        The file, for messages.
    lines : tuple of (float, float)
        Start and end of each line, s.
    write : callable
        Given an answer for each line, returns the text of the file with them.
    """

    name: str
    lines: tuple[tuple[float, float], ...]
    write: Callable[[Sequence[Prediction]], str]

    def check(self, duration: float) -> None:
        """Raise SerkitError if a line begins after the recording has ended."""
        late = max((start for start, _ in self.lines), default=0.0)
        if late > duration + _SLACK:
            raise SerkitError(
                f"{self.name} has a line at {late:.2f} s, but the recording lasts {duration:.2f} s: it belongs to "
                "another recording."
            )


def read_transcript(path: str | os.PathLike[str]) -> Transcript:
    """Read SRT, WebVTT, or JSON as Whisper, faster-whisper, WhisperX and whisper.cpp write it; the content decides.

    Raises
    ------
    SerkitError
        If it cannot be read, or holds no lines with times.
    """
    shown = f"'{os.fspath(path)}'"
    try:
        data = Path(path).read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise SerkitError(f"Cannot read {shown}: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise SerkitError(f"{shown} is not text in UTF-8: save it as UTF-8 first.") from None
    found = _json(text, shown) if text.lstrip()[:1] in ("{", "[") else _cues(text, shown)
    if not found.lines:
        raise SerkitError(f"{shown} holds no lines with times: give SRT, WebVTT or the JSON of Whisper.")
    for start, end in found.lines:
        if not 0 <= start <= end:
            raise SerkitError(f"{shown} has a line from {start:g} to {end:g} s, which makes no sense.")
    return found


def line_answers(timeline: Timeline, lines: Sequence[tuple[float, float]], min_confidence: float) -> list[Prediction]:
    """Return the answer for each line: the mean of the segments that it overlaps, weighted by the time they share.

    Parameters
    ----------
    timeline : Timeline
    lines : sequence of (float, float)
        Start and end, s.
    min_confidence : float
        In [0, 1]. A less confident answer names no emotion.

    Returns
    -------
    list of Prediction
        A line in which nobody speaks is ``"no speech"``.
    """
    parts = [part for part in timeline.segments if part.speech]
    starts = np.array([part.start for part in parts])
    reach = np.maximum.accumulate(np.array([part.end for part in parts])) if parts else starts
    found = []
    for start, end in lines:
        first, last = np.searchsorted(reach, start, side="right"), np.searchsorted(starts, end)
        shared = [(min(part.end, end) - max(part.start, start), part) for part in parts[first:last]]
        shared = [(time, part) for time, part in shared if time > 0]
        if not shared:
            found.append(Prediction(None, start, end, None, None, {}, speech=False))
            continue
        table = np.array([list(part.probabilities.values()) for _, part in shared])
        mean = np.average(table, axis=0, weights=[time for time, _ in shared]).tolist()
        values = dict(zip(timeline.labels, mean, strict=True))
        best = max(values, key=values.__getitem__)
        answer = Prediction(None, start, end, best, values[best], values, speech=True)
        found.append(answer.at_least(min_confidence))
    return found


def _cues(text: str, shown: str) -> Transcript:
    """SRT or WebVTT: the emotion goes in front of the text, all else stays as it is."""
    lines = text.splitlines(keepends=True)
    times, places = [], []
    for k, line in enumerate(lines):
        match = _CUE.match(line)
        if match is not None:
            times.append((_seconds(match.groups()[:4]), _seconds(match.groups()[4:])))
            places.append(k + 1)

    def write(answers: Sequence[Prediction]) -> str:
        out = list(lines)
        for place, answer in zip(places, answers, strict=True):
            if place < len(out) and out[place].strip() and answer.speech:
                out[place] = f"[{answer.answer}] {out[place]}"
        return "".join(out)

    return Transcript(shown, tuple(times), write)


def _seconds(groups: Sequence[str | None]) -> float:
    hours, minutes, seconds, part = groups
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + int(seconds or 0) + int((part or "0").ljust(3, "0")) / 1000


def _json(text: str, shown: str) -> Transcript:
    try:
        data = parse_json(text.encode("utf-8"))
    except ValueError as error:
        raise SerkitError(f"{shown} is not JSON: {error}.") from None
    rows, milliseconds = _rows(data)
    try:
        times = tuple(
            (row["offsets"]["from"] / 1000, row["offsets"]["to"] / 1000)
            if milliseconds
            else (float(row["start"]), float(row["end"]))
            for row in rows
        )
    except (KeyError, TypeError, ValueError):
        raise SerkitError(f"{shown}: not every segment says when it starts and ends.") from None

    def write(answers: Sequence[Prediction]) -> str:
        for row, answer in zip(rows, answers, strict=True):
            row["emotion"] = answer.answer if answer.speech else None
            row["emotion_confidence"] = answer.confidence
            row["emotion_probabilities"] = answer.probabilities
        text = json.dumps(data, ensure_ascii=False, indent=2) + "\n"
        return text.encode("utf-8", "backslashreplace").decode("utf-8")  # half a character becomes its escape again

    return Transcript(shown, times, write)


def _rows(data: Any) -> tuple[list[Any], bool]:
    """The segments of a transcript, and whether their times are offsets in milliseconds."""
    if isinstance(data, dict):
        for key in ("segments", "transcription"):
            if isinstance(data.get(key), list):
                return data[key], key == "transcription"
        return [], False
    return (data, False) if isinstance(data, list) else ([], False)
