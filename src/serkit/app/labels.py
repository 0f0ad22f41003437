"""The true labels of many clips: from file names, a table or the user, and how the answers compare with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from serkit.app import charts, sound_pictures, truth
from serkit.app.clips import Clip
from serkit.app.truth import Named
from serkit.app.words import ink, plain
from serkit.errors import CorpusError
from serkit.recognition.prediction import Prediction

__all__ = ["edit", "known", "score"]

_NONE = "none"


def known(pairs: Sequence[tuple[Clip, Prediction]], named: Mapping[str, Named]) -> list[str | None]:
    """Draw the place for a table of labels, and return the label of each row, None where there is none.

    A label that was typed in counts first, then the table, then the file name.

    Parameters
    ----------
    pairs : sequence of (Clip, Prediction)
    named : mapping
        What the names of the clips say: :func:`serkit.app.truth.by_name`.
    """
    given = {path: name.emotion for path, name in named.items()}
    with st.expander("True labels"):
        file = st.file_uploader("A CSV with the columns file,emotion", type=["csv"], key="labels")
        if file is not None:
            try:
                given |= truth.from_table(file.getvalue())
            except CorpusError as error:
                st.error(plain(str(error)))
        counts = Counter(name.title for name in named.values())
        forms = ", ".join(f"{n} of {title}" for title, n in counts.most_common())
        says = f"File names in the form of a corpus give the acted emotion: {forms}. " if forms else ""
        st.caption(plain(f"{says}You can also choose a row of the table and set its label there."))
    typed: dict[str, str | None] = st.session_state.get("labels typed", {})
    found = truth.matched([row.path or "" for _, row in pairs], given)
    return [typed.get(clip.key, label) for (clip, _), label in zip(pairs, found, strict=True)]


def edit(clip: Clip, label: str | None, labels: Sequence[str]) -> None:
    """Draw the choice of a clip's true label; the next run uses it."""

    def chosen() -> None:
        typed = st.session_state.setdefault("labels typed", {})
        value = st.session_state[key]
        typed[clip.key] = None if value == _NONE else value

    key = f"label {clip.key} {label}"  # a label from elsewhere starts over
    options = [_NONE, *labels, *([label] if label and label not in labels else [])]
    st.selectbox("True label", options, index=options.index(label or _NONE), key=key, on_change=chosen)


def score(rows: Sequence[Prediction], given: Sequence[str | None], labels: Sequence[str]) -> truth.Comparison | None:
    """Draw how the answers compare with the labels, if any is known."""
    if not any(given):
        return None
    st.header("Compared with the labels")
    found = truth.compare(rows, given, labels)
    if found is None:
        st.info("None of the labels belongs to a clip with an emotion.")
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
        clips = (
            "One clip without an emotion is" if found.unanswered == 1 else f"{found.unanswered} clips without one are"
        )
        says += f" {clips} not counted."
    st.caption(says)
    return found
