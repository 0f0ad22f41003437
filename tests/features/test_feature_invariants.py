"""What must hold for any sound: shapes, gain, time order; and what is refused, with a sentence that helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serkit import features as F
from serkit.audio import Waveform
from serkit.errors import FeatureError

RATE = 22050
quick = settings(max_examples=25, deadline=None, derandomize=True)


def noise(seed: int, n: int, rate: int = RATE) -> Waveform:
    """Noise with a tilt and an envelope, peaks around 0.3."""
    rng = np.random.default_rng(seed)
    sound = np.convolve(rng.standard_normal(n + 3), rng.random(4), "valid")
    sound *= 0.2 + rng.random() * np.abs(np.sin(np.arange(n) * 7 / n))
    return Waveform((0.3 * sound / np.abs(sound).max()).astype(np.float32), rate)


ROWS: dict[str, tuple[Callable[..., np.ndarray], int]] = {
    "mfcc": (F.mfcc, 20),
    "chroma": (F.chroma, 12),
    "mel": (F.mel, 128),
    "log_mel": (F.log_mel, 128),
    "centroid": (F.centroid, 1),
    "bandwidth": (F.bandwidth, 1),
    "rolloff": (F.rolloff, 1),
    "zcr": (F.zcr, 1),
    "rms": (F.rms, 1),
    "harmonic_percussive": (F.harmonic_percussive, 2),
}


@pytest.mark.filterwarnings("ignore:.*mel bands are narrower.*:UserWarning")
@quick
@given(
    rate=st.sampled_from([4000, 8000, 11025, 16000, 22050, 44100, 48000, 96000]),
    tenths=st.floats(1.0, 12.0),
    hop=st.sampled_from([100, 512, 2000]),
    seed=st.integers(0, 99),
)
def test_shapes_ranges_and_finiteness(rate: int, tenths: float, hop: int, seed: int) -> None:
    n = int(np.ceil(rate * tenths / 10))
    analysis = F.Analysis(noise(seed, n, rate), hop_length=hop)
    assert analysis.magnitude.shape == (1025, 1 + n // hop)
    for name, (function, rows) in ROWS.items():
        values = function(analysis)
        assert values.shape == (rows, 1 + n // hop), name
        assert values.dtype == np.float32, name
        assert np.isfinite(values).all(), name
    for function in (F.centroid, F.bandwidth, F.rolloff):
        assert 0 <= function(analysis).min() <= function(analysis).max() <= rate / 2
    assert 0 <= F.zcr(analysis).min() <= F.zcr(analysis).max() < 1
    assert F.chroma(analysis).min() >= 0
    assert F.chroma(analysis).max() == 1
    assert F.tempo(analysis).shape == (1, 1)
    assert 0 < F.tempo(analysis)[0, 0] < 320
    if rate > 12800:
        assert F.spectral_contrast(analysis).shape == (7, 1 + n // hop)


@quick
@given(gain=st.floats(0.2, 3.0), seed=st.integers(0, 99))
def test_gain_shifts_levels_and_leaves_the_rest(gain: float, seed: int) -> None:
    wave = noise(seed, RATE // 2)
    loud = Waveform(wave.samples * np.float32(gain), RATE)
    a, b = F.Analysis(wave), F.Analysis(loud)
    shift = 20 * np.log10(gain)
    level = F.log_mel(a, top_db=None)
    free = (level > -90) & (level + shift > -90)
    assert free.mean() > 0.9
    np.testing.assert_allclose((F.log_mel(b, top_db=None) - level)[free], shift, atol=1e-3)
    np.testing.assert_allclose(F.rms(b), gain * F.rms(a), rtol=1e-5)
    np.testing.assert_allclose(F.harmonic_percussive(b), gain * F.harmonic_percussive(a), rtol=1e-4)
    np.testing.assert_array_equal(F.zcr(b), F.zcr(a))
    np.testing.assert_allclose(F.centroid(b), F.centroid(a), rtol=1e-5)
    np.testing.assert_allclose(F.bandwidth(b), F.bandwidth(a), rtol=1e-5)
    # A sum that meets 85 % to the last digit may fall on either side: one bin, in next to no frame.
    bins = np.abs(F.rolloff(b) - F.rolloff(a)) / (RATE / 2048)
    assert bins.max() < 1.01
    assert (bins > 0.01).mean() <= 0.05
    np.testing.assert_allclose(F.chroma(b), F.chroma(a), atol=1e-4)


@quick
@given(seed=st.integers(0, 99), frames=st.integers(1, 12))
def test_delay_by_whole_hops_moves_the_frames(seed: int, frames: int) -> None:
    wave = noise(seed, RATE // 2)
    late = Waveform(np.concatenate([np.zeros(frames * 512, np.float32), wave.samples]), RATE)
    for name in ("mel", "centroid", "rms", "rolloff"):
        before, after = ROWS[name][0](wave), ROWS[name][0](late)
        # Half a frame at both ends sees the padding instead of the sound.
        np.testing.assert_allclose(after[:, frames + 2 : -2], before[:, 2:-2], rtol=1e-5, err_msg=name)


@quick
@given(seed=st.integers(0, 99))
def test_time_reversal_reverses_the_frames(seed: int) -> None:
    n = 40 * 512  # so that the frames of the reversed clip lie on those of the clip
    wave = noise(seed, n + 1)
    back = Waveform(wave.samples[::-1].copy(), RATE)
    for name in ("mel", "centroid", "bandwidth", "chroma"):
        # The periodic window is symmetric around the centre of its frame.
        np.testing.assert_allclose(ROWS[name][0](back)[:, ::-1], ROWS[name][0](wave), rtol=1e-3, err_msg=name)


@quick
@given(order=st.integers(1, 3), width=st.sampled_from([5, 9, 13]), slope=st.floats(-5, 5))
def test_delta_of_a_power_is_its_derivative(order: int, width: int, slope: float) -> None:
    t = np.arange(40.0)
    data = np.stack([slope * t**order, np.full(40, slope)])
    factorial = float(np.prod(np.arange(1, order + 1)))
    want = np.stack([np.full(40, slope * factorial), np.zeros(40)])
    np.testing.assert_allclose(F.delta(data, width=width, order=order), want, rtol=1e-4, atol=1e-6)


def test_one_spectrogram_serves_all(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = F.Analysis._transformed

    def counted(self: F.Analysis) -> Any:
        calls.append(self)
        return original(self)

    monkeypatch.setattr(F.Analysis, "_transformed", counted)
    F.s0()(noise(1, RATE))
    first = len(calls)
    assert len({id(a) for a in calls}) == first  # the trial on silence, if new, and the clip: one transform each
    F.s0()(noise(2, RATE))
    assert len(calls) == first + 1


def test_empty_mel_bands_are_told() -> None:
    with pytest.warns(UserWarning, match=r"of 128 mel bands are narrower than a bin of n_fft=256"):
        F.mel(F.Analysis(noise(0, 8000, 16000), n_fft=256), n_mels=128)


WAVE = noise(0, RATE // 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.mfcc(WAVE, n_mfcc=60, n_mels=40), "n_mfcc=60 .* n_mels=40"),
        (lambda: F.mfcc(WAVE, n_mfcc=0), "n_mfcc must be a positive integer, got 0"),
        (lambda: F.mel(WAVE, fmax=12000.0), "fmax=12000 Hz is above half the sample rate .11025 Hz."),
        (lambda: F.mel(WAVE, fmin=500.0, fmax=400.0), "fmin=500 Hz and fmax=400 Hz"),
        (lambda: F.mel(WAVE, n_mels=-1), "n_mels must be a positive integer, got -1"),
        (lambda: F.log_mel(WAVE, top_db=-1.0), "top_db must be 0 dB or more, got -1.0"),
        (lambda: F.log_mel(WAVE, deltas=3), "deltas must be 0 .none., 1 .* got 3"),
        (lambda: F.rolloff(WAVE, roll_percent=85.0), "roll_percent must be between 0 and 1, got 85.0"),
        (lambda: F.spectral_contrast(WAVE, quantile=0.0), "quantile must be between 0 and 1, got 0.0"),
        (lambda: F.spectral_contrast(WAVE, fmin=0.0), "fmin must be above 0 Hz, got 0.0"),
        (lambda: F.spectral_contrast(WAVE, n_bands=7), "n_bands=7 and fmin=200 Hz needs .* above 25600 Hz, got 22050"),
        (lambda: F.spectral_contrast(F.Analysis(WAVE, n_fft=32)), "no FFT bin between .* n_fft=32 at 22050 Hz"),
        (lambda: F.harmonic_percussive(WAVE, kernel_size=30), "kernel_size must be odd, got 30"),
        (lambda: F.tempo(F.Analysis(WAVE, hop_length=5 * RATE)), "hop_length=110250 at 22050 Hz: shorten the hop"),
        (lambda: F.delta(np.zeros((2, 5))), "width=9 frames need a clip of at least 9 frames, got 5"),
        (lambda: F.delta(np.zeros((2, 50)), width=8), "odd and at least 3 frames, got 8"),
        (lambda: F.delta(np.zeros((2, 50)), width=5, order=5), "order=5 needs a width above 5 frames, got width=5"),
        (lambda: F.log_mel(noise(0, 2205), deltas=1), "at least 9 frames, got 5"),
        (lambda: F.Analysis(WAVE, hop_length=0), "hop_length must be a positive integer, got 0"),
        (lambda: F.Analysis(WAVE, hop_length=512.5), "hop_length must be a positive integer, got 512.5"),
        (lambda: F.Analysis(WAVE, n_fft=513), "n_fft must be even, got 513"),
        (lambda: F.Analysis(WAVE, n_fft=512, win_length=600), "win_length=600 is longer than n_fft=512"),
        (lambda: F.Analysis(WAVE, window="hnn"), "Unknown STFT window 'hnn'"),
        (lambda: F.Analysis(WAVE, pad_mode="wrap"), "Unknown pad_mode 'wrap': expected one of constant"),
        (lambda: F.Analysis(noise(0, 1000), center=False), "1000 samples is shorter than one frame of n_fft=2048"),
        (lambda: F.mfcc(WAVE.samples), "take a Waveform or an Analysis, got ndarray"),
    ],
)
def test_bad_requests_name_what_was_got_and_expected(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        call()


def test_no_infinite_sample_becomes_a_feature() -> None:
    class Broken:
        samples = np.array([0.0, np.nan], np.float32)
        sample_rate = RATE
        duration = 2 / RATE

    with pytest.raises(FeatureError, match="NaN or infinite"):
        F.rms(Broken())  # type: ignore[arg-type]
