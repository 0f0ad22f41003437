"""The page of models: what each scored and how, its card, and two of them beside each other on the same clip."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from serkit.app import MODEL_VARIABLE, charts, pictures, sound_pictures
from serkit.app.chosen_model import choices, score_line, short, show_card
from serkit.app.clips import answers, pick
from serkit.app.results_page import MEANINGS
from serkit.app.words import headline, ink, plain
from serkit.bundle import Bundle, Manifest, locate, read_bundle
from serkit.errors import SerkitError
from serkit.recognition.recognizer import Recognizer, load
from serkit.terminal import printable

__all__ = ["confusion_of", "doubts", "show", "table"]

_ORDER = tuple(MEANINGS)


def show(model: str, recognizer: Recognizer) -> None:
    """Draw the page: `model` is the one that the sidebar has."""
    names = choices(os.environ.get(MODEL_VARIABLE))
    if model not in names:
        names = [model, *names]
    _all(names, model)
    st.header(f"How good is {plain(short(model))}?")
    _scores(recognizer.manifest)
    _confusion(recognizer.manifest)
    with st.expander("Model card"):
        show_card(model, recognizer.bundle.card)
    _side_by_side(model, recognizer, [other for other in names if other != model])


def table(found: Mapping[str, Bundle]) -> dict[str, list[Any]]:
    """Return a row for each model: what it learned from, and what it reached for a new voice and a new corpus, in %."""
    columns: dict[str, list[Any]] = {name: [] for name in ("model", "learned from", "new voice", "new corpus", "MB")}
    for name, bundle in found.items():
        manifest = bundle.manifest
        columns["model"].append(name)
        columns["learned from"].append(printable(manifest.corpus.replace("+", ", ")))
        for column, protocol in (("new voice", "speaker"), ("new corpus", "corpus")):
            value = manifest.scores.get(protocol, {}).get("uar")
            columns[column].append(f"{100 * value:.1f}" if isinstance(value, (int, float)) else "–")
        columns["MB"].append(bundle.size / 1e6)
    return columns


def doubts(protocol: str, score: Mapping[str, Any]) -> str | None:
    """Why a score does not hold for a new voice: the protocol leaks, or the voices are known; None where it holds.

    Examples
    --------
    >>> doubts("speaker", {"warning": None}) is None
    True
    >>> doubts("random", {"warning": None})
    'Known voices: clips of the same speakers are in training, so expect less for yours.'
    """
    warning = score.get("warning")
    if isinstance(warning, str) and warning:
        return f"Not a result: {warning}"
    if protocol == "augmented-random":
        return "Not a result: altered copies of the test clips are in training."
    if protocol == "random":
        return "Known voices: clips of the same speakers are in training, so expect less for yours."
    return None


def confusion_of(manifest: Manifest, protocol: str) -> list[list[int]] | None:
    """Return the confusion matrix of a protocol, or None if the bundle holds none that fits its labels."""
    rows = manifest.scores[protocol].get("confusion")
    n = len(manifest.labels)
    if not isinstance(rows, list) or len(rows) != n:
        return None
    if not all(isinstance(row, list) and len(row) == n and all(isinstance(k, int) for k in row) for row in rows):
        return None
    return rows


@st.cache_resource(max_entries=4, show_spinner="Loading the model …")
def _load(name: str) -> Recognizer:
    return load(name)


def _loaded(name: str) -> Recognizer | None:
    """The model, or one sentence if it does not load."""
    try:
        return _load(name)
    except SerkitError as error:
        st.error(plain(str(error)))
        return None


def _all(names: Sequence[str], model: str) -> None:
    """The models to choose from, as rows; those that cannot be read are skipped, the sidebar says why."""
    found = {}
    for name in names:
        try:
            bundle = _bundle(name)
        except SerkitError:
            continue
        found[("✓ " if name == model else "") + short(name)] = bundle
    st.dataframe(
        table(found),
        column_config={
            "new voice": st.column_config.TextColumn(width="small"),
            "new corpus": st.column_config.TextColumn(width="small"),
            "MB": st.column_config.NumberColumn(format="%.1f", width="small"),
        },
        hide_index=True,
        width="stretch",
        key="models table",
    )
    st.caption(
        "✓: the model chosen in the sidebar. New voice, new corpus: UAR in % on people, and on whole "
        "corpora, that took no part in training. A model can only be compared with others on the same corpora."
    )


@st.cache_data(max_entries=32, show_spinner=False)
def _bundle(name: str) -> Bundle:
    return read_bundle(locate(name))


def _protocols(manifest: Manifest) -> list[str]:
    known = [protocol for protocol in _ORDER if protocol in manifest.scores]
    return [*known, *(protocol for protocol in manifest.scores if protocol not in known)]


def _scores(manifest: Manifest) -> None:
    if not manifest.scores:
        st.info("This bundle has no scores, so its quality is unknown.")
    for protocol in _protocols(manifest):
        score = manifest.scores[protocol]
        meaning = MEANINGS.get(protocol)
        st.markdown(score_line(protocol, score) + (f"  \n{plain(meaning)}" if meaning else ""))
        doubt = doubts(protocol, score)
        if doubt:
            st.warning(plain(doubt), icon=":material/warning:")
    if manifest.scores:
        st.caption("UAR: the share of clips recognised, averaged over the emotions; in brackets its 95 % interval.")


def _confusion(manifest: Manifest) -> None:
    st.header("What it confuses")
    found = {protocol: confusion_of(manifest, protocol) for protocol in _protocols(manifest)}
    present = [protocol for protocol, rows in found.items() if rows is not None]
    if not present:
        st.info("This bundle has no confusion matrix; its card may name the most common mistakes.")
        return
    protocol = present[0]
    if len(present) > 1:
        protocol = st.radio("Protocol", present, horizontal=True, label_visibility="collapsed", key="models protocol")
    rows = found[protocol]
    assert rows is not None
    figure = sound_pictures.matrix(rows, manifest.labels, ink())
    charts.draw(figure, f"confusion {protocol}")
    doubt = doubts(protocol, manifest.scores[protocol])
    if doubt:
        st.warning(plain(doubt), icon=":material/warning:")
    st.caption(plain(f"Of 100 clips of each emotion (row), how many got which answer (column); under {protocol}."))


def _side_by_side(name: str, first: Recognizer, others: Sequence[str]) -> None:
    st.header("Two models on the same clip")
    if not others:
        st.info("Only one model is loaded. ser app --model FOLDER offers all bundles in a folder.")
        return
    other = st.selectbox("Beside it", others, format_func=short, key="models second")
    second = _loaded(other)
    clip = pick("models")
    if second is None or clip is None:
        return
    st.audio(clip.read(), format=clip.mime)
    for number, (column, title, recognizer) in enumerate(
        zip(st.columns(2, gap="medium"), (name, other), (first, second), strict=True)
    ):
        with column:
            st.markdown(f"**{plain(short(title))}**")
            ((answer,),) = answers(f"beside {number}", title, recognizer, [clip])
            if answer.error is not None:
                st.error(plain(answer.error))
                continue
            st.html(headline(answer))
            if answer.probabilities:
                figure = pictures.bars(answer.probabilities)
                charts.draw(figure, f"beside {number}")
