"""Sound that is answered while it comes: ``ser timeline -``, and what ``ser listen`` shares with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from serkit import terminal
from serkit.cli.timeline_files import Outputs
from serkit.errors import SerkitError

if TYPE_CHECKING:
    from serkit.recognition.prediction import Prediction
    from serkit.recognition.recognizer import Recognizer
    from serkit.recognition.stream import Event, Stream
    from serkit.recognition.tracks import Timeline

__all__ = ["LiveAnswers", "answer_pipe"]


class LiveAnswers:
    """Feeds a stream, prints its events as they come, and makes the timeline of it all at the end.

    Parameters
    ----------
    recognizer : Recognizer
    sample_rate : int
        Hz.
    channels : int
        Channels of the chunks.
    as_json : bool
        Print a line of JSON for each event; otherwise a line of text for each final segment.
    silent : bool
        Print no text.
    partial, tell_partial : bool
        Find partial answers, and print them too.
    before : callable
        Called before something is printed.
    asked
        Options of :class:`serkit.Stream`.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        sample_rate: int,
        channels: int,
        *,
        as_json: bool,
        silent: bool = False,
        partial: bool = False,
        tell_partial: bool = True,
        before: Callable[[], object] = lambda: None,
        **asked: Any,
    ) -> None:
        from serkit.audio.channels import every_channel
        from serkit.recognition.stream import Stream
        from serkit.recognition.tracks import Outline

        self._recognizer, self._channels = recognizer, channels
        self._each = asked.get("channel") == "each"
        self._json, self._silent = as_json, silent
        self._tell_partial, self._before = tell_partial, before
        self.stream: Stream = Stream(recognizer, sample_rate=sample_rate, partial=0.5 if partial else None, **asked)
        self._outline = Outline(sample_rate)
        names = [choice.name for choice in every_channel(channels)] if asked.get("channel") == "each" else []
        self._parts: dict[str | None, list[Prediction]] = {name: [] for name in names}

    def feed(self, chunk: np.ndarray) -> list[Event]:
        """Answer a chunk, print what was found, and return it."""
        self.stream.feed(chunk)
        if len(chunk):
            self._outline.add(chunk)
        return self._told()

    def finish(self, error: str | None = None) -> Timeline:
        """End the stream, print what is left, and return the timeline."""
        from serkit.recognition.tracks import Timeline, Track

        self.stream.finish()
        self._told()
        manifest = self._recognizer.manifest
        several = len(self._parts) > 1
        tracks = tuple(Track(name if several else None, tuple(parts)) for name, parts in self._parts.items())
        return Timeline(
            "-",
            self.stream.seconds,
            f"{manifest.name} {manifest.version}",
            self._recognizer.labels,
            tracks,
            error,
            self._outline.values(),
        )

    def _told(self) -> list[Event]:
        found = list(self.stream.events())
        for event in found:
            if event.kind != "partial":
                self._parts.setdefault(event.segment.channel, []).append(event.segment)
            elif not self._tell_partial:
                continue
            self._before()
            if self._json:
                print(json.dumps(event.to_dict()), flush=True)
            elif not self._silent and event.kind != "silence":
                print(line(event, with_channel=self._each), flush=True)
        return found


def line(event: Event, *, with_channel: bool = False) -> str:
    """Say an event on one line."""
    from serkit.recognition.track_formats import said, stamp

    part = event.segment
    who = f"  {part.channel}" if with_channel and part.channel else ""
    remarks = f"  ({', '.join(part.warnings)})" if part.warnings else ""
    so_far = " so far" if event.kind == "partial" else ""
    return f"{stamp(part.start, '.')}  {stamp(part.end, '.')}{who}  {terminal.printable(said(part))}{so_far}{remarks}"


def answer_pipe(
    recognizer: Recognizer,
    outputs: Outputs,
    *,
    rate: int | None,
    as_json: bool,
    partial: bool,
    printed: bool,
    **asked: Any,
) -> int:
    """Answer standard input while it comes; return the exit code."""
    from serkit.audio.live_pcm import Rest, open_live

    if sys.stdin is None:
        raise SerkitError(
            "Standard input is closed: pipe sound in, as in ffmpeg -i call.mp3 -f wav - | ser timeline -."
        )
    pcm = open_live(sys.stdin.buffer, rate)
    if isinstance(pcm, Rest):
        return _as_a_whole(recognizer, pcm, outputs, as_json=as_json, printed=printed, **asked)
    error: str | None = None
    interrupted = False
    with outputs, outputs.sound() as sound:
        live = LiveAnswers(
            recognizer, pcm.rate, pcm.channels, as_json=as_json, silent=not printed, partial=partial, **asked
        )
        try:
            for chunk in pcm.chunks():
                live.feed(chunk)
                sound.add(chunk, pcm.rate)
        except SerkitError as reason:
            error = str(reason)
        except KeyboardInterrupt:
            interrupted = True
        found = live.finish(error)
        outputs.write("-", found, sound)
    if printed and not as_json:
        _shares([found])
    if error is not None:
        typer.echo(f"ser: {terminal.printable(error)} The first {found.duration:.2f} s are answered.", err=True)
    if interrupted:
        typer.echo(f"ser: interrupted after {found.duration:.2f} s; they are answered.", err=True)
        return 130
    if not found.duration:
        raise SerkitError("Standard input holds no sound.")
    return 1 if error is not None else 0


def _as_a_whole(
    recognizer: Recognizer, rest: Any, outputs: Outputs, *, as_json: bool, printed: bool, **asked: Any
) -> int:
    """Answer what cannot be read while it comes, such as MP3: it is copied first."""
    from serkit.audio.spool import spool
    from serkit.recognition.long_recording import make_timeline

    typer.echo("ser: standard input is not WAV, so it is read to its end first.", err=True)
    with spool(rest, "standard input") as copy, outputs, outputs.sound() as sound:
        found = replace(make_timeline(recognizer, copy, on_block=sound.add, **asked), path="-")
        outputs.write("-", found, sound)
    for track in found.tracks:
        for part in track.segments:
            _tell(part, as_json=as_json, printed=printed)
    if printed and not as_json:
        _shares([found])
    if found.error is not None:
        typer.echo(f"ser: {terminal.printable(found.error)} The first {found.duration:.2f} s are answered.", err=True)
    return 1 if found.error is not None else 0


def _tell(part: Prediction, *, as_json: bool, printed: bool) -> None:
    from serkit.recognition.stream import Event

    event = Event("final" if part.speech else "silence", part)
    if as_json:
        print(json.dumps(event.to_dict()), flush=True)
    elif printed and part.speech:
        print(line(event), flush=True)


def _shares(timelines: Iterable[Timeline]) -> None:
    from serkit.cli.timeline_shown import share_lines

    lines: Iterator[str] = (text for timeline in timelines for text in share_lines(timeline))
    for text in lines:
        print(text, flush=True)
