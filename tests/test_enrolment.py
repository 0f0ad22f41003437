"""Profiles of voices: on disk, as they are made, and what they change end to end."""

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

import serkit
from serkit.audio.voice_activity import speech_activity
from serkit.emotions import LABELS
from serkit.errors import AudioError, BundleError, ProfileError
from serkit.recognition.enrol import enrol
from serkit.recognition.explain import cover_bands, cover_stretches
from serkit.recognition.moments import Moments
from serkit.recognition.profile import Profile
from tests.conftest import Ser, voice
from tests.known_speech import timeline_of
from tests.test_imports import HEAVY, loaded_after, running
from tests.tiny_models import PLAIN_HEAD, adapted_answer, embedding_graph, embedding_of, write_adaptable, write_tiny

RATE = 16000

# ------------------------------------------------------------------------------------------------- profiles


def profile(**changes: Any) -> Profile:
    values: dict[str, Any] = {
        "kind": "voice",
        "model": "tiny",
        "version": "1.0",
        "model_sha256": "0" * 64,
        "mean": [-0.5, 0.012345678, 3],
        "deviation": [1.0, 0.25, 1e-6],
        "utterances": 4,
        "seconds": 12.5,
        "created": "2025-01-31",
    }
    return Profile(**{**values, **changes})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    made = profile()
    assert made.save(tmp_path / "deep" / "voice.json") == tmp_path / "deep" / "voice.json"
    read = Profile.load(tmp_path / "deep" / "voice.json")
    assert read == made
    assert (read.key, hash(read)) == (made.key, hash(made))
    assert read.mean.dtype == read.deviation.dtype == np.float32
    np.testing.assert_array_equal(read.mean, np.array([-0.5, 0.012346, 3.0], np.float32))
    profile(kind="place", seconds=300.0).save(tmp_path / "deep" / "voice.json")
    assert Profile.load(str(tmp_path / "deep" / "voice.json")).seconds == 300.0
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["voice.json"]
    with pytest.raises(ValueError, match="read-only"):
        read.mean[0] = 1.0


def test_a_profile_of_a_large_model_stays_small_and_exact() -> None:
    rng = np.random.default_rng(0)
    mean, deviation = rng.standard_normal(3072), rng.lognormal(sigma=2.0, size=3072)
    made = profile(mean=mean, deviation=deviation.astype(np.float32))
    text = made.to_json()
    assert len(text) < 80_000
    read = Profile.from_json(text.encode(), name="x")
    assert read == made
    np.testing.assert_allclose(read.mean, mean, rtol=5e-5)
    np.testing.assert_allclose(read.deviation, deviation, rtol=5e-5)
    assert Profile.from_json(read.to_json().encode(), name="x").to_json() == text


def test_the_key_hangs_on_what_changes_an_answer() -> None:
    key = profile().key
    assert profile(created="2026-01-01", seconds=13.0, kind="place").key == key
    changed = [{"utterances": 5}, {"mean": [-0.5, 0.0124, 3]}, {"deviation": [1, 0.3, 1]}, {"model_sha256": "1" * 64}]
    assert len({key, *(profile(**change).key for change in changed)}) == 5
    assert profile() != profile(created="2026-01-01")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": 3}, "'model' must be text, got 3"),
        ({"created": None}, "'created' must be text"),
        ({"model_sha256": "abc"}, "must be 64 hexadecimal digits, got 'abc'"),
        ({"kind": "person"}, "'kind' must be voice or place, got 'person'"),
        ({"mean": []}, "'mean' must be a list of finite numbers"),
        ({"mean": "0.5"}, "'mean' must be a list of finite numbers, got str"),
        ({"mean": [0.5, True, 1]}, "'mean' must be a list of finite numbers, got True"),
        ({"mean": [0.5, [1.0], 1]}, "'mean' must be a list of finite numbers, got [1.0]"),
        ({"mean": [0.5, 1e7, 1]}, "'mean' must have numbers from -1e+06 to 1e+06, got 10000000.0"),
        ({"mean": [0.5, 10**400, 1]}, "'mean' must be a list of finite numbers, got 1000"),
        ({"mean": [0.5, 1.0]}, "'mean' and 'deviation' must have the same length, got 2 and 3 numbers"),
        ({"deviation": [1, 0, 1]}, "'deviation' must have numbers from 1e-06 to 1e+06, got 0.0"),
        ({"deviation": [1, -1, 1]}, "'deviation' must have numbers from 1e-06 to 1e+06, got -1.0"),
        ({"deviation": [1, 1e-40, 1]}, "'deviation' must have numbers from 1e-06 to 1e+06, got 1e-40"),
        ({"utterances": 0}, "'utterances' must be a count, 1 or more, got 0"),
        ({"utterances": 2.5}, "'utterances' must be a count"),
        ({"utterances": 10**400}, "'utterances' must be a count"),
        ({"seconds": 0.0}, "of a voice's profile must be more than 0 and at most 30, got 0.0"),
        ({"seconds": 31}, "more than 0 and at most 30, got 31"),
        ({"seconds": True}, "more than 0 and at most 30, got True"),
        ({"kind": "place", "seconds": 1e10}, "of a place's profile must be more than 0 and at most 1,000,000,000, got"),
        ({"format": 1}, "has format 1, which only earlier models could use: enrol again."),
        ({"format": 3}, "has format 3, this serkit reads 2: upgrade serkit"),
        ({"format": True}, "has format True, this serkit reads 2"),
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
    "values", [np.zeros((2, 3)), np.array([0.5, np.nan, 1.0]), np.array([0.5, np.inf, 1.0]), np.array(["1", "2", "3"])]
)
def test_arrays_are_checked_too(values: np.ndarray) -> None:
    with pytest.raises(ProfileError, match="'mean' must"):
        profile(mean=values)


def test_a_profile_of_an_earlier_serkit_is_refused_with_a_sentence() -> None:
    old = {"model": "default", "log_probabilities": {"happy": -0.5, "sad": -1.0}, "seconds": 12.5, "format": 1}
    with pytest.raises(ProfileError, match=r"'ann.json': The profile has format 1, .*: enrol again\.$"):
        Profile.from_json(json.dumps(old).encode(), name="ann.json")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not a profile, because it is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        (b"[" * 100_000, r"is not valid JSON \(it is nested too deeply\)"),
        (b'{"a": ' + b"1" * 5_000_000, "is more than 4,194,304 bytes, so it is not a profile"),
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
    with pytest.raises(ProfileError, match=r"list.json': A profile is a JSON object"):
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
    write_adaptable(folder)
    return serkit.load(folder)


@pytest.fixture(scope="module")
def ann(tiny: serkit.Recognizer) -> Profile:
    return tiny.enrol(voice(3, 1, seconds=2.0), 0.1 * voice(5, 1, seconds=2.5), sample_rate=RATE)


def by_hand(samples: np.ndarray, who: Profile) -> np.ndarray:
    return adapted_answer(samples, who.mean, who.deviation, who.utterances)


def values(answer: Any) -> list[float]:
    return list(answer.probabilities.values())


def spread(table: np.ndarray, weights: list[float]) -> np.ndarray:
    mean = np.average(table, axis=0, weights=weights)
    return np.sqrt(np.average(np.square(table - mean), axis=0, weights=weights))


def test_moments_are_those_of_the_whole_table() -> None:
    rng = np.random.default_rng(0)
    table, weights = rng.normal(1e3, 1e-3, (200, 4)), rng.uniform(0.1, 2.0, 200)  # where E[x^2] - E[x]^2 would fail
    moments = Moments(4)
    for row, weight in zip(table, weights, strict=True):
        moments.add(row, weight)
    np.testing.assert_allclose(moments.mean, np.average(table, axis=0, weights=weights), rtol=1e-12)
    np.testing.assert_allclose(moments.deviation, spread(table, weights.tolist()), rtol=1e-8)


def test_a_profile_is_made_of_windows_with_speech(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    short, long = voice(3, 1, seconds=2.0), 0.2 * voice(5, 1, seconds=4.0)
    silence = np.zeros(5 * RATE, np.float32)
    made = tiny.enrol(silence, short, long, sample_rate=RATE)
    # 4 s are a window of 3 s and one that ends with the recording, of which 1 s is new.
    parts = np.array([embedding_of(short), embedding_of(long[: 3 * RATE]), embedding_of(long[RATE:])])
    np.testing.assert_allclose(made.mean, np.average(parts, axis=0, weights=[1, 1, 1 / 3]), rtol=1e-4)
    np.testing.assert_allclose(made.deviation, spread(parts, [1, 1, 1 / 3]), rtol=1e-4)
    assert (made.kind, made.utterances, made.seconds) == ("voice", 3, 6.0)
    assert (made.model, made.version) == ("tiny", "1.0")
    assert made.model_sha256 == tiny.manifest.files["model.onnx"]
    # From a folder, as from arrays; nothing of it is in the profile.
    for name, sound in (("1 ann.wav", silence), ("2 ann.wav", short), ("3 ann.flac", long)):
        sf.write(tmp_path / name, sound, RATE, subtype="PCM_24")
    (tmp_path / "notes.txt").write_text("not a recording")
    from_folder = tiny.enrol(tmp_path)
    np.testing.assert_allclose(from_folder.mean, made.mean, rtol=1e-3)
    assert from_folder.seconds == 6.0
    assert "ann" not in json.dumps(from_folder.to_dict())


def test_one_utterance_has_the_smallest_deviation(tiny: serkit.Recognizer) -> None:
    sound = voice(3, 1, seconds=3.0)
    made = tiny.enrol(sound, sample_rate=RATE)
    assert (made.utterances, set(made.deviation.tolist())) == (1, {float(np.float32(1e-6))})
    answer = tiny.predict(sound, sample_rate=RATE, profile=made)
    np.testing.assert_allclose(values(answer), by_hand(sound, made), atol=1e-4)


def test_only_the_first_30_s_are_used(tiny: serkit.Recognizer) -> None:
    sounds = [0.2 * voice(e, 1, seconds=7.0) for e in (3, 4, 5, 6)] + [voice(8, 1, seconds=60.0)]
    made = tiny.enrol(*sounds, sample_rate=RATE)
    assert made.seconds == 30.0
    # 28 s of the first four, in three windows each, and 2 s of the first window of the fifth.
    assert made.utterances == 13
    first = [embedding_of(sound[i * RATE : (i + 3) * RATE]) for sound in sounds[:4] for i in (0, 3, 4)]
    table, weights = np.array([*first, embedding_of(sounds[4][: 3 * RATE])]), [*[1, 1, 1 / 3] * 4, 2 / 3]
    np.testing.assert_allclose(made.mean, np.average(table, axis=0, weights=weights), rtol=1e-4)
    np.testing.assert_allclose(made.deviation, spread(table, weights), rtol=1e-4)
    # What comes after that is not even opened.
    assert tiny.enrol(*sounds, np.zeros(0), sample_rate=RATE) == made


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ([], "hold 0.0 s of speech"),
        ([np.zeros(160000, np.float32)], "hold 0.0 s of speech"),
        (
            [voice(3, 1, seconds=2.9)],
            "hold 2.9 s of speech, but a profile needs at least 3 s: add recordings",
        ),
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


def test_every_way_in_adapts_to_the_voice(tiny: serkit.Recognizer, ann: Profile, tmp_path: Path) -> None:
    sound = 0.3 * voice(6, 1, seconds=2.0)
    path = tmp_path / "a.wav"
    sf.write(path, sound, RATE, subtype="FLOAT")
    answer = tiny.predict(path, profile=ann)
    wanted = by_hand(sound, ann)
    np.testing.assert_allclose(values(answer), wanted, atol=1e-5)
    assert answer.emotion == LABELS[int(wanted.argmax())]
    assert answer.confidence == max(values(answer))
    assert np.abs(wanted - adapted_answer(sound)).max() > 0.05
    model = tiny.bundle.path
    many = [
        *tiny.predict([path], profile=ann),
        *tiny.predict(tmp_path, profile=ann),
        *tiny.predict_iter([path], profile=ann),
        serkit.predict(path, profile=ann, model=model),
    ]
    assert many == [answer] * 4
    (part,) = timeline_of(tiny, path, profile=ann).segments
    assert part == replace(answer, path=None)
    assert tiny.predict(path) == serkit.predict(path, model=model)
    np.testing.assert_allclose(values(tiny.predict(path)), adapted_answer(sound), atol=1e-5)
    limit = float(np.nextafter(answer.confidence, 1))
    assert tiny.predict(path, profile=ann, min_confidence=limit).unsure


def test_a_long_recording_is_adapted_window_by_window(tiny: serkit.Recognizer, ann: Profile) -> None:
    parts = 0.3 * voice(6, 1, seconds=10.0), 0.05 * voice(4, 1, seconds=10.0)
    answer = tiny.predict(np.concatenate(parts), sample_rate=RATE, profile=ann)
    single = np.array([by_hand(part, ann) for part in parts])
    seconds = [speech_activity(serkit.load_audio(part, sample_rate=RATE)).seconds for part in parts]
    np.testing.assert_allclose(values(answer), np.average(single, axis=0, weights=seconds), atol=1e-5)
    pause = np.zeros(RATE, np.float32)
    found = timeline_of(tiny, np.concatenate([parts[0], pause, parts[1]]), sample_rate=RATE, window=10, profile=ann)
    np.testing.assert_allclose([values(one) for one in found.tracks[0].speech], single, atol=0.02)


def test_the_embedding_and_the_answer_of_one_waveform(tiny: serkit.Recognizer, ann: Profile) -> None:
    sound = 0.3 * voice(6, 1, seconds=2.0)
    wave = serkit.load_audio(sound, sample_rate=RATE)
    np.testing.assert_allclose(tiny.embedding(wave), embedding_of(sound), rtol=1e-4)
    np.testing.assert_allclose(tiny.probabilities(wave), adapted_answer(sound), atol=1e-5)
    np.testing.assert_allclose(tiny.probabilities(wave, profile=ann), by_hand(sound, ann), atol=1e-5)


def test_an_explanation_is_of_the_adapted_answers(tiny: serkit.Recognizer, ann: Profile) -> None:
    sound = 0.3 * voice(6, 1, seconds=1.5)
    found = tiny.explain(sound, sample_rate=RATE, profile=ann)
    assert found.prediction == tiny.predict(sound, sample_rate=RATE, profile=ann)
    assert found.profile is ann
    assert found.to_dict()["profile"] == {"kind": "voice", "utterances": 2, "seconds": 4.5}
    at = LABELS.index(found.emotion)
    covers = [*cover_stretches(found.wave, found.times), *cover_bands(found.wave, found.bands)]
    scores = [math.log(by_hand(samples, ann)[at]) for samples in (sound, *covers)]
    got = np.concatenate([found.time_effect, found.band_effect])
    np.testing.assert_allclose(got, scores[0] - np.array(scores[1:]), atol=1e-4)
    raw = tiny.explain(sound, sample_rate=RATE, emotion=found.emotion)
    assert raw.to_dict()["profile"] is None
    assert abs(raw.probability - found.probability) > 0.05


def test_a_profile_of_another_model_is_refused(tiny: serkit.Recognizer, ann: Profile, tmp_path: Path) -> None:
    other = embedding_graph(head=PLAIN_HEAD + 1)
    sound = voice(3, 1)
    calls: list[Callable[[serkit.Recognizer, Any], Any]] = [
        lambda recognizer, who: recognizer.predict(sound, sample_rate=RATE, profile=who),
        lambda recognizer, who: recognizer.predict([sound], sample_rate=RATE, profile=who),
        lambda recognizer, who: list(recognizer.predict_iter([sound], sample_rate=RATE, profile=who)),
        lambda recognizer, who: recognizer.timeline("not even looked for.wav", profile=who),
        lambda recognizer, who: recognizer.explain("not even looked for.wav", profile=who),
    ]
    write_adaptable(tmp_path / "newer", graph=other, version="2.0")
    write_adaptable(tmp_path / "changed", graph=other)
    write_adaptable(tmp_path / "backwards", labels=LABELS[::-1])
    write_adaptable(tmp_path / "plain", adaptation={})
    for name, says in (
        ("newer", r"made with tiny 1.0, this is tiny 2.0: enrol again\."),
        ("changed", r"made with tiny 1.0, this is another model of that name: enrol again\."),
        ("backwards", r"made with tiny 1.0, this is another model of that name: enrol again\."),
    ):
        for call in calls:
            with pytest.raises(ProfileError, match=says):
                call(serkit.load(tmp_path / name), ann)
    for call in calls:  # the same graph, but the manifest promises nothing
        with pytest.raises(BundleError, match=r"The model tiny 1.0 does not adapt to voices or places: use one that"):
            call(serkit.load(tmp_path / "plain"), ann)
        with pytest.raises(ProfileError, match=r"profile must be a Profile, got str: .*Profile.load\(path\)"):
            call(tiny, "voice.json")
    with pytest.raises(BundleError, match="does not adapt to voices"):
        enrol(serkit.load(tmp_path / "plain"), sound, sample_rate=RATE)
    with pytest.raises(BundleError, match="does not adapt to voices"):
        serkit.load(tmp_path / "plain").embedding(serkit.load_audio(sound, sample_rate=RATE))
    with pytest.raises(ProfileError, match=r"The profile has 1 means, the model tiny needs 6: one of the two was"):
        tiny.predict(sound, sample_rate=RATE, profile=replace(ann, mean=ann.mean[:1], deviation=ann.deviation[:1]))


def test_an_older_model_with_enrolment_answers_and_does_not_enrol(tmp_path: Path) -> None:
    write_tiny(tmp_path / "old")
    path = tmp_path / "old" / "manifest.json"
    content = json.loads(path.read_text())
    for key in ("adaptation", "familiarity", "min_confidence"):
        content.pop(key)
    content["enrolment"] = {"weight": 0.6, "seconds": 5.0, "reference": dict.fromkeys(LABELS, -2.0)}
    path.write_text(json.dumps(content))
    recognizer = serkit.load(tmp_path / "old")
    answer = recognizer.predict(voice(3, 1), sample_rate=RATE)
    assert (answer.speech, answer.familiarity) == (True, None)
    with pytest.raises(BundleError, match="does not adapt to voices or places"):
        recognizer.enrol(voice(3, 1, seconds=4.0), sample_rate=RATE)


# ------------------------------------------------------------------------------------------------- command line


@pytest.fixture
def ser(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ser:
    """Run ``ser`` in a folder with a bundle ``tiny`` and recordings: exit code, output and error."""
    write_adaptable(tmp_path / "tiny")
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
    code, out, _ = ser("predict", "a.wav", "-m", "tiny", "--profile", "ann.json", "--json")
    assert (code, json.loads(out)) == (0, [recognizer.predict("a.wav", profile=wanted).to_dict()])
    assert json.loads(out)[0]["probabilities"] != recognizer.predict("a.wav").probabilities


def test_a_profile_or_page_that_exists_is_replaced_only_when_asked(ser: Ser) -> None:
    for words in (["enrol", "ann", "--out", "ann.json"], ["explain", "a.wav", "--out", "page.html"]):
        name = words[-1]
        assert ser(*words, "-m", "tiny")[0] == 0
        Path(name).write_text("precious")
        code, out, err = ser(*words, "-m", "tiny")
        assert (code, out) == (2, "")
        assert err == f"ser: '{name}' exists: add --force to replace it, or choose another name.\n"
        assert Path(name).read_text() == "precious"
        assert ser(*words, "-m", "tiny", "--force")[0] == 0
        assert Path(name).read_text(encoding="utf-8") != "precious"


def test_explain_with_a_profile_from_the_command_line(ser: Ser) -> None:
    ser("enrol", "ann", "-m", "tiny", "--out", "ann.json")
    words = ["explain", "a.wav", "-m", "tiny"]
    code, out, err = ser(*words, "--profile", "ann.json", "--json", "--out", "with.html")
    wanted = serkit.load("tiny").explain("a.wav", profile=Profile.load("ann.json"))
    assert (code, json.loads(out), err) == (0, wanted.to_dict(), "")
    assert ser(*words, "--out", "without.html")[0] == 0
    pages = [Path(name).read_text(encoding="utf-8") for name in ("with.html", "without.html")]
    assert [page.count("adapted to this voice, 4 s heard") for page in pages] == [1, 0]
    assert [page.count("A profile of the voice, made from 4 s, was used") for page in pages] == [1, 0]


def test_a_file_of_answers_is_resumed_with_the_same_voice_only(ser: Ser) -> None:
    ser("enrol", "ann", "-m", "tiny", "--out", "ann.json")
    ser("enrol", "ann/2.flac", "a.wav", "-m", "tiny", "--out", "ben.json")
    words = ["-m", "tiny", "--out", "rows.jsonl"]
    assert ser("predict", "a.wav", *words, "--profile", "ann.json")[0] == 0
    refused = [[], ["--profile", "ben.json"]]
    for other in refused:
        code, _, err = ser("predict", "a.wav", "ann/1.wav", *words, "--resume", *other)
        assert (code, "was begun with other options: " in err) == (2, True)
    Path("ann.json").rename("anna.json")
    assert ser("predict", "a.wav", "ann/1.wav", *words, "--resume", "--profile", "anna.json")[0] == 0
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    who = Profile.load("anna.json")
    assert rows == [row.to_dict() for row in serkit.load("tiny").predict(["a.wav", "ann/1.wav"], profile=who)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["enrol"], "Missing argument"),
        (["enrol", "ann", "-m", "tiny"], "--out voice.json"),
        (["enrol", "ann", "-m", "plain", "--json"], "ser: The model plain 1.0 does not adapt to voices"),
        (["enrol", "ann", "-m", "huge", "--json"], "ser: No model 'huge'"),
        (["enrol", "ann/1.wav", "-m", "tiny", "--json"], "ser: The recordings hold 2.0 s of speech"),
        (
            ["enrol", "tiny", "-m", "tiny", "--json"],
            "ser: no recording in 'tiny', 3 other files (README.md, manifest.json, model.onnx).",
        ),
        (["enrol", "missing.wav", "-m", "tiny", "--json"], "ser: no such file or folder: 'missing.wav'"),
        (["enrol", "ann", "-m", "tiny", "--out", "ann"], "ser: Cannot write 'ann': it is a folder."),
        (["predict", "a.wav", "-m", "tiny", "--profile", "no.json"], "ser: The profile 'no.json' cannot be"),
        (["predict", "a.wav", "-m", "tiny", "--profile", "a.wav"], "ser: 'a.wav' is not a profile"),
        (["predict", "a.wav", "-m", "tiny", "--profile", "tiny/manifest.json"], "The key 'format' is missing"),
        (["predict", "a.wav", "-m", "tiny", "--profile", "other.json"], "made with tiny 1.0, this is another model"),
        (["explain", "a.wav", "-m", "tiny", "--json", "--profile", "no.json"], "ser: The profile 'no.json' ca"),
        (["explain", "a.wav", "-m", "tiny", "--json", "--profile", "a.wav"], "ser: 'a.wav' is not a profile"),
        (
            ["explain", "a.wav", "-m", "tiny", "--json", "--profile", "other.json"],
            "made with tiny 1.0, this is another",
        ),
        (["explain", "a.wav", "-m", "plain", "--json", "--profile", "other.json"], "this is plain 1.0: enrol again."),
    ],
)
def test_wrong_usage_is_one_sentence_and_code_2(ser: Ser, words: list[str], says: str) -> None:
    profile().save("other.json")
    code, out, err = ser(*words)
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err


def test_a_wrong_profile_shows_before_anything_is_written(ser: Ser, tmp_path: Path) -> None:
    profile().save("other.json")
    before = sorted(path.name for path in tmp_path.iterdir())
    for command, option in (("predict", "--out"), ("predict", "--csv"), ("explain", "--out")):
        assert ser(command, "a.wav", "-m", "tiny", "--profile", "other.json", option, "rows.csv")[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_enrolling_loads_nothing_of_the_learn_road(ser: Ser, tmp_path: Path) -> None:
    code = running(
        ("enrol", "ann", "-m", "tiny", "--out", "ann.json"),
        ("predict", "a.wav", "-m", "tiny", "--profile", "ann.json"),
    )
    assert not loaded_after(code) & HEAVY
    assert Profile.load(tmp_path / "ann.json").seconds == 4.0
