"""The way of a user of Hugging Face: Whisper base through transformers and torch, frozen, and a logistic regression.

``make MODEL`` saves encoder and regression with random weights, as only their speed matters here; ``predict MODEL
CLIP`` prints the emotion of a clip; ``serve MODEL CLIP`` answers clips on standard input, warm. transformers pads every
clip to 30 s, as Whisper expects. It runs in its own environment (transformers.txt). Nothing of serkit is in it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import joblib
import librosa
import numpy as np
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
WIDTH = 512


def make(path: str) -> None:
    """Save an encoder of Whisper base's size, its feature extractor and a regression on made-up vectors."""
    from sklearn.linear_model import LogisticRegression

    config = WhisperConfig(
        d_model=WIDTH,
        encoder_layers=6,
        decoder_layers=1,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=64,
    )
    WhisperModel(config).save_pretrained(path)
    WhisperFeatureExtractor().save_pretrained(path)
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(8), 50)
    X = rng.standard_normal((len(y), WIDTH)) + rng.standard_normal((8, WIDTH))[y] * 0.3
    joblib.dump(LogisticRegression().fit(X, y), Path(path, "head.joblib"))


def load(path: str) -> tuple[Any, Any, Any]:
    """Feature extractor, encoder and head."""
    extractor = WhisperFeatureExtractor.from_pretrained(path)
    return extractor, WhisperModel.from_pretrained(path).encoder.eval(), joblib.load(Path(path, "head.joblib"))


def predict(extractor: Any, encoder: Any, head: Any, path: str) -> str:
    """Name the emotion of a clip."""
    y, rate = librosa.load(path, sr=16000)
    with torch.inference_mode():
        features = extractor(y, sampling_rate=rate, return_tensors="pt").input_features
        frames = encoder(features).last_hidden_state
    return EMOTIONS[int(head.predict(frames.mean(dim=1).numpy())[0])]


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    if command == "make":
        make(words[0])
    elif command == "predict":
        print(predict(*load(words[0]), words[1]))
    else:
        from service import serve

        parts = load(words[0])
        serve(lambda path: predict(*parts, path), words[1])
