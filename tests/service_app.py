"""A service with a tiny model, for tests."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from starlette.testclient import TestClient

from serkit.service.application import create
from serkit.service.settings import load_settings


def wav(samples: np.ndarray, rate: int = 16000, *, kind: str = "WAV") -> bytes:
    """A recording as the bytes of a file."""
    file = io.BytesIO()
    sf.write(file, samples, rate, format=kind)
    return file.getvalue()


@contextmanager
def served(*models: Path, **settings: Any) -> Iterator[TestClient]:
    """A client of a service in this process."""
    app = create(load_settings(models=[str(model) for model in models], **settings))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def problem(answer: Any, status: int) -> dict[str, Any]:
    """The problem that an answer holds, checked for its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = dict(answer.json())
    assert found["status"] == status
    assert found["type"] == "about:blank"
    assert found["title"]
    assert found["detail"].endswith(".")
    return found
