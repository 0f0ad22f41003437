"""The pages for long recordings, features, models and results; Streamlit's AppTest drives them."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from streamlit.testing.v1 import AppTest

import serkit
from serkit import audio
from serkit.app import MODEL_VARIABLE, feature_files, features, models_page, recording, results_page, sound_pictures
from serkit.app.averages import averages, table
from serkit.app.clips import Clip, as_csv, as_json
from serkit.app.words import per_cent, plain
from serkit.emotions import LABELS, colour
from serkit.features import MEASURES, Analysis, centroid, describe, harmonic_percussive, rms, tempo
from serkit.recognition.feature_rows import measure
from serkit.recognition.prediction import Prediction
from serkit.recognition.tracks import Outline
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


def test_a_long_recording_becomes_a_strip_shares_and_segments(tiny: Path) -> None:
    page = uploaded(opened("recording", tiny), "long", "long.wav", wav(LONG))
    recognizer = serkit.load(tiny)
    parts = recognizer.timeline(wav(LONG)).at_least(0.4).segments
    assert [part.answer for part in parts][1] == "no speech"
    strip, bars = charts(page)
    bar = next(trace for trace in strip["data"] if trace["type"] == "bar")
    assert bar["marker"]["color"][0] == colour(parts[0].emotion or "")
    assert bar["marker"]["color"][1].startswith("rgba(140,140,140")
    assert [k for (k,) in bar["customdata"]] == list(range(len(parts)))
    assert bars["data"][0]["y"] == [*LABELS, "no speech"]
    shown = page.dataframe[0].value
    assert list(shown["emotion"]) == [part.answer for part in parts]
    assert shown["start"][0] == "0:00.0"
    assert shown["end"][len(parts) - 1] == "0:13.0"


def test_other_windows_and_more_doubt_are_other_segments(tiny: Path) -> None:
    page = uploaded(opened("recording", tiny), "long", "long.wav", wav(LONG))
    page.number_input(key=f"long window {tiny}").set_value(2.0).run()
    assert not page.exception
    found = serkit.load(tiny).timeline(wav(LONG), window=2.0)
    parts = found.at_least(0.4).segments
    assert list(page.dataframe[0].value["emotion"]) == [part.answer for part in parts]
    page.slider(key=f"long least {tiny}").set_value(90).run()
    parts = found.at_least(0.9).segments
    assert list(page.dataframe[0].value["emotion"]) == [part.answer for part in parts]
    assert "unsure" in [part.answer for part in parts]
    page.slider(key=f"long least {tiny}").set_value(0).run()
    page.checkbox(key="long smooth").uncheck().run()
    parts = serkit.load(tiny).timeline(wav(LONG), window=2.0, smooth=False).segments
    assert list(page.dataframe[0].value["emotion"]) == [part.answer for part in parts]


def test_a_recording_is_heard_once_in_a_session(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    real = recording.listen

    def counted(*given: Any, **options: Any) -> recording.Heard:
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
    heard = recording.listen(serkit.load(tiny), Clip("b", "b.flac", "audio/flac", lambda: data), window=5.0)
    assert heard.error is not None
    assert heard.timeline is not None
    assert 59.0 < heard.timeline.segments[-1].end <= 60.1  # where the file breaks off
    assert 0 < len(heard.low) == len(heard.high) <= 900


def test_exports_hold_the_exact_segments(tiny: Path) -> None:
    parts = serkit.load(tiny).timeline(wav(LONG)).segments
    rows = list(csv.DictReader(io.StringIO(as_csv(parts, LABELS).decode())))
    assert [(float(row["start"]), float(row["end"]), row["emotion"]) for row in rows] == [
        (part.start, part.end, part.emotion or "") for part in parts
    ]
    assert [row["speech"] for row in rows] == ["true" if part.speech else "false" for part in parts]
    assert [row["probabilities"] for row in json.loads(as_json(parts))] == [part.probabilities for part in parts]


def test_a_stretch_is_that_part_of_the_recording() -> None:
    ramp = np.linspace(-0.5, 0.5, 10 * RATE, dtype=np.float32)
    cut = audio.load(recording.stretch(clip(ramp), 2.5, 4.0, RATE))
    assert cut.duration == 1.5
    assert cut.samples == pytest.approx(ramp[40000:64000], abs=1e-4)


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


def test_the_chosen_segment_has_its_sound_coloured() -> None:
    parts = [
        Prediction(None, 0.0, 2.0, "sad", 0.9, {"happy": 0.1, "sad": 0.9}, speech=True),
        Prediction(None, 2.0, 8.0, None, None, {}, speech=False),
    ]
    low, high = np.full(80, -0.5), np.full(80, 0.5)
    figure = sound_pictures.strip(low, high, parts, recording.clock, chosen=0)
    _, chosen, bar = figure.data
    assert chosen.line.color == colour("sad")
    assert (min(chosen.x), max(chosen.x)) == pytest.approx((0.05, 1.95))
    assert [shape.x0 for shape in figure.layout.shapes] == [1.0]
    assert list(bar.base) == [0.0, 2.0]
    assert list(bar.text) == ["0:00–0:02 sad 90 %", "0:02–0:08 no speech"]
    assert len(sound_pictures.strip(low, high, parts, recording.clock).data) == 2


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


def test_the_card_of_a_foreign_model_is_shown_and_loads_nothing(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny", card=HOSTILE_CARD)
    page = opened("models_page", tmp_path / "tiny")
    (shown,) = (text.value for text in page.markdown if text.value.startswith("# Evil"))
    assert not page.get("image")
    assert not any(text.allow_html for text in page.markdown if text.value == shown)
    # Every bracket, < and $ has an odd number of backslashes before it, so that Markdown takes it for text.
    before = [len(match[1]) for match in re.finditer(r"(\\*)[\[\]<$]", shown)]
    assert len(before) == 15
    assert all(count % 2 for count in before)
    assert "| `ser` | **bold** " in shown  # what only formats stays


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
    assert sorted(shown["recipe"]) == sorted(rows)
    assert shown["accuracy"] == sorted(shown["accuracy"], reverse=True)
    assert shown["accuracy"] == [100 * rows[name]["accuracy"] for name in shown["recipe"]]
    assert dict(zip(shown["recipe"], shown["reported"], strict=True))["s4-cnn-bilstm"] == "62.5"
    assert all(name.startswith("⚠ ") for name in results_page.scores(found, "augmented-random")["recipe"])


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
