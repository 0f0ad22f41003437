"""The voice or place of this session that answers are adapted to, from recordings or a saved profile."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from serkit.app.clips import Clip, uploaded
from serkit.app.microphone import record
from serkit.app.words import plain
from serkit.errors import BundleError, ProfileError, SerkitError
from serkit.recognition.enrol import MIN_SECONDS
from serkit.recognition.profile import MAX_SECONDS, Profile, need_adaptation
from serkit.recognition.recognizer import Recognizer

__all__ = ["choose", "made_of"]

_TELLS = (
    "Let the model hear a person, and it adapts its answers to that voice. It needs "
    f"{MIN_SECONDS:.0f}\N{NO-BREAK SPACE}s of speech and uses up to {MAX_SECONDS:.0f}\N{NO-BREAK SPACE}s, without "
    "labels. Choose sentences as varied as those to judge: their average becomes the zero point."
)


def choose(recognizer: Recognizer) -> Profile | None:
    """Draw the part of the page for enrolling, saving and forgetting a voice, and return the profile to use.

    A saved profile may also be one of a place, as ``ser adapt`` makes it.

    A profile belongs to one model and stays in the session; it contains nothing of the recordings.
    """
    # Streamlit forgets the switch on pages without this part
    st.session_state.setdefault("voice switch", st.session_state.get("voice on", False))
    on = st.toggle("Adapt to the speaker's voice", key="voice switch")
    st.session_state["voice on"] = on
    if not on:
        return None
    voices: dict[str, Profile] = st.session_state.setdefault("voices", {})
    model = recognizer.manifest.files["model.onnx"]
    with st.container(border=True):
        if model in voices and _fits(voices[model], recognizer):
            _enrolled(voices, model)
            return voices[model]
        made = _enrol(recognizer, others=bool(voices))
    if made is not None:
        voices[model] = made
        st.rerun()  # shows the voice instead of the uploader
    return None


def made_of(recognizer: Recognizer, clips: Sequence[Clip]) -> Profile:
    """Return the profile made from recordings of a person, or a saved profile.

    Parameters
    ----------
    recognizer : Recognizer
    clips : sequence of Clip
        Recordings of one person, or one file whose name ends with ``.json``.

    Raises
    ------
    AudioError, BundleError
        As :meth:`serkit.Recognizer.enrol`.
    ProfileError
        If the file is not a profile, belongs to another model or comes with other files.
    """
    saved = [clip for clip in clips if clip.name.lower().endswith(".json")]
    if not saved:
        return recognizer.enrol(*(clip.open() for clip in clips))
    if len(clips) > 1:
        raise ProfileError(f"'{saved[0].name}' looks like a saved profile: give it without other files.")
    profile = Profile.from_json(saved[0].read(), name=saved[0].name)
    profile.check(recognizer.manifest)
    return profile


def _fits(profile: Profile, recognizer: Recognizer) -> bool:
    try:
        profile.check(recognizer.manifest)  # bundles may share a graph although only one adapts
    except SerkitError:
        return False
    return True


def _enrolled(voices: dict[str, Profile], model: str) -> None:
    profile = voices[model]
    count = f" ({profile.utterances} utterance{'s' if profile.utterances > 1 else ''})"
    st.markdown(
        f"**Answers adapted to this {profile.kind}**, {profile.heard} heard{count if profile.kind == 'voice' else ''}."
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download JSON", profile.to_json(), f"{profile.kind}.json", "application/json", on_click="ignore"
        )
        st.button(f"Forget this {profile.kind}", on_click=voices.pop, args=(model,))
    st.caption(
        "On One clip and Long recording, until you close the page. The file contains no audio, but it describes the "
        "voice: store it with the same care as a recording."
        if profile.kind == "voice"
        else "On One clip and Long recording, until you close the page. The file contains no audio."
    )


def _enrol(recognizer: Recognizer, *, others: bool) -> Profile | None:
    """Let the user give recordings or a profile; None until there is a usable one."""
    try:
        need_adaptation(recognizer.manifest)
    except BundleError as error:
        st.info(plain(str(error)))
        return None
    st.markdown(_TELLS)
    if others:
        st.caption("A profile works with one model only: enrol the voice for this one too.")
    files = st.file_uploader(
        "Recordings of one person, or a saved profile (JSON)", accept_multiple_files=True, key="voice files"
    )
    recording = record("Or record some sentences", "voice record")
    clips = [uploaded(file) for file in files]
    if recording is not None:
        clips.append(uploaded(recording, name="recording.wav"))
    if not st.button("Use this voice", disabled=not clips):
        return None
    try:
        with st.spinner("Listening to the voice …"):
            return made_of(recognizer, clips)
    except SerkitError as error:
        st.error(plain(str(error)))
        return None
