"""Charts on the page: each with a sentence for those who do not see it, and a look that tells the unnamed apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from serkit.app.words import GREY, line
from serkit.emotions import UNNAMED, colour

__all__ = ["draw", "fills", "told"]

_CLEAR = "rgba(0,0,0,0)"


def told(figure: go.Figure, says: str) -> go.Figure:
    """Give a figure the sentence that screen readers say in its place; changes the figure and returns it."""
    return figure.update_layout(meta={"says": says})


def draw(figure: go.Figure, key: str, *, place: Any = st, **how: Any) -> Any:
    """Draw a figure in the width of its place.

    Parameters
    ----------
    figure : go.Figure
        With a sentence by :func:`told`.
    key : str
    place
        Where: a column, an empty place; by default the page.
    how
        More for ``st.plotly_chart``.
    """
    return place.plotly_chart(
        figure, key=key, width="stretch", config={"displayModeBar": False}, alt=figure.layout.meta["says"], **how
    )


def fills(names: Iterable[str], among: Iterable[str] = ()) -> dict[str, Any]:
    """Return the ``marker`` of bars or slices: an emotion in its colour, *unsure* hatched, *no speech* an empty frame.

    ``among`` are labels that share the page with these and must look different.

    Examples
    --------
    >>> fills(["sad", "unsure", "no speech"])["pattern"]["shape"]
    ['', '/', '']
    """
    names = list(names)
    among = {*names, *among}
    hues = [GREY if name in UNNAMED else colour(name, among) for name in names]
    return {
        "color": [_CLEAR if name == "no speech" else hue for name, hue in zip(names, hues, strict=True)],
        "line": {"width": [2 if name in UNNAMED else 1 for name in names], "color": [line(hue) for hue in hues]},
        "pattern": {"shape": ["/" if name == "unsure" else "" for name in names], "solidity": 0.35, "size": 8},
    }
