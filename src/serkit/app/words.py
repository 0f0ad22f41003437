"""Make text from file names, errors and bundles safe to show; colours of text."""

from __future__ import annotations

import html
import re

import streamlit as st

from serkit.emotions import colour, readable
from serkit.recognition.prediction import WARNINGS, Prediction
from serkit.terminal import printable

__all__ = ["GREY", "PAPER", "card", "headline", "ink", "line", "no_speech", "per_cent", "plain", "remarks"]

#: The colour of answers without an emotion; visible on white and on black.
GREY = "#8C8C8C"

#: Streamlit's background of a page, in light and dark.
PAPER = ("#ffffff", "#171614")

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+.!|~<>$:&-])")
# Images and links need a bracket, HTML needs <, formulas $; an escaped backslash cannot undo the escape after it.
_ACTIVE = re.compile(r"([\\\[\]<$])")


def plain(text: str) -> str:
    r"""Escape Markdown formatting and characters that cannot be shown.

    Examples
    --------
    >>> print(plain("*a*_[b].wav"))
    \*a\*\_\[b\]\.wav
    """
    return _MARKDOWN.sub(r"\\\1", printable(text))


def card(text: str) -> str:
    r"""Return a model card as Markdown that only formats: headings, lists, tables and emphasis.

    A card comes with its model, from anywhere. Its images, links, HTML and formulas are shown as they are written, so
    that a page which shows it asks no other machine for anything. A bare address stays a link to what it says.

    Examples
    --------
    >>> print(card("# Model\n![](https://example.org/seen.png) <b>*good*</b>"))
    # Model
    !\[\](https://example.org/seen.png) \<b>*good*\</b>
    """
    return "\n".join(_ACTIVE.sub(r"\\\1", printable(line.expandtabs(4))) for line in text.splitlines())


def per_cent(share: float) -> str:
    """Format a share in [0, 1] as whole percent; values close to 0 or 1 are not rounded to 0 or 100 %.

    Examples
    --------
    >>> per_cent(0.724), per_cent(0.001), per_cent(0.999), per_cent(1.0)
    ('72 %', '<1 %', '>99 %', '100 %')
    """
    if 0 < share < 0.005:
        return "<1 %"
    if 0.995 <= share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"


def ink() -> str:
    """Return the strongest text colour of the page's theme."""
    return "#fafafa" if _dark() else "#111111"


def line(hue: str) -> str:
    """Return a colour as lines of it are drawn in the page's theme: at 4.5 : 1 or more."""
    return readable(hue, PAPER[_dark()])


def _dark() -> bool:
    return st.context.theme.type == "dark"


def headline(answer: Prediction) -> str:
    """Return the answer as HTML: the emotion with its colour, or why there is none, and the confidence.

    An emotion less likely than all others together is shown as "Perhaps".

    Examples
    --------
    >>> "No speech" in headline(Prediction(None, 0.0, 2.0, None, None, {}, speech=False))
    True
    >>> "Unsure" in headline(Prediction(None, 0, 2, None, 0.4, {"happy": 0.4, "sad": 0.3}, speech=True, unsure=True))
    True
    """
    if answer.unsure and answer.confidence is not None:
        says = f"No emotion is likely enough: the highest probability is {per_cent(answer.confidence)}."
        return _block(GREY, "Unsure", says, edge="dashed")
    if answer.emotion is None or answer.confidence is None:
        return no_speech("so there is no emotion to name")
    (_, first), (second, next_) = answer.top(2)
    says = f"{per_cent(first)} confidence, then {second} with {per_cent(next_)}"
    title = answer.emotion.capitalize() if first >= 0.5 else f"Perhaps {answer.emotion}"
    return _block(colour(answer.emotion, answer.probabilities), title, says)


def no_speech(then: str = "so there is nothing to measure") -> str:
    """Return as HTML that no voice was found, and what follows."""
    return _block(GREY, "No speech", f"No voice was found in this recording, {then}.", edge="dotted")


def remarks(answer: Prediction) -> str:
    """What is to be known of an answer besides its confidence, as Markdown: the channel and the warnings; or nothing.

    Examples
    --------
    >>> remarks(Prediction(None, 0, 2, "sad", 0.9, {"sad": 0.9}, channel="left", warnings=("short", "one-sided")))
    'Heard: the left channel. Less than about a second of voice. Only one channel holds sound.'
    """
    sentences = [WARNINGS[name].capitalize() for name in answer.warnings]
    if answer.channel is not None:
        side = answer.channel in ("left", "right")
        which = "all channels" if answer.channel == "mix" else f"the {answer.channel} channel" if side else ""
        sentences.insert(0, f"Heard: {which or f'channel {answer.channel}'}")
    return " ".join(f"{sentence}." for sentence in sentences)


def _block(hue: str, title: str, says: str, *, edge: str = "solid") -> str:
    return (
        f'<div role="status" style="border-left:0.6rem {edge} {hue};border-radius:0.2rem;padding-left:0.9rem">'
        f'<div style="font-size:2.4rem;font-weight:700;line-height:1.15">{html.escape(printable(title))}</div>'
        f'<div style="opacity:0.8">{html.escape(printable(says))}</div></div>'
    )
