"""Torment the HTTP service: damaged, slow and broken-off requests, killed workers, swapped models, bombs."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile as sf
from fuzz_audio import damaged, seeds
from service_client import RATE, Answer, Client, Service, Tally, beside, clip, crowd, load, met, one, served

from serkit.bundle import locate

__all__ = ["bombs", "disconnects", "fuzz", "kill", "schema", "slow", "swap"]


def fuzz(given: argparse.Namespace) -> list[str]:
    """Bodies, forms, JSON and heads that were damaged at random."""
    total = given.count or (2000 if given.quick else 100_000)
    files = seeds()
    names = list(files)
    tally, slowest, sizes, odd = Tally(), [0.0], [], []
    form = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n%s\r\n--x--\r\n'
    junk = b'{"format": "pcm16", "rate": 16000, "min_confidence": 0.5, "labels": ["sad", "happy"]}'
    paths = ("/v1/predict", "/v1/timeline", "/v1/predict?channel=each", "/v1/enrol")

    def made(number: int) -> tuple[str, bytes, str, str]:
        rng = np.random.default_rng([given.seed, number])
        data = damaged(files[names[number % len(names)]], rng)
        path, how = paths[int(rng.integers(0, len(paths)))], int(rng.integers(0, 10))
        if how < 6:
            return path, data, "application/octet-stream", ""
        if how < 8:
            body = form % data
            return path, damaged(body, rng) if how == 7 else body, "multipart/form-data; boundary=x", ""
        if how == 8:
            return path, damaged(junk, rng) or b"x", "application/json", ""
        name = re.sub(rb"[\r\n]", b"", damaged(b"content-encoding: gzip", rng)).decode("latin-1")
        return (
            path,
            data,
            damaged(b"audio/wav", rng).decode("latin-1").replace("\r", "").replace("\n", ""),
            f"{name}\r\n",
        )

    async def everything(service: Service) -> None:
        clients, left = [Client(service) for _ in range(8)], iter(range(total))

        async def work(client: Client) -> None:
            for number in left:
                path, body, kind, more = made(number)
                answer = await client.ask("POST", path, body, kind, more)
                tally.add(answer)
                slowest[0] = max(slowest[0], answer.seconds)
                if answer.status == 0 or answer.status >= 500 or answer.seconds > 5:
                    odd.append(f"{number} ({answer.status}, {answer.seconds:.1f} s)")
                if number % max(total // 10, 1) == 0:
                    sizes.append(service.memory())
                    print(f"{number:,} of {total:,}", file=sys.stderr)

        await asyncio.gather(*map(work, clients))

    with served(given.model) as service:
        asyncio.run(everything(service))
        asyncio.run(load(service, 1, 1, clip()))
        sizes.append(service.memory())
    return [
        f"- {total:,} damaged bodies (WAV, FLAC, MP3, Ogg, MP4 and {len(names) - 5} other kinds, forms, JSON, heads; "
        f"seed {given.seed}): {tally.shown()}; the slowest took {slowest[0]:.2f} s (target: none unanswered, no 5xx, "
        f"none over 5 s, {met(not odd)}{': ' + ', '.join(odd[:20]) if odd else ''}). Memory after a tenth "
        f"{sizes[min(1, len(sizes) - 1)]:.0f} MiB, at the end {sizes[-1]:.0f} MiB."
    ]


def slow(given: argparse.Namespace) -> list[str]:
    """Heads and bodies that come byte by byte, while others ask."""
    count, limits = given.count or (20 if given.quick else 200), {"header_seconds": 2, "upload_seconds": 4}
    got: Counter[str] = Counter()
    head = f"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: {len(clip())}\r\n\r\n".encode()

    async def drip(service: Service, number: int) -> None:
        reader, writer = await asyncio.open_connection(service.host, service.port)
        data = head if number % 2 else head + clip()
        if not number % 2:
            writer.write(head)
            data = clip()
        try:
            for at in range(len(data)):
                writer.write(data[at : at + 1])
                await asyncio.sleep(0.1)
                if reader.at_eof() or reader._buffer:  # type: ignore[attr-defined]
                    break
            got[(await reader.read(100))[9:12].decode()] += 1
        except OSError:
            got["closed"] += 1
        writer.close()

    async def both(service: Service) -> Tally:
        everyone = [asyncio.ensure_future(drip(service, number)) for number in range(count)]
        tally, _ = await load(service, 2, given.seconds or 5, clip())
        await asyncio.gather(*everyone)
        return tally

    with served(given.model, **limits) as service:
        tally = asyncio.run(both(service))
    holds = set(tally.statuses) == {200} and set(got) <= {"408", "closed"}
    said = ", ".join(f"{number} × {status}" for status, number in got.items())
    return [
        f"- {count} clients that send heads or bodies byte by byte: {said}; 2 others meanwhile: {tally.shown()}, p99 "
        f"{tally.at(99):.0f} ms ({met(holds)})."
    ]


def disconnects(given: argparse.Namespace) -> list[str]:
    """Clients that leave in the middle of the body, or before the answer."""
    count, done = given.count or (200 if given.quick else 5000), [0]
    head = f"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: {len(clip())}\r\n\r\n".encode()

    async def leave(service: Service, number: int) -> None:
        done[0] += 1
        _, writer = await asyncio.open_connection(service.host, service.port)
        writer.write(head + (clip()[: len(clip()) // 2] if number % 2 else clip()))
        await writer.drain()
        await asyncio.sleep(0.01 * (number % 3))
        writer.transport.abort()

    async def everyone(service: Service) -> None:
        for at in range(0, count, 20):
            await asyncio.gather(*(leave(service, number) for number in range(at, at + 20)))

    with served(given.model) as service:
        asyncio.run(load(service, 4, 2, clip()))
        before = service.memory()
        asyncio.run(everyone(service))
        tally, _ = asyncio.run(load(service, 4, 2, clip()))
        after = service.memory()
    return [
        f"- {done[0]:,} clients that leave in the middle: afterwards {tally.shown()} "
        f"({met(set(tally.statuses) == {200})}); memory {before:.0f} MiB before, {after:.0f} MiB after."
    ]


def kill(given: argparse.Namespace) -> list[str]:
    """kill -9 of workers while 8 clients ask."""
    seconds, killed, back = given.seconds or (6 if given.quick else 30), [0], [0.0]

    async def killing(service: Service) -> None:
        while True:
            await asyncio.sleep(2)
            victim = service.workers()[0]
            os.kill(victim, signal.SIGKILL)
            killed[0] += 1
            begun = time.perf_counter()
            while len(found := service.workers()) < 2 or victim in found:
                await asyncio.sleep(0.02)
            back[0] = max(back[0], time.perf_counter() - begun)

    async def both(service: Service) -> Tally:
        async with beside(killing(service)):
            tally, _ = await load(service, 8, seconds, clip())
        return tally

    with served(given.model, workers=2) as service:
        tally = asyncio.run(both(service))
    return [
        f"- kill -9 of a worker of two, {killed[0]} times in {seconds:g} s, 8 clients: {tally.shown()} (no answer: "
        f"what the killed worker had taken; {met(set(tally.statuses) <= {0, 200, 503})}); two workers again after at "
        f"most {back[0]:.1f} s."
    ]


def swap(given: argparse.Namespace) -> list[str]:
    """The folder of the model replaced by another one again and again."""
    names, got, times = ("fast", "open"), Counter[str](), [0]
    bodies: list[Answer] = []

    async def swapping(place: Path, others: list[Path]) -> None:
        while True:
            await asyncio.sleep(2.5)
            other = others[times[0] % 2]
            shutil.copytree(other, place.with_name("next"))
            place.rename(place.with_name("before"))
            place.with_name("next").rename(place)
            shutil.rmtree(place.with_name("before"))
            times[0] += 1

    async def both(service: Service, place: Path, others: list[Path]) -> None:
        clients = [Client(service) for _ in range(4)]

        async def work(number: int) -> None:
            bodies.append(await clients[number].ask("POST", "/v1/predict", clip()))

        async with beside(swapping(place, others)):
            await crowd(4, given.seconds or (8 if given.quick else 30), work)

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model"
        others = [locate(names[1]), locate(names[0])]
        shutil.copytree(others[1], place)
        with served(place) as service:
            asyncio.run(both(service, place, others))
    for answer in bodies:
        got[json.loads(answer.body)["model"] if answer.status == 200 else str(answer.status)] += 1
    said = ", ".join(f"{number:,} × {name}" for name, number in sorted(got.items()))
    holds = all(answer.status == 200 for answer in bodies) and len(got) == 2
    return [f"- The folder of the model swapped {times[0]} times while 4 clients ask: {said} ({met(holds)})."]


def bombs(given: argparse.Namespace) -> list[str]:
    """Small files that would become large, and headers with a wrong length."""
    hour = io.BytesIO()
    with sf.SoundFile(hour, "w", 48000, 8, format="FLAC") as file:
        for _ in range(30 if given.quick else 3600):
            file.write(np.zeros((48000, 8), np.int16))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wav", bytes(50 << 20))
    mp3 = io.BytesIO()
    sf.write(mp3, np.frombuffer(clip()[44:], np.int16), RATE, format="MP3")
    long = bytearray(mp3.getvalue())
    at = max(long.find(b"Xing"), long.find(b"Info")) + 8
    long[at : at + 4] = (100_000_000).to_bytes(4, "big")
    sent = {
        f"FLAC of silence, 8 channels, {len(hour.getvalue()) >> 10:,} KiB": hour.getvalue(),
        f"zip of zeros, {len(packed.getvalue()) >> 10:,} KiB": packed.getvalue(),
        "MP3 that claims 1,000 h": bytes(long),
    }
    lines = []
    with served(given.model, max_seconds=20 if given.quick else 1800) as service:
        before = service.memory()
        for name, data in sent.items():
            answer = asyncio.run(one(service, "POST", "/v1/predict", data))
            says = json.loads(answer.body).get("detail", "answered")
            lines.append(f"- {name}: {answer.status} after {answer.seconds:.2f} s: *{says}*")
        lines[-1] += f" Memory {before:.0f} MiB before these, {service.memory():.0f} MiB after."
    return lines


def schema(given: argparse.Namespace) -> list[str]:
    """Requests that schemathesis makes from /openapi.json."""
    if importlib.util.find_spec("schemathesis") is None:
        return ["- schemathesis: left out, it is not installed."]
    examples = str(given.count or (10 if given.quick else 200))
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    with tempfile.TemporaryDirectory() as folder, served(given.model) as service:
        address = f"http://{service.host}:{service.port}/openapi.json"
        words = [sys.executable, "-m", "schemathesis.cli", "run", address, "--checks", checks]
        words += ["--max-examples", examples, "--seed", str(given.seed)]
        # It keeps what it found in the current folder.
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        print(done.stdout[-6000:], done.stderr[-2000:], file=sys.stderr)
    found = re.findall(r"(\d+) generated", done.stdout)
    cases = f"{found[0]} cases" if found else f"{examples} examples a route"
    return [f"- schemathesis over `/openapi.json`, {cases}: {met(done.returncode == 0)}."]
