"""The pitch of a voice over time: autocorrelation of short frames, and the best path through its peaks.

The method is that of Boersma (1993), "Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 97-110, with the constants that Praat made usual.
docs/voice-measures.md compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from serkit.errors import FeatureError

if TYPE_CHECKING:
    from serkit.audio import Waveform

__all__ = ["PitchTrack", "f0", "track_pitch"]

_PERIODS = 3  # in a frame, of the longest
_CANDIDATES = 14  # voiced ones of a frame, at most
_SILENT = 0.03  # of the clip's peak: a frame below is quiet
_VOICING = 0.45  # strength that a voice exceeds
_OCTAVE_COST = 0.01  # per octave below the ceiling, so that a period is not taken for two
_JUMP_COST = 0.35  # per octave from one frame to the next
_CHANGE_COST = 0.14  # to begin or end a voice
_COSTS_HOP = 0.01  # s; the hop that these two are for
_REACH = 30  # samples on either side that interpolate a peak of the autocorrelation
_FINE = 16  # steps of a sample that are looked at
_BLOCK = 512  # frames at a time, to limit memory
_LEAST = 1e-6  # of strength: where it differs from 0 or 1 by less, the ratio to noise is not told


@dataclass(frozen=True)
class PitchTrack:
    """The pitch of a voice over time.

    Attributes
    ----------
    times : np.ndarray, shape=(n,)
        Middle of each frame, seconds: 0, hop, 2 hop, ...
    hz : np.ndarray, shape=(n,)
        Fundamental frequency; NaN where the sound is not voiced.
    strength : np.ndarray, shape=(n,)
        Autocorrelation at that period, in [0, 1]: how much of the sound repeats itself. 0 where it is not voiced.
    hop : float
        Seconds from one frame to the next.
    """

    times: np.ndarray
    hz: np.ndarray
    strength: np.ndarray
    hop: float

    @property
    def voiced(self) -> np.ndarray:
        """Which frames have a pitch: bool, shape=(n,)."""
        return np.isfinite(self.hz)

    @property
    def hnr(self) -> np.ndarray:
        """Harmonics-to-noise ratio of each frame in dB, within ±60; NaN where it is not voiced. Shape=(n,).

        It is 10 log10(r / (1 - r)) of the strength r: a clear vowel has about 20 dB, a hoarse one less than 10.
        """
        share = np.clip(np.where(self.voiced, self.strength, np.nan), _LEAST, 1 - _LEAST)
        return 10 * np.log10(share / (1 - share))

    def spans(self) -> list[tuple[float, float]]:
        """Return start and end of each voiced stretch in seconds, half a hop around its frames."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.voiced, [False]]).astype(np.int8)))
        half = self.hop / 2
        return [(self.times[a] - half, self.times[b - 1] + half) for a, b in zip(*[iter(edges)] * 2, strict=True)]

    def at(self, time: float) -> float:
        """Return the pitch at a time, between frames on a straight line; NaN where it is not voiced."""
        place = min(max(time / self.hop, 0.0), len(self.hz) - 1.0)
        near = self.hz[round(place)]
        low = min(int(place), max(len(self.hz) - 2, 0))
        between = self.hz[low] + (place - low) * (self.hz[min(low + 1, len(self.hz) - 1)] - self.hz[low])
        return float(near if np.isnan(between) else between)


def f0(wave: Waveform, *, hop: float = 0.01, fmin: float = 75.0, fmax: float = 600.0) -> np.ndarray:
    """Estimate the fundamental frequency of a voice over time.

    Parameters
    ----------
    wave : Waveform
    hop : float
        Seconds from one estimate to the next.
    fmin, fmax : float
        Lowest and highest pitch, Hz.

    Returns
    -------
    np.ndarray, float32, shape=(1 + floor(duration / hop),)
        Hz, at the times 0, hop, 2 hop, ...; NaN where there is no voice, as in pauses and voiceless sounds.

    Raises
    ------
    FeatureError
        If the frequencies do not fit the sample rate.

    See Also
    --------
    track_pitch : the same with the strength of each frame.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> t = np.arange(8000) / 16000
    >>> float(np.nanmedian(f0(Waveform(np.sin(2 * np.pi * 220 * t).astype(np.float32), 16000))).round(1))
    220.0
    """
    return track_pitch(wave, hop=hop, fmin=fmin, fmax=fmax).hz.astype(np.float32)


def track_pitch(wave: Waveform, *, hop: float = 0.01, fmin: float = 75.0, fmax: float = 600.0) -> PitchTrack:
    """Follow the pitch of a voice, and say where there is none.

    Frames of three of the longest periods are correlated with themselves, and the result is divided by the
    autocorrelation of the frame's window. Its peaks are candidates for the period; "not voiced" is one more, which
    is the better the quieter the frame is. The path through all frames with the most strength and the fewest jumps is
    the answer (Boersma 1993).

    Parameters
    ----------
    wave : Waveform
        One clip: what is quiet is judged by its peak.
    hop : float
        Seconds from one frame to the next.
    fmin, fmax : float
        Lowest and highest pitch, Hz. A frame lasts ``3 / fmin`` seconds.

    Returns
    -------
    PitchTrack
        Of ``1 + floor(duration / hop)`` frames.

    Raises
    ------
    FeatureError
        If the frequencies do not fit the sample rate, or `hop` is not positive.

    See Also
    --------
    f0 : the frequencies alone.
    serkit.features.voice_measures : what is measured on it.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> t = np.arange(16000) / 16000
    >>> tone = np.where(t < 0.5, np.sin(2 * np.pi * 150 * t), 0.0).astype(np.float32)
    >>> track = track_pitch(Waveform(tone, 16000))
    >>> len(track.times), int(track.voiced.sum()), track.hz[25].round(1)
    (101, 51, np.float64(150.0))
    """
    rate = wave.sample_rate
    if not 0 < fmin < fmax < rate / 4:
        raise FeatureError(
            f"f0 needs 0 < fmin < fmax < a quarter of the sample rate, got {fmin:g} and {fmax:g} Hz at {rate} Hz."
        )
    if not hop > 0:
        raise FeatureError(f"hop must be more than 0 s, got {hop!r}.")
    count = 1 + int(round(wave.duration * rate) / (hop * rate))
    hertz = np.zeros((count, _CANDIDATES + 1))  # column 0 is "not voiced"
    strength = np.full((count, _CANDIDATES + 1), -np.inf)
    samples = wave.samples.astype(np.float64)
    samples -= samples.mean()
    peak = float(np.abs(samples).max())
    if peak > 0:
        for first, loudness, candidates in _blocks(samples, rate, hop, fmin, fmax, count):
            rows = slice(first, first + len(loudness))
            quiet = 2 - np.minimum(loudness / peak, 1) * (1 + _VOICING) / _SILENT
            strength[rows, 0] = _VOICING + np.maximum(quiet, 0)
            row, column, frequency, value = candidates
            hertz[first + row, column] = frequency
            strength[first + row, column] = value
    else:
        strength[:, 0] = _VOICING
    path = _best_path(hertz, strength, fmax, _COSTS_HOP / hop)
    frames = np.arange(count)
    found, how = hertz[frames, path], np.where(path > 0, strength[frames, path], 0.0)
    return PitchTrack(frames * hop, np.where(path > 0, found, np.nan), how, hop)


def _blocks(
    samples: np.ndarray, rate: int, hop: float, fmin: float, fmax: float, count: int
) -> Iterator[tuple[int, np.ndarray, tuple[np.ndarray, ...]]]:
    """Yield, block by block: its first frame, the peak of each frame's middle, and the candidates.

    These are four arrays of equal length: frame in the block, column, frequency and strength.
    """
    longest = int(rate / fmin)
    width = _PERIODS * longest
    most = longest + 2  # the largest lag that may be a peak
    reach = max(1, min(_REACH, width - most - 2))
    window = np.hanning(width + 2)[1:-1]
    size = next_fast_len(width + most + reach + 1, real=True)
    lags = most + reach + 1
    shape = irfft(np.abs(rfft(window, size)) ** 2, size)[:lags]
    shape /= shape[0]
    weights = _sinc_weights(reach)
    starts = np.round(np.arange(count) * hop * rate).astype(int)
    if len(samples) >= width:  # a frame that reaches past an end is moved inside: half a frame of zeros has no period
        starts = np.clip(starts, width // 2, len(samples) - width + width // 2)
    padded = np.pad(samples, (width // 2, width))
    middle = slice(width // 2 - longest // 2, width // 2 + longest // 2 + 1)
    two_periods = slice(width // 2 - longest, width // 2 + longest)
    for first in range(0, count, _BLOCK):
        frames = padded[starts[first : first + _BLOCK, None] + np.arange(width)]
        frames = (frames - frames[:, two_periods].mean(axis=1, keepdims=True)) * window
        loudness = np.abs(frames[:, middle]).max(axis=1)
        correlation = irfft(np.abs(rfft(frames, size)) ** 2, size)[:, :lags]
        energy = correlation[:, :1]
        correlation /= np.where(energy > 0, energy, 1) * shape
        inner = correlation[:, 1:most]
        rising = (inner > correlation[:, : most - 1]) & (inner >= correlation[:, 2 : most + 1])
        row, lag = np.nonzero(rising & (inner > _VOICING / 2))
        lag += 1
        around = np.abs(lag[:, None] + np.arange(-reach, reach + 1))
        values = correlation[row[:, None], around] @ weights
        best = np.clip(values.argmax(axis=1), 1, values.shape[1] - 2)
        shift, value = _vertex(values, best)
        frequency = rate / (lag + (shift - _FINE) / _FINE)
        value = np.where(value > 1, 1 / np.maximum(value, 1), value)  # more than all: an artefact of the short frame
        fits = (frequency >= fmin) & (frequency <= fmax)
        row, frequency, value = row[fits], frequency[fits], value[fits]
        order = np.lexsort((-(value + _OCTAVE_COST * np.log2(frequency)), row))
        row, frequency, value = row[order], frequency[order], value[order]
        column = 1 + np.arange(len(row)) - np.searchsorted(row, row)
        kept = column <= _CANDIDATES
        yield first, loudness, (row[kept], column[kept], frequency[kept], value[kept])


def _sinc_weights(reach: int) -> np.ndarray:
    """Weights of 2 reach + 1 samples for the value between them, -1 to 1 sample from the middle; one column a step."""
    away = np.arange(-reach, reach + 1)[:, None] - np.arange(-_FINE, _FINE + 1) / _FINE
    return np.sinc(away) * (0.5 + 0.5 * np.cos(np.pi * np.clip(away / (reach + 1), -1, 1)))


def _vertex(values: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place and height of the parabola through the value at each row's index and its two neighbours."""
    rows = np.arange(len(at))
    before, here, after = (values[rows, at + k] for k in (-1, 0, 1))
    bend = 2 * here - before - after
    shift = np.where(bend > 0, (after - before) / (2 * np.where(bend > 0, bend, 1)), 0.0).clip(-1, 1)
    return at + shift, here + shift * (after - before) / 4


def _best_path(hertz: np.ndarray, strength: np.ndarray, fmax: float, correction: float) -> np.ndarray:
    """Return the candidate of each frame on the path of the greatest sum (Viterbi)."""
    voiced = hertz > 0
    octaves = np.log2(np.where(voiced, hertz, 1.0))
    local = np.where(voiced, strength - _OCTAVE_COST * (np.log2(fmax) - octaves), strength)
    count, width = local.shape
    used = max(1, int(np.isfinite(local).sum(axis=1).max()))  # most frames have few candidates
    octaves, local, voiced, width = octaves[:, :used], local[:, :used], voiced[:, :used], used
    back = np.zeros((count, width), np.int8)
    total = local[0]
    columns = np.arange(width)
    for frame in range(1, count):
        jump = _JUMP_COST * np.abs(octaves[frame - 1][:, None] - octaves[frame])
        both = voiced[frame - 1][:, None] & voiced[frame]
        one = voiced[frame - 1][:, None] ^ voiced[frame]
        reached = total[:, None] - correction * np.where(both, jump, np.where(one, _CHANGE_COST, 0.0))
        back[frame] = reached.argmax(axis=0)
        total = reached[back[frame], columns] + local[frame]
    path = np.zeros(count, int)
    path[-1] = total.argmax()
    for frame in range(count - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    return path
