"""Measures of one clip and of many, to download as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import streamlit as st

from serkit.app.clips import Clip, all_uploaded, opened
from serkit.app.words import plain
from serkit.recognition.csv_text import cell, csv_line
from serkit.recognition.feature_rows import FRAME_COLUMNS, ROW_COLUMNS, FeatureRow, measure
from serkit.terminal import printable

__all__ = ["as_csv", "download_one", "show"]


def as_csv(rows: Iterable[FeatureRow], *, frames: bool = False) -> bytes:
    """Return what ``ser features --csv`` writes for these rows, or, with ``frames``, for each of their frames."""
    cells: list[Iterable[Any]] = [FRAME_COLUMNS if frames else ROW_COLUMNS]
    for row in rows:
        cells += row.frames() if frames else [row.to_dict().values()]
    return "".join(csv_line(map(cell, one)) for one in cells).encode("utf-8", "surrogateescape")


def download_one(row: FeatureRow) -> None:
    """Offer the measures of one clip, and those of each of its frames."""
    with st.container(horizontal=True):
        st.download_button("Download CSV", as_csv([row]), "features.csv", on_click="ignore", key="feature csv")
        st.download_button(
            "Download CSV of frames", as_csv([row], frames=True), "frames.csv", on_click="ignore", key="feature frames"
        )


def show() -> None:
    """Draw the part of the page that measures many clips."""
    st.header("Many clips")
    st.markdown("All measures of each clip as a row of one CSV, as `ser features --csv` writes it.")
    files = st.file_uploader("Recordings, or a zip of them", accept_multiple_files=True, key="feature uploads")
    clips = all_uploaded(files)
    if not clips:
        return
    bar = st.progress(0.0)
    rows = _rows(clips, lambda done: bar.progress(done / len(clips), text=f"{done} of {len(clips)}"))
    bar.empty()
    failed = [row for row in rows if row.error is not None]
    silent = sum(row.error is None and not row.voiced for row in rows)
    st.caption(f"{len(rows) - len(failed)} measured, {silent} of them without speech, {len(failed)} could not be read.")
    for row in failed[:10]:
        st.error(plain(f"{row.path}: {row.error}"))
    shown = {"pitch": "pitch, Hz", "hnr": "HNR, dB", "jitter": "jitter, %", "shimmer": "shimmer, %"}
    table = [row for row in rows if row.error is None]
    st.dataframe(
        {
            "file": [printable(row.path or "") for row in table],
            **{title: [row.to_dict()[name] for row in table] for name, title in shown.items()},
        },
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * max(len(table), 1), 300),
        key="feature table",
    )
    st.download_button(
        "Download CSV of all", as_csv(rows), "features.csv", on_click="ignore", key="feature csv of all", type="primary"
    )


def _rows(clips: list[Clip], progress: Callable[[int], None]) -> list[FeatureRow]:
    """Measure the clips; those that were measured before in the session are not measured again."""
    known: dict[str, FeatureRow] = st.session_state.get("feature rows", {})
    missing = [clip for clip in clips if clip.key not in known]
    found = {clip.key: known[clip.key] for clip in clips if clip.key in known}
    for done, (clip, row) in enumerate(zip(missing, measure(map(opened, missing)), strict=True), start=1):
        kept = row.found and replace(row.found, times=row.found.times[:0], rows={})  # the frames of all would be much
        found[clip.key] = replace(row, path=clip.name, found=kept)
        progress(len(clips) - len(missing) + done)
    st.session_state["feature rows"] = found
    return [found[clip.key] for clip in clips]
