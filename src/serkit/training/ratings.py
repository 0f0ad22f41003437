"""Numbers as targets, such as arousal from 1 to 7: scored by speaker, learned, and put into a graph."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper

from serkit import __version__
from serkit.corpora.table import voice_names
from serkit.evaluation.ratings import rate
from serkit.evaluation.ratings_svg import ratings_svg
from serkit.files import write_atomic, write_json
from serkit.models.rating import RatingRegression
from serkit.training.feature_cache import FeatureCache, compute_features, requests
from serkit.training.run_folder import disk

if TYPE_CHECKING:
    from serkit.corpora import Corpus
    from serkit.features import FrontEnd
    from serkit.training.rating_plan import RatingPlan

__all__ = ["Rated", "ratings_graph", "score_ratings", "train_ratings"]


@dataclass(frozen=True)
class Rated:
    """A fitted regression and its scores.

    Attributes
    ----------
    model : RatingRegression
        Fitted on all clips.
    dimensions : dict
        As :attr:`serkit.bundle.Manifest.dimensions`.
    protocol : str
    scores : dict
        Of each dimension, as :func:`serkit.evaluation.ratings.rate` returns them.
    """

    model: RatingRegression
    dimensions: dict[str, dict[str, float]]
    protocol: str
    scores: dict[str, dict[str, Any]]


def train_ratings(
    corpus: Corpus,
    plan: RatingPlan,
    front_end: FrontEnd,
    *,
    seed: int = 0,
    n_jobs: int = 1,
    cache: FeatureCache | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> tuple[Rated, pd.DataFrame]:
    """Score a regression on held-out speakers, then fit it on all clips.

    Everything that is estimated, from the scale of the ratings to the penalty, comes from the training side of a fold.

    Parameters
    ----------
    corpus : Corpus
    plan : RatingPlan
        What :func:`serkit.training.rating_plan.plan_ratings` made of it.
    front_end : FrontEnd
        Gives a vector for each clip.
    seed, n_jobs, cache, progress
        As for :func:`serkit.train_own`.

    Returns
    -------
    Rated
    DataFrame
        A row for each clip: path, start, end, speaker, fold, and for each target the rating and ``<target>_answer``,
        of a model that had not heard the speaker.

    Raises
    ------
    TrainingError
        If a clip gives no features.
    """
    wanted = requests(corpus.table.assign(copy=0), chains=(), seed=0)
    arrays = compute_features(
        corpus, wanted, front_end, cache=cache or FeatureCache(), n_jobs=n_jobs, progress=progress
    )
    X = np.stack(arrays)
    answers = np.zeros_like(plan.values)
    for fold in np.unique(plan.folds):
        test = plan.folds == fold
        fitted = RatingRegression().fit(X[~test], plan.values[~test], plan.groups[~test])
        answers[test] = fitted.predict(X[test])
    speakers = corpus.table["speaker"].tolist() if plan.protocol == "random" else voice_names(corpus.table).tolist()
    scores = {
        target: rate(plan.values[:, k], answers[:, k], speakers, seed=seed) for k, target in enumerate(plan.targets)
    }
    ends = zip(plan.targets, plan.values.min(axis=0), plan.values.max(axis=0), strict=True)
    rated = Rated(
        RatingRegression().fit(X, plan.values, plan.groups),
        {target: {"low": float(low), "high": float(high)} for target, low, high in ends},
        plan.protocol,
        scores,
    )
    rows = corpus.table[["path", "start", "end", "speaker"]].assign(fold=plan.folds)
    for k, target in enumerate(plan.targets):
        rows[target], rows[f"{target}_answer"] = plan.values[:, k], answers[:, k]
    return rated, rows


def score_ratings(
    rated: Rated, rows: pd.DataFrame, corpus: Corpus, folder: str | os.PathLike[str], seed: int
) -> dict[str, Any]:
    """Write ``ratings.json``, ``ratings.csv`` and a picture for each dimension into a folder; return the first."""
    target = Path(folder)
    document = {
        "serkit": __version__,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "corpus": corpus.name,
        "protocol": rated.protocol,
        "folds": int(rows["fold"].nunique()),
        "seed": seed,
        "dimensions": {name: {**rated.dimensions[name], **rated.scores[name]} for name in rated.dimensions},
    }
    with disk(target, keeps=False):
        target.mkdir(parents=True, exist_ok=True)
        write_json(document, target / "ratings.json")
        write_atomic(rows.to_csv(index=False), target / "ratings.csv")
        for name, picture in _pictures(list(rated.dimensions)).items():
            drawn = ratings_svg(rows[name].to_numpy(), rows[f"{name}_answer"].to_numpy(), name, rated.scores[name])
            write_atomic(drawn, target / picture)
    return document


def _pictures(names: Sequence[str]) -> dict[str, str]:
    """A file name for each dimension, with a number where two would be the same.

    Examples
    --------
    >>> _pictures(["a/b", "a-b", "A b"])
    {'a/b': 'a-b.svg', 'a-b': 'a-b-2.svg', 'A b': 'A-b-3.svg'}
    """
    found: dict[str, str] = {}
    stems: list[str] = []
    for name in names:
        stem = "".join(c if c.isalnum() else "-" for c in name)
        stems.append(stem.casefold())
        number = stems.count(stem.casefold())
        found[name] = f"{stem}.svg" if number == 1 else f"{stem}-{number}.svg"
    return found


def ratings_graph(rated: Rated) -> onnx.ModelProto:
    """Return the regression as ONNX: ``features`` float32 (1, d) -> ``dimensions`` float32 (1, k)."""
    model = rated.model
    width, count = model.coef_.shape
    nodes = [
        helper.make_node("MatMul", ["features", "ratings_weights"], ["ratings_sums"]),
        helper.make_node("Add", ["ratings_sums", "ratings_offsets"], ["dimensions"]),
    ]
    constants = [
        numpy_helper.from_array(model.coef_.astype(np.float32), "ratings_weights"),
        numpy_helper.from_array(model.intercept_.astype(np.float32)[None], "ratings_offsets"),
    ]
    outputs = [helper.make_tensor_value_info("dimensions", TensorProto.FLOAT, [1, count])]
    inputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, width])]
    graph = helper.make_graph(nodes, "serkit", inputs, outputs, constants)
    versions = [helper.make_opsetid("", 15)]
    made = helper.make_model(graph, producer_name="serkit", ir_version=8, opset_imports=versions)
    onnx.checker.check_model(made)
    return made
