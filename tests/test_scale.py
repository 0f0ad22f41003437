"""``--engine ray``: the rows of one process, whatever dies on the way; on a cluster of several nodes."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import soundfile as sf

from serkit.corpora import read_corpus
from serkit.errors import SerkitError
from serkit.recognition.inputs import find_inputs
from serkit.recognition.recognizer import Recognizer, load
from serkit.scale.inputs import Listing, list_inputs
from tests.conftest import Ser, call_ser, voice
from tests.small_recipes import QUICK_TEXT
from tests.tiny_models import write_tiny

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402

from serkit.scale import engine  # noqa: E402
from serkit.scale.parts import Marker, Parts  # noqa: E402
from serkit.scale.session import session  # noqa: E402
from serkit.scale.stores import Store  # noqa: E402
from serkit.scale.work import Work  # noqa: E402

CLIPS = 24

LINE = QUICK_TEXT.replace('"quick"', '"line"')
SEARCHED = (
    QUICK_TEXT.replace('"quick"', '"searched"').replace('"logistic"', '"random_forest"')
    + """
params = { n_estimators = 8 }
[model.search]
kind = "grid"
folds = 2
params = { max_depth = [2, 4] }
"""
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle ``tiny`` and a folder ``clips``: recordings in sub-folders, a damaged one, one that breaks off."""
    root = tmp_path_factory.mktemp("scale")
    write_tiny(root / "tiny")
    for number in range(CLIPS):
        folder = root / "clips" / ("b", "b-2", "b.3")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        sf.write(folder / f"{number:02d}.wav", (0.3 + 0.02 * number) * voice(number % 8, number), 16000)
    (root / "clips" / "b" / "bad,\n.wav").write_bytes(b"")
    whole = (root / "clips" / "b" / "00.wav").read_bytes()
    (root / "clips" / "cut.wav").write_bytes(whole[: len(whole) * 2 // 3])
    (root / "clips" / "notes.txt").write_text("no recording")
    return root


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes, of two cores and of one; the only cluster of the module, because its start takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 100 << 20})
        made.add_node(num_cpus=1, object_store_memory=100 << 20)
        with session(made.address):
            yield made
        made.shutdown()


@pytest.fixture
def ser(ser: Ser, place: Path, monkeypatch: pytest.MonkeyPatch) -> Ser:
    monkeypatch.chdir(place)
    return ser


def one_process(ser: Ser, name: str, *words: str) -> Path:
    """The file that one process writes, made once."""
    target = Path(name).resolve()
    if not target.exists():
        ser("predict", *words, "-m", "tiny", "--out", target)
    return target


def joined(folder: Path) -> bytes:
    """The partitions of a CSV as one file."""
    texts = [part.read_bytes() for part in sorted((folder / "rows").iterdir())]
    head = texts[0].index(b"\n") + 1
    assert all(text[:head] == texts[0][:head] for text in texts)
    return texts[0][:head] + b"".join(text[head:] for text in texts)


def left_behind(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.name.endswith(".tmp")]


def workers_of(cluster: Cluster) -> list[int]:
    """The processes of the workers that hold a model; those of other clusters are not counted."""
    raylets = {process.process.pid for node in cluster.list_all_nodes() for process in node.all_processes["raylet"]}
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError, ValueError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in raylets and b"ray::Worker" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


class Crashing(Recognizer):
    """Crashes the process, as a decoder may, when it hears a recording called ``07``."""

    crashes_at = "07.wav"
    room = 0

    def listen(self, source: Any, *rest: Any, **given: Any) -> Any:
        if str(source).endswith(self.crashes_at):
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.room:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.room, resource.RLIM_INFINITY))
        return super().listen(source, *rest, **given)


class Full(Crashing):
    crashes_at = "-"
    room = 200


def run_here(
    cluster: Cluster,
    recognizer: Recognizer,
    target: Path,
    tell: Callable[[int, Marker], object] = lambda number, marker: None,
    size: int = 3,
) -> dict[int, Marker]:
    """Answer ``clips`` by the engine, without the command line; return the markers as they were told."""
    told: dict[int, Marker] = {}

    def note(number: int, marker: Marker) -> None:
        assert number not in told
        told[number] = marker
        tell(number, marker)

    asked = {"min_confidence": None, "profile": None, "channel": "auto", "strict": False}
    listing = Listing(list_inputs(["clips"], recursive=True), size)
    with session():
        engine.run(
            Work(recognizer, "csv", asked),
            Parts(str(target), "csv"),
            listing,
            range(len(listing)),
            workers=2,
            tell=note,
        )
    return told


def test_rows_order_and_exit_code_are_those_of_one_process(ser: Ser, cluster: Cluster, tmp_path: Path) -> None:
    clips = ["clips", "--recursive"]
    words = ["predict", *clips, "-m", "tiny", "--engine", "ray", "--workers", 2, "--partition", 5]
    expected = one_process(ser, "one.csv", *clips)
    code, out, err = ser(*words, "--out", tmp_path / "csv", "--format", "csv")
    assert (code, out) == (1, "")
    assert "ser: 1 file was skipped (not a recording): clips/notes.txt." in err
    assert "ser: 1 of 26 inputs failed:\n  clips/b/bad,\\n.wav: " in err
    assert "ser: 1 input breaks off, of 26; what could be read is answered" in err
    assert joined(tmp_path / "csv") == expected.read_bytes()
    errors = b"".join(file.read_bytes() for file in sorted((tmp_path / "csv" / "errors").iterdir()))
    assert errors.startswith(b'path,problem,reason\n"clips/b/bad,\n.wav",failed,')
    assert b"clips/cut.wav,breaks off,It breaks off after 0.6" in errors
    code, _, err = ser(*words, "--out", tmp_path / "csv", "--format", "csv", "--resume")
    assert (code, "6 partitions are there already, 0 left." in err, "inputs failed" in err) == (1, True, True)
    code, _, err = ser(*words, "--out", tmp_path / "csv", "--format", "csv", "--resume", "--min-confidence", 0.5)
    assert code == 2
    assert "was begun with the options {'min_confidence': 0.0}, this run has {'min_confidence': 0.5}: take the" in err


def test_timelines_are_those_of_one_process(ser: Ser, cluster: Cluster, tmp_path: Path) -> None:
    clips = ["clips", "--recursive"]
    ser("timeline", *clips, "-m", "tiny", "--csv", tmp_path / "one.csv")
    words = ["timeline", *clips, "-m", "tiny", "--engine", "ray", "--workers", 1]
    code, out, err = ser(*words, "--out", tmp_path / "ray", "--format", "csv")
    assert (code, out) == (1, "")
    assert "ser: 1 of 26 inputs failed:" in err
    assert joined(tmp_path / "ray") == (tmp_path / "one.csv").read_bytes()


def test_a_worker_and_a_node_die_and_nothing_is_lost_or_twice(ser: Ser, cluster: Cluster, tmp_path: Path) -> None:
    expected = one_process(ser, "one.csv", "clips", "--recursive")
    second = next(node for node in cluster.list_all_nodes() if node != cluster.head_node)
    killed: list[int] = []

    def kill(number: int, marker: Marker) -> None:
        if not killed:
            killed.extend(workers_of(cluster))
            for process in killed:
                os.kill(process, signal.SIGKILL)
        elif len(killed) < 99:
            killed.extend([0] * 99)
            cluster.remove_node(second, allow_graceful=False)

    told = run_here(cluster, load("tiny"), tmp_path / "out", kill)
    assert killed[0] > 0
    assert len(killed) > 99
    assert sorted(told) == list(range(9))
    assert joined(tmp_path / "out") == expected.read_bytes()


def test_a_full_disk_stops_the_run_and_a_crashing_decoder_costs_its_recording(
    ser: Ser, cluster: Cluster, tmp_path: Path
) -> None:
    with pytest.raises(SerkitError, match=r"part-00000\d.csv' cannot be written: File too large"):
        run_here(cluster, Full(load("tiny").bundle), tmp_path / "out")
    assert left_behind(tmp_path / "out") == []
    told = run_here(cluster, Crashing(load("tiny").bundle), tmp_path / "out")
    expected = one_process(ser, "one.csv", "clips", "--recursive").read_bytes().splitlines()
    found = joined(tmp_path / "out").splitlines()
    assert [line for line in found if b"07.wav" not in line] == [line for line in expected if b"07.wav" not in line]
    assert [line.count(b"It ends the process that reads it") for line in found if b"07.wav" in line] == [1]
    assert sum(marker.failed for marker in told.values()) == 2


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_every_format_is_that_of_one_process(ser: Ser, form: Any, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    work = Work(load("tiny"), form, {"channel": "each"})
    inputs = list(list_inputs(["clips"], recursive=True))
    (tmp_path / f"part.{form}").write_bytes(work.encode(list(work.answer(inputs))))
    expected = one_process(ser, f"one-each.{form}", "clips", "--recursive", "--channel", "each")
    if form == "parquet":
        assert pq.read_table(tmp_path / "part.parquet").equals(pq.read_table(expected))
    else:
        assert (tmp_path / "part.jsonl").read_bytes() == expected.read_bytes()


def test_ctrl_c_and_a_killed_command_resume(ser: Ser, cluster: Cluster, place: Path, tmp_path: Path) -> None:
    words = ["predict", "clips", "-r", "-m", "tiny", "--engine", "ray", "--address", cluster.address]
    words += ["--partition", "1", "--workers", "1"]
    words += ["--format", "csv", "--out", str(tmp_path / "out")]
    code = "import serkit.cli; serkit.cli.main()"

    def wait_for(number: int, process: subprocess.Popen[str]) -> None:
        limit = time.monotonic() + 120
        while len(list((tmp_path / "out").glob("done/*.json"))) < number and process.poll() is None:
            assert time.monotonic() < limit
            time.sleep(0.002)

    for number, how in ((1, signal.SIGINT), (8, signal.SIGKILL)):
        command = [sys.executable, "-c", code, *words, *(["--resume"] if number > 1 else [])]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, cwd=place, start_new_session=True, **pipes)
        wait_for(number, process)
        if how == signal.SIGINT:
            for worker in workers_of(cluster):
                os.kill(worker, signal.SIGKILL)
            wait_for(number + 2, process)
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
        assert out == ""
        assert all(line.startswith(("ser: ", "  clips", "Recordings: ")) for line in err.splitlines())
        assert process.returncode == (130 if how == signal.SIGINT else -9)
        if how == signal.SIGINT:
            assert f"of 26 recordings; --resume continues {tmp_path / 'out'}." in err
    code, _, err = ser(*words, "--resume")
    assert code == 1
    assert joined(tmp_path / "out") == one_process(ser, "one.csv", "clips", "--recursive").read_bytes()


def test_folders_manifests_and_patterns_name_what_one_process_hears(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    paths = [os.fspath(one) for one in find_inputs(["clips"], recursive=True)]
    others: list[Path] = []
    assert [one.path for one in list_inputs(["clips"], recursive=True, skipped=others.append)] == paths
    assert others == [Path("clips/notes.txt")]
    (tmp_path / "list.csv").write_text("id,path\n1,a.wav\n2,/b.wav\n3,s3://c/d.wav\n")
    (tmp_path / "list.jsonl").write_text('{"path": "a.wav"}\n\n{"path": "b.wav"}\n')
    assert [one.path for one in list_inputs([str(tmp_path / "list.csv")])] == [
        f"{tmp_path}/a.wav",
        "/b.wav",
        "s3://c/d.wav",
    ]
    assert [one.path for one in list_inputs([str(tmp_path / "list.jsonl")])] == [
        f"{tmp_path}/a.wav",
        f"{tmp_path}/b.wav",
    ]
    assert [one.path for one in list_inputs(["clips/b/0*.wav"])] == sorted(
        p for p in paths if p.startswith("clips/b/0")
    )
    (tmp_path / "bad.tsv").write_text("file\na.wav\n")
    found = list(list_inputs([str(tmp_path / "bad.tsv"), "nowhere", "clips/x*.wav", "made-up://x/a.wav"]))
    reasons = [one.error or "" for one in found]
    assert len(reasons) == 4
    assert "has no column 'path'" in reasons[0]
    assert "no file matches 'clips/x*.wav'" in reasons[2]


def test_what_the_engine_does_not_take_is_refused(ser: Ser, place: Path, tmp_path: Path) -> None:
    for words, says in (
        (["--engine", "spark"], "There is no engine 'spark'"),
        (["--workers", "2"], "--workers needs --engine ray"),
        (["--engine", "ray"], "give its name to --out"),
        (["--engine", "ray", "--json", "--out", "x"], "--json is not for --engine ray"),
        (["--engine", "ray", "--out", "x", "--format", "orc"], "--format takes parquet, csv or jsonl"),
        (["--engine", "ray", "--out", "clips"], "holds other files"),
    ):
        code, out, err = ser("predict", "clips/cut.wav", "-m", "tiny", *words)
        assert (code, out) == (2, "")
        assert says in " ".join(err.replace("│", " ").split())


def test_a_run_that_fails_before_its_first_file_leaves_nothing_to_resume(tmp_path: Path) -> None:
    parts = Parts(str(tmp_path / "out"), "csv")
    with pytest.raises(SerkitError, match="no cluster"), parts.begin({}, resume=False, force=False):
        raise SerkitError("no cluster")
    assert not (tmp_path / "out").exists()
    with contextlib.suppress(SerkitError), parts.begin({}, resume=False, force=False):
        Store(parts.target).write(parts.place("rows", 0), b"row")
        raise SerkitError("lost")
    with pytest.raises(SerkitError, match="add --resume"), parts.begin({}, resume=False, force=False):
        pass


class Lines:
    """Encodes answers as their number."""

    def encode(self, answers: list[Any]) -> bytes:
        return f"{len(answers)} new".encode()


def test_force_keeps_the_earlier_partitions_until_the_first_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    earlier, lines = Parts(str(folder), "csv"), cast("Work", Lines())

    def content() -> dict[str, bytes]:
        return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}

    with earlier.begin({"model": "old"}, resume=False, force=False):
        for number in range(3):
            earlier.write(number, lines, [], "x")
        earlier.note({"model": "old", "finished": True})
    before = content()
    parts = Parts(str(folder), "jsonl")
    with pytest.raises(SerkitError, match="no cluster"), parts.begin({"model": "new"}, resume=False, force=True):
        raise SerkitError("no cluster")
    assert content() == before
    with parts.begin({"model": "new"}, resume=False, force=True):  # then stopped, as by Ctrl-C
        assert [parts.marker(number) for number in range(3)] == [None] * 3
        parts.write(1, lines, [], "x")
        parts.begun()
    assert sorted(content()) == ["done/part-000001.json", "rows/part-000001.jsonl", "run.json"]
    assert json.loads(content()["run.json"])["model"] == "new"
    parts = Parts(str(folder), "jsonl")
    with parts.begin({"model": "new"}, resume=True, force=False):
        assert [parts.marker(number) is not None for number in range(3)] == [False, True, False]
    parts = Parts(str(folder), "jsonl")
    with parts.begin({"model": "third"}, resume=False, force=True):  # then killed before the first was noted
        parts.write(1, lines, [], "x")
    with parts.begin({"model": "new"}, resume=True, force=False):
        assert parts.marker(1) is None


def test_cells_on_a_cluster_give_the_scores_of_one_process(
    cluster: Cluster, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "searched.toml").write_text(SEARCHED)
    words = [
        "compare",
        "searched.toml",
        "--data",
        tiny_corpus,
        "--protocols",
        "speaker",
        "--folds-run",
        "2",
    ]
    tables = []
    for name, more in (("one", []), ("ray", ["--engine", "ray"])):
        assert call_ser(*words, "--runs", f"runs-{name}", "--out", name, "--jobs", "2", *more) == 0
        document = json.loads((tmp_path / name / "results.json").read_text())
        folders = sorted((tmp_path / f"runs-{name}").iterdir())
        predictions = [(folder / "predictions.csv").read_text() for folder in folders]
        rows = [{key: value for key, value in row.items() if key != "written"} for row in document["rows"]]
        tables.append((rows, [folder.name for folder in folders], predictions))
    assert tables[0] == tables[1]
    assert len(tables[0][0]) == 1


def test_the_cache_is_filled_before_the_cells(
    cluster: Cluster, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serkit.compare import ray_cells
    from serkit.compare.grid import Splits, plan
    from serkit.training.feature_cache import FeatureCache

    (tmp_path / "line.toml").write_text(LINE)
    corpus = read_corpus(tiny_corpus)
    cells = plan([str(tmp_path / "line.toml")], protocols=["speaker", "random"], seeds=[0, 1])
    cache = FeatureCache(tmp_path / "cache")
    ray_cells.fill(cells, corpus, Splits(corpus), tmp_path / "runs", cache=cache)
    stored = list((tmp_path / "cache").rglob("*.npz"))
    assert len(stored) == corpus.table["audio_hash"].nunique()
