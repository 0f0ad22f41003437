"""Features of the waveform and of change over time: shape (n_bands, n_frames), float32.

Values and defaults are those of librosa 0.11, except where a function says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from serkit.errors import FeatureError
from serkit.features.analysis import Analysis, as_analysis, positive
from serkit.features.banks import delta_kernel, taper

if TYPE_CHECKING:
    from serkit.audio import Waveform

__all__ = ["delta", "harmonic_percussive", "onset_strength", "rms", "tempo", "zcr"]

_TINY = float(np.finfo(np.float32).tiny)


def zcr(source: Analysis | Waveform) -> np.ndarray:
    """Zero-crossing rate: the share of neighbouring samples in a frame that differ in sign.

    Samples within 1e-10 of zero count as zero, and zero counts as positive. Centred frames are padded with the first
    and the last sample, regardless of the analysis' padding.

    Returns
    -------
    np.ndarray [shape=(1, n_frames), float32, in [0, 1)]
        Crossings per sample; silence gives 0.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> zcr(Waveform(np.tile(np.float32([0.1, -0.1]), 11025), 22050))[0, 20].round(4)
    np.float32(0.9995)
    """
    analysis = as_analysis(source)
    negative = analysis.samples < -np.float32(1e-10)
    crossing = np.flatnonzero(negative[1:] != negative[:-1])  # the samples before a change of sign
    if analysis.center:
        crossing += analysis.n_fft // 2  # the padding repeats a sample, so nothing crosses there
    start = np.arange(analysis.n_frames) * analysis.hop_length
    # A frame's crossings are those between its own samples.
    crossings = np.searchsorted(crossing, start + analysis.n_fft - 1) - np.searchsorted(crossing, start)
    return (crossings / analysis.n_fft).astype(np.float32)[None]


def rms(source: Analysis | Waveform) -> np.ndarray:
    """Root mean square of the samples of each frame, not windowed.

    Returns
    -------
    np.ndarray [shape=(1, n_frames), float32, >= 0]
        Amplitude; silence gives 0.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> float(rms(Waveform(np.full(22050, 0.5, np.float32), 22050))[0, 20])
    0.5
    """
    analysis = as_analysis(source)
    n_fft, hop = analysis.n_fft, analysis.hop_length
    if n_fft % hop:
        frames = analysis.frames
        energy = np.einsum("tn,tn->t", frames, frames)
    else:  # a frame is a multiple of the hop: sum each hop once
        hops = analysis.padded[: (analysis.n_frames - 1) * hop + n_fft].reshape(-1, hop)
        sums = np.einsum("tn,tn->t", hops, hops)
        energy = np.lib.stride_tricks.sliding_window_view(sums, n_fft // hop).sum(axis=1)
    return np.sqrt(energy / n_fft).astype(np.float32)[None]


def onset_strength(source: Analysis | Waveform) -> np.ndarray:
    """Mean rise of the level of 128 mel bands since the frame before, delayed by half a frame.

    S. Böck and G. Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013, without the filter.

    Returns
    -------
    np.ndarray [shape=(1, n_frames), float32, >= 0]
        dB; silence gives 0.
    """
    analysis = as_analysis(source)
    level = analysis.log_mel_rows(128, 0.0, None, 80.0)
    rise = np.maximum(0.0, np.diff(level, axis=0)).mean(axis=1)
    delay = 1 + (analysis.n_fft // (2 * analysis.hop_length) if analysis.center else 0)
    strength = np.zeros(analysis.n_frames, np.float32)
    strength[delay:] = rise[: max(0, analysis.n_frames - delay)]
    return strength[None]


def tempo(source: Analysis | Waveform) -> np.ndarray:
    """Tempo of the whole clip: the strongest period of its onsets within 8 s, with a prior around 120 bpm.

    The local autocorrelation of :func:`onset_strength` is averaged over time and weighted by a log-normal prior of
    one octave (D. Ellis, "Beat tracking by dynamic programming", JNMR 36, 2007); the result is a period of whole
    frames, below 320 bpm.

    Returns
    -------
    np.ndarray [shape=(1, 1), float32]
        Beats per minute. Without any onset, as in silence, the prior decides: the period nearest to 120 bpm.

    Raises
    ------
    FeatureError
        If the hop is too long for 8 s to hold a usable period.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> clicks = np.zeros(4 * 22050, np.float32)
    >>> clicks[::11025] = 1.0  # two a second
    >>> tempo(Waveform(clicks, 22050)).round(1).tolist()
    [[117.5]]
    """
    analysis = as_analysis(source)
    size = int(8.0 * analysis.sample_rate) // analysis.hop_length
    bpm = np.append(np.inf, 60.0 * analysis.sample_rate / (analysis.hop_length * np.arange(1.0, max(size, 1))))
    if not (bpm < 320.0).any():
        raise FeatureError(
            f"tempo cannot be measured with hop_length={analysis.hop_length} at {analysis.sample_rate} Hz: shorten "
            "the hop."
        )
    strength = np.pad(onset_strength(analysis)[0], size // 2, mode="linear_ramp", end_values=0.0)
    pieces = np.lib.stride_tricks.sliding_window_view(strength, size)[: analysis.n_frames]
    n_fft = 1 << (2 * size - 2).bit_length()
    window = taper("hann", size, size)
    # An autocorrelation is largest at lag 0, its energy. The inverse transform is linear, so one is enough.
    spectrum = np.zeros(n_fft // 2 + 1)
    for start in range(0, analysis.n_frames, 1024):
        block = pieces[start : start + 1024] * window
        energy = np.einsum("tn,tn->t", block, block)
        transform = np.fft.rfft(block, n=n_fft, axis=-1)
        scale = 1.0 / np.where(energy < np.finfo(np.float64).tiny, 1.0, energy)
        spectrum += scale @ (transform.real**2 + transform.imag**2)
    mean = np.fft.irfft(spectrum / analysis.n_frames, n=n_fft)[:size]
    prior = np.where(bpm < 320.0, -0.5 * np.log2(bpm / 120.0) ** 2, -np.inf)
    best = np.argmax(np.log1p(1e6 * np.maximum(mean, 0.0)) + prior)
    return np.array([[bpm[best]]], np.float32)


def _median(rows: np.ndarray, size: int) -> np.ndarray:
    """Running median along the last axis, mirrored at the ends."""
    from scipy.ndimage import median_filter

    # One long row, because SciPy's 1-D filter is many times faster than the same filter on an image.
    half = size // 2
    padded = np.pad(rows, ((0, 0), (half, half)), mode="symmetric")
    filtered = median_filter(padded.ravel(), size=size).reshape(padded.shape)
    return filtered[:, half : half + rows.shape[1]]


def harmonic_percussive(source: Analysis | Waveform, *, kernel_size: int = 31) -> np.ndarray:
    """RMS of the harmonic and of the percussive part of each frame, separated by median filters.

    D. Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010: what is steady in time is
    harmonic, what is steady in frequency is percussive. The parts are those of ``librosa.decompose.hpss``, their RMS
    that of ``librosa.feature.rms(S=...)``, which measures the windowed frame.

    Parameters
    ----------
    source : Analysis or Waveform
    kernel_size : int
        Length of the medians in frames and in bins, odd.

    Returns
    -------
    np.ndarray [shape=(2, n_frames), float32, >= 0]
        Amplitude: the harmonic row, then the percussive row; silence gives 0.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050).astype(np.float32)
    >>> harmonic, percussive = harmonic_percussive(Waveform(tone, 22050))[:, 20]
    >>> bool(harmonic > 10 * percussive)
    True
    """
    if positive("kernel_size", kernel_size) % 2 == 0:
        raise FeatureError(f"kernel_size must be odd, got {kernel_size}.")
    analysis = as_analysis(source)
    spectrum = analysis.magnitude_rows
    steady_in_time = _median(analysis.magnitude, kernel_size).T
    steady_in_frequency = _median(spectrum, kernel_size)
    # Soft masks: each part's share of the power of the two medians; 0.5 each where both are zero.
    largest = np.maximum(steady_in_time, steady_in_frequency)
    neither = largest < _TINY
    largest[neither] = 1.0
    masks = [np.square(steady_in_time / largest), np.square(steady_in_frequency / largest)]
    both = masks[0] + masks[1]
    both[neither] = 1.0
    parts = []
    for mask in masks:
        mask /= both
        mask[neither] = 0.5
        mask *= spectrum
        energy = np.square(mask)
        energy[:, [0, -1]] *= 0.5  # 0 Hz and half the sample rate have no mirror image
        parts.append(np.sqrt(2.0 * energy.sum(axis=1)) / analysis.n_fft)
    return np.stack(parts).astype(np.float32)


def delta(data: np.ndarray, *, width: int = 9, order: int = 1) -> np.ndarray:
    """Rate of change over time: derivative of a polynomial fitted to `width` frames (Savitzky and Golay, 1964).

    Frames closer to an end than half the width use the derivative of the first or last full fit.

    Parameters
    ----------
    data : np.ndarray [shape=(n_bands, n_frames)]
    width : int
        Frames, odd, at least 3.
    order : int
        Order of the derivative and degree of the polynomial, below `width`.

    Returns
    -------
    np.ndarray [shape=(n_bands, n_frames), float32]
        Per frame to the power of `order`.

    Raises
    ------
    FeatureError
        If the width is even or too small, or there are fewer than `width` frames.

    Examples
    --------
    >>> delta(np.arange(10.0)[None] * 3).round(4).tolist()
    [[3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]]
    """
    if positive("width", width) < 3 or width % 2 == 0:
        raise FeatureError(f"A delta's width must be odd and at least 3 frames, got {width}.")
    if positive("order", order) >= width:
        raise FeatureError(f"A delta of order={order} needs a width above {order} frames, got width={width}.")
    n_frames = data.shape[-1]
    if n_frames < width:
        raise FeatureError(
            f"Deltas over width={width} frames need a clip of at least {width} frames, got {n_frames}: "
            "use a longer clip, a shorter hop or a smaller width."
        )
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(data, np.float64), width, axis=-1)
    inner = windows @ delta_kernel(width, order)
    half = width // 2
    return np.pad(inner, ((0, 0), (half, half)), mode="edge").astype(np.float32)
