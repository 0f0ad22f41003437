"""The tab for many clips: a table, how the emotions are distributed, and the rows to take away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from serkit.app import pictures
from serkit.app.clips import answers, as_csv, as_json, uploaded
from serkit.app.words import plain
from serkit.output import printable
from serkit.prediction import Prediction
from serkit.recognizer import Recognizer

__all__ = ["counts", "show"]


def show(model: str, recognizer: Recognizer) -> None:
    """Draw the tab."""
    files = st.file_uploader("Recordings", accept_multiple_files=True, key="uploads")
    if not files:
        st.caption("Drop as many as you like. One that cannot be read does not stop the others.")
        return
    clips = [uploaded(file) for file in files]
    bar = st.progress(0.0)
    rows = answers(
        "many",
        model,
        recognizer,
        clips,
        progress=lambda done: bar.progress(done / len(clips), text=f"{done} of {len(clips)}"),
    )
    bar.empty()
    answered = [row for row in rows if row.error is None]
    if answered:
        _table(answered)
    _failures([row for row in rows if row.error is not None], len(rows))
    if answered:
        st.plotly_chart(
            pictures.distribution(counts(answered, recognizer.labels)),
            key="distribution",
            width="stretch",
            config={"displayModeBar": False},
        )
    left, right = st.columns(2)
    left.download_button(
        "CSV", as_csv(rows, recognizer.labels), "emotions.csv", "text/csv", on_click="ignore", width="stretch"
    )
    right.download_button(
        "JSON", as_json(rows), "emotions.json", "application/json", on_click="ignore", width="stretch"
    )


def counts(rows: Sequence[Prediction], labels: Sequence[str]) -> dict[str, int]:
    """Count answered recordings by emotion in the order of `labels`, then, if there are any, those without one.

    Examples
    --------
    >>> row = Prediction("a.wav", 0.0, 1.0, "sad", 0.9, {"happy": 0.1, "sad": 0.9}, speech=True)
    >>> counts([row, row, row.at_least(0.95)], ("happy", "sad"))
    {'happy': 0, 'sad': 2, 'unsure': 1}
    """
    found = {label: sum(row.emotion == label for row in rows) for label in labels}
    others = Counter(row.answer for row in rows if row.emotion is None)
    return {**found, **{name: others[name] for name in ("unsure", "no speech") if others[name]}}


def _table(rows: Sequence[Prediction]) -> None:
    st.dataframe(
        {
            "file": [printable(row.path or "") for row in rows],
            "emotion": [row.answer for row in rows],
            "confidence": [None if row.confidence is None else 100 * row.confidence for row in rows],
            "seconds": [row.end for row in rows],
        },
        column_config={
            "confidence": st.column_config.ProgressColumn(format="%.0f %%", min_value=0.0, max_value=100.0),
            "seconds": st.column_config.NumberColumn(format="%.1f", width="small"),
        },
        hide_index=True,
        width="stretch",
        key="table",
    )


def _failures(rows: Sequence[Prediction], total: int) -> None:
    if rows:
        lines = "\n".join(f"- {plain(_reason(row))}" for row in rows)
        st.error(f"{len(rows)} of {total} could not be answered:\n\n{lines}")


def _reason(row: Prediction) -> str:
    """The error, which names the file in most cases; else with the name before it."""
    name, error = row.path or "", row.error or ""
    return error if name in error else f"{name}: {error}"
