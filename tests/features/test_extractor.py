"""The extractor: layouts, names, JSON, key, and what it refuses before the first clip."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serkit import features as F
from serkit.audio import Waveform, Window, resample
from serkit.errors import AudioError, FeatureError
from serkit.features import Extractor, Feature
from tests.conftest import voice

RATE = 22050
WAVE = Waveform(voice(4, 1, seconds=1.5, rate=RATE), RATE)
FRAMEWISE = sorted(name for name, entry in F.FEATURES.items() if not entry.per_clip)


def test_s3_is_the_2376_vector() -> None:
    """ZCR, then RMS, then the MFCC matrix row after row, of 2.5 s from 0.6 s on, padded with zeros."""
    vector = F.s3()(WAVE)
    assert vector.shape == (2376,)
    cut = np.zeros(55125, np.float32)
    tail = WAVE.samples[13230:]
    cut[: tail.size] = tail
    analysis = F.Analysis(Waveform(cut, RATE))
    np.testing.assert_array_equal(vector[:108], F.zcr(analysis)[0])
    np.testing.assert_array_equal(vector[108:216], F.rms(analysis)[0])
    np.testing.assert_array_equal(vector[216:].reshape(20, 108), F.mfcc(analysis, n_mfcc=20))
    names = F.s3().feature_names()
    assert len(names) == 2376
    assert (names[0], names[108], names[216], names[-1]) == ("zcr_t0", "rms_t0", "mfcc_0_t0", "mfcc_19_t107")


def test_s3_of_a_clip_that_ends_before_its_offset_is_an_error() -> None:
    with pytest.raises(AudioError, match=r"nothing is left of a clip of 0\.500 s from 0\.6 s on"):
        F.s3()(Waveform(WAVE.samples[: RATE // 2], RATE))


def test_s0_vector_by_hand() -> None:
    vector, names = F.s0()(WAVE), F.s0().feature_names()
    assert vector.shape == (319,) == (len(names),)
    assert len(set(names)) == 319
    values = dict(zip(names, vector, strict=True))
    padded = Waveform(np.pad(WAVE.samples, (0, 3 * RATE - WAVE.samples.size)), RATE)
    for name, rows in (("mel", F.mel(padded)), ("mfcc", F.mfcc(padded, n_mfcc=13)), ("centroid", F.centroid(padded))):
        for i, row in enumerate(rows.astype(float)):
            stem = name if len(rows) == 1 else f"{name}_{i}"
            assert values[f"{stem}_mean"] == pytest.approx(row.sum() / row.size, rel=1e-6, abs=1e-12)
            assert values[f"{stem}_std"] == pytest.approx(
                np.sqrt(((row - row.mean()) ** 2).mean()), rel=1e-5, abs=1e-12
            )
    assert values["tempo"] == F.tempo(padded)[0, 0]
    assert values["chroma_G#_mean"] == pytest.approx(F.chroma(padded)[8].mean(), rel=1e-5)
    assert values["percussive_mean"] == pytest.approx(F.harmonic_percussive(padded)[1].mean(), rel=1e-5)


def test_s1_vector() -> None:
    vector, names = F.s1()(WAVE), F.s1().feature_names()
    assert vector.shape == (120,) == (len(names),)
    contrast = F.spectral_contrast(WAVE).astype(float)
    start = names.index("spectral_contrast_0_mean")
    np.testing.assert_allclose(vector[start : start + 7], contrast.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(vector[start + 7 : start + 14], contrast.std(axis=1), rtol=1e-5)
    assert names[start + 7] == "spectral_contrast_0_std"


def test_frames_stack_rows_in_order_and_names_follow() -> None:
    spec = [Feature("rms"), Feature("mfcc", {"n_mfcc": 3, "deltas": 2}), Feature("zcr")]
    extractor = Extractor(RATE, Window(), spec, "frames")
    matrix = extractor(WAVE)
    assert extractor.feature_names() == [
        "rms",
        *(f"mfcc_{i}" for i in range(3)),
        *(f"mfcc_{i}_delta" for i in range(3)),
        *(f"mfcc_{i}_delta2" for i in range(3)),
        "zcr",
    ]
    cepstrum = F.mfcc(WAVE, n_mfcc=3)
    want = [F.rms(WAVE), cepstrum, F.delta(cepstrum), F.delta(cepstrum, order=2), F.zcr(WAVE)]
    np.testing.assert_array_equal(matrix, np.concatenate(want))


def test_one_extractor_holds_several_windows_of_the_same_frames() -> None:
    spec = [Feature("windowed_log_mel", {"win_length": w, "n_mels": 8}) for w in (256, 1024)]
    extractor = Extractor(16000, Window(length=0.5), spec, "frames", hop_length=256)
    assert extractor.feature_names() == [f"log_mel_w{w}_{i}" for w in (256, 1024) for i in range(8)]
    matrix = extractor(Waveform(voice(4, 1), 16000))
    assert matrix.shape == (16, 1 + 8000 // 256)
    for rows, win_length in ((matrix[:8], 256), (matrix[8:], 1024)):
        alone = Extractor(
            16000,
            Window(length=0.5),
            [Feature("log_mel", {"n_mels": 8})],
            "frames",
            hop_length=256,
            win_length=win_length,
        )
        np.testing.assert_array_equal(rows, alone(Waveform(voice(4, 1), 16000)))


@pytest.mark.parametrize("name", sorted(F.FEATURES))
@pytest.mark.parametrize("layout", F.LAYOUTS)
def test_every_feature_in_every_layout_has_as_many_names_as_values(name: str, layout: Any) -> None:
    if F.FEATURES[name].per_clip and layout == "frames":
        with pytest.raises(FeatureError, match=f"'{name}' has one value per clip"):
            Extractor(16000, Window(length=0.5), (Feature(name),), layout)
        return
    extractor = Extractor(16000, Window(length=0.5), (Feature(name),), layout)
    values = extractor(WAVE)
    assert len(values) == len(extractor.feature_names()) == len(set(extractor.feature_names()))
    assert values.dtype == np.float32
    if layout == "frames":
        assert values.shape[1] == extractor.n_frames == 1 + 8000 // 512


def test_net_extractor_resamples_and_cuts() -> None:
    feature = Feature("log_mel", {"n_mels": 64, "fmin": 40, "fmax": 8000})
    extractor = Extractor(16000, Window(length=1.0), (feature,), "frames", n_fft=512, win_length=400, hop_length=160)
    down = resample(WAVE, 16000)
    cut = Waveform(down.samples[:16000], 16000)
    analysis = F.Analysis(cut, n_fft=512, win_length=400, hop_length=160)
    np.testing.assert_array_equal(extractor(WAVE), F.log_mel(analysis, n_mels=64, fmin=40.0, fmax=8000.0))
    assert extractor(WAVE).shape == (64, 101)


extractors = st.builds(
    lambda rate, length, names, layout, hop, n_mfcc: Extractor(
        rate,
        Window(length=length, level="peak"),
        tuple(Feature(name, {"n_mfcc": n_mfcc} if name == "mfcc" else {}) for name in names),
        layout,
        hop_length=hop,
    ),
    st.sampled_from([16000, 22050]),
    st.sampled_from([0.5, 1.0, None]),
    st.lists(
        st.sampled_from([n for n in FRAMEWISE if n != "harmonic_percussive"]), min_size=1, max_size=4, unique=True
    ),
    st.sampled_from(F.LAYOUTS),
    st.sampled_from([256, 512]),
    st.integers(1, 40),
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(extractors)
def test_json_round_trip_keeps_value_hash_and_key(extractor: Extractor) -> None:
    again = Extractor.from_dict(json.loads(json.dumps(extractor.to_dict())))
    assert again == extractor
    assert hash(again) == hash(extractor)
    assert again.key == extractor.key
    assert len(extractor.key) == 16
    assert copy.deepcopy(extractor) == extractor == pickle.loads(pickle.dumps(extractor))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(extractors, extractors)
def test_keys_differ_exactly_where_the_extractors_do(a: Extractor, b: Extractor) -> None:
    assert (a.key == b.key) == (a == b)


@pytest.mark.parametrize(
    "change",
    [
        {"sample_rate": 16000},
        {"window": Window(length=2.0)},
        {"features": (Feature("mfcc", {"n_mfcc": 14}),)},
        {"layout": "frames"},
        {"n_fft": 1024},
        {"hop_length": 256},
        {"win_length": 1024},
        {"taper": "hamming"},
        {"center": False},
        {"pad_mode": "reflect"},
    ],
)
def test_every_setting_changes_the_key(change: dict[str, Any]) -> None:
    base = Extractor(RATE, Window(length=1.0), (Feature("mfcc", {"n_mfcc": 13}),), "mean_std")
    assert dataclasses.replace(base, **change).key != base.key


def test_the_version_of_the_features_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = F.s3().key
    monkeypatch.setattr("serkit.features.extractor.FEATURES_VERSION", F.FEATURES_VERSION + 1)
    assert F.s3().key != before


def test_what_computes_the_same_is_equal() -> None:
    assert Feature("mfcc") == Feature("mfcc", {"n_mfcc": 20}) == Feature("mfcc", {"n_mfcc": 20.0})
    assert Feature("mel", {"fmin": 0}) == Feature("mel", {"fmin": 0.0})
    assert type(Feature("mel", {"fmin": np.float32(20)}).params["fmin"]) is float
    assert Feature("mfcc") != Feature("mfcc", {"n_mfcc": 13})


def test_description_may_leave_defaults_out() -> None:
    short = Extractor.from_dict({"features": [{"name": "mfcc"}]})
    assert short == Extractor(22050, Window(), (Feature("mfcc"),), "mean_std")


def test_parameters_cannot_be_changed_behind_the_key() -> None:
    with pytest.raises(TypeError):
        F.s3().features[2].params["n_mfcc"] = 3  # type: ignore[index]


GOOD: dict[str, Any] = {"sample_rate": RATE, "window": {}, "features": [{"name": "mfcc"}], "layout": "mean_std"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": [{"name": "mffc"}]}, "Unknown feature 'mffc': did you mean 'mfcc'"),
        ({"features": [{"name": "xyz"}]}, "Unknown feature 'xyz': expected one of mfcc, chroma"),
        (
            {"features": [{"name": "mfcc", "params": {"nmfcc": 13}}]},
            "Unknown parameter 'nmfcc' .* did you mean 'n_mfcc'",
        ),
        (
            {"features": [{"name": "zcr", "params": {"hop": 3}}]},
            "Unknown parameter 'hop' of feature 'zcr': it takes none",
        ),
        (
            {"features": [{"name": "mfcc", "params": {"n_mfcc": 2.5}}]},
            "n_mfcc of feature 'mfcc' must be an integer, got 2.5",
        ),
        ({"features": [{"name": "mfcc", "params": {"n_mfcc": True}}]}, "must be an integer, got True"),
        (
            {"features": [{"name": "mel", "params": {"fmin": "20"}}]},
            "fmin of feature 'mel' must be a finite number, got '20'",
        ),
        ({"features": [{"name": "mel", "params": {"fmin": float("inf")}}]}, "must be a finite number, got inf"),
        (
            {"features": [{"name": "mel", "params": {"n_mels": None}}]},
            "n_mels of feature 'mel' must be an integer, got None",
        ),
        ({"features": [{"name": "mfcc", "params": 13}]}, "params of feature 'mfcc' must map names to values, got 13"),
        ({"features": [{"name": "mfcc", "param": {}}]}, "Unknown key 'param' .* did you mean 'params'"),
        ({"features": [{}]}, "lacks 'name'"),
        ({"features": ["mfcc"]}, "must be a table, got 'mfcc'"),
        ({"features": "mfcc"}, "must be a list, got 'mfcc'"),
        ({"features": []}, "at least one feature, got none"),
        ({"features": [{"name": "mfcc"}, {"name": "mfcc"}]}, "Two features give mfcc_0"),
        ({"features": [{"name": "mfcc", "params": {"n_mfcc": 129}}]}, "n_mfcc=129 .* n_mels=128"),
        ({"features": [{"name": "mel", "params": {"fmax": 16000}}]}, "fmax=16000 Hz is above half the sample rate"),
        (
            {"features": [{"name": "spectral_contrast"}], "sample_rate": 8000},
            "needs a sample rate above 12800 Hz, got 8000",
        ),
        (
            {"features": [{"name": "mfcc", "params": {"deltas": 1}}], "window": {"length": 0.1}},
            "at least 9 frames, got 5",
        ),
        ({"layout": "mean"}, "Unknown layout 'mean': did you mean 'mean_std'"),
        ({"hop_lenght": 256}, "Unknown key 'hop_lenght' .* did you mean 'hop_length'"),
        ({"hop_length": 0}, "hop_length must be a positive integer, got 0"),
        ({"sample_rate": "fast"}, "sample_rate must be a positive integer, got 'fast'"),
        ({"window": {"len": 3}}, "window of the extractor is not valid"),
    ],
)
def test_bad_descriptions_say_what_is_wrong(change: dict[str, Any], message: str) -> None:
    Extractor.from_dict(GOOD)
    with pytest.raises(FeatureError, match=message):
        Extractor.from_dict({**GOOD, **change})


def test_features_must_be_there() -> None:
    with pytest.raises(FeatureError, match="lacks 'features'"):
        Extractor.from_dict({"sample_rate": RATE})


def test_flat_names_need_a_fixed_length() -> None:
    with pytest.raises(FeatureError, match="set the window's length"):
        Extractor(RATE, Window(), (Feature("rms"),), "flat").feature_names()


def test_a_value_that_is_not_finite_is_an_error_not_a_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = Extractor(RATE, Window(), (Feature("zcr"), Feature("rms")), "mean_std")
    broken = dataclasses.replace(F.FEATURES["rms"], function=lambda source: np.full((1, 3), np.nan, np.float32))
    monkeypatch.setitem(F.FEATURES, "rms", broken)
    with pytest.raises(FeatureError, match=r"Feature 'rms' is not finite for this clip of 1\.500 s"):
        extractor(WAVE)


def test_a_clip_too_short_for_deltas_is_an_error() -> None:
    extractor = Extractor(RATE, Window(), (Feature("mfcc", {"deltas": 1}),), "mean_std")
    with pytest.raises(FeatureError, match="width=9 frames need a clip of at least 9 frames, got 5"):
        extractor(Waveform(WAVE.samples[:2205], RATE))


@pytest.mark.parametrize(
    ("layout", "length", "shape"),
    [
        ("frames", None, (5, None)),
        ("frames", 1.0, (5, 32)),
        ("mean_std", None, (10,)),
        ("flat", 1.0, (160,)),
        ("flat", None, (None,)),
    ],
)
def test_the_shape_is_known_before_the_first_clip(
    layout: str, length: float | None, shape: tuple[int | None, ...]
) -> None:
    features = [Feature("mfcc", {"n_mfcc": 4}), Feature("rms")]
    front: F.FrontEnd = Extractor(16000, Window(length=length), features, layout)  # type: ignore[arg-type]
    assert front.shape == shape
    given = front(Waveform(np.ones(16000, np.float32), 16000)).shape
    assert all(expected in (None, found) for expected, found in zip(shape, given, strict=True))
