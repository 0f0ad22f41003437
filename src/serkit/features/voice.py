"""What is measured in a voice: pitch, jitter, shimmer, harmonics to noise and formants, where it is voiced only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serkit.features.formants import formants
from serkit.features.pulses import find_pulses, jitter, shimmer
from serkit.features.tracking import PitchTrack, track_pitch

if TYPE_CHECKING:
    from serkit.audio import Waveform

__all__ = ["VOICE_MEASURES", "Voice", "measure_voice"]

#: Measure -> its unit, in the order of :attr:`Voice.measures`.
VOICE_MEASURES = {
    "voiced": "s",
    "pitch": "Hz",
    "pitch_low": "Hz",
    "pitch_high": "Hz",
    "pitch_range": "semitones",
    "jitter": "%",
    "shimmer": "%",
    "hnr": "dB",
    "f1": "Hz",
    "f2": "Hz",
    "f3": "Hz",
}

_ENDS = (0.05, 0.95)  # of the pitches: a few wrong frames do not move them


@dataclass(frozen=True)
class Voice:
    """What :func:`measure_voice` found.

    Attributes
    ----------
    track : PitchTrack
        Pitch and strength every 10 ms.
    formants : np.ndarray, shape=(3, n_frames)
        F1 to F3 of the frames of the track, Hz; NaN where they are not voiced.
    pulses : np.ndarray, shape=(n_pulses,)
        Glottal pulses, seconds.
    measures : dict of str to float
        Of the whole clip, named and with units as in :data:`VOICE_MEASURES`. NaN where nothing can be measured.

        ``voiced``: time with a pitch, s. ``pitch``, ``pitch_low``, ``pitch_high``: median, 5th and 95th percentile,
        Hz, 75 to 600. ``pitch_range``: from low to high in semitones. ``jitter``, ``shimmer``: local, % (0 is
        regular). ``hnr``: mean harmonics-to-noise ratio, dB, -60 to 60. ``f1``, ``f2``, ``f3``: median formants, Hz.
    """

    track: PitchTrack
    formants: np.ndarray
    pulses: np.ndarray
    measures: dict[str, float]


def measure_voice(
    wave: Waveform, *, hop: float = 0.01, fmin: float = 75.0, fmax: float = 600.0, ceiling: float = 5500.0
) -> Voice:
    """Measure a voice where it is voiced, that is, where it has a pitch; pauses, breath and hissing do not count.

    Parameters
    ----------
    wave : Waveform
        One clip.
    hop : float
        Seconds from one frame to the next.
    fmin, fmax : float
        Lowest and highest pitch, Hz, as for :func:`track_pitch`.
    ceiling : float
        Of the formants, Hz, as for :func:`formants`: 5,500 suits women, 5,000 men.

    Returns
    -------
    Voice

    Raises
    ------
    FeatureError
        If the frequencies do not fit the sample rate.

    See Also
    --------
    track_pitch, find_pulses, jitter, shimmer, formants : the parts.
    serkit.features.describe : with the spectrum beside it.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> t = np.arange(16000) / 16000
    >>> buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20))
    >>> found = measure_voice(Waveform((0.1 * buzz).astype(np.float32), 16000)).measures
    >>> round(found["pitch"]), found["hnr"] > 20, found["jitter"] < 0.1
    (120, True, True)
    """
    track = track_pitch(wave, hop=hop, fmin=fmin, fmax=fmax)
    voiced = track.voiced
    tract = np.full((3, len(voiced)), np.nan)
    if not voiced.any():
        return Voice(track, tract, np.zeros(0), {**dict.fromkeys(VOICE_MEASURES, float("nan")), "voiced": 0.0})
    tract[:, voiced] = formants(wave, track.times[voiced], ceiling=ceiling)
    pulses = find_pulses(wave, track)
    pitches = track.hz[voiced]
    low, high = np.quantile(pitches, _ENDS)
    found = {
        "voiced": voiced.sum() * hop,
        "pitch": np.median(pitches),
        "pitch_low": low,
        "pitch_high": high,
        "pitch_range": 12 * np.log2(high / low),
        "jitter": 100 * jitter(pulses),
        "shimmer": 100 * shimmer(wave, pulses),
        "hnr": track.hnr[voiced].mean(),
    }
    for name, row in zip(("f1", "f2", "f3"), tract, strict=True):
        known = row[np.isfinite(row)]
        found[name] = np.median(known) if known.size else np.nan
    return Voice(track, tract, pulses, {name: float(value) for name, value in found.items()})
