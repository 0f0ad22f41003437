"""A bundle that runs: ONNX Runtime over one waveform, and one recording answered from end to end."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit import audio
from serkit.audio import Channel, Choice, Source, Waveform
from serkit.audio.quality import MIN_VOICE
from serkit.audio.voice_activity import speech_activity
from serkit.bundle import Bundle, Manifest
from serkit.errors import AudioError, BundleError, SerkitError
from serkit.recognition.prediction import Prediction, in_order, path_of

if TYPE_CHECKING:
    from serkit.recognition.profile import Profile

__all__ = ["Runner", "remarks"]


class Runner:
    """A loaded model that answers one recording at a time; :class:`serkit.Recognizer` adds everything around it.

    Parameters
    ----------
    bundle : Bundle
    threads : int, optional
        Threads inside one answer, by default 1.

    Raises
    ------
    BundleError
        If ONNX Runtime cannot run the graph, or if this serkit does not know the features that it needs.

    See Also
    --------
    serkit.Recognizer : Many recordings, folders, explanations, enrolment.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be 1 or more, got {threads}.")
        self.bundle = bundle
        self._threads = threads or 1
        self._prepare = _preparation(bundle)
        self._made: Any = _session(bundle, self._threads)
        _runners.add(self)

    def __getstate__(self) -> dict[str, Any]:
        """The bundle, without the session: what another process needs."""
        return {"bundle": self.bundle, "threads": self._threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Runner.__init__(self, state["bundle"], threads=state["threads"])

    @property
    def _session(self) -> Any:
        """The ONNX Runtime session; a forked child makes its own when it first needs one."""
        session = self._made
        if session is None:
            session = self._made = _session(self.bundle, self._threads)
        return session

    @property
    def manifest(self) -> Manifest:
        """What the bundle says about its model."""
        return self.bundle.manifest

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions, in the order of the probabilities."""
        return self.manifest.labels

    @property
    def sample_rate(self) -> int:
        """The rate that the model works at, Hz. Recordings of any rate are converted."""
        return self.manifest.sample_rate

    def __repr__(self) -> str:
        name, version = self.manifest.name, self.manifest.version
        return f"{type(self).__name__}({name!r}, version={version!r}, labels={len(self.labels)})"

    def probabilities(self, wave: Waveform, *, speaker: Profile | None = None) -> np.ndarray:
        """Run the graph on one waveform of any content and length.

        Parameters
        ----------
        wave : Waveform
            At any rate.
        speaker : Profile, optional
            As for :meth:`predict`.

        Returns
        -------
        np.ndarray, float32, shape=(n_labels,)
            In [0, 1], summing to 1, in the order of :attr:`labels`.

        Raises
        ------
        BundleError
            If the graph's output is not a set of probabilities.
        """
        feed = {self.manifest.input["kind"]: self._prepare(audio.resample(wave, self.sample_rate))}
        try:
            (given,) = self._session.run(["probabilities"], feed)
        except Exception as error:  # ONNX Runtime raises its own kinds, one for each status
            raise BundleError(f"The model {self.manifest.name} fails on {wave!r}: {_first_line(error)}.") from error
        result = np.asarray(given)
        if result.shape != (1, len(self.labels)):
            raise BundleError(
                f"The model {self.manifest.name} gives an array of shape {result.shape}, "
                f"but its manifest names {len(self.labels)} labels."
            )
        if not (np.isfinite(result).all() and result.min() >= -1e-6 and abs(float(result.sum()) - 1) < 1e-3):
            raise BundleError(f"The model {self.manifest.name} gives no probabilities: {result[0].tolist()}.")
        return result[0] if speaker is None else speaker.adjust(result[0], self.manifest).astype(np.float32)

    def check_speaker(self, speaker: Profile | None) -> None:
        if speaker is not None:
            from serkit.recognition.profile import check_speaker

            check_speaker(speaker, self.manifest)

    def answer(
        self,
        source: Source,
        sample_rate: int | None = None,
        stop: Event | None = None,
        speaker: Profile | None = None,
        *,
        detect_speech: bool = True,
        strict: bool = False,
        channel: Channel | Choice = "auto",
    ) -> Prediction:
        """Answer one recording; one that breaks off is answered as far as it goes, or refused with `strict`.

        Where the mix of several channels holds no voice, as with a loud hum on one side, each channel is tried.
        """
        how = {"detect_speech": detect_speech, "strict": strict}
        if channel != "auto":
            return self._answer(source, sample_rate, stop, speaker, channel=channel, **how)[0]
        with audio.reopenable(source) as again:
            answer, _ = self._answer(again, sample_rate, stop, speaker, channel="auto", **how)
            if not answer.speech and answer.channel == "mix":
                choices = audio.channels_of(again, sample_rate=sample_rate)
                found = [self._answer(again, sample_rate, stop, speaker, channel=one, **how) for one in choices]
                best, voice = max(found, key=lambda pair: pair[1])
                answer = best if voice else answer
        return replace(answer, path=path_of(source))

    def _answer(
        self,
        source: Source,
        sample_rate: int | None,
        stop: Event | None,
        speaker: Profile | None,
        *,
        detect_speech: bool,
        strict: bool,
        channel: Channel | Choice,
    ) -> tuple[Prediction, float]:
        """The answer, and the seconds of voice that it was made from."""
        manifest = self.manifest
        broken: list[str] = []
        results: list[np.ndarray] = []
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
            results.append(self.probabilities(wave, speaker=speaker))
            weights.append(seconds)
        path, heard = path_of(source), track.choice.name
        warnings = remarks(track, sum(weights) if results else None, truncated=bool(broken))
        if not results:
            return Prediction(path, 0.0, end, None, None, {}, speech=False, channel=heard, warnings=warnings), 0.0
        if len(results) == 1:
            values = results[0].tolist()
        else:
            values = np.average(np.array(results, dtype=np.float64), axis=0, weights=weights).tolist()
        best = max(range(len(values)), key=values.__getitem__)
        found = dict(zip(self.labels, values, strict=True))
        answer = Prediction(
            path, 0.0, end, self.labels[best], values[best], found, speech=True, channel=heard, warnings=warnings
        )
        return answer, sum(weights)

    def answer_each(
        self,
        source: Source,
        sample_rate: int | None = None,
        stop: Event | None = None,
        speaker: Profile | None = None,
        *,
        detect_speech: bool = True,
        strict: bool = False,
    ) -> list[Prediction]:
        """Answer each channel of a recording by itself; the recording is read once for each."""
        with audio.reopenable(source) as again:
            choices = audio.channels_of(again, sample_rate=sample_rate)
            answers = (
                self.answer(
                    again, sample_rate, stop, speaker, detect_speech=detect_speech, strict=strict, channel=choice
                )
                for choice in choices
            )
            return [replace(answer, path=path_of(source)) for answer in answers]


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


def _preparation(bundle: Bundle) -> Callable[[Waveform], np.ndarray]:
    """From a waveform at the model's rate to the graph's input, with the batch axis."""
    if bundle.manifest.input["kind"] == "waveform":
        return lambda wave: wave.samples[np.newaxis]
    from serkit.features import Extractor

    try:
        extractor = Extractor.from_dict(bundle.manifest.input["extractor"])
    except (SerkitError, TypeError, KeyError) as error:
        raise BundleError(f"{bundle.path}: this serkit cannot make the features of the model: {error}") from error
    return lambda wave: np.ascontiguousarray(extractor(wave), dtype=np.float32)[np.newaxis]


def _session(bundle: Bundle, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only; they also come as exceptions
    options.enable_mem_pattern = False  # recordings differ in length
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads sleep
    try:
        return onnxruntime.InferenceSession(bundle.onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own kinds, one for each status
        raise BundleError(f"model.onnx of {bundle.path} does not load: {_first_line(error)}.") from error


_runners: weakref.WeakSet[Runner] = weakref.WeakSet()


def _after_fork() -> None:
    """Give up the parent's sessions: their threads are not in this process, and freeing them would wait for those."""
    import ctypes

    for runner in list(_runners):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(runner._made))  # never freed
        runner._made = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
