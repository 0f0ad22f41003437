"""Streams that cannot be read twice: copied within a bound, never held whole in memory."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest
import soundfile as sf

import serkit
from serkit.audio import spool as module
from serkit.audio.spool import MAX_STREAM_BYTES, spool
from serkit.errors import AudioError
from tests.conftest import Ser, voice
from tests.tiny_models import write_tiny


class Zeros(io.RawIOBase):
    """An endless stream that counts what was read of it."""

    def __init__(self) -> None:
        self.given = 0

    def readable(self) -> bool:
        return True

    def read(self, count: int = -1) -> bytes:
        assert count >= 0, "read whole"
        self.given += count
        return bytes(count)


def wav(seconds: float = 1.0) -> bytes:
    data = io.BytesIO()
    sf.write(data, voice(3, 1, seconds=seconds), 16000, format="WAV")
    return data.getvalue()


def test_an_endless_stream_is_refused_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STREAM_BYTES", 1_000_000)
    endless = Zeros()
    with pytest.raises(AudioError, match=r"^noise is longer than 1,000,000 bytes, the limit for a stream"):
        spool(endless, "noise")  # type: ignore[arg-type]
    assert endless.given == 1_000_001
    endless = Zeros()
    with pytest.raises(AudioError, match="file object is longer than 1,000,000 bytes"):
        serkit.load_audio(endless)  # type: ignore[arg-type]
    assert endless.given <= 1_000_001


def test_a_stream_of_just_the_bound_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = wav()
    monkeypatch.setattr(module, "MAX_STREAM_BYTES", len(data))
    assert spool(io.BytesIO(data), "x").read() == data
    with pytest.raises(AudioError, match="x is longer than"):
        spool(io.BytesIO(data + b"0"), "x")


def test_a_long_stream_does_not_stay_in_memory() -> None:
    class Long(Zeros):
        def read(self, count: int = -1) -> bytes:
            count = min(count, (1 << 27) - self.given)
            return super().read(count)

    tracemalloc.start()
    with spool(Long(), "x") as copy:  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert copy.seek(0, os.SEEK_END) == 1 << 27
    assert peak < 1 << 26


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_tiny(tmp_path / "tiny")
    (tmp_path / "a.wav").write_bytes(wav())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_too_much_on_standard_input_costs_that_row_alone(
    ser: Ser, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_STREAM_BYTES", 1000)
    code, out, err = ser("predict", "-", "a.wav", "-m", "tiny", "--json", stdin=wav())
    first, second = json.loads(out)
    assert (code, first["path"], second["emotion"] is not None) == (1, "-", True)
    assert first["error"].startswith("standard input is longer than 1,000 bytes, the limit for a stream: ")
    for words in (["explain", "-", "--json"], ["enrol", "-", "--json"]):
        code, out, err = ser(*words, "-m", "tiny", stdin=wav())
        assert (code, out) == (2, "")
        assert "standard input is longer than" in err or "does not adapt" in err


def test_nothing_on_standard_input_is_called_so(ser: Ser, clips: Path) -> None:
    code, _, err = ser("predict", "-", "-m", "tiny", "--json", stdin=b"")
    assert (code, err) == (1, "ser: the input failed:\n  -: 'standard input' is empty (0 bytes).\n")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes differ there")
def test_a_pipe_is_answered_as_its_file_is(clips: Path) -> None:
    recognizer = serkit.load("tiny")
    read, write = os.pipe()
    writer = threading.Thread(target=lambda: os.fdopen(write, "wb").write(wav()))
    writer.start()
    with os.fdopen(read, "rb") as stream:
        given = recognizer.predict(stream)
    writer.join()
    assert given.probabilities == recognizer.predict("a.wav").probabilities


def test_the_bound_is_what_the_sentence_says() -> None:
    assert MAX_STREAM_BYTES == 2_147_483_648
