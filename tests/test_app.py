"""The web app: its logic through Streamlit's AppTest."""

from __future__ import annotations

import base64
import html
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

import serkit
from serkit.app import MODEL_VARIABLE, clips, pictures, words
from serkit.app.batch import counts
from serkit.app.chosen_model import choices
from serkit.emotions import LABELS, colour
from serkit.errors import SerkitError
from serkit.recognition.prediction import Prediction
from tests.conftest import voice
from tests.tiny_models import BIAS, SLOPE, waveform_graph, write_tiny
from tests.webapp import started

PAGE = Path(serkit.__file__).with_name("app") / "page.py"
EXAMPLES = Path(__file__).parent.parent / "examples"


def wav(samples: np.ndarray, rate: int = 16000) -> bytes:
    file = BytesIO()
    sf.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


VOICE = wav(voice(3, 1))
#: Content and what is wrong with it.
BROKEN = {
    "empty.wav": (b"", "'empty.wav' is empty (0 bytes)."),
    "*notes*_[1].wav": (b"Dear diary\n" * 20, "'*notes*_[1].wav' is text, not audio, despite its name."),
    "blip.wav": (wav(voice(3, 1, seconds=0.2)), "The recording lasts 0.200 s; the model tiny needs at least 0.25 s."),
}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle that the page opens with."""
    write_tiny(tmp_path / "tiny")
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "tiny"))
    return tmp_path / "tiny"


def opened() -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not page.exception
    return page


def opened_batch(model: Path) -> AppTest:
    """The page for many clips by itself."""
    script = f"import serkit\nfrom serkit.app import batch\nbatch.show({str(model)!r}, serkit.load({str(model)!r}))\n"
    page = AppTest.from_string(script, default_timeout=60).run()
    assert not page.exception
    return page


def upload(page: AppTest, name: str, content: bytes) -> AppTest:
    """Upload a clip on the first page."""
    page.radio(key="one way").set_value("Upload").run()
    page.file_uploader(key="one upload").upload(name, content).run()
    assert not page.exception
    return page


def charts(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def numbers(values: Any) -> np.ndarray:
    """An array of a chart, which Plotly writes as a list or packed."""
    if isinstance(values, list):
        return np.array(values)
    return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])


def said(page: AppTest) -> str:
    """The headline without its HTML."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.get("html")[0].proto.body)).split())


def title(answer: Prediction) -> str:
    """How the page says the emotion."""
    assert answer.emotion is not None
    assert answer.confidence is not None
    return answer.emotion.capitalize() if answer.confidence >= 0.5 else f"Perhaps {answer.emotion}"


def test_an_example_is_answered_as_the_page_opens(tiny: Path) -> None:
    page = opened()
    assert page.selectbox(key="one example").value == "Actor 1038: angry"
    expected = serkit.load(tiny).predict(EXAMPLES / "angry_1038.opus")
    assert said(page).startswith(title(expected))
    assert f"{words.per_cent(expected.confidence)} confidence" in said(page)
    bars, sound, affect = charts(page)
    (bar,) = bars["data"]
    assert bar["y"] == list(LABELS)
    assert numbers(bar["x"]) == pytest.approx(list(expected.probabilities.values()))
    assert bar["marker"]["color"] == [colour(label) for label in LABELS]
    assert [trace["type"] for trace in sound["data"]] == ["scatter", "heatmap", "scatter", "scatter"]
    assert affect["data"][-1]["x"] == [pytest.approx(expected.valence)]
    assert affect["data"][-1]["y"] == [pytest.approx(expected.arousal)]
    assert any("not measured" in caption.value for caption in page.caption)


def test_another_example_is_another_answer(tiny: Path) -> None:
    page = opened()
    before = said(page)
    page.selectbox(key="one example").select("Actor 1082: sad").run()
    expected = serkit.load(tiny).predict(EXAMPLES / "sad_1082.opus")
    assert words.per_cent(expected.confidence) in said(page)
    assert said(page) != before


def test_an_upload_is_answered_in_the_models_own_label_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = waveform_graph(slope=SLOPE[:, ::-1].copy(), bias=BIAS[:, ::-1].copy())
    write_tiny(tmp_path / "turned", graph=graph, labels=LABELS[::-1])
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "turned"))
    page = upload(opened(), "me.wav", VOICE)
    expected = serkit.load(tmp_path / "turned").predict(VOICE)
    assert said(page).startswith(title(expected))
    (bar,) = charts(page)[0]["data"]
    assert bar["y"] == list(LABELS[::-1])
    assert numbers(bar["x"]) == pytest.approx(list(expected.probabilities.values()))


def test_a_recording_from_the_microphone_is_answered(tiny: Path) -> None:
    page = opened()
    page.radio(key="one way").set_value("Record").run()
    assert not page.get("plotly_chart")
    page.audio_input(key="one record").set_value(("audio.wav", VOICE, "audio/wav")).run()
    assert not page.exception
    assert said(page).startswith(title(serkit.load(tiny).predict(VOICE)))


def test_silence_is_no_speech_and_has_no_bars(tiny: Path) -> None:
    page = upload(opened(), "silence.wav", wav(np.zeros(16000)))
    assert said(page).startswith("No speech")
    (sound,) = charts(page)
    (heat,) = (trace for trace in sound["data"] if trace["type"] == "heatmap")
    assert heat["zmin"] == -100.0  # the level of silence is the darkest colour
    assert not page.error


def test_an_unsure_answer_names_no_emotion(tiny: Path) -> None:
    answer = serkit.load(tiny).predict(VOICE, min_confidence=1.0)
    shown = words.headline(answer)
    assert "Unsure" in shown
    assert words.per_cent(max(answer.probabilities.values())) in shown
    assert not any(label in shown.lower() for label in LABELS)
    silent = Prediction(None, 0.0, 1.0, None, None, {}, speech=False)
    assert counts([answer, silent], LABELS) == {**dict.fromkeys(LABELS, 0), "unsure": 1, "no speech": 1}


@pytest.mark.parametrize("name", BROKEN)
def test_a_bad_file_is_one_sentence(tiny: Path, name: str) -> None:
    page = upload(opened(), name, BROKEN[name][0])
    (error,) = page.error
    assert error.value.replace("\\", "") == BROKEN[name][1]
    assert not page.get("plotly_chart")
    assert not page.get("audio")


@pytest.fixture
def batch(tiny: Path) -> AppTest:
    page = opened_batch(tiny)
    page.file_uploader(key="uploads").set_value([(name, data, "audio/wav") for name, data in many().items()]).run()
    assert not page.exception
    return page


def many() -> dict[str, bytes]:
    return {
        "b.wav": VOICE,
        "a.wav": wav(voice(5, 2, seconds=1.5)),
        **{name: BROKEN[name][0] for name in ("empty.wav", "*notes*_[1].wav")},
        "silence.wav": wav(np.zeros(16000)),
    }


def test_many_clips_make_a_table_and_bad_files_are_listed(batch: AppTest, tiny: Path) -> None:
    recognizer = serkit.load(tiny)
    table = batch.dataframe[0].value
    assert list(table["file"]) == ["b.wav", "a.wav", "silence.wav"]
    answers = [recognizer.predict(many()[name]) for name in ("b.wav", "a.wav")]
    assert list(table["emotion"]) == [*(answer.emotion for answer in answers), "no speech"]
    assert list(table["confidence"][:2]) == pytest.approx([100 * (answer.confidence or 0) for answer in answers])
    (error,) = batch.error
    assert error.value.startswith("2 of 5 could not be answered")
    assert error.value.count("\n- ") == 2
    assert words.plain("'empty.wav' is empty (0 bytes).") in error.value
    distribution, confidence = charts(batch)
    (bar,) = distribution["data"]
    assert bar["y"] == [*LABELS, "no speech"]
    assert sum(numbers(confidence["data"][0]["y"])) == 2
    assert list(numbers(bar["x"])) == [sum(a.emotion == label for a in answers) for label in LABELS] + [1]


def test_downloads_are_what_ser_predict_writes(batch: AppTest, tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, data in many().items():
        (folder / name).write_bytes(data)
    rows = [row for rows in batch.session_state["answers many"].values() for row in rows]

    def ser(*options: str) -> bytes:
        command = [sys.executable, "-m", "serkit", "predict", *many(), "--model", str(tiny), *options]
        command[1:3] = ["-c", "from serkit.cli import main; main()"]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).stdout

    assert clips.as_csv(rows, LABELS) == ser("--csv", "-")
    assert clips.as_json(rows) == ser("--json")
    assert [button.label for button in batch.get("download_button")] == [
        "Download CSV",
        "Download JSON",
        "Download HTML",
    ]


def test_answers_are_kept_until_the_file_goes(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = serkit.Recognizer.rows_of

    def counted(self: serkit.Recognizer, sources: Any, **options: Any) -> Iterator[list[Prediction]]:
        given = list(sources)
        asked.extend(source.name for source in given)
        return real(self, given, **options)

    monkeypatch.setattr(serkit.Recognizer, "rows_of", counted)
    page = upload(opened(), "me.wav", VOICE)
    page.run()
    assert asked == ["angry_1038.opus", "me.wav"]
    assert len(page.session_state["answers one"]) == 1


def test_the_sidebar_shows_scores_and_card(tiny: Path) -> None:
    page = opened()
    assert page.sidebar.selectbox[0].value == str(tiny)
    shown = [item.value for item in page.sidebar.markdown]
    assert "**speaker**: UAR 50.0 % (40.0 to 60.0), accuracy 55.0 %" in shown
    assert any("For tests." in code.value for code in page.sidebar.get("code"))
    assert any("Nothing is stored" in item.value for item in page.sidebar.caption)


def test_a_damaged_model_is_one_sentence(tiny: Path) -> None:
    (tiny / "model.onnx").write_bytes(b"not what it was")
    page = opened()
    (error,) = page.error
    assert "truncated" in error.value
    assert not page.get("file_uploader")


def test_the_given_model_comes_first_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "serkit.app.chosen_model.packaged", lambda: {"alpha": Path(), "default": Path(), "zeta": Path()}
    )
    assert choices(None) == ["default", "alpha", "zeta"]
    assert choices("zeta") == ["zeta", "default", "alpha"]
    assert choices("runs/mine") == ["runs/mine", "default", "alpha", "zeta"]


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=300), st.integers(1, 100))
def test_an_envelope_spans_its_samples(values: list[float], n: int) -> None:
    samples = np.array(values, dtype=np.float32)
    low, high = pictures.envelope(samples, n)
    assert len(low) == len(high) == min(n, len(samples))
    assert (low <= high).all()
    assert (low.min(), high.max()) == (samples.min(), samples.max())


def test_the_picture_keeps_its_size_for_a_long_clip() -> None:
    short, long = (serkit.Waveform(voice(3, 1, seconds=s), 16000) for s in (1.0, 30.0))
    frames = [len(pictures.sound(wave, "#000000").data[1].x) for wave in (short, long)]
    assert frames == [101, 601]
    assert pictures.sound(long, "#000000").layout.xaxis.range == (0, 30.0)


@pytest.mark.parametrize(("confidence", "says"), [(0.5, "Sad"), (0.49, "Perhaps sad")])
def test_a_headline_admits_doubt(confidence: float, says: str) -> None:
    probabilities = {"happy": 0.3, "sad": confidence, "angry": 0.7 - confidence}
    answer = Prediction("a.wav", 0.0, 1.0, "sad", confidence, probabilities, speech=True)
    shown = words.headline(answer)
    assert f">{says}<" in shown
    assert f">{100 * confidence:.0f} % confidence, then happy with 30 %<" in shown


def test_a_headline_takes_no_html_from_a_bundle() -> None:
    label = "<script>alert(1)</script>"
    answer = Prediction("a.wav", 0.0, 1.0, label, 0.9, {label: 0.9, "sad": 0.1}, speech=True)
    assert "<script" not in words.headline(answer)


def test_the_page_loads_nothing_of_the_learn_road(tiny: Path) -> None:
    code = (
        "import sys\nfrom streamlit.testing.v1 import AppTest\n"
        f"page = AppTest.from_file({str(PAGE)!r}, default_timeout=60).run()\n"
        "assert not page.exception and len(page.get('plotly_chart')) == 3\n"
        "print({'torch', 'sklearn', 'librosa', 'matplotlib', 'numba'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_is_wrong_is_said_before_the_server_starts(tiny: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for options, reason in (
            (("--model", "no-such-model"), "No model 'no-such-model'"),
            (("--model", str(tiny), "--port", port), f"Cannot listen on port {port} of 127.0.0.1"),
        ):
            process = started(*options)
            _, error = process.communicate(timeout=60)
            assert process.returncode == 2
            assert error.startswith(f"ser: {reason}")
            assert error.count("\n") == 1


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from serkit.cli.web import serve

    found: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "plotly" else found(name, *rest)
    )
    with pytest.raises(SerkitError, match=r"^The web app needs the package 'plotly'.* 'serkit\[app\]'"):
        serve()


def test_a_voice_memo_of_a_phone_is_answered(tiny: Path) -> None:
    """AAC in M4A, as iPhones record; what decodes it comes with the extra [app]."""
    extras = Path(__file__).parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^app = \[.*"av>=', extras, re.MULTILINE)
    memo, rate = BytesIO(), 48000
    with av.open(memo, "w", format="ipod") as container:
        track = container.add_stream("aac", rate=rate)
        track.layout = "mono"
        samples = voice(3, 1, seconds=1.5, rate=rate)[None]
        frame = av.AudioFrame.from_ndarray(samples.copy(), format="fltp", layout="mono")
        frame.sample_rate = rate
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    page = opened()
    page.radio(key="one way").set_value("Upload").run()
    page.file_uploader(key="one upload").upload("New Recording 7.m4a", memo.getvalue(), "audio/x-m4a").run()
    assert not page.exception
    assert not page.error
    (found,) = serkit.load(tiny).predict([memo.getvalue()])
    assert said(page).startswith(title(found))
