"""The fixed matrices of the features: tapers, mel and chroma filter banks, the delta kernel.

All are cached, read-only and shared: they depend only on the settings, never on the clip.
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache

import numpy as np

from serkit.errors import FeatureError

__all__ = ["chroma_filters", "delta_kernel", "mel_blocks", "mel_filters", "mel_frequencies", "taper"]


def _locked(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


@lru_cache(maxsize=32)
def taper(name: str, win_length: int, n_fft: int) -> np.ndarray:
    """Return the periodic STFT window of `win_length` samples, centred in `n_fft` zeros.

    Parameters
    ----------
    name : str
        Any window of :func:`scipy.signal.get_window` without parameters, such as ``"hann"`` or ``"hamming"``.
    win_length, n_fft : int
        Samples.

    Returns
    -------
    np.ndarray [shape=(n_fft,), float64, read-only]

    Raises
    ------
    FeatureError
        If the window is unknown.

    Examples
    --------
    >>> taper("hann", 4, 6).tolist()
    [0.0, 0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if name == "hann":  # computed here, because importing scipy.signal takes longer than all features of a clip
        shape = 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, win_length + 1)[:-1])
    else:
        from scipy.signal import get_window

        try:
            shape = get_window(name, win_length, fftbins=True)
        except ValueError:
            raise FeatureError(
                f"Unknown STFT window {name!r}: use 'hann', 'hamming' or another name of scipy.signal.get_window."
            ) from None
    left = (n_fft - win_length) // 2
    return _locked(np.pad(shape, (left, n_fft - win_length - left)))


# Slaney's mel scale: linear below 1 kHz (15 mel at 1 kHz), then 27 mel for each factor 6.4.
_BREAK_HZ, _BREAK_MEL, _STEP = 1000.0, 15.0, math.log(6.4) / 27.0


def _hz_to_mel(hz: float) -> float:
    return hz * 3.0 / 200.0 if hz < _BREAK_HZ else _BREAK_MEL + math.log(hz / _BREAK_HZ) / _STEP


def mel_frequencies(n: int, fmin: float, fmax: float) -> np.ndarray:
    """Return `n` frequencies in Hz, equally spaced in mel from `fmin` to `fmax`.

    The scale is that of M. Slaney's Auditory Toolbox (1998).

    Examples
    --------
    >>> mel_frequencies(4, 0.0, 1000.0).round(1).tolist()
    [0.0, 333.3, 666.7, 1000.0]
    """
    mels = np.linspace(_hz_to_mel(fmin), _hz_to_mel(fmax), n)
    high = _BREAK_HZ * np.exp(_STEP * (np.maximum(mels, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mels < _BREAK_MEL, mels * 200.0 / 3.0, high)


@lru_cache(maxsize=32)
def mel_filters(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> np.ndarray:
    """Return triangular mel filters of equal area (Slaney's scale and norm).

    Bands that are narrower than the bins of the FFT may contain no bin: their energy is 0, and a warning says so.

    Returns
    -------
    np.ndarray [shape=(n_mels, 1 + n_fft // 2), float32, read-only]

    Examples
    --------
    >>> mel_filters(22050, 2048, 128, 0.0, 11025.0).shape
    (128, 1025)
    """
    edges = mel_frequencies(n_mels + 2, fmin, fmax)
    bins = np.fft.rfftfreq(n_fft, 1.0 / sample_rate)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    empty = int(np.sum(~weights.any(axis=1)))
    if empty:
        warnings.warn(
            f"{empty} of {n_mels} mel bands are narrower than a bin of n_fft={n_fft} at {sample_rate} Hz and therefore "
            "empty: use fewer bands or a larger n_fft.",
            UserWarning,
            stacklevel=2,
        )
    weights *= 2.0 / (high - low)
    return _locked(weights)


@lru_cache(maxsize=32)
def mel_blocks(
    sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float
) -> tuple[tuple[slice, slice, np.ndarray], ...]:
    """Split :func:`mel_filters` into blocks of neighbouring bands, without most of its zeros.

    Returns
    -------
    tuple of (slice, slice, np.ndarray)
        Bins, bands and the transposed filters, shape (bins, bands), of each block.

    Examples
    --------
    >>> blocks = mel_blocks(22050, 2048, 128, 0.0, 11025.0)
    >>> sum(weights.size for _, _, weights in blocks) < 0.2 * mel_filters(22050, 2048, 128, 0.0, 11025.0).size
    True
    """
    bank = mel_filters(sample_rate, n_fft, n_mels, fmin, fmax)
    blocks = []
    for first in range(0, n_mels, 16):
        bands = slice(first, min(first + 16, n_mels))
        used = np.flatnonzero(bank[bands].any(axis=0))
        bins = slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0)
        blocks.append((bins, bands, _locked(np.ascontiguousarray(bank[bands, bins].T))))
    return tuple(blocks)


@lru_cache(maxsize=256)
def chroma_filters(sample_rate: int, n_fft: int, n_chroma: int, tuning: float) -> np.ndarray:
    """Return the weights that fold FFT bins onto pitch classes, starting at C.

    Each bin is spread over the classes by a Gaussian in pitch, scaled to unit length, and weighted by a Gaussian of
    two octaves around octave 5 (D. Ellis, "Chroma feature analysis and synthesis", 2007).

    Parameters
    ----------
    sample_rate, n_fft, n_chroma : int
        Hz, samples, classes per octave.
    tuning : float
        Deviation from A440 in fractions of a class.

    Returns
    -------
    np.ndarray [shape=(n_chroma, 1 + n_fft // 2), float32, read-only]

    Examples
    --------
    >>> bank = chroma_filters(22050, 2048, 12, 0.0)
    >>> int(bank[:, round(440 * 2048 / 22050)].argmax())  # 440 Hz is an A
    9
    """
    a0 = 440.0 * 2.0 ** (tuning / n_chroma) / 16.0
    pitch = n_chroma * np.log2(np.arange(1, n_fft) * (sample_rate / n_fft) / a0)
    pitch = np.concatenate(([pitch[0] - 1.5 * n_chroma], pitch))  # 0 Hz: 1.5 octaves below the first bin
    width = np.append(np.maximum(np.diff(pitch), 1.0), 1.0)
    n_bins = 1 + n_fft // 2
    pitch, width = pitch[:n_bins], width[:n_bins]
    half = np.round(n_chroma / 2.0)
    distance = np.mod(pitch - np.arange(n_chroma)[:, None] + half, n_chroma) - half
    weights = np.exp(-0.5 * (2.0 * distance / width) ** 2)
    weights /= np.sqrt(np.sum(weights**2, axis=0))
    weights *= np.exp(-0.5 * ((pitch / n_chroma - 5.0) / 2.0) ** 2)
    from_a_to_c = -3 * (n_chroma // 12)
    return _locked(np.roll(weights, from_a_to_c, axis=0).astype(np.float32))


@lru_cache(maxsize=32)
def delta_kernel(width: int, order: int) -> np.ndarray:
    """Return the weights that fit a polynomial of degree `order` to `width` points and give its `order`-th derivative.

    A. Savitzky and M. Golay, Analytical Chemistry 36 (1964).

    Examples
    --------
    >>> delta_kernel(5, 1).round(6).tolist()
    [-0.2, -0.1, 0.0, 0.1, 0.2]
    """
    half = width // 2
    design = np.vander(np.arange(-half, half + 1, dtype=float), order + 1)  # highest power first
    return _locked(math.factorial(order) * np.linalg.pinv(design)[0])
