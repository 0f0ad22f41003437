"""Recordings of one person -> the profile of a voice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from threading import Event

import numpy as np

from serkit import audio
from serkit.audio import Channel, Source, find_audio
from serkit.errors import AudioError, TruncatedError
from serkit.recognition.moments import Moments
from serkit.recognition.profile import MAX_SECONDS, Profile, need_adaptation
from serkit.recognition.runner import Runner
from serkit.recognition.windows import cut, default_window, heard_windows

__all__ = ["MIN_SECONDS", "enrol"]

#: The least speech that a profile needs, s.
MIN_SECONDS = 3.0

_BLOCK = 30.0  # s, read at a time


def enrol(
    recognizer: Runner,
    *sources: Source,
    sample_rate: int | None = None,
    channel: Channel = "auto",
    on_break: Callable[[str], object] | None = None,
    stop: Event | None = None,
) -> Profile:
    """Make a profile of the person who speaks in `sources`; see :meth:`serkit.Recognizer.enrol`.

    Once `stop` is set, AudioError is raised: the profile is no longer needed.
    """
    need_adaptation(recognizer.manifest)
    moments = Moments(recognizer.manifest.adaptation["size"])
    utterances, seconds = 0, 0.0
    for embedding, new, length in _utterances(recognizer, sources, sample_rate, channel, on_break, stop):
        new = min(new, MAX_SECONDS - seconds)
        moments.add(embedding, new / length)
        utterances += 1
        seconds += new
        if seconds > MAX_SECONDS - 1e-6:
            break
    if seconds < MIN_SECONDS:
        raise AudioError(
            f"The recordings hold {seconds:.1f} s of speech, but a profile needs at least {MIN_SECONDS:g} s: "
            "add recordings of this person."
        )
    return moments.profile("voice", recognizer.manifest, utterances=utterances, seconds=seconds)


def _utterances(
    recognizer: Runner,
    sources: tuple[Source, ...],
    sample_rate: int | None,
    channel: Channel,
    on_break: Callable[[str], object] | None,
    stop: Event | None,
) -> Iterator[tuple[np.ndarray, float, float]]:
    """Yield the embedding of each window with speech, how many of its seconds no window before it had, and all."""
    rate = recognizer.sample_rate
    size = max(round(default_window(recognizer) * rate), 1)
    for source in _recordings(sources):
        heard = 0.0
        try:
            track = audio.Track(source, sample_rate=sample_rate, target_rate=rate, block=_BLOCK, channel=channel)
            windows = cut((piece.samples for piece in track), size, size)
            for start, end, wave, activity in heard_windows(recognizer, windows):
                if stop is not None and stop.is_set():
                    raise AudioError("The profile is no longer needed.")
                new, heard = end - heard, end
                if activity.present:
                    yield recognizer.embedding(wave), new, end - start
        except AudioError as error:
            if isinstance(error, TruncatedError) and on_break is not None and heard:
                on_break(str(error))
                continue
            name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else str(getattr(source, "name", ""))
            raise type(error)(str(error) if name in str(error) else f"{name}: {error}") from None


def _recordings(sources: tuple[Source, ...]) -> Iterator[Source]:
    """The recordings in `sources`; those of a folder are sorted by name."""
    for source in sources:
        if isinstance(source, (list, tuple)):
            raise AudioError(
                "enrol takes recordings one by one: enrol(*recordings), and np.array(samples) for samples."
            )
        if isinstance(source, (str, os.PathLike)):
            if not os.fspath(source):  # an unset shell variable
                raise AudioError("An empty path names no recording: give a file or a folder.")
            yield from find_audio(source)
        else:
            yield source
