"""``ser evaluate``, ``ser train`` and ``ser recipes``, called as the shell calls them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from serkit.bundle import read_bundle
from serkit.training import fitting
from serkit.training.recipe_files import list_recipes, load_recipe
from tests.conftest import Ser
from tests.small_recipes import QUICK_TEXT


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, caches: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with the recipe in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERKIT_CACHE", str(caches))
    monkeypatch.delenv("SERKIT_DATA", raising=False)
    monkeypatch.delenv("SERKIT_ENCODERS", raising=False)
    (tmp_path / "quick.toml").write_text(QUICK_TEXT, encoding="utf-8")
    return tmp_path


def test_recipes_are_listed_and_shown(ser: Ser) -> None:
    code, out, _ = ser("recipes")
    assert code == 0
    for name in list_recipes():
        assert name in out
    code, out, _ = ser("recipes", "show", "s0-forest")
    assert (code, out) == (0, load_recipe("s0-forest").text)


def test_evaluate_prints_the_scores_and_where_the_report_lies(ser: Ser, tiny_corpus: Path, place: Path) -> None:
    code, out, err = ser("evaluate", "quick.toml", "--data", tiny_corpus, "--folds", "3", "--out", "run")
    assert code == 0
    lines = [re.sub(r", \S+ \S+ left$", "", line) for line in err.splitlines()]  # no bars where nobody watches
    assert lines.pop(0).startswith("RAVDESS has 2,452 clips of 24 speakers; ")
    assert lines[0] == "quick: 90 clips, 3 folds to train."
    assert re.match(r"Features: [0-9]+ of 90 are cached", lines[1])
    each = [(f"Training: fold {k}, 60 clips", f"{k + 1} of 3 folds done") for k in range(3)]
    assert lines[2:] == ["0 of 3 folds done", *(line for pair in each for line in pair)]
    results = json.loads((place / "run/results.json").read_text())
    assert f"{results['metrics']['uar']:.1%}" in out
    assert (results["protocol"], results["folds"], results["seed"]) == ("speaker", 3, 0)
    assert "Report: run/report.html" in out
    assert (place / "run/report.html").is_file()
    code, _, err = ser("evaluate", "quick.toml", "--data", tiny_corpus, "--folds", "3", "--out", "run")
    assert code == 2
    assert "use --resume to continue that run, or another --out" in err


def test_some_folds_only(ser: Ser, tiny_corpus: Path, place: Path) -> None:
    command = ("evaluate", "quick.toml", "--data", tiny_corpus, "--folds", "3", "--out", "run")
    code, _, err = ser(*command, "--only-fold", "2", "--only-fold", "0")
    assert code == 0
    assert "quick: 90 clips, 2 folds to train." in err
    assert err.splitlines()[-1] == "2 of 2 folds done"
    results = json.loads((place / "run/results.json").read_text())
    assert (results["folds"], results["folds_run"]) == (3, [0, 2])
    rows = (place / "run/predictions.csv").read_text().splitlines()
    column = rows[0].split(",").index("fold")
    assert {row.split(",")[column] for row in rows[1:]} == {"0", "2"}
    assert "2 of 3 (0, 2)" in (place / "run/report.html").read_text()
    assert ser(*command, "--resume")[0] == 0  # the third one joins them
    assert json.loads((place / "run/results.json").read_text())["folds_run"] == [0, 1, 2]


def test_the_data_may_come_from_the_environment_and_a_leak_is_announced(
    ser: Ser, tiny_corpus: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERKIT_DATA", str(tiny_corpus))
    code, out, err = ser("evaluate", "quick.toml", "--protocol", "augmented-random", "--folds", "2", "--seed", "3")
    assert code == 0
    assert "leaks" in err
    assert "leaks" in out
    assert (place / "runs/quick-ravdess-augmented-random-2-3/report.html").is_file()


def test_ctrl_c_says_how_to_go_on(ser: Ser, tiny_corpus: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("evaluate", "quick.toml", "--data", tiny_corpus, "--folds", "3", "--out", "run")
    fit, calls = fitting.fit, 0

    def stop_in_fold_2(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return fit(*args, **options)

    monkeypatch.setattr(fitting, "fit", stop_in_fold_2)
    code, _, err = ser(*command)
    assert code == 130
    assert "finished folds are kept in run. Resume with the same command and --resume." in err
    assert sorted(p.name for p in (place / "run/folds").iterdir()) == ["fold-0", "fold-1"]
    code, out, _ = ser(*command, "--resume")
    assert code == 0
    assert calls == 4
    assert "Report: run/report.html" in out


def test_ctrl_c_in_train_says_what_is_kept(
    ser: Ser, tiny_corpus: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit", stop)
    code, _, err = ser("train", "quick.toml", "--data", tiny_corpus, "--out", "bundle")
    assert code == 130
    assert "interrupted; bundle was not written. Computed features are kept" in err
    assert not (place / "bundle").exists()


def test_train_writes_a_bundle_with_the_scores_of_this_recipe_only(ser: Ser, tiny_corpus: Path, place: Path) -> None:
    assert ser("evaluate", "quick.toml", "--data", tiny_corpus, "--folds", "3", "--out", "run")[0] == 0
    train = ("train", "quick.toml", "--data", tiny_corpus, "--out", "bundle", "--results", "run/results.json")
    code, out, err = ser(*train, "--model-version", "7")
    assert code == 0
    assert err.splitlines()[1:] == [
        "quick: 90 clips, 1 fit to train.",
        "Features: 90 of 90 are cached.",
        "Training: 90 clips",
        "Writing the bundle, and checking it on clips.",
    ]
    assert "Bundle: bundle" in out
    manifest = read_bundle(place / "bundle").manifest
    results = json.loads((place / "run/results.json").read_text())
    assert manifest.scores["speaker"]["uar"] == results["metrics"]["uar"]
    assert manifest.version == "7"
    code, _, err = ser(*train)
    assert (code, "bundle holds a bundle: add --force" in err) == (2, True)
    assert ser(*train, "--model-version", "8", "--force")[0] == 0
    assert read_bundle(place / "bundle").manifest.version == "8"
    code, _, err = ser(*train, "--drop", "sad", "--force")
    assert (code, "is of the labels neutral, calm, happy, sad, angry" in err) == (2, True)
    assert "Features:" not in err  # before anything is trained
    (place / "quick.toml").write_text(QUICK_TEXT.replace("n_mfcc = 13", "n_mfcc = 12"), encoding="utf-8")
    code, _, err = ser(*train)
    assert code == 2
    assert "a model carries only scores of exactly its own recipe" in err


def test_attach_gives_the_bundle_that_training_with_scores_gives(ser: Ser, tiny_corpus: Path, place: Path) -> None:
    assert ser("evaluate", "quick.toml", "--data", tiny_corpus, "--folds", "3", "--out", "run")[0] == 0
    results = ("--results", "run/results.json")
    assert ser("train", "quick.toml", "--data", tiny_corpus, "--out", "with", *results)[0] == 0
    assert ser("train", "quick.toml", "--data", tiny_corpus, "--out", "without")[0] == 0
    code, out, err = ser("attach", "without", "--data", tiny_corpus, *results)
    assert (code, len(err.splitlines())) == (0, 1)  # that the corpus is a part of RAVDESS
    assert "now states speaker" in out
    assert read_bundle(place / "without").manifest == read_bundle(place / "with").manifest
    assert read_bundle(place / "without").card == read_bundle(place / "with").card


def test_train_without_scores_says_so(ser: Ser, tiny_corpus: Path) -> None:
    code, _, err = ser("train", "quick.toml", "--data", tiny_corpus, "--out", "bundle")
    assert code == 0
    assert "It states no scores" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "s0-forrest", "--data", "."), "did you mean 's0-forest'?"),
        (("evaluate", "quick.toml", "--data", "nowhere"), "nowhere"),
        (("evaluate", "quick.toml"), "--data"),
        (("evaluate", "default", "--data", "nowhere"), "There is no encoder 'whisper-base'"),
        (("train", "default", "--data", "nowhere", "--out", "b"), "There is no encoder 'whisper-base'"),
        (("evaluate", "quick.toml", "--data", "DATA", "--protocol", "speakers"), "Unknown protocol 'speakers'"),
        (("evaluate", "quick.toml", "--data", "DATA", "--folds", "3", "--resume"), "no run to resume"),
        (("evaluate", "quick.toml", "--data", "DATA", "--folds", "3", "--only-fold", "3"), "There is no fold 3: this"),
        (("evaluate", "quick.toml", "--data", "DATA", "--folds", "7"), "6 speakers"),
        (("evaluate", "quick.toml", "--data", "DATA", "--folds", "3", "--out", "some.json/x"), "Not a directory"),
        (("train", "quick.toml", "--data", "DATA", "--out", "full"), "full exists and is not a bundle"),
        (("train", "quick.toml", "--data", "DATA", "--out", "some.json/x"), "some.json is not a folder"),
        (("train", "net.toml", "--data", "DATA", "--out", "b"), "A waveform graph takes frames of log_mel"),
        (("train", "quick.toml", "--data", "DATA", "--out", "b", "--results", "quick.toml"), "is not JSON"),
        (("train", "quick.toml", "--data", "DATA", "--out", "b", "--results", "some.json"), "is not a results.json"),
        (("train", "quick.toml", "--data", "DATA", "--out", "b", "--results", "none.json"), "cannot be read"),
        (("recipes", "show", "s1-xgbost"), "did you mean 's1-xgboost'?"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...], message: str, ser: Ser, tiny_corpus: Path, place: Path
) -> None:
    (place / "full").mkdir()
    (place / "full/file").write_text("")
    (place / "some.json").write_text("{}")
    net = QUICK_TEXT.replace("[features]", '[features]\nlayout = "frames"').replace("logistic", "cnn")
    (place / "net.toml").write_text(net)
    code, _, err = ser(*(str(tiny_corpus) if a == "DATA" else a for a in arguments))
    assert code == 2
    assert message in err
