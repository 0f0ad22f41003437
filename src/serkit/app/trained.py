"""Whether a model was trained on the clips that it is asked about: by their sound, and by the names of their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from serkit import audio
from serkit.app.clips import Clip
from serkit.app.truth import Named
from serkit.app.words import plain
from serkit.bundle import Bundle
from serkit.bundle.clips import known_clips
from serkit.errors import SerkitError

__all__ = ["heard_before", "named_alike", "says", "warn"]


def warn(bundle: Bundle, clips: Sequence[Clip], named: Mapping[str, Named]) -> None:
    """Draw the warning, if there is reason for one.

    Parameters
    ----------
    bundle : Bundle
    clips : sequence of Clip
    named : mapping
        What the names of the clips say, by name: :func:`serkit.app.truth.by_name`.
    """
    with st.spinner("Comparing with the training clips …"):
        heard = heard_before(bundle, clips)
    names = {clip.name for clip, known in zip(clips, heard, strict=True) if not known}
    alike = {name: known for name, known in named_alike(bundle, named).items() if name in names}
    if sentence := says(sum(heard), alike, len(clips)):
        st.warning(plain(sentence), icon=":material/warning:")


def heard_before(bundle: Bundle, clips: Sequence[Clip]) -> list[bool]:
    """Return for each clip whether its samples are those of a training clip; the session keeps their hashes."""
    if not bundle.clips:
        return [False] * len(clips)
    known: dict[str, str] = st.session_state.setdefault("digests", {})
    found = {clip.key: known.get(clip.key) or _digest(clip) for clip in clips}
    st.session_state["digests"] = found
    hashes = [found[clip.key] for clip in clips]
    alike = iter(known_clips(bundle.clips, filter(None, hashes)))
    return [bool(text) and next(alike) for text in hashes]


def named_alike(bundle: Bundle, named: Mapping[str, Named]) -> dict[str, Named]:
    """Return the files whose names are those of a corpus that the model was trained on, without voices left out."""
    manifest = bundle.manifest
    trained = set(manifest.corpus.split("+"))
    return {
        path: name
        for path, name in named.items()
        if name.corpus in trained and f'"{name.corpus}/{name.speaker}"' not in (manifest.recipe or "")
    }


def says(heard: int, alike: Mapping[str, Named], total: int) -> str | None:
    """Return the warning; None without a reason.

    Parameters
    ----------
    heard : int
        Clips whose sound is in training.
    alike : mapping
        The other clips whose names are those of a training corpus.
    total : int
        All clips.

    Examples
    --------
    >>> print(says(3, {}, 4))
    The model was trained on 3 of these 4 clips. Its answers to them say nothing about other recordings.
    >>> says(0, {}, 4) is None
    True
    """
    parts = []
    if heard:
        which = (
            "this clip" if total == 1 else f"all {total} clips" if heard == total else f"{heard} of these {total} clips"
        )
        parts.append(f"was trained on {which}")
    if alike:
        titles = " and ".join(sorted({name.title for name in alike.values()}))
        are = "is" if len(alike) == 1 else "are"
        parts.append(f"learned from {titles}, and by name {len(alike)} of these {total} clips {are} from there")
    if not parts:
        return None
    return f"The model {'; it also '.join(parts)}. Its answers to them say nothing about other recordings."


def _digest(clip: Clip) -> str:
    try:
        return audio.load(clip.open(), on_break=lambda reason: None).digest
    except SerkitError:  # the answer says why
        return ""
