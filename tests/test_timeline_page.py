"""The page of a timeline: one file, complete, safe with any name; in a browser, a click moves the player."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile as sf

from serkit.emotions import colour
from serkit.recognition.timeline_page import Sound, timeline_page
from serkit.recognition.tracks import Timeline, Track
from tests.axe import violations
from tests.made_segments import LABELS, part

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ANN = Track("<ann>", (part(0, 2), part(2, 5, 0.75), part(5, 6, 0.55, unsure=True), part(6, 10)))
BOB = Track("bob", (part(0, 6), part(6, 9, 0.125), part(9, 10)))
OUTLINE = np.stack([-np.linspace(0, 1, 50), np.linspace(0, 1, 50)], axis=1)
BOTH = Timeline("calls/<b>.wav", 10.0, "tiny 1", LABELS, (ANN, BOB), "It breaks off.", OUTLINE)


def test_the_page_is_complete_and_asks_nobody_for_anything() -> None:
    page = timeline_page(BOTH)
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assert "default-src 'none'" in page
    assert "&lt;b&gt;.wav" in page
    assert "&lt;ann&gt;" in page
    assert "<ann>" not in page
    assert "It breaks off. What comes before is answered." in page
    bars = re.findall(
        r'<rect x="([\d.]+)" width="([\d.]+)" y="0" height="10" fill="([#\w()]+)" data-t="([\d.]+)">', page
    )
    assert bars == [
        ("200.00", "300.00", colour("sad"), "2.000"),
        ("500.00", "100.00", "url(#unsure)", "5.000"),
        ("600.00", "300.00", colour("happy"), "6.000"),
    ]
    assert page.count("<svg") == 4
    assert re.findall(r"<tr tabindex=.*?<td>([\d:.]+)</td>", page) == ["0:02.0", "0:05.0", "0:06.0"]
    assert "0:04 of speech in 0:10" in page
    assert "<span>sad</span>" in page
    assert "75 %" in page
    assert "data:audio" not in page
    assert '<p id="ask" >' in page


def test_the_sound_is_inside_and_a_long_one_is_not() -> None:
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * 22050) / 22050)).astype(np.float32)
    both = np.stack([tone, tone], axis=1)
    with Sound() as sound:
        for piece in np.array_split(both, 5):
            sound.add(piece, 22050)
        kind, data = sound.data()
    heard, rate = sf.read(io.BytesIO(data))
    assert rate == 16000
    assert len(heard) / rate == pytest.approx(3.0, abs=0.2)
    assert np.abs(np.fft.rfft(heard[:16000])).argmax() == pytest.approx(440, abs=2)
    page = timeline_page(BOTH, (kind, data))
    found = re.search(r'src="data:(audio/\w+);base64,([\w+/=]+)"', page)
    assert found is not None
    assert (found[1], base64.b64decode(found[2])) == (kind, data)
    assert '<p id="ask" hidden>' in page
    with Sound(most=2.0) as sound:
        for piece in np.array_split(both, 5):
            sound.add(piece, 22050)
        assert sound.data()[1] == b""


def test_half_of_the_bytes_are_half_of_the_time() -> None:
    """A browser that is to play from a moment in MP3 asks for the byte that would be there."""
    noise = 0.2 * np.random.default_rng(0).standard_normal(30 * 16000).astype(np.float32)
    with Sound(on_disk=False) as sound:
        sound.add(np.r_[np.zeros(30 * 16000, np.float32), noise][:, np.newaxis], 16000)
        kind, data = sound.data()
    if kind != "audio/mpeg":
        pytest.skip("this soundfile writes no MP3 of constant bitrate")
    half, rate = sf.read(io.BytesIO(data[: len(data) // 2]))
    assert len(half) / rate == pytest.approx(30.0, abs=0.3)
    assert len(data) == pytest.approx(60 * 40_000 / 8, rel=0.02)


def test_a_click_moves_the_player(chromium: Browser, tmp_path: Path) -> None:
    with Sound() as sound:
        sound.add(np.zeros((10 * 16000, 1), np.float32), 16000)
        (tmp_path / "page.html").write_text(timeline_page(BOTH, sound.data()), encoding="utf-8")
    page = chromium.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: wrong.append(request.url) if request.url.startswith("http") else None)
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function("document.getElementById('player').readyState >= 1")
    assert violations(page) == []
    now = "document.getElementById('player').currentTime"
    page.locator("tbody tr").nth(2).click()
    assert page.evaluate(now) == pytest.approx(6.0, abs=0.5)
    assert "on" in (page.locator("tbody tr").nth(2).get_attribute("class") or "")
    page.evaluate("document.getElementById('player').pause()")
    box = page.locator("svg.wave").bounding_box()
    assert box is not None
    page.locator("svg.wave").click(position={"x": box["width"] / 4, "y": 10})
    assert page.evaluate(now) == pytest.approx(2.5, abs=0.5)
    page.locator(".strip rect").nth(1).click()
    assert page.evaluate(now) == pytest.approx(5.0, abs=0.5)
    page.locator("tbody tr").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate(now) == pytest.approx(2.0, abs=0.5)
    assert wrong == []
    page.close()
