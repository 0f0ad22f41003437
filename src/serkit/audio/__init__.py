"""Recordings in, :class:`Waveform` out: any file, bytes, file object or array; whole, in pieces, or only its header."""

from serkit.audio.arrays import MAX_RATE, MIN_RATE, MIN_SECONDS
from serkit.audio.channels import Channel, Choice, check_channel
from serkit.audio.decode import reopenable
from serkit.audio.folders import AUDIO_SUFFIXES, find_audio
from serkit.audio.reader import AudioInfo
from serkit.audio.reading import Recording, Source, Track, channels_of, load, load_chosen, probe, stream
from serkit.audio.waveform import Waveform, Window, resample

__all__ = [
    "AUDIO_SUFFIXES",
    "MAX_RATE",
    "MIN_RATE",
    "MIN_SECONDS",
    "AudioInfo",
    "Channel",
    "Choice",
    "Recording",
    "Source",
    "Track",
    "Waveform",
    "Window",
    "channels_of",
    "check_channel",
    "find_audio",
    "load",
    "load_chosen",
    "probe",
    "reopenable",
    "resample",
    "stream",
]
