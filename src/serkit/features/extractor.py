""":class:`Extractor`: the features of a system as a value that turns a waveform into an array and fits into JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from serkit.audio.waveform import Waveform, Window, resample
from serkit.errors import AudioError, FeatureError
from serkit.features.analysis import Analysis, positive
from serkit.features.catalogue import Feature, check_keys, nearest

if TYPE_CHECKING:
    import onnx

__all__ = ["FEATURES_VERSION", "LAYOUTS", "Extractor"]

#: Increased whenever the value of a feature changes, so that old cached arrays and keys are no longer used.
FEATURES_VERSION = 1

#: How an extractor arranges its features.
LAYOUTS = ("mean_std", "flat", "frames")


@dataclass(frozen=True)
class Extractor:
    """Turns a waveform into one array. Recipes, the cache and bundles share it as a value.

    The clip is resampled, cut by the window and analysed once; then the features are stacked in order.

    Parameters
    ----------
    sample_rate : int
        Hz.
    window : Window
        Trim, level and length of the clip.
    features : sequence of Feature
        At least one, each once.
    layout : {"mean_std", "flat", "frames"}
        "mean_std": shape (n,); feature after feature, first the means over time of all its rows, then their
        standard deviations; a feature with one value per clip gives that value alone.
        "flat": shape (n,); feature after feature, its matrix row after row.
        "frames": shape (n_rows, n_frames); no feature with one value per clip.
    n_fft, hop_length, win_length, taper, center, pad_mode
        As for :class:`Analysis`, where `taper` is its `window`.

    Raises
    ------
    FeatureError
        If the settings are impossible or contradict each other. Everything that does not depend on a clip is checked
        here.

    See Also
    --------
    s0, s1, s3 : the extractors of the published systems.
    serkit.features.transformers.Features : an extractor for scikit-learn pipelines.
    Analysis : the spectrogram behind the features.

    Examples
    --------
    >>> extractor = Extractor(16000, Window(length=1.0), [Feature("mfcc", {"n_mfcc": 2}), Feature("rms")], "mean_std")
    >>> extractor.feature_names()
    ['mfcc_0_mean', 'mfcc_1_mean', 'mfcc_0_std', 'mfcc_1_std', 'rms_mean', 'rms_std']
    >>> extractor(Waveform(np.zeros(8000, np.float32), 8000)).shape
    (6,)
    >>> Extractor.from_dict(extractor.to_dict()) == extractor
    True
    """

    sample_rate: int
    window: Window
    features: tuple[Feature, ...]
    layout: Literal["mean_std", "flat", "frames"]
    n_fft: int = 2048
    hop_length: int = 512
    win_length: int | None = None
    taper: str = "hann"
    center: bool = True
    pad_mode: str = "constant"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sample_rate", positive("sample_rate", self.sample_rate))
        object.__setattr__(self, "features", tuple(self.features))
        if self.layout not in LAYOUTS:
            raise FeatureError(f"Unknown layout {self.layout!r}: {nearest(str(self.layout), LAYOUTS)}")
        if not self.features:
            raise FeatureError("An Extractor needs at least one feature, got none.")
        for feature in self.features:
            if not isinstance(feature, Feature):
                raise FeatureError(f"An Extractor takes Feature objects, got {feature!r}: use Feature(name, params).")
            if feature.per_clip and self.layout == "frames":
                raise FeatureError(
                    f"Feature '{feature.name}' has one value per clip and no frames: use layout 'mean_std' or 'flat'."
                )
        names = [name for feature in self.features for name in feature.row_names()]
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise FeatureError(f"Two features give {twice[0]}: list each feature once.")
        _try_on_silence(self)

    def __call__(self, wave: Waveform) -> np.ndarray:
        """Compute the features of a clip.

        Parameters
        ----------
        wave : Waveform
            At any rate.

        Returns
        -------
        np.ndarray [float32]
            Shape by layout: (n,) or (n_rows, n_frames).

        Raises
        ------
        FeatureError
            If the clip is too short for a feature or a value is not finite.
        AudioError
            If the window leaves nothing of the clip.
        """
        return self._compute(self.window.apply(resample(wave, self.sample_rate)))

    def _compute(self, wave: Waveform) -> np.ndarray:
        analysis = Analysis(
            wave,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            win_length=self.win_length,
            window=self.taper,
            center=self.center,
            pad_mode=self.pad_mode,
        )
        parts = []
        for feature in self.features:
            values = feature(analysis)
            if not np.isfinite(values).all():
                raise FeatureError(
                    f"Feature '{feature.name}' is not finite for this clip of {wave.duration:.3f} s: check its samples."
                )
            parts.append(self._arranged(feature, values))
        return np.concatenate(parts)

    def _arranged(self, feature: Feature, values: np.ndarray) -> np.ndarray:
        if self.layout == "frames":
            return values
        if self.layout == "flat" or feature.per_clip:
            return values.ravel()
        wide = values.astype(np.float64)
        return np.concatenate([wide.mean(axis=1), wide.std(axis=1)]).astype(np.float32)

    @property
    def n_frames(self) -> int | None:
        """Frames per clip if the window fixes the length, else None."""
        if self.window.length is None:
            return None
        samples = max(round(self.window.length * self.sample_rate), 1)
        return 1 + (samples if self.center else samples - self.n_fft) // self.hop_length

    def feature_names(self) -> list[str]:
        """Name each value of a vector, or each row of a frame matrix.

        Returns
        -------
        list of str
            "mean_std": ``mfcc_0_mean`` ... ``mfcc_0_std``; "frames": ``mfcc_0``; "flat": ``mfcc_0_t0``, row by row.

        Raises
        ------
        FeatureError
            For "flat" without a fixed window length: the number of values then depends on the clip.
        """
        names: list[str] = []
        for feature in self.features:
            rows = feature.row_names()
            if self.layout == "frames" or feature.per_clip:
                names += rows
            elif self.layout == "mean_std":
                names += [f"{row}_mean" for row in rows] + [f"{row}_std" for row in rows]
            elif self.n_frames is None:
                raise FeatureError(
                    "Layout 'flat' has fixed names only for clips of fixed length: set the window's length."
                )
            else:
                names += [f"{row}_t{t}" for row in rows for t in range(self.n_frames)]
        return names

    def to_dict(self) -> dict[str, Any]:
        """Return all settings, ready for JSON."""
        return {
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "window": self.window.to_dict(),
            "features": [feature.to_dict() for feature in self.features],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Extractor:
        """Rebuild from :meth:`to_dict`.

        Only ``features`` is required. The defaults are 22,050 Hz, the whole clip, layout "mean_std" and those of
        :class:`Extractor`.

        Raises
        ------
        FeatureError
            If a key is unknown (the message suggests the nearest one) or a value is impossible.
        """
        check_keys("extractor", values, [f.name for f in fields(cls)], required=("features",))
        if isinstance(values["features"], (str, Mapping)) or not hasattr(values["features"], "__iter__"):
            raise FeatureError(f"features of an extractor must be a list, got {values['features']!r}.")
        try:
            window = Window.from_dict(values.get("window", {}))
        except (AudioError, TypeError) as error:
            raise FeatureError(f"The window of the extractor is not valid: {error}") from None
        settings = {
            "sample_rate": 22050,
            "layout": "mean_std",
            **values,
            "window": window,
            "features": tuple(Feature.from_dict(feature) for feature in values["features"]),
        }
        return cls(**settings)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of what a clip gives; None for a number that depends on the clip.

        Examples
        --------
        >>> Extractor(16000, Window(), [Feature("mfcc", {"n_mfcc": 13})], "frames").shape
        (13, None)
        """
        rows = sum(len(feature.row_names()) for feature in self.features)
        if self.layout == "frames":
            return rows, self.n_frames
        if self.layout == "flat" and self.n_frames is None:
            return (None,)
        return (len(self.feature_names()),)

    def graph(self) -> onnx.ModelProto:
        """Return the extractor as an ONNX graph: ``waveform`` (1, n) float32 -> ``features`` (1, rows, n_frames) in dB.

        Raises
        ------
        BundleError
            If the extractor is anything but frames of log-mel; see :func:`serkit.features.graph.extractor_graph`.
        """
        from serkit.features.graph import extractor_graph

        return extractor_graph(self)

    @cached_property
    def key(self) -> str:
        """Sixteen hex digits that differ whenever a setting or :data:`FEATURES_VERSION` differs."""
        text = json.dumps({"features_version": FEATURES_VERSION, **self.to_dict()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=64)
def _try_on_silence(extractor: Extractor) -> None:
    """Run the extractor on a short silent clip, so impossible settings fail before the first recording."""
    width = max((f.params.get("delta_width", 0) for f in extractor.features if f.params.get("deltas")), default=0)
    samples = max(extractor.n_fft, 1) + max(extractor.hop_length, 1) * (width + 1)
    if extractor.window.length is not None:
        samples = min(samples, max(round(extractor.window.length * extractor.sample_rate), 1))
    extractor._compute(Waveform(np.zeros(samples, np.float32), extractor.sample_rate))
