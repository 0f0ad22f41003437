"""A timeline whose tracks are each adapted to their own voice: the recording is read twice."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from serkit.audio import Source, Waveform
from serkit.errors import AudioError, SerkitError
from serkit.recognition.adapt import Adaptation
from serkit.recognition.graph import Outputs
from serkit.recognition.lanes import Heard
from serkit.recognition.long_recording import make_timeline
from serkit.recognition.profile import Profile, need_adaptation
from serkit.recognition.runner import Runner
from serkit.recognition.tracks import Timeline

__all__ = ["adapted_timeline"]


def adapted_timeline(
    recognizer: Runner,
    source: Source,
    *,
    profile: Profile | None = None,
    progress: Callable[[float], object] | None = None,
    on_block: Callable[[np.ndarray, int], object] | None = None,
    **asked: Any,
) -> Timeline:
    """Answer a recording twice: first plainly, to hear each track, then adapted to the tracks that said enough.

    A track is adapted as a place is (:class:`serkit.recognition.adapt.Adaptation`): from 20 utterances on, unless the
    model hears one mood in nearly all of them. Its ``adapted`` says how many utterances there were.

    Parameters
    ----------
    recognizer, source, progress, on_block, asked
        As for :func:`serkit.recognition.long_recording.make_timeline`.

    Raises
    ------
    SerkitError
        If a profile is given too, or the sound cannot be read twice.
    BundleError
        If the model does not adapt.
    """
    if profile is not None:
        raise SerkitError("Adapting to the voices and a profile exclude each other: choose one.")
    need_adaptation(recognizer.manifest)
    if not (isinstance(source, (str, os.PathLike, bytes, Waveform, np.ndarray, io.BytesIO)) or callable(source)):
        raise SerkitError(
            "Adapting to the voices reads the recording twice, which "
            f"{type(source).__name__} does not allow: give a file."
        )
    whole = recognizer.among(recognizer.manifest.labels)
    voices: dict[int, Adaptation] = {}

    def take(one: Heard, outputs: list[Outputs]) -> None:
        if one.track not in voices:
            voices[one.track] = Adaptation(whole)
        pieces = [(output.embedding, 1 / len(outputs)) for output in outputs if output.embedding is not None]
        voices[one.track].take(
            pieces,
            np.mean([output.probabilities for output in outputs], axis=0),
            one.utterance.end - one.utterance.start,
        )

    half = None if progress is None else (lambda seconds: progress(seconds / 2))
    first = make_timeline(whole, source, on_utterance=take, progress=half, **asked)
    profiles: dict[int, Profile] = {}
    for number, voice in voices.items():
        try:
            profiles[number] = voice.profile()
        except AudioError:
            continue
    rest = None if progress is None else (lambda seconds: progress((first.duration + seconds) / 2))
    found = make_timeline(recognizer, source, profile=profiles, progress=rest, on_block=on_block, **asked)
    tracks = (
        replace(track, adapted=profiles[number].utterances if number in profiles else 0)
        for number, track in enumerate(found.tracks)
    )
    return replace(found, tracks=tuple(tracks))
