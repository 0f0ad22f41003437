"""Make the demo of the README, docs/pictures/demo.webp: terminal, app and browser page (``make demo-picture``).

Everything in it is real: the commands run, the app and the page answer. Needs the extras ``app`` and ``dev``, Chromium
and ONNX Runtime Web (``make browser-packages``). A scene that does not come about is left out and named; with fewer
than two of the app, nothing is written.
"""

from __future__ import annotations

import functools
import io
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import soundfile
from PIL import Image
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.webapp import MISSING, launched, served  # noqa: E402

from serkit import load_audio  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OUT = ROOT / "docs" / "pictures" / "demo.webp"
EXAMPLES = sorted((ROOT / "examples").glob("*.opus"))
WIDTH, HEIGHT, CAPTION = 1200, 720, 48  # of a page; the animation has four fifths of it
MOST_BYTES, MOST_SECONDS = 2_000_000, 40
PATIENCE = 60_000  # ms
Frame = tuple[Image.Image, int]  # a picture and how long it is shown, ms

_TERMINAL = """<style>body { margin: 0; background: #14171c; color: #e6e6e6 } pre { margin: 24px 28px;
font: 19px/1.45 "DejaVu Sans Mono", Menlo, Consolas, monospace }</style><pre>%s</pre>"""
_CAPTION = """<style>body { margin: 0; background: #3f51b5; color: #fff; font: 600 20px/48px system-ui, sans-serif;
padding-left: 28px }</style>%s"""


class _Handler(SimpleHTTPRequestHandler):
    extensions_map: ClassVar[dict[str, str]] = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Write the animation."""
    if MISSING is not None:
        sys.exit(f"No demo: {MISSING}.")
    with TemporaryDirectory() as name, launched() as browser:
        folder = Path(name)
        call = joined(folder / "call.wav")
        (folder / "examples").symlink_to(ROOT / "examples", target_is_directory=True)
        frames = list(terminal(browser, folder))
        with served(folder=folder / "home") as server:
            shown = [frame for scene in app(browser, server.address, call) for frame in scene]
        if len(shown) < 2:
            sys.exit("No demo: fewer than two pages of the app came about.")
        frames += [*shown, *own_page(browser, folder)]
    write(frames)


def joined(path: Path) -> Path:
    """Write a call of 20 s or more: the examples, with pauses."""
    pause = np.zeros(12_000, np.float32)
    sounds = [part for clip in EXAMPLES for part in (load_audio(clip, target_rate=16000).samples, pause)]
    soundfile.write(path, np.concatenate(sounds), 16000)
    return path


def terminal(browser: Browser, folder: Path) -> Iterator[Frame]:
    """Type commands, and show what they print."""
    page = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT - CAPTION}).new_page()
    scenes = (
        ("ser predict examples/", "In the terminal: eight voices that the model has never heard"),
        ("ser timeline call.wav", "Long recordings: emotion per utterance; also subtitles, Praat, ELAN, a page"),
    )
    for command, words in scenes:
        above = caption(browser, words)
        for end in (0, len(command) // 3, 2 * len(command) // 3, len(command)):
            yield below(above, printed(page, f"$ {command[:end]}█")), 350 if end else 600
        environment = {
            **os.environ,
            "FORCE_COLOR": "1",
            "COLUMNS": "98",
            "COLORTERM": "truecolor",
            "TERM": "xterm-256color",
            "PYTHONUTF8": "1",
        }
        ser = [sys.executable, "-c", "from serkit.cli import main; main()", *command.split()[1:]]
        done = subprocess.run(ser, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        yield below(above, printed(page, f"$ {command}\n{done.stdout}")), 4000
    page.context.close()


def printed(page: Page, text: str) -> Image.Image:
    """Show text with the colours of a terminal."""
    console = Console(record=True, file=io.StringIO(), width=98, force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(text), soft_wrap=True)
    page.set_content(_TERMINAL % console.export_html(inline_styles=True, code_format="{code}"))
    return shot(page)


def app(browser: Browser, address: str, call: Path) -> Iterator[list[Frame]]:
    """Pages of the app with recordings of ours."""
    scenes: tuple[tuple[str, list[Path], str], ...] = (
        ("One clip", EXAMPLES[:1], "ser app: what the answer is, how sure, and what spoke for it"),
        ("Many clips", EXAMPLES, "Many clips: a table to sort, filter and play"),
        ("Long recording", [call], "Long recordings: who sounded how, when"),
        ("Features", [], "Pitch, loudness and spectrum beside the answer"),
    )
    for name, files, words in scenes:
        page = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT - CAPTION}).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        with tried(name):
            page.get_by_role("link", name=name, exact=True).first.click()
            settled(page)
            chooser = page.locator("input[type=file]").first
            if files and chooser.count():  # else the page's own example is shown
                chooser.set_input_files(files)
                page.wait_for_timeout(1000)  # until it begins to compute
            settled(page)
            page.mouse.move(1, 1)
            yield [(below(caption(browser, words), shot(page)), 2800), *scrolled(browser, page, words)]
        page.context.close()


def scrolled(browser: Browser, page: Page, words: str) -> Iterator[Frame]:
    """The rest of a long page, once."""
    page.mouse.move(WIDTH - 30, HEIGHT - 150)  # beside anything that scrolls by itself
    before = shot(page)
    page.mouse.wheel(0, HEIGHT * 2 // 3)
    settled(page)
    after = shot(page)
    if before.tobytes() != after.tobytes():
        yield below(caption(browser, words), after), 2200


def own_page(browser: Browser, folder: Path) -> Iterator[Frame]:
    """The page that runs the model in the visitor's browser."""
    words = "In the visitor's browser: no server, no sound leaves the device"
    with tried("browser page"):
        runpy.run_path(str(ROOT / "docs" / "browser" / "build.py"))["build"](folder / "page")
        handler = functools.partial(_Handler, directory=str(folder / "page"))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT - CAPTION}).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.get_by_role("button", name="Choose a file").and_(page.locator(":enabled")).wait_for()
        above = caption(browser, words)
        yield below(above, shot(page)), 1200
        page.locator("input[type=file]").set_input_files(EXAMPLES[4])
        page.locator("body[data-answer]").wait_for()
        yield below(above, shot(page)), 3500
        page.context.close()
        server.shutdown()
        server.server_close()


@contextmanager
def tried(name: str) -> Iterator[None]:
    """Leave out a scene that does not come about, and say so."""
    from playwright.sync_api import Error

    try:
        yield
    except (Error, SystemExit) as error:
        print(f"Left out: {name}: {str(error).splitlines()[0]}", file=sys.stderr)


def settled(page: Page) -> None:
    """Wait until the app has computed and drawn."""
    page.locator("[data-test-script-state=notRunning]").wait_for()
    page.wait_for_timeout(2500)  # charts, tables and players draw themselves


def shot(page: Page) -> Image.Image:
    """What is visible."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


@functools.cache
def _caption_page(browser: Browser) -> Page:
    return browser.new_context(viewport={"width": WIDTH, "height": CAPTION}).new_page()


def caption(browser: Browser, words: str) -> Image.Image:
    """A line of text above a scene."""
    page = _caption_page(browser)
    page.set_content(_CAPTION % words)
    return shot(page)


def below(above: Image.Image, picture: Image.Image) -> Image.Image:
    """A scene under its caption, smaller."""
    whole = Image.new("RGB", (WIDTH, HEIGHT))
    whole.paste(above, (0, 0))
    whole.paste(picture, (0, CAPTION))
    return whole.resize((WIDTH * 4 // 5, HEIGHT * 4 // 5), Image.Resampling.LANCZOS)


def write(frames: list[Frame]) -> None:
    """Write the animation, and complain if it is too large or too long."""
    pictures, times = zip(*frames, strict=True)
    pictures[0].save(OUT, save_all=True, append_images=pictures[1:], duration=list(times), loop=0, quality=80, method=6)
    size, seconds = OUT.stat().st_size, sum(times) / 1000
    print(f"{OUT.relative_to(ROOT)}: {size / 1000:.0f} kB, {seconds:.0f} s, {len(frames)} frames")
    if size > MOST_BYTES or not 20 <= seconds <= MOST_SECONDS:
        sys.exit(f"It has to have at most {MOST_BYTES / 1e6:.0f} MB and 20 to {MOST_SECONDS} s.")


if __name__ == "__main__":
    main()
