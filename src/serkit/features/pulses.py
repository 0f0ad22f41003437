"""Glottal pulses, and how regular they are: jitter and shimmer.

The definitions are those of Praat's manual ("Sound & Pitch: To PointProcess (cc)", "PointProcess: Get jitter (local)",
"PointProcess & Sound: Get shimmer (local)"), so figures can be compared with published ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from serkit.features.tracking import PitchTrack, track_pitch

if TYPE_CHECKING:
    from serkit.audio import Waveform

__all__ = ["find_pulses", "jitter", "shimmer"]

_NEAR, _FAR = 0.8, 1.25  # periods from one pulse to the next
_ALIKE = 0.3  # correlation of two neighbouring periods that belong to one voice
_ALIKE_OUTSIDE = 0.7  # the same past the end of a voiced stretch
_LOUD, _LOUD_OUTSIDE = 0.01, 0.0233  # of the clip's peak
_SHORTEST, _LONGEST = 0.0001, 0.02  # s; periods that are measured
_PERIOD_FACTOR = 1.3  # neighbouring periods that differ more are not measured
_AMPLITUDE_FACTOR = 1.6
_AROUND = 0.2  # of a period on each side of a pulse, whose level is the pulse's amplitude


def find_pulses(wave: Waveform, track: PitchTrack | None = None) -> np.ndarray:
    """Find the glottal pulses of a voice: one instant a period.

    In the middle of each voiced stretch, the sample farthest from 0 within a period is the first pulse. To either
    side, the next one is where the sound of a period is most like that around the last pulse, 0.8 to 1.25 periods
    away.

    Parameters
    ----------
    wave : Waveform
    track : PitchTrack, optional
        The pitch of this clip, if it is known already.

    Returns
    -------
    np.ndarray, shape=(n,)
        Seconds, rising; empty where nothing is voiced.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> t = np.arange(16000) / 16000
    >>> pulses = find_pulses(Waveform(np.sin(2 * np.pi * 200 * t).astype(np.float32), 16000))
    >>> float(np.diff(pulses).mean().round(5))
    0.005
    """
    track = track_pitch(wave) if track is None else track
    samples = wave.samples.astype(np.float64)
    samples -= samples.mean()
    rate = wave.sample_rate
    peak = float(np.abs(samples).max())
    found: list[float] = []
    for start, end in track.spans():
        middle = (start + end) / 2
        period = 1 / track.at(middle)
        low = max(round((middle - period / 2) * rate), 0)
        part = np.abs(samples[low : round((middle + period / 2) * rate) + 1])
        if not part.size or not part.any():
            continue
        first = (low + int(part.argmax())) / rate
        last = found[-1] if found else -np.inf
        left = _chain(samples, rate, track, first, start, peak, direction=-1)
        right = _chain(samples, rate, track, first, end, peak, direction=1)
        found += [time for time in (*left[::-1], first, *right) if time - last > _NEAR * period]
    return np.array(found)


def _chain(
    samples: np.ndarray, rate: int, track: PitchTrack, time: float, end: float, peak: float, *, direction: int
) -> list[float]:
    """Return the pulses from `time` on, in one direction, until the voiced stretch ends."""
    found: list[float] = []
    while True:
        pitch = track.at(time)
        if np.isnan(pitch):
            return found
        best = _most_alike(samples, rate, time, 1 / pitch, direction)
        if best is None:
            return found
        time, alike, loud = best
        if (time - end) * direction >= 0:
            if alike > _ALIKE_OUTSIDE and loud > _LOUD_OUTSIDE * peak:
                found.append(time)
            return found
        if alike > _ALIKE and loud > _LOUD * peak:
            found.append(time)


def _most_alike(
    samples: np.ndarray, rate: int, time: float, period: float, direction: int
) -> tuple[float, float, float] | None:
    """Return when the sound is most like that around `time`, their correlation, and its peak there; None at the end."""
    width = max(round(period * rate), 2)
    at = round(time * rate - width / 2)
    nearest, farthest = int(_NEAR * period * rate), int(np.ceil(_FAR * period * rate))
    lags = direction * np.arange(max(nearest - 1, 1), farthest + 2)
    low, high = at + int(lags.min()), at + int(lags.max())
    if at < 0 or at + width > len(samples) or low < 0 or high + width > len(samples):
        return None
    here = samples[at : at + width]
    wide = samples[low : high + width]
    products = np.correlate(wide, here, "valid")
    sums = np.cumsum(np.concatenate([[0.0], wide**2]))
    energy = np.maximum(sums[width:] - sums[:-width], 0) * float(here @ here)
    alike = np.where(energy > 0, products / np.sqrt(np.where(energy > 0, energy, 1)), 0.0)
    best = 1 + int(alike[1:-1].argmax())
    before, middle, after = alike[best - 1 : best + 2]
    bend = 2 * middle - before - after
    shift = float(np.clip((after - before) / (2 * bend), -0.5, 0.5)) if bend > 0 else 0.0
    height = float(middle + shift * (after - before) / 4)
    moved = low + best - at + shift
    loud = float(np.abs(wide[best : best + width]).max())
    return time + moved / rate, height, loud


def jitter(pulses: np.ndarray) -> float:
    """Jitter (local): how much one period differs from the next, as a share of the mean period.

    Parameters
    ----------
    pulses : np.ndarray, shape=(n,)
        Seconds, from :func:`find_pulses`.

    Returns
    -------
    float
        0 for a perfect clock; a healthy sustained vowel has less than 0.01, running speech 0.01 to 0.03. NaN if there
        are no two neighbouring periods within 0.1 to 20 ms and a factor of 1.3 of each other.

    Examples
    --------
    >>> jitter(np.array([0.0, 0.010, 0.021, 0.031])).__round__(3)
    0.097
    """
    periods = np.diff(pulses)
    usual = _pairs(pulses)
    if not usual.any():
        return float("nan")
    first, second = periods[:-1][usual], periods[1:][usual]
    differences = np.abs(first - second).mean()
    taken = np.zeros(len(periods), bool)
    taken[:-1] |= usual
    taken[1:] |= usual
    return float(differences / periods[taken].mean())


def shimmer(wave: Waveform, pulses: np.ndarray) -> float:
    """Shimmer (local): how much the level of one period differs from the next, as a share of the mean level.

    Parameters
    ----------
    wave : Waveform
    pulses : np.ndarray, shape=(n,)
        Seconds, from :func:`find_pulses`.

    Returns
    -------
    float
        0 for equal periods; a healthy sustained vowel has less than 0.04, running speech 0.05 to 0.15. NaN if there
        are no two neighbouring periods as for :func:`jitter`, with levels within a factor of 1.6 of each other.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> t = np.arange(16000) / 16000
    >>> wave = Waveform(np.sin(2 * np.pi * 200 * t).astype(np.float32), 16000)
    >>> shimmer(wave, find_pulses(wave)) < 1e-3
    True
    """
    usual = _pairs(pulses)
    periods = np.diff(pulses)
    levels = np.zeros(len(pulses))
    for k in 1 + np.flatnonzero(usual):
        levels[k] = _level(wave, pulses[k], _AROUND * periods[k - 1], _AROUND * periods[k])
    measured = levels[levels > 0]
    times = pulses[levels > 0]
    if len(measured) < 2:
        return float("nan")
    gap = np.diff(times)
    ratio = np.maximum(measured[1:], measured[:-1]) / np.minimum(measured[1:], measured[:-1])
    near = (gap >= _SHORTEST) & (gap <= _LONGEST) & (ratio <= _AMPLITUDE_FACTOR)
    if not near.any():
        return float("nan")
    return float(np.abs(np.diff(measured))[near].mean() / measured.mean())


def _pairs(pulses: np.ndarray) -> np.ndarray:
    """Which inner pulses have similar periods before and after them: bool, shape=(n - 2,)."""
    periods = np.diff(pulses)
    if len(periods) < 2:
        return np.zeros(0, bool)
    fits = (periods >= _SHORTEST) & (periods <= _LONGEST)
    first, second = periods[:-1], periods[1:]
    alike = np.maximum(first, second) <= _PERIOD_FACTOR * np.minimum(first, second)
    return fits[:-1] & fits[1:] & alike


def _level(wave: Waveform, time: float, before: float, after: float) -> float:
    """Return the RMS of the sound around a time under a Hann window of two halves."""
    rate = wave.sample_rate
    low = max(int(np.ceil((time - before) * rate)), 0)
    high = min(int((time + after) * rate), len(wave.samples) - 1)
    if high < low:
        return 0.0
    away = np.arange(low, high + 1) / rate - time
    weight = 0.5 + 0.5 * np.cos(np.pi * away / np.where(away < 0, before, after))
    part = wave.samples[low : high + 1] * weight
    return float(np.sqrt((part @ part) / (weight @ weight)))
