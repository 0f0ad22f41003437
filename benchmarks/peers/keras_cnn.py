"""The way of system S3, as its users run it: librosa's features of 2.5 s and a Keras CNN of 7.19 million parameters.

``make MODEL`` saves the network with random weights, as only its speed matters here; ``predict MODEL CLIP`` prints the
emotion of a clip; ``serve MODEL CLIP`` answers clips on standard input, warm; ``train STEPS BATCH`` prints the seconds
of training steps on synthetic vectors. It runs in its own environment (keras.txt). It contains nothing of serkit.
"""

from __future__ import annotations

import json
import os
import sys
from time import perf_counter
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
N_FEATURES = 2376


def build() -> Any:
    """The network: five convolutions along the vector, each with pooling and batch norm, then two dense layers."""
    model = keras.Sequential([keras.Input((N_FEATURES, 1))])
    for k, (channels, kernel) in enumerate(((512, 5), (512, 5), (256, 5), (256, 3), (128, 3))):
        model.add(keras.layers.Conv1D(channels, kernel, padding="same", activation="relu"))
        model.add(keras.layers.BatchNormalization())
        model.add(keras.layers.MaxPooling1D(5, strides=2, padding="same"))
        if k in (1, 2, 4):
            model.add(keras.layers.Dropout(0.2))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(512, activation="relu"))
    model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Dense(len(EMOTIONS), activation="softmax"))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model


def features(path: str) -> np.ndarray:
    """Zero crossings, RMS and 20 MFCC of 2.5 s from 0.6 s on, one after the other."""
    import librosa

    y, rate = librosa.load(path, duration=2.5, offset=0.6)
    y = librosa.util.fix_length(y, size=round(2.5 * rate))
    f = librosa.feature
    return np.concatenate([f.zero_crossing_rate(y).ravel(), f.rms(y=y).ravel(), f.mfcc(y=y, sr=rate).ravel()])


def predict(model: Any, mean: np.ndarray, scale: np.ndarray, path: str) -> str:
    """Name the emotion of a clip."""
    vector = (features(path) - mean) / scale
    return EMOTIONS[int(model.predict(vector[np.newaxis, :, np.newaxis], verbose=0)[0].argmax())]


def load(path: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """Network, mean and scale."""
    scaler = np.load(f"{path}.npz")
    return keras.models.load_model(path), scaler["mean"], scaler["scale"]


def train(steps: int, batch: int) -> None:
    """Print parameters, and the seconds of `steps` steps after one that is not counted."""
    model = build()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, N_FEATURES, 1)).astype("float32")
    y = rng.integers(0, len(EMOTIONS), batch)
    seconds = []
    for _ in range(steps + 1):
        start = perf_counter()
        model.train_on_batch(x, y)
        seconds.append(perf_counter() - start)
    print(json.dumps({"parameters": model.count_params(), "seconds": seconds[1:]}))


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    if command == "make":
        build().save(words[0])
        np.savez(f"{words[0]}.npz", mean=np.zeros(N_FEATURES), scale=np.ones(N_FEATURES))
    elif command == "predict":
        print(predict(*load(words[0]), words[1]))
    elif command == "train":
        train(*map(int, words))
    else:
        from service import serve

        parts = load(words[0])
        serve(lambda path: predict(*parts, path), words[1])
