"""The way of the field's baseline: openSMILE's 6,373 ComParE functionals and a linear support vector machine.

``make MODEL`` fits scaler and machine to made-up vectors, as only its speed matters here; ``predict MODEL CLIP`` prints
the emotion of a clip; ``serve MODEL CLIP`` answers clips on standard input, warm. It runs in its own environment
(smile.txt). Nothing of serkit is in it.
"""

from __future__ import annotations

import sys
from typing import Any

import joblib
import numpy as np

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
N_FEATURES = 6373


def make(path: str) -> None:
    """Fit to 400 made-up vectors."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(8), 50)
    X = rng.standard_normal((len(y), N_FEATURES)) + rng.standard_normal((8, N_FEATURES))[y] * 0.3
    joblib.dump(make_pipeline(StandardScaler(), LinearSVC()).fit(X, y), path)


def extractor() -> Any:
    """openSMILE, one thread."""
    import opensmile

    return opensmile.Smile(opensmile.FeatureSet.ComParE_2016, opensmile.FeatureLevel.Functionals, num_workers=1)


def predict(model: Any, smile: Any, path: str) -> str:
    """Name the emotion of a clip."""
    return EMOTIONS[int(model.predict(smile.process_file(path).to_numpy())[0])]


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    if command == "make":
        make(words[0])
    elif command == "predict":
        print(predict(joblib.load(words[0]), extractor(), words[1]))
    else:
        from service import serve

        parts = joblib.load(words[0]), extractor()
        serve(lambda path: predict(*parts, path), words[1])
