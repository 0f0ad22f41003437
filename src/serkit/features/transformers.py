"""The features as scikit-learn transformers, from clips to a matrix.

:class:`Features` takes any :class:`~serkit.features.Extractor`; the classes named after a feature (:class:`MFCC`,
:class:`Chroma`, ...) have its parameters as their own, so a search can vary them.

Examples
--------
>>> from sklearn.linear_model import LogisticRegression
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> t = np.arange(8000) / 16000
>>> clips = [Waveform(np.sin(2 * np.pi * hz * t).astype(np.float32), 16000) for hz in (200, 220, 3000, 3300)]
>>> model = make_pipeline(MFCC(n_mfcc=13), StandardScaler(), LogisticRegression())
>>> model.fit(clips, ["low", "low", "high", "high"]).predict(clips[:1]).tolist()
['low']
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from serkit.audio import load
from serkit.audio.waveform import Waveform, Window
from serkit.errors import FeatureError
from serkit.features.catalogue import FEATURES, Feature
from serkit.features.extractor import Extractor

__all__ = [
    "MFCC",
    "RMS",
    "ZCR",
    "Bandwidth",
    "Centroid",
    "Chroma",
    "Features",
    "HarmonicPercussive",
    "LogMel",
    "Mel",
    "Rolloff",
    "SpectralContrast",
    "Tempo",
    "WindowedLogMel",
]

Clip: TypeAlias = "Waveform | str | os.PathLike[str]"


class _ClipTransformer(TransformerMixin, BaseEstimator):
    """Shared base: nothing is learnt; a sequence of clips becomes an array with one clip per row."""

    def _extractor(self) -> Extractor:
        raise NotImplementedError

    def fit(self, X: Sequence[Clip], y: Any = None) -> _ClipTransformer:
        """Check the settings; nothing is learnt.

        Raises
        ------
        FeatureError
            If the settings are impossible.
        """
        self._extractor()
        return self

    def transform(self, X: Sequence[Clip]) -> np.ndarray:
        """Compute the features of each clip.

        Parameters
        ----------
        X : sequence of Waveform or path

        Returns
        -------
        np.ndarray [shape=(n_clips, n_features) or, with layout "frames", (n_clips, n_rows, n_frames), float32]

        Raises
        ------
        FeatureError
            If the features of a clip cannot be computed, or clips of different length give arrays of different shape.
        AudioError
            If a file cannot be read.
        """
        extractor = self._extractor()
        if isinstance(X, (str, os.PathLike, Waveform)):
            raise FeatureError("A transformer takes a sequence of clips, got a single clip: put it in a list.")
        rows = [extractor(clip if isinstance(clip, Waveform) else load(clip)) for clip in X]
        shapes = {row.shape for row in rows}
        if len(shapes) > 1:
            raise FeatureError(
                f"Clips of different length give arrays of shapes {min(shapes)} to {max(shapes)} with layout "
                f"'{extractor.layout}': set the window's length, or use layout 'mean_std'."
            )
        if not rows:
            raise FeatureError("A transformer needs at least one clip, got none.")
        return np.stack(rows)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return :meth:`Extractor.feature_names` as an array; `input_features` is not used."""
        return np.asarray(self._extractor().feature_names(), dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags


class Features(_ClipTransformer):
    """All features of an extractor.

    Parameters
    ----------
    extractor : Extractor

    See Also
    --------
    MFCC, Chroma, LogMel : single features whose parameters a search can vary.

    Examples
    --------
    >>> from serkit.features import s3
    >>> Features(s3()).transform([Waveform(np.zeros(22050, np.float32), 22050)]).shape
    (1, 2376)
    """

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor

    def _extractor(self) -> Extractor:
        if not isinstance(self.extractor, Extractor):
            raise FeatureError(f"Features takes an Extractor, got {type(self.extractor).__name__}.")
        return self.extractor


def _analysis_parameters(
    *,
    sample_rate: int = 22050,
    window: Window | None = None,
    layout: str = "mean_std",
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
) -> None:
    """Parameters of every class below in addition to those of its feature; `window` None is the whole clip."""


_SHARED = list(inspect.signature(_analysis_parameters).parameters.values())


def _shared(feature: str) -> list[inspect.Parameter]:
    """Return the parameters of the analysis without those that the feature sets itself (its window length)."""
    return [p for p in _SHARED if p.name not in FEATURES[feature].parameters]


class _OneFeature(_ClipTransformer):
    _feature: str

    def _extractor(self) -> Extractor:
        given = self.get_params(deep=False)
        settings = {p.name: given.pop(p.name) for p in _shared(self._feature)}
        settings["window"] = settings["window"] or Window()
        return Extractor(features=(Feature(self._feature, given),), **settings)


def _transformer(class_name: str, feature: str) -> type[_OneFeature]:
    """Make the transformer of one feature; its constructor has the parameters of the feature's function."""
    own, shared = list(FEATURES[feature].parameters.values()), _shared(feature)
    me = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    signature = inspect.Signature([me, *own, *shared])

    def init(self: Any, /, *args: Any, **given: Any) -> None:
        bound = signature.bind(self, *args, **given)
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            if name != "self":
                setattr(self, name, value)

    init.__name__, init.__qualname__ = "__init__", f"{class_name}.__init__"
    init.__signature__ = signature  # type: ignore[attr-defined]
    function = FEATURES[feature].function
    doc = (
        f"The feature '{feature}' of each clip: :func:`serkit.features.{function.__name__}` for scikit-learn.\n\n"
        "    Parameters\n    ----------\n"
        f"    {', '.join(p.name for p in own) or 'none of its own'}\n        As for the function.\n"
        f"    {', '.join(p.name for p in shared)}\n        As for :class:`Extractor`; window None: the whole clip."
    )
    body = {"__init__": init, "__doc__": doc, "__module__": __name__, "_feature": feature}
    return type(class_name, (_OneFeature,), body)


MFCC = _transformer("MFCC", "mfcc")
Chroma = _transformer("Chroma", "chroma")
Mel = _transformer("Mel", "mel")
LogMel = _transformer("LogMel", "log_mel")
WindowedLogMel = _transformer("WindowedLogMel", "windowed_log_mel")
SpectralContrast = _transformer("SpectralContrast", "spectral_contrast")
Centroid = _transformer("Centroid", "centroid")
Bandwidth = _transformer("Bandwidth", "bandwidth")
Rolloff = _transformer("Rolloff", "rolloff")
ZCR = _transformer("ZCR", "zcr")
RMS = _transformer("RMS", "rms")
Tempo = _transformer("Tempo", "tempo")
HarmonicPercussive = _transformer("HarmonicPercussive", "harmonic_percussive")
