"""Enrolment: the formula, what leaves answers as they are, profiles on disk, and what a voice changes end to end."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import serkit
from serkit.audio.voice_activity import speech_activity
from serkit.emotions import LABELS
from serkit.errors import AudioError, BundleError, ProfileError
from serkit.recognition.enrol import enrol
from serkit.recognition.explain import cover_bands, cover_stretches
from serkit.recognition.profile import Profile, adjust, voice_mean
from serkit.recognition.timeline import timeline
from tests.conftest import Ser, voice
from tests.test_imports import HEAVY, loaded_after
from tests.tiny_models import BIAS, expected, softmax, tiny_manifest, waveform_graph, write_tiny

RATE = 16000
REFERENCE = dict(zip(LABELS, [-1.5, -2.0, -1.75, -2.5, -2.25, -3.0, -3.5, -3.25], strict=True))
ENROLMENT = {"weight": 0.6, "seconds": 5.0, "reference": REFERENCE}

# ------------------------------------------------------------------------------------------------- the formula


def test_the_formula_on_an_example_written_out() -> None:
    # Heard for as long as `half`, so half of the weight of 0.6 acts; leans of ln 2, 0 and -ln 2.
    p = np.array([0.5, 0.3, 0.2])
    voice_, reference = np.log([0.5, 0.25, 0.25]), np.log([0.25, 0.25, 0.5])
    terms = [0.5 / 2**0.3, 0.3, 0.2 * 2**0.3]
    got = adjust(p, voice_, reference, seconds=5.0, weight=0.6, half=5.0)
    np.testing.assert_allclose(got, np.array(terms) / sum(terms), rtol=1e-12)
    table = adjust(np.stack([p, p[::-1]]), voice_, reference, seconds=5.0, weight=0.6, half=5.0)
    np.testing.assert_array_equal(table[0], got)


def test_the_mean_has_a_floor_and_weights() -> None:
    p = np.array([[1.0, 0.0], [0.5, 0.5]])
    np.testing.assert_allclose(voice_mean(p), [math.log(0.5) / 2, (math.log(1e-4) + math.log(0.5)) / 2])
    np.testing.assert_allclose(
        voice_mean(p, np.array([3.0, 1.0])), [math.log(0.5) / 4, (3 * math.log(1e-4) + math.log(0.5)) / 4]
    )


logits = arrays(np.float64, 6, elements=st.floats(-8, 8))
means = arrays(np.float64, 6, elements=st.floats(-9.2, 0))
some_seconds = st.floats(0.1, 30)
weights = st.floats(0.01, 2)


@given(logits, means, means, some_seconds, weights)
def test_probabilities_stay_probabilities(
    z: np.ndarray, voice_: np.ndarray, reference: np.ndarray, s: float, w: float
) -> None:
    got = adjust(softmax(z), voice_, reference, seconds=s, weight=w, half=5.0)
    assert got.min() >= 0
    assert got.sum() == pytest.approx(1, abs=1e-12)
    # Of two labels, the one that the voice leans to more loses to the other.
    lean = voice_ - reference
    change = np.log(got) - np.log(softmax(z))
    order = np.argsort(lean)
    assert (np.diff(change[order]) <= 1e-9).all()


@given(logits, means, some_seconds, weights, st.floats(-3, 3))
def test_a_voice_like_the_others_changes_nothing(
    z: np.ndarray, reference: np.ndarray, s: float, w: float, constant: float
) -> None:
    p = softmax(z)
    np.testing.assert_allclose(adjust(p, reference, reference, seconds=s, weight=w, half=5.0), p, rtol=1e-12)
    # A lean towards all labels alike is none.
    same = adjust(p, reference + constant, reference, seconds=s, weight=w, half=5.0)
    np.testing.assert_allclose(same, p, rtol=1e-9)


@given(logits, means, means, weights)
def test_the_less_is_heard_the_less_changes(z: np.ndarray, voice_: np.ndarray, reference: np.ndarray, w: float) -> None:
    p = softmax(z)
    np.testing.assert_allclose(adjust(p, voice_, reference, seconds=0.0, weight=w, half=5.0), p, rtol=1e-12)
    near = adjust(p, voice_, reference, seconds=1e-9, weight=w, half=5.0)
    np.testing.assert_allclose(near, p, rtol=1e-7)
    ever = adjust(p, voice_, reference, seconds=1e12, weight=w, half=5.0)
    np.testing.assert_allclose(ever, softmax(z - w * (voice_ - reference)), rtol=1e-6)


@given(logits, means, means, some_seconds, weights, st.floats(-50, 50))
def test_a_constant_in_all_logits_changes_nothing(
    z: np.ndarray, voice_: np.ndarray, reference: np.ndarray, s: float, w: float, constant: float
) -> None:
    one, other = (adjust(softmax(x), voice_, reference, seconds=s, weight=w, half=5.0) for x in (z, z + constant))
    np.testing.assert_allclose(one, other, rtol=1e-9)


# ------------------------------------------------------------------------------------------------- profiles


def profile(**changes: Any) -> Profile:
    values: dict[str, Any] = {
        "model": "tiny",
        "version": "1.0",
        "model_sha256": "0" * 64,
        "log_probabilities": {"happy": -0.5, "sad": -1.0},
        "utterances": 4,
        "seconds": 12.5,
        "created": "2025-01-31",
    }
    return Profile(**{**values, **changes})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    made = profile()
    assert made.save(tmp_path / "deep" / "voice.json") == tmp_path / "deep" / "voice.json"
    assert Profile.load(tmp_path / "deep" / "voice.json") == made
    assert made.labels == ("happy", "sad")
    profile(seconds=3.0).save(tmp_path / "deep" / "voice.json")
    assert Profile.load(str(tmp_path / "deep" / "voice.json")).seconds == 3.0
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["voice.json"]


def test_the_key_hangs_on_what_changes_an_answer() -> None:
    key = profile().key
    assert profile(created="2026-01-01", utterances=5).key == key
    changed = [{"seconds": 12.6}, {"log_probabilities": {"happy": -0.5, "sad": -1.1}}, {"model_sha256": "1" * 64}]
    assert len({key, *(profile(**change).key for change in changed)}) == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": 3}, "'model' must be text, got 3"),
        ({"created": None}, "'created' must be text"),
        ({"model_sha256": "abc"}, "must be 64 hexadecimal digits, got 'abc'"),
        ({"log_probabilities": [-1, -2]}, "a number for each of two labels or more"),
        ({"log_probabilities": {"sad": -1.0}}, "a number for each of two labels or more"),
        ({"log_probabilities": {"sad": -1.0, "happy": 0.5}}, "of happy must be from -9.21 to 0, got 0.5"),
        ({"log_probabilities": {"sad": -1.0, "happy": "low"}}, "of happy must be from -9.21 to 0, got 'low'"),
        ({"log_probabilities": {"sad": -1.0, "happy": -1e308}}, "of happy must be from -9.21 to 0, got -1e+308"),
        ({"log_probabilities": {"sad": -1.0, "happy": -(10**400)}}, "of happy must be from -9.21 to 0, got -1000"),
        ({"utterances": 0}, "'utterances' must be a count, 1 or more, got 0"),
        ({"utterances": 2.5}, "'utterances' must be a count"),
        ({"utterances": 10**400}, "'utterances' must be a count"),
        ({"seconds": 0.0}, "more than 0 and at most 30, got 0.0"),
        ({"seconds": 31}, "more than 0 and at most 30, got 31"),
        ({"seconds": True}, "more than 0 and at most 30, got True"),
        ({"format": 2}, "has format 2, this serkit reads 1: upgrade serkit"),
        ({"seconds": ...}, "The key 'seconds' is missing"),
        ({"format": ...}, "The key 'format' is missing"),
    ],
)
def test_a_damaged_profile_is_one_sentence(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    content = {**profile().to_dict(), "of a later version": 1, **change}
    content = {key: value for key, value in content.items() if value is not ...}
    path = tmp_path / "voice.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ProfileError) as caught:
        Profile.load(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"'{path}': ")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not a speaker profile, because it is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        (b"[" * 100_000, r"is not valid JSON \(it is nested too deeply\)"),
        (b'{"a": ' + b"1" * 2_000_000, "is more than 1,048,576 bytes, so it is not a speaker profile"),
        (b'{"seconds": NaN}', r"is not valid JSON \(NaN is not a number that JSON knows\)"),
        (b'{"seconds": -Infinity}', r"is not valid JSON \(-Infinity is not a number"),
        (b'{"seconds": 1e999}', r"is not valid JSON \(1e999 is not a number"),
        (b'{"seconds": 3, "seconds": 4}', r"is not valid JSON \(the key 'seconds' is listed twice\)"),
    ],
)
def test_other_files_are_no_profiles(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ProfileError, match=says):
        Profile.load(tmp_path / "x")


def test_places_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"missing.json' cannot be read: No such file"):
        Profile.load(tmp_path / "missing.json")
    with pytest.raises(ProfileError, match="cannot be read"):
        Profile.load(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ProfileError, match=r"list.json': A speaker profile is a JSON object"):
        Profile.load(tmp_path / "list.json")
    with pytest.raises(ProfileError, match=r"Cannot write .* it is a folder"):
        profile().save(tmp_path)
    with pytest.raises(ProfileError, match="Cannot write"):
        profile().save(tmp_path / "list.json" / "voice.json")
    assert [path.name for path in tmp_path.iterdir()] == ["list.json"]


# ------------------------------------------------------------------------------------------------- recognizers


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> serkit.Recognizer:
    folder = tmp_path_factory.mktemp("enrolment") / "tiny"
    write_tiny(folder, enrolment=ENROLMENT)
    return serkit.load(folder)


@pytest.fixture(scope="module")
def ann(tiny: serkit.Recognizer) -> Profile:
    return tiny.enrol(voice(3, 1, seconds=2.0), 0.1 * voice(5, 1, seconds=2.5), sample_rate=RATE)


def floored(samples: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(expected(samples), 1e-4))


def by_hand(p: np.ndarray, who: Profile) -> np.ndarray:
    strength = 0.6 * who.seconds / (who.seconds + 5.0)
    lean = np.array(list(who.log_probabilities.values())) - np.array(list(REFERENCE.values()))
    return softmax(np.log(p) - strength * lean)


def values(answer: Any) -> list[float]:
    return list(answer.probabilities.values())


def test_a_profile_is_the_mean_over_windows_with_speech(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    short, long = voice(3, 1, seconds=2.0), 0.2 * voice(5, 1, seconds=4.0)
    silence = np.zeros(5 * RATE, np.float32)
    made = tiny.enrol(silence, short, long, sample_rate=RATE)
    # 4 s are a window of 3 s and one that ends with the recording, of which 1 s is new.
    parts = np.array([floored(short), floored(long[: 3 * RATE]), floored(long[RATE:])])
    wanted = np.average(parts, axis=0, weights=[1, 1, 1 / 3])
    np.testing.assert_allclose(list(made.log_probabilities.values()), wanted, atol=1e-4)
    assert (made.utterances, made.seconds, made.labels) == (3, 6.0, LABELS)
    assert (made.model, made.version) == ("tiny", "1.0")
    assert made.model_sha256 == tiny.manifest.files["model.onnx"]
    # From a folder, as from arrays; nothing of it stands in the profile.
    for name, sound in (("1 ann.wav", silence), ("2 ann.wav", short), ("3 ann.flac", long)):
        sf.write(tmp_path / name, sound, RATE, subtype="PCM_24")
    (tmp_path / "notes.txt").write_text("not a recording")
    from_folder = tiny.enrol(tmp_path)
    np.testing.assert_allclose(
        list(from_folder.log_probabilities.values()), list(made.log_probabilities.values()), atol=1e-4
    )
    assert from_folder.seconds == 6.0
    assert "ann" not in json.dumps(from_folder.to_dict())


def test_only_the_first_30_s_are_used(tiny: serkit.Recognizer) -> None:
    sounds = [0.2 * voice(e, 1, seconds=7.0) for e in (3, 4, 5, 6)] + [voice(8, 1, seconds=60.0)]
    made = tiny.enrol(*sounds, sample_rate=RATE)
    assert made.seconds == 30.0
    # 28 s of the first four, in three windows each, and 2 s of the first window of the fifth.
    assert made.utterances == 13
    first = [floored(sound[i * RATE : (i + 3) * RATE]) for sound in sounds[:4] for i in (0, 3, 4)]
    wanted = np.average([*first, floored(sounds[4][: 3 * RATE])], axis=0, weights=[*[1, 1, 1 / 3] * 4, 2 / 3])
    np.testing.assert_allclose(list(made.log_probabilities.values()), wanted, atol=1e-4)
    # What comes after that is not even opened.
    assert tiny.enrol(*sounds, np.zeros(0), sample_rate=RATE) == made


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ([], "hold 0.0 s of speech"),
        ([np.zeros(160000, np.float32)], "hold 0.0 s of speech"),
        ([voice(3, 1, seconds=2.9)], "hold 2.9 s of speech, a speaker profile needs at least 3 s: add recordings"),
        ([voice(3, 1, seconds=2.0), voice(3, 1, seconds=0.2)], "lasts 0.200 s; the model tiny needs at least 0.25 s"),
        ([[voice(3, 1), voice(4, 1)]], r"one by one: enrol\(\*recordings\)"),
        ([""], "An empty path names no recording"),
        (["nowhere.wav"], "no such file or folder: 'nowhere.wav'"),
    ],
)
def test_too_little_to_enrol_with(tiny: serkit.Recognizer, sources: list[Any], says: str) -> None:
    with pytest.raises(AudioError, match=says):
        tiny.enrol(*sources, sample_rate=None if sources and isinstance(sources[0], str) else RATE)


def test_a_recording_that_fails_is_named(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    sf.write(tmp_path / "good.wav", voice(3, 1, seconds=4.0), RATE)
    sf.write(tmp_path / "short.wav", voice(3, 1, seconds=0.2), RATE)
    with pytest.raises(AudioError, match=r"short.wav: The recording lasts 0.200 s"):
        tiny.enrol(tmp_path / "good.wav", tmp_path / "short.wav")
    (tmp_path / "text.mp3").write_text("I am no music.")
    with pytest.raises(AudioError) as caught:
        tiny.enrol(tmp_path / "text.mp3")
    assert str(caught.value).count("text.mp3") == 1


def test_every_way_in_takes_the_lean_off(tiny: serkit.Recognizer, ann: Profile, tmp_path: Path) -> None:
    sound = 0.3 * voice(6, 1, seconds=2.0)
    path = tmp_path / "a.wav"
    sf.write(path, sound, RATE, subtype="FLOAT")
    answer = tiny.predict(path, speaker=ann)
    wanted = by_hand(expected(sound), ann)
    np.testing.assert_allclose(values(answer), wanted, atol=1e-5)
    assert answer.emotion == LABELS[int(wanted.argmax())]
    assert answer.confidence == max(values(answer))
    assert np.abs(wanted - expected(sound)).max() > 0.05
    model = tiny.bundle.path
    many = [
        *tiny.predict([path], speaker=ann),
        *tiny.predict(tmp_path, speaker=ann),
        *tiny.predict_iter([path], speaker=ann),
        serkit.predict(path, speaker=ann, model=model),
    ]
    assert many == [answer] * 4
    (window,) = timeline(tiny, path, speaker=ann)
    assert window == replace(answer, path=None)
    assert tiny.predict(path) == serkit.predict(path, model=model)
    np.testing.assert_allclose(values(tiny.predict(path)), expected(sound), atol=1e-5)
    limit = float(np.nextafter(answer.confidence, 1))
    assert tiny.predict(path, speaker=ann, min_confidence=limit).unsure


def test_a_long_recording_is_adjusted_window_by_window(tiny: serkit.Recognizer, ann: Profile) -> None:
    parts = 0.3 * voice(6, 1, seconds=10.0), 0.05 * voice(4, 1, seconds=10.0)
    answer = tiny.predict(np.concatenate(parts), sample_rate=RATE, speaker=ann)
    single = np.array([by_hand(expected(part), ann) for part in parts])
    seconds = [speech_activity(serkit.load_audio(part, sample_rate=RATE)).seconds for part in parts]
    np.testing.assert_allclose(values(answer), np.average(single, axis=0, weights=seconds), atol=1e-5)
    windows = list(timeline(tiny, np.concatenate(parts), sample_rate=RATE, window=10, hop=10, speaker=ann))
    np.testing.assert_allclose([values(one) for one in windows], single, atol=1e-5)


def test_a_voice_like_the_reference_changes_no_answer(tiny: serkit.Recognizer, ann: Profile) -> None:
    average = replace(ann, log_probabilities=REFERENCE)
    sound = 0.3 * voice(6, 1, seconds=2.0)
    answers = [tiny.predict(sound, sample_rate=RATE, speaker=who) for who in (None, average)]
    np.testing.assert_allclose(values(answers[0]), values(answers[1]), atol=1e-6)


def test_an_explanation_is_of_the_adjusted_answers(tiny: serkit.Recognizer, ann: Profile) -> None:
    sound = 0.3 * voice(6, 1, seconds=1.5)
    found = tiny.explain(sound, sample_rate=RATE, speaker=ann)
    assert found.prediction == tiny.predict(sound, sample_rate=RATE, speaker=ann)
    assert found.speaker is ann
    assert found.to_dict()["speaker"] == {"utterances": 2, "seconds": 4.5}
    at = LABELS.index(found.emotion)
    covers = [*cover_stretches(found.wave, found.times), *cover_bands(found.wave, found.bands)]
    scores = [math.log(by_hand(expected(samples), ann)[at]) for samples in (sound, *covers)]
    got = np.concatenate([found.time_effect, found.band_effect])
    np.testing.assert_allclose(got, scores[0] - np.array(scores[1:]), atol=1e-4)
    raw = tiny.explain(sound, sample_rate=RATE, emotion=found.emotion)
    assert raw.to_dict()["speaker"] is None
    assert np.abs(raw.time_effect - found.time_effect).max() > 0.01


def test_a_voice_like_the_reference_changes_no_explanation(tiny: serkit.Recognizer, ann: Profile) -> None:
    average = replace(ann, log_probabilities=REFERENCE)
    sound = 0.3 * voice(6, 1, seconds=1.5)
    raw, same = (tiny.explain(sound, sample_rate=RATE, speaker=who) for who in (None, average))
    assert same.emotion == raw.emotion
    np.testing.assert_allclose(same.time_effect, raw.time_effect, atol=1e-5)
    np.testing.assert_allclose(same.band_effect, raw.band_effect, atol=1e-5)


def test_a_profile_of_another_model_is_refused(tiny: serkit.Recognizer, ann: Profile, tmp_path: Path) -> None:
    other = waveform_graph(bias=BIAS + np.eye(8, dtype=np.float32)[:1])
    sound = voice(3, 1)
    calls: list[Callable[[serkit.Recognizer, Any], Any]] = [
        lambda recognizer, who: recognizer.predict(sound, sample_rate=RATE, speaker=who),
        lambda recognizer, who: recognizer.predict([sound], sample_rate=RATE, speaker=who),
        lambda recognizer, who: list(recognizer.predict_iter([sound], sample_rate=RATE, speaker=who)),
        lambda recognizer, who: timeline(recognizer, "not even looked for.wav", speaker=who),
        lambda recognizer, who: recognizer.explain("not even looked for.wav", speaker=who),
    ]
    write_tiny(tmp_path / "newer", graph=other, version="2.0", enrolment=ENROLMENT)
    write_tiny(tmp_path / "changed", graph=other, enrolment=ENROLMENT)
    write_tiny(tmp_path / "backwards", labels=LABELS[::-1], enrolment=ENROLMENT)
    write_tiny(tmp_path / "plain")
    for name, says in (
        ("newer", r"made with tiny 1.0, this is tiny 2.0: enrol again\."),
        ("changed", r"made with tiny 1.0, this is another model of that name: enrol again\."),
        ("backwards", r"made with tiny 1.0, this is another model of that name: enrol again\."),
    ):
        for call in calls:
            with pytest.raises(ProfileError, match=says):
                call(serkit.load(tmp_path / name), ann)
    for call in calls:  # the same graph, but nothing to compare voices with
        with pytest.raises(BundleError, match=r"The model tiny 1.0 does not enrol voices: use one that does"):
            call(serkit.load(tmp_path / "plain"), ann)
        with pytest.raises(ProfileError, match=r"must be a Profile, got str: .*Profile.load\(path\)"):
            call(tiny, "voice.json")
    with pytest.raises(BundleError, match="does not enrol voices"):
        enrol(serkit.load(tmp_path / "plain"), sound, sample_rate=RATE)


def test_labels_in_another_order_keep_their_reference(ann: Profile, tmp_path: Path) -> None:
    backwards = dict(reversed(REFERENCE.items()))
    write_tiny(tmp_path / "b", enrolment={**ENROLMENT, "reference": backwards})
    recognizer = serkit.load(tmp_path / "b")
    sound = 0.3 * voice(6, 1, seconds=2.0)
    answer = recognizer.predict(sound, sample_rate=RATE, speaker=ann)
    np.testing.assert_allclose(values(answer), by_hand(expected(sound), ann), atol=1e-5)


@pytest.mark.parametrize(
    ("enrolment", "says"),
    [
        ({"weight": 0.6, "seconds": 5.0}, "'enrolment.reference' must have one number for each label"),
        ({**ENROLMENT, "reference": {"sad": -1.0}}, "'enrolment.reference' must have one number for each label"),
        ({**ENROLMENT, "reference": {**REFERENCE, "bored": -1.0}}, "one number for each label and nothing else"),
        (
            {**ENROLMENT, "reference": {**REFERENCE, "sad": 1.0}},
            "'enrolment.reference.sad' must be a number from -9.21 to 0",
        ),
        ({**ENROLMENT, "reference": {**REFERENCE, "sad": None}}, "must be a number from -9.21 to 0, got None"),
        ({**ENROLMENT, "weight": 0}, "'enrolment.weight' must be a positive number, got 0"),
        ({**ENROLMENT, "weight": float("inf")}, "'enrolment.weight' must be a positive number, got inf"),
        ({**ENROLMENT, "seconds": "5"}, "'enrolment.seconds' must be a positive number, got '5'"),
        ([0.6], "'enrolment' must be an object, got a list"),
    ],
)
def test_a_manifest_is_checked(enrolment: Any, says: str) -> None:
    with pytest.raises(BundleError) as caught:
        tiny_manifest(enrolment=enrolment)
    assert says in str(caught.value)


def test_a_manifest_may_say_nothing_of_enrolment() -> None:
    content = tiny_manifest().to_dict()
    assert content.pop("enrolment") == {}
    assert serkit.bundle.Manifest.from_dict(content) == tiny_manifest()


# ------------------------------------------------------------------------------------------------- command line


@pytest.fixture
def ser(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ser:
    """Run ``ser`` in a folder with a bundle ``tiny`` and recordings: exit code, output and error."""
    write_tiny(tmp_path / "tiny", enrolment=ENROLMENT)
    write_tiny(tmp_path / "plain", name="plain")
    (tmp_path / "ann").mkdir()
    sf.write(tmp_path / "ann" / "1.wav", voice(3, 1, seconds=2.0), RATE)
    sf.write(tmp_path / "ann" / "2.flac", 0.1 * voice(5, 1, seconds=2.0), RATE)
    sf.write(tmp_path / "a.wav", 0.3 * voice(6, 1, seconds=2.0), RATE)
    monkeypatch.chdir(tmp_path)
    return ser


def test_enrol_and_predict_from_the_command_line(ser: Ser, tmp_path: Path) -> None:
    recognizer = serkit.load("tiny")
    wanted = recognizer.enrol("ann")
    assert ser("enrol", "ann", "-m", "tiny", "--out", "ann.json") == (
        0,
        "Profile: ann.json (2 utterances, 4.0 s)\n",
        "",
    )
    assert Profile.load("ann.json") == wanted
    code, out, err = ser("enrol", "ann/1.wav", "-", "-m", "tiny", "--json", stdin=Path("ann/2.flac").read_bytes())
    assert (code, json.loads(out), err) == (0, wanted.to_dict(), "")
    code, out, _ = ser("predict", "a.wav", "-m", "tiny", "--speaker", "ann.json", "--json")
    assert (code, json.loads(out)) == (0, [recognizer.predict("a.wav", speaker=wanted).to_dict()])
    assert json.loads(out)[0]["probabilities"] != recognizer.predict("a.wav").probabilities


def test_a_profile_or_page_that_exists_is_replaced_only_when_asked(ser: Ser) -> None:
    for words in (["enrol", "ann", "--out", "ann.json"], ["explain", "a.wav", "--out", "page.html"]):
        name = words[-1]
        assert ser(*words, "-m", "tiny")[0] == 0
        Path(name).write_text("precious")
        code, out, err = ser(*words, "-m", "tiny")
        assert (code, out) == (2, "")
        assert err == f"ser: '{name}' exists: add --force (force=True) to replace it, or choose another name.\n"
        assert Path(name).read_text() == "precious"
        assert ser(*words, "-m", "tiny", "--force")[0] == 0
        assert Path(name).read_text(encoding="utf-8") != "precious"


def test_explain_with_a_speaker_from_the_command_line(ser: Ser) -> None:
    ser("enrol", "ann", "-m", "tiny", "--out", "ann.json")
    words = ["explain", "a.wav", "-m", "tiny"]
    code, out, err = ser(*words, "--speaker", "ann.json", "--json", "--out", "with.html")
    wanted = serkit.load("tiny").explain("a.wav", speaker=Profile.load("ann.json"))
    assert (code, json.loads(out), err) == (0, wanted.to_dict(), "")
    assert ser(*words, "--out", "without.html")[0] == 0
    pages = [Path(name).read_text(encoding="utf-8") for name in ("with.html", "without.html")]
    assert [page.count("adjusted to this voice, 4 s heard") for page in pages] == [1, 0]
    assert [page.count("made from 4 s of speech, was used") for page in pages] == [1, 0]


def test_a_file_of_answers_is_resumed_with_the_same_voice_only(ser: Ser) -> None:
    ser("enrol", "ann", "-m", "tiny", "--out", "ann.json")
    ser("enrol", "ann/2.flac", "a.wav", "-m", "tiny", "--out", "ben.json")
    words = ["-m", "tiny", "--out", "rows.jsonl"]
    assert ser("predict", "a.wav", *words, "--speaker", "ann.json")[0] == 0
    refused = [[], ["--speaker", "ben.json"]]
    for other in refused:
        code, _, err = ser("predict", "a.wav", "ann/1.wav", *words, "--resume", *other)
        assert (code, "was begun with the options" in err) == (2, True)
    Path("ann.json").rename("anna.json")
    assert ser("predict", "a.wav", "ann/1.wav", *words, "--resume", "--speaker", "anna.json")[0] == 0
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    who = Profile.load("anna.json")
    assert rows == [row.to_dict() for row in serkit.load("tiny").predict(["a.wav", "ann/1.wav"], speaker=who)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["enrol"], "Missing argument"),
        (["enrol", "ann", "-m", "tiny"], "--out voice.json"),
        (["enrol", "ann", "-m", "plain", "--json"], "ser: The model plain 1.0 does not enrol voices"),
        (["enrol", "ann", "-m", "huge", "--json"], "ser: No model 'huge'"),
        (["enrol", "ann/1.wav", "-m", "tiny", "--json"], "ser: The recordings hold 2.0 s of speech"),
        (
            ["enrol", "tiny", "-m", "tiny", "--json"],
            "ser: no recording in 'tiny', 3 other files (README.md, manifest.json, model.onnx).",
        ),
        (["enrol", "missing.wav", "-m", "tiny", "--json"], "ser: no such file or folder: 'missing.wav'"),
        (["enrol", "ann", "-m", "tiny", "--out", "ann"], "ser: Cannot write 'ann': it is a folder."),
        (["predict", "a.wav", "-m", "tiny", "--speaker", "no.json"], "ser: The speaker profile 'no.json' cannot be"),
        (["predict", "a.wav", "-m", "tiny", "--speaker", "a.wav"], "ser: 'a.wav' is not a speaker profile"),
        (["predict", "a.wav", "-m", "tiny", "--speaker", "tiny/manifest.json"], "The key 'format' is missing"),
        (["predict", "a.wav", "-m", "tiny", "--speaker", "other.json"], "made with tiny 1.0, this is another model"),
        (["explain", "a.wav", "-m", "tiny", "--json", "--speaker", "no.json"], "ser: The speaker profile 'no.json' ca"),
        (["explain", "a.wav", "-m", "tiny", "--json", "--speaker", "a.wav"], "ser: 'a.wav' is not a speaker profile"),
        (
            ["explain", "a.wav", "-m", "tiny", "--json", "--speaker", "other.json"],
            "made with tiny 1.0, this is another",
        ),
        (["explain", "a.wav", "-m", "plain", "--json", "--speaker", "other.json"], "this is plain 1.0: enrol again."),
    ],
)
def test_wrong_usage_is_one_sentence_and_code_2(ser: Ser, words: list[str], says: str) -> None:
    profile(log_probabilities=REFERENCE).save("other.json")
    code, out, err = ser(*words)
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err


def test_a_wrong_profile_shows_before_anything_is_written(ser: Ser, tmp_path: Path) -> None:
    profile(log_probabilities=REFERENCE).save("other.json")
    before = sorted(path.name for path in tmp_path.iterdir())
    for command, option in (("predict", "--out"), ("predict", "--csv"), ("explain", "--out")):
        assert ser(command, "a.wav", "-m", "tiny", "--speaker", "other.json", option, "rows.csv")[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_enrolling_loads_nothing_of_the_learn_road(ser: Ser, tmp_path: Path) -> None:
    code = "\n".join(
        [
            "import sys, serkit.cli",
            "def ser(*words):",
            "    sys.argv = ['ser', *words]",
            "    try: serkit.cli.main()",
            "    except SystemExit as done: assert not done.code, done.code",
            "ser('enrol', 'ann', '-m', 'tiny', '--out', 'ann.json')",
            "ser('predict', 'a.wav', '-m', 'tiny', '--speaker', 'ann.json')",
        ]
    )
    assert not loaded_after(code) & HEAVY
    assert Profile.load(tmp_path / "ann.json").seconds == 4.0
