"""[encoder.tuning]: upper blocks with weights of their own, what training makes of them, and the bundle with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import serkit
from serkit.audio import Waveform
from serkit.corpora import Corpus
from serkit.emotions import LABELS
from serkit.encoders import WhisperEncoder
from serkit.encoders.tuned import TunedBlocks
from serkit.errors import FeatureError, RecipeError, TrainingError
from serkit.models import tuning
from serkit.models.base import clip_weights
from serkit.models.tuning import tune
from serkit.protocol import make_split
from serkit.training import fitting, split_rows
from serkit.training.export import export_bundle
from serkit.training.feature_cache import FeatureCache
from serkit.training.fold import load_clips
from serkit.training.recipe import Recipe
from serkit.training.recipe_files import parse_recipe
from serkit.training.run import run_evaluation, train_final
from tests.conftest import voice
from tests.small_recipes import HUB, shrunk

TUNING = 'precision = "int8"\n[encoder.tuning]\nafter = 1\nclips = 64\nbatch_size = 8\nlearning_rate = 1e-2\n'


def wave(seed: int, seconds: float = 1.0) -> Waveform:
    return Waveform(voice(1 + seed % 8, 1 + seed % 5, seconds=seconds, seed=seed), 16000)


def lower(precision: Any = "float32") -> WhisperEncoder:
    return WhisperEncoder(HUB, blocks=[1], layout="frames", precision=precision)


def tuned_recipe(text: str = TUNING) -> Recipe:
    return parse_recipe(shrunk("fast").text.replace('precision = "int8"\n', text))


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
@pytest.mark.parametrize("blocks", [[1, 3], [2], [1, 2, 3]])
def test_the_two_parts_of_an_encoder_give_what_the_whole_gives(precision: Any, blocks: list[int]) -> None:
    whole = WhisperEncoder(HUB, blocks=blocks, precision=precision)
    upper = TunedBlocks(lower(precision), blocks=blocks, precision=precision)
    assert upper.size == whole.shape[0]
    for seed, seconds in ((1, 0.4), (2, 1.2)):
        frames = lower(precision)(wave(seed, seconds))
        np.testing.assert_allclose(upper(frames), whole(wave(seed, seconds)), atol=1e-5)


def test_torch_computes_the_blocks_as_the_graph_does() -> None:
    upper = TunedBlocks(lower(), blocks=[1, 2, 3])
    network = tuning._Network(upper, 3, 1).eval()
    clips = [lower()(wave(1, 0.4)), lower()(wave(2, 1.2))]  # padded to the longer one
    with torch.no_grad():
        found = network.pooled(*tuning._padded([clip.T for clip in clips])).numpy()
    np.testing.assert_allclose(found, [upper(clip) for clip in clips], atol=2e-4)


def test_replaced_tensors_are_used_and_checked() -> None:
    frames, plain = lower()(wave(3)), TunedBlocks(lower(), blocks=[3])
    zero = {"layers.2.fc2.weight": np.zeros((16, plain.encoder.n_hidden)), "layers.2.fc2.bias": np.zeros(16)}
    assert np.abs(TunedBlocks(lower(), blocks=[3], tensors=zero)(frames) - plain(frames)).max() > 0.01
    with pytest.raises(FeatureError, match=r"layers.2.fc2.bias has the shape \(15,\), the encoder needs \(16,\)"):
        TunedBlocks(lower(), blocks=[3], tensors={"layers.2.fc2.bias": np.zeros(15)})(frames)


@pytest.mark.parametrize(
    ("encoder", "blocks", "says"),
    [
        (lower(), [1], "Blocks 1 cannot be computed from the frames of block 1"),
        (WhisperEncoder(HUB, blocks=[2], layout="frames"), [1, 3], "Blocks 1, 3 cannot be computed from the frames of"),
        (WhisperEncoder(HUB, blocks=[1]), [3], "from the mean_std of block 1: give an encoder of one block below"),
    ],
)
def test_blocks_that_do_not_follow_are_refused(encoder: WhisperEncoder, blocks: list[int], says: str) -> None:
    with pytest.raises(FeatureError, match=says):
        TunedBlocks(encoder, blocks=blocks)


# ---------------------------------------------------------------------------------------------- learning


def made(n: int = 48) -> tuple[list[np.ndarray], np.ndarray]:
    """Frames of noise whose labels are in the product of two values: no linear layer on the pooled frames sees it."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, n)
    clips = []
    for label in target:
        x = rng.normal(size=(16, int(rng.integers(10, 40)))).astype(np.float32)
        x[1] = x[0] * (2 * label - 1) + 0.1 * x[1]
        clips.append(x)
    return clips, target


def learn(
    checkpoint: Path | None = None, progress: Any = None, *, gain: float = 1.0, **changes: Any
) -> dict[str, np.ndarray]:
    clips, target = made()
    clips = [gain * clip for clip in clips]
    how = {"clips": 960, "batch_size": 16, "learning_rate": 1e-2, "seconds": 5.0, "seed": 0, **changes}
    could, places = np.ones((len(clips), 2), bool), np.array(["here", "there"])[np.arange(len(clips)) % 2]
    upper = TunedBlocks(lower(), blocks=[3])
    return tune(upper, clips, target, could, places, **how, progress=progress, checkpoint=checkpoint)


def test_tuning_learns_what_the_frozen_blocks_do_not_tell() -> None:
    rows: list[dict[str, Any]] = []
    tensors = learn(progress=rows.append)
    assert [(row["done"], row["total"]) for row in rows] == [(k, 960) for k in range(16, 961, 16)]
    assert np.mean([row["loss"] for row in rows[:6]]) > 0.5
    assert np.mean([row["loss"] for row in rows[-6:]]) < 0.35
    assert {name.split(".")[1] for name in tensors} == {"1", "2"}
    assert all(np.isfinite(value).all() for value in tensors.values())


def test_labels_that_a_corpus_lacks_do_not_count() -> None:
    clips, target = made(64)
    upper, places = TunedBlocks(lower(), blocks=[3]), np.full(len(clips), "here")
    how: Any = {"clips": 16, "batch_size": 16, "learning_rate": 1e-6, "seconds": 5.0, "seed": 0}
    losses = []
    for labels in ([True, True, True], [True, True, False]):
        tune(
            upper,
            clips,
            target,
            np.tile(labels, (64, 1)),
            places,
            **how,
            progress=lambda row: losses.append(row["loss"]),
        )
    assert losses[1] < losses[0] - 0.1


def test_places_and_their_labels_are_drawn_alike() -> None:
    place, target = np.array([0] * 6 + [1] * 2), np.array([0, 0, 0, 0, 1, 2, 0, 1])
    chance = clip_weights(target, place)
    assert [chance[place == k].sum() for k in (0, 1)] == pytest.approx([0.5, 0.5])
    assert [chance[(place == 0) & (target == k)].sum() for k in (0, 1, 2)] == pytest.approx([1 / 6] * 3)


def test_statistics_of_places_follow_their_own_clips() -> None:
    network = tuning._Network(TunedBlocks(lower(), blocks=[3]), 2, 2)
    before = network.mean.clone()
    x, heard = tuning._padded([clip.T for clip in made(4)[0]])
    place = torch.tensor([0, 0, 0, 1])
    network(x, heard, place, torch.tensor([0, 2, 2, 1]))
    found = network.pooled(x, heard)[:3].mean(0)
    torch.testing.assert_close(network.mean[0], 0.03 * found)
    assert torch.equal(network.mean[1:], before[1:])  # one clip has no deviation, and the usual stays


def test_a_killed_tuning_continues_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_BATCHES", 4)
    monkeypatch.setattr(tuning, "_SAVED", 2)
    whole = learn()

    def stop(row: dict[str, Any]) -> None:
        if row["done"] == 560:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "encoder.pt", stop)
    rows: list[dict[str, Any]] = []
    again = learn(tmp_path / "encoder.pt", rows.append)
    assert rows[0]["done"] == 528  # after eight batches of 16 each the state was kept
    for name, value in whole.items():
        np.testing.assert_array_equal(again[name], value)
    (tmp_path / "encoder.pt").write_bytes(b"rubbish")
    with pytest.raises(TrainingError, match=r"encoder.pt is damaged: remove it, and this fold begins again"):
        learn(tmp_path / "encoder.pt")


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    with pytest.raises(TrainingError, match=r"The loss became nan while the encoder was tuned: lower the learning"):
        learn(learning_rate=1.0, gain=3e4)


# ---------------------------------------------------------------------------------------------- in a recipe


@pytest.mark.parametrize("adapts", [True, False])
def test_a_bundle_holds_the_tuned_blocks(corpus: Corpus, cache: FeatureCache, tmp_path: Path, adapts: bool) -> None:
    recipe = tuned_recipe()
    if not adapts:
        recipe = parse_recipe(recipe.text.split("\n[adaptation]")[0])
    estimator = train_final(recipe, corpus, cache=cache)
    export_bundle(estimator, recipe, corpus, tmp_path / "b", cache=cache)
    recognizer = serkit.load(tmp_path / "b")
    whole = WhisperEncoder(HUB, blocks=[1, 3], precision="int8")
    for row in corpus.table.iloc[::29].itertuples():
        heard = corpus.load(row)
        vector = estimator.tuned_(recipe.front_end(heard))
        assert np.abs(vector - whole(heard)).max() > 1e-3  # it learned something
        X = vector[None] if not adapts else estimator.reference_.standardise(vector[None])
        wanted = fitting.label_probabilities(estimator, X, LABELS)
        wanted = estimator.distance_.soften(wanted, X) if adapts else wanted
        np.testing.assert_allclose(recognizer.probabilities(heard), wanted[0], atol=1e-4)
        if adapts:
            np.testing.assert_allclose(recognizer.embedding(heard), vector, atol=1e-4)


def test_each_fold_tunes_its_own_encoder_and_resumes(
    corpus: Corpus, cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[set[str]] = []
    real = tuning.tune
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))

    def spy(blocks: Any, frames: Any, *rest: Any, **how: Any) -> Any:
        heard.append({clip.tobytes() for clip in frames})
        assert how["checkpoint"].parent == tmp_path / "cache" / "tuned"
        return real(blocks, frames, *rest, **how)

    monkeypatch.setattr(tuning, "tune", spy)
    split = make_split(corpus, "speaker", n_folds=3, seed=0)
    run = run_evaluation(tuned_recipe(), corpus, split, tmp_path / "run", cache=cache)
    assert len(run.predictions) == len(corpus)
    assert len(heard) == 3
    assert len(set.intersection(*heard)) == 0  # with three folds of voices, each voice is left out once
    assert len(set.union(*heard)) == len(corpus)

    # the same clips, seed and settings are tuned on once, unless what was kept is damaged
    kept = sorted((tmp_path / "cache" / "tuned").iterdir())
    assert [path.suffix for path in kept] == [".npz"] * 3
    kept[0].write_bytes(kept[0].read_bytes()[:-100])
    monkeypatch.setattr(TunedBlocks, "__call__", None)  # the vectors are cached
    with pytest.warns(UserWarning, match=rf"{kept[0].name} is damaged .* and is tuned again"):
        again = run_evaluation(tuned_recipe(), corpus, split, tmp_path / "again", cache=cache)
    assert len(heard) == 4
    pd.testing.assert_frame_equal(again.predictions, run.predictions)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("after = 1", "after = 3", "a block among 'blocks' that comes after 'after'"),
        ("after = 1", "after = 2", "tuning starts after block 2, so 'blocks' cannot have a lower one"),
        ("after = 1", 'layout = "frames"', "after"),
        ("clips = 64", "clips = 0", "clips"),
    ],
)
def test_a_tuning_that_cannot_be_is_refused(old: str, new: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        tuned_recipe(TUNING.replace(old, new))


def test_a_tuned_recipe_has_a_hash_of_its_own() -> None:
    assert tuned_recipe().hash != shrunk("fast").hash
    assert tuned_recipe().hash != tuned_recipe(TUNING.replace("1e-2", "1e-3")).hash


def test_frames_are_held_in_half_precision(corpus: Corpus, cache: FeatureCache) -> None:
    recipe = tuned_recipe()
    rows = split_rows.all_clips(corpus).head(3)
    for _ in ("computed", "read"):
        held = load_clips(rows, corpus, recipe, seed=0, cache=cache).arrays
        assert {array.dtype for array in held} == {np.dtype(np.float16)}
        for array, row in zip(held, rows.itertuples(), strict=True):
            np.testing.assert_allclose(array, recipe.front_end(corpus.load(row)), atol=5e-3, rtol=1e-3)
    vectors = load_clips(rows, corpus, shrunk("fast"), seed=0, cache=cache).arrays
    assert {array.dtype for array in vectors} == {np.dtype(np.float32)}
