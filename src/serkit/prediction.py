"""What a recognizer answers for one recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Prediction"]


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
        The label with the highest probability; None without speech or after a failure.
    confidence : float or None
        Its probability, in [0, 1].
    probabilities : dict of str to float
        Probability of each label, in the order of the model's labels; empty without speech.
    speech : bool or None
        Whether there is speech; None after a failure.
    error : str or None
        Why there is no answer.

    Examples
    --------
    >>> answer = Prediction("a.wav", 0.0, 1.5, "sad", 0.75, {"happy": 0.25, "sad": 0.75}, speech=True)
    >>> answer.top(1)
    [('sad', 0.75)]
    >>> answer.to_dict()["emotion"]
    'sad'
    """

    path: str | None
    start: float
    end: float
    emotion: str | None
    confidence: float | None
    probabilities: dict[str, float]
    speech: bool | None = None
    error: str | None = None

    def top(self, n: int = 3) -> list[tuple[str, float]]:
        """Return the `n` most probable labels with their probabilities, highest first; equal ones in label order."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:n]

    def to_dict(self) -> dict[str, Any]:
        """Return one JSON-able row; after a failure, ``error`` stands in place of ``emotion``."""
        answer = {"emotion": self.emotion} if self.error is None else {"error": self.error}
        return {
            "path": self.path,
            "start": self.start,
            "end": self.end,
            **answer,
            "confidence": self.confidence,
            "probabilities": dict(self.probabilities),
            "speech": self.speech,
        }
