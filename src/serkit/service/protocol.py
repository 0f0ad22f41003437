"""The HTTP protocol of uvicorn, with limits to the head of a request, which it does not have."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Protocol"]

_MOST_HEAD = 1 << 16  # bytes


class Protocol(HttpToolsProtocol):
    """Closes a connection whose next head is too large, or takes longer than the setting ``header_seconds``."""

    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _head = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of the head."""
        super().on_message_begin()
        self._in_head, self._head = True, 0
        self._wait()

    def on_headers_complete(self) -> None:
        """Stop waiting."""
        self._in_head = False
        self._stop()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take what came, unless the head has become too large."""
        super().data_received(data)
        if self._in_head and self.transport is not None and not self.transport.is_closing():
            self._head += len(data)
            if self._head > _MOST_HEAD:
                self._refuse(431, b"Request Header Fields Too Large")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._timer is None:
            seconds = self.config.app.settings.header_seconds  # type: ignore[union-attr]
            self._timer = self.loop.call_later(seconds, self._refuse, 408, b"Request Timeout")

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int, reason: bytes) -> None:
        self._stop()
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % (status, reason))
            self.transport.close()
