"""The page for live answers: the sound that a browser sends in messages is answered as a file is."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import serkit
from serkit.app.live import Live
from serkit.errors import SerkitError
from tests.conftest import voice
from tests.known_speech import LoudFrames
from tests.tiny_models import write_tiny

RATE = 16000
SOUND = np.concatenate(
    [np.zeros(RATE), voice(3, 1, seconds=2.0), np.zeros(RATE), 0.3 * voice(5, 2, seconds=1.5), np.zeros(RATE)]
).astype(np.float32)


@pytest.fixture(autouse=True)
def known_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serkit.recognition.listening.SpeechFrames", LoudFrames)


@pytest.fixture
def tiny(tmp_path: Path) -> serkit.Recognizer:
    write_tiny(tmp_path / "tiny")
    return serkit.load(tmp_path / "tiny")


def message(start: int, stop: int, *, session: str = "one", last: bool = False) -> dict[str, Any]:
    pcm = base64.b64encode((SOUND[start:stop] * 32767).astype("<i2").tobytes()).decode("ascii")
    return {"session": session, "from": start, "rate": RATE, "pcm": pcm, "last": last}


def test_messages_are_answered_as_the_file_is(tiny: serkit.Recognizer) -> None:
    """Also where one comes twice or begins before the last one ended."""
    live = Live()
    partial = False
    for start in range(0, len(SOUND), RATE // 2):
        live.take(message(max(start - 3000, 0), start + RATE // 2), tiny)
        live.take(message(start, start + 4000), tiny)
        partial |= live.now is not None
    live.take(message(len(SOUND), len(SOUND), last=True), tiny)
    assert partial
    assert (live.finished, live.now, live.heard) == (True, None, len(SOUND))
    whole = (SOUND * 32767).astype("<i2").astype(np.float32) / 32768
    (track,) = tiny.timeline(whole, sample_rate=RATE, min_confidence=0.0).tracks
    assert [(part.emotion, part.end) for part in live.parts] == [(part.emotion, part.end) for part in track.segments]
    assert sum(bool(part.speech) for part in live.parts) == 2


def test_a_gap_waits_for_what_is_missing_and_a_new_session_begins_anew(tiny: serkit.Recognizer) -> None:
    live = Live()
    live.take(message(0, RATE), tiny)
    live.take(message(2 * RATE, 3 * RATE), tiny)
    assert live.heard == RATE
    live.take(message(RATE, 2 * RATE), tiny)
    assert live.heard == 2 * RATE
    live.take(message(0, 4000, session="two"), tiny)
    assert (live.session, live.heard, live.parts) == ("two", 4000, [])


@pytest.mark.parametrize("wrong", [{"pcm": "%%"}, {"pcm": "AAAA"}, {"rate": "x"}, {"from": None}, {"rate": 1}])
def test_what_is_no_sound_is_one_sentence(tiny: serkit.Recognizer, wrong: dict[str, Any]) -> None:
    with pytest.raises(SerkitError):
        Live().take({**message(0, RATE), **wrong}, tiny)
