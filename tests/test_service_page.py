"""The page of routes at /docs, in headless Chromium: nothing comes from elsewhere, and it can ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

pytest.importorskip("fastapi")

from tests.webapp import MISSING

if MISSING is not None:
    pytest.skip(MISSING, allow_module_level=True)

from playwright.sync_api import Browser, expect

from serkit.service.keys import new_key
from tests.conftest import voice
from tests.service_app import wav
from tests.service_process import serving
from tests.tiny_models import write_tiny

PATIENCE = 60_000  # ms
KEY, LINE = new_key("ann")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    model = tmp_path_factory.mktemp("model") / "tiny"
    write_tiny(model)
    with serving(model, threads=1, keys=LINE) as (_, found, _):
        yield found


def test_the_page_shows_every_route_and_asks(chromium: Browser, address: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(voice(1, 1)))
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE)
    hosts: set[str | None] = set()
    wrong: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{address}/docs")
    paths = httpx.get(f"{address}/openapi.json", trust_env=False).json()["paths"]
    routes = page.locator("summary")
    expect(routes).to_have_count(sum(map(len, paths.values())), timeout=PATIENCE)
    page.locator("#key").fill(KEY)
    predict = page.locator("details", has_text="One answer for each recording")
    predict.locator("summary").click()
    predict.locator("input[type=file]").set_input_files(tmp_path / "a.wav")
    predict.locator("[name=labels]").fill("happy,sad")
    predict.get_by_role("button", name="Send").click()
    answer = predict.locator("pre")
    expect(answer).to_contain_text("200 OK", timeout=PATIENCE)
    expect(answer).to_contain_text('"path": "a.wav"')
    page.locator("#key").fill("wrong")
    predict.get_by_role("button", name="Send").click()
    expect(answer).to_contain_text("There is no such key", timeout=PATIENCE)
    job = page.locator("details", has_text="How far a job is")
    job.locator("summary").click()
    page.locator("#key").fill(KEY)
    job.locator("[name=number]").fill("../models")
    job.get_by_role("button", name="Send").click()
    expect(job.locator("pre")).to_contain_text("404", timeout=PATIENCE)
    assert hosts == {"127.0.0.1"}
    assert not wrong
    page.close()
