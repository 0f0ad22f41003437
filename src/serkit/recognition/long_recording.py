"""A recording of any length -> its :class:`serkit.Timeline`; see :meth:`serkit.Recognizer.timeline`."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Literal

import numpy as np

from serkit import audio
from serkit.audio import Channel, Choice, Source, check_channel
from serkit.audio.channels import every_channel
from serkit.audio.utterances import MIN_PAUSE
from serkit.audio.waveform import own
from serkit.errors import AudioError, SerkitError, TruncatedError
from serkit.recognition.graph import Outputs
from serkit.recognition.listening import Heard, Listener
from serkit.recognition.prediction import Prediction, path_of
from serkit.recognition.profile import Profile, check_profile
from serkit.recognition.runner import Runner
from serkit.recognition.speakers import Turns, read_rttm
from serkit.recognition.tracks import Outline, SegmentMaker, Timeline, Track
from serkit.recognition.windows import default_window, window_limits

__all__ = ["check_pause", "check_window", "make_timeline", "window_answer"]

_WAITING = 24  # utterances whose windows are being answered while the recording is read on


def make_timeline(
    recognizer: Runner,
    source: Source,
    *,
    sample_rate: int | None = None,
    channel: Channel | Literal["each"] = "auto",
    speakers: str | os.PathLike[str] | Turns | None = None,
    window: float | None = None,
    pause: float = MIN_PAUSE,
    smooth: bool = True,
    min_confidence: float | None = None,
    profile: Profile | Mapping[int, Profile] | None = None,
    strict: bool = False,
    progress: Callable[[float], object] | None = None,
    on_block: Callable[[np.ndarray, int], object] | None = None,
    on_utterance: Callable[[Heard, list[Outputs]], object] | None = None,
    stop: Event | None = None,
) -> Timeline:
    """Answer a recording of any length; see :meth:`serkit.Recognizer.timeline`.

    `profile` may be a mapping from the number of a track to its profile. `on_utterance` is called with each utterance
    and what the model gave for its windows, embeddings included. `on_block` is called with each block of the
    channels that are answered, float32, shape (n, channels), and its rate, Hz. Once `stop` is set, what was heard is
    answered, and the timeline's error says so.
    """
    recognizer.need_labels("make a timeline")
    least = recognizer.least(min_confidence)
    voices = profile if isinstance(profile, Mapping) else {}
    everybody = None if isinstance(profile, Mapping) else profile
    for known in [*voices.values(), *([everybody] if everybody is not None else [])]:
        check_profile(known, recognizer.manifest)
    wanted = check_channel(channel, each=True)
    length, shortest_pause = check_window(recognizer, window), check_pause(pause)
    path = path_of(source)
    turns = None
    if speakers is not None:
        if wanted == "each":
            raise SerkitError("Speakers are told apart on one channel: give a channel instead of each.")
        turns = speakers if isinstance(speakers, Turns) else read_rttm(speakers, path)
    each = wanted == "each"
    track = audio.Track(source, sample_rate=sample_rate, channel=Choice(None) if wanted == "each" else wanted)
    embed = on_utterance is not None
    outline: Outline | None = None
    listener: Listener | None = None
    rows: list[list[Prediction]] = []
    broken: str | None = None
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1), thread_name_prefix="serkit") as pool:

        def submitted(number: int) -> Callable[[np.ndarray], Future[Outputs]]:
            ask = window_answer(recognizer, voices.get(number, everybody), embed=embed)
            return lambda samples: pool.submit(ask, samples)

        waiting: deque[Heard] = deque()
        try:
            for block in _to_break(track.blocks()):
                if isinstance(block, TruncatedError):
                    if strict or listener is None:
                        raise block
                    broken = str(block)
                    break
                if listener is None or outline is None:
                    choices = every_channel(block.shape[1]) if each else [track.choice]
                    listener = Listener(
                        track.rate,
                        recognizer.sample_rate,
                        choices,
                        [submitted(number) for number in range(len(choices) if turns is None else len(turns.names))],
                        window=length,
                        pause=shortest_pause,
                        least=recognizer.manifest.min_seconds,
                        turns=turns,
                    )
                    maker = SegmentMaker(recognizer, listener, min_confidence=least, smooth=smooth)
                    names = [choice.name for choice in choices] if turns is None else list(turns.names)
                    rows = [[] for _ in names]
                    outline = Outline(track.rate)
                shown = block if each else track.choice.heard(block)
                outline.add(shown)
                waiting.extend(listener.feed(block))
                while waiting and (len(waiting) > _WAITING or all(_done(waiting[0]))):
                    _put(rows, maker, waiting.popleft(), on_utterance)
                if on_block is not None:
                    on_block(shown, track.rate)
                if progress is not None:
                    progress(listener.duration)
                if stop is not None and stop.is_set():
                    broken = f"Stopped after {listener.duration:.2f} s."
                    break
            if listener is None or outline is None:
                raise AudioError("The recording holds no samples.")
            _check_length(recognizer, listener.duration, broken)
            if turns is not None and broken is None:
                turns.check(listener.duration, "the recording" if path is None else repr(path))
            for one in [*waiting, *listener.finish()]:
                _put(rows, maker, one, on_utterance)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for k, parts in enumerate(rows):
        parts += maker.silence(k, listener.duration)
    tracks = tuple(
        Track(name if len(names) > 1 or turns is not None else None, tuple(parts))
        for name, parts in zip(names, rows, strict=True)
    )
    manifest = recognizer.manifest
    return Timeline(
        path,
        listener.duration,
        f"{manifest.name} {manifest.version}",
        recognizer.labels,
        tracks,
        broken,
        outline.values(),
    )


def window_answer(
    recognizer: Runner, profile: Profile | None, *, embed: bool = False
) -> Callable[[np.ndarray], Outputs]:
    """Return the function that answers the samples of a window, at the model's rate."""

    def answer(samples: np.ndarray) -> Outputs:
        return recognizer.outputs(own(samples, recognizer.sample_rate), profile=profile, embed=embed)

    return answer


def check_window(recognizer: Runner, window: float | None) -> float:
    """Return the length of a window, s: the given one, if it is within the model's limits."""
    shortest, longest = window_limits(recognizer)
    length = default_window(recognizer) if window is None else float(window)
    if not shortest <= length <= longest:  # also nan
        raise SerkitError(
            f"The window must be {shortest:g} to {longest:g} s for the model {recognizer.manifest.name}, "
            f"got {length:g} s."
        )
    return length


def check_pause(pause: float) -> float:
    """Return the shortest pause, s, if it makes sense."""
    if not 0.1 <= pause <= 5.0:
        raise SerkitError(f"The shortest pause must be 0.1 to 5 s, got {pause:g} s.")
    return float(pause)


def _to_break(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray | TruncatedError]:
    """The blocks of a recording, and why it breaks off if it does."""
    try:
        yield from blocks
    except TruncatedError as error:
        yield error


def _done(one: Heard) -> Iterator[bool]:
    return (window.answer.done() for window in one.windows)


def _put(
    rows: list[list[Prediction]],
    maker: SegmentMaker,
    one: Heard,
    on_utterance: Callable[[Heard, list[Outputs]], object] | None,
) -> None:
    futures: list[Future[Outputs]] = [window.answer for window in one.windows]
    outputs = [future.result() for future in futures]
    rows[one.track] += maker.heard(one, outputs)
    if on_utterance is not None:
        on_utterance(one, outputs)


def _check_length(recognizer: Runner, duration: float, broken: str | None) -> None:
    least = max(recognizer.manifest.min_seconds, audio.MIN_SECONDS)
    if duration < least:
        raise AudioError(
            f"The recording lasts {duration:.3f} s{' and is truncated' if broken else ''}; "
            f"the model {recognizer.manifest.name} needs at least {least:g} s."
        )
