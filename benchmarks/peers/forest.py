"""The way of system S1, as its users run it: librosa's features and a scikit-learn forest.

``python forest.py train MODEL SEED`` fits a forest on made-up vectors, as only its speed matters here;
``python forest.py predict MODEL CLIP`` prints the emotion of a clip. Nothing of serkit is in it.
"""

from __future__ import annotations

import sys
from typing import Any

import librosa
import numpy as np

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def s0_features(y: np.ndarray, rate: int) -> np.ndarray:
    """S0's 319 values: each feature by its own call, which computes its own spectrogram."""
    y = librosa.util.fix_length(y, size=3 * rate)
    f = librosa.feature
    rows = (
        f.mfcc(y=y, sr=rate, n_mfcc=13),
        f.chroma_stft(y=y, sr=rate),
        f.melspectrogram(y=y, sr=rate),
        f.spectral_centroid(y=y, sr=rate),
        f.spectral_bandwidth(y=y, sr=rate),
        f.spectral_rolloff(y=y, sr=rate),
        f.zero_crossing_rate(y),
    )
    harmonic, percussive = librosa.decompose.hpss(librosa.stft(y))
    energies = np.concatenate([f.rms(S=np.abs(harmonic)), f.rms(S=np.abs(percussive))])
    return np.concatenate([*map(_mean_std, rows), f.tempo(y=y, sr=rate), _mean_std(energies)])


def s1_features(y: np.ndarray, rate: int) -> np.ndarray:
    """S1's 120 values of the whole clip."""
    f = librosa.feature
    rows = (
        f.mfcc(y=y, sr=rate, n_mfcc=40),
        f.chroma_stft(y=y, sr=rate),
        f.spectral_contrast(y=y, sr=rate),
        f.spectral_centroid(y=y, sr=rate),
    )
    return np.concatenate([_mean_std(row) for row in rows])


def s3_features(y: np.ndarray, rate: int) -> np.ndarray:
    """S3's 2376 values of 2.5 s from 0.6 s on."""
    y = librosa.util.fix_length(y[round(0.6 * rate) :], size=round(2.5 * rate))
    f = librosa.feature
    return np.concatenate([f.zero_crossing_rate(y).ravel(), f.rms(y=y).ravel(), f.mfcc(y=y, sr=rate).ravel()])


def _mean_std(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows.mean(axis=1), rows.std(axis=1)])


def train(path: str, seed: int) -> None:
    """Fit a forest of 200 trees to 1,600 made-up vectors."""
    import joblib
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(8), 200)
    X = rng.standard_normal((len(y), 120)) + rng.standard_normal((8, 120))[y] * 0.3
    joblib.dump(RandomForestClassifier(n_estimators=200, n_jobs=1, random_state=seed).fit(X, y), path)


def predict(model: Any, path: str) -> str:
    """Name the emotion of a clip."""
    y, rate = librosa.load(path, sr=22050)
    return EMOTIONS[int(model.predict_proba(s1_features(y, int(rate))[np.newaxis])[0].argmax())]


if __name__ == "__main__":
    command, model_path, argument = sys.argv[1:]
    if command == "train":
        train(model_path, int(argument))
    else:
        import joblib

        print(predict(joblib.load(model_path), argument))
