"""Recordings and rows on Google's and Azure's object stores: their emulators, in processes of their own.

Both need packages of the extra ``cluster-tests``, and Azure's needs ``npm install -g azurite``, so CI leaves them out.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile as sf

from serkit.errors import SerkitError
from serkit.recognition.recognizer import load
from serkit.scale.inputs import list_inputs
from serkit.scale.parts import Parts
from serkit.scale.stores import Store
from serkit.scale.work import Work
from tests.conftest import voice
from tests.tiny_models import write_tiny

pytestmark = pytest.mark.slow

GOOGLE = """
import sys
from gcp_storage_emulator.server import create_server
server = create_server("127.0.0.1", 0, in_memory=True)
server.start()
print("listening on http://127.0.0.1:%d" % server._api._httpd.server_address[1], flush=True)
sys.stdin.read()
"""
#: The key of every emulator of Azure, which Microsoft publishes.
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def started(*command: str) -> tuple[subprocess.Popen[str], str]:
    """Start a server, and return its process and the address that it prints."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"listen\S* (?:on|at) (http://127\.0\.0\.1:\d+)", line)
        if found:
            return process, found[1]
    raise AssertionError("the server says no address")


def google(patch: pytest.MonkeyPatch) -> subprocess.Popen[str]:
    for package in ("gcsfs", "gcp_storage_emulator"):
        pytest.importorskip(package)
    process, address = started(sys.executable, "-c", GOOGLE)
    patch.setenv("STORAGE_EMULATOR_HOST", address)
    patch.setenv("NO_GCE_CHECK", "true")
    return process


def azure(patch: pytest.MonkeyPatch) -> subprocess.Popen[str]:
    pytest.importorskip("adlfs")
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azurite is not installed: npm install -g azurite")
    how = ("--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry")
    process, address = started(program, *how)
    account = f"AccountName=devstoreaccount1;AccountKey={AZURE_KEY}"
    where = f"DefaultEndpointsProtocol=http;{account};BlobEndpoint={address}/devstoreaccount1;"
    patch.setenv("AZURE_STORAGE_CONNECTION_STRING", where)
    return process


@pytest.fixture(scope="module", params=["gs", "az"])
def bucket(request: pytest.FixtureRequest, clips: Path) -> Iterator[str]:
    """A bucket with the clips."""
    with pytest.MonkeyPatch.context() as patch:
        process = {"gs": google, "az": azure}[request.param](patch)
        import fsspec

        fsspec.filesystem(request.param).mkdir("calls")
        address = f"{request.param}://calls"
        store = Store(address)
        for path in clips.glob("*/*.wav"):
            store.write(f"{address}/clips/{path.parent.name}/{path.name}", path.read_bytes())
        yield address
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings in two folders."""
    folder = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(("a/0.wav", "a/1.wav", "b/2.wav")):
        (folder / name).parent.mkdir(exist_ok=True)
        sf.write(folder / name, (0.3 + 0.3 * number) * voice(3, number), 16000)
    return folder


def test_rows_are_those_of_files(bucket: str, clips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_tiny(tmp_path / "tiny")
    work = Work(load(tmp_path / "tiny"), "jsonl", {}, timeout=60)
    paths = [f"{bucket}/clips/", f"{bucket}/clips/*/2.wav", f"{bucket}/none.wav"]
    inputs = list(list_inputs(paths, recursive=True))
    parts = Parts(f"{bucket}/rows", "jsonl", timeout=60)
    with parts.begin({"model": "tiny"}, resume=False, force=False):
        marker = parts.write(0, work, list(work.answer(inputs)), "x")
        assert parts.marker(0) == marker
    lines = Store(bucket).read(parts.place("rows", 0)) or b""
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines.splitlines()]
    names = [f"{bucket}/clips/{name}" for name in ("a/0.wav", "a/1.wav", "b/2.wav", "b/2.wav")]
    assert [row["path"] for row in rows] == [*names, f"{bucket}/none.wav"]
    expected = [row.to_dict() for row in load(tmp_path / "tiny").predict(clips, recursive=True)]
    for row, same in zip(rows, [*expected, expected[-1]], strict=False):
        assert {**row, "path": None} == {**same, "path": None}
    assert rows[-1]["error"] == f"There is no '{bucket}/none.wav': check the name."
    parts.clear(0)
    assert parts.marker(0) is None
    assert capfd.readouterr().err == ""


def test_what_is_missing_is_one_sentence(bucket: str) -> None:
    store, other = Store(bucket), f"{bucket.partition('://')[0]}://no-bucket"
    assert store.read(f"{bucket}/none") is None
    assert store.entries(f"{other}/") is None
    with pytest.raises(SerkitError, match=f"There is no '{other}/x': check the name"):
        store.write(f"{other}/x", b"x")
