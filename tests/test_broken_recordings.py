"""Recordings that break off or were joined: what is there is answered and marked, and refused only if that is asked."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

import serkit
from serkit.audio import load, mp3, probe, stream
from serkit.audio.breaks import ogg_links
from serkit.audio.mp3 import mp3_note
from serkit.audio.virtual_file import VirtualFile
from serkit.errors import AudioError, TruncatedError
from tests.conftest import Ser, voice
from tests.known_speech import timeline_of
from tests.test_audio import encode, encode_av, signal, with_data_size
from tests.tiny_models import write_adaptable

RATE = 16000
CASES = Path(__file__).with_name("cases")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> serkit.Recognizer:
    folder = tmp_path_factory.mktemp("broken") / "tiny"
    write_adaptable(folder)
    return serkit.load(folder)


def lossless(kind: str) -> bytes:
    return encode(kind, "PCM_16", signal(10))


def cut(data: bytes) -> bytes:
    return data[: len(data) * 618 // 1000]


def until_error(items: Iterable[Any]) -> tuple[list[Any], TruncatedError | None]:
    """What comes before the recording is said to break off."""
    got = []
    try:
        for item in items:
            got.append(item)
    except TruncatedError as error:
        return got, error
    return got, None


CONTAINERS: list[tuple[str, Callable[[], bytes]]] = [
    *((kind, lambda kind=kind: lossless(kind)) for kind in ("WAV", "AIFF", "AU", "W64", "RF64", "FLAC")),
    *((kind, lambda kind=kind: encode("OGG", kind, signal(10))) for kind in ("VORBIS", "OPUS")),
    ("MP3", lambda: encode("MP3", None, signal(10))),
    ("AAC", lambda: encode_av("adts", "aac", seconds=10)),
    ("AMR", lambda: encode_av("amr", "libopencore_amrnb", 8000, seconds=10)),
    ("WebM", lambda: encode_av("webm", "libopus", 48000, seconds=10)),
    ("Matroska", lambda: encode_av("matroska", "aac", seconds=10)),
]


@pytest.mark.parametrize(("kind", "made"), CONTAINERS, ids=[kind for kind, _ in CONTAINERS])
def test_what_could_be_read_is_given_and_the_break_is_told(kind: str, made: Callable[[], bytes]) -> None:
    if kind == "AMR":
        codecs = pytest.importorskip("av").codecs_available
        if "libopencore_amrnb" not in codecs:
            pytest.skip("this FFmpeg writes no AMR")
    whole, said = load(made(), on_break=lambda reason: pytest.fail(reason)), list[str]()
    part = load(cut(made()), on_break=said.append)
    assert 5.5 < part.duration < 6.4 or kind == "AMR"  # whose packets differ in size
    assert part.duration < 0.8 * whole.duration
    assert part.duration > 6.15 or kind != "AAC"  # to the last packet before the damage, 64 ms each
    same = len(part.samples) - whole.sample_rate // 4  # the last packet may sound otherwise
    np.testing.assert_allclose(part.samples[:same], whole.samples[:same], atol=2e-3)
    assert len(said) == 1
    assert "truncated" in said[0]
    with pytest.raises(TruncatedError) as caught:
        load(cut(made()))
    assert str(caught.value) == said[0]
    assert load(cut(made()), duration=2).duration == 2.0  # all that was asked for is there
    pieces = list(stream(cut(made()), block=1, on_break=said.append))
    np.testing.assert_array_equal(np.concatenate([piece.samples for piece in pieces]), part.samples)
    assert said[1] == said[0]


def test_a_strict_stream_gives_all_that_is_there_before_it_raises() -> None:
    pieces, error = until_error(stream(cut(lossless("WAV")), block=2))
    assert str(error) == "the given data is truncated: header says 10.00 s, 6.18 s could be read."
    assert [piece.duration for piece in pieces] == [2.0, 2.0, 2.0, pytest.approx(0.18, abs=0.01)]


def test_webm_as_browsers_write_it_says_nothing_of_its_length_and_is_still_seen_to_break_off() -> None:
    pytest.importorskip("av")
    data = bytearray(encode_av("webm", "libopus", 48000, seconds=10))
    segment = data.index(b"\x18\x53\x80\x67")
    data[segment + 4 : segment + 12] = b"\x01" + b"\xff" * 7
    duration = data.index(b"\x44\x89")
    data[duration : duration + 2] = b"\xec\x88"[:2]  # a void element in place of the duration
    at = 0
    while (at := data.find(b"\x1f\x43\xb6\x75", at)) >= 0:
        width = 9 - data[at + 4].bit_length()
        data[at + 4 : at + 4 + width] = bytes([(1 << (9 - width)) - 1]) + b"\xff" * (width - 1)
        at += 4
    said: list[str] = []
    assert load(bytes(data), on_break=said.append).duration == pytest.approx(10, abs=0.05)
    assert said == []
    assert load(cut(bytes(data)), on_break=said.append).duration == pytest.approx(6.1, abs=0.2)
    assert said == ["the given data is truncated: its end is missing."]


def test_what_is_left_may_be_too_little() -> None:
    data = lossless("WAV")
    for read in (load, lambda source, on_break: list(stream(source, on_break=on_break))):
        with pytest.raises(TruncatedError, match=r"header says 10\.00 s, 0\.05 s could be read"):
            read(data[: 44 + 1600], on_break=lambda reason: None)


def test_probe_tells_what_the_header_gives_away() -> None:
    said: list[str] = []
    info = probe(cut(lossless("WAV")), on_break=said.append)
    assert info.duration == pytest.approx(6.18, abs=0.01)
    assert len(said) == 1
    with pytest.raises(TruncatedError):
        probe(cut(lossless("WAV")))


# --- joined ----------------------------------------------------------------------------------------------------------


def test_joined_mp3s_are_read_to_the_end() -> None:
    first, second = encode("MP3", None, signal(3)), encode("MP3", None, 0.5 * signal(2))
    tags = b"TAG" + bytes(125) + b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)
    for between in (b"", tags):
        wave = load(first + between + second)
        assert wave.duration == 5.0
        np.testing.assert_array_equal(wave.samples[: 3 * RATE], load(first).samples)
        np.testing.assert_array_equal(wave.samples[3 * RATE :], load(second).samples)
    np.testing.assert_array_equal(load(first + second, offset=2.5, duration=1).samples, wave.samples[40000:56000])
    assert probe(first + second).duration == 5.0


def test_joined_mp3s_of_other_rates() -> None:
    wave = load(encode("MP3", None, signal(3)) + encode("MP3", None, signal(2, 44100), 44100))
    assert (wave.sample_rate, wave.duration) == (RATE, pytest.approx(5, abs=0.01))


def test_all_links_of_a_chained_ogg_are_read() -> None:
    vorbis, opus = encode("OGG", "VORBIS", signal(3)), encode("OGG", "OPUS", signal(2))
    stereo = encode("OGG", "VORBIS", np.stack([signal(1, 44100)] * 2, axis=1), 44100)
    chain = vorbis + opus + stereo
    edges = [0, len(vorbis), len(vorbis) + len(opus), len(chain)]
    assert ogg_links(io.BytesIO(chain), len(chain)) == list(pairwise(edges))
    assert ogg_links(io.BytesIO(vorbis), len(vorbis)) == []
    wave = load(chain)
    assert (wave.sample_rate, wave.duration) == (RATE, pytest.approx(6, abs=0.01))
    np.testing.assert_array_equal(wave.samples[: 3 * RATE], load(vorbis).samples)
    np.testing.assert_array_equal(wave.samples[3 * RATE : 5 * RATE], load(opus).samples)
    assert np.corrcoef(wave.samples[-RATE:-100], signal(1)[:-100])[0, 1] > 0.9


def test_a_link_that_breaks_off_does_not_hide_the_next() -> None:
    first, second = encode("OGG", "OPUS", signal(20)), encode("OGG", "OPUS", signal(2))
    said: list[str] = []
    wave = load(cut(first) + second, on_break=said.append)
    np.testing.assert_array_equal(wave.samples[-2 * RATE :], load(second).samples)
    assert 12 < wave.duration < 15
    assert said == ["the given data is truncated: its last Ogg page breaks off."]
    with pytest.raises(TruncatedError):
        load(cut(first) + second)


# --- what must not cost much, or print ------------------------------------------------------------------------------


def test_a_run_of_0xff_after_mp3_frames_is_skipped_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encode("MP3", None, signal(3))
    frames = whole[whole.index(b"\xff\xf3", 4) :]  # without the note
    looked_at: list[bytes] = []
    real = mp3._frame
    monkeypatch.setattr(mp3, "_frame", lambda head: looked_at.append(head) or real(head))
    note, broken = mp3_note(io.BytesIO(frames + b"\xff" * 3_000_000), len(frames) + 3_000_000, 0)
    assert not broken
    plain, _ = mp3_note(io.BytesIO(frames), len(frames), 0)
    at = note.index(b"Info")
    assert note[at + 8 : at + 12] == plain[at + 8 : at + 12]  # how many frames there are
    assert len(looked_at) < 500


def test_seeks_to_nowhere_and_errors_of_the_file_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    view = VirtualFile(io.BytesIO(bytes(10)))
    assert [view.seek(4), view.seek(-9, 1), view.seek(-1), view.seek(0, 7), view.seek(1 << 63)] == [4] * 5
    assert (view.read(3), view.read(99), view.read(-1), view.tell()) == (bytes(3), bytes(3), b"", 10)

    class Failing(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            if self.tell() > 60_000:
                raise OSError(5, "Input/output error")
            return super().read(count)

    with pytest.raises(AudioError, match=r"^cannot read the file object: Input/output error\.$"):
        load(Failing(lossless("WAV")))
    assert capfd.readouterr() == ("", "")


def test_ctrl_c_while_libsndfile_reads_is_not_lost() -> None:
    class Interrupted(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            if self.tell() > 60_000:
                raise KeyboardInterrupt
            return super().read(count)

    with pytest.raises(KeyboardInterrupt):
        load(Interrupted(lossless("WAV")))


@pytest.mark.parametrize("error", [ZeroDivisionError("0"), OverflowError("big"), MemoryError(), TypeError("cffi")])
def test_whatever_a_decoder_raises_is_an_audio_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **rest: object) -> None:
        raise error

    data = lossless("WAV")
    monkeypatch.setattr(sf.SoundFile, "read", fail)
    says = "needs more memory" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}"
    with pytest.raises(AudioError, match=f"^the given data .*{says}"):
        load(data)
    monkeypatch.setattr(sf.SoundFile, "__init__", fail)
    for read in (load, probe, lambda source: list(stream(source))):
        with pytest.raises(AudioError, match=f"^the given data .*{says}"):
            read(data)


def test_a_header_that_says_there_is_no_sound() -> None:
    with pytest.raises(AudioError, match=r"wrong about its length: it says 0\.00 s, but 1\.00 s more follow"):
        load(CASES / "zero-in-header.w64")


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_truncated_recording_is_answered_and_marked(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    sound = voice(3, 1, seconds=25)
    sf.write(tmp_path / "a.wav", sound, RATE)
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(data[: 44 + 2 * 15 * RATE])  # lacks its last 10 s
    sf.write(tmp_path / "short.wav", sound[: 15 * RATE], RATE)
    marked, whole = tiny.predict(tmp_path / "a.wav"), tiny.predict(tmp_path / "short.wav")
    assert marked.warnings == ("truncated",)
    assert (marked.end, marked.probabilities) == (15.0, whole.probabilities)
    assert "truncated" not in whole.warnings
    with pytest.raises(TruncatedError, match=r"header says 25\.00 s, 15\.00 s could be read"):
        tiny.predict(tmp_path / "a.wav", strict=True)
    rows = tiny.predict(tmp_path, strict=True)
    assert [row.error is None for row in rows] == [False, True]
    assert [row.error for row in tiny.predict(tmp_path)] == [None, None]


def test_a_timeline_is_answered_to_the_break(tiny: serkit.Recognizer) -> None:
    sound = voice(3, 1, seconds=70)
    data = encode("WAV", "PCM_16", sound)[: 44 + 2 * 64 * RATE + RATE]  # 64.5 s, two blocks and a rest
    found = timeline_of(tiny, data)
    assert found.error == "the given data is truncated: header says 70.00 s, 64.50 s could be read."
    whole = timeline_of(tiny, encode("WAV", "PCM_16", sound[: 64 * RATE + RATE // 2]))
    assert (found.segments, whole.error) == (whole.segments, None)
    assert found.segments[-1].end == found.duration == 64.5
    with pytest.raises(TruncatedError, match=r"64\.50 s could be read"):
        timeline_of(tiny, data, strict=True)


def test_explanations_are_marked_and_profiles_tell(tiny: serkit.Recognizer) -> None:
    data = encode("WAV", "PCM_16", voice(3, 1, seconds=8))
    broken = data[: 44 + 2 * 6 * RATE]
    found = tiny.explain(broken)
    assert "truncated" in found.prediction.warnings
    assert found.prediction.end == 6.0
    assert "truncated" not in tiny.explain(data).prediction.warnings
    with pytest.raises(TruncatedError):
        tiny.enrol(broken)
    said: list[str] = []
    assert tiny.enrol(broken, on_break=said.append) == tiny.enrol(
        encode("WAV", "PCM_16", voice(3, 1, seconds=8)[: 6 * RATE])
    )
    assert said == ["the given data is truncated: header says 8.00 s, 6.00 s could be read."]


def test_an_unexpected_error_is_a_row_and_ctrl_c_is_not(
    tiny: serkit.Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tiny.listen

    def listen(source: Any, *args: Any, **rest: Any) -> Any:
        if isinstance(source, BaseException):
            raise source
        return real(source, *args, **rest)

    monkeypatch.setattr(tiny, "listen", listen)
    good = encode("WAV", "PCM_16", voice(3, 1))
    rows = tiny.predict([ZeroDivisionError("by zero"), good, MemoryError()])  # type: ignore[list-item]
    assert [row.error for row in rows] == [
        "It could not be answered (ZeroDivisionError: by zero).",
        None,
        "Not enough memory to answer this recording.",
    ]
    with pytest.raises(KeyboardInterrupt):
        tiny.predict([good, KeyboardInterrupt()])  # type: ignore[list-item]


# --- the command line ------------------------------------------------------------------------------------------------


def test_a_folder_of_good_and_damaged_files(ser: Ser, tiny: serkit.Recognizer, tmp_path: Path) -> None:
    folder = tmp_path / "mix"
    folder.mkdir()
    for name in ("pcm-7.1.mkv", "zero-in-header.w64"):
        (folder / name).write_bytes((CASES / name).read_bytes())
    damaged = bytearray(encode_av("mp4", "aac"))
    at = damaged.index(b"moov")
    damaged[at + 8 : at + 300] = b"\xff" * 292  # its table of contents
    (folder / "damaged.m4a").write_bytes(damaged)
    sf.write(folder / "good.wav", voice(3, 1), RATE)
    code, out, err = ser("predict", folder, "-m", tiny.bundle.path, "--json")
    rows = {Path(row["path"]).name: row for row in json.loads(out)}
    assert code == 1
    assert [name for name, row in rows.items() if not row.get("error")] == ["good.wav", "pcm-7.1.mkv"]
    assert "2 of 4 inputs failed" in err
    assert "damaged.m4a' is MP4/M4A without a sound track" in err
    assert "zero-in-header.w64' is wrong about its length" in err


def test_truncated_files_on_the_command_line(ser: Ser, tiny: serkit.Recognizer, tmp_path: Path) -> None:
    data = encode("WAV", "PCM_16", voice(3, 1, seconds=4))
    (tmp_path / "cut.wav").write_bytes(data[: 44 + 2 * 3 * RATE])
    (tmp_path / "good.wav").write_bytes(data)
    model = ("-m", tiny.bundle.path)
    code, _, err = ser("predict", tmp_path, *model, "--csv", tmp_path / "rows.csv")
    rows = list(csv.DictReader((tmp_path / "rows.csv").open(encoding="utf-8")))
    assert (code, [row["error"] for row in rows]) == (1, ["", ""])
    assert "1 input is truncated, of 2" in err
    assert "cut.wav: It breaks off after 3.00 s." in err
    assert ser("predict", tmp_path / "good.wav", *model)[0] == 0
    code, _, err = ser("predict", tmp_path, *model, "--strict", "--json")
    assert code == 1
    assert "1 of 2 inputs failed" in err
    code, _, err = ser("enrol", tmp_path / "cut.wav", *model, "--json")
    assert (code, "What could be read was used." in err) == (1, True)
    assert ser("enrol", tmp_path / "cut.wav", *model, "--json", "--strict")[0] == 2
    code, _, err = ser("explain", tmp_path / "cut.wav", *model, "--json")
    assert (code, "is truncated" in err) == (1, True)


def test_wrong_lengths_of_writers_to_a_pipe_are_no_breaks(tiny: serkit.Recognizer) -> None:
    data = encode("WAV", "PCM_16", voice(3, 1))
    assert tiny.predict(with_data_size(data, 0xFFFFFFFF), strict=True).probabilities == tiny.predict(data).probabilities
