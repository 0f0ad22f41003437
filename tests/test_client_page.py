"""The lines of docs/client.md, each run against a real `ser serve`."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from tests.conftest import voice
from tests.service_app import wav
from tests.service_process import serving
from tests.tiny_models import write_adaptable

PAGE = Path(__file__).parents[1] / "docs" / "client.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
SOUND = np.concatenate([voice(3, 1, seconds=1.5), np.zeros(16000, np.float32), voice(5, 2, seconds=2.0)])


def of(kind: str) -> list[str]:
    return [block for name, block in BLOCKS if name == kind]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recordings that the page names."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("call", "meeting", "ann1", "ann2"):
        (folder / f"{name}.wav").write_bytes(wav(SOUND))
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    model = tmp_path_factory.mktemp("model") / "tiny"
    write_adaptable(model)
    with serving(model, threads=1) as (_, found, _):
        yield found


def here(block: str, address: str) -> str:
    assert "127.0.0.1:8000" in block
    return block.replace("http://127.0.0.1:8000", address).replace("ws://127.0.0.1:8000", address.replace("http", "ws"))


@pytest.mark.parametrize("block", of("python"))
def test_python(block: str, address: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(here(block, address), "docs/client.md", "exec"), {"__name__": "page"})
    assert said.getvalue().strip()
    if "missing.wav" in block:
        assert "missing.wav failed no such file" in said.getvalue()
    if "stream" in block:
        assert re.search(r"^final 0.0 .* \w+$", said.getvalue(), re.MULTILINE)


@pytest.mark.parametrize("line", "".join(of("sh")).splitlines())
def test_curl(line: str, address: str, place: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    if "ann.json" in line and ">" not in line and not (place / "ann.json").exists():
        pytest.skip("the line before it writes its profile")
    command = here(line, address).replace("curl ", "curl -sS --fail-with-body --noproxy '*' ")
    done = subprocess.run(["sh", "-c", command], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    if "format=srt" in line:
        assert re.match(r"1\n00:00:0", done.stdout)
    elif ">" in line:
        assert json.loads((place / "ann.json").read_text())["kind"] == "voice"
    else:
        assert json.loads(done.stdout).keys() & {"rows", "models", "id"}


@pytest.mark.parametrize("block", of("js"))
def test_javascript(block: str, address: str, place: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    head = """
import { readFile } from "node:fs/promises";
const bytes = await readFile("call.wav");
const file = new Blob([bytes]);
const pcm = new Int16Array(bytes.buffer.slice(bytes.byteOffset + 44, bytes.byteOffset + bytes.length));
const samples = Float32Array.from(pcm, (value) => value / 32768);
"""
    script = place / "block.mjs"
    script.write_text(head + here(block, address), encoding="utf-8")
    done = subprocess.run(
        ["node", "--experimental-websocket", "--no-warnings", script],
        cwd=place,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    if "WebSocket" in block:
        assert lines[0].strip() == "ready"
        assert any(re.fullmatch(r"final \w+", line) for line in lines)
        assert lines[-2].strip() == "end"
    else:
        assert re.fullmatch(r"\w+ 0\.\d+", lines[0])
