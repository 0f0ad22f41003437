"""The client whose calls are functions."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from threading import Event as Flag
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import httpx

from serkit.client import transport
from serkit.client.answers import Job, ServedModel
from serkit.client.calls import Asked, AskedOfTimeline, Calls, listed
from serkit.client.steps import Lost, Reply, Steps, Wait
from serkit.client.streams import LiveStream
from serkit.errors import ServiceError
from serkit.recognition.prediction import Prediction

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from serkit.audio import Channel, Recording, Source
    from serkit.client.calls import Options
    from serkit.client.conversation import AskedOfStream
    from serkit.recognition.profile import Profile
    from serkit.recognition.tracks import Timeline

__all__ = ["Client"]

_T = TypeVar("_T")


class Client(Calls):
    """Asks a service, as :class:`serkit.Recognizer` asks a model: the same calls, objects and exceptions.

    It may be shared between threads. A service that is busy (503, 429) is asked again after the time that it states,
    within `timeout`. The service gets the sound and a file's suffix, not its name.

    Parameters
    ----------
    address : str
        ``http://HOST:PORT`` or ``https://…``.
    key : str, optional
        API key.
    timeout : float
        Seconds that a call may take, with all waits and repetitions.
    ssl_context : ssl.SSLContext, optional
        For https with a certificate of your own: ``ssl.create_default_context(cafile="ca.pem")``.

    Raises
    ------
    SerkitError
        If the address is none.

    See Also
    --------
    AsyncClient : The same with coroutines.
    serkit.Recognizer : The same without a service.

    Examples
    --------
    >>> Client("http://127.0.0.1:8000").predict("call.wav").emotion   # doctest: +SKIP
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 120.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(address, key, timeout)
        self._ssl_context = ssl_context
        self._http = httpx.Client(**transport.options(self, ssl_context))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _run(self, steps: Steps[_T]) -> _T:
        given: Reply | Lost | None = None
        while True:
            try:
                step = steps.send(given)
            except StopIteration as done:
                found: _T = done.value
                return found
            if isinstance(step, Wait):
                time.sleep(step.seconds)
                given = None
                continue
            try:
                given = transport.reply(self._http.request(**transport.request(step)))
            except httpx.HTTPError as error:
                given = transport.lost(error, step)

    @overload
    def predict(
        self,
        source: Source | Iterable[Source],
        *,
        recursive: bool = False,
        channel: Literal["each"],
        **asked: Unpack[Options],
    ) -> list[Prediction]: ...

    # Bytes, arrays and text are iterable too, hence the overlaps.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, source: Recording, *, recursive: bool = False, channel: Channel = "auto", **asked: Unpack[Options]
    ) -> Prediction: ...

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, source: Source, *, recursive: bool = False, channel: Channel = "auto", **asked: Unpack[Options]
    ) -> Prediction | Any: ...  # a folder gives a list, which types cannot express

    @overload
    def predict(
        self, source: Iterable[Source], *, recursive: bool = False, channel: Channel = "auto", **asked: Unpack[Options]
    ) -> list[Prediction]: ...

    def predict(self, source: Any, *, recursive: bool = False, **asked: Any) -> Prediction | list[Prediction]:
        """Recognise the emotion in one recording or in many, as :meth:`serkit.Recognizer.predict` does.

        Parameters
        ----------
        source, recursive
            As there. Of a folder, the recordings in it are sent.
        **asked
            `sample_rate`, `channel`, `min_confidence`, `profile`, `labels` and `strict` as there, and `model`, one of
            :meth:`models`; by default the first.

        Returns
        -------
        Prediction or list of Prediction

        Raises
        ------
        AudioError
            If a single recording cannot be answered. Of many, its row has ``error``.
        ServiceError
            If the service does not answer, does not know the key, or stays busy.

        See Also
        --------
        predict_iter : Many recordings, one after the other, without a list.
        """
        items = listed(source, recursive)
        if items is not None:
            return list(self.predict_iter(items, **asked))
        rows = self._run(self._predict(source, asked))
        return rows if asked.get("channel") == "each" else rows[0]

    def predict_iter(
        self, sources: Iterable[Source | Prediction], *, workers: int = 4, **asked: Unpack[Asked]
    ) -> Iterator[Prediction]:
        """Answer many recordings, some at the same time.

        `sources` are those of :meth:`predict`, read as they are needed; a Prediction is passed through. `workers` is
        the number of requests at the same time, `asked` as for :meth:`predict`.

        Yields
        ------
        Prediction
            In order; ``error`` is set where one failed.
        """
        from serkit.recognition.in_parallel import answer_many

        def answer(source: Any, stop: Flag) -> list[Prediction | ServiceError]:
            try:
                return [*self._run(self._predict_or_row(source, asked))]
            except ServiceError as error:  # no answer to any recording
                return [error]

        for rows in answer_many(answer, sources, workers):
            for row in rows:
                if isinstance(row, ServiceError):
                    raise row
                yield row

    def timeline(self, source: Source, **asked: Unpack[AskedOfTimeline]) -> Timeline:
        """Recognise emotion over time in a recording, as :meth:`serkit.Recognizer.timeline` does.

        `asked` are those of :meth:`predict`, and `window`, `pause` and `smooth`. The timeline has no outline;
        :mod:`serkit.recognition.track_formats` writes it as subtitles and more.

        See Also
        --------
        submit : For recordings that take longer than the service lets a request take.
        """
        return self._run(self._timeline(source, asked))

    def enrol(self, *sources: Source, **asked: Any) -> Profile:
        """Make a profile of a person's voice, as :meth:`serkit.Recognizer.enrol` does. The service keeps nothing.

        `asked` are `model`, `sample_rate` and `channel`.
        """
        return self._run(self._profile("/v1/enrol", sources, asked))

    def adapt(self, sources: Iterable[Source], **asked: Any) -> Profile:
        """Make a profile of a place, as :meth:`serkit.Recognizer.adapt` does. The service keeps nothing.

        Parameters
        ----------
        sources : a folder, or many recordings
            20 or more, and no more than the service takes in one request.
        **asked
            `model`, `sample_rate`, `channel` and `strict`.

        Returns
        -------
        Profile

        Warns
        -----
        UserWarning
            If recordings failed.
        """
        return self._run(self._adapt(sources, asked))

    def models(self) -> list[ServedModel]:
        """Return the models that may be asked for; the first is the default."""
        return self._run(self._models())

    def submit(
        self, source: Source, *, kind: Literal["timeline", "predict"] = "timeline", **asked: Unpack[AskedOfTimeline]
    ) -> Job:
        """Send a recording that is answered in the background.

        `asked` as for :meth:`timeline`. :meth:`wait` gives the result.
        """
        return self._run(self._submit(source, kind, asked))

    def job(self, job: Job | str) -> Job:
        """Return a job, or the one with this id, as it is now."""
        return self._run(self._job(job))

    def wait(
        self, job: Job | str, *, progress: Callable[[Job], object] | None = None, seconds: float | None = None
    ) -> Job:
        """Wait until a job is over.

        Parameters
        ----------
        job : Job or str
            A job, or its id.
        progress : callable, optional
            Called with the job after each look at it.
        seconds : float, optional
            How long to wait, by default as long as it takes.

        Returns
        -------
        Job
            Done or cancelled; of one that is done, ``result`` is a Timeline, or a list of Predictions.

        Raises
        ------
        ServiceError
            If it failed, has been removed, or is not over after `seconds`.
        """
        return self._run(self._wait(job, progress, seconds))

    def cancel(self, job: Job | str) -> Job:
        """Cancel a job, or remove one that is over; return its last state."""
        return self._run(self._job(job, "DELETE"))

    def stream(self, sample_rate: int, **asked: Unpack[AskedOfStream]) -> LiveStream:
        """Open a stream: live sound in, events out, as :class:`serkit.Stream` gives them.

        Parameters
        ----------
        sample_rate : int
            Hz.
        **asked
            `channel`, `window`, `pause`, `smooth`, `min_confidence`, `profile`, `labels` and `partial` as there,
            `model`, the number of `channels` (1) and the `format` that is sent: ``"float32"``, or ``"pcm16"`` for
            samples of the type int16, at half the size.

        Returns
        -------
        LiveStream
            For a ``with`` block.
        """
        return LiveStream(self, self._ssl_context, sample_rate, asked)
