"""Enrolling a voice in the app: what it changes, what is refused, and what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import serkit
from serkit.app import voice as page_part
from serkit.app.clips import Clip
from serkit.app.single import explained
from serkit.app.words import plain
from serkit.errors import SerkitError
from serkit.recognition.profile import Profile
from tests.conftest import voice
from tests.known_speech import LoudFrames
from tests.test_app import charts, numbers, said, title, wav
from tests.tiny_models import PLAIN_HEAD, embedding_graph, write_adaptable, write_tiny

ANN = {"1.wav": wav(voice(3, 1, seconds=2.0)), "2.wav": wav(0.1 * voice(5, 1, seconds=2.5))}
CLIP = wav(0.3 * voice(6, 1, seconds=2.0))


def clip(name: str, data: bytes) -> Clip:
    return Clip(name, name, "audio/wav", lambda: data)


@pytest.fixture(autouse=True)
def known_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector of timelines knows that what is loud is a voice: it would not take these sounds for one."""
    monkeypatch.setattr("serkit.recognition.listening.SpeechFrames", LoudFrames)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    write_adaptable(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def ann(tiny: Path) -> Profile:
    return serkit.load(tiny).enrol(*ANN.values())


def opened(model: Path, page: str = "single", **state: Any) -> AppTest:
    """One page by itself, with a model that a test may change through the session state."""
    shown = AppTest.from_string(
        f"import serkit\nimport streamlit as st\nfrom serkit.app import {page}\n"
        f"model = st.session_state['model']\n{page}.show(model, serkit.load(model))\n",
        default_timeout=60,
    )
    for name, value in {"model": str(model), **state}.items():
        shown.session_state[name] = value
    return ran(shown.run())


def ran(page: AppTest) -> AppTest:
    assert not page.exception
    return page


def with_clip(page: AppTest, place: str = "one", content: bytes = CLIP) -> AppTest:
    page.radio(key=f"{place} way").set_value("Upload").run()
    return ran(page.file_uploader(key=f"{place} upload").upload("a.wav", content).run())


def switched(page: AppTest, on: bool = True) -> AppTest:
    return ran(page.toggle(key="voice switch").set_value(on).run())


def enrolling(page: AppTest, files: dict[str, bytes]) -> AppTest:
    page.file_uploader(key="voice files").set_value([(name, data, "") for name, data in files.items()]).run()
    return ran(button(page, "Use this voice").click().run())


def button(page: AppTest, label: str) -> Any:
    return next(one for one in page.button if one.label == label)


def shown(page: AppTest) -> list[float]:
    """The probabilities that the bars show."""
    return list(numbers(charts(page)[0]["data"][0]["x"]))


def told(page: AppTest) -> str:
    return " ".join(item.value for item in [*page.markdown, *page.caption])


def test_an_enrolled_voice_adapts_the_answer_until_it_is_forgotten(tiny: Path, ann: Profile) -> None:
    recognizer = serkit.load(tiny)
    raw, adapted = (recognizer.predict(CLIP, profile=who) for who in (None, ann))
    assert raw.confidence != pytest.approx(adapted.confidence, abs=0.02)
    page = with_clip(opened(tiny))
    assert shown(page) == pytest.approx(list(raw.probabilities.values()))
    page = enrolling(switched(page), ANN)
    assert "**Answers adapted to this voice**, 4 s heard (2 utterances)" in told(page)
    assert not [one for one in page.get("file_uploader") if "one person" in one.label]
    assert page.session_state["voices"] == {recognizer.manifest.files["model.onnx"]: ann}
    assert shown(page) == pytest.approx(list(adapted.probabilities.values()))
    assert said(page).startswith(title(adapted))
    why, plainly = (explained(recognizer.explain(CLIP, profile=who)) for who in (ann, None))
    assert why in told(page)
    assert plainly not in told(page)
    page = switched(page, on=False)
    assert shown(page) == pytest.approx(list(raw.probabilities.values()))
    page = switched(page)
    assert shown(page) == pytest.approx(list(adapted.probabilities.values()))
    page = ran(button(page, "Forget this voice").click().run())
    assert shown(page) == pytest.approx(list(raw.probabilities.values()))
    assert page.session_state["voices"] == {}
    assert button(page, "Use this voice").disabled


def test_the_microphone_enrols_too(tiny: Path) -> None:
    page = switched(opened(tiny))
    page.audio_input(key="voice record").set_value(("audio.wav", wav(voice(4, 1, seconds=7.0)), "audio/wav")).run()
    page = ran(button(page, "Use this voice").click().run())
    assert "7 s heard (3 utterances)" in told(page)


def test_a_long_recording_is_adapted_window_by_window(tiny: Path, ann: Profile) -> None:
    recognizer = serkit.load(tiny)
    sound = wav(np.concatenate([0.3 * voice(6, 1, seconds=4.0), 0.05 * voice(4, 1, seconds=4.0)]))
    state = {"voices": {ann.model_sha256: ann}, "voice on": True}
    page = with_clip(opened(tiny, "recording", **state), "long", sound)
    assert "4 s heard" in told(page)
    parts, raw = (
        recognizer.timeline(sound, profile=who, min_confidence=0.0).at_least(0.4).segments for who in (ann, None)
    )
    assert [part.confidence for part in parts] != [part.confidence for part in raw]
    confidences = [None if part.confidence is None else 100 * part.confidence for part in parts]
    assert list(page.dataframe[0].value["confidence"]) == pytest.approx(confidences)
    page = switched(page, on=False)
    confidences = [None if part.confidence is None else 100 * part.confidence for part in raw]
    assert list(page.dataframe[0].value["confidence"]) == pytest.approx(confidences)


def test_too_little_speech_is_one_sentence_and_more_can_be_added(tiny: Path) -> None:
    page = enrolling(switched(opened(tiny)), {"1.wav": ANN["1.wav"]})
    (error,) = page.error
    assert error.value == plain(
        "The recordings hold 2.0 s of speech, but a profile needs at least 3 s: add recordings of this person."
    )
    assert not page.session_state["voices"]
    page = enrolling(page, ANN)
    assert not page.error
    assert "4 s heard" in told(page)


def test_a_voice_is_for_one_model(tiny: Path, ann: Profile, tmp_path: Path) -> None:
    write_adaptable(tmp_path / "other", graph=embedding_graph(head=-PLAIN_HEAD), name="other")
    write_tiny(tmp_path / "plain", name="plain")
    page = with_clip(opened(tiny, voices={ann.model_sha256: ann}, **{"voice on": True}))
    for name, says in (
        ("other", "A profile works with one model only"),
        ("plain", "The model plain 1.0 does not adapt to voices"),
    ):
        page.session_state["model"] = str(tmp_path / name)
        page = ran(page.run())
        assert says in told(page) + " ".join(info.value.replace("\\", "") for info in page.info)
        assert shown(page) == pytest.approx(list(serkit.load(tmp_path / name).predict(CLIP).probabilities.values()))
    assert not [one for one in page.get("file_uploader") if "one person" in one.label]
    page.session_state["model"] = str(tiny)
    answer = serkit.load(tiny).predict(CLIP, profile=ann)
    assert shown(ran(page.run())) == pytest.approx(list(answer.probabilities.values()))


def test_a_saved_profile_is_what_was_enrolled(tiny: Path, ann: Profile, tmp_path: Path) -> None:
    recognizer = serkit.load(tiny)
    data = ann.save(tmp_path / "ann.json").read_bytes()
    assert data == ann.to_json().encode()
    assert page_part.made_of(recognizer, [clip("Ann.JSON", data)]) == ann
    assert page_part.made_of(recognizer, [clip(*item) for item in ANN.items()]) == ann


def foreign() -> bytes:
    made = Profile("voice", "default", "1", "0" * 64, np.zeros(6), np.ones(6), 3, 9.0, "2025-01-31")
    return made.to_json().encode()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.json": b"Dear diary"}, "'a.json' is not a profile, because it is not valid JSON"),
        ({"a.json": b"{}"}, "'a.json': The key 'format' is missing"),
        ({"a.json": foreign()}, "The profile was made with default 1, this is tiny 1.0: enrol again."),
        (
            {"1.wav": ANN["1.wav"], "a.json": foreign()},
            "'a.json' looks like a saved profile: give it without other files",
        ),
        ({"1.wav": ANN["1.wav"], "blip.wav": wav(voice(3, 1, seconds=0.2))}, "blip.wav: The recording lasts 0.200 s"),
        ({"notes.wav": b"Dear diary\n" * 20}, "'notes.wav' is text, not audio"),
    ],
)
def test_what_is_no_voice_is_one_sentence(tiny: Path, files: dict[str, bytes], says: str) -> None:
    with pytest.raises(SerkitError) as caught:
        page_part.made_of(serkit.load(tiny), [clip(*item) for item in files.items()])
    assert str(caught.value).startswith(says)


def test_no_recording_stays_in_the_state_of_the_session(tiny: Path) -> None:
    page = enrolling(switched(opened(tiny)), ANN)
    assert not {"voice files", "voice record"} & set(vars(page.session_state)["_state"].filtered_state)
    (profile,) = page.session_state["voices"].values()
    assert len(profile.to_json()) < 1000
    assert "1.wav" not in profile.to_json()
