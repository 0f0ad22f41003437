"""What a request passes before its route, asked below HTTP: slow bodies, clients that leave, too many at once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from serkit.service.application import create
from serkit.service.settings import load_settings
from tests.conftest import voice
from tests.service_app import wav
from tests.tiny_models import write_tiny

DATA = wav(voice(1, 1, seconds=0.3))
Receive = Callable[[], Awaitable[dict[str, Any]]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate") / "tiny"
    write_tiny(folder)
    return folder


async def asked(app: Any, receive: Receive, **headers: str) -> tuple[int | None, dict[str, str], bytes]:
    """Status, headers and body of an answer; no status where there is none."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/v1/predict", "query_string": b"", "headers": given}
    await app({**scope, "http_version": "1.1", "scheme": "http", "client": ("127.0.0.1", 1)}, receive, send)
    if not sent:
        return None, {}, b""
    names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], names, b"".join(message.get("body", b"") for message in sent[1:])


def messages(*given: dict[str, Any]) -> Receive:
    """A client that sends these and then nothing more."""
    left = list(given)

    async def receive() -> dict[str, Any]:
        if left:
            return left.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


@pytest.mark.parametrize("limit", ["upload_idle_seconds", "upload_seconds"])
def test_a_body_that_stops_gets_408(model: Path, limit: str) -> None:
    app = create(load_settings(models=[str(model)], **{limit: 0.1}))
    answer = asyncio.run(asked(app, messages(body(DATA[:100], more=True)), content_length=str(len(DATA))))
    status, headers, content = answer
    assert status == 408
    assert headers["connection"] == "close"
    assert json.loads(content)["status"] == 408


def test_a_body_that_says_it_is_too_large_is_not_read(model: Path) -> None:
    app = create(load_settings(models=[str(model)], max_bytes=100))
    status, headers, _ = asyncio.run(asked(app, messages(), content_length="101"))
    assert (status, headers["connection"]) == (413, "close")


def test_a_client_that_leaves_gets_nothing_and_costs_nothing(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create(load_settings(models=[str(model)], threads=1))
    gone = {"type": "http.disconnect"}
    assert asyncio.run(asked(app, messages(body(DATA[:100], more=True), gone)))[0] is None
    stopped = threading.Event()

    def slow(recognizer: Any, uploads: Any, asked: Any, most: Any, stop: threading.Event) -> dict[str, Any]:
        if stop.wait(60):
            stopped.set()
        return {"rows": []}

    monkeypatch.setattr("serkit.service.work.answers", slow)
    assert asyncio.run(asked(app, messages(body(DATA), gone)))[0] is None
    assert stopped.wait(60)  # the thread is free again


def test_too_many_at_once_are_refused(model: Path) -> None:
    app = create(load_settings(models=[str(model)], requests_at_once=1))

    async def both() -> int | None:
        first = asyncio.ensure_future(asked(app, messages(body(DATA[:100], more=True))))
        await asyncio.sleep(0)  # it is inside then
        status, headers, _ = await asked(app, messages(body(DATA)))
        assert int(headers["retry-after"]) >= 1
        while not first.done():  # before Python 3.12, wait_for may swallow a cancellation
            first.cancel()
            await asyncio.sleep(0)
        return status

    assert asyncio.run(both()) == 503
