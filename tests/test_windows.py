"""Which windows a recording is cut into, and the segments that neighbours become."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import serkit
from serkit.features import s3
from serkit.recognition.prediction import Prediction
from serkit.recognition.segments import segments, shares
from serkit.recognition.windows import cut, default_window, window_limits
from tests.tiny_models import WAVEFORM_INPUT, features_graph, write_tiny

RATE = 16000


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> serkit.Recognizer:
    folder = tmp_path_factory.mktemp("timeline") / "tiny"
    write_tiny(folder)
    return serkit.load(folder)


def said(start: float, end: float, label: str | None, **probabilities: float) -> Prediction:
    confidence = max(probabilities.values(), default=None)
    unsure = label is None and bool(probabilities)
    return Prediction(None, start, end, label, confidence, probabilities, speech=bool(probabilities), unsure=unsure)


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


def test_defaults_come_from_the_model(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    assert window_limits(tiny) == (0.25, 10.0)
    assert default_window(tiny) == 3.0
    write_tiny(tmp_path / "short", input={**WAVEFORM_INPUT, "max_seconds": 2.0})
    assert default_window(serkit.load(tmp_path / "short")) == 2.0
    extractor = s3()  # 2.5 s from 0.6 s on
    graph = features_graph(np.zeros((len(extractor.feature_names()), 8)))
    write_tiny(tmp_path / "s3", graph=graph, input={"kind": "features", "extractor": extractor.to_dict()})
    assert default_window(serkit.load(tmp_path / "s3")) == pytest.approx(3.1)


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
