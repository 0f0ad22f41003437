"""What the app offers to copy, and the settings in its address."""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import soundfile as sf
from streamlit.testing.v1 import AppTest

import serkit
from serkit.app import MODEL_VARIABLE, link, share
from serkit.app.share import Shared
from tests.conftest import voice
from tests.tiny_models import BIAS, waveform_graph, write_tiny

PAGE = Path(serkit.__file__).with_name("app") / "page.py"
#: A name that a shell, curl and Python each have a word for.
NAME = """it's; a "call", $HOME.wav"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_tiny(tmp_path / "models" / "a-tiny")
    write_tiny(tmp_path / "models" / "b even", graph=waveform_graph(bias=np.zeros_like(BIAS)))
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    sf.write(path, np.stack([voice(3, 1), 0.5 * voice(5, 2)[: len(voice(3, 1))]], axis=1), 16000)
    return path


def test_the_command_and_the_python_give_the_answer_of_the_page(
    models: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Shared(NAME, str(models / "b even"), 0.9, "left")
    want = serkit.load(models / "b even").predict(recording, channel="left", min_confidence=0.9)
    ser, *words = shlex.split(share.shell(one))
    assert ser == "ser"
    command = [sys.executable, "-c", "from serkit.cli import main; main()", *words, "--json"]
    done = subprocess.run(command, cwd=recording.parent, capture_output=True, text=True, check=True)
    (row,) = json.loads(done.stdout)
    assert {**row, "path": None} == {**want.to_dict(), "path": None}
    said = io.StringIO()
    monkeypatch.chdir(recording.parent)
    Path("many").mkdir()
    shutil.copy(recording, "many")
    with contextlib.redirect_stdout(said):
        exec(share.python(one), {})
        exec(share.python(Shared(NAME, str(models / "b even"), 0.0, kind="recording")), {})
        exec(share.python(Shared("many", str(models / "b even"), 0.9, "left", kind="clips")), {})
    first, *_, last = said.getvalue().splitlines()
    assert first == f"{want.emotion} {want.confidence}"
    assert last == f"{Path('many', NAME)} {want.answer} {want.confidence}"


def test_clips_are_adapted_to_themselves() -> None:
    one = Shared("many", "fast", 0.3, profile=True, kind="clips")
    assert share.shell(one) == "ser predict many --model fast --min-confidence 0.3 --adapt"
    assert "min_confidence=0.3, profile=recognizer.adapt('many')" in share.python(one)
    assert share.curl(one).splitlines()[1:] == [
        "ser adapt many --model fast --out place.json",
        'for file in many/*; do curl -F "file=@\\"$file\\"" -F min_confidence=0.3 -F profile=@place.json '
        "http://127.0.0.1:8000/v1/predict; done",
    ]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("kind", ["recording", "clips"])
def test_the_curl_sends_the_recording_and_its_settings(recording: Path, kind: Literal["recording", "clips"]) -> None:
    got: list[tuple[str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        name = NAME
        if kind == "clips":  # curl has no word for a quote inside what the loop quotes
            recording = recording.rename(recording.with_name(NAME.replace('"', "")))
            name = recording.parent.name
        comment, command = share.curl(Shared(name, "fast", 0.3, "each", kind=kind)).splitlines()
        command = command.replace(":8000", f":{server.server_port}")
        place = recording.parent if kind == "recording" else recording.parent.parent
        subprocess.run(command, shell=True, cwd=place, capture_output=True, check=True)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert comment == "# in another terminal: ser serve --model fast"
    ((path, body),) = got
    assert path == ("/v1/timeline" if kind == "recording" else "/v1/predict")
    assert recording.read_bytes() in body
    for name, value in (("min_confidence", "0.3"), ("channel", "each")):
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in body


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"min_confidence": "often"}, "The address has min_confidence=often: it must be a number from 0 to 0.95."),
        ({"min_confidence": "nan"}, "The address has min_confidence=nan: it must be a number from 0 to 0.95."),
        ({"channel": "lft"}, "The address has channel=lft. No channel is called 'lft': did you mean 'left'?"),
    ],
)
def test_an_address_that_cannot_be_is_a_sentence(query: dict[str, str], says: str) -> None:
    found = link.read(query, ["default"])
    assert (found.model, found.min_confidence, found.channel) == (None, None, None)
    (problem,) = found.problems
    assert problem.startswith(says)


def test_the_address_sets_the_page(models: Path, recording: Path) -> None:
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.query_params.update({"model": "b even", "min_confidence": "0.55", "channel": "right", "other": "1"})
    page.run()
    assert not page.exception
    assert not page.warning
    assert page.sidebar.selectbox[0].value == str(models / "b even")
    assert page.sidebar.slider[0].value == 55
    page.radio(key="one way").set_value("Upload").run()
    page.file_uploader(key="one upload").upload("stereo.wav", recording.read_bytes()).run()
    (channel,) = (box for box in page.selectbox if box.label == "Channel")
    assert channel.value == "right"
    command = f"ser predict stereo.wav --model '{models / 'b even'}' --min-confidence 0.55 --channel right"
    texts = [code.value for code in page.code]
    assert command in texts
    answer = serkit.load(models / "b even").predict(recording, channel="right", min_confidence=0.55)
    ((row,),) = (json.loads(text) for text in texts if text.startswith("["))
    assert row["probabilities"] == answer.probabilities
    channel.select("left").run()
    assert any(text.endswith("--channel left") for text in (code.value for code in page.code))


def test_an_unknown_model_in_the_address_is_told(models: Path) -> None:
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.query_params["model"] = "<b>best</b>"
    page.run()
    (warning,) = page.sidebar.warning
    assert "which this app does not have" in warning.value
    assert "<b>" not in warning.value
    assert page.sidebar.selectbox[0].value == str(models / "a-tiny")
