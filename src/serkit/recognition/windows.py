"""Windows of equal length over a recording, and the speech in them; which lengths a model takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from serkit import audio
from serkit.audio import Waveform
from serkit.audio.voice_activity import SpeechActivity, speech_activity
from serkit.audio.waveform import own
from serkit.errors import AudioError, TruncatedError
from serkit.recognition.runner import Runner

__all__ = ["cut", "default_window", "heard_windows", "window_limits"]

_USUAL = 3.0  # s; about one utterance, as in the corpora that the models learn from


def window_limits(recognizer: Runner) -> tuple[float, float]:
    """Return the shortest and the longest window that the model takes in one piece, s."""
    manifest = recognizer.manifest
    return max(manifest.min_seconds, audio.MIN_SECONDS), manifest.max_seconds


def default_window(recognizer: Runner) -> float:
    """Return the window that suits the model, s: what its features look at, else 3 s, within its limits."""
    cut = recognizer.manifest.input.get("extractor", {}).get("window") or {}
    length = cut.get("length")
    shortest, longest = window_limits(recognizer)
    return min(max(_USUAL if length is None else cut.get("offset", 0.0) + length, shortest), longest)


def cut(pieces: Iterable[np.ndarray], size: int, step: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first sample's number and the samples of each window; `step` is at most `size`."""
    held = np.zeros(0, dtype=np.float32)
    first = 0  # number of held[0]
    start = 0  # of the next window
    broken: list[TruncatedError] = []
    for piece in _to_break(pieces, broken.append):
        # The last window may have to begin up to a window before the end, so that much is kept.
        held = np.concatenate([held, piece])
        while start + size <= first + len(held):
            yield start, held[start - first : start - first + size]
            start += step
        keep = max(min(start, first + len(held) - size), first)
        held, first = held[keep - first :], keep
    end = first + len(held)
    answered = start - step + size if start else 0
    if answered < end:
        last = max(end - size, 0)
        yield last, held[last - first :]
    if broken:
        raise broken[0]


def _to_break(pieces: Iterable[np.ndarray], on_break: Callable[[TruncatedError], None]) -> Iterator[np.ndarray]:
    try:
        yield from pieces
    except TruncatedError as error:
        on_break(error)


def heard_windows(
    recognizer: Runner, windows: Iterable[tuple[int, np.ndarray]]
) -> Iterator[tuple[float, float, Waveform, SpeechActivity]]:
    """Yield start and end of each window of :func:`cut`, s, its sound and the speech in it.

    Raises
    ------
    AudioError
        If a window is too short for the model.
    """
    rate, manifest = recognizer.sample_rate, recognizer.manifest
    for first, samples in windows:
        start, end = first / rate, (first + len(samples)) / rate
        if len(samples) < math.floor(manifest.min_seconds * rate):
            raise AudioError(
                f"The recording lasts {end - start:.3f} s; "
                f"the model {manifest.name} needs at least {manifest.min_seconds:g} s."
            )
        wave = own(samples.copy(), rate)
        yield start, end, wave, speech_activity(wave)
