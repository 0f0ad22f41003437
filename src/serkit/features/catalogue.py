"""The features by name: the function behind each, its parameters with their types, and the names of its rows."""

from __future__ import annotations

import difflib
import inspect
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from serkit.audio.waveform import Waveform
from serkit.errors import FeatureError
from serkit.features import pitch, spectral, temporal
from serkit.features.analysis import Analysis

__all__ = ["FEATURES", "Entry", "Feature", "check_keys", "nearest"]

_PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message about an unknown name: the nearest known one, or all of them.

    Examples
    --------
    >>> nearest("mfc", ["mel", "mfcc"])
    "did you mean 'mfcc'?"
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"expected one of {', '.join(known)}." if known else "it takes none."


@dataclass(frozen=True)
class Entry:
    """One feature of the catalogue.

    Attributes
    ----------
    function : callable
        Takes an Analysis or a Waveform, and the parameters as keywords.
    row_names : callable
        Takes all parameters as a mapping, returns one name per row of the result.
    per_clip : bool
        Whether the result is one value per clip, not per frame.
    """

    function: Callable[..., np.ndarray]
    row_names: Callable[[Mapping[str, Any]], list[str]]
    per_clip: bool = False

    @cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The keyword-only parameters of the function."""
        found = inspect.signature(self.function).parameters.values()
        return {p.name: p for p in found if p.kind is inspect.Parameter.KEYWORD_ONLY}

    def complete(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters in the order of the function, the given ones checked for name and type."""
        for key in given:
            if key not in self.parameters:
                raise FeatureError(
                    f"Unknown parameter {key!r} of feature '{name}': {nearest(str(key), self.parameters)}"
                )
        return {
            key: _typed(f"{key} of feature '{name}'", str(p.annotation), given.get(key, p.default))
            for key, p in self.parameters.items()
        }


def _typed(what: str, annotation: str, value: Any) -> Any:
    """Return a JSON value of the annotated type ("int", "float", "float | None"); 20.0 is accepted for 20."""
    if value is None and annotation.endswith("None"):
        return None
    wanted = "an integer" if annotation == "int" else "a finite number"
    try:
        if isinstance(value, (bool, np.bool_, str)):
            raise TypeError
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        if annotation == "int":
            return int(number) if number.is_integer() else operator.index(value)
        return number
    except (TypeError, ValueError):
        raise FeatureError(f"{what} must be {wanted}, got {value!r}.") from None


def _numbered(stem: str, count: str) -> Callable[[Mapping[str, Any]], list[str]]:
    """Name `count` rows stem_0, stem_1, ...; then their deltas if the feature has them."""

    def names(params: Mapping[str, Any]) -> list[str]:
        static = [f"{stem}_{i}" for i in range(params[count])]
        orders = range(1, params.get("deltas", 0) + 1)
        return [*static, *(f"{name}_delta{k if k > 1 else ''}" for k in orders for name in static)]

    return names


def _one(name: str) -> Callable[[Mapping[str, Any]], list[str]]:
    return lambda params: [name]


def _chroma_names(params: Mapping[str, Any]) -> list[str]:
    n = params["n_chroma"]
    return [f"chroma_{p}" for p in (_PITCHES if n == 12 else range(n))]


#: Name -> entry, for all features that :class:`serkit.features.Feature` takes.
FEATURES: dict[str, Entry] = {
    "mfcc": Entry(spectral.mfcc, _numbered("mfcc", "n_mfcc")),
    "chroma": Entry(pitch.chroma, _chroma_names),
    "mel": Entry(spectral.mel, _numbered("mel", "n_mels")),
    "log_mel": Entry(spectral.log_mel, _numbered("log_mel", "n_mels")),
    "windowed_log_mel": Entry(
        spectral.windowed_log_mel,
        lambda params: [f"log_mel_w{params['win_length']}_{i}" for i in range(params["n_mels"])],
    ),
    "spectral_contrast": Entry(
        spectral.spectral_contrast, lambda params: [f"spectral_contrast_{i}" for i in range(params["n_bands"] + 1)]
    ),
    "centroid": Entry(spectral.centroid, _one("centroid")),
    "bandwidth": Entry(spectral.bandwidth, _one("bandwidth")),
    "rolloff": Entry(spectral.rolloff, _one("rolloff")),
    "zcr": Entry(temporal.zcr, _one("zcr")),
    "rms": Entry(temporal.rms, _one("rms")),
    "tempo": Entry(temporal.tempo, _one("tempo"), per_clip=True),
    "harmonic_percussive": Entry(temporal.harmonic_percussive, lambda params: ["harmonic", "percussive"]),
}


@dataclass(frozen=True)
class Feature:
    """A feature by name with its parameters.

    Parameters
    ----------
    name : str
        A key of :data:`serkit.features.FEATURES`.
    params : Mapping
        Keyword parameters of the function of that name; missing ones take its defaults, so two features that
        compute the same are equal.

    Raises
    ------
    FeatureError
        If the name or a parameter is unknown (the message suggests the nearest one), or a value has the wrong type.

    Examples
    --------
    >>> Feature("mfcc", {"n_mfcc": 13}).params["n_mels"]
    128
    >>> Feature("mffc")
    Traceback (most recent call last):
    ...
    serkit.errors.FeatureError: Unknown feature 'mffc': did you mean 'mfcc'?
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in FEATURES:
            raise FeatureError(f"Unknown feature {self.name!r}: {nearest(str(self.name), FEATURES)}")
        if not isinstance(self.params, Mapping):
            raise FeatureError(f"params of feature '{self.name}' must map names to values, got {self.params!r}.")
        params = FEATURES[self.name].complete(self.name, self.params)
        object.__setattr__(self, "params", MappingProxyType(params))

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.params.items())))

    def __reduce__(self) -> tuple[type[Feature], tuple[str, dict[str, Any]]]:
        return Feature, (self.name, dict(self.params))

    def __call__(self, source: Analysis | Waveform) -> np.ndarray:
        """Compute the feature: shape (rows, n_frames), or (1, 1) for one value per clip; float32."""
        return FEATURES[self.name].function(source, **self.params)

    @property
    def per_clip(self) -> bool:
        """Whether there is one value per clip, not per frame."""
        return FEATURES[self.name].per_clip

    def row_names(self) -> list[str]:
        """Name the rows, e.g. ``["mfcc_0", "mfcc_1", ...]``."""
        return FEATURES[self.name].row_names(self.params)

    def to_dict(self) -> dict[str, Any]:
        """Return name and all parameters, ready for JSON."""
        return {"name": self.name, "params": dict(self.params)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Feature:
        """Rebuild from :meth:`to_dict`; ``params`` may be missing."""
        check_keys("feature", values, ("name", "params"), required=("name",))
        return cls(values["name"], values.get("params", {}))


def check_keys(what: str, values: Any, known: Any, *, required: tuple[str, ...]) -> None:
    """Raise a FeatureError unless `values` is a mapping with the `required` and only `known` keys."""
    if not isinstance(values, Mapping):
        raise FeatureError(
            f"The description of a{'n' if what[0] in 'aeiou' else ''} {what} must be a table, got {values!r}."
        )
    for key in values:
        if key not in known:
            raise FeatureError(f"Unknown key {key!r} in the description of a {what}: {nearest(str(key), known)}")
    for key in required:
        if key not in values:
            raise FeatureError(f"The description of a {what} lacks {key!r}.")
