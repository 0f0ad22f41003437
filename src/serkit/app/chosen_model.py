"""The sidebar: the model, its scores, and what happens to recordings."""

from __future__ import annotations

import os
from typing import Any

import streamlit as st

from serkit.app import MODEL_VARIABLE, link
from serkit.app.words import card, plain
from serkit.bundle import find_bundles, packaged
from serkit.bundle.manifest import Manifest
from serkit.errors import SerkitError
from serkit.recognition.recognizer import Recognizer, load
from serkit.terminal import printable

__all__ = ["choices", "choose", "least", "score_line", "short", "show_card"]


def choices(given: str | None) -> list[str]:
    """Return the models to choose from, the preselected one first.

    Parameters
    ----------
    given : str, optional
        Name of a packaged model, a bundle, or a folder whose bundles come first; default: ``default``.

    Examples
    --------
    >>> choices("runs/mine")[0]
    'runs/mine'
    """
    first = [given] if given else []
    if given and given not in packaged() and os.path.isdir(given):  # noqa: PTH112 - the page must start with any text
        first = [name for name in find_bundles(given) if name not in packaged()]
    return list(dict.fromkeys([*first, *sorted(packaged(), key=lambda name: (name != "default", name))]))


def least() -> float:
    """Return the confidence below which answers are "unsure", in [0, 1]."""
    return float(st.session_state.get("least", 0)) / 100


def choose() -> tuple[str, Recognizer]:
    """Draw the sidebar and return the chosen model; if it cannot be used, say why and stop."""
    with st.sidebar:
        names = choices(os.environ.get(MODEL_VARIABLE))
        if not names:
            st.error("This installation has no model: start the app with ser app --model PATH.")
            st.stop()
        wish = link.asked([short(name) for name in names])
        for sentence in wish.problems:
            st.warning(plain(sentence))
        first = next((k for k, name in enumerate(names) if short(name) == wish.model), 0)
        name = st.selectbox("Model", names, index=first, format_func=short)
        try:
            recognizer = _load(name)
            recognizer.need_labels("answer in this app")
        except SerkitError as error:
            problem: str | None = str(error)
        else:
            problem = None
            _describe(name, recognizer)
        usual = 0.0 if problem is not None else recognizer.least(wish.min_confidence if name == names[first] else None)
        st.session_state["least"] = st.slider(
            "Unsure below",
            0,
            95,
            min(round(100 * usual), 95),
            1,
            format="%d %%",
            key=f"least {name}",
            help="For one clip and many clips: below this confidence, the answer is unsure. The default is the model's "
            "own limit.",
        )
        st.caption(
            "Your recordings stay in this app's memory. Nothing is stored, "
            "and they are deleted when you remove them or close the page."
        )
    if problem is not None:
        st.error(plain(problem))
        st.stop()
    return name, recognizer


def score_line(protocol: str, score: dict[str, Any]) -> str:
    """Return one protocol's scores as Markdown.

    Examples
    --------
    >>> score_line("speaker", {"uar": 0.61, "uar_interval": [0.58, 0.64], "accuracy": 0.62})
    '**speaker**: UAR 61.0 % (58.0 to 64.0), accuracy 62.0 %'
    """
    parts = []
    for key, title in (("uar", "UAR"), ("accuracy", "accuracy")):
        value, interval = score.get(key), score.get(f"{key}_interval")
        if not isinstance(value, (int, float)):
            continue
        text = f"{title} {100 * value:.1f} %"
        if isinstance(interval, (list, tuple)) and len(interval) == 2:
            text += f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
        parts.append(text)
    return f"**{plain(protocol)}**: {', '.join(parts) or 'no scores'}"


@st.cache_resource(max_entries=4, show_spinner="Loading the model …")
def _load(name: str) -> Recognizer:
    return load(name)


def _where(corpus: str) -> str:
    """Begin the sentence about a score: where it was measured."""
    parts = corpus.count("+") + 1
    if parts > 2:
        return f"On the {parts} corpora that it learned from, it"
    return f"On {plain(corpus.upper())}, it" if corpus else "It"


def show_card(name: str, text: str) -> None:
    """Draw a model card: as it is formatted if the model ships with serkit, else as plain text.

    Parameters
    ----------
    name : str
        Under which the model was chosen.
    text : str
    """
    if name in packaged():
        st.markdown(card(text))
    else:
        st.code("\n".join(map(printable, text.expandtabs(4).splitlines())), language=None, wrap_lines=True)


def _describe(name: str, recognizer: Recognizer) -> None:
    manifest: Manifest = recognizer.manifest
    speaker = manifest.scores.get("speaker", {}).get("uar")
    if isinstance(speaker, (int, float)):
        where = _where(manifest.corpus)
        st.markdown(f"{where} recognises **{100 * speaker:.1f} %** of the emotions of voices it has never heard (UAR).")
    with st.expander("Scores and model card"):
        for protocol, score in manifest.scores.items():
            st.markdown(score_line(protocol, score))
        if manifest.scores:
            st.caption(
                "UAR: the share of clips recognised, averaged over the emotions; in brackets, the 95 % interval."
            )
        st.caption(plain(f"{manifest.name} {manifest.version}, licence: {manifest.licence}"))
        show_card(name, recognizer.bundle.card)


def short(name: str) -> str:
    """Return the name of a model for lists: the last part of a path.

    Examples
    --------
    >>> short("default"), short("runs/mine/")
    ('default', 'mine')
    """
    return name if name in packaged() else os.path.basename(os.path.normpath(name))  # noqa: PTH119 - text only
