"""Adapting in the app: to the clips on the page, with a saved profile of a place, and what it refuses."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import serkit
from serkit.app.words import plain
from serkit.recognition.profile import Profile
from tests.conftest import voice
from tests.test_adapt import clips
from tests.test_app import wav
from tests.test_app_voice import CLIP, enrolling, opened, ran, shown, switched, told, with_clip
from tests.tiny_models import write_adaptable, write_tiny

SOUNDS = {f"{k:02d}.wav": wav(sound) for k, sound in enumerate(clips(22))}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    write_adaptable(tmp_path / "tiny")
    return tmp_path / "tiny"


def place_of(model: Path) -> Profile:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return serkit.load(model).adapt(list(SOUNDS.values()))


def with_clips(page: AppTest, files: dict[str, bytes]) -> AppTest:
    page.file_uploader(key="uploads").set_value([(name, data, "audio/wav") for name, data in files.items()])
    return ran(page.run())


def confidences(page: AppTest) -> list[float]:
    return list(page.dataframe[0].value["confidence"])


def test_the_clips_on_the_page_are_their_own_place(tiny: Path) -> None:
    recognizer, here = serkit.load(tiny), place_of(tiny)
    plainly, adapted = (
        [100 * (row.confidence or 0) for row in recognizer.predict(list(SOUNDS.values()), profile=profile)]
        for profile in (None, here)
    )
    assert np.abs(np.subtract(plainly, adapted)).max() > 5
    page = with_clips(opened(tiny, "batch"), SOUNDS)
    assert confidences(page) == pytest.approx(plainly)
    page = ran(page.toggle(key="place switch").set_value(True).run())
    assert confidences(page) == pytest.approx(adapted)
    assert plain("Adapted to 22 recordings. The profile comes from 22 recordings; from 50 on") in told(page)
    assert page.session_state["place"][1] == here
    page = ran(page.toggle(key="place switch").set_value(False).run())
    assert confidences(page) == pytest.approx(plainly)


def test_the_switch_is_there_for_twenty_clips_and_models_that_adapt(tiny: Path, tmp_path: Path) -> None:
    few = dict(list(SOUNDS.items())[:19])
    assert "place switch" not in [one.key for one in with_clips(opened(tiny, "batch"), few).toggle]
    write_tiny(tmp_path / "plain")
    page = with_clips(opened(tmp_path / "plain", "batch"), SOUNDS)
    assert "place switch" not in [one.key for one in page.toggle]


def test_clips_of_one_mood_are_answered_plainly_with_a_sentence(tiny: Path) -> None:
    loud = {f"{k}.wav": wav(sound) for k, sound in enumerate(clips(42)[::2])}
    page = with_clips(opened(tiny, "batch"), loud)
    before = confidences(page)
    page = ran(page.toggle(key="place switch").set_value(True).run())
    (warning,) = page.warning
    assert warning.value.startswith(plain("21 of 21 recordings sound "))
    assert confidences(page) == pytest.approx(before)


def test_a_saved_place_adapts_one_clip(tiny: Path) -> None:
    here = place_of(tiny)
    page = switched(with_clip(opened(tiny)))
    page = enrolling(page, {"here.json": here.to_json().encode()})
    assert "**Answers adapted to this place**, 22 recordings heard." in told(page)
    answer = serkit.load(tiny).predict(CLIP, profile=here)
    assert shown(page) == pytest.approx(list(answer.probabilities.values()))
    assert "Forget this place" in [one.label for one in page.button]


def test_the_slider_starts_at_the_models_own_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from serkit.app import MODEL_VARIABLE

    for own, wanted in ((0.37, 37), (None, 0)):
        folder = tmp_path / f"model-{wanted}"
        write_adaptable(folder, min_confidence=own)
        monkeypatch.setenv(MODEL_VARIABLE, str(folder))
        script = "from serkit.app import chosen_model\nchosen_model.choose()\n"
        page = ran(AppTest.from_string(script, default_timeout=60).run())
        (slider,) = page.slider
        assert (slider.value, page.session_state["least"]) == (wanted, wanted)
        page = ran(slider.set_value(80).run())
        assert page.session_state["least"] == 80


def test_the_strip_is_grey_below_the_models_own_limit(tmp_path: Path) -> None:
    sound = wav(np.concatenate([voice(3, 1, seconds=3.0), 0.2 * voice(5, 1, seconds=3.0)]))
    for own, wanted in ((0.72, 72), (None, 40)):
        folder = tmp_path / f"model-{wanted}"
        write_adaptable(folder, min_confidence=own)
        page = with_clip(opened(folder, "recording"), "long", sound)
        assert page.slider(key=f"long least {folder}").value == wanted
