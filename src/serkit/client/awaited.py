"""The client whose calls are coroutines."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import httpx

from serkit.client import transport
from serkit.client.answers import Job, ServedModel
from serkit.client.calls import Asked, AskedOfTimeline, Calls, listed
from serkit.client.steps import Lost, Reply, Steps, Wait
from serkit.client.streams import AsyncLiveStream
from serkit.recognition.prediction import Prediction

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from serkit.audio import Channel, Recording, Source
    from serkit.client.calls import Options
    from serkit.client.conversation import AskedOfStream
    from serkit.recognition.profile import Profile
    from serkit.recognition.tracks import Timeline

__all__ = ["AsyncClient"]

_T = TypeVar("_T")


class AsyncClient(Calls):
    """The calls of :class:`Client` as coroutines, for asyncio.

    Parameters
    ----------
    address, key, timeout, ssl_context
        As for :class:`Client`.

    See Also
    --------
    Client : Says what each call does.

    Examples
    --------
    >>> async with AsyncClient("http://127.0.0.1:8000") as client:    # doctest: +SKIP
    ...     answer = await client.predict("examples/angry_1038.opus")
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
        self._http = httpx.AsyncClient(**transport.options(self, ssl_context))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    async def _run(self, steps: Steps[_T]) -> _T:
        given: Reply | Lost | None = None
        while True:
            try:
                step = steps.send(given)
            except StopIteration as done:
                found: _T = done.value
                return found
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
                given = None
                continue
            try:
                given = transport.reply(await self._http.request(**transport.request(step)))
            except httpx.HTTPError as error:
                given = transport.lost(error, step)

    @overload
    async def predict(
        self,
        source: Source | Iterable[Source],
        *,
        recursive: bool = False,
        channel: Literal["each"],
        **asked: Unpack[Options],
    ) -> list[Prediction]: ...

    # Bytes, arrays and text are iterable too, hence the overlaps.
    @overload
    async def predict(  # type: ignore[overload-overlap]
        self, source: Recording, *, recursive: bool = False, channel: Channel = "auto", **asked: Unpack[Options]
    ) -> Prediction: ...

    @overload
    async def predict(  # type: ignore[overload-overlap]
        self, source: Source, *, recursive: bool = False, channel: Channel = "auto", **asked: Unpack[Options]
    ) -> Prediction | Any: ...  # a folder gives a list, which types cannot express

    @overload
    async def predict(
        self, source: Iterable[Source], *, recursive: bool = False, channel: Channel = "auto", **asked: Unpack[Options]
    ) -> list[Prediction]: ...

    async def predict(self, source: Any, *, recursive: bool = False, **asked: Any) -> Prediction | list[Prediction]:
        """Recognise the emotion in one recording or in many: :meth:`Client.predict`."""
        items = listed(source, recursive)
        if items is not None:
            return [row async for row in self.predict_iter(items, **asked)]
        rows = await self._run(self._predict(source, asked))
        return rows if asked.get("channel") == "each" else rows[0]

    async def predict_iter(
        self, sources: Iterable[Source | Prediction], *, workers: int = 4, **asked: Unpack[Asked]
    ) -> AsyncIterator[Prediction]:
        """Answer many recordings, some at the same time: :meth:`Client.predict_iter`."""
        waiting: deque[asyncio.Task[list[Prediction]]] = deque()
        try:
            for source in sources:
                waiting.append(asyncio.ensure_future(self._run(self._predict_or_row(source, asked))))
                if len(waiting) >= workers:
                    for row in await waiting.popleft():
                        yield row
            while waiting:
                for row in await waiting.popleft():
                    yield row
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def timeline(self, source: Source, **asked: Unpack[AskedOfTimeline]) -> Timeline:
        """Recognise emotion over time in a recording: :meth:`Client.timeline`."""
        return await self._run(self._timeline(source, asked))

    async def enrol(self, *sources: Source, **asked: Any) -> Profile:
        """Make a profile of a person's voice: :meth:`Client.enrol`."""
        return await self._run(self._profile("/v1/enrol", sources, asked))

    async def adapt(self, sources: Iterable[Source], **asked: Any) -> Profile:
        """Make a profile of a place: :meth:`Client.adapt`."""
        return await self._run(self._adapt(sources, asked))

    async def models(self) -> list[ServedModel]:
        """Return the models that may be asked for; the first is the default."""
        return await self._run(self._models())

    async def submit(
        self, source: Source, *, kind: Literal["timeline", "predict"] = "timeline", **asked: Unpack[AskedOfTimeline]
    ) -> Job:
        """Send a recording that is answered in the background: :meth:`Client.submit`."""
        return await self._run(self._submit(source, kind, asked))

    async def job(self, job: Job | str) -> Job:
        """Return a job, or the one with this id, as it is now."""
        return await self._run(self._job(job))

    async def wait(
        self, job: Job | str, *, progress: Callable[[Job], object] | None = None, seconds: float | None = None
    ) -> Job:
        """Wait until a job is over: :meth:`Client.wait`."""
        return await self._run(self._wait(job, progress, seconds))

    async def cancel(self, job: Job | str) -> Job:
        """Cancel a job, or remove one that is over; return its last state."""
        return await self._run(self._job(job, "DELETE"))

    def stream(self, sample_rate: int, **asked: Unpack[AskedOfStream]) -> AsyncLiveStream:
        """Open a stream, for an ``async with`` block: :meth:`Client.stream`."""
        return AsyncLiveStream(self, self._ssl_context, sample_rate, asked)
