"""Augmentation with room impulse responses and background noise from the user's folders."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from serkit.audio import AUDIO_SUFFIXES, Waveform, load
from serkit.errors import AudioError, CorpusError, TrainingError

__all__ = ["SNR_DB", "SoundFolder", "SoundFolders", "in_background", "in_room"]

#: Range of the signal-to-noise ratio, dB of mean power: lowest and highest draw.
SNR_DB = (5.0, 20.0)

# Extra seconds to read: resampling may lose a sample to rounding, and load needs at least 0.1 s.
_MARGIN = 0.15


@dataclass(frozen=True)
class SoundFolder:
    """The recordings below a folder, listed by :meth:`read`.

    Attributes
    ----------
    folder : Path
    files : tuple of str
        POSIX paths relative to ``folder``, sorted.
    durations : tuple of float
        Seconds, one per file.
    key : str
        SHA-256 (hex) of the names and the sound, not of the folder's location: with the same key, a seed draws the
        same sound.
    """

    folder: Path
    files: tuple[str, ...]
    durations: tuple[float, ...]
    key: str

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> SoundFolder:
        """List the recordings below ``folder``; each is decoded once, so a bad one is found before training.

        Parameters
        ----------
        folder : path
            Relative to the working directory. Includes sub-folders, but not hidden files.

        Raises
        ------
        TrainingError
            If there is no such folder or no recording in it, or one that cannot be read or is shorter than 0.1 s.
        """
        from serkit.corpora.digests import Clip, digest_clips
        from serkit.corpora.files import Store, list_audio

        root = Path(folder)
        if not root.is_dir():
            raise TrainingError(f"'{root}' is not a folder (relative to {Path.cwd()}): name one with recordings.")
        try:
            files = tuple(list_audio(root))
            digests = digest_clips(Store(root), [Clip(name) for name in files], progress=False)
        except CorpusError as error:
            raise TrainingError(str(error)) from error
        if not files:
            raise TrainingError(f"'{root}' contains no recordings ({', '.join(sorted(AUDIO_SUFFIXES))}): add some.")
        content = "\n".join(f"{digest.audio_hash} {name}" for name, digest in zip(files, digests, strict=True))
        key = hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()
        return cls(root, files, tuple(digest.end for digest in digests), key)

    def draw(self, rng: np.random.Generator, sample_rate: int) -> np.ndarray:
        """Return a random recording, float32 of shape (n,), at ``sample_rate`` (Hz).

        Raises
        ------
        AudioError
            If it cannot be read, or is silent.
        """
        at = int(rng.integers(len(self.files)))
        samples = self._load(at, sample_rate)
        if not samples.any():
            raise AudioError(f"{self.folder / self.files[at]} is silent: remove it from the folder.")
        return samples

    def draw_part(self, rng: np.random.Generator, size: int, sample_rate: int) -> np.ndarray:
        """Return ``size`` samples from a random position of a random recording; a shorter one is repeated."""
        at = int(rng.integers(len(self.files)))
        spare = self.durations[at] - size / sample_rate - _MARGIN
        if spare > 0:  # decode only what is needed, because backgrounds may be hours long
            part = self._load(at, sample_rate, offset=rng.uniform(0, spare), duration=size / sample_rate + _MARGIN)
            return part[:size]
        samples = self._load(at, sample_rate)
        return samples[(rng.integers(len(samples)) + np.arange(size)) % len(samples)]

    def _load(self, at: int, rate: int, *, offset: float = 0.0, duration: float | None = None) -> np.ndarray:
        return load(self.folder / self.files[at], target_rate=rate, offset=offset, duration=duration).samples


class SoundFolders(NamedTuple):
    """The folders for the chains ``room`` and ``background``; None if not needed."""

    room: SoundFolder | None = None
    background: SoundFolder | None = None

    @classmethod
    def read(
        cls, *, room: str | os.PathLike[str] | None = None, background: str | os.PathLike[str] | None = None
    ) -> SoundFolders:
        """Read the given folders with :meth:`SoundFolder.read`; an error says which one it was."""
        found = []
        for kind, folder in (("room", room), ("background", background)):
            try:
                found.append(None if folder is None else SoundFolder.read(folder))
            except TrainingError as error:
                raise TrainingError(f"{kind}_folder: {error}") from error
        return cls(*found)


def in_room(wave: Waveform, folder: SoundFolder, rng: np.random.Generator) -> Waveform:
    """Convolve ``wave`` with a random impulse response, keeping length and peak.

    The clip is not delayed: the part before the response's loudest sample, the direct sound, is cut.
    """
    from scipy.signal import fftconvolve

    response = folder.draw(rng, wave.sample_rate).astype(np.float64)
    direct = int(np.abs(response).argmax())
    heard = fftconvolve(wave.samples.astype(np.float64), response)[direct : direct + len(wave.samples)]
    peak = np.abs(heard).max()
    loud = np.abs(wave.samples).max() / peak if peak > 0 else 0.0
    return Waveform((heard * loud).astype(np.float32), wave.sample_rate)


def in_background(wave: Waveform, folder: SoundFolder, rng: np.random.Generator) -> Waveform:
    """Mix ``wave`` with a random part of a random recording, at a level drawn from :data:`SNR_DB`.

    A recording shorter than the clip is repeated.
    """
    snr = rng.uniform(*SNR_DB)
    part = folder.draw_part(rng, len(wave.samples), wave.sample_rate).astype(np.float64)
    power = np.mean(np.square(part))
    if power == 0:  # a silent part: nothing to mix in
        return wave
    gain = np.sqrt(np.mean(np.square(wave.samples, dtype=np.float64)) / power / 10 ** (snr / 10))
    return Waveform((wave.samples + gain * part).astype(np.float32), wave.sample_rate)
