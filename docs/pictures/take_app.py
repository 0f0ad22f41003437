"""Take the picture of the web app for README: the desktop page in light beside the phone page in dark.

Run ``python docs/pictures/take_app.py [EXAMPLE]`` from a checkout; it needs the extra ``app`` and Chromium.
"""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser import Browser, until  # noqa: E402

PORT = 8597
ADDRESS = f"http://127.0.0.1:{PORT}"
HEIGHT = 1020


def up() -> bool:
    """Whether the app answers."""
    try:
        with urlopen(f"{ADDRESS}/_stcore/health", timeout=5):
            return True
    except (URLError, OSError):
        return False


def picture(width: int, scheme: str, example: str) -> Image.Image:
    """The page with an example chosen, in a window of this width and a colour scheme, light or dark."""
    with (
        TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Browser(Path(folder), width=width, height=HEIGHT) as browser,
    ):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.call("Page.navigate", url=ADDRESS)
        until(lambda: browser.run("document.querySelectorAll('.js-plotly-plot').length") == 2)
        if example not in browser.text():
            browser.run("document.querySelectorAll('[data-testid=stMain] [role=combobox]')[0].focus()")
            browser.call("Input.insertText", text=example)
            time.sleep(1)
            for kind in ("keyDown", "keyUp"):
                browser.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13)
        until(lambda: browser.run("document.querySelector('audio').duration > 0"))
        time.sleep(3)  # bars grow
        browser.run("document.activeElement.blur()")
        time.sleep(1)
        return Image.open(io.BytesIO(base64.b64decode(browser.call("Page.captureScreenshot")["data"])))


def main() -> None:
    """Write app.png beside this script."""
    example = sys.argv[1] if len(sys.argv) > 1 else "soft breathy"
    server = subprocess.Popen([sys.executable, "-c", f"import sys; sys.argv[1:] = ['app', '--port', '{PORT}']\n"
                               "from serkit.cli import main; main()"])  # fmt: skip
    try:
        until(lambda: up() or server.poll() is not None)
        if server.poll() is not None:
            sys.exit("The app did not start.")
        pages = [picture(1000, "light", example), picture(390, "dark", example)]
    finally:
        server.terminate()
        server.wait()
    whole = Image.new("RGB", (sum(page.width for page in pages), HEIGHT))
    for k, page in enumerate(pages):
        whole.paste(page, (sum(before.width for before in pages[:k]), 0))
    whole.save(Path(__file__).with_name("app.png"), optimize=True)


if __name__ == "__main__":
    main()
