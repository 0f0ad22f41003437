"""Features: from a waveform to an array.

The functions are plain: each takes a :class:`~serkit.Waveform` or an :class:`Analysis` (one spectrogram that many
features share) and returns float32 of shape (n_bands, n_frames), with librosa's values and defaults.
:class:`Extractor` describes what a system uses; :func:`measure_voice` and :func:`describe` measure a clip for people
to read; :mod:`serkit.features.transformers` (not imported here, as it needs scikit-learn) wraps the features for
pipelines.

Examples
--------
>>> import numpy as np
>>> from serkit import Waveform
>>> from serkit.features import Analysis, centroid, mfcc
>>> wave = Waveform(np.sin(2 * np.pi * 440 * np.arange(22050) / 22050).astype(np.float32), 22050)
>>> analysis = Analysis(wave)
>>> mfcc(analysis, n_mfcc=13).shape, centroid(analysis).shape
((13, 44), (1, 44))
"""

from serkit.features.analysis import Analysis
from serkit.features.catalogue import FEATURES, Feature
from serkit.features.described import MEASURES, Description, describe
from serkit.features.extractor import FEATURES_VERSION, LAYOUTS, Extractor
from serkit.features.formants import formants
from serkit.features.frontend import FrontEnd
from serkit.features.pitch import chroma, tuning
from serkit.features.presets import s0, s1, s3
from serkit.features.pulses import find_pulses, jitter, shimmer
from serkit.features.spectral import (
    bandwidth,
    centroid,
    log_mel,
    mel,
    mfcc,
    rolloff,
    spectral_contrast,
    windowed_log_mel,
)
from serkit.features.temporal import delta, harmonic_percussive, onset_strength, rms, tempo, zcr
from serkit.features.tracking import PitchTrack, f0, track_pitch
from serkit.features.voice import VOICE_MEASURES, Voice, measure_voice

__all__ = [
    "FEATURES",
    "FEATURES_VERSION",
    "LAYOUTS",
    "MEASURES",
    "VOICE_MEASURES",
    "Analysis",
    "Description",
    "Extractor",
    "Feature",
    "FrontEnd",
    "PitchTrack",
    "Voice",
    "bandwidth",
    "centroid",
    "chroma",
    "delta",
    "describe",
    "f0",
    "find_pulses",
    "formants",
    "harmonic_percussive",
    "jitter",
    "log_mel",
    "measure_voice",
    "mel",
    "mfcc",
    "onset_strength",
    "rms",
    "rolloff",
    "s0",
    "s1",
    "s3",
    "shimmer",
    "spectral_contrast",
    "tempo",
    "track_pitch",
    "tuning",
    "windowed_log_mel",
    "zcr",
]
