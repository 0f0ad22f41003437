"""The manifest of a model bundle: what the graph expects and gives, where it comes from and what it scored."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field, fields
from typing import Any

from serkit._version import __version__
from serkit.bundle.checks import (
    check_adaptation,
    check_dimensions,
    check_familiarity,
    check_input,
    check_labels,
    check_min_confidence,
    check_scores,
    expect,
    is_number,
    kind_of,
)
from serkit.errors import BundleError

__all__ = ["FORMAT_VERSION", "Manifest"]

#: The newest bundle format that this serkit reads, and the one it writes.
FORMAT_VERSION = 1

_MOST_FILES = 32
_REQUIRED = ("format_version", "name", "version", "labels", "input", "licence", "created", "files", "sizes")


@dataclass(frozen=True)
class Manifest:
    """What a bundle says about its model. Checked when it is made, read or written.

    Attributes
    ----------
    name, version : str
        Name (letters, digits, ``.``, ``_``, ``-``) and version of the model.
    labels : tuple of str
        The emotions, in the order of the graph's probabilities; none for a model that answers numbers alone.
    input : dict
        ``{"kind": "waveform", "sample_rate": Hz, "min_seconds": s, "max_seconds": s}``, or
        ``{"kind": "features", "extractor": Extractor.to_dict()}``, where ``min_seconds`` is 0.1 and ``max_seconds`` 30
        unless given; or ``{"kind": "features", "encoder": {"model", "sha256", "size", "sample_rate"}}``: the embedding
        that the shipped model of this name, whose graph has this SHA-256, gives. A recording longer than
        ``max_seconds`` is answered window by window.
    licence, citation : str
        Licence of the weights; what to cite for the data.
    description : str
        What the model is, in a line.
    created : str
        Date, ISO 8601. Filled in on writing.
    serkit : str
        Version of serkit that made it.
    recipe, recipe_hash, corpus, split_hash : str
        Recipe text (TOML) and hash, corpus name, hash of the split that the scores come from.
    seed : int or None
        Seed of the training run.
    scores : dict
        Protocol name to its results: ``uar`` and ``accuracy`` in [0, 1], ``uar_interval`` and ``accuracy_interval``
        (lower and upper end), the counts ``n_clips``, ``n_speakers`` and ``folds``, ``seed``, ``date``, ``warning``;
        where it was kept, ``confusion`` (counts, rows truth, columns answers, in the order of the labels), which sums
        to ``n_clips``.
    calibration : str
        How the probabilities were calibrated, in words, temperature included.
    adaptation : dict
        ``{"size": d}`` for a model that adapts to a voice or a place (:mod:`serkit.recognition.profile`). Its graph has
        the output ``embedding``, float32 (1, d), and three optional inputs: ``mean`` and ``deviation``, float32 (1, d),
        and ``heard``, float32 (1,), the number of utterances behind them. Left out, they mean that nothing was heard.
        Empty for a model that does not adapt.
    familiarity : dict
        ``{"distances": [...], "unfamiliar": limit}`` for a model whose graph has the output ``distance``, float32 (1,):
        how far a recording is from those that the model learned from. ``distances`` has the 101 percentiles, 0 to 100,
        of recordings of unheard voices; with ``unfamiliar``, in [0, 1], it is read by
        :meth:`familiarity_of`. Empty for other models.
    dimensions : dict
        ``{"arousal": {"low": 1, "high": 7}}`` for a model whose graph has the output ``dimensions``, float32 (1, k):
        numbers in the unit of the ratings that it learned from, which went from ``low`` to ``high``; answers may lie
        outside. Empty for other models.
    min_confidence : float or None
        The confidence below which the model's answers are "unsure" unless the caller asks for another one, in [0, 1];
        None means 0, never unsure.
    files, sizes : dict
        SHA-256 and bytes of each file, at most 32 of them. Filled in on writing. ``model.onnx`` and ``README.md`` are
        always there, ``LICENSE`` and ``clips.bin`` (:mod:`serkit.bundle.clips`) in what ``ser train`` writes.
    format_version : int
        Format of the bundle.

    Raises
    ------
    BundleError
        If a value is of the wrong type, not finite or out of its range.

    Notes
    -----
    ``labels``, the sample rate and ``recipe_hash`` are also in the metadata of ``model.onnx``
    (:func:`serkit.bundle.onnxfile.add_metadata`), and a bundle where the two differ is refused: two labels that are
    swapped in the manifest would silently make every answer wrong.

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
    description: str = ""
    created: str = ""
    serkit: str = __version__
    recipe: str = ""
    recipe_hash: str = ""
    corpus: str = ""
    split_hash: str = ""
    seed: int | None = None
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    calibration: str = ""
    adaptation: dict[str, Any] = field(default_factory=dict)
    familiarity: dict[str, Any] = field(default_factory=dict)
    dimensions: dict[str, dict[str, Any]] = field(default_factory=dict)
    min_confidence: float | None = None
    files: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        texts = ("name", "version", "licence", "citation", "description", "created", "serkit")
        for key in (*texts, "recipe", "recipe_hash", "corpus", "split_hash", "calibration"):
            expect(key, getattr(self, key), str, "text")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", self.name):
            raise BundleError(f"Manifest: 'name' must be letters, digits, '.', '_' or '-', got {self.name!r}.")
        for key in ("input", "scores", "adaptation", "familiarity", "dimensions", "files", "sizes"):
            expect(key, getattr(self, key), dict, "an object")
        expect("format_version", self.format_version, int, "a whole number")
        if self.seed is not None:
            expect("seed", self.seed, int, "a whole number or null")
            if not is_number(self.seed):
                raise BundleError(
                    f"Manifest: 'seed' must be below 2^53, got a number of {len(hex(self.seed)) - 2} digits."
                )
        check_labels(self.labels, needed=not self.dimensions)
        check_dimensions(self.dimensions, self.labels)
        check_input(self.input)
        if self.adaptation:
            check_adaptation(self.adaptation)
        if self.familiarity:
            check_familiarity(self.familiarity)
        check_min_confidence(self.min_confidence)
        for protocol, score in self.scores.items():
            check_scores(protocol, score)
        for name, digest in self.files.items():
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
                raise BundleError(f"Manifest: 'files' names {name!r}, which is not a plain file name.")
            if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
                raise BundleError(f"Manifest: the SHA-256 of {name} must be 64 hexadecimal digits, got {digest!r}.")
            expect(f"sizes.{name}", self.sizes.get(name), int, "a whole number of bytes")
            if self.sizes[name] < 0:
                raise BundleError(f"Manifest: 'sizes.{name}' must be at least 0, got {self.sizes[name]}.")
        if set(self.sizes) != set(self.files):
            odd = sorted(set(self.sizes) ^ set(self.files))[0]
            raise BundleError(
                f"Manifest: 'files' and 'sizes' must list the same files, but {odd!r:.80} is in one only."
            )
        if len(self.files) > _MOST_FILES:
            raise BundleError(f"Manifest: 'files' lists {len(self.files):,} files, at most {_MOST_FILES} are read.")

    @property
    def sample_rate(self) -> int:
        """The rate that the model works at, Hz."""
        source = self.input.get("extractor") or self.input.get("encoder") or self.input
        return int(source["sample_rate"])

    @property
    def min_seconds(self) -> float:
        """The shortest clip that the model answers for, s."""
        return float(self.input.get("min_seconds", 0.1))

    @property
    def max_seconds(self) -> float:
        """The longest clip that goes through the graph in one piece, s."""
        return float(self.input.get("max_seconds", 30.0))

    def familiarity_of(self, distance: float) -> float | None:
        """Return how familiar a recording is, in [0, 1]; None for a model that does not tell.

        1 minus the share of recordings of unheard voices that are nearer to what the model learned from: 0.5 is
        ordinary, 0 is further away than all of them.

        Parameters
        ----------
        distance : float
            The graph's output ``distance``.

        Examples
        --------
        >>> rate = {"kind": "waveform", "sample_rate": 16000, "min_seconds": 0.1, "max_seconds": 30.0}
        >>> told = {"distances": [k / 10 for k in range(101)], "unfamiliar": 0.02}
        >>> tiny = Manifest(name="a", version="1", labels=("happy", "sad"), input=rate, licence="MIT", familiarity=told)
        >>> tiny.familiarity_of(2.5), tiny.familiarity_of(99.0)
        (0.75, 0.0)
        """
        if not self.familiarity:
            return None
        nearer = self.familiarity["distances"]
        high = bisect_right(nearer, distance)
        if high == 0:
            return 1.0
        if high == len(nearer):
            return 0.0
        low, up = nearer[high - 1], nearer[high]
        return 1 - (high - 1 + (distance - low) / (up - low)) / (len(nearer) - 1)

    def is_unfamiliar(self, familiarity: float | None) -> bool:
        """Whether a recording of this familiarity is unlike those that the model learned from; None is not."""
        return familiarity is not None and familiarity < self.familiarity["unfamiliar"]

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as JSON-able dictionary, ``format_version`` first."""
        names = ["format_version", *(f.name for f in fields(self) if f.name != "format_version")]
        return {name: list(self.labels) if name == "labels" else getattr(self, name) for name in names}

    @classmethod
    def from_dict(cls, content: object) -> Manifest:
        """Make a manifest from parsed JSON, checking all of it.

        Unknown keys are ignored, so that a later serkit may add some within one format.

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
            raise BundleError(f"Manifest: expected a JSON object, got {kind_of(content)}.")
        if "format_version" in content:
            version: Any = content["format_version"]
            expect("format_version", version, int, "a whole number")
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
