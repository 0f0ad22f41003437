"""The averages of what is measured in a clip, for each emotion; no audio.

``averages.csv`` holds the averages; ``make averages SERKIT_DATA=folder`` rewrites it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np

from serkit.emotions import LABELS

__all__ = ["Average", "averages", "table"]

_COLUMNS = ("emotion", "feature", "mean", "deviation", "clips")


@dataclass(frozen=True)
class Average:
    """A measure over the clips of one emotion.

    Attributes
    ----------
    mean, deviation : float
        Mean and sample standard deviation over clips.
    clips : int
    """

    mean: float
    deviation: float
    clips: int


def table(clips: Iterable[tuple[str, Mapping[str, float]]]) -> str:
    """Return the averages as CSV with the columns emotion, feature, mean, deviation and clips.

    Parameters
    ----------
    clips : iterable of (str, mapping)
        Label and measures of each clip, as :func:`serkit.features.describe` gives them; two or more per label. Where a
        measure is NaN, the clip does not count for it.

    Examples
    --------
    >>> print(table([("sad", {"zcr": 0.1}), ("sad", {"zcr": 0.3})]), end="")
    emotion,feature,mean,deviation,clips
    sad,zcr,0.2,0.141421,2
    """
    found: dict[str, list[Mapping[str, float]]] = {}
    for label, values in clips:
        found.setdefault(label, []).append(values)
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for label in (label for label in LABELS if label in found):
        for name in found[label][0]:
            column = np.array([clip[name] for clip in found[label]])
            column = column[np.isfinite(column)]
            rows.writerow([label, name, f"{column.mean():.6g}", f"{column.std(ddof=1):.6g}", len(column)])
    return out.getvalue()


@lru_cache(maxsize=1)
def averages() -> dict[str, dict[str, Average]]:
    """Return the averages of RAVDESS speech that ship with serkit: emotion to measure to :class:`Average`."""
    text = resources.files("serkit.app").joinpath("averages.csv").read_text(encoding="utf-8")
    found: dict[str, dict[str, Average]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        one = Average(float(row["mean"]), float(row["deviation"]), int(row["clips"]))
        found.setdefault(row["emotion"], {})[row["feature"]] = one
    return found
