"""Profiles of places: which recordings make one, what is refused, and what it changes end to end."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import serkit
from serkit.audio.voice_activity import speech_activity
from serkit.errors import AudioError, BundleError, ProfileError
from serkit.recognition.adapt import evenly
from serkit.recognition.prediction import Prediction
from serkit.recognition.profile import Profile
from tests.conftest import Ser, voice
from tests.test_imports import HEAVY, loaded_after, running
from tests.tiny_models import PLAIN_HEAD, adapted_answer, embedding_graph, embedding_of, write_adaptable, write_tiny

RATE = 16000


def clips(count: int) -> list[np.ndarray]:
    """Loud and soft voices in turn, which the made model takes for two emotions."""
    return [(0.3 if k % 2 else 1.0) * voice(1 + k % 8, 1 + k % 5, seconds=0.8, seed=k) for k in range(count)]


SOUNDS = clips(50)
SILENCE = np.zeros(RATE, np.float32)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> serkit.Recognizer:
    folder = tmp_path_factory.mktemp("adapt") / "tiny"
    write_adaptable(folder)
    return serkit.load(folder)


@pytest.fixture(scope="module")
def here(tiny: serkit.Recognizer) -> Profile:
    return tiny.adapt(SOUNDS, sample_rate=RATE)


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """A folder with 24 recordings, two of them in a sub-folder, and notes."""
    folder = tmp_path / "calls"
    (folder / "more").mkdir(parents=True)
    for k, sound in enumerate(SOUNDS[:24]):
        sf.write(folder / ("more" if k > 21 else "") / f"{k:02d}.wav", sound, RATE, subtype="FLOAT")
    (folder / "notes.txt").write_text("not a recording")
    return folder


def values(answer: Prediction) -> list[float]:
    return list(answer.probabilities.values())


def test_every_clip_counts_once(tiny: serkit.Recognizer, here: Profile) -> None:
    table = np.array([embedding_of(sound) for sound in SOUNDS])
    np.testing.assert_allclose(here.mean, table.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(here.deviation, table.std(axis=0), rtol=1e-4)
    assert (here.kind, here.utterances, here.seconds) == ("place", 50, pytest.approx(40.0))
    assert (here.model, here.model_sha256) == ("tiny", tiny.manifest.files["model.onnx"])


def test_the_pieces_of_a_long_clip_share_its_weight(tiny: serkit.Recognizer) -> None:
    loud, soft = voice(5, 1, seconds=10.0), 0.1 * voice(4, 2, seconds=4.0)
    long = np.concatenate([loud, soft, np.zeros(RATE // 2, np.float32)])
    with pytest.warns(UserWarning, match="from 21 recordings; from 50 on"):
        made = tiny.adapt([long, *SOUNDS[:20]], sample_rate=RATE)
    pieces = long[: 10 * RATE], long[10 * RATE :]
    seconds = np.array([speech_activity(serkit.load_audio(piece, sample_rate=RATE)).seconds for piece in pieces])
    table = np.array([embedding_of(sound) for sound in (*pieces, *SOUNDS[:20])])
    weights = [*(seconds / seconds.sum()), *[1.0] * 20]
    mean = np.average(table, axis=0, weights=weights)
    np.testing.assert_allclose(made.mean, mean, rtol=1e-4)
    np.testing.assert_allclose(
        made.deviation, np.sqrt(np.average((table - mean) ** 2, axis=0, weights=weights)), rtol=1e-4
    )
    assert (made.utterances, made.seconds) == (21, pytest.approx(30.5))


def test_answers_are_adapted_to_the_place(tiny: serkit.Recognizer, here: Profile) -> None:
    sound = 0.5 * voice(6, 7, seconds=1.0)
    wanted = adapted_answer(sound, here.mean, here.deviation, 50)
    assert np.abs(wanted - adapted_answer(sound)).max() > 0.05
    np.testing.assert_allclose(values(tiny.predict(sound, sample_rate=RATE, profile=here)), wanted, atol=1e-5)
    assert tiny.explain(sound, sample_rate=RATE, profile=here).to_dict()["profile"]["kind"] == "place"


def test_folders_lists_and_files_make_the_same_profile(tiny: serkit.Recognizer, calls: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = tiny.adapt(SOUNDS[:24], sample_rate=RATE)
        found = [
            tiny.adapt(calls, recursive=True),
            tiny.adapt(str(calls), recursive=True, workers=3),
            tiny.adapt(sorted(calls.rglob("*.wav"))),
            tiny.adapt(path.read_bytes() for path in sorted(calls.rglob("*.wav"))),
        ]
        assert tiny.adapt(calls).utterances == 22
    assert found == [wanted] * 4


def test_what_fails_is_named_and_the_others_are_used(tiny: serkit.Recognizer, calls: Path) -> None:
    (calls / "broken.wav").write_bytes(b"")
    sf.write(calls / "short.wav", SOUNDS[0][:3200], RATE)
    sf.write(calls / "silent.wav", SILENCE, RATE)
    rows: list[Prediction] = []
    with pytest.warns(UserWarning, match="recordings") as caught:
        made = tiny.adapt(calls, progress=rows.extend)
    said = [str(one.message) for one in caught]
    assert len(said) == 2
    assert said[0].startswith("2 of 25 recordings failed and were not used: ")
    assert "broken.wav" in said[0]
    assert "short.wav: The recording lasts 0.200 s" in said[0]
    assert said[1] == "The profile comes from 22 recordings; from 50 on it is more reliable."
    assert [Path(row.path or "").name for row in rows] == sorted(path.name for path in calls.glob("*.wav"))
    assert rows[0] == tiny.predict(calls / "00.wav")
    with pytest.warns(UserWarning, match="from 22"):
        assert made == tiny.adapt(sorted(calls.glob("[0-9]*.wav")))


def test_fifty_clips_pass_without_a_remark(tiny: serkit.Recognizer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny.adapt(SOUNDS, sample_rate=RATE)
    with pytest.warns(UserWarning, match="from 49 recordings"):
        tiny.adapt(SOUNDS[:49], sample_rate=RATE)


def test_too_few_clips_with_speech_are_refused(tiny: serkit.Recognizer) -> None:
    with pytest.raises(AudioError, match=r"^19 recordings hold speech \(6 more hold none\), but a place needs"):
        tiny.adapt([*SOUNDS[:19], *[SILENCE] * 6], sample_rate=RATE)
    with pytest.raises(AudioError, match=r"^1 recording holds speech, but a place needs at least 20"):
        tiny.adapt(SOUNDS[0], sample_rate=RATE)
    with pytest.raises(AudioError, match=r"^0 recordings hold speech, "):
        tiny.adapt([])


def test_clips_of_one_mood_are_refused(tiny: serkit.Recognizer) -> None:
    loud = SOUNDS[::2]
    answers = tiny.predict(loud, sample_rate=RATE)
    label = str(answers[0].emotion)
    assert {answer.emotion for answer in answers} == {label}
    sure = np.mean([answer.probabilities[label] for answer in answers])
    assert sure > 0.6
    with pytest.raises(
        AudioError, match=rf"^25 of 25 recordings sound {label} \(mean probability {100 * sure:.0f} %\)"
    ):
        tiny.adapt(loud, sample_rate=RATE)


def test_more_than_four_fifths_are_one_mood(tmp_path: Path) -> None:
    write_adaptable(tmp_path / "sure", graph=embedding_graph(head=4 * PLAIN_HEAD))
    sure = serkit.load(tmp_path / "sure")
    loud, soft = SOUNDS[:48:2], SOUNDS[1::2]
    found = [sure.predict(sounds, sample_rate=RATE) for sounds in (loud, soft)]
    assert len({row.emotion for row in found[0]}) == len({row.emotion for row in found[1]}) == 1
    with pytest.raises(AudioError, match=r"^24 of 29 recordings .* would make it the zero point"):
        sure.adapt([*loud, *soft[:5]], sample_rate=RATE)
    with pytest.warns(UserWarning, match="from 30 recordings"):  # 24 of 30 are not more
        sure.adapt([*loud, *soft[:6]], sample_rate=RATE)


def test_one_label_without_confidence_is_not_one_mood(tmp_path: Path) -> None:
    # A model out of its depth: one label for everything, with a probability of a quarter.
    write_adaptable(tmp_path / "dull", graph=embedding_graph(head=0.2 * PLAIN_HEAD))
    dull = serkit.load(tmp_path / "dull")
    answers = dull.predict(SOUNDS[::2], sample_rate=RATE)
    assert len({answer.emotion for answer in answers}) == 1
    assert np.mean([answer.confidence for answer in answers]) < 0.6
    with pytest.warns(UserWarning, match="from 25 recordings"):
        dull.adapt(SOUNDS[::2], sample_rate=RATE)


def test_each_channel_may_count(tiny: serkit.Recognizer) -> None:
    pairs = [np.stack([loud, soft], axis=1) for loud, soft in zip(SOUNDS[::2], SOUNDS[1::2], strict=True)]
    made = tiny.adapt(pairs, sample_rate=RATE, channel="each")
    table = np.array([embedding_of(sound) for sound in SOUNDS])
    np.testing.assert_allclose(made.mean, table.mean(axis=0), rtol=1e-4)
    assert made.utterances == 50


def test_a_thousand_clips_are_enough() -> None:
    assert evenly(list(range(1000))) == list(range(1000))
    for count in (1001, 1999, 12_345):
        chosen = evenly(range(count))
        steps = np.diff(chosen)
        assert (len(chosen), chosen[0], chosen[-1]) == (1000, 0, count - 1)
        assert set(steps.tolist()) <= {count // 1000, count // 1000 + 1}


def test_the_profile_does_not_hang_on_which_clip_is_done_first(
    tiny: serkit.Recognizer, monkeypatch: pytest.MonkeyPatch, here: Profile
) -> None:
    late = threading.Event()
    first = tiny.listen

    def listen(source: np.ndarray, *rest: object, **more: object) -> object:
        if source is SOUNDS[0]:
            late.wait(5)
        if source is SOUNDS[3]:
            late.set()
        return first(source, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(tiny, "listen", listen)
    assert tiny.adapt(SOUNDS, sample_rate=RATE, workers=4) == here


def test_a_model_that_does_not_adapt_says_so_before_anything_is_heard(tmp_path: Path) -> None:
    write_tiny(tmp_path / "plain")

    def never() -> Iterator[np.ndarray]:
        raise AssertionError("read")
        yield

    with pytest.raises(BundleError, match=r"The model tiny 1\.0 does not adapt to voices or places"):
        serkit.load(tmp_path / "plain").adapt(never())


# ------------------------------------------------------------------------------------------------- command line


@pytest.fixture
def ser(ser: Ser, calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ser:
    """Run ``ser`` in a folder with a bundle ``tiny`` and the folder ``calls``."""
    write_adaptable(tmp_path / "tiny")
    write_tiny(tmp_path / "plain", name="plain")
    monkeypatch.chdir(tmp_path)
    return ser


REMARK = "The profile comes from 24 recordings; from 50 on it is more reliable."
NOTES = "ser: 1 file was skipped (not a recording): calls/notes.txt.\n"


def adapted(sources: str = "calls", **asked: object) -> Profile:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return serkit.load("tiny").adapt(sources, recursive=True, **asked)  # type: ignore[arg-type]


def test_adapt_and_predict_from_the_command_line(ser: Ser) -> None:
    done = ser("adapt", "calls", "-r", "-m", "tiny", "--out", "here.json")
    progress = f"ser: {REMARK}\n"
    assert done == (0, "Profile: here.json (24 recordings, 19.2 s)\n", NOTES + progress)
    here = Profile.load("here.json")
    assert here == adapted()
    code, out, _ = ser("adapt", "calls", "-r", "-m", "tiny", "--json")
    assert (code, json.loads(out), out) == (0, here.to_dict(), here.to_json())
    rows = [row.to_dict() for row in serkit.load("tiny").predict("calls", profile=here)]
    code, out, _ = ser("predict", "calls", "-m", "tiny", "--profile", "here.json", "--json")
    assert (code, json.loads(out)) == (0, rows)
    assert rows != [row.to_dict() for row in serkit.load("tiny").predict("calls")]


def test_predict_adapts_to_the_folder_itself(ser: Ser) -> None:
    here = adapted()
    code, out, err = ser("predict", "calls", "-r", "-m", "tiny", "--adapt", "--json")
    rows = serkit.load("tiny").predict("calls", recursive=True, profile=here)
    assert (code, json.loads(out)) == (0, [row.to_dict() for row in rows])
    assert f"ser: {REMARK}\n" in err
    # A file of answers knows the profile: the same folder resumes, a larger one is another place.
    words = ["predict", "calls", "-m", "tiny", "-r", "--adapt", "--out", "rows.jsonl"]
    assert ser(*words)[0] == 0
    lines = Path("rows.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [row.to_dict() for row in rows]
    Path("rows.jsonl").write_text("".join(f"{line}\n" for line in lines[:10]))
    assert ser(*words, "--resume")[0] == 0
    assert Path("rows.jsonl").read_text().splitlines() == lines
    here.save("here.json")
    found = ser(*words[:5], "--profile", "here.json", "--out", "rows.jsonl", "--resume")
    assert found[0] == 0, found
    sf.write("calls/99.wav", voice(4, 9), RATE)
    for other in (words, [*words[:5], "--out", "rows.jsonl"]):
        code, _, err = ser(*other, "--resume")
        assert (code, "was begun with other options: " in err) == (2, True)
    assert Path("rows.jsonl").read_text().splitlines() == lines


def test_failures_are_listed_and_the_others_are_used(ser: Ser) -> None:
    Path("calls/broken.wav").write_bytes(b"")
    whole = Path("calls/00.wav").read_bytes()
    Path("calls/cut.wav").write_bytes(whole[: len(whole) * 3 // 4])
    code, out, err = ser("adapt", "calls", "missing.wav", "-r", "-m", "tiny", "--out", "here.json")
    assert (code, out) == (1, "Profile: here.json (25 recordings, 19.8 s)\n")
    lines = err.splitlines()
    assert "ser: 2 of 27 inputs failed:" in lines
    assert [line.split(":")[0].strip() for line in lines if line.startswith("  ")] == [
        "calls/broken.wav",
        "missing.wav",
        "calls/cut.wav",
    ]
    assert "ser: 1 input is truncated, of 27; what could be read is used:" in lines
    code, out, err = ser("adapt", "calls", "-r", "-m", "tiny", "--out", "strict.json", "--strict")
    assert (code, out) == (1, "Profile: strict.json (24 recordings, 19.2 s)\n")
    # Answering lists them once, not once for each time that they are read.
    code, _, err = ser("predict", "calls", "-r", "-m", "tiny", "--adapt", "--json")
    assert (code, sum(line.startswith("  calls/broken.wav") for line in err.splitlines())) == (1, 1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["adapt", "calls", "-m", "tiny"], "--out here.json"),
        (["adapt", "calls", "-m", "plain", "--json"], "ser: The model plain 1.0 does not adapt to voices or places"),
        (["adapt", "-", "-m", "tiny", "--json"], "A place needs many recordings"),
        (
            ["adapt", "calls/more", "-m", "tiny", "--json"],
            "ser: 2 recordings hold speech, but a place needs",
        ),
        (["adapt", "missing", "-m", "tiny", "--json"], "no such file or folder: 'missing'"),
        (["adapt", "calls", "-m", "tiny", "--out", "calls"], "it is a folder"),
        (["adapt", "calls", "-m", "tiny", "--out", "calls/01.wav"], "is a recording, which is never replaced"),
        (["predict", "calls/more", "-m", "tiny", "--adapt"], "ser: 2 recordings hold speech, but a place"),
        (["predict", "calls", "-m", "plain", "--adapt"], "ser: The model plain 1.0 does not adapt"),
        (["predict", "-", "-m", "tiny", "--adapt"], "--adapt reads the recordings twice"),
        (["predict", "calls", "-m", "tiny", "--adapt", "--profile", "x.json"], "--adapt and --profile exclude each"),
        (["predict", "calls", "-m", "tiny", "--profile", "other.json"], "made with tiny 1.0, this is another model of"),
        (["predict", "calls", "-m", "tiny", "--adapt", "--csv", "tiny/manifest.json"], "exists: add --force"),
        (["predict", "calls", "-m", "tiny", "--speaker", "ann.json"], "No such option"),
    ],
)
def test_wrong_usage_is_code_2_and_leaves_nothing(ser: Ser, tmp_path: Path, words: list[str], says: str) -> None:
    Profile("place", "tiny", "1.0", "0" * 64, np.zeros(6), np.ones(6), 30, 99.0, "2025-01-31").save("other.json")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = ser(*words)
    assert (code, out) == (2, "")
    assert says in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_place_of_another_model_says_to_adapt_again(ser: Ser) -> None:
    here = adapted()
    write_adaptable(Path("newer"), version="2.0", recipe_hash="0" * 16)
    with pytest.raises(ProfileError, match=r"made with tiny 1.0, this is tiny 2.0: adapt again\."):
        serkit.load("newer").predict("calls", profile=here)


def test_a_profile_that_exists_is_replaced_only_when_asked(ser: Ser) -> None:
    Path("here.json").write_text("precious")
    code, out, err = ser("adapt", "calls", "-m", "tiny", "--out", "here.json")
    assert (code, out) == (2, "")
    assert err == "ser: 'here.json' exists: add --force to replace it, or choose another name.\n"
    assert Path("here.json").read_text() == "precious"
    assert ser("adapt", "calls", "-m", "tiny", "--out", "here.json", "--force")[0] == 0
    assert Profile.load("here.json").utterances == 22


def test_adapting_loads_nothing_of_the_learn_road(ser: Ser, tmp_path: Path) -> None:
    code = running(
        ("adapt", "calls", "-m", "tiny", "--out", "here.json"),
        ("predict", "calls", "-m", "tiny", "--adapt", "--out", "rows.jsonl"),
    )
    assert not loaded_after(code) & HEAVY
    assert Profile.load(tmp_path / "here.json").utterances == 22
