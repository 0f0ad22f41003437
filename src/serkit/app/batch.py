"""The page for many clips: a table to sort, filter and play, a summary, and downloads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from serkit.app import batch_report, channel, charts, pictures, place, sound_pictures, truth
from serkit.app.chosen_model import least
from serkit.app.clips import Clip, answers, as_csv, as_json, unpacked, uploaded
from serkit.app.words import headline, ink, plain, remarks
from serkit.emotions import colour
from serkit.errors import CorpusError
from serkit.recognition.prediction import Prediction
from serkit.recognition.recognizer import Recognizer
from serkit.terminal import printable

__all__ = ["chosen", "counts", "show"]

_OTHERS = ("unsure", "no speech")


def show(model: str, recognizer: Recognizer) -> None:
    """Draw the page."""
    files = st.file_uploader("Recordings, or a zip of them", accept_multiple_files=True, key="uploads")
    if not files:
        st.caption("Drop as many as you like. An unreadable file does not stop the others.")
        return
    clips: list[Clip] = []
    for file in files:
        inside, problem = unpacked(file) if file.name.lower().endswith(".zip") else ([uploaded(file)], None)
        clips += inside
        if problem is not None:
            st.error(plain(problem))
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
    rows = [row for _, row in pairs]
    channel.choose_for_many("many", clips, rows)
    _failures([row for row in rows if row.error is not None], len(rows))
    answered = [(clip, row) for clip, row in pairs if row.error is None]
    if answered:
        _table(answered, recognizer)
        _distribution([row for _, row in answered], recognizer)
    comparison = _truth(rows, recognizer) if answered else None
    _downloads(model, recognizer, rows, comparison)


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


def chosen(
    answered: Sequence[tuple[Clip, Prediction]], name: str, wanted: Sequence[str], confidence: float
) -> list[tuple[Clip, Prediction]]:
    """Return the clips whose path contains `name`, with an answer among `wanted` (any if empty) that is confident
    enough.

    An answer without a confidence (no speech) passes only if no confidence is required.
    """
    return [
        (clip, row)
        for clip, row in answered
        if name.strip().lower() in (row.path or "").lower()
        and (not wanted or row.answer in wanted)
        and (confidence == 0 or (row.confidence is not None and row.confidence >= confidence))
    ]


def _table(answered: Sequence[tuple[Clip, Prediction]], recognizer: Recognizer) -> None:
    given = counts([row for _, row in answered], recognizer.labels)
    left, middle, right = st.columns([2, 3, 2], vertical_alignment="bottom")
    name = left.text_input("Name contains", key="filter name")
    wanted = middle.multiselect("Answer", [label for label, n in given.items() if n], key="filter answer")
    confidence = right.slider("At least", 0, 95, 0, 5, format="%d %%", key="filter confidence") / 100
    shown = chosen(answered, name, wanted, confidence)
    st.caption(f"{len(shown)} of {len(answered)} answered. Select a row to play it; click a heading to sort.")
    event = st.dataframe(
        {
            "file": [printable(row.path or "") for _, row in shown],
            "emotion": [row.answer for _, row in shown],
            "confidence": [None if row.confidence is None else 100 * row.confidence for _, row in shown],
            "seconds": [row.end for _, row in shown],
            **_told(shown),
        },
        column_config={
            "confidence": st.column_config.ProgressColumn(format="%.0f %%", min_value=0.0, max_value=100.0),
            "seconds": st.column_config.NumberColumn(format="%.1f", width="small"),
        },
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * max(len(shown), 1), 400),
        key="table",
        on_select="rerun",
        selection_mode="single-row",
    )
    picked = [k for k in event["selection"]["rows"] if k < len(shown)]
    if picked:
        clip, row = shown[picked[0]]
        with st.container(border=True):
            st.markdown(f"**{plain(row.path or '')}**")
            left, right = st.columns(2, gap="medium", vertical_alignment="center")
            with left:
                st.html(headline(row))
                st.audio(clip.read(), format=clip.mime)
                st.caption(plain(remarks(row)))
            if row.probabilities:
                charts.draw(pictures.bars(row.probabilities), "row bars", place=right)


def _told(shown: Sequence[tuple[Clip, Prediction]]) -> dict[str, list[str]]:
    """Columns for channels and warnings, where a row has any."""
    channels = [row.channel or "" for _, row in shown]
    warnings = [", ".join(row.warnings) for _, row in shown]
    return {name: cells for name, cells in (("channel", channels), ("warnings", warnings)) if any(cells)}


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


def _truth(rows: Sequence[Prediction], recognizer: Recognizer) -> truth.Comparison | None:
    """Score the answers for which the label is known."""
    known = truth.by_name([row.path or "" for row in rows])
    with st.expander("Compare with labels", expanded=bool(known)):
        file = st.file_uploader("A CSV with the columns file,emotion", type=["csv"], key="labels")
        if file is not None:
            try:
                known = truth.from_table(file.getvalue())
            except CorpusError as error:
                st.error(plain(str(error)))
                return None
        elif known:
            st.caption(f"{len(known)} files have RAVDESS names, which give the acted emotion.")
        if not known:
            return None
        found = truth.compare(rows, known, recognizer.labels)
        if found is None:
            st.info("None of the labels belongs to a clip with an answer: check the file names.")
            return None
        for column, name, text in zip(
            st.columns(3),
            ("Accuracy", "UAR", "Clips"),
            (f"{100 * found.accuracy:.1f} %", f"{100 * found.uar:.1f} %", f"{found.n}"),
            strict=True,
        ):
            column.metric(name, text)
        figure = sound_pictures.matrix(found.confusion, found.labels, ink())
        charts.draw(figure, "confusion")
        says = "Rows: the label; columns: the answer. UAR is the mean of the recalls of the labels that occur."
        if found.unanswered:
            says += f" {found.unanswered} clips without an emotion are not counted."
        st.caption(says + " These are not valid scores if the model was trained on these clips.")
    return found


def _downloads(
    model: str, recognizer: Recognizer, rows: Sequence[Prediction], comparison: truth.Comparison | None
) -> None:
    labels = recognizer.labels
    left, middle, right = st.columns(3)
    left.download_button(
        "Download CSV", as_csv(rows, labels), "emotions.csv", "text/csv", on_click="ignore", width="stretch"
    )
    middle.download_button(
        "Download JSON", as_json(rows), "emotions.json", "application/json", on_click="ignore", width="stretch"
    )
    manifest = recognizer.manifest
    page = batch_report.page(
        rows,
        {name: (n, colour(name) if name in labels else "") for name, n in counts(_answered(rows), labels).items()},
        model=f"{manifest.name} {manifest.version}",
        comparison=comparison,
    )
    right.download_button("Download HTML", page, "emotions.html", "text/html", on_click="ignore", width="stretch")


def _answered(rows: Sequence[Prediction]) -> list[Prediction]:
    return [row for row in rows if row.error is None]


def _failures(rows: Sequence[Prediction], total: int) -> None:
    if rows:
        lines = "\n".join(f"- {plain(_reason(row))}" for row in rows)
        st.error(f"{len(rows)} of {total} could not be answered:\n\n{lines}")


def _reason(row: Prediction) -> str:
    """Return the error, with the file name in front if the error does not name it."""
    name, error = row.path or "", row.error or ""
    return error if name in error else f"{name}: {error}"
