"""``ser compare``: every number is the one that its predictions give, and nothing is run twice."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from serkit.compare import grid as compare
from serkit.compare.grid import plan, read_grid
from serkit.compare.page import markdown
from serkit.compare.picture import picture
from serkit.compare.scores import collect
from serkit.corpora import Corpus, read_corpus
from serkit.errors import RecipeError, TrainingError
from serkit.evaluation.paired import paired_test
from serkit.protocol import PROTOCOLS
from serkit.training import fitting
from serkit.training.recipe_files import list_recipes, load_recipe
from tests.conftest import call_ser as ser

RECIPE = """
name = "{name}"
description = "A quick one"
system = "{system}"
[features]
sample_rate = 16000
features = [{{ name = "mfcc", params = {{ n_mfcc = 13 }} }}]
[model]
name = "{model}"
params = {params}
"""
DEEP = """
name = "net"
description = "A small network"
[features]
sample_rate = 16000
features = [{ name = "mfcc", params = { n_mfcc = 13 } }]
[model]
name = "dense"
[model.params]
epochs = 9
[model.params.net]
hidden = [8]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recipes; features and digests are kept for all tests of this module."""
    folder = tmp_path_factory.mktemp("compare")
    for name, system, model, params in (
        ("line", "S1", "logistic", "{ C = 1.0 }"),
        ("trees", "S0", "random_forest", "{ n_estimators = 8 }"),
    ):
        text = RECIPE.format(name=name, system=system, model=model, params=params)
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    (folder / "net.toml").write_text(DEEP, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _work_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("SERKIT_CACHE", str(place / "cache"))
    monkeypatch.setenv("COLUMNS", "150")


@pytest.fixture
def corpus(tiny_corpus: Path) -> Corpus:
    return read_corpus(tiny_corpus)


def grid_arguments(tiny_corpus: Path) -> list[str | Path]:
    both = ["compare", "line.toml", "trees.toml", "--data", tiny_corpus, "--jobs", "1"]
    return [*both, "--protocols", "speaker,augmented-random", "--seeds", "0,1", "--folds-run", "4"]


@pytest.fixture(scope="module")
def document(place: Path, tiny_corpus: Path) -> dict[str, Any]:
    """What the command writes for two recipes, two protocols, two seeds and four of the five folds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("SERKIT_CACHE", str(place / "cache"))
        assert ser(*grid_arguments(tiny_corpus), "--out", "out") == 0
    found: dict[str, Any] = json.loads((place / "out/results.json").read_text("utf-8"))
    return found


def predictions(place: Path, recipe: str, protocol: str, seed: int) -> pd.DataFrame:
    folder = next((place / "runs/compare").glob(f"{recipe}-*-{protocol}-{seed}"))
    return pd.read_csv(folder / "predictions.csv", dtype={"speaker": str})


def test_every_cell_has_the_scores_of_its_predictions(document: dict[str, Any], place: Path) -> None:
    assert len(document["cells"]) == 2 * 2 * 2
    for cell in document["cells"]:
        table = predictions(place, cell["recipe"], cell["protocol"], cell["seed"])
        assert cell["accuracy"] == pytest.approx(accuracy_score(table["emotion"], table["predicted"]))
        assert cell["uar"] == pytest.approx(balanced_accuracy_score(table["emotion"], table["predicted"]))
        assert (cell["folds"], cell["folds_run"], cell["n_clips"]) == (5, [0, 1, 2, 3], len(table))
        by_speaker = (table["emotion"] == table["predicted"]).groupby(table["speaker"]).mean()
        assert {name: scores["accuracy"] for name, scores in cell["speakers"].items()} == pytest.approx(
            by_speaker.to_dict()
        )


def test_a_row_is_the_mean_over_its_seeds(document: dict[str, Any]) -> None:
    assert len(document["rows"]) == 4
    for row in document["rows"]:
        cells = [c for c in document["cells"] if (c["recipe"], c["protocol"]) == (row["recipe"], row["protocol"])]
        for score in ("accuracy", "uar", "ece"):
            values = [cell[score] for cell in cells]
            assert row[score] == pytest.approx(np.mean(values))
            assert row[f"{score}_sd"] == pytest.approx(np.std(values, ddof=1))
        low, high = row["accuracy_interval"]
        assert low <= row["accuracy"] <= high
        lowest = {label: np.mean([cell["recall"][label] for cell in cells]) for label in cells[0]["recall"]}
        assert row["lowest"]["recall"] == pytest.approx(min(lowest.values()))
        assert row["seeds"] == [0, 1]


def test_recipes_are_compared_speaker_by_speaker(document: dict[str, Any], place: Path) -> None:
    sides = []
    for recipe in ("line", "trees"):
        tables = [predictions(place, recipe, "speaker", seed) for seed in (0, 1)]
        right = [(t["emotion"] == t["predicted"]).groupby(t["speaker"]).mean() for t in tables]
        sides.append(pd.concat(right, axis=1).mean(axis=1).to_dict())
    test = document["paired"][0]
    expected = paired_test(*sides)
    assert (test["a"], test["b"], test["seeds"]) == ("line", "trees", [0, 1])
    assert (test["difference"], test["p_value"]) == pytest.approx((expected.difference, expected.p_value))
    rows = {row["recipe"]: row for row in document["rows"] if row["protocol"] == "speaker"}
    best, other = sorted(rows, key=lambda name: -rows[name]["accuracy"])
    assert document["best"]["speaker"] == best
    assert rows[best]["against_best"] is None
    against = rows[other]["against_best"]
    sign = 1 if other == "line" else -1
    assert against["difference"] == pytest.approx(sign * expected.difference)
    assert (against["low"], against["high"]) == pytest.approx(sorted((sign * expected.low, sign * expected.high)))
    assert f"| `{other}` | {100 * against['difference']:+.1f} [" in (place / "out/results.md").read_text("utf-8")


def test_the_document_says_what_was_asked_for_and_no_place_of_this_machine(
    document: dict[str, Any], place: Path, tiny_corpus: Path
) -> None:
    command = "ser compare line.toml trees.toml --data DATA --protocols speaker,augmented-random --seeds 0,1"
    assert document["command"] == f"{command} --folds-run 4"
    assert [row["recipe"] for row in document["grid"]] == ["line", "trees"]
    for name in ("results.md", "results.json", "results.svg"):
        text = (place / "out" / name).read_text("utf-8")
        assert str(place) not in text
        assert str(tiny_corpus) not in text


def test_the_table_shows_the_numbers_and_the_leak_beside_its_own(document: dict[str, Any], place: Path) -> None:
    page = (place / "out/results.md").read_text("utf-8")
    for row in document["rows"]:
        mark = "**⚠** " if row["protocol"] == "augmented-random" else ""
        assert f"| {mark}{100 * row['accuracy']:.1f} ± {100 * row['accuracy_sd']:.1f} [" in page
        assert f"<br>UAR {100 * row['uar']:.1f}" in page
    assert page.count("**⚠** ") == 2
    assert "| ⚠ augmented-random |" in page
    assert "> **⚠ Not a result:** augmented-random leaks" in page
    assert "*reduced: 4 of 5 folds*" in page
    assert "1. A reduced schedule: " in page
    drawn = (place / "out/results.svg").read_text("utf-8")
    ElementTree.fromstring(drawn)
    assert "augmented-random (leaks)" in drawn
    assert f">chance {100 / len(document['rows'][0]['recall']):.3g} %<" in drawn
    for row in document["rows"]:
        assert f"{row['recipe']}, {row['protocol']}: {row['accuracy']:.1%}" in drawn


def test_a_finished_cell_is_not_run_again(
    document: dict[str, Any], place: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("this was run before")

    monkeypatch.setattr(fitting, "fit", never)
    files = {path: path.stat().st_mtime_ns for path in (place / "runs").rglob("*") if path.is_file()}
    assert ser(*grid_arguments(tiny_corpus), "--out", "again") == 0
    assert {path: path.stat().st_mtime_ns for path in (place / "runs").rglob("*") if path.is_file()} == files
    again = json.loads((place / "again/results.json").read_text("utf-8"))
    same, rows = ([{**row, "written": None} for row in found["rows"]] for found in (again, document))
    assert (again["cells"], same) == (document["cells"], rows)


def test_more_folds_go_on_behind_those_that_are_there(
    document: dict[str, Any], place: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = []
    fit = fitting.fit
    monkeypatch.setattr(fitting, "fit", lambda *a, **k: (fits.append(1), fit(*a, **k))[1])
    arguments = ["compare", "line.toml", "--data", tiny_corpus, "--protocols", "speaker", "--seeds", "1"]
    assert ser(*arguments, "--folds-run", "5", "--out", "more") == 0
    assert len(fits) == 1
    cell = json.loads((place / "more/results.json").read_text("utf-8"))["cells"][0]
    assert cell["folds_run"] == [0, 1, 2, 3, 4]


def test_a_cell_that_fails_is_named_and_the_others_go_on(
    tiny_corpus: Path, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = fitting.fit

    def moody(pipeline: Any, *arguments: Any, **options: Any) -> Any:
        if "RandomForest" in repr(pipeline):
            raise TrainingError("The forest burns.")
        return fit(pipeline, *arguments, **options)

    monkeypatch.setattr(fitting, "fit", moody)
    names = ["line.toml", "trees.toml", "--data", tiny_corpus, "--protocols", "random", "--runs", "other"]
    assert ser("compare", *names, "--out", "failed") == 1
    found = json.loads((place / "failed/results.json").read_text("utf-8"))
    assert [cell["recipe"] for cell in found["cells"]] == ["line"]
    trees = {"recipe": "trees", "system": "S0", "reported": None, "reported_as": "", "protocol": "random"}
    assert found["failed"] == [{**trees, "seed": 0, "error": "The forest burns."}]
    page = (place / "failed/results.md").read_text("utf-8")
    assert "- `trees`, random, seed 0: The forest burns." in page
    assert "| S0 | `trees` | – | **failed**: seed 0 <sup>1</sup> |" in page
    assert "\n1. The forest burns.\n" in page
    assert "failed: The forest burns." in capsys.readouterr().err


def test_a_run_of_another_recipe_is_not_taken_for_this_one(
    document: dict[str, Any], place: Path, tiny_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "elsewhere").mkdir(exist_ok=True)
    changed = (place / "line.toml").read_text("utf-8").replace("C = 1.0", "C = 2.0")
    (place / "elsewhere/line.toml").write_text(changed, encoding="utf-8")
    arguments = ["elsewhere/line.toml", "--data", tiny_corpus, "--protocols", "speaker", "--folds-run", "4"]
    assert ser("compare", *arguments, "--out", "stale") == 1
    said = capsys.readouterr().err
    assert re.search(r"line +speaker +0 +0 of 4 +another recipe's run", said)
    assert re.search(r"line-\S+-speaker-0 holds a run of another recipe: remove it or use another --runs", said)
    assert re.search(r"line-\S+-speaker-0 was started with another recipe: .+ or remove that folder", said)
    assert not (place / "stale").exists()
    assert ser("compare", *arguments, "--finished") == 2


def test_a_folder_that_is_no_run_is_left_alone(
    tiny_corpus: Path, place: Path, corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = plan(["line.toml"], protocols=["random"])[0]
    folder = cell.folder(Path("taken"), corpus)
    folder.mkdir(parents=True)
    (folder / "diary.txt").write_text("mine", encoding="utf-8")
    assert ser("compare", "line.toml", "--data", tiny_corpus, "--protocols", "random", "--runs", "taken") == 1
    assert f"{folder} exists but is not a run: remove it or use another --runs." in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["diary.txt"]


def test_a_dry_run_only_tells(tiny_corpus: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["compare", "line.toml", "--data", tiny_corpus, "--protocols", "random", "--runs", "untouched"]
    assert ser(*arguments, "--dry-run", "--out", "dry") == 0
    shown = capsys.readouterr().err
    assert re.search(r"line +random +0 +1 of 1 +unknown", shown)
    assert "1 fold to run, 1 fold of unknown length." in shown
    assert not (place / "untouched").exists()
    assert not (place / "dry").exists()


def test_what_is_finished_can_be_tabulated_alone(
    document: dict[str, Any], place: Path, tiny_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", "line.toml", "--data", tiny_corpus, "--protocols", "speaker,random", "--seeds", "0"]
    assert ser(*arguments, "--folds-run", "4", "--finished", "--out", "part") == 0
    cells = json.loads((place / "part/results.json").read_text("utf-8"))["cells"]
    assert [(cell["protocol"], cell["seed"]) for cell in cells] == [("speaker", 0)]
    assert ser(*arguments, "--finished", "--runs", "nowhere") == 2
    assert "No cell of this grid is finished in nowhere" in capsys.readouterr().err
    assert not (place / "nowhere").exists()


def test_an_earlier_table_keeps_what_is_not_measured_again(
    document: dict[str, Any], place: Path, tiny_corpus: Path
) -> None:
    rows = [{key: value for key, value in row.items() if key != "written"} for row in document["rows"]]
    before = {**document, "date": "2026-01-02T03:04:05+00:00", "command": "ser compare before", "rows": rows}
    Path("before.json").write_text(json.dumps(before), "utf-8")
    arguments = ["compare", "line.toml", "--data", tiny_corpus, "--protocols", "speaker", "--seeds", "0"]
    assert ser(*arguments, "--folds-run", "4", "--finished", "--add-to", "before.json", "--out", "added") == 0
    after = json.loads((place / "added/results.json").read_text("utf-8"))
    old, new = ({(row["recipe"], row["protocol"]): row for row in found["rows"]} for found in (before, after))
    assert new.keys() == old.keys()
    measured = new.pop(("line", "speaker"))
    assert (measured["seeds"], measured["written"]["command"]) == ([0], after["command"])
    for name, row in new.items():
        assert row["written"]["command"] == "ser compare before"
        assert (row["accuracy"], row["seeds"]) == (old[name]["accuracy"], [0, 1])
    assert len(after["cells"]) == len(before["cells"]) - 1
    assert [test["seeds"] for test in after["paired"]] == [[0]]
    assert "3 of the 4 results are from `ser compare before` (serkit " in (place / "added/results.md").read_text(
        "utf-8"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"corpus": "elsewhere speech"}, "is of the corpus elsewhere speech, and this is ravdess speech"),
        ({"rows": None, "format": 2}, "is not a results.json of ser compare"),
        (
            {"cells": [{"recipe": "s0-forest", "protocol": "corpus", "reduced": None, "recipe_hash": "0"}]},
            "holds scores of 's0-forest' as the recipe was then",
        ),
    ],
)
def test_a_table_that_does_not_belong_beside_this_one_is_refused(
    change: dict[str, Any], said: str, document: dict[str, Any], tiny_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("other.json").write_text(json.dumps({**document, **change}), "utf-8")
    arguments = ["compare", "line.toml", "--data", tiny_corpus, "--finished", "--add-to"]
    assert ser(*arguments, "other.json") == 2
    assert said in capsys.readouterr().err
    assert ser(*arguments, "no-such.json") == 2
    assert "no-such.json cannot be read" in capsys.readouterr().err


def test_an_earlier_table_is_of_the_same_clips_labels_and_recipes(
    document: dict[str, Any], place: Path, tiny_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", "line.toml", "--data", tiny_corpus, "--folds-run", "4", "--finished"]
    arguments += ["--add-to", "odd.json"]
    speaker = ["--protocols", "speaker", "--seeds", "0", "--out", "odd"]

    def refused(*more: str) -> str:
        Path("odd.json").write_text(json.dumps(odd), "utf-8")
        assert ser(*arguments, *speaker, *more) == 2
        return capsys.readouterr().err

    odd = document
    assert "odd.json is of the labels angry, calm, " in refused("--drop", "sad")
    odd = json.loads(json.dumps(document))
    for cell in odd["cells"]:
        next(iter(cell["speakers"].values()))["n"] += 1
    assert "of other recordings than this comparison, as the clips tested under speaker show" in refused()
    odd = json.loads(json.dumps(document))
    for cell in odd["cells"]:
        cell["recipe_hash"] = "0" if cell["recipe"] == "line" else cell["recipe_hash"]
    said = refused()
    assert "holds scores of 'line' as the recipe was then" in said
    assert "compare it again under augmented-random" in said
    assert not (place / "odd").exists()
    both = ["--protocols", "speaker,augmented-random", "--seeds", "0,1", "--out", "odd"]
    assert ser(*arguments, *both) == 0  # all of the old recipe is measured again
    after = json.loads((place / "odd/results.json").read_text("utf-8"))
    again = {row["recipe"] for row in after["rows"] if row["written"]["command"] == after["command"]}
    assert (again, len(after["rows"]), len(after["cells"])) == ({"line"}, 4, 8)


def test_own_folds_tell_how_long_the_others_take(document: dict[str, Any], place: Path, corpus: Corpus) -> None:
    cells = plan(["line.toml"], protocols=["speaker"], seeds=[0, 7], folds=4)
    (done, nothing), (todo, seconds) = compare.estimate(cells, corpus, Path("runs/compare"))
    assert (done, nothing, todo) == (0, 0.0, 4)
    files = list((place / "runs/compare").glob("line-*-speaker-0/folds/*/fold.json"))
    own = np.mean([json.loads(file.read_text("utf-8"))["seconds"] for file in files])
    assert seconds == pytest.approx(4 * own)


def test_ctrl_c_keeps_what_is_finished(
    tiny_corpus: Path, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, fits = fitting.fit, []

    def stop_at_third(*arguments: Any, **options: Any) -> Any:
        fits.append(1)
        if len(fits) == 3:
            raise KeyboardInterrupt
        return fit(*arguments, **options)

    monkeypatch.setattr(fitting, "fit", stop_at_third)
    arguments = [
        "compare",
        "line.toml",
        "trees.toml",
        "--data",
        tiny_corpus,
        "--protocols",
        "speaker",
        "--folds-run",
        "2",
    ]
    assert ser(*arguments, "--runs", "stopped", "--out", "stopped-out") == 130
    assert "The same command resumes." in capsys.readouterr().err
    found = json.loads((place / "stopped-out/results.json").read_text("utf-8"))
    assert [cell["recipe"] for cell in found["cells"]] == ["line"]
    assert ser(*arguments, "--runs", "stopped", "--out", "stopped-out") == 0
    assert len(fits) == 3 + 2


def test_ctrl_c_keeps_what_stands_behind_it_in_the_table_too(
    document: dict[str, Any], tiny_corpus: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit", stop)
    arguments = ["net.toml", "line.toml", "--data", tiny_corpus, "--protocols", "speaker", "--seeds", "0"]
    assert ser("compare", *arguments, "--folds-run", "4", "--out", "behind") == 130
    cells = json.loads((place / "behind/results.json").read_text("utf-8"))["cells"]
    assert cells == [c for c in document["cells"] if (c["recipe"], c["protocol"], c["seed"]) == ("line", "speaker", 0)]


def test_a_reduced_schedule_is_said_wherever_the_number_stands(tiny_corpus: Path, place: Path, corpus: Corpus) -> None:
    cells = plan(["net.toml"], protocols=["random"], epochs=2)
    assert (cells[0].recipe.epochs, cells[0].reduced) == (2, "2 of 9 epochs")
    found = collect(list(compare.run(cells, corpus, Path("short"))), corpus)
    assert found["rows"][0]["reduced"] == "2 of 9 epochs"
    assert "*reduced: 2 of 9 epochs*" in markdown(found)
    assert ">net *</text>" in picture(found)
    curves = json.loads(next(place.glob("short/net-*-e2/folds/fold-0/curves.json")).read_text("utf-8"))
    assert len(curves["epochs"]) == 2
    assert plan(["net.toml"], protocols=["random"], epochs=20)[0].reduced is None


def test_full_leaves_out_what_the_grid_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = {"recipe": "net.toml", "cells": {"speaker": [0], "random": [0]}, "folds": {"speaker": 2}, "epochs": 3}
    monkeypatch.setattr(compare, "_grid_file", lambda: {"folds": {"speaker": 5, "random": 1}, "row": [cut]})
    assert [(c.reduced, c.folds) for c in plan(["net.toml"])] == [("3 of 9 epochs", (0, 1)), ("3 of 9 epochs", (0,))]
    assert [(c.reduced, c.folds) for c in plan(["net.toml"], full=True)] == [(None, (0, 1, 2, 3, 4)), (None, (0,))]
    assert plan(["net.toml"], epochs=4)[0].reduced == "4 of 9 epochs"


def test_mistakes_are_sentences(tiny_corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TrainingError, match="Unknown protocol 'speakr'"):
        plan(["line.toml"], protocols=["speakr"])
    with pytest.raises(TrainingError, match="The grid has no protocols for own: name some"):
        plan(["own"])
    with pytest.raises(TrainingError, match="There are 5 folds, got 6"):
        plan(["line.toml"], folds=6)
    assert plan(["line.toml", "line.toml"]) == plan(["line.toml"])
    Path("changed.toml").write_text(Path("line.toml").read_text("utf-8").replace("C = 1.0", "C = 2.0"), "utf-8")
    with pytest.raises(RecipeError, match="Two different recipes are called 'line'"):
        plan(["line.toml", "changed.toml"])
    assert ser("compare", "--data", tiny_corpus) == 2
    assert "Name recipes to compare, or use --all" in capsys.readouterr().err
    assert ser("compare", "line.toml", "--data", tiny_corpus, "--seeds", "0,one") == 2
    assert "--seeds takes integers" in capsys.readouterr().err


def test_the_grid_holds_every_packaged_recipe() -> None:
    grid = read_grid()
    assert sorted(grid) == sorted(list_recipes())
    for name, row in grid.items():
        assert set(row.cells) <= set(PROTOCOLS), name
        assert row.cells or name in {"cnn", "default", "fast", "open", "own"}, name
        assert row.epochs is None or load_recipe(name).epochs is not None, name
        assert row.reported is None or (0 < row.reported < 1 and row.reported_as), name
    systems = {load_recipe(name).system for name, row in grid.items() if row.reported is not None}
    assert systems == {"S0", "S1", "S2", "S3", "S4"}
    unheard = {load_recipe(name).system for name, row in grid.items() if "speaker" in row.cells}
    assert systems <= unheard
