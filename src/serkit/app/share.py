"""What is on a page as something to copy: a command, Python, curl, JSON, and the address with the settings."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from serkit.app import link
from serkit.app.chosen_model import short
from serkit.bundle import packaged

__all__ = ["Shared", "curl", "python", "shell", "show"]

_SERVICE = "http://127.0.0.1:8000/v1"


@dataclass(frozen=True)
class Shared:
    """What is answered, and how.

    Attributes
    ----------
    file : str
        Name of the recording or folder.
    kind : {"clip", "recording", "clips"}
        What it is: a clip with one answer, a recording with a timeline, or a folder of clips.
    model : str
        As ``--model`` takes it.
    min_confidence : float
        In [0, 1].
    channel : str or int
    profile : bool
        Whether the answers are adapted: to a voice, or those of a folder to its clips.
    """

    file: str
    model: str
    min_confidence: float
    channel: str | int = "auto"
    profile: bool = False
    kind: Literal["clip", "recording", "clips"] = "clip"

    @property
    def _path(self) -> str:
        return f"./{self.file}" if self.file.startswith("-") else self.file


def shell(one: Shared) -> str:
    """Return the command.

    Examples
    --------
    >>> shell(Shared("my call.wav", "fast", 0.3, "left"))
    "ser predict 'my call.wav' --model fast --min-confidence 0.3 --channel left"
    """
    words = ["ser", "timeline" if one.kind == "recording" else "predict", one._path, "--model", one.model]
    words += ["--min-confidence", f"{one.min_confidence:g}"]
    words += ["--channel", str(one.channel)] if one.channel != "auto" else []
    if one.profile:
        words += ["--adapt"] if one.kind == "clips" else ["--profile", "voice.json"]
    return shlex.join(words)


def python(one: Shared) -> str:
    """Return the same in Python.

    Examples
    --------
    >>> print(python(Shared("a.wav", "fast", 0.3)))
    import serkit
    <BLANKLINE>
    recognizer = serkit.load('fast')
    answer = recognizer.predict('a.wav', min_confidence=0.3)
    print(answer.emotion, answer.confidence)
    """
    more = f", min_confidence={one.min_confidence:g}"
    more += f", channel={one.channel!r}" if one.channel != "auto" else ""
    lines = ["import serkit", "", f"recognizer = serkit.load({one.model!r})"]
    if one.profile:
        made = f"recognizer.adapt({one.file!r})" if one.kind == "clips" else "serkit.Profile.load('voice.json')"
        more += f", profile={made}"
    if one.kind == "clips":
        lines += [
            f"for answer in recognizer.predict({one.file!r}{more}):",
            "    print(answer.path, answer.answer, answer.confidence)",
        ]
    elif one.kind == "recording":
        lines += [
            f"timeline = recognizer.timeline({one.file!r}{more})",
            "for track, part in timeline.rows():",
            "    print(track, part.start, part.end, part.answer)",
        ]
    else:
        lines += [f"answer = recognizer.predict({one.file!r}{more})", "print(answer.emotion, answer.confidence)"]
    return "\n".join(lines)


def curl(one: Shared) -> str:
    """Return the same as a request to ``ser serve``.

    Examples
    --------
    >>> print(curl(Shared("a;b.wav", "fast", 0.3)))
    # in another terminal: ser serve --model fast
    curl -F 'file=@"a;b.wav"' -F min_confidence=0.3 http://127.0.0.1:8000/v1/predict
    """
    serve = f"# in another terminal: {shlex.join(['ser', 'serve', '--model', one.model])}"
    profile = "place.json" if one.kind == "clips" else "voice.json"
    fields = [f"min_confidence={one.min_confidence:g}"]
    fields += [f"channel={one.channel}"] if one.channel != "auto" else []
    fields += [f"profile=@{profile}"] if one.profile else []
    more = shlex.join(word for field in fields for word in ("-F", field))
    more += f" {_SERVICE}/{'timeline' if one.kind == 'recording' else 'predict'}"
    if one.kind == "clips":
        loop = f'for file in {shlex.quote(one._path)}/*; do curl -F "file=@\\"$file\\"" {more}; done'
        adapt = [shlex.join(["ser", "adapt", one._path, "--model", one.model, "--out", profile])]
        return "\n".join([serve, *(adapt if one.profile else []), loop])
    name = one._path
    if re.search(r'[;,"\\]', name):  # these would end the name
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{serve}\ncurl -F {shlex.quote(f'file=@{name}')} {more}"


def show(one: Shared, json: str | None = None) -> None:
    """Draw it, each in a tab with a button that copies it.

    Parameters
    ----------
    one : Shared
    json : str, optional
        The answer.
    """
    texts = {"Command": shell(one), "Python": python(one), "curl": curl(one), **({"JSON": json} if json else {})}
    model = one.model if one.model in packaged() else short(one.model)
    url = link.address(model, one.min_confidence, one.channel)
    texts["Link"] = url or ""
    with st.expander("Share, or use elsewhere"):
        for tab, (name, text) in zip(st.tabs(list(texts)), texts.items(), strict=True):
            with tab:
                # Without a language: the colours of code are too faint to read
                st.code(text, language=None, wrap_lines=True, height=260 if name == "JSON" else "content")
                if name == "Link":
                    st.caption("It opens this page with this model and these settings. It holds no recording.")
        if one.kind == "clips":
            st.caption(f"These expect the recordings in a folder called {one.file}.")
        elif one.profile:
            st.caption("voice.json is the profile that *Download JSON* saves.")
