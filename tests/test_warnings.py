"""Warnings: what makes an answer less trustworthy is in its row, in every way of answering."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

import serkit
from serkit import audio
from serkit.app import batch_report, clips
from serkit.app.words import remarks
from serkit.audio.quality import MIN_VOICE, Meter
from serkit.audio.voice_activity import speech_activity
from serkit.emotions import LABELS
from serkit.recognition.prediction import WARNINGS, Prediction
from serkit.recognition.rows import columns, flat_row
from serkit.recognition.segments import segments
from tests.conftest import Ser, voice
from tests.known_speech import timeline_of
from tests.tiny_models import write_tiny

RATE = 16000
VOICE = voice(3, 1, seconds=3.0)
LOUD = np.clip(VOICE * 8, -1, 32767 / 32768).astype(np.float32)
FAINT = (VOICE * 2e-3).astype(np.float32)
BRIEF = np.pad(voice(3, 1, seconds=0.4), (RATE, RATE))


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> serkit.Recognizer:
    write_tiny(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    return serkit.load(tmp_path / "tiny")


@pytest.mark.parametrize(
    ("samples", "want"),
    [(VOICE, ()), (LOUD, ("clipped",)), (FAINT, ("quiet",)), (BRIEF, ("short",)), (BRIEF * 2e-3, ("short", "quiet"))],
)
def test_an_answer_says_what_is_wrong_with_the_sound(tiny: serkit.Recognizer, samples: Any, want: Any) -> None:
    samples = samples.astype(np.float32)
    answer = tiny.predict(samples, sample_rate=RATE)
    assert (answer.speech, answer.warnings) == (True, want)
    assert answer.to_dict()["warnings"] == list(want)
    assert answer.at_least(0.999).warnings == want
    (spoken,) = timeline_of(tiny, samples, sample_rate=RATE, window=10.0).tracks[0].speech
    assert spoken.warnings == want
    assert tiny.explain(samples, sample_rate=RATE).prediction.warnings == want


def test_short_means_the_voice_not_the_recording(tiny: serkit.Recognizer) -> None:
    heard = speech_activity(audio.load(BRIEF, sample_rate=RATE)).seconds
    assert 0.1 < heard < MIN_VOICE
    assert speech_activity(audio.load(VOICE, sample_rate=RATE)).seconds > MIN_VOICE
    assert tiny.predict(np.tile(BRIEF, 3), sample_rate=RATE).warnings == ()


@pytest.mark.parametrize(("share", "clipped"), [(0.0029, False), (0.0031, True)])
def test_three_samples_in_a_thousand_are_clipped(share: float, clipped: bool) -> None:
    samples = np.full((100_000, 1), 0.5, np.float32)
    samples[500 : 501 + round(share * len(samples))] = -1  # the first of a run is no evidence
    meter = Meter(RATE)
    for block in np.array_split(samples, 7):
        meter.add(block)
    assert ("clipped" in meter.remarks()) == clipped


def test_a_peak_at_full_scale_is_not_clipped() -> None:
    samples = VOICE / np.abs(VOICE).max()
    meter = Meter(RATE)
    meter.add(samples[:, None])
    assert meter.remarks() == []


@pytest.mark.parametrize(("level", "quiet"), [(-59.0, False), (-61.0, True), (-99.0, True), (-101.0, False)])
def test_quiet_is_60_db_below_full_scale(level: float, quiet: bool) -> None:
    tone = 2**0.5 * 10 ** (level / 20) * np.sin(np.arange(5 * RATE) / 5)
    tone[40_000] = 0.5  # a click in silence has no say
    meter = Meter(RATE)
    meter.add(tone[:, None].astype(np.float32))
    assert meter.remarks() == (["quiet"] if quiet else [])


def test_a_part_is_judged_by_itself() -> None:
    meter = Meter(RATE)
    for block in np.array_split(np.concatenate([FAINT, LOUD, VOICE]), 11):
        meter.add(block[:, None])
    assert [meter.remarks(start, start + 3.0) for start in (0.0, 3.0, 6.0)] == [["quiet"], ["clipped"], []]
    assert meter.remarks() == ["clipped"]


def test_a_long_recording_is_measured_in_little_memory() -> None:
    meter = Meter(1000)
    faint, loud = np.full((600_000, 1), 1e-4, np.float32), np.full((600_000, 1), 0.1, np.float32)
    for block in [faint] * 9 + [loud]:
        meter.add(block)
    assert meter._cells.nbytes < 1 << 20
    assert meter.remarks() == []  # a tenth is loud
    assert meter.remarks(5000.0, 5300.0) == ["quiet"]
    for _ in range(15):
        meter.add(faint)
    assert meter.remarks() == ["quiet"]  # one part in 25 is loud


def test_silence_is_called_nothing(tiny: serkit.Recognizer) -> None:
    silence = np.zeros(2 * RATE, np.float32)
    assert tiny.predict(silence, sample_rate=RATE).warnings == ()
    hiss = (1e-4 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)
    answer = tiny.predict(hiss, sample_rate=RATE)
    assert (answer.speech, answer.warnings) == (False, ("quiet",))  # perhaps that is why no voice was found
    samples = np.concatenate([VOICE, hiss])
    assert {one.warnings for one in tiny.timeline(samples, sample_rate=RATE).segments if not one.speech} == {()}


def test_a_segment_is_short_if_all_of_its_windows_are() -> None:
    def window(start: float, *warnings: str) -> Prediction:
        found = {"happy": 0.8, "sad": 0.2}
        return Prediction(None, start, start + 1, "happy", 0.8, found, speech=True, channel="left", warnings=warnings)

    (one,) = segments([window(0.0, "short"), window(1.0, "clipped", "one-sided"), window(2.0, "short")])
    assert (one.channel, one.warnings) == ("left", ("clipped", "one-sided"))
    (one,) = segments([window(0.0, "short"), window(1.0, "short", "quiet")])
    assert one.warnings == ("short", "quiet")


def test_every_row_has_the_same_keys() -> None:
    answer = Prediction(
        "a", 0.0, 1.0, "sad", 1.0, dict.fromkeys(LABELS, 0.125), speech=True, warnings=("short", "quiet")
    )
    silent = Prediction("b", 0.0, 1.0, None, None, {}, speech=False)
    failed = Prediction("c", 0.0, 0.0, None, None, {}, error="why")
    for row in (answer, silent, failed, answer.at_least(1.0)):
        assert list(row.to_dict()) == [
            *("path", "start", "end", "channel", "emotion", "confidence", "familiarity", "unsure", "speech", "error"),
            *("warnings", "probabilities", "dimensions", "derived"),
        ]
        assert list(row.to_dict()["derived"]) == ["valence", "arousal"]
        assert list(flat_row(row, LABELS)) == columns(LABELS)
    assert [flat_row(row, LABELS)["warnings"] for row in (answer, silent, failed)] == ["short+quiet", None, None]
    assert (failed.to_dict()["emotion"], failed.to_dict()["error"], silent.to_dict()["error"]) == (None, "why", None)


def test_the_table_shows_warnings_only_where_there_are_any(tiny: serkit.Recognizer, ser: Ser, tmp_path: Path) -> None:
    sf.write(tmp_path / "good.wav", VOICE, RATE)
    sf.write(tmp_path / "loud.wav", LOUD, RATE)
    assert "warnings" not in ser("predict", "good.wav", "-m", "tiny")[1]
    out = ser("predict", "good.wav", "loud.wav", "-m", "tiny", "--affect")[1]
    head, good, loud = (line for line in out.splitlines() if "warnings" in line or ".wav" in line)
    assert (head.split()[-1], loud.split()[-1]) == ("warnings", "clipped")
    assert "clipped" not in good
    rows = list(csv.DictReader(io.StringIO(ser("predict", "good.wav", "loud.wav", "-m", "tiny", "--csv", "-")[1])))
    assert [row["warnings"] for row in rows] == ["", "clipped"]
    rows = json.loads(ser("predict", "good.wav", "loud.wav", "-m", "tiny", "--json")[1])
    assert [row["warnings"] for row in rows] == [[], ["clipped"]]


def test_the_app_says_what_a_warning_means() -> None:
    for name, meaning in WARNINGS.items():
        row = Prediction("a", 0.0, 1.0, "sad", 0.5, {"sad": 0.5}, speech=True, warnings=(name,))
        assert remarks(row) == f"{meaning.capitalize()}."
        page = batch_report.page([row], {}, model="m")
        assert "<th>warnings</th>" in page
        assert f"<td>{name}</td>" in page
        assert json.loads(clips.as_json([row]))[0]["warnings"] == [name]
    assert "warnings" not in batch_report.page([Prediction("a", 0, 1, None, None, {}, speech=False)], {}, model="m")


@pytest.mark.ravdess
def test_ordinary_clips_seldom_have_warnings(ravdess_dir: Path, tiny: serkit.Recognizer) -> None:
    rows = tiny.predict(audio.find_audio(ravdess_dir, recursive=True)[::20])
    assert {name for row in rows for name in row.warnings} <= {"short"}
    assert sum(bool(row.warnings) for row in rows) <= 0.02 * len(rows)
