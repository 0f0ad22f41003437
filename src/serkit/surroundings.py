"""Recordings of rooms and of backgrounds, from folders that the user names, and what they do to a clip."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

from serkit.audio import Waveform, find_audio, load
from serkit.errors import AudioError, TrainingError

__all__ = ["SNR_DB", "Surroundings", "in_background", "in_room"]

#: How far the background lies below the clip (dB of mean power): lowest and highest draw.
SNR_DB = (5.0, 20.0)


@dataclass(frozen=True)
class Surroundings:
    """The folders that the chains ``room`` and ``background`` take their recordings from.

    Attributes
    ----------
    room, background : str or None
        Paths, relative to the working directory; sub-folders count.
    """

    room: str | None = None
    background: str | None = None

    def files(self, kind: str) -> tuple[Path, ...]:
        """The recordings of ``"room"`` or ``"background"``, sorted.

        Raises
        ------
        TrainingError
            If the folder is missing, or holds no recording that can be read.
        """
        return _files(kind, getattr(self, kind))

    def digest(self, kind: str) -> str:
        """Sixteen hex digits of what is in the folder: names and bytes, not where it lies."""
        return _digest(kind, getattr(self, kind))


@lru_cache(maxsize=8)
def _files(kind: str, folder: str | None) -> tuple[Path, ...]:
    if folder is None:
        raise TrainingError(f"The chain '{kind}' needs {kind}_folder in the recipe's [augment]: name a folder.")
    if not Path(folder).is_dir():
        raise TrainingError(f"{kind}_folder = '{folder}' is no folder: name one with recordings.")
    files = tuple(sorted(find_audio(folder, recursive=True)))
    if not files:
        raise TrainingError(f"{kind}_folder = '{folder}' holds no recordings: put WAV or FLAC files into it.")
    for file in files:
        try:
            sound = load(file).samples
        except AudioError as error:
            raise TrainingError(f"{kind}_folder = '{folder}' holds a file that cannot be read: {error}") from error
        if not np.any(sound):
            raise TrainingError(f"{kind}_folder = '{folder}' holds a silent recording, {file.name}: remove it.")
    return files


@lru_cache(maxsize=8)
def _digest(kind: str, folder: str | None) -> str:
    total = hashlib.sha256()
    for file in _files(kind, folder):
        total.update(f"{file.relative_to(str(folder)).as_posix()}\0".encode("utf-8", "surrogateescape"))
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()[:16]


@lru_cache(maxsize=64)
def _sound(file: Path, rate: int) -> np.ndarray:
    return load(file, target_rate=rate).samples


def in_room(wave: Waveform, files: tuple[Path, ...], rng: np.random.Generator) -> Waveform:
    """``wave`` convolved with the impulse response in a drawn file; length and peak stay.

    The response starts at its loudest sample, so the clip is not moved.
    """
    response = _sound(files[int(rng.integers(len(files)))], wave.sample_rate)
    response = response[int(np.abs(response).argmax()) :]
    heard = fftconvolve(wave.samples, response)[: len(wave.samples)]
    peak = np.abs(heard).max()
    loud = np.abs(wave.samples).max() / peak if peak > 0 else 0.0
    return Waveform((heard * loud).astype(np.float32), wave.sample_rate)


def in_background(wave: Waveform, files: tuple[Path, ...], rng: np.random.Generator) -> Waveform:
    """``wave`` with a drawn stretch of a drawn file mixed in, at a level drawn from :data:`SNR_DB`.

    A recording shorter than the clip is repeated.
    """
    sound = _sound(files[int(rng.integers(len(files)))], wave.sample_rate)
    n = len(wave.samples)
    snr = rng.uniform(*SNR_DB)
    start = int(rng.integers(len(sound)))
    stretch = np.take(sound, np.arange(start, start + n), mode="wrap").astype(np.float64)
    power = np.mean(np.square(stretch))
    if power == 0:  # a silent stretch of a recording that is not silent
        return wave
    gain = np.sqrt(np.mean(np.square(wave.samples, dtype=np.float64)) / power / 10 ** (snr / 10))
    return Waveform((wave.samples + gain * stretch).astype(np.float32), wave.sample_rate)
