"""The page for many clips: a table to sort, filter and play, a summary, and downloads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from serkit.app import batch_report, batch_table, channel, charts, labels, pictures, place, share, trained, truth
from serkit.app.batch_table import Row
from serkit.app.chosen_model import least
from serkit.app.clips import Clip, all_uploaded, answers
from serkit.app.share import Shared
from serkit.app.words import plain
from serkit.emotions import colour
from serkit.recognition.prediction import Prediction
from serkit.recognition.recognizer import Recognizer

__all__ = ["counts", "show"]

_OTHERS = ("unsure", "no speech")


def show(model: str, recognizer: Recognizer) -> None:
    """Draw the page."""
    files = st.file_uploader("Recordings, or a zip of them", accept_multiple_files=True, key="uploads")
    if not files:
        st.caption("Drop as many as you like. An unreadable file does not stop the others.")
        return
    clips = all_uploaded(files)
    if not clips:
        return
    profile = place.choose(model, recognizer, clips, channel.asked("many"))
    bar = st.progress(0.0)
    found = answers(
        "many",
        model,
        recognizer,
        clips,
        profile=profile,
        channel=channel.asked("many"),
        progress=lambda done: bar.progress(done / len(clips), text=f"{done} of {len(clips)}"),
    )
    bar.empty()
    pairs = [(clip, row.at_least(least())) for clip, rows in zip(clips, found, strict=True) for row in rows]
    channel.choose_for_many("many", clips, [row for _, row in pairs])
    failed = [(clip, row) for clip, row in pairs if row.error is not None]
    _failures(failed, len(clips))
    answered = [(clip, row) for clip, row in pairs if row.error is None]
    names = recognizer.labels
    if not answered:
        _downloads(recognizer, [Row(clip, row) for clip, row in pairs], None)
        return
    named = truth.by_name(tuple(row.path or "" for _, row in answered))
    trained.warn(recognizer.bundle, list(dict.fromkeys(clip for clip, _ in answered)), named)
    given = labels.known(answered, named)
    rows = [Row(clip, row, label) for (clip, row), label in zip(answered, given, strict=True)]
    passed, shown = batch_table.filters(rows, [label for label, n in counts(_of(rows), names).items() if n])
    batch_table.show(shown, len(rows), names)
    comparison = labels.score(_of(passed), [row.label for row in passed], names)
    _distribution(_of(shown), recognizer)
    if len(shown) < len(rows):
        st.caption(f"The charts above and the downloads below cover the {len(shown)} filtered answers.")
        _downloads(recognizer, shown, comparison)
        return
    by_key = {(row.clip.key, row.answer.channel): row for row in rows}
    everything = [by_key.get((clip.key, row.channel)) or Row(clip, row) for clip, row in pairs]
    _downloads(recognizer, everything, comparison)
    wanted = channel.asked("many")
    share.show(Shared("recordings", model, least(), wanted, profile is not None, kind="clips"))


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
    return {**found, **{name: others[name] for name in _OTHERS if others[name]}}


def _distribution(rows: Sequence[Prediction], recognizer: Recognizer) -> None:
    given = counts(rows, recognizer.labels)
    left, right = st.columns(2, gap="medium")
    with left:
        st.header("Emotions")
        draw = pictures.pie if st.toggle("As a pie", key="many pie") else pictures.distribution
        charts.draw(draw(given), "distribution")
    with right:
        st.header("Confidence")
        sure = [row.confidence for row in rows if row.confidence is not None]
        charts.draw(pictures.confidences(sure), "confidences")
        st.caption("Number of answers by confidence.")


def _downloads(recognizer: Recognizer, rows: Sequence[Row], comparison: truth.Comparison | None) -> None:
    names, manifest = recognizer.labels, recognizer.manifest
    found = _of(rows)
    given = [row.label for row in rows]
    left, middle, right = st.columns(3)
    left.download_button(
        "Download CSV",
        batch_report.as_csv(found, names, given),
        "emotions.csv",
        "text/csv",
        on_click="ignore",
        width="stretch",
    )
    middle.download_button(
        "Download JSON",
        batch_report.as_json(found, given),
        "emotions.json",
        "application/json",
        on_click="ignore",
        width="stretch",
    )
    answered = [row for row in found if row.error is None]
    page = batch_report.page(
        found,
        {name: (n, colour(name, names) if name in names else "") for name, n in counts(answered, names).items()},
        model=f"{manifest.name} {manifest.version}",
        comparison=comparison,
        given=given,
    )
    right.download_button("Download HTML", page, "emotions.html", "text/html", on_click="ignore", width="stretch")


def _of(rows: Sequence[Row]) -> list[Prediction]:
    return [row.answer for row in rows]


def _failures(failed: Sequence[tuple[Clip, Prediction]], total: int) -> None:
    """Draw the clips that could not be answered, each once."""
    once = {clip.key: row for clip, row in failed}
    if once:
        lines = "\n".join(f"- {plain(_reason(row))}" for row in once.values())
        st.error(f"{len(once)} of {total} could not be answered:\n\n{lines}")


def _reason(row: Prediction) -> str:
    """Return the error, with the file name in front if the error does not name it."""
    name, error = row.path or "", row.error or ""
    return error if name in error else f"{name}: {error}"
