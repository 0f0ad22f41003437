"""One spectrogram per clip, computed on first use and shared by all features that need it."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from serkit.audio.waveform import Waveform
from serkit.errors import FeatureError
from serkit.features.banks import mel_blocks, taper

__all__ = ["PAD_MODES", "Analysis", "as_analysis", "to_db"]

#: Padding modes for `center`.
PAD_MODES = ("constant", "edge", "reflect", "symmetric")

_BLOCK = 32  # frames transformed at a time: they stay in the processor's cache


def positive(name: str, value: object) -> int:
    """Return `value` as an int, or say that `name` must be a positive integer."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise FeatureError(f"{name} must be a positive integer, got {value!r}.")
    return number


def to_db(power: np.ndarray, *, top_db: float | None = 80.0) -> np.ndarray:
    """Return ``10 log10(power)``, not below -100 dB and not more than `top_db` below the largest value.

    Examples
    --------
    >>> to_db(np.array([1.0, 0.1, 0.0])).tolist()
    [0.0, -10.0, -80.0]
    """
    if top_db is not None and top_db < 0:
        raise FeatureError(f"top_db must be 0 dB or more, got {top_db!r}.")
    level = 10.0 * np.log10(np.maximum(1e-10, power))
    return level if top_db is None else np.maximum(level, level.max() - top_db)


class Analysis:
    """The short-time spectrum of one clip and everything derived from it, each computed once.

    The transform runs in double precision and is stored in single, so quiet bins next to loud ones keep their
    value. Everything that several features use (spectrum, mel bands, decibels) is kept as long as the object.

    Parameters
    ----------
    wave : Waveform
        A clip of at least one sample; with ``center=False`` of at least `n_fft` samples.
    n_fft : int
        Samples per frame, even. It is also the frame length of :func:`zcr` and :func:`rms`.
    hop_length : int
        Samples from one frame to the next.
    win_length : int or None
        Samples under the window, at most `n_fft`; the rest of a frame has weight 0. None: `n_fft`.
    window : str
        Window name, see :func:`serkit.features.banks.taper`.
    center : bool
        True: frame `t` is centred on sample ``t * hop_length``, and the clip is padded by half a frame at both ends.
        False: it starts there.
    pad_mode : {"constant", "edge", "reflect", "symmetric"}
        Content of the padding; "constant" is zeros.

    Attributes
    ----------
    sample_rate : int
        Hz.
    n_frames, n_bins : int
        Shape of the spectrum; ``n_bins = 1 + n_fft // 2``, with `center` ``n_frames = 1 + n_samples // hop_length``.

    Raises
    ------
    FeatureError
        If a parameter is impossible, or the clip is empty, too short or not finite.

    See Also
    --------
    Extractor : several features as one array.

    Examples
    --------
    >>> from serkit.audio import Waveform
    >>> wave = Waveform(np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32), 16000)
    >>> analysis = Analysis(wave, n_fft=512, hop_length=160)
    >>> analysis.magnitude.shape
    (257, 101)
    >>> float(analysis.frequencies[analysis.magnitude[:, 50].argmax()])
    1000.0
    """

    def __init__(
        self,
        wave: Waveform,
        *,
        n_fft: int = 2048,
        hop_length: int = 512,
        win_length: int | None = None,
        window: str = "hann",
        center: bool = True,
        pad_mode: str = "constant",
    ) -> None:
        self.n_fft = positive("n_fft", n_fft)
        self.hop_length = positive("hop_length", hop_length)
        self.win_length = self.n_fft if win_length is None else positive("win_length", win_length)
        if self.n_fft % 2:
            raise FeatureError(f"n_fft must be even, got {n_fft}.")
        if self.win_length > self.n_fft:
            raise FeatureError(f"win_length={win_length} is longer than n_fft={n_fft}: it must fit into the frame.")
        if pad_mode not in PAD_MODES:
            raise FeatureError(f"Unknown pad_mode {pad_mode!r}: expected one of {', '.join(PAD_MODES)}.")
        samples = np.asarray(wave.samples)
        if samples.ndim != 1 or samples.size == 0:
            raise FeatureError(f"Features need a mono clip of at least one sample, got shape {samples.shape}.")
        if not np.isfinite(samples).all():
            raise FeatureError("The clip contains NaN or infinite samples: features need finite samples.")
        if not center and samples.size < self.n_fft:
            raise FeatureError(
                f"The clip of {samples.size} samples is shorter than one frame of n_fft={n_fft}: "
                "use a longer clip, a smaller n_fft or center=True."
            )
        self.samples = samples
        self.sample_rate = positive("sample_rate", wave.sample_rate)
        self.window = window
        self.center = center
        self.pad_mode = pad_mode
        self.n_bins = 1 + self.n_fft // 2
        self.n_frames = 1 + (samples.size if center else samples.size - self.n_fft) // self.hop_length
        self._taper = taper(window, self.win_length, self.n_fft)
        self._mel: dict[tuple[int, float, float], np.ndarray] = {}
        self._log_mel: dict[tuple[int, float, float, float | None], np.ndarray] = {}
        self._windowed: dict[int, Analysis] = {}

    @cached_property
    def padded(self) -> np.ndarray:
        """The samples, padded by half a frame at both ends if frames are centred: shape (n,), float64."""
        samples = self.samples.astype(np.float64)
        if not self.center:
            return samples
        # np.pad is typed for literal modes only; the mode was checked in __init__.
        return np.pad(samples, self.n_fft // 2, mode=self.pad_mode)  # type: ignore[call-overload]

    @cached_property
    def frames(self) -> np.ndarray:
        """The frames before windowing, a read-only view: shape (n_frames, n_fft), float64."""
        return np.lib.stride_tricks.sliding_window_view(self.padded, self.n_fft)[:: self.hop_length]

    @cached_property
    def frequencies(self) -> np.ndarray:
        """Centre of each bin in Hz: shape (n_bins,), float64."""
        return np.fft.rfftfreq(self.n_fft, 1.0 / self.sample_rate)

    # Internally, rows are frames, so sums and sorts run over adjacent memory; the public arrays are transposed views.

    def _transformed(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first frame's number and the transform of each block of frames, complex64."""
        buffer = np.empty((_BLOCK, self.n_fft))
        for start in range(0, self.n_frames, _BLOCK):
            block = self.frames[start : start + _BLOCK]
            windowed = np.multiply(block, self._taper, out=buffer[: len(block)])
            yield start, np.fft.rfft(windowed, axis=-1).astype(np.complex64)

    @cached_property
    def magnitude_rows(self) -> np.ndarray:
        """The magnitude, one frame a row: shape (n_frames, n_bins), float32."""
        magnitude = np.empty((self.n_frames, self.n_bins), np.float32)
        for start, block in self._transformed():
            np.abs(block, out=magnitude[start : start + len(block)])
        return magnitude

    @cached_property
    def power_rows(self) -> np.ndarray:
        """The squared magnitude, one frame a row: shape (n_frames, n_bins), float32."""
        return np.square(self.magnitude_rows)

    @cached_property
    def stft(self) -> np.ndarray:
        """The complex transform, with phases: shape (n_bins, n_frames), complex64."""
        return np.concatenate([block for _, block in self._transformed()]).T

    @property
    def magnitude(self) -> np.ndarray:
        """The magnitude: shape (n_bins, n_frames), float32."""
        return self.magnitude_rows.T

    @property
    def power(self) -> np.ndarray:
        """The squared magnitude: shape (n_bins, n_frames), float32."""
        return self.power_rows.T

    @cached_property
    def moments(self) -> np.ndarray:
        """Sum of the magnitude, of magnitude x Hz and of magnitude x Hz², per frame: shape (n_frames, 3), float64."""
        hz = self.frequencies
        return self.magnitude_rows.astype(np.float64) @ np.stack([np.ones_like(hz), hz, hz**2], axis=1)

    def _band(self, n_mels: int, fmin: float, fmax: float | None) -> tuple[int, float, float]:
        half = self.sample_rate / 2
        top = half if fmax is None else float(fmax)
        if not 0 <= fmin < top:
            raise FeatureError(f"Mel bands need 0 <= fmin < fmax, got fmin={fmin:g} Hz and fmax={top:g} Hz.")
        if top > half:
            raise FeatureError(
                f"fmax={top:g} Hz is above half the sample rate ({half:g} Hz): lower fmax or raise the sample rate."
            )
        return positive("n_mels", n_mels), float(fmin), top

    def mel_rows(self, n_mels: int, fmin: float, fmax: float | None) -> np.ndarray:
        """Return the power in mel bands, one frame a row: shape (n_frames, n_mels), float32."""
        band = self._band(n_mels, fmin, fmax)
        if band not in self._mel:
            rows = np.empty((self.n_frames, band[0]), np.float32)
            for bins, bands, weights in mel_blocks(self.sample_rate, self.n_fft, *band):
                rows[:, bands] = self.power_rows[:, bins] @ weights
            self._mel[band] = rows
        return self._mel[band]

    def log_mel_rows(self, n_mels: int, fmin: float, fmax: float | None, top_db: float | None) -> np.ndarray:
        """Return the level in mel bands in dB, one frame a row: shape (n_frames, n_mels), float32."""
        band = (*self._band(n_mels, fmin, fmax), top_db)
        if band not in self._log_mel:
            self._log_mel[band] = to_db(self.mel_rows(n_mels, fmin, fmax), top_db=top_db)
        return self._log_mel[band]

    def windowed(self, win_length: int) -> Analysis:
        """Return the analysis of the same frames with another window length; cached."""
        if win_length == self.win_length:
            return self
        if win_length not in self._windowed:
            self._windowed[win_length] = Analysis(
                Waveform(self.samples, self.sample_rate),
                n_fft=self.n_fft,
                hop_length=self.hop_length,
                win_length=win_length,
                window=self.window,
                center=self.center,
                pad_mode=self.pad_mode,
            )
        return self._windowed[win_length]


def as_analysis(source: Analysis | Waveform) -> Analysis:
    """Return `source` if it is an analysis, else the analysis of that waveform with the default settings."""
    if isinstance(source, Analysis):
        return source
    if hasattr(source, "samples") and hasattr(source, "sample_rate"):
        return Analysis(source)
    raise FeatureError(
        f"Features take a Waveform or an Analysis, got {type(source).__name__}: use serkit.load_audio()."
    )
