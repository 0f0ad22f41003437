"""Recording in the browser, with a sentence where the browser gives no microphone: why, and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import streamlit as st

__all__ = ["record", "why_not"]

_INSECURE = (
    "No microphone: browsers give it to pages over https or on the same machine only, and this page came over plain "
    "http from another one. Open it through https, or forward its port (ssh -L 8501:localhost:8501 HOST) and open "
    "http://localhost:8501. Or record with another program and upload the file."
)
_DENIED = (
    "No microphone: this page may not use it. Allow it at the icon to the left of the address, or in the browser's "
    "settings for this site, and reload the page. Or upload a file."
)
_NONE = "No microphone was found on this device. Connect one and reload the page, or upload a file."

# Only the browser knows. The sentence appears when it is true, and goes when the permission is given.
_SCRIPT = f"""<p role="alert" class="serkit-microphone" style="margin:0"></p>
<script>
(async () => {{
    const places = document.querySelectorAll(".serkit-microphone");
    const say = text => places.forEach(place => {{ place.textContent = text; }});
    if (!window.isSecureContext || !navigator.mediaDevices) return say({json.dumps(_INSECURE)});
    const devices = await navigator.mediaDevices.enumerateDevices();
    const none = !devices.some(device => device.kind === "audioinput");
    let state = {{ state: "prompt" }};
    try {{ state = await navigator.permissions.query({{ name: "microphone" }}); }} catch {{ /* older browsers */ }}
    const told = () => say(state.state === "denied" ? {json.dumps(_DENIED)} : none ? {json.dumps(_NONE)} : "");
    state.onchange = told;
    told();
}})();
</script>"""


def record(label: str, key: str, on_change: Callable[..., None] | None = None, args: tuple[Any, ...] = ()) -> Any:
    """Draw the recorder, and return what was recorded as ``st.audio_input`` does."""
    recorded = st.audio_input(label, key=key, on_change=on_change or "rerun", args=args)
    why_not()
    return recorded


def why_not() -> None:
    """Draw a sentence where the browser gives no microphone; elsewhere nothing is seen."""
    st.html(_SCRIPT, unsafe_allow_javascript=True)
