"""The pages for long recordings, features, models and results; Streamlit's AppTest drives them."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from streamlit.testing.v1 import AppTest

import serkit
from serkit import audio
from serkit.app import (
    MODEL_VARIABLE,
    feature_files,
    features,
    listening,
    models_page,
    player,
    recording,
    results_page,
    sound_pictures,
)
from serkit.app.averages import averages, table
from serkit.app.clips import Clip
from serkit.app.corrections import Edited, corrected
from serkit.app.words import per_cent, plain
from serkit.emotions import LABELS, colour
from serkit.errors import SerkitError
from serkit.features import MEASURES, Analysis, centroid, describe, harmonic_percussive, rms, tempo
from serkit.recognition.feature_rows import measure
from serkit.recognition.prediction import Prediction
from serkit.recognition.speakers import Turns
from serkit.recognition.tracks import Outline, Timeline, Track
from serkit.waiting import clock
from tests.conftest import Ser, voice
from tests.known_speech import LoudFrames
from tests.tiny_models import HOSTILE_CARD, write_tiny

RATE = 16000
LONG = np.concatenate([0.02 * voice(3, 1, seconds=4.0), np.zeros(5 * RATE, np.float32), voice(5, 2, seconds=4.0)])


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    sf.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def clip(samples: np.ndarray, name: str = "long.wav", rate: int = RATE) -> Clip:
    data = wav(samples, rate)
    return Clip(name, name, "audio/wav", lambda: data)


@pytest.fixture(autouse=True)
def known_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector of timelines knows that what is loud is a voice: it would not take these sounds for one."""
    monkeypatch.setattr("serkit.recognition.listening.SpeechFrames", LoudFrames)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_tiny(tmp_path / "tiny")
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "tiny"))
    return tmp_path / "tiny"


def opened(page: str, model: Path) -> AppTest:
    """One page by itself."""
    script = f"import serkit\nfrom serkit.app import {page}\n{page}.show({str(model)!r}, serkit.load({str(model)!r}))\n"
    shown = AppTest.from_string(script, default_timeout=60).run()
    assert not shown.exception
    return shown


def uploaded(page: AppTest, prefix: str, name: str, content: bytes) -> AppTest:
    page.radio(key=f"{prefix} way").set_value("Upload").run()
    page.file_uploader(key=f"{prefix} upload").upload(name, content).run()
    assert not page.exception
    return page


def charts(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


# a long recording


def player_of(page: AppTest) -> dict[str, Any]:
    """What the player of the page was given."""
    (shown,) = page.get("bidi_component")
    return json.loads(shown.proto.mixed.json or shown.proto.json)


def test_a_long_recording_becomes_a_player_shares_and_segments(tiny: Path) -> None:
    page = uploaded(opened("recording", tiny), "long", "long.wav", wav(LONG))
    parts = [part for part in serkit.load(tiny).timeline(wav(LONG)).at_least(0.4).segments if part.speech]
    given = player_of(page)
    (regions,) = given["tracks"]
    assert [(one["start"], one["end"]) for one in regions] == [(part.start, part.end) for part in parts]
    assert [one["colour"] for one in regions] == [colour(part.emotion or "") for part in parts]
    assert given["duration"] == 13.0
    assert [one["label"] for one in given["legend"]][-1] == "no speech"
    (peaks,) = given["peaks"]
    assert max(peaks[: len(peaks) // 4]) < 10 < max(peaks[3 * len(peaks) // 4 :]) <= 200
    assert charts(page)[0]["data"][0]["y"] == list(LABELS)
    shown = page.dataframe[0].value
    assert list(shown["emotion"]) == [part.answer for part in parts]
    assert (shown["start"][0], shown["end"][len(parts) - 1]) == ("0:00.0", "0:13.0")


def test_the_whole_recording_is_played_and_small(tiny: Path) -> None:
    stereo = np.stack([LONG, np.zeros_like(LONG)], axis=1)
    heard = listening.listen(serkit.load(tiny), clip(stereo), window=5.0)
    kind, data = heard.sound
    assert kind in ("audio/mpeg", "audio/ogg")
    assert len(data) < len(wav(stereo)) / 6
    played = audio.load(data, target_rate=RATE).samples
    both = np.stack([played[: len(LONG)], LONG])
    assert np.corrcoef(np.abs(both))[0, 1] > 0.9  # at its time, and only the channel that holds sound
    assert np.abs(played).max() == pytest.approx(np.abs(LONG).max(), rel=0.2)


def test_a_recording_that_is_removed_leaves_no_sound(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_joined", lambda: None)
    page = uploaded(opened("recording", tiny), "long", "long.wav", wav(LONG))
    assert len(page.session_state["answers long"][1].sound[1]) > 1000
    page.button(key="long remove").click().run()
    assert not page.exception
    assert "answers long" not in page.session_state


def test_channels_and_speakers_are_tracks(tiny: Path) -> None:
    recognizer = serkit.load(tiny)
    silent = np.zeros(5 * RATE, np.float32)
    sound = np.stack([np.r_[voice(3, 1, seconds=4.0), silent], np.r_[silent, voice(5, 2, seconds=4.0)]], axis=1)
    heard = listening.listen(recognizer, clip(sound), window=5.0, heard="each")
    assert heard.timeline is not None
    assert [track.name for track in heard.timeline.tracks] == ["left", "right"]
    left, right = heard.peaks
    half = len(left) // 2
    assert left[half + half // 4 :].max() < 0.01 < left[:half].max()
    assert right[:half].max() < 0.01 < right[half:].max()
    given = player.regions(heard.timeline)
    assert [one["start"] < 4.5 for track in given for one in track] == [True, False]

    turns = Turns([("ann", 0.0, 4.0), ("bob", 4.5, 9.0)])
    mono = clip(sound.sum(axis=1))
    heard = listening.listen(recognizer, mono, window=5.0, speakers=turns)
    assert heard.timeline is not None
    assert [track.name for track in heard.timeline.tracks] == ["ann", "bob"]
    ann, bob = heard.peaks
    assert ann[half + half // 4 :].max() == bob[: half - half // 4].max() == 0.0
    assert ann.max() > 0.01 < bob.max()
    for name, (make, _) in recording.files(heard.timeline).items():
        assert "bob" in make() or name == "CSV", name


def test_other_windows_and_more_doubt_are_other_segments(tiny: Path) -> None:
    page = uploaded(opened("recording", tiny), "long", "long.wav", wav(LONG))
    page.number_input(key=f"long window {tiny}").set_value(2.0).run()
    assert not page.exception

    def said(found: serkit.Timeline) -> list[str]:
        return [part.answer for part in found.segments if part.speech]

    found = serkit.load(tiny).timeline(wav(LONG), window=2.0)
    assert list(page.dataframe[0].value["emotion"]) == said(found.at_least(0.4))
    page.slider(key=f"long least {tiny}").set_value(90).run()
    assert list(page.dataframe[0].value["emotion"]) == said(found.at_least(0.9))
    assert "unsure" in said(found.at_least(0.9))
    assert "unsure" in [one["kind"] for one in player_of(page)["tracks"][0]]
    page.slider(key=f"long least {tiny}").set_value(0).run()
    page.checkbox(key="long smooth").uncheck().run()
    found = serkit.load(tiny).timeline(wav(LONG), window=2.0, smooth=False)
    assert list(page.dataframe[0].value["emotion"]) == said(found)


def timeline_of(*spans: tuple[float, float, str], duration: float = 10.0) -> Timeline:
    parts = []
    at = 0.0
    for start, end, label in spans:
        if start > at:
            parts.append(Prediction(None, at, start, None, None, {}, speech=False))
        parts.append(Prediction(None, start, end, label, 0.75, {"happy": 0.25, "sad": 0.25, label: 0.75}, speech=True))
        at = end
    if at < duration:
        parts.append(Prediction(None, at, duration, None, None, {}, speech=False))
    return Timeline("call.wav", duration, "tiny 1", ("happy", "sad"), (Track(None, tuple(parts)),))


def edited(timeline: Timeline, **changes: Any) -> list[Edited]:
    """The segments as rows of the table; `changes` are of the first one."""
    rows = [
        Edited(part, 0, clock(part.start, tenths=True), clock(part.end, tenths=True), part.answer)
        for part in timeline.tracks[0].speech
    ]
    return [replace(rows[0], **changes), *rows[1:]]


def test_corrected_segments_are_in_all_files() -> None:
    before = timeline_of((1.0123, 3.0456, "sad"), (3.0456, 5.0, "happy"))
    assert corrected(before, edited(before)) == before
    after = corrected(before, edited(before, emotion="happy", start="0:01.5"))
    assert [(part.start, part.end, part.answer, part.confidence) for part in after.tracks[0].speech] == [
        (1.5, 3.0456, "happy", None),
        (3.0456, 5.0, "happy", 0.75),
    ]
    moved = corrected(before, edited(before, end="0:02"))
    assert [(part.end, part.confidence, part.speech) for part in moved.segments][1:3] == [
        (2.0, 0.75, True),
        (3.0456, None, False),
    ]
    assert moved.segments[-1].end == before.duration
    found = {name: make() for name, (make, _) in recording.files(after).items()}
    assert "00:00:01,500 --> 00:00:03,046\nhappy\n" in found["SRT"]
    assert "00:00:01.500 --> 00:00:03.046" in found["VTT"]
    assert found["TextGrid"].count('text = "happy"') == 2
    assert 'text = "sad"' not in found["TextGrid"]
    assert found["EAF"].count("<ANNOTATION_VALUE>happy") == 2
    row = list(csv.DictReader(io.StringIO(found["CSV"])))[1]
    assert (row["start"], row["emotion"], row["confidence"]) == ("1.5", "happy", "")
    (one,) = json.loads(found["JSON"])
    assert one["tracks"][0]["segments"][1]["emotion"] == "happy"
    assert "<td>0:01.5</td>" in found["HTML"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"start": "soon"}, "'soon' is not a time: give seconds, or minutes and seconds such as 1:23.5."),
        ({"end": "0:00.5"}, "must end after its start"),
        ({"end": "0:11"}, "within the recording (0:10.0)"),
        ({"end": "0:04"}, "Two segments overlap at 0:03.0"),
        ({"start": "0:04.95", "end": "0:04.98"}, "Two segments overlap"),
    ],
)
def test_a_correction_that_cannot_be_is_one_sentence(change: dict[str, str], says: str) -> None:
    before = timeline_of((1.0, 3.0, "sad"), (3.0, 5.0, "happy"))
    with pytest.raises(SerkitError, match=re.escape(says)):
        corrected(before, edited(before, **change))


def test_segments_are_corrected_on_the_page(tiny: Path) -> None:
    page = uploaded(opened("recording", tiny), "long", "long.wav", wav(LONG))
    (switch,) = (toggle for toggle in page.toggle if toggle.label == "Correct")
    switch.set_value(True).run()
    assert not page.exception
    page.session_state["correct segments 1"] = {
        "edited_rows": {0: {"emotion": "calm", "end": "0:03"}},
        "added_rows": [{"start": "0:05", "end": "0:06", "emotion": "sad"}],
        "deleted_rows": [],
    }
    page.run()
    assert not page.exception
    (regions,) = player_of(page)["tracks"]
    assert [(one["start"], one["end"], one["says"]) for one in regions[:2]] == [(0.0, 3.0, "calm"), (5.0, 6.0, "sad")]
    (switch,) = (toggle for toggle in page.toggle if toggle.label == "Correct")
    switch.set_value(False).run()
    assert list(page.dataframe[0].value["emotion"])[:2] == ["calm", "sad"]
    page.button(key="long undo").click().run()
    (regions,) = player_of(page)["tracks"]
    assert regions[0]["says"] != "calm"


def test_a_recording_is_heard_once_in_a_session(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    real = listening.listen

    def counted(*given: Any, **options: Any) -> listening.Heard:
        heard.append(given[1].name)
        return real(*given, **options)

    monkeypatch.setattr(recording, "listen", counted)
    page = uploaded(opened("recording", tiny), "long", "long.wav", wav(LONG))
    page.slider(key=f"long least {tiny}").set_value(20).run()
    assert heard == ["examples.wav", "long.wav"]


def test_a_broken_recording_is_one_sentence_and_what_was_heard(tiny: Path) -> None:
    page = uploaded(opened("recording", tiny), "long", "notes.wav", b"Dear diary\n" * 20)
    (error,) = page.error
    assert error.value == plain("'notes.wav' is text, not audio, despite its name.")
    assert not page.get("plotly_chart")

    whole = io.BytesIO()
    sf.write(whole, voice(3, 1, seconds=70.0), RATE, format="FLAC")
    data = whole.getvalue()[: len(whole.getvalue()) * 6 // 7]
    heard = listening.listen(serkit.load(tiny), Clip("b", "b.flac", "audio/flac", lambda: data), window=5.0)
    assert heard.error is not None
    assert heard.timeline is not None
    assert 59.0 < heard.timeline.segments[-1].end <= 60.1  # where the file breaks off
    assert [0 < len(peak) <= 16_000 for peak in heard.peaks] == [True]


@pytest.mark.parametrize("seconds", [0.5, 29.99, 65.0])
def test_the_outline_spans_the_samples_at_their_time(seconds: float) -> None:
    samples = np.zeros(round(seconds * 4000), np.float32)
    samples[len(samples) // 4] = 0.5
    samples[3 * len(samples) // 4] = -0.25
    outline = Outline(4000, most=100)
    for piece in np.array_split(samples[:, np.newaxis], 7):
        outline.add(piece)
    low, high = outline.values().T
    assert len(low) == len(high) <= 100
    assert (low.min(), high.max()) == (-0.25, 0.5)
    assert (high.argmax() + 0.5) / len(high) == pytest.approx(0.25, abs=0.05)
    assert (low.argmin() + 0.5) / len(low) == pytest.approx(0.75, abs=0.05)


# features


def test_measures_are_means_over_the_voice() -> None:
    samples = voice(5, 2, seconds=2.0, rate=22050)
    wave = serkit.Waveform(samples, 22050)
    found = describe(wave)
    voiced = np.isfinite(found.rows["pitch"])
    assert 0.3 < voiced.mean() <= 1
    analysis = Analysis(wave)
    harmonic, percussive = harmonic_percussive(analysis)[:, voiced].mean(axis=1)
    assert found.measures["centroid"] == pytest.approx(centroid(analysis)[0, voiced].mean(), rel=1e-5)
    assert found.measures["rms"] == pytest.approx(20 * np.log10(rms(analysis)[0, voiced].mean()), abs=1e-3)
    assert found.measures["tempo"] == pytest.approx(tempo(analysis)[0, 0])
    ratio = 20 * np.log10(harmonic / percussive)
    assert found.measures["harmonic_over_percussive"] == pytest.approx(ratio, abs=1e-3)
    silence = np.zeros(22050, np.float32)
    padded = describe(serkit.Waveform(np.concatenate([silence, samples, silence]), 22050)).measures
    assert padded["centroid"] == pytest.approx(found.measures["centroid"], rel=0.05)


def test_the_shipped_averages_are_of_ravdess_speech() -> None:
    known = averages()
    assert list(known) == list(LABELS)
    for label, measured in known.items():
        assert list(measured) == list(MEASURES)
        assert {one.clips for one in measured.values()} == {96 if label == "neutral" else 192}
        assert all(one.deviation > 0 for one in measured.values())
    loud = {label: known[label]["rms"].mean for label in LABELS}
    assert max(loud, key=loud.__getitem__) == "angry"
    assert min(loud, key=loud.__getitem__) == "calm"


@pytest.mark.ravdess
def test_the_rows_of_neutral_come_out_as_they_ship(ravdess_dir: Path) -> None:
    corpus = serkit.read_corpus(ravdess_dir, kind="ravdess", channel="speech")
    neutral = corpus.table[corpus.table["emotion"] == "neutral"]
    made = table(("neutral", describe(corpus.load(row)).measures) for _, row in neutral.iterrows())
    for row in csv.DictReader(io.StringIO(made)):
        one = averages()["neutral"][row["feature"]]
        assert float(row["mean"]) == pytest.approx(one.mean, rel=1e-4, abs=1e-6)
        assert float(row["deviation"]) == pytest.approx(one.deviation, rel=1e-3)


def test_every_feature_is_drawn_and_compared(tiny: Path) -> None:
    page = opened("features", tiny)
    titles = [section.title for section in features.SECTIONS]
    assert [head.value for head in page.header] == [*titles, "Many clips"]
    drawn = dict(zip(titles, zip(*[iter(charts(page))] * 2, strict=True), strict=True))
    shown = [text.value.replace("\\", "") for text in page.markdown]
    assert all(any(section.says[:20] in text for text in shown) for section in features.SECTIONS)
    (mfcc_map,) = drawn["MFCC"][1]["data"]
    assert mfcc_map["y"] == list(LABELS)
    assert page.selectbox(key="feature example").value == "Actor 1038: angry"
    wave = audio.load(Path(__file__).parent.parent / "examples" / "angry_1038.opus")
    found = describe(wave).measures
    nearest = features.nearest_average({"centroid": found["centroid"]})
    says = f"Centroid: {found['centroid']:.0f} Hz, closest to the average of {nearest}."
    assert plain(says) in [caption.value for caption in page.caption]
    assert {one.label: one.value for one in page.metric}["Pitch"] == f"{found['pitch']:.0f} Hz"
    page.radio(key="feature 1 which").set_value("jitter").run()
    assert any(caption.value.startswith(plain(f"Jitter: {found['jitter']:.3g} %")) for caption in page.caption)


def test_silence_is_no_speech_and_nothing_is_measured(tiny: Path) -> None:
    page = uploaded(opened("features", tiny), "feature", "silence.wav", wav(np.zeros(RATE, np.float32)))
    assert any("No speech" in part.proto.body for part in page.get("html"))
    assert not page.get("plotly_chart")
    assert not page.metric


def test_the_measures_of_many_clips_are_one_csv(tiny: Path) -> None:
    page = opened("features", tiny)
    silence = wav(np.zeros(RATE, np.float32))
    given = {"a.wav": wav(voice(3, 1)), "silence.wav": silence, "text.wav": b"no sound at all"}
    page.file_uploader(key="feature uploads").set_value([(*one, "audio/wav") for one in given.items()]).run()
    assert not page.exception
    says = "2 measured, 1 of them without speech, 1 could not be read."
    assert says in [caption.value for caption in page.caption]
    (error,) = page.error
    assert "text" in error.value


def test_csv_in_the_app_is_that_of_the_command(ser: Ser, tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", voice(3, 1), RATE)
    sf.write(tmp_path / "b.wav", np.zeros(RATE, np.float32), RATE)
    rows = list(measure([tmp_path / "a.wav", tmp_path / "b.wav"]))
    for name, frames in (("rows.csv", False), ("frames.csv", True)):
        options = ["--frames"] if frames else []
        assert (
            ser("features", str(tmp_path / "a.wav"), str(tmp_path / "b.wav"), "--csv", str(tmp_path / name), *options)[
                0
            ]
            == 0
        )
        assert (tmp_path / name).read_bytes() == feature_files.as_csv(rows, frames=frames)


def test_the_map_shows_deviations_from_each_emotion() -> None:
    known = averages()
    values = {name: one.mean + 2 * one.deviation for name, one in list(known["sad"].items())[:3]}
    (shown,) = sound_pictures.distances(values, known, ["a", "b", "c"]).data
    assert list(shown.y) == list(LABELS)
    assert list(shown.z[LABELS.index("sad")]) == pytest.approx([2, 2, 2])
    mean = {name: one.mean for name, one in known["fearful"].items()}
    assert features.nearest_average(mean) == "fearful"


def test_a_clip_that_cannot_be_measured_is_one_sentence(tiny: Path) -> None:
    page = uploaded(opened("features", tiny), "feature", "empty.wav", b"")
    (error,) = page.error
    assert error.value == plain("'empty.wav' is empty (0 bytes).")
    assert not page.get("plotly_chart")


# models


def test_scores_are_shown_with_what_is_wrong_with_them(tmp_path: Path) -> None:
    scores = {
        "augmented-random": {"uar": 0.9, "warning": "it leaks."},
        "random": {"uar": 0.8},
        "speaker": {"uar": 0.5, "uar_interval": [0.4, 0.6]},
    }
    write_tiny(tmp_path / "tiny", scores=scores)
    page = opened("models_page", tmp_path / "tiny")
    lines = [text.value for text in page.markdown if "UAR" in text.value]
    assert [line.split("\n")[0].strip() for line in lines] == [
        "**speaker**: UAR 50.0 % (40.0 to 60.0)",
        "**random**: UAR 80.0 %",
        "**augmented\\-random**: UAR 90.0 %",
    ]
    known, leak = (warning.value.replace("\\", "") for warning in page.warning)
    assert known.startswith("Known voices: ")
    assert leak == "Not a result: it leaks."
    assert any("no confusion matrix" in info.value for info in page.info)


def test_a_confusion_matrix_is_shown_where_there_is_one(tmp_path: Path) -> None:
    counts = (np.eye(8, dtype=int) * 3 + np.eye(8, k=1, dtype=int)).tolist()
    write_tiny(tmp_path / "tiny", scores={"speaker": {"uar": 0.5, "confusion": counts}})
    page = opened("models_page", tmp_path / "tiny")
    heat = charts(page)[0]
    assert heat["data"][0]["x"] == heat["data"][0]["y"] == list(LABELS)
    cells = {(note["y"], note["x"]): note["text"] for note in heat["layout"]["annotations"]}
    assert cells["neutral", "neutral"] == "75"
    assert cells["neutral", "calm"] == "25"
    assert cells["surprised", "surprised"] == "100"
    assert len(cells) == 15
    assert not any("confusion" in info.value for info in page.info)


@pytest.mark.parametrize("rows", [[[1, 2], [3, 4]], None])
def test_what_is_no_matrix_of_the_labels_is_not_shown(tmp_path: Path, rows: Any) -> None:
    bundle = write_tiny(tmp_path / "tiny", scores={"speaker": {"confusion": rows}})
    assert models_page.confusion_of(bundle.manifest, "speaker") is None


def test_the_card_of_a_foreign_model_is_plain_text(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny", card=HOSTILE_CARD)
    page = opened("models_page", tmp_path / "tiny")
    (shown,) = page.code
    assert shown.value == HOSTILE_CARD.rstrip("\n").expandtabs(4)
    assert shown.proto.language == "plaintext"
    assert not page.get("image")
    assert not any("Evil" in text.value for text in page.markdown)


def test_the_models_are_rows_with_what_they_learned_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {"speaker": {"uar": 0.5123}, "corpus": {"uar": 0.25}}
    write_tiny(tmp_path / "tiny", scores=scores, corpus="ravdess+resd")
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "tiny"))
    page = opened("models_page", tmp_path / "tiny")
    shown = page.dataframe[0].value
    assert list(shown["model"]) == ["✓ tiny", "default", "fast", "open"]
    assert (shown["learned from"][0], shown["new voice"][0], shown["new corpus"][0]) == (
        "ravdess, resd",
        "51.2",
        "25.0",
    )
    assert shown["new voice"][1] == f"{100 * serkit.load('default').manifest.scores['speaker']['uar']:.1f}"
    assert shown["new voice"][1] == sidebar_says("default")
    assert shown["new corpus"][3] == "–"  # open learned from too few corpora to leave one out


def sidebar_says(model: str) -> str:
    """The score in the sidebar, in %."""
    script = "from serkit.app import chosen_model\nchosen_model.choose()\n"
    page = AppTest.from_string(script, default_timeout=60).run()
    page.sidebar.selectbox[0].select(model).run()
    (found,) = re.findall(r"recognises \*\*([\d.]+) %\*\*", " ".join(text.value for text in page.sidebar.markdown))
    return str(found)


def test_two_models_answer_the_same_clip(tiny: Path) -> None:
    page = uploaded(opened("models_page", tiny), "models", "me.wav", wav(voice(3, 1)))
    data = wav(voice(3, 1))
    shown = [chart["data"][0] for chart in charts(page)]
    for bar, model in zip(shown, (str(tiny), "default"), strict=True):
        want = serkit.load(model).predict(data)
        assert bar["text"] == [per_cent(share) for share in want.probabilities.values()]


def test_one_model_alone_says_how_to_bring_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODEL_VARIABLE, raising=False)
    monkeypatch.setattr("serkit.bundle.store._BUNDLES", tmp_path)
    write_tiny(tmp_path / "default")
    page = opened("models_page", Path("default"))
    assert any("Only one model" in info.value for info in page.info)


def test_a_damaged_neighbour_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("good", "bad"):
        write_tiny(tmp_path / name)
    (tmp_path / "bad" / "model.onnx").write_bytes(b"not what it was")
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path))
    page = opened("models_page", tmp_path / "good")
    page.selectbox(key="models second").select(str(tmp_path / "bad")).run()
    assert not page.exception
    (error,) = page.error
    assert "truncated" in error.value


# results


def test_the_story_takes_its_numbers_from_the_document() -> None:
    def row(recipe: str, protocol: str, accuracy: float) -> dict[str, Any]:
        return {"recipe": recipe, "protocol": protocol, "accuracy": accuracy}

    rows = [
        row("small", "augmented-random", 0.7), row("small", "random", 0.65), row("small", "speaker", 0.6),
        row("large", "augmented-random", 0.95), row("large", "random", 0.75), row("large", "speaker", 0.55),
        row("half", "augmented-random", 0.99), row("half", "random", 0.9),
    ]  # fmt: skip
    first, second, third = results_page.story({"rows": rows})
    assert "large, scores 95.0 %, 75.0 % or 55.0 %" in first
    assert second.startswith("⚠ 95.0 % is a leak, not a result")
    assert third.endswith("expect 55.0 %.")
    assert results_page.story({"rows": rows[-2:]}) == []


def test_the_shipped_results_are_those_of_the_documentation() -> None:
    written = Path(__file__).parent.parent / "docs" / "results.json"
    assert results_page.document() == json.loads(written.read_text(encoding="utf-8"))


def test_the_table_is_the_documents_best_first() -> None:
    found = results_page.document()
    shown = results_page.scores(found, "speaker")
    rows = {row["recipe"]: row for row in found["rows"] if row["protocol"] == "speaker"}
    names = [name.removeprefix("◐ ") for name in shown["recipe"]]
    assert sorted(names) == sorted(rows)
    assert shown["accuracy"] == sorted(shown["accuracy"], reverse=True)
    assert shown["accuracy"] == [100 * rows[name]["accuracy"] for name in names]
    assert dict(zip(shown["recipe"], shown["reported"], strict=True))["s4-cnn-bilstm"] == "62.5"
    assert all(name.startswith("⚠ ") for name in results_page.scores(found, "augmented-random")["recipe"])


def test_partial_runs_are_marked_and_the_models_that_ship_are_rows() -> None:
    found = copy.deepcopy(results_page.document())
    part = {"s2-cnn": {"reduced": "2 of 20 epochs", "folds_run": 1}, "s1-best": {"folds_run": 2}}
    for row in found["rows"]:
        if row["protocol"] == "speaker":
            row.update({"reduced": None, "folds_run": 5, **part.get(row["recipe"], {})})
    shown = results_page.scores(found, "speaker", results_page.shipped())
    assert shown["recipe"][:3] == ["default", "fast", "open"]
    assert (shown["system"][0], shown["corpus"][:3]) == ("ships", ["6 corpora", "6 corpora", "3 corpora"])
    assert shown["UAR"][0] == 100 * serkit.load("default").manifest.scores["speaker"]["uar"]
    measured = dict(zip(shown["recipe"], shown["measured"], strict=True))
    assert measured["◐ s2-cnn"] == "2 of 20 epochs, 1 of 5 folds"
    assert measured["◐ s1-best"] == "2 of 5 folds"
    assert {said for name, said in measured.items() if "◐" not in name} == {"all"}
    random = results_page.scores(found, "random")  # of which one fold of five is the plan
    assert set(random["measured"]) == {"all"}
    assert {row["system"] for row in found["rows"]} == set(results_page.SYSTEMS)


def test_a_leaky_number_never_stands_alone(tiny: Path) -> None:
    page = opened("results_page", tiny)
    assert page.selectbox(key="results protocol").value == "speaker"
    assert not page.warning
    page.selectbox(key="results protocol").select("augmented-random").run()
    (warning,) = page.warning
    assert plain("Not a result: augmented-random leaks") in warning.value
    (picture,) = charts(page)
    names = {trace.get("name") for trace in picture["data"]}
    assert "⚠ augmented-random (leaks)" in names
    assert "augmented-random" not in names


def test_every_score_of_the_document_is_in_the_picture() -> None:
    found = results_page.document()
    drawn = {
        (y, trace.name.removeprefix("⚠ ").removesuffix(" (leaks)")): x
        for trace in results_page.picture(found).data
        if trace.mode == "markers"
        for x, y in zip(trace.x, trace.y, strict=True)
    }
    for row in found["rows"]:
        assert drawn[row["recipe"], row["protocol"]] == pytest.approx(100 * row["accuracy"])
        if row["reported"] is not None:
            assert drawn[row["recipe"], "reported"] == pytest.approx(100 * row["reported"])


def test_the_pages_load_nothing_of_the_learn_road() -> None:
    code = (
        "import sys\nfrom serkit.app import features, models_page, recording, results_page\nresults_page.document()\n"
        "print({'torch', 'sklearn', 'librosa', 'matplotlib', 'numba', 'serkit.protocol'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
