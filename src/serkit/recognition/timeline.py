"""Emotion over time: a long recording is answered window by window, and windows become segments.

Nothing of the recording is kept but the window that is being answered, so its length does not matter. All state
belongs to the call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from serkit import audio
from serkit.audio import Channel, Source, Waveform
from serkit.audio.voice_activity import SpeechActivity, speech_activity
from serkit.audio.waveform import own
from serkit.errors import AudioError, SerkitError, TruncatedError
from serkit.recognition.prediction import Prediction, in_order
from serkit.recognition.profile import Profile, check_profile
from serkit.recognition.runner import Runner, remarks
from serkit.recognition.segments import segments, shares

__all__ = ["MIN_HOP", "cut", "default_window", "heard_windows", "segments", "shares", "timeline", "window_limits"]

#: The smallest hop, s: finer steps cost time and show nothing new about an emotion.
MIN_HOP = 0.1

_USUAL = 3.0  # s; about one utterance, as in the corpora that the models learn from
_BLOCK = 30.0  # s, read at a time


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


def timeline(
    recognizer: Runner,
    source: Source,
    *,
    window: float | None = None,
    hop: float | None = None,
    min_confidence: float | None = None,
    profile: Profile | None = None,
    sample_rate: int | None = None,
    channel: Channel = "auto",
    progress: Callable[[float], None] = lambda seconds: None,
) -> Iterator[Prediction]:
    """Answer a recording of any length window by window, while it is read.

    Window `k` starts at ``k * hop``. If the last one ends before the recording does, one more ends with it. A
    recording shorter than a window is one window.

    Parameters
    ----------
    recognizer : Recognizer
    source : path, bytes, binary file object, np.ndarray or Waveform
        What :func:`serkit.audio.stream` reads.
    window : float, optional
        Seconds that an answer is for, within :func:`window_limits`; by default :func:`default_window`.
    hop : float, optional
        Seconds from one window to the next, from :data:`MIN_HOP` to `window`; by default half a window, but no less
        than :data:`MIN_HOP`. Window and hop are rounded to samples of the model's rate.
    min_confidence : float, optional
        In [0, 1]. An answer below it names no emotion. By default the model's own limit, which may be 0.
    profile : Profile, optional
        The voice or the place, as for :meth:`serkit.Recognizer.predict`.
    sample_rate : int, optional
        Rate of an array, Hz.
    channel : {"auto", "mix", "left", "right"} or int
        As for :func:`serkit.audio.load`: one channel, or the mean of all, for the whole recording.
    progress : callable
        Called after each window with the seconds of the recording that are answered.

    Yields
    ------
    Prediction
        One per window, in order: start and end of the window in s, the answer, its probabilities and warnings; ``path``
        is None.

    Raises
    ------
    SerkitError
        If window, hop or confidence is out of its limits, or `profile` is for another model; raised before
        anything is read.
    AudioError
        As for :func:`serkit.audio.stream`, or if the recording is too short for the model.
    TruncatedError
        A kind of AudioError: if the recording breaks off; raised after the windows of everything that could be read.

    See Also
    --------
    segments : Merge windows into segments.

    Examples
    --------
    >>> windows = timeline(serkit.load(), "meeting.wav", window=3, hop=1)   # doctest: +SKIP
    >>> for part in segments(windows):                                      # doctest: +SKIP
    ...     print(f"{part.start:7.2f} {part.end:7.2f} {part.answer}")
    """
    limit = recognizer.least(min_confidence)
    check_profile(profile, recognizer.manifest)
    shortest, longest = window_limits(recognizer)
    length = default_window(recognizer) if window is None else float(window)
    if not shortest <= length <= longest:  # also nan
        raise SerkitError(
            f"The window must be {shortest:g} to {longest:g} s for the model {recognizer.manifest.name}, "
            f"got {length:g} s."
        )
    step = max(length / 2, MIN_HOP) if hop is None else float(hop)
    if not MIN_HOP <= step <= length:
        raise SerkitError(f"The hop must be {MIN_HOP:g} s to the window's {length:g} s, got {step:g} s.")
    rate = recognizer.sample_rate
    track = audio.Track(source, sample_rate=sample_rate, target_rate=rate, block=_BLOCK, channel=channel)
    windows = cut((piece.samples for piece in track), max(round(length * rate), 1), max(round(step * rate), 1))
    return _answered(recognizer, track, windows, limit, profile, progress)


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


def _answered(
    recognizer: Runner,
    track: audio.Track,
    windows: Iterable[tuple[int, np.ndarray]],
    min_confidence: float,
    profile: Profile | None,
    progress: Callable[[float], None],
) -> Iterator[Prediction]:
    manifest = recognizer.manifest
    for start, end, wave, activity in heard_windows(recognizer, windows):
        voice = activity.seconds if activity.present else None
        warnings = remarks(track, voice, start, end)
        answer = Prediction(None, start, end, None, None, {}, speech=activity.present)
        if activity.present:
            found = recognizer.outputs(wave, profile=profile)
            values = dict(zip(recognizer.labels, found.probabilities.tolist(), strict=True))
            best = max(values, key=values.__getitem__)
            answer = replace(
                answer, emotion=best, confidence=values[best], probabilities=values, familiarity=found.familiarity
            )
            warnings = in_order([*warnings, *(["unfamiliar"] if manifest.is_unfamiliar(found.familiarity) else [])])
        yield replace(answer, channel=track.choice.name, warnings=warnings).at_least(min_confidence)
        progress(end)


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
