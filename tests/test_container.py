"""The Dockerfile and compose.yaml: what must hold for them, and the service started as they start it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
FILES = ("Dockerfile", "compose.yaml", "requirements.lock", "docker/requirements-build.txt")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("container_check", ROOT / "docker" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_it_starts_answers_and_ends_as_the_image_does(script: ModuleType, tmp_path: Path) -> None:
    _, final = script.check_dockerfile()
    script.as_image(final, script.check_compose(), None, tmp_path)


@pytest.mark.parametrize(
    ("name", "before", "after", "says"),
    [
        ("Dockerfile", "USER 10001:10001", "USER root", "it runs as root"),
        ("Dockerfile", "3.11-slim-bookworm", "latest", "the base python:latest"),
        ("Dockerfile", "HEALTHCHECK", "LABEL", "has no HEALTHCHECK"),
        ("Dockerfile", "--constraint requirements.lock", "", "the versions of requirements.lock"),
        ("Dockerfile", "COPY src src", "ADD https://example.org/src src", "nothing is fetched by ADD"),
        ("docker/requirements-build.txt", "==", ">=", "what builds the wheel is pinned"),
        ("compose.yaml", "read_only: true", "read_only: false", "the root is read-only"),
        ("compose.yaml", "cap_drop: [ALL]", "cap_drop: []", "no capabilities"),
        ("compose.yaml", "127.0.0.1:8000:", "8000:", "only this machine may ask"),
        ("compose.yaml", "SERKIT_SERVE_JOB_MAX_BYTES", "SERKIT_SERVE_KEYS", "no keys in the environment"),
    ],
)
def test_what_is_wrong_is_found(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, before: str, after: str, says: str
) -> None:
    (tmp_path / "docker").mkdir()
    for file in FILES:
        shutil.copyfile(ROOT / file, tmp_path / file)
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert before in text
    (tmp_path / name).write_text(text.replace(before, after), encoding="utf-8")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    with pytest.raises(script.CheckError, match=says):
        (script.check_dockerfile if name != "compose.yaml" else script.check_compose)()
