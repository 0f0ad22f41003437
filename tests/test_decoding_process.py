"""The process that decodes with FFmpeg: what it gives, and that a crash, a hang or a fork costs no other recording."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serkit.audio import load, probe, pyav, stream, worker
from serkit.errors import AudioError, TruncatedError
from tests.test_audio import encode, encode_av
from tests.test_audio import signal as tone

av = pytest.importorskip("av")

CASES = Path(__file__).with_name("cases")
SURROUND = CASES / "pcm-7.1.mkv"


@pytest.fixture(autouse=True)
def _fresh_processes() -> Iterator[None]:
    worker._end_all()
    yield
    worker._end_all()


def test_eight_channels_are_their_mean_to_the_bit() -> None:
    info = probe(SURROUND)
    assert (info.sample_rate, info.channels, info.duration) == (48000, 8, pytest.approx(1.0, abs=0.03))
    with av.open(str(SURROUND)) as container:
        frames = [bytes(frame.planes[0]) for frame in container.decode(audio=0)]
        kind = {"s16": "<i2", "s32": "<i4"}[container.streams.audio[0].format.name]
    packed = np.frombuffer(b"".join(frames), dtype=kind).reshape(-1, 8)
    scaled = (packed / 2.0 ** (8 * packed.dtype.itemsize - 1)).astype(np.float32)
    want = scaled.mean(axis=1, dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(load(SURROUND).samples, want)
    np.testing.assert_array_equal(load(SURROUND, offset=0.25, duration=0.5).samples, want[12000:36000])


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_planar_sound_of_any_number_of_channels(channels: int) -> None:
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[channels]
    buffer = io.BytesIO()
    sound = np.stack([tone(0.5, 48000)] * channels)
    with av.open(buffer, "w", format="matroska") as container:
        track = container.add_stream("aac", rate=48000)
        track.layout = layout
        frame = av.AudioFrame.from_ndarray(sound.T.reshape(1, -1).copy(), format="flt", layout=layout)
        frame.sample_rate = 48000
        convert = av.AudioResampler(format="fltp", layout=layout, rate=48000)
        for part in convert.resample(frame):
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    wave = load(buffer.getvalue())
    assert probe(buffer.getvalue()).channels == channels
    assert wave.duration == pytest.approx(0.5, abs=0.1)
    lag = np.correlate(wave.samples[:12000], sound[0, 4000:10000]).argmax()  # the coder adds a delay
    assert np.corrcoef(wave.samples[lag : lag + 6000], sound[0, 4000:10000])[0, 1] > 0.9


def test_what_libsndfile_refuses_ffmpeg_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    path = CASES / "opus-libsndfile-refuses.opus"
    wave = load(path)
    assert (wave.sample_rate, wave.duration) == (48000, pytest.approx(1.0, abs=0.02))
    assert np.abs(wave.samples).max() > 0.01
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        AudioError, match=r"cannot be decoded .* FFmpeg may read it: run pip install 'serkit\[formats\]'"
    ):
        load(path)


@pytest.mark.parametrize(
    ("kind", "codec", "rate", "shown"),
    [
        ("avi", "pcm_s16le", 16000, "AVI"),
        ("mpegts", "aac", 16000, "MPEG-TS"),
        ("flv", "aac", 44100, "FLV"),
        ("ac3", "ac3", 48000, "AC3"),
    ],
)
def test_containers_of_films_and_broadcasts(kind: str, codec: str, rate: int, shown: str) -> None:
    data = encode_av(kind, codec, rate)
    assert probe(data).format == shown
    assert load(data).duration == pytest.approx(3, abs=0.15)


def test_damaged_streams_give_a_reason() -> None:
    with pytest.raises(AudioError, match=r"damaged\.aac' is truncated or damaged after 0\.0\d s"):
        load(CASES / "damaged.aac", on_break=lambda reason: None)


def script(path: Path, body: str) -> Path:
    """A decoding process that does `body` when it is asked for the first time."""
    path.write_text(f"import os, sys, time\nsys.stdin.readline()\n{body}\n")
    return path


def test_a_crash_costs_one_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pyav._SCRIPT
    monkeypatch.setattr(pyav, "_SCRIPT", script(tmp_path / "crash.py", "os.kill(os.getpid(), 11)"))
    with pytest.raises(AudioError, match=r"pcm-7\.1\.mkv' looks like .* damaged \(its decoder crashed, signal 11\)"):
        load(SURROUND)
    monkeypatch.setattr(pyav, "_SCRIPT", whole)
    assert load(SURROUND).duration == 1.0


def test_a_crash_within_a_recording_is_a_reason_too(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_av("matroska", "pcm_s16le", seconds=60)
    pieces = stream(data, block=1)
    assert next(pieces).duration == 1.0
    (process,) = worker._all
    process.process.kill()
    with pytest.raises(AudioError, match=r"damaged after \d+\.\d\d s \(its decoder crashed, signal 9\)") as caught:
        list(pieces)
    assert not isinstance(caught.value, TruncatedError)  # such a decoder is not trusted with what it gave
    assert load(data).duration == 60.0


def test_a_hang_costs_one_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyav, "_SCRIPT", script(tmp_path / "hang.py", "time.sleep(600)"))
    monkeypatch.setattr(worker, "HANG_SECONDS", 0.1)
    with pytest.raises(AudioError, match=r"\(its decoder hung and was stopped\)"):
        load(SURROUND)
    assert not worker._all


def test_one_process_serves_one_recording_after_the_other() -> None:
    for _ in range(3):
        load(SURROUND)
        probe(SURROUND)
        pieces = stream(SURROUND, block=0.1)
        next(pieces)
        pieces.close()  # nobody wants the rest
        with contextlib.suppress(AudioError):
            load(CASES / "damaged.aac")
        with pytest.raises(AudioError):
            load(b"\x1aE\xdf\xa3" + bytes(100))
    assert len(worker._all) == len(worker._idle) == 1


def test_recordings_that_are_read_at_the_same_time_have_a_process_each() -> None:
    waves = [load(SURROUND)] * 6
    got: list[object] = [None] * 6

    def read(k: int) -> None:
        got[k] = load(SURROUND)

    threads = [threading.Thread(target=read, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == waves
    assert len(worker._idle) <= 4


def test_a_process_that_ended_while_it_waited_is_replaced() -> None:
    load(SURROUND)
    (process,) = worker._all
    process.process.kill()
    process.process.wait()
    assert load(SURROUND).duration == 1.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_starts_its_own() -> None:
    load(SURROUND)
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            code = 0 if not worker._all and load(SURROUND).duration == 1.0 else 2
            worker._end_all()
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    (process,) = worker._all
    assert process.alive
    assert load(SURROUND).duration == 1.0


def test_the_main_module_is_not_imported_again(tmp_path: Path) -> None:
    main = tmp_path / "main.py"  # without a guard, in a folder whose modules must not be taken for others
    main.write_text(f"print('once')\nfrom serkit.audio import load\nprint(load({str(SURROUND)!r}).duration)\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "av.py").write_text("raise RuntimeError('the wrong av')")
    done = subprocess.run(
        [sys.executable, str(main)], cwd=tmp_path / "elsewhere", capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["once", "1.0"]
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_the_process_ends_with_its_parent() -> None:
    code = (
        "import os, sys\nfrom serkit.audio import load, worker\n"
        f"load({str(SURROUND)!r})\nprint(next(iter(worker._all)).process.pid, flush=True)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    pid, until = int(done.stdout), time.monotonic() + 30
    while alive(pid):
        assert time.monotonic() < until
        time.sleep(0.01)


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        with contextlib.suppress(OSError):
            return stat.read_text().rpartition(")")[2].split()[0] != "Z"  # nobody may be there to reap it
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_bytes_leave_no_copy_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = SURROUND.read_bytes()
    assert load(data) == load(io.BytesIO(data)) == load(SURROUND)
    with pytest.raises(AudioError):
        load(data[:5000])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff 7.1.mkv"
    Path(os.fsdecode(path)).write_bytes(SURROUND.read_bytes())
    assert load(os.fsdecode(path)).duration == 1.0


def test_a_relative_path(monkeypatch: pytest.MonkeyPatch) -> None:
    load(SURROUND)  # the process was started in another folder
    monkeypatch.chdir(CASES)
    assert load("pcm-7.1.mkv").duration == 1.0


def test_common_formats_start_no_process() -> None:
    for kind in ("WAV", "FLAC", "OGG", "MP3"):
        load(encode(kind))
    assert not worker._all


def test_a_long_recording_is_held_a_piece_at_a_time(tmp_path: Path) -> None:
    peaks = []
    for seconds in (300, 1200):
        path = tmp_path / f"{seconds}.mkv"
        path.write_bytes(encode_av("matroska", "pcm_s16le", seconds=seconds))
        next(iter(stream(path, block=10)))  # what is imported on the way is not the recording's
        tracemalloc.start()
        assert sum(piece.duration for piece in stream(path, block=10)) == seconds
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 20e6  # the longer one has 77 MB
