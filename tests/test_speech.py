"""Is there a voice? Voices at any level are found; what only sounds is not."""

from __future__ import annotations

import io
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from serkit.audio import Waveform, find_audio, load, resample
from serkit.audio.voice_activity import SpeechActivity, speech_activity
from tests.conftest import voice

RATE = 16000
NOTHING = SpeechActivity(present=False, ratio=0.0, seconds=0.0)


def wave(samples: np.ndarray, rate: int = RATE) -> Waveform:
    return Waveform(np.asarray(samples, dtype=np.float32), rate)


def mu_law(clip: Waveform) -> Waveform:
    buffer = io.BytesIO()
    sf.write(buffer, resample(clip, 8000).samples, 8000, format="WAV", subtype="ULAW")
    return load(buffer)


def noisy(clip: Waveform, snr_db: float) -> Waveform:
    noise = np.random.default_rng(0).standard_normal(len(clip.samples))
    return wave(clip.samples + noise * clip.samples.std() * 10 ** (-snr_db / 20), clip.sample_rate)


def coloured(n: int, slope: float, seed: int = 0) -> np.ndarray:
    """Noise whose power falls with frequency to the given power: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** (slope / 2)
    spectrum[0] = 0
    sound = np.fft.irfft(spectrum, n)
    return sound / np.abs(sound).max()


@cache
def sounds(seconds: float = 3.0, rate: int = RATE) -> dict[str, np.ndarray]:
    """What sounds without being a voice; peak 0.5."""
    n = round(seconds * rate)
    t = np.arange(n) / rate
    rng = np.random.default_rng(1)

    def tone(frequency: float) -> np.ndarray:
        return np.sin(2 * np.pi * frequency * t)

    def harmonics(frequency: float, count: int) -> np.ndarray:
        return sum((tone(frequency * k) / k for k in range(1, count + 1)), np.zeros(n))

    def every(period: float) -> np.ndarray:
        clicks = np.zeros(n)
        clicks[:: round(period * rate)] = 1
        return clicks

    top = 0.9 * min(rate / 2, 4000)
    revs = 2 * np.pi * np.cumsum(80 * (1 + 0.02 * coloured(n, 2))) / rate
    engine = sum((np.exp(-k / 6) * np.sin(k * revs + k) for k in range(1, 20)), np.zeros(n))
    found = {
        "dc": np.ones(n),
        "step": (t > seconds / 2).astype(float),
        "ramp": t,
        **{f"noise, slope {slope}": coloured(n, slope) for slope in (0, 1, 2)},
        "noise bursts": (0.5 - 0.5 * np.cos(2 * np.pi * 4 * t)) * rng.standard_normal(n),
        **{f"tone {f} Hz": tone(f) for f in (60, 100, 220, 440, 1000)},
        "beeps": tone(800) * (tone(1.5) > 0),
        "chord": tone(262) + tone(330) + tone(392),
        "organ chord": harmonics(262, 4) + harmonics(330, 4) + harmonics(392, 4),
        "mains hum 50 Hz": harmonics(50, 11),
        "mains hum 60 Hz and noise": harmonics(60, 11) + 0.1 * rng.standard_normal(n),
        "one click": (np.arange(n) == n // 2).astype(float),
        "clock": every(0.5),
        "crackle": (rng.random(n) < 60 / rate).astype(float),
        "pulses 100 Hz": every(0.01),
        "square 120 Hz": np.sign(tone(120)),
        "saw 200 Hz": 2 * (200 * t % 1) - 1,
        "sweep": np.sin(2 * np.pi * (50 * t + (top - 50) * t**2 / 2 / seconds)),
        "chirps": np.sin(2 * np.pi * (50 * (t % 0.5) + (top - 50) * (t % 0.5) ** 2)),
        "siren": np.sin(2 * np.pi * np.cumsum(700 * (1 + 0.4 * tone(0.5))) / rate),
        "engine": engine * (1 + 0.2 * tone(0.4)) + 0.1 * coloured(n, 1),
    }
    return {name: 0.5 * sound / np.abs(sound).max() for name, sound in found.items()}


@pytest.mark.parametrize("name", sorted(sounds(3.0, 8000)))
def test_what_only_sounds_is_no_voice(name: str) -> None:
    for seconds, rate in ((3.0, 8000), (1.0, 44100)):
        sound = sounds(seconds, rate)[name]
        assert speech_activity(wave(sound, rate)) == NOTHING
        assert speech_activity(wave(sound * 0.01, rate)) == NOTHING
        noise = 0.02 * np.random.default_rng(2).standard_normal(len(sound))
        assert not speech_activity(wave(sound + noise, rate)).present


@settings(max_examples=40, deadline=None)
@given(slope=st.floats(0, 2), seed=st.integers(0, 2**16), level=st.floats(0.001, 1), seconds=st.floats(0.1, 6))
def test_noise_of_any_colour_and_level_is_no_voice(slope: float, seed: int, level: float, seconds: float) -> None:
    assert speech_activity(wave(level * coloured(round(seconds * RATE), slope, seed))) == NOTHING


@pytest.mark.parametrize("rate", [4000, 8000, 22050, 48000, 96000])
def test_silence(rate: int) -> None:
    assert speech_activity(wave(np.zeros(rate), rate)) == NOTHING
    assert speech_activity(wave(np.round(np.random.default_rng(0).uniform(-1, 1, rate)) / 32768, rate)) == NOTHING


@pytest.mark.parametrize("rate", [4000, 8000, 16000, 44100, 96000])
def test_a_voice_at_any_rate(rate: int) -> None:
    for emotion in (1, 4, 8):
        for speaker in (1, 2, 5):
            found = speech_activity(resample(wave(voice(emotion, speaker)), rate))
            assert found.present
            assert 0.4 < found.ratio <= 1
            assert found.seconds == pytest.approx(found.ratio * 1.0, abs=0.01)


@settings(max_examples=20, deadline=None)
@given(emotion=st.integers(1, 8), speaker=st.integers(1, 24), halvings=st.integers(1, 10))
def test_level_does_not_matter_above_the_floor(emotion: int, speaker: int, halvings: int) -> None:
    loud = voice(emotion, speaker)  # peaks near -10 dBFS; ten halvings make -70
    quiet = loud * np.float32(2.0**-halvings)
    if np.abs(quiet - quiet.mean()).max() < 10 ** (-60 / 20):
        return
    assert speech_activity(wave(quiet)).present
    assert speech_activity(wave(quiet)).seconds == pytest.approx(speech_activity(wave(loud)).seconds, abs=0.2)


def test_below_the_floor_is_silence() -> None:
    loud = voice(1, 1)
    assert speech_activity(wave(loud * (10 ** (-71 / 20) / np.abs(loud).max()))) == NOTHING


def test_a_voice_through_dc_noise_and_mu_law() -> None:
    clip = wave(voice(3, 2))
    assert speech_activity(wave(clip.samples * 0.1 + 0.5)).present
    assert speech_activity(noisy(clip, 20)).present
    assert speech_activity(mu_law(clip)).present
    assert speech_activity(wave(np.clip(clip.samples * 30, -1, 1))).present


def test_a_long_recording_is_judged_piece_by_piece() -> None:
    long = 0.003 * np.random.default_rng(0).standard_normal(100 * RATE)
    alone = speech_activity(wave(voice(2, 2)))
    long[70 * RATE : 71 * RATE] += voice(2, 2)
    found = speech_activity(wave(long))
    assert found.present
    assert found.seconds == pytest.approx(alone.seconds, abs=0.2)
    assert found.ratio == pytest.approx(found.seconds / 100)


def test_the_shortest_clips() -> None:
    for samples in (np.ones(1), np.zeros(100), voice(1, 1)[:800]):
        assert speech_activity(wave(samples)) == NOTHING  # less than 0.1 s of voice


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
@pytest.mark.parametrize("name", ["en", "en+f3", "de", "zh"])
def test_synthetic_speech(name: str) -> None:
    for text in ("Kids are talking by the door.", "No."):
        spoken = subprocess.run(["espeak-ng", "-v", name, "--stdout", text], capture_output=True, check=True).stdout
        assert speech_activity(load(spoken)).present  # its header leaves the length open, as writers to a pipe do


@pytest.mark.ravdess
def test_real_voices(ravdess_dir: Path, crema_dir: Path) -> None:
    paths = find_audio(ravdess_dir, recursive=True)[::250] + find_audio(crema_dir, recursive=True)[::700]
    quietest = 1.0
    for path in paths:
        clip = load(path)
        quietest = min(quietest, float(np.abs(clip.samples).max()))
        for version in (clip, noisy(clip, 20), mu_law(clip)):
            assert speech_activity(version).present, path.name
    assert quietest < 0.05
