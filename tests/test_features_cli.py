"""``ser features``: rows of measures for people and programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from serkit import load_audio
from serkit.features import MEASURES, describe
from serkit.recognition import feature_rows
from tests.conftest import Ser, voice

RATE = 16000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("clips")
    sf.write(place / "a.wav", voice(3, 1), RATE)
    sf.write(place / "silence.wav", np.zeros(RATE, np.float32), RATE)
    (place / "notes.txt").write_text("no recording", encoding="utf-8")
    return place


def test_a_table_shows_the_voice_and_silence_is_no_speech(ser: Ser, folder: Path) -> None:
    code, out, err = ser("features", str(folder))
    assert code == 0
    heading, _, first, second = out.splitlines()
    assert heading.split()[:3] == ["file", "voiced", "s"]
    pitch = describe(load_audio(folder / "a.wav")).measures["pitch"]
    assert first.split()[2] == f"{pitch:.0f}"
    assert second.split()[1:] == ["no", "speech"]
    assert "notes.txt" in err


def test_rows_read_back_as_they_were_measured(ser: Ser, folder: Path) -> None:
    code, out, _ = ser("features", str(folder), "--csv", "-")
    assert code == 0
    first, second = csv.DictReader(io.StringIO(out))
    found = describe(load_audio(folder / "a.wav"))
    assert {name: float(first[name]) for name in MEASURES} == pytest.approx(found.measures, rel=1e-5)
    assert (first["speech"], first["error"], float(first["duration"])) == ("true", "", 1.0)
    assert (second["speech"], second["voiced"], second["pitch"], second["rms"]) == ("false", "0.0", "", "")
    code, out, _ = ser("features", str(folder), "--json")
    assert code == 0
    rows = json.loads(out)
    assert [row["pitch"] for row in rows] == [pytest.approx(found.measures["pitch"], rel=1e-5), None]


def test_frames_have_a_pitch_where_they_are_voiced(ser: Ser, folder: Path) -> None:
    code, out, _ = ser("features", str(folder / "a.wav"), "--frames", "--csv", "-")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    found = describe(load_audio(folder / "a.wav"))
    assert [float(row["time"]) for row in rows] == pytest.approx(found.times, abs=1e-4)
    assert [bool(row["pitch"]) for row in rows] == np.isfinite(found.rows["pitch"]).tolist()
    assert all(row["mfcc_0"] for row in rows)


def test_what_fails_costs_only_itself(ser: Ser, folder: Path, tmp_path: Path) -> None:
    whole = (folder / "a.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.wav").write_text("no sound", encoding="utf-8")
    paths = [str(tmp_path / "cut.wav"), str(tmp_path / "text.wav"), str(folder / "a.wav")]
    code, out, err = ser("features", *paths, "--csv", "-")
    assert code == 1
    cut, text, good = csv.DictReader(io.StringIO(out))
    assert (cut["warnings"], good["warnings"], good["error"]) == ("truncated", "", "")
    assert text["error"]
    assert not text["pitch"]
    assert "1 of 3 inputs failed" in err
    assert "1 input is truncated, of 3; what could be read is measured" in err
    code, out, _ = ser("features", paths[0], "--strict", "--csv", "-")
    assert code == 1
    assert next(csv.DictReader(io.StringIO(out)))["error"]


def test_a_long_recording_is_refused_in_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_rows, "LONGEST", 0.5)
    (row,) = feature_rows.measure([folder / "a.wav"])
    assert row.error is not None
    assert row.error.startswith("It is longer than ")
    assert row.to_dict()["pitch"] is None


def test_standard_input_and_a_channel(ser: Ser, folder: Path) -> None:
    sound = io.BytesIO()
    samples = voice(3, 1)
    sf.write(sound, np.stack([np.zeros_like(samples), samples], axis=1), RATE, format="WAV")
    code, out, _ = ser("features", "-", "--channel", "right", "--json", stdin=sound.getvalue())
    (row,) = json.loads(out)
    assert code == 0
    assert (row["path"], row["channel"]) == ("-", "right")
    assert row["pitch"] == pytest.approx(describe(load_audio(folder / "a.wav")).measures["pitch"], rel=0.01)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--json", "--csv", "x.csv"], "exclude each other"),
        (["--frames"], "--frames needs --csv"),
        (["--force"], "--force needs --csv"),
        (["--channel", "middle"], "channel"),
    ],
)
def test_wrong_usage(ser: Ser, folder: Path, words: list[str], says: str) -> None:
    code, _, err = ser("features", str(folder), *words)
    assert code == 2
    assert says in err


def test_a_file_is_not_replaced_unless_asked(ser: Ser, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    target.write_text("mine\n", encoding="utf-8")
    assert ser("features", str(folder / "a.wav"), "--csv", str(target))[0] == 2
    assert target.read_text(encoding="utf-8") == "mine\n"
    assert ser("features", str(folder / "a.wav"), "--csv", str(target), "--force")[0] == 0
    assert target.read_text(encoding="utf-8").startswith("path,duration,")
    code, _, err = ser("features", str(folder / "missing.wav"))
    assert code == 2
    assert "missing.wav" in err
