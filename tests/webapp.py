"""The web app as somebody sees it: a server of its own and Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: The browser: what SERKIT_CHROMIUM names, else what is installed. None is ever downloaded.
CHROMIUM = os.environ.get("SERKIT_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)

#: What stands in the way of a test in a browser, and what to do about it; None where nothing does.
MISSING: str | None = None
if importlib.util.find_spec("playwright") is None:
    MISSING = "Playwright is not installed: pip install playwright (it is in the extra dev)"
elif CHROMIUM is None:
    MISSING = "no Chromium on this machine: apt-get install chromium, or set SERKIT_CHROMIUM to one"

#: What a page is seen on, as Playwright's ``new_context`` takes it.
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "user_agent": "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/150.0.0.0 Mobile Safari/537.36",
}

_PATIENCE = 90.0  # s


@contextlib.contextmanager
def launched(*flags: str) -> Iterator[Browser]:
    """A headless Chromium with these flags on its command line."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(flags))
        try:
            yield browser
        finally:
            browser.close()


def started(*options: str, before: str = "", **keywords: Any) -> subprocess.Popen[str]:
    """Start ``ser app`` with these options, after the Python code `before`; `keywords` go to ``subprocess.Popen``."""
    code = f"{before}\nfrom serkit.cli import main; main()"
    settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **keywords}
    return subprocess.Popen([sys.executable, "-c", code, "app", *options], **settings)


@dataclass(frozen=True)
class Server:
    """A running app.

    Attributes
    ----------
    address : str
        Where a browser finds it.
    folder : pathlib.Path
        Its home, its working directory and the place of its temporary files.
    """

    address: str
    folder: Path

    def log(self) -> str:
        """What the server said."""
        return self.folder.with_suffix(".log").read_text(encoding="utf-8")

    def written(self) -> list[str]:
        """Each file that was opened for writing and each folder that was made, whether still there or not."""
        return self.folder.with_suffix(".written").read_text(encoding="utf-8").splitlines()


#: Opening a file and making a folder raise audit events in Python, so that no short-lived file gets by.
_WATCH = """
import os, sys
_told = os.open({path!r}, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
def _watch(event, args):
    if (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or event == "os.mkdir":
        os.write(_told, (str(args[0]) + "\\n").encode())
sys.addaudithook(_watch)
"""


@contextlib.contextmanager
def served(*options: str, folder: Path) -> Iterator[Server]:
    """Serve the app on a free port until the block ends.

    Parameters
    ----------
    options : str
        Of ``ser app``.
    folder : pathlib.Path
        To be made, for the server alone; what it says and writes is noted beside it.
    """
    folder.mkdir()
    server = Server(f"http://127.0.0.1:{(port := free_port())}", folder)
    home = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), str(folder))
    environment = {**os.environ, **home, "PYTHONDONTWRITEBYTECODE": "1"}
    watch = _WATCH.format(path=str(folder.with_suffix(".written")))
    with folder.with_suffix(".log").open("w") as said:
        process = started(
            *options, "--port", str(port), before=watch, stdout=said, stderr=said, cwd=folder, env=environment
        )
        try:
            until(lambda: process.poll() is not None or _answers(port))
            assert process.poll() is None, server.log()
            yield server
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition to hold."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
