"""``--mlflow``: what a store of MLflow holds after evaluations, trainings and comparisons, and after Ctrl-C."""

from __future__ import annotations

import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer

from serkit.cli import tracking
from serkit.corpora import read_corpus
from serkit.protocol import make_split
from serkit.training import fitting
from serkit.training.recipe_files import parse_recipe
from serkit.training.run import run_evaluation
from serkit.training.tracked_runs import Training
from serkit.training.tracking import Tracker
from tests.conftest import Ser
from tests.small_recipes import QUICK_TEXT

pytest.importorskip("mlflow")
pytest.importorskip("sqlalchemy")


class Store:
    """An experiment of its own in the database of the module, which takes seconds to make."""

    def __init__(self, uri: str, experiment: str) -> None:
        from mlflow import MlflowClient

        self.uri, self.experiment, self.client = uri, experiment, MlflowClient(uri)

    def runs(self) -> list[Any]:
        """All runs, oldest first."""
        found = self.client.get_experiment_by_name(self.experiment)
        return list(self.client.search_runs([found.experiment_id], order_by=["attributes.start_time"])) if found else []

    def steps(self, run: Any, metric: str) -> dict[int, float]:
        """Step -> value; a step that was logged twice is an error."""
        found = self.client.get_metric_history(run.info.run_id, metric)
        assert len({one.step for one in found}) == len(found)
        return {one.step: one.value for one in found}

    def files(self, run: Any, folder: str = "") -> set[str]:
        return {one.path for one in self.client.list_artifacts(run.info.run_id, folder or None)}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracking")


@pytest.fixture
def store(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Store:
    """Work in an empty folder with two recipes in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERKIT_CACHE", str(shared / "cache"))
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "quick.toml").write_text(QUICK_TEXT, encoding="utf-8")
    (tmp_path / "other.toml").write_text(QUICK_TEXT.replace('"quick"', '"other"').replace("13", "5"), encoding="utf-8")
    return Store(f"sqlite:///{(shared / 'mlflow.db').as_posix()}", request.node.name)


def stop_at(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in that fit of the following ones."""
    fit, calls = fitting.fit, 0

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return fit(*args, **options)

    monkeypatch.setattr(fitting, "fit", counted)


def test_an_evaluation_is_logged_once(ser: Ser, store: Store, tiny_corpus: Path, tmp_path: Path) -> None:
    words = ["evaluate", "--mlflow", store.uri, "quick.toml", "--data", tiny_corpus, "--folds", "3", "--out", "run"]
    code, _, err = ser(*words)
    assert (code, err.splitlines()[-1]) == (0, f"Logged to {store.uri}")
    (run,) = store.runs()
    results = json.loads((tmp_path / "run/results.json").read_text())
    folds = results["metrics"]["groups"]["fold"]
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
    for score in ("accuracy", "uar"):
        assert store.steps(run, f"fold_{score}") == pytest.approx({int(k): row[score] for k, row in folds.items()})
        assert store.steps(run, score) == {3: pytest.approx(results["metrics"][score])}
        assert run.data.metrics[f"{score}_low"] == pytest.approx(results["metrics"]["intervals"][score][0])
    assert run.data.metrics["recall/sad"] == pytest.approx(results["metrics"]["per_class"]["sad"]["recall"])
    params = run.data.params
    assert (params["recipe"], params["model.name"], params["seed"]) == ("quick", "logistic", "0")
    assert json.loads(params["features.features"]) == [{"name": "mfcc", "params": {"n_mfcc": 13}}]
    assert (params["recipe_hash"], params["split_hash"]) == (results["recipe_hash"], results["split_hash"])
    assert params["data_sha256"] == json.loads((tmp_path / "run/run.json").read_text())["corpus"]
    assert run.inputs.dataset_inputs[0].dataset.digest == params["data_sha256"][:32]
    assert store.files(run) == {"figures", "recipe.toml", "report.html", "results.json", "split.csv"}
    assert store.files(run, "figures") == {
        f"figures/{n}" for n in ("confusion.png", "reliability.svg", "risk-coverage.svg")
    }
    svg = store.client.download_artifacts(run.info.run_id, "figures/reliability.svg", str(tmp_path))
    assert ElementTree.parse(svg).getroot().tag == "{http://www.w3.org/2000/svg}svg"

    assert ser(*words, "--resume")[0] == 0  # nothing is left to do
    (again,) = store.runs()
    assert again.info.run_id == run.info.run_id
    assert store.steps(again, "fold_uar") == store.steps(run, "fold_uar")
    assert store.steps(again, "uar").keys() == {3}


def test_ctrl_c_marks_the_run_and_resume_continues_it(
    ser: Ser, store: Store, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["evaluate", "quick.toml", "--data", tiny_corpus, "--folds", "3", "--out", "run", "--mlflow", store.uri]
    stop_at(2, monkeypatch)
    code, _, err = ser(*words)
    assert code == 130
    assert "Resume with the same command and --resume." in err
    (run,) = store.runs()
    assert run.info.status == "KILLED"
    assert store.steps(run, "fold_uar").keys() == {0}
    assert store.files(run) == set()
    assert ser(*words, "--resume")[0] == 0
    (again,) = store.runs()
    assert (again.info.run_id, again.info.status) == (run.info.run_id, "FINISHED")
    assert store.steps(again, "fold_uar").keys() == {0, 1, 2}
    assert "report.html" in store.files(again)


def test_a_comparison_is_a_run_with_runs_below(ser: Ser, store: Store, tiny_corpus: Path) -> None:
    words = ["compare", "quick.toml", "other.toml", "--data", tiny_corpus, "--protocols", "speaker", "--folds-run", "2"]
    words += ["--runs", "all", "--out", "out", "--jobs", "1", "--mlflow", store.uri]
    with pytest.MonkeyPatch.context() as patch:
        stop_at(4, patch)
        assert ser(*words)[0] == 130
    names = {run.info.run_name: run for run in store.runs()}
    assert {name: run.info.status for name, run in names.items()} == {
        "compare all": "KILLED",
        "quick, speaker, seed 0": "FINISHED",
        "other, speaker, seed 0": "KILLED",
    }
    assert ser(*words)[0] == 0
    again = {run.info.run_name: run for run in store.runs()}
    assert {name: run.info.run_id for name, run in again.items()} == {n: run.info.run_id for n, run in names.items()}
    assert {run.info.status for run in again.values()} == {"FINISHED"}
    parent = again.pop("compare all")
    assert store.files(parent) == {"results.json", "results.md", "results.svg"}
    for name, run in again.items():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.params["recipe"] == name.split(",")[0]
        assert store.steps(run, "fold_uar").keys() == {0, 1}
        assert store.steps(run, "uar").keys() == {2}


def test_training_logs_the_bundle(ser: Ser, store: Store, tiny_corpus: Path) -> None:
    words = ["--data", tiny_corpus, "--out"]
    assert ser("evaluate", "quick.toml", *words, "run", "--folds", "2")[0] == 0
    assert store.runs() == []  # off unless asked
    train = ["train", "quick.toml", *words, "bundle", "--results", "run/results.json", "--mlflow", store.uri]
    assert ser(*train)[0] == 0
    (run,) = store.runs()
    assert (run.info.status, run.info.run_name, run.data.params["model.name"]) == (
        "FINISHED",
        "train quick",
        "logistic",
    )
    assert run.data.metrics.keys() >= {"speaker/uar", "speaker/accuracy"}
    assert store.files(run, "bundle") >= {"bundle/model.onnx", "bundle/manifest.json"}


def test_a_training_on_ones_own_recordings_is_one_run(store: Store, tiny_corpus: Path, tmp_path: Path) -> None:
    corpus, recipe = read_corpus(tiny_corpus), parse_recipe(QUICK_TEXT)
    scores, bundle = tmp_path / "model-scores", tmp_path / "model"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}", encoding="utf-8")
    number = {"ccc": 0.5, "correlation": 0.6, "rmse": 0.7}
    tracker, split = Tracker(store.uri), make_split(corpus, "speaker", n_folds=2)
    for _ in range(2):  # and again, as with --force: the evaluation is there already
        with Training(tracker, bundle, 0) as tracked:
            progress = tracked.begin_own(corpus, scores, ["arousal"], lambda event: None)
            run = run_evaluation(recipe, corpus, split, scores, resume=scores.is_dir(), progress=progress)
            (scores / "ratings.json").write_text("{}", encoding="utf-8")
            tracked.rated(scores, {"protocol": "speaker", "dimensions": {"arousal": number}})
            tracked.scored(corpus, scores, run.results)
            tracked.bundle(bundle)
    assert tracker.close() is None
    (found,) = store.runs()
    assert (found.info.run_name, found.info.status) == ("train ravdess", "FINISHED")
    assert store.steps(found, "fold_uar").keys() == {0, 1}
    assert {name: found.data.metrics[f"{name}/arousal"] for name in number} == number
    assert (found.data.params["targets"], found.data.params["recipe"]) == ('["arousal"]', "quick")
    assert store.files(found) >= {"bundle", "figures", "report.html", "ratings.json"}


@pytest.mark.parametrize("answers", [True, False], ids=["refuses", "unreachable"])
def test_a_store_that_fails_costs_no_result(
    answers: bool, ser: Ser, store: Store, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server, socket.create_server(("127.0.0.1", 0)) as closed:
        port = server.server_port if answers else closed.getsockname()[1]
        if answers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        else:
            closed.close()
        words = ["evaluate", "quick.toml", "--data", tiny_corpus, "--folds", "2", "--out", "run"]
        code, out, err = ser(*words, "--mlflow", f"http://127.0.0.1:{port}")
        if answers:
            server.shutdown()
    assert code == 1
    assert "Report: run/report.html" in out
    first, last = err.splitlines()[0], err.splitlines()[-1]
    assert first.startswith(f"Warning: the tracking store http://127.0.0.1:{port} cannot be used now (")
    assert last.startswith(f"ser: What is finished is on disk, but the tracking store http://127.0.0.1:{port} lacks")
    assert ("it does not answer" in last) is not answers
    stop_at(1, monkeypatch)  # nothing is computed again
    assert ser(*words, "--resume", "--mlflow", store.uri)[0] == 0
    (run,) = store.runs()
    assert (run.info.status, store.steps(run, "fold_uar").keys()) == ("FINISHED", {0, 1})


def test_what_is_no_store_is_refused_before_anything_is_computed(
    ser: Ser, store: Store, tiny_corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.db").write_text("no database", encoding="utf-8")
    words = ["evaluate", "quick.toml", "--data", tiny_corpus, "--out", "run"]
    for uri, says in (
        ("ftp://store/x", "got 'ftp://store/x'"),
        (
            f"sqlite:///{(tmp_path / 'text.db').as_posix()}",
            r"text\.db cannot be used \(.*not a database",
        ),
    ):
        code, out, err = ser(*words, f"--mlflow={uri}")
        assert (code, out) == (2, "")
        assert re.search(says, err)
    assert not (tmp_path / "run").exists()


def test_the_address_may_be_left_out() -> None:
    def parsed(*words: str) -> list[Any]:
        seen: list[Any] = []
        app = typer.Typer()

        @app.command(cls=tracking.TracksRuns)
        def command(what: str, mlflow: tracking.MlflowOption = None) -> None:
            seen.extend([what, mlflow])

        app(list(words), standalone_mode=False)
        return seen

    assert parsed("a.toml") == ["a.toml", None]
    assert parsed("--mlflow", "a.toml") == ["a.toml", ""]
    assert parsed("a.toml", "--mlflow") == ["a.toml", ""]
    assert parsed("--mlflow", "http://127.0.0.1:5000", "a.toml") == ["a.toml", "http://127.0.0.1:5000"]
    assert parsed("--mlflow=sqlite:///x.db", "a.toml") == ["a.toml", "sqlite:///x.db"]
