"""What the benchmarks of the service share: a service in a process of its own, and clients that cost little."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import numpy as np
import soundfile as sf
from measure import VOICES

import serkit

RATE = 16000  # Hz, of the clips
START = "from serkit.cli import main; main()"


@functools.cache
def clip(seconds: float = 3.0) -> bytes:
    """A clip of speech of this length, WAV, 16 kHz."""
    parts = [serkit.load_audio(path, target_rate=RATE).samples for path in sorted(VOICES.glob("*.flac"))]
    sound = np.resize(np.concatenate(parts), round(seconds * RATE))
    file = io.BytesIO()
    sf.write(file, sound, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def met(holds: bool) -> str:
    return "met" if holds else "**missed**"


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    log: Path
    started: float  # s from the start of the command to ready

    def processes(self) -> list[int]:
        """Its own number and those of all processes below it."""
        found = [self.process.pid]
        for number in found:
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{number}/task").iterdir():
                    found += map(int, (task / "children").read_text().split())
        return found

    def workers(self) -> list[int]:
        """The processes that answer."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        known = re.findall(r'"Application startup complete.", "process": (\d+)', text)
        return [number for number in self.processes() if str(number) in known and _alive(number)]

    def memory(self) -> float:
        """MiB in use by all of them, shared pages counted once (PSS)."""
        total = 0
        for number in self.processes():
            with contextlib.suppress(OSError):
                found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{number}/smaps_rollup").read_text(), re.MULTILINE)
                total += int(found[1]) if found else 0
        return total / 1024


def _alive(process: int) -> bool:
    """Whether it runs, and has not only left a number behind."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextlib.contextmanager
def served(
    model: str | Path, *words: object, cores: Iterable[int] | None = None, **settings: object
) -> Iterator[Service]:
    """Start a service, without a limit to the rate unless one is given, and end it."""
    given = {f"SERKIT_SERVE_{name.upper()}": str(value) for name, value in {"rate_per_minute": 0, **settings}.items()}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-c", START, "serve", "-m", str(model), "--port", "0"]
        if cores is not None:
            command = ["taskset", "-c", ",".join(map(str, cores)), *command]
        begun = time.perf_counter()
        with log.open("wb") as file:
            process = subprocess.Popen(command, stderr=file, env={**os.environ, **given})
        try:
            while (found := re.search(r"http://([\d.]+):(\d+)", log.read_text())) is None:
                if process.poll() is not None:
                    raise SystemExit(f"ser serve ended: {log.read_text()}")
                time.sleep(0.005)
            service = Service(process, found[1], int(found[2]), log, 0.0)
            while asyncio.run(one(service, "GET", "/health/ready")).status != 200:
                time.sleep(0.005)
            service.started = time.perf_counter() - begun
            yield service
        finally:
            process.terminate()
            process.wait(120)


@dataclass
class Answer:
    """One answer: status (0 where the connection ended without one), seconds, body."""

    status: int
    seconds: float
    body: bytes = b""


class Client:
    """One connection that is kept open."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._pipes: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", kind: str = "audio/wav", more: str = "") -> Answer:
        """Send a request and read its answer."""
        begun = time.perf_counter()
        try:
            if self._pipes is None:
                self._pipes = await asyncio.open_connection(self._service.host, self._service.port)
            reader, writer = self._pipes
            length = f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n" if body else ""
            writer.write(f"{method} {path} HTTP/1.1\r\nhost: x\r\n{length}{more}\r\n".encode("latin-1") + body)
            with contextlib.suppress(ConnectionError):  # it may refuse the body before all of it is sent
                await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            size = re.search(rb"content-length: (\d+)", head)
            data = await reader.readexactly(int(size[1]) if size else 0)
            if b"connection: close" in head:
                self.close()
            return Answer(int(head.split(None, 2)[1]), time.perf_counter() - begun, data)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            self.close()
            return Answer(0, time.perf_counter() - begun)

    def close(self) -> None:
        """End the connection."""
        if self._pipes is not None:
            self._pipes[1].close()
            self._pipes = None


async def one(service: Service, method: str, path: str, body: bytes = b"", **how: str) -> Answer:
    """Ask once."""
    client = Client(service)
    try:
        return await client.ask(method, path, body, **how)
    finally:
        client.close()


@dataclass
class Tally:
    """What clients got."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)  # of those with status 200

    def add(self, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        if answer.status == 200:
            self.seconds.append(answer.seconds)

    def at(self, percent: int) -> float:
        """This percentile of the time of an answer, ms."""
        if len(self.seconds) < 2:
            return 1e3 * sum(self.seconds)
        return 1e3 * quantiles(self.seconds, n=100, method="inclusive")[percent - 1]

    def shown(self) -> str:
        """How many of each status."""
        names = {0: "no answer"}
        return ", ".join(f"{count:,} × {names.get(status, status)}" for status, count in sorted(self.statuses.items()))


async def crowd(count: int, seconds: float, work: Callable[[int], Awaitable[None]]) -> float:
    """Let `count` clients do `work` again and again for so many seconds; return how long it took."""
    begun = time.perf_counter()

    async def client(number: int) -> None:
        while time.perf_counter() - begun < seconds:
            await work(number)

    await asyncio.gather(*map(client, range(count)))
    return time.perf_counter() - begun


async def load(
    service: Service, count: int, seconds: float, body: bytes, path: str = "/v1/predict"
) -> tuple[Tally, float]:
    """Ask with `count` clients for so many seconds; return what they got and how long it took."""
    clients, tally = [Client(service) for _ in range(count)], Tally()

    async def work(number: int) -> None:
        answer = await clients[number].ask("POST", path, body)
        tally.add(answer)
        if answer.status == 503:
            await asyncio.sleep(0.2)  # a client that obeyed Retry-After would wait for 1 s

    took = await crowd(count, seconds, work)
    for client in clients:
        client.close()
    return tally, took


@contextlib.asynccontextmanager
async def beside(work: Awaitable[None]) -> AsyncIterator[None]:
    """Do `work` while the block runs."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
