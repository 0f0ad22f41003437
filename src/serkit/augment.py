"""Named, seeded augmentation chains over waveforms, for training clips only.

The transforms are audiomentations'. That library draws from the global random generators of Python and NumPy; here
each call seeds them, and puts them back as they were, so a seed is an argument and nothing else changes.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit.errors import RecipeError

if TYPE_CHECKING:
    from serkit.audio import Waveform

__all__ = ["CHAINS", "S2_CHAINS", "augment", "chain_key", "clip_seed"]

# Raise when a transform's sound changes for the same seed, so that cached features of the old sound are not used.
_VERSION = 1

#: Chain -> its audiomentations transforms in order, with their parameters.
CHAINS: Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]] = MappingProxyType(
    {
        "noise": (("AddGaussianSNR", {"min_snr_db": 10.0, "max_snr_db": 30.0}),),
        "pitch": (("PitchShift", {"min_semitones": -2.0, "max_semitones": 2.0}),),
        "stretch": (("TimeStretch", {"min_rate": 0.8, "max_rate": 1.25, "leave_length_unchanged": False}),),
        "shift": (("Shift", {"min_shift": -0.2, "max_shift": 0.2, "shift_unit": "seconds", "rollover": False}),),
        "gain": (("Gain", {"min_gain_db": -12.0, "max_gain_db": 12.0}),),
    }
)

#: The copies of S2 and of the protocol ``augmented-random`` when a recipe names no chains of its own.
S2_CHAINS = ("noise", "pitch", "stretch")

_LOCK = threading.Lock()


def augment(wave: Waveform, name: str, *, seed: int) -> Waveform:
    """Return a changed copy of ``wave``; the same seed gives the same copy, whatever was drawn before.

    Parameters
    ----------
    wave : Waveform
        Left as it is.
    name : str
        ``"noise"``: white noise, 10 to 30 dB below the clip. ``"pitch"``: up to two semitones up or down.
        ``"stretch"``: 0.8 to 1.25 times as fast, same pitch, another length. ``"shift"``: up to 0.2 s earlier or
        later, same length. ``"gain"``: up to 12 dB louder or quieter.
    seed : int
        0 to 2**32 - 1.

    Raises
    ------
    RecipeError
        If no chain has this name.
    """
    from serkit.audio import Waveform

    chain = _chain(name)
    samples = np.array(wave.samples, dtype=np.float32)
    with _LOCK, _seeded(seed):
        for transform in chain:
            samples = transform(samples, wave.sample_rate)
    return Waveform(np.ascontiguousarray(samples, dtype=np.float32), wave.sample_rate)


def chain_key(name: str) -> str:
    """A text that changes when the sound of chain ``name`` may change: part of the cache key."""
    if name not in CHAINS:
        raise RecipeError(f"Unknown augmentation chain '{name}': expected one of {', '.join(CHAINS)}.")
    steps = ";".join(f"{kind}{sorted(params.items())}" for kind, params in CHAINS[name])
    return f"{name}:{_VERSION}:{steps}"


def clip_seed(seed: int, audio_hash: str, copy: int) -> int:
    """The seed of one copy of one clip: it hangs on nothing but these three.

    Examples
    --------
    >>> clip_seed(0, "ab", 1) == clip_seed(0, "ab", 1), clip_seed(0, "ab", 1) == clip_seed(0, "ab", 2)
    (True, False)
    """
    digest = hashlib.sha256(f"{seed}:{audio_hash}:{copy}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _chain(name: str) -> list[Callable[[np.ndarray, int], np.ndarray]]:
    chain_key(name)
    import audiomentations

    return [getattr(audiomentations, kind)(**params, p=1.0) for kind, params in CHAINS[name]]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the two global generators inside, restore their states after."""
    python, numpy_ = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_)  # noqa: NPY002
