"""The log-mel CNN: learns, repeats itself, pads without harm, calibrates, and becomes one waveform graph."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss

from serkit.audio import Waveform
from serkit.errors import BundleError, TrainingError
from serkit.features import Extractor
from serkit.models.batches import Clips, FrameBatches
from serkit.models.cnn import LogMelCNN
from serkit.models.loop import fit_temperature
from serkit.models.resnet import MEAN_DB, SCALE_DB, Average, ResNetASP, scale
from tests.conftest import voice

LABELS = ["neutral", "happy", "angry"]


def extractor(**window: object) -> Extractor:
    return Extractor.from_dict(
        {
            "sample_rate": 16000,
            "window": {"trim_db": 45.0, "level": "peak", **window},
            "features": [{"name": "log_mel", "params": {"n_mels": 64, "fmin": 40.0, "fmax": 8000.0}}],
            "layout": "frames",
            "n_fft": 512,
            "win_length": 400,
            "hop_length": 160,
        }
    )


def two_windows() -> Extractor:
    """25 and 100 ms, one spectrogram above the other."""
    params = {"n_mels": 24, "fmin": 40.0, "fmax": 8000.0}
    rows = [{"name": "windowed_log_mel", "params": {**params, "win_length": n}} for n in (400, 1600)]
    return Extractor.from_dict({**extractor().to_dict(), "features": rows, "n_fft": 2048, "hop_length": 320})


def clips(n: int, *, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Clips of 40 to 80 frames whose class is the place of a bright band."""
    rng = np.random.default_rng(seed)
    X = np.empty(n, dtype=object)
    y = [LABELS[k % 3] for k in range(n)]
    for k in range(n):
        X[k] = rng.normal(-40, 3, (64, int(rng.integers(40, 80)))).astype(np.float32)
        beat = 10 * np.sin(np.arange(X[k].shape[1]) / 2)
        X[k][10 + 18 * (k % 3) : 20 + 18 * (k % 3)] += beat.astype(np.float32)
    return X, y


def small(**changes: object) -> LogMelCNN:
    params = {"width": 4, "epochs": 6, "batch_size": 16, "crop": 48, "seed": 3, "device": "cpu"}
    return LogMelCNN(LABELS, **{**params, **changes})


@pytest.fixture(scope="module")
def fitted() -> LogMelCNN:
    X, y = clips(96)
    return small(epochs=12).fit(X, y, validation=clips(30, seed=1))


@pytest.fixture(scope="module")
def session(fitted: LogMelCNN) -> ort.InferenceSession:
    """The waveform graph of `fitted`; torch takes seconds to export it."""
    return ort.InferenceSession(fitted.to_onnx(extractor()).SerializeToString())


def test_learns_classes_it_can_hear(fitted: LogMelCNN) -> None:
    X, y = clips(60, seed=2)
    assert np.mean(fitted.predict(X) == np.array(y)) > 0.9


def test_probabilities_sum_to_one_in_the_order_of_labels(fitted: LogMelCNN) -> None:
    X, _ = clips(9, seed=4)
    p = fitted.predict_proba(X)
    assert p.shape == (9, 3)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    assert list(fitted.classes_) == LABELS
    np.testing.assert_array_equal(fitted.predict(X), np.array(LABELS)[p.argmax(1)])


def test_same_seed_same_model_other_seed_other_model() -> None:
    X, y = clips(48)
    one, two, other = (small(epochs=2, seed=s).fit(X, y).predict_proba(X) for s in (3, 3, 4))
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 1e-3


def test_training_leaves_the_global_random_state_alone() -> None:
    X, y = clips(48)
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    small(epochs=1).fit(X, y)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_a_clip_scores_the_same_alone_and_among_longer_ones(fitted: LogMelCNN) -> None:
    X, _ = clips(8, seed=5)
    alone = np.concatenate([fitted.predict_proba(X[k : k + 1]) for k in range(8)])
    np.testing.assert_allclose(fitted.predict_proba(X), alone, atol=1e-6)


def test_batches_for_the_curves_come_close(fitted: LogMelCNN) -> None:
    X, _ = clips(8, seed=5)
    padded = fitted._logits(fitted.net_, X, batch_size=8)
    np.testing.assert_array_equal(padded.argmax(1), fitted._logits(fitted.net_, X).argmax(1))


def test_order_of_clips_does_not_matter(fitted: LogMelCNN) -> None:
    X, _ = clips(8, seed=5)
    np.testing.assert_allclose(fitted.predict_proba(X[::-1]), fitted.predict_proba(X)[::-1], atol=1e-6)


def test_history_has_loss_and_validation_uar_for_each_epoch(fitted: LogMelCNN) -> None:
    assert [row["epoch"] for row in fitted.history_] == list(range(1, 13))
    assert set(fitted.history_[0]) == {"epoch", "loss", "validation_loss", "uar"}
    assert fitted.history_[-1]["loss"] < fitted.history_[0]["loss"]


def test_progress_hears_of_each_epoch() -> None:
    rows: list[dict] = []
    X, y = clips(32)
    small(epochs=3).fit(X, y, progress=rows.append)
    assert [(row["epoch"], row["epochs"]) for row in rows] == [(1, 3), (2, 3), (3, 3)]


def test_temperature_minimises_validation_loss() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (3000, 4))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = np.array([rng.choice(4, p=row) for row in p])
    t = fit_temperature(3 * logits, targets)  # three times too sure
    assert t == pytest.approx(3, abs=0.2)
    grid = [log_loss(targets, np.exp(3 * logits / s) / np.exp(3 * logits / s).sum(1, keepdims=True)) for s in (t, 1, 5)]
    assert grid[0] == min(grid)


def test_unknown_label_and_mixed_bands_are_refused() -> None:
    X, y = clips(12)
    with pytest.raises(TrainingError, match="bored"):
        small().fit(X, ["bored", *y[1:]])
    X[3] = X[3][:32]
    with pytest.raises(TrainingError, match="32, 64"):
        small().fit(X, y)


def test_without_validation_the_temperature_is_the_one_that_was_set() -> None:
    X, y = clips(24)
    plain, cool = (small(epochs=1, temperature=t).fit(X, y) for t in (1.0, 0.5))
    squared = plain.predict_proba(X).astype(float) ** 2
    np.testing.assert_allclose(cool.predict_proba(X), squared / squared.sum(1, keepdims=True), atol=1e-5)
    fitted = small(epochs=1, temperature=0.5).fit(X, y, validation=(X, y))
    assert fitted.temperature_ == small(epochs=1).fit(X, y, validation=(X, y)).temperature_


def test_clone_keeps_parameters() -> None:
    assert clone(small(width=5)).get_params() == small(width=5).get_params()


def batches(clips: Clips, seed: int = 0, **options: object) -> list[tuple[dict[str, torch.Tensor], torch.Tensor]]:
    settings = {"batch_size": len(clips), "windows": 1, "crop": 48, **options}
    return list(FrameBatches(clips, rng=np.random.default_rng(seed), **settings))


def test_variants_are_seeded_and_never_longer_than_the_crop() -> None:
    X, _ = clips(6)
    options = {
        "crop": 30,
        "mel_shift": 3.0,
        "time_warp": 0.2,
        "colour": 1.5,
        "noise": 0.5,
        "mask_bands": 8,
        "mask_frames": 10,
    }
    data = Clips(X, np.zeros(6, int), n_classes=3)
    one, two, other = (batches(data, seed, **options)[0][0] for seed in (0, 0, 1))
    assert one["x"].shape == (6, 64, 30)
    assert (one["lengths"] == 30).all()
    assert torch.equal(one["x"], two["x"])
    assert not torch.equal(one["x"], other["x"])


def test_without_options_a_batch_is_the_scaled_clips_with_zeros_behind() -> None:
    X, _ = clips(6)
    ((inputs, targets),) = batches(Clips(X, np.arange(6), n_classes=6), crop=1000)
    for x, length, target in zip(inputs["x"], inputs["lengths"], targets[:, 0], strict=True):
        clip = X[int(target.argmax())]
        assert length == clip.shape[1]
        np.testing.assert_allclose(x[:, :length], (clip - MEAN_DB) / SCALE_DB, atol=2e-3)  # float16
        assert (x[:, length:] == 0).all()


def test_a_shift_of_whole_bands_and_a_tempo_move_the_axes_of_every_spectrogram() -> None:
    """Against NumPy's own interpolation, with the draws of the same generator."""
    rng = np.random.default_rng(7)
    clip = rng.normal(-40, 5, (8, 60)).astype(np.float16).astype(np.float32)
    both = np.concatenate([clip, clip + 3])
    options = {"mel_shift": 1.0, "time_warp": 0.3, "colour": 2.0, "windows": 2}
    ((inputs, _),) = batches(Clips([both], np.zeros(1, int), n_classes=1), 5, **options)
    draws = np.random.default_rng(5)
    draws.permutation(1)
    tempo, shift = np.exp(0.3 * draws.normal(size=1)[0]), draws.normal(size=1)[0]
    start = draws.uniform(size=1)[0] * max(60 - 48 * tempo, 0)
    length = min(48, int((60 - start) / tempo))
    assert inputs["lengths"].tolist() == [length]
    at = np.minimum(start + tempo * np.arange(length), 59)
    moved = np.array([np.interp(at, np.arange(60), row) for row in clip])
    bands = np.clip(np.arange(8) + shift, 0, 7)
    moved = np.array([np.interp(bands, np.arange(8), column) for column in moved.T]).T
    got = [inputs["x"][0, 8 * k : 8 * k + 8].numpy() * SCALE_DB + MEAN_DB for k in range(2)]
    np.testing.assert_allclose(got[1], got[0] + 3, atol=0.02)
    colour = got[0] - moved
    np.testing.assert_allclose(colour, np.repeat(colour[:, :1], length, 1), atol=0.02)
    waves = np.cos(np.pi * np.outer(np.arange(1, 5), np.arange(8) + 0.5) / 8)
    np.testing.assert_allclose(waves.T @ np.linalg.lstsq(waves.T, colour[:, 0], rcond=None)[0], colour[:, 0], atol=0.02)
    assert 0.1 < np.abs(colour).max() < 10


def test_colours_have_the_standard_deviation_that_is_asked_for() -> None:
    data = Clips([np.zeros((32, 10))] * 4000, np.zeros(4000, int), n_classes=1)
    ((inputs, _),) = batches(data, colour=3.0)
    curves = inputs["x"][:, :, 0].numpy() * SCALE_DB + MEAN_DB
    assert np.sqrt((curves**2).mean()) == pytest.approx(3.0, rel=0.03)
    assert np.abs(np.diff(curves, axis=1)).max() < 8


def test_noise_covers_what_is_quieter_than_it_in_as_many_clips_as_asked_for() -> None:
    clip = np.full((16, 12), -110.0)
    clip[5, 3:6] = 10.0
    ((inputs, _),) = batches(Clips([clip] * 400, np.zeros(400, int), n_classes=1), noise=0.25)
    got = inputs["x"].numpy() * SCALE_DB + MEAN_DB
    np.testing.assert_allclose(got[:, 5, 3:6], 10, atol=0.5)
    floor = np.delete(got, 5, axis=1).mean((1, 2))
    noisy = floor > -109
    assert noisy.mean() == pytest.approx(0.25, abs=0.06)
    np.testing.assert_allclose(floor[~noisy], -110, atol=0.1)
    assert (np.abs(floor[noisy] - (-42.5 + 10)) < 17.5 + 3).all()
    assert 30 < np.ptp(floor[noisy]) < 41


def test_still_clips_keep_their_axes() -> None:
    X, _ = clips(8)
    still = np.arange(8) < 4
    data = Clips([clip[:, :40] for clip in X], np.arange(8), n_classes=8, still=still)
    ((inputs, targets),) = batches(data, mel_shift=3.0, time_warp=0.2)
    for x, target in zip(inputs["x"], targets[:, 0], strict=True):
        k = int(target.argmax())
        same = np.allclose(x[:, :20], scale(X[k][:, :20]), atol=2e-3)
        assert same == still[k]


def test_an_epoch_takes_as_many_clips_of_each_corpus_as_the_smallest_has() -> None:
    corpora = np.array(["large"] * 30 + ["small"] * 6)
    data = Clips([np.full((4, 9), 10.0 * k) for k in range(36)], np.arange(36), n_classes=36, corpora=corpora)
    assert data.epoch == 12
    drawn = [data.order(np.random.default_rng(seed)) for seed in range(60)]
    for order in drawn:
        assert sorted(order[order >= 30]) == list(range(30, 36))
        assert len(set(order[order < 30])) == 6
    assert len(set(np.concatenate(drawn))) == 36
    assert [len(x["x"]) for x, _ in batches(data, batch_size=4)] == [4, 4, 4]


def test_song_is_still_where_the_corpus_says_so_and_the_recipe_wants_it() -> None:
    X, y = clips(48)
    song = np.array(["song"] * 48)
    plain = small(epochs=1).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(small(epochs=1).fit(X, y, channels=np.array(["speech"] * 48)).predict_proba(X), plain)
    np.testing.assert_array_equal(small(epochs=1, keep_song=False).fit(X, y, channels=song).predict_proba(X), plain)
    assert np.abs(small(epochs=1).fit(X, y, channels=song).predict_proba(X) - plain).max() > 1e-4


def test_masks_are_never_wider_than_the_clip() -> None:
    X, y = clips(32)
    small(epochs=1, mask_bands=500, mask_frames=500).fit(X, y)


def test_mixup_keeps_targets_a_distribution_and_mixes_what_it_says() -> None:
    data = Clips([np.full((4, 5), float(k)) for k in range(3)], np.arange(3), n_classes=3)
    ((inputs, both),) = batches(data, mixup=0.4)
    targets, known = both.unbind(1)
    assert (known == 1).all()
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
    # Every clip is a constant equal to its class, so the mixed constant is the expected class.
    constant = inputs["x"][:, 0, 0] * SCALE_DB + MEAN_DB
    np.testing.assert_allclose(constant, targets @ torch.arange(3.0), atol=1e-4)


def test_members_answer_with_the_mean_of_their_logits() -> None:
    X, y = clips(48)
    rows: list[dict] = []
    both = small(epochs=2, members=2).fit(X, y, progress=rows.append)
    assert [(row["epoch"], row["epochs"]) for row in rows] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert isinstance(both.net_, Average)
    apart = [both._logits(member, X) for member in both.net_.members]
    assert np.abs(apart[0] - apart[1]).max() > 1e-3
    np.testing.assert_allclose(both._logits(both.net_, X), (apart[0] + apart[1]) / 2, atol=1e-6)
    alone = small(epochs=2).fit(X, y)
    np.testing.assert_array_equal(alone._logits(alone.net_, X), apart[0])


@pytest.mark.parametrize("n_bands", [40, 64, 80])
def test_network_takes_any_number_of_frames(n_bands: int) -> None:
    net = ResNetASP(n_bands, 5, width=4).eval()
    for frames in (8, 33, 200):
        assert net(torch.zeros(1, n_bands, frames)).shape == (1, 5)


@pytest.mark.parametrize("level", ["none", "peak", "rms"])
@pytest.mark.parametrize("trim_db", [None, 45.0])
def test_frontend_graph_equals_the_extractor(level: str, trim_db: float | None) -> None:
    chosen = extractor(level=level, trim_db=trim_db)
    session = ort.InferenceSession(chosen.graph().SerializeToString())
    for emotion, seconds in ((1, 0.4), (5, 1.0), (7, 2.3)):
        quiet = np.zeros(8000, np.float32)
        samples = np.concatenate([quiet, 0.1 * voice(emotion, 2, seconds=seconds), quiet])
        expected = chosen(Waveform(samples, 16000))
        got = session.run(None, {"waveform": samples[None]})[0][0]
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, atol=5e-3)  # dB


@pytest.mark.parametrize(
    ("n_fft", "win_length", "hop_length"),
    [(512, 512, 128), (512, 401, 160), (512, 399, 161), (500, 400, 162), (1024, 640, 200), (502, None, 100)],
)
def test_frontend_graph_for_every_step_of_its_transform(n_fft: int, win_length: int | None, hop_length: int) -> None:
    settings = {"n_fft": n_fft, "win_length": win_length, "hop_length": hop_length}
    chosen = Extractor.from_dict({**extractor(trim_db=None).to_dict(), **settings})
    session = ort.InferenceSession(chosen.graph().SerializeToString())
    for n in (1600, 7999, 8000, 8001, 8002, 8003):  # the last frame begins before, at and after the end
        samples = 0.1 * voice(3, 1, seconds=1.0)[:n]
        expected = chosen(Waveform(samples, 16000))
        got = session.run(None, {"waveform": samples[None]})[0][0]
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, atol=5e-3)  # dB


def test_frontend_graph_of_several_windows() -> None:
    chosen = two_windows()
    session = ort.InferenceSession(chosen.graph().SerializeToString())
    samples = voice(3, 1, seconds=1.1)
    expected = chosen(Waveform(samples, 16000))
    assert expected.shape[0] == 48
    np.testing.assert_allclose(session.run(None, {"waveform": samples[None]})[0][0], expected, atol=5e-3)  # dB


def test_waveform_graph_of_several_windows_and_members_equals_the_estimator() -> None:
    chosen = two_windows()
    X = np.empty(16, dtype=object)
    X[:] = [chosen(Waveform(voice(1 + k % 3, k, seconds=0.5 + k / 20), 16000)) for k in range(16)]
    model = small(windows=2, members=2, epochs=2, batch_size=8).fit(X, [LABELS[k % 3] for k in range(16)])
    session = ort.InferenceSession(model.to_onnx(chosen).SerializeToString())
    samples = voice(2, 3, seconds=0.9)
    frames = np.empty(1, dtype=object)
    frames[0] = chosen(Waveform(samples, 16000))
    got = session.run(["probabilities"], {"waveform": samples[None]})[0]
    np.testing.assert_allclose(got, model.predict_proba(frames), atol=1e-4)
    with pytest.raises(TrainingError, match="48 rows do not divide into 5 spectrograms"):
        small(windows=5).fit(X, [LABELS[k % 3] for k in range(16)])


def test_frontend_graph_refuses_what_it_cannot_express() -> None:
    with pytest.raises(BundleError, match="length"):
        extractor(length=3.0).graph()


def test_waveform_graph_equals_the_estimator(fitted: LogMelCNN, session: ort.InferenceSession) -> None:
    chosen = extractor()
    for seed in range(5):
        samples = voice(1 + seed, seed, seconds=0.5 + 0.4 * seed)
        frames = np.empty(1, dtype=object)
        frames[0] = chosen(Waveform(samples, 16000))
        got = session.run(["probabilities"], {"waveform": samples[None]})[0]
        np.testing.assert_allclose(got, fitted.predict_proba(frames), atol=1e-4)


def test_waveform_graph_answers_silence_without_nan(session: ort.InferenceSession) -> None:
    p = session.run(None, {"waveform": np.zeros((1, 16000), np.float32)})[0]
    assert p.sum() == pytest.approx(1, abs=1e-5)
