"""Augmentation: the same seed, the same sound; nothing else is touched."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import audiomentations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serkit.audio import Waveform
from serkit.errors import RecipeError
from serkit.training.augment import CHAINS, S2_CHAINS, S3_CHAINS, augment, chain_key, check_chain, clip_seed

RATE = 16000
# The chains of the first release: their sound and their keys stay, and with them everybody's cached features.
KEYS = {
    "noise": "noise:1:AddGaussianSNR[('max_snr_db', 30.0), ('min_snr_db', 10.0)]",
    "pitch": "pitch:1:PitchShift[('max_semitones', 2.0), ('min_semitones', -2.0)]",
    "stretch": "stretch:1:TimeStretch[('leave_length_unchanged', False), ('max_rate', 1.25), ('min_rate', 0.8)]",
    "shift": "shift:1:Shift[('max_shift', 0.2), ('min_shift', -0.2), ('rollover', False), ('shift_unit', 'seconds')]",
    "gain": "gain:1:Gain[('max_gain_db', 12.0), ('min_gain_db', -12.0)]",
}


@pytest.fixture(scope="module")
def tone() -> Waveform:
    t = np.arange(RATE) / RATE
    return Waveform((0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), RATE)


def peak_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 4 * RATE))
    return float(spectrum.argmax()) / 4


@pytest.mark.parametrize("name", [*CHAINS, "pitch+noise", "speed+shift+gain"])
def test_the_seed_alone_decides(tone: Waveform, name: str) -> None:
    first = augment(tone, name, seed=7)
    augment(tone, name, seed=8)
    np.random.default_rng().random()
    random.random()
    again = augment(tone, name, seed=7)
    np.testing.assert_array_equal(first.samples, again.samples)
    assert not np.array_equal(first.samples, augment(tone, name, seed=8).samples)
    assert not np.array_equal(first.samples, tone.samples)
    assert first.sample_rate == RATE


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("seed", [0, 5, 2**32 - 1])
def test_old_chains_sound_and_are_called_as_ever(tone: Waveform, name: str, seed: int) -> None:
    assert chain_key(name) == KEYS[name]
    # What the library does by itself when its generators, which are everybody's, are seeded.
    python, numpy_ = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        ((kind, params),) = CHAINS[name]
        expected = getattr(audiomentations, kind)(**params, p=1.0)(tone.samples.copy(), RATE)
    finally:
        random.setstate(python)
        np.random.set_state(numpy_)  # noqa: NPY002
    np.testing.assert_array_equal(augment(tone, name, seed=seed).samples, expected)


@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(1700, 9000),
    loud=st.sampled_from([0.0, 1e-4, 0.3, 1.0]),
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from([*CHAINS, "pitch+noise", "stretch+shift+speed"]),
)
def test_any_clip_comes_out_whole(size: int, loud: float, seed: int, name: str) -> None:
    samples = (loud * np.random.default_rng(size).uniform(-1, 1, size)).astype(np.float32)
    wave = Waveform(samples, RATE)
    changed = augment(wave, name, seed=seed)
    np.testing.assert_array_equal(wave.samples, samples)
    assert changed.sample_rate == RATE
    assert np.isfinite(changed.samples).all()
    assert loud > 0 or not changed.samples.any()
    parts = name.split("+")
    slowest = (1 / 0.8 if "stretch" in parts else 1) * (1 / 0.9 if "speed" in parts else 1)
    quickest = (1 / 1.25 if "stretch" in parts else 1) * (1 / 1.1 if "speed" in parts else 1)
    assert quickest * size - 2 <= len(changed.samples) <= slowest * size + 2


@pytest.mark.parametrize("size", [1600, 2000, 3200])
def test_a_short_clip_is_not_shifted_away(size: int) -> None:
    wave = Waveform(np.ones(size, dtype=np.float32), RATE)
    for seed in range(30):
        kept = augment(wave, "shift", seed=seed).samples
        assert len(kept) == size
        assert np.count_nonzero(kept > 0.99) >= size / 2 - 0.006 * RATE  # but for the fade of 5 ms


def test_speed_changes_pitch_and_length_together(tone: Waveform) -> None:
    factors = []
    for seed in range(20):
        changed = augment(tone, "speed", seed=seed)
        factors.append(tone.duration / changed.duration)
        assert peak_hz(changed.samples) == pytest.approx(440 * factors[-1], abs=1.5)
        assert np.abs(changed.samples).max() == pytest.approx(0.3, abs=0.03)
    assert 0.899 <= min(factors) < 0.95
    assert 1.05 < max(factors) <= 1.101


def test_several_chains_are_one_after_the_other(tone: Waveform) -> None:
    expected = augment(tone, "pitch", seed=4)
    expected = augment(expected, "noise", seed=clip_seed(4, "noise", 1))
    expected = augment(expected, "noise", seed=clip_seed(4, "noise", 2))
    assert augment(tone, "pitch+noise+noise", seed=4) == expected
    assert augment(tone, "gain+noise", seed=4) != augment(tone, "noise+gain", seed=4)
    assert chain_key("pitch+noise") == f"{KEYS['pitch']}+{KEYS['noise']}"


@pytest.mark.parametrize("name", CHAINS)
def test_the_global_generators_are_left_as_they_were(tone: Waveform, name: str) -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    augment(tone, name, seed=3)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


def test_threads_get_what_a_single_one_gets(tone: Waveform) -> None:
    jobs = [(name, seed) for seed in range(6) for name in ("noise", "stretch", "shift", "pitch+speed")]
    alone = [augment(tone, name, seed=seed).samples for name, seed in jobs]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda job: augment(tone, job[0], seed=job[1]).samples, jobs))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", range(8))
def test_each_chain_does_what_its_name_says(tone: Waveform, seed: int) -> None:
    noise = augment(tone, "noise", seed=seed).samples - tone.samples
    snr = 10 * np.log10(np.mean(tone.samples**2) / np.mean(noise**2))
    assert 9.5 <= snr <= 30.5
    semitones = 12 * np.log2(peak_hz(augment(tone, "pitch", seed=seed).samples) / 440)
    assert -2.1 <= semitones <= 2.1
    stretched = augment(tone, "stretch", seed=seed)
    assert 1 / 1.26 <= stretched.duration / tone.duration <= 1.26
    assert abs(peak_hz(stretched.samples) - 440) < 5
    assert augment(tone, "shift", seed=seed).duration == tone.duration
    gain = augment(tone, "gain", seed=seed).samples
    ratio = gain @ tone.samples / (tone.samples @ tone.samples)
    assert 10 ** (-12 / 20) - 1e-6 <= ratio <= 10 ** (12 / 20) + 1e-6
    np.testing.assert_allclose(gain, ratio * tone.samples, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("xyz", "unknown chain 'xyz': expected one of noise, .* or several joined by plus signs"),
        ("nois", r"unknown chain 'nois': did you mean 'noise'\? Chains are noise, "),
        ("pitch+strech", r"unknown chain 'strech' in 'pitch\+strech': did you mean 'stretch'\?"),
        ("pitch+", r"unknown chain '' in 'pitch\+'"),
        ("pitch + noise", r"unknown chain 'pitch ' in .*: did you mean 'pitch'\?"),
    ],
)
def test_an_unknown_chain_is_named(tone: Waveform, name: str, says: str) -> None:
    for ask in (check_chain, chain_key, lambda name: augment(tone, name, seed=0)):
        with pytest.raises(RecipeError, match=says):
            ask(name)


def test_every_chain_has_a_key_of_its_own() -> None:
    assert set(S2_CHAINS) < set(S3_CHAINS) <= set(CHAINS)
    assert len({chain_key(name) for name in (*CHAINS, "noise+gain", "gain+noise")}) == len(CHAINS) + 2


def test_the_seed_of_a_copy_hangs_on_run_clip_and_copy() -> None:
    seeds = {clip_seed(s, h, c) for s in range(3) for h in ("a", "b", "c") for c in (1, 2, 3)}
    assert len(seeds) == 27
    assert all(0 <= seed < 2**32 for seed in seeds)
