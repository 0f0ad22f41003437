"""What predict takes: integers that say what they are, generators, Series, rows of data sets, and not an UploadFile."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

import serkit
from serkit import audio
from serkit.errors import AudioError
from tests.conftest import voice
from tests.tiny_models import write_tiny

RATE = 16000
VOICE = voice(3, 1, seconds=2.0)
INT16 = np.round(VOICE * 32767).astype(np.int16)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> serkit.Recognizer:
    write_tiny(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b.wav"):
        sf.write(name, VOICE, RATE)
    return serkit.load(tmp_path / "tiny")


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (INT16.astype(np.int32), r"int32 from -\d+ to \d+, .* -2147483648 to 2147483647: .*astype\(np\.int16\)\.$"),
        (np.array(INT16.tolist()), r"holds int64 from .*astype\(np\.int16\)\.$"),
        (INT16.astype(np.int64) << 8, r"astype\(np\.int32\), or array / 2\*\*23 for samples of 24 bits\.$"),
        (INT16.astype(np.int64) << 16, r"astype\(np\.int32\), or array / 2\*\*23"),
        ((INT16.astype(np.int32) + 32768).astype(np.uint32), r"holds uint32 .*full scale .* 0 to 4294967295: .*uint16"),
        (((INT16 >> 8) + 128).astype(np.uint16), r"holds uint16 .*astype\(np\.uint8\)\.$"),
    ],
)  # fmt: skip
def test_integers_of_a_smaller_type_are_refused(array: np.ndarray, says: str) -> None:
    for shape in (array, np.stack([array, array])):
        with pytest.raises(AudioError, match=says):
            audio.load(shape, sample_rate=RATE)


@pytest.mark.parametrize(
    "array",
    [
        INT16,
        INT16.astype(np.int32) << 16,
        INT16.astype(np.int64) << 48,
        (INT16.astype(np.int32) + 32768).astype(np.uint16),
        (INT16 >> 8).astype(np.int8),
    ],
)
def test_integers_of_full_scale_are_recordings(array: np.ndarray) -> None:
    assert np.allclose(audio.load(array, sample_rate=RATE).samples, VOICE, atol=1 / 128)


def test_a_faint_recording_of_32_bits_and_silence_are_accepted() -> None:
    faint = np.round(VOICE * 1e-3 * 2**31).astype(np.int32)  # -70 dBFS
    assert np.allclose(audio.load(faint, sample_rate=RATE).samples, VOICE * 1e-3, atol=1e-6)
    for kind in (np.int32, np.int64, np.uint32):
        assert audio.load(np.zeros(RATE, kind), sample_rate=RATE).duration == 1.0


def many(paths: list[str]) -> list[Any]:
    def generator() -> Iterator[str]:
        yield from paths

    return [
        paths,
        tuple(paths),
        generator(),
        map(Path, paths),
        pd.Series(paths),
        pd.Series(paths, index=[7, 3]),
        pd.Series(paths, dtype="string"),
        pd.Index(paths),
        pd.DataFrame({"path": paths})["path"],
        np.array(paths),
        dict.fromkeys(paths).keys(),
    ]


@pytest.mark.parametrize("kind", range(len(many(["a.wav", "b.wav"]))))
def test_any_collection_of_paths_is_many_recordings(tiny: serkit.Recognizer, kind: int) -> None:
    want = [tiny.predict(name) for name in ("a.wav", "b.wav")]
    assert tiny.predict(many(["a.wav", "b.wav"])[kind]) == want
    assert serkit.predict(many(["a.wav", "b.wav"])[kind], model="tiny") == want


def test_a_series_of_samples_is_one_recording(tiny: serkit.Recognizer) -> None:
    assert tiny.predict(pd.Series(VOICE), sample_rate=RATE) == tiny.predict(VOICE, sample_rate=RATE)


def test_a_generator_is_taken_as_it_is_needed(tiny: serkit.Recognizer) -> None:
    rows = tiny.predict((array for array in (VOICE, VOICE)), sample_rate=RATE)
    assert [row.speech for row in rows] == [True, True]
    assert [row.error is None for row in tiny.predict(name for name in ("a.wav", "missing.wav"))] == [True, False]


def test_a_row_of_a_data_set_is_a_recording(tiny: serkit.Recognizer) -> None:
    row = {"path": "cv/0.mp3", "array": VOICE.astype(np.float64), "sampling_rate": RATE}
    answer = tiny.predict(row)
    assert answer.path == "cv/0.mp3"
    assert answer.probabilities == tiny.predict(VOICE, sample_rate=RATE).probabilities
    assert [one.speech for one in tiny.predict([row, {**row, "path": None}])] == [True, True]
    with pytest.raises(
        AudioError, match="'array' and 'sampling_rate', or 'bytes' or 'path'; this one has 'audio', 'label'"
    ):
        tiny.predict({"audio": row, "label": 3})
    with pytest.raises(AudioError, match="sample_rate=8000 was given, but the mapping has 16000 Hz"):
        tiny.predict(row, sample_rate=8000)


def test_an_upload_file_is_one_sentence(tiny: serkit.Recognizer) -> None:
    class UploadFile:
        """As Starlette's: reading is awaited, the file is in it."""

        def __init__(self, file: io.BytesIO) -> None:
            self.file, self.filename = file, "a.wav"

        async def read(self, size: int = -1) -> bytes:
            return self.file.read(size)

    given = UploadFile(io.BytesIO(Path("a.wav").read_bytes()))
    for call in (tiny.predict, audio.load, audio.probe, lambda one: list(audio.stream(one))):
        with pytest.raises(
            AudioError, match=r"UploadFile is read asynchronously: give the file in it, such as upload\.file"
        ):
            call(given)  # type: ignore[arg-type]
    assert tiny.predict(given.file).speech is True
    starlette = pytest.importorskip("starlette.datastructures")
    real = starlette.UploadFile(io.BytesIO(Path("a.wav").read_bytes()), filename="a.wav")
    with pytest.raises(AudioError, match=r"upload\.file"):
        tiny.predict(real)
    assert tiny.predict(real.file).speech is True
