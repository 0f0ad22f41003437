"""One recording answered from end to end."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from serkit import audio
from serkit.audio import Channel, Choice, Source
from serkit.audio.quality import MIN_VOICE
from serkit.audio.voice_activity import speech_activity
from serkit.errors import AudioError
from serkit.recognition.graph import Graph, Outputs
from serkit.recognition.prediction import Prediction, in_order, path_of

if TYPE_CHECKING:
    from serkit.recognition.profile import Profile

__all__ = ["Heard", "Runner", "remarks"]


@dataclass(frozen=True)
class Heard:
    """One recording, or one channel of it.

    Attributes
    ----------
    answer : Prediction
    voice : float
        Seconds of voice that the answer was made from; 0 without speech.
    pieces : tuple of (np.ndarray, float)
        Embedding and seconds of voice of each piece, if they were asked for.
    """

    answer: Prediction
    voice: float
    pieces: tuple[tuple[np.ndarray, float], ...] = ()


class Runner(Graph):
    """A loaded model that answers one recording at a time; :class:`serkit.Recognizer` adds everything around it.

    Parameters
    ----------
    bundle : Bundle
    threads : int, optional
        Threads inside one answer, by default 1.
    device : {"auto", "cpu", "cuda"}
        Where it runs.

    Raises
    ------
    BundleError
        If ONNX Runtime cannot run the graph, or if this serkit does not know the features that it needs.
    SerkitError
        If there is no such device.

    See Also
    --------
    serkit.Recognizer : Many recordings, folders, explanations, enrolment.
    """

    def answer(
        self,
        source: Source,
        sample_rate: int | None = None,
        stop: Event | None = None,
        profile: Profile | None = None,
        *,
        detect_speech: bool = True,
        strict: bool = False,
        channel: Channel | Choice = "auto",
    ) -> Prediction:
        """Answer one recording; one that breaks off is answered as far as it goes, or refused with `strict`.

        Where the mix of several channels holds no voice, as with a loud hum on one side, each channel is tried.
        """
        (heard,) = self.listen(
            source, sample_rate, stop, profile, detect_speech=detect_speech, strict=strict, channel=channel
        )
        return heard.answer

    def listen(
        self,
        source: Source,
        sample_rate: int | None = None,
        stop: Event | None = None,
        profile: Profile | None = None,
        *,
        detect_speech: bool = True,
        strict: bool = False,
        channel: Channel | Choice | Literal["each"] = "auto",
        embed: bool = False,
    ) -> list[Heard]:
        """Answer one recording as :meth:`answer` does, or each of its channels, and keep what was heard for it.

        Parameters
        ----------
        source, sample_rate, profile, strict, channel
            As for :meth:`serkit.Recognizer.predict`; for ``"each"``, the recording is read once for each channel.
        stop : threading.Event, optional
            Set when the answer is no longer needed.
        detect_speech : bool
            False: do not look for speech; there is some.
        embed : bool
            Keep the embeddings.
        """
        how: dict[str, Any] = {"detect_speech": detect_speech, "strict": strict, "embed": embed}
        with contextlib.ExitStack() as stack:
            again = stack.enter_context(audio.reopenable(source)) if channel in ("auto", "each") else source
            if channel == "each":
                choices = audio.channels_of(again, sample_rate=sample_rate)
                found = [self._listen(again, sample_rate, stop, profile, channel=one, **how) for one in choices]
            else:
                found = [self._listen(again, sample_rate, stop, profile, channel=channel, **how)]
                if channel == "auto" and not found[0].voice and found[0].answer.channel == "mix":
                    choices = audio.channels_of(again, sample_rate=sample_rate)
                    sides = [self._listen(again, sample_rate, stop, profile, channel=one, **how) for one in choices]
                    best = max(sides, key=lambda one: one.voice)
                    found = [best if best.voice else found[0]]
        path = path_of(source)
        return [replace(one, answer=replace(one.answer, path=path)) for one in found]

    def _listen(
        self,
        source: Source,
        sample_rate: int | None,
        stop: Event | None,
        profile: Profile | None,
        *,
        detect_speech: bool,
        strict: bool,
        channel: Channel | Choice,
        embed: bool,
    ) -> Heard:
        """Answer a recording on one channel, piece by piece if it is long."""
        manifest = self.manifest
        broken: list[str] = []
        results: list[Outputs] = []
        weights: list[float] = []
        end = 0.0
        on_break = None if strict else broken.append
        block = manifest.max_seconds
        track = audio.Track(source, sample_rate=sample_rate, block=block, channel=channel, on_break=on_break)
        for piece in track:
            if stop is not None and stop.is_set():
                raise AudioError("The answer is no longer needed.")
            if piece.duration < manifest.min_seconds:
                if end == 0.0:
                    raise AudioError(
                        f"The recording lasts {piece.duration:.3f} s{' and is truncated' if broken else ''}; "
                        f"the model {manifest.name} needs at least {manifest.min_seconds:g} s."
                    )
                end += piece.duration  # the rest of a long recording, too short to answer
                continue
            end += piece.duration
            wave = audio.resample(piece, self.sample_rate)
            seconds = wave.duration
            if detect_speech:
                activity = speech_activity(wave)
                if not activity.present:
                    continue
                seconds = max(activity.seconds, 1e-3)
            results.append(self.outputs(wave, profile=profile, embed=embed))
            weights.append(seconds)
        path, heard = path_of(source), track.choice.name
        warnings = remarks(track, sum(weights) if results else None, truncated=bool(broken))
        if not results:
            answer = Prediction(path, 0.0, end, None, None, {}, speech=False, channel=heard, warnings=warnings)
            return Heard(answer, 0.0)
        values, familiarity = results[0].probabilities.tolist(), results[0].familiarity
        if len(results) > 1:
            table = np.array([one.probabilities for one in results], dtype=np.float64)
            values = np.average(table, axis=0, weights=weights).tolist()
            if familiarity is not None:
                familiarity = float(np.average([one.familiarity or 0.0 for one in results], weights=weights))
        numbers = np.average([one.dimensions for one in results], axis=0, weights=weights).tolist()
        best = max(range(len(values)), key=values.__getitem__, default=None)
        answer = Prediction(
            path,
            0.0,
            end,
            None if best is None else self.labels[best],
            None if best is None else values[best],
            dict(zip(self.labels, values, strict=True)),
            speech=True,
            channel=heard,
            warnings=in_order([*warnings, *(["unfamiliar"] if manifest.is_unfamiliar(familiarity) else [])]),
            familiarity=familiarity,
            dimensions=dict(zip(manifest.dimensions, numbers, strict=True)),
        )
        pieces = [
            (one.embedding, weight) for one, weight in zip(results, weights, strict=True) if one.embedding is not None
        ]
        return Heard(answer, sum(weights), tuple(pieces))


def remarks(
    track: audio.Track,
    voice: float | None,
    start: float | None = None,
    end: float | None = None,
    *,
    truncated: bool = False,
) -> tuple[str, ...]:
    """Return the warnings for a recording, or for a window of it.

    Parameters
    ----------
    track : Track
        What was read.
    voice : float or None
        Seconds of voice; None if there is no speech. A pause in a longer recording does not count as quiet.
    start, end : float, optional
        The window, s.
    truncated : bool
        Whether the recording breaks off.
    """
    found = track.meter.remarks(start, end)
    if voice is None and start is not None:
        found = [name for name in found if name != "quiet"]
    if voice is not None and voice < MIN_VOICE:
        found.append("short")
    if track.choice.one_sided:
        found.append("one-sided")
    if truncated:
        found.append("truncated")
    return in_order(found)
