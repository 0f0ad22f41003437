"""The client: the library's answers and exceptions over a real `ser serve`, patience with one that is not well."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

import serkit
from serkit.client import AsyncClient, Client, ServiceError
from serkit.client.steps import Reply, Request, Wait, patient
from serkit.service.keys import new_key
from tests.conftest import voice
from tests.service_app import wav
from tests.service_process import serving
from tests.tiny_models import write_adaptable, write_tiny

RATE = 16000
SOUND = np.concatenate([voice(3, 1, seconds=1.5), np.zeros(RATE, np.float32), voice(5, 2, seconds=1.0)])
STEREO = np.stack([SOUND, 0.5 * SOUND[::-1]], axis=1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("client")
    write_adaptable(folder / "tiny")
    write_tiny(folder / "plain", name="plain")
    return folder / "tiny", folder / "plain"


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    return new_key("ann")


@pytest.fixture(scope="module")
def address(models: tuple[Path, Path], key: tuple[str, str]) -> Iterator[str]:
    with serving(models[0], "-m", models[1], keys=key[1], max_bytes=2_000_000, threads=1) as (_, found, _):
        yield found


@pytest.fixture(scope="module")
def client(address: str, key: tuple[str, str]) -> Iterator[Client]:
    with Client(address, key=key[0]) as found:
        yield found


@pytest.fixture(scope="module")
def recognizer(models: tuple[Path, Path]) -> serkit.Recognizer:
    return serkit.load(models[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings, one that breaks off, and one that is none."""
    place = tmp_path_factory.mktemp("recordings")
    for k in (1, 2):
        (place / f"{k}.wav").write_bytes(wav(voice(k, k)))
    (place / "3.wav").write_bytes(wav(SOUND, kind="WAV")[:30_000])
    (place / "4.wav").write_bytes(b"Dear diary\n" * 20)
    return place


def raised(call: Callable[[], Any]) -> tuple[type[BaseException], str]:
    with pytest.raises(serkit.SerkitError) as found:
        call()
    return type(found.value), str(found.value)


# --------------------------------------------------------------------------------------- the answers of the library


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        (lambda place: place / "1.wav", {}),
        (lambda place: str(place / "3.wav"), {"min_confidence": 0.9}),
        (lambda place: (place / "1.wav").read_bytes(), {"labels": {"happy": "happy", "sad": "sad", "calm": "sad"}}),
        (lambda place: io.BytesIO((place / "2.wav").read_bytes()), {"labels": ["happy", "sad"]}),
        (lambda place: serkit.Waveform(SOUND, RATE), {}),
        (lambda place: (SOUND * 32767).astype(np.int16), {"sample_rate": RATE}),
        (lambda place: STEREO.astype(np.float64), {"sample_rate": 8000, "channel": "each"}),
        (lambda place: {"array": STEREO.T, "sampling_rate": RATE}, {"channel": 2}),
        (lambda place: place, {}),
        (lambda place: [place / "4.wav", place / "1.wav", "none.wav", wav(SOUND)], {"strict": True}),
    ],
)
def test_predict(client: Client, recognizer: serkit.Recognizer, folder: Path, source: Any, asked: Any) -> None:
    assert client.predict(source(folder), **asked) == recognizer.predict(source(folder), **asked)


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        (lambda place: "none.wav", {}),
        (lambda place: place / "4.wav", {}),
        (lambda place: place / "3.wav", {"strict": True}),
        (lambda place: b"", {}),
        (lambda place: io.StringIO("text"), {}),
        (lambda place: np.zeros(100, np.float32), {"sample_rate": RATE}),
        (lambda place: np.full(RATE, np.nan, np.float32), {"sample_rate": RATE}),
        (lambda place: SOUND, {}),
        (lambda place: [1.0, 2.0], {}),
        (lambda place: 5, {}),
        (lambda place: place / "1.wav", {"labels": "bored,sad"}),
        (lambda place: place / "1.wav", {"channel": "lft"}),
    ],
)
def test_exceptions_are_those_of_the_library(
    client: Client, recognizer: serkit.Recognizer, folder: Path, source: Any, asked: Any
) -> None:
    want = raised(lambda: recognizer.predict(source(folder), **asked))
    assert raised(lambda: client.predict(source(folder), **asked)) == want


def test_timelines_profiles_and_models(
    client: Client, recognizer: serkit.Recognizer, models: tuple[Path, Path], folder: Path
) -> None:
    one, many = folder / "1.wav", [wav((k + 1) / 20 * voice(k % 8, k)) for k in range(20)]
    for source, asked in ((STEREO, {"channel": "each", "pause": 0.5}), (SOUND, {"smooth": False, "window": 1.0})):
        want = recognizer.timeline(source, sample_rate=RATE, **asked)  # type: ignore[arg-type]
        assert client.timeline(source, sample_rate=RATE, **asked) == want  # type: ignore[arg-type]
    broken = client.timeline(folder / "3.wav")
    assert broken == recognizer.timeline(folder / "3.wav")
    assert broken.error is not None
    assert str(folder) in broken.error
    ann = client.enrol(one, wav(SOUND))
    assert ann == recognizer.enrol(one, wav(SOUND))
    assert client.predict(one, profile=ann) == recognizer.predict(one, profile=ann) != client.predict(one)
    with pytest.warns(UserWarning, match="1 of 21 recordings failed"):
        here = client.adapt([*many, b"nothing"])
    with pytest.warns(UserWarning, match="20 recordings"):
        assert here == recognizer.adapt(many)
    first, second = client.models()
    assert (first.name, first.default, first.labels) == ("tiny", True, recognizer.labels)
    assert client.predict(one, model=second.name) == serkit.load(models[1]).predict(one)
    other = raised(lambda: client.predict(one, model="plain", profile=ann))
    assert other[0] is serkit.ProfileError
    assert raised(lambda: client.predict(one, model="pain"))[1].startswith("No model 'pain' is served")


def test_jobs(client: Client, recognizer: serkit.Recognizer, folder: Path) -> None:
    seen = []
    job = client.wait(client.submit(folder / "1.wav", pause=0.5), progress=seen.append)
    assert job.result == recognizer.timeline(folder / "1.wav", pause=0.5)
    assert seen[-1] == job
    assert client.wait(client.submit(folder / "2.wav", kind="predict")).result == [recognizer.predict(folder / "2.wav")]
    assert raised(lambda: client.wait(client.submit(folder / "4.wav")))[1].endswith(
        "is text, not audio, despite its name."
    )
    assert client.cancel(job).state == "done"
    assert raised(lambda: client.job(job.id))[1].startswith("There is no such job")
    assert raised(lambda: client.job("a?b#c"))[1].startswith("There is no such job")
    waiting = client.submit(wav(np.tile(SOUND, 40)))
    assert client.cancel(waiting).state == "cancelled"
    assert client.wait(waiting).state == "cancelled"


@pytest.mark.parametrize(("kind", "size"), [("float32", 1600), ("pcm16", 999)])
def test_streams(client: Client, recognizer: serkit.Recognizer, kind: Any, size: int) -> None:
    sound = SOUND if kind == "float32" else (STEREO * 32767).astype(np.int16)
    want = serkit.Stream(recognizer, sample_rate=RATE, partial=None, labels="happy,sad")
    want.feed(sound)
    want.finish()
    found = []
    with client.stream(RATE, partial=None, labels="happy,sad", format=kind, channels=sound.ndim) as stream:
        for at in range(0, len(sound), size):
            stream.feed(sound[at : at + size])
            found += stream.events()
        stream.finish()
        found += stream.events()
        assert stream.labels == ("happy", "sad")
        assert stream.seconds == len(sound) / RATE
    assert found == list(want.events())
    assert {event.kind for event in found} == {"final", "silence"}


def test_streams_that_are_refused(client: Client, address: str) -> None:
    assert raised(lambda: client.stream(RATE, labels="bored").__enter__())[1].startswith("The model")
    assert (
        raised(lambda: Client(address).stream(RATE).__enter__())[1]
        == f"{address} needs a key: give key=... with one that it knows."
    )
    with client.stream(RATE) as stream:
        assert raised(lambda: stream.feed(STEREO))[1].startswith("A chunk has 2 channels")
        stream.feed(b"abc")  # no whole frame: the service says so
        assert "no whole number of float32 frames" in raised(stream.finish)[1]


def test_coroutines_give_the_same(address: str, key: tuple[str, str], client: Client, folder: Path) -> None:
    sources = [folder / "1.wav", folder / "4.wav", wav(SOUND)]

    async def ask() -> None:
        async with AsyncClient(address, key=key[0]) as other:
            assert await other.predict(sources) == client.predict(sources)
            assert await other.predict(sources[0]) == client.predict(sources[0])
            assert await other.timeline(sources[2]) == client.timeline(sources[2])
            assert await other.models() == client.models()
            ann = await other.enrol(wav(SOUND), wav(SOUND))
            assert ann == client.enrol(wav(SOUND), wav(SOUND))
            job = await other.wait(await other.submit(sources[0], kind="predict"))
            assert job.result == [client.predict(sources[0])]
            assert (await other.cancel(await other.job(job))).state == "done"
            async with other.stream(RATE, partial=None) as stream:
                await stream.feed(SOUND)
                await stream.finish()
                events = list(stream.events())
            with client.stream(RATE, partial=None) as same:
                same.feed(SOUND)
                same.finish()
                assert events == list(same.events())
            with pytest.raises(ServiceError, match=r"No stream can be opened to .*refused"):
                async with AsyncClient(nobody()).stream(RATE):
                    pass

    asyncio.run(ask())


# ------------------------------------------------------------------------------------- what may go wrong on the way


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def answer(status: int, body: Any = b"", kind: str = "application/json", **headers: object) -> bytes:
    """A whole answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = (
        f"HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n{more}connection: close\r\n\r\n"
    )
    return head.encode() + data


class Played:
    """A server that gives these answers, one to each connection; None: it closes without one."""

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for one in self._answers:
            with self._socket.accept()[0] as connection:
                connection.settimeout(60)
                data = b""
                while b"\r\n\r\n" not in data or not whole(data):
                    data += connection.recv(1 << 16)
                self.asked.append(data.split(b" HTTP")[0].decode())
                if one is not None:
                    connection.sendall(one)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(1 << 16):  # a reset would take the answer back
                        pass
        self._socket.close()


def whole(data: bytes) -> bool:
    head, _, body = data.partition(b"\r\n\r\n")
    found = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return not found or len(body) >= int(found[0].split(b":")[1])


ROW = serkit.Prediction(None, 0.0, 1.0, "sad", 0.75, {"happy": 0.25, "sad": 0.75}, speech=True)
ROWS = answer(200, {"model": "m 1", "labels": ["happy", "sad"], "rows": [{**ROW.to_dict(), "newer": 1}]})
BUSY = {"kind": "application/problem+json", "body": {"status": 503, "detail": "Busy."}}


def test_a_busy_service_is_asked_again() -> None:
    date = formatdate(time.time() - 5, usegmt=True)
    server = Played(answer(503, **BUSY, retry_after=0), answer(429, **BUSY, retry_after=date), None, ROWS)
    with Client(server.address) as client:
        assert client.predict(wav(SOUND)) == ROW
    assert server.asked == ["POST /v1/predict"] * 4


def test_patience_ends_in_time() -> None:
    server = Played(*[answer(503, **BUSY, retry_after=3600)] * 3)  # whichever request is answered first
    with Client(server.address, timeout=60) as client:
        kind, says = raised(lambda: client.predict([wav(SOUND), wav(SOUND)]))
    assert kind is ServiceError
    assert f"{server.address} is busy (503) and asks to wait for " in says
    assert says.endswith("s are left of 60 s: try again later, or give a longer timeout.")


def test_waits_grow_where_the_service_does_not_say_how_long() -> None:
    steps = patient(Request("GET", "/"), "there", 1000)
    waits: list[float] = []
    step = next(steps)
    while len(waits) < 6:
        step = steps.send(None) if isinstance(step, Wait) else steps.send(Reply(503, {}, b""))
        waits += [step.seconds] if isinstance(step, Wait) else []
    assert all(low <= wait <= 1.25 * low for low, wait in zip((0.5, 1, 2, 4, 8, 8), waits, strict=True))


def test_a_job_is_not_sent_twice() -> None:
    server = Played(None, ROWS)
    with Client(server.address) as client:
        assert "the connection broke" in raised(lambda: client.submit(wav(SOUND)))[1]
    assert server.asked == ["POST /v1/jobs"]


def test_a_connection_that_breaks_again_and_again() -> None:
    server = Played(None, None, None)
    with Client(server.address) as client:
        assert raised(client.models)[1].startswith(f"There is no answer from {server.address}: the connection broke")
    assert len(server.asked) == 3


def test_an_answer_that_does_not_come() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(address, timeout=0.3) as client:
            says = raised(client.models)[1]
    assert (
        says == f"There is no answer from {address}: it took more than 0.3 s; give a longer timeout, or submit a job."
    )


def test_other_servers_and_other_versions() -> None:
    api = answer(200, {"info": {"version": "9.9"}})
    other = "the service runs serkit 9.9, this is"
    for server in (
        Played(answer(200, {"rows": [{"start": 0}]}), api),
        Played(answer(200, b"no JSON"), api),
        Played(answer(404, {"detail": "There is nothing here: …", "status": 404}, "application/problem+json"), api),
    ):
        with Client(server.address) as client:
            assert other in raised(lambda client=client: client.predict(wav(SOUND)))[1]  # type: ignore[misc]
    server = Played(answer(404, b"<html>", "text/html"))
    with Client(server.address) as client:
        assert raised(client.models)[1].endswith(
            "answers with 404 and text/html, so it is no ser serve: check the address."
        )


def test_who_does_not_answer_and_who_may_not_ask(address: str, folder: Path) -> None:
    gone = nobody()
    refused = (
        f"There is no answer from {gone}: the connection was refused; start ser serve there, or check the address."
    )
    with Client(gone) as client:
        assert raised(lambda: client.predict(folder / "1.wav")) == (ServiceError, refused)
        assert raised(lambda: client.predict(folder)) == (ServiceError, refused)  # one error, not a row for each
    with Client(address, key="wrong") as client:
        kind, says = raised(client.models)
        assert (kind, says) == (
            ServiceError,
            f"{address} does not know this key, or no longer: give key=... with one that it knows.",
        )
    for wrong in ("127.0.0.1:8000", "ftp://x", "", None):
        assert raised(lambda wrong=wrong: Client(wrong))[1].startswith("An address is http://HOST:PORT")  # type: ignore[misc]
    assert raised(lambda: Client(timeout=0))[1].startswith("timeout must be more than 0 s")


def test_what_is_too_large_costs_itself(client: Client) -> None:
    small, large = wav(SOUND), wav(np.tile(SOUND, 30))
    first, second = client.predict([large, small])
    assert first.error is not None
    assert "more than 2,000,000 bytes" in first.error
    assert second == client.predict(small)
    with pytest.raises(ServiceError) as found:
        client.predict(large)
    assert found.value.status == 413


def test_it_is_light() -> None:
    heavy = {"numpy", "scipy", "onnxruntime", "soundfile", "websockets"}
    code = f"import sys, serkit.client; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_it_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    for name in [name for name in sys.modules if name.startswith("serkit.client")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(serkit.MissingExtraError, match=r"pip install 'serkit\[client\]'"):
        __import__("serkit.client")
