"""``ser timeline`` and ``ser listen``: what they print and write, pipes, folders, mistakes."""

from __future__ import annotations

import io
import json
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile as sf

import serkit
from serkit import audio
from serkit.audio.live_pcm import LivePcm, Rest, open_live
from serkit.cli.recording_progress import RecordingProgress
from serkit.cli.timeline_files import NOTE, Outputs
from serkit.errors import AudioError, TruncatedError
from serkit.files import hold
from serkit.recognition import listening
from tests.conftest import Ser, voice
from tests.known_speech import EXAMPLES, RATE, LoudFrames, joined, noise, silence
from tests.tiny_models import write_tiny

CALL = joined(silence(1.024), noise(2.016, 0.03), silence(0.992), noise(1.6, 0.5, 1), silence(0.992))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("timeline_cli") / "tiny"
    write_tiny(folder)
    return folder


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording of two utterances, from 0.994 to 2.99 s and from 4.002 to 5.582 s."""
    monkeypatch.setattr(listening, "SpeechFrames", LoudFrames)
    monkeypatch.chdir(tmp_path)
    sf.write(tmp_path / "call.wav", CALL, RATE)
    return tmp_path / "call.wav"


def wav(sound: np.ndarray, rate: int = RATE, **how: Any) -> bytes:
    file = io.BytesIO()
    sf.write(file, sound, rate, **{"format": "WAV", "subtype": "PCM_16", **how})
    return file.getvalue()


def test_a_table_and_the_shares(ser: Ser, call: Path, tiny: Path) -> None:
    code, out, err = ser("timeline", call, "-m", tiny)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["from", "to", "emotion", "confidence"]
    assert [line.split()[:2] for line in lines[2:4]] == [
        ["00:00:00.994", "00:00:02.990"],
        ["00:00:04.002", "00:00:05.582"],
    ]
    assert lines[4].startswith("4 s of speech in 7 s: ")
    assert re.findall(r"\w+ (\d+) %", lines[4]) == ["56", "44"]


def test_json_is_what_python_gives(ser: Ser, call: Path, tiny: Path) -> None:
    code, out, _ = ser("timeline", call, "-m", tiny, "--json", "--min-confidence", 0.9, "--no-smooth")
    assert code == 0
    (found,) = json.loads(out)
    want = serkit.load(tiny).timeline(str(call), min_confidence=0.9, smooth=False).to_dict()
    assert found == json.loads(json.dumps(want))


def test_every_file_of_one_recording(ser: Ser, call: Path, tiny: Path, tmp_path: Path) -> None:
    names = {"csv": "a.csv", "srt": "a.srt", "vtt": "a.vtt", "textgrid": "a.TextGrid", "eaf": "a.eaf", "rttm": "a.rttm"}
    words = [word for kind, name in {**names, "html": "a.html"}.items() for word in (f"--{kind}", name)]
    code, out, err = ser("timeline", "call.wav", "-m", tiny, *words)
    assert (code, out, err) == (0, "", "")
    assert {path.name for path in tmp_path.iterdir()} == {"call.wav", *names.values(), "a.html"}
    assert "00:00:00,994 --> 00:00:02,990" in (tmp_path / "a.srt").read_text()
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 6
    code, _, err = ser("timeline", "call.wav", "-m", tiny, "--srt", "a.srt")
    assert code == 2
    assert "'a.srt' exists: add --force" in err
    assert ser("timeline", "call.wav", "-m", tiny, "--srt", "a.srt", "--force")[0] == 0
    code, out, _ = ser("timeline", "call.wav", "-m", tiny, "--rttm", "-")
    assert out == (tmp_path / "a.rttm").read_text()
    code, _, err = ser("timeline", "call.wav", "-m", tiny, "--srt", "call.wav", "--force")
    assert (code, "is a recording, which is never replaced" in err) == (2, True)


def test_a_folder_is_resumed(ser: Ser, call: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "calls" / "more").mkdir(parents=True)
    for name in ("a.wav", "b.wav", "more/a.wav"):
        (tmp_path / "calls" / name).write_bytes(call.read_bytes())
    (tmp_path / "calls" / "b.flac").write_bytes(wav(CALL, format="FLAC"))
    (tmp_path / "calls" / "notes.txt").write_text("no sound")
    words = ["timeline", "calls", "-r", "-m", tiny, "--srt", "out/", "--csv", "all.csv"]
    code, _, err = ser(*words)
    assert (code, err) == (0, "ser: 1 file was skipped (not a recording).\n")
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.srt")}
    assert files == {"a.srt", "b.wav.srt", "b.flac.srt", "more/a.srt"}
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 21

    (tmp_path / "out" / "a.srt").unlink()
    (tmp_path / "out" / "b.wav.srt").write_text("kept")
    again = ["timeline", "calls", "-r", "-m", tiny, "--srt", "out/", "--resume"]
    code, _, err = ser(*again)
    assert (code, "3 recordings were there already" in err) == (0, True)
    assert (tmp_path / "out" / "a.srt").is_file()
    assert (tmp_path / "out" / "b.wav.srt").read_text() == "kept"
    code, _, err = ser(*again, "--pause", 0.5)
    assert (code, "'out' were made with other options (pause was 0.24, now 0.5): choose" in err) == (2, True)


def test_two_runs_do_not_write_into_one_folder(ser: Ser, call: Path, tiny: Path, tmp_path: Path) -> None:
    words = ["timeline", "call.wav", "-m", tiny, "--srt", "out/", "--csv", tmp_path / "out"]
    (tmp_path / "out").mkdir()
    with hold(tmp_path / "out" / NOTE):
        code, _, err = ser(*words)
        assert (code, "is in use" in err) == (2, True)
    assert ser(*words)[0] == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"call.srt", "call.csv", NOTE}


def test_ctrl_c_in_a_recording_keeps_its_answers_and_a_rerun_does_it_again(
    ser: Ser, call: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "calls").mkdir()
    for name in ("a.wav", "b.wav"):
        (tmp_path / "calls" / name).write_bytes(call.read_bytes())
    words = ["timeline", "calls", "-m", tiny, "--srt", "out/", "--resume"]

    def at_4_s(self: RecordingProgress, seconds: float) -> None:
        if seconds >= 4:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(RecordingProgress, "__call__", at_4_s)
        code, _, err = ser(*words)
    assert code == 130
    assert re.search(r"a\.wav: the first 4\.\d\d s are answered\.", err)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    begun = (tmp_path / "out" / "a.srt").read_text()
    assert "00:00:00,994 --> 00:00:02,990" in begun
    assert "00:00:04,002" not in begun
    assert not (tmp_path / "out" / "b.srt").exists()
    assert ser(*words)[0] == 0
    for name in "ab":
        assert "00:00:04,002 --> 00:00:05,582" in (tmp_path / "out" / f"{name}.srt").read_text()
    assert "2 recordings were there already" in ser(*words)[2]


def test_a_replaced_folder_is_resumed_without_its_old_files(
    ser: Ser, call: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "calls").mkdir()
    for name in ("a.wav", "b.wav"):
        (tmp_path / "calls" / name).write_bytes(call.read_bytes())
    words = ["timeline", "calls", "-m", tiny, "--srt", "out/", "--pause", 0.5]
    (tmp_path / "out").mkdir()
    for name in "ab":
        (tmp_path / "out" / f"{name}.srt").write_text("of an earlier run")

    def full(self: Outputs, source: str, *rest: Any) -> None:
        if Path(source).name == "b.wav":
            raise OSError(28, "No space left on device")
        written(self, source, *rest)

    written = Outputs.write
    with monkeypatch.context() as patch:
        patch.setattr(Outputs, "write", full)
        assert ser(*words, "--force")[0] == 2
    assert (tmp_path / "out" / "b.srt").read_text() == "of an earlier run"
    code, _, err = ser(*words, "--resume")
    assert (code, "1 recording was there already" in err) == (0, True)
    assert "-->" in (tmp_path / "out" / "b.srt").read_text()
    code, _, err = ser(*words, "--resume", "--strict")
    assert (code, "strict was the default, now True" in err) == (2, True)
    (tmp_path / "out" / NOTE).unlink()
    code, _, err = ser(*words, "--resume")
    assert (code, "'out' cannot be resumed: .timeline.run.json, which says how" in err) == (2, True)


def test_recordings_of_one_name_do_not_replace_each_other(ser: Ser, call: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "call.wav").write_bytes(call.read_bytes())
    code, _, err = ser("timeline", "call.wav", "other/call.wav", "-m", tiny, "--srt", "out/")
    assert (code, "'call.wav' and 'other/call.wav' would both be written to 'out/call.wav.srt'" in err) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["call.wav", "--window", "99"], "The window must be"),
        (["call.wav", "--pause", "nan"], "The shortest pause must be"),
        (["-", "--strict"], "--strict is for files"),
        (["call.wav", "--channel", "9" * 5000], "No channel is called"),
        (["call.wav", "--speakers", "a.rttm", "--channel", "each"], "give a channel instead"),
    ],
)
def test_a_wrong_option_is_wrong_usage(ser: Ser, call: Path, tiny: Path, words: list[str], says: str) -> None:
    code, _, err = ser("timeline", *words, "-m", tiny)
    assert (code, says in " ".join(err.replace("│", " ").split())) == (2, True)


def test_one_bad_recording_does_not_stop_the_others(ser: Ser, call: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF no sound")
    whole = wav(joined(CALL, noise(20, 0.3)), format="FLAC")
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) * 3 // 4])
    code, _, err = ser("timeline", "bad.wav", "cut.flac", "call.wav", "none.wav", "-m", tiny, "--srt", "out/")
    assert code == 1
    assert "2 of 4 inputs failed" in err
    assert "bad.wav" in err
    assert "no such file or folder: 'none.wav'" in err
    assert "1 of 4 inputs break off" in err
    assert re.search(r"cut\.flac: .*truncated.*The first \d+\.\d\d s are answered\.", err)
    assert {path.name for path in (tmp_path / "out").glob("*.srt")} == {"call.srt", "cut.srt"}
    assert ser("timeline", "cut.flac", "-m", tiny, "--strict")[0] == 1
    assert ser("timeline", "none.wav", "-m", tiny)[0] == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a.wav", "-"], "give it alone"),
        (["a.wav", "--json", "--srt", "-"], "Only one of the outputs can be printed"),
        (["a.wav", "--rate", "8000"], "--rate and --partial are for standard input"),
        (["a.wav", "b.wav", "--speakers", "a.rttm"], "give one file"),
        (["a.wav", "--out", "x"], "--out is for --annotate"),
        (["a.wav", "--resume"], "--resume needs files"),
        (["a.wav", "--srt", "x/", "--force", "--resume"], "exclude each other"),
        (["a.wav", "--channel", "lft"], "did you mean 'left'"),
        (["a.wav", "--min-confidence", "60"], "for 60 % give 0.6"),
        (["call.wav", "--window", "99"], "The window must be 0.25 to 10 s"),
        (["call.wav", "--channel", "2"], "has one channel"),
        (["call.wav", "call.wav", "--srt", "call.srt"], "is a file, but there are 2 recordings"),
    ],
)
def test_mistakes(ser: Ser, call: Path, tiny: Path, words: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "call.srt").write_text("")
    code, _, err = ser("timeline", *words, "-m", tiny)
    assert code in (1, 2)
    assert says in " ".join(err.replace("│", " ").split())


def test_speakers_on_the_command_line(ser: Ser, call: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "who.rttm").write_text(
        "SPEAKER call 1 0 3.5 <NA> <NA> ann <NA> <NA>\nSPEAKER call 1 3.5 3 <NA> <NA> bob <NA> <NA>\n"
    )
    code, out, _ = ser("timeline", call, "-m", tiny, "--speakers", "who.rttm")
    assert code == 0
    assert [line.split()[2] for line in out.splitlines()[2:4]] == ["ann", "bob"]
    assert [line.split(":")[0] for line in out.splitlines()[4:]] == ["ann", "bob"]
    Path("odd.rttm").write_text("hello\n")
    code, _, err = ser("timeline", call, "-m", tiny, "--speakers", "odd.rttm")
    assert (code, "inputs failed" in err) == (2, False)
    assert "'odd.rttm', line 1 is not RTTM" in err


# --------------------------------------------------------------------------------------------------------- pipes


def test_a_pipe_gives_what_the_file_gives(ser: Ser, call: Path, tiny: Path) -> None:
    _, out, _ = ser("timeline", call, "-m", tiny, "--json")
    (whole,) = json.loads(out)
    code, out, err = ser("timeline", "-", "-m", tiny, "--json", stdin=call.read_bytes())
    assert (code, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    assert [event.pop("event") for event in events] == ["silence", "final", "silence", "final", "silence"]
    assert events == whole["tracks"][0]["segments"]
    raw = (np.round(CALL * 32767)).astype("<i2").tobytes()
    code, out, _ = ser("timeline", "-", "-m", tiny, "--rate", RATE, "--srt", "-", stdin=raw)
    assert code == 0
    assert "00:00:00,994 --> 00:00:02,990" in out
    code, out, _ = ser("timeline", "-", "-m", tiny, stdin=call.read_bytes())
    assert out.splitlines()[0].startswith("00:00:00.994  00:00:02.990  ")
    assert out.splitlines()[-1].startswith("4 s of speech in 7 s")


def test_a_pipe_that_breaks_off_and_one_that_is_not_wav(ser: Ser, call: Path, tiny: Path) -> None:
    data = call.read_bytes()
    code, out, err = ser("timeline", "-", "-m", tiny, stdin=data[: len(data) // 2])
    assert code == 1
    assert out.startswith("00:00:00.994  00:00:02.990")
    assert "header says 6.62 s, 3.31 s could be read. The first 3.31 s are answered." in err
    code, out, err = ser("timeline", "-", "-m", tiny, stdin=wav(CALL, format="FLAC"))
    assert code == 0
    assert "is not WAV, so it is read to its end first" in err
    assert out.startswith("00:00:00.994  00:00:02.990")
    for data, says in (
        (b"", "'standard input' is empty (0 bytes)"),
        (b"RIFF\0\0\0\0WAVEfmt ", "ends inside its WAV header"),
    ):
        code, _, err = ser("timeline", "-", "-m", tiny, stdin=data)
        assert (code, says in err) == (2, True)
    bad = CALL.copy()
    bad[80000] = np.nan
    code, _, err = ser("timeline", "-", "-m", tiny, stdin=wav(bad, subtype="FLOAT"))
    assert (code, "NaN or infinite, first at 5.000 s" in err) == (1, True)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
def test_wav_is_read_from_a_pipe_as_from_a_file(subtype: str, kind: str) -> None:
    sound = np.stack([noise(0.3, 0.5, 1), noise(0.3, 0.5, 2)], axis=1)
    data = wav(sound, 8000, subtype=subtype, format=kind)
    live = open_live(io.BytesIO(data))
    assert isinstance(live, LivePcm)
    assert (live.rate, live.channels) == (8000, 2)
    want, _ = sf.read(io.BytesIO(data), dtype="float32")
    np.testing.assert_allclose(np.concatenate(list(live.chunks())), want, atol=1e-7)


def test_wav_without_a_length_ends_with_the_pipe() -> None:
    data = wav(noise(0.3, 0.5))
    at = data.index(b"data") + 4
    for promised in (0, 0xFFFFFFFF, 0x7FFFF000):
        stream = io.BytesIO(data[:at] + struct.pack("<I", promised) + data[at + 4 :])
        live = open_live(stream)
        assert isinstance(live, LivePcm)
        assert sum(map(len, live.chunks())) == 4800
    short = open_live(io.BytesIO(data[:-1000]))
    assert isinstance(short, LivePcm)
    with pytest.raises(TruncatedError, match=r"says 0\.30 s, 0\.27 s could be read"):
        list(short.chunks())
    rest = open_live(io.BytesIO(wav(noise(0.3, 0.5), format="FLAC")))
    assert isinstance(rest, Rest)
    whole = wav(noise(0.3, 0.5), format="FLAC")
    assert rest.read(4) + rest.read() + rest.read() == whole
    with pytest.raises(AudioError, match="does not say how samples are stored"):
        open_live(io.BytesIO(b"RIFF\0\0\0\0WAVEdata\0\0\0\0"))


def test_a_pipe_is_answered_while_it_runs_and_ctrl_c_keeps_what_was_said(tmp_path: Path) -> None:
    """Half of the sound is written; the first answer comes before the rest is there. Then Ctrl-C."""
    clip = audio.load(EXAMPLES[0], target_rate=RATE).samples
    sound = joined(clip, silence(1.0), clip, silence(1.0))
    data = (np.round(np.clip(sound, -1, 1) * 32767)).astype("<i2").tobytes()
    write_tiny(tmp_path / "tiny")
    words = ["timeline", "-", "-m", str(tmp_path / "tiny"), "--rate", str(RATE), "--json"]
    code = f"import sys; sys.argv = ['ser', *{words!r}]; from serkit.cli import main; main()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # A shell makes what it starts in the background deaf to Ctrl-C, and tests started so would pass that on.
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        **pipes,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(data[: len(data) // 2])
    process.stdin.flush()
    first = json.loads(process.stdout.readline())
    while first["event"] != "final":
        first = json.loads(process.stdout.readline())
    assert first["emotion"] is not None
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert b"interrupted after" in err
    assert json.loads(out.splitlines()[-1])["event"] in ("silence", "final")


def test_predict_answers_a_pipe_without_a_copy(
    ser: Ser, tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sound = voice(3, 1, seconds=23.0)
    sf.write("a.wav", sound, RATE)
    want = json.loads(ser("predict", "a.wav", "-m", tiny, "--json")[1])
    monkeypatch.setattr("serkit.audio.spool.MAX_STREAM_BYTES", 1000)
    for words, data in (([], Path("a.wav").read_bytes()), (["--rate", RATE], Path("a.wav").read_bytes()[44:])):
        code, out, err = ser("predict", "-", "-m", tiny, "--json", *words, stdin=data)
        assert (code, err, json.loads(out)) == (0, "", [{**want[0], "path": "-"}])
    code, out, err = ser("predict", "-", "-m", tiny, "--json", stdin=Path("a.wav").read_bytes()[:400_000])
    assert (code, json.loads(out)[0]["warnings"]) == (1, ["truncated"])
    code, _, err = ser("predict", "-", "-m", tiny, stdin=wav(np.stack([sound, sound], axis=1)))
    assert (code, "standard input is longer than" in err) == (1, True)  # a choice of channels needs a copy
    code, _, err = ser("predict", "a.wav", "-m", tiny, "--rate", 8000)
    assert (code, "--rate is for standard input" in err) == (2, True)


# ------------------------------------------------------------------------------------------------------ progress


def test_progress_says_how_much_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sf.write(tmp_path / "a.wav", silence(100), RATE)
    now = [0.0]
    monkeypatch.setattr("serkit.cli.recording_progress.monotonic", lambda: now[0])
    with RecordingProgress(tmp_path / "a.wav", every=10) as progress:
        for seconds, clock in ((10, 5.0), (25, 10.0), (50, 15.0), (75, 20.0)):
            now[0] = clock
            progress(seconds)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[-1] for line in lines] == ["25 s of 2 min, 30 s left", "75 s of 2 min, 7 s left"]


# ---------------------------------------------------------------------------------------------------- microphone


class Microphone:
    """A module like sounddevice, with one microphone that hears `sound` and then goes away, or Ctrl-C is pressed."""

    class PortAudioError(Exception):
        pass

    def __init__(self, sound: np.ndarray, *, then: str = "gone", refuse: bool = False) -> None:
        self._sound, self._then, self._refuse = sound, then, refuse

    def query_devices(self, kind: str | None = None) -> Any:
        mic = {"index": 3, "name": "Mic\x1b[31m", "max_input_channels": 1, "default_samplerate": 16000.0}
        head = {"index": 4, "name": "Headset", "max_input_channels": 2, "default_samplerate": 48000.0}
        loudspeaker = {"index": 0, "name": "Speaker", "max_input_channels": 0, "default_samplerate": 48000.0}
        return mic if kind == "input" else [loudspeaker, mic, head]

    def InputStream(self, *, callback: Any, finished_callback: Any, blocksize: int, **how: Any) -> Any:
        if self._refuse:
            raise self.PortAudioError("Invalid number of channels")
        for k in range(0, len(self._sound), blocksize):
            callback(self._sound[k : k + blocksize, np.newaxis], blocksize, None, None)
        if self._then == "gone":
            finished_callback()
        stream = SimpleNamespace(active=True)

        class Context:
            def __enter__(self) -> Any:
                return stream

            def __exit__(self, *raised: object) -> None:
                pass

        return Context()


def test_listening(ser: Ser, call: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Microphone(CALL))  # type: ignore[arg-type]
    code, out, err = ser("listen", "-m", tiny)
    assert code == 1
    assert "listening to Mic\\x1b[31m; Ctrl-C stops." in err
    assert "The microphone Mic\\x1b[31m went away. The 6.6 s before are answered." in err
    assert [line[:26] for line in out.splitlines()] == ["00:00:00.994  00:00:02.990", "00:00:04.002  00:00:05.582"]
    code, out, _ = ser("listen", "-m", tiny, "--seconds", 3.6, "--json")
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    assert {event["event"] for event in events} == {"partial", "final", "silence"}
    assert events[-1]["end"] == pytest.approx(3.6, abs=0.1)
    code, out, _ = ser("listen", "--list")
    assert out == "  3  Mic\\x1b[31m  (1 channels, 16000 Hz)\n  4  Headset  (2 channels, 48000 Hz)\n"
    for name, says in (("x", "names no microphone"), ("", "names several microphones")):
        code, _, err = ser("listen", "-m", tiny, "--microphone", name)
        assert (code, says in err) == (2, True)
    monkeypatch.setitem(sys.modules, "sounddevice", Microphone(CALL, refuse=True))  # type: ignore[arg-type]
    code, _, err = ser("listen", "-m", tiny, "--microphone", "head")
    assert (code, "The microphone Headset cannot be used (Invalid number of channels)" in err) == (1, True)
    for sound in (CALL.copy(), np.zeros(0, np.float32)):
        sound[40_000:40_010] = np.nan
        monkeypatch.setitem(sys.modules, "sounddevice", Microphone(sound))  # type: ignore[arg-type]
        code, out, err = ser("listen", "-m", tiny)
        assert code == 1
        assert ("went away. The 0.0 s before" in err) == (not len(sound))
        assert ("1 block of sound was skipped" in err) == bool(len(sound))
        assert len(out.splitlines()) == (2 if len(sound) else 0)
    bare = Microphone(CALL)
    monkeypatch.setattr(bare, "query_devices", lambda kind=None: [])
    monkeypatch.setitem(sys.modules, "sounddevice", bare)  # type: ignore[arg-type]
    for words in (["--list"], ["-m", tiny]):
        code, _, err = ser("listen", *words)
        assert (code, err) == (2, "ser: There is no microphone: plug one in, or allow this program to use it.\n")
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # type: ignore[arg-type]
    code, _, err = ser("listen")
    assert (code, "pip install 'serkit[live]'" in err) == (2, True)


def test_the_meter_shows_the_level_and_the_answer_so_far(
    ser: Ser, call: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Microphone(CALL))  # type: ignore[arg-type]
    monkeypatch.setattr("serkit.cli.listen.watched_terminal", lambda: True)
    _, out, err = ser("listen", "-m", tiny)
    assert "[........................]" in err
    assert re.search(r"\[#+\.+\] \w+ \d+ % so far", err)
    assert len(out.splitlines()) == 2


def test_nothing_of_this_is_loaded_without_being_asked_for(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    sf.write(tmp_path / "a.wav", silence(1.0), RATE)
    words = ["ser", "timeline", str(tmp_path / "a.wav"), "-m", str(tmp_path / "tiny")]
    code = (
        f"import sys, serkit.cli; sys.argv = {words!r}\ntry: serkit.cli.main()\nexcept SystemExit: pass\n"
        "print('torch' in sys.modules, 'pandas' in sys.modules, 'sklearn' in sys.modules, "
        "'sounddevice' in sys.modules, 'serkit.recognition.timeline_page' in sys.modules, 'av' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == " ".join(["False"] * 6)
