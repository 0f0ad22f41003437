"""Recordings of somebody who is not trusted: decoded in another process, with the same samples and messages."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serkit import audio
from serkit.audio import apart, worker
from serkit.audio.bounded import Bounded, Most
from serkit.errors import AudioError
from tests.conftest import voice
from tests.test_decoding_process import script

soundfile = pytest.importorskip("soundfile")

MOST = Most(100, 1 << 30)
STEREO = np.stack([voice(1, 1, seconds=2.0), voice(2, 2, seconds=2.0)], axis=1)


def written(kind: str, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, STEREO, 16000, format=kind, subtype=subtype)
    return file.getvalue()


WAV = written("WAV")
WHOLE = [WAV, 2 * written("OGG"), written("WAV", "FLOAT"), *map(written, ("FLAC", "OGG", "MP3", "AIFF"))]
BROKEN = [WAV[:20_000], written("FLAC")[:9000], written("OGG")[:-50], WAV[:44], b"RIFF" + bytes(60), b"Dear diary", b""]


@pytest.fixture(autouse=True)
def _fresh_processes() -> Iterator[None]:
    worker._end_all()
    yield
    worker._end_all()


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except AudioError as error:
        return type(error), str(error)


def test_samples_and_messages_are_the_same() -> None:
    for data in (*WHOLE, *BROKEN):
        with tempfile.NamedTemporaryFile() as file, tempfile.SpooledTemporaryFile(1 << 20) as upload:
            for one in (file, upload):
                one.write(data)
                one.flush()
            for how in ({}, {"channel": "left", "offset": 0.5, "duration": 0.75}):
                want = outcome(lambda file=file, how=how: audio.load(file, **how))  # type: ignore[misc]
                bounded = Bounded(upload, file.name, MOST)  # type: ignore[arg-type]
                assert outcome(lambda bounded=bounded, how=how: audio.load(bounded, **how)) == want  # type: ignore[misc]
            want = outcome(lambda file=file: list(audio.stream(file, block=0.5)))  # type: ignore[misc]
            assert outcome(lambda bounded=bounded: list(audio.stream(bounded, block=0.5))) == want  # type: ignore[misc]
            assert outcome(lambda bounded=bounded: audio.probe(bounded)) == outcome(  # type: ignore[misc]
                lambda file=file: audio.probe(file)  # type: ignore[misc]
            )
    assert [one.script.name for one in worker._all].count("sound_process.py") == 1  # for all of them


def test_files_that_the_process_cannot_open_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    assert audio.load(Bounded(io.BytesIO(WAV), "a.wav", MOST)) == audio.load(WAV)
    monkeypatch.setattr(apart, "_descriptor", lambda file: "/proc/0/fd/0")
    assert audio.load(Bounded(io.BytesIO(WAV), "a.wav", MOST)) == audio.load(WAV)


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("os.kill(os.getpid(), 11)", "its decoder crashed, signal 11"),
        ("time.sleep(600)", "its decoder hung and was stopped"),
    ],
)
def test_a_crash_or_a_hang_costs_one_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, says: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(apart, "_SCRIPT", script(tmp_path / "bad.py", does))
        if "sleep" in does:
            patch.setattr(worker, "HANG_SECONDS", 0.1)
        with pytest.raises(AudioError, match=rf"'a\.wav' is damaged and cannot be decoded \({says}\)"):
            audio.load(Bounded(io.BytesIO(WAV), "a.wav", MOST))
    assert audio.load(Bounded(io.BytesIO(WAV), "a.wav", MOST)) == audio.load(WAV)
