"""A bundle that runs: ONNX Runtime over one waveform, and one recording answered from end to end."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit import audio
from serkit.audio import Source, Waveform
from serkit.audio.voice_activity import speech_activity
from serkit.bundle import Bundle, Manifest
from serkit.errors import AudioError, BundleError, SerkitError
from serkit.recognition.prediction import Prediction

if TYPE_CHECKING:
    from serkit.recognition.profile import Profile

__all__ = ["Runner"]


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
        self._session = _session(bundle, threads or 1)
        self._prepare = _preparation(bundle)

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
        """Run the graph on one waveform, whatever it holds and however long it is.

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
            If what the graph gives are no probabilities.
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
    ) -> Prediction:
        """Answer one recording; one that breaks off as far as it goes, or with `strict` not at all."""
        manifest = self.manifest
        broken: list[str] = []
        results: list[np.ndarray] = []
        weights: list[float] = []
        end = 0.0
        on_break = None if strict else broken.append
        for piece in audio.stream(source, sample_rate=sample_rate, block=manifest.max_seconds, on_break=on_break):
            if stop is not None and stop.is_set():
                raise AudioError("Nobody waits for the answer any more.")
            if piece.duration < manifest.min_seconds:
                if end == 0.0:
                    raise AudioError(
                        f"The recording lasts {piece.duration:.3f} s{' and is truncated' if broken else ''}; "
                        f"the model {manifest.name} needs at least {manifest.min_seconds:g} s."
                    )
                end += piece.duration  # the rest of a long recording, too short to say anything
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
        path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        warnings = ("truncated",) if broken else ()
        if not results:
            return Prediction(path, 0.0, end, None, None, {}, speech=False, warnings=warnings)
        if len(results) == 1:
            values = results[0].tolist()
        else:
            values = np.average(np.array(results, dtype=np.float64), axis=0, weights=weights).tolist()
        best = max(range(len(values)), key=values.__getitem__)
        found = dict(zip(self.labels, values, strict=True))
        return Prediction(path, 0.0, end, self.labels[best], values[best], found, speech=True, warnings=warnings)


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


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
