"""Two processes at the same file, folder or model: nothing is lost, and the second is told who writes."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import serkit
from serkit.errors import SerkitError
from serkit.files import check_new, hold
from serkit.recognition.loaded import Loaded
from serkit.recognition.prediction import Prediction
from tests.conftest import Ser, voice
from tests.small_recipes import QUICK_TEXT
from tests.tiny_models import BIAS, waveform_graph, write_tiny

SER = "import sys, serkit.cli; sys.argv[0] = 'ser'; serkit.cli.main()"
HOLD = """
import sys, pathlib
from serkit.files import hold
with hold(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""
FORK = "fork" in multiprocessing.get_all_start_methods()


@contextmanager
def held(target: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes `target`, until the block ends."""
    words = [sys.executable, "-c", HOLD, str(target)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_tiny(tmp_path / "tiny")
    (tmp_path / "clips").mkdir()
    for number in range(3):
        sf.write(tmp_path / "clips" / f"{number}.wav", (0.3 + 0.3 * number) * voice(3, number), 16000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_the_second_writer_of_a_file_of_answers_is_refused(ser: Ser, place: Path, suffix: str) -> None:
    words = ["predict", "clips", "-m", "tiny", "--out", f"x.{suffix}"]
    with held(place / f"x.{suffix}") as other:
        for more in ([], ["--resume"], ["--force"]):
            code, out, err = ser(*words, *more)
            assert (code, out) == (2, "")
            assert err == (
                f"ser: 'x.{suffix}' is in use: process {other.pid} is writing it. Wait until it has finished, or "
                "choose another name.\n"
            )
    assert ser(*words)[0] == 0
    assert not list(place.glob(".*"))


def test_two_resumed_runs_at_once_lose_no_row(place: Path) -> None:
    (place / "many").mkdir()
    for number in range(200):
        (place / "many" / f"{number:03}.wav").hardlink_to(place / "clips" / f"{number % 3}.wav")
    words = [sys.executable, "-c", SER, "predict", "many", "-m", "tiny", "--out", "x.jsonl", "--resume"]
    both = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    says = [process.communicate()[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) in ([0, 0], [0, 2])  # the second may come after the first
    for code, text in zip(codes, says, strict=True):
        assert code == 0 or "'x.jsonl' is in use: process " in text
    lines = (place / "x.jsonl").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 200


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_lock_that_a_killed_process_left_blocks_nobody(ser: Ser, place: Path) -> None:
    with held(place / "x.csv") as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert (place / ".x.csv.lock").exists()
    assert ser("predict", "clips", "-m", "tiny", "--out", "x.csv")[0] == 0
    assert not (place / ".x.csv.lock").exists()


def test_csv_and_bundle_are_held_too(ser: Ser, place: Path) -> None:
    with held(place / "x.csv") as other:
        code, _, err = ser("predict", "clips", "-m", "tiny", "--csv", "x.csv")
        assert (code, f"process {other.pid} is writing it" in err) == (2, True)
    with held(place / "new"), pytest.raises(SerkitError, match=r"'.*new' is in use"):
        write_tiny(place / "new")
    assert not (place / "new").exists()


def test_a_lock_is_held_once_and_ends_with_its_block(tmp_path: Path) -> None:
    with hold(tmp_path / "a"):
        with pytest.raises(SerkitError, match=f"process {os.getpid()} is writing it"), hold(tmp_path / "a"):
            pass
        with hold(tmp_path / "b"):  # another file
            pass
    with hold(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_waiting_processes_never_hold_a_lock_at_the_same_time(tmp_path: Path) -> None:
    code = """
import sys, pathlib
from serkit.errors import SerkitError
from serkit.files import hold
counter, done = pathlib.Path(sys.argv[1]), 0
while done < 100:
    try:
        with hold(counter):
            counter.write_text(str(int(counter.read_text()) + 1))
            done += 1
    except SerkitError:
        pass
"""
    (tmp_path / "counter").write_text("0")
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "counter")]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "counter").read_text() == "200"


def test_check_new_lets_pass_what_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "full").write_text("x")
    (tmp_path / "folder").mkdir()
    for name in ("no", "empty", "folder", "full/no", "a\0b"):
        check_new(tmp_path / name, force=False)
    with pytest.raises(SerkitError, match=r"full' exists: add --force \(force=True\) to replace it"):
        check_new(tmp_path / "full", force=False)
    check_new(tmp_path / "full", force=True)


def answer(recognizer: serkit.Recognizer, samples: np.ndarray) -> Prediction:
    return recognizer.predict(samples, sample_rate=16000)  # type: ignore[no-any-return]


@pytest.fixture(params=[1, 2])
def recognizer(request: pytest.FixtureRequest, tmp_path: Path) -> serkit.Recognizer:
    write_tiny(tmp_path / "tiny")
    return serkit.load(tmp_path / "tiny", threads=request.param)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_recognizer_goes_to_other_processes(recognizer: serkit.Recognizer, method: str) -> None:
    samples = voice(3, 1)
    wanted = answer(recognizer, samples)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        given = [pool.submit(answer, recognizer, samples) for _ in range(4)]
        assert [one.result(120) for one in given] == [wanted] * 4


@pytest.mark.skipif(not FORK, reason="this system does not fork")
def test_a_forked_child_answers_and_ends(recognizer: serkit.Recognizer) -> None:
    samples = voice(3, 1)
    wanted = answer(recognizer, samples)

    def child() -> None:  # inherits the recognizer, unpickled
        with ThreadPoolExecutor(2) as pool:
            given = list(pool.map(lambda _: answer(recognizer, samples), range(4)))
        assert given == [wanted] * 4

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(120)
    assert process.exitcode == 0


@pytest.mark.skipif(not FORK, reason="this system does not fork")
def test_a_forked_child_ends_without_os_exit(tmp_path: Path) -> None:
    """The threads of the parent's session are not in the child: to free it there would wait for ever."""
    write_tiny(tmp_path / "tiny")
    code = (
        "import os, sys, serkit\n"
        f"recognizer = serkit.load({str(tmp_path / 'tiny')!r}, threads=2)\n"
        "child = os.fork()\n"
        "if not child: sys.exit(0)\n"
        "print(os.waitpid(child, 0)[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "0\n"


def test_a_recognizer_goes_through_joblib(recognizer: serkit.Recognizer) -> None:
    joblib = pytest.importorskip("joblib")
    samples = voice(3, 1)
    given = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(answer)(recognizer, samples) for _ in range(3))
    assert given == [answer(recognizer, samples)] * 3


def test_copies_answer_the_same(recognizer: serkit.Recognizer) -> None:
    samples = voice(3, 1)
    for made in (copy.copy(recognizer), copy.deepcopy(recognizer), pickle.loads(pickle.dumps(recognizer))):
        assert type(made) is serkit.Recognizer
        assert made is not recognizer
        assert made.bundle == recognizer.bundle
        assert made._threads == recognizer._threads
        assert answer(made, samples) == answer(recognizer, samples)


def test_predict_follows_the_folder_and_the_files_of_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = voice(3, 1)
    for name, bias in (("one", BIAS), ("two", BIAS[:, ::-1].copy())):
        (tmp_path / name).mkdir()
        write_tiny(tmp_path / name / "model", graph=waveform_graph(bias=bias))

    def given() -> Prediction:
        return serkit.predict(samples, sample_rate=16000, model="model")  # type: ignore[no-any-return]

    monkeypatch.chdir(tmp_path / "one")
    first = given()
    monkeypatch.chdir(tmp_path / "two")
    second = given()
    assert (
        first.probabilities == serkit.load(tmp_path / "one" / "model").predict(samples, sample_rate=16000).probabilities
    )
    assert second.probabilities == serkit.load("model").predict(samples, sample_rate=16000).probabilities
    assert first.probabilities != second.probabilities
    write_tiny("model", graph=waveform_graph(bias=BIAS))  # written over
    assert given().probabilities == first.probabilities


def test_what_is_loaded_is_kept_until_it_changes_or_makes_room(tmp_path: Path) -> None:
    read: list[str] = []

    def load(path: Path) -> bytes:
        read.append(path.name)
        return path.read_bytes()

    kept = Loaded(load, most=2)
    for name in "abc":
        (tmp_path / name).write_bytes(b"1")
    assert [kept.get(tmp_path / name) for name in "abab"] == [b"1"] * 4
    assert read == ["a", "b"]
    (tmp_path / "a").write_bytes(b"22")
    assert kept.get(tmp_path / "a") == b"22"
    kept.get(tmp_path / "c")  # b was not used for the longest time
    read.clear()
    for name in "acb":
        kept.get(tmp_path / name)
    assert read == ["b"]
    with ThreadPoolExecutor(8) as pool:
        read.clear()
        (tmp_path / "a").write_bytes(b"333")
        assert list(pool.map(lambda _: kept.get(tmp_path / "a"), range(32))) == [b"333"] * 32
    assert read == ["a"]


def test_two_runs_in_one_folder_are_refused(tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from serkit.corpora import read_corpus
    from serkit.protocol import make_split
    from serkit.training.recipe_files import parse_recipe
    from serkit.training.run import run_evaluation

    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    corpus = read_corpus(tiny_corpus)
    split = make_split(corpus, "speaker", n_folds=3)
    recipe = parse_recipe(QUICK_TEXT)
    out = tmp_path / "runs" / "one"
    out.parent.mkdir()
    with held(out) as other:
        for resume in (False, True):
            with pytest.raises(SerkitError, match=f"one' is in use: process {other.pid} is writing it"):
                run_evaluation(recipe, corpus, split, out, resume=resume)
        assert not out.exists()
    assert len(run_evaluation(recipe, corpus, split, out).predictions) == 90
    assert sorted(path.name for path in out.parent.iterdir()) == ["one"]


def test_two_processes_in_one_run_folder_leave_a_whole_run(tiny_corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "quick.toml").write_text(QUICK_TEXT)
    words = ["evaluate", "quick.toml", "--data", str(tiny_corpus), "--folds", "3", "--out", "run"]
    environment = {**os.environ, "SERKIT_CACHE": str(tmp_path / "cache")}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", SER, *words], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    says = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    (refused,) = (text for text, process in zip(says, both, strict=True) if process.returncode)
    assert "'run' is in use: process " in refused or "run exists already" in refused
    assert "Traceback" not in refused
    assert (tmp_path / "run" / "predictions.csv").read_text().count("\n") == 91
    assert sorted(path.name for path in (tmp_path / "run" / "folds").iterdir()) == ["fold-0", "fold-1", "fold-2"]
