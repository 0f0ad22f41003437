"""Reading recordings: every way in, every way it can go wrong, and the window that systems look through."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from serkit import audio
from serkit.audio import Waveform, Window, find_audio, load, probe, resample, stream
from serkit.errors import AudioError, MissingExtraError

RATE = 16000


def signal(seconds: float = 3.0, rate: int = RATE) -> np.ndarray:
    """A tone that swells three times a second over a little noise: compressible, and different at every place."""
    t = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(t))
    return (0.3 * np.sin(2 * np.pi * 300 * t) * np.sin(2 * np.pi * 3 * t) + 0.01 * noise).astype(np.float32)


def encode(kind: str, subtype: str | None = None, samples: np.ndarray | None = None, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    sf.write(buffer, signal() if samples is None else samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def with_data_size(wav: bytes, size: int) -> bytes:
    at = wav.index(b"data") + 4
    return wav[:at] + struct.pack("<I", size) + wav[at + 4 :]


class Pipe(io.RawIOBase):
    """A binary stream that cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._buffer = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        return self._buffer.readinto(buffer)


# --- containers and codecs -------------------------------------------------------------------------------------------

LOSSLESS = [
    ("WAV", "PCM_16", 1e-4),
    ("WAV", "PCM_24", 1e-6),
    ("WAV", "PCM_U8", 1e-2),
    ("WAV", "FLOAT", 0.0),
    ("WAV", "DOUBLE", 0.0),
    ("WAV", "ULAW", 2e-2),
    ("FLAC", "PCM_16", 1e-4),
    ("AIFF", "PCM_16", 1e-4),
    ("AU", "PCM_16", 1e-4),
    ("CAF", "PCM_16", 1e-4),
    ("W64", "PCM_16", 1e-4),
    ("RF64", "PCM_16", 1e-4),
]
LOSSY = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]


@pytest.mark.parametrize(("kind", "subtype", "tolerance"), LOSSLESS)
def test_lossless_formats_give_the_samples_back(kind: str, subtype: str, tolerance: float) -> None:
    data = encode(kind, subtype)
    wave = load(data)
    np.testing.assert_allclose(wave.samples, signal(), rtol=0, atol=tolerance)
    assert probe(data) == audio.AudioInfo(3.0, RATE, 1, kind if kind != "WAVEX" else "WAV", subtype)


@pytest.mark.parametrize(("kind", "subtype"), LOSSY)
def test_lossy_formats_give_nearly_the_samples_back(kind: str, subtype: str) -> None:
    wave = load(encode(kind, subtype))
    assert wave.duration == 3.0
    assert np.corrcoef(wave.samples, signal())[0, 1] > 0.99


@pytest.mark.parametrize(("kind", "subtype"), [*LOSSY, ("WAV", "PCM_16"), ("FLAC", "PCM_16")])
def test_a_part_is_the_same_as_that_part_of_the_whole(kind: str, subtype: str) -> None:
    data = encode(kind, subtype)
    part = load(data, offset=1.25, duration=0.5)
    tolerance = 1e-3 if subtype == "OPUS" else 1e-6  # an Opus decoder that jumps in takes a moment to settle
    np.testing.assert_allclose(part.samples, load(data).samples[20000:28000], rtol=0, atol=tolerance)
    assert load(data, offset=2.75, duration=9).duration == 0.25  # what there is


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    for name in ("really_flac.wav", "a.raw", "b.vox", "no_suffix"):
        path = tmp_path / name
        path.write_bytes(encode("FLAC"))
        assert probe(path).format == "FLAC"
        assert load(str(path)) == load(encode("FLAC"))


@pytest.mark.parametrize("name", ["a clip.wav", "Grüße 感情 🎙.wav", "line\nbreak.wav", "-v.wav", "%s{x}.wav"])
def test_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encode("WAV"))
    assert load(path).duration == 3.0
    assert find_audio(tmp_path) == [path]


def test_all_kinds_of_sources_agree(tmp_path: Path) -> None:
    data = encode("FLAC")
    path = tmp_path / "a.flac"
    path.write_bytes(data)
    used = io.BytesIO(data)
    used.seek(0, os.SEEK_END)
    expected = load(path)
    with path.open("rb") as file:
        for source in (str(path), data, bytearray(data), memoryview(data), used, Pipe(data), file, expected):
            assert load(source) == expected  # type: ignore[arg-type]
        assert not file.closed
    assert load(expected.samples, sample_rate=RATE) == expected


def test_mu_law_telephone_recording() -> None:
    wave = load(encode("WAV", "ULAW", signal(rate=8000), 8000), target_rate=16000)
    assert (wave.sample_rate, wave.duration) == (16000, 3.0)
    expected = soxr.resample(signal(rate=8000), 8000, 16000)
    assert np.abs(wave.samples - expected).max() < 0.02


def test_six_channels_24_bit_96_khz() -> None:
    channels = np.stack([signal(1, 96000) * gain for gain in (1, 0.5, 0, -0.25, 0.25, 0)], axis=1)
    data = encode("WAV", "PCM_24", channels, 96000)
    assert probe(data).channels == 6
    np.testing.assert_allclose(load(data).samples, channels.mean(axis=1), rtol=0, atol=1e-6)


def test_clipped_recordings_load_as_they_are() -> None:
    loud = np.clip(signal() * 20, -1, 1)
    assert np.abs(load(encode("WAV", "PCM_16", loud)).samples).max() == pytest.approx(1.0, abs=1e-4)
    beyond = signal() * 5  # floats may pass 1
    np.testing.assert_array_equal(load(encode("WAV", "FLOAT", beyond)).samples, beyond)


def test_silence_and_dc_are_recordings_too() -> None:
    assert not load(encode("WAV", "PCM_16", np.zeros(RATE))).samples.any()
    assert np.unique(load(encode("WAV", "PCM_16", np.full(RATE, 0.25))).samples).tolist() == [0.25]


# --- lengths that headers promise ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "W64", "RF64"])
def test_truncated_uncompressed_file_says_how_much_is_there(kind: str) -> None:
    data = encode(kind, "PCM_16")
    cut = data[: len(data) - 48000]  # half of the 96,000 bytes of sound
    for read in (load, probe):
        with pytest.raises(AudioError, match=r"truncated: header says 3\.00 s, 1\.50 s could be read"):
            read(cut)


def test_truncated_flac() -> None:
    data = encode("FLAC", "PCM_16", signal(20))
    with pytest.raises(AudioError, match=r"header says 20\.00 s, (8|9)\.\d\d s could be read"):
        load(data[: len(data) // 2])
    pieces = stream(data[: len(data) // 2], block=2)
    assert [next(pieces).duration for _ in range(4)] == [2.0] * 4  # what could be read, then the error
    with pytest.raises(AudioError, match="truncated"):
        list(pieces)


def test_truncated_mp3_and_ogg() -> None:
    mp3 = encode("MP3")
    with pytest.raises(AudioError, match=r"truncated: header says 3\.\d\d s, 1\.5\d s could be read"):
        load(mp3[: len(mp3) // 2])
    for subtype in ("VORBIS", "OPUS"):
        ogg = encode("OGG", subtype, signal(20))
        with pytest.raises(AudioError, match="truncated"):
            load(ogg[: len(ogg) // 2])


def test_mp3_without_a_length_note_is_read_to_its_end() -> None:
    whole = encode("MP3", None, signal(20))
    first_frame = 144 // 2 * 64000 // RATE  # MPEG-2 at 64 kbit/s
    at = whole.index(b"\xff\xf3", 4)
    assert at == first_frame
    wave = load(whole[at:])  # the first frame holds the note and no sound
    assert wave.duration == pytest.approx(20, abs=0.15)
    half = whole[at : at + (len(whole) - at) // 2]
    said: list[str] = []
    assert load(half, on_break=said.append).duration == pytest.approx(10, abs=1)
    assert said == ["the given data is truncated: its last MP3 frame breaks off."]
    tagged = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) + whole[at:] + b"TAG" + bytes(125)
    assert load(tagged) == wave
    note = whole.index(b"Xing") if b"Xing" in whole else whole.index(b"Info")
    stopped = whole[: note + 8] + bytes(8) + whole[note + 16 :]  # its writer was stopped before it filled the note in
    assert load(stopped).duration == pytest.approx(20, abs=0.15)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_length_left_open_by_a_writer_to_a_pipe_is_no_lie(size: int) -> None:
    data = encode("WAV", "PCM_16")
    assert load(with_data_size(data, size)) == load(data)


@pytest.mark.parametrize(("size", "says"), [(1_000_000, "31.25"), (3_000_000_000, "93750.00")])
def test_header_that_promises_too_much(size: int, says: str) -> None:
    with pytest.raises(AudioError, match=rf"header says {says} s, 3\.00 s could be read"):
        load(with_data_size(encode("WAV", "PCM_16"), size))


def test_header_that_hides_sound() -> None:
    with pytest.raises(AudioError, match=r"says 1\.00 s, but 2\.00 s more follow"):
        load(with_data_size(encode("WAV", "PCM_16", signal() + 0.5), 32000))


def test_what_may_follow_the_sound() -> None:
    data = encode("WAV", "PCM_16", signal(0.2))
    for tail in (b"LIST" + struct.pack("<I", 9000) + bytes(9000), b"ID3\x04" + b"\xff" * 9000, bytes(9000)):
        assert load(data + tail) == load(data)


def test_flac_of_unknown_length() -> None:
    data = bytearray(encode("FLAC", "PCM_16"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # the total of samples in STREAMINFO
    assert probe(bytes(data)).duration is None
    assert load(bytes(data)) == load(encode("FLAC", "PCM_16"))
    assert load(bytes(data), offset=2.5, duration=5).duration == 0.5


SOME_OF_ALL = [encode(*kind[:2], signal(0.5)) for kind in [*LOSSLESS, *LOSSY]]


@settings(max_examples=150, deadline=None)
@given(
    data=st.sampled_from(SOME_OF_ALL),
    changes=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 255)), max_size=5),
    keep=st.floats(0.01, 1),
)
def test_damaged_bytes_give_sound_or_a_reason(data: bytes, changes: list[tuple[int, int]], keep: float) -> None:
    damaged = bytearray(data[: max(int(len(data) * keep), 1)])
    for place, value in changes:
        damaged[place % len(damaged)] = value
    try:
        says = repr(load(damaged))
    except AudioError as error:
        says = str(error)
    assert "the given data" in says or says.startswith("Waveform(")


def test_w64_with_an_absurd_chunk() -> None:
    data = bytearray(encode("W64"))
    data[56:64] = b"\xff" * 8  # the size of its fmt chunk
    with pytest.raises(AudioError):
        load(data)


# --- what is no recording --------------------------------------------------------------------------------------------


def test_missing_path_names_a_similar_file(tmp_path: Path) -> None:
    (tmp_path / "cheerful.wav").write_bytes(b"x")
    with pytest.raises(AudioError, match=r"no such file or folder: .*cherful\.wav.*did you mean 'cheerful\.wav'\?"):
        load(tmp_path / "cherful.wav")
    with pytest.raises(AudioError, match=r"no such file or folder: '.*quite_other\.mp3'\.$"):
        load(tmp_path / "quite_other.mp3")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"just some words\n" * 50, "is text, not audio"),
        ("<html>Grüße</html>".encode(), "is text, not audio"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "not an audio file of a known format"),
        (encode("WAV")[:20], "truncated or damaged"),
        (encode("WAV")[:44], "none follow"),
        (encode("WAV", samples=np.zeros(0)), "holds no samples"),
    ],
)
def test_files_that_are_no_recordings(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "named.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=says) as error:
        load(path)
    assert "named.wav" in str(error.value)
    assert "libsndfile" not in str(error.value).lower()


def test_folders_pipes_and_devices(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(AudioError, match="a path cannot contain a null byte"):
        load("a\0b.wav")
    if not hasattr(os, "mkfifo"):
        return
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", Path(os.devnull)):
        with pytest.raises(AudioError, match="pipe, socket or device"):  # and does not wait for a writer
            load(path)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.wav"
    path.write_bytes(encode("WAV"))

    def deny(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", deny)
        with pytest.raises(AudioError, match=r"no permission to read '.*locked\.wav'"):
            load(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", deny)
        with pytest.raises(AudioError, match=r"no permission to read .*rights of that folder"):
            find_audio(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_folder_without_permission(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "a.wav").write_bytes(encode("WAV"))
    inner.chmod(0)
    try:
        with pytest.raises(AudioError, match="no permission"):
            load(inner / "a.wav")
        with pytest.raises(AudioError, match="no permission"):
            find_audio(tmp_path, recursive=True)
    finally:
        inner.chmod(0o700)


def test_file_objects_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="opened as text"):
        load(io.StringIO("abc"))  # type: ignore[arg-type]
    closed = io.BytesIO(encode("WAV"))
    closed.close()
    with pytest.raises(AudioError, match="closed file"):
        load(closed)
    with pytest.raises(AudioError, match="cannot read audio from an object of type list"):
        load([0.0, 0.1])  # type: ignore[arg-type]


# --- arrays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "low", "middle", "half"),
    [
        ("int8", -128, 0, 64),
        ("uint8", 0, 128, 192),
        ("int16", -32768, 0, 16384),
        ("uint16", 0, 32768, 49152),
        ("int32", -(2**31), 0, 2**30),
        ("uint32", 0, 2**31, 3 * 2**30),
        ("int64", -(2**63), 0, 2**62),
        ("float16", -1, 0, 0.5),
        ("float32", -1, 0, 0.5),
        ("float64", -1, 0, 0.5),
        (">i2", -32768, 0, 16384),
    ],
)
def test_numbers_are_scaled_by_their_type(dtype: str, low: float, middle: float, half: float) -> None:
    array = np.array([low, middle, half] * 400, dtype=dtype)
    assert load(array, sample_rate=8000).samples[:3].tolist() == [-1.0, 0.0, 0.5]


def test_the_shorter_axis_is_the_channels() -> None:
    left, right = signal(1), signal(1)[::-1]
    expected = (left.astype(float) + right) / 2
    for array in (np.stack([left, right]), np.stack([left, right], axis=1)):
        np.testing.assert_allclose(load(array, sample_rate=RATE).samples, expected, rtol=0, atol=1e-7)
    assert load(left[None, :], sample_rate=RATE) == load(left[:, None], sample_rate=RATE)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((900, 900)), r"shape \(900, 900\)"),
        (np.zeros((2, 900, 2)), r"shape \(2, 900, 2\)"),
        (np.float32(3), r"shape \(\)"),
        (np.zeros(0), "no samples"),
        (np.zeros((0, 900)), "no samples"),
        (np.zeros(9000, dtype=bool), "dtype bool"),
        (np.zeros(9000, dtype=complex), "dtype complex128"),
        (np.full(9000, None), "dtype object"),
        (signal() * 32768, r"floats up to \d+.*divide them.*32768"),
        (signal(0.05), r"0\.050 s of sound: at least 0\.1 s"),
    ],
)
def test_arrays_that_are_no_recordings(array: np.ndarray, says: str) -> None:
    with pytest.raises(AudioError, match=says):
        load(array, sample_rate=RATE)


def test_rates() -> None:
    with pytest.raises(AudioError, match="give sample_rate="):
        load(signal())
    for rate in (3999, 192_001, 16000.5, True, float("nan"), "16000"):
        with pytest.raises(AudioError, match="sample_rate must be"):
            load(signal(), sample_rate=rate)  # type: ignore[arg-type]
    with pytest.raises(AudioError, match="target_rate must be"):
        load(signal(), sample_rate=RATE, target_rate=100)
    with pytest.raises(AudioError, match="sample rate of the given data must be"):
        load(encode("WAV", samples=signal(3, 2000), rate=2000))
    with pytest.raises(AudioError, match=r"sample_rate=16000 was given, but .* has 22050 Hz.*target_rate"):
        load(encode("WAV", rate=22050), sample_rate=16000)
    assert load(encode("WAV"), sample_rate=RATE).sample_rate == RATE
    assert load(signal(1, 4000), sample_rate=4000.0).sample_rate == 4000  # type: ignore[arg-type]
    assert load(signal(1, 192_000), sample_rate=192_000, target_rate=4000).duration == 1.0


def test_values_that_are_not_finite_are_counted_and_placed() -> None:
    bad = signal(20)
    bad[[160_000, 160_001, 200_000]] = np.nan, np.inf, -np.inf
    for source in (encode("WAV", "FLOAT", bad), encode("WAV", "DOUBLE", np.stack([bad, bad], axis=1))):
        with pytest.raises(AudioError, match=r"2 samples are NaN or infinite, first at 10\.000 s"):
            list(stream(source))
    with pytest.raises(AudioError, match=r"3 samples are NaN or infinite, first at 10\.000 s"):
        load(bad, sample_rate=RATE)
    assert load(bad, sample_rate=RATE, duration=9.9).duration == 9.9
    with pytest.raises(AudioError, match="NaN or infinite"):
        load(np.full(9000, 1e300), sample_rate=RATE)  # beyond float32


def test_offset_and_duration_are_checked() -> None:
    with pytest.raises(AudioError, match=r"nothing is left of .*3\.000 s long, from 3 s on"):
        load(encode("WAV"), offset=3)
    for bad in (-1, float("nan"), float("inf")):
        with pytest.raises(AudioError, match="offset must be"):
            load(encode("WAV"), offset=bad)
    for bad in (0, -1, float("nan")):
        with pytest.raises(AudioError, match="duration must be"):
            load(encode("WAV"), duration=bad)


# --- streaming and resampling ----------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    rate=st.sampled_from([8000, 11025, 16000, 44100]),
    target=st.sampled_from([None, 8000, 16000, 22050, 15999]),
    block=st.floats(0.1, 4),
    seconds=st.floats(0.1, 5),
)
def test_streamed_pieces_are_the_whole(rate: int, target: int | None, block: float, seconds: float) -> None:
    data = encode("WAV", "PCM_16", signal(seconds + 1 / rate, rate), rate)
    whole = load(data, target_rate=target)
    pieces = list(stream(data, target_rate=target, block=block))
    assert {piece.sample_rate for piece in pieces} == {target or rate}
    assert {len(piece.samples) for piece in pieces[:-1]} <= {round(block * (target or rate))}
    together = np.concatenate([piece.samples for piece in pieces])
    assert len(together) == len(whole.samples)
    np.testing.assert_allclose(together, whole.samples, rtol=0, atol=1e-4)


def test_stream_refuses_what_load_refuses() -> None:
    with pytest.raises(AudioError, match=r"at least 0\.1 s"):
        list(stream(signal(0.05), sample_rate=RATE))
    with pytest.raises(AudioError, match="block must be"):
        stream(signal(), sample_rate=RATE, block=0)  # at the call, not at the first piece


def test_two_hours_are_held_a_piece_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    seconds = 2 * 3600
    header = encode("WAV", "ULAW", np.zeros(0), 8000)
    header = with_data_size(header[: header.index(b"data") + 8], seconds * 8000)
    with path.open("wb") as file:
        file.write(header)
        file.seek(len(header) + seconds * 8000 - 8000)  # a sparse file: byte 0 is the lowest value of mu-law
        file.write(b"\xff" * 8000)  # and byte 255 is zero: the last second
    assert probe(path).duration == seconds
    tracemalloc.start()
    total, last = 0, None
    for piece in stream(path):
        total += len(piece.samples)
        last = piece
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == seconds * 8000
    assert peak < 8e6  # the whole would be 230 MB
    assert last is not None
    assert np.unique(last.samples[:-8000]).tolist() == [-32124 / 32768]
    assert not last.samples[-8000:].any()
    end = load(path, offset=seconds - 1.5, duration=1)
    assert np.flatnonzero(end.samples == 0)[0] == 4000


def test_resampling_keeps_a_tone() -> None:
    t = np.arange(44100) / 44100
    wave = resample(Waveform(np.sin(2 * np.pi * 440 * t).astype(np.float32), 44100), 16000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(wave.samples[1000:-1000], expected[1000:-1000], rtol=0, atol=1e-4)
    assert resample(wave, 16000) is wave


# --- PyAV ------------------------------------------------------------------------------------------------------------


def encode_av(kind: str, codec: str, rate: int = RATE, *, seconds: float = 3) -> bytes:
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        track = container.add_stream(codec, rate=rate)
        track.layout = "mono"
        convert = av.AudioResampler(format=track.codec_context.format, layout="mono", rate=rate)
        samples = signal(seconds)[None]
        for at in range(0, samples.shape[1] + 1, 30 * RATE):
            frame = av.AudioFrame.from_ndarray(samples[:, at : at + 30 * RATE].copy(), format="flt", layout="mono")
            frame.sample_rate = RATE
            for part in convert.resample(frame) if frame.samples else ():
                container.mux(track.encode(part))
        for part in convert.resample(None):
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "codec", "rate", "shown"),
    [
        ("mp4", "aac", RATE, "MP4/M4A"),
        ("adts", "aac", RATE, "AAC"),
        ("matroska", "aac", RATE, "WebM/Matroska"),
        ("webm", "libopus", 48000, "WebM/Matroska"),
    ],
)
def test_formats_of_telephones_and_browsers(kind: str, codec: str, rate: int, shown: str) -> None:
    data = encode_av(kind, codec, rate)
    info = probe(data)
    assert (info.format, info.sample_rate, info.channels) == (shown, rate, 1)
    assert info.duration == pytest.approx(3, abs=0.15)
    wave = load(data, target_rate=RATE)
    assert wave.duration == pytest.approx(3, abs=0.15)
    lag = np.correlate(wave.samples[:40000], signal()[4000:36000]).argmax()  # coders add a delay
    assert np.corrcoef(wave.samples[lag : lag + 32000], signal()[4000:36000])[0, 1] > 0.95
    part = load(data, offset=1, duration=0.5)
    np.testing.assert_array_equal(part.samples, load(data).samples[rate : rate + rate // 2])


def test_truncated_mp4(tmp_path: Path) -> None:
    late = encode_av("mp4", "aac")  # its table of contents stands at the end
    boxes = io.BytesIO(late)
    av = pytest.importorskip("av")
    with av.open(boxes) as source, av.open(str(tmp_path / "a.mp4"), "w", options={"movflags": "faststart"}) as target:
        if hasattr(target, "add_stream_from_template"):
            track = target.add_stream_from_template(source.streams.audio[0])
        else:  # PyAV 12
            track = target.add_stream(template=source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = track
                target.mux(packet)
    early = (tmp_path / "a.mp4").read_bytes()
    assert load(early).duration == pytest.approx(3, abs=0.15)
    for data in (late, early, encode_av("webm", "libopus", 48000, seconds=10)):
        with pytest.raises(AudioError, match="truncated"):
            load(data[: len(data) * 6 // 10])


def test_without_pyav_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "memo.m4a"
    path.write_bytes(b"\x00\x00\x00\x1cftypM4A " + bytes(100))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"Reading MP4/M4A .*memo\.m4a.*pip install 'serkit\[formats\]'"):
        load(path)


# --- Waveform --------------------------------------------------------------------------------------------------------


def test_waveform_is_closed_to_change() -> None:
    mine = signal(1)
    wave = Waveform(mine, RATE)
    mine[0] = 1
    assert wave.samples[0] != 1
    with pytest.raises(ValueError, match="read-only"):
        wave.samples[0] = 0
    assert repr(wave) == "Waveform(1.000 s, 16000 Hz)"


def test_digest_is_of_the_content_not_of_the_container() -> None:
    whole_numbers = (signal() * 32767).astype(np.int16)
    wave, same = load(encode("WAV", "PCM_16", whole_numbers)), load(encode("FLAC", "PCM_16", whole_numbers))
    assert wave.digest == hashlib.sha256(b"16000:" + wave.samples.tobytes()).hexdigest()
    assert same.digest == wave.digest
    assert Waveform(wave.samples, 8000).digest != wave.digest
    assert Waveform(wave.samples, 8000) != wave
    assert len({wave, same}) == 1


@pytest.mark.parametrize(
    "samples", [[0.0] * 9000, np.zeros(9000), np.zeros((2, 9000), np.float32), np.zeros(0, np.float32)]
)
def test_waveform_takes_float32_mono_only(samples: np.ndarray) -> None:
    with pytest.raises(AudioError, match="Waveform"):
        Waveform(samples, RATE)


def test_waveform_refuses_nan_and_odd_rates() -> None:
    with pytest.raises(AudioError, match="1 sample is NaN"):
        Waveform(np.array([0, np.nan], dtype=np.float32), RATE)
    with pytest.raises(AudioError, match="sample_rate must be"):
        Waveform(np.zeros(9000, dtype=np.float32), 100)


# --- Window ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(1, 30000),
    lead=st.integers(0, 12000),
    tail=st.integers(0, 12000),
    floor=st.sampled_from([0.0, 1e-5, 1e-2]),
    top_db=st.sampled_from([10, 20, 35.5, 60]),
)
def test_trim_is_librosas(seed: int, n: int, lead: int, tail: int, floor: float, top_db: float) -> None:
    effects = pytest.importorskip("librosa").effects
    rng = np.random.default_rng(seed)
    sound = np.concatenate([np.zeros(lead), rng.standard_normal(n) * rng.uniform(0.001, 0.5), np.zeros(tail)])
    sound = (sound + floor * rng.standard_normal(len(sound))).astype(np.float32)
    expected, _ = effects.trim(sound, top_db=top_db)
    np.testing.assert_array_equal(Window(trim_db=top_db).apply(Waveform(sound, RATE)).samples, expected)


def test_trim_keeps_silence() -> None:
    silence = Waveform(np.zeros(9000, dtype=np.float32), RATE)
    assert Window(trim_db=20, level="rms").apply(silence) == silence


def test_window_levels() -> None:
    wave = Waveform(signal(), RATE)
    assert np.abs(Window(level="peak").apply(wave).samples).max() == pytest.approx(1, abs=1e-6)
    rms = np.sqrt(np.mean(np.square(Window(level="rms").apply(wave).samples, dtype=np.float64)))
    assert 20 * np.log10(rms) == pytest.approx(-20, abs=1e-4)
    assert Window().apply(wave) == wave


def test_window_order_is_offset_trim_level_length() -> None:
    sound = np.concatenate([np.full(8000, 0.9), np.zeros(8192), np.full(8192, 0.1), np.zeros(8000)])
    wave = Waveform(sound.astype(np.float32), RATE)
    cut = Window(offset=0.5, trim_db=30, level="peak", length=1.0).apply(wave)
    assert cut.duration == 1.0
    assert cut.samples.max() == pytest.approx(1.0)  # of what is left, not of the 0.9 before the offset
    voice = np.flatnonzero(cut.samples)
    assert 0 < voice[0] <= 2048
    assert voice[-1] - voice[0] == 8191
    assert not cut.samples[voice[-1] + 1 :].any()  # padded
    short = Window(length=0.25).apply(wave)
    np.testing.assert_array_equal(short.samples, wave.samples[:4000])


def test_window_that_leaves_nothing() -> None:
    with pytest.raises(AudioError, match=r"nothing is left of a clip of 3\.000 s from 3 s on"):
        Window(offset=3).apply(Waveform(signal(), RATE))


@pytest.mark.parametrize(
    "values",
    [
        {"offset": -0.1},
        {"offset": None},
        {"offset": "1"},
        {"trim_db": 0},
        {"trim_db": float("nan")},
        {"length": -3},
        {"length": float("inf")},
        {"length": True},
        {"level": "loud"},
    ],
)
def test_impossible_windows(values: dict[str, object]) -> None:
    with pytest.raises(AudioError, match=f"{next(iter(values))} of a Window must be"):
        Window(**values)  # type: ignore[arg-type]


def test_window_dictionary() -> None:
    window = Window(offset=0.5, trim_db=30, level="rms", length=3)
    assert window.to_dict() == {"offset": 0.5, "trim_db": 30, "level": "rms", "length": 3}
    assert Window.from_dict(window.to_dict()) == window
    assert Window.from_dict({}) == Window()
    with pytest.raises(AudioError, match=r"no 'lenght': it has offset, trim_db, level, length"):
        Window.from_dict({"lenght": 3})


# --- folders ---------------------------------------------------------------------------------------------------------


def test_find_audio(tmp_path: Path) -> None:
    for name in ("b.WAV", "a.flac", "notes.txt", ".hidden.wav", "sub/c.mp3", "sub/.git/d.wav", "a/e.ogg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert find_audio(tmp_path) == [tmp_path / "a.flac", tmp_path / "b.WAV"]
    names = [path.relative_to(tmp_path).as_posix() for path in find_audio(str(tmp_path), recursive=True)]
    assert names == ["a.flac", "a/e.ogg", "b.WAV", "sub/c.mp3"]
    assert find_audio(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]


def test_find_audio_has_nothing_to_give(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file or folder"):
        find_audio(tmp_path / "nowhere")
    with pytest.raises(AudioError, match=r"no recording in .*, no file at all\.$") as error:
        find_audio(tmp_path)
    assert "recursive" not in str(error.value)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.wav").write_bytes(b"x")
    with pytest.raises(AudioError, match="sub-folders hold some: add --recursive"):
        find_audio(tmp_path)


# --- real recordings -------------------------------------------------------------------------------------------------


@pytest.mark.ravdess
def test_real_clips(ravdess_dir: Path, crema_dir: Path) -> None:
    for path in find_audio(ravdess_dir / "speech", recursive=True)[::400]:
        expected, rate = sf.read(path, dtype="float32")
        wave = load(path)
        assert (wave.sample_rate, probe(path).duration) == (rate, len(expected) / rate)
        np.testing.assert_array_equal(wave.samples, expected)
    for path in find_audio(crema_dir, recursive=True)[::2000]:
        pieces = list(stream(path, target_rate=16000, block=1))
        whole = load(path, target_rate=16000)
        np.testing.assert_allclose(np.concatenate([p.samples for p in pieces]), whole.samples, rtol=0, atol=1e-4)
