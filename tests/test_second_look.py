"""What a reading with fresh eyes found: outputs over inputs, errors between processes, breaks, hidden voices."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import serkit
from serkit import audio, errors
from serkit.errors import AudioError, SerkitError, TruncatedError
from serkit.evaluation.submission import MissingClipsError
from serkit.recognition.sources import many
from tests.conftest import Ser, voice
from tests.test_audio import encode_av
from tests.tiny_models import write_tiny

RATE = 16000


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "tiny")
    sf.write(tmp_path / "a.wav", voice(3, 1), RATE)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "a.wav", "-m", "tiny", "--csv", "a.wav"),
        ("explain", "a.wav", "-m", "tiny", "--out", "a.wav"),
        ("enrol", "a.wav", "-m", "tiny", "--out", "a.wav"),
    ],
)
def test_a_recording_is_never_written_over(ser: Ser, place: Path, words: tuple[str, ...]) -> None:
    before = (place / "a.wav").read_bytes()
    for more in ((), ("--force",)):
        code, _, err = ser(*words, *more)
        assert (code, err) == (2, "ser: 'a.wav' is a recording, which is never replaced: choose another name.\n")
    assert (place / "a.wav").read_bytes() == before


def test_every_error_crosses_processes() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SerkitError)]
    made: list[SerkitError] = [kind("why") for kind in kinds if kind is not errors.MissingExtraError]
    made += [errors.MissingExtraError("Reading M4A", "av", "formats"), MissingClipsError("two are missing", ["a", "b"])]
    assert len(made) > 10
    for error in made:
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert (str(again), vars(again)) == (str(error), vars(error))


@pytest.mark.parametrize(("container", "subtype"), [("CAF", "PCM_16"), ("NIST", "PCM_16"), ("VOC", "PCM_16")])
def test_headers_that_promise_more_than_the_file_holds(tmp_path: Path, container: str, subtype: str) -> None:
    path = tmp_path / "x"
    sf.write(path, voice(3, 1, seconds=3.0), RATE, format=container, subtype=subtype)
    assert audio.load(path).duration == pytest.approx(3.0, abs=0.01)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(TruncatedError, match="its end is missing"):
        audio.load(path)
    told: list[str] = []
    assert 1.5 < audio.load(path, on_break=told.append).duration < 1.9
    assert len(told) == 1


def test_an_avi_that_breaks_off_says_so(tmp_path: Path) -> None:
    data = encode_av("avi", "pcm_s16le", seconds=3)
    path = tmp_path / "x.avi"
    path.write_bytes(data[: len(data) * 6 // 10])
    told: list[str] = []
    assert 1.0 < audio.load(path, on_break=told.append).duration < 2.0
    assert len(told) == 1


def test_a_voice_beside_a_loud_hum_is_found(place: Path) -> None:
    spoken = 0.05 * voice(3, 1, seconds=3.0)
    hum = 0.9 * np.sin(2 * np.pi * 50 * np.arange(len(spoken)) / RATE).astype(np.float32)
    recognizer = serkit.load("tiny")
    both = np.stack([spoken, hum], axis=1)
    assert not recognizer.predict(both, sample_rate=RATE, channel="mix").speech
    answer, alone = recognizer.predict(both, sample_rate=RATE), recognizer.predict(spoken, sample_rate=RATE)
    assert (answer.channel, answer.emotion) == ("left", alone.emotion)
    assert not recognizer.predict(np.stack([hum, hum], axis=1), sample_rate=RATE).speech


def test_samples_as_python_numbers_are_one_sentence() -> None:
    with pytest.raises(AudioError, match="An array of Python numbers is not a recording"):
        many(np.array([0.1, 0.2], dtype=object))
    with pytest.raises(AudioError, match=r"for samples, use np\.array"):
        many([0.1, 2])
    assert many(["a.wav", None, 5]) == ["a.wav", None, 5]  # what is wrong with two of them is their rows' business


def test_a_link_to_nothing_says_where_it_leads(ser: Ser, place: Path) -> None:
    (place / "gone.wav").symlink_to("nowhere.wav")
    _, _, err = ser("predict", "gone.wav", "-m", "tiny")
    assert "'gone.wav' is a link to 'nowhere.wav', which does not exist." in err


def test_a_folder_with_a_damaged_voc_is_not_a_success(ser: Ser, place: Path) -> None:
    (place / "calls").mkdir()
    (place / "calls" / "good.wav").write_bytes((place / "a.wav").read_bytes())
    (place / "calls" / "bad.voc").write_bytes(bytes(range(7, 250)) * 9)
    code, _, err = ser("predict", "calls", "-m", "tiny")
    assert code == 1
    assert "bad.voc" in err
