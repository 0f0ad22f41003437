"""Recordings whose speech is known, and a detector that finds it exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from serkit.audio.speech_frames import SpeechFrames

RATE = 16000
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.opus"))


class LoudFrames(SpeechFrames):
    """A detector whose answers are known: what is louder than 0.001 is speech."""

    def _run(self, count: int) -> np.ndarray:
        sound, self._held = self._held[: count * 512].reshape(count, 512), self._held[count * 512 :].copy()
        return (np.sqrt(np.mean(np.square(sound), axis=1)) > 0.001).astype(np.float32)


def noise(seconds: float, level: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (level * rng.uniform(-1, 1, round(seconds * RATE))).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def joined(*pieces: np.ndarray) -> np.ndarray:
    return np.concatenate(pieces)
