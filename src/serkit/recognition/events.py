"""What a stream has found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from serkit.recognition.prediction import Prediction

__all__ = ["Event"]


@dataclass(frozen=True)
class Event:
    """Something that a stream has found out.

    Attributes
    ----------
    kind : {"partial", "final", "silence"}
        ``"partial"``: the answer so far for the current utterance, which later ones replace. ``"final"``: a segment
        of an utterance that has ended. ``"silence"``: a stretch without speech, told when it ends.
    segment : Prediction
        Start and end in seconds from the beginning of the stream, and the answer.
    paused : bool
        Of a partial answer: a silence has just begun. If it lasts, the final segment (of a long utterance, the last
        one) will have this answer.
    """

    kind: Literal["partial", "final", "silence"]
    segment: Prediction
    paused: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return one row ready for JSON."""
        row = self.segment.to_dict()
        head = {"event": self.kind, **({"paused": self.paused} if self.kind == "partial" else {})}
        return {**head, **{name: value for name, value in row.items() if name not in ("path", "error")}}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Event:
        """Return the event that :meth:`to_dict` made the row of; KeyError or TypeError if it is none.

        Examples
        --------
        >>> from serkit import Prediction
        >>> event = Event("silence", Prediction(None, 0.0, 1.5, None, None, {}, speech=False))
        >>> Event.from_dict(event.to_dict()) == event
        True
        """
        return cls(row["event"], Prediction.from_dict(row), paused=row.get("paused", False))
