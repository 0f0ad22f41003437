"""The features of a clip as numbers, and their averages for each emotion; no audio.

``averages.csv`` holds the averages; ``make averages SERKIT_DATA=folder`` rewrites it.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np

from serkit.audio import Waveform
from serkit.audio.waveform import Window
from serkit.emotions import LABELS
from serkit.features import Extractor, Feature

__all__ = ["DESCRIBED", "Average", "averages", "level", "measures", "table"]

#: The features to measure. Silence around the voice is trimmed first, so it does not affect the means.
DESCRIBED = Extractor(
    sample_rate=22050,
    window=Window(trim_db=45.0),
    features=(
        Feature("mfcc", {"n_mfcc": 13}),
        Feature("chroma"),
        Feature("spectral_contrast"),
        Feature("centroid"),
        Feature("bandwidth"),
        Feature("rolloff"),
        Feature("zcr"),
        Feature("rms"),
        Feature("tempo"),
        Feature("harmonic_percussive"),
    ),
    layout="mean_std",
)

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


def measures(wave: Waveform) -> dict[str, float]:
    """Measure a clip: the mean over time of each row of each feature, and the tempo.

    Returns
    -------
    dict of str to float
        ``mfcc_0`` to ``mfcc_12``, ``chroma_C`` to ``chroma_B``, ``spectral_contrast_0`` to ``_6`` (dB), ``centroid``,
        ``bandwidth`` and ``rolloff`` (Hz), ``zcr``, ``rms`` (dB of full scale), ``tempo`` (beats per minute),
        ``harmonic`` and ``percussive`` (RMS in dB of full scale) and ``harmonic_over_percussive`` (dB between them,
        which does not depend on the distance to the microphone).

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050).astype(np.float32)
    >>> found = measures(Waveform(tone, 22050))
    >>> len(found), round(found["rms"], 1)
    (41, -3.2)
    """
    named = zip(DESCRIBED.feature_names(), DESCRIBED(wave).tolist(), strict=True)
    found = {name.removesuffix("_mean"): value for name, value in named if not name.endswith("_std")}
    for name in ("rms", "harmonic", "percussive"):
        found[name] = level(found[name])
    return {**found, "harmonic_over_percussive": found["harmonic"] - found["percussive"]}


def level(amplitude: float) -> float:
    """Convert an amplitude to dB of full scale, at least -100 dB.

    Examples
    --------
    >>> level(0.1), level(0.0)
    (-20.0, -100.0)
    """
    return 20 * math.log10(max(amplitude, 1e-5))


def table(clips: Iterable[tuple[str, Mapping[str, float]]]) -> str:
    """Return the averages as CSV with the columns emotion, feature, mean, deviation and clips.

    Parameters
    ----------
    clips : iterable of (str, mapping)
        Label and :func:`measures` of each clip; two or more per label.

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
