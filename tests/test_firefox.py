"""The app in Firefox, driven through WebDriver BiDi, which Firefox speaks by itself."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import write_tiny
from tests.webapp import free_port, served, until

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)

pytestmark = pytest.mark.slow
if FIREFOX is None:
    pytest.skip("no Firefox on this machine: apt-get install firefox-esr", allow_module_level=True)

Command = Callable[..., dict[str, Any]]


@contextlib.contextmanager
def firefox(profile: Path) -> Iterator[Command]:
    """A headless Firefox; what is given sends a command and returns its result."""
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    profile.mkdir()
    port = free_port()
    process = subprocess.Popen(
        [str(FIREFOX), "--headless", "--profile", str(profile), f"--remote-debugging-port={port}", "--no-remote"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)},
    )
    stack = contextlib.ExitStack()
    try:
        opened: list[Any] = []

        def listens() -> bool:
            assert process.poll() is None, "Firefox ended"
            with contextlib.suppress(OSError, WebSocketException):
                opened.append(stack.enter_context(connect(f"ws://127.0.0.1:{port}/session", max_size=None)))
            return bool(opened)

        until(listens)
        numbers = itertools.count(1)

        def command(method: str, **params: Any) -> dict[str, Any]:
            number = next(numbers)
            opened[0].send(json.dumps({"id": number, "method": method, "params": params}))
            while (answer := json.loads(opened[0].recv())).get("id") != number:
                pass
            assert answer["type"] == "success", answer
            return answer["result"]

        command("session.new", capabilities={})
        yield command
    finally:
        stack.close()
        process.terminate()
        process.wait(60)


def test_a_clip_is_answered_in_firefox(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    with (
        served("--model", str(tmp_path / "tiny"), folder=tmp_path / "home") as server,
        firefox(tmp_path / "profile") as command,
    ):
        context = command("browsingContext.getTree")["contexts"][0]["context"]
        command("browsingContext.navigate", context=context, url=server.address, wait="complete")

        def text() -> str:
            script = {"expression": "document.body.innerText", "target": {"context": context}, "awaitPromise": False}
            return str(command("script.evaluate", **script)["result"]["value"])

        for page, drawn in (("", "confidence, then"), ("/features", "Many clips"), ("/live", "Press Speak")):
            command("browsingContext.navigate", context=context, url=server.address + page, wait="complete")
            until(lambda drawn=drawn: drawn in text())  # type: ignore[misc]
            assert "Traceback" not in text()
