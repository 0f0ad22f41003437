"""A fitted pipeline -> an ONNX bundle, written only if graph and estimator agree on real clips."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from imblearn.pipeline import Pipeline
from onnx import compose

from serkit.bundle import Bundle, Manifest, add_metadata
from serkit.bundle.clips import pack_clips
from serkit.emotions import LABELS
from serkit.models import build
from serkit.training import fitting, split_rows
from serkit.training.adaptive_graph import adaptive_graph, softening_graph
from serkit.training.attached_scores import attach_scores, check_attachable, check_scores, write_scored
from serkit.training.card import citation_of, licence_of
from serkit.training.feature_cache import FeatureCache, compute_features, requests
from serkit.training.head_graph import joined, pipeline_graph
from serkit.training.ratings import Rated, ratings_graph
from serkit.training.verification import TOLERANCE, expected_answers, heard_inputs, verify, verify_ratings

if TYPE_CHECKING:
    import pandas as pd

    from serkit.corpora import Corpus
    from serkit.encoders.tuned import TunedBlocks
    from serkit.features import FrontEnd
    from serkit.training.recipe import Recipe

__all__ = [
    "TOLERANCE",
    "attach_scores",
    "check_attachable",
    "check_exportable",
    "check_scores",
    "export_bundle",
    "export_ratings",
    "pipeline_graph",
    "verify",
]

# As TOLERANCE, for an encoder that was cut out of a shipped graph: its 8-bit products may round differently there.
_CUT_OUT = 1e-3

_MAX_CLIPS = 64
_ADAPTED = 16  # of them, checked as clips of one place too
_CALIBRATION = {
    "none": "temperature {:.4f}, set in the recipe",
    "selection": "none",
    "calibration": "temperature {:.4f}, fitted on speakers held out of a separate training",
    "early-stopping": "temperature {:.4f}, fitted on the held-out speakers that also scheduled the training",
}
_SECONDS = {"min_seconds": 0.1, "max_seconds": 30.0}


def export_bundle(
    estimator: Pipeline,
    recipe: Recipe,
    corpus: Corpus,
    out: str | os.PathLike[str],
    *,
    scores: Sequence[Mapping[str, Any]] = (),
    seed: int | None = None,
    version: str = "1",
    n_jobs: int = 1,
    cache: FeatureCache | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
    force: bool = False,
    self_contained: bool = False,
    rated: Rated | None = None,
) -> Bundle:
    """Write ``estimator`` as a bundle, with the hashes of its training clips.

    Parameters
    ----------
    estimator : Pipeline
        What :func:`serkit.training.run.train_final` returned for ``recipe`` and ``corpus``.
    recipe : Recipe
    corpus : Corpus
        Up to 64 of its clips verify the graph; licence and citation come from it.
    out : path
        Folder of the bundle.
    scores : sequence of dict
        Contents of results.json files, one per protocol, of exactly this recipe.
    seed : int, optional
        The seed of the training, for the manifest.
    version : str
        The model's version.
    n_jobs, cache, progress
        As in :func:`serkit.training.run.train_final`.
    force : bool
        Replace a bundle that is there.
    self_contained : bool
        Put the encoder of ``[embedding]`` into the bundle, instead of a reference to the model that ships.
    rated : Rated, optional
        A regression on the same vectors, whose numbers the bundle answers too.

    Raises
    ------
    TrainingError
        If a score belongs to another recipe, or two have the same protocol.
    BundleError
        If graph and estimator differ by more than 1e-4 on a clip, or if ``out`` exists; nothing is written then.

    See Also
    --------
    serkit.train_final : Trains the estimator.
    serkit.read_bundle : Reads the bundle.
    """
    by_protocol = check_scores(scores, recipe, corpus)
    heard = split_rows.trainable(corpus, recipe)
    labels = fitting.corpus_labels(heard)
    front_end = recipe.front_end
    rows, arrays = _some_clips(heard.table, corpus, front_end, n_jobs=n_jobs, cache=cache, progress=progress)
    tuned = getattr(estimator, "tuned_", None)
    X = fitting.as_input(arrays if tuned is None else [tuned(frames) for frames in arrays], recipe.layout)
    reference = getattr(estimator, "reference_", None)
    adapted: dict[str, Any] = {}
    if reference is None:
        expected = fitting.label_probabilities(estimator, X, labels)
    else:
        expected = expected_answers(estimator, labels, X)
        adapted = {
            "given": heard_inputs(X[:_ADAPTED]),
            "expected": expected_answers(estimator, labels, X[:_ADAPTED], X[:_ADAPTED]),
        }
    model = estimator.steps[-1][1]
    if hasattr(model, "to_onnx"):
        graph = model.to_onnx(front_end)
    else:
        if reference is not None:
            graph = joined(
                _front_graph(front_end, tuned),
                adaptive_graph(reference, estimator.distance_),
                pipeline_graph(estimator, labels, X.shape[1], source="standardised", target="answers"),
                softening_graph(len(labels)),
            )
        else:
            graph = pipeline_graph(estimator, labels, X.shape[1])
            if rated is not None:
                graph = joined(graph, ratings_graph(rated))
            if recipe.encoder is not None or (recipe.embedding is not None and self_contained):
                graph = joined(_front_graph(front_end, tuned), graph)
    given, inputs = _inputs(graph, recipe, corpus, rows, X)
    manifest = Manifest(
        name=recipe.name,
        version=version,
        labels=tuple(labels),
        input=given,
        licence=licence_of(recipe, corpus),
        citation=citation_of(recipe, corpus),
        description=recipe.description,
        recipe=recipe.text,
        recipe_hash=recipe.hash,
        corpus=corpus.name,
        seed=seed,
        adaptation={} if reference is None else {"size": len(reference.mean)},
        familiarity=getattr(estimator, "familiarity_", {}),
        dimensions={} if rated is None else rated.dimensions,
        min_confidence=recipe.min_confidence,
        calibration=_calibration(recipe, heard, getattr(model, "temperature_", 1.0)),
    )
    data = add_metadata(graph.SerializeToString(), manifest)
    names = rows["path"].tolist()
    verify(data, inputs, expected, names=names, most=_CUT_OUT if recipe.embedding is not None else TOLERANCE)
    if rated is not None:
        verify_ratings(data, inputs, rated, X, names)
    if adapted:
        verify(data, inputs[:_ADAPTED], adapted["expected"], names=names[:_ADAPTED], given=adapted["given"])
    clips = pack_clips(heard.table["audio_hash"])
    numbers = {} if rated is None else {rated.protocol: rated.scores}
    return write_scored(out, data, manifest, recipe, corpus, by_protocol, clips, numbers=numbers, force=force)


def export_ratings(
    rated: Rated,
    recipe: Recipe,
    corpus: Corpus,
    out: str | os.PathLike[str],
    *,
    name: str,
    seed: int | None = None,
    n_jobs: int = 1,
    force: bool = False,
    self_contained: bool = False,
) -> Bundle:
    """Write a model that answers numbers alone as a bundle.

    Parameters
    ----------
    rated : Rated
        What :func:`serkit.training.ratings.train_ratings` returned for `corpus`.
    recipe : Recipe
        Its front end gave the vectors; its head is not used.
    corpus, out, seed, n_jobs, force, self_contained
        As for :func:`export_bundle`.
    name : str
        Of the model.

    Raises
    ------
    BundleError
        If graph and regression differ, or if ``out`` exists; nothing is written then.
    """
    front_end = recipe.front_end
    rows, arrays = _some_clips(corpus.table, corpus, front_end, n_jobs=n_jobs)
    X = np.stack(arrays)
    graph = ratings_graph(rated)
    if self_contained:
        graph = joined(front_end.graph(), graph)
    given, inputs = _inputs(graph, recipe, corpus, rows, X)
    manifest = Manifest(
        name=name,
        version="1",
        labels=(),
        dimensions=rated.dimensions,
        input=given,
        licence=licence_of(recipe, corpus),
        citation=citation_of(recipe, corpus),
        description=f"{' and '.join(rated.dimensions)}, on the encoder of {recipe.embedding.model}"
        if recipe.embedding is not None
        else "",
        corpus=corpus.name,
        seed=seed,
    )
    data = add_metadata(graph.SerializeToString(), manifest)
    verify_ratings(data, inputs, rated, X, rows["path"].tolist())
    clips = pack_clips(corpus.table["audio_hash"])
    numbers = {rated.protocol: rated.scores}
    return write_scored(out, data, manifest, recipe, corpus, {}, clips, numbers=numbers, force=force)


def _some_clips(
    table: pd.DataFrame,
    corpus: Corpus,
    front_end: FrontEnd,
    *,
    n_jobs: int,
    cache: FeatureCache | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Rows of the table, chosen evenly to check the graph on, and their features."""
    rows = table.iloc[np.unique(np.linspace(0, len(table) - 1, _MAX_CLIPS).round().astype(int))]
    wanted = requests(rows.assign(copy=0), chains=(), seed=0)
    cache = cache or FeatureCache()
    return rows, compute_features(corpus, wanted, front_end, cache=cache, n_jobs=n_jobs, progress=progress)


def _front_graph(front_end: FrontEnd, tuned: TunedBlocks | None) -> onnx.ModelProto:
    """The graph up to ``features``: a front end, or the lower part of an encoder and its tuned blocks."""
    lower = front_end.graph()
    if tuned is None:
        return lower
    lower.graph.node[-1].output[0] = lower.graph.output[0].name = "frames"
    upper = compose.add_prefix(tuned.graph(), "tuned_", rename_inputs=False, rename_outputs=False)
    return joined(lower, upper)


def _inputs(
    graph: onnx.ModelProto, recipe: Recipe, corpus: Corpus, rows: pd.DataFrame, X: np.ndarray
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """What the manifest says of the graph's input, and the input for each row, whose features are X."""
    front_end = recipe.front_end
    if graph.graph.input[0].name == "waveform":
        sounds = [corpus.load(row, target_rate=front_end.sample_rate).samples[None] for _, row in rows.iterrows()]
        return {"kind": "waveform", "sample_rate": front_end.sample_rate, **_SECONDS}, sounds
    inputs = [x[None] for x in X]
    if recipe.embedding is not None:
        return {"kind": "features", "encoder": dict(front_end.to_dict()), **_SECONDS}, inputs
    return {"kind": "features", "extractor": front_end.to_dict()}, inputs


def _calibration(recipe: Recipe, heard: Corpus, temperature: float) -> str:
    if recipe.calibration is not None:
        folds, new = recipe.calibration.folds, "speakers" if split_rows.has_voices(heard, at_least=3) else "recordings"
        return f"temperature {temperature:.4f}, fitted on answers of {folds} inner models to {new} new to them"
    if recipe.validation.use == "none" and temperature == 1.0:
        return "none"
    return _CALIBRATION[recipe.validation.use].format(temperature)


def check_exportable(recipe: Recipe) -> None:
    """Raise BundleError if the recipe's features cannot go into the graph, which training itself does not need."""
    if hasattr(build(recipe.model, labels=LABELS, seed=0, rows=recipe.rows), "to_onnx"):
        recipe.front_end.graph()
