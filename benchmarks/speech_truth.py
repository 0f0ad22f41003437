"""Recordings whose speech and pauses are known: clips of several corpora, one after the other, with made pauses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from scipy.signal import butter, sosfilt

from serkit import audio

RATE = 16000
_CELL = RATE // 100  # 10 ms
_GAP = 0.2  # s; shorter gaps in a clip belong to its speech
_FLOOR = 1e-4  # level of the noise in a pause; full scale is 1


@dataclass(frozen=True)
class Made:
    """A recording and its truth.

    Attributes
    ----------
    samples : np.ndarray, float32, shape=(n,)
        At 16 kHz.
    speech : list of (float, float)
        Start and end of speech, s, by the level of the clean clips.
    clips : list of (float, float)
        First and last moment of speech of each clip, s; between two of them is a made pause.
    paths : list of Path
        The clips.
    """

    samples: np.ndarray
    speech: list[tuple[float, float]]
    clips: list[tuple[float, float]]
    paths: list[Path]


def choose(data: Path, count: int, seed: int = 0) -> list[Path]:
    """Take clips from each corpus, the same for the same seed."""
    folders = ("ravdess/speech", "ravdess/song", "crema_d", "nemo", "banglaser", "resd")
    rng = np.random.default_rng(seed)
    found: list[Path] = []
    for folder in folders:
        paths = sorted(p for p in (data / folder).rglob("*") if p.suffix in (".flac", ".opus", ".wav", ".ogg"))
        found += [paths[k] for k in rng.choice(len(paths), count // len(folders), replace=False)]
    return [found[k] for k in rng.permutation(len(found))]


def make(paths: Sequence[Path], seed: int = 0, pauses: tuple[float, float] = (0.3, 2.0)) -> Made:
    """Join clips, each cut to its speech and brought to one level, with pauses of these lengths."""
    rng = np.random.default_rng(seed)
    pieces, speech, clips, used = [_noise(rng, 1.0)], [], [], []
    at = len(pieces[0])
    for path in paths:
        samples = audio.load(path, target_rate=RATE).samples
        parts = by_level(samples)
        if not parts:
            continue
        first, last = parts[0][0], parts[-1][1]
        piece = samples[first:last] * (0.1 / np.sqrt(np.mean(np.square(samples[first:last]))))
        edge = np.minimum(np.minimum(np.arange(len(piece)), np.arange(len(piece))[::-1]) / (0.01 * RATE), 1)
        pieces.append((piece * edge).astype(np.float32) + _noise(rng, len(piece) / RATE)[: len(piece)])
        speech += [((at + a - first) / RATE, (at + b - first) / RATE) for a, b in parts]
        clips.append((at / RATE, (at + len(piece)) / RATE))
        used.append(path)
        pieces.append(_noise(rng, rng.uniform(*pauses)))
        at += len(piece) + len(pieces[-1])
    return Made(np.concatenate(pieces), speech, clips, used)


def by_level(samples: np.ndarray) -> list[tuple[int, int]]:
    """Where a clean clip is loud: within 32 dB of its loud cells and 8 dB above its background."""
    cells = samples[: len(samples) // _CELL * _CELL].reshape(-1, _CELL)
    level = 20 * np.log10(np.sqrt(np.mean(np.square(cells, dtype=np.float64), axis=1)) + 1e-9)
    limit = max(np.quantile(level, 0.95) - 32, np.quantile(level, 0.05) + 8)
    loud = level > min(limit, np.quantile(level, 0.95) - 12)
    steps = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    parts = [(a, b) for a, b in zip(steps[::2], steps[1::2], strict=True) if b - a >= 3]
    joined: list[tuple[int, int]] = []
    for a, b in parts:
        if joined and a - joined[-1][1] < _GAP * 100:
            joined[-1] = (joined[-1][0], b)
        else:
            joined.append((a, b))
    return [(a * _CELL, b * _CELL) for a, b in joined]


def _noise(rng: np.random.Generator, seconds: float) -> np.ndarray:
    return (_FLOOR * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def pink(n: int, seed: int = 1) -> np.ndarray:
    """Noise with as much energy in each octave, level 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    found = np.fft.irfft(spectrum, n)
    return (found / np.sqrt(np.mean(np.square(found)))).astype(np.float32)


def music(n: int, seed: int = 2) -> np.ndarray:
    """Chords and a melody of harmonic tones with a beat, level 1: like music, but without a voice."""
    rng = np.random.default_rng(seed)
    found = np.zeros(n)
    beat = round(0.4 * RATE)
    t = np.arange(beat * 4) / RATE
    for start in range(0, n, beat):
        bar = start // (beat * 4)
        root = 110 * 2 ** (rng.integers(0, 12) / 12) if start % (beat * 4) == 0 or bar == 0 else root  # noqa: F821
        notes = [(root * r, 0.5, beat * 4) for r in (1, 1.25, 1.5)] if start % (beat * 4) == 0 else []
        notes.append((root * 4 * 2 ** (rng.choice([0, 2, 4, 7, 9, 12]) / 12), 0.7, beat))
        for f0, gain, length in notes:
            here = t[: min(length, n - start)]
            tone = sum(np.sin(2 * np.pi * k * f0 * here) / k for k in range(1, 7) if k * f0 < 7000)
            found[start : start + len(here)] += gain * tone * np.exp(-here * 2.5) * np.minimum(here / 0.01, 1)
        hit = min(round(0.05 * RATE), n - start)
        found[start : start + hit] += rng.standard_normal(hit) * np.exp(-np.arange(hit) / 160)
    return (found / np.sqrt(np.mean(np.square(found)))).astype(np.float32)


def telephone(samples: np.ndarray) -> np.ndarray:
    """Through 300 to 3,400 Hz, 8 kHz and 8-bit mu-law."""
    narrow = sosfilt(butter(6, (300, 3400), "bandpass", fs=RATE, output="sos"), samples)
    low = np.clip(soxr.resample(narrow.astype(np.float32), RATE, 8000), -1, 1)
    coded = np.round(127 * np.sign(low) * np.log1p(255 * np.abs(low)) / np.log(256)) / 127
    back = np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255
    return np.resize(soxr.resample(back.astype(np.float32), 8000, RATE), len(samples))


def at_snr(samples: np.ndarray, other: np.ndarray, decibel: float) -> np.ndarray:
    """Add a sound of level 1 to speech of level 0.1."""
    return (samples + 0.1 * 10 ** (-decibel / 20) * other).astype(np.float32)


#: How the recording is spoilt: name -> function of its samples.
CONDITIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "clean": lambda samples: samples,
    "noise, 20 dB": lambda samples: at_snr(samples, pink(len(samples)), 20),
    "noise, 10 dB": lambda samples: at_snr(samples, pink(len(samples)), 10),
    "noise, 5 dB": lambda samples: at_snr(samples, pink(len(samples)), 5),
    "music behind, 10 dB": lambda samples: at_snr(samples, music(len(samples)), 10),
    "telephone": telephone,
    "30 dB quieter": lambda samples: 10**-1.5 * samples,
}
