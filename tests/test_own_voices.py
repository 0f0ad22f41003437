"""Timelines whose tracks are adapted to their own voice."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import serkit
from serkit import audio
from serkit.errors import SerkitError
from serkit.recognition import listening
from serkit.recognition.profile import Profile
from serkit.recognition.speakers import Turns
from tests.conftest import Ser, voice
from tests.known_speech import RATE, LoudFrames
from tests.tiny_models import write_adaptable

COUNT = 22  # utterances of ann, one a second; then three of bob
TURNS = Turns([("ann", 0.0, float(COUNT)), ("bob", float(COUNT), COUNT + 3.0)])


@pytest.fixture(autouse=True)
def loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SpeechFrames", LoudFrames)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own_voices") / "tiny"
    write_adaptable(folder)
    return folder


def call(*, moods: int = 8) -> np.ndarray:
    quiet = np.zeros(RATE // 5, np.float32)
    pieces = [
        np.concatenate([quiet, voice(1 + k % moods, 3 + k // COUNT, seconds=0.6, seed=k if moods > 1 else 0), quiet])
        for k in range(COUNT + 3)
    ]
    return np.concatenate(pieces).astype(np.float32)


def test_a_track_with_enough_utterances_is_adapted_to_their_mean_and_deviation(model: Path) -> None:
    recognizer, sound = serkit.load(model), call()
    plain = recognizer.timeline(sound, sample_rate=RATE, speakers=TURNS, smooth=False)
    found = recognizer.timeline(sound, sample_rate=RATE, speakers=TURNS, smooth=False, adapt=True)
    assert [track.adapted for track in plain.tracks] == [None, None]
    assert [track.adapted for track in found.tracks] == [COUNT, 0]
    assert found.tracks[1].segments == plain.tracks[1].segments
    ann = plain.tracks[0].speech
    assert len(ann) == COUNT
    cut = [sound[round((part.start - 0.1) * RATE) : round((part.end + 0.1) * RATE)] for part in ann]
    heard = np.array([recognizer.embedding(audio.load(piece, sample_rate=RATE)) for piece in cut])
    manifest = recognizer.manifest
    profile = Profile(
        kind="place",
        model=manifest.name,
        version=manifest.version,
        model_sha256=manifest.files["model.onnx"],
        mean=heard.mean(axis=0),
        deviation=heard.std(axis=0),
        utterances=COUNT,
        seconds=10.0,
        created="2026-11-28",
    )
    wanted = [
        list(recognizer.predict(piece, sample_rate=RATE, profile=profile).probabilities.values()) for piece in cut
    ]
    got = [list(part.probabilities.values()) for part in found.tracks[0].speech]
    np.testing.assert_allclose(got, wanted, atol=2e-3)
    before = [list(part.probabilities.values()) for part in ann]
    assert np.abs(np.array(got) - before).max() > 0.05


def test_a_voice_of_one_mood_is_not_adapted_to(model: Path) -> None:
    recognizer = serkit.load(model)
    angry = np.clip(3 * call(moods=1), -1, 1)  # what the made model is sure of
    found = recognizer.timeline(angry, sample_rate=RATE, speakers=TURNS, adapt=True)
    assert [track.adapted for track in found.tracks] == [0, 0]


def test_what_cannot_be_read_twice_and_a_profile_beside_it_are_refused(model: Path) -> None:
    recognizer, file = serkit.load(model), io.BytesIO()
    sf.write(file, call(), RATE, format="WAV")
    pipe = io.BufferedReader(io.BytesIO(file.getvalue()))  # type: ignore[arg-type]
    with pytest.raises(SerkitError, match="reads the recording twice, which BufferedReader does not allow"):
        recognizer.timeline(pipe, adapt=True)
    ann = recognizer.enrol(file.getvalue())
    with pytest.raises(SerkitError, match="and a profile exclude each other"):
        recognizer.timeline(file.getvalue(), adapt=True, profile=ann)


def test_the_command_says_what_each_track_was_adapted_to(model: Path, tmp_path: Path, ser: Ser) -> None:
    sf.write(tmp_path / "call.wav", call(), RATE)
    (tmp_path / "who.rttm").write_text(
        f"SPEAKER call 1 0.0 {COUNT}.0 <NA> <NA> ann <NA> <NA>\nSPEAKER call 1 {COUNT}.0 3.0 <NA> <NA> bob <NA> <NA>\n"
    )
    words = ["timeline", tmp_path / "call.wav", "--model", model, "--speakers", tmp_path / "who.rttm", "--adapt"]
    code, out, err = ser(*words, "--json")
    assert code == 0
    assert f"call.wav, ann: adapted to its own voice, {COUNT} utterances." in err
    assert "call.wav, bob: not adapted: fewer than 20 utterances, or all of one mood." in err
    assert [track["adapted"] for track in json.loads(out)[0]["tracks"]] == [COUNT, 0]
    code, _, err = ser("timeline", "-", "--model", model, "--adapt")
    assert (code, "--adapt reads files twice" in err) == (2, True)
