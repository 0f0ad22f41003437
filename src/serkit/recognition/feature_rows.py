"""What is measured in recordings, as rows for people and programs: one a recording, or one a frame of each."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

from serkit import audio
from serkit.audio import Channel, Source, check_channel
from serkit.errors import AudioError
from serkit.features import MEASURES, Description, describe
from serkit.features.described import ROWS
from serkit.recognition.in_parallel import answer_many
from serkit.recognition.prediction import Prediction, path_of
from serkit.terminal import printable

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["FRAME_COLUMNS", "LONGEST", "ROW_COLUMNS", "FeatureRow", "measure", "to_table"]

#: Seconds; a longer recording is refused, as its frames would not fit in memory.
LONGEST = 600.0

#: Columns of the table of recordings, and of that of frames.
ROW_COLUMNS = ("path", "duration", "channel", "speech", "error", "warnings", *MEASURES)
FRAME_COLUMNS = ("path", "time", *ROWS)


@dataclass(frozen=True)
class FeatureRow:
    """What was measured in a recording, or why nothing was.

    Attributes
    ----------
    path : str or None
        The file; None for what has no name.
    found : Description or None
        None if the recording failed.
    error : str or None
        Why it failed.
    channel : str or None
        The channel that was measured, where there are several.
    warnings : tuple of str
        ``truncated``: the recording breaks off.
    """

    path: str | None
    found: Description | None
    error: str | None = None
    channel: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def end(self) -> float:
        """How many seconds were measured."""
        return self.found.duration if self.found else 0.0

    @property
    def voiced(self) -> bool:
        """Whether there is anything to measure."""
        return self.found is not None and self.found.measures["voiced"] > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the row by column, :data:`ROW_COLUMNS`; None where nothing can be measured."""
        measures = self.found.measures if self.found else {}
        return {
            "path": self.path,
            "duration": round(self.found.duration, 3) if self.found else None,
            "channel": self.channel,
            "speech": self.found.speech if self.found else None,
            "error": self.error,
            "warnings": "+".join(self.warnings) or None,
            **{name: _digits(measures.get(name)) for name in MEASURES},
        }

    def frames(self) -> Iterator[list[Any]]:
        """Yield the cells of each frame, :data:`FRAME_COLUMNS`; none if the recording failed."""
        if self.found is not None:
            columns = [self.found.rows[name] for name in ROWS]
            for time, *values in zip(self.found.times, *columns, strict=True):
                yield [self.path, round(float(time), 4), *map(_digits, values)]

    def json(self) -> str:
        """Return the row as JSON, in ASCII."""
        return json.dumps(self.to_dict(), indent=2)


def measure(
    sources: Iterable[Source | Prediction | Callable[[], Source]],
    *,
    channel: Channel = "auto",
    strict: bool = False,
    workers: int | None = None,
) -> Iterator[FeatureRow]:
    """Measure recordings, a few at the same time, and yield a row for each, in order.

    Parameters
    ----------
    sources : iterable
        Recordings as for :func:`serkit.load_audio`, functions that return one, and the failures of
        :func:`serkit.recognition.inputs.find_inputs`.
    channel : {"auto", "mix", "left", "right"} or int
        Which channel to measure.
    strict : bool
        Whether a recording that breaks off fails; otherwise what could be read is measured.
    workers : int, optional
        Threads, by default one per core and at most four.

    Examples
    --------
    >>> (row,) = measure(["missing.wav"])
    >>> row.error
    "no such file or folder: 'missing.wav'."
    """
    wanted = check_channel(channel)

    def answer(source: Source, stop: Event) -> list[FeatureRow]:
        breaks: list[str] = []
        wave, heard = audio.load_chosen(
            source, duration=LONGEST + 1, channel=wanted, on_break=None if strict else breaks.append
        )
        if wave.duration > LONGEST:
            raise AudioError(f"It is longer than {LONGEST / 60:.0f} minutes, the most that is measured: cut it first.")
        return [FeatureRow(path_of(source), describe(wave), None, heard.name, ("truncated",) if breaks else ())]

    for (row,) in answer_many(answer, sources, workers):
        yield FeatureRow(row.path, None, row.error) if isinstance(row, Prediction) else row


def to_table(rows: Sequence[FeatureRow], *, unicode: bool = True) -> Table:
    """Return a rich table of the voice: file, pitch, range, jitter, shimmer, HNR, formants. Failures are left out."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD if unicode else box.ASCII2, show_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    table.add_column("file", overflow="fold")
    for heading, *_ in _SHOWN:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        if row.found is None:
            continue
        name = printable(row.path or "-")
        if not unicode:
            name = name.encode("ascii", "backslashreplace").decode("ascii")
        if not row.voiced:
            table.add_row(Text(name), Text("no speech", style="dim"))
            continue
        table.add_row(Text(name), *(Text(_shown(row.found.measures[key], form)) for _, key, form in _SHOWN))
    return table


_SHOWN = (
    ("voiced s", "voiced", ".2f"),
    ("pitch Hz", "pitch", ".0f"),
    ("range st", "pitch_range", ".1f"),
    ("jitter %", "jitter", ".2f"),
    ("shimmer %", "shimmer", ".1f"),
    ("HNR dB", "hnr", ".1f"),
    ("F1 Hz", "f1", ".0f"),
    ("F2 Hz", "f2", ".0f"),
    ("F3 Hz", "f3", ".0f"),
)


def _shown(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)


def _digits(value: float | None) -> float | None:
    """Six digits, as many as mean something; None for what is not known."""
    return None if value is None or math.isnan(value) else float(f"{value:.6g}")
