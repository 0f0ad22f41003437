"""Named, seeded augmentation chains over waveforms, for training clips only.

Most transforms are audiomentations'. That library draws from the global random generators of Python and NumPy; here
each call seeds them and restores them afterwards, so the seed is an argument and nothing else changes.
"""

from __future__ import annotations

import difflib
import hashlib
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
import soxr

from serkit.audio.waveform import Waveform
from serkit.errors import RecipeError
from serkit.training.noise_and_rooms import SNR_DB, SoundFolder, SoundFolders, in_background, in_room

__all__ = ["CHAINS", "FOLDER_CHAINS", "S2_CHAINS", "S3_CHAINS", "augment", "chain_key", "check_chain", "clip_seed"]

# Raise when a transform's sound changes for the same seed, so that cached features of the old sound are not used.
_VERSION = 1

#: Chain -> its transforms in order, with their parameters: audiomentations', and ``Speed``.
CHAINS: Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]] = MappingProxyType(
    {
        "noise": (("AddGaussianSNR", {"min_snr_db": 10.0, "max_snr_db": 30.0}),),
        "pitch": (("PitchShift", {"min_semitones": -2.0, "max_semitones": 2.0}),),
        "stretch": (("TimeStretch", {"min_rate": 0.8, "max_rate": 1.25, "leave_length_unchanged": False}),),
        "speed": (("Speed", {"min_rate": 0.9, "max_rate": 1.1}),),
        "shift": (("Shift", {"min_shift": -0.2, "max_shift": 0.2, "shift_unit": "seconds", "rollover": False}),),
        "gain": (("Gain", {"min_gain_db": -12.0, "max_gain_db": 12.0}),),
    }
)

#: The chains that take recordings from a folder.
FOLDER_CHAINS: Mapping[str, Callable[..., Waveform]] = MappingProxyType({"room": in_room, "background": in_background})

#: The copies of S2 and of the protocol ``augmented-random`` when a recipe names no chains of its own.
S2_CHAINS = ("noise", "pitch", "stretch")

#: The copies of S3.
S3_CHAINS = (*S2_CHAINS, "speed", "shift")

_LOCK = threading.Lock()
# These draw while they work; the others draw first, and their work can be done without the lock.
_DRAWS_LATE = frozenset({"AddGaussianSNR"})


def augment(wave: Waveform, name: str, *, seed: int, folders: SoundFolders | None = None) -> Waveform:
    """Return a changed copy of ``wave``; the same seed gives the same copy, whatever was drawn before.

    Parameters
    ----------
    wave : Waveform
        Left as it is.
    name : str
        ``"noise"``: white noise, 10 to 30 dB below the clip. ``"pitch"``: up to two semitones up or down.
        ``"stretch"``: 0.8 to 1.25 times as fast, same pitch, another length. ``"speed"``: 0.9 to 1.1 times as fast,
        pitch and all, another length. ``"shift"``: up to 0.2 s (or half of a clip shorter than that) earlier or later,
        same length. ``"gain"``: up to 12 dB louder or quieter. ``"room"``: as heard in a room, by an impulse response
        from a folder. ``"background"``: a recording from a folder mixed in, 5 to 20 dB below the clip. Several, one
        after the other, are joined by plus signs: ``"pitch+noise"``.
    seed : int
        0 to 2**32 - 1. The first of several chains uses it unchanged.
    folders : SoundFolders, optional
        The folders of ``room`` and ``background``.

    Raises
    ------
    RecipeError
        If no chain has this name, or its folder is not given.
    AudioError
        If a recording of a folder cannot be read, or an impulse response is silent.

    Examples
    --------
    >>> wave = Waveform(np.sin(np.arange(16000) / 10).astype(np.float32), 16000)
    >>> augment(wave, "pitch+shift", seed=1).duration
    1.0
    """
    for k, part in enumerate(check_chain(name)):
        drawn = seed if k == 0 else clip_seed(seed, part, k)
        if part in FOLDER_CHAINS:
            wave = FOLDER_CHAINS[part](wave, _folder(part, folders), np.random.default_rng(drawn))
            continue
        for kind, params in CHAINS[part]:
            samples = np.array(wave.samples, dtype=np.float32)
            if kind == "Speed":
                samples = _speed(samples, np.random.default_rng(drawn), **params)
            else:
                samples = _transformed(samples, wave.sample_rate, kind, params, drawn)
            wave = Waveform(np.ascontiguousarray(samples, dtype=np.float32), wave.sample_rate)
    return wave


def _speed(samples: np.ndarray, rng: np.random.Generator, *, min_rate: float, max_rate: float) -> np.ndarray:
    """Play at another speed, like a tape; 1 % steps keep the ratio of the rates small."""
    hundredths = int(rng.integers(round(100 * min_rate), round(100 * max_rate) + 1))
    return soxr.resample(samples, hundredths, 100)


def _transformed(samples: np.ndarray, rate: int, kind: str, params: Mapping[str, Any], seed: int) -> np.ndarray:
    import audiomentations

    transform = getattr(audiomentations, kind)(**params, p=1.0)
    with _LOCK, _seeded(seed):
        if kind in _DRAWS_LATE:
            return transform(samples, rate)
        transform.randomize_parameters(samples, rate)
    if kind == "Shift" and len(samples) <= params["max_shift"] * rate:  # the shift could remove all of it
        transform.parameters["shift_amount"] *= len(samples) / rate / params["max_shift"] / 2
    transform.freeze_parameters()
    return transform(samples, rate)


def check_chain(name: str) -> list[str]:
    """The chains that ``name`` joins by plus signs; RecipeError if there is no such chain.

    Examples
    --------
    >>> check_chain("pitch+noise")
    ['pitch', 'noise']
    """
    known = (*CHAINS, *FOLDER_CHAINS)
    parts = name.split("+")
    for part in parts:
        if part not in known:
            where = "" if part == name else f" in '{name}'"
            close = difflib.get_close_matches(part, known, n=1, cutoff=0.5)
            hint = f"did you mean '{close[0]}'? Chains are" if close else "expected one of"
            raise RecipeError(
                f"unknown chain '{part}'{where}: {hint} {', '.join(known)}, or several joined by plus signs."
            )
    return parts


def _folder(kind: str, folders: SoundFolders | None) -> SoundFolder:
    folder: SoundFolder | None = getattr(folders, kind, None)
    if folder is None:
        raise RecipeError(f"the chain '{kind}' takes recordings from a folder: give it as {kind}_folder.")
    return folder


def chain_key(name: str, folders: SoundFolders | None = None) -> str:
    """Text that changes when the sound of chain ``name`` may change: part of the cache key."""
    keys = []
    for part in check_chain(name):
        if part in FOLDER_CHAINS:
            steps = f"{SNR_DB if part == 'background' else ''}{_folder(part, folders).key}"
        else:
            steps = ";".join(f"{kind}{sorted(params.items())}" for kind, params in CHAINS[part])
        keys.append(f"{part}:{_VERSION}:{steps}")
    return "+".join(keys)


def clip_seed(seed: int, audio_hash: str, copy: int) -> int:
    """The seed of one copy of one clip; it depends only on these three arguments.

    Examples
    --------
    >>> clip_seed(0, "ab", 1) == clip_seed(0, "ab", 1), clip_seed(0, "ab", 1) == clip_seed(0, "ab", 2)
    (True, False)
    """
    digest = hashlib.sha256(f"{seed}:{audio_hash}:{copy}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the two global generators; restore their states afterwards."""
    python, numpy_ = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_)  # noqa: NPY002
