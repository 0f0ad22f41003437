"""Timelines on standard output: a table with the shares of the emotions, or JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from serkit import terminal

if TYPE_CHECKING:
    from rich.table import Table

    from serkit.recognition.tracks import Timeline

__all__ = ["Printer", "share_lines", "timeline_table"]


class Printer(contextlib.AbstractContextManager["Printer"]):
    """Prints timelines as they come: JSON, tables, or nothing if they go to files."""

    def __init__(self, as_json: bool, to_files: bool, *, many: bool) -> None:
        self._json, self._silent, self._many = as_json, to_files and not as_json, many
        self._before = "[\n"

    def put(self, timeline: Timeline) -> None:
        if self._json:
            import json
            from textwrap import indent

            text = indent(json.dumps(timeline.to_dict(), indent=2), "  ")
            print(f"{self._before}{text}", end="", flush=True)
            self._before = ",\n"
        elif not self._silent:
            console = terminal.console()
            if self._many:
                console.print(terminal.printable(timeline.path or "-"), style="bold")
            unicode = console.encoding.lower().startswith("utf")
            console.print(timeline_table(timeline, unicode=unicode))
            for line in share_lines(timeline):
                console.print(line)
            if self._many:
                console.print()

    def __exit__(self, *raised: object) -> None:
        if self._json:
            print("[]" if self._before == "[\n" else "\n]", flush=True)


def timeline_table(timeline: Timeline, *, unicode: bool = True) -> Table:
    """Return a rich table of what is speech: from, to, who, emotion in its colour, confidence bar, warnings."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from serkit.emotions import colour
    from serkit.recognition.rows import confidence_bar
    from serkit.recognition.track_formats import stamp

    rows = [(track, part) for track, part in timeline.rows() if part.speech]
    table = Table(
        box=box.SIMPLE_HEAD if unicode else box.ASCII2, show_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    named, warned = any(track for track, _ in rows), any(part.warnings for _, part in rows)
    for name in ("from", "to", *(["who"] if named else []), "emotion", "confidence", *(["warnings"] if warned else [])):
        table.add_column(name, no_wrap=True)
    for track, part in rows:
        hue = colour(part.emotion, part.probabilities) if part.emotion is not None else "#8C8C8C"
        style = f"bold {hue}" if part.emotion is not None else "dim"
        table.add_row(
            Text(stamp(part.start, ".")),
            Text(stamp(part.end, ".")),
            *([Text(terminal.printable(track or ""))] if named else []),
            Text(terminal.printable(part.answer), style=style),
            confidence_bar(part.confidence or 0.0, hue, unicode=unicode),
            *([Text(", ".join(part.warnings), style="yellow")] if warned else []),
        )
    return table


def share_lines(timeline: Timeline) -> Iterator[str]:
    """Say how much speech there is, and the share of each emotion in it, a line for each track."""
    from serkit.waiting import duration

    for k, track in enumerate(timeline.tracks):
        found = sorted(timeline.shares(k).items(), key=lambda item: -item[1])
        parts = ", ".join(f"{terminal.printable(name)} {100 * share:.0f} %" for name, share in found if share > 0)
        who = f"{terminal.printable(track.name)}: " if track.name is not None else ""
        spoken = f"{duration(track.seconds)} of speech in {duration(timeline.duration)}"
        yield f"{who}{spoken}: {parts}" if parts else f"{who}no speech in {duration(timeline.duration)}"
