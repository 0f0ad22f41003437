"""The HTTP service: what it answers is what the library answers; every error is a problem."""

from __future__ import annotations

import gzip
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

import serkit
from serkit.audio.bounded import Most
from serkit.recognition.adapt import Adaptation
from serkit.service import models as served_models
from serkit.service import work
from serkit.service.schemas import Answers, Models, ProfileContent, TimelineContent
from serkit.service.uploads import Upload
from tests.conftest import voice
from tests.service_app import problem, served, wav
from tests.tiny_models import write_adaptable, write_tiny

LONG = np.concatenate([voice(3, 1, seconds=2.0), np.zeros(16000, np.float32), voice(5, 2, seconds=1.5)])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service") / "tiny"
    write_adaptable(folder)
    return folder


@pytest.fixture(scope="module")
def client(model: Path) -> Iterator[TestClient]:
    plain = model.with_name("plain")
    write_tiny(plain, name="plain")
    with served(model, plain, max_bytes=600_000, max_seconds=20, max_files=30, max_decoded_bytes=2_000_000) as found:
        yield found


def sent(*recordings: bytes, name: str = "clip") -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", (f"{name}{k}.wav", data)) for k, data in enumerate(recordings)]


# ------------------------------------------------------------------------------------------------------- predict


def test_rows_are_those_of_the_library(client: TestClient, model: Path, tmp_path: Path) -> None:
    recordings = [wav(voice(k, k)) for k in (1, 4)]
    answer = client.post("/v1/predict", files=sent(*recordings), params={"min_confidence": 0.3})
    assert answer.status_code == 200
    found = answer.json()
    Answers.model_validate(found)
    (tmp_path / "a.wav").write_bytes(recordings[0])
    recognizer = serkit.load(model)
    for k, data in enumerate(recordings):
        (tmp_path / f"clip{k}.wav").write_bytes(data)
        want = recognizer.predict(tmp_path / f"clip{k}.wav", min_confidence=0.3).to_dict()
        assert found["rows"][k] == {**want, "path": f"clip{k}.wav"}
    assert found["model"] == "tiny 1.0"
    assert found["labels"] == list(recognizer.labels)


def test_a_raw_body_is_one_recording(client: TestClient, model: Path) -> None:
    data = wav(voice(2, 1), kind="FLAC")
    for headers in ({"content-type": "audio/flac"}, {"content-type": "application/octet-stream"}, {}):
        (row,) = client.post("/v1/predict", content=data, headers=headers).json()["rows"]
        assert row == serkit.load(model).predict(data).to_dict()


def test_options_come_from_the_query_or_the_form(client: TestClient) -> None:
    stereo = wav(np.stack([voice(1, 1), voice(4, 2)], axis=1))
    both = client.post("/v1/predict?channel=each&labels=happy,sad", files=sent(stereo)).json()
    assert [row["channel"] for row in both["rows"]] == ["left", "right"]
    assert both["labels"] == ["happy", "sad"]
    again = client.post("/v1/predict?channel=left", files=sent(stereo), data={"channel": "each", "labels": "happy,sad"})
    assert again.json() == both
    assert client.post("/v1/predict?model=plain", files=sent(stereo)).json()["model"] == "plain 1.0"


def test_one_that_fails_costs_its_row_alone(client: TestClient) -> None:
    found = client.post("/v1/predict", files=sent(b"hello there", wav(voice(1, 1)), wav(voice(1, 1))[:2000])).json()
    first, second, third = found["rows"]
    assert first["error"] == "'clip0.wav' is text, not audio, despite its name."
    assert second["error"] is None
    assert third["error"] is not None
    assert first["path"] == "clip0.wav"
    wrong = problem(client.post("/v1/predict", files=sent(b"hello there", b"")), 422)
    assert [row["path"] for row in wrong["rows"]] == ["clip0.wav", "clip1.wav"]
    assert wrong["detail"].startswith("None of 2 recordings can be answered: ")


def test_explanations_are_those_of_the_library(client: TestClient, model: Path) -> None:
    data = wav(voice(3, 1))
    (row,) = client.post("/v1/predict", files=sent(data), data={"explain": "true"}).json()["rows"]
    want = serkit.load(model).explain(data).to_dict()
    assert row["explanation"] == {name: want[name] for name in ("emotion", "probability", "stretches", "bands")}
    (row,) = client.post("/v1/predict?explain=true", files=sent(wav(np.zeros(16000)))).json()["rows"]
    assert row["explanation"] is None
    assert "speech" in row["explanation_error"]


# ------------------------------------------------------------------------------- timeline, enrol, adapt, models


def test_a_timeline_is_that_of_the_library(client: TestClient, model: Path) -> None:
    data = wav(LONG)
    found = client.post("/v1/timeline", files=sent(data)).json()
    TimelineContent.model_validate(found)
    want = serkit.load(model).timeline(data)
    assert found == {**want.to_dict(), "path": "clip0.wav", "labels": list(want.labels)}


@pytest.mark.parametrize(
    ("kind", "media", "begins"),
    [
        ("csv", "text/csv", "path,track,start"),
        ("srt", "application/x-subrip", "1\n00:00:00"),
        ("vtt", "text/vtt", "WEBVTT"),
        ("textgrid", "text/plain", 'File type = "ooTextFile"'),
        ("eaf", "application/xml", "<?xml"),
        ("rttm", "text/plain", "SPEAKER "),
        ("html", "text/html", "<!doctype html>"),
    ],
)
def test_a_timeline_in_other_formats(client: TestClient, kind: str, media: str, begins: str) -> None:
    answer = client.post(f"/v1/timeline?format={kind}", files=sent(wav(LONG)))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media)
    assert answer.text.startswith(begins)


def test_the_page_of_a_timeline_holds_no_markup_of_the_sender(client: TestClient) -> None:
    name = "<img src=x onerror=alert(1)>.wav"
    page = client.post("/v1/timeline?format=html", files=[("file", (name, wav(LONG)))]).text
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_profiles_are_returned_and_taken(client: TestClient, model: Path, tmp_path: Path) -> None:
    recordings = [wav(voice(k, 1, seconds=2.0)) for k in (1, 3, 5)]
    answer = client.post("/v1/enrol", files=sent(*recordings))
    ProfileContent.model_validate(answer.json())
    (tmp_path / "ann.json").write_bytes(answer.content)
    recognizer = serkit.load(model)
    ann = serkit.Profile.load(tmp_path / "ann.json")
    assert ann == recognizer.enrol(*recordings)
    (row,) = client.post("/v1/predict", files=sent(recordings[0]), data={"profile": answer.text}).json()["rows"]
    assert row["probabilities"] == recognizer.predict(recordings[0], profile=ann).probabilities
    as_file = {"profile": ("ann.json", answer.content)}
    found = client.post("/v1/predict", files=[*sent(recordings[0]), *as_file.items()]).json()
    assert found["rows"] == [row]
    wrong = problem(client.post("/v1/predict", files=sent(recordings[0]), data={"profile": "{}"}), 422)
    assert "profile" in wrong["detail"]
    wrong = problem(client.post("/v1/enrol?model=plain", files=sent(*recordings)), 422)
    assert "does not adapt" in wrong["detail"]


def test_a_place_is_adapted_to(client: TestClient, model: Path) -> None:
    recordings = [wav((0.3 if k % 2 else 1.0) * voice(1 + k % 8, 1 + k % 5, seconds=0.8, seed=k)) for k in range(22)]
    answer = client.post("/v1/adapt", files=sent(*recordings, b"no recording"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["Serkit-Left-Out"] == "1"
    assert answer.json()["kind"] == "place"
    assert answer.json()["utterances"] == 22
    assert "at least 20" in problem(client.post("/v1/adapt", files=sent(*recordings[:5])), 422)["detail"]


def test_models_health_and_metrics(client: TestClient, model: Path) -> None:
    found = Models.model_validate(client.get("/v1/models").json()).models
    assert [(one.name, one.default, one.adapts) for one in found] == [("tiny", True, True), ("plain", False, False)]
    assert found[0].sha256 == serkit.read_bundle(model).manifest.files["model.onnx"]
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}
    client.post("/v1/predict", files=sent(wav(voice(1, 1))))
    text = client.get("/metrics").text
    assert 'serkit_requests_total{route="/v1/predict",status="200"}' in text
    assert 'serkit_recordings_total{outcome="answered"}' in text


def test_openapi_says_what_there_is(client: TestClient) -> None:
    said = client.get("/openapi.json").json()
    assert set(said["paths"]) == {
        *("/v1/predict", "/v1/timeline", "/v1/enrol", "/v1/adapt", "/v1/models", "/health/live", "/health/ready"),
        *("/metrics", "/v1/jobs", "/v1/jobs/{number}", "/v1/jobs/{number}/result"),
    }
    assert said["components"]["schemas"]["Answers"]["examples"]
    assert said["components"]["schemas"]["ProblemDetails"]["examples"]
    body = said["paths"]["/v1/predict"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {"file", "model", "min_confidence", "channel", "labels", "profile", "explain"} <= set(body["properties"])

    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
            for one in part.values():
                yield from references(one)
        elif isinstance(part, list):
            for one in part:
                yield from references(one)

    for reference in set(references(said)):
        place: Any = said
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


# -------------------------------------------------------------------------------------------------------- errors


def test_every_error_is_a_problem(client: TestClient) -> None:
    data = wav(voice(1, 1))
    problem(client.get("/nothing/here"), 404)
    problem(client.get("/v1/jobs/..%2f..%2fetc%2fpasswd"), 404)
    assert "use POST" in problem(client.get("/v1/predict"), 405)["detail"]
    packed = {"content-type": "audio/wav", "content-encoding": "gzip"}
    problem(client.post("/v1/predict", content=gzip.compress(data), headers=packed), 415)
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
        assert kind in problem(client.post("/v1/predict", content=b"{}", headers={"content-type": kind}), 415)["detail"]
    form = {"content-type": "multipart/form-data; boundary=x"}
    problem(client.post("/v1/predict", content=b"--y\r\nnonsense", headers=form), 400)
    problem(client.post("/v1/predict", content=b"", headers={"content-type": "multipart/form-data"}), 400)
    problem(client.post("/v1/predict", content=b""), 422)
    problem(client.post("/v1/predict", data={"file": "text"}, files={"other": ("a", data)}), 422)
    problem(client.post("/v1/predict", files=[*sent(data), ("labels", ("a", b"sad")), ("labels", ("a", b"sad"))]), 422)
    assert "'pain'" in problem(client.post("/v1/predict?model=pain", files=sent(data)), 404)["detail"]
    problem(client.post("/v1/predict?model=../../etc", files=sent(data)), 404)
    problem(client.post("/v1/timeline", files=sent(data, data)), 413)
    problem(client.post("/v1/timeline", files=sent(b"no sound")), 422)
    for wrong in ("min_confidence=2", "colour=red", "channel=lft", "labels=bored", "explain=perhaps", "strict=2"):
        problem(client.post(f"/v1/predict?{wrong}", files=sent(data)), 422)
    for wrong in ("format=doc", "pause=60", "window=0", "window=nan"):
        problem(client.post(f"/v1/timeline?{wrong}", files=sent(data)), 422)
    named = problem(client.post("/v1/predict?min_confidence=2", files=sent(data)), 422)
    assert named["errors"][0]["name"] == "min_confidence"


def test_limits_to_files_bytes_and_sound(client: TestClient) -> None:
    small = wav(voice(1, 1, seconds=0.3))
    problem(client.post("/v1/predict", files=sent(*[small] * 31)), 413)
    problem(client.post("/v1/predict", content=b"x" * 600_001), 413)
    silence = np.zeros(21 * 16000, np.float32)
    assert "20 s are allowed" in problem(client.post("/v1/predict", content=wav(silence, kind="FLAC")), 422)["detail"]
    bomb = wav(np.zeros((15 * 16000, 4), np.float32), kind="FLAC")  # 100 KiB at most, 3.8 MB of samples
    assert len(bomb) < 100_000
    assert "unpacks to more" in problem(client.post("/v1/predict", content=bomb), 422)["detail"]
    for route in ("timeline", "enrol"):
        assert "allowed" in problem(client.post(f"/v1/{route}", content=bomb), 422)["detail"]


def test_a_body_without_a_length_is_read_no_further_than_allowed(client: TestClient) -> None:
    given = []

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            given.append(1)
            yield bytes(100_000)

    answer = client.post("/v1/predict", content=endless(), headers={"content-type": "audio/wav"})
    problem(answer, 413)
    assert answer.headers["connection"] == "close"


def test_a_header_that_claims_a_thousand_hours_is_refused_before_it_is_decoded(client: TestClient) -> None:
    data = bytearray(wav(voice(1, 1, seconds=3.0), kind="MP3"))
    at = max(data.find(b"Xing"), data.find(b"Info"))
    assert at > 0
    data[at + 8 : at + 12] = (137_000_000).to_bytes(4, "big")  # frames, of 26 ms or more
    problem(client.post("/v1/predict", content=bytes(data)), 422)


def test_an_error_that_should_not_happen_says_nothing_about_its_cause(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise RuntimeError("secret.wav")

    monkeypatch.setattr("serkit.service.work.timeline", fail)
    answer = client.post("/v1/timeline", files=sent(wav(LONG)))
    assert "secret" not in json.dumps(problem(answer, 500))
    assert "RuntimeError" not in answer.text


def test_a_busy_service_says_503_and_one_that_takes_too_long_504(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(recognizer: Any, uploads: Any, asked: Any, most: Any, stop: threading.Event) -> dict[str, Any]:
        began.set()
        go_on.wait(60)
        return {"rows": []}

    monkeypatch.setattr("serkit.service.work.answers", slow)
    data = wav(voice(1, 1, seconds=0.3))
    with served(model, threads=1, queue=0) as client:
        answers: list[Any] = []
        first = threading.Thread(target=lambda: answers.append(client.post("/v1/predict", content=data)))
        first.start()
        assert began.wait(60)
        refused = client.post("/v1/predict", content=data)
        go_on.set()
        first.join()
        assert refused.headers["retry-after"] == "1"
        problem(refused, 503)
        assert answers[0].status_code == 200
    go_on.clear()
    with served(model, threads=1, request_seconds=0.2) as client:
        problem(client.post("/v1/predict", content=data), 504)
        go_on.set()


def test_a_profile_that_nobody_waits_for_is_not_made(model: Path) -> None:
    stop, most = threading.Event(), Most(60, 1 << 24)
    stop.set()
    data, recognizer = wav(voice(1, 1, seconds=4.0)), serkit.load(model)
    with pytest.raises(serkit.AudioError, match="no longer needed"):
        work.enrolled(recognizer, [Upload(io.BytesIO(data), "a.wav")], "auto", most, stop)
    ((row,),) = Adaptation(recognizer).hear([data], workers=1, stop=stop)
    assert "no longer needed" in (row.error or "")


def test_a_full_disk_is_507(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("serkit.service.work.answers", full)
    assert "disk" in problem(client.post("/v1/predict", files=sent(wav(LONG))), 507)["detail"]


def test_a_model_is_ready_once_all_is_known_about_it(model: Path) -> None:
    found = served_models.Models([str(model)])

    class Kept(dict[str, Any]):
        def __setitem__(self, name: str, value: Any) -> None:
            super().__setitem__(name, value)
            assert found.get(name) is value  # as another thread may ask at this moment

    found._kept = Kept()
    found.load()


def test_a_model_that_is_swapped_is_used_by_the_next_request(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "live"
    write_tiny(place, name="live", version="1.0")
    data = wav(voice(1, 1))
    with served(place) as client:

        def called() -> str:
            client.app.state.serkit.models.look()  # type: ignore[attr-defined]
            return str(client.post("/v1/predict", content=data).json()["model"])

        assert called() == "live 1.0"
        write_tiny(place, name="live", version="2.0")
        assert called() == "live 2.0"
        (place / "model.onnx").write_bytes(b"half of it")
        assert called() == "live 2.0"
        assert client.get("/health/ready").status_code == 200
