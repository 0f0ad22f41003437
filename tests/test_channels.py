"""Channels: the mix is heard unless it would lose the voice; the choice is the same however a recording comes in."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from streamlit.testing.v1 import AppTest

import serkit
from serkit import audio
from serkit.app import MODEL_VARIABLE
from serkit.audio.channels import Choice, Levels, check_channel, choose
from serkit.errors import AudioError
from tests.conftest import Ser, voice
from tests.known_speech import timeline_of
from tests.tiny_models import write_adaptable, write_tiny

RATE = 16000
VOICE = voice(3, 1, seconds=2.0)
OTHER = voice(5, 2, seconds=2.0)
SILENT = np.zeros_like(VOICE)


def pair(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1)


def wav(samples: np.ndarray, subtype: str = "FLOAT") -> bytes:
    file = io.BytesIO()
    sf.write(file, samples, RATE, format="WAV", subtype=subtype)
    return file.getvalue()


def hum(level: float) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 50 * np.arange(len(VOICE)) / RATE)).astype(np.float32)


def chosen(samples: np.ndarray) -> Choice:
    levels = Levels(samples.shape[1], RATE)
    levels.add(samples)
    return choose(levels)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> serkit.Recognizer:
    write_tiny(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "tiny"))
    return serkit.load(tmp_path / "tiny")


@pytest.mark.parametrize(
    ("samples", "name", "one_sided"),
    [
        (pair(VOICE, VOICE), "mix", False),
        (pair(VOICE, OTHER), "mix", False),
        (pair(VOICE, 0.1 * OTHER), "mix", False),  # 20 dB: a quiet partner, who must be heard too
        (pair(VOICE, 0.5 * VOICE), "mix", False),
        (pair(SILENT, SILENT), "mix", False),
        (pair(VOICE, -VOICE), "left", False),
        (pair(VOICE, -0.8 * VOICE), "left", False),
        (pair(0.8 * VOICE, -VOICE), "right", False),
        (pair(VOICE, SILENT), "left", True),
        (pair(SILENT, VOICE), "right", True),
        (pair(SILENT + 0.5, VOICE), "right", True),  # a DC offset is no sound
        (pair(hum(0.02), VOICE), "right", True),  # nor is hum
        (np.stack([SILENT, SILENT, VOICE, SILENT], axis=1), "3", True),
        (np.stack([VOICE, OTHER, VOICE, OTHER], axis=1), "mix", False),
    ],
)
def test_the_channel_that_holds_the_voice(samples: np.ndarray, name: str, one_sided: bool) -> None:
    found = chosen(samples.astype(np.float32))
    assert (found.name, found.one_sided) == (name, one_sided)


def test_a_balanced_line_that_is_taken_for_stereo() -> None:
    """The voice has opposite phase in the two channels, the hum that both pick up has the same."""
    assert chosen(pair(VOICE + hum(0.3), -VOICE + hum(0.3))).name in ("left", "right")


@pytest.mark.parametrize("quieter", [1.1, 0.9])
def test_one_side_is_empty_from_40_db_on(quieter: float) -> None:
    noise = np.random.default_rng(0).standard_normal((RATE, 2)) * [1.0, 0.01 * quieter]
    assert chosen(noise.astype(np.float32)).one_sided == (quieter < 1)


def test_unrelated_channels_are_mixed_however_many_there_are() -> None:
    noise = np.random.default_rng(0).standard_normal((4 * RATE, 32)).astype(np.float32)
    assert chosen(noise) == Choice("mix")


def test_the_choice_does_not_depend_on_the_blocks() -> None:
    samples = pair(VOICE + hum(0.3), -0.7 * VOICE)
    whole, parts = Levels(2, RATE), Levels(2, RATE)
    whole.add(samples)
    for part in np.array_split(samples, 97):
        parts.add(part)
    assert np.allclose(whole.gram, parts.gram, rtol=1e-12)
    assert whole.gram.max() > 0


def test_opposite_phase_is_answered(tiny: serkit.Recognizer) -> None:
    samples = pair(VOICE, -VOICE)
    answer = tiny.predict(samples, sample_rate=RATE)
    alone = tiny.predict(VOICE, sample_rate=RATE)
    assert (answer.speech, answer.channel) == (True, "left")
    assert answer.probabilities == alone.probabilities
    assert tiny.predict(samples, sample_rate=RATE, channel="mix").speech is False


def test_a_headset_on_one_side_is_as_loud_as_alone(tiny: serkit.Recognizer) -> None:
    answer = tiny.predict(pair(SILENT, VOICE), sample_rate=RATE)
    assert (answer.channel, answer.warnings) == ("right", ("one-sided",))
    assert answer.probabilities == tiny.predict(VOICE, sample_rate=RATE).probabilities
    mixed = tiny.predict(pair(SILENT, VOICE), sample_rate=RATE, channel="mix")
    assert mixed.probabilities == tiny.predict(VOICE / 2, sample_rate=RATE).probabilities
    assert (mixed.channel, mixed.warnings) == ("mix", ())


def test_every_way_in_chooses_the_same(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    samples = pair(0.5 * VOICE, -VOICE)
    data = wav(samples)
    (tmp_path / "a.wav").write_bytes(data)
    sf.write(tmp_path / "a.flac", np.round(samples * 32768).astype(np.int16), RATE)

    class Pipe(io.BytesIO):
        name = "a pipe"

        def seekable(self) -> bool:
            return False

        def seek(self, *where: Any) -> int:
            raise io.UnsupportedOperation("seek")

    want = (-VOICE).astype(np.float32)
    for source in ("a.wav", data, io.BytesIO(data), Pipe(data)):
        assert np.array_equal(audio.load(source).samples, want)
    for source in ("a.wav", data, io.BytesIO(data), Pipe(data), samples):
        rate = RATE if source is samples else None
        pieces = list(audio.stream(source, sample_rate=rate, block=0.3))
        assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), want)
    assert tiny.predict("a.flac").channel == tiny.predict(Pipe(data)).channel == "right"


def test_mono_and_ordinary_stereo_are_what_they_were() -> None:
    for subtype in ("PCM_16", "FLOAT"):
        mono = audio.load(wav(VOICE, subtype)).samples
        assert np.array_equal(mono, sf.read(io.BytesIO(wav(VOICE, subtype)), dtype="float32")[0])
        both = wav(pair(VOICE, OTHER), subtype)
        decoded = sf.read(io.BytesIO(both), dtype="float32")[0]
        mean = decoded.mean(axis=1, dtype=np.float64).astype(np.float32)
        assert np.array_equal(audio.load(both).samples, mean)
        assert np.array_equal(next(iter(audio.stream(both))).samples, mean)


@pytest.mark.parametrize(("channel", "want"), [("left", VOICE), (1, VOICE), ("right", OTHER), (2, OTHER)])
def test_a_channel_can_be_said(tiny: serkit.Recognizer, channel: Any, want: np.ndarray) -> None:
    both = pair(VOICE, OTHER)
    assert np.array_equal(audio.load(both, sample_rate=RATE, channel=channel).samples, want)
    name = "left" if want is VOICE else "right"
    alone = tiny.predict(want, sample_rate=RATE)
    asked: dict[str, Any] = {"sample_rate": RATE, "channel": channel}
    assert tiny.predict(both, **asked).probabilities == alone.probabilities
    assert tiny.predict(both, **asked).channel == name
    parts = timeline_of(tiny, both, window=1.0, **asked).segments
    mono = timeline_of(tiny, want, window=1.0, sample_rate=RATE).segments
    assert [one.probabilities for one in parts] == [one.probabilities for one in mono] != [{}]
    assert {one.channel for one in parts} == {name}
    why = tiny.explain(both, **asked)
    assert why.prediction.channel == name
    assert np.array_equal(why.time_effect, tiny.explain(want, sample_rate=RATE).time_effect)


def test_each_channel_has_a_row(tiny: serkit.Recognizer, ser: Ser, tmp_path: Path) -> None:
    (tmp_path / "call.wav").write_bytes(wav(pair(VOICE, OTHER)))
    (tmp_path / "mono.wav").write_bytes(wav(VOICE))
    agent, customer = (tiny.predict(sound, sample_rate=RATE) for sound in (VOICE, OTHER))
    rows = tiny.predict("call.wav", channel="each")
    assert [(row.path, row.channel) for row in rows] == [("call.wav", "left"), ("call.wav", "right")]
    assert [row.probabilities for row in rows] == [agent.probabilities, customer.probabilities]
    assert [row.channel for row in tiny.predict(["call.wav", "mono.wav"], channel="each")] == ["left", "right", None]
    words = ["predict", "call.wav", "mono.wav", "-m", "tiny", "--channel", "each"]
    code, out, _ = ser(*words, "--json")
    assert (code, [row["channel"] for row in json.loads(out)]) == (0, ["left", "right", None])
    assert ser(*words, "--out", "x.csv")[0] == 0
    assert ser(*words, "--out", "x.csv", "--resume")[0] == 0
    lines = (tmp_path / "x.csv").read_text().splitlines()
    assert [line.split(",")[3] for line in lines] == ["channel", "left", "right", ""]
    out = ser(*words)[1]
    assert [line.split()[:2] for line in out.splitlines() if "call" in line] == [
        ["call.wav", c] for c in ("left", "right")
    ]


def test_resume_takes_the_same_channel_only(tiny: serkit.Recognizer, ser: Ser, tmp_path: Path) -> None:
    (tmp_path / "call.wav").write_bytes(wav(pair(VOICE, OTHER)))
    assert ser("predict", "call.wav", "-m", "tiny", "--channel", "left", "--out", "x.jsonl")[0] == 0
    code, _, err = ser("predict", "call.wav", "-m", "tiny", "--channel", "right", "--out", "x.jsonl", "--resume")
    assert (code, "was begun with other options: " in err) == (2, True)


@pytest.mark.parametrize(
    ("channel", "says"),
    [
        ("lft", "No channel is called 'lft': did you mean 'left'? Give auto, mix, left, right or a number."),
        (0, "A channel is a whole number from 1, or a word such as left, got 0."),
        (True, "A channel is a whole number from 1"),
        (1.5, "A channel is a whole number from 1"),
        (None, "No channel is called None. Give"),
        ("each", "'each' gives one answer per channel"),
        (3, "the array has 2 channels, so there is no channel 3: give 1 to 2, or mix."),
    ],
)
def test_a_channel_that_is_none_is_one_sentence(channel: Any, says: str) -> None:
    with pytest.raises(AudioError) as error:
        audio.load(pair(VOICE, OTHER), sample_rate=RATE, channel=channel)
    assert str(error.value).startswith(says)


@pytest.mark.parametrize("channel", ["left", "right", 2])
def test_mono_has_no_sides(channel: Any) -> None:
    with pytest.raises(AudioError, match="has one channel, so"):
        audio.load(VOICE, sample_rate=RATE, channel=channel)
    for asked in ("auto", "mix", 1):
        assert np.array_equal(audio.load(VOICE, sample_rate=RATE, channel=asked).samples, VOICE)


def test_the_command_line_says_so_too(tiny: serkit.Recognizer, ser: Ser, tmp_path: Path) -> None:
    (tmp_path / "mono.wav").write_bytes(wav(VOICE))
    for command in (["predict"], ["explain", "--json"], ["enrol", "--json"]):
        code, out, err = ser(command[0], "mono.wav", "-m", "tiny", "--channel", "lft", *command[1:])
        assert (code, out, "No channel is called 'lft'" in err) == (2, "", True)
    code, _, err = ser("predict", "mono.wav", "-m", "tiny", "--channel", "right")
    assert (code, "'mono.wav' has one channel, so it has no right one" in err) == (1, True)
    assert check_channel("each", each=True) == "each"


def test_memory_does_not_grow_with_the_length() -> None:
    def peak(seconds: int) -> int:
        file = io.BytesIO()
        sf.write(file, np.tile(pair(VOICE, OTHER), (seconds // 2, 1)), RATE, format="WAV", subtype="PCM_16")
        tracemalloc.start()
        for _ in audio.stream(file, block=5.0):
            pass
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    assert peak(600) < 1.2 * peak(60)


def test_one_clip_offers_its_channels(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    def opened(data: bytes) -> AppTest:
        model = str(tmp_path / "tiny")
        script = f"import serkit\nfrom serkit.app import single\nsingle.show({model!r}, serkit.load({model!r}))\n"
        page = AppTest.from_string(script, default_timeout=60).run()
        page.radio(key="one way").set_value("Upload").run()
        page.file_uploader(key="one upload").upload("call.wav", data).run()
        assert not page.exception
        return page

    assert not [box for box in opened(wav(VOICE, "PCM_16")).selectbox if box.label == "Channel"]
    page = opened(wav(pair(SILENT, VOICE), "PCM_16"))
    assert any("the right channel" in item.value and "one channel holds sound" in item.value for item in page.warning)
    (box,) = (box for box in page.selectbox if box.label == "Channel")
    assert box.options == ["Automatic", "Mix of all", "Left", "Right"]
    box.set_value("left").run()
    assert not page.exception
    assert [rows[0].speech for rows in page.session_state["answers one"].values()] == [False]


def test_many_clips_offer_each_channel(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    model = str(tmp_path / "tiny")
    script = f"import serkit\nfrom serkit.app import batch\nbatch.show({model!r}, serkit.load({model!r}))\n"
    page = AppTest.from_string(script, default_timeout=60).run()
    page.file_uploader(key="uploads").upload("call.wav", wav(pair(VOICE, OTHER), "PCM_16")).run()
    page.selectbox(key="many channel").set_value("each").run()
    assert not page.exception
    (table,) = page.dataframe
    assert list(table.value["channel"]) == ["left", "right"]


def test_a_long_recording_is_heard_on_one_side(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    from serkit.app import recording
    from serkit.app.clips import Clip

    data = wav(pair(VOICE, -VOICE))
    clip = Clip("c", "c.wav", "audio/wav", lambda: data)
    heard = recording.listen(tiny, clip, window=1.0)
    assert heard.timeline is not None
    assert {part.channel for part in heard.timeline.segments} == {"left"}
    assert len(heard.peaks) == 1
    assert np.max(heard.peaks[0]) == pytest.approx(np.abs(VOICE).max(), abs=1e-3)


def test_enrolment_takes_one_side(tmp_path: Path) -> None:
    write_adaptable(tmp_path / "b")
    recognizer = serkit.load(tmp_path / "b")
    agent, customer = np.tile(VOICE, 2), np.tile(OTHER, 2)
    asked = recognizer.enrol(pair(agent, customer), sample_rate=RATE, channel="right")
    assert asked == recognizer.enrol(customer, sample_rate=RATE)
    assert asked != recognizer.enrol(agent, sample_rate=RATE)


def test_a_pipe_of_stereo_is_read_twice(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    data = wav(pair(VOICE, -VOICE))
    code = "import sys, serkit; row = serkit.predict(sys.stdin.buffer, model='tiny'); print(row.channel, row.speech)"
    run = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True, cwd=tmp_path)
    assert run.stdout.split() == [b"left", b"True"]
