"""Recordings whose speech is known, and a detector that finds it exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import serkit
from serkit.audio.speech_frames import SpeechFrames

RATE = 16000
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.opus"))


class LoudFrames(SpeechFrames):
    """A detector whose answers are known: what is louder than 1e-5 is speech."""

    def _run(self, count: int) -> np.ndarray:
        sound, self._held = self._held[: count * 512].reshape(count, 512), self._held[count * 512 :].copy()
        return (np.sqrt(np.mean(np.square(sound), axis=1)) > 1e-5).astype(np.float32)


def noise(seconds: float, level: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (level * rng.uniform(-1, 1, round(seconds * RATE))).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def joined(*pieces: np.ndarray) -> np.ndarray:
    return np.concatenate(pieces)


def timeline_of(recognizer: serkit.Recognizer, source: Any, **how: Any) -> serkit.Timeline:
    """The timeline of a recording in which all that is loud is speech."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serkit.recognition.listening.SpeechFrames", LoudFrames)
        return recognizer.timeline(source, **how)
