"""What a folder holds: recordings by content, whatever their names; the rest is skipped and counted."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from serkit import audio
from serkit.app import clips
from serkit.audio.folders import scan
from serkit.audio.signatures import HEAD, container, is_recording
from serkit.corpora.files import list_audio
from serkit.errors import AudioError
from serkit.recognition.inputs import find_inputs
from tests.conftest import Ser, voice
from tests.tiny_models import write_tiny

RATE = 16000
VOICE = voice(3, 1, seconds=1.5)


def encoded(kind: str, subtype: str = "PCM_16", rate: int = RATE) -> bytes:
    file = io.BytesIO()
    sf.write(file, VOICE, rate, format=kind, subtype=subtype)
    return file.getvalue()


def by_ffmpeg(kind: str, codec: str, rate: int = RATE) -> bytes:
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as film:
        track = film.add_stream(codec, rate=rate)
        track.layout = "mono"
        if codec == "wmav2":
            track.bit_rate = 64_000
        convert = av.AudioResampler(format=track.codec_context.format, layout="mono", rate=rate)
        frame = av.AudioFrame.from_ndarray(VOICE[None], format="flt", layout="mono")
        frame.sample_rate = RATE
        for piece in (frame, None):
            for part in convert.resample(piece):
                film.mux(track.encode(part))
        film.mux(track.encode(None))
    return buffer.getvalue()


#: Name in the folder -> content that is a recording.
LIBSNDFILE = {
    "call.sph": ("NIST", "PCM_16"),
    "song.mpga": ("MP3", "MPEG_LAYER_III"),
    "no suffix": ("WAV", "PCM_16"),
    "voc.dat": ("VOC", "PCM_16"),
    "ircam.sf": ("IRCAM", "PCM_16"),
    "big.wav64": ("W64", "PCM_16"),
    "apple.x": ("CAF", "PCM_16"),
    "old.aiff.bak": ("AIFF", "PCM_16"),
    "sun": ("AU", "PCM_16"),
    "voice.note": ("OGG", "OPUS"),
    "lossless.1": ("FLAC", "PCM_16"),
}
FFMPEG = {
    "dictation.WMA": ("asf", "wmav2", 44100, "WMA/ASF"),
    "camera.avi": ("avi", "pcm_s16le", RATE, "AVI"),
    "stream.ts": ("mpegts", "aac", RATE, "MPEG-TS"),
    "film.FLV": ("flv", "aac", 44100, "FLV"),
    "dolby.ac3": ("ac3", "ac3", 48000, "AC3"),
    "dolby.eac3": ("eac3", "eac3", 48000, "E-AC3"),
    "dolby 44": ("ac3", "ac3", 44100, "AC3"),
    "book.m4b": ("mp4", "aac", RATE, "MP4/M4A"),
    "bare aac": ("adts", "aac", RATE, "AAC"),
    "wavpack": ("wv", "wavpack", RATE, "WavPack"),
}
OTHERS = {
    "notes.txt": b"What was said on Monday\n",
    "labels.csv": b"path,emotion\na.wav,sad\n",
    "info.json": b'{"a": 1}',
    "page.html": b"<!doctype html><html>",
    "cover.png": b"\x89PNG\r\n\x1a\n" + bytes(50),
    "cover.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(50),
    "cover.webp": b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(50),
    "photo.heic": b"\x00\x00\x00\x18ftypheic" + bytes(50),
    "utf16": "Notes".encode("utf-16"),
    "paper.pdf": b"%PDF-1.7\n",
    "packed.zip": b"PK\x03\x04" + bytes(50),
    "array.npy": b"\x93NUMPY\x01\x00",
    "program": b"\x7fELF" + bytes(50),
    "nothing": b"",
    "ones": b"\xff" * 5000,
    "letters": b"G" * 3 + b"o" * 600,
}


@pytest.mark.parametrize("name", LIBSNDFILE)
def test_what_libsndfile_reads_is_found_by_content(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(encoded(*LIBSNDFILE[name]))
    assert audio.find_audio(tmp_path) == [tmp_path / name]
    assert audio.load(tmp_path / name).duration == pytest.approx(1.5, abs=0.15)


@pytest.mark.parametrize("name", FFMPEG)
def test_what_ffmpeg_reads_is_found_and_read(tmp_path: Path, name: str) -> None:
    kind, codec, rate, shown = FFMPEG[name]
    data = by_ffmpeg(kind, codec, rate)
    (tmp_path / name).write_bytes(data)
    assert container(data[:HEAD]) == shown
    assert audio.find_audio(tmp_path) == [tmp_path / name]
    assert audio.load(tmp_path / name).duration == pytest.approx(1.5, abs=0.15)


def test_mp2_is_found_under_any_name(tmp_path: Path) -> None:
    data = by_ffmpeg("mp2", "mp2")
    for name in ("radio.mp2", "radio"):
        (tmp_path / name).write_bytes(data)
    assert audio.find_audio(tmp_path) == [tmp_path / "radio", tmp_path / "radio.mp2"]
    assert audio.load(tmp_path / "radio").duration == pytest.approx(1.5, abs=0.15)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_recording_is_skipped(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(OTHERS[name])
    found = scan(tmp_path)
    assert (found.recordings, found.skipped) == ([], [tmp_path / name])
    with pytest.raises(AudioError, match=r"no recording in .*, 1 other file \(.*\)\.$"):
        audio.find_audio(tmp_path)


def test_random_bytes_are_seldom_taken_for_a_recording() -> None:
    data = np.random.default_rng(0).integers(0, 256, (20_000, 600), dtype=np.uint8)
    taken = sum(is_recording(row.tobytes()) for row in data)
    assert taken <= 2
    data[:, 0], data[:, 1] = 0xFF, 0xFB  # one frame of an MP3 is not enough: a second has to follow
    assert sum(is_recording(row.tobytes()) for row in data) < 20


def test_ser_predict_answers_them_and_names_the_rest(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "tiny")
    folder = tmp_path / "mix"
    folder.mkdir()
    (folder / "a.wav").write_bytes(encoded("WAV"))
    for name, (kind, subtype) in LIBSNDFILE.items():
        (folder / name).write_bytes(encoded(kind, subtype))
    for name, data in OTHERS.items():
        (folder / name).write_bytes(data)
    (folder / ".hidden").write_bytes(b"x")
    code, out, err = ser("predict", "mix", "-m", "tiny", "--json")
    assert code == 0
    assert [row["path"] for row in json.loads(out)] == sorted(f"mix/{name}" for name in ["a.wav", *LIBSNDFILE])
    first = ", ".join(f"mix/{name}" for name in sorted(OTHERS)[:5])
    assert err == f"ser: {len(OTHERS)} files were skipped (no recordings): {first} and {len(OTHERS) - 5} more.\n"
    assert ser("predict", "mix/a.wav", "-m", "tiny", "--json")[2] == ""


def test_a_broken_file_with_the_name_of_a_recording_is_a_failure(ser: Ser, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "tiny")
    (tmp_path / "mix").mkdir()
    (tmp_path / "mix" / "a.wav").write_bytes(encoded("WAV"))
    (tmp_path / "mix" / "b.wav").write_bytes(b"This is text.")
    code, _, err = ser("predict", "mix", "-m", "tiny")
    assert (code, "'mix/b.wav' is text, not audio" in err, "skipped" in err) == (1, True, False)


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    sound = encoded("WAV")
    for name in ("root/a/one.wav", "elsewhere/two.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(sound)
    root = tmp_path / "root"
    (root / "a" / "up").symlink_to(root)  # leads back up
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "linked again").symlink_to(tmp_path / "elsewhere")
    (root / "broken").symlink_to(tmp_path / "nowhere")
    want = ["a/one.wav", "linked/two.wav"]
    assert [path.relative_to(root).as_posix() for path in audio.find_audio(root, recursive=True)] == want
    assert [Path(str(path)).relative_to(root).as_posix() for path in find_inputs([root], recursive=True)] == want
    assert list_audio(root) == want


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert scan(tmp_path).skipped == [tmp_path / "pipe"]


def test_a_corpus_goes_by_suffix(tmp_path: Path) -> None:
    """CREMA-D keeps each utterance a second time, as a film."""
    (tmp_path / "a.wav").write_bytes(encoded("WAV"))
    (tmp_path / "a.flv").write_bytes(b"FLV\x01" + bytes(100))
    (tmp_path / "b.MP2").write_bytes(b"x")
    assert list_audio(tmp_path) == ["a.wav", "b.MP2"]
    assert len(audio.find_audio(tmp_path)) == 3


def test_a_zip_goes_by_content_too() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("no suffix", encoded("WAV"))
        archive.writestr("notes.txt", "Notes")

    class Upload:
        name, file_id = "x.zip", "x"

        def getvalue(self) -> bytes:
            return file.getvalue()

    found, problem = clips.unpacked(Upload())
    assert ([clip.name for clip in found], problem) == (["no suffix"], None)
