"""Segments of a timeline made by hand, over two labels."""

from __future__ import annotations

from serkit.recognition.prediction import Prediction

LABELS = ("happy", "sad")


def part(start: float, end: float, sad: float | None = None, *, unsure: bool = False) -> Prediction:
    """A segment with this probability of sad; without one, a pause."""
    if sad is None:
        return Prediction(None, start, end, None, None, {}, speech=False)
    label = "sad" if sad >= 0.5 else "happy"
    values = {"happy": 1 - sad, "sad": sad}
    return Prediction(None, start, end, None if unsure else label, max(sad, 1 - sad), values, True, unsure=unsure)
