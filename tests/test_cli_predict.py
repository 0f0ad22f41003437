"""``ser predict``, ``ser models``, ``ser doctor``: what people and programs get, and the exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

import serkit
from serkit.cli import diagnosis
from serkit.emotions import LABELS
from serkit.errors import SerkitError
from serkit.recognition import rows
from serkit.recognition.csv_text import CsvFile
from serkit.recognition.recognizer import Recognizer, load
from tests.conftest import Ser, voice
from tests.tiny_models import tiny_manifest, write_tiny


@pytest.fixture
def ser(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ser:
    """Run ``ser`` in a folder with a tiny bundle ``tiny``: exit code, standard output and error."""
    write_tiny(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    return ser


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder: two voices, silence, an empty file and a text that calls itself a recording."""
    folder = tmp_path / "clips"
    folder.mkdir()
    sf.write(folder / "a.wav", voice(3, 1), 16000)
    sf.write(folder / "b.flac", 0.1 * voice(5, 2, seconds=2.0), 22050)
    sf.write(folder / "c silent.wav", np.zeros(16000), 16000)
    (folder / "d empty.wav").write_bytes(b"")
    (folder / "e text.mp3").write_text("I am no music.")
    return folder


def test_json_equals_python(ser: Ser, clips: Path, tmp_path: Path) -> None:
    code, out, err = ser("predict", "clips", "--model", "tiny", "--json")
    answers = load(tmp_path / "tiny").predict("clips")
    assert json.loads(out) == [answer.to_dict() for answer in answers]
    assert code == 1
    names = ["a.wav", "b.flac", "c silent.wav", "d empty.wav", "e text.mp3"]
    assert [row["path"] for row in json.loads(out)] == [str(Path("clips", name)) for name in names]
    assert [row["error"] is None for row in json.loads(out)[2:]] == [True, False, False]
    assert list(json.loads(out)[0]["probabilities"]) == list(LABELS)
    lines = err.splitlines()
    assert lines[0] == "ser: 2 of 5 inputs failed:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["clips/d empty.wav", "clips/e text.mp3"]
    assert "Traceback" not in err


def test_csv_equals_json(ser: Ser, clips: Path, tmp_path: Path) -> None:
    wanted = json.loads(ser("predict", "clips", "-m", "tiny", "--json")[1])
    code, out, _ = ser("predict", "clips", "-m", "tiny", "--csv", "answers.csv")
    assert (code, out) == (1, "")
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    derived = ["derived_valence", "derived_arousal"]
    first = ["path", "start", "end", "channel", "emotion", "confidence", "familiarity", "unsure", "speech", "error"]
    head = [*first, "warnings", *LABELS, *derived]
    assert list(rows[0]) == head
    for row, other in zip(rows, wanted, strict=True):
        assert row["path"] == other["path"]
        assert float(row["end"]) == other["end"]
        assert row["emotion"] == (other["emotion"] or "")
        assert row["error"] == (other["error"] or "")
        assert row["speech"] == {True: "true", False: "false", None: ""}[other["speech"]]
        assert {k: float(row[k]) for k in LABELS if row[k]} == other["probabilities"]
        assert row["unsure"] == "false"
        for name in ("valence", "arousal"):
            cell = row[f"derived_{name}"]
            assert (float(cell) if cell else None) == other["derived"][name]
    assert ser("predict", "clips", "-m", "tiny", "--csv", "-")[1] == (tmp_path / "answers.csv").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["answers.csv", "clips", "tiny"]


def test_the_table(ser: Ser, clips: Path) -> None:
    code, out, _ = ser("predict", "clips/a.wav", "clips/b.flac", "clips/c silent.wav", "-m", "tiny", "--top", "2")
    assert code == 0
    assert "\x1b" not in out
    answers = [load("tiny").predict(path) for path in ("clips/a.wav", "clips/b.flac")]
    lines = [line for line in out.splitlines() if "clips" in line]
    assert len(lines) == 3
    for line, answer in zip(lines, answers, strict=False):
        assert answer.confidence is not None
        cells = round(10 * answer.confidence)
        (first, p), (second, q) = answer.top(2)
        assert line.split()[1] == answer.emotion
        assert "█" * cells + "░" * (10 - cells) in line
        assert line.rstrip().endswith(f" {100 * answer.confidence:.0f} %  {first} {p:.2f}  {second} {q:.2f}")
    assert lines[2].split()[-2:] == ["no", "speech"]


def test_top_limits_json_and_not_csv(ser: Ser, clips: Path) -> None:
    everything = json.loads(ser("predict", "clips/a.wav", "-m", "tiny", "--json")[1])[0]["probabilities"]
    code, out, _ = ser("predict", "clips/a.wav", "-m", "tiny", "--json", "--top", "3")
    best = sorted(everything.items(), key=lambda item: -item[1])[:3]
    assert (code, list(json.loads(out)[0]["probabilities"].items())) == (0, best)
    assert ser("predict", "clips/a.wav", "-m", "tiny", "--csv", "x.csv", "--top", "3")[0] == 2
    assert ser("predict", "clips/a.wav", "-m", "tiny", "--top", "0")[0] == 2


@pytest.mark.parametrize("how", ["table", "json", "csv"])
def test_below_the_smallest_confidence_no_emotion_is_named(ser: Ser, clips: Path, how: str) -> None:
    first, second = load("tiny").predict(["clips/a.wav", "clips/b.flac"])
    sure, unsure = sorted([first, second], key=lambda answer: -(answer.confidence or 0))
    between = ((sure.confidence or 0) + (unsure.confidence or 0)) / 2
    words = ["predict", sure.path, unsure.path, "clips/c silent.wav", "-m", "tiny", "--min-confidence", between]
    code, out, err = ser(*words, *{"table": [], "json": ["--json"], "csv": ["--csv", "-"]}[how])
    assert (code, err) == (0, "")
    if how == "table":
        known, doubtful, silent = (line for line in out.splitlines() if "clips" in line)
        assert known.split()[1] == sure.emotion
        assert doubtful.split()[1] == "unsure"
        label, value = unsure.top(1)[0]
        assert f"{100 * value:.0f} %  {label} {value:.2f}" in doubtful
        assert silent.split()[-2:] == ["no", "speech"]
        return
    rows = json.loads(out) if how == "json" else list(csv.DictReader(io.StringIO(out)))
    truth = {"json": [False, True, False], "csv": ["false", "true", "false"]}[how]
    assert [row["unsure"] for row in rows] == truth
    assert [row["emotion"] or None for row in rows] == [sure.emotion, None, None]
    assert float(rows[1]["confidence"]) == unsure.confidence
    shown = rows[1]["probabilities"] if how == "json" else {label: float(rows[1][label]) for label in LABELS}
    assert shown == unsure.probabilities


def test_valence_and_arousal_stand_in_the_table_on_request(ser: Ser, clips: Path) -> None:
    assert "valence" not in ser("predict", "clips/a.wav", "-m", "tiny")[1]
    code, out, _ = ser("predict", "clips/a.wav", "clips/c silent.wav", "-m", "tiny", "--affect")
    answer = load("tiny").predict("clips/a.wav")
    head, voiced, silent = (line for line in out.splitlines() if "valence" in line or "clips" in line)
    assert code == 0
    assert head.split()[-4:] == ["valence", "(derived)", "arousal", "(derived)"]
    assert voiced.split()[-2:] == [f"{answer.valence:+.2f}", f"{answer.arousal:+.2f}"]
    assert silent.split()[-2:] == ["no", "speech"]
    assert ser("predict", "clips/a.wav", "-m", "tiny", "--affect", "--json")[0] == 2


def test_explain_writes_a_page_and_prints_what_python_gives(ser: Ser, clips: Path, tmp_path: Path) -> None:
    wanted = load(tmp_path / "tiny").explain("clips/b.flac", emotion="sad", offset=0.2, duration=1.5)
    words = ["explain", "clips/b.flac", "-m", "tiny", "--emotion", "sad", "--offset", "0.2", "--duration", "1.5"]
    code, out, err = ser(*words, "--json", "--out", "b.html")
    assert (code, err) == (0, "")
    assert json.loads(out) == wanted.to_dict()
    assert json.loads(out)["prediction"]["path"] == "clips/b.flac"
    assert "<h1>b.flac</h1>" in (tmp_path / "b.html").read_text(encoding="utf-8")
    code, out, _ = ser(*words, "--out", "b.html", "--force")
    assert (code, out.splitlines()[-1]) == (0, "Page: b.html")
    assert all("sad" in line for line in out.splitlines()[:-1])
    data = (clips / "b.flac").read_bytes()
    piped = json.loads(ser("explain", "-", *words[2:], "--json", stdin=data)[1])
    assert piped["stretches"] == wanted.to_dict()["stretches"]
    assert piped["prediction"]["path"] == "-"


def test_standard_input(ser: Ser, clips: Path) -> None:
    data = (clips / "a.wav").read_bytes()
    code, out, _ = ser("predict", "-", "clips/a.wav", "-m", "tiny", "--json", stdin=data)
    first, second = json.loads(out)
    assert (code, first["path"], second["path"]) == (0, "-", "clips/a.wav")
    assert first["probabilities"] == second["probabilities"]
    code, out, err = ser("predict", "-", "-m", "tiny", "--json", stdin=b"")
    assert (code, json.loads(out)[0]["path"]) == (1, "-")
    assert "  -: " in err


@pytest.mark.parametrize("how", [[], ["--json"], ["--csv", "-"]])
def test_names_with_newlines_and_escapes(ser: Ser, tmp_path: Path, how: list[str]) -> None:
    good, bad = "naïve été\n\x1b[31m[red].wav", "\x1b]0;owned\x07\n.wav"
    sf.write(tmp_path / good, voice(3, 1), 16000)
    (tmp_path / bad).write_bytes(b"")
    code, out, err = ser("predict", good, bad, "-m", "tiny", *how)
    assert code == 1
    assert "\x1b" not in err
    assert r"\x1b]0;owned\x07\n.wav: " in err
    if how == ["--json"]:
        assert [row["path"] for row in json.loads(out)] == [good, bad]
    elif how:
        assert [row["path"] for row in csv.DictReader(io.StringIO(out, newline=""))] == [good, bad]
    else:
        assert "\x1b" not in out
        (line,) = [line for line in out.splitlines() if "wav" in line]
        assert line.startswith(r"naïve été\n\x1b[31m[red].wav ")


def test_names_that_are_no_unicode(ser: Ser, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    try:
        sf.write(tmp_path / "plain.wav", voice(3, 1), 16000)
        (tmp_path / "plain.wav").rename(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    code, out, _ = ser("predict", name, "-m", "tiny", "--json")
    assert (code, json.loads(out)[0]["path"]) == (0, name)
    assert r"caf\udce9.wav" in ser("predict", name, "-m", "tiny")[1]
    assert ser("predict", name, "-m", "tiny", "--csv", "x.csv")[0] == 0
    assert b"\ncaf\xe9.wav," in (tmp_path / "x.csv").read_bytes()


def test_folders_and_recursion(ser: Ser, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "all" / "deep").mkdir(parents=True)
    (tmp_path / "none").mkdir()
    (clips / "a.wav").rename(tmp_path / "all" / "deep" / "a.wav")
    code, out, err = ser("predict", "all", "-m", "tiny", "--json")
    assert code == 2
    assert "--recursive" in err
    assert json.loads(out)[0]["path"] == "all"
    code, out, _ = ser("predict", "all", "-m", "tiny", "--json", "--recursive")
    assert (code, [row["path"] for row in json.loads(out)]) == (0, ["all/deep/a.wav"])
    assert ser("predict", "none", "-m", "tiny")[0] == 2
    code, _, err = ser("predict", "none", "all/deep/a.wav", "missing.wav", "-m", "tiny")
    assert code == 1
    assert [line.split(":")[0] for line in err.splitlines()[1:]] == ["  none", "  missing.wav"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["predict"], "Missing argument"),
        (["predict", "missing.wav", "-m", "tiny"], "missing.wav"),
        (["predict", "", "-m", "tiny"], "An empty path names no recording"),
        (["predict", "clips/a.wav", "-m", "huge"], "ser: No model 'huge'"),
        (["predict", "clips/a.wav", "-m", "clips"], "ser: clips is not a bundle: it holds no manifest.json."),
        (["predict", "clips/a.wav", "-m", "tiny", "--json", "--csv", "x.csv"], "exclude each other"),
        (["predict", "clips/a.wav", "-m", "tiny", "--csv", "clips"], "ser: Cannot write 'clips': it is a folder."),
        (["predict", "clips/a.wav", "-m", "tiny", "--csv", "no/x.csv"], "ser: Cannot write 'no/x.csv': No such file"),
        (["predict", "clips/a.wav", "--modle", "tiny"], "--modle"),
        (["predict", "clips/a.wav", "-m", "tiny", "--min-confidence", "70"], "got 70: for 70 % give 0.7."),
        (["predict", "clips/a.wav", "-m", "tiny", "--min-confidence", "nan"], "from 0 to 1, got nan."),
        (["explain", "clips/a.wav", "-m", "tiny"], "--out page.html"),
        (["explain", "missing.wav", "-m", "tiny", "--json"], "missing.wav"),
        (["explain", "", "-m", "tiny", "--json"], "ser: An empty path names no recording"),
        (["explain", "clips", "-m", "tiny", "--json"], "ser: 'clips' is a folder: ser explain takes one recording."),
        (["explain", "clips/a.wav", "-m", "tiny", "--json", "--emotion", "sadd"], "'sadd': did you mean 'sad'?"),
        (["explain", "clips/a.wav", "-m", "tiny", "--out", "clips"], "ser: Cannot write 'clips': it is a folder."),
        (["explain", "clips/a.wav", "-m", "tiny", "--out", "clips/a.wav/x.html"], "ser: Cannot write"),
        (["explain", "clips/a.wav", "-m", "huge", "--json"], "ser: No model 'huge'"),
        (["models", "--folder", "nowhere"], "ser: 'nowhere' is not a folder of bundles."),
        (["models", "show", "nowhere"], "ser: No model 'nowhere'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_code_2(ser: Ser, clips: Path, words: list[str], says: str) -> None:
    code, out, err = ser(*words)
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["clips/d empty.wav"], "is empty (0 bytes)."),
        (["clips/e text.mp3"], "is text, not audio, despite its name."),
        (["clips/c silent.wav"], "ser: There is no speech in clips/c silent.wav"),
        (["clips/a.wav", "--offset", "0.9"], "The recording lasts 0.1"),
    ],
)
def test_a_recording_that_cannot_be_explained_is_code_1(ser: Ser, clips: Path, words: list[str], says: str) -> None:
    code, out, err = ser("explain", *words, "-m", "tiny", "--json")
    assert (code, out) == (1, "")
    assert says in err


@pytest.mark.parametrize("words", [("--offset", "-1"), ("--offset", "nan"), ("--duration", "0")])
def test_a_part_that_cannot_be_is_wrong_usage(ser: Ser, clips: Path, words: tuple[str, str]) -> None:
    code, _, err = ser("explain", "clips/a.wav", "-m", "tiny", "--json", *words)
    assert (code, f"{words[0]} must be" in err) == (2, True)


def test_text_that_does_not_pretend_to_be_audio(ser: Ser, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no sound at all")
    code, _, err = ser("predict", tmp_path / "notes.txt", "-m", "tiny")
    assert (code, err.splitlines()[0]) == (1, "ser: the input failed:")
    assert err.endswith("is text, not audio.\n")


def test_stereo_on_standard_input_is_what_the_file_is(ser: Ser, clips: Path, tmp_path: Path) -> None:
    speech, rate = sf.read("clips/a.wav")
    sf.write("two.wav", np.stack([np.zeros_like(speech), speech], axis=1), rate)
    for words in ([], ["--channel", "right"], ["--channel", "each"]):
        want = json.loads(ser("predict", "two.wav", "-m", "tiny", "--json", *words)[1])
        code, out, _ = ser("predict", "-", "-m", "tiny", "--json", *words, stdin=Path("two.wav").read_bytes())
        assert (code, json.loads(out)) == (0, [{**row, "path": "-"} for row in want])


def test_ctrl_c_keeps_what_is_there(ser: Ser, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Recognizer.rows_of

    def interrupted(self: Recognizer, sources: Any, **options: Any) -> Iterator[list[serkit.Prediction]]:
        answers = whole(self, sources, **options)
        yield next(answers)
        yield next(answers)
        raise KeyboardInterrupt

    monkeypatch.setattr(Recognizer, "rows_of", interrupted)
    code, _, err = ser("predict", "clips", "-m", "tiny", "--csv", "x.csv")
    assert code == 130
    assert "ser: interrupted after 2 of 5 recordings; their answers are kept." in err
    rows = list(csv.DictReader((tmp_path / "x.csv").open(encoding="utf-8")))
    assert [row["path"] for row in rows] == ["clips/a.wav", "clips/b.flac"]
    code, out, _ = ser("predict", "clips", "-m", "tiny", "--json")
    assert (code, len(json.loads(out))) == (130, 2)
    code, out, _ = ser("predict", "clips", "-m", "tiny")
    assert (code, len([line for line in out.splitlines() if "clips" in line])) == (130, 2)


def test_csv_replaces_the_file_behind_a_link_and_only_at_the_end(
    ser: Ser, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    seen = []
    write = rows.CsvWriter.write

    def spying(self: rows.CsvWriter, prediction: serkit.Prediction) -> None:
        write(self, prediction)
        seen.append(((tmp_path / "real.csv").read_text(), (tmp_path / ".real.csv.part").read_text().count("\n")))

    monkeypatch.setattr(rows.CsvWriter, "write", spying)
    assert ser("predict", "clips/a.wav", "clips/b.flac", "-m", "tiny", "--csv", "link.csv", "--force")[0] == 0
    assert seen == [("old", 2), ("old", 3)]  # header and rows, flushed one by one
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().count("\n") == 3


@pytest.mark.parametrize("option", ["--csv", "--out"])
def test_links_that_form_a_loop_are_no_traceback(ser: Ser, clips: Path, tmp_path: Path, option: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    code, _, err = ser("predict", "clips/a.wav", "-m", "tiny", option, "loop/x.csv")
    assert (code, err) == (2, "ser: Cannot write 'loop/x.csv': Too many levels of symbolic links.\n")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    code, _, _ = ser("predict", "clips/a.wav", "-m", "tiny", option, "loop.csv")
    assert code in (0, 2)


def test_rows_of_strict_and_other_runs_are_not_mixed(ser: Ser, clips: Path) -> None:
    assert ser("predict", "clips/a.wav", "-m", "tiny", "--out", "x.csv")[0] == 0
    code, _, err = ser("predict", "clips", "-m", "tiny", "--out", "x.csv", "--resume", "--strict")
    assert (code, "strict was the default, now True" in err) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_colour_and_progress_on_a_terminal(ser: Ser, clips: Path) -> None:
    import pty

    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    code = "import sys, serkit.cli; sys.argv[0] = 'ser'; serkit.cli.main()"
    words = ["predict", *["clips/a.wav"] * 21, "clips/d empty.wav", "-m", "tiny"]
    with subprocess.Popen([sys.executable, "-c", code, *words], stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 1 << 16):
                shown += part
        except OSError:  # the other end is closed
            pass
    os.close(master)
    text = shown.decode("utf-8")
    assert process.returncode == 1
    assert "files/s" in text
    assert "22/22" in text
    assert load("tiny").predict("clips/a.wav").emotion == "surprised"
    assert "38;2;231;138;195m" in text  # #E78AC3, the colour of surprised
    assert "1 of 22 inputs failed" in text


def test_ascii_terminals_get_ascii() -> None:
    answer = serkit.Prediction("été.wav", 0, 1, "happy", 0.5, {"happy": 0.5, "sad": 0.5}, speech=True)
    from rich.console import Console

    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(file=file, width=200).print(rows.to_table([answer], top=2, unicode=False))
    file.seek(0)
    assert "\\xe9t\\xe9.wav" in (text := file.read())
    assert "#####.....  50 %" in text


def test_a_full_disk_is_one_sentence(ser: Ser, clips: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    code, _, err = ser("predict", "clips/a.wav", "-m", "tiny", "--csv", "/dev/full")
    assert (code, err) == (2, "ser: Cannot write '/dev/full': No space left on device.\n")


@pytest.mark.parametrize("before", ["old,rows\n", ""])
def test_a_full_disk_leaves_the_old_file_or_the_new_rows(tmp_path: Path, before: str) -> None:
    place = tmp_path / "x.csv"
    place.write_text(before)

    def full() -> None:
        raise OSError(28, "No space left on device")

    def write() -> None:
        with CsvFile(place, ["n"], force=True) as file:
            file.write_rows([[1]])
            file._file.flush = full  # type: ignore[method-assign]
            file.write_rows([[2]])

    with pytest.raises(SerkitError, match="No space left on device") as told:
        write()
    assert ("is kept; the new rows so far are in '.x.csv.part'" in str(told.value)) == bool(before)
    assert place.read_text() == (before or "n\n1\n")
    assert (tmp_path / ".x.csv.part").exists() == bool(before)


@pytest.mark.parametrize("before", ["old,rows\n", ""])
def test_a_csv_that_gets_no_rows_leaves_the_old_file(tmp_path: Path, before: str) -> None:
    place = tmp_path / "x.csv"
    place.write_text(before)
    with CsvFile(place, ["n"], force=True):
        pass  # as after Ctrl-C
    assert place.read_text() == (before or "n\n")
    with CsvFile(place, ["n"], force=True) as file:
        file.write_rows([])  # a recording without rows is an answer
    assert place.read_text() == "n\n"
    assert [one.name for one in tmp_path.iterdir()] == ["x.csv"]


def test_a_csv_that_cannot_take_its_place_is_one_sentence(
    ser: Ser, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)  # as on Windows while a spreadsheet has the file open
    code, _, err = ser("predict", "clips/a.wav", "-m", "tiny", "--csv", "x.csv")
    assert (code, err) == (2, "ser: Cannot write 'x.csv': Permission denied.\n")


def test_version(ser: Ser) -> None:
    assert ser("--version")[:2] == (0, f"serkit {serkit.__version__}\n")


def test_help_names_every_command(ser: Ser) -> None:
    code, out, _ = ser("--help")
    assert code == 0
    assert all(command in out for command in ("predict", "explain", "models", "doctor", "data", "train"))


def test_models(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serkit.bundle.store._BUNDLES", tmp_path / "shipped")
    assert ser("models")[:2] == (0, "No models found.\n")
    write_tiny(tmp_path / "shipped" / "small", version="3.1")
    code, out, _ = ser("models")
    assert code == 0
    assert "speaker: UAR 50.0 % (40.0 to 60.0), accuracy 55.0 %" in out
    (row,) = [line for line in out.splitlines() if "small" in line]
    assert "3.1" in row
    code, out, _ = ser("models", "--json", "--folder", ".")
    rows = json.loads(out)
    assert [(row["model"], row["version"]) for row in rows] == [("small", "3.1"), ("tiny", "1.0")]
    assert rows[0]["scores"] == tiny_manifest().scores
    assert rows[0]["labels"] == list(LABELS)
    assert rows[0]["bytes"] == (tmp_path / "tiny" / "model.onnx").stat().st_size + len("# Tiny\n\nFor tests.\n")
    assert ser("models", "show", "small")[:2] == (0, "# Tiny\n\nFor tests.\n")
    graph = (tmp_path / "tiny" / "model.onnx").read_bytes()
    (tmp_path / "tiny" / "model.onnx").write_bytes(graph[:-1] + bytes([graph[-1] ^ 1]))
    code, out, err = ser("models", "--folder", ".")
    assert code == 1
    assert "small" in out
    assert "ser: model.onnx of tiny was changed" in err


def test_doctor_when_all_is_well(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serkit.bundle.store._BUNDLES", tmp_path)
    monkeypatch.setenv("SERKIT_DATA", str(tmp_path))
    write_tiny(tmp_path / "default")
    code, out, _ = ser("doctor", "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (0, True)
    assert {package["name"] for package in found["packages"]} >= {"numpy", "onnxruntime", "soundfile", "typer"}
    assert all(package["ok"] for package in found["packages"])
    assert "CPUExecutionProvider" in found["providers"]
    assert {"WAV", "FLAC"} <= set(found["formats"])
    assert {"formats", "train"} <= {extra["name"] for extra in found["extras"]}
    assert found["model"] == {"ok": True, "name": "tiny", "version": "1.0", "problem": None}
    assert found["data"] == {"ok": True, "path": str(tmp_path), "problem": None}
    code, out, _ = ser("doctor")
    assert (code, out.splitlines()[-1]) == (0, "Everything that ser predict needs works.")


def test_doctor_names_what_is_missing(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serkit.bundle.store._BUNDLES", tmp_path / "none")
    monkeypatch.setenv("SERKIT_DATA", str(tmp_path / "gone"))
    monkeypatch.setattr(
        diagnosis.metadata,
        "requires",
        lambda name: [
            "numpy>=1.24",
            "numpy-of-the-future>=9; python_version < '3'",
            "soxr>=99",
            "tonewheel>=1; extra == 'organ'",
            "numpy>=1; extra == 'organ'",
            "wheeze; (platform_system == 'Plan9') and extra == 'organ'",
            "scipy; extra == 'science'",
        ],
    )
    code, out, _ = ser("doctor", "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (1, False)
    assert [(p["name"], p["ok"]) for p in found["packages"]] == [("numpy", True), ("soxr", False)]
    assert "does not meet soxr>=99: run pip install 'soxr>=99'" in found["packages"][1]["problem"]
    assert [(e["name"], e["installed"], e["missing"]) for e in found["extras"]] == [
        ("organ", ["numpy"], ["tonewheel"]),
        ("science", ["scipy"], []),
    ]
    assert "No model 'default'" in found["model"]["problem"]
    assert found["data"]["ok"] is False
    code, out, _ = ser("doctor")
    assert code == 1
    assert "missing tonewheel: pip install 'serkit[organ]'" in out


def test_the_default_model_from_the_command_line(ser: Ser) -> None:
    examples = Path(__file__).parent.parent / "examples"
    code, out, _ = ser("predict", examples, "--json")
    assert code == 0
    assert json.loads(out) == [answer.to_dict() for answer in serkit.load().predict(examples)]
    assert ser("doctor")[0] == 0
