"""The :class:`Waveform` that everything works on, and the :class:`Window` that cuts it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
import soxr

from serkit.audio.arrays import check_rate, check_values
from serkit.errors import AudioError

__all__ = ["QUALITY", "Waveform", "Window", "own", "resample"]

QUALITY = "HQ"  # of soxr; also librosa's default


@dataclass(frozen=True, eq=False, repr=False)
class Waveform:
    """A mono recording.

    Parameters
    ----------
    samples : np.ndarray, float32, shape=(n,)
        Nominally in [-1, 1], finite. Kept read-only; a writable array is copied.
    sample_rate : int
        Hz.

    Raises
    ------
    AudioError
        If there are no samples, or they are not finite or have another type or shape.

    See Also
    --------
    serkit.load_audio : Reads one from a file, bytes or an array.
    resample : Converts it to another rate.

    Examples
    --------
    >>> wave = Waveform(np.zeros(8000, dtype=np.float32), 16000)
    >>> wave
    Waveform(0.500 s, 16000 Hz)
    >>> wave.duration
    0.5
    """

    samples: np.ndarray
    sample_rate: int

    def __post_init__(self) -> None:
        samples = self.samples
        if not isinstance(samples, np.ndarray) or samples.dtype != np.float32 or samples.ndim != 1:
            got = (
                f"{samples.dtype} of shape {samples.shape}"
                if isinstance(samples, np.ndarray)
                else type(samples).__name__
            )
            raise AudioError(
                f"a Waveform holds float32 samples of shape (n,), got {got}: use load(array, sample_rate=...)."
            )
        if samples.size == 0:
            raise AudioError("a Waveform needs at least one sample, got none.")
        object.__setattr__(self, "sample_rate", check_rate(self.sample_rate, "sample_rate"))
        check_values(samples, 0, self.sample_rate, "the samples")
        if samples.flags.writeable or not samples.flags.c_contiguous:
            samples = samples.copy()
            samples.setflags(write=False)
            object.__setattr__(self, "samples", samples)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of rate and samples: the same for the same sound, whatever container it came in."""
        data = self.samples.astype("<f4", copy=False)
        return hashlib.sha256(b"%d:" % self.sample_rate + data.tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Waveform):
            return NotImplemented
        return self.sample_rate == other.sample_rate and np.array_equal(self.samples, other.samples)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Waveform({self.duration:.3f} s, {self.sample_rate} Hz)"


def own(samples: np.ndarray, rate: int) -> Waveform:
    """Make a Waveform, without a copy, from samples that nothing else refers to."""
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    if samples.base is None:
        samples.setflags(write=False)
    return Waveform(samples, rate)


def resample(wave: Waveform, target_rate: int) -> Waveform:
    """Convert to another rate (soxr, high quality); the same rate returns `wave` itself.

    Parameters
    ----------
    wave : Waveform
    target_rate : int
        Hz, 4,000 to 192,000.

    Examples
    --------
    >>> resample(Waveform(np.zeros(22050, dtype=np.float32), 22050), 16000)
    Waveform(1.000 s, 16000 Hz)
    """
    rate = check_rate(target_rate, "target_rate")
    if rate == wave.sample_rate:
        return wave
    return own(soxr.resample(wave.samples, wave.sample_rate, rate, quality=QUALITY), rate)


@dataclass(frozen=True)
class Window:
    """How a system cuts a clip: offset, then silence trim, then level, then length.

    Attributes
    ----------
    offset : float
        Seconds cut off at the beginning.
    trim_db : float or None
        Cut leading and trailing frames that are this many dB below the loudest frame: the rule, frame length
        (2,048) and hop (512 samples) of ``librosa.effects.trim``.
    level : {"none", "peak", "rms"}
        Scale the largest absolute sample to 1, or the root mean square to -20 dBFS. Digital silence is not
        changed.
    length : float or None
        Seconds; a shorter clip is padded with zeros at its end, a longer one is cut.

    Examples
    --------
    >>> wave = Waveform(np.full(8000, 0.5, dtype=np.float32), 16000)
    >>> window = Window(offset=0.25, level="peak", length=1.0)
    >>> cut = window.apply(wave)
    >>> cut, float(cut.samples[0]), float(cut.samples[-1])
    (Waveform(1.000 s, 16000 Hz), 1.0, 0.0)
    >>> Window.from_dict(window.to_dict()) == window
    True
    """

    offset: float = 0.0
    trim_db: float | None = None
    level: Literal["none", "peak", "rms"] = "none"
    length: float | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("offset", self.offset, 0.0),
            ("trim_db", self.trim_db, None),
            ("length", self.length, None),
        ):
            if value is None and name != "offset":
                continue
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if not number or (value < 0 if least is not None else value <= 0):  # type: ignore[operator]
                bound = "0 or more" if least is not None else "more than 0"
                raise AudioError(f"{name} of a Window must be {bound}, got {value!r}.")
        if self.level not in ("none", "peak", "rms"):
            raise AudioError(f"level of a Window must be 'none', 'peak' or 'rms', got {self.level!r}.")

    def apply(self, wave: Waveform) -> Waveform:
        """Cut `wave`.

        Raises
        ------
        AudioError
            If nothing is left, because the clip ends before `offset`.
        """
        rate = wave.sample_rate
        samples = wave.samples[round(self.offset * rate) :]
        if samples.size == 0:
            raise AudioError(f"nothing is left of a clip of {wave.duration:.3f} s from {self.offset:g} s on.")
        if self.trim_db is not None:
            start, stop = _trim(samples, self.trim_db)
            samples = samples[start:stop]
        now = 0.0
        if self.level == "peak":
            now, goal = float(np.abs(samples).max()), 1.0
        elif self.level == "rms":
            now, goal = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))), 0.1
        if now > 0:
            samples = (samples * (goal / now)).astype(np.float32)
        if self.length is not None:
            size = max(round(self.length * rate), 1)
            samples = np.pad(samples[:size], (0, max(size - len(samples), 0)))
        return own(samples, rate)

    def to_dict(self) -> dict[str, Any]:
        """Return the four values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Window:
        """Rebuild from :meth:`to_dict`; an unknown key is an AudioError."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise AudioError(f"a Window has no {', '.join(map(repr, unknown))}: it has {', '.join(known)}.")
        return cls(**values)


def _trim(samples: np.ndarray, trim_db: float) -> tuple[int, int]:
    """First and last sample (exclusive) of what librosa.effects.trim keeps."""
    hop, frame_hops = 512, 4
    frames = 1 + len(samples) // hop
    padded = np.zeros((frames + frame_hops - 1) * hop, dtype=np.float32)
    half = frame_hops // 2 * hop
    end = min(len(samples), len(padded) - half)
    padded[half : half + end] = samples[:end]
    parts = padded.reshape(-1, hop)
    sums = np.einsum("ij,ij->i", parts, parts, dtype=np.float64)
    power = np.convolve(sums, np.ones(frame_hops), "valid") / (hop * frame_hops)
    floor = 1e-10  # librosa's smallest power
    loud = 10 * np.log10(np.maximum(power, floor)) - 10 * np.log10(max(power.max(), floor)) > -trim_db
    where = np.flatnonzero(loud)
    return int(where[0]) * hop, min(len(samples), (int(where[-1]) + 1) * hop)
