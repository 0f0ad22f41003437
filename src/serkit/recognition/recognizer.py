"""Recordings in, emotions out: a model bundle, ONNX Runtime and :class:`Prediction`."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from serkit.audio import Source
from serkit.bundle import read_bundle
from serkit.errors import AudioError
from serkit.recognition.inputs import failure, scan
from serkit.recognition.prediction import Prediction, check_confidence
from serkit.recognition.runner import Runner

if TYPE_CHECKING:
    from serkit.recognition.explain import Explanation
    from serkit.recognition.profile import Profile

__all__ = ["Prediction", "Recognizer", "load", "predict"]


def load(model: str | os.PathLike[str] = "default", *, threads: int | None = None) -> Recognizer:
    """Load a model.

    Parameters
    ----------
    model : str or path
        Name of a packaged model, or the folder or zip of a bundle.
    threads : int, optional
        Threads inside one answer; see :class:`Recognizer`.

    Returns
    -------
    Recognizer

    Raises
    ------
    BundleError
        If there is no such model, or if it is incomplete, changed, too new or does not run.
    """
    return Recognizer(read_bundle(model), threads=threads)


@lru_cache(maxsize=4)
def _cached(model: str) -> Recognizer:
    return load(model)


def predict(
    source: Any,
    *,
    sample_rate: int | None = None,
    min_confidence: float = 0.0,
    speaker: Profile | None = None,
    strict: bool = False,
    model: str | os.PathLike[str] = "default",
) -> Any:
    """Answer with a model that is loaded once and kept: :meth:`Recognizer.predict` in one call.

    Parameters
    ----------
    source, sample_rate, min_confidence, speaker, strict
        As for :meth:`Recognizer.predict`.
    model : str or path
        As for :func:`load`.

    Returns
    -------
    Prediction or list of Prediction
    """
    recognizer = _cached(os.fspath(model))
    return recognizer.predict(
        source, sample_rate=sample_rate, min_confidence=min_confidence, speaker=speaker, strict=strict
    )


class Recognizer(Runner):
    """A loaded model. It keeps nothing from one call to the next and may be shared between threads.

    Parameters
    ----------
    bundle : Bundle
    threads : int, optional
        Threads inside one answer, by default 1: the models are small, so that a second thread costs more in waiting
        than it saves. Several recordings are answered at the same time instead, and one thread always sums in the
        same order.

    Raises
    ------
    BundleError
        If ONNX Runtime cannot run the graph, or if this serkit does not know the features that it needs.

    Examples
    --------
    >>> recognizer = load()                                       # doctest: +SKIP
    >>> recognizer.predict("examples/plain.flac").top(1)          # doctest: +SKIP
    [('angry', 0.99...)]
    """

    @overload
    def predict(
        self,
        source: list[Any] | tuple[Any, ...],
        *,
        sample_rate: int | None = None,
        recursive: bool = False,
        min_confidence: float = 0.0,
        speaker: Profile | None = None,
        strict: bool = False,
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self,
        source: Any,
        *,
        sample_rate: int | None = None,
        recursive: bool = False,
        min_confidence: float = 0.0,
        speaker: Profile | None = None,
        strict: bool = False,
    ) -> Any: ...  # a Prediction, or for a folder a list

    def predict(
        self,
        source: Any,
        *,
        sample_rate: int | None = None,
        recursive: bool = False,
        min_confidence: float = 0.0,
        speaker: Profile | None = None,
        strict: bool = False,
    ) -> Prediction | list[Prediction]:
        """Tell the emotion of one recording or of many.

        Parameters
        ----------
        source : path, bytes, binary file object, np.ndarray, Waveform; or a folder; or a list or tuple of recordings
            What :func:`serkit.audio.load` reads. In a folder: all recordings, sorted by name.
        sample_rate : int, optional
            Rate of arrays, Hz.
        recursive : bool
            For a folder: go into its sub-folders too.
        min_confidence : float
            In [0, 1]. An answer below it names no emotion: its ``unsure`` is True; probabilities and confidence stay.
        speaker : Profile, optional
            Who speaks: what :meth:`enrol` made of that person's voice. By default the voice is unknown.
        strict : bool
            Refuse a recording that breaks off. By default it is answered as far as it goes, and ``warnings`` of the
            answer contain ``"truncated"``.

        Returns
        -------
        Prediction or list of Prediction
            One Prediction for one recording; a list for a list or folder, in order, where a recording that failed
            has ``error`` set. A recording longer than the model's window is answered window by window: its
            probabilities are the mean, weighted by the seconds of speech in each.

        Raises
        ------
        AudioError
            If a single recording cannot be read or is too short, or if a folder holds no recording; a TruncatedError
            if it breaks off and `strict` is set.
        SerkitError
            If `min_confidence` is no probability, or `speaker` is a profile of another model.
        """
        check_confidence(min_confidence)
        self.check_speaker(speaker)
        if isinstance(source, (list, tuple)):
            if any(isinstance(item, (int, float, np.number)) for item in source):
                raise AudioError("A list is taken as a list of recordings: for samples, use np.array(samples).")
            return list(
                self.predict_iter(
                    source, sample_rate=sample_rate, min_confidence=min_confidence, speaker=speaker, strict=strict
                )
            )
        if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):  # noqa: PTH112 - also for bad names
            return list(
                self.predict_iter(
                    scan(Path(source), recursive), min_confidence=min_confidence, speaker=speaker, strict=strict
                )
            )
        return self.answer(source, sample_rate, speaker=speaker, strict=strict).at_least(min_confidence)

    def predict_iter(
        self,
        sources: Iterable[Source | Prediction | Callable[[], Source]],
        *,
        sample_rate: int | None = None,
        workers: int | None = None,
        min_confidence: float = 0.0,
        speaker: Profile | None = None,
        detect_speech: bool = True,
        strict: bool = False,
    ) -> Iterator[Prediction]:
        """Answer many recordings one after the other, reading some ahead.

        Parameters
        ----------
        sources : iterable
            Recordings as for :meth:`predict`, taken as they are needed. A Prediction, such as a failure of
            :func:`serkit.recognition.inputs.find_inputs`, is handed on. A function without arguments is called for its
            recording in the thread that answers.
        sample_rate : int, optional
            Rate of arrays, Hz.
        workers : int, optional
            Recordings worked on at the same time, by default one a core and at most four.
        min_confidence, speaker, strict
            As for :meth:`predict`.
        detect_speech : bool
            False answers every recording, for those that are known to hold a voice; long ones are then weighted by
            the seconds of their windows.

        Yields
        ------
        Prediction
            One for each source, in order; with ``error`` set where one failed.
        """
        check_confidence(min_confidence)
        self.check_speaker(speaker)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        count = workers or min(4, cores)
        waiting: deque[Future[Prediction]] = deque()
        stop = Event()
        pool = ThreadPoolExecutor(count, thread_name_prefix="serkit")
        try:
            for source in sources:
                waiting.append(pool.submit(self._try, source, sample_rate, stop, speaker, detect_speech, strict))
                if len(waiting) >= 2 * count:
                    yield waiting.popleft().result().at_least(min_confidence)
            while waiting:
                yield waiting.popleft().result().at_least(min_confidence)
        finally:
            stop.set()  # an hour of audio in hand does not hold up Ctrl-C
            pool.shutdown(wait=True, cancel_futures=True)

    def explain(
        self,
        source: Source,
        *,
        sample_rate: int | None = None,
        emotion: str | None = None,
        offset: float = 0.0,
        duration: float | None = None,
        speaker: Profile | None = None,
    ) -> Explanation:
        """Tell which stretches and which frequency bands of a recording moved the answer.

        Parameters
        ----------
        source, sample_rate
            One recording, as for :meth:`predict`.
        emotion : str, optional
            The label to explain, by default the most probable one.
        offset, duration : float
            The part to explain, s; by default all of it. It may be as long as what the model hears at once.
        speaker : Profile, optional
            As for :meth:`predict`: what is explained is the adjusted answer.

        Returns
        -------
        Explanation
            See :mod:`serkit.recognition.explain` for how it is measured and what it cannot say.

        Raises
        ------
        AudioError
            If the recording cannot be read, is too short or too long, or holds no speech.
        SerkitError
            If the model has no such label, or `speaker` is a profile of another model.
        """
        from serkit.recognition.explain import explain

        return explain(
            self, source, sample_rate=sample_rate, emotion=emotion, offset=offset, duration=duration, speaker=speaker
        )

    def enrol(
        self,
        *sources: Source,
        sample_rate: int | None = None,
        on_break: Callable[[str], object] | None = None,
    ) -> Profile:
        """Make a profile of a person's voice, which later answers for that person may use.

        Speak, or choose, utterances as varied as those that are to be judged: what the voice says on average becomes
        the person's zero point, so 30 s of one mood make that mood the zero point. Nothing is labelled, nothing is
        trained, and the profile holds no audio and no file names.

        Parameters
        ----------
        *sources : path, bytes, binary file object, np.ndarray, Waveform; or a folder
            Recordings of one person alone, in the order in which they count. Those longer than the model's usual
            window (:func:`serkit.recognition.timeline.default_window`) go window by window; windows without speech do
            not count.
        sample_rate : int, optional
            Rate of arrays, Hz.
        on_break : callable, optional
            For a recording that breaks off: what could be read counts, and `on_break` is told what is wrong. By
            default such a recording is refused.

        Returns
        -------
        Profile
            Of the first 30 s of speech; what comes after that is not used. Seconds are those of the windows that hold
            speech, short pauses within them included.

        Raises
        ------
        AudioError
            If a recording cannot be read or is too short for the model, or if there are less than 3 s of speech.
        BundleError
            If the model does not enrol voices.

        Examples
        --------
        >>> ann = recognizer.enrol("ann1.wav", "ann2.wav")                # doctest: +SKIP
        >>> recognizer.predict("ann3.wav", speaker=ann)                   # doctest: +SKIP
        >>> ann.save("ann.json")                                          # doctest: +SKIP
        >>> ann = serkit.Profile.load("ann.json")                         # doctest: +SKIP
        """
        from serkit.recognition.enrol import enrol

        return enrol(self, *sources, sample_rate=sample_rate, on_break=on_break)

    def _try(
        self,
        source: Source | Prediction | Callable[[], Source],
        sample_rate: int | None,
        stop: Event,
        speaker: Profile | None,
        detect_speech: bool,
        strict: bool,
    ) -> Prediction:
        if isinstance(source, Prediction):
            return source
        try:
            recording = source() if callable(source) else source
            return self.answer(recording, sample_rate, stop, speaker, detect_speech=detect_speech, strict=strict)
        except Exception as error:  # whatever one recording does, the others are answered
            return failure(source, error)
