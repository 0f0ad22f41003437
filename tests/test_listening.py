"""Utterances: found in frames, cut at pauses, windowed, smoothed; the same for files and streams."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import serkit
from serkit import audio
from serkit.audio import speech_frames
from serkit.audio.speech_frames import FRAME, FrameResampler, SpeechFrames
from serkit.audio.utterances import Cutter, Utterance
from serkit.errors import AudioError, SerkitError
from serkit.recognition import listening
from serkit.recognition.prediction import Prediction
from serkit.recognition.segments import smoothed
from serkit.recognition.speakers import Turns, read_rttm
from tests.known_speech import EXAMPLES, RATE, LoudFrames, joined, noise, silence
from tests.tiny_models import expected, write_tiny


@pytest.fixture
def loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SpeechFrames", LoudFrames)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> serkit.Recognizer:
    folder = tmp_path_factory.mktemp("listening") / "tiny"
    write_tiny(folder)
    return serkit.load(folder)


# ------------------------------------------------------------------------------------------------- the detector


def spoken() -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Two example clips between silences, and where they are heard."""
    first, second = (audio.load(path, target_rate=RATE).samples for path in (EXAMPLES[0], EXAMPLES[-1]))
    pieces, at, where = [silence(1.0)], 1.0, []
    for clip in (first, second):
        loud = np.flatnonzero(np.abs(clip) > 0.02)
        where.append((at + loud[0] / RATE, at + loud[-1] / RATE))
        pieces += [clip, silence(1.5)]
        at += len(clip) / RATE + 1.5
    return joined(*pieces), where


@pytest.mark.parametrize("level", [1.0, 0.003])
@pytest.mark.parametrize("rate", [16000, 8000, 22050])
def test_speech_is_found_at_any_level_and_rate(level: float, rate: int) -> None:
    sound, where = spoken()
    frames, cutter = SpeechFrames(rate), Cutter(pause=0.5)
    wave = audio.load(level * sound, sample_rate=RATE, target_rate=rate)
    found = cutter.feed(frames.feed(wave.samples)) + cutter.feed(frames.finish()) + cutter.finish(wave.duration)
    assert len(found) == 2
    for utterance, (start, end) in zip(found, where, strict=True):
        assert utterance.start == pytest.approx(start, abs=0.2)
        assert utterance.end == pytest.approx(end, abs=0.35)


def test_what_is_not_speech_is_not_found() -> None:
    t = np.arange(5 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220, 277, 330)) / 6
    for sound in (silence(5), noise(5, 0.3), noise(5, 0.003), 0.5 * np.sin(2 * np.pi * 440 * t), chord):
        heard = SpeechFrames(RATE).feed(sound.astype(np.float32))
        assert heard.max() < 0.35


@given(st.lists(st.integers(0, 9000), max_size=12))
@settings(max_examples=15)
def test_frames_do_not_depend_on_how_the_sound_was_cut(sizes: list[int]) -> None:
    sound = spoken()[0][: 4 * RATE]
    whole, pieces = SpeechFrames(RATE), SpeechFrames(RATE)
    want = joined(whole.feed(sound), whole.finish())
    got = [pieces.feed(part) for part in np.split(sound, np.minimum(np.cumsum(sizes), len(sound)))]
    np.testing.assert_array_equal(joined(*got, pieces.finish()), want)
    assert len(want) == 125  # 4 s of 32 ms


@given(st.lists(st.integers(0, 3000), max_size=8))
def test_a_resampler_does_not_depend_on_how_the_sound_was_cut(sizes: list[int]) -> None:
    sound = noise(0.5, 0.5)
    whole, pieces = FrameResampler(22050, RATE), FrameResampler(22050, RATE)
    want = joined(whole.feed(sound), whole.finish())
    got = [pieces.feed(part) for part in np.split(sound, np.minimum(np.cumsum(sizes), len(sound)))]
    np.testing.assert_array_equal(joined(*got, pieces.finish()), want)
    assert len(want) == pytest.approx(len(sound) * RATE / 22050, abs=2)


# --------------------------------------------------------------------------------------------------- utterances


def frames(*runs: tuple[float, int]) -> list[float]:
    return [p for p, count in runs for _ in range(count)]


def cut(probabilities: list[float], **how: float) -> list[Utterance]:
    cutter = Cutter(**how)
    return cutter.feed(probabilities) + cutter.finish(len(probabilities) * FRAME)


def test_utterances_end_at_pauses_and_gaps_belong_to_them() -> None:
    found = cut(frames((0, 10), (0.9, 20), (0, 7), (0.9, 20), (0, 8), (0.9, 10), (0, 20)))
    assert [(one.start, one.end, one.speech) for one in found] == [
        (0.29, 1.774, 1.28),  # frames 10 to 57: 7 frames of silence are 0.224 s
        (2.05, 2.35, 0.32),
    ]


def test_slivers_at_both_ends_belong_to_the_speech() -> None:
    (one,) = cut(frames((0, 3), (0.9, 20), (0, 1)))
    assert (one.start, one.end) == (0.0, 24 * FRAME)
    (one,) = cut(frames((0, 5), (0.9, 20), (0, 5)))
    assert (one.start, one.end) == (0.13, 0.75)


def test_three_frames_are_no_utterance() -> None:
    assert cut(frames((0, 10), (0.9, 3), (0, 20))) == []
    assert len(cut(frames((0, 10), (0.9, 4), (0, 20)))) == 1


def test_speech_to_the_last_sample_ends_with_the_recording() -> None:
    cutter = Cutter()
    assert cutter.feed(frames((0, 10), (0.9, 20))) == []
    (one,) = cutter.finish(0.95)
    assert one.end == 0.95


def test_endless_speech_is_cut_where_there_is_least() -> None:
    speech = frames((0.9, 100), (0.4, 1), (0.9, 60), (0.5, 1), (0.9, 79), (0, 20))
    found = cut(speech, longest=150 * FRAME)
    assert [(one.start, one.end) for one in found] == [
        (0.0, round(100 * FRAME, 3)),
        (round(100 * FRAME, 3), round(161 * FRAME, 3) if len(found) > 2 else pytest.approx(241 * FRAME - 0.05)),
        *([(round(161 * FRAME, 3), pytest.approx(241 * FRAME - 0.05))] if len(found) > 2 else []),
    ]


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 40)), max_size=20), st.data())
def test_utterances_are_in_order_and_do_not_depend_on_how_frames_come(
    runs: list[tuple[float, int]], data: st.DataObject
) -> None:
    given_frames = frames(*runs)
    found = cut(given_frames, longest=2.0)
    for a, b in pairwise(found):
        assert a.start < a.end <= b.start < b.end
    places = sorted(data.draw(st.lists(st.integers(0, len(given_frames)), max_size=5)))
    cutter = Cutter(longest=2.0)
    again = [one for a, b in pairwise([0, *places, len(given_frames)]) for one in cutter.feed(given_frames[a:b])]
    assert again + cutter.finish(len(given_frames) * FRAME) == found
    assert sum(one.speech for one in found) <= sum(p > 0 for p in given_frames) * FRAME + 1e-6


# --------------------------------------------------------------------------------------------------- smoothing


def says(start: float, sad: float, calm: float | None = None, length: float = 2.0) -> Prediction:
    calm = 1 - sad if calm is None else calm
    values = {"sad": sad, "calm": calm, "happy": 1 - sad - calm}
    return Prediction(None, start, start + length, None, max(sad, calm), values, speech=True)


def answers(parts: list[Prediction]) -> list[tuple[float, float, str]]:
    return [(part.start, part.end, part.answer) for part in parts]


def test_probabilities_are_averaged_over_neighbours() -> None:
    (one,) = smoothed([says(0, 0.9), says(1, 0.6)])
    # (0.9 + 0.3) / 1.5 = 0.8 and (0.6 + 0.45) / 1.5 = 0.7, each for half of the time
    assert one.probabilities["sad"] == pytest.approx(0.75)
    assert one.confidence == one.probabilities["sad"]


def test_one_window_keeps_its_answer() -> None:
    (one,) = smoothed([says(0, 0.4)])
    assert (one.emotion, one.confidence) == ("calm", 0.6)


def test_a_small_lead_changes_nothing_and_a_clear_one_does() -> None:
    weak = [says(k, 0.9) for k in range(4)] + [says(k, 0.47) for k in range(4, 8)]
    assert [part.answer for part in smoothed(weak)] == ["sad"]
    clear = [says(k, 0.9) for k in range(4)] + [says(k, 0.1) for k in range(4, 8)]
    assert answers(smoothed(clear)) == [(0, 4.5, "sad"), (4.5, 9, "calm")]


def test_a_short_segment_joins_the_neighbour_that_suits_it() -> None:
    windows = [says(0, 0.9, length=1), says(0.5, 0.9, length=1), says(1, 0.0, 1.0, length=1), says(1.5, 0.9, length=1)]
    assert [part.answer for part in smoothed(windows)] == ["sad"]


def test_a_short_segment_joins_the_later_neighbour_if_that_suits_it_better() -> None:
    windows = [says(0.5 * k, 0.9, 0.05, length=1) for k in range(3)]
    windows += [says(1.5, 0.0, 0.95, length=1), *(says(0.5 * k, 0.0, 0.1, length=1) for k in range(4, 7))]
    # The middle one is calm for 0.5 s: after averaging, calm 0.51, happy 0.26, sad 0.23.
    assert answers(smoothed(windows)) == [(0, 1.75, "sad"), (1.75, 4, "happy")]


def test_unsure_stays_unsure() -> None:
    windows = [says(0, 0.9), says(1, 0.9), says(2, 0.34, 0.33), says(3, 0.34, 0.33), says(4, 0.34, 0.33), says(5, 0.9)]
    windows += [says(6, 0.9)]
    parts = smoothed(windows, 0.55)
    assert [part.answer for part in parts] == ["sad", "unsure", "sad"]
    assert parts[1].probabilities["sad"] < 0.55
    assert parts[1].emotion is None
    assert "unsure" not in [part.answer for part in smoothed(windows, 0.3)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=14), st.floats(0, 1))
def test_smoothing_keeps_time_and_never_names_an_unsure_emotion(values: list[float], least: float) -> None:
    parts = smoothed([says(0.75 * k, p) for k, p in enumerate(values)], least)
    assert (parts[0].start, parts[-1].end) == (0, pytest.approx(0.75 * len(values) + 1.25))
    for a, b in pairwise(parts):
        assert a.end == b.start
        assert a.answer != b.answer
    for part in parts:
        assert part.confidence == max(part.probabilities.values())
        assert (part.emotion is None) == (part.confidence < least) == part.unsure
        if part.emotion is not None:
            assert part.probabilities[part.emotion] == part.confidence


# ---------------------------------------------------------------------------------------------- whole recordings


def parts_of(timeline: serkit.Timeline, track: int = 0) -> list[tuple[float, float, str]]:
    return answers(list(timeline.tracks[track].segments))


@pytest.mark.usefixtures("loud")
def test_an_answer_belongs_to_an_utterance(tiny: serkit.Recognizer) -> None:
    sound = joined(silence(1.024), noise(2.016, 0.03), silence(0.992), noise(1.6, 0.5, 1), silence(0.992))
    found = tiny.timeline(sound, sample_rate=RATE)
    times = [(part.start, part.end, part.speech) for part in found.segments]
    assert times == [
        (0, 0.994, False),
        (0.994, 2.99, True),
        (2.99, 4.002, False),
        (4.002, 5.582, True),
        (5.582, pytest.approx(6.624), False),
    ]
    for (start, end), part in zip(((0.894, 3.09), (3.902, 5.682)), found.tracks[0].speech, strict=True):
        want = expected(sound[round(start * RATE) : round(end * RATE)])  # a tenth of a second more on both sides
        assert list(part.probabilities.values()) == pytest.approx(want, abs=1e-4)
    assert found.tracks[0].seconds == pytest.approx(1.996 + 1.58)
    shares = found.shares()
    assert sum(shares.values()) == pytest.approx(1)
    assert shares[found.tracks[0].speech[0].answer] == pytest.approx(1.996 / 3.576)


@pytest.mark.usefixtures("loud")
def test_long_utterances_are_answered_window_by_window(tiny: serkit.Recognizer) -> None:
    sound = joined(silence(1.024), noise(6.4, 0.03), noise(6.4, 0.5, 1), silence(0.992))
    found = tiny.timeline(sound, sample_rate=RATE, window=2.0, smooth=False)
    speech = found.tracks[0].speech
    assert len(speech) > 1
    assert speech[0].end == pytest.approx(7.424, abs=1.1)
    assert speech[-1].start == pytest.approx(7.424, abs=1.1)
    assert speech[0].answer != speech[-1].answer
    for a, b in pairwise(found.segments):
        assert a.end == b.start


@pytest.mark.usefixtures("loud")
def test_half_an_hour_in_flat_memory(tiny: serkit.Recognizer) -> None:
    """58 MB as 16-bit samples: 20 minutes of silence, then a turn of 10 minutes without a pause."""
    file = io.BytesIO()
    with sf.SoundFile(file, "w", RATE, 1, format="FLAC") as sink:
        for minute in range(30):
            sink.write(silence(60) if minute < 20 else np.tile(noise(1, 0.3), 60))
    told: list[float] = []
    tracemalloc.start()
    found = tiny.timeline(file, window=10.0, progress=told.append)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert parts_of(found)[0] == (0, pytest.approx(1200, abs=0.05), "no speech")
    assert found.tracks[0].seconds == pytest.approx(600, abs=0.1)
    assert told[-1] == found.duration == 1800
    assert len(found.outline) <= 4000
    assert peak < 30e6


@pytest.mark.usefixtures("loud")
def test_silence_alone_has_one_segment_and_no_shares(tiny: serkit.Recognizer) -> None:
    found = tiny.timeline(silence(20), sample_rate=RATE)
    assert parts_of(found) == [(0, 20, "no speech")]
    assert set(found.shares().values()) == {0.0}
    assert found.tracks[0].seconds == 0


def test_a_recording_that_breaks_off_is_answered_up_to_there(tiny: serkit.Recognizer, loud: None) -> None:
    whole = io.BytesIO()
    sf.write(whole, joined(silence(1), noise(2, 0.3), silence(1), noise(50, 0.3)), RATE, format="FLAC")
    data = whole.getvalue()[: len(whole.getvalue()) * 6 // 7]
    found = tiny.timeline(io.BytesIO(data))
    assert found.error is not None
    assert "truncated" in found.error
    assert 40 < found.duration < 50
    assert found.tracks[0].segments[1].end == pytest.approx(3, abs=0.1)
    assert found.tracks[0].segments[-1].end == found.duration
    with pytest.raises(AudioError, match="truncated"):
        tiny.timeline(io.BytesIO(data), strict=True)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"window": 11}, r"The window must be 0\.25 to 10 s for the model tiny, got 11 s\."),
        ({"window": float("nan")}, "got nan s"),
        ({"pause": 0.01}, r"The shortest pause must be 0\.1 to 5 s, got 0\.01 s\."),
        ({"min_confidence": 40}, r"for 40 % give 0\.4"),
        ({"channel": "lft"}, "did you mean 'left'"),
        ({"channel": "each", "speakers": "a.rttm"}, "Speakers are told apart on one channel"),
    ],
)
def test_limits_are_said_before_anything_is_read(tiny: serkit.Recognizer, how: dict[str, Any], says: str) -> None:
    with pytest.raises(SerkitError, match=says):
        tiny.timeline("no such file.wav", **how)


def test_bad_recordings(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"lasts 0\.200 s; the model tiny needs at least 0\.25 s"):
        tiny.timeline(noise(0.2, 0.3), sample_rate=RATE)
    bad = noise(3, 0.3)
    bad[40000] = np.nan
    with pytest.raises(AudioError, match=r"1 sample is NaN or infinite, first at 2\.500 s"):
        tiny.timeline(bad, sample_rate=RATE)
    with pytest.raises(AudioError, match="has one channel"):
        tiny.timeline(noise(3, 0.3), sample_rate=RATE, channel=2)


# ------------------------------------------------------------------------------------------------------- voices


@pytest.mark.usefixtures("loud")
def test_the_louder_channel_answers(tiny: serkit.Recognizer) -> None:
    """The agent speaks from 1 to 3 s, the customer from 4 to 6 s, each heard 26 dB quieter on the other's channel."""
    agent = joined(silence(1.024), noise(2.016, 0.5), silence(0.992), silence(2.016), silence(0.992))
    customer = joined(silence(1.024), silence(2.016), silence(0.992), noise(2.016, 0.5, 1), silence(0.992))
    both = np.stack([agent + 0.05 * customer, customer + 0.05 * agent], axis=1)
    alone = [tiny.timeline(both, sample_rate=RATE, channel=side) for side in ("left", "right")]
    assert [len(one.tracks[0].speech) for one in alone] == [2, 2]  # by itself, a channel also answers the echo
    found = tiny.timeline(both, sample_rate=RATE, channel="each")
    assert [track.name for track in found.tracks] == ["left", "right"]
    assert [[(round(p.start, 2), round(p.end, 2)) for p in track.speech] for track in found.tracks] == [
        [(0.99, 2.99)],
        [(4.0, 6.0)],
    ]
    assert {part.channel for part in found.segments} == {"left", "right"}
    assert [row[0] for row in found.rows()][:2] == ["left", "right"]


@pytest.mark.usefixtures("loud")
def test_both_channels_answer_where_both_are_loud(tiny: serkit.Recognizer) -> None:
    both = np.stack([noise(3, 0.5), noise(3, 0.3, 1)], axis=1)
    found = tiny.timeline(both, sample_rate=RATE, channel="each")
    assert [len(track.speech) for track in found.tracks] == [1, 1]


RTTM = """;; a comment
SPKR-INFO call 1 <NA> <NA> <NA> unknown ann <NA>
SPEAKER call 1 0.50 3.00 <NA> <NA> ann <NA> <NA>
SPEAKER call 1 3.50 3.40 <NA> <NA> bob <NA> <NA>
"""


@pytest.mark.usefixtures("loud")
def test_speakers_have_a_track_each(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    (tmp_path / "call.rttm").write_text(RTTM)
    sf.write(tmp_path / "call.wav", joined(silence(1.024), noise(4.992, 0.3), silence(0.992)), RATE)
    found = tiny.timeline(tmp_path / "call.wav", speakers=tmp_path / "call.rttm")
    assert [track.name for track in found.tracks] == ["ann", "bob"]
    ((ann,), (bob,)) = (track.speech for track in found.tracks)
    assert (ann.start, ann.end) == (pytest.approx(0.994), pytest.approx(3.5, abs=0.08))
    assert (bob.start, bob.end) == (pytest.approx(3.5, abs=0.06), pytest.approx(5.97, abs=0.03))
    assert sum(found.shares(1).values()) == pytest.approx(1)


def test_speakers_of_another_recording_are_refused(tiny: serkit.Recognizer, tmp_path: Path, loud: None) -> None:
    (tmp_path / "call.rttm").write_text(RTTM)
    with pytest.raises(SerkitError, match=r"is about 'call', not about 'other': give the RTTM of this recording"):
        read_rttm(tmp_path / "call.rttm", "sounds/other.wav")
    sf.write(tmp_path / "call.wav", noise(4, 0.3), RATE)
    with pytest.raises(SerkitError, match=r"has turns up to 6\.90 s, but '.*call\.wav' lasts 4\.00 s"):
        tiny.timeline(tmp_path / "call.wav", speakers=tmp_path / "call.rttm")
    for text, says in (
        ("", "holds no turns"),
        ("hello there\n", r"line 1 is not RTTM: expected 'SPEAKER recording"),
        ("SPEAKER call 1 0.5 x <NA> <NA> ann <NA> <NA>\n", "line 1 is not RTTM"),
        (RTTM + "SPEAKER b 1 0 1 <NA> <NA> ann <NA> <NA>\n", "about 2 recordings"),
        ("SPEAKER call 1 -3 1 <NA> <NA> ann <NA> <NA>\n", r"from -3 to -2 s makes no sense"),
    ):
        (tmp_path / "bad.rttm").write_text(text)
        with pytest.raises(SerkitError, match=says):
            read_rttm(tmp_path / "bad.rttm")
    with pytest.raises(SerkitError, match="Cannot read"):
        read_rttm(tmp_path / "none.rttm")


def test_turns_that_overlap_are_joined() -> None:
    turns = Turns([("ann", 0.0, 2.0), ("ann", 1.0, 3.0), ("ann", 4.0, 5.0)])
    assert turns.at(np.array([2.5, 3.0, 3.5, 4.5, 5.0])).tolist() == [[True, False, False, True, False]]
    assert turns.end == 5.0


# -------------------------------------------------------------------------------------------------------- live


def streamed(
    recognizer: serkit.Recognizer, chunks: Iterator[np.ndarray] | list[np.ndarray], **how: Any
) -> tuple[list[Any], Callable[[], None]]:
    stream = serkit.Stream(recognizer, **{"sample_rate": RATE, **how})
    events = []
    for chunk in chunks:
        stream.feed(chunk)
        events += list(stream.events())
    stream.finish()
    stream.finish()
    return events + list(stream.events()), stream.finish


def settled(events: list[Any]) -> list[Prediction]:
    return [event.segment for event in events if event.kind != "partial"]


@given(data=st.data())
@settings(max_examples=60)
def test_a_stream_gives_the_segments_of_the_file(tiny: serkit.Recognizer, data: st.DataObject) -> None:
    runs = data.draw(
        st.lists(st.tuples(st.sampled_from([0.0, 0.03, 0.5, 1.2]), st.floats(0.05, 4.0)), min_size=1, max_size=6)
    )
    rate = data.draw(st.sampled_from([RATE, 8000, 44100]))
    pieces = [np.clip(noise(seconds, level, k), -1, 1) for k, (level, seconds) in enumerate([(0.0, 0.3), *runs])]
    sound = joined(*pieces)
    assume(len(sound) >= 0.3 * rate)
    sizes = data.draw(st.lists(st.sampled_from([1, 7, 160, 512, 5000, 40000]), min_size=1, max_size=20))
    edges = [edge for edge in np.cumsum(sizes * 40) if edge < len(sound)]
    how = {"window": data.draw(st.sampled_from([0.5, 1.0, 3.0])), "smooth": data.draw(st.booleans())}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listening, "SpeechFrames", LoudFrames)
        want = list(tiny.timeline(sound, sample_rate=rate, **how).tracks[0].segments)
        events, _ = streamed(tiny, np.split(sound, edges), sample_rate=rate, **how)
    assert settled(events) == want


def test_a_stream_hears_what_a_file_holds_with_the_real_detector(tiny: serkit.Recognizer, tmp_path: Path) -> None:
    sound, _ = spoken()
    whole = [(event.kind, event.segment) for event in streamed(tiny, [sound], partial=None)[0]]
    pieces = [(event.kind, event.segment) for event in streamed(tiny, np.split(sound, 97), partial=None)[0]] if (
        len(sound) % 97 == 0
    ) else [(e.kind, e.segment) for e in streamed(tiny, np.array_split(sound, 97), partial=None)[0]]  # fmt: skip
    sf.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    assert whole == pieces
    assert [segment for _, segment in whole] == list(tiny.timeline(tmp_path / "a.wav").segments)
    assert {kind for kind, _ in whole} == {"final", "silence"}


@pytest.mark.usefixtures("loud")
def test_partial_answers_come_every_half_second_and_change_nothing(tiny: serkit.Recognizer) -> None:
    sound = joined(silence(1.024), noise(2.4, 0.3), silence(0.992))
    events, _ = streamed(tiny, np.array_split(sound, 137))
    kinds = [event.kind for event in events]
    assert kinds[0] == "silence"
    assert kinds.count("partial") == 5
    assert kinds[-2:] == ["final", "silence"]
    partial = [event.segment for event in events if event.kind == "partial"]
    assert all(0.5 <= b.end - a.end < 0.7 for a, b in pairwise(partial[:-1]))  # the last is in the pause
    assert settled(events) == settled(streamed(tiny, [sound], partial=None)[0])
    assert events[-2].to_dict()["event"] == "final"
    assert "path" not in events[-2].to_dict()


@pytest.mark.usefixtures("loud")
def test_a_silence_is_answered_at_once_and_its_final_segment_says_the_same(tiny: serkit.Recognizer) -> None:
    first = joined(silence(1.024), noise(2.4, 0.3), silence(0.16), noise(1.2, 0.03, 1), silence(0.992))
    sound = joined(first, noise(9, 0.2, 2), silence(0.8))
    stream = serkit.Stream(tiny, sample_rate=RATE)
    said: list[tuple[float, Prediction]] = []
    ends: list[Prediction] = []
    for piece in np.array_split(sound, len(sound) // 320):
        stream.feed(piece)
        events = list(stream.events())
        said += [(stream.seconds, event.segment) for event in events if event.paused]
        ends += [event.segment for event in events if event.kind == "final"][-1:]
    assert len(said) == 3  # also in the pause of 0.16 s, which ends nothing
    assert [segment for _, segment in said[1:]] == ends
    for at, segment in said:
        assert at - segment.end < 0.15  # of sound


@pytest.mark.usefixtures("loud")
def test_a_bad_chunk_is_refused_and_the_stream_goes_on(tiny: serkit.Recognizer) -> None:
    sound = joined(silence(1.024), noise(2.4, 0.3), silence(0.992))
    stream = serkit.Stream(tiny, sample_rate=RATE, partial=None)
    stream.feed(sound[:RATE])
    bad = noise(0.1, 0.3)
    bad[5] = np.nan
    with pytest.raises(AudioError, match=r"The chunk: 1 sample is NaN or infinite, first at 1\.000 s"):
        stream.feed(bad)
    with pytest.raises(AudioError, match="samples must be in"):
        stream.feed(1000 * noise(0.1, 1.0))
    with pytest.raises(AudioError, match="A chunk has 2 channels, those before had 1"):
        stream.feed(np.zeros((10, 2), np.float32))
    with pytest.raises(AudioError, match=r"shape \(n, channels\), got \(2, 100\): turn it round"):
        stream.feed(np.zeros((2, 100), np.float32))
    with pytest.raises(AudioError, match="array of numbers"):
        stream.feed(np.array(["a"]))
    stream.feed(np.zeros(0, np.float32))
    stream.feed(sound[RATE:])
    stream.finish()
    assert settled(list(stream.events())) == settled(streamed(tiny, [sound], partial=None)[0])
    with pytest.raises(AudioError, match="has finished"):
        stream.feed(sound)


@pytest.mark.usefixtures("loud")
def test_streams_on_one_model_do_not_mix(tiny: serkit.Recognizer) -> None:
    sounds = [joined(silence(1.0), noise(1.5, level, k), silence(1.0)) for k, level in enumerate((0.03, 0.5))]
    streams = [serkit.Stream(tiny, sample_rate=RATE) for _ in sounds]
    for pieces in zip(*(np.array_split(sound, 50) for sound in sounds), strict=True):
        for stream, piece in zip(streams, pieces, strict=True):
            stream.feed(piece)
    for stream, sound in zip(streams, sounds, strict=True):
        stream.finish()
        assert settled(list(stream.events())) == list(tiny.timeline(sound, sample_rate=RATE).segments)


@pytest.mark.usefixtures("loud")
def test_turns_that_are_cut_after_30_s_are_the_same_in_a_stream(tiny: serkit.Recognizer) -> None:
    sound = joined(silence(0.5), noise(35, 0.3), silence(0.5))
    want = list(tiny.timeline(sound, sample_rate=RATE).tracks[0].segments)
    assert [part.speech for part in want] == [False, True, True, False]
    assert settled(streamed(tiny, np.array_split(sound, 999))[0]) == want


@pytest.mark.usefixtures("loud")
def test_sound_that_is_too_short_for_the_model_is_no_speech_in_a_stream(tiny: serkit.Recognizer) -> None:
    events, _ = streamed(tiny, [noise(0.2, 0.3)])
    assert [(event.kind, event.segment.end) for event in events] == [("silence", 0.2)]


def test_a_stream_without_sound_has_no_events(tiny: serkit.Recognizer) -> None:
    assert streamed(tiny, [])[0] == []
    with pytest.raises(SerkitError, match="sample_rate must be a whole number"):
        serkit.Stream(tiny, sample_rate=100)
    with pytest.raises(SerkitError, match="partial must be more than 0 s"):
        serkit.Stream(tiny, sample_rate=RATE, partial=0)


@pytest.mark.usefixtures("loud")
def test_integers_and_channels_of_a_stream(tiny: serkit.Recognizer) -> None:
    sound = joined(silence(1.0), noise(1.5, 0.3), silence(1.0))
    whole = np.round(sound * 32767).astype(np.int16)
    both = np.stack([whole, whole], axis=1)
    mono = settled(streamed(tiny, [whole], partial=None)[0])
    mixed = settled(streamed(tiny, [both], partial=None)[0])
    assert answers(mono) == answers(mixed)
    assert {part.channel for part in mixed} == {"mix"}
    sides = settled(streamed(tiny, [both], partial=None, channel="each")[0])
    assert {part.channel for part in sides} == {"left", "right"}


def test_the_detector_lives_in_each_process() -> None:
    assert speech_frames._session(1) is not speech_frames._session(2)
    assert speech_frames._session(1) is speech_frames._session(1)
