"""``ser predict --out``: rows of every format, and what a killed, stopped, repeated or changed run leaves and makes."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import example, given, settings
from hypothesis import strategies as st

import serkit
from serkit.emotions import LABELS
from serkit.errors import SerkitError
from serkit.recognition.answer_file import AnswerFile
from serkit.recognition.csv_text import canonical, guard, unguard
from serkit.recognition.parquet import escape, unescape
from serkit.recognition.prediction import Prediction
from serkit.recognition.recognizer import Recognizer, load
from tests.conftest import Ser, voice
from tests.tiny_models import BIAS, waveform_graph, write_tiny

FORMATS = ["csv", "jsonl", "parquet"]


@pytest.fixture
def ser(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ser:
    """Run ``ser`` in a folder with a bundle ``tiny`` and some ``clips``, three good and one bad."""
    write_tiny(tmp_path / "tiny")
    (tmp_path / "clips").mkdir()
    for number in range(3):
        sf.write(tmp_path / "clips" / f"{number}.wav", (0.3 + 0.3 * number) * voice(3, number), 16000)
    (tmp_path / "clips" / "bad,\n.wav").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return ser


def read(path: Path) -> list[dict[str, Any]]:
    """Rows as CSV and Parquet have them, whatever the format."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return list(pq.read_table(path).to_pylist())
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return [{key: typed(key, cell) for key, cell in row.items()} for row in csv.DictReader(file)]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        {
            **{key: row[key] for key in ("path", "start", "end", "unsure", "confidence", "speech")},
            **{"emotion": row.get("emotion"), "error": row.get("error")},
            **{label: row["probabilities"].get(label) for label in LABELS},
            **{f"derived_{key}": value for key, value in row["derived"].items()},
        }
        for row in rows
    ]


def typed(key: str, cell: str) -> Any:
    if cell == "":
        return None
    if key in ("path", "emotion", "error"):
        return unguard(cell)
    return cell == "true" if key in ("unsure", "speech") else float(cell)


def paths(path: Path) -> list[str]:
    return [row["path"] for row in read(path)]


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_are_what_python_gives(ser: Ser, tmp_path: Path, suffix: str) -> None:
    code, out, err = ser("predict", "clips", "-m", "tiny", "--out", f"x.{suffix}", "--min-confidence", "0.4")
    assert (code, out) == (1, "")
    assert err.startswith("ser: 1 of 4 inputs failed:\n  clips/bad,\\n.wav: ")
    answers = load(tmp_path / "tiny").predict("clips", min_confidence=0.4)
    assert [answer.answer for answer in answers] == ["unsure", "unsure", "surprised", "failed"]
    for row, answer in zip(read(tmp_path / f"x.{suffix}"), answers, strict=True):
        for key in ("path", "start", "end", "emotion", "unsure", "confidence", "speech", "error"):
            assert row[key] == getattr(answer, key)
        assert {label: row[label] for label in LABELS if row[label] is not None} == answer.probabilities
        assert (row["derived_valence"], row["derived_arousal"]) == (answer.valence, answer.arousal)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clips", "tiny", f"x.{suffix}", f"x.{suffix}.run.json"]


def test_parquet_has_types(ser: Ser, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    ser("predict", "clips", "-m", "tiny", "--out", "x.parquet")
    schema = pq.read_schema(tmp_path / "x.parquet")
    text, truth = {"path", "channel", "emotion", "error", "warnings"}, {"unsure", "speech"}
    for field in schema:
        assert field.type == (
            pa.string() if field.name in text else pa.bool_() if field.name in truth else pa.float64()
        )


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_killed_run_resumes_where_it_stopped(ser: Ser, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "many").mkdir()
    for number in range(400):
        (tmp_path / "many" / f"{number:03}.wav").hardlink_to(tmp_path / "clips" / f"{number % 3}.wav")
    target = tmp_path / f"x.{suffix}"
    growing = tmp_path / "x.parquet.part" if suffix == "parquet" else target
    words = ["predict", "many", "-m", "tiny", "--out", target.name]
    code = "import sys, serkit.cli; sys.argv[0] = 'ser'; serkit.cli.main()"
    with subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.DEVNULL) as process:
        while not growing.exists() or growing.read_bytes().count(b"\n") < 5:
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    before = growing.read_bytes()
    there = before.count(b"\n") - (suffix == "csv")
    assert 4 <= there < 400
    code, _, err = ser(*words)
    assert code == 2
    assert err.startswith(f"ser: 'x.{suffix}' belongs to a run that was stopped: add --resume")
    growing.write_bytes(before[:-7])  # as where the power went: the last row is cut off
    code, out, err = ser(*words, "--resume")
    assert (code, out) == (0, "")
    assert err == f"ser: {there - 1} rows are there already, {401 - there} recordings are left.\n"
    assert paths(target) == [f"many/{number:03}.wav" for number in range(400)]
    assert suffix == "parquet" or target.read_bytes().startswith(before[:-7])
    rows = read(target)
    assert all(rows[number] == {**rows[number % 3], "path": rows[number]["path"]} for number in range(400))
    code, _, err = ser(*words, "--resume")
    assert (code, err) == (0, "ser: 400 rows are there already, 0 recordings are left.\n")
    assert read(target) == rows


@pytest.mark.parametrize("suffix", FORMATS)
def test_new_recordings_are_added_and_failures_are_not_tried_again(ser: Ser, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"x.{suffix}"
    assert ser("predict", "./clips/1.wav", "clips/bad,\n.wav", "-m", "tiny", "--out", target.name)[0] == 1
    sf.write(tmp_path / "clips" / "bad,\n.wav", voice(3, 1), 16000)
    code, _, err = ser("predict", "clips", "-m", "tiny", "--out", target.name, "--resume")
    says = "ser: 2 rows are there already (1 failed; --retry-failed tries them again), 2 recordings are left.\n"
    assert (code, err) == (1, says)
    assert paths(target) == ["./clips/1.wav", "clips/bad,\n.wav", "clips/0.wav", "clips/2.wav"]
    assert "empty" in read(target)[1]["error"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_given_twice_has_two_rows(ser: Ser, tmp_path: Path, suffix: str) -> None:
    twice = ["predict", *["clips/0.wav"] * 2, "-m", "tiny", "--out", f"x.{suffix}"]
    assert ser(*twice)[0] == ser(*twice, "--resume")[0] == 0
    assert paths(tmp_path / f"x.{suffix}") == ["clips/0.wav"] * 2
    assert ser(*twice, "clips/0.wav", "--resume")[0] == 0
    assert paths(tmp_path / f"x.{suffix}") == ["clips/0.wav"] * 3
    assert ser(*twice, "--force")[0] == 0
    assert paths(tmp_path / f"x.{suffix}") == ["clips/0.wav"] * 2


@pytest.mark.parametrize("suffix", FORMATS)
def test_failed_rows_are_tried_again_and_replaced(ser: Ser, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"x.{suffix}"
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    words = ["-m", "tiny", "--out", target.name]
    assert ser("predict", "clips", "broken.wav", "no.wav", *words)[0] == 1
    before = read(target)
    sf.write(tmp_path / "clips" / "bad,\n.wav", voice(3, 1), 16000)
    code, _, err = ser("predict", "clips", "broken.wav", *words, "--resume", "--retry-failed")
    assert code == 1
    assert err.startswith(
        "ser: 4 rows are there already (1 failed; they are not among the inputs), 2 recordings are left.\n"
        "ser: 1 of 2 inputs failed:\n  broken.wav: "
    )
    rows = read(target)
    assert rows[:4] == [before[0], before[1], before[2], before[5]]  # no.wav was not given: its row is kept
    assert [(row["path"], row["error"] is None) for row in rows[4:]] == [
        ("clips/bad,\n.wav", True),
        ("broken.wav", False),
    ]
    (tmp_path / "broken.wav").unlink()
    for name in ("broken.wav", "no.wav"):
        sf.write(tmp_path / name, voice(3, 1), 16000)
    retried = ["predict", "clips", "broken.wav", "no.wav", *words, "--resume", "--retry-failed"]
    code, _, err = ser(*retried)
    assert (code, err) == (0, "ser: 4 rows are there already, 2 recordings are left.\n")
    assert sorted(paths(target)) == [
        "broken.wav",
        "clips/0.wav",
        "clips/1.wav",
        "clips/2.wav",
        "clips/bad,\n.wav",
        "no.wav",
    ]
    assert all(row["error"] is None for row in read(target))
    assert ser(*retried)[::2] == (0, "ser: 6 rows are there already, 0 recordings are left.\n")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_retry_that_is_stopped_loses_no_answer(ser: Ser, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"x.{suffix}"
    words = ["predict", "clips", "-m", "tiny", "--out", target.name]
    ser(*words)
    bundle = load(tmp_path / "tiny").bundle
    options = {"options": {"min_confidence": 0.0}, "resume": True}
    with AnswerFile(target, bundle, retry_failed=True, **options) as answers:
        assert len(list(answers.left(sorted((tmp_path / "clips").iterdir())))) == 1
    with AnswerFile(target, bundle, **options) as answers:  # the failed row is gone: it is tried without being asked
        assert (answers.kept, answers.kept_failures) == (3, 0)
        assert len(list(answers.left(sorted((tmp_path / "clips").iterdir())))) == 1


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_is_resumed_from_any_folder(
    ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    assert ser("predict", "clips/0.wav", "-m", "tiny", "--out", f"x.{suffix}")[0] == 0
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "link").symlink_to(tmp_path / "clips", target_is_directory=True)
    monkeypatch.chdir(tmp_path / "else")
    words = ["-m", "../tiny", "--out", f"../x.{suffix}", "--resume"]
    code, _, err = ser("predict", "link/0.wav", "../clips/1.wav", tmp_path / "clips" / "2.wav", *words)
    assert (code, err) == (0, "ser: 1 row is there already, 2 recordings are left.\n")
    known = ["clips/0.wav", "clips/1.wav", str(tmp_path / "clips" / "2.wav")]
    assert paths(tmp_path / f"x.{suffix}") == known  # relative names start from the folder of the first run
    monkeypatch.chdir(tmp_path)
    code, _, err = ser(
        "predict", *(f"clips/{n}.wav" for n in range(3)), "-m", "tiny", *words[2:3], f"x.{suffix}", "--resume"
    )
    assert (code, err) == (0, "ser: 3 rows are there already, 0 recordings are left.\n")


def test_a_file_whose_folder_is_gone_is_not_resumed(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").mkdir()
    sf.write(tmp_path / "old" / "a.wav", voice(3, 1), 16000)
    monkeypatch.chdir(tmp_path / "old")
    ser("predict", "a.wav", "-m", "../tiny", "--out", "x.csv")
    (tmp_path / "old").rename(tmp_path / "new")
    monkeypatch.chdir(tmp_path / "new")
    code, _, err = ser("predict", "a.wav", "-m", "../tiny", "--out", "x.csv", "--resume")
    assert (code, "x.csv' was begun in" in err, "which is gone" in err) == (2, True, True)


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_exists_is_not_replaced_unasked(ser: Ser, tmp_path: Path, suffix: str) -> None:
    words = ["predict", "clips/0.wav", "-m", "tiny", "--out", f"x.{suffix}"]
    (tmp_path / f"x.{suffix}").touch()  # as mktemp does: nothing is lost
    assert ser(*words)[0] == 0
    before = (tmp_path / f"x.{suffix}").read_bytes()
    code, _, err = ser(*words)
    assert (code, err) == (
        2,
        f"ser: 'x.{suffix}' exists: add --resume to continue it, or --force to replace it.\n",
    )
    assert (tmp_path / f"x.{suffix}").read_bytes() == before
    assert ser("predict", "clips/1.wav", *words[2:], "--force")[0] == 0
    assert paths(tmp_path / f"x.{suffix}") == ["clips/1.wav"]


NAMES = [
    "a\rb.wav",
    "a\r\nb.wav",
    "\r",
    'say "no".wav',
    "=1+1.wav",
    "'=1.wav",
    "''=",
    "-x",
    "+",
    "@a",
    "\ta",
    "＝x",
    "a\x85\u2028b",
]
NAMES += ["caf\udce9.wav", r"caf\udce9.wav", "\\\udcff", "C:\\udead", "\ud800", "é", "a,b", " a ", "\x0b\x0c\x1c"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_any_name_reads_back_and_is_found_again(ser: Ser, tmp_path: Path, suffix: str) -> None:
    bundle = load(tmp_path / "tiny").bundle
    seen = 0

    def check(names: list[str]) -> None:
        nonlocal seen
        seen += 1
        target = tmp_path / f"{seen}.{suffix}"
        with AnswerFile(target, bundle) as answers:
            for name in names:
                answers.write(Prediction(name, 0.0, 1.0, None, None, {}, speech=False))
            answers.finish()
        found = paths(target)
        assert [unescape(name) if suffix == "parquet" else canonical(name) for name in found] == [
            name if suffix == "parquet" else canonical(name) for name in names
        ]
        with AnswerFile(target, bundle, resume=True) as answers:
            assert answers.kept == len(names)
            assert list(answers.left([*names, "new"])) == ["new"]
            answers.write(Prediction("new", 0.0, 1.0, None, None, {}, speech=False))
            answers.finish()
        with AnswerFile(target, bundle, resume=True) as answers:
            assert list(answers.left([*names, "new"])) == []

    # Two lone surrogates that make one character together are that character in JSON, and in no file name.
    name = st.text(st.characters(exclude_characters="\0"), min_size=1).map(lambda text: json.loads(json.dumps(text)))

    @settings(max_examples=30, deadline=None)
    @given(st.lists(name.filter(lambda text: text != "new"), max_size=5))
    @example(NAMES)
    @example([*NAMES, *NAMES])
    def any_names(names: list[str]) -> None:
        check(names)

    any_names()


@given(st.text())
@example("''=x")
@example("-")
def test_no_cell_begins_a_formula(text: str) -> None:
    safe = guard(text)
    assert unguard(safe) == text
    assert text == "-" or not safe.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))


@given(st.text(st.sampled_from("\\udcead8f\udce9\ud800x")))
@example("\\\\udce9")
def test_parquet_text_is_unicode_and_reads_back(text: str) -> None:
    escape(text).encode("utf-8")
    assert unescape(escape(text)) == text


def test_a_carriage_return_in_a_name_keeps_every_csv_whole(ser: Ser, tmp_path: Path) -> None:
    (tmp_path / "a\rb.wav").hardlink_to(tmp_path / "clips" / "0.wav")
    (tmp_path / "=1+1.wav").hardlink_to(tmp_path / "clips" / "1.wav")
    both = ["a\rb.wav", "=1+1.wav"]
    for option in ("--csv", "--out"):
        assert ser("predict", *both, "-m", "tiny", option, f"{option[2:]}.csv")[0] == 0
    assert (tmp_path / "csv.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    assert [line.split(b",")[0] for line in (tmp_path / "out.csv").read_bytes().split(b"\n")[1:3]] == [
        b'"a\rb.wav"',
        b"'=1+1.wav",
    ]
    again = ser("predict", *both, "-m", "tiny", "--out", "out.csv", "--resume")
    assert again[::2] == (0, "ser: 2 rows are there already, 0 recordings are left.\n")


def test_rows_of_one_recording_in_several_channels_count_once(ser: Ser, tmp_path: Path) -> None:
    with AnswerFile(tmp_path / "x.csv", load(tmp_path / "tiny").bundle) as answers:
        for channel in ("left", "right", "left"):
            answers._count("a.wav", channel, False)
        assert list(answers.left(["a.wav", "a.wav", "a.wav"])) == ["a.wav"]


def test_names_that_are_not_unicode_are_found_again(ser: Ser, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    try:
        (tmp_path / name).hardlink_to(tmp_path / "clips" / "0.wav")
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    for suffix in FORMATS:
        for words in ([], ["--resume"]):
            assert ser("predict", name, "-m", "tiny", "--out", f"x.{suffix}", *words)[0] == 0
        assert paths(tmp_path / f"x.{suffix}") == [r"caf\udce9.wav" if suffix == "parquet" else name]


def test_ctrl_c_leaves_what_resume_continues(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Recognizer.rows_of

    def interrupted(self: Recognizer, sources: Any, **options: Any) -> Iterator[list[Prediction]]:
        answers = whole(self, sources, **options)
        yield next(answers)
        raise KeyboardInterrupt

    for suffix in FORMATS:
        with monkeypatch.context() as patch:
            patch.setattr(Recognizer, "rows_of", interrupted)
            code, _, err = ser("predict", "clips", "-m", "tiny", "--out", f"x.{suffix}")
        assert code == 130
        assert err == f"ser: interrupted after 1 of 4 recordings; --resume continues x.{suffix}.\n"
        assert ser("predict", "clips", "-m", "tiny", "--out", f"x.{suffix}", "--resume")[0] == 1
        assert paths(tmp_path / f"x.{suffix}") == ["clips/0.wav", "clips/1.wav", "clips/2.wav", "clips/bad,\n.wav"]


@pytest.mark.parametrize("answered", [0, 1])
@pytest.mark.parametrize("suffix", FORMATS)
def test_force_keeps_the_earlier_file_until_the_new_one_is_finished(
    ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, answered: int
) -> None:
    target, beside = tmp_path / f"x.{suffix}", tmp_path / f"x.{suffix}.run.json"
    earlier = ["predict", "clips/0.wav", "-m", "tiny", "--out", target.name]
    words = ["predict", "clips", "-m", "tiny", "--out", target.name, "--min-confidence", "0.4"]
    ser(*earlier)
    before, note = target.read_bytes(), beside.read_bytes()
    whole = Recognizer.rows_of

    def interrupted(self: Recognizer, sources: Any, **options: Any) -> Iterator[list[Prediction]]:
        answers = whole(self, sources, **options)
        for _ in range(answered):
            yield next(answers)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Recognizer, "rows_of", interrupted)
        code, _, err = ser(*words, "--force")
    there = f"--resume continues {target.name}, and the earlier file stays until it is finished"
    assert code == 130
    assert (
        err == f"ser: interrupted after {answered} of 4 recordings; {there if answered else 'the file is unchanged'}.\n"
    )
    assert (target.read_bytes(), beside.read_bytes()) == (before, note)
    assert (tmp_path / f"x.{suffix}.new").exists() == bool(answered)
    if not answered:
        assert ser(*earlier, "--resume")[::2] == (0, "ser: 1 row is there already, 0 recordings are left.\n")
        return
    assert "belongs to a run that was stopped: add --resume" in ser(*words)[2]
    assert ser(*words, "--resume")[2].startswith("ser: 1 row is there already, 3 recordings are left.\n")
    assert paths(target) == ["clips/0.wav", "clips/1.wav", "clips/2.wav", "clips/bad,\n.wav"]
    assert [row["unsure"] for row in read(target)[:2]] == [True, True]  # by the new run's limit
    assert json.loads(beside.read_text())["options"] == {"min_confidence": 0.4}
    names = ["clips", "tiny", f"x.{suffix}", f"x.{suffix}.run.json"]
    assert sorted(place.name for place in tmp_path.iterdir()) == names


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_run_that_ends_while_it_replaces_a_file_loses_nothing(
    ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, step: int
) -> None:
    words = ["predict", "clips", "-m", "tiny", "--out", f"x.{suffix}"]
    ser("predict", "clips/0.wav", "-m", "tiny", "--out", f"x.{suffix}", "--min-confidence", "0.4")
    done = 0

    def killed(step_of: Any) -> Any:
        def call(self: Any, *args: Any, **options: Any) -> Any:
            nonlocal done
            if "x." in self.name and not self.name.startswith("."):
                if done == step:
                    raise KeyboardInterrupt
                done += 1
            return step_of(self, *args, **options)

        return call

    finish = AnswerFile.finish

    def finish_and_end(self: AnswerFile) -> None:
        with monkeypatch.context() as patch:
            for name in ("unlink", "replace"):
                patch.setattr(Path, name, killed(getattr(Path, name)))
            finish(self)

    with monkeypatch.context() as patch:
        patch.setattr(AnswerFile, "finish", finish_and_end)
        code = ser(*words, "--force")[0]
    assert code == (130 if step < (3 + (suffix == "parquet")) else 1)
    assert ser(*words, "--resume")[2].startswith("ser: 4 rows are there already")
    assert paths(tmp_path / f"x.{suffix}") == ["clips/0.wav", "clips/1.wav", "clips/2.wav", "clips/bad,\n.wav"]
    assert sum(row["unsure"] for row in read(tmp_path / f"x.{suffix}")) == 0
    names = ["clips", "tiny", f"x.{suffix}", f"x.{suffix}.run.json"]
    assert sorted(place.name for place in tmp_path.iterdir()) == names


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-m", "other"], "was begun with the model tiny 1.0, this run has tiny 2.0: take the same model"),
        (["-m", "same"], "this run has tiny 1.0 of the same name, but another graph: take the same model"),
        (
            ["-m", "tiny", "--min-confidence", "0.5"],
            "other options: min-confidence was 0.0, now 0.5. Take the same",
        ),
    ],
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_of_another_model_or_with_other_options_are_refused(
    ser: Ser, tmp_path: Path, words: list[str], says: str, suffix: str
) -> None:
    write_tiny(tmp_path / "other", version="2.0", graph=waveform_graph(bias=BIAS + 1))
    write_tiny(tmp_path / "same", graph=waveform_graph(bias=BIAS[:, ::-1].copy()))
    target = tmp_path / f"x.{suffix}"
    ser("predict", "clips/0.wav", "-m", "tiny", "--out", target.name)
    before = target.read_bytes()
    code, _, err = ser("predict", "clips", *words, "--out", target.name, "--resume")
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert target.read_bytes() == before


def test_rows_that_nobody_knows_are_refused(ser: Ser, tmp_path: Path) -> None:
    resumed = ["predict", "clips/0.wav", "-m", "tiny", "--out", "x.csv", "--resume"]
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert "x.csv.run.json, which says how its rows were made, is missing or damaged" in ser(*resumed)[2]
    (tmp_path / "x.csv").unlink()
    assert ser(*resumed)[0] == 0  # nothing is there: a run from the start
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert "'x.csv' cannot be resumed: serkit did not write its line 1" in ser(*resumed)[2]


def test_parquet_rows_that_are_merged_already_are_not_merged_twice(
    ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["predict", "clips", "-m", "tiny", "--out", "x.parquet"]
    with monkeypatch.context() as patch:  # killed after the file took its place, before the waiting rows were removed
        unlink = Path.unlink

        def refuse(self: Path, missing_ok: bool = False) -> None:
            if self.suffix == ".part":
                raise KeyboardInterrupt
            unlink(self, missing_ok=missing_ok)

        patch.setattr(Path, "unlink", refuse)
        assert ser(*words)[0] == 130
    assert (tmp_path / "x.parquet.part").exists()
    assert len(paths(tmp_path / "x.parquet")) == 4
    code, _, err = ser(*words, "--resume")
    assert (code, err) == (
        1,
        "ser: 4 rows are there already (1 failed; --retry-failed tries them again), 0 recordings are left.\n",
    )
    assert len(paths(tmp_path / "x.parquet")) == 4


def test_a_missing_pyarrow_is_said_before_the_first_recording(ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "pyarrow" else found(name))
    code, _, err = ser("predict", "clips", "-m", "tiny", "--out", "x.parquet")
    assert (code, "pip install 'serkit[parquet]'" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--out", "x.txt"], "ser: A file of answers ends in .csv, .jsonl or .parquet: 'x.txt'."),
        (["--out", "no/x.csv"], "ser: Cannot write 'no/x.csv': No such file or directory."),
        (["--out", "folder.csv"], "ser: Cannot write 'folder.csv': it is a folder."),
        (["--out", "x.csv", "--json"], "exclude each other"),
        (["--out", "x.csv", "--top", "2"], "--top is for the table"),
        (["--out", "x.csv", "--affect"], "--affect is for the table"),
        (["--resume"], "--resume needs --out"),
        (["--out", "x.csv", "--retry-failed"], "--retry-failed needs --resume"),
        (["--out", "x.csv", "--resume", "--force"], "--force and --resume exclude each other"),
        (["--force"], "--force needs --out or --csv"),
    ],
)
def test_wrong_usage(ser: Ser, tmp_path: Path, words: list[str], says: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    code, out, err = ser("predict", "clips", "-m", "tiny", *words)
    assert (code, out) == (2, "")
    assert says in err


def test_a_full_disk_is_one_sentence(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(prediction: Prediction) -> bytes:
        raise OSError(28, "No space left on device")

    with AnswerFile(tmp_path / "x.csv", load(tmp_path / "tiny").bundle) as answers:
        answers._codec = answers._codec._replace(encode=full)
        with pytest.raises(SerkitError, match=r"Cannot write '.*x.csv': No space left on device\."):
            answers.write(Prediction("a.wav", 0, 1, None, None, {}))


def test_failures_are_listed_up_to_a_hundred(ser: Ser) -> None:
    code, _, err = ser("predict", *(f"no{n}.wav" for n in range(250)), "-m", "tiny", "--out", "x.csv")
    assert code == 2
    assert err.startswith("ser: 250 of 250 inputs failed:\n")
    assert len(err.splitlines()) == 102
    assert err.endswith("  and 150 more; x.csv has them all\n")


def test_memory_does_not_grow_with_the_number_of_answers(ser: Ser, tmp_path: Path) -> None:
    import tracemalloc

    answer = load(tmp_path / "tiny").predict("clips/0.wav")
    peaks = []
    for count in (500, 5000):
        with AnswerFile(tmp_path / f"{count}.jsonl", load(tmp_path / "tiny").bundle) as answers:
            tracemalloc.start()
            for number in range(count):
                answers.write(replace(answer, path=str(number)))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_pace_and_time_left_stand_in_a_log(ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    from serkit.cli import runs as module

    monkeypatch.setattr(module, "_SAY_PROGRESS", 0.0)
    code, _, err = ser("predict", *["clips/0.wav"] * 21, "-m", "tiny", "--out", "x.csv")
    assert code == 0
    lines = err.splitlines()
    assert len(lines) == 21
    assert lines[0].startswith("ser: 1 of 21 recordings, ")
    assert lines[-1].endswith(" files/s, 0:00:00 left")


def test_silence_has_no_emotion_in_any_format(ser: Ser, tmp_path: Path) -> None:
    sf.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    for suffix in FORMATS:
        assert ser("predict", "silent.wav", "-m", "tiny", "--out", f"x.{suffix}")[0] == 0
        (row,) = read(tmp_path / f"x.{suffix}")
        assert (row["emotion"], row["speech"], row["error"], row["sad"]) == (None, False, None, None)
        assert serkit.__version__ in (tmp_path / f"x.{suffix}.run.json").read_text()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_file_of_an_earlier_serkit_with_other_columns_is_refused(ser: Ser, tmp_path: Path, suffix: str) -> None:
    words = ["predict", "clips/0.wav", "-m", "tiny", "--out", f"x.{suffix}"]
    assert ser(*words)[0] == 0
    note = tmp_path / f"x.{suffix}.run.json"
    made = json.loads(note.read_text())
    assert made["columns"][:7] == ["path", "start", "end", "channel", "emotion", "confidence", "familiarity"]
    before = (tmp_path / f"x.{suffix}").read_bytes()
    for change in ({"columns": [name for name in made["columns"] if name != "familiarity"]}, {"columns": None}):
        note.write_text(json.dumps({**made, "serkit": "0.0.1", **change}))
        code, _, err = ser(*words, "--resume")
        assert (code, err.count("was begun by serkit 0.0.1, whose rows have other columns: give another file")) == (
            2,
            1,
        )
    assert (tmp_path / f"x.{suffix}").read_bytes() == before
