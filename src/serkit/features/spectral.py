"""Features of the spectrum, frame by frame: shape (n_bands, n_frames), float32.

Values and defaults are those of librosa 0.11. Each function takes an :class:`~serkit.features.Analysis`, or a
:class:`~serkit.Waveform`, which is analysed in frames of 2,048 samples with a hop of 512.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from serkit.errors import FeatureError
from serkit.features.analysis import Analysis, as_analysis, positive, to_db
from serkit.features.temporal import delta

if TYPE_CHECKING:
    from serkit.audio import Waveform

__all__ = ["bandwidth", "centroid", "log_mel", "mel", "mfcc", "rolloff", "spectral_contrast", "windowed_log_mel"]

_TINY = float(np.finfo(np.float32).tiny)


def _with_deltas(rows: np.ndarray, deltas: int, delta_width: int) -> np.ndarray:
    if deltas not in (0, 1, 2):
        raise FeatureError(f"deltas must be 0 (none), 1 (first) or 2 (first and second order), got {deltas!r}.")
    static = rows.T
    parts = [static, *(delta(static, width=delta_width, order=k) for k in range(1, deltas + 1))]
    return np.concatenate(parts) if deltas else static


def mel(source: Analysis | Waveform, *, n_mels: int = 128, fmin: float = 0.0, fmax: float | None = None) -> np.ndarray:
    """Power in mel bands (Slaney's scale, filters of equal area).

    Parameters
    ----------
    source : Analysis or Waveform
    n_mels : int
        Bands.
    fmin, fmax : float
        Range in Hz; None: half the sample rate.

    Returns
    -------
    np.ndarray [shape=(n_mels, n_frames), float32, >= 0]
        Squared amplitude; silence gives 0.

    Raises
    ------
    FeatureError
        If the range is empty or reaches above half the sample rate.

    See Also
    --------
    log_mel : the same in dB.
    mfcc : the cepstrum of these bands.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> mel(Waveform(np.ones(22050, np.float32), 22050), n_mels=40).shape
    (40, 44)
    """
    return as_analysis(source).mel_rows(n_mels, fmin, fmax).T


def log_mel(
    source: Analysis | Waveform,
    *,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    top_db: float | None = 80.0,
    deltas: int = 0,
    delta_width: int = 9,
) -> np.ndarray:
    """Level in mel bands, optionally with its change over time.

    Parameters
    ----------
    source : Analysis or Waveform
    n_mels, fmin, fmax
        As for :func:`mel`.
    top_db : float or None
        Values more than this below the clip's maximum are raised to that level; None: only the floor of -100 dB
        applies.
    deltas : {0, 1, 2}
        Orders of :func:`delta` to append below the levels.
    delta_width : int
        Frames per delta, odd.

    Returns
    -------
    np.ndarray [shape=((1 + deltas) * n_mels, n_frames), float32]
        dB re 1; silence gives -100 everywhere. Deltas are dB per frame (per frame squared).

    Raises
    ------
    FeatureError
        As :func:`mel` and :func:`delta`.

    See Also
    --------
    mel : the power before the logarithm.
    windowed_log_mel : the same with a shorter window.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> wave = Waveform(np.zeros(22050, np.float32), 22050)
    >>> log_mel(wave, n_mels=64, deltas=2).shape, round(float(log_mel(wave).max()), 3)
    ((192, 44), -100.0)
    """
    return _with_deltas(as_analysis(source).log_mel_rows(n_mels, fmin, fmax, top_db), deltas, delta_width)


def windowed_log_mel(
    source: Analysis | Waveform,
    *,
    win_length: int = 512,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    top_db: float | None = 80.0,
) -> np.ndarray:
    """:func:`log_mel` with its own window length, so one clip can have several.

    A short window shows when something happens, a long one shows its pitch. Frames are those of the analysis.

    Parameters
    ----------
    source : Analysis or Waveform
    win_length : int
        Samples under the window, at most the analysis' `n_fft`.
    n_mels, fmin, fmax, top_db
        As for :func:`log_mel`.

    Returns
    -------
    np.ndarray [shape=(n_mels, n_frames), float32]
        dB re 1.

    Raises
    ------
    FeatureError
        If `win_length` does not fit into a frame, and as :func:`mel`.

    See Also
    --------
    log_mel : the same with the window of the analysis.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> windowed_log_mel(Waveform(np.zeros(22050, np.float32), 22050), win_length=512, n_mels=64).shape
    (64, 44)
    """
    return as_analysis(source).windowed(win_length).log_mel_rows(n_mels, fmin, fmax, top_db).T


def mfcc(
    source: Analysis | Waveform,
    *,
    n_mfcc: int = 20,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    deltas: int = 0,
    delta_width: int = 9,
) -> np.ndarray:
    """Mel-frequency cepstral coefficients: the first terms of the orthonormal DCT-II of :func:`log_mel`.

    S. Davis and P. Mermelstein, IEEE Trans. ASSP 28 (1980).

    Parameters
    ----------
    source : Analysis or Waveform
    n_mfcc : int
        Coefficients, at most `n_mels`; the first is the level.
    n_mels, fmin, fmax
        As for :func:`mel`.
    deltas, delta_width
        As for :func:`log_mel`.

    Returns
    -------
    np.ndarray [shape=((1 + deltas) * n_mfcc, n_frames), float32]
        dB. Silence gives ``-100 * sqrt(n_mels)`` in the first row and 0 in the others.

    Raises
    ------
    FeatureError
        If `n_mfcc` is more than `n_mels`, and as :func:`mel` and :func:`delta`.

    See Also
    --------
    log_mel : the bands behind the coefficients.
    delta : change over time.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> mfcc(Waveform(np.ones(22050, np.float32), 22050), n_mfcc=13).shape
    (13, 44)
    """
    if positive("n_mfcc", n_mfcc) > positive("n_mels", n_mels):
        raise FeatureError(
            f"n_mfcc={n_mfcc} coefficients cannot come from n_mels={n_mels} bands: lower n_mfcc or raise n_mels."
        )
    level = as_analysis(source).log_mel_rows(n_mels, fmin, fmax, 80.0)
    from scipy.fft import dct  # here, because log-mel and most others do not need SciPy

    cepstrum = dct(level, axis=1, norm="ortho")[:, :n_mfcc]
    return _with_deltas(cepstrum, deltas, delta_width)


def spectral_contrast(
    source: Analysis | Waveform, *, n_bands: int = 6, fmin: float = 200.0, quantile: float = 0.02
) -> np.ndarray:
    """Level difference between the peaks and the valleys of octave bands.

    D. Jiang et al., "Music type classification by spectral contrast feature", ICME 2002.

    Parameters
    ----------
    source : Analysis or Waveform
    n_bands : int
        Octave bands above `fmin`; the row below them covers 0 to `fmin`.
    fmin : float
        Start of the first octave, Hz.
    quantile : float
        Share of a band's bins, in (0, 1), averaged as its peak and as its valley; at least one bin.

    Returns
    -------
    np.ndarray [shape=(n_bands + 1, n_frames), float32]
        dB; silent clips give 0. Peaks and valleys are each limited to 80 dB below their largest of the clip.

    Raises
    ------
    FeatureError
        If the top octave starts above half the sample rate, or a band contains no FFT bin.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> spectral_contrast(Waveform(np.zeros(22050, np.float32), 22050)).shape
    (7, 44)
    """
    analysis = as_analysis(source)
    if not 0.0 < quantile < 1.0:
        raise FeatureError(f"quantile must be between 0 and 1, got {quantile!r}.")
    if fmin <= 0:
        raise FeatureError(f"fmin must be above 0 Hz, got {fmin!r}.")
    edges = [0.0, *(fmin * 2.0**k for k in range(positive("n_bands", n_bands) + 1))]
    if edges[-2] >= analysis.sample_rate / 2:
        raise FeatureError(
            f"spectral_contrast with n_bands={n_bands} and fmin={fmin:g} Hz needs a sample rate above "
            f"{2 * edges[-2]:g} Hz, got {analysis.sample_rate} Hz: use fewer bands or a lower fmin."
        )
    valleys = np.empty((analysis.n_frames, n_bands + 1), np.float64)
    peaks = np.empty_like(valleys)
    hz = analysis.frequencies
    for k, (low, high) in enumerate(pairwise(edges)):
        inside = np.flatnonzero((hz >= low) & (hz <= high))
        if inside.size + (k > 0) - (k < n_bands) < 1:
            raise FeatureError(
                f"spectral_contrast has no FFT bin between {low:g} and {high:g} Hz with n_fft={analysis.n_fft} at "
                f"{analysis.sample_rate} Hz: use a larger n_fft."
            )
        # A band also takes the bin below it and leaves its own last bin to the next; the last band goes to the top.
        start, stop = int(inside[0]) - (k > 0), int(inside[-1]) + 1 if k < n_bands else analysis.n_bins
        take = max(1, int(np.rint(quantile * (stop - start))))
        band = analysis.magnitude_rows[:, start : stop - (k < n_bands)]
        ordered = np.sort(band, axis=1)
        # Added bin by bin, as in librosa, so a band without contrast gives exactly its value.
        valleys[:, k] = np.ascontiguousarray(ordered[:, :take].T).mean(axis=0)
        peaks[:, k] = np.ascontiguousarray(ordered[:, -take:].T).mean(axis=0)
    return (to_db(peaks) - to_db(valleys)).T.astype(np.float32)


def centroid(source: Analysis | Waveform) -> np.ndarray:
    """Mean frequency of the magnitude spectrum.

    See Also
    --------
    bandwidth : the spread around it.
    rolloff : the frequency below which most of the magnitude is.

    Returns
    -------
    np.ndarray [shape=(1, n_frames), float32, 0 to half the sample rate]
        Hz; silent frames give 0.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050).astype(np.float32)
    >>> int(centroid(Waveform(tone, 22050))[0, 20].round())
    1000
    """
    total, first, _ = as_analysis(source).moments.T
    return np.where(total < _TINY, 0.0, first / np.maximum(total, _TINY)).astype(np.float32)[None]


def bandwidth(source: Analysis | Waveform) -> np.ndarray:
    """Standard deviation of frequency around :func:`centroid`, weighted by the magnitude spectrum.

    Returns
    -------
    np.ndarray [shape=(1, n_frames), float32, 0 to half the sample rate]
        Hz; silent frames give 0.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050).astype(np.float32)
    >>> bool(bandwidth(Waveform(tone, 22050))[0, 20] < 20)
    True
    """
    total, first, second = as_analysis(source).moments.T
    scale = np.maximum(total, _TINY)
    variance = np.maximum(second / scale - (first / scale) ** 2, 0.0)
    return np.where(total < _TINY, 0.0, np.sqrt(variance)).astype(np.float32)[None]


def rolloff(source: Analysis | Waveform, *, roll_percent: float = 0.85) -> np.ndarray:
    """Lowest frequency below which the share `roll_percent` of the magnitude is found.

    Parameters
    ----------
    source : Analysis or Waveform
    roll_percent : float
        In (0, 1).

    Returns
    -------
    np.ndarray [shape=(1, n_frames), float32, 0 to half the sample rate]
        Hz, the centre of an FFT bin; silent frames give 0.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> click = np.zeros(22050, np.float32)
    >>> click[10240] = 1.0  # flat spectrum
    >>> float(rolloff(Waveform(click, 22050))[0, 20])  # near 85 % of 11,025 Hz
    9377.7099609375
    """
    if not 0.0 < roll_percent < 1.0:
        raise FeatureError(f"roll_percent must be between 0 and 1, got {roll_percent!r}.")
    analysis = as_analysis(source)
    running = np.cumsum(analysis.magnitude_rows, axis=1)
    reached = running >= np.float32(roll_percent) * running[:, -1:]
    return analysis.frequencies[np.argmax(reached, axis=1)].astype(np.float32)[None]
