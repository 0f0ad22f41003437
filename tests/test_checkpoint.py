"""A training that is killed continues after its last finished epoch, and ends with the same bits."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from serkit.corpora import Corpus, read_corpus
from serkit.errors import RecipeError, TrainingError
from serkit.models import loop
from serkit.models.cnn import LogMelCNN
from serkit.models.deep import DeepClassifier
from serkit.protocol import make_split
from serkit.training import run_folder
from serkit.training.feature_cache import FeatureCache
from serkit.training.recipe_files import parse_recipe
from serkit.training.run import run_evaluation
from tests.small_recipes import QUICK_TEXT
from tests.test_deep import NAMES, clips, small

#: Everything that has a state: dropout, order, mixup, a schedule, early stopping with the best weights.
SETTINGS: dict[str, dict[str, Any]] = {
    "plateau": {"reduce_on_plateau": 1, "keep_best": True, "mixup": 0.2},
    "one cycle": {"schedule": "one_cycle", "early_stopping": 6, "weight_decay": 0.01},
}


class Killed(Exception):
    """What stops a training in these tests."""


def killed_in(epoch: int) -> Any:
    """Return a progress callback that kills the training at the end of an epoch, before the epoch is kept."""

    def progress(row: dict[str, Any]) -> None:
        if row["epoch"] == epoch:
            raise Killed

    return progress


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("epoch", [1, 4, 8])
def test_a_killed_training_ends_with_the_same_bits(name: str, epoch: int, tmp_path: Path) -> None:
    X, y = clips(60)
    held = clips(30, seed=1)
    whole = small("dense", **SETTINGS[name]).fit(X, y, validation=held)
    with pytest.raises(Killed):
        small("dense", **SETTINGS[name]).fit(X, y, validation=held, progress=killed_in(epoch), checkpoint=tmp_path)
    assert any(tmp_path.iterdir()) == (epoch > 1)
    heard: list[int] = []
    again = small("dense", **SETTINGS[name]).fit(
        X, y, validation=held, progress=lambda row: heard.append(row["epoch"]), checkpoint=tmp_path
    )
    assert heard[0] == epoch
    assert again.history_ == whole.history_
    assert again.temperature_ == whole.temperature_
    assert np.array_equal(again.predict_proba(X), whole.predict_proba(X))


def test_the_members_of_a_cnn_continue_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = np.empty(12, dtype=object)
    X[:] = [rng.normal(-40, 8, (8, 20)).astype(np.float32) for _ in range(12)]
    y = np.array(NAMES)[np.arange(12) % 3]
    settings = {"labels": NAMES, "width": 4, "members": 2, "epochs": 2, "batch_size": 6, "crop": 16, "device": "cpu"}
    whole = LogMelCNN(**settings).fit(X, y)
    with pytest.raises(Killed):
        LogMelCNN(**settings).fit(X, y, progress=killed_in(4), checkpoint=tmp_path)
    heard: list[int] = []
    again = LogMelCNN(**settings).fit(X, y, progress=lambda row: heard.append(row["epoch"]), checkpoint=tmp_path)
    assert heard == [4]
    assert again.history_ == whole.history_
    assert np.array_equal(again.predict_proba(X), whole.predict_proba(X))


def test_a_damaged_checkpoint_and_one_of_another_training_are_sentences(tmp_path: Path) -> None:
    X, y = clips(40)
    small("dense", epochs=1).fit(X, y, checkpoint=tmp_path)
    with pytest.raises(TrainingError, match=r"network\.pt is of another training .*: remove it"):
        small("dense", epochs=2, net={"hidden": [7]}).fit(X, y, checkpoint=tmp_path)
    (tmp_path / "network.pt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(TrainingError, match=r"network\.pt is damaged: remove it"):
        small("dense", epochs=2).fit(X, y, checkpoint=tmp_path)


def test_bfloat16_is_what_the_recipe_asks_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    X, y = clips(40)
    plain = small("dense", bfloat16=False).fit(X, y)
    assert not plain.net_.bfloat16
    with monkeypatch.context() as patch:
        patch.setattr(loop, "has_bfloat16", lambda device: True)  # torch computes so on any processor, only slowly
        coarse = small("dense", bfloat16=True).fit(X, y)
        assert coarse.net_.bfloat16
        assert small("dense").fit(X, y).net_.bfloat16
        assert not np.array_equal(coarse.predict_proba(X), plain.predict_proba(X))
        assert (coarse.predict(X) == plain.predict(X)).mean() > 0.9
        small("dense", epochs=1).fit(X, y, checkpoint=tmp_path)
    monkeypatch.setattr(loop, "has_bfloat16", lambda device: False)
    assert not small("dense").fit(X, y).net_.bfloat16
    with pytest.raises(TrainingError, match="this processor has no bfloat16 arithmetic"):
        small("dense", bfloat16=True).fit(X, y)
    with pytest.raises(TrainingError, match="began in bfloat16 and would continue in float32"):
        small("dense", epochs=2).fit(X, y, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="bfloat16 must be true or false, got 'yes'"):
        small("dense", bfloat16="yes").fit(X, y)


def test_a_training_that_began_in_float32_stays_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    X, y = clips(40)
    monkeypatch.setattr(loop, "has_bfloat16", lambda device: False)
    whole = small("dense", epochs=3).fit(X, y)
    with pytest.raises(Killed):
        small("dense", epochs=3).fit(X, y, progress=killed_in(3), checkpoint=tmp_path)
    monkeypatch.setattr(loop, "has_bfloat16", lambda device: True)
    again = small("dense", epochs=3).fit(X, y, checkpoint=tmp_path)
    assert np.array_equal(again.predict_proba(X), whole.predict_proba(X))


RECIPE = (
    QUICK_TEXT.replace('"logistic"', '"dense"')
    + """
[model.params]
epochs = 4
batch_size = 16
[model.params.net]
hidden = [8]
"""
)


def _die_in_the_middle(corpus: Corpus, out: Path, cache: Path) -> None:
    """Run until the second epoch of the second fold is at work, and die there as after a power cut."""
    from serkit.models.batches import VectorBatches

    place, change, seen = run_folder.epochs_folder(out, 1) / "network.pt", VectorBatches._changed, []

    def dying(self: Any, *given: Any) -> Any:
        if place.is_file():
            seen.append(1)
            if len(seen) == 2:  # a batch of the next epoch is done
                os._exit(9)
        return change(self, *given)

    VectorBatches._changed = dying  # type: ignore[method-assign]
    torch.set_num_threads(1)
    split = make_split(corpus, "speaker", n_folds=3)
    run_evaluation(parse_recipe(RECIPE), corpus, split, out, folds=[0, 1], cache=FeatureCache(cache))


def test_a_run_that_dies_in_mid_epoch_continues_to_the_same_predictions(tiny_corpus: Path, tmp_path: Path) -> None:
    corpus, recipe, cache = read_corpus(tiny_corpus), parse_recipe(RECIPE), tmp_path / "cache"
    split = make_split(corpus, "speaker", n_folds=3)
    torch.set_num_threads(1)
    whole = run_evaluation(recipe, corpus, split, tmp_path / "whole", folds=[0, 1], cache=FeatureCache(cache))
    out = tmp_path / "killed"
    process = multiprocessing.get_context("fork").Process(target=_die_in_the_middle, args=(corpus, out, cache))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert run_folder.finished(out, 0)
    assert not run_folder.finished(out, 1)
    epochs: list[int] = []

    def hear(event: dict[str, Any]) -> None:
        if event["stage"] == "fit" and "epoch" in event:
            epochs.append(event["epoch"])

    again = run_evaluation(
        recipe, corpus, split, out, folds=[0, 1], resume=True, cache=FeatureCache(cache), progress=hear
    )
    assert epochs == [2, 3, 4]
    assert (out / "predictions.csv").read_bytes() == (whole.folder / "predictions.csv").read_bytes()
    assert again.results["metrics"] == whole.results["metrics"]
    assert [path.name for path in (out / "folds").iterdir()].count(".fold-1.epochs") == 0
    assert sorted(path.name for path in (out / "folds").iterdir()) == ["fold-0", "fold-1"]


def test_a_recipe_says_bfloat16_with_true_or_false() -> None:
    with pytest.raises(RecipeError, match="bfloat16 must be true or false"):
        parse_recipe(RECIPE.replace("batch_size = 16", "bfloat16 = 1.5"))
    assert parse_recipe(RECIPE.replace("batch_size = 16", "bfloat16 = false")).model.params["bfloat16"] is False
    assert isinstance(DeepClassifier().bfloat16, type(None))
