"""Transcripts in, the same with the emotion of each line out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import serkit
from serkit.errors import SerkitError
from serkit.recognition import listening
from serkit.recognition.prediction import Prediction
from serkit.recognition.subtitles import line_answers, read_transcript
from serkit.recognition.tracks import Timeline, Track
from tests.conftest import Ser
from tests.known_speech import RATE, LoudFrames, joined, noise, silence
from tests.tiny_models import write_tiny

SRT = "\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\nHello\r\nthere\r\n\r\n2\r\n00:00:05,000 --> 00:00:06,500\r\nBye\r\n"
VTT = """WEBVTT - a talk

NOTE 00:01 is early

intro
00:01.000 --> 00:02.000 align:start
<v Ann>Hello

00:00:05.000 --> 00:00:06.500
Bye
"""


def said(start: float, end: float, sad: float) -> Prediction:
    values = {"happy": 1 - sad, "sad": sad}
    return Prediction(None, start, end, "sad" if sad > 0.5 else "happy", max(sad, 1 - sad), values, speech=True)


def silent(start: float, end: float) -> Prediction:
    return Prediction(None, start, end, None, None, {}, speech=False)


FOUND = Timeline(
    "a.wav",
    8.0,
    "tiny 1",
    ("happy", "sad"),
    (Track(None, (said(0, 1.5, 0.75), said(1.5, 4, 0.25), silent(4, 5.5), said(5.5, 8, 0.875))),),
)


def test_a_line_has_the_mean_of_what_it_overlaps() -> None:
    lines = ((1.0, 2.0), (4.5, 6.0), (4.2, 5.0), (0.0, 8.0), (3.0, 3.0), (7.5, 20.0))
    found = line_answers(FOUND, lines, 0.6)
    assert [one.answer for one in found] == ["unsure", "sad", "no speech", "sad", "no speech", "sad"]
    assert found[0].probabilities == {"happy": 0.5, "sad": 0.5}
    assert found[1].confidence == 0.875
    assert found[3].probabilities["sad"] == pytest.approx((1.5 * 0.75 + 2.5 * 0.25 + 2.5 * 0.875) / 6.5)
    assert [(one.start, one.end) for one in found] == list(lines)


def test_lines_are_found_under_overlapping_tracks() -> None:
    both = Timeline(
        "a.wav", 8.0, "t", ("happy", "sad"), (Track("a", (said(0, 8, 1.0),)), Track("b", (said(2, 3, 0.0),)))
    )
    assert [one.probabilities["sad"] for one in line_answers(both, ((2.0, 3.0), (5.0, 6.0)), 0.0)] == [0.5, 1.0]


def test_srt_keeps_all_but_the_answers(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_bytes(SRT.encode())
    read = read_transcript(tmp_path / "a.srt")
    assert read.lines == ((1.0, 2.0), (5.0, 6.5))
    assert read.write([said(1, 2, 0.9), silent(5, 6.5)]) == SRT[1:].replace("Hello", "[sad] Hello")


def test_vtt_keeps_all_but_the_answers(tmp_path: Path) -> None:
    (tmp_path / "a.vtt").write_text(VTT)
    read = read_transcript(tmp_path / "a.vtt")
    assert read.lines == ((1.0, 2.0), (5.0, 6.5))
    answers = [said(1, 2, 0.9), said(5, 6.5, 0.1)]
    assert read.write(answers) == VTT.replace("<v Ann>", "[sad] <v Ann>").replace("Bye", "[happy] Bye")


@pytest.mark.parametrize(
    "data",
    [
        {
            "text": "Hello bye",
            "segments": [{"start": 1, "end": 2.0, "text": "Hello \ud83d", "id": 0}, {"start": 5.0, "end": 6.5}],
        },
        [{"start": 1, "end": 2.0, "text": "Hello"}, {"start": 5.0, "end": 6.5}],
        {"transcription": [{"offsets": {"from": 1000, "to": 2000}}, {"offsets": {"from": 5000, "to": 6500}}]},
    ],
)
def test_json_of_whisper_gets_emotions(data: object, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(data))
    read = read_transcript(tmp_path / "a.json")
    assert read.lines == ((1.0, 2.0), (5.0, 6.5))
    written = json.loads(read.write([said(1, 2, 0.75), silent(5, 6.5)]).encode())
    rows = written if isinstance(written, list) else written.get("segments") or written["transcription"]
    assert [row["emotion"] for row in rows] == ["sad", None]
    assert rows[0]["emotion_confidence"] == 0.75
    assert rows[0]["emotion_probabilities"] == {"happy": 0.25, "sad": 0.75}
    assert rows[1]["emotion_probabilities"] == {}
    for row in rows:
        for key in ("emotion", "emotion_confidence", "emotion_probabilities"):
            del row[key]
    assert written == data


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no lines with times"),
        (b"just text", "holds no lines with times"),
        (b"{}", "holds no lines with times"),
        (b'{"segments": [{"start": 1}]}', "not every segment says when it starts and ends"),
        (b'{"segments": [1]}', "not every segment says when"),
        (b'{"a": NaN}', "is not JSON: NaN"),
        (b"00:00:02,000 --> 00:00:01,000\nx\n", "from 2 to 1 s, which makes no sense"),
        (b"\xff\xfe1\x00", "is not text in UTF-8"),
    ],
)
def test_bad_transcripts(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_bytes(content)
    with pytest.raises(SerkitError, match=says):
        read_transcript(tmp_path / "a.srt")


def test_on_the_command_line(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SpeechFrames", LoudFrames)
    monkeypatch.chdir(tmp_path)
    write_tiny(tmp_path / "tiny")
    sound = joined(noise(3, 0.03), silence(2), noise(2, 0.5), silence(1))
    sf.write("a.wav", sound, RATE)
    Path("a.srt").write_bytes(SRT.encode())
    found = serkit.load("tiny").timeline("a.wav").tracks[0].speech
    want = SRT[1:].replace("Hello", f"[{found[0].answer}] Hello").replace("Bye", f"[{found[1].answer}] Bye")
    code, out, err = ser("timeline", "a.wav", "-m", "tiny", "--annotate", "a.srt")
    assert (code, err, out.replace("\r\n", "\n")) == (0, "", want.replace("\r\n", "\n"))
    code, _, err = ser("timeline", "a.wav", "-m", "tiny", "--annotate", "a.srt", "--out", "b.srt")
    assert (code, Path("b.srt").read_bytes()) == (0, want.encode())
    code, _, err = ser("timeline", "a.wav", "-m", "tiny", "--annotate", "a.srt", "--out", "b.srt")
    assert (code, "'b.srt' exists" in err) == (2, True)
    sf.write("short.wav", np.asarray(sound[: 3 * RATE]), RATE)
    code, _, err = ser("timeline", "short.wav", "-m", "tiny", "--annotate", "a.srt")
    assert (code, "has a line at 5.00 s, but the recording lasts 3.00 s" in err) == (2, True)
    code, _, err = ser("timeline", "a.wav", "-m", "tiny", "--annotate", "none.srt")
    assert (code, "Cannot read 'none.srt'" in err) == (2, True)
