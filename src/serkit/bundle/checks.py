"""What a manifest may say: every key, type and number is checked before a model answers by it."""

from __future__ import annotations

import math
from typing import Any

from serkit.errors import BundleError

__all__ = [
    "check_adaptation",
    "check_dimensions",
    "check_familiarity",
    "check_input",
    "check_labels",
    "check_min_confidence",
    "check_scores",
    "expect",
    "is_number",
]

_KINDS = ("waveform", "features")
_LONGEST = 3600.0  # s that a graph may take in one piece
_LARGEST = 1 << 53  # a count; every whole number below it is exact in any JSON reader
_DEEPEST = 8  # levels of an extractor's description; serkit writes four
_MOST_LABELS = 1000
_MOST_DIMENSIONS = 64
_LARGEST_EMBEDDING = 1 << 16
_PERCENTILES = 101


def expect(key: str, value: object, kind: type, words: str) -> None:
    """Raise BundleError unless `value` is of a type; true and false do not count as numbers."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BundleError(f"Manifest: '{key}' must be {words}, got {kind_of(value)}.")


def is_number(value: Any) -> bool:
    """Whether a value is a finite number of a size that a float can hold."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= _LARGEST if isinstance(value, int) else math.isfinite(value)


def kind_of(value: object) -> str:
    """A JSON type in words."""
    names = {dict: "an object", list: "a list", tuple: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def check_labels(labels: object, *, needed: bool = True) -> None:
    """Raise BundleError unless there are two short printable labels or more, each once; or none, unless `needed`."""
    if not isinstance(labels, tuple):
        raise BundleError(f"Manifest: 'labels' must be a list, got {kind_of(labels)}.")
    if not labels and not needed:
        return
    if len(labels) < 2 or not all(isinstance(label, str) and label.strip() for label in labels):
        raise BundleError(f"Manifest: 'labels' must name at least two emotions, got {list(labels[:20])}.")
    if len(labels) > _MOST_LABELS:
        raise BundleError(f"Manifest: 'labels' names {len(labels):,} emotions, at most {_MOST_LABELS:,} are read.")
    odd = [label for label in labels if not _is_printed(label)]
    if odd:
        raise BundleError(
            f"Manifest: a label in 'labels' must have at most 64 printable characters, none of them '<' or '>', got "
            f"{odd[0]!r:.80}."
        )
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise BundleError(f"Manifest: 'labels' names {', '.join(repeated)} more than once.")


def check_dimensions(content: dict[str, Any], labels: tuple[str, ...]) -> None:
    """Raise BundleError unless each dimension has a short printable name of its own, and a lower and an upper end."""
    if len(content) > _MOST_DIMENSIONS:
        raise BundleError(f"Manifest: 'dimensions' names {len(content)}, at most {_MOST_DIMENSIONS} are read.")
    for name, ends in content.items():
        if not isinstance(name, str) or not name.strip() or not _is_printed(name) or name in labels:
            raise BundleError(
                "Manifest: a name in 'dimensions' must have 1 to 64 printable characters, none of them '<' or '>', "
                f"and be no label, got {name!r:.80}."
            )
        low, high = (ends.get("low"), ends.get("high")) if isinstance(ends, dict) else (None, None)
        if not is_number(low) or not is_number(high) or not low < high:  # type: ignore[operator]
            raise BundleError(f"Manifest: 'dimensions.{name}' must have numbers low and high, low < high.")
    _check_plain("dimensions", content, 0)


def _is_printed(name: str) -> bool:
    return len(name) <= 64 and name.isprintable() and "<" not in name and ">" not in name


def check_input(content: dict[str, Any]) -> None:
    """Raise BundleError unless kind, rate and lengths are possible and all other values are plain JSON."""
    kind = content.get("kind")
    if kind not in _KINDS:
        raise BundleError(f"Manifest: 'input.kind' must be waveform or features, got {kind!r:.80}.")
    source = content
    if kind == "features" and "encoder" in content:
        expect("input.encoder", content["encoder"], dict, "an object")
        source = content["encoder"]
        for key in ("model", "sha256"):
            expect(f"input.encoder.{key}", source.get(key), str, "text")
        if not is_number(source.get("size")) or not 1 <= source["size"] <= _LARGEST_EMBEDDING:
            raise BundleError(f"Manifest: 'input.encoder.size' must be from 1 to {_LARGEST_EMBEDDING:,}.")
    elif kind == "features":
        expect("input.extractor", content.get("extractor"), dict, "an object")
        source = content["extractor"]
    elif "min_seconds" not in content or "max_seconds" not in content:
        raise BundleError("Manifest: 'input' must state min_seconds and max_seconds.")
    rate = source.get("sample_rate")
    if not isinstance(rate, int) or isinstance(rate, bool) or not 1000 <= rate <= 192_000:
        raise BundleError(f"Manifest: the input's sample_rate must be 1000 to 192000 Hz, got {rate!r:.80}.")
    shortest, longest = content.get("min_seconds", 0.1), content.get("max_seconds", 30.0)
    for key, value in (("min_seconds", shortest), ("max_seconds", longest)):
        if not is_number(value) or not 0 < value <= _LONGEST:
            raise BundleError(
                f"Manifest: 'input.{key}' must be a positive number of seconds, at most {_LONGEST:g}, got "
                f"{value!r:.80}."
            )
    if shortest > longest:
        raise BundleError(f"Manifest: min_seconds ({shortest}) is above max_seconds ({longest}).")
    _check_plain("input", content, 0)


def check_scores(protocol: str, score: object) -> None:
    """Raise BundleError unless the results under one protocol are shares, counts and texts where they should be.

    A key that this version does not know may hold any finite value.
    """
    where = f"scores.{protocol:.64}"
    expect(where, score, dict, "an object")
    assert isinstance(score, dict)
    for key in ("uar", "accuracy"):
        value, ends = score.get(key), score.get(f"{key}_interval")
        if value is not None and not _is_share(value):
            raise BundleError(f"Manifest: '{where}.{key}' must be a number from 0 to 1 or null, got {value!r:.80}.")
        if ends is None:
            continue
        if not isinstance(ends, (list, tuple)) or len(ends) != 2 or not all(map(_is_share, ends)) or ends[0] > ends[1]:
            raise BundleError(
                f"Manifest: '{where}.{key}_interval' must be two numbers from 0 to 1, the lower one first, got "
                f"{ends!r:.80}."
            )
    for key, least in (("n_clips", 1), ("n_speakers", 0), ("folds", 1), ("seed", 0)):
        value = score.get(key)
        if value is not None and not _is_count(value, least):
            raise BundleError(f"Manifest: '{where}.{key}' must be a count of at least {least}, got {value!r:.80}.")
    for key in ("date", "warning"):
        if score.get(key) is not None:
            expect(f"{where}.{key}", score[key], str, "text or null")
    confusion = score.get("confusion")
    if confusion is not None:
        _check_confusion(where, confusion, score.get("n_clips"))
    _check_plain(where, score, 0)


def _check_confusion(where: str, rows: object, n_clips: int | None) -> None:
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == len(rows) and all(_is_count(count, 0) for count in row) for row in rows
    ):
        raise BundleError(f"Manifest: '{where}.confusion' must have as many columns as rows, all of them counts.")
    total = sum(map(sum, rows))
    if n_clips is not None and total != n_clips:
        raise BundleError(f"Manifest: '{where}.confusion' counts {total:,} clips, but 'n_clips' is {n_clips:,}.")


def check_adaptation(content: dict[str, Any]) -> None:
    """Raise BundleError unless the size of the embedding is stated and possible."""
    size = content.get("size")
    if not _is_count(size, 1) or size > _LARGEST_EMBEDDING:  # type: ignore[operator]
        raise BundleError(
            f"Manifest: 'adaptation.size' must be a count from 1 to {_LARGEST_EMBEDDING:,}, got {size!r:.80}."
        )
    _check_plain("adaptation", content, 0)


def check_familiarity(content: dict[str, Any]) -> None:
    """Raise BundleError unless there are 101 percentiles that never fall, and a limit from 0 to 1."""
    distances = content.get("distances")
    if not isinstance(distances, (list, tuple)) or len(distances) != _PERCENTILES:
        got = f"{len(distances)}" if isinstance(distances, (list, tuple)) else kind_of(distances)
        raise BundleError(
            f"Manifest: 'familiarity.distances' must be a list of {_PERCENTILES} numbers, percentiles 0 to 100, got "
            f"{got}."
        )
    for before, value in zip((-math.inf, *distances), distances, strict=False):
        if not is_number(value) or value < before:
            raise BundleError(
                f"Manifest: 'familiarity.distances' must be finite numbers, each at least the one before it, got "
                f"{value!r:.80}."
            )
    if distances[0] == distances[-1]:
        raise BundleError(f"Manifest: 'familiarity.distances' must rise, but all are {distances[0]!r:.80}.")
    limit = content.get("unfamiliar")
    if not is_number(limit) or not 0 <= limit <= 1:  # type: ignore[operator]
        raise BundleError(f"Manifest: 'familiarity.unfamiliar' must be a number from 0 to 1, got {limit!r:.80}.")
    _check_plain("familiarity", content, 0)


def check_min_confidence(value: object) -> None:
    """Raise BundleError unless a value is a probability or None."""
    if value is not None and (not is_number(value) or not 0 <= value <= 1):  # type: ignore[operator]
        raise BundleError(f"Manifest: 'min_confidence' must be a number from 0 to 1 or null, got {value!r:.80}.")


def _check_plain(where: str, value: object, depth: int) -> None:
    """Raise BundleError unless a value is JSON with finite numbers, not deeply nested."""
    if depth > _DEEPEST:
        raise BundleError(f"Manifest: '{where:.64}' is nested more than {_DEEPEST} levels deep.")
    if isinstance(value, (dict, list, tuple)):
        if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
            raise BundleError(f"Manifest: the keys in '{where:.64}' must be text.")
        for item in value.values() if isinstance(value, dict) else value:
            _check_plain(where, item, depth + 1)
    elif not (value is None or isinstance(value, (str, bool)) or is_number(value)):
        raise BundleError(f"Manifest: '{where:.64}' holds {value!r:.80}, which is neither text nor a finite number.")


def _is_share(value: object) -> bool:
    return is_number(value) and -1e-9 <= value <= 1 + 1e-9  # type: ignore[operator]  # a mean may be off by a bit


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= _LARGEST
