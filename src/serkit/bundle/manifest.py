"""The manifest of a model bundle: what the graph expects and gives, where it comes from and what it scored."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from typing import Any

from serkit._version import __version__
from serkit.errors import BundleError

__all__ = ["FORMAT_VERSION", "Manifest"]

#: The newest bundle format that this serkit reads, and the one it writes.
FORMAT_VERSION = 1

_REQUIRED = ("format_version", "name", "version", "labels", "input", "licence", "created", "files", "sizes")
_KINDS = ("waveform", "features")


@dataclass(frozen=True)
class Manifest:
    """What a bundle says about its model. Checked when it is made, read or written.

    Attributes
    ----------
    name, version : str
        Name (letters, digits, ``.``, ``_``, ``-``) and version of the model.
    labels : tuple of str
        The emotions, in the order of the graph's probabilities.
    input : dict
        ``{"kind": "waveform", "sample_rate": Hz, "min_seconds": s, "max_seconds": s}``, or
        ``{"kind": "features", "extractor": Extractor.to_dict()}``, where ``min_seconds`` is 0.1 and ``max_seconds`` 30
        unless given. A recording longer than ``max_seconds`` is answered window by window.
    licence, citation : str
        Licence of the weights; what to cite for the data.
    created : str
        Date, ISO 8601. Filled in on writing.
    serkit : str
        Version of serkit that made it.
    recipe, recipe_hash, corpus, split_hash : str
        Recipe text (TOML) and hash, corpus name, hash of the split that the scores come from.
    seed : int or None
        Seed of the training run.
    scores : dict
        Protocol name to its results: ``uar``, ``accuracy``, their ``*_interval`` pairs, ``n_clips``, folds, seed, date;
        where it was kept, ``confusion`` (counts, rows truth, columns answers, in the order of the labels).
    calibration : str
        How the probabilities were calibrated, in words, temperature included.
    enrolment : dict
        What :mod:`serkit.recognition.profile` needs: ``{"weight": w, "seconds": s, "reference": {label: mean
        log-probability over other voices}}``, where `s` seconds of a voice have half the effect of endless ones. Empty
        for a model that does not enrol voices.
    files, sizes : dict
        SHA-256 and bytes of each file. Filled in on writing.
    format_version : int
        Format of the bundle.

    Examples
    --------
    >>> rate = {"kind": "waveform", "sample_rate": 16000, "min_seconds": 0.1, "max_seconds": 30.0}
    >>> Manifest(name="tiny", version="1", labels=("happy", "sad"), input=rate, licence="MIT").sample_rate
    16000
    """

    name: str
    version: str
    labels: tuple[str, ...]
    input: dict[str, Any]
    licence: str
    citation: str = ""
    created: str = ""
    serkit: str = __version__
    recipe: str = ""
    recipe_hash: str = ""
    corpus: str = ""
    split_hash: str = ""
    seed: int | None = None
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    calibration: str = ""
    enrolment: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        texts = ("name", "version", "licence", "citation", "created", "serkit")
        for key in (*texts, "recipe", "recipe_hash", "corpus", "split_hash", "calibration"):
            _expect(key, getattr(self, key), str, "text")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", self.name):
            raise BundleError(f"Manifest: 'name' must be letters, digits, '.', '_' or '-', got {self.name!r}.")
        for key in ("input", "scores", "enrolment", "files", "sizes"):
            _expect(key, getattr(self, key), dict, "an object")
        if self.seed is not None:
            _expect("seed", self.seed, int, "a whole number or null")
        _check_labels(self.labels)
        _check_input(self.input)
        if self.enrolment:
            _check_enrolment(self.enrolment, self.labels)
        for protocol, score in self.scores.items():
            _expect(f"scores.{protocol}", score, dict, "an object")
        for name, digest in self.files.items():
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
                raise BundleError(f"Manifest: 'files' names {name!r}, which is no plain file name.")
            if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
                raise BundleError(f"Manifest: the SHA-256 of {name} must be 64 hexadecimal digits, got {digest!r}.")
            _expect(f"sizes.{name}", self.sizes.get(name), int, "a whole number of bytes")

    @property
    def sample_rate(self) -> int:
        """The rate that the model works at, Hz."""
        source = self.input if self.input["kind"] == "waveform" else self.input["extractor"]
        return int(source["sample_rate"])

    @property
    def min_seconds(self) -> float:
        """The shortest clip that the model answers for, s."""
        return float(self.input.get("min_seconds", 0.1))

    @property
    def max_seconds(self) -> float:
        """The longest clip that goes through the graph in one piece, s."""
        return float(self.input.get("max_seconds", 30.0))

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as JSON-able dictionary, ``format_version`` first."""
        names = ["format_version", *(f.name for f in fields(self) if f.name != "format_version")]
        return {name: list(self.labels) if name == "labels" else getattr(self, name) for name in names}

    @classmethod
    def from_dict(cls, content: object) -> Manifest:
        """Make a manifest from parsed JSON, checking all of it.

        Keys that this version does not know are passed over, so that a later serkit may add some within one format.

        Raises
        ------
        BundleError
            If the format is newer than this serkit reads, or a key is missing or of the wrong type.

        Examples
        --------
        >>> Manifest.from_dict({"format_version": 99})
        Traceback (most recent call last):
        serkit.errors.BundleError: The bundle has format 99, this serkit reads up to 1: upgrade serkit.
        """
        if not isinstance(content, dict):
            raise BundleError(f"Manifest: expected a JSON object, got {_kind(content)}.")
        if "format_version" in content:
            version: Any = content["format_version"]
            _expect("format_version", version, int, "a whole number")
            if version > FORMAT_VERSION:
                raise BundleError(
                    f"The bundle has format {version}, this serkit reads up to {FORMAT_VERSION}: upgrade serkit."
                )
            if version < 1:
                raise BundleError(f"Manifest: 'format_version' must be 1 or more, got {version}.")
        for key in _REQUIRED:
            if key not in content:
                raise BundleError(f"Manifest: the key '{key}' is missing.")
        known = {f.name: content[f.name] for f in fields(cls) if f.name in content}
        if isinstance(known["labels"], list):
            known["labels"] = tuple(known["labels"])
        return cls(**known)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", tuple: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _expect(key: str, value: object, kind: type, words: str) -> None:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BundleError(f"Manifest: '{key}' must be {words}, got {_kind(value)}.")


def _check_labels(labels: object) -> None:
    if not isinstance(labels, tuple):
        raise BundleError(f"Manifest: 'labels' must be a list, got {_kind(labels)}.")
    if len(labels) < 2 or not all(isinstance(label, str) and label.strip() for label in labels):
        raise BundleError(f"Manifest: 'labels' must name at least two emotions, got {list(labels)}.")
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise BundleError(f"Manifest: 'labels' names {', '.join(repeated)} more than once.")


def _check_input(content: dict[str, Any]) -> None:
    kind = content.get("kind")
    if kind not in _KINDS:
        raise BundleError(f"Manifest: 'input.kind' must be waveform or features, got {kind!r}.")
    source = content
    if kind == "features":
        _expect("input.extractor", content.get("extractor"), dict, "an object")
        source = content["extractor"]
    elif "min_seconds" not in content or "max_seconds" not in content:
        raise BundleError("Manifest: 'input' must state min_seconds and max_seconds.")
    rate = source.get("sample_rate")
    if not isinstance(rate, int) or isinstance(rate, bool) or not 1000 <= rate <= 192_000:
        raise BundleError(f"Manifest: the input's sample_rate must be 1000 to 192000 Hz, got {rate!r}.")
    shortest, longest = content.get("min_seconds", 0.1), content.get("max_seconds", 30.0)
    for key, value in (("min_seconds", shortest), ("max_seconds", longest)):
        if not _is_number(value) or value <= 0:
            raise BundleError(f"Manifest: 'input.{key}' must be a positive number of seconds, got {value!r}.")
    if shortest > longest:
        raise BundleError(f"Manifest: min_seconds ({shortest}) is above max_seconds ({longest}).")


def _check_enrolment(content: dict[str, Any], labels: tuple[str, ...]) -> None:
    for key in ("weight", "seconds"):
        if not _is_number(content.get(key)) or content[key] <= 0:
            raise BundleError(f"Manifest: 'enrolment.{key}' must be a positive number, got {content.get(key)!r}.")
    reference = content.get("reference")
    if not isinstance(reference, dict) or set(reference) != set(labels):
        raise BundleError("Manifest: 'enrolment.reference' must have one number for each label and nothing else.")
    for label, value in reference.items():
        if not _is_number(value) or value > 0:
            raise BundleError(f"Manifest: 'enrolment.reference.{label}' must be a number up to 0, got {value!r}.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
