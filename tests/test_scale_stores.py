"""Recordings, rows and features on an object store: moto's server, which speaks S3, in a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from serkit.errors import AudioError, SerkitError
from serkit.recognition.recognizer import load
from serkit.scale.inputs import list_inputs
from serkit.scale.parts import Parts
from serkit.scale.stores import Store
from serkit.scale.work import Work
from tests.conftest import voice
from tests.file_server import Server
from tests.tiny_models import write_tiny

pytest.importorskip("s3fs")
pytest.importorskip("moto")

# Port 0: the system chooses one, and the server says which.
SERVER = """
import logging, sys, threading
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A store with the bucket ``calls``: its address; the environment says so to s3fs."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    host, port = process.stdout.readline().split()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
            ("AWS_ACCESS_KEY_ID", "tests"),
            ("AWS_SECRET_ACCESS_KEY", "tests"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ):
            patch.setenv(name, value)
        yield f"http://{host}:{port}"
    process.communicate(timeout=60)


@pytest.fixture
def bucket(server: str, tmp_path: Path) -> Store:
    """A new bucket ``calls`` with three recordings in two folders, and the same ones in ``clips``."""
    import fsspec

    urllib.request.urlopen(urllib.request.Request(f"{server}/moto-api/reset", method="POST"))
    fsspec.filesystem("s3").mkdir("calls")
    store = Store("s3://calls")
    for number, name in enumerate(("a/0.wav", "a/1.wav", "b/2.wav")):
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, (0.3 + 0.3 * number) * voice(3, number), 16000)
        store.write(f"s3://calls/clips/{name}", path.read_bytes())
    store.write("s3://calls/clips/notes.txt", b"no recording")
    return store


def answer(work: Work, folder: str, paths: list[str]) -> list[dict[str, Any]]:
    """Answer recordings, write them as a partition, and read its rows back."""
    parts = Parts(folder, "jsonl", timeout=20)
    with parts.begin({"model": "tiny"}, resume=False, force=False):
        marker = parts.write(0, work, list(work.answer(list(list_inputs(paths, recursive=True)))), "x")
        assert parts.marker(0) == marker
    lines = Store(folder).read(parts.place("rows", 0)) or b""
    return [json.loads(line) for line in lines.splitlines()]


def test_rows_from_and_on_a_store_are_those_of_files(bucket: Store, tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    work = Work(load(tmp_path / "tiny"), "jsonl", {}, timeout=20)
    paths = ["s3://calls/clips/", "s3://calls/clips/*/2.wav", "s3://calls/none.wav"]
    rows = answer(work, "s3://calls/rows", paths)
    expected = [row.to_dict() for row in load(tmp_path / "tiny").predict(tmp_path / "clips", recursive=True)]
    names = [f"s3://calls/clips/{name}" for name in ("a/0.wav", "a/1.wav", "b/2.wav", "b/2.wav")]
    assert [row["path"] for row in rows] == [*names, "s3://calls/none.wav"]
    for row, same in zip(rows, [*expected, expected[-1]], strict=False):
        assert {**row, "path": None} == {**same, "path": None}
    assert rows[-1]["error"] == "There is no 's3://calls/none.wav': check the name."
    with pytest.raises(SerkitError, match="'s3://calls/rows' belongs to a run that was stopped: add --resume"):
        answer(work, "s3://calls/rows", paths)
    parts = Parts("s3://calls/rows", "jsonl")
    parts.clear(0)
    assert parts.marker(0) is None


def test_features_on_a_store_are_those_that_were_put(bucket: Store) -> None:
    from serkit.training.feature_cache import FeatureCache

    cache, array = FeatureCache("s3://calls/features"), np.arange(6, dtype=np.float32).reshape(2, 3)
    assert cache.get("ab" + 62 * "0") is None
    cache.put("ab" + 62 * "0", array)
    np.testing.assert_array_equal(FeatureCache("s3://calls/features").get("ab" + 62 * "0"), array)
    assert cache.count(["ab" + 62 * "0", "ab" + 62 * "1", "cd" + 62 * "0"]) == 1


def test_what_goes_wrong_is_one_sentence(bucket: Store, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bucket.read("s3://calls/none") is None
    assert bucket.entries("s3://no-bucket/") is None
    with pytest.raises(SerkitError, match="There is no 's3://no-bucket/x': check the name"):
        bucket.write("s3://no-bucket/x", b"x")
    request = urllib.request.Request(
        f"{server}/moto-api/reset-auth", data=b"0", method="POST", headers={"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(request)  # from now on it checks who asks
    try:
        for call in (bucket.open, bucket.read, bucket.entries):
            with pytest.raises(SerkitError, match=r"the store refuses the credentials .*; check them"):
                call("s3://calls/clips/a/0.wav")
    finally:
        urllib.request.urlopen(
            urllib.request.Request(
                f"{server}/moto-api/reset-auth", data=b"inf", method="POST", headers={"Content-Type": "text/plain"}
            )
        )


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "broken"])
def test_a_store_that_does_not_answer_is_given_up(silent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes connections and says nothing, or half an answer before it closes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            kept = []
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                kept.append(connection)
                if not silent:
                    connection.recv(1 << 16)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nAccept-Ranges: bytes\r\n\r\nRIFF")
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/a.wav"
        says = "sent nothing for 0.5 s" if silent else "the connection failed"
        with pytest.raises(AudioError, match=f"'{address}' cannot be read: .*{says}.*; try again"):
            Store(address, timeout=0.5 if silent else 30).open(address)
        listening.shutdown(socket.SHUT_RDWR)


def test_recordings_are_read_from_a_web_server(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    for number in range(2):
        sf.write(tmp_path / f"{number}.wav", voice(3, number), 16000)
    server = Server({f"{number}.wav": (tmp_path / f"{number}.wav").read_bytes() for number in range(2)})
    names = [f"{server.url}/{name}" for name in ("0.wav", "1.wav", "none.wav")]
    (tmp_path / "list.csv").write_text("\n".join(["path", *names]), encoding="utf-8")
    recognizer = load(tmp_path / "tiny")
    with server.running():
        inputs = list(list_inputs([str(tmp_path / "list.csv")], recursive=False))
        found = list(Work(recognizer, "jsonl", {}, timeout=60).answer(inputs))
    rows = [json.loads(row) for answer in found for row in answer.rows]
    assert [row["path"] for row in rows] == names
    for number, row in enumerate(rows[:2]):
        assert {**row, "path": None} == {**recognizer.predict(tmp_path / f"{number}.wav").to_dict(), "path": None}
    assert rows[2]["error"] == f"There is no '{names[2]}': check the name."


def test_an_address_says_which_package_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serkit.scale.stores.importlib.util.find_spec", lambda name: None if name == "gcsfs" else name)
    with pytest.raises(SerkitError, match=r"Addresses of gs:// need the package 'gcsfs', .*: run pip install gcsfs"):
        Store("gs://calls/a.wav")
    with pytest.raises(SerkitError, match="There is no kind of address 'madeup://'"):
        Store("madeup://calls/a.wav")
