"""Settings in the address of a page: ``?model=fast&min_confidence=0.5&channel=left``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st

from serkit.audio import check_channel
from serkit.errors import AudioError

__all__ = ["Asked", "address", "asked", "read"]

#: The most that the slider for unsure answers goes to.
MOST = 0.95


@dataclass(frozen=True)
class Asked:
    """What an address asks for; None where it does not say.

    Attributes
    ----------
    model : str or None
        As it is called in lists.
    min_confidence : float or None
    channel : str or None
    problems : list of str
        Sentences about what cannot be had.
    """

    model: str | None = None
    min_confidence: float | None = None
    channel: str | None = None
    problems: list[str] = field(default_factory=list)


def read(query: Mapping[str, str], models: Sequence[str]) -> Asked:
    """Read the settings of an address; others in it are skipped.

    Parameters
    ----------
    query : mapping
    models : sequence of str
        The models that there are, as they are called in lists.

    Examples
    --------
    >>> read({"model": "fast", "min_confidence": "0.5"}, ["default", "fast"])
    Asked(model='fast', min_confidence=0.5, channel=None, problems=[])
    >>> read({"model": "best"}, ["default", "fast"]).problems
    ["The address asks for the model 'best', which this app does not have: it has default, fast."]
    """
    problems = []
    model, least, channel = query.get("model"), query.get("min_confidence"), query.get("channel")
    if model is not None and model not in models:
        problems.append(
            f"The address asks for the model {model!r}, which this app does not have: it has {', '.join(models)}."
        )
        model = None
    confidence = None
    if least is not None:
        try:
            confidence = float(least)
        except ValueError:
            confidence = -1.0
        if not 0 <= confidence <= MOST:  # also nan
            problems.append(f"The address has min_confidence={least}: it must be a number from 0 to {MOST:g}.")
            confidence = None
    if channel is not None:
        try:
            channel = str(check_channel(channel, each=True))
        except AudioError as error:
            problems.append(f"The address has channel={channel}. {error}")
            channel = None
    return Asked(model, confidence, channel, problems)


def asked(models: Sequence[str] = ()) -> Asked:
    """Return what the address of this session asked for when it was opened."""
    known: Asked | None = st.session_state.get("asked")
    if known is None:
        known = read(st.query_params.to_dict(), models)
        if models:
            st.session_state["asked"] = known
    return known


def address(model: str, min_confidence: float, channel: object) -> str | None:
    """Return the address of this page with its settings; None if the page does not know its address."""
    url = st.context.url
    if not url:
        return None
    query = {"model": model, "min_confidence": f"{min_confidence:g}", "channel": str(channel)}
    return urlunsplit((*urlsplit(url)[:3], urlencode(query), ""))
