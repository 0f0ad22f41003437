"""Threads that answer, and a queue before them that has an end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Event
from typing import Any, TypeVar

from fastapi import Request

from serkit.service.problems import Problem

__all__ = ["Gone", "Pool"]

_T = TypeVar("_T")
_AHEAD = 3  # streams for each thread, of which one is being answered


class Gone(Exception):
    """The client has closed the connection."""


class Pool:
    """Threads that answer requests.

    Parameters
    ----------
    threads : int
    queue : int
        Requests that may wait for a thread.
    seconds : float
        Time that a request may take, waiting included.
    """

    def __init__(self, threads: int, queue: int, seconds: float) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="serkit-answer")
        self._feeding = ThreadPoolExecutor(threads, thread_name_prefix="serkit-stream")
        self._most, self._threads, self._seconds = threads + queue, threads, seconds
        self._taken = self._fed = 0

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        return max(self._taken - self._threads, 0)

    @property
    def behind(self) -> bool:
        """Whether so many streams wait for a thread that only what must be answered should be."""
        return self._fed > _AHEAD * self._threads

    def check(self) -> None:
        """Raise the problem 503 if there is no room for another request."""
        if self._taken >= self._most:
            raise Problem(503, "All threads are busy and the queue is full: try again.", headers={"Retry-After": "1"})

    async def run(self, work: Callable[[Event], _T], request: Request) -> _T:
        """Return what `work` returns; it is called in a thread, with an event that is set once nobody waits for it.

        Raises
        ------
        Problem
            503: no room; 504: no answer in time.
        Gone
            If the client has left.
        """
        self.check()
        loop = asyncio.get_running_loop()
        stop = Event()
        self._taken += 1
        begun = self._executor.submit(copy_context().run, work, stop)  # spans belong to their request
        begun.add_done_callback(lambda _: self._give_back(loop))
        answer = asyncio.wrap_future(begun)
        left = asyncio.ensure_future(_disconnected(request))
        try:
            both: set[asyncio.Future[Any]] = {answer, left}
            await asyncio.wait(both, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if left.done():
                raise Gone
            raise Problem(504, f"There was no answer within {self._seconds:g} s: send less, or use /v1/jobs.")
        finally:
            stop.set()
            begun.cancel()
            left.cancel()
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, so that nothing is logged about it

    async def feed(self, work: Callable[[], _T]) -> _T:
        """Return what `work` returns, called in one of the threads for streams, which no queue bounds."""
        self._fed += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._feeding, work)
        finally:
            self._fed -= 1

    def _give_back(self, loop: asyncio.AbstractEventLoop) -> None:
        def less() -> None:
            self._taken -= 1

        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(less)

    def end(self) -> None:
        """Wait for what runs, drop what waits."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._feeding.shutdown(wait=True, cancel_futures=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
