"""``ser evaluate --compare-to``: the paired test against an earlier run of the same split."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from serkit.errors import TrainingError
from serkit.evaluation.paired import paired_test
from serkit.protocol import make_split
from serkit.training.against import against, finished_run
from serkit.training.recipe_files import parse_recipe
from serkit.training.run import run_evaluation
from tests.conftest import Ser
from tests.small_recipes import QUICK_TEXT
from tests.test_protocol import corpus_of, grid
from tests.test_training import made_up, noise, signal

TREES = QUICK_TEXT.replace('"logistic"', '"random_forest"\nparams = { n_estimators = 5, max_depth = 1 }')


def test_the_difference_is_that_of_the_speakers_accuracies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made_up(monkeypatch, lambda clip, row: noise(clip.path) + signal(row))
    corpus = corpus_of(grid())
    split = make_split(corpus, "speaker", n_folds=4)
    first = run_evaluation(parse_recipe(QUICK_TEXT), corpus, split, tmp_path / "first")
    second = run_evaluation(parse_recipe(TREES), corpus, split, tmp_path / "second")
    found = against(second, finished_run(tmp_path / "first", split))
    sides = [
        {
            str(name): float((rows["emotion"] == rows["predicted"]).mean())
            for name, rows in pd.read_csv(run.folder / "predictions.csv").groupby("speaker")
        }
        for run in (second, first)
    ]
    assert found == paired_test(*sides)
    assert found.difference < 0
    assert found.n_speakers == 8
    for other, words in (
        (make_split(corpus, "speaker", n_folds=4, seed=1), "has another split .speaker, seed 0, .* than this one"),
        (make_split(corpus, "random"), "compare runs of one split"),
    ):
        with pytest.raises(TrainingError, match=words):
            finished_run(tmp_path / "first", other)
    with pytest.raises(TrainingError, match=r"has run the folds 0, 1, 2, 3, and this one 1: run the same"):
        finished_run(tmp_path / "first", split, [1])
    with pytest.raises(TrainingError, match=r"has the labels neutral, happy, sad, angry, and this one happy, sad: use"):
        finished_run(tmp_path / "first", split, labels=["sad", "happy"])
    with pytest.raises(TrainingError, match=r"no finished run to compare with in .*nowhere"):
        finished_run(tmp_path / "nowhere", split)


def test_the_command_prints_the_test_and_refuses_before_it_trains(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ser: Ser
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("quick", QUICK_TEXT), ("trees", TREES)):
        Path(f"{name}.toml").write_text(text, encoding="utf-8")
    shared = ["--data", tiny_corpus, "--folds", 3, "--jobs", 1]
    assert ser("evaluate", "quick.toml", *shared, "--out", "first")[0] == 0
    code, out, _ = ser("evaluate", "trees.toml", *shared, "--out", "second", "--compare-to", "first")
    assert code == 0
    assert "Against quick (first): accuracy " in out
    assert "mean over 6 speakers, paired sign-flip test." in out
    code, _, err = ser("evaluate", "trees.toml", *shared, "--seed", 1, "--out", "third", "--compare-to", "first")
    assert code == 2
    assert "another split" in err
    assert not Path("third").exists()
