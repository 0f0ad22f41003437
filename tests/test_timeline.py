"""Emotion over time: which windows a recording is cut into, what each answers, and the segments that follow."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

import serkit
from serkit.audio.waveform import Waveform
from serkit.emotions import LABELS
from serkit.errors import AudioError, SerkitError
from serkit.features import s3
from serkit.recognition.prediction import Prediction
from serkit.recognition.timeline import cut, default_window, segments, shares, timeline, window_limits
from tests.conftest import voice
from tests.tiny_models import WAVEFORM_INPUT, expected, features_graph, write_tiny

RATE = 16000


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> serkit.Recognizer:
    folder = tmp_path_factory.mktemp("timeline") / "tiny"
    write_tiny(folder)
    return serkit.load(folder)


def times(windows: Any) -> list[tuple[float, float]]:
    return [(one.start, one.end) for one in windows]


def said(start: float, end: float, label: str | None, **probabilities: float) -> Prediction:
    confidence = max(probabilities.values(), default=None)
    unsure = label is None and bool(probabilities)
    return Prediction(None, start, end, label, confidence, probabilities, speech=bool(probabilities), unsure=unsure)


def test_each_window_is_answered_as_the_model_answers_its_samples(tiny: serkit.Recognizer) -> None:
    quiet, silence, loud = 0.02 * voice(3, 1, seconds=2.0), np.zeros(2 * RATE, np.float32), voice(5, 2, seconds=2.0)
    samples = np.concatenate([quiet, silence, loud])
    windows = list(timeline(tiny, samples, sample_rate=RATE, window=2.0, hop=1.0))
    assert times(windows) == [(0, 2), (1, 3), (2, 4), (3, 5), (4, 6)]
    for k in (0, 1, 3, 4):
        want = expected(samples[k * RATE : (k + 2) * RATE])
        assert list(windows[k].probabilities) == list(LABELS)
        assert list(windows[k].probabilities.values()) == pytest.approx(want, abs=1e-4)
        assert windows[k].emotion == LABELS[int(want.argmax())]
        assert windows[k].confidence == max(windows[k].probabilities.values())
    assert windows[2] == Prediction(None, 2.0, 4.0, None, None, {}, speech=False)
    assert windows[0].emotion != windows[4].emotion


@pytest.mark.parametrize(
    ("seconds", "window", "hop", "want"),
    [
        (5.0, 2.0, 1.5, [(0, 2), (1.5, 3.5), (3, 5)]),  # fits
        (5.25, 2.0, 1.5, [(0, 2), (1.5, 3.5), (3, 5), (3.25, 5.25)]),  # one more, which ends with the recording
        (4.5, 2.0, 2.0, [(0, 2), (2, 4), (2.5, 4.5)]),  # side by side
        (1.5, 2.0, 0.5, [(0, 1.5)]),  # shorter than a window
        (2.0, 2.0, 0.1, [(0, 2)]),
    ],
)
def test_windows_have_exact_times(
    tiny: serkit.Recognizer, seconds: float, window: float, hop: float, want: list[tuple[float, float]]
) -> None:
    wave = Waveform(voice(3, 1, seconds=seconds), RATE)
    assert times(timeline(tiny, wave, window=window, hop=hop)) == want


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=8), size=st.integers(1, 30), data=st.data())
def test_windows_cover_every_sample_however_it_is_read(lengths: list[int], size: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(1, size))
    samples = np.arange(sum(lengths), dtype=np.float32)
    windows = list(cut(np.split(samples, np.cumsum(lengths)[:-1]), size, step))
    for first, held in windows:
        assert held.tolist() == samples[first : first + size].tolist()
    assert [first for first, _ in windows[:-1]] == [step * k for k in range(len(windows) - 1)]
    assert {int(value) for _, held in windows for value in held} == set(range(len(samples)))
    assert len({first for first, _ in windows}) == len(windows)


def test_a_file_of_another_rate_gives_the_times_of_the_file(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    sf.write(tmp_path / "long.wav", voice(3, 1, seconds=7.0, rate=22050), 22050)
    windows = list(timeline(tiny, tmp_path / "long.wav", window=3.0, hop=2.0))
    assert times(windows) == [(0, 3), (2, 5), (4, 7)]


def test_an_hour_in_flat_memory(tiny: serkit.Recognizer) -> None:
    """An hour at 4 kHz from a file in memory: 29 MB as 16-bit samples, 230 MB at the model's rate."""
    minute = np.concatenate([voice(3, 1, seconds=30.0, rate=4000), np.zeros(30 * 4000)])
    file = io.BytesIO()
    sf.write(file, np.tile(minute, 60), 4000, format="WAV", subtype="PCM_16")
    told: list[float] = []
    tracemalloc.start()
    windows = list(timeline(tiny, file, window=10.0, hop=10.0, progress=told.append))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert times(windows) == [(10.0 * k, 10.0 * k + 10) for k in range(360)]
    assert told == [one.end for one in windows]
    parts = segments(windows)
    assert [(part.start, part.end, part.speech) for part in parts] == [
        (30.0 * k, 30.0 * k + 30, k % 2 == 0) for k in range(120)
    ]
    assert shares(parts, LABELS)["no speech"] == pytest.approx(0.5)
    assert peak < 40e6


def test_defaults_come_from_the_model(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    assert window_limits(tiny) == (0.25, 10.0)
    assert default_window(tiny) == 3.0
    wave = Waveform(voice(3, 1, seconds=6.0), RATE)
    assert times(timeline(tiny, wave)) == [(0, 3), (1.5, 4.5), (3, 6)]
    write_tiny(tmp_path / "short", input={**WAVEFORM_INPUT, "max_seconds": 2.0})
    assert default_window(serkit.load(tmp_path / "short")) == 2.0
    extractor = s3()  # 2.5 s from 0.6 s on
    graph = features_graph(np.zeros((len(extractor.feature_names()), 8)))
    write_tiny(tmp_path / "s3", graph=graph, input={"kind": "features", "extractor": extractor.to_dict()})
    assert default_window(serkit.load(tmp_path / "s3")) == pytest.approx(3.1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"window": 0.2}, r"The window must be 0\.25 to 10 s for the model tiny, got 0\.2 s\."),
        ({"window": 11}, "got 11 s"),
        ({"window": float("nan")}, "got nan s"),
        ({"window": 2, "hop": 2.5}, r"The hop must be 0\.1 s to the window's 2 s, got 2\.5 s\."),
        ({"hop": 0.05}, r"got 0\.05 s"),
        ({"min_confidence": 40}, r"for 40 % give 0\.4"),
    ],
)
def test_limits_are_said_before_anything_is_read(tiny: serkit.Recognizer, options: Any, says: str) -> None:
    with pytest.raises(SerkitError, match=says):
        timeline(tiny, "no such file.wav", **options)


def test_too_short_and_broken_recordings(tiny: serkit.Recognizer) -> None:
    with pytest.raises(AudioError, match=r"lasts 0\.200 s; the model tiny needs at least 0\.25 s"):
        list(timeline(tiny, Waveform(voice(3, 1, seconds=0.2), RATE)))

    whole = io.BytesIO()
    sf.write(whole, voice(3, 1, seconds=70.0), RATE, format="FLAC")
    broken = io.BytesIO(whole.getvalue()[: len(whole.getvalue()) * 6 // 7])
    found: list[Prediction] = []

    def collect() -> Iterator[Prediction]:
        for one in timeline(tiny, broken, window=5, hop=5):
            found.append(one)
            yield one

    with pytest.raises(AudioError):
        list(collect())
    assert times(found[:11]) == [(5.0 * k, 5.0 * k + 5) for k in range(11)]
    assert 55 < found[-1].end < 65
    assert found[-1].start == pytest.approx(found[-1].end - 5)  # to the last sample that could be read


def test_unsure_windows_keep_their_probabilities(tiny: serkit.Recognizer) -> None:
    wave = Waveform(voice(3, 1, seconds=3.0), RATE)
    (one,) = timeline(tiny, wave, window=3, min_confidence=1.0)
    (sure,) = timeline(tiny, wave, window=3)
    assert one.answer == "unsure"
    assert one.probabilities == sure.probabilities


def test_neighbours_that_answer_the_same_are_merged() -> None:
    windows = [
        said(0, 2, "sad", sad=0.5, calm=0.5),
        said(1, 3, "sad", sad=0.8, calm=0.2),
        said(2, 4, None),
        said(3, 5, None, sad=0.3, calm=0.25),
        said(4, 6, None, sad=0.2, calm=0.35),
        said(4.5, 6.5, "calm", sad=0.1, calm=0.9),
    ]
    parts = segments(windows)
    assert [(part.start, part.end, part.answer) for part in parts] == [
        (0, 2.5, "sad"),
        (2.5, 3.5, "no speech"),
        (3.5, 5.25, "unsure"),
        (5.25, 6.5, "calm"),
    ]
    assert parts[0].probabilities == pytest.approx({"sad": 0.62, "calm": 0.38})  # 1.5 s and 1 s
    assert parts[0].confidence == pytest.approx(0.62)
    assert parts[1].probabilities == {}
    assert parts[2].probabilities == pytest.approx({"sad": (0.3 + 0.2 * 0.75) / 1.75, "calm": (0.25 + 0.2625) / 1.75})
    assert (parts[2].emotion, parts[2].unsure, parts[2].speech) == (None, True, True)
    assert shares(parts, ("sad", "calm")) == pytest.approx(
        {"sad": 2.5 / 6.5, "calm": 1.25 / 6.5, "unsure": 1.75 / 6.5, "no speech": 1 / 6.5}
    )


@given(st.lists(st.tuples(st.sampled_from(["sad", "calm", None]), st.floats(0.5, 1)), min_size=1, max_size=30))
def test_segments_have_no_gap_and_an_emotion_leads_in_its_own(answers: list[tuple[str | None, float]]) -> None:
    windows = []
    for k, (label, p) in enumerate(answers):
        other = "calm" if label == "sad" else "sad"
        windows.append(said(k, k + 3.0, label, **({label: p, other: 1 - p} if label else {})))
    parts = segments(windows)
    assert (parts[0].start, parts[-1].end) == (0, len(answers) + 2)
    for a, b in pairwise(parts):
        assert a.end == b.start
        assert a.answer != b.answer
    for part in parts:
        if part.emotion:
            assert part.probabilities[part.emotion] == part.confidence == max(part.probabilities.values())
    assert sum(shares(parts, ("sad", "calm")).values()) == pytest.approx(1)


def test_nothing_has_no_segments() -> None:
    assert segments([]) == []
    assert shares([], ("sad",)) == {"sad": 0.0}
