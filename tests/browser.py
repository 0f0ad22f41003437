"""Headless Chromium through its debugging protocol: as much as the tests of the web app need."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import urlopen

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_PATIENCE = 60.0  # s


class Browser:
    """One page of a fresh browser; a context manager.

    Parameters
    ----------
    folder : pathlib.Path
        For the browser's profile.
    width, height : int
        Size of the window in pixels.
    """

    def __init__(self, folder: Path, *, width: int, height: int) -> None:
        from websockets.sync.client import connect

        assert CHROMIUM is not None
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        self._process = subprocess.Popen(
            [CHROMIUM, *flags, f"--user-data-dir={folder}", f"--window-size={width},{height}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            told = folder / "DevToolsActivePort"
            until(lambda: told.is_file() and len(told.read_text().splitlines()) > 1)
            with urlopen(f"http://127.0.0.1:{told.read_text().splitlines()[0]}/json") as answer:
                pages = [target for target in json.load(answer) if target["type"] == "page"]
            self._open = contextlib.ExitStack()
            self._socket = self._open.enter_context(connect(pages[0]["webSocketDebuggerUrl"], max_size=None))
        except BaseException:
            self._process.kill()
            raise
        self._count = 0
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self._process.terminate()
        self._process.wait(_PATIENCE)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=_PATIENCE))
            if message.get("id") == self._count:
                return message["result"]

    def run(self, script: str) -> Any:
        """Return the value of JavaScript on the page."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def text(self) -> str:
        """What a reader sees."""
        return self.run("document.body.innerText") or ""


def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition to hold."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
