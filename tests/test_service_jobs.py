"""Jobs: answered in the background, by one worker at a time, and kept for a while."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

import serkit
from serkit.service.job_runner import Runner
from serkit.service.jobs import Claimed, Jobs
from serkit.service.keys import new_key
from serkit.service.metrics import Metrics
from serkit.service.models import Models
from serkit.service.problems import Problem
from serkit.service.schemas import Job, JobOptions
from serkit.service.settings import load_settings
from serkit.service.uploads import Upload
from tests.conftest import voice
from tests.service_app import problem, served, wav
from tests.tiny_models import write_tiny

DATA = wav(np.concatenate([voice(3, 1, seconds=1.0), np.zeros(8000, np.float32), voice(5, 2, seconds=1.0)]))
TIMELINE = JobOptions().model_dump()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jobs") / "tiny"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def client(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with served(model, jobs_folder=tmp_path_factory.mktemp("kept")) as found:
        yield found


def until(done: Callable[[], Any], seconds: float = 60) -> Any:
    """What `done` returns, once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := done():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def finished(client: TestClient, number: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = dict(client.get(f"/v1/jobs/{number}").json())
        Job.model_validate(found)
        return found if found["state"] in ("done", "failed", "cancelled") else None

    return dict(until(look))


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path / "jobs", kept=3600, most=3)


def upload(tmp_path: Path, data: bytes = DATA) -> Upload:
    (tmp_path / "sent.wav").write_bytes(data)
    return Upload((tmp_path / "sent.wav").open("rb"), "sent.wav")


def runner(jobs: Jobs, model: Path) -> Runner:
    return Runner(jobs, Models([str(model)]), load_settings(models=[str(model)]), Metrics())


def test_a_timeline_in_the_background(client: TestClient, model: Path) -> None:
    sent = client.post("/v1/jobs", files={"file": ("call.wav", DATA)})
    assert sent.status_code == 202
    assert sent.headers["location"] == f"/v1/jobs/{sent.json()['id']}"
    job = finished(client, sent.json()["id"])
    want = serkit.load(model).timeline(DATA)
    assert (job["state"], job["progress"], job["error"]) == ("done", 1.0, None)
    assert job["result"] == {**want.to_dict(), "path": "call.wav", "labels": list(want.labels)}
    assert job["expires"] > job["finished"] >= job["created"]
    assert client.get(f"/v1/jobs/{job['id']}/result").json() == job["result"]
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 200
    problem(client.get(f"/v1/jobs/{job['id']}"), 404)


def test_other_kinds_and_formats(client: TestClient, model: Path) -> None:
    rows = client.post("/v1/jobs?kind=predict", files={"file": ("call.wav", DATA)}).json()["id"]
    text = client.post("/v1/jobs?format=srt", content=DATA).json()["id"]
    wrong = client.post("/v1/jobs", content=b"no sound").json()["id"]
    assert finished(client, rows)["result"]["rows"] == client.post(
        "/v1/predict", files={"file": ("call.wav", DATA)}
    ).json()["rows"]  # fmt: skip
    assert finished(client, text)["result"] is None
    assert client.get(f"/v1/jobs/{text}/result").text == client.post("/v1/timeline?format=srt", content=DATA).text
    assert "text, not audio" in finished(client, wrong)["error"]
    problem(client.get(f"/v1/jobs/{wrong}/result"), 409)
    problem(client.post("/v1/jobs?kind=predict&format=srt", content=DATA), 422)
    problem(client.post("/v1/jobs?labels=bored", content=DATA), 422)
    problem(client.post("/v1/jobs?profile={}", content=DATA), 422)
    problem(client.post("/v1/jobs?window=99", content=DATA), 422)
    for name in ("none", "x" * 22, "..", "%2e%2e", "x" * 5000):
        assert client.get(f"/v1/jobs/{name}").status_code == 404


def test_a_job_belongs_to_its_key(model: Path, tmp_path: Path) -> None:
    (ann, first), (bob, second) = new_key("ann"), new_key("bob")
    with served(model, jobs_folder=tmp_path, keys=[first, second]) as client:
        number = client.post("/v1/jobs", content=DATA, headers={"X-API-Key": ann}).json()["id"]
        for call in (client.get, client.delete):
            problem(call(f"/v1/jobs/{number}", headers={"X-API-Key": bob}), 404)
        assert client.get(f"/v1/jobs/{number}", headers={"X-API-Key": ann}).status_code == 200


def test_no_jobs_if_none_may_wait(model: Path, tmp_path: Path) -> None:
    with served(model, jobs_folder=tmp_path, jobs_waiting=0) as client:
        problem(client.post("/v1/jobs", content=DATA), 404)


def test_only_so_many_wait(jobs: Jobs, tmp_path: Path) -> None:
    for _ in range(3):
        jobs.add(upload(tmp_path), TIMELINE, "")
    with pytest.raises(Problem, match="3 jobs are unfinished"):
        jobs.add(upload(tmp_path), TIMELINE, "")


def test_a_job_is_taken_once_and_oldest_first(jobs: Jobs, tmp_path: Path) -> None:
    first, second = (jobs.add(upload(tmp_path), TIMELINE, "")["id"] for _ in range(2))
    os.utime(tmp_path / "jobs" / "waiting" / first / "recording", (1, 1))
    with jobs.claim() as one, jobs.claim() as two, jobs.claim() as three:
        assert one is not None
        assert two is not None
        assert (one.job["id"], two.job["id"], three) == (first, second, None)
        assert jobs.read(first, "")["state"] == "running"


def test_a_job_whose_worker_was_killed_is_answered_by_another(jobs: Jobs, tmp_path: Path, model: Path) -> None:
    number = jobs.add(upload(tmp_path), TIMELINE, "")["id"]
    with jobs.claim() as claimed:
        assert claimed is not None
        claimed.write(progress=0.5)  # and no more: the lock is gone, as after kill -9
    assert jobs.read(number, "")["state"] == "running"
    other = runner(jobs, model)
    other.start()
    until(lambda: jobs.read(number, "")["state"] == "done")
    other.end()
    assert not (tmp_path / "jobs" / "done" / number / "recording").exists()


def test_a_finished_job_of_a_worker_that_was_killed_keeps_its_answer(jobs: Jobs, tmp_path: Path) -> None:
    number = jobs.add(upload(tmp_path), TIMELINE, "")["id"]
    with jobs.claim() as claimed:
        assert claimed is not None
        claimed.write(state="done", format="srt")  # the worker ends before it moves the job
    with jobs.claim() as again:
        assert again is None
    assert jobs.read(number, "")["state"] == "done"
    assert not (tmp_path / "jobs" / "done" / number / "recording").exists()
    assert not (tmp_path / "jobs" / "waiting" / number).exists()


def test_progress_that_cannot_be_noted_costs_no_answer(
    jobs: Jobs, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = threading.Event()
    ended: list[tuple[str, str | None]] = []

    def full(self: Claimed, **changes: Any) -> None:
        noted.set()
        raise OSError(28, "No space left on device")

    def work(claimed: Claimed, stop: threading.Event, heard: list[float]) -> str:
        heard[0] = 1.0
        assert noted.wait(10)
        return "{}"

    one = runner(jobs, model)
    jobs.add(upload(tmp_path), TIMELINE, "")
    with jobs.claim() as claimed:
        assert claimed is not None
        monkeypatch.setattr("serkit.service.job_runner._LOOK", 0.001)
        monkeypatch.setattr(Claimed, "write", full)
        monkeypatch.setattr(one, "_work", work)
        monkeypatch.setattr(jobs, "finish", lambda claimed, state, **how: ended.append((state, how["result"])))
        one._answer(claimed)
    assert ended == [("done", "{}")]


@pytest.mark.parametrize(
    ("lacks", "state"),
    [("room beside the recording", "done"), ("room for the answer", "failed"), ("any room", "failed")],
)
def test_a_full_disk_at_the_end_is_said(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str, state: str
) -> None:
    number = jobs.add(upload(tmp_path), TIMELINE, "")["id"]
    place = tmp_path / "jobs" / "waiting" / number

    def full(content: Any, path: Path) -> Path:
        if lacks == "any room" or (path.name == "result" and (lacks != "room beside the recording")):
            raise OSError(28, "No space left on device")
        if (place / "recording").exists():
            raise OSError(28, "No space left on device")
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    with jobs.claim() as claimed:
        assert claimed is not None
        with monkeypatch.context() as patch:
            patch.setattr("serkit.service.jobs.write_atomic", full)
            patch.setattr("serkit.service.jobs.write_json", full)
            if lacks == "any room":
                with pytest.raises(OSError, match="No space"):
                    jobs.finish(claimed, "done", result="{}")
            else:
                assert jobs.finish(claimed, "done", result="{}") == state
    with jobs.claim() as again:  # it is not answered once more
        assert again is None
    found = jobs.read(number, "")
    assert found["state"] == state
    assert found["result"] == ({} if state == "done" else None)
    assert ("The answer could not be written" in (found["error"] or "")) == (state == "failed")


def test_a_job_that_ends_every_worker_fails(jobs: Jobs, tmp_path: Path) -> None:
    number = jobs.add(upload(tmp_path), TIMELINE, "")["id"]
    for _ in range(3):
        with jobs.claim() as claimed:
            assert claimed is not None
    with jobs.claim() as claimed:
        assert claimed is None
    assert jobs.read(number, "")["state"] == "failed"
    assert "3 times" in jobs.read(number, "")["error"]


def test_cancelled_while_it_waits_or_runs(
    jobs: Jobs, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = jobs.add(upload(tmp_path), TIMELINE, "")["id"]
    assert jobs.cancel(waiting, "")["state"] == jobs.read(waiting, "")["state"] == "cancelled"
    with jobs.claim() as claimed:
        assert claimed is None
    running = jobs.add(upload(tmp_path), TIMELINE, "")["id"]

    def forever(recognizer: Any, upload: Any, asked: Any, most: Any, stop: Any, progress: Any) -> str:
        progress(1.25)
        assert stop.wait(60)
        raise serkit.AudioError("stopped")

    monkeypatch.setattr("serkit.service.work.timeline", forever)
    working = runner(jobs, model)
    working.start()
    shown = until(lambda: found if (found := jobs.read(running, ""))["progress"] else None)
    assert (shown["seconds"], shown["progress"]) == (1.25, 0.5)
    jobs.cancel(running, "")
    until(lambda: (tmp_path / "jobs" / "done" / running).exists())
    assert jobs.read(running, "")["state"] == "cancelled"
    last = jobs.add(upload(tmp_path), TIMELINE, "")["id"]
    until(lambda: jobs.read(last, "")["state"] == "running")
    working.end()  # as when the service is stopped: another worker begins it again
    assert jobs.read(last, "")["state"] == "waiting"


def test_finished_jobs_are_removed_after_their_time(jobs: Jobs, tmp_path: Path) -> None:
    number = jobs.add(upload(tmp_path), TIMELINE, "")["id"]
    with jobs.claim() as claimed:
        assert claimed is not None
        jobs.finish(claimed, "done", result=json.dumps({}))
    jobs.clean()
    assert jobs.read(number, "")["result"] == {}
    os.utime(tmp_path / "jobs" / "done" / number, (1, 1))
    jobs.clean()
    with pytest.raises(Problem, match="no such job"):
        jobs.read(number, "")
