"""Jobs on disk: recordings that wait for an answer, and answers that wait to be fetched.

A job is a folder, in ``waiting`` until it is finished and then in ``done``. All workers look into ``waiting``; one that
takes a job holds its lock, which the operating system releases however the worker ends, so another takes it then.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serkit.errors import SerkitError
from serkit.files import hold, parse_json, write_atomic, write_json
from serkit.service.problems import Problem, unexpected
from serkit.service.uploads import Upload

__all__ = ["Claimed", "Jobs"]

_ID = re.compile(r"[\w-]{22}", re.ASCII)
_OPEN = ("waiting", "running")
_MOVED = 2.0  # s, at most from the outcome of a job to its place among the finished ones
_UNWRITTEN = "The answer could not be written."
_TRIES = 3  # workers that a job may end before it counts as failed


@dataclass
class Claimed:
    """A job that this worker works on."""

    place: Path
    job: dict[str, Any]

    @property
    def cancelled(self) -> bool:
        """Whether somebody has cancelled it, or removed it."""
        return (self.place / "cancel").exists() or not self.place.exists()

    def write(self, **changes: Any) -> None:
        """Change what is known of it."""
        self.job |= changes
        write_json(self.job, self.place / "job.json")


class Jobs:
    """The jobs in a folder that all workers share.

    Parameters
    ----------
    folder : path
        Made if it is not there, for this user alone.
    kept : float
        Seconds that a finished job is kept.
    most : int
        Unfinished jobs.
    """

    def __init__(self, folder: Path, *, kept: float, most: int) -> None:
        self._waiting, self._done = folder / "waiting", folder / "done"
        self._kept, self._most = kept, most
        for one in (self._waiting, self._done):
            one.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            folder.chmod(0o700)

    def add(self, upload: Upload, options: dict[str, Any], owner: str) -> dict[str, Any]:
        """Keep a recording that is to be answered; return the job.

        Raises
        ------
        Problem
            503 if too many are unfinished.
        """
        if sum(1 for one in self._waiting.iterdir() if not one.name.startswith(".")) >= self._most:
            raise Problem(503, f"{self._most} jobs are unfinished: try again later.", headers={"Retry-After": "10"})
        number = secrets.token_urlsafe(16)
        place = self._waiting / f".{number}"  # not seen before it is whole
        place.mkdir(mode=0o700)
        try:
            upload.file.seek(0)
            with (place / "recording").open("wb") as file:
                shutil.copyfileobj(upload.file, file, 1 << 20)
            job = {
                "id": number,
                "kind": options["kind"],
                "format": options["format"],
                "state": "waiting",
                "progress": None,
                "seconds": 0.0,
                "created": _stamp(time.time()),
                "finished": None,
                "expires": None,
                "error": None,
                "owner": owner,
                "name": upload.name,
                "options": options,
                "tries": 0,
            }
            write_json(job, place / "job.json")
            place.rename(self._waiting / number)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        return _shown(job)

    def read(self, number: str, owner: str) -> dict[str, Any]:
        """Return a job, with its result if that is JSON.

        Raises
        ------
        Problem
            404 if this owner has no such job.
        """
        place, job = self._find(number, owner)
        if job["state"] in _OPEN and (place / "cancel").exists():
            job["state"] = "cancelled"
        shown = _shown(job)
        if job["state"] == "done" and job["format"] == "json":
            with contextlib.suppress(OSError):
                shown["result"] = json.loads((place / "result").read_text(encoding="utf-8"))
        return shown

    def result(self, number: str, owner: str) -> tuple[str, str]:
        """Return the format and the text of the result.

        Raises
        ------
        Problem
            404: no such job; 409: it is not done.
        """
        place, job = self._find(number, owner)
        if job["state"] != "done":
            says = f": {job['error']}" if job["error"] else "."
            raise Problem(409, f"The job is {job['state']}, so there is no result{says}")
        return str(job["format"]), (place / "result").read_text(encoding="utf-8")

    def cancel(self, number: str, owner: str) -> dict[str, Any]:
        """Cancel a job that is unfinished, remove one that is finished; return it.

        Raises
        ------
        Problem
            404 if this owner has no such job.
        """
        place, job = self._find(number, owner)
        until = time.monotonic() + _MOVED
        while place.parent != self._done and job["state"] not in _OPEN and time.monotonic() < until:
            time.sleep(0.01)  # it is finished, and about to be moved
            place, job = self._find(number, owner)
        if place.parent == self._done:
            shutil.rmtree(place, ignore_errors=True)
            return _shown(job)
        with contextlib.suppress(OSError):
            (place / "cancel").touch()
        return _shown({**job, "state": "cancelled"})

    @contextlib.contextmanager
    def claim(self) -> Iterator[Claimed | None]:
        """Take the oldest job that nobody works on, and keep it while the ``with`` block runs; None: there is none."""
        with contextlib.ExitStack() as stack:
            yield self._claimed(stack)

    def _claimed(self, stack: contextlib.ExitStack) -> Claimed | None:
        def age(place: Path) -> float:
            with contextlib.suppress(OSError):
                return (place / "recording").stat().st_mtime
            return 0.0

        for place in sorted((one for one in self._waiting.iterdir() if not one.name.startswith(".")), key=age):
            with contextlib.ExitStack() as lock:
                try:
                    lock.enter_context(hold(place / "job.json"))
                    job = parse_json((place / "job.json").read_bytes())
                except (SerkitError, OSError, ValueError):  # another worker has it, or has just finished it
                    continue
                found = Claimed(place, job)
                if job["state"] not in _OPEN:  # its worker ended before it moved it
                    self._close(place)
                    continue
                if found.cancelled:
                    self.finish(found, "cancelled")
                    continue
                if not (place / "recording").exists():  # removed by `finish`, which could write nothing at all
                    self.finish(found, "failed", error=f"{_UNWRITTEN} Send the recording again.")
                    continue
                if job["tries"] >= _TRIES:
                    self.finish(found, "failed", error=f"It ended the process that answered it, {_TRIES} times.")
                    continue
                found.write(state="running", tries=job["tries"] + 1)
                stack.push(lock.pop_all())
                return found
        return None

    def finish(self, claimed: Claimed, state: str, *, error: str | None = None, result: str | None = None) -> str:
        """Write the outcome of a job that this worker holds, and return its state; the recording is removed.

        If the disk is full, the recording makes room for the answer; if that is not enough, the job has failed.
        """
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            if result is not None:
                try:
                    self._write_result(claimed.place, result)
                except OSError as refused:
                    state, error = "failed", f"{_UNWRITTEN} {unexpected(refused, 'job').detail}"
            now = time.time()
            outcome = {
                "state": state,
                "error": error,
                "progress": 1.0 if state == "done" else claimed.job["progress"],
                "finished": _stamp(now),
                "expires": _stamp(now + self._kept),
            }
            try:
                claimed.write(**outcome)
            except OSError:
                (claimed.place / "recording").unlink(missing_ok=True)  # makes room
                claimed.write(**outcome)
            self._close(claimed.place)
        return state

    def _write_result(self, place: Path, result: str) -> None:
        try:
            write_atomic(result, place / "result")
        except OSError:
            (place / "recording").unlink(missing_ok=True)  # makes room
            write_atomic(result, place / "result")

    def _close(self, place: Path) -> None:
        (place / "recording").unlink(missing_ok=True)
        place.rename(self._done / place.name)

    def put_back(self, claimed: Claimed) -> None:
        """Leave a job to another worker, because this one ends."""
        claimed.write(state="waiting", tries=claimed.job["tries"] - 1, progress=None, seconds=0.0)

    def clean(self) -> None:
        """Remove finished jobs whose time is over, and uploads that were broken off."""
        now = time.time()
        old = [*self._done.iterdir(), *(one for one in self._waiting.iterdir() if one.name.startswith("."))]
        for place in old:
            with contextlib.suppress(OSError):
                if now - place.stat().st_mtime > self._kept:
                    shutil.rmtree(place, ignore_errors=True)

    def _find(self, number: str, owner: str) -> tuple[Path, dict[str, Any]]:
        if _ID.fullmatch(number):
            for folder in (self._waiting, self._done, self._waiting, self._done):  # it may be moved meanwhile
                with contextlib.suppress(OSError, ValueError):
                    job = parse_json((folder / number / "job.json").read_bytes())
                    if job["owner"] == owner:
                        return folder / number, job
        raise Problem(404, "There is no such job, or it has been removed: they are kept for a limited time.")


def _shown(job: dict[str, Any]) -> dict[str, Any]:
    hidden = ("owner", "name", "options", "tries", "length")
    return {**{name: value for name, value in job.items() if name not in hidden}, "result": None}


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
