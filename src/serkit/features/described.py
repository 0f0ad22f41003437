"""A clip described in numbers: voice and spectrum, over time and as a whole, where it is voiced."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from serkit.audio.voice_activity import speech_activity
from serkit.audio.waveform import Waveform, resample
from serkit.features.analysis import Analysis
from serkit.features.catalogue import Feature
from serkit.features.temporal import onset_strength
from serkit.features.voice import VOICE_MEASURES, measure_voice

__all__ = ["MEASURES", "ROWS", "Description", "describe"]

_RATE = 22050  # Hz; clips are described at this rate

# Of the spectrum, with librosa's defaults
_SPECTRUM = (
    Feature("mfcc", {"n_mfcc": 13}),
    Feature("chroma"),
    Feature("spectral_contrast"),
    Feature("centroid"),
    Feature("bandwidth"),
    Feature("rolloff"),
    Feature("zcr"),
    Feature("rms"),
    Feature("harmonic_percussive"),
)

_LEVELS = ("rms", "harmonic", "percussive")
_FLOOR = 1e-5  # of an amplitude: -100 dB
_UNITS = {
    "mfcc": "",
    "chroma": "",
    "spectral_contrast": "dB",
    "centroid": "Hz",
    "bandwidth": "Hz",
    "rolloff": "Hz",
    "zcr": "",
    "rms": "dB",
    "harmonic_percussive": "dB",
}

#: Measure -> its unit, in the order of :attr:`Description.measures`; a plain number has none.
MEASURES = {
    **VOICE_MEASURES,
    **{row: _UNITS[feature.name] for feature in _SPECTRUM for row in feature.row_names()},
    "harmonic_over_percussive": "dB",
    "tempo": "bpm",
}

#: The keys of :attr:`Description.rows`, in order.
ROWS = (
    *("pitch", "hnr", "f1", "f2", "f3"),
    *(row for feature in _SPECTRUM for row in feature.row_names()),
    "onsets",
)


@dataclass(frozen=True)
class Description:
    """What :func:`describe` found.

    Attributes
    ----------
    duration : float
        Seconds.
    speech : bool
        Whether somebody speaks (:mod:`serkit.audio.voice_activity`).
    times : np.ndarray, shape=(n_frames,)
        Seconds from the clip's start, every 23 ms.
    rows : dict of str to np.ndarray, shape=(n_frames,)
        Over time, named as in :data:`ROWS`: ``pitch``, ``hnr``, ``f1``, ``f2`` and ``f3``, NaN where the clip is not
        voiced; then ``mfcc_0`` and so on, everywhere; ``rms``, ``harmonic``, ``percussive`` and ``onsets`` in dB.
    measures : dict of str to float
        Of the clip, named as in :data:`MEASURES`: first those of :func:`serkit.features.measure_voice`, then the mean
        of each row over the voiced frames (levels: of the amplitude, then in dB of full scale), ``tempo`` in beats per
        minute and ``harmonic_over_percussive``, which does not depend on the distance to the microphone. NaN where
        nothing can be measured.
    """

    duration: float
    speech: bool
    times: np.ndarray
    rows: dict[str, np.ndarray]
    measures: dict[str, float]


def describe(wave: Waveform) -> Description:
    """Describe a clip in numbers: pitch, jitter, shimmer, formants, and the means of what models receive.

    Means are taken over voiced frames, those with a pitch: pauses, breath and hiss would tell more of the text and
    the room than of the voice.

    Parameters
    ----------
    wave : Waveform
        One clip of any rate; it is brought to 22,050 Hz first.

    Returns
    -------
    Description

    See Also
    --------
    measure_voice : the voice alone, with its parameters.

    Examples
    --------
    >>> t = np.arange(22050) / 22050
    >>> buzz = sum(np.sin(2 * np.pi * 220 * k * t) / k for k in range(1, 20))
    >>> found = describe(Waveform((0.1 * buzz).astype(np.float32), 22050))
    >>> round(found.measures["pitch"]), list(found.measures) == list(MEASURES), len(found.times)
    (220, True, 44)
    >>> describe(Waveform(np.zeros(22050, np.float32), 22050)).measures["pitch"]
    nan
    """
    speech = speech_activity(wave).present
    wave = resample(wave, _RATE)
    voice = measure_voice(wave)
    analysis = Analysis(wave)
    times = np.arange(analysis.n_frames) * analysis.hop_length / _RATE
    nearest = np.clip(np.round(times / voice.track.hop).astype(int), 0, len(voice.track.times) - 1)
    voiced = voice.track.voiced[nearest]
    rows = {"pitch": voice.track.hz[nearest], "hnr": voice.track.hnr[nearest]}
    rows |= {f"f{k + 1}": row[nearest] for k, row in enumerate(voice.formants)}
    found = dict(voice.measures)
    for feature in _SPECTRUM:
        for name, row in zip(feature.row_names(), feature(analysis), strict=True):
            mean = float(row[voiced].mean()) if voiced.any() else math.nan
            found[name] = level(mean) if name in _LEVELS else mean
            rows[name] = 20 * np.log10(np.maximum(row, _FLOOR)) if name in _LEVELS else row
    found["harmonic_over_percussive"] = found["harmonic"] - found["percussive"]
    found["tempo"] = float(Feature("tempo")(analysis)[0, 0]) if voiced.any() else math.nan
    rows["onsets"] = onset_strength(analysis)[0]
    return Description(wave.duration, speech, times, rows, found)


def level(amplitude: float) -> float:
    """Convert an amplitude to dB of full scale, at least -100 dB; NaN stays NaN.

    Examples
    --------
    >>> level(0.1), level(0.0)
    (-20.0, -100.0)
    """
    return 20 * math.log10(max(amplitude, _FLOOR)) if amplitude == amplitude else amplitude
