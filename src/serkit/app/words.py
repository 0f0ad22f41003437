"""Text that came from a file name, an error or a bundle, made safe to show; and the colours of text."""

from __future__ import annotations

import html
import re

import streamlit as st

from serkit.emotions import colour
from serkit.recognition.prediction import Prediction
from serkit.terminal import printable

__all__ = ["GREY", "card", "headline", "ink", "per_cent", "plain"]

#: The colour of what is no emotion; it shows on white and on black.
GREY = "#8C8C8C"

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+.!|~<>$:&-])")
# Images and links need a bracket, HTML needs <, formulas $; an escaped backslash cannot undo the escape after it.
_ACTIVE = re.compile(r"([\\\[\]<$])")


def plain(text: str) -> str:
    r"""Escape what Markdown would take for formatting, and what cannot be shown.

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
    """A share in [0, 1] in whole per cent; what is not quite nothing or all is not rounded to it.

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
    """The strongest colour of text in the theme that the page is shown in."""
    return "#fafafa" if st.context.theme.type == "dark" else "#111111"


def headline(answer: Prediction) -> str:
    """The answer as HTML: the emotion beside a bar of its colour, or why there is none; then how sure it is.

    An emotion that is less likely than all others together is only called possible.

    Examples
    --------
    >>> "No speech" in headline(Prediction(None, 0.0, 2.0, None, None, {}, speech=False))
    True
    >>> "Unsure" in headline(Prediction(None, 0, 2, None, 0.4, {"happy": 0.4, "sad": 0.3}, speech=True, unsure=True))
    True
    """
    if answer.unsure and answer.confidence is not None:
        return _block(
            GREY, "Unsure", f"No emotion is likely enough: the highest probability is {per_cent(answer.confidence)}."
        )
    if answer.emotion is None or answer.confidence is None:
        return _block(GREY, "No speech", "No voice was found in this recording, so there is no emotion to tell.")
    (_, first), (second, next_) = answer.top(2)
    says = f"{per_cent(first)} confidence, then {second} with {per_cent(next_)}"
    title = answer.emotion.capitalize() if first >= 0.5 else f"Perhaps {answer.emotion}"
    return _block(colour(answer.emotion), title, says)


def _block(hue: str, title: str, says: str) -> str:
    return (
        f'<div role="status" style="border-left:0.6rem solid {hue};border-radius:0.2rem;padding-left:0.9rem">'
        f'<div style="font-size:2.4rem;font-weight:700;line-height:1.15">{html.escape(printable(title))}</div>'
        f'<div style="opacity:0.8">{html.escape(printable(says))}</div></div>'
    )
