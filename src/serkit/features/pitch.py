"""Pitch classes: the tuning of a clip, and the energy of C, C#, ... B per frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from serkit.features.analysis import Analysis, as_analysis, positive
from serkit.features.banks import chroma_filters

if TYPE_CHECKING:
    from serkit.audio import Waveform

__all__ = ["chroma", "tuning"]

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
