"""An exported graph agrees with what was fitted, or there is no bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from imblearn.pipeline import Pipeline

from serkit.encoders.session import one_thread_session
from serkit.errors import BundleError
from serkit.training import fitting
from serkit.training.ratings import Rated

__all__ = ["TOLERANCE", "expected_answers", "heard_inputs", "verify", "verify_ratings"]

#: Largest difference between a probability of the graph and of the estimator.
TOLERANCE = 1e-4
_OF_RANGE = 1e-3  # of the range of ratings: the graph sums in float32


def verify(
    onnx_bytes: bytes,
    inputs: Sequence[np.ndarray],
    expected: np.ndarray,
    *,
    names: Sequence[str],
    given: Mapping[str, np.ndarray] | None = None,
    most: float = TOLERANCE,
    output: str = "probabilities",
    unit: np.ndarray | float = 1.0,
) -> float:
    """Run the graph on each of ``inputs`` and compare its ``output`` with ``expected`` (n, k), in units of ``unit``.

    ``given`` are its further inputs, the same for each clip.

    Returns
    -------
    float
        The largest difference.

    Raises
    ------
    BundleError
        If it is above `most`, or the graph does not give as many values as are expected.
    """
    session = one_thread_session(onnx_bytes)  # as features are computed
    source = session.get_inputs()[0].name
    worst = 0.0
    for name, x, row in zip(names, inputs, expected, strict=True):
        got = session.run([output], {source: np.ascontiguousarray(x, dtype=np.float32), **(given or {})})[0]
        if got.shape != (1, len(row)):
            raise BundleError(f"The graph gives shape {got.shape} for {name}, expected (1, {len(row)}).")
        difference = float((np.abs(got[0] - row) / unit).max())
        if not difference <= most:  # also when it is NaN
            raise BundleError(
                f"The converted model differs from the trained one by {difference:.3g} on {name}, at most "
                f"{most:g} is allowed: no bundle was written. Please report this fault with the recipe."
            )
        worst = max(worst, difference)
    return worst


def verify_ratings(
    data: bytes, inputs: Sequence[np.ndarray], rated: Rated, X: np.ndarray, names: Sequence[str]
) -> None:
    """Compare the graph's ratings with those of the regression, to a thousandth of their range."""
    ranges = np.array([ends["high"] - ends["low"] for ends in rated.dimensions.values()])
    how: dict[str, Any] = {"output": "dimensions", "unit": ranges, "most": _OF_RANGE}
    verify(data, inputs, rated.model.predict(X), names=names, **how)


def expected_answers(
    estimator: Pipeline, labels: Sequence[str], X: np.ndarray, heard: np.ndarray | None = None
) -> np.ndarray:
    """What a model that adapts answers for the embeddings X (n, d), after hearing others."""
    plain = estimator.reference_.standardise(X)
    adapted = plain if heard is None else estimator.reference_.standardise(X, heard)
    softened: np.ndarray = estimator.distance_.soften(fitting.label_probabilities(estimator, adapted, labels), plain)
    return softened


def heard_inputs(X: np.ndarray) -> dict[str, np.ndarray]:
    """What the graph is given of embeddings (n, d) that were heard."""
    mean, deviation = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    given = {"mean": mean[None], "deviation": deviation[None], "heard": np.array([len(X)])}
    return {name: value.astype(np.float32) for name, value in given.items()}
