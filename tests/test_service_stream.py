"""Streams over WebSocket: the events of the library for the same sound, and clear refusals."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import serkit
from serkit.service.keys import new_key
from serkit.service.pool import Pool
from tests.conftest import voice
from tests.service_app import served
from tests.tiny_models import write_adaptable

RATE = 16000
SOUND = np.concatenate([voice(3, 1, seconds=1.5), np.zeros(RATE, np.float32), voice(5, 2, seconds=1.0)])
PCM = (SOUND * 32767).astype("<i2")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream") / "tiny"
    write_adaptable(folder)
    return folder


@pytest.fixture(scope="module")
def client(model: Path) -> Iterator[TestClient]:
    with served(model, streams=2, stream_seconds=10) as found:
        yield found


def talk(client: TestClient, start: Any, *messages: bytes | str, headers: dict[str, str] | None = None) -> list[Any]:
    """Every event of a stream, up to the end or the error."""
    found = []
    with client.websocket_connect("/v1/stream", headers=headers or {}) as socket:
        socket.send_text(start if isinstance(start, str) else json.dumps(start))
        found.append(socket.receive_json())
        if found[-1]["event"] != "error":
            for message in messages:
                socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(message)
        while found[-1]["event"] not in ("end", "error"):
            found.append(socket.receive_json())
    return found


def pieces(data: bytes, size: int = 3200) -> list[bytes]:
    return [data[k : k + size] for k in range(0, len(data), size)]


def of_the_library(model: Path, samples: np.ndarray, **asked: Any) -> list[dict[str, Any]]:
    stream = serkit.Stream(serkit.load(model), sample_rate=RATE, partial=None, **asked)
    stream.feed(samples)
    stream.finish()
    return [event.to_dict() for event in stream.events()]


@pytest.mark.parametrize("kind", ["pcm16", "float32"])
def test_events_are_those_of_the_library(client: TestClient, model: Path, kind: str) -> None:
    samples = PCM if kind == "pcm16" else SOUND.astype("<f4")
    ready, *events, end = talk(client, {"format": kind, "rate": RATE}, *pieces(samples.tobytes()), "end")
    assert ready == {"event": "ready", "model": "tiny 1.0", "labels": list(serkit.load(model).labels)}
    assert end == {"event": "end", "seconds": len(SOUND) / RATE}
    assert [one for one in events if one["event"] != "partial"] == of_the_library(model, samples)
    assert {"final", "silence"} == {one["event"] for one in events} - {"partial"}


def test_a_service_that_is_behind_tells_only_what_is_final(
    client: TestClient, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, sound = {"rate": RATE, "partial": 0.1}, pieces(PCM.tobytes())
    monkeypatch.setattr(Pool, "behind", False)  # whatever else the machine does
    assert "partial" in {event["event"] for event in talk(client, start, *sound, "end")}
    monkeypatch.setattr(Pool, "behind", True)
    _, *events, _ = talk(client, start, *sound, "end")
    assert events == of_the_library(model, PCM)


def test_options_and_channels(client: TestClient, model: Path) -> None:
    both = np.stack([PCM, PCM[::-1]], axis=1)
    asked = {"channel": "each", "labels": "happy,sad", "min_confidence": 0.9}
    start = {"rate": RATE, "channels": 2, "partial": None, **asked}
    ready, *events, _ = talk(client, start, *pieces(both.tobytes()), "end")
    assert ready["labels"] == ["happy", "sad"]
    assert events == of_the_library(model, both, **asked)


def test_a_profile_is_used(client: TestClient, model: Path) -> None:
    recognizer = serkit.load(model)
    ann = recognizer.enrol(serkit.Waveform(voice(2, 1, seconds=4.0), RATE))
    start = {"rate": RATE, "partial": None, "profile": ann.to_dict()}
    _, *events, _ = talk(client, start, PCM.tobytes(), "end")
    assert events == of_the_library(model, PCM, profile=ann)
    assert events != of_the_library(model, PCM)


def test_packets_of_opus(client: TestClient) -> None:
    av = pytest.importorskip("av")
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "s16"
    encoder.time_base = Fraction(1, RATE)
    packets = []
    for at in range(0, len(PCM) - 320, 320):
        frame = av.AudioFrame.from_ndarray(PCM[np.newaxis, at : at + 320], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, at
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    start = {"format": "opus", "rate": RATE, "partial": None}
    _, *events, end = talk(client, start, *packets, "end")
    assert (events[0]["event"], events[0]["start"]) == ("final", 0.0)
    assert end["seconds"] == pytest.approx(len(SOUND) / RATE, abs=0.1)
    assert talk(client, start, b"\xff" * 40)[-1]["problem"]["detail"].startswith("A message is no packet of Opus")


def test_opus_needs_pyav(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (refused,) = talk(client, {"format": "opus", "rate": 48000})
    assert "pip install 'serkit[formats]'" in refused["problem"]["detail"]


@pytest.mark.parametrize(
    ("start", "messages", "says"),
    [
        ("hello", (), "The first message is not JSON"),
        ("[1]", (), "valid dictionary"),
        ({"rate": 1}, (), "rate: "),
        ({"colour": "red"}, (), "colour: "),
        ({"model": "pain"}, (), "No model 'pain'"),
        ({"labels": "bored"}, (), "no label 'bored'"),
        ({"profile": {}}, (), "is missing"),
        ({"format": "opus", "rate": 44100}, (), "Opus has 1 or 2 channels"),
        ({"channel": "lft"}, (), "No channel is called"),
        ({"channels": 2}, (b"abcdef",), "no whole number of pcm16 frames"),
        ({"format": "float32"}, (b"\x00\x00\xc0\x7f",), "NaN or infinite"),
        ({}, ("more",), "then end; got 'more'"),
        ({"rate": 4000}, (bytes(2 * 4000 * 11),), "holds at most 10 s"),
    ],
)
def test_what_is_wrong_is_the_last_event(client: TestClient, start: Any, messages: tuple[Any, ...], says: str) -> None:
    last = talk(client, start, *messages)[-1]
    assert last["event"] == "error"
    assert says in last["problem"]["detail"]
    assert last["problem"]["status"] in (404, 413, 422)


def test_a_stream_too_many_is_refused(client: TestClient) -> None:
    with client.websocket_connect("/v1/stream") as first, client.websocket_connect("/v1/stream") as second:
        for one in (first, second):
            one.send_text("{}")
            assert one.receive_json()["event"] == "ready"
        with client.websocket_connect("/v1/stream") as third:
            assert third.receive_json()["problem"]["status"] == 503
            with pytest.raises(WebSocketDisconnect) as closed:
                third.receive_json()
            assert closed.value.code == 1013
    assert talk(client, {}, "end")[-1] == {"event": "end", "seconds": 0.0}  # there is room again


def test_silence_on_the_line_ends_it(model: Path) -> None:
    with served(model, stream_idle_seconds=0.2) as client:
        assert talk(client, {})[-1]["problem"]["status"] == 408


def test_keys_and_origins(model: Path) -> None:
    key, line = new_key("ann")
    with served(model, keys=[line], cors=["https://example.org"]) as client:
        assert talk(client, {})[-1]["problem"]["status"] == 401
        assert talk(client, {"key": "wrong"})[-1]["problem"]["status"] == 401
        assert talk(client, {"key": key}, "end")[-1]["event"] == "end"
        assert talk(client, {}, "end", headers={"Authorization": f"Bearer {key}"})[-1]["event"] == "end"
        allowed = {"Origin": "https://example.org"}
        assert talk(client, {"key": key}, "end", headers=allowed)[-1]["event"] == "end"
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect("/v1/stream", headers={"Origin": "https://example.com"}),
        ):
            pass
