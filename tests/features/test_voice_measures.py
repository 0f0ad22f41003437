"""What is measured in a voice, against made sounds whose measures are known, and against Praat."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter

from serkit.audio import Waveform
from serkit.errors import FeatureError
from serkit.features import (
    MEASURES,
    VOICE_MEASURES,
    Voice,
    describe,
    f0,
    find_pulses,
    formants,
    jitter,
    measure_voice,
    shimmer,
    tracking,
)
from tests.golden import make_praat_golden

RATE = 16000
PRAAT: dict[str, dict[str, Any]] = json.loads(make_praat_golden.PATH.read_text(encoding="utf-8"))


def pulse_train(periods: list[int], heights: list[float], seconds: float = 1.0) -> np.ndarray:
    """One sample a pulse: the periods in samples and the heights are repeated in turn."""
    samples = np.zeros(round(seconds * RATE))
    at = periods[0]
    for period, height in zip(itertools.cycle(periods), itertools.cycle(heights), strict=False):
        if at >= len(samples):
            return samples
        samples[at] = height
        at += period
    return samples


def vowel(source: np.ndarray, hertz: tuple[float, ...], width: float = 80.0) -> Waveform:
    """A train of pulses, softened as by the glottis, through resonances: a mouth that does not move."""
    source = lfilter([1.0], [1.0, -0.97], source)
    for frequency in hertz:
        radius = math.exp(-math.pi * width / RATE)
        source = lfilter([1.0], [1.0, -2 * radius * math.cos(2 * math.pi * frequency / RATE), radius**2], source)
    return Waveform((0.3 * source / np.abs(source).max()).astype(np.float32), RATE)


@pytest.fixture(scope="module")
def voices() -> dict[str, tuple[Waveform, Voice]]:
    """The clips that Praat measured, measured here."""
    waves = {path.relative_to(make_praat_golden.ROOT).as_posix(): path for path in make_praat_golden.clips()}
    cut = {name: make_praat_golden.cut(path) for name, path in waves.items()}
    return {name: (wave, measure_voice(wave)) for name, wave in cut.items()}


def test_pitch_is_that_of_praat(voices: dict[str, tuple[Waveform, Voice]]) -> None:
    assert voices.keys() == PRAAT.keys()
    theirs_voiced = both = near = 0
    for name, (_, found) in voices.items():
        theirs = np.array(PRAAT[name]["hz"])
        frames = np.round(np.array(PRAAT[name]["times"]) / found.track.hop).astype(int)
        ours = found.track.hz[frames]
        shared = (theirs > 0) & np.isfinite(ours)
        theirs_voiced, both = theirs_voiced + int((theirs > 0).sum()), both + int(shared.sum())
        near += int((np.abs(np.log2(ours[shared] / theirs[shared])) < 0.2).sum())
        assert (np.isfinite(ours) & (theirs == 0)).sum() < 0.12 * shared.sum(), name
    assert both > 0.97 * theirs_voiced
    assert near > 0.99 * both


@pytest.mark.parametrize(
    ("measure", "middle", "most"),  # of the differences: their median and the largest
    [
        ("pitch", 0.1, 3.0),
        ("jitter", 0.15, 0.8),
        ("shimmer", 0.5, 3.0),
        ("hnr", 0.1, 0.5),
        ("f1", 8.0, 45.0),
        ("f2", 20.0, 100.0),
        ("f3", 20.0, 80.0),
    ],
)
def test_measures_are_near_those_of_praat(
    voices: dict[str, tuple[Waveform, Voice]], measure: str, middle: float, most: float
) -> None:
    apart = [abs(voices[name][1].measures[measure] - PRAAT[name]["measures"][measure]) for name in PRAAT]
    assert np.median(apart) < middle
    assert max(apart) < most


def test_a_perfect_clock_has_no_jitter_and_no_shimmer() -> None:
    found = measure_voice(vowel(pulse_train([100], [1.0]), (700, 1200, 2600))).measures
    assert found["pitch"] == pytest.approx(160, rel=1e-3)
    assert found["pitch_range"] == pytest.approx(0, abs=0.05)
    assert found["jitter"] < 0.1
    assert found["shimmer"] < 0.5
    assert found["hnr"] > 20


@pytest.mark.parametrize("longer", [1, 2, 4])
def test_jitter_of_periods_that_alternate_is_their_difference(longer: int) -> None:
    """Periods of n and n + d samples by turns differ by d, of a mean of n + d / 2."""
    wave = vowel(pulse_train([128, 128 + longer], [1.0]), (700, 1200), width=300)
    found = 100 * jitter(find_pulses(wave))
    assert found == pytest.approx(100 * longer / (128 + longer / 2), rel=0.1)


@pytest.mark.parametrize("lower", [0.95, 0.9, 0.8])
def test_shimmer_of_levels_that_alternate_is_their_difference(lower: float) -> None:
    wave = vowel(pulse_train([128], [1.0, lower]), (700, 1200), width=300)
    found = shimmer(wave, find_pulses(wave))
    assert found == pytest.approx((1 - lower) / ((1 + lower) / 2), rel=0.1)


@pytest.mark.parametrize("decibels", [5.0, 10.0, 20.0])
def test_hnr_is_the_ratio_of_the_tone_to_the_noise(decibels: float) -> None:
    t = np.arange(3 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 200 * k * t) for k in range(1, 16)) / np.sqrt(7.5)
    noise = np.random.default_rng(0).normal(size=t.size) * 10 ** (-decibels / 20)
    found = measure_voice(Waveform((0.1 * (tone + noise)).astype(np.float32), RATE)).measures
    assert found["voiced"] == pytest.approx(3.01)
    assert found["hnr"] == pytest.approx(decibels, abs=1.0)


@pytest.mark.parametrize("hertz", [(300.0, 2300.0, 3000.0), (700.0, 1200.0, 2600.0), (350.0, 800.0, 2500.0)])
def test_formants_are_the_resonances_of_a_made_vowel(hertz: tuple[float, ...]) -> None:
    wave = vowel(pulse_train([160], [1.0]), (*hertz, 3700.0, 4700.0))
    found = np.median(formants(wave)[:, 10:-10], axis=1)
    np.testing.assert_allclose(found, hertz, rtol=0.02)


def test_measures_do_not_depend_on_level_or_silence_around() -> None:
    wave = vowel(pulse_train([100, 101, 103], [1.0, 0.9, 0.95]), (700, 1200, 2600))
    silence = np.zeros(RATE, np.float32)
    around = Waveform(np.concatenate([silence, 0.05 * wave.samples, silence]), RATE)
    plain, padded = measure_voice(wave), measure_voice(around)
    for name in ("pitch", "jitter", "shimmer", "hnr", "f1", "f2", "f3"):
        assert padded.measures[name] == pytest.approx(plain.measures[name], rel=0.1, abs=0.05), name
    assert padded.measures["voiced"] == pytest.approx(1.0, abs=0.06)
    assert np.isnan(padded.formants[:, ~padded.track.voiced]).all()


@pytest.mark.parametrize("seconds", [0.1, 0.13, 0.5])
def test_silence_and_noise_have_no_voice(seconds: float) -> None:
    count = round(seconds * RATE)
    for samples in (np.zeros(count), np.random.default_rng(1).normal(size=count) * 0.1):
        found = measure_voice(Waveform(samples.astype(np.float32), RATE))
        assert found.measures["voiced"] <= 0.05
        assert list(found.measures) == list(VOICE_MEASURES)
    silent = measure_voice(Waveform(np.zeros(count, np.float32), RATE)).measures
    assert {name for name, value in silent.items() if not math.isnan(value)} == {"voiced"}


def test_the_path_is_the_best_of_all() -> None:
    """Viterbi against every path through few frames."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        hertz = np.where(np.arange(3) > 0, rng.uniform(80, 500, (5, 3)), 0.0)
        strength = rng.uniform(0.3, 0.9, (5, 3))
        strength[2, 2] = -np.inf  # no such candidate

        def worth(path: tuple[int, ...], hertz: np.ndarray = hertz, strength: np.ndarray = strength) -> float:
            chosen = hertz[np.arange(5), path]
            total = strength[np.arange(5), path].sum()
            total -= sum(0.01 * math.log2(600 / one) for one in chosen if one)
            for one, two in itertools.pairwise(chosen):
                total -= 0.35 * abs(math.log2(one / two)) if one and two else 0.14 if one or two else 0.0
            return float(total)

        best = max(itertools.product(range(3), repeat=5), key=worth)
        found = tracking._best_path(hertz, strength, 600.0, 1.0)
        assert worth(tuple(found)) == pytest.approx(worth(best))


def test_a_track_tells_its_stretches_and_the_pitch_between_frames() -> None:
    hz = np.array([np.nan, 100.0, 110.0, np.nan, np.nan, 200.0])
    track = tracking.PitchTrack(np.arange(6) * 0.01, hz, np.where(np.isnan(hz), 0.0, 0.9), 0.01)
    assert track.spans() == [pytest.approx((0.005, 0.025)), pytest.approx((0.045, 0.055))]
    assert track.at(0.015) == pytest.approx(105)
    assert track.at(0.006) == 100
    assert math.isnan(track.at(0.034))
    assert track.at(9.0) == 200
    assert track.hnr[1] == pytest.approx(10 * math.log10(9))


def test_a_description_counts_voiced_frames_only() -> None:
    wave = vowel(pulse_train([100], [1.0]), (700, 1200, 2600))
    hiss = np.random.default_rng(2).normal(size=RATE) * 0.02
    both = Waveform(np.concatenate([hiss.astype(np.float32), wave.samples]), RATE)
    alone, found = describe(wave).measures, describe(both).measures
    assert list(found) == list(MEASURES)
    assert found["zcr"] == pytest.approx(alone["zcr"], rel=0.1)
    assert found["centroid"] == pytest.approx(alone["centroid"], rel=0.1)
    silent = describe(Waveform(np.zeros(RATE, np.float32), RATE))
    assert not silent.speech
    assert silent.measures["voiced"] == 0
    assert all(math.isnan(value) for name, value in silent.measures.items() if name != "voiced")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda wave: f0(wave, hop=0.0), "hop must be more than 0 s, got 0.0"),
        (lambda wave: formants(wave, n=6), "1 to 5 formants, got n=6"),
        (lambda wave: formants(wave, ceiling=500.0), "within 1,000 and 20,000 Hz, got 500.0"),
    ],
)
def test_wrong_parameters_are_one_sentence(call: Any, says: str) -> None:
    with pytest.raises(FeatureError, match=says):
        call(Waveform(np.zeros(RATE, np.float32), RATE))
