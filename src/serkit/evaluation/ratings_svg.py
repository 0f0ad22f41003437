"""A picture of answers over ratings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["ratings_svg"]

_MOST = 2000  # dots


def ratings_svg(truth: np.ndarray, given: np.ndarray, name: str, scores: Mapping[str, Any]) -> str:
    """Draw a dot for each clip, its rating to the right and its answer upwards.

    Parameters
    ----------
    truth, given : np.ndarray, shape=(n,)
        Of more than 2,000 clips, 2,000 are drawn, chosen evenly.
    name : str
        The dimension.
    scores : mapping
        As :func:`serkit.evaluation.ratings.rate` returns them.
    """
    import io
    import warnings

    from matplotlib.figure import Figure

    chosen = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), _MOST)).round().astype(int))
    low, high = float(min(truth.min(), given.min())), float(max(truth.max(), given.max()))
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([low, high], [low, high], color="#888888", linewidth=1)
    axes.scatter(truth[chosen], given[chosen], s=14, alpha=0.5, color="#1f77b4", linewidths=0)
    axes.set_xlabel(f"{name}, rated", parse_math=False)  # a name may have dollar signs
    axes.set_ylabel(f"{name}, answered", parse_math=False)
    ends = scores["ccc_interval"]
    axes.set_title(f"CCC {scores['ccc']:.2f} [{ends[0]:.2f}, {ends[1]:.2f}], {scores['n_clips']} clips", fontsize=10)
    axes.set_aspect("equal")
    file = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
