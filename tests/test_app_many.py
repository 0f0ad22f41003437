"""What the pages for one clip and many clips are made of: zips, labels, filters, the report, shading, pictures."""

from __future__ import annotations

import io
import json
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import soundfile as sf
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix
from streamlit.testing.v1 import AppTest

import serkit
from serkit.app import MODEL_VARIABLE, batch_report, batch_table, clips, pictures, single, trained, truth
from serkit.app.batch_table import Row
from serkit.app.chosen_model import choices
from serkit.bundle.clips import pack_clips
from serkit.emotions import EMOTIONS, LABELS, colour
from serkit.errors import AudioError, CorpusError
from serkit.recognition.explain import Explanation
from serkit.recognition.prediction import Prediction
from tests.conftest import voice
from tests.tiny_models import write_tiny


def wav(samples: np.ndarray, rate: int = 16000) -> bytes:
    file = io.BytesIO()
    sf.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


class Upload:
    """What the page gets from ``st.file_uploader``."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name, self.file_id, self.data = name, f"id of {name}", data

    def getvalue(self) -> bytes:
        return self.data


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def answer(path: str, emotion: str | None, confidence: float = 0.6, **more: Any) -> Prediction:
    if emotion is None:
        return Prediction(path, 0.0, 1.0, None, None, {}, speech=False, **more)
    rest = (1 - confidence) / (len(LABELS) - 1)
    found = {label: confidence if label == emotion else rest for label in LABELS}
    return Prediction(path, 0.0, 1.0, emotion, confidence, found, speech=True, **more)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_tiny(tmp_path / "models" / "tiny")
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "models" / "tiny"))
    return tmp_path / "models" / "tiny"


def opened(page: str, model: Path) -> AppTest:
    script = f"import serkit\nfrom serkit.app import {page}\n{page}.show({str(model)!r}, serkit.load({str(model)!r}))\n"
    shown = AppTest.from_string(script, default_timeout=60).run()
    assert not shown.exception
    return shown


def charts(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


# zips


def test_a_zip_gives_its_recordings_and_nothing_else() -> None:
    sound = wav(voice(3, 1))
    data = packed(
        {
            "b/two.wav": sound,
            "a.wav": b"",
            "__MACOSX/._a.wav": b"x",
            "b/.hidden.wav": b"x",
            "read.me": b"x",
            "b/": b"",
        }
    )
    found, problem = clips.unpacked(Upload("calls.zip", data))
    assert problem is None
    assert [clip.name for clip in found] == ["a.wav", "b/two.wav"]
    assert found[1].read() == sound
    assert found[1].open().name == "b/two.wav"
    assert len({clip.key for clip in found}) == 2


def test_a_zip_that_is_none_or_too_much_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    found, problem = clips.unpacked(Upload("x.zip", b"text"))
    assert (found, problem) == ([], "x.zip is a damaged or truncated zip (File is not a zip file): get it again.")
    assert clips.unpacked(Upload("x.zip", packed({"a.txt": b""}))) == ([], "x.zip holds no recordings.")
    monkeypatch.setattr(clips, "_MAX_CLIP", 1 << 20)
    _, problem = clips.unpacked(Upload("bomb.zip", packed({"a.wav": bytes(2 << 20)})))
    assert problem is not None
    assert "bomb.zip holds 1 recordings of 2 MB in all" in problem
    assert "ser predict" in problem


def test_a_damaged_member_fails_alone() -> None:
    data = bytearray(packed({"a.wav": bytes(range(256)) * 40, "b.wav": wav(voice(3, 1))}))
    data[60:70] = b"\xff" * 10
    found, _ = clips.unpacked(Upload("x.zip", bytes(data)))
    with pytest.raises(AudioError, match=r"a\.wav of x\.zip cannot be unpacked"):
        found[0].read()
    assert found[1].read() == wav(voice(3, 1))


def test_the_page_answers_a_zip_and_lists_what_is_damaged(tiny: Path) -> None:
    page = opened("batch", tiny)
    data = packed({"x/a.wav": wav(voice(3, 1)), "x/b.wav": b"Dear diary\n" * 20})
    page.file_uploader(key="uploads").set_value([("calls.zip", data, "application/zip")]).run()
    assert not page.exception
    assert list(page.dataframe[0].value["file"]) == ["x/a.wav"]
    assert "1 of 2 could not be answered" in page.error[0].value


# labels


def test_scores_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    acted = rng.choice(LABELS[:5], 60)
    heard = np.where(rng.random(60) < 0.5, acted, rng.choice(LABELS, 60))
    rows = [answer(f"{k}.wav", str(emotion)) for k, emotion in enumerate(heard)]
    rows += [answer("60.wav", None), Prediction("61.wav", 0, 0, None, None, {}, error="broken")]
    known = {f"{k}.wav": str(label) for k, label in enumerate(acted)} | {"60.wav": "sad", "61.wav": "sad"}
    found = truth.compare(rows, truth.matched([row.path or "" for row in rows], known), LABELS)
    assert found is not None
    assert (found.n, found.unanswered) == (60, 1)
    assert found.accuracy == pytest.approx(accuracy_score(acted, heard))
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert found.uar == pytest.approx(balanced_accuracy_score(acted, heard))
    np.testing.assert_array_equal(found.confusion, confusion_matrix(acted, heard, labels=LABELS))


def test_a_label_is_for_a_path_or_for_a_name_that_only_one_clip_has() -> None:
    paths = ["a/x.wav", "b/x.wav", "b/y.wav", "b/y.wav"]  # two channels of b/y.wav
    given = truth.matched(paths, {"a/x.wav": "sad", "x.wav": "calm", "y.wav": "sad"})
    assert given == ["sad", None, "sad", "sad"]
    rows = [answer("a/x.wav", "sad"), answer("b/x.wav", "happy"), answer("b/y.wav", "angry")]
    found = truth.compare(rows, given[:3], LABELS)
    assert found is not None
    assert (found.n, found.accuracy) == (2, 0.5)
    assert truth.compare(rows, [None] * 3, LABELS) is None


def test_names_of_published_corpora_give_labels() -> None:
    names = {
        "1001_DFA_ANG_XX.wav": ("crema_d", "angry"),
        "x/03-01-04-01-01-01-12.wav": ("ravdess", "sad"),
        "03a01Fa.wav": ("emodb", "happy"),
        "YAF_back_fear.wav": ("tess", "fearful"),
        "DC/sa01.wav": ("savee", "sad"),
        "esd/0011/Angry/0011_000351.wav": ("esd", "angry"),
    }
    found = truth.by_name((*names, "call.wav", "03-01-09-01-01-01-12.wav"))
    assert {path: (name.corpus, name.emotion) for path, name in found.items()} == names


def test_clips_of_the_training_set_are_told_by_sound_and_by_name(tmp_path: Path) -> None:
    sounds = [wav(voice(code, 1)) for code in (3, 4, 5)]
    hashes = [serkit.audio.load(sound).digest for sound in sounds[:1]]
    corpus, recipe = "crema_d+resd", 'unheard = ["crema_d/1005"]'
    bundle = write_tiny(tmp_path / "tiny", clips=pack_clips(hashes), corpus=corpus, recipe=recipe)
    names = ("call.wav", "1001_DFA_ANG_XX.wav", "1005_DFA_ANG_XX.wav")
    page = opened("batch", tmp_path / "tiny")
    files = [(name, sound, "audio/wav") for name, sound in zip(names, sounds, strict=True)]
    page.file_uploader(key="uploads").set_value(files).run()
    (warning,) = page.warning
    assert warning.value.replace("\\", "") == (
        "The model was trained on 1 of these 3 clips; it also learned from CREMA-D, and by name 1 of these 3 clips is "
        "from there. Its answers to them say nothing about other recordings."
    )
    kinds = [element.type for element in page.main]
    assert kinds.index("warning") < kinds.index("dataframe")
    named = truth.by_name(names)
    assert list(trained.named_alike(bundle, named)) == ["1001_DFA_ANG_XX.wav"]
    page.file_uploader(key="uploads").set_value(files[2:]).run()
    assert not page.warning


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"file,mood\na.wav,sad\n", "need the columns file,emotion, got file, mood"),
        (b"", "got an empty table"),
        (b"\xff\xfe\x00", "not CSV in UTF-8"),
        (b"file,emotion\na.wav,<b>\n", "'<b>' cannot be a label"),
    ],
)
def test_a_table_of_labels_that_is_none_is_one_sentence(data: bytes, says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        truth.from_table(data)


RAVDESS = {f"03-01-{code:02d}-01-01-01-{who:02d}.wav": voice(code, who) for code in (3, 5) for who in (1, 2)}


def labelled(tiny: Path) -> AppTest:
    page = opened("batch", tiny)
    page.file_uploader(key="uploads").set_value([(n, wav(v), "audio/wav") for n, v in RAVDESS.items()]).run()
    assert not page.exception
    return page


def test_names_a_table_and_the_user_give_labels(tiny: Path) -> None:
    page = labelled(tiny)
    heard = [serkit.load(tiny).predict(wav(v)).emotion for v in RAVDESS.values()]
    acted = [{"03": "happy", "05": "angry"}[name[6:8]] for name in RAVDESS]
    right = sum(e == label for e, label in zip(heard, acted, strict=True))
    shown = {metric.label: metric.value for metric in page.metric}
    assert (shown["Accuracy"], shown["Clips"]) == (f"{100 * right / 4:.1f} %", "4")
    assert list(page.dataframe[0].value["label"]) == acted
    first, second, *_ = RAVDESS
    page.file_uploader(key="labels").upload("labels.csv", f"file,emotion\n{first},{heard[0]}\n".encode()).run()
    assert list(page.dataframe[0].value["label"]) == [heard[0], *acted[1:]]
    page.session_state["table"] = {"selection": {"rows": [], "columns": [], "cells": [(1, "file")]}}
    page.run()
    (box,) = (box for box in page.selectbox if box.label == "True label")
    box.select("calm").run()
    assert not page.exception
    assert list(page.dataframe[0].value["label"]) == [heard[0], "calm", *acted[2:]]
    box.select("none").run()
    assert list(page.dataframe[0].value["label"]) == [heard[0], "", *acted[2:]]
    assert {metric.label: metric.value for metric in page.metric}["Clips"] == "3"
    assert second in page.dataframe[0].value["file"][1]


def test_wrong_only_and_the_filters_narrow_charts_and_downloads(tiny: Path) -> None:
    page = labelled(tiny)
    heard = [f"{name},{serkit.load(tiny).predict(wav(v)).emotion}\n" for name, v in list(RAVDESS.items())[::2]]
    page.file_uploader(key="labels").upload("labels.csv", "".join(["file,emotion\n", *heard]).encode()).run()
    whole = list(page.dataframe[0].value["right"])
    assert set(whole) == {"✓", "✗"}
    accuracy = {metric.label: metric.value for metric in page.metric}["Accuracy"]
    page.toggle(key="filter wrong").set_value(True).run()
    assert list(page.dataframe[0].value["right"]) == ["✗"] * whole.count("✗")
    assert {metric.label: metric.value for metric in page.metric}["Accuracy"] == accuracy  # of right and wrong ones
    distribution = charts(page)[1]["data"][0]
    assert sum(distribution["x"]) == whole.count("✗")
    page.text_input(key="filter name").input("-05-").run()
    assert {metric.label: metric.value for metric in page.metric}["Clips"] == "2"
    assert any("downloads below cover the" in caption.value for caption in page.caption)


def test_exports_have_the_labels() -> None:
    rows = [answer("=a,b.wav", "sad"), answer("b\udce9.wav", "happy")]
    plain_csv = batch_report.as_csv(rows, LABELS, [None, None])
    assert plain_csv == clips.as_csv(rows, LABELS)
    lines = batch_report.as_csv(rows, LABELS, ["sad", None]).splitlines()
    assert lines == [line + end for line, end in zip(plain_csv.splitlines(), (b",label", b",sad", b","), strict=True)]
    found = json.loads(batch_report.as_json(rows, ["sad", None]))
    assert [row.pop("label") for row in found] == ["sad", None]
    assert found == json.loads(clips.as_json(rows)) == json.loads(batch_report.as_json(rows, [None, None]))
    parsed = Cells()
    parsed.feed(batch_report.page(rows, {"sad": (2, "")}, model="tiny 1", given=["<b>", None]))
    assert "label" in parsed.cells
    assert "<b>" in parsed.cells


# the table


def test_filters_and_rows() -> None:
    clip = clips.Clip("k", "n", "audio/wav", bytes)
    found = [answer("A/one.wav", "sad", 0.9), answer("b/two.wav", "sad", 0.5), answer("b/three.wav", None)]
    rows = [Row(clip, one) for one in found]

    def kept(*given: Any) -> list[str | None]:
        return [row.answer.path for row in batch_table.chosen(rows, *given)]

    assert kept("", [], 0) == ["A/one.wav", "b/two.wav", "b/three.wav"]
    assert kept("a/", [], 0) == ["A/one.wav"]
    assert kept("", ["sad"], 0.6) == ["A/one.wav"]
    assert kept("", ["no speech"], 0) == ["b/three.wav"]
    assert kept("", [], 0.1) == ["A/one.wav", "b/two.wav"]
    assert [Row(clip, one, "sad").wrong for one in found] == [False, False, True]


def test_the_page_filters_its_table(tiny: Path) -> None:
    page = opened("batch", tiny)
    files = [(f"{k}.wav", wav(0.2 * k * voice(3, 1)), "audio/wav") for k in (1, 2, 3)]
    page.file_uploader(key="uploads").set_value(files).run()
    page.text_input(key="filter name").input("2.").run()
    assert list(page.dataframe[0].value["file"]) == ["2.wav"]
    assert any(caption.value.startswith("1 of 3 answers") for caption in page.caption)


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def test_the_report_stands_alone_and_takes_no_html_from_names() -> None:
    rows = [
        answer("<script>alert(1)</script>.wav", "sad", 0.724),
        answer("silent.wav", None),
        Prediction("bad.wav", 0, 0, None, None, {}, error="bad.wav is empty (0 bytes)."),
    ]
    comparison = truth.compare(rows, ["sad", None, None], LABELS)
    html = batch_report.page(
        rows, {"sad": (1, colour("sad")), "no speech": (1, "")}, model="tiny 1", comparison=comparison
    )
    parsed = Cells()
    parsed.feed(html)
    assert "script" not in parsed.tags
    assert {"link", "img"}.isdisjoint(parsed.tags)
    for cell in ("<script>alert(1)</script>.wav", "72 %", "no speech", "bad.wav is empty (0 bytes)."):
        assert cell in [text.strip() for text in parsed.cells]
    assert "2 of 3 recordings answered by tiny 1" in html
    assert "Accuracy 100.0 %" in html


# one clip


def test_stretches_that_spoke_for_the_answer_are_shaded() -> None:
    figure = go.Figure(pictures.sound(serkit.Waveform(voice(3, 1), 16000), "#123456"))
    before = len(figure.layout.shapes)
    times = np.array([[0.0, 0.4], [0.2, 0.6], [0.4, 0.8], [0.6, 1.0]])
    pictures.shaded(figure, times, np.array([0.5, -1.0, 1.0, 0.01]), "#123456")
    new = figure.layout.shapes[before:]
    assert [(round(s.x0, 3), round(s.x1, 3), s.opacity) for s in new] == [(0.1, 0.3, 0.25), (0.5, 0.7, 0.5)]
    pictures.shaded(figure, times, -np.ones(4), "#123456")
    assert len(figure.layout.shapes) == before + 2


def test_what_the_shading_says() -> None:
    wave = serkit.Waveform(voice(3, 1), 16000)
    one = answer("a.wav", "sad", 0.8)
    times, bands = np.array([[0.0, 0.2], [0.1, 0.3]]), np.zeros((0, 2))
    why = Explanation(one, "sad", 0.8, times, np.array([0.1, np.log(2)]), bands, np.zeros(0), wave)
    assert single.explained(why).replace("\\", "") == (
        "Shaded: what spoke for sad. With 0.1 to 0.3 s covered, it would be 40 % instead of 80 %."
    )
    none = Explanation(one, "sad", 0.8, times, np.array([-0.1, 0.0]), bands, np.zeros(0), wave)
    assert "No single stretch" in single.explained(none)


def test_the_page_says_what_moved_the_answer(tiny: Path) -> None:
    page = opened("single", tiny)
    why = serkit.load(tiny).explain(Path(__file__).parent.parent / "examples" / "angry_1038.opus")
    assert any(caption.value == single.explained(why) for caption in page.caption)


def test_an_answer_below_the_threshold_is_unsure(tiny: Path) -> None:
    script = (
        "import serkit, streamlit as st\nfrom serkit.app import single\nst.session_state['least'] = 99\n"
        f"single.show({str(tiny)!r}, serkit.load({str(tiny)!r}))\n"
    )
    page = AppTest.from_string(script, default_timeout=60).run()
    assert "Unsure" in page.get("html")[0].proto.body


def test_a_pie_holds_what_the_bars_hold(tiny: Path) -> None:
    page = opened("single", tiny)
    page.toggle(key="pie").set_value(True).run()
    (trace,) = charts(page)[0]["data"]
    assert trace["type"] == "pie"
    assert sum(trace["values"]) == pytest.approx(1)
    assert trace["marker"]["colors"] == [colour(label) for label in trace["labels"]]
    assert list(pictures.pie({"happy": 2, "sad": 0, "unsure": 1}).data[0].labels) == ["happy", "unsure"]


def test_confidences_are_counted_in_tenths() -> None:
    drawn = pictures.confidences([0.05, 0.95, 0.99, 1.0, 0.5])
    assert list(drawn.data[0].y) == [1, 0, 0, 0, 0, 1, 0, 0, 0, 3]


def test_the_plane_has_every_emotion_at_its_place() -> None:
    drawn = pictures.circumplex(dict.fromkeys(LABELS, 1 / 8))
    assert dict(zip(drawn.data[0].text, drawn.data[0].x, strict=True)) == {e.label: e.valence for e in EMOTIONS}
    assert drawn.data[1].x[0] == pytest.approx(np.mean([e.valence for e in EMOTIONS]))
    assert len(pictures.circumplex({"boredom": 1.0}).data) == 1  # no place, no point


def test_pitch_is_drawn_where_there_is_some() -> None:
    t = np.arange(16000) / 16000
    tone = np.where(t < 0.5, 0.5 * np.sin(2 * np.pi * 200 * t), 0).astype(np.float32)
    pitch = pictures.sound(serkit.Waveform(tone, 16000), "#123456").data[2]
    heard = np.array(pitch.y, float)
    times = np.array(pitch.x, float)
    np.testing.assert_allclose(heard[(times > 0.05) & (times < 0.45)], 200, atol=0.5)
    assert np.isnan(heard[times > 0.6]).all()


def test_a_folder_of_bundles_is_a_choice(tiny: Path) -> None:
    write_tiny(tiny.parent / "other")
    assert choices(str(tiny.parent))[:2] == [str(tiny.parent / "other"), str(tiny)]
    assert "default" in choices(str(tiny.parent))
