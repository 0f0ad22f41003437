"""Predictions as rows for people and programs: table, JSON, CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

from serkit.emotions import colour
from serkit.recognition.csv_text import CsvFile, cell
from serkit.recognition.prediction import Prediction
from serkit.terminal import printable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

__all__ = [
    "CsvWriter",
    "JsonWriter",
    "columns",
    "confidence_bar",
    "csv_cells",
    "flat_row",
    "to_json",
    "to_table",
]


_FIRST = (
    *("path", "start", "end", "channel", "emotion", "confidence", "familiarity", "unsure", "speech", "error"),
    "warnings",
)
_NO_COLOUR = "#8C8C8C"  # of the bar where no emotion is named


def to_json(predictions: Iterable[Prediction], *, top: int | None = None) -> str:
    """Return a JSON list of rows, in ASCII; floats read back to the same value.

    Parameters
    ----------
    predictions : iterable of Prediction
    top : int, optional
        Keep the `top` highest probabilities of each row, highest first.
    """
    rows = [_json_row(prediction, top) for prediction in predictions]
    return json.dumps(rows, indent=2)


def _json_row(prediction: Prediction, top: int | None) -> dict[str, Any]:
    row = prediction.to_dict()
    return row if top is None else {**row, "probabilities": dict(prediction.top(top))}


class JsonWriter:
    """Print what :func:`to_json` returns to standard output, each row at once: nothing is kept in memory.

    Parameters
    ----------
    top : int, optional
        As for :func:`to_json`.
    """

    def __init__(self, *, top: int | None = None) -> None:
        self._top = top
        self._before = "[\n"

    def __enter__(self) -> JsonWriter:
        return self

    def write(self, *predictions: Prediction) -> None:
        """Print a row for each."""
        for prediction in predictions:
            row = indent(json.dumps(_json_row(prediction, self._top), indent=2), "  ")
            print(f"{self._before}{row}", end="", flush=True)
            self._before = ",\n"

    def __exit__(self, *raised: object) -> None:
        print("[]" if self._before == "[\n" else "\n]", flush=True)


def to_table(
    predictions: Iterable[Prediction],
    *,
    top: int,
    unicode: bool = True,
    show_affect: bool = False,
    labelled: bool = True,
    dimensions: Sequence[str] = (),
) -> Table:
    """Return a rich table: file, emotion in its colour, confidence bar, probabilities. Failures are left out.

    Where the model is unsure, the emotion reads ``unsure`` and the bar has no emotion's colour. Channels and warnings
    have columns if a row has any; with `show_affect`, so do derived valence and arousal. The model's `dimensions`
    always have columns; emotion and confidence do if it is `labelled`.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD if unicode else box.ASCII2, show_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    answered = [prediction for prediction in predictions if prediction.error is None]
    show_channel = any(prediction.channel is not None for prediction in answered)
    show_warnings = any(prediction.warnings for prediction in answered)
    table.add_column("file", overflow="fold")
    if show_channel:
        table.add_column("channel", no_wrap=True)
    if labelled:
        table.add_column("emotion", no_wrap=True)
        table.add_column("confidence", no_wrap=True)
        table.add_column("probabilities", overflow="fold")
    for name in dimensions:
        table.add_column(printable(name), justify="right", no_wrap=True)
    if show_affect:
        table.add_column("valence (derived)", justify="right", no_wrap=True)
        table.add_column("arousal (derived)", justify="right", no_wrap=True)
    if show_warnings:
        table.add_column("warnings")
    for prediction in answered:
        name = printable(prediction.path or "-")
        if not unicode:
            name = name.encode("ascii", "backslashreplace").decode("ascii")
        first = [Text(name), *([Text(prediction.channel or "")] if show_channel else [])]
        remarks = [Text(", ".join(prediction.warnings), style="yellow")] if show_warnings else []
        numbers = [Text(_short(prediction.dimensions.get(name))) for name in dimensions]
        if not labelled:
            if not prediction.dimensions:
                numbers[0] = Text(prediction.answer, style="dim")
            table.add_row(*first, *numbers, *([Text("")] * 2 if show_affect else []), *remarks)
            continue
        if prediction.confidence is None:
            gap = [Text("")] * (2 + len(numbers) + (2 if show_affect else 0))
            table.add_row(*first, Text(prediction.answer, style="dim"), *gap, *remarks)
            continue
        known = prediction.emotion is not None
        hue = _NO_COLOUR if prediction.emotion is None else colour(prediction.emotion, prediction.probabilities)
        table.add_row(
            *first,
            Text(printable(prediction.answer), style=f"bold {hue}" if known else "dim"),
            confidence_bar(prediction.confidence, hue, unicode=unicode),
            Text("  ".join(f"{printable(label)} {value:.2f}" for label, value in prediction.top(top))),
            *numbers,
            *(map(_signed, (prediction.valence, prediction.arousal)) if show_affect else ()),
            *remarks,
        )
    return table


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _signed(value: float | None) -> Text:
    from rich.text import Text

    return Text("" if value is None else f"{value:+.2f}")


def confidence_bar(value: float, style: str, *, width: int = 10, unicode: bool = True) -> Text:
    """Return a bar of `width` cells for a value in [0, 1], and the value in per cent.

    Examples
    --------
    >>> print(confidence_bar(0.72, "red"))
    ███████░░░  72 %
    """
    from rich.text import Text

    full, empty = ("█", "░") if unicode else ("#", ".")
    cells = round(width * min(max(value, 0.0), 1.0))
    return Text.assemble((full * cells, style), (empty * (width - cells), "dim"), f" {100 * value:3.0f} %")


def columns(labels: Sequence[str]) -> list[str]:
    """Name the columns of CSV and Parquet, one of them for each label and dimension of the model."""
    derived = ["derived_valence", "derived_arousal"]
    return [*_FIRST, *labels, *derived]


def flat_row(prediction: Prediction, labels: Sequence[str]) -> dict[str, Any]:
    """Return a prediction by column; None where there is nothing to say."""
    p = prediction
    return {
        "path": p.path,
        "start": p.start,
        "end": p.end,
        "channel": p.channel,
        "emotion": p.emotion,
        "confidence": p.confidence,
        "familiarity": p.familiarity,
        "unsure": p.unsure,
        "speech": p.speech,
        "error": p.error,
        "warnings": "+".join(p.warnings) or None,
        **{name: p.probabilities.get(name, p.dimensions.get(name)) for name in labels},
        "derived_valence": p.valence,
        "derived_arousal": p.arousal,
    }


def csv_cells(prediction: Prediction, labels: Sequence[str]) -> list[Any]:
    """Return :func:`flat_row` for CSV: true and false in lower case, nothing for None, text made safe."""
    return [cell(value) for value in flat_row(prediction, labels).values()]


class CsvWriter(CsvFile):
    """Write predictions as CSV, one by one.

    The columns: ``path,start,end,channel,emotion,confidence,familiarity,unsure,speech,error,warnings,<label>...,
    <dimension>...,derived_valence,derived_arousal``; warnings are joined by ``+``.

    Parameters
    ----------
    target, force
        As for :class:`serkit.recognition.csv_text.CsvFile`.
    labels : sequence of str
        The model's labels, then its dimensions, a column each (:attr:`serkit.Recognizer.columns`).
    """

    def __init__(self, target: str | Path, labels: Sequence[str], *, force: bool = False) -> None:
        super().__init__(target, columns(labels), force=force)
        self._labels = list(labels)

    def write(self, *predictions: Prediction) -> None:
        """Write a row for each; a full disk is a SerkitError."""
        self.write_rows(flat_row(prediction, self._labels).values() for prediction in predictions)
