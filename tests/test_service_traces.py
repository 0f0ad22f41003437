"""Spans of OpenTelemetry: those that were asked for, without names, options and addresses."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import serkit
from serkit.service import traces
from tests.conftest import voice
from tests.service_app import served, wav
from tests.tiny_models import write_tiny

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traces") / "tiny"
    write_tiny(folder)
    return folder


def test_a_request_its_recordings_and_their_decoding(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = InMemorySpanExporter()
    monkeypatch.setattr(traces, "_exporter", lambda: kept)
    sent = [("file", (f"secret{k}.wav", wav(voice(k, 1, seconds=1.5)))) for k in (1, 2)]
    with served(model, telemetry=True) as client:
        client.post("/v1/predict?labels=happy,sad", files=[*sent, ("file", ("secret3.wav", b"no"))], headers=CALLER)
        client.post("/v1/timeline", files=sent[:1])
        client.get("/v1/jobs/secret")
    spans: dict[str, list[Any]] = {}
    for span in kept.get_finished_spans():
        spans.setdefault(span.name, []).append(span)
    (predict,) = spans["POST /v1/predict"]
    assert (f"{predict.context.trace_id:032x}", f"{predict.parent.span_id:016x}") == (TRACE, PARENT)
    assert predict.attributes["http.response.status_code"] == 200
    recordings = [one for one in spans["recording"] if one.context.trace_id == predict.context.trace_id]
    assert [one.attributes["serkit.sound.seconds"] for one in recordings] == [1.5, 1.5, 0.0]
    assert {one.parent.span_id for one in recordings} == {predict.context.span_id}
    decodes = [one for one in spans["decode"] if one.context.trace_id == predict.context.trace_id]
    assert [one.parent.span_id for one in decodes] == [one.context.span_id for one in recordings[:2]]
    for decode, whole in zip(decodes, recordings, strict=False):
        assert whole.start_time <= decode.start_time < decode.end_time <= whole.end_time
    assert len(spans["POST /v1/timeline"]) == 1
    assert len(spans["decode"]) == 3
    (job,) = spans["GET /v1/jobs/{number}"]
    assert job.attributes["http.response.status_code"] == 404
    everything = json.dumps([json.loads(span.to_json()) for span in kept.get_finished_spans()])
    assert not [word for word in ("secret", "happy", "testclient", "127.0.0.1") if word in everything]


def test_off_unless_asked_for_but_the_log_names_the_trace(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(traces, "_exporter", lambda: pytest.fail("a span"))
    caplog.set_level(logging.INFO, logger="serkit.service")
    with served(model) as client:
        assert client.get("/v1/models", headers=CALLER).status_code == 200
        assert client.get("/v1/models", headers={"traceparent": "x\ny"[0]}).status_code == 200
    logged = [record.fields for record in caplog.records if record.getMessage() == "request"]  # type: ignore[attr-defined]
    assert [fields.get("trace") for fields in logged] == [TRACE, None]


def test_it_needs_its_extra(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with (
        pytest.raises(serkit.MissingExtraError, match=r"pip install 'serkit\[telemetry\]'"),
        served(model, telemetry=True),
    ):
        pass
