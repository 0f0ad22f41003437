"""Recordings of one person -> a speaker profile."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import date

import numpy as np

from serkit.audio import Channel, Source, find_audio
from serkit.errors import AudioError, TruncatedError
from serkit.recognition.prediction import Prediction
from serkit.recognition.profile import MAX_SECONDS, Profile, need_enrolment, voice_mean
from serkit.recognition.runner import Runner
from serkit.recognition.timeline import default_window, timeline

__all__ = ["MIN_SECONDS", "enrol"]

#: The least speech that a profile needs, s.
MIN_SECONDS = 3.0


def enrol(
    recognizer: Runner,
    *sources: Source,
    sample_rate: int | None = None,
    channel: Channel = "auto",
    on_break: Callable[[str], object] | None = None,
) -> Profile:
    """Make a profile of the person who speaks in `sources`; see :meth:`serkit.Recognizer.enrol`."""
    manifest = recognizer.manifest
    need_enrolment(manifest)
    heard: list[list[float]] = []
    weights: list[float] = []
    seconds = 0.0
    for one, new in _utterances(recognizer, sources, sample_rate, channel, on_break):
        new = min(new, MAX_SECONDS - seconds)
        heard.append(list(one.probabilities.values()))
        weights.append(new / (one.end - one.start))
        seconds += new
        if seconds > MAX_SECONDS - 1e-6:
            break
    if seconds < MIN_SECONDS:
        raise AudioError(
            f"The recordings hold {seconds:.1f} s of speech, a speaker profile needs at least {MIN_SECONDS:g} s: "
            "add recordings of this person."
        )
    means = voice_mean(np.array(heard), np.array(weights))
    return Profile(
        model=manifest.name,
        version=manifest.version,
        model_sha256=manifest.files["model.onnx"],
        log_probabilities=dict(zip(manifest.labels, means.tolist(), strict=True)),
        utterances=len(heard),
        seconds=round(seconds, 3),
        created=date.today().isoformat(),
    )


def _utterances(
    recognizer: Runner,
    sources: tuple[Source, ...],
    sample_rate: int | None,
    channel: Channel,
    on_break: Callable[[str], object] | None,
) -> Iterator[tuple[Prediction, float]]:
    """Yield each window with speech, and how many of its seconds no window before it had."""
    window = default_window(recognizer)
    for source in _recordings(sources):
        answered = 0.0
        try:
            windows = timeline(recognizer, source, window=window, hop=window, sample_rate=sample_rate, channel=channel)
            for one in windows:
                new, answered = one.end - answered, one.end
                if one.speech:
                    yield one, new
        except AudioError as error:
            if isinstance(error, TruncatedError) and on_break is not None and answered:
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
