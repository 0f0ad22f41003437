"""The web app in a real browser: what somebody does and sees, on a desk and on a phone."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile as sf

import serkit
from serkit.app.words import PAPER, per_cent
from tests.axe import STREAMLIT, violations
from tests.conftest import voice
from tests.tiny_models import BIAS, HOSTILE_CARD, waveform_graph, write_adaptable, write_tiny
from tests.webapp import DESK, MISSING, PHONE, Server, served

if MISSING is not None:
    pytest.skip(MISSING, allow_module_level=True)

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

PATIENCE = 120_000  # ms; a machine may have much else to do
#: What stands on each page once it is drawn.
PAGES: dict[str, Callable[[Page], Locator]] = {
    "One clip": lambda page: answer(page),
    "Many clips": lambda page: page.get_by_role("button", name="Download CSV", exact=True),
    "Long recording": lambda page: page.get_by_role("heading", name="Share of the speech"),
    "Live": lambda page: page.get_by_role("button", name="Speak", exact=True),
    "Features": lambda page: page.get_by_role("heading", name="Many clips"),
    "Models": lambda page: page.get_by_role("heading", name="Two models on the same clip"),
    "Results": lambda page: page.get_by_text("runs of ser compare"),
}
Visit = Callable[..., Page]

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two bundles that answer by how loud a clip is, each in its own way."""
    folder = tmp_path_factory.mktemp("models")
    write_adaptable(folder / "a-tiny", card=HOSTILE_CARD)
    write_tiny(folder / "b-even", graph=waveform_graph(bias=np.zeros_like(BIAS)))
    return folder


@pytest.fixture(scope="module")
def tiny(models: Path) -> Path:
    """The bundle that the app opens with."""
    return models / "a-tiny"


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served("--model", str(models), folder=tmp_path_factory.mktemp("server") / "home") as running:
        yield running
        assert "Traceback" not in running.log(), running.log()


@pytest.fixture(scope="module")
def contexts(chromium: Browser) -> Iterator[dict[str, BrowserContext]]:
    """What browsers keep between visits, by who visits with what; so that only the first has to load the app's code."""
    known: dict[str, BrowserContext] = {}
    yield known
    for context in known.values():
        context.close()


@pytest.fixture
def visit(chromium: Browser, server: Server, contexts: dict[str, BrowserContext]) -> Iterator[Visit]:
    """Open the app.

    When the test ends, no page may show a traceback, have met an error of its own or have asked another machine.
    """
    pages: list[Page] = []
    errors: list[str] = []
    asked: set[str] = set()

    def opened(
        user: str = "one", *, device: dict[str, Any] = DESK, scheme: Any = "light", address: str = server.address
    ) -> Page:
        key = f"{user} {scheme} {device}"
        if key not in contexts:
            contexts[key] = chromium.new_context(**device, color_scheme=scheme, reduced_motion="reduce")
            contexts[key].set_default_timeout(PATIENCE)
        page = contexts[key].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: asked.add(urlsplit(request.url).hostname or "127.0.0.1"))
        pages.append(page)
        page.goto(address)
        page.get_by_role("main").wait_for()
        return page

    yield opened
    for page in pages:
        text = page.locator("body").inner_text()
        page.close()
        assert not re.search(r"Traceback|\w+Error\b|Exception|File \"", text), text
    assert not errors
    assert asked <= {"127.0.0.1"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twenty files in a folder: eighteen clips, the next louder than the last, and two that are none."""
    folder = tmp_path_factory.mktemp("clips")
    for k in range(18):
        (folder / f"clip_{k:02d}.wav").write_bytes(wav((k + 1) / 18 * voice(1 + k % 8, 1 + k // 8, seconds=0.6)))
    (folder / "broken_empty.wav").write_bytes(b"")
    (folder / "broken_text.wav").write_bytes(b"Dear diary\n" * 20)
    return sorted(folder.iterdir())


def wav(samples: np.ndarray) -> bytes:
    file = BytesIO()
    sf.write(file, samples, 16000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def go(page: Page, name: str) -> None:
    """Open a page of the app with one click on its name."""
    page.get_by_test_id("stMain").get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, exact=True).wait_for()


def tour(page: Page, clips: list[Path]) -> Iterator[str]:
    """Open page after page, each with something on it, and give its name once it is drawn."""
    for name, drawn in PAGES.items():
        go(page, name)
        if name == "Many clips":
            upload(page, *clips[-3:])
        drawn(page).wait_for()
        settle(page)
        yield name


def settle(page: Page) -> None:
    """Wait until the server has nothing more to say."""
    page.locator("[data-test-script-state=notRunning]").wait_for()


def upload(page: Page, *files: Path) -> None:
    """Give files to the uploader that is in sight; for one clip, choose that way of bringing it first."""
    entry = page.locator("input[type=file][multiple]" if len(files) > 1 else "input[type=file]:not([multiple])")
    if len(files) == 1:
        way = page.get_by_role("radio", name="Upload")
        way.or_(entry).first.wait_for(state="attached")
        if not entry.count():
            page.get_by_text("Upload", exact=True).first.click()
    entry.set_input_files(list(files))


def press(table: Locator, x: int, y: int) -> None:
    """Click in a table, which is one picture and wants the pointer over it first, as a hand does it."""
    table.hover(position={"x": x - 2, "y": y})
    table.hover(position={"x": x, "y": y})
    table.click(position={"x": x, "y": y}, delay=100)


def answer(page: Page) -> Locator:
    """The headline of the page for one clip."""
    return page.get_by_role("status").filter(has_text=re.compile("confidence|No speech|No emotion"))


def says(model: Path | str, clip: Path | bytes, *, profile: serkit.Profile | None = None) -> str:
    """How sure the page has to be: as sure as the library."""
    confidence = serkit.load(model).predict(clip, profile=profile).confidence
    assert confidence is not None
    return f"{per_cent(confidence)} confidence"


def test_a_clip_is_answered(visit: Visit, tiny: Path, clips: list[Path]) -> None:
    page = visit()
    upload(page, clips[-1])
    expect(answer(page)).to_contain_text(says(tiny, clips[-1]))
    emotion = serkit.load(tiny).predict(clips[-1]).emotion
    assert emotion is not None
    expect(answer(page)).to_contain_text(re.compile(emotion, re.IGNORECASE))
    expect(page.get_by_test_id("stAudio")).to_be_visible()


def test_a_clip_stays_on_all_pages_until_it_is_removed(visit: Visit, tiny: Path, clips: list[Path]) -> None:
    page = visit()
    upload(page, clips[-1])
    expect(answer(page)).to_contain_text(says(tiny, clips[-1]))
    expect(page.get_by_text(re.compile(rf"{clips[-1].name} · 0.6 s · 16 kHz · mono · -\d+ dBFS"))).to_be_visible()
    for name in ("Features", "Long recording", "Models"):
        go(page, name)
        expect(page.get_by_role("radio", name=clips[-1].name)).to_be_checked()
    go(page, "One clip")
    assert page.title() == "One clip · serkit"
    expect(answer(page)).to_contain_text(says(tiny, clips[-1]))
    page.get_by_role("button", name="Remove the recording").click()
    expect(page.get_by_role("radio", name=clips[-1].name)).to_have_count(0)
    expect(answer(page)).not_to_contain_text(says(tiny, clips[-1]))


def test_twenty_clips_with_two_broken_give_the_csv_of_the_command(visit: Visit, tiny: Path, clips: list[Path]) -> None:
    page = visit()
    go(page, "Many clips")
    upload(page, *clips)
    for reason in ("broken_empty.wav' is empty (0 bytes)", "broken_text.wav' is text, not audio"):
        expect(page.get_by_text(reason)).to_be_visible()
    expect(page.get_by_text(re.compile(r"\b2 of 20\b"))).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV", exact=True).click()
    command = [sys.executable, "-c", "from serkit.cli import main; main()", "predict", *(clip.name for clip in clips)]
    done = subprocess.run(
        [*command, "--model", str(tiny), "--csv", "-"], cwd=clips[0].parent, capture_output=True, check=False
    )
    assert done.returncode == 1  # two files failed
    assert Path(download.value.path()).read_bytes() == done.stdout
    assert done.stdout.count(b"\n") == 21


def test_the_microphone_is_heard(visit: Visit, tiny: Path, chromium: Browser) -> None:
    page = visit()
    page.context.grant_permissions(["microphone"])
    page.get_by_text("Record", exact=True).first.click()
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(2500)
    page.get_by_role("button", name="Stop recording").click()
    expect(answer(page)).to_be_visible()
    source = page.get_by_test_id("stAudio").get_attribute("src")
    assert source is not None
    recorded = page.context.request.get(source).body()
    expect(answer(page)).to_contain_text(says(tiny, recorded))
    wave = serkit.audio.load(recorded, target_rate=16000)
    assert wave.duration > 1
    assert not page.locator(".serkit-microphone").filter(has_text="microphone").count()
    assert tone(wave.samples) == pytest.approx(tone(voice(4, 1, seconds=3.0)), rel=0.02)


def test_live_sound_arrives(visit: Visit) -> None:
    page = visit()
    page.context.grant_permissions(["microphone"])
    go(page, "Live")
    page.get_by_role("button", name="Speak", exact=True).click()
    page.get_by_text(re.compile("Listening, 0:0[2-9]")).wait_for()
    page.get_by_role("button", name="Stop listening").click()
    page.get_by_text(re.compile("Heard 0:[0-9]{2}")).wait_for()
    settle(page)
    assert violations(page, STREAMLIT) == []


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("Object.defineProperty(window, 'isSecureContext', {value: false})", "came over plain http from another one"),
        ("navigator.permissions.query = async () => ({state: 'denied'})", "Allow it at the icon"),
        ("navigator.mediaDevices.enumerateDevices = async () => []", "Connect one and reload"),
    ],
)
def test_a_browser_without_a_microphone_says_why(visit: Visit, before: str, says: str) -> None:
    page = visit()
    page.add_init_script(before)
    page.reload()
    page.get_by_text("Record", exact=True).first.click()
    expect(page.locator(".serkit-microphone")).to_contain_text(says)


def tone(samples: np.ndarray) -> float:
    """Centre of the spectrum below 1 kHz in Hz."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / 16000)
    return float((hertz * power)[hertz < 1000].sum() / power[hertz < 1000].sum())


def test_another_model_gives_its_own_answer(visit: Visit, models: Path, clips: list[Path]) -> None:
    page = visit()
    upload(page, clips[-1])
    expect(answer(page)).to_contain_text(says(models / "a-tiny", clips[-1]))
    page.get_by_role("combobox", name="Model").click()
    page.get_by_role("option", name="b-even", exact=True).click()
    expect(answer(page)).to_contain_text(says(models / "b-even", clips[-1]))


@pytest.mark.parametrize("device", [DESK, PHONE], ids=["desk", "phone"])
def test_a_voice_is_enrolled_saved_and_forgotten(
    visit: Visit, tiny: Path, clips: list[Path], tmp_path: Path, device: dict[str, Any]
) -> None:
    page = visit(device=device)
    upload(page, clips[-1])
    expect(answer(page)).to_contain_text(says(tiny, clips[-1]))
    page.get_by_text("Adapt to the speaker's voice").click()
    page.locator("input[type=file][multiple]").set_input_files(clips[2:9])
    expect(page.get_by_text("clip_08.wav").or_(page.get_by_text("clip_02.wav")).first).to_be_visible()
    page.get_by_role("button", name="Use this voice").click()
    expect(page.get_by_text("Answers adapted to this voice, 4 s heard (7 utterances)")).to_be_visible()
    who = serkit.load(tiny).enrol(*clips[2:9])
    expect(answer(page)).to_contain_text(says(tiny, clips[-1], profile=who))
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    assert serkit.Profile.load(download.value.path()) == who
    go(page, "Long recording")
    expect(page.get_by_text("Answers adapted to this voice, 4 s heard")).to_be_visible()
    PAGES["Long recording"](page).wait_for()
    go(page, "Models")
    PAGES["Models"](page).wait_for()
    go(page, "One clip")
    page.get_by_role("button", name="Forget this voice").click()
    expect(page.get_by_text("Recordings of one person")).to_be_visible()
    expect(page.get_by_text(re.compile(r"clip_0\d\.wav"))).to_have_count(0)


def test_the_card_of_a_foreign_model_is_plain_text(visit: Visit) -> None:
    page = visit()  # which sees to it that no other machine is asked
    go(page, "Models")
    PAGES["Models"](page).wait_for()
    for title in ("Model card", "Scores and model card"):
        expander = page.get_by_test_id("stExpander").filter(has=page.get_by_text(title, exact=True))
        expander.get_by_text(title, exact=True).click()
        for line in ("# Evil", "![seen](https://example.org/seen.png)", '<img src="https://example.org/b.png">'):
            expect(expander).to_contain_text(line)
        expect(expander.locator("img, h1, h2, a")).to_have_count(0)


def test_a_row_of_the_table_is_heard_and_a_filter_narrows_it(visit: Visit, tiny: Path, clips: list[Path]) -> None:
    page = visit()
    go(page, "Many clips")
    upload(page, *clips)
    table = page.get_by_test_id("stDataFrame")
    table.wait_for()
    page.get_by_role("textbox", name="Name contains").fill("_17")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 of 18 answers")).to_be_visible()
    press(table, 400, 55)  # in the middle of its first row
    expect(answer(page)).to_contain_text(says(tiny, clips[-1]))
    source = page.get_by_test_id("stAudio").get_attribute("src")
    assert source is not None
    assert page.context.request.get(source).body() == clips[-1].read_bytes()


def test_a_click_on_the_waveform_and_on_a_row_plays_that_moment(visit: Visit) -> None:
    page = visit()
    go(page, "Long recording")
    PAGES["Long recording"](page).wait_for()
    regions = page.locator("[part~=region]")
    regions.first.wait_for()
    settle(page)
    sound, wave, told = page.locator(".st-key-recording-sound audio"), page.locator(".wave"), page.locator(".now")
    source = sound.get_attribute("src")
    assert source is not None
    part = page.context.request.get(source, headers={"Range": "bytes=100-199"})
    assert (part.status, len(part.body())) == (206, 100)
    expect(told).to_contain_text("0:00.0 of 0:28")
    count, width = regions.count(), wave.evaluate("wave => wave.clientWidth")
    assert count > 4
    wave.click(position={"x": 0.5 * width, "y": 40})
    expect(told).to_have_text(re.compile("0:1[4-9].* of 0:28 · "))
    assert 13 < sound.evaluate("sound => sound.currentTime") < 20
    press(page.get_by_test_id("stDataFrame"), 200, 55)  # the first row
    expect(told).to_have_text(re.compile(r"0:0[0-3]\.\d of 0:28 · (?!no speech)"))
    sound.evaluate("sound => sound.pause()")
    page.get_by_label("Zoom").fill("1")
    expect(regions).not_to_have_count(count)  # those out of sight are gone
    wave.press("ArrowRight")
    expect(told).to_have_text(re.compile(r"0:0[5-8]\.\d of 0:28"))


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_everybody_can_read_every_page(visit: Visit, clips: list[Path], scheme: str) -> None:
    """Text has enough contrast, axe-core finds nothing, and charts have a sentence for screen readers."""
    page = visit(scheme=scheme)
    faint, broken = {}, {}
    for name in tour(page, clips):
        found = page.evaluate(CONTRASTS)
        assert found["page"] > 0.8 if scheme == "light" else found["page"] < 0.1
        ground = page.locator(".stApp").evaluate("app => getComputedStyle(app).backgroundColor")
        paper = PAPER[scheme == "dark"]
        assert ground == f"rgb({', '.join(str(int(paper[k : k + 2], 16)) for k in (1, 3, 5))})"
        assert len(found["texts"]) > 10
        # WCAG AA: 4.5, or 3 for large letters
        faint[name] = [text for text in found["texts"] if text["ratio"] < (3 if text["large"] else 4.5)]
        broken[name] = violations(page, STREAMLIT)
        charts = page.get_by_test_id("stPlotlyChart")
        assert all(charts.nth(k).get_attribute("aria-label") for k in range(charts.count())), name
    assert [f"{name}: {text}" for name in PAGES for text in faint[name]] == []
    assert [f"{name}: {rule}" for name in PAGES for rule in broken[name]] == []


def test_the_focus_of_the_keyboard_is_seen(visit: Visit) -> None:
    page = visit()
    answer(page).wait_for()
    settle(page)
    page.get_by_test_id("stMain").get_by_role("link", name="One clip", exact=True).focus()
    for _ in range(4):
        page.keyboard.press("Tab")
        ring = page.evaluate(
            "() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]; }"
        )
        assert ring == ["solid", "3px"]


#: Luminance of the page's background, and the contrast of each text in sight with what lies behind it, as WCAG counts.
CONTRASTS = """() => {
    const pixel = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d");
    const parsed = colour => {
        pixel.clearRect(0, 0, 1, 1);
        pixel.fillStyle = colour;
        pixel.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = (top, below, alpha) => [0, 1, 2].map(k => alpha * top[k] + (1 - alpha) * below[k]);
    const luminance = colour => {
        const [r, g, b] = colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = element => {
        if (!element) return [255, 255, 255];
        const colour = parsed(getComputedStyle(element).backgroundColor);
        return colour[3] === 1 ? colour : over(colour, behind(element.parentElement), colour[3]);
    };
    const opacity = element => element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
    const texts = [];
    for (const element of document.body.querySelectorAll("*")) {
        const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join("").trim();
        const box = element.getBoundingClientRect();
        const clear = opacity(element);
        if (!text || !element.checkVisibility({visibilityProperty: true}) || box.width < 2 || clear === 0) continue;
        if (element.closest(":disabled, [aria-hidden=true], canvas, style, script, noscript")) continue;
        const style = getComputedStyle(element);
        const colour = parsed(element instanceof SVGElement ? style.fill : style.color);
        if (colour[3] === 0) continue;  // shown only under the pointer
        const ground = behind(element);
        const seen = over(colour, ground, colour[3] * clear);
        if (seen.join() === ground.join()) continue;  // likewise
        const lights = [luminance(seen), luminance(ground)].sort((a, b) => b - a);
        const size = parseFloat(style.fontSize);
        texts.push({
            text: text.slice(0, 40),
            ratio: (lights[0] + 0.05) / (lights[1] + 0.05),
            large: size >= 24 || (size >= 18.66 && style.fontWeight >= 700),
        });
    }
    return {page: luminance(behind(document.querySelector("main, [role=main], section"))), texts};
}"""


def test_a_phone_scrolls_no_page_sideways(visit: Visit, clips: list[Path]) -> None:
    page = visit(device=PHONE)
    for name in tour(page, clips):
        for part in (page.locator("html"), page.get_by_role("main")):
            assert part.evaluate("part => part.scrollWidth") <= 390, name


def test_two_users_see_each_their_own_clip(visit: Visit, tiny: Path, clips: list[Path]) -> None:
    ours, theirs = clips[-1], clips[2]
    assert says(tiny, ours) != says(tiny, theirs)
    first, second = visit("one"), visit("two")
    upload(first, ours)
    upload(second, theirs)
    expect(answer(second)).to_contain_text(says(tiny, theirs))
    expect(answer(first)).to_contain_text(says(tiny, ours))


def test_an_upload_leaves_nothing_on_the_disk(visit: Visit, server: Server, tiny: Path, clips: list[Path]) -> None:
    page = visit()
    upload(page, clips[-1])
    expect(answer(page)).to_contain_text(says(tiny, clips[-1]))
    go(page, "Many clips")
    upload(page, *clips)
    page.get_by_role("button", name="Download CSV", exact=True).wait_for()
    go(page, "Long recording")
    expect(page.get_by_role("radio", name=clips[-1].name)).to_be_checked()
    PAGES["Long recording"](page).wait_for()
    # Python tries once whether it may write there; the table is made in a file that goes at once
    harmless = re.compile(r"/[a-z0-9_]{8}|/serkit-\w+(/\.?rows\.csv(\.part|\.lock)?)?")
    written = [path.removeprefix(str(server.folder)) for path in server.written()]
    assert [path for path in written if not harmless.fullmatch(path)] == []
    assert list(server.folder.rglob("*")) == []


def test_a_file_above_the_limit_is_refused_politely(
    visit: Visit, tiny: Path, tmp_path: Path, clips: list[Path]
) -> None:
    big = tmp_path / "big.wav"
    big.write_bytes(wav(voice(3, 1, seconds=40.0)))  # 1.2 MiB
    with served("--model", str(tiny), "--max-upload", "1", folder=tmp_path / "home") as small:
        page = visit(address=small.address)
        upload(page, big)
        expect(page.get_by_text("must be 1.0MB or smaller")).to_be_visible()
        upload(page, clips[-1])
        expect(answer(page)).to_contain_text(says(tiny, clips[-1]))
        assert "Traceback" not in small.log()
