"""What long commands say while they work: an estimate first, then a bar with the time left, or lines now and then."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from serkit.corpora import digests, read_corpus
from serkit.emotions import LABELS
from serkit.models.classical import TemperatureScaled, XGBoost
from serkit.models.cnn import LogMelCNN
from serkit.models.deep import DeepClassifier
from serkit.models.selection import BestOf, Searched, SoftVoting
from serkit.training import fitting
from serkit.training.recipe_files import parse_recipe
from serkit.waiting import Waiting, duration
from tests.conftest import Ser
from tests.small_recipes import QUICK_TEXT


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Shown:
    """A display whose time is told, and what it has printed."""

    def __init__(self, *, terminal: bool = False) -> None:
        self.clock, self.file = Clock(), io.StringIO()
        console = Console(file=self.file, force_terminal=terminal, width=120)
        self.waiting = Waiting(every=15.0, clock=self.clock, console=console)

    def at(self, seconds: float, **event: Any) -> None:
        self.clock.now = seconds
        self.waiting(event)

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()


PLAN = {"stage": "plan", "recipe": "deep", "clips": 1440, "copies": 2880, "epochs": 40, "unit": "fold", "fits": 2}


def test_a_log_gets_an_estimate_first_then_a_line_now_and_then() -> None:
    shown = Shown()
    shown.at(0, **PLAN)
    shown.at(0, stage="features", done=0, total=100, cached=40)
    shown.at(1, stage="features", done=40, total=100, cached=40)  # read from the cache, in no time
    for k in range(1, 61):
        shown.at(1 + k, stage="features", done=40 + k, total=100, cached=40)
    assert shown.lines == [
        "deep: 1,440 clips and 2,880 altered copies, 2 folds to train, up to 40 epochs each.",
        "Features: 40 of 100 are cached, the others are computed.",
        "Features: 54 of 100, 46 s left",
        "Features: 69 of 100, 31 s left",
        "Features: 84 of 100, 16 s left",
        "Features: 99 of 100, 1 s left",
    ]


def test_a_log_gets_first_and_last_epochs_and_some_between_with_the_time_left_for_all_folds() -> None:
    shown = Shown()
    shown.at(0, **PLAN)
    for fold, start in ((0, 0), (1, 200)):
        shown.at(start, stage="fit", fold=fold, clips=1152)
        for epoch in range(1, 41):
            more = {"uar": 0.25} if epoch == 1 else {}
            shown.at(start + 5 * epoch, stage="fit", fold=fold, epoch=epoch, epochs=40, loss=1.5, **more)
        shown.at(start + 200, stage="fold", fold=fold + 1, done=fold + 1, total=2)
    first = [line for line in shown.lines if "fold 0" in line]
    assert first[0] == "Training: fold 0, 1,152 clips"
    assert first[1] == "Training: fold 0, epoch 1/40, loss 1.500, UAR 25.0%, 7 min left"  # 395 s
    assert first[2] == "Training: fold 0, epoch 4/40, loss 1.500, 6 min left"  # 15 s later
    assert first[-1] == "Training: fold 0, epoch 40/40, loss 1.500, 3 min left"
    assert len(first) == 1 + 14  # of every third epoch
    assert "1 of 2 folds done, 3 min left" in shown.lines
    assert shown.lines[-2:] == ["Training: fold 1, epoch 40/40, loss 1.500", "2 of 2 folds done"]


def test_members_and_searches_are_named() -> None:
    shown = Shown()
    shown.at(0, **{**PLAN, "fits": 2, "unit": "fit", "epochs": None})
    shown.at(1, stage="fit", fold=None, clips=100)
    shown.at(2, stage="fit", fold=None, member=1, members=2, name="xgboost")
    shown.at(3, stage="fit", fold=None, settings=6, folds=3)
    shown.at(4, stage="fit", fold=None, member=2, members=2, name="mlp")
    shown.at(5, stage="fit", fold=None, clips=120)
    assert shown.lines == [
        "deep: 1,440 clips and 2,880 altered copies, 2 fits to train.",
        "Training: fit 1 of 2, 100 clips",
        "Training: fit 1 of 2, member 1 of 2, xgboost",
        "Training: fit 1 of 2, searching 6 settings on 3 inner folds",
        "Training: fit 1 of 2, member 2 of 2, mlp",
        "Training: fit 2 of 2, 120 clips",
    ]


def test_a_terminal_gets_bars_with_epochs_and_the_time_left() -> None:
    shown = Shown(terminal=True)
    shown.at(0, **PLAN)
    shown.at(0, stage="fit", fold=3, clips=1152)
    shown.at(30, stage="fit", fold=3, epoch=20, epochs=40, loss=1.25)
    (task,) = shown.waiting.bars.tasks
    assert (task.completed, task.total) == (0.5, 2)
    assert task.fields["note"] == "fold 3, epoch 20/40, loss 1.250, 90 s left"
    shown.at(60, stage="fit", fold=4, clips=1152)
    assert task.completed == 1
    shown.at(61, stage="answers", done=10, total=100)
    shown.at(71, stage="answers", done=20, total=100)
    assert shown.waiting.bars.tasks[1].fields["note"] == "20/100, 40 s left"
    assert len(shown.lines) == 1  # what there is to do; all else is in the bars


def test_many_recordings_are_announced_and_few_are_not() -> None:
    few, many = Shown(), Shown()
    few.at(0, stage="recordings", done=0, total=199)
    many.at(0, stage="recordings", done=0, total=7442)
    assert (few.lines, many.lines) == ([], ["Recordings: 0 of 7,442"])
    few.at(20, stage="recordings", done=100, total=199)
    assert few.lines == ["Recordings: 100 of 199, 20 s left"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5999, "100 min"), (6000, "1.7 h")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# --------------------------------------------------------------------------------------------- who reports, and what


def clouds(n: int = 60, d: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    return (rng.normal(size=(n, d)) + y[:, None]).astype(np.float32), np.array(LABELS)[y]


def test_every_estimator_that_takes_long_reports() -> None:
    X, y = clouds()
    labels = sorted(set(y))
    events: list[dict[str, Any]] = []
    deep = DeepClassifier(labels, "dense", epochs=2, net={"hidden": [4]})
    deep.fit(X, y, progress=events.append)
    assert [(e["epoch"], e["epochs"]) for e in events] == [(1, 2), (2, 2)]
    events.clear()
    frames = np.empty(len(X), object)
    frames[:] = [np.tile(row[:, None], (1, 12)) for row in X]
    LogMelCNN(labels, width=4, members=2, epochs=1, crop=8).fit(frames, y, progress=events.append)
    assert [(e["epoch"], e["epochs"]) for e in events] == [(1, 2), (2, 2)]
    events.clear()
    trees = XGBoost(n_estimators=25)
    plain = XGBoost(n_estimators=25).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(trees.fit(X, y, progress=events.append).predict_proba(X), plain)
    assert [(e["epoch"], e["epochs"], e["unit"]) for e in events] == [(k, 25, "round") for k in (10, 20, 25)]
    assert trees.booster_.get_params()["callbacks"] is None


def test_combined_estimators_say_which_member_is_fitted_and_pass_its_epochs_on() -> None:
    X, y = clouds()
    members = [XGBoost(n_estimators=10), Searched(XGBoost(n_estimators=2), kind="grid", params={"max_depth": [2, 3]})]
    expected = [
        {"member": 1, "members": 2, "name": "XGBoost"},
        {"epoch": 10, "epochs": 10, "unit": "round"},
        {"member": 2, "members": 2, "name": "Searched"},
        {"settings": 2, "folds": 3},
    ]
    events: list[dict[str, Any]] = []
    TemperatureScaled(SoftVoting(members)).fit(X, y, progress=events.append)
    assert events == expected
    events.clear()
    BestOf(members, ["trees", "search"]).fit(X, y, validation=(X, y), progress=events.append)
    assert [e["name"] for e in events if "name" in e] == ["trees", "search"]
    events.clear()
    vote = QUICK_TEXT.replace('"logistic"', '"soft_voting"')
    vote += '[[model.members]]\nname = "logistic"\n[[model.members]]\nname = "random_forest"\n'
    fitting.fit(fitting.make_pipeline(parse_recipe(vote), sorted(set(y)), seed=0), X, y, progress=events.append)
    assert [(e["member"], e["members"]) for e in events] == [(1, 2), (2, 2)]


def test_ctrl_c_while_a_corpus_is_read_keeps_what_was_read(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path))
    decode, seen = digests._decode, []

    def stop(self: Waiting, event: dict[str, Any]) -> None:
        if event["done"] == 20:
            raise KeyboardInterrupt

    def spy(*arguments: Any) -> Any:
        seen.append(arguments)
        return decode(*arguments)

    monkeypatch.setattr(digests, "_decode", spy)
    with monkeypatch.context() as patch:
        patch.setattr(Waiting, "__call__", stop)
        with pytest.raises(KeyboardInterrupt):
            read_corpus(tiny_corpus)
    seen.clear()
    assert len(read_corpus(tiny_corpus)) == 90
    assert len(seen) == 90 - 20


def test_train_says_its_fits_and_epochs(
    ser: Ser, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    text = QUICK_TEXT.replace('"logistic"', '"dense"')
    text += '[model.params]\nepochs = 3\n[model.params.net]\nhidden = [4]\n[validation]\nuse = "calibration"\n'
    text += '[augment]\nchains = ["gain"]\n'
    (tmp_path / "net.toml").write_text(text)
    code, _, err = ser("train", tmp_path / "net.toml", "--data", tiny_corpus, "--out", tmp_path / "bundle")
    assert code == 0
    lines = [re.sub(r", (loss|[0-9.]+ (s|min|h) left).*", "", line) for line in err.splitlines()]
    assert lines[1:3] == [  # the first is about the corpus: a part of RAVDESS
        "quick: 90 clips and 90 altered copies, 2 fits to train, up to 3 epochs each.",
        "Features: 0 of 180 are cached, the others are computed.",
    ]
    fits = [f"Training: fit {k} of 2, {what}" for k in (1, 2) for what in ("clips", "epoch 1/3", "epoch 3/3")]
    assert [re.sub(r"[0-9]+ clips", "clips", line) for line in lines if line.startswith("Training")] == fits
    assert "Writing the bundle, and checking it on clips." in lines
