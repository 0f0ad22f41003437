"""Explanations: effects that a hand calculation gives too, masks that are no events, and the page."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serkit import audio
from serkit.audio import Waveform
from serkit.emotions import LABELS
from serkit.errors import AudioError, SerkitError
from serkit.features import Extractor, Feature
from serkit.recognition.explain import Explanation, cover_bands, cover_stretches, stretches
from serkit.recognition.explain_page import explanation_page, findings, grey_png, write_explanation
from serkit.recognition.prediction import Prediction
from serkit.recognition.recognizer import Recognizer, load
from tests.conftest import voice
from tests.tiny_models import expected, features_graph, softmax, write_tiny

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RATE = 16000
EXAMPLE = Path(__file__).parent / "voices" / "plain.flac"


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    write_tiny(folder)
    return load(folder)


@pytest.fixture(scope="module")
def broken() -> np.ndarray:
    """A voice of 0.6 s, then silence but for 0.06 s of noise from 1.12 s on; 1.4 s."""
    samples = np.zeros(round(1.4 * RATE), np.float32)
    samples[: round(0.6 * RATE)] = voice(3, 1, seconds=0.6)
    start = round(1.12 * RATE)
    samples[start : start + 960] = np.random.default_rng(0).uniform(-0.2, 0.2, 960)
    return samples


@pytest.fixture(scope="module")
def explanation(recognizer: Recognizer, broken: np.ndarray) -> Explanation:
    return recognizer.explain(broken, sample_rate=RATE)


def test_effects_of_stretches_are_what_a_hand_calculation_gives(explanation: Explanation, broken: np.ndarray) -> None:
    at = LABELS.index(explanation.emotion)
    whole = np.log(expected(broken)[at])
    without = broken.copy()
    without[round(0.7 * RATE) :] = 0  # more than a tenth of the clip is digital silence, so that is its floor
    by_hand = whole - np.log(expected(without)[at])
    assert explanation.probability == pytest.approx(np.exp(whole), abs=1e-6)
    checked = set()
    for (start, end), effect in zip(explanation.times, explanation.time_effect, strict=True):
        if start + 0.01 <= 1.12 and end - 0.01 >= 1.18:
            assert effect == pytest.approx(by_hand, abs=1e-5)
            assert abs(effect) > 0.01
            checked.add("noise")
        elif start >= 0.6 and (end <= 1.12 or start >= 1.18):
            assert effect == 0
            checked.add("silence")
        elif end <= 0.6:
            assert effect != 0
            checked.add("voice")
    assert checked == {"noise", "silence", "voice"}


def test_effects_speak_for_one_emotion_and_against_another(recognizer: Recognizer, broken: np.ndarray) -> None:
    loud, quiet = (recognizer.explain(broken, sample_rate=RATE, emotion=label) for label in ("surprised", "neutral"))
    assert (loud.emotion, quiet.emotion) == ("surprised", "neutral")
    assert loud.prediction == quiet.prediction == recognizer.predict(broken, sample_rate=RATE)
    voiced = loud.times[:, 1] <= 0.6
    assert (loud.time_effect[voiced] > 0).all()  # less sound is less of the model's loudest emotion
    assert (quiet.time_effect[voiced] < 0).all()
    assert loud.probability == loud.prediction.probabilities["surprised"]


def test_a_second_half_of_silence_has_no_effect_on_the_shipped_model() -> None:
    wave = audio.load(EXAMPLE.with_name("soft_breathy.flac"))  # an answer that is not sure can be moved
    both = np.concatenate([wave.samples, np.zeros_like(wave.samples)])
    found = load().explain(both, sample_rate=wave.sample_rate)
    silent = found.times[:, 0] > wave.duration + 0.02  # resampling rings on for a moment
    assert silent.sum() > 15
    assert np.abs(found.time_effect[silent]).max() < 0.01
    assert np.abs(found.time_effect[~silent]).max() > 0.1


def test_the_same_recording_has_the_same_explanation() -> None:
    first, second = (load().explain(EXAMPLE).to_dict() for _ in range(2))
    assert first == second
    assert json.loads(json.dumps(first)) == first


@pytest.mark.parametrize(("seconds", "runs"), [(3.0, 43), (10.0, 113)])
def test_the_model_runs_once_for_each_part(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, seconds: float, runs: int
) -> None:
    asked: list[float] = []
    real = Recognizer.outputs

    def counted(self: Recognizer, wave: Waveform, **options: Any) -> Any:
        asked.append(wave.duration)
        return real(self, wave, **options)

    monkeypatch.setattr(Recognizer, "outputs", counted)
    found = recognizer.explain(voice(3, 1, seconds=seconds), sample_rate=RATE)
    assert asked == [seconds] * runs
    assert runs == 2 + len(found.times) + len(found.bands)  # 2: the answer, and what the effects are compared with


def test_a_features_bundle_hears_the_covered_waveform(tmp_path: Path, broken: np.ndarray) -> None:
    extractor = Extractor(RATE, audio.Window(), (Feature("mfcc", {"n_mfcc": 5}), Feature("rms")), "mean_std")
    weights = np.random.default_rng(0).normal(0, 0.005, (12, 8)).astype(np.float32)
    write_tiny(
        tmp_path / "b", graph=features_graph(weights), input={"kind": "features", "extractor": extractor.to_dict()}
    )
    found = load(tmp_path / "b").explain(broken, sample_rate=RATE)
    at = LABELS.index(found.emotion)

    def score(samples: np.ndarray) -> float:
        return float(np.log(softmax(extractor(Waveform(samples, RATE)).astype(np.float64) @ weights)[at]))

    covers = [*cover_stretches(found.wave, found.times), *cover_bands(found.wave, found.bands)]
    by_hand = [score(broken) - score(samples) for samples in covers]
    assert np.allclose([*found.time_effect, *found.band_effect], by_hand, atol=1e-4)
    assert np.abs(found.time_effect).max() > 0.01


@given(st.floats(0.1, 600))
def test_stretches_cover_everything_and_overlap_by_half(duration: float) -> None:
    times = stretches(duration)
    lengths = times[:, 1] - times[:, 0]
    assert times[0, 0] == 0
    assert times[-1, 1] == pytest.approx(duration, abs=2e-6)
    assert lengths == pytest.approx(lengths[0], abs=2e-6)
    assert (np.diff(times[:, 0]) <= lengths[0] / 2 + 2e-6).all()
    assert len(times) <= 100
    if 0.2 <= duration <= 10:
        assert lengths[0] == pytest.approx(0.2, abs=2e-6)


def test_a_covered_stretch_sounds_like_the_pauses() -> None:
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 0.001, 2 * RATE).astype(np.float32)
    samples[RATE // 2 : RATE] += rng.normal(0, 0.3, RATE // 2).astype(np.float32)
    wave = Waveform(samples, RATE)
    loud, pause = cover_stretches(wave, np.array([[0.6, 0.8], [1.5, 1.7]]))
    inside = slice(round(0.62 * RATE), round(0.78 * RATE))
    assert np.sqrt(np.mean(loud[inside] ** 2)) == pytest.approx(0.001, rel=0.15)
    outside = np.r_[0 : round(0.6 * RATE), round(0.8 * RATE) : len(samples)]
    assert np.array_equal(loud[outside], samples[outside])
    assert np.abs(np.diff(loud[: RATE // 2])).max() == np.abs(np.diff(samples[: RATE // 2])).max()
    assert np.sqrt(np.mean((pause - samples) ** 2)) < 0.0002  # a pause stays a pause
    edge = loud[round(0.6 * RATE) : round(0.6 * RATE) + 160] / samples[round(0.6 * RATE) : round(0.6 * RATE) + 160]
    assert (np.diff(edge) < 1e-6).all()  # the fade only goes down, from 1 to the floor
    assert edge[0] > 0.99
    assert edge[-1] < 0.01


def test_a_recording_without_pauses_is_covered_by_25_db() -> None:
    wave = Waveform(np.tile(np.array([0.5, -0.5], np.float32), RATE // 2), RATE)
    (covered,) = cover_stretches(wave, np.array([[0.4, 0.6]]))
    middle = covered[round(0.42 * RATE) : round(0.58 * RATE)]
    assert np.abs(middle) == pytest.approx(0.5 * 10 ** (-25 / 20), rel=1e-4)


def test_a_covered_band_is_gone_and_the_others_stay() -> None:
    t = np.arange(2 * RATE) / RATE
    low, high = 0.3 * np.sin(2 * np.pi * 440 * t), 0.2 * np.sin(2 * np.pi * 3000 * t)
    wave = Waveform((low + high).astype(np.float32), RATE)
    without_low, without_high, untouched = cover_bands(wave, np.array([[300, 600], [2500, 3500], [5000, 8000]]))
    middle = slice(RATE // 2, 3 * RATE // 2)
    left = 10 ** (-25 / 20)
    assert without_low[middle] == pytest.approx((left * low + high)[middle], abs=2e-3)
    assert without_high[middle] == pytest.approx((low + left * high)[middle], abs=2e-3)
    assert untouched[middle] == pytest.approx((low + high)[middle], abs=1e-5)
    assert {len(without_low), len(untouched)} == {2 * RATE}


def test_bands_share_out_the_spectrum(explanation: Explanation) -> None:
    assert explanation.bands.shape == (12, 2)
    assert np.array_equal(explanation.bands[1:, 0], explanation.bands[:-1, 1])
    assert (explanation.bands[0, 0], explanation.bands[-1, 1]) == (60, RATE / 2)
    noise = Waveform(np.random.default_rng(2).normal(0, 0.1, RATE).astype(np.float32), RATE)
    removed = sum(noise.samples - covered for covered in cover_bands(noise, explanation.bands))
    (all_at_once,) = cover_bands(noise, np.array([[60, RATE / 2]]))
    assert removed == pytest.approx(noise.samples - all_at_once, abs=1e-5)


def test_a_part_of_a_long_recording(recognizer: Recognizer, broken: np.ndarray) -> None:
    long = np.concatenate([np.zeros(9 * RATE, np.float32), broken])
    with pytest.raises(AudioError, match="more than 10 s to explain"):
        recognizer.explain(long, sample_rate=RATE)
    part = recognizer.explain(long, sample_rate=RATE, offset=9.0)
    whole = recognizer.explain(broken, sample_rate=RATE)
    assert np.array_equal(part.time_effect, whole.time_effect)
    assert part.times == pytest.approx(whole.times + 9)
    assert (part.prediction.start, part.prediction.end) == (9.0, 10.4)
    short = recognizer.explain(long, sample_rate=RATE, offset=9.0, duration=0.6)
    assert short.prediction.end == pytest.approx(9.6)


def test_what_cannot_be_explained(recognizer: Recognizer) -> None:
    with pytest.raises(AudioError, match="no speech in the recording"):
        recognizer.explain(np.zeros(RATE), sample_rate=RATE)
    with pytest.raises(AudioError, match=r"lasts 0\.200 s; the model tiny needs at least 0\.25 s"):
        recognizer.explain(voice(3, 1, seconds=0.2), sample_rate=RATE)
    with pytest.raises(SerkitError, match=r"does not know 'angri': did you mean 'angry'\? It answers with neutral, "):
        recognizer.explain(voice(3, 1), sample_rate=RATE, emotion="angri")


def made(time_effect: list[float], band_effect: list[float]) -> Explanation:
    """An explanation with these effects: 0.2 s a stretch, for sad at 40 %."""
    prediction = Prediction("<b>.wav", 0.0, 0.4, "happy", 0.6, {"happy": 0.6, "sad": 0.4}, speech=True)
    return Explanation(
        prediction=prediction,
        emotion="sad",
        probability=0.4,
        times=stretches(0.4),
        time_effect=np.array(time_effect),
        bands=np.array([[60.0, 1000.0], [1000.0, 8000.0]]),
        band_effect=np.array(band_effect),
        wave=Waveform(voice(3, 1, seconds=0.4), RATE),
        model="tiny 1",
    )


def test_findings_say_what_the_effects_say() -> None:
    half, more = float(np.log(2)), float(np.log(0.4 / 0.5))
    assert findings(made([0.0, half, more], [0.01, -0.02])) == [
        "The stretch 0.1 to 0.3 s speaks most for sad: without it, the probability of sad falls from 40 % to 20 %.",
        "The stretch 0.2 to 0.4 s speaks most against sad: without it, the probability rises from 40 % to 50 %.",
        "No band matters much by itself: without any one of them, sad is about as probable.",
    ]
    assert findings(made([0.0, 0.0, 0.0], [half, 0.0]))[1].startswith("The band 60 to 1000 Hz speaks most for sad")


class Tags(HTMLParser):
    """The tags of a page with their attributes, and that all are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "rect", "line"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(tmp_path: Path) -> None:
    effects = made([0.3, -0.6, 0.0], [0.1, 0.2])
    path = write_explanation(effects, tmp_path / "new" / "page.html")
    page = path.read_text(encoding="utf-8")
    tags = Tags(page)
    assert not tags.open
    assert not {"script", "link", "iframe", "b.wav"} & {tag for tag, _ in tags.found}
    assert not re.search(r"https?:|url\(|\$\w", page)
    assert "<h1>&lt;b&gt;.wav</h1>" in page
    (image,) = (attributes for tag, attributes in tags.found if tag == "img")
    assert (image["src"] or "").startswith("data:image/png;base64,")
    bars = [a for tag, a in tags.found if tag == "rect"]
    heat, signed = bars[:3], bars[3:]
    assert [a["class"] for a in heat[:2]] == [a["class"] for a in signed[:2]] == ["for", "against"]
    assert [float(a["fill-opacity"] or 0) for a in heat] == pytest.approx([0.375, 0.75, 0])
    assert [float(a["height"] or 0) for a in signed] == pytest.approx([23, 46, 0])
    assert sum(float(a["width"] or 0) for a in heat) == pytest.approx(1000)
    assert explanation_page(effects) == page


def test_an_answer_that_leans_on_nothing_stays_pale() -> None:
    bars = [a for tag, a in Tags(explanation_page(made([0.001, -0.001, 0.0], [0.0, 0.0]))).found if tag == "rect"]
    assert max(float(a.get("fill-opacity") or 0) for a in bars) < 0.01


def test_a_png_holds_the_picture() -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    data = grey_png(values)
    assert struct.unpack(">2I", data[16:24]) == (4, 3)
    start = data.index(b"IDAT") + 4
    size = struct.unpack(">I", data[start - 8 : start - 4])[0]
    rows = np.frombuffer(zlib.decompress(data[start : start + size]), np.uint8).reshape(3, 5)
    assert np.array_equal(255 - rows[:, 1:], values)
    assert not rows[:, 0].any()


def test_the_spectrogram_shows_a_tone_where_it_is(recognizer: Recognizer) -> None:
    samples = np.zeros(RATE, np.float32)
    samples[RATE // 2 :] = 0.5 * np.sin(2 * np.pi * 4000 * np.arange(RATE // 2) / RATE)
    effects = made([0.0, 0.0, 0.0], [0.0, 0.0])
    tone = Explanation(**{**vars(effects), "wave": Waveform(samples, RATE)})
    encoded = re.search(r"base64,([^\"]+)", explanation_page(tone))
    assert encoded is not None
    data = base64.b64decode(encoded[1])
    width, height = struct.unpack(">2I", data[16:24])
    start = data.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(data[start:-16]), np.uint8).reshape(height, width + 1)[:, 1:]
    assert rows[:, : width // 2 - 10].min() == 255  # silence is white
    row, column = np.unravel_index(rows.argmin(), rows.shape)
    assert column > width // 2
    mel = lambda hz: 15 + 27 * np.log(hz / 1000) / np.log(6.4) if hz >= 1000 else 15 * hz / 1000  # noqa: E731
    assert 1 - (row + 0.5) / height == pytest.approx((mel(4000) - mel(60)) / (mel(8000) - mel(60)), abs=0.06)


def test_a_phone_shows_the_page_without_scrolling_sideways(
    explanation: Explanation, tmp_path: Path, chromium: Browser
) -> None:
    written = write_explanation(explanation, tmp_path / "page.html")
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.goto(written.as_uri())
    page.get_by_text("How to read this").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("img").first.evaluate("image => image.naturalWidth") > 100
    for place in (".wave", ".effect", ".sound"):
        box = page.locator(place).bounding_box()
        assert box is not None
        assert box["width"] > 150
