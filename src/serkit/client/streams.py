"""Streams over WebSocket: what :class:`serkit.Stream` is, answered by a service."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from serkit.client.conversation import Conversation
from serkit.client.transport import unreachable
from serkit.errors import MissingExtraError, ServiceError
from serkit.recognition.events import Event

if TYPE_CHECKING:
    import numpy as np
    from websockets.asyncio.client import ClientConnection as AsyncConnection
    from websockets.sync.client import ClientConnection

    from serkit.client.calls import Calls

__all__ = ["AsyncLiveStream", "LiveStream"]


class _Streams:
    """What both kinds of stream have."""

    def __init__(
        self, calls: Calls, ssl_context: ssl.SSLContext | None, sample_rate: int, asked: Mapping[str, Any]
    ) -> None:
        self._calls, self._ssl_context = calls, ssl_context
        self._talk = Conversation(calls, sample_rate, asked)

    @property
    def seconds(self) -> float:
        """Seconds of sound given so far."""
        return self._talk.seconds

    @property
    def model(self) -> str:
        """Name and version of the model that answers."""
        return self._talk.model

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that are answered."""
        return self._talk.labels

    def events(self) -> Iterator[Event]:
        """Yield what has come since the last call.

        Raises
        ------
        SerkitError
            After them, if the service refused something or the connection broke.
        """
        return self._talk.events()

    def _how(self) -> dict[str, Any]:
        secure = self._talk.address.startswith("wss")
        return {
            "additional_headers": self._calls.headers,
            "compression": None,
            "ping_interval": None,  # a pong would wait behind the sound
            "open_timeout": self._calls.timeout,
            "max_size": None,
            **({"ssl": self._ssl_context} if secure and self._ssl_context is not None else {}),
            **({"proxy": None} if self._calls.local else {}),
        }

    def _refused(self, error: Exception) -> ServiceError:
        says = unreachable("refused" if isinstance(error, ConnectionRefusedError) else str(error) or repr(error))
        return ServiceError(f"No stream can be opened to {self._calls.address}: {says}.")


class LiveStream(_Streams):
    """A stream, made by :meth:`Client.stream`: the calls of :class:`serkit.Stream`, within a ``with`` block.

    Examples
    --------
    >>> with client.stream(16000) as stream:                      # doctest: +SKIP
    ...     while (chunk := microphone.read()) is not None:
    ...         stream.feed(chunk)
    ...         for event in stream.events():
    ...             print(event.kind, event.segment.answer)
    ...     stream.finish()
    ...     last = list(stream.events())
    """

    _socket: ClientConnection
    _open: contextlib.ExitStack
    _reader: threading.Thread

    def __enter__(self) -> LiveStream:
        try:
            from websockets.exceptions import WebSocketException
            from websockets.sync.client import connect
        except ImportError as error:
            raise MissingExtraError("A stream", "websockets", "client") from error
        with contextlib.ExitStack() as stack:
            try:
                self._socket = stack.enter_context(connect(self._talk.address, **self._how()))
                self._socket.send(self._talk.start)
                self._talk.heard(self._socket.recv(self._calls.timeout))
            except (OSError, WebSocketException) as error:
                raise self._refused(error) from None
            self._talk.check()
            self._open = stack.pop_all()
        self._reader = threading.Thread(target=self._read, name="serkit-stream", daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._open.close()
        self._reader.join()

    def _read(self) -> None:
        from websockets.exceptions import WebSocketException

        try:
            for message in self._socket:
                self._talk.heard(message)
            self._talk.broke("the service closed it")
        except (OSError, WebSocketException) as error:
            self._talk.broke(error)

    def _send(self, message: str | bytes) -> None:
        from websockets.exceptions import WebSocketException

        try:
            self._socket.send(message)
        except (OSError, WebSocketException) as error:
            self._reader.join()  # what the service said last explains it
            self._talk.broke(error)
        self._talk.check()

    def feed(self, samples: np.ndarray | bytes) -> None:
        """Send the next samples.

        Parameters
        ----------
        samples : np.ndarray, shape=(n,) or (n, channels); or bytes
            Of any length, as :meth:`serkit.Stream.feed` takes them. Bytes are sent as they are: samples of the
            stream's format, or a packet of Opus.

        Raises
        ------
        SerkitError
            If the chunk does not fit, or the service refused an earlier one.
        """
        self._send(self._talk.encoded(samples))

    def finish(self) -> None:
        """End the stream: what was being said becomes final. Waits until the service has said everything."""
        if not self._talk.ended:
            self._send("end")
            self._reader.join()
            self._talk.check()


class AsyncLiveStream(_Streams):
    """A stream, made by :meth:`AsyncClient.stream`: the calls of :class:`serkit.Stream`, two of them coroutines.

    Examples
    --------
    >>> async with client.stream(16000) as stream:                # doctest: +SKIP
    ...     async for chunk in microphone:
    ...         await stream.feed(chunk)
    ...         for event in stream.events():
    ...             print(event.kind, event.segment.answer)
    ...     await stream.finish()
    ...     last = list(stream.events())
    """

    _socket: AsyncConnection
    _open: contextlib.AsyncExitStack
    _reader: asyncio.Task[None]

    async def __aenter__(self) -> AsyncLiveStream:
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import WebSocketException
        except ImportError as error:
            raise MissingExtraError("A stream", "websockets", "client") from error
        async with contextlib.AsyncExitStack() as stack:
            try:
                self._socket = await stack.enter_async_context(connect(self._talk.address, **self._how()))
                await self._socket.send(self._talk.start)
                self._talk.heard(await asyncio.wait_for(self._socket.recv(), self._calls.timeout))
            except (OSError, WebSocketException, asyncio.TimeoutError) as error:
                raise self._refused(error) from None
            self._talk.check()
            self._open = stack.pop_all()
        self._reader = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._open.aclose()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader

    async def _read(self) -> None:
        from websockets.exceptions import WebSocketException

        try:
            async for message in self._socket:
                self._talk.heard(message)
            self._talk.broke("the service closed it")
        except (OSError, WebSocketException) as error:
            self._talk.broke(error)

    async def _send(self, message: str | bytes) -> None:
        from websockets.exceptions import WebSocketException

        try:
            await self._socket.send(message)
        except (OSError, WebSocketException) as error:
            await self._reader
            self._talk.broke(error)
        self._talk.check()

    async def feed(self, samples: np.ndarray | bytes) -> None:
        """Send the next samples, as :meth:`LiveStream.feed` does."""
        await self._send(self._talk.encoded(samples))

    async def finish(self) -> None:
        """End the stream, as :meth:`LiveStream.finish` does."""
        if not self._talk.ended:
            await self._send("end")
            await self._reader
            self._talk.check()
