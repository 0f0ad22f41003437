"""The page. Streamlit runs this file as a script: ``ser app`` starts it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas  # noqa: F401 - Plotly takes a pandas that another visitor's thread is still importing for a whole one
import streamlit as st

from serkit.app import batch, chosen_model, features, live, models_page, recording, results_page, single
from serkit.app.words import line
from serkit.recognition.recognizer import Recognizer

__all__ = ["main"]

#: Streamlit's grey chart text is too faint to read on white, so use the colour of the surrounding text. What has the
#: focus of the keyboard has a ring.
_LETTERS = """<style>
.js-plotly-plot :is([class$="tick"], .textpoint, .g-xtitle, .g-ytitle) text,
.js-plotly-plot :is(.bartext-outside, .annotation-text, .annotation-text tspan) {
    fill: currentColor !important;
    fill-opacity: 0.75;
}
:is(a, button, input, summary, audio, [role], [tabindex]):focus-visible {
    outline: 0.2rem solid FOCUS !important;
    outline-offset: 0.1rem;
}
[data-testid="stHeading"] h2 {
    font-size: 1.5rem;
    padding: 0.75rem 0 0.5rem;
}
[data-testid="stMetricValue"] {
    font-size: 1.3rem;
}
</style>"""
_FOCUS = "#005a8c"

#: Title, what it is for, how it is drawn, path in the address.
_PAGES = (
    ("One clip", "The emotion of a short recording, and what in it shaped the answer.", single.show, "clip"),
    ("Many clips", "A table of answers for a folder of recordings, with charts and downloads.", batch.show, "clips"),
    ("Long recording", "A call, a meeting, a podcast: the emotion of each utterance.", recording.show, "recording"),
    ("Live", "Speak, and see the emotion of each utterance as you go.", live.show, "live"),
    ("Features", "Measures of a voice, compared with the average of each emotion.", features.show, "features"),
    ("Models", "How good each model is, what it confuses, and two models on one clip.", models_page.show, "models"),
    ("Results", "Published recipes, and how well they do with a new voice.", results_page.show, "results"),
)


def main() -> None:
    """Draw the page."""
    chosen: list[tuple[str, Recognizer]] = []

    def drawn(title: str, purpose: str, show: Callable[[str, Recognizer], None]) -> None:
        st.title(title)
        st.caption(purpose)
        show(*chosen[0])

    pages = [
        st.Page(partial(drawn, title, purpose, show), title=title, url_path=path, default=k == 0)
        for k, (title, purpose, show, path) in enumerate(_PAGES)
    ]
    page = st.navigation(pages, position="hidden")
    # An emoji, because every visitor's browser would fetch a Material icon from Google
    st.set_page_config(page_title=f"{page.title} · serkit", page_icon="🎙️", layout="centered")
    st.html(_LETTERS.replace("FOCUS", line(_FOCUS)))
    st.session_state["pages"] = {one.title: one for one in pages}
    with st.container(horizontal=True, gap="small"):
        for one in pages:
            st.page_link(one)
    chosen.append(chosen_model.choose())
    page.run()


if __name__ == "__main__":
    main()
