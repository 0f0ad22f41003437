"""Recordings in, emotions out: a model bundle, ONNX Runtime and :class:`Prediction`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from serkit.audio import Channel, Recording, Source, check_channel
from serkit.bundle import locate, read_bundle
from serkit.recognition.in_parallel import answer_many
from serkit.recognition.inputs import scan
from serkit.recognition.prediction import Prediction
from serkit.recognition.runner import Runner
from serkit.recognition.sources import many

if TYPE_CHECKING:
    from serkit.recognition.explain import Explanation
    from serkit.recognition.label_choice import Labels
    from serkit.recognition.loaded import Loaded
    from serkit.recognition.profile import Profile
    from serkit.recognition.speakers import Turns
    from serkit.recognition.tracks import Timeline

__all__ = ["Prediction", "Recognizer", "load", "predict"]


def load(model: str | os.PathLike[str] = "default", *, threads: int | None = None, device: str = "auto") -> Recognizer:
    """Load a model.

    Parameters
    ----------
    model : str or path
        Name of a packaged model, or the folder or zip of a bundle.
    threads : int, optional
        Threads inside one answer; see :class:`Recognizer`.
    device : {"auto", "cpu", "cuda"}
        Where it runs; see :class:`Recognizer`.

    Returns
    -------
    Recognizer

    Raises
    ------
    BundleError
        If there is no such model, or if it is incomplete, changed, too new or does not run.
    SerkitError
        If there is no such device.

    See Also
    --------
    predict : Load a model and answer in one call.
    serkit.read_bundle : Read and check a model without running it.
    """
    return Recognizer(read_bundle(model), threads=threads, device=device)


@lru_cache(maxsize=1)
def _loaded() -> Loaded[Recognizer]:
    from serkit.recognition.loaded import Loaded

    return Loaded(load)


@overload
def predict(
    source: Source | Iterable[Source],
    *,
    sample_rate: int | None = None,
    recursive: bool = False,
    channel: Literal["each"],
    min_confidence: float | None = None,
    profile: Profile | None = None,
    labels: Labels | None = None,
    strict: bool = False,
    model: str | os.PathLike[str] = "default",
) -> list[Prediction]: ...


# Bytes, arrays and text are iterable too, hence the overlaps.
@overload
def predict(  # type: ignore[overload-overlap]
    source: Recording,
    *,
    sample_rate: int | None = None,
    recursive: bool = False,
    channel: Channel = "auto",
    min_confidence: float | None = None,
    profile: Profile | None = None,
    labels: Labels | None = None,
    strict: bool = False,
    model: str | os.PathLike[str] = "default",
) -> Prediction: ...


@overload
def predict(  # type: ignore[overload-overlap]
    source: str | os.PathLike[str],
    *,
    sample_rate: int | None = None,
    recursive: bool = False,
    channel: Channel = "auto",
    min_confidence: float | None = None,
    profile: Profile | None = None,
    labels: Labels | None = None,
    strict: bool = False,
    model: str | os.PathLike[str] = "default",
) -> Prediction | Any: ...  # a folder gives a list, which types cannot express


@overload
def predict(
    source: Iterable[Source],
    *,
    sample_rate: int | None = None,
    recursive: bool = False,
    channel: Channel = "auto",
    min_confidence: float | None = None,
    profile: Profile | None = None,
    labels: Labels | None = None,
    strict: bool = False,
    model: str | os.PathLike[str] = "default",
) -> list[Prediction]: ...


def predict(
    source: Source | Iterable[Source],
    *,
    sample_rate: int | None = None,
    recursive: bool = False,
    channel: Channel | Literal["each"] = "auto",
    min_confidence: float | None = None,
    profile: Profile | None = None,
    labels: Labels | None = None,
    strict: bool = False,
    model: str | os.PathLike[str] = "default",
) -> Prediction | list[Prediction]:
    """Answer with a model that is loaded once and kept: :meth:`Recognizer.predict` in one call.

    The four most recently used models are kept. A bundle whose files have changed is loaded again.

    Parameters
    ----------
    source, sample_rate, recursive, channel, min_confidence, profile, labels, strict
        As for :meth:`Recognizer.predict`.
    model : str or path
        As for :func:`load`.

    Returns
    -------
    Prediction or list of Prediction

    See Also
    --------
    Recognizer.predict_iter : Many recordings, one after the other.
    Recognizer.timeline : A long recording, utterance by utterance.
    """
    recognizer = _loaded().get(locate(model))
    answer: Callable[..., Any] = recognizer.predict
    return cast(
        "Prediction | list[Prediction]",
        answer(
            source,
            sample_rate=sample_rate,
            recursive=recursive,
            channel=channel,
            min_confidence=min_confidence,
            profile=profile,
            labels=labels,
            strict=strict,
        ),
    )


class Recognizer(Runner):
    """A loaded model. It keeps nothing from one call to the next and may be shared between threads.

    It can be sent to other processes: it pickles with its bundle (multiprocessing, joblib, Ray), and a forked child
    makes its own ONNX Runtime session at its first answer.

    Parameters
    ----------
    bundle : Bundle
    threads : int, optional
        Threads inside one answer, by default 1: the models are small, so a second thread costs more in waiting than
        it saves. Several recordings are answered at the same time instead, and one thread always sums in the
        same order.
    device : {"auto", "cpu", "cuda"}
        ``"cuda"`` is a GPU of NVIDIA (extra ``gpu``); ``"auto"`` is the GPU where one can be used, else the processor.
        Their answers differ by rounding, as docs/gpu.md says.

    Raises
    ------
    BundleError
        If ONNX Runtime cannot run the graph, or if this serkit does not know the features that it needs.
    SerkitError
        If there is no such device.

    See Also
    --------
    load : Makes one from the name or path of a model.
    predict : One call that loads the model and keeps it.
    serkit.Bundle : The model itself.

    Examples
    --------
    >>> recognizer = load()                                           # doctest: +SKIP
    >>> recognizer.predict("examples/angry_1038.opus").top(1)         # doctest: +SKIP
    [('angry', 0.9...)]
    """

    @overload
    def predict(
        self,
        source: Source | Iterable[Source],
        *,
        sample_rate: int | None = None,
        recursive: bool = False,
        channel: Literal["each"],
        min_confidence: float | None = None,
        profile: Profile | None = None,
        labels: Labels | None = None,
        strict: bool = False,
    ) -> list[Prediction]: ...

    # Bytes, arrays and text are iterable too, hence the overlaps.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        source: Recording,
        *,
        sample_rate: int | None = None,
        recursive: bool = False,
        channel: Channel = "auto",
        min_confidence: float | None = None,
        profile: Profile | None = None,
        labels: Labels | None = None,
        strict: bool = False,
    ) -> Prediction: ...

    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        source: str | os.PathLike[str],
        *,
        sample_rate: int | None = None,
        recursive: bool = False,
        channel: Channel = "auto",
        min_confidence: float | None = None,
        profile: Profile | None = None,
        labels: Labels | None = None,
        strict: bool = False,
    ) -> Prediction | Any: ...  # a folder gives a list, which types cannot express

    @overload
    def predict(
        self,
        source: Iterable[Source],
        *,
        sample_rate: int | None = None,
        recursive: bool = False,
        channel: Channel = "auto",
        min_confidence: float | None = None,
        profile: Profile | None = None,
        labels: Labels | None = None,
        strict: bool = False,
    ) -> list[Prediction]: ...

    def predict(
        self,
        source: Source | Iterable[Source],
        *,
        sample_rate: int | None = None,
        recursive: bool = False,
        channel: Channel | Literal["each"] = "auto",
        min_confidence: float | None = None,
        profile: Profile | None = None,
        labels: Labels | None = None,
        strict: bool = False,
    ) -> Prediction | list[Prediction]:
        """Recognise the emotion in one recording or in many.

        Parameters
        ----------
        source : path, bytes, binary file object, np.ndarray, Waveform or mapping; or a folder; or many of them
            What :func:`serkit.audio.load` reads. In a folder: all recordings, sorted by name. Many: a list, a
            generator, or a Series, Index or array of paths.
        sample_rate : int, optional
            Rate of arrays, Hz.
        recursive : bool
            For a folder: go into its sub-folders too.
        channel : {"auto", "mix", "left", "right", "each"} or int
            Which channel to answer, as for :func:`serkit.audio.load`; ``"each"``: all of them, one answer each. The
            answer's ``channel`` says which it was.
        min_confidence : float, optional
            In [0, 1]. A less confident answer has no emotion and ``unsure=True``; probabilities and confidence stay.
            By default the limit that the model's manifest states, else 0; a value given here wins, also 0.
        profile : Profile, optional
            What the answers are adapted to: a voice (:meth:`enrol`), if one person speaks in all recordings, or a place
            (:meth:`adapt`). By default nothing is known.
        labels : str, iterable of str or mapping, optional
            Answer among these labels of the model only, at least two of them: the others are dropped, and the rest is
            rescaled to sum to 1. ``"calm=neutral"`` adds the probability of calm to that of neutral, which must be
            among the labels itself: ``"neutral,happy,sad,angry,calm=neutral"``, the same parts in a sequence, or a
            mapping such as ``{"neutral": "neutral", "calm": "neutral", "sad": "sad"}``. Confidence, `min_confidence`,
            valence and arousal follow from what is answered; a profile acts before. By default all labels.
        strict : bool
            Refuse a recording that breaks off. By default it is answered as far as it goes, and ``warnings`` of the
            answer contain ``"truncated"``.

        Returns
        -------
        Prediction or list of Prediction
            One Prediction for one recording; a list for many, a folder or each channel, in order, where a recording
            that failed has ``error`` set. A recording longer than the model's window is answered window by window: its
            probabilities are the mean, weighted by the seconds of speech in each.

        Raises
        ------
        AudioError
            If a single recording cannot be read or is too short, or if a folder holds no recording.
        SerkitError
            If `min_confidence` is not a probability, `profile` is for another model, or the model cannot answer among
            `labels`.

        See Also
        --------
        predict_iter : Many recordings, one after the other, without a list.
        explain : What moved an answer.
        timeline : A long recording, utterance by utterance.
        """
        least = self.least(min_confidence)
        self.check_profile(profile)
        answering = self.among(labels)
        asked: dict[str, Any] = {
            "channel": channel,
            "min_confidence": least,
            "profile": profile,
            "strict": strict,
        }
        items = many(source)
        if items is not None:
            return list(answering.predict_iter(items, sample_rate=sample_rate, **asked))
        if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):  # noqa: PTH112 - also for bad names
            return list(answering.predict_iter(scan(Path(source), recursive), **asked))
        one = cast("Source", source)
        wanted = check_channel(channel, each=True)
        found = answering.listen(one, sample_rate, profile=profile, strict=strict, channel=wanted)
        rows = [heard.answer.at_least(least) for heard in found]
        return rows if wanted == "each" else rows[0]

    def predict_iter(
        self,
        sources: Iterable[Source | Prediction | Callable[[], Source]],
        *,
        sample_rate: int | None = None,
        workers: int | None = None,
        channel: Channel | Literal["each"] = "auto",
        min_confidence: float | None = None,
        profile: Profile | None = None,
        labels: Labels | None = None,
        strict: bool = False,
        detect_speech: bool = True,
    ) -> Iterator[Prediction]:
        """Answer many recordings one after the other, reading some ahead.

        Parameters
        ----------
        sources : iterable
            Recordings as for :meth:`predict`, read as they are needed. A Prediction, such as a failure of
            :func:`serkit.recognition.inputs.find_inputs`, is passed through. A function without arguments is called
            for its recording in the thread that answers.
        sample_rate : int, optional
            Rate of arrays, Hz.
        workers : int, optional
            Recordings answered at the same time, by default one per core and at most four; 16 on a GPU.
        channel, min_confidence, profile, labels, strict
            As for :meth:`predict`.
        detect_speech : bool
            False answers every recording without looking for speech, if all are known to hold a voice. Windows of long
            recordings are then weighted by their length.

        Yields
        ------
        Prediction
            One for each source, in order, or one for each of its channels with ``channel="each"``; ``error`` is set
            where one failed.

        See Also
        --------
        rows_of : The same, with the answers for one source together.
        """
        asked: dict[str, Any] = {
            "channel": channel,
            "profile": profile,
            "labels": labels,
            "strict": strict,
            "detect_speech": detect_speech,
        }
        for rows in self.rows_of(
            sources, sample_rate=sample_rate, workers=workers, min_confidence=min_confidence, **asked
        ):
            yield from rows

    def rows_of(
        self,
        sources: Iterable[Source | Prediction | Callable[[], Source]],
        *,
        sample_rate: int | None = None,
        workers: int | None = None,
        channel: Channel | Literal["each"] = "auto",
        min_confidence: float | None = None,
        profile: Profile | None = None,
        labels: Labels | None = None,
        strict: bool = False,
        detect_speech: bool = True,
    ) -> Iterator[list[Prediction]]:
        """Answer many recordings as :meth:`predict_iter` does, and keep the answers for one source together.

        Parameters
        ----------
        sources, sample_rate, workers, channel, min_confidence, profile, labels, strict, detect_speech
            As for :meth:`predict_iter`.

        Yields
        ------
        list of Prediction
            For each source, in order: one, or one for each of its channels with ``channel="each"``.

        See Also
        --------
        predict_iter : The same, one answer at a time.
        """
        least = self.least(min_confidence)
        self.check_profile(profile)
        answering = self.among(labels)
        how: dict[str, Any] = {"channel": check_channel(channel, each=True), "strict": strict}

        def answer(source: Source, stop: Event) -> list[Prediction]:
            found = answering.listen(source, sample_rate, stop, profile, detect_speech=detect_speech, **how)
            return [heard.answer for heard in found]

        if workers is None and self.device == "cuda":
            from serkit.recognition.gpu_batches import WORKERS

            workers = WORKERS
        for rows in answer_many(answer, sources, workers):
            yield [row.at_least(least) for row in rows]

    def timeline(
        self,
        source: Source,
        *,
        sample_rate: int | None = None,
        channel: Channel | Literal["each"] = "auto",
        speakers: str | os.PathLike[str] | Turns | None = None,
        window: float | None = None,
        pause: float = 0.24,
        smooth: bool = True,
        min_confidence: float | None = None,
        profile: Profile | None = None,
        labels: Labels | None = None,
        adapt: bool = False,
        strict: bool = False,
        progress: Callable[[float], object] | None = None,
    ) -> Timeline:
        """Recognise emotion over time in a recording of any length: a call, a meeting, a podcast.

        Speech is found and cut at pauses, and each utterance is answered. Long utterances are answered window by
        window, so they may have several segments. Memory does not grow with the recording.

        Parameters
        ----------
        source, sample_rate
            One recording, as for :meth:`predict`.
        channel : {"auto", "mix", "left", "right", "each"} or int
            As for :meth:`predict`. ``"each"`` gives a track for each channel. Where one channel is 10 dB louder than
            another at the same time, only the louder one is answered: the other holds its echo.
        speakers : path or Turns, optional
            Who speaks when: an RTTM file of any diarisation tool. There is a track for each speaker then. Where two
            speak at the same time, both have the answer for what is heard.
        window : float, optional
            An utterance longer than one and a half windows is answered window by window, each half a window after the
            one before, s; by default :func:`serkit.recognition.windows.default_window`.
        pause : float
            The shortest silence that ends an utterance, 0.1 to 5 s.
        smooth : bool
            Smooth the answers within an utterance, as :mod:`serkit.recognition.segments` says.
        min_confidence : float, optional
            In [0, 1]. A less confident segment names no emotion. By default the model's own limit, which may be 0.
        profile, labels : optional
            As for :meth:`predict`.
        adapt : bool
            Read the recording twice, and adapt each track to its own voice if it has 20 utterances or more that are
            not all of one mood; ``adapted`` of a track says to how many.
        strict : bool
            Refuse a recording that breaks off. By default it is answered as far as it goes, and ``error`` of the
            timeline says why it ends there.
        progress : callable, optional
            Called now and then with the seconds that were heard.

        Returns
        -------
        Timeline

        Raises
        ------
        AudioError
            If the recording cannot be read or is too short.
        SerkitError
            If a value is out of its limits, or the speakers are those of another recording.

        See Also
        --------
        serkit.Stream : The same for live sound.
        predict : One answer for the whole recording.

        Examples
        --------
        >>> found = recognizer.timeline("call.wav", channel="each")       # doctest: +SKIP
        >>> for track, part in found.rows():                              # doctest: +SKIP
        ...     print(track, part.start, part.end, part.answer)
        """
        from serkit.recognition.long_recording import make_timeline
        from serkit.recognition.own_voices import adapted_timeline

        return (adapted_timeline if adapt else make_timeline)(
            self.among(labels),
            source,
            sample_rate=sample_rate,
            channel=channel,
            speakers=speakers,
            window=window,
            pause=pause,
            smooth=smooth,
            min_confidence=min_confidence,
            profile=profile,
            strict=strict,
            progress=progress,
        )

    def explain(
        self,
        source: Source,
        *,
        sample_rate: int | None = None,
        emotion: str | None = None,
        offset: float = 0.0,
        duration: float | None = None,
        profile: Profile | None = None,
        labels: Labels | None = None,
        channel: Channel = "auto",
    ) -> Explanation:
        """Measure which stretches and which frequency bands of a recording moved the answer.

        Parameters
        ----------
        source, sample_rate
            One recording, as for :meth:`predict`.
        emotion : str, optional
            The label to explain, by default the most probable one.
        offset, duration : float
            The part to explain, s; by default all of it. It may be as long as the model's longest input.
        profile : Profile, optional
            As for :meth:`predict`: what is explained is the adapted answer.
        labels : str, iterable of str or mapping, optional
            As for :meth:`predict`: what is explained is the answer among these.
        channel : {"auto", "mix", "left", "right"} or int
            As for :func:`serkit.audio.load`.

        Returns
        -------
        Explanation
            See :mod:`serkit.recognition.explain` for how it is measured and what it does not show.

        Raises
        ------
        AudioError
            If the recording cannot be read, is too short or too long, or holds no speech.
        SerkitError
            If the model has no such label or does not answer with it, or `profile` is for another model.

        See Also
        --------
        serkit.recognition.explain_page.write_explanation : Write the result as an HTML page.
        """
        from serkit.recognition.explain import explain

        return explain(
            self.among(labels),
            source,
            sample_rate=sample_rate,
            emotion=emotion,
            offset=offset,
            duration=duration,
            profile=profile,
            channel=channel,
        )

    def enrol(
        self,
        *sources: Source,
        sample_rate: int | None = None,
        channel: Channel = "auto",
        on_break: Callable[[str], object] | None = None,
    ) -> Profile:
        """Make a profile of a person's voice, which later answers for that person may use.

        Mean and standard deviation of the model's embedding over the utterances become the person's zero point and
        unit. Use utterances as varied as those that will be judged: 30 s of one mood make that mood the zero point.
        Nothing is labelled, nothing is trained, and the profile holds no audio and no file names.

        Parameters
        ----------
        *sources : path, bytes, binary file object, np.ndarray, Waveform; or a folder
            Recordings of one person alone; earlier ones are used first. Those longer than the model's usual window
            (:func:`serkit.recognition.windows.default_window`) are cut into windows; windows without speech do not
            count.
        sample_rate : int, optional
            Rate of arrays, Hz.
        channel : {"auto", "mix", "left", "right"} or int
            As for :func:`serkit.audio.load`: the person's channel, in all recordings.
        on_break : callable, optional
            Called with a sentence that says what is wrong when a recording breaks off; what could be read is then used.
            By default such a recording is refused.

        Returns
        -------
        Profile
            Made from the first 30 s of speech; the rest is not used. Seconds are those of the windows that hold
            speech, including short pauses within them.

        Raises
        ------
        AudioError
            If a recording cannot be read or is too short for the model, or if there is less than 3 s of speech.
        BundleError
            If the model does not adapt to voices.

        See Also
        --------
        adapt : The same for a place.
        serkit.Profile : What it returns.
        predict : Its parameter `profile` takes it.

        Examples
        --------
        >>> ann = recognizer.enrol("ann1.wav", "ann2.wav")                # doctest: +SKIP
        >>> recognizer.predict("ann3.wav", profile=ann)                   # doctest: +SKIP
        >>> ann.save("ann.json")                                          # doctest: +SKIP
        >>> ann = serkit.Profile.load("ann.json")                         # doctest: +SKIP
        """
        from serkit.recognition.enrol import enrol

        return enrol(self, *sources, sample_rate=sample_rate, channel=channel, on_break=on_break)

    def adapt(
        self,
        sources: Source | Iterable[Source | Prediction],
        *,
        sample_rate: int | None = None,
        recursive: bool = False,
        channel: Channel | Literal["each"] = "auto",
        workers: int | None = None,
        strict: bool = False,
        progress: Callable[[list[Prediction]], object] | None = None,
    ) -> Profile:
        """Make a profile of a place from recordings made there, which later answers for that place may use.

        A place is a microphone, a room, a language, a style of speaking: whatever the recordings have in common. Mean
        and standard deviation of the model's embedding over them become the zero point and the unit, so they should
        be as varied in voices and moods as those that will be judged, and may be the same. Nothing is labelled and
        nothing is trained. Every recording counts once, however long it is.

        Parameters
        ----------
        sources : a folder, or many recordings
            As for :meth:`predict`. Of more than 1,000, 1,000 are used, chosen evenly: more change the profile little.
        sample_rate : int, optional
            Rate of arrays, Hz.
        recursive : bool
            For a folder: go into its sub-folders too.
        channel : {"auto", "mix", "left", "right", "each"} or int
            As for :meth:`predict`. With ``"each"``, every channel with speech counts as a recording.
        workers : int, optional
            Recordings heard at the same time, by default one per core and at most four.
        strict : bool
            Leave out recordings that break off. By default they are used as far as they go.
        progress : callable, optional
            Called with the answers for each recording, made without a profile, in order; ``error`` says why a
            recording failed and is not used.

        Returns
        -------
        Profile
            Of the kind ``"place"``.

        Warns
        -----
        UserWarning
            If recordings failed, or if fewer than 50 hold speech.

        Raises
        ------
        AudioError
            If fewer than 20 recordings hold speech, or if they sound all alike: more than 80 % of them have the same
            label, and its mean probability is above 0.6. Adapting would make that mood the zero point, and answers
            would look for other moods where there are none.
        BundleError
            If the model does not adapt to places.

        See Also
        --------
        enrol : The same for a voice.
        serkit.Profile : What it returns.
        predict : Its parameter `profile` takes it.

        Examples
        --------
        >>> here = recognizer.adapt("calls/")                             # doctest: +SKIP
        >>> recognizer.predict("calls/", profile=here)                    # doctest: +SKIP
        """
        from serkit.recognition.adapt import adapt

        return adapt(
            self,
            sources,
            sample_rate=sample_rate,
            recursive=recursive,
            channel=channel,
            workers=workers,
            strict=strict,
            progress=progress,
        )
