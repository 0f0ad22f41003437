"""A real `ser serve` in a process of its own, for tests."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def serving(model: Path, *words: object, **settings: object) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    """A running service: its process, its address, and the file with its log."""
    log = model.with_name(f"log{time.monotonic_ns()}")
    given = {f"SERKIT_SERVE_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-c", "from serkit.cli import main; main()", "serve", "-m", model, "--port", 0, *words]
    with log.open("wb") as file:
        process = subprocess.Popen(list(map(str, command)), stderr=file, env={**os.environ, **given})
    try:
        found = until(lambda: re.search(r"https?://[\d.]+:\d+", log.read_text()) or process.poll() is not None)
        assert isinstance(found, re.Match), log.read_text()
        until(lambda: status(found[0] + "/health/ready") == 200)
        yield process, found[0], log
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(done: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := done():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def ask(address: str, key: str = "", data: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of an answer, on a connection of its own."""
    host, _, path = address.removeprefix("http://").partition("/")
    with contextlib.closing(http.client.HTTPConnection(host, timeout=60)) as connection:
        connection.request("GET" if data is None else "POST", f"/{path}", data, {"X-API-Key": key} if key else {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def status(address: str, key: str = "", data: bytes | None = None) -> int | None:
    """The status of an answer; None without one."""
    try:
        return ask(address, key, data)[0]
    except (OSError, http.client.HTTPException):
        return None
