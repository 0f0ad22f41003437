"""``ser timeline --annotate``: a transcript is written again with the emotion of each line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from serkit import terminal
from serkit.cli.options import check_output
from serkit.cli.recording_progress import RecordingProgress

if TYPE_CHECKING:
    from serkit.recognition.recognizer import Recognizer

__all__ = ["run_annotate"]


def run_annotate(
    recognizer: Recognizer,
    recording: str,
    transcript: Path,
    out: str | None,
    *,
    force: bool,
    strict: bool,
    min_confidence: float | None,
    **asked: Any,
) -> int:
    """Write the transcript of a recording again, with emotions; return the exit code."""
    from serkit.files import write_atomic
    from serkit.recognition.long_recording import make_timeline
    from serkit.recognition.subtitles import line_answers, read_transcript

    read = read_transcript(transcript)
    if out not in (None, "-"):
        check_output(str(out), force=force)
    with RecordingProgress(recording) as progress:
        found = make_timeline(recognizer, recording, strict=strict, progress=progress, min_confidence=0.0, **asked)
    if found.error is None:
        read.check(found.duration)
    text = read.write(line_answers(found, read.lines, recognizer.least(min_confidence)))
    if out in (None, "-"):
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_atomic(text, str(out))
    if found.error is not None:
        said = terminal.printable(found.error)
        typer.echo(f"ser: {said} Lines after {found.duration:.2f} s have no emotion.", err=True)
        return 1
    return 0
