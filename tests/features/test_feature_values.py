"""The values of the features: librosa's, from stored arrays and from librosa itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serkit import features as F
from serkit.audio import Waveform, load, resample
from serkit.errors import FeatureError
from serkit.features.temporal import _median
from tests.conftest import voice

GOLDEN = Path(__file__).parents[1] / "golden" / "features.npz"
RATE = 22050

OURS: dict[str, Callable[[F.Analysis], np.ndarray]] = {
    "mfcc": F.mfcc,
    "mfcc_40": lambda a: F.mfcc(a, n_mfcc=40),
    "chroma": F.chroma,
    "mel": F.mel,
    "log_mel": F.log_mel,
    "spectral_contrast": F.spectral_contrast,
    "centroid": F.centroid,
    "bandwidth": F.bandwidth,
    "rolloff": F.rolloff,
    "zcr": F.zcr,
    "rms": F.rms,
    "tempo": F.tempo,
    "harmonic_percussive": F.harmonic_percussive,
    "delta": lambda a: F.delta(F.mfcc(a)),
    "delta2": lambda a: F.delta(F.mfcc(a), order=2),
}


def librosa_values(y: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """What librosa's own functions give with their defaults, each called for itself."""
    import librosa

    f = librosa.feature
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about short or silent signals
        parts = librosa.decompose.hpss(librosa.stft(y))
        mfcc = f.mfcc(y=y, sr=rate)
        return {
            "mfcc": mfcc,
            "mfcc_40": f.mfcc(y=y, sr=rate, n_mfcc=40),
            "chroma": f.chroma_stft(y=y, sr=rate),
            "mel": f.melspectrogram(y=y, sr=rate),
            "log_mel": librosa.power_to_db(f.melspectrogram(y=y, sr=rate)),
            "spectral_contrast": f.spectral_contrast(y=y, sr=rate),
            "centroid": f.spectral_centroid(y=y, sr=rate),
            "bandwidth": f.spectral_bandwidth(y=y, sr=rate),
            "rolloff": f.spectral_rolloff(y=y, sr=rate),
            "zcr": f.zero_crossing_rate(y),
            "rms": f.rms(y=y),
            "tempo": f.tempo(y=y, sr=rate)[:, None],
            "harmonic_percussive": np.concatenate([f.rms(S=np.abs(part)) for part in parts]),
            "delta": f.delta(mfcc),
            "delta2": f.delta(mfcc, order=2),
        }


def assert_close(got: np.ndarray, want: np.ndarray, name: str = "") -> None:
    """Equal to 1e-4 of each row's largest value, and to 1e-4 of each value that is not tiny beside it."""
    assert got.shape == want.shape, name
    assert got.dtype == np.float32, name
    difference = np.abs(got - want)
    largest = np.abs(want).max(axis=1, keepdims=True)
    assert (difference <= 1e-4 * largest).all(), (name, float((difference / np.maximum(largest, 1e-30)).max()))
    large = np.abs(want) > 0.05 * largest
    relative = difference[large] / np.abs(want)[large]
    assert relative.size == 0 or relative.max() <= 1e-4, (name, float(relative.max()))


def assert_equals_librosa(wave: Waveform) -> None:
    analysis = F.Analysis(wave)
    for name, want in librosa_values(wave.samples, wave.sample_rate).items():
        assert_close(OURS[name](analysis), want, name)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    with np.load(GOLDEN) as stored:
        arrays = dict(stored)
    wave = Waveform(arrays.pop("pcm").astype(np.float32) / 32768, RATE)
    return {"wave": wave, "arrays": arrays}


@pytest.mark.parametrize("name", sorted(set(OURS) - {"mfcc_40", "mel", "log_mel"}))
def test_stored_values(golden: dict[str, Any], name: str) -> None:
    assert_close(OURS[name](F.Analysis(golden["wave"])), golden["arrays"][name], name)


def test_stored_mel_with_other_settings(golden: dict[str, Any]) -> None:
    assert_close(F.mel(golden["wave"], n_mels=40), golden["arrays"]["mel"])
    analysis = F.Analysis(golden["wave"], n_fft=512, win_length=400, hop_length=256)
    got = F.log_mel(analysis, n_mels=40, fmin=50.0, fmax=8000.0)
    assert_close(got, golden["arrays"]["log_mel"])


@pytest.mark.parametrize("seconds", [0.3, 2.0])
@pytest.mark.parametrize("rate", [16000, 22050, 48000])
def test_voice_equals_librosa(rate: int, seconds: float) -> None:
    assert_equals_librosa(Waveform(voice(5, 2, seconds=seconds, rate=rate), rate))


@pytest.mark.parametrize("gain", [1e-4, 1.0, 100.0])
def test_noise_and_silence_equal_librosa(gain: float) -> None:
    noise = np.random.default_rng(1).standard_normal(RATE).astype(np.float32) * np.float32(0.1 * gain)
    assert_equals_librosa(Waveform(np.concatenate([np.zeros(RATE // 2, np.float32), noise]), RATE))


CLIPS = [
    "speech/Actor_12/03-01-05-02-01-01-12",
    "speech/Actor_07/03-01-02-01-02-01-07",
    "speech/Actor_21/03-01-06-02-02-02-21",
    "speech/Actor_01/03-01-01-01-01-01-01",
    "song/Actor_10/03-02-03-02-01-01-10",
]


@pytest.mark.ravdess
@pytest.mark.parametrize("stem", [clip.rsplit("/", 1)[1] for clip in CLIPS] + ["quietest"])
def test_real_clips_equal_librosa(ravdess_dir: Path, stem: str) -> None:
    if stem == "quietest":  # of actors' calm speech at normal intensity: the peak is below 1 % of full scale
        paths = sorted(ravdess_dir.glob("speech/**/03-01-02-01-0?-0?-*.flac"))
        waves = [load(path) for path in paths[:: max(1, len(paths) // 48)]]
        wave = min(waves, key=lambda w: float(np.abs(w.samples).max()))
        assert np.abs(wave.samples).max() < 0.02
    else:
        (path,) = ravdess_dir.glob(f"*/**/{stem}.flac")
        wave = load(path)
    assert_equals_librosa(wave)


def test_net_settings_equal_librosa() -> None:
    """Log-mel as nets take it: other frames, other range, deltas."""
    import librosa

    y = voice(3, 1, rate=16000)
    settings = {"n_fft": 512, "win_length": 400, "hop_length": 160}
    want = librosa.power_to_db(
        librosa.feature.melspectrogram(y=y, sr=16000, n_mels=64, fmin=60, fmax=7600, **settings), top_db=None
    )
    got = F.log_mel(
        F.Analysis(Waveform(y, 16000), **settings), n_mels=64, fmin=60.0, fmax=7600.0, top_db=None, deltas=2
    )
    assert_close(got[:64], want)
    assert_close(got[64:128], librosa.feature.delta(want))
    assert_close(got[128:], librosa.feature.delta(want, order=2))


def test_windows_of_several_lengths_equal_librosa() -> None:
    import librosa

    y = voice(3, 1, rate=16000)
    analysis = F.Analysis(Waveform(y, 16000), n_fft=2048, hop_length=256)
    bands = {"n_mels": 64, "fmin": 40.0, "fmax": 8000.0}
    for win_length in (400, 800, 2048):
        power = librosa.feature.melspectrogram(
            y=y, sr=16000, n_fft=2048, win_length=win_length, hop_length=256, **bands
        )
        got = F.windowed_log_mel(analysis, win_length=win_length, **bands)
        assert_close(got, librosa.power_to_db(power))


@pytest.mark.parametrize(
    "settings",
    [
        {"n_fft": 1024, "hop_length": 300, "window": "hamming"},
        {"center": False},
        {"pad_mode": "reflect", "win_length": 900},
    ],
)
def test_a_window_of_another_length_changes_nothing_else(settings: dict[str, Any]) -> None:
    wave = Waveform(voice(3, 1, rate=16000), 16000)
    analysis = F.Analysis(wave, **settings)
    want = F.log_mel(F.Analysis(wave, **{**settings, "win_length": 400}), n_mels=40, top_db=60.0)
    got = F.windowed_log_mel(analysis, win_length=400, n_mels=40, top_db=60.0)
    np.testing.assert_array_equal(got, want)
    assert got.shape == F.log_mel(analysis, n_mels=40).shape
    assert not np.array_equal(got, F.log_mel(analysis, n_mels=40, top_db=60.0))


def test_the_spectrum_under_each_window_is_made_once() -> None:
    analysis = F.Analysis(Waveform(voice(3, 1, rate=16000), 16000))
    F.windowed_log_mel(analysis, win_length=400, n_mels=40)
    spectrum = analysis.windowed(400).magnitude_rows
    F.windowed_log_mel(analysis, win_length=400, n_mels=64)
    assert analysis.windowed(400).magnitude_rows is spectrum
    assert analysis.windowed(2048) is analysis
    assert analysis.windowed(800) is not analysis.windowed(400)


def test_a_window_longer_than_the_frame_is_refused() -> None:
    with pytest.raises(FeatureError, match="win_length=4096 is longer than n_fft=2048"):
        F.windowed_log_mel(Waveform(voice(3, 1), 16000), win_length=4096)


@pytest.mark.parametrize(
    "settings",
    [{"window": "hamming"}, {"center": False}, {"pad_mode": "reflect"}, {"pad_mode": "edge", "hop_length": 300}],
)
def test_other_transforms_equal_librosa(settings: dict[str, Any]) -> None:
    import librosa

    y = voice(2, 3, rate=RATE)
    analysis = F.Analysis(Waveform(y, RATE), n_fft=1024, **settings)
    keywords = {"n_fft": 1024, "hop_length": 512, **settings}
    want = librosa.stft(y, **keywords)
    np.testing.assert_allclose(analysis.stft, want, atol=1e-6 * np.abs(want).max())
    np.testing.assert_allclose(analysis.magnitude, np.abs(want), atol=1e-6 * np.abs(want).max())
    assert_close(F.mel(analysis), librosa.feature.melspectrogram(y=y, sr=RATE, **keywords))
    frames = {k: v for k, v in keywords.items() if k in ("hop_length", "center", "pad_mode")}
    assert_close(F.rms(analysis), librosa.feature.rms(y=y, frame_length=1024, **frames))
    frames.pop("pad_mode", None)
    assert_close(F.zcr(analysis), librosa.feature.zero_crossing_rate(y, frame_length=1024, **frames))


@pytest.mark.parametrize(("n_bands", "fmin", "quantile"), [(4, 100.0, 0.02), (5, 300.0, 0.2)])
def test_contrast_options_equal_librosa(n_bands: int, fmin: float, quantile: float) -> None:
    import librosa

    y = voice(6, 4, rate=RATE)
    options = {"n_bands": n_bands, "fmin": fmin, "quantile": quantile}
    want = librosa.feature.spectral_contrast(y=y, sr=RATE, **options)
    assert_close(F.spectral_contrast(Waveform(y, RATE), **options), want)


def test_other_options_equal_librosa() -> None:
    import librosa

    y = voice(1, 2, rate=RATE)
    analysis = F.Analysis(Waveform(y, RATE))
    assert_close(
        F.rolloff(analysis, roll_percent=0.5), librosa.feature.spectral_rolloff(y=y, sr=RATE, roll_percent=0.5)
    )
    assert_close(F.chroma(analysis, n_chroma=24), librosa.feature.chroma_stft(y=y, sr=RATE, n_chroma=24))
    spectrum = np.abs(librosa.stft(y))
    parts = librosa.decompose.hpss(spectrum, kernel_size=17)
    want = np.concatenate([librosa.feature.rms(S=part) for part in parts])
    assert_close(F.harmonic_percussive(analysis, kernel_size=17), want)
    assert_close(F.onset_strength(analysis), librosa.onset.onset_strength(y=y, sr=RATE)[None])
    assert F.tuning(analysis) == pytest.approx(librosa.estimate_tuning(S=spectrum**2, sr=RATE), abs=1e-12)
    assert_close(
        F.delta(F.rms(analysis), width=5, order=3), librosa.feature.delta(librosa.feature.rms(y=y), width=5, order=3)
    )


@pytest.mark.parametrize("length", [1, 2, 3, 14, 40])
def test_running_median_is_the_median_of_mirrored_windows(length: int) -> None:
    """Also where SciPy's two-dimensional filter reads past the array: rows shorter than a tenth of the window."""
    rows = np.random.default_rng(length).random((6, length)).astype(np.float32)
    mirrored = np.pad(rows, ((0, 0), (15, 15)), mode="symmetric")
    want = np.median(np.lib.stride_tricks.sliding_window_view(mirrored, 31, axis=1), axis=2)
    np.testing.assert_array_equal(_median(rows, 31), want)


def test_silence() -> None:
    """What the formulas give for digital silence, as the docstrings say."""
    analysis = F.Analysis(Waveform(np.zeros(RATE, np.float32), RATE))
    zero = ("mel", "chroma", "spectral_contrast", "centroid", "bandwidth", "rolloff", "zcr", "rms")
    for name in (*zero, "harmonic_percussive"):
        assert not OURS[name](analysis).any(), name
    np.testing.assert_allclose(F.log_mel(analysis), -100.0, rtol=1e-6)
    cepstrum = F.mfcc(analysis)
    np.testing.assert_allclose(cepstrum[0], -100.0 * np.sqrt(128), rtol=1e-6)
    np.testing.assert_allclose(cepstrum[1:], 0.0, atol=1e-3)
    assert F.tempo(analysis)[0, 0] == pytest.approx(60 * RATE / (512 * 22))  # the period nearest to 120 bpm


def test_tone_of_known_pitch_and_level() -> None:
    """From the definitions, without librosa: a 1 kHz tone of amplitude 0.5, in the middle of a second."""
    t = np.arange(RATE) / RATE
    analysis = F.Analysis(Waveform((0.5 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32), RATE))
    middle = slice(5, -5)
    np.testing.assert_allclose(F.centroid(analysis)[0, middle], 1000, rtol=2e-3)
    np.testing.assert_allclose(F.rms(analysis)[0, middle], 0.5 / np.sqrt(2), rtol=1e-3)
    np.testing.assert_allclose(F.zcr(analysis)[0, middle], 2 * 1000 / RATE, rtol=0.02)
    np.testing.assert_allclose(F.rolloff(analysis)[0, middle], 1000, atol=2 * RATE / 2048)
    assert analysis.frequencies[analysis.magnitude[:, 20].argmax()] == pytest.approx(1000, abs=RATE / 2048)
    harmonic, percussive = F.harmonic_percussive(analysis)[:, middle]
    # RMS of a windowed sine: amplitude times the RMS of the Hann window, over the square root of two.
    np.testing.assert_allclose(harmonic, 0.5 / np.sqrt(2) * np.sqrt(3 / 8), rtol=1e-2)
    assert (percussive < 0.01 * harmonic).all()


@pytest.mark.parametrize("bpm", [90.0, 120.0, 150.0])
def test_tempo_of_clicks(bpm: float) -> None:
    clicks = np.zeros(8 * RATE, np.float32)
    clicks[np.arange(0, 8 * RATE, 60 * RATE / bpm).astype(int)] = 1.0
    assert F.tempo(Waveform(clicks, RATE))[0, 0] == pytest.approx(bpm, rel=0.04)


def test_resampled_voice_keeps_its_centroid() -> None:
    """One clip at two rates: what lies below 4 kHz in both gives the same centroid."""
    t = np.arange(44100) / 44100
    tones = sum(np.sin(2 * np.pi * f * t) for f in (300, 900, 2500))
    wave = Waveform((0.1 * tones).astype(np.float32), 44100)
    a = F.centroid(F.Analysis(wave, n_fft=4096, hop_length=1024))[0, 8:-8].mean()
    b = F.centroid(F.Analysis(resample(wave, 22050)))[0, 8:-8].mean()
    assert a == pytest.approx(b, rel=0.01)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
@pytest.mark.parametrize("pitch", [80.0, 123.4, 220.0, 415.3])
def test_f0_of_a_harmonic_sound_is_its_fundamental(rate: int, pitch: float) -> None:
    t = np.arange(rate // 2) / rate
    sound = sum(np.sin(2 * np.pi * k * pitch * t + k) / k for k in range(1, 6))
    found = F.f0(Waveform((0.1 * sound).astype(np.float32), rate))
    assert found.shape == (51,)
    np.testing.assert_allclose(found[5:-5], pitch, rtol=3e-3)


def test_f0_agrees_with_librosa_on_a_voice() -> None:
    librosa = pytest.importorskip("librosa")
    wave = load(Path(__file__).parents[1] / "voices" / "plain.flac", target_rate=16000)
    ours = F.f0(wave)
    theirs = librosa.yin(wave.samples, fmin=65, fmax=600, sr=16000, frame_length=1024, hop_length=160)
    voiced = np.isfinite(ours)
    assert 0.3 < voiced.mean() < 0.95
    assert np.quantile(np.abs(ours / theirs[: len(ours)] - 1)[voiced], 0.8) < 0.02


def test_f0_of_noise_and_silence_is_none() -> None:
    rng = np.random.default_rng(0)
    assert np.isnan(F.f0(Waveform(np.zeros(8000, np.float32), 16000))).all()
    assert np.isnan(F.f0(Waveform((0.1 * rng.normal(size=16000)).astype(np.float32), 16000))).mean() > 0.95
    with pytest.raises(FeatureError, match="a quarter of the sample rate"):
        F.f0(Waveform(np.zeros(8000, np.float32), 8000), fmax=2000.0)
