"""The answer of a recognizer for one recording."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from serkit.emotions import affect
from serkit.errors import SerkitError

__all__ = ["WARNINGS", "Prediction", "check_confidence", "in_order", "path_of"]

#: What may be among the warnings of a prediction, and what it means; :mod:`serkit.audio.quality` has the limits.
WARNINGS = {
    "truncated": "the recording breaks off: what is there was answered",
    "short": "less than about a second of voice",
    "clipped": "recorded too loud: samples are cut off at full scale",
    "quiet": "recorded at a very low level",
    "one-sided": "only one channel holds sound",
    "unfamiliar": "unlike all recordings that the model learned from",
}


@dataclass(frozen=True)
class Prediction:
    """The answer for one recording.

    Attributes
    ----------
    path : str or None
        The file, as it was given; None for bytes, file objects and arrays.
    start, end : float
        The part of the recording that the answer is for, s.
    emotion : str or None
        The label with the highest probability; None without speech, where the model is unsure or answers numbers alone,
        or after a failure.
    confidence : float or None
        The highest probability, in [0, 1].
    probabilities : dict of str to float
        Probability of each label, in the order of the model's labels; empty without speech.
    speech : bool or None
        Whether there is speech; None after a failure.
    error : str or None
        Why there is no answer.
    unsure : bool
        Whether the confidence is below `min_confidence`, so that no emotion is named; the probabilities stay.
    channel : str or None
        The channel that was answered, where a recording has several: ``"mix"``, ``"left"``, ``"right"`` or a number.
    warnings : tuple of str
        Reasons to trust the answer less, in the order of :data:`WARNINGS`, which explains them. Without speech,
        there is no warning ``"short"``.
    dimensions : dict of str to float
        Numbers of a model that learned ratings, such as arousal, in the unit of the ratings; empty without speech, and
        for models that answer with labels alone. They are not limited to the range of the ratings.
    familiarity : float or None
        How near the recording is to those that the model learned from, in [0, 1]: 1 minus the share of recordings of
        unheard voices that are nearer, so 0.5 is ordinary and 0 is further away than all of them. None without speech,
        and for models that do not tell.

    See Also
    --------
    serkit.Recognizer.predict : Makes them.
    serkit.recognition.rows : Tables, JSON and CSV of predictions.

    Examples
    --------
    >>> answer = Prediction("a.wav", 0.0, 1.5, "sad", 0.75, {"happy": 0.25, "sad": 0.75}, speech=True)
    >>> answer.top(1)
    [('sad', 0.75)]
    >>> answer.to_dict()["emotion"]
    'sad'
    >>> answer.at_least(0.9).answer, answer.at_least(0.9).confidence
    ('unsure', 0.75)
    """

    path: str | None
    start: float
    end: float
    emotion: str | None
    confidence: float | None
    probabilities: dict[str, float]
    speech: bool | None = None
    error: str | None = None
    unsure: bool = False
    channel: str | None = None
    warnings: tuple[str, ...] = ()
    familiarity: float | None = None
    dimensions: dict[str, float] = field(default_factory=dict)

    @property
    def answer(self) -> str:
        """What to show: the emotion, else ``"unsure"``, ``"no speech"`` or, after a failure, ``"failed"``.

        Of a model that answers numbers alone: ``"arousal 4.2"``, with commas between several.
        """
        if self.error is not None:
            return "failed"
        if self.unsure:
            return "unsure"
        if self.speech and not self.probabilities and self.dimensions:
            return ", ".join(f"{name} {value:.3g}" for name, value in self.dimensions.items())
        return self.emotion or "no speech"

    @property
    def valence(self) -> float | None:
        """Derived, not measured: mean valence of the emotions, weighted by probability, unpleasant -1 to pleasant 1.

        None without probabilities, or if a label has no place on the plane. See :func:`serkit.emotions.affect`.
        """
        place = affect(self.probabilities)
        return None if place is None else place[0]

    @property
    def arousal(self) -> float | None:
        """Derived, not measured: mean arousal of the emotions, weighted by probability, quiet -1 to excited 1.

        None as for :attr:`valence`.
        """
        place = affect(self.probabilities)
        return None if place is None else place[1]

    def top(self, n: int = 3) -> list[tuple[str, float]]:
        """Return the `n` most probable labels with their probabilities, highest first; equal ones in label order."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:n]

    def at_least(self, min_confidence: float) -> Prediction:
        """Return this answer if its confidence reaches `min_confidence`, else the same without an emotion, unsure.

        Parameters
        ----------
        min_confidence : float
            In [0, 1]. An answer without confidence, as where there is no speech, stays as it is.

        Raises
        ------
        SerkitError
            If `min_confidence` is not a probability.
        """
        check_confidence(min_confidence)
        if self.confidence is None or self.confidence >= min_confidence:
            return self
        return replace(self, emotion=None, unsure=True)

    def to_dict(self) -> dict[str, Any]:
        """Return one row ready for JSON. It always has the same keys; without an answer, values are None or empty."""
        return {
            "path": self.path,
            "start": self.start,
            "end": self.end,
            "channel": self.channel,
            "emotion": self.emotion,
            "confidence": self.confidence,
            "familiarity": self.familiarity,
            "unsure": self.unsure,
            "speech": self.speech,
            "error": self.error,
            "warnings": list(self.warnings),
            "probabilities": dict(self.probabilities),
            "dimensions": dict(self.dimensions),
            "derived": {"valence": self.valence, "arousal": self.arousal},
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Prediction:
        """Return the answer that :meth:`to_dict` made the row of; KeyError or TypeError if it is none.

        What is derived is derived again, keys of a newer serkit are skipped, and path and error may be missing, as
        they are from the segments of a timeline.

        Examples
        --------
        >>> answer = Prediction("a.wav", 0.0, 1.5, None, None, {}, speech=True, dimensions={"arousal": 4.25})
        >>> Prediction.from_dict(answer.to_dict()) == answer
        True
        """
        given = {name: row[name] for name in ("start", "end", "emotion", "confidence", "speech", "unsure", "channel")}
        return cls(
            path=row.get("path"),
            probabilities=dict(row["probabilities"]),
            error=row.get("error"),
            warnings=tuple(row["warnings"]),
            familiarity=row["familiarity"],
            dimensions=dict(row.get("dimensions", {})),
            **given,
        )


def in_order(warnings: Iterable[str]) -> tuple[str, ...]:
    """Return warnings once each, in the order of :data:`WARNINGS`.

    Examples
    --------
    >>> in_order(["quiet", "short", "quiet"])
    ('short', 'quiet')
    """
    found = set(warnings)
    return tuple(name for name in WARNINGS if name in found)


def path_of(source: object) -> str | None:
    """Return the path of a recording; None for bytes, arrays and other sources without one."""
    if isinstance(source, Mapping):
        source = source.get("path")  # of a row of Hugging Face datasets
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else None


def check_confidence(value: float) -> None:
    """Raise SerkitError unless `value` is a probability."""
    if not 0 <= value <= 1:  # also nan
        hint = f": for {value:g} % give {value / 100:g}" if 1 < value <= 100 else ""
        raise SerkitError(f"The smallest confidence must be a probability from 0 to 1, got {value:g}{hint}.")
