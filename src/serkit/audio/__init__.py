"""Recordings in, :class:`Waveform` out: any file, bytes, file object or array; whole, in pieces, or only its header."""

from serkit.audio.arrays import MAX_RATE, MIN_RATE, MIN_SECONDS
from serkit.audio.reader import AudioInfo
from serkit.audio.reading import AUDIO_SUFFIXES, Source, find_audio, load, probe, stream
from serkit.audio.waveform import Waveform, Window, resample

__all__ = [
    "AUDIO_SUFFIXES",
    "MAX_RATE",
    "MIN_RATE",
    "MIN_SECONDS",
    "AudioInfo",
    "Source",
    "Waveform",
    "Window",
    "find_audio",
    "load",
    "probe",
    "resample",
    "stream",
]
