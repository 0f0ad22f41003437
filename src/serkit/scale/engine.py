"""Recordings answered by Ray workers, partition by partition; a worker that dies costs at most its partition."""

from __future__ import annotations

import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from serkit._version import __version__
from serkit.errors import SerkitError
from serkit.scale.inputs import Input, Listing
from serkit.scale.parts import Marker, Parts
from serkit.scale.session import cores
from serkit.scale.work import Answer, Work, crashed

__all__ = ["Tell", "run"]

#: Called with the number of the partition that is complete, and what it holds.
Tell = Callable[[int, Marker], object]

_OF_A_GPU = 0.25  # each worker takes, with --device cuda: it decodes most of the time
_BEAT = 1.0  # s between two looks at the cluster
_STRIKES = 2  # workers that a recording may end before it counts as the reason
_STARTS = 5  # workers in a row that may fail to start, within the next number of seconds or later
_LOST = 30.0  # s in which Ray may still send workers to a node that is gone
_PATIENCE = 60.0  # s without any worker before it is said


class Worker:
    """A process of the cluster with the model loaded once. It reads recordings and writes partitions."""

    def __init__(self, work: Work, parts: Parts, folder: str) -> None:
        self._work, self._parts = work, parts
        if Path(folder).is_dir():
            os.chdir(folder)  # relative paths mean what they mean to the user

    def ready(self) -> tuple[str, str]:
        """Return the versions of serkit and Python."""
        return __version__, sys.version.split()[0]

    def make(self, number: int, inputs: list[Input], fingerprint: str) -> Marker:
        """Answer recordings and write their partition."""
        return self._parts.write(number, self._work, list(self._work.answer(inputs)), fingerprint)

    def answer(self, one: Input) -> Answer:
        """Answer one recording."""
        return next(iter(self._work.answer([one])))

    def write(self, number: int, answers: list[Answer], fingerprint: str) -> Marker:
        """Write a partition that is answered."""
        return self._parts.write(number, self._work, answers, fingerprint)


@dataclass
class _Job:
    """A partition. After a worker died on it, it is done recording by recording, to find out which one ends workers."""

    number: int
    inputs: list[Input]
    fingerprint: str
    careful: bool = False
    answers: list[Answer] = field(default_factory=list)
    strikes: Counter[int] = field(default_factory=Counter)

    def call(self, actor: Any) -> Any:
        """Ask a worker for the next step."""
        if not self.careful:
            return actor.make.remote(self.number, self.inputs, self.fingerprint)
        at = len(self.answers)
        if at == len(self.inputs):
            return actor.write.remote(self.number, self.answers, self.fingerprint)
        return actor.answer.remote(self.inputs[at])

    def died(self) -> None:
        """Note that its worker died."""
        at = len(self.answers)
        if self.careful and at < len(self.inputs):
            self.strikes[at] += 1
            if self.strikes[at] >= _STRIKES:
                self.inputs[at] = crashed(self.inputs[at].path)
        self.careful = True


@dataclass
class _Seat:
    """A worker, what it was asked last, and the partition that it works on."""

    actor: Any
    asked: Any
    job: _Job | None = None
    ready: bool = False


def run(
    work: Work,
    parts: Parts,
    listing: Listing,
    numbers: Iterable[int],
    *,
    workers: int | None = None,
    tell: Tell = lambda number, marker: None,
    say: Callable[[str], object] = print,
) -> None:
    """Make these partitions on the cluster that Ray is connected to.

    Each worker has one partition at a time and takes the next when it is written, so no more than one for each worker
    is in memory. When a worker or its node dies, another takes over its partition.

    Parameters
    ----------
    work : Work
    parts : Parts
        Where the partitions are written. For more than one machine, a folder that all of them share, or an address.
    listing : Listing
    numbers : iterable of int
        The partitions to make.
    workers : int, optional
        By default one for each core of the cluster, however many it has at the time.
    tell : callable
        Called for each partition that is complete.
    say : callable
        Called with a sentence when the cluster has no free core for a while.

    Raises
    ------
    SerkitError
        If a partition cannot be written, or no worker can start.
    """
    _Crew(work, parts, listing, numbers, workers, tell, say).run()


class _Crew:
    def __init__(
        self,
        work: Work,
        parts: Parts,
        listing: Listing,
        numbers: Iterable[int],
        workers: int | None,
        tell: Tell,
        say: Callable[[str], object],
    ) -> None:
        import ray

        self._ray = ray
        self._listing, self._left, self._workers = listing, deque(numbers), workers
        self._tell, self._say = tell, say
        # A worker that dies is not started again by Ray, which would not tell who did what.
        how = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0, "scheduling_strategy": "SPREAD"}
        self._needs_gpu = work.recognizer.asked_device == "cuda"
        if self._needs_gpu:
            how["num_gpus"] = _OF_A_GPU
            if not self._room():
                raise SerkitError(
                    "No machine of the cluster has a GPU that Ray knows of: leave --device cuda out, or start Ray with "
                    "--num-gpus."
                )
        kind = ray.remote(**how)(Worker)
        self._given = (ray.put(work), parts, os.getcwd())  # noqa: PTH109 - as text
        self._kind: Any = kind
        self._seats: list[_Seat] = []
        self._again: deque[_Job] = deque()
        self._fails, self._failed_at = 0, 0.0
        self._looked, self._heard = 0.0, monotonic()

    def run(self) -> None:
        self._look()
        try:
            while self._staff():
                asked = [seat.asked for seat in self._seats]
                for done in self._ray.wait(asked, timeout=_BEAT)[0]:
                    self._hear(next(seat for seat in self._seats if seat.asked == done))
                self._look()
        finally:
            for seat in self._seats:
                self._ray.kill(seat.actor)

    def _staff(self) -> bool:
        """Give every worker that is free a partition, and start more workers; return whether any is left to do."""
        for seat in [seat for seat in self._seats if seat.ready and seat.job is None]:
            job = self._next()
            if job is None:
                self._dismiss(seat)
            else:
                seat.job, seat.asked = job, job.call(seat.actor)
        busy = sum(seat.job is not None for seat in self._seats)
        waiting = len(self._again) + len(self._left)
        wanted = min(self._wanted, busy + waiting)
        for seat in [seat for seat in self._seats if not seat.ready][: max(0, len(self._seats) - wanted)]:
            self._dismiss(seat)  # the cluster has fewer cores than it had, or there is less to do
        for _ in range(wanted - len(self._seats)):
            actor = self._kind.remote(*self._given)
            self._seats.append(_Seat(actor, actor.ready.remote()))
        if self._fails:
            sleep(_BEAT)  # a worker could not start: the next ones are not tried without a pause
        return busy + waiting > 0

    def _dismiss(self, seat: _Seat) -> None:
        self._ray.kill(seat.actor)
        self._seats.remove(seat)

    def _next(self) -> _Job | None:
        if self._again:
            return self._again.popleft()
        if not self._left:
            return None
        number = self._left.popleft()
        return _Job(number, self._listing.part(number), self._listing.fingerprint(number))

    def _hear(self, seat: _Seat) -> None:
        """Take what a worker answers, and ask it for the next step of its partition."""
        from ray.exceptions import RayError, RayTaskError

        job = seat.job
        try:
            found = self._ray.get(seat.asked)
        except RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            if isinstance(cause, SerkitError):
                raise cause from None
            if isinstance(cause, OSError):
                raise SerkitError(f"A worker stopped: {cause.strerror or cause}.") from None
            raise SerkitError(f"A worker stopped ({type(cause).__name__}: {str(cause)[:300]}).") from None
        except RayError as error:  # the worker, its node or its memory is gone
            self._seats.remove(seat)
            if job is not None:
                job.died()
                self._again.append(job)
                return
            self._failed_at = self._failed_at if self._fails else monotonic()
            self._fails += 1
            if self._fails >= _STARTS and monotonic() - self._failed_at > _LOST:
                reason = " ".join(str(error).split())[:300]
                raise SerkitError(f"No worker could start: {reason}") from None
            return
        self._fails = 0
        if job is None:
            self._check(found)
            seat.ready = True
        elif isinstance(found, Marker):
            self._tell(job.number, found)
            seat.job = None
        else:
            job.answers.append(found)
            seat.asked = job.call(seat.actor)

    def _look(self) -> None:
        """See how many workers the cluster has room for; say so if it has none for long."""
        now = monotonic()
        if now - self._looked < _BEAT:
            return
        self._looked = now
        self._wanted = max(1, min(self._workers or sys.maxsize, cores(), self._room()))
        if any(seat.ready for seat in self._seats):
            self._heard = now
        elif now - self._heard > _PATIENCE:
            self._heard = now
            self._say("ser: waiting for a worker: the cluster has no free core.")

    def _room(self) -> int:
        """For how many workers there is a part of a GPU, if each takes one."""
        if not self._needs_gpu:
            return sys.maxsize
        return int(self._ray.cluster_resources().get("GPU", 0) / _OF_A_GPU)

    @staticmethod
    def _check(versions: tuple[str, str]) -> None:
        if versions[0] != __version__:
            raise SerkitError(
                f"A worker has serkit {versions[0]} (Python {versions[1]}), this machine has {__version__}: install "
                "the same version on the whole cluster."
            )
