"""The page. Streamlit runs this file as a script: ``ser app`` starts it."""

from __future__ import annotations

import streamlit as st

from serkit.app import batch, model, single

__all__ = ["main"]


def main() -> None:
    """Draw the page."""
    st.set_page_config(page_title="serkit", page_icon=":material/graphic_eq:", layout="centered")
    st.title("Speech emotion")
    name, recognizer = model.choose()
    one, many = st.tabs(["One clip", "Many clips"])
    with one:
        single.show(name, recognizer)
    with many:
        batch.show(name, recognizer)


if __name__ == "__main__":
    main()
