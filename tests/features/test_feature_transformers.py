"""The features inside scikit-learn: constructor contract, pipelines, search, names."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from serkit import features as F
from serkit.audio import Waveform, Window
from serkit.errors import AudioError, FeatureError
from serkit.features import FEATURES, transformers
from serkit.features.transformers import MFCC, RMS, Chroma, Features, SpectralContrast, Tempo
from tests.conftest import voice

SINGLE = {name: getattr(transformers, name) for name in transformers.__all__ if name != "Features"}
CLIPS = [
    Waveform(voice(emotion, speaker, seconds=0.5, seed=take), 16000)
    for emotion in (2, 7)
    for speaker in (1, 2, 3)
    for take in (0, 1)
]
LABELS = ["calm"] * 6 + ["disgust"] * 6


def test_there_is_one_transformer_per_feature() -> None:
    assert {cls._feature for cls in SINGLE.values()} == set(FEATURES)


@pytest.mark.parametrize("name", sorted(SINGLE))
def test_each_keeps_the_estimator_contract(name: str) -> None:
    cls = SINGLE[name]
    estimator = cls()
    feature = FEATURES[cls._feature]
    defaults = {key: parameter.default for key, parameter in feature.parameters.items()}
    params = estimator.get_params()
    assert {key: params[key] for key in defaults} == defaults
    shared = {"sample_rate", "window", "layout", "n_fft", "hop_length", "win_length"}
    assert set(params) == shared | set(defaults)
    estimator.set_params(sample_rate=16000, window=Window(length=0.25))
    twin = clone(estimator)
    assert twin is not estimator
    assert twin.get_params() == estimator.get_params()
    matrix = twin.fit(CLIPS[:2]).transform(CLIPS[:2])
    assert matrix.shape == (2, len(twin.get_feature_names_out()))
    again = pickle.loads(pickle.dumps(twin))
    np.testing.assert_array_equal(again.transform(CLIPS[:2]), matrix)
    with pytest.raises(TypeError, match="n_mffc"):
        cls(n_mffc=3)


def test_a_feature_with_a_window_of_its_own_keeps_its_length() -> None:
    wave = CLIPS[0]
    made = transformers.WindowedLogMel(win_length=400, n_mels=40, sample_rate=16000, layout="frames").transform([wave])
    np.testing.assert_array_equal(made[0], F.windowed_log_mel(wave, win_length=400, n_mels=40))


def test_values_are_those_of_the_functions() -> None:
    matrix = MFCC(n_mfcc=13, sample_rate=16000).fit_transform(CLIPS[:2])
    for row, clip in zip(matrix, CLIPS[:2], strict=True):
        cepstrum = F.mfcc(clip, n_mfcc=13).astype(float)
        np.testing.assert_allclose(row, np.concatenate([cepstrum.mean(axis=1), cepstrum.std(axis=1)]), rtol=1e-5)
    names = MFCC(n_mfcc=13).get_feature_names_out()
    assert (names[0], names[13]) == ("mfcc_0_mean", "mfcc_0_std")


def test_frames_give_one_matrix_per_clip() -> None:
    assert Chroma(layout="frames", sample_rate=16000).transform(CLIPS[:3]).shape == (3, 12, 16)


def test_paths_and_waveforms_give_the_same(tmp_path: Path) -> None:
    paths = []
    for i, clip in enumerate(CLIPS[:2]):
        paths.append(tmp_path / f"{i}.wav")
        sf.write(paths[-1], clip.samples, clip.sample_rate, subtype="FLOAT")
    np.testing.assert_array_equal(RMS().transform(paths), RMS().transform(CLIPS[:2]))
    np.testing.assert_array_equal(RMS().transform([str(p) for p in paths]), RMS().transform(CLIPS[:2]))


def test_pipeline_and_search_vary_the_parameters_of_a_feature() -> None:
    pipeline = Pipeline([("features", MFCC()), ("scale", StandardScaler()), ("model", LogisticRegression())])
    grid: dict[str, list[Any]] = {"features__n_mfcc": [2, 13], "features__layout": ["mean_std"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(CLIPS, LABELS)
    assert len(search.cv_results_["params"]) == 2
    assert search.best_estimator_.named_steps["model"].n_features_in_ == 2 * search.best_params_["features__n_mfcc"]
    assert search.predict(CLIPS).tolist() == LABELS


def test_search_over_whole_extractors() -> None:
    pipeline = make_pipeline(Features(F.s1()), StandardScaler(), LogisticRegression())
    search = GridSearchCV(pipeline, {"features__extractor": [F.s1(), F.s0()]}, cv=2, error_score="raise")
    search.fit(CLIPS[::2], LABELS[::2])
    assert search.cv_results_["mean_test_score"].shape == (2,)
    assert clone(pipeline).named_steps["features"].extractor == F.s1()
    assert pipeline[:1].get_feature_names_out().tolist() == F.s1().feature_names()


def test_union_of_features_names_its_columns() -> None:
    union = FeatureUnion([("contrast", SpectralContrast()), ("tempo", Tempo())])
    assert union.fit_transform(CLIPS[:2], None).shape == (2, 15)
    assert union.get_feature_names_out()[-1] == "tempo__tempo"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: MFCC(n_mfcc=200).fit(CLIPS), FeatureError, "n_mfcc=200 .* n_mels=128"),
        (lambda: Features("s1").fit(CLIPS), FeatureError, "takes an Extractor, got str"),
        (lambda: MFCC().transform(CLIPS[0]), FeatureError, "sequence of clips, got a single clip"),
        (lambda: MFCC().transform("clip.wav"), FeatureError, "sequence of clips, got a single clip"),
        (lambda: MFCC().transform([]), FeatureError, "at least one clip, got none"),
        (lambda: MFCC().transform(["missing.wav"]), AudioError, "missing.wav"),
        (
            lambda: MFCC(layout="flat", sample_rate=16000).transform(
                [CLIPS[0], Waveform(CLIPS[0].samples[:4000], 16000)]
            ),
            FeatureError,
            r"shapes \(160,\) to \(320,\) with layout 'flat': set the window's length",
        ),
    ],
)
def test_mistakes_are_sentences(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
