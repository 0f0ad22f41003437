"""A timeline as one HTML file: waveform, strips of emotion, a player that a click moves, shares, all segments."""

from __future__ import annotations

import base64
import contextlib
import io
import tempfile
from collections.abc import Iterable
from html import escape
from importlib import resources
from inspect import signature
from pathlib import PurePath
from string import Template
from types import TracebackType
from typing import IO, Any

import numpy as np
import soundfile as sf

from serkit._version import __version__
from serkit.audio.speech_frames import FrameResampler
from serkit.emotions import UNNAMED, colour
from serkit.recognition.prediction import Prediction
from serkit.recognition.track_formats import said
from serkit.recognition.tracks import Timeline
from serkit.terminal import printable
from serkit.waiting import clock

__all__ = ["MOST_SOUND", "Sound", "timeline_page"]

#: The longest recording whose sound is put into the page, s; for a longer one, the page asks for the file.
MOST_SOUND = 3600.0

_RATE = 16000  # Hz, of the sound in the page
#: MP3 of 40 kbit/s throughout, where soundfile can write it.
_MP3: dict[str, Any] = (
    {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": 0.8}
    if "MP3" in sf.available_formats() and "bitrate_mode" in signature(sf.SoundFile).parameters
    else {}
)
_HATCH = "url(#unsure)"  # the template's pattern, where no emotion is named
_COLUMNS = 1600  # of the waveform
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)  # s


class Sound:
    """Keeps a recording as small as a page needs it, while it is read: mono, 16 kHz, MP3 or Ogg Vorbis.

    An hour of MP3 takes 18 MB. All its seconds take the same number of bytes: browsers find a moment in MP3 of varying
    bitrate only roughly, up to 18 s off in an hour.

    Parameters
    ----------
    most : float
        The longest recording that is kept, s.
    on_disk : bool
        Whether it is kept in a temporary file until :meth:`data` is called, or in memory.

    Examples
    --------
    >>> with Sound() as sound:
    ...     sound.add(np.zeros((16000, 1), np.float32), 16000)
    ...     kind, data = sound.data()
    >>> kind in ("audio/mpeg", "audio/ogg"), len(data) > 100
    (True, True)
    """

    def __init__(self, most: float = MOST_SOUND, *, on_disk: bool = True) -> None:
        self._most = most
        self._on_disk = on_disk
        self._seconds = 0.0
        self._stack = contextlib.ExitStack()
        self._resampler: FrameResampler | None = None
        self._kind = "audio/mpeg" if _MP3 else "audio/ogg"

    def __enter__(self) -> Sound:
        self._file: IO[bytes] = self._stack.enter_context(tempfile.TemporaryFile() if self._on_disk else io.BytesIO())
        how = _MP3 or {"format": "OGG", "subtype": "VORBIS"}
        self._sink: sf.SoundFile | None = self._stack.enter_context(sf.SoundFile(self._file, "w", _RATE, 1, **how))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, block: np.ndarray, rate: int) -> None:
        """Add the next samples, shape (n, channels); nothing more is kept once they are too many."""
        self._seconds += len(block) / rate
        if self._sink is None or self._seconds > self._most:
            return
        if self._resampler is None:
            self._resampler = FrameResampler(rate, _RATE)
        mono = block.mean(axis=1, dtype=np.float64).astype(np.float32)
        self._sink.write(np.clip(self._resampler.feed(mono), -1, 1))

    def data(self) -> tuple[str, bytes]:
        """Return the type and the bytes of the file, no bytes if the recording is too long; no more can be added."""
        if self._sink is not None:
            if self._resampler is not None and self._seconds <= self._most:
                self._sink.write(np.clip(self._resampler.finish(), -1, 1))
            self._sink.close()
            self._sink = None
        if self._seconds > self._most:
            return self._kind, b""
        self._file.seek(0)
        return self._kind, self._file.read()


def timeline_page(timeline: Timeline, sound: tuple[str, bytes] = ("", b"")) -> str:
    """Return the page. It loads nothing; its only script moves the player.

    Parameters
    ----------
    timeline : Timeline
    sound : (str, bytes)
        Type and content of the sound, as :meth:`Sound.data` gives it. Without any, the page asks for the file.
    """
    template = resources.files("serkit.recognition").joinpath("timeline_template.html").read_text(encoding="utf-8")
    name = PurePath(timeline.path).name if timeline.path not in (None, "-") else "A recording"
    kind, data = sound
    source = f'src="data:{kind};base64,{base64.b64encode(data).decode("ascii")}"' if data else ""
    tracks = f" · {len(timeline.tracks)} tracks" if len(timeline.tracks) > 1 else ""
    return Template(template).substitute(
        version=escape(__version__),
        heading=_text(name),
        subtitle=_text(f"{clock(timeline.duration)} · model {timeline.model}{tracks}"),
        error=f'<p class="error">{_text(timeline.error)} What comes before is answered.</p>' if timeline.error else "",
        player=f'<audio id="player" controls preload="metadata" {source}></audio>',
        ask="hidden" if data else "",
        duration=repr(timeline.duration),
        waveform=_waveform(timeline.outline),
        strips="".join(_strip(timeline, k) for k in range(len(timeline.tracks))),
        ticks=_ticks(timeline.duration),
        legend=_legend(timeline),
        shares="".join(_shares(timeline, k) for k in range(len(timeline.tracks))),
        who='<th scope="col">who</th>' if _named(timeline) else "",
        rows=_rows(timeline),
        model=_text(timeline.model),
    )


def _named(timeline: Timeline) -> bool:
    return any(track.name is not None for track in timeline.tracks)


def _waveform(outline: np.ndarray) -> str:
    if not len(outline):
        return ""
    step = -(-len(outline) // _COLUMNS)
    starts = np.arange(0, len(outline), step)
    low, high = np.minimum.reduceat(outline[:, 0], starts), np.maximum.reduceat(outline[:, 1], starts)
    peak = max(float(np.abs(outline).max()), 0.01)
    places = (starts + step / 2) / len(outline) * 1000
    path = "".join(
        f"M{x:.1f} {50 - 48 * b / peak:.1f}V{50 - 48 * a / peak + 0.4:.1f}"
        for x, a, b in zip(places.tolist(), low.tolist(), high.tolist(), strict=True)
    )
    return f'<path class="trace" d="{path}"/>'


def _strip(timeline: Timeline, index: int) -> str:
    track, total = timeline.tracks[index], max(timeline.duration, 1e-9)
    bars = "".join(
        f'<rect x="{1000 * part.start / total:.2f}" width="{max(1000 * (part.end - part.start) / total, 0.2):.2f}" '
        f'y="0" height="10" fill="{_hue(part) or _HATCH}" data-t="{part.start:.3f}"><title>{_says(part)}</title></rect>'
        for part in track.speech
    )
    label = f'<div class="side">{_text(track.name)}</div>' if track.name else '<div class="side"></div>'
    how = 'role="img" aria-label="Segments" viewBox="0 0 1000 10" preserveAspectRatio="none"'
    return f'{label}<svg class="strip" {how} data-seek>{bars}</svg>'


def _ticks(duration: float) -> str:
    step = next((step for step in _STEPS if duration / step < 9), _STEPS[-1])
    total = max(duration, 1e-9)
    return "".join(
        f'<span style="left:{100 * step * k / total:.2f}%">{clock(step * k)}</span>'
        for k in range(int(duration / step) + 1)
    )


def _legend(timeline: Timeline) -> str:
    used = {part.answer for part in timeline.segments if part.speech}
    names = [*(label for label in timeline.labels if label in used), *(["unsure"] if "unsure" in used else [])]
    items = [f"<span>{_dot(_colour(name, timeline.labels))}{_text(name)}</span>" for name in names]
    return "".join([*items, '<span><i class="none"></i>no speech</span>'])


def _shares(timeline: Timeline, index: int) -> str:
    track, labels = timeline.tracks[index], timeline.labels
    found = sorted(timeline.shares(index).items(), key=lambda item: -item[1])
    bars = "".join(
        f"<span>{_text(name)}</span><i>{_bar(share, _colour(name, labels))}</i><span>{100 * share:.0f} %</span>"
        for name, share in found
        if share > 0
    )
    who = f"<h3>{_text(track.name)}</h3>" if track.name else ""
    spoken = f"<p>{clock(track.seconds)} of speech in {clock(timeline.duration)}</p>"
    return f'<div>{who}{spoken}<div class="shares">{bars}</div></div>'


def _rows(timeline: Timeline) -> str:
    named = _named(timeline)
    rows = []
    for track, part in timeline.rows():
        if not part.speech:
            continue
        who = f"<td>{_text(track or '')}</td>" if named else ""
        sure = f"{100 * part.confidence:.0f} %" if part.confidence is not None else ""
        rows.append(
            f'<tr tabindex="0" data-t="{part.start:.3f}"><td>{clock(part.start, tenths=True)}</td>'
            f"<td>{clock(part.end, tenths=True)}</td>{who}"
            f"<td>{_dot(_hue(part))}{_text(part.answer)}</td><td>{sure}</td>"
            f"<td>{_text(', '.join(part.warnings))}</td></tr>"
        )
    return "".join(rows)


def _says(part: Prediction) -> str:
    return _text(f"{clock(part.start, tenths=True)} to {clock(part.end, tenths=True)}: {said(part)}")


def _hue(part: Prediction) -> str | None:
    return _colour(part.answer, part.probabilities) if part.emotion is not None else None


def _colour(name: str, labels: Iterable[str]) -> str | None:
    return None if name in UNNAMED else colour(name, labels)


def _dot(hue: str | None) -> str:
    return '<i class="unsure"></i>' if hue is None else f'<i style="background:{hue}"></i>'


def _bar(share: float, hue: str | None) -> str:
    width = f"width:{100 * share:.1f}%"
    return f'<b class="unsure" style="{width}"></b>' if hue is None else f'<b style="{width};background:{hue}"></b>'


def _text(text: str | None) -> str:
    return escape(printable(text or ""))
