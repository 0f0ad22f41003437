"""The page that runs a model in the visitor's browser, in headless Chromium, against Python's answers."""

from __future__ import annotations

import functools
import json
import re
import runpy
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile as sf

import serkit
from serkit.audio import resample
from tests.axe import violations
from tests.tiny_models import write_tiny
from tests.webapp import MISSING, PHONE, launched

if MISSING is not None:
    pytest.skip(MISSING, allow_module_level=True)

from playwright.sync_api import Browser, BrowserContext, Page, expect

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "docs" / "browser"
PATIENCE = 120_000  # ms; a machine may have much else to do
_SOMETHING = re.compile(r"\{")
CLIPS = ("angry_1038", "happy_1016", "neutral_1005", "sad_1082")


class _Handler(SimpleHTTPRequestHandler):
    extensions_map: ClassVar[dict[str, str]] = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that answers by how loud a clip is, in pieces of 10 s."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def site(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, built with fast and the tiny bundle."""
    if not (SOURCE / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("ONNX Runtime Web is not installed: run make browser-packages, or npm ci in docs/browser")
    out = tmp_path_factory.mktemp("page") / "site"
    runpy.run_path(str(SOURCE / "build.py"))["build"](out, ("fast", str(tiny)))
    return out


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[ThreadingHTTPServer]:
    """A web server for the page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Examples as 16 kHz WAV; "long" is 40 s of them, "silence" has no voice."""
    folder = tmp_path_factory.mktemp("waves")
    sounds: dict[str, np.ndarray] = {}
    for name in CLIPS:
        sounds[name] = resample(serkit.load_audio(ROOT / "examples" / f"{name}.opus"), 16000).samples
    every = np.concatenate(list(sounds.values()))
    sounds["long"] = np.tile(every, 40 * 16000 // len(every) + 1)[: 40 * 16000]
    sounds["silence"] = np.zeros(16000, np.float32)
    for name, samples in sounds.items():
        sf.write(folder / f"{name}.wav", samples, 16000, subtype="FLOAT")
    return {name: folder / f"{name}.wav" for name in sounds}


@pytest.fixture(scope="module")
def browser(waves: dict[str, Path]) -> Iterator[Browser]:
    """A Chromium whose microphone plays an angry clip."""
    spoken = waves["angry_1038"].with_name("spoken.wav")
    samples, rate = sf.read(waves["angry_1038"], dtype="float32")
    sf.write(spoken, samples, rate, subtype="PCM_16")
    with launched(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={spoken}",
    ) as browser:
        yield browser


@pytest.fixture(scope="module")
def phone(browser: Browser) -> Iterator[BrowserContext]:
    """A phone, which keeps what the service worker caches from test to test."""
    context = browser.new_context(**PHONE)
    yield context
    context.close()


@pytest.fixture
def page(phone: BrowserContext, server: ThreadingHTTPServer) -> Iterator[Page]:
    """The page on a phone, ready."""
    page = phone.new_page()
    page.set_default_timeout(PATIENCE)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    expect(page.locator("#status")).to_have_text("Ready. The page now works offline too.", timeout=PATIENCE)
    yield page
    phone.set_offline(False)
    page.close()
    assert problems == []


def heard(page: Page, path: Path) -> dict[str, Any]:
    """What the page answers for a file."""
    page.evaluate("delete document.body.dataset.answer")
    page.locator("#file").set_input_files(path)
    expect(page.locator("body")).to_have_attribute("data-answer", _SOMETHING, timeout=PATIENCE)
    answer: dict[str, Any] = json.loads(page.locator("body").get_attribute("data-answer") or "")
    return answer


def test_answers_are_those_of_python(page: Page, waves: dict[str, Path], tiny: Path) -> None:
    """Speech, averages and limits: a graph without int8 gives Python's answers, on 40 s in four pieces too."""
    page.get_by_label("Model").select_option(tiny.name)
    expect(page.locator("#status")).to_have_text("Ready.", timeout=PATIENCE)
    assert violations(page) == []
    compare(page, waves, serkit.load(tiny), 1e-3)
    assert violations(page) == []
    assert heard(page, waves["silence"])["speech"] is False
    expect(page.get_by_role("heading", name="No speech")).to_be_visible()


def test_answers_of_fast(page: Page, waves: dict[str, Path]) -> None:
    """Within 1e-2, not 1e-3: rounding in the last bit moves int8 answers in Python too (docs/browser.md)."""
    compare(page, waves, serkit.load("fast"), 1e-2)


def compare(page: Page, waves: dict[str, Path], model: serkit.Recognizer, limit: float) -> None:
    for name in (*CLIPS, "long"):
        ours, theirs = model.predict(waves[name]), heard(page, waves[name])
        found = [theirs["probabilities"][label] for label in model.labels]
        assert found == pytest.approx(list(ours.probabilities.values()), abs=limit), name
        if ours.familiarity is None:
            assert theirs["familiarity"] is None, name
        else:
            assert theirs["familiarity"] == pytest.approx(ours.familiarity, abs=1e-2), name
        assert (theirs["emotion"], theirs["unsure"]) == (ours.emotion, ours.emotion is None), name
        assert ("short" in theirs["warnings"]) == ("short" in ours.warnings), name


def test_offline_and_nothing_sent(page: Page, phone: BrowserContext, waves: dict[str, Path]) -> None:
    phone.set_offline(True)
    page.reload()
    expect(page.locator("#status")).to_contain_text("Ready", timeout=PATIENCE)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert heard(page, waves["angry_1038"])["emotion"] == serkit.load("fast").predict(waves["angry_1038"]).emotion
    assert [url for url in asked if not url.startswith("blob:")] == []


def test_microphone(page: Page) -> None:
    speak = page.get_by_role("button", name="Speak")
    speak.focus()
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_have_attribute("data-answer", re.compile('"speech":true'), timeout=PATIENCE)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#status")).to_have_text("Stopped. The microphone is off.", timeout=PATIENCE)


def test_a_file_that_is_no_sound(page: Page, tmp_path: Path) -> None:
    (tmp_path / "junk.wav").write_bytes(b"junk" * 100)
    page.locator("#file").set_input_files(tmp_path / "junk.wav")
    expect(page.locator("#status")).to_contain_text("cannot decode", timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_licences_of_what_the_page_holds_are_there(site: Path) -> None:
    assert "MIT License" in (site / "ort" / "LICENSE").read_text(encoding="utf-8")
    assert (site / "ort" / "ThirdPartyNotices.txt").stat().st_size > 100_000
    assert 'href="ort/LICENSE"' in (site / "index.html").read_text(encoding="utf-8")
