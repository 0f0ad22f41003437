"""The page. Streamlit runs this file as a script: ``ser app`` starts it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from serkit.app import batch, chosen_model, features, models_page, recording, results_page, single

__all__ = ["main"]

#: Streamlit's grey chart text is too faint to read on white, so use the colour of the surrounding text.
_LETTERS = """<style>
.js-plotly-plot :is([class$="tick"], .textpoint, .g-xtitle, .g-ytitle) text,
.js-plotly-plot :is(.bartext-outside, .annotation-text, .annotation-text tspan) {
    fill: currentColor !important;
    fill-opacity: 0.75;
}
</style>"""

_PAGES = (
    ("One clip", single.show, "clip"),
    ("Many clips", batch.show, "clips"),
    ("Long recording", recording.show, "recording"),
    ("Features", features.show, "features"),
    ("Models", models_page.show, "models"),
    ("Results", results_page.show, "results"),
)


def main() -> None:
    """Draw the page."""
    # An emoji, because every visitor's browser would fetch a Material icon from Google
    st.set_page_config(page_title="serkit", page_icon="🎙️", layout="centered")
    st.html(_LETTERS)
    name, recognizer = chosen_model.choose()
    pages = [
        st.Page(partial(show, name, recognizer), title=title, url_path=path, default=k == 0)
        for k, (title, show, path) in enumerate(_PAGES)
    ]
    st.navigation(pages, position="top").run()


if __name__ == "__main__":
    main()
