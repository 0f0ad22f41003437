"""Many recordings answered at the same time, in order, without holding more than a few."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from serkit.recognition.prediction import Prediction
from serkit.recognition.sources import failure

if TYPE_CHECKING:
    from serkit.audio import Source

__all__ = ["answer_many"]

_Answer = TypeVar("_Answer")


def answer_many(
    answer: Callable[[Source, Event], list[_Answer]],
    sources: Iterable[Source | Prediction | Callable[[], Source]],
    workers: int | None = None,
) -> Iterator[list[_Answer] | list[Prediction]]:
    """Yield what `answer` gives for each source, in order, or the reason why it failed.

    Parameters
    ----------
    answer : callable
        Called in a thread with a source and an event, which is set when the answer is no longer needed.
    sources : iterable
        Read as they are needed. A Prediction is passed through; a function is called in the thread for its recording.
    workers : int, optional
        Threads, by default one per core and at most four.
    """

    def attempt(source: Source | Prediction | Callable[[], Source]) -> list[_Answer] | list[Prediction]:
        if isinstance(source, Prediction):
            return [source]
        try:
            return answer(source() if callable(source) else source, stop)
        except Exception as error:  # if one recording fails, the others are still answered
            return [failure(source, error)]

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = workers or min(4, cores)
    waiting: deque[Future[list[_Answer] | list[Prediction]]] = deque()
    stop = Event()
    pool = ThreadPoolExecutor(count, thread_name_prefix="serkit")
    try:
        for source in sources:
            waiting.append(pool.submit(attempt, source))
            if len(waiting) >= 2 * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        stop.set()  # unfinished long recordings must not delay Ctrl-C
        pool.shutdown(wait=True, cancel_futures=True)
