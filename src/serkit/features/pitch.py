"""Pitch: the fundamental frequency of a voice, the tuning of a clip, and the energy of C, C#, ... B per frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from serkit.errors import FeatureError
from serkit.features.analysis import Analysis, as_analysis, positive
from serkit.features.banks import chroma_filters

if TYPE_CHECKING:
    from serkit.audio import Waveform

__all__ = ["chroma", "f0", "tuning"]

_TINY = float(np.finfo(np.float32).tiny)


def tuning(source: Analysis | Waveform, *, n_chroma: int = 12) -> float:
    """Deviation of the clip's pitches from A440, in fractions of a pitch class.

    Peaks of the power spectrum from 150 to 4,000 Hz, at least a tenth of their frame's largest value and no weaker
    than the median of all such peaks, vote in a histogram of 0.01 class.

    Parameters
    ----------
    source : Analysis or Waveform
    n_chroma : int
        Pitch classes per octave.

    Returns
    -------
    float [-0.5, 0.5)
        0 where there is no peak, as in silence.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> t = np.arange(22050) / 22050
    >>> tone = np.sin(2 * np.pi * 440 * 2 ** (0.25 / 12) * t)  # a quarter of a semitone sharp
    >>> round(tuning(Waveform(tone.astype(np.float32), 22050)), 2)  # as close as the bins of one tone allow
    0.22
    """
    analysis = as_analysis(source)
    power, hz, rate = analysis.power_rows, analysis.frequencies, float(analysis.sample_rate)
    inside = np.flatnonzero((hz >= 150.0) & (hz < min(4000.0, rate / 2)))
    inside = inside[(inside > 0) & (inside < analysis.n_bins - 1)]
    if inside.size == 0:
        return 0.0
    low, high = int(inside[0]), int(inside[-1]) + 1
    here, before, after = power[:, low:high], power[:, low - 1 : high - 1], power[:, low + 1 : high + 1]
    loud = here > np.float32(0.1) * power.max(axis=1, keepdims=True)
    # Frame order within a bin does not matter: the votes are counted, not summed.
    frame, peak = np.nonzero(loud & (here > before) & (here >= after))
    if frame.size == 0:
        return 0.0
    y, left, right = here[frame, peak], before[frame, peak], after[frame, peak]
    # Vertex of the parabola through the peak and its neighbours, unless it is more than a bin away.
    slope = (right - left) / 2
    curve = (right + left).astype(np.float64) - 2.0 * y
    steep = np.abs(slope) >= np.abs(curve)
    shift = np.where(steep, 0.0, -slope / np.where(steep, 1.0, curve)).astype(np.float32)
    pitch = ((low + peak + shift.astype(np.float64)) * rate / analysis.n_fft).astype(np.float32)
    strength = y + np.float32(0.5) * slope * shift
    pitch = pitch[strength >= np.median(strength)]
    residual = np.mod(n_chroma * np.log2(pitch / np.float32(27.5)), 1.0)
    residual[residual >= 0.5] -= 1.0
    counts, edges = np.histogram(residual, np.linspace(-0.5, 0.5, 101))
    return float(edges[np.argmax(counts)])


def chroma(source: Analysis | Waveform, *, n_chroma: int = 12) -> np.ndarray:
    """Energy per pitch class, the strongest class of each frame scaled to 1, after estimating the tuning.

    Parameters
    ----------
    source : Analysis or Waveform
    n_chroma : int
        Pitch classes per octave; with 12 the rows are C, C#, ... B.

    Returns
    -------
    np.ndarray [shape=(n_chroma, n_frames), float32, in [0, 1]]
        Silent frames give 0.

    See Also
    --------
    tuning : the estimate of the deviation from A440.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050).astype(np.float32)
    >>> int(chroma(Waveform(tone, 22050))[:, 20].argmax())  # A
    9
    """
    analysis = as_analysis(source)
    deviation = tuning(analysis, n_chroma=positive("n_chroma", n_chroma))
    raw = analysis.power_rows @ chroma_filters(analysis.sample_rate, analysis.n_fft, n_chroma, deviation).T
    largest = raw.max(axis=1, keepdims=True)
    return (raw / np.where(largest < _TINY, np.float32(1.0), largest)).T


def f0(
    wave: Waveform, *, hop: float = 0.01, fmin: float = 65.0, fmax: float = 600.0, threshold: float = 0.3
) -> np.ndarray:
    """Estimate the fundamental frequency of a voice over time.

    YIN: de Cheveigné and Kawahara (2002), "YIN, a fundamental frequency estimator for speech and music", with its
    cumulative mean normalised difference, absolute threshold and parabolic interpolation.

    Parameters
    ----------
    wave : Waveform
    hop : float
        Seconds from one estimate to the next.
    fmin, fmax : float
        Lowest and highest pitch, Hz.
    threshold : float
        In (0, 1): a period is accepted if the sound differs from itself one period later by less than this share.

    Returns
    -------
    np.ndarray, float32, shape=(1 + floor(duration / hop),)
        Hz, at the times 0, hop, 2 hop, ...; NaN where no period is found, for example in pauses and voiceless sounds.

    Raises
    ------
    FeatureError
        If the frequencies do not fit the sample rate.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> t = np.arange(8000) / 16000
    >>> float(np.nanmedian(f0(Waveform(np.sin(2 * np.pi * 220 * t).astype(np.float32), 16000))).round(1))
    220.0
    """
    rate = wave.sample_rate
    if not 0 < fmin < fmax < rate / 4:
        raise FeatureError(
            f"f0 needs 0 < fmin < fmax < a quarter of the sample rate, got {fmin:g} and {fmax:g} Hz at {rate} Hz."
        )
    shortest, longest = int(rate / fmax), int(np.ceil(rate / fmin)) + 1
    width = 2 * longest  # of the integration window: two of the longest periods
    count = 1 + int(round(wave.duration * rate) / (hop * rate))
    starts = np.round(np.arange(count) * hop * rate).astype(int)
    half = (width + longest) // 2
    padded = np.pad(wave.samples.astype(np.float64), (half, width + longest))
    found = np.full(count, np.nan, np.float32)
    size = next_fast_len(width + 2 * longest, real=True)
    for first in range(0, count, 512):  # in blocks, to limit memory
        block = starts[first : first + 512]
        frames = padded[block[:, None] + np.arange(width + longest)]
        energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
        lags = np.arange(longest + 1)  # a trough at the longest period has a neighbour on its other side
        product = irfft(rfft(frames, size) * rfft(frames[:, :width], size).conj(), size)[:, : longest + 1]
        difference = np.maximum(energy[:, [width]] + energy[:, width + lags] - energy[:, lags] - 2 * product, 0)
        total = np.cumsum(difference[:, 1:], axis=1)
        normal = np.ones_like(difference)
        normal[:, 1:] = difference[:, 1:] * lags[1:] / np.maximum(total, 1e-12)
        inner = normal[:, 1:-1]
        trough = (inner < normal[:, :-2]) & (inner <= normal[:, 2:]) & (inner < threshold)
        trough[:, : shortest - 1] = False
        voiced = trough.any(axis=1) & (energy[:, width] > 1e-8 * width)
        rows = np.flatnonzero(voiced)
        lag = 1 + trough[rows].argmax(axis=1)
        before, at, after = (normal[rows, lag + k] for k in (-1, 0, 1))
        bend = before - 2 * at + after
        shift = np.where(bend > 0, (before - after) / (2 * np.where(bend > 0, bend, 1)), 0)
        found[first + rows] = rate / (lag + shift)
    return found
