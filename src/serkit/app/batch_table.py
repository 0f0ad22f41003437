"""The table of many clips: filters, rows to choose, and a card with the sound of the chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from serkit.app import charts, labels, pictures
from serkit.app.clips import Clip
from serkit.app.words import headline, plain, remarks
from serkit.recognition.prediction import Prediction
from serkit.terminal import printable

__all__ = ["Row", "chosen", "filters", "show"]


@dataclass(frozen=True)
class Row:
    """An answer on the page.

    Attributes
    ----------
    clip : Clip
    answer : Prediction
    label : str or None
        The true label, if it is known.
    """

    clip: Clip
    answer: Prediction
    label: str | None = None

    @property
    def wrong(self) -> bool:
        """Whether the label is known and another emotion, or none, was answered."""
        return self.label is not None and self.answer.emotion != self.label


@dataclass(frozen=True)
class _Filters:
    name: str
    wanted: list[str]
    confidence: float
    wrong: bool


def filters(rows: Sequence[Row], answers: Sequence[str]) -> tuple[list[Row], list[Row]]:
    """Draw the filters, and return the rows that pass all but *Wrong only*, then those that pass that one too.

    Parameters
    ----------
    rows : sequence of Row
    answers : sequence of str
        What to choose among.
    """
    left, middle, right = st.columns([2, 3, 2], vertical_alignment="bottom")
    name = left.text_input("Name contains", key="filter name")
    wanted = middle.multiselect("Answer", answers, key="filter answer")
    confidence = right.slider("At least", 0, 95, 0, 5, format="%d %%", key="filter confidence") / 100
    passed = chosen(rows, name, wanted, confidence)
    if not any(row.label for row in rows) or not st.toggle("Wrong only", key="filter wrong"):
        return passed, passed
    return passed, [row for row in passed if row.wrong]


def chosen(rows: Sequence[Row], name: str, wanted: Sequence[str], confidence: float) -> list[Row]:
    """Return the rows whose path contains `name`, with an answer among `wanted` (any if empty) that is confident
    enough.

    An answer without a confidence (no speech) passes only if no confidence is required.
    """
    return [
        row
        for row in rows
        if name.strip().lower() in (row.answer.path or "").lower()
        and (not wanted or row.answer.answer in wanted)
        and (confidence == 0 or (row.answer.confidence is not None and row.answer.confidence >= confidence))
    ]


def show(shown: Sequence[Row], total: int, names: Sequence[str]) -> None:
    """Draw the table, and below it the chosen row.

    Parameters
    ----------
    shown : sequence of Row
    total : int
        Rows without filters.
    names : sequence of str
        The labels of the model.
    """
    st.caption(f"{len(shown)} of {total} answers. Click a row to hear it, a heading to sort.")
    event = st.dataframe(
        _columns(shown),
        column_config={
            "confidence": st.column_config.ProgressColumn(format="%.0f %%", min_value=0.0, max_value=100.0),
            "seconds": st.column_config.NumberColumn(format="%.1f", width="small"),
        },
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * max(len(shown), 1), 400),
        key="table",
        on_select="rerun",
        selection_mode="single-cell",
    )
    picked = [row for row, _ in event["selection"]["cells"] if row < len(shown)]
    if picked:
        _card(shown[picked[0]], names)


def _card(row: Row, names: Sequence[str]) -> None:
    with st.container(border=True):
        st.markdown(f"**{plain(row.answer.path or '')}**")
        left, right = st.columns(2, gap="medium", vertical_alignment="center")
        with left:
            st.html(headline(row.answer))
            st.audio(row.clip.read(), format=row.clip.mime)
            if told := remarks(row.answer):
                st.caption(plain(told))
            labels.edit(row.clip, row.label, names)
        if row.answer.probabilities:
            charts.draw(pictures.bars(row.answer.probabilities), "row bars", place=right)


def _columns(shown: Sequence[Row]) -> dict[str, list[object]]:
    """The table by columns; those for labels, channels and warnings only where a row has any."""
    answers = [row.answer for row in shown]
    columns: dict[str, list[object]] = {
        "file": [printable(one.path or "") for one in answers],
        "emotion": [one.answer for one in answers],
        "confidence": [None if one.confidence is None else 100 * one.confidence for one in answers],
    }
    if any(row.label for row in shown):
        columns["label"] = [row.label or "" for row in shown]
        columns["right"] = ["" if row.label is None else "✗" if row.wrong else "✓" for row in shown]
    columns["seconds"] = [one.end for one in answers]
    told = {"channel": [one.channel or "" for one in answers], "warnings": [", ".join(one.warnings) for one in answers]}
    return columns | {name: list(cells) for name, cells in told.items() if any(cells)}
