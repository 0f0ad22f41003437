"""Take the pictures of the web app for README and docs, and a short animation: ``make screenshots``.

It starts the app with the default model and photographs each page with the example clips: all pages on a desktop in
light mode, the first one also in dark mode and on a phone. Needs the extras ``app`` and ``dev`` and Chromium.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.webapp import DESK, MISSING, PHONE, launched, served  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OUT = ROOT / "docs" / "pictures"
EXAMPLES = sorted((ROOT / "examples").glob("*.opus"))
MOST = {".png": 150_000, ".webp": 1_500_000}  # bytes


def main() -> None:
    """Write docs/pictures/app-*.png and app-demo.webp."""
    if MISSING is not None:
        sys.exit(f"No pictures: {MISSING}.")
    with (
        TemporaryDirectory() as folder,
        served(folder=Path(folder, "home")) as server,
        launched() as browser,
    ):
        taken = dict(pages(browser, server.address))
        with visited(browser, server.address, PHONE, "dark") as page:
            answered(page)
            taken["phone"] = shot(page)
        with visited(browser, server.address, DESK, "dark") as page:
            answered(page)
            taken["dark"] = shot(page)
        frames = list(demo(browser, server.address))
    for name, picture in taken.items():
        save(picture, OUT / f"app-{name}.png")
    path = OUT / "app-demo.webp"
    small = [frame.resize((960, 960 * frame.height // frame.width), Image.Resampling.LANCZOS) for frame, _ in frames]
    durations = [duration for _, duration in frames]
    small[0].save(path, save_all=True, append_images=small[1:], duration=durations, loop=0, quality=80, method=6)
    told(path)


@contextlib.contextmanager
def visited(browser: Browser, address: str, device: dict[str, Any], scheme: Any) -> Iterator[Page]:
    """Open the app as a new user sees it."""
    context = browser.new_context(**device, color_scheme=scheme, reduced_motion="reduce")
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def pages(browser: Browser, address: str) -> Iterator[tuple[str, Image.Image]]:
    """Yield each page with content, in light mode."""
    with visited(browser, address, DESK, "light") as page:
        answered(page)
        yield "clip", shot(page)
        go(page, "Many clips")
        page.locator("input[type=file][multiple]").set_input_files(EXAMPLES)
        page.get_by_role("button", name="Download CSV", exact=True).wait_for()
        page.get_by_test_id("stDataFrame").scroll_into_view_if_needed()
        yield "clips", shot(page)
        go(page, "Long recording")
        page.get_by_role("heading", name="Share of the speech").wait_for()
        yield "recording", shot(page)
        go(page, "Features")
        page.get_by_role("heading", name="Harmonic and percussive").wait_for()
        yield "features", shot(page)
        go(page, "Models")
        page.get_by_role("heading", name="Two models on the same clip").wait_for()
        yield "models", shot(page)
        go(page, "Results")
        page.get_by_text("runs of ser compare").wait_for()
        yield "results", shot(page)


def demo(browser: Browser, address: str) -> Iterator[tuple[Image.Image, int]]:
    """Yield frames with their duration in ms: a clip, another one, many clips, a long recording, features."""
    with visited(browser, address, DESK, "light") as page:
        answered(page)
        yield shot(page), 2500
        page.get_by_role("combobox", name="Example").click()
        page.wait_for_timeout(500)
        yield shot(page), 900
        page.get_by_role("option", name="Actor 1082: sad").click()
        page.wait_for_timeout(2000)
        answered(page)
        yield shot(page), 2500
        go(page, "Many clips")
        page.locator("input[type=file][multiple]").wait_for(state="attached")
        settled(page)
        yield shot(page), 1000
        page.locator("input[type=file][multiple]").set_input_files(EXAMPLES)
        page.get_by_role("button", name="Download CSV", exact=True).wait_for()
        settled(page)
        yield shot(page), 2500
        go(page, "Long recording")
        page.get_by_role("heading", name="Share of the speech").wait_for()
        yield shot(page), 2500
        go(page, "Features")
        page.get_by_role("heading", name="Harmonic and percussive").wait_for()
        yield shot(page), 2500


def go(page: Page, name: str) -> None:
    """Open a page of the app by its navigation."""
    page.get_by_role("link", name=name, exact=True).click()


def answered(page: Page) -> None:
    """Wait until the page for one clip is complete."""
    page.get_by_role("status").filter(has_text="confidence").wait_for()
    page.get_by_text("Shaded: what spoke for").or_(page.get_by_text("No single stretch")).wait_for()


def settled(page: Page) -> None:
    """Wait until nothing moves any more."""
    page.locator("[data-test-script-state=notRunning]").wait_for()
    page.mouse.move(1, 400)
    page.wait_for_function(
        "[...document.querySelectorAll('[data-testid=stPlotlyChart]')].every(chart => chart.querySelector('.main-svg'))"
    )
    page.wait_for_timeout(1500)  # charts and tables draw themselves


def shot(page: Page) -> Image.Image:
    """Return what is visible."""
    settled(page)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture, with fewer colours only if it would be too large: that shifts the colours of the emotions."""
    picture.save(path, optimize=True)
    if path.stat().st_size > MOST[path.suffix]:
        picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    told(path)


def told(path: Path) -> None:
    """Say what was written, and complain if it is too large."""
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size / 1000:.0f} kB")
    if size > MOST[path.suffix]:
        sys.exit(f"{path.name} has {size} bytes; at most {MOST[path.suffix]} are wanted.")


if __name__ == "__main__":
    main()
