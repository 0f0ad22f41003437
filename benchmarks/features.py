"""The feature vectors of S0, S1 and S3: serkit and librosa (one call per feature), one thread, same clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measure import HEAD, race, row
from peers.forest import s0_features, s1_features, s3_features
from threadpoolctl import threadpool_limits

from serkit.audio import load, resample
from serkit.features import s0, s1, s3

RATE = 22050
SYSTEMS = (("S0", s0, s0_features), ("S1", s1, s1_features), ("S3", s3, s3_features))


def measure(clips: Sequence[Path], repeats: int) -> str:
    """Time every system on every clip, decoded beforehand, and check that the values agree.

    Returns
    -------
    str
        Markdown.
    """
    waves = [resample(load(path), RATE) for path in clips]
    rows, worst = [], 0.0
    with threadpool_limits(1):
        for name, preset, peer in SYSTEMS:
            extractor = preset()
            pairs = [(extractor(wave), peer(wave.samples, RATE)) for wave in waves]  # also warms both up
            got, want = (np.array(side, dtype=np.float64) for side in zip(*pairs, strict=True))
            worst = max(worst, check(name, got, want, extractor.feature_names()))
            ours: list[float] = []
            theirs: list[float] = []
            for wave in waves:
                fast, slow = race(lambda: extractor(wave), lambda: peer(wave.samples, RATE), repeats)  # noqa: B023
                ours += fast
                theirs += slow
            rows.append(row(f"{name}, {got.shape[1]} values a clip", ours, theirs))
    seconds = sum(wave.duration for wave in waves)
    about = (
        f"{len(waves)} clips of {seconds / len(waves):.1f} s on average, decoded beforehand, {repeats} runs each, "
        "one thread, both warm. The peer calls librosa once per feature, as the systems do. The values agree: the "
        f"largest difference is {worst:.0e} of the feature's largest value in these clips."
    )
    return "\n".join(["## Feature vectors", "", about, "", HEAD, *rows])


def check(system: str, got: np.ndarray, want: np.ndarray, names: Sequence[str]) -> float:
    """Compare two matrices (clips, values); stop where they differ by more than 1e-4 of a value's largest size."""
    size = np.maximum(np.abs(want).max(axis=0), 1e-6)
    difference = np.abs(got - want).max(axis=0) / size
    where = int(difference.argmax())
    if not difference[where] <= 1e-4:
        raise SystemExit(f"{system}: {names[where]} differs from librosa's by {difference[where]:.1e}.")
    return float(difference[where])
