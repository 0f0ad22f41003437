"""Exact values at the borders of the core: frame counts, quantiles, mel edges, limits of pitch, folds and enrolment."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from serkit.audio import Waveform, Window, voice_activity
from serkit.errors import FeatureError
from serkit.features import Analysis, banks, f0
from serkit.features.pitch import tuning
from serkit.features.spectral import mel, spectral_contrast
from serkit.protocol.folds import (
    draw,
    enrolment,
    recording_groups,
    speaker_folds,
    stratified_folds,
    validation_speakers,
)
from tests.conftest import voice

RATE = 16000


def noise(count: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE) -> Waveform:
    return Waveform(np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32), rate)


# --- waveform ---------------------------------------------------------------------------------------------------------


def kept(samples: np.ndarray, trim_db: float) -> np.ndarray:
    """What the rule of librosa.effects.trim keeps: frames of 2,048 samples around 0, 512, 1,024, ..."""
    frames = 1 + len(samples) // 512
    padded = np.pad(samples.astype(np.float64), 1024)
    power = np.array([np.mean(padded[512 * k : 512 * k + 2048] ** 2) for k in range(frames)])
    level = 10 * np.log10(np.maximum(power, 1e-10))
    loud = np.flatnonzero(level - level.max() > -trim_db)
    return samples[512 * loud[0] : min(len(samples), 512 * (loud[-1] + 1))]


@pytest.mark.parametrize("count", [700, 2047, 2048, 4095, 4096, 4097, 4607, 4608, 5000, 5631])
@pytest.mark.parametrize("loud", [slice(-40, None), slice(0, 40), slice(300, 600), slice(-600, -300)])
def test_trim_keeps_the_frames_of_the_rule(count: int, loud: slice) -> None:
    samples = 1e-5 * noise(count)
    samples[loud] = noise(len(samples[loud]), 1)
    for trim_db in (3.0, 20.0, 40.0):
        got = Window(trim_db=trim_db).apply(Waveform(samples, RATE)).samples
        np.testing.assert_array_equal(got, kept(samples, trim_db))


def test_trim_compares_with_the_loudest_frame() -> None:
    """The first and the last frame are half empty, 3.01 dB down: 3.1 dB keep them, 3.0 dB do not."""
    samples = np.full(8192, 0.5, np.float32)
    assert len(Window(trim_db=3.1).apply(Waveform(samples, RATE)).samples) == 8192
    assert len(Window(trim_db=3.0).apply(Waveform(samples, RATE)).samples) == 15 * 512


@pytest.mark.parametrize(("seconds", "count"), [(1e-9, 1), (0.0001, 2), (0.5, 8000), (2.0, 32000)])
def test_the_length_of_a_window_is_exact(seconds: float, count: int) -> None:
    samples = noise(16000)
    got = Window(length=seconds).apply(Waveform(samples, RATE)).samples
    np.testing.assert_array_equal(got[:16000], samples[:count])
    assert got.shape == (count,)
    assert not got[16000:].any()


def test_levels_are_one_at_the_peak_and_a_tenth_in_the_mean() -> None:
    wave = Waveform(noise(5000), RATE)
    assert np.abs(Window(level="peak").apply(wave).samples).max() == pytest.approx(1.0, abs=1e-6)
    scaled = Window(level="rms").apply(wave).samples.astype(np.float64)
    assert math.sqrt(np.mean(scaled**2)) == pytest.approx(0.1, rel=1e-6)


# --- voice activity ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8, 0.9, 1.0])
def test_the_quantile_is_that_of_numpy(count: int, share: float) -> None:
    values = np.random.default_rng(count).normal(size=count)
    before = values.copy()
    assert voice_activity._quantile(values, share) == pytest.approx(float(np.quantile(values, share)), abs=1e-12)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("count", [100, 399, 400, 401, 527, 528, 529, 6000])
def test_spectra_are_those_of_frames_without_their_mean(count: int) -> None:
    """50 ms every 16 ms at 8 kHz: frames of 400 samples, a step of 128, bins 8 to 499 of 1,024."""
    samples = noise(count) + np.float32(0.3)
    padded = np.pad(samples, (0, max(400 - count, 0))).astype(np.float64)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    want = []
    for start in range(0, len(padded) - 399, 128):
        frame = padded[start : start + 400]
        want.append(np.abs(np.fft.rfft((frame - frame.mean()) * hann, 1024)[8:500]) ** 2)
    np.testing.assert_allclose(voice_activity._spectra(samples), want, rtol=1e-3, atol=1e-4)


def test_full_scale_is_a_tone_with_a_mean_square_of_one() -> None:
    samples = (math.sqrt(2) * np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)).astype(np.float32)
    power = voice_activity._spectra(samples).sum(axis=1) / voice_activity._FULL_SCALE
    np.testing.assert_allclose(power, 1, rtol=1e-3)


def test_silence_is_judged_without_the_mean() -> None:
    said = voice(3, 1).astype(np.float64)
    said *= 10 ** (-69 / 20) / np.abs(said - said.mean()).max()
    for offset in (0.0, 0.3):
        assert voice_activity.speech_activity(Waveform((said + offset).astype(np.float32), RATE)).present
        assert not voice_activity.speech_activity(Waveform((0.5 * said + offset).astype(np.float32), RATE)).present


@pytest.mark.parametrize("period", [13, 14, 40, 80, 123])  # samples at 8 kHz: 615 to 65 Hz
def test_a_pulse_train_is_voiced_from_the_lowest_to_the_highest_pitch(period: int) -> None:
    pulses = np.zeros(4000, np.float32)
    pulses[::period] = 1.0
    assert np.median(voice_activity._voicing(voice_activity._spectra(pulses))) > 0.28
    assert voice_activity._voicing(voice_activity._spectra(noise(4000))).max() < 0.28


# --- mel edges and the other filter banks -----------------------------------------------------------------------------


def slaney(mel: float) -> float:
    """Hz of Slaney's mel: 200/3 Hz a mel up to 15, then a factor 6.4 each 27 mel."""
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


@pytest.mark.parametrize(("fmin", "fmax", "low", "high"), [
    (0.0, 1000.0, 0.0, 15.0), (200.0, 6400.0, 3.0, 42.0), (1000.0, 6400.0, 15.0, 42.0), (40.0, 999.0, 0.6, 14.985),
])  # fmt: skip
def test_mel_frequencies_are_equally_far_apart_on_the_scale(fmin: float, fmax: float, low: float, high: float) -> None:
    want = [slaney(value) for value in np.linspace(low, high, 9)]
    np.testing.assert_allclose(banks.mel_frequencies(9, fmin, fmax), want, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(("fmin", "fmax"), [(0.0, 8000.0), (300.0, 3400.0)])
def test_each_mel_band_is_a_triangle_between_its_edges(fmin: float, fmax: float) -> None:
    filters = banks.mel_filters(RATE, 2048, 20, fmin, fmax).astype(np.float64)
    edges = banks.mel_frequencies(22, fmin, fmax)
    bins = np.arange(1025) * RATE / 2048
    for k, band in enumerate(filters):
        height = 2 / (edges[k + 2] - edges[k])  # an area of 1
        want = height * np.interp(bins, edges[k : k + 3], [0, 1, 0], left=0, right=0)
        np.testing.assert_allclose(band, want, atol=1e-6 * height)


@pytest.mark.parametrize("deviation", [-0.4, 0.0, 0.25])
def test_a_tone_at_the_tuning_is_in_the_middle_of_its_pitch_class(deviation: float) -> None:
    filters = banks.chroma_filters(22050, 1 << 16, 12, deviation)
    for k in (-12, 0, 12):
        column = filters[:, round(440 * 2 ** ((deviation + k) / 12) * (1 << 16) / 22050)]
        assert column.argmax() == 9  # A
        assert column[8] == pytest.approx(column[10], rel=0.1)
        assert column[9] > 5 * column[8] > 0


@pytest.mark.parametrize("n_chroma", [12, 24, 36])
def test_the_first_pitch_class_is_c(n_chroma: int) -> None:
    filters = banks.chroma_filters(22050, 1 << 14, n_chroma, 0.0)
    for semitone in range(-9, 15):  # from A4 = 440 Hz
        column = filters[:, round(440 * 2 ** (semitone / 12) * (1 << 14) / 22050)]
        assert column.argmax() == (9 + semitone) % 12 * (n_chroma // 12)


@pytest.mark.parametrize("n_mels", [1, 2, 20, 128])
def test_mel_is_the_power_through_the_filters(n_mels: int) -> None:
    analysis = Analysis(Waveform(noise(8000), RATE))
    want = banks.mel_filters(RATE, 2048, n_mels, 50.0, 7000.0) @ analysis.power_rows.T
    np.testing.assert_allclose(mel(analysis, n_mels=n_mels, fmin=50.0, fmax=7000.0), want, rtol=1e-4)


def test_mel_reaches_up_to_half_the_sample_rate_and_refuses_more() -> None:
    wave = Waveform(noise(4000), RATE)
    np.testing.assert_array_equal(mel(wave, n_mels=20), mel(wave, n_mels=20, fmin=0.0, fmax=8000.0))
    for fmin, fmax in ((0.0, 8000.5), (4000.0, 4000.0), (-1.0, 4000.0), (8000.0, None)):
        with pytest.raises(FeatureError):
            mel(wave, n_mels=20, fmin=fmin, fmax=fmax)


def test_contrast_needs_the_lower_edge_of_its_last_band_below_half_the_rate() -> None:
    wave = Waveform(noise(8000), RATE)
    assert spectral_contrast(wave, n_bands=5, fmin=499.0).shape[0] == 6  # the last band begins at 7,984 Hz
    with pytest.raises(FeatureError, match="needs a sample rate above 16000 Hz"):
        spectral_contrast(wave, n_bands=5, fmin=500.0)  # at 8,000 Hz


# --- pitch ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fmin", "fmax"), [(0.0, 600.0), (-1.0, 600.0), (300.0, 300.0), (65.0, 4000.0)])
def test_limits_of_pitch_that_are_refused(fmin: float, fmax: float) -> None:
    with pytest.raises(FeatureError, match="0 < fmin < fmax < a quarter of the sample rate"):
        f0(tone(220), fmin=fmin, fmax=fmax)


def test_limits_of_pitch_that_just_fit() -> None:
    assert np.nanmedian(f0(tone(220), fmin=219.0, fmax=3999.0)) == pytest.approx(220, rel=2e-3)


@pytest.mark.parametrize("hertz", [100.0, 101.0, 150.0, 298.0, 300.0])
def test_pitch_is_found_from_fmin_to_fmax(hertz: float) -> None:
    found = f0(tone(hertz), fmin=100.0, fmax=300.0)[10:-10]
    np.testing.assert_allclose(found, hertz, rtol=2e-3)


@pytest.mark.parametrize("hertz", [92.0, RATE / 52, 400.0])  # the shortest period of 300 Hz is 53 samples
def test_pitch_outside_the_limits_is_not_taken_for_itself(hertz: float) -> None:
    found = f0(tone(hertz), fmin=100.0, fmax=300.0)[10:-10]
    assert not np.any(np.abs(found - hertz) < 0.02 * hertz)


@pytest.mark.parametrize(("hertz", "heard"), [(76.0, True), (590.0, True), (68.0, False), (700.0, False)])
def test_pitch_is_sought_from_75_to_600_hz(hertz: float, heard: bool) -> None:
    found = f0(tone(hertz))[10:-10]
    assert np.all(np.abs(found - hertz) < 0.02 * hertz) == heard


@pytest.mark.parametrize(("seconds", "count"), [(0.5, 51), (0.505, 51), (0.5099375, 51), (0.51, 52)])
def test_there_is_one_pitch_each_hop_and_one_at_the_start(seconds: float, count: int) -> None:
    assert f0(tone(220, seconds)).shape == (count,)


def test_pitch_of_a_long_clip_is_that_of_its_parts() -> None:
    """More than 512 estimates: they are made in blocks."""
    wave = tone(180, 6.0, 4000)
    found = f0(wave)
    assert len(found) == 601
    np.testing.assert_allclose(found[5:-5], 180, rtol=5e-3)


@pytest.mark.parametrize("cents", [-40, -15, 0, 15, 40])
def test_tuning_follows_the_deviation(cents: int) -> None:
    harmonics = sum(tone(440 * k * 2 ** (cents / 1200), 1.0, 22050).samples for k in (1, 2, 4))
    got = tuning(Waveform((harmonics / 3).astype(np.float32), 22050))
    assert got == pytest.approx(cents / 100, abs=0.05)


def test_tuning_listens_from_150_hz_to_4_khz_only() -> None:
    for hertz in (100.0, 6000.0):
        assert tuning(tone(hertz, 1.0, 22050)) in (0.0, tuning(Waveform(np.zeros(22050, np.float32), 22050)))


def plain_tuning(analysis: Analysis, n_chroma: int) -> float:
    """The fullest of 100 bins of the deviation, over the stronger half of the peaks; one peak after the other."""
    rate, n_fft = analysis.sample_rate, analysis.n_fft
    peaks = []
    for frame in np.asarray(analysis.power_rows):
        for k in range(1, len(frame) - 1):
            before, here, after = (float(value) for value in frame[k - 1 : k + 2])
            inside = 150 <= k * rate / n_fft < min(4000, rate / 2)
            if inside and here > 0.1 * float(frame.max()) and before < here >= after:
                slope, curve = (after - before) / 2, before + after - 2 * here
                shift = -slope / curve if abs(slope) < abs(curve) else 0.0
                peaks.append((here + slope * shift / 2, (k + shift) * rate / n_fft))
    middle = np.median([strength for strength, _ in peaks])
    votes = [n_chroma * math.log2(hertz / 27.5) % 1 for strength, hertz in peaks if strength >= middle]
    counts, edges = np.histogram([vote - (vote >= 0.5) for vote in votes], np.linspace(-0.5, 0.5, 101))
    return float(edges[counts.argmax()])


@pytest.mark.parametrize("rate", [6000, 16000, 22050])
@pytest.mark.parametrize("n_chroma", [12, 24])
def test_tuning_is_that_of_its_definition(rate: int, n_chroma: int) -> None:
    for emotion in (1, 4, 7):
        analysis = Analysis(Waveform(voice(emotion, 2, rate=rate, seconds=0.6), rate))
        assert tuning(analysis, n_chroma=n_chroma) == pytest.approx(plain_tuning(analysis, n_chroma), abs=1e-9)


def test_mel_blocks_are_the_filters_without_empty_bins_at_their_ends() -> None:
    for n_mels in (1, 15, 16, 17, 40):
        whole = np.zeros((n_mels, 1025), np.float32)
        blocks = banks.mel_blocks(RATE, 2048, n_mels, 100.0, 7000.0)
        assert [(bands.start, bands.stop) for _, bands, _ in blocks] == [
            (k, min(k + 16, n_mels)) for k in range(0, n_mels, 16)
        ]
        for bins, bands, weights in blocks:
            assert weights[0].any()
            assert weights[-1].any()
            whole[bands, bins] = weights.T
        np.testing.assert_array_equal(whole, banks.mel_filters(RATE, 2048, n_mels, 100.0, 7000.0))


# --- folds ------------------------------------------------------------------------------------------------------------


def test_enrolment_takes_exactly_the_limit_and_exactly_half() -> None:
    names = list("abcdefgh")
    for seed in range(8):
        assert len(enrolment(names, [10.0] * 8, range(8), limit=30.0, seed=seed, purpose="x")) == 3
        assert len(enrolment(names, [10.0] * 8, range(8), limit=29.9, seed=seed, purpose="x")) == 2
        assert len(enrolment(names, [1.0] * 8, range(8), limit=30.0, seed=seed, purpose="x")) == 4
        assert len(enrolment(names[:7], [1.0] * 7, range(7), limit=30.0, seed=seed, purpose="x")) == 3
        pairs = enrolment(names, [5.0] * 8, [0, 0, 1, 1, 2, 2, 3, 3], limit=20.0, seed=seed, purpose="x")
        assert len(pairs) == 4
        assert {k // 2 for k in pairs} == {k // 2 for k in pairs if k ^ 1 in pairs}


def test_enrolment_passes_over_a_long_clip_only_at_the_start() -> None:
    for seed in range(8):
        chosen = enrolment(list("abcd"), [99.0, 5.0, 5.0, 5.0], range(4), limit=10.0, seed=seed, purpose="x")
        assert 1 <= len(chosen) <= 2
        assert 0 not in chosen


def test_validation_leaves_one_speaker_and_every_class_behind() -> None:
    everything = frozenset({"happy", "sad"})
    people = {name: (sex, everything) for name, sex in zip("abcd", ("m", "f", "m", "f"), strict=True)}
    for seed in range(5):
        assert len(validation_speakers(people, 9, seed=seed, purpose="x")) == 3
        two = validation_speakers(people, 2, seed=seed, purpose="x")
        assert sorted(people[name][0] for name in two) == ["f", "m"]
        assert len(validation_speakers(people, 1, seed=seed, purpose="x")) == 1
    assert len(validation_speakers(dict.fromkeys("ab", ("m", frozenset())), 9, seed=0, purpose="x")) == 1
    people["a"] = ("m", everything | {"calm"})  # the only one who is calm
    for seed in range(5):
        assert "a" not in validation_speakers(people, 3, seed=seed, purpose="x")
    people["b"] = ("f", everything | {"calm"})  # one of the two may go, not both
    for seed in range(5):
        assert len({"a", "b"} & validation_speakers(people, 9, seed=seed, purpose="x")) == 1


def test_speakers_are_dealt_out_evenly_by_sex_by_number_and_by_clips() -> None:
    people = {f"m{k}": ("male", 10 + k) for k in range(6)} | {f"f{k}": ("female", 30 + k) for k in range(6)}
    for seed in range(5):
        folds = speaker_folds(people, 3, seed=seed)
        for sex in "mf":
            assert sorted(np.bincount([fold for name, fold in folds.items() if name[0] == sex])) == [2, 2, 2]
        odd = speaker_folds({**people, "m6": ("male", 5)}, 3, seed=seed)
        assert sorted(np.bincount(list(odd.values()))) == [4, 4, 5]
        for block in (("m5", "m4", "m3"), ("m2", "m1", "m0")):  # speakers of similar size go to different folds
            assert {folds[name] for name in block} == {0, 1, 2}


def test_the_next_speaker_goes_where_fewer_clips_are() -> None:
    people = {"c": ("female", 9), "d": ("female", 8), "a": ("male", 90), "b": ("male", 10)}
    for seed in range(8):
        folds = speaker_folds(people, 2, seed=seed)
        first, second = sorted("ab", key=lambda name: draw(seed, "speaker", name))
        assert folds[first] != folds[second]
        # Females come first, so the first male by lot goes where the smaller of them is.
        assert folds[first] == folds["d"]
        assert folds[second] == folds["c"]


def test_rows_are_dealt_out_evenly_within_strata_and_over_all() -> None:
    names = [f"clip{k:02d}" for k in range(22)]
    strata = ["a"] * 7 + ["b"] * 7 + ["c"] * 8
    for seed in range(5):
        folds = stratified_folds(names, strata, range(22), 3, seed=seed, purpose="x")
        assert np.ptp(np.bincount(folds, minlength=3)) <= 1
        for stratum in "abc":
            here = folds[[k for k in range(22) if strata[k] == stratum]]
            assert np.ptp(np.bincount(here, minlength=3)) <= 1
    other = [
        stratified_folds(names, strata, range(22), 3, seed=s, purpose=p) for s, p in ((0, "x"), (0, "y"), (1, "x"))
    ]
    assert not np.array_equal(other[0], other[1])
    assert not np.array_equal(other[0], other[2])


def test_a_group_counts_as_the_stratum_of_its_first_name() -> None:
    names = ["a1", "z1", "a2", "z2", "a3", "z3", "a4", "z4"]
    strata = ["s", "s", "s", "t", "t", "s", "t", "t"]  # by first name: s s t t, by last name: s t s t
    for seed in range(12):
        folds = stratified_folds(names, strata, [0, 0, 1, 1, 2, 2, 3, 3], 2, seed=seed, purpose="x")
        assert folds[0] != folds[2]
        assert folds[4] != folds[6]


def test_a_large_group_weighs_as_many_rows_as_it_has() -> None:
    groups = [0, 0, 0, 0, 1, 2, 3, 4]
    for seed in range(5):
        folds = stratified_folds([f"c{k}" for k in range(8)], ["a"] * 8, groups, 2, seed=seed, purpose="x")
        assert len(set(folds[:4])) == 1
        assert sorted(np.bincount(folds)) == [4, 4]
        assert set(folds[4:]) == {1 - folds[0]}


def test_pieces_that_touch_are_apart_and_pieces_that_overlap_are_together() -> None:
    def groups(*pieces: tuple[float, float]) -> list[int]:
        rows = [{"path": "a.wav", "start": start, "end": end, "audio_hash": ""} for start, end in pieces]
        found = recording_groups(pd.DataFrame(rows))
        return [int(np.flatnonzero(found == group)[0]) for group in found]

    assert groups((0.0, 1.0), (1.0, 2.0)) == [0, 1]
    assert groups((0.0, 1.0), (0.9999999, 2.0)) == [0, 1]  # a rounding error is no overlap
    assert groups((0.0, 1.0), (0.99, 2.0)) == [0, 0]
    assert groups((0.0, 5.0), (1.0, 2.0), (4.0, 6.0)) == [0, 0, 0]  # the longest reaches furthest, not the last
    assert groups((0.0, 2.0), (3.0, 4.0), (3.5, 5.0)) == [0, 1, 1]
