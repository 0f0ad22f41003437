"""Two corpora as one: the same folds as alone, and labels that one of them lacks stay out of its loss."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from serkit.corpora import Corpus, read_corpus
from serkit.emotions import LABELS
from serkit.errors import CorpusError, TrainingError
from serkit.models.batches import Clips, FrameBatches, VectorBatches
from serkit.models.cnn import LogMelCNN
from serkit.models.deep import DeepClassifier
from serkit.models.loop import score
from serkit.models.losses import UNKNOWN, FocalLoss, KnownCrossEntropy
from serkit.models.resnet import MEAN_DB, SCALE_DB
from serkit.protocol import make_split
from serkit.training import fitting, run_folder
from serkit.training.feature_cache import FeatureCache
from serkit.training.recipe_files import parse_recipe
from serkit.training.run import run_evaluation, train_final
from serkit.training.split_rows import copies_of
from tests.small_recipes import QUICK_TEXT, shrunk


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", str(tmp_path_factory.mktemp("digests")))


@pytest.fixture(scope="module")
def joined(both: Path) -> Corpus:
    return read_corpus(both, kind="ravdess+crema_d")


def test_the_table_holds_the_clips_of_both(both: Path, joined: Corpus) -> None:
    assert joined.name == "ravdess+crema_d"
    assert len(joined) == 90 + 72
    assert joined.table["corpus"].value_counts().to_dict() == {"ravdess": 90, "crema_d": 72}
    assert joined.table["path"].is_monotonic_increasing
    assert {path.split("/")[0] for path in joined.table["path"]} == {"ravdess", "crema_d"}
    alone = read_corpus(both / "crema_d")
    row = joined.table[joined.table["corpus"] == "crema_d"].iloc[5]
    own = alone.table[alone.table["audio_hash"] == row["audio_hash"]].iloc[0]
    np.testing.assert_array_equal(joined.load(row).samples, alone.load(own).samples)
    assert "CC BY-NC-SA" in joined.licence
    assert "ODbL" in joined.licence


@pytest.mark.parametrize("protocol", ["speaker", "speaker+enrolled", "random"])
def test_each_corpus_is_dealt_out_as_it_would_be_alone(both: Path, joined: Corpus, protocol: str) -> None:
    split = make_split(joined, protocol, seed=3, n_folds=3)
    for name in ("ravdess", "crema_d"):
        alone = make_split(read_corpus(both / name), protocol, seed=3, n_folds=3).table
        rows = split.table[split.table["path"].str.startswith(f"{name}/")]
        stripped = rows.assign(path=rows["path"].str[len(name) + 1 :]).reset_index(drop=True)
        pd.testing.assert_frame_equal(stripped, alone.reset_index(drop=True))


def test_what_cannot_be_joined_says_why(both: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"needs 'resd' below .* holds crema_d, ravdess"):
        read_corpus(both, kind="ravdess+resd")
    with pytest.raises(CorpusError, match="it holds none"):
        read_corpus(tmp_path, kind="ravdess+crema_d")
    with pytest.raises(CorpusError, match="names a corpus twice"):
        read_corpus(both, kind="ravdess+ravdess")
    with pytest.raises(CorpusError, match=r"name one, with kind or --kind; ravdess\+crema_d takes them together"):
        read_corpus(both)


def test_the_loss_is_torchs_where_every_label_is_known() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 5, generator=rng)
    shares = torch.rand(9, 5, generator=rng)
    shares /= shares.sum(1, keepdim=True)
    for smoothing in (0.0, 0.1):
        expected = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)(logits, shares)
        got = KnownCrossEntropy(smoothing)(logits, torch.stack([shares, torch.ones(9, 5)], 1))
        torch.testing.assert_close(got, expected)


def test_an_unknown_label_is_neither_raised_nor_lowered() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
    shares = torch.eye(4)[torch.tensor([0, 1, 2, 0, 1, 2])]
    known = torch.tensor([1.0, 1.0, 1.0, 0.0]).expand(6, 4)
    loss = KnownCrossEntropy(0.1)(logits, torch.stack([shares, known], 1))
    expected = torch.nn.CrossEntropyLoss(label_smoothing=0.1)(logits[:, :3], shares[:, :3])
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad[:, 3] == 0).all()
    assert (logits.grad[:, :3] != 0).all()


def test_weighted_losses_are_torchs_over_the_known_labels() -> None:
    rng = torch.Generator().manual_seed(2)
    logits, classes, weight = torch.randn(6, 4, generator=rng), torch.tensor([0, 1, 2, 0, 1, 2]), torch.rand(4)
    shares, every = torch.eye(4)[classes], torch.ones(6, 4)
    some = torch.tensor([1.0, 1.0, 1.0, 0.0]).expand(6, 4)
    for smoothing in (0.0, 0.1):
        ours = KnownCrossEntropy(smoothing, weight)
        for known, n in ((every, 4), (some, 3)):
            torchs = torch.nn.CrossEntropyLoss(weight[:n], label_smoothing=smoothing)
            torch.testing.assert_close(ours(logits, torch.stack([shares, known], 1)), torchs(logits[:, :n], classes))
    for known, n in ((every, 4), (some, 3)):
        expected = FocalLoss(2.0, weight[:n])(logits[:, :n], classes)
        torch.testing.assert_close(FocalLoss(2.0, weight)(logits, torch.stack([shares, known], 1)), expected)


def test_vectors_are_mixed_with_those_of_the_same_labels_only() -> None:
    known = torch.tensor([[True, True, True]] * 4 + [[True, True, False]] * 4)
    X, y = torch.arange(8.0)[:, None], torch.arange(8) % 2
    how: dict[str, Any] = {"batch_size": 8, "n_classes": 3, "planes": 1, "rows": 1, "mixup": 1.0}
    how |= {"mask_rows": 0, "mask_frames": 0, "shift": 0}
    for seed in range(20):
        dataset = torch.utils.data.TensorDataset(X, y, known)
        ((x, targets),) = VectorBatches(dataset, rng=np.random.default_rng(seed), **how)
        full = targets[:, 1, 2] == 1
        assert full.sum() == 4
        assert (x[full] <= 3).all()
        assert (x[~full] >= 4).all()
        torch.testing.assert_close(targets[:, 0].sum(1), torch.ones(8))


def test_clips_are_mixed_with_clips_of_the_same_labels_only() -> None:
    known = np.array([[True, True, True]] * 4 + [[True, True, False]] * 4)
    clips = Clips([np.full((2, 3), float(k)) for k in range(8)], np.arange(8) % 2, n_classes=3, known=known)
    mixed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        ((inputs, targets),) = FrameBatches(clips, batch_size=8, rng=rng, windows=1, crop=3, mixup=1.0)
        values = inputs["x"][:, 0, 0].numpy() * SCALE_DB + MEAN_DB
        full = targets[:, 1, 2].numpy() == 1
        assert full.sum() == 4
        assert (values[full] <= 3.001).all()
        assert (values[~full] >= 3.999).all()
        mixed += int((np.abs(values - values.round()) > 1e-3).sum())
    assert mixed > 50


def test_known_labels_are_none_where_nothing_is_missing() -> None:
    assert fitting.known_labels(["a", "a"], ["sad", "calm"], ["sad", "calm"]) is None


def test_a_network_of_both_hears_what_only_one_has(joined: Corpus, tmp_path: Path) -> None:
    recipe = shrunk("cnn")
    cache = FeatureCache(tmp_path / "features")
    split = make_split(joined, "speaker", n_folds=3)
    run = run_evaluation(recipe, joined, split, tmp_path / "run", folds=[0], cache=cache)
    assert set(run.results["metrics"]["groups"]["corpus"]) == {"ravdess", "crema_d"}
    assert run.results["corpus"] == "ravdess+crema_d speech"
    fitted = train_final(recipe, joined, cache=cache).steps[-1][1]
    assert isinstance(fitted, LogMelCNN)
    assert list(fitted.classes_) == list(LABELS)


def test_copies_make_the_parts_of_a_joined_corpus_equally_large(joined: Corpus) -> None:
    recipe = parse_recipe(QUICK_TEXT + '[augment]\nchains = ["noise", "gain"]\ncopies = 5\n')
    gets = copies_of(joined, recipe)
    own = (joined.table["corpus"] == "crema_d").to_numpy()
    small, large = sorted([own.sum(), (~own).sum()])
    assert (small, large) == (own.sum(), (~own).sum())
    assert gets[own].all(axis=None)
    (each,) = gets[~own].sum(axis=1).unique()
    assert 6 * small <= (1 + each) * large < 6 * small + large
    assert np.ptp(gets[~own].sum(axis=0)) <= 1
    alone = joined.table[~own]
    assert copies_of(Corpus("ravdess", joined.root, alone, "", ""), recipe).all(axis=None)


def test_clips_of_a_corpus_without_a_label_do_not_teach_it() -> None:
    """All clips sound alike; those of the second corpus could never be calm, and must not make calm less likely."""
    rng = np.random.default_rng(0)
    sound = rng.normal(-35, 20, (16, 24))
    X = np.empty(48, object)
    X[:] = [(sound + rng.normal(size=(16, 24))).astype(np.float32) for _ in range(48)]
    y = np.array((["calm", "sad"] * 8) + ["sad"] * 32)
    known = np.ones((48, 2), bool)
    known[16:, 0] = False
    plain = {"mixup": 0.0, "mel_shift": 0.0, "time_warp": 0.0, "colour": 0.0, "mask_bands": 0, "mask_frames": 0}
    options = {"width": 8, "dropout": 0.0, "epochs": 30, "batch_size": 16, "learning_rate": 1e-3, "crop": 24, **plain}

    def calm(known: np.ndarray | None) -> float:
        return float(LogMelCNN(["calm", "sad"], **options).fit(X, y, known=known).predict_proba(X)[:, 0].mean())

    assert calm(None) < 0.32
    assert 0.4 < calm(known) < 0.6


@pytest.mark.parametrize("options", [{}, {"loss": "focal"}, {"label_smoothing": 0.1, "mixup": 0.2}], ids=str)
def test_vectors_of_corpora_without_a_label_do_not_move_it(options: dict[str, Any]) -> None:
    """No clip could be calm: its weights stay as they were drawn, and those of the other labels do not."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(32, 4)).astype(np.float32), np.array(["sad", "angry"] * 16)
    labels, known = ["sad", "calm", "angry"], np.tile([True, False, True], (32, 1))

    def weights(known: np.ndarray | None, epochs: int) -> np.ndarray:
        model = DeepClassifier(labels, net={"hidden": [4]}, epochs=epochs, batch_size=16, device="cpu", **options)
        layers = [layer for layer in model.fit(X, y, known=known).net_.module_.modules() if hasattr(layer, "bias")]
        return np.column_stack([layers[-1].weight.detach().numpy(), layers[-1].bias.detach().numpy()])

    moved = [(weights(which, 1) != weights(which, 3)).all(1).tolist() for which in (None, known)]
    assert moved == [[True, True, True], [True, False, True]]
    assert (weights(known, 1)[1] == weights(known, 3)[1]).all()


def test_the_validation_loss_of_a_network_is_over_the_labels_of_each_corpus() -> None:
    rng = np.random.default_rng(0)
    labels = ["sad", "calm", "angry"]
    X, y = rng.normal(size=(30, 3)).astype(np.float32), np.repeat(labels, 10)
    X_val, y_val = rng.normal(size=(8, 3)).astype(np.float32), np.array(["sad", "angry"] * 4)
    known = np.tile([True, False, True], (8, 1))
    model = DeepClassifier(labels, net={"hidden": [4]}, epochs=3, device="cpu")
    model.fit(X, y, validation=(X_val, y_val), validation_known=known)
    targets, logits = np.array([0, 2] * 4), model._logits(X_val)
    last = {name: model.history_[-1][name] for name in ("validation_loss", "uar")}
    assert last == score(np.where(known, logits, np.float32(UNKNOWN)), targets)
    alone = score(logits[:, [0, 2]], targets // 2)
    assert last == pytest.approx(alone, rel=1e-6)
    assert last["validation_loss"] < 0.95 * score(logits, targets)["validation_loss"]


def test_a_clip_that_smote_makes_counts_against_what_all_corpora_of_its_label_have() -> None:
    rng = np.random.default_rng(0)
    text = QUICK_TEXT.replace('"logistic"', '"dense"\nparams = { epochs = 1, net = { hidden = [4] } }')
    pipeline = fitting.make_pipeline(
        parse_recipe(text + '[balance]\nkind = "smote"\n'), ["sad", "calm", "angry"], seed=0
    )
    y = np.array(["sad"] * 20 + ["calm"] * 8)
    known = np.ones((28, 3), bool)
    known[20:23, 2] = False  # three of the eight clips that are copied are from a corpus without angry
    heard: list[np.ndarray] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeepClassifier, "fit", lambda self, X, y, known, **rest: heard.append(known))
        fitting.fit(pipeline, rng.normal(size=(28, 3)), y, known=known)
    np.testing.assert_array_equal(heard[0], np.vstack([known, [[True, True, False]] * 12]))


def test_each_clip_is_scored_over_the_labels_of_its_corpus(
    joined: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw: list[np.ndarray] = []
    answer = fitting.label_probabilities

    def keep(*args: Any) -> np.ndarray:
        raw.append(answer(*args))
        return raw[-1]

    monkeypatch.setattr(fitting, "label_probabilities", keep)
    split = make_split(joined, "speaker", n_folds=3)
    cache = FeatureCache(tmp_path / "features")
    run = run_evaluation(shrunk("s0-forest"), joined, split, tmp_path / "run", folds=[0], cache=cache)
    table = run.predictions
    p = table[[f"p_{label}" for label in LABELS]].to_numpy()
    crema = (table["corpus"] == "crema_d").to_numpy()
    six = np.isin(LABELS, ["neutral", "happy", "sad", "angry", "fearful", "disgust"])
    assert 0 < crema.sum() < len(table)
    assert (raw[0][crema][:, ~six] > 0).any()
    assert (p[crema][:, ~six] == 0).all()
    np.testing.assert_allclose(p[crema][:, six], raw[0][crema][:, six] / raw[0][crema][:, six].sum(1, keepdims=True))
    np.testing.assert_array_equal(p[~crema], raw[0][~crema])
    assert (table["predicted"] == np.array(LABELS)[p.argmax(1)]).all()
    group = run.results["metrics"]["groups"]["corpus"]["crema_d"]
    rows = table[crema]
    assert group["classes"] == 6
    assert group["uar"] == pytest.approx(balanced_accuracy_score(rows["emotion"], rows["predicted"]))


def test_folds_that_were_scored_otherwise_do_not_join(joined: Corpus, tmp_path: Path) -> None:
    recipe, split = shrunk("s0-forest"), make_split(joined, "speaker", n_folds=3)
    run_folder.start(tmp_path / "run", recipe, joined, split, resume=False)
    file = tmp_path / "run" / "run.json"
    state = json.loads(file.read_text())
    del state["way of scoring"]  # as a version wrote it that scored all clips over all labels
    file.write_text(json.dumps(state))
    with pytest.raises(TrainingError, match="started with another way of scoring: resume it with the same one, or use"):
        run_evaluation(recipe, joined, split, tmp_path / "run", resume=True)


@pytest.mark.ravdess
def test_real_corpora_join(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERKIT_CACHE", str(shared_cache))
    corpus = read_corpus(os.environ["SERKIT_DATA"], kind="ravdess+crema_d", channel="speech")
    assert corpus.table["corpus"].value_counts().to_dict() == {"crema_d": 7435, "ravdess": 1440}
