"""Augmentation: the same seed, the same sound; nothing else is touched."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serkit.audio import Waveform
from serkit.augment import CHAINS, S2_CHAINS, augment, chain_key, clip_seed
from serkit.errors import RecipeError

RATE = 16000


@pytest.fixture(scope="module")
def tone() -> Waveform:
    t = np.arange(RATE) / RATE
    return Waveform((0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), RATE)


def peak_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 4 * RATE))
    return float(spectrum.argmax()) / 4


@pytest.mark.parametrize("name", CHAINS)
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
    jobs = [(name, seed) for seed in range(6) for name in ("noise", "stretch", "shift")]
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


def test_an_unknown_chain_is_named() -> None:
    with pytest.raises(RecipeError, match="Unknown augmentation chain 'echo': expected one of noise"):
        chain_key("echo")
    assert set(S2_CHAINS) <= set(CHAINS)
    assert len({chain_key(name) for name in CHAINS}) == len(CHAINS)


def test_the_seed_of_a_copy_hangs_on_run_clip_and_copy() -> None:
    seeds = {clip_seed(s, h, c) for s in range(3) for h in ("a", "b", "c") for c in (1, 2, 3)}
    assert len(seeds) == 27
    assert all(0 <= seed < 2**32 for seed in seeds)
