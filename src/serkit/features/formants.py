"""Formants: the resonances of the vocal tract, from linear prediction by Burg's method."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from serkit.errors import FeatureError

if TYPE_CHECKING:
    from serkit.audio import Waveform

__all__ = ["formants"]

_POLES = 10  # of the prediction: five formants
_WINDOW = 0.05  # s, of which the bell of the window lets 0.025 s count
_EMPHASIS = 50.0  # Hz, from which on the spectrum is raised by 6 dB an octave
_EDGE = 50.0  # Hz; a resonance this near to 0 or the ceiling is none of the voice
_BLOCK = 512  # frames at a time, to limit memory


def formants(
    wave: Waveform, times: np.ndarray | None = None, *, hop: float = 0.01, n: int = 3, ceiling: float = 5500.0
) -> np.ndarray:
    """Estimate the lowest formants over time.

    The sound is brought to twice the ceiling as sample rate and raised by 6 dB an octave. For each frame, Burg's
    method (Burg 1967; Childers 1978, "Modern spectrum analysis", 252-255) finds the ten coefficients that predict a
    sample from those before it with the least error forwards and backwards; the roots of that polynomial are
    resonances.

    Parameters
    ----------
    wave : Waveform
    times : np.ndarray, shape=(n_frames,), optional
        Middle of each frame, seconds; by default 0, hop, 2 hop, ...
    hop : float
        Seconds from one frame to the next, where `times` is not given.
    n : int
        Formants, 1 to 5.
    ceiling : float
        Five formants are looked for below it, Hz: 5,500 suits women, 5,000 men, 8,000 small children.

    Returns
    -------
    np.ndarray, shape=(n, n_frames), float64
        Hz, rising from row to row; NaN where a frame has fewer. They mean something where the sound is voiced only.

    Raises
    ------
    FeatureError
        If `n` or `ceiling` is out of range.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> noise = np.random.default_rng(0).normal(size=16000).astype(np.float32)
    >>> formants(Waveform(0.1 * noise, 16000)).shape
    (3, 101)
    """
    if not 1 <= n <= _POLES // 2:
        raise FeatureError(f"formants gives 1 to {_POLES // 2} formants, got n={n!r}.")
    if not 1000 <= ceiling <= 20000:
        raise FeatureError(f"The ceiling of the formants must be within 1,000 and 20,000 Hz, got {ceiling!r}.")
    if times is None:
        times = np.arange(1 + int(round(wave.duration * wave.sample_rate) / (hop * wave.sample_rate))) * hop
    rate = round(2 * ceiling)
    samples = _brought_to(rate, wave)
    samples[1:] -= np.exp(-2 * np.pi * _EMPHASIS / rate) * samples[:-1]
    width = round(_WINDOW * rate)
    place = np.arange(1, width + 1) / (width + 1) - 0.5
    window = (np.exp(-48 * place**2) - np.exp(-12)) / (1 - np.exp(-12))
    padded = np.pad(samples, width)
    starts = np.clip(np.round(np.asarray(times) * rate).astype(int) + width - width // 2, 0, len(padded) - width)
    found = np.full((n, len(starts)), np.nan)
    for first in range(0, len(starts), _BLOCK):
        frames = padded[starts[first : first + _BLOCK, None] + np.arange(width)] * window
        loud = np.flatnonzero(np.square(frames).sum(axis=1) > 1e-20)
        if loud.size:
            found[:, first + loud] = _resonances(_burg(frames[loud]), rate, n)
    return found


def _brought_to(rate: int, wave: Waveform) -> np.ndarray:
    """Return the sound at another rate with all that fits below half of it: a slope there would look like a formant."""
    up, down = rate // math.gcd(rate, wave.sample_rate), wave.sample_rate // math.gcd(rate, wave.sample_rate)
    blocks = next_fast_len(-(-len(wave.samples) // down) + 1, real=True)
    spectrum = rfft(wave.samples.astype(np.float64), blocks * down)
    return irfft(spectrum[: blocks * up // 2 + 1], blocks * up)[: -(-len(wave.samples) * up // down)] * (up / down)


def _burg(frames: np.ndarray) -> np.ndarray:
    """Return the polynomial 1 + a1 z^-1 + ... of each frame, shape=(n_frames, _POLES + 1)."""
    count = len(frames)
    forward, backward = frames[:, 1:].copy(), frames[:, :-1].copy()
    polynomial = np.zeros((count, _POLES + 1))
    polynomial[:, 0] = 1
    for order in range(1, _POLES + 1):
        power = np.einsum("ij,ij->i", forward, forward) + np.einsum("ij,ij->i", backward, backward)
        product = np.einsum("ij,ij->i", forward, backward)
        mirror = np.where(power > 0, -2 * product / np.where(power > 0, power, 1), 0.0)[:, None]
        polynomial[:, 1 : order + 1] += mirror * polynomial[:, order - 1 :: -1][:, :order]
        forward, backward = (forward + mirror * backward)[:, 1:], (backward + mirror * forward)[:, :-1]
    return polynomial


def _resonances(polynomials: np.ndarray, rate: int, n: int) -> np.ndarray:
    """Return the lowest `n` frequencies of the roots of each polynomial in Hz, shape=(n, n_frames)."""
    companion = np.zeros((len(polynomials), _POLES, _POLES))
    companion[:, 0] = -polynomials[:, 1:]
    companion[:, np.arange(1, _POLES), np.arange(_POLES - 1)] = 1
    roots = np.linalg.eigvals(companion)
    hertz = np.angle(roots) * rate / (2 * np.pi)
    inside = (hertz >= _EDGE) & (hertz <= rate / 2 - _EDGE)
    return np.sort(np.where(inside, hertz, np.nan), axis=1)[:, :n].T  # NaN sorts last
