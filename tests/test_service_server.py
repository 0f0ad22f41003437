"""A real `ser serve`: signals, a clean end, several workers, one of them killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from serkit.service.keys import new_key
from tests.conftest import voice
from tests.service_app import wav
from tests.service_process import ask, serving, status, until
from tests.tiny_models import write_tiny

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")

DATA = wav(voice(1, 1, seconds=0.3))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("server") / "tiny"
    write_tiny(folder)
    return folder


def connect(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def all_of(connection: socket.socket) -> bytes:
    found = b""
    while piece := connection.recv(1 << 16):
        found += piece
    return found


def test_keys_by_signal_slow_heads_and_a_clean_end(model: Path, tmp_path: Path) -> None:
    (ann, first), (bob, second) = new_key("ann"), new_key("bob")
    keys = tmp_path / "keys"
    keys.write_text(f"{first}\n{second}\n")
    with serving(model, "--keys", keys, header_seconds=1) as (process, address, log):
        assert (status(address + "/v1/predict", ann, DATA), status(address + "/v1/predict", "", DATA)) == (200, 401)
        with connect(address) as slow, connect(address) as large:
            slow.sendall(b"GET /health/live HT")
            large.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-large: " + b"x" * 70_000)
            assert all_of(large).startswith(b"HTTP/1.1 431 ")
            assert all_of(slow).startswith(b"HTTP/1.1 408 ")
        with connect(address) as both:  # a length and chunks: two readers could see two requests
            head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n"
            both.sendall(head + b"0\r\n\r\n")
            assert all_of(both).startswith(b"HTTP/1.1 400 ")
        before = keys.stat()
        keys.write_text(f"{first}\n{second.replace('bob', 'eve')[:-64]}{'0' * 64}\n")
        os.utime(keys, ns=(before.st_atime_ns, before.st_mtime_ns))
        process.send_signal(signal.SIGHUP)
        until(lambda: status(address + "/v1/models", bob) == 401)
        assert status(address + "/v1/models", ann) == 200
        head = f"POST /v1/predict HTTP/1.1\r\nhost: x\r\nx-api-key: {ann}\r\ncontent-length: {len(DATA)}\r\n\r\n"
        with connect(address) as upload:
            upload.sendall(head.encode() + DATA[:1000])
            until(lambda: status(address + "/v1/models", ann) == 200)  # the head has been read by then
            process.send_signal(signal.SIGTERM)
            until(lambda: status(address + "/health/live") is None)  # it takes nothing new
            upload.sendall(DATA[1000:])
            assert all_of(upload).startswith(b"HTTP/1.1 200 ")
        assert process.wait(60) == 0
        lines = [json.loads(line) for line in log.read_text().splitlines()[1:]]
        assert {"ann", None} <= {line.get("key") for line in lines if line["event"] == "request"}


def test_a_worker_that_is_killed_is_replaced_and_costs_nobody_else(model: Path, tmp_path: Path) -> None:
    with serving(model, workers=2, threads=1, jobs_folder=tmp_path) as (process, address, log):

        def workers() -> set[int]:
            lines = [json.loads(line) for line in log.read_text().splitlines()[1:]]
            return {line["process"] for line in lines if line["event"] == "Application startup complete."}

        first = until(lambda: found if len(found := workers()) == 2 else None)
        victim = min(first)
        os.kill(victim, signal.SIGKILL)
        answers = [status(address + "/v1/predict", data=DATA) for _ in range(20)]
        assert set(answers) <= {200, None}  # None: a connection that the killed worker had just taken
        assert answers.count(200) >= 10
        until(lambda: len(workers()) == 3)
        job = json.loads(ask(address + "/v1/jobs", data=DATA)[1])["id"]
        until(lambda: json.loads(ask(f"{address}/v1/jobs/{job}")[1])["state"] == "done")
        text = ask(address + "/metrics")[1].decode()
        counted = re.search(r'serkit_requests_total\{route="/v1/predict",status="200"\} ([\d.]+)', text)
        assert counted
        assert float(counted[1]) >= answers.count(200)  # of all workers, also of the killed one
    assert process.returncode == 0
