"""The table of segments: a click plays one, and the labels and times can be corrected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from serkit.app.corrections import Edited, corrected
from serkit.app.words import plain
from serkit.errors import SerkitError
from serkit.recognition.prediction import Prediction
from serkit.recognition.tracks import Timeline
from serkit.terminal import printable
from serkit.waiting import clock

__all__ = ["corrected_before", "show", "wanted"]

_KEPT = "long corrected"  # of each recording and its settings: the timeline as corrected
_HEIGHT = 340


def corrected_before(timeline: Timeline, place: str) -> Timeline:
    """Return the timeline as the user has corrected it, if so.

    Parameters
    ----------
    timeline : Timeline
        As the model gave it.
    place : str
        The recording and its settings.
    """
    kept: Timeline = st.session_state.get(_KEPT, {}).get(place, timeline)
    return kept


def wanted(place: str) -> tuple[int, float]:
    """Return how often a row was chosen, and the start of the last one, s."""
    found: tuple[int, float] = st.session_state.get("long seek", {}).get(place, (0, 0.0))
    return found


def show(before: Timeline, timeline: Timeline, place: str) -> Timeline:
    """Draw the table, and return the timeline with the corrections in it.

    Parameters
    ----------
    before, timeline : Timeline
        As the model gave it; as corrected so far.
    place : str
        The recording and its settings.
    """
    rows = [(k, part) for k, track in enumerate(timeline.tracks) for part in track.speech]
    rows.sort(key=lambda row: (row[1].start, row[0]))
    st.header(f"{len(rows)} segments" if len(rows) != 1 else "One segment")
    if not st.toggle("Correct", key=f"correct {place}", help="Change emotions and times, add and remove segments."):
        st.session_state.pop("long base", None)
        _table(timeline, rows, place)
    else:
        timeline = _editor(timeline, rows, place)
    if timeline is not before:
        changed = "Corrected segments are in all downloads; where a person named the emotion, there is no confidence."
        st.caption(changed)
        st.button("Undo all corrections", on_click=_undo, args=(place,), key="long undo")
    return timeline


def _undo(place: str) -> None:
    st.session_state[_KEPT].pop(place, None)
    st.session_state.pop("long base", None)


def _table(timeline: Timeline, rows: Sequence[tuple[int, Prediction]], place: str) -> None:
    def chosen() -> None:
        cells = st.session_state[key]["selection"]["cells"]
        if cells:
            count, _ = wanted(place)
            st.session_state["long seek"] = {place: (count + 1, rows[cells[0][0]][1].start)}

    key = f"segments {place}"
    columns = _columns(timeline, rows)
    warnings = [", ".join(part.warnings) for _, part in rows]
    st.dataframe(
        columns if not any(warnings) else {**columns, "warnings": warnings},
        column_config=_SURE,
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * max(len(rows), 1), _HEIGHT),
        key=key,
        on_select=chosen,
        selection_mode="single-cell",
    )


def _editor(timeline: Timeline, rows: Sequence[tuple[int, Prediction]], place: str) -> Timeline:
    """The table to edit begins with what was when the switch was put on, so that its rows keep their numbers."""
    base: tuple[str, int, list[tuple[int, Prediction]]] | None = st.session_state.get("long base")
    if base is None or base[0] != place:
        base = (place, st.session_state.get("long edits", 0) + 1, list(rows))
        st.session_state["long base"], st.session_state["long edits"] = base, base[1]
    _, number, begun = base
    names = [printable(track.name or "") for track in timeline.tracks]
    used = [part.answer for _, part in begun]
    options = list(dict.fromkeys([*timeline.labels, "unsure", *used]))
    edited = st.data_editor(
        pd.DataFrame(_columns(timeline, begun)),
        column_config={
            **_SURE,
            "start": st.column_config.TextColumn(required=True),
            "end": st.column_config.TextColumn(required=True),
            "emotion": st.column_config.SelectboxColumn(options=options, required=True),
            "who": st.column_config.SelectboxColumn(options=names, required=True),
        },
        disabled=["confidence"],
        hide_index=True,
        num_rows="dynamic",
        width="stretch",
        height=min(73 + 35 * max(len(begun), 1), _HEIGHT),
        key=f"correct segments {number}",
    )
    try:
        after = corrected(timeline, _edited(edited, begun, names))
    except SerkitError as error:
        st.error(plain(f"{error} Until then, the downloads keep the previous segments."))
        return timeline
    if after != timeline:
        st.session_state.setdefault(_KEPT, {})[place] = after
        st.rerun()  # the player is above
    return timeline


_SURE = {"confidence": st.column_config.ProgressColumn(format="%.0f %%", min_value=0.0, max_value=100.0)}


def _columns(timeline: Timeline, rows: Sequence[tuple[int, Prediction]]) -> dict[str, list[Any]]:
    named = len(timeline.tracks) > 1
    return {
        "start": [clock(part.start, tenths=True) for _, part in rows],
        "end": [clock(part.end, tenths=True) for _, part in rows],
        **({"who": [printable(timeline.tracks[k].name or "") for k, _ in rows]} if named else {}),
        "emotion": [part.answer for _, part in rows],
        "confidence": [None if part.confidence is None else 100 * part.confidence for _, part in rows],
    }


def _edited(table: pd.DataFrame, begun: Sequence[tuple[int, Prediction]], names: Sequence[str]) -> list[Edited]:
    """The rows as they are now; one that is not filled in yet is skipped."""
    found = []
    for number, row in zip(table.index, table.to_dict("records"), strict=True):
        texts = [row["start"], row["end"], row["emotion"]]
        if not all(isinstance(text, str) and text for text in texts):
            continue
        track = names.index(row["who"]) if row.get("who") in names else 0
        part = begun[number][1] if isinstance(number, int) and number < len(begun) else None
        found.append(Edited(part if part and begun[number][0] == track else None, track, *texts))
    return found
