"""A fitted pipeline -> an ONNX bundle, written only if graph and estimator agree on real clips."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
from imblearn.pipeline import Pipeline
from onnx import TensorProto, compose, helper, numpy_helper

from serkit.bundle import Bundle, Manifest, add_metadata, read_bundle, write_bundle
from serkit.bundle.clips import CLIPS, pack_clips
from serkit.emotions import LABELS
from serkit.errors import BundleError, TrainingError
from serkit.evaluation.left_out import headline
from serkit.models import build
from serkit.models.calibrated_svm import SVM
from serkit.models.classical import SMALLEST, ClassWeighted, TemperatureScaled, XGBoost
from serkit.models.selection import BestOf, Searched, SoftVoting
from serkit.training import fitting, split_rows
from serkit.training.adaptive_graph import adaptive_graph, softening_graph
from serkit.training.card import licence, model_card
from serkit.training.feature_cache import FeatureCache, compute_features, requests
from serkit.training.ratings import Rated, ratings_graph
from serkit.training.recipe_files import parse_recipe

if TYPE_CHECKING:
    import pandas as pd

    from serkit.corpora import Corpus
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

#: Largest difference between a probability of the graph and of the estimator.
TOLERANCE = 1e-4
#: The same for an encoder that was cut out of a shipped graph: its 8-bit products may round differently there.
_CUT_OUT = 1e-3
_OF_RANGE = 1e-3  # of the range of ratings: the graph sums in float32

_OPSET, _IR_VERSION = 15, 8  # the newest operator set that onnxmltools converts XGBoost to
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
    X = fitting.as_input(arrays, recipe.layout)
    reference = getattr(estimator, "reference_", None)
    adapted: dict[str, Any] = {}
    if reference is None:
        expected = fitting.label_probabilities(estimator, X, labels)
    else:
        expected = _expected(estimator, labels, X)
        adapted = {"given": _heard(X[:_ADAPTED]), "expected": _expected(estimator, labels, X[:_ADAPTED], X[:_ADAPTED])}
    model = estimator.steps[-1][1]
    if hasattr(model, "to_onnx"):
        graph = model.to_onnx(front_end)
    else:
        if reference is not None:
            graph = joined(
                front_end.graph(),
                adaptive_graph(reference, estimator.distance_),
                pipeline_graph(estimator, labels, X.shape[1], source="standardised", target="answers"),
                softening_graph(len(labels)),
            )
        else:
            graph = pipeline_graph(estimator, labels, X.shape[1])
            if rated is not None:
                graph = joined(graph, ratings_graph(rated))
            if recipe.encoder is not None or (recipe.embedding is not None and self_contained):
                graph = joined(front_end.graph(), graph)
    given, inputs = _inputs(graph, recipe, corpus, rows, X)
    manifest = Manifest(
        name=recipe.name,
        version=version,
        labels=tuple(labels),
        input=given,
        licence=_licence(recipe, corpus),
        citation=_citation(recipe, corpus),
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
        _verify_ratings(data, inputs, rated, X, names)
    if adapted:
        verify(data, inputs[:_ADAPTED], adapted["expected"], names=names[:_ADAPTED], given=adapted["given"])
    clips = pack_clips(heard.table["audio_hash"])
    numbers = {} if rated is None else {rated.protocol: rated.scores}
    return _write(out, data, manifest, recipe, corpus, by_protocol, clips, numbers=numbers, force=force)


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
        licence=_licence(recipe, corpus),
        citation=_citation(recipe, corpus),
        description=f"{' and '.join(rated.dimensions)}, on the encoder of {recipe.embedding.model}"
        if recipe.embedding is not None
        else "",
        corpus=corpus.name,
        seed=seed,
    )
    data = add_metadata(graph.SerializeToString(), manifest)
    _verify_ratings(data, inputs, rated, X, rows["path"].tolist())
    clips = pack_clips(corpus.table["audio_hash"])
    numbers = {rated.protocol: rated.scores}
    return _write(out, data, manifest, recipe, corpus, {}, clips, numbers=numbers, force=force)


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


def _verify_ratings(
    data: bytes, inputs: Sequence[np.ndarray], rated: Rated, X: np.ndarray, names: Sequence[str]
) -> None:
    """Compare the graph's ratings with those of the regression, to a thousandth of their range."""
    ranges = np.array([ends["high"] - ends["low"] for ends in rated.dimensions.values()])
    how: dict[str, Any] = {"output": "dimensions", "unit": ranges, "most": _OF_RANGE}
    verify(data, inputs, rated.model.predict(X), names=names, **how)


def _expected(estimator: Pipeline, labels: Sequence[str], X: np.ndarray, heard: np.ndarray | None = None) -> np.ndarray:
    """What a model that adapts answers for the embeddings X (n, d), after hearing others."""
    plain = estimator.reference_.standardise(X)
    adapted = plain if heard is None else estimator.reference_.standardise(X, heard)
    softened: np.ndarray = estimator.distance_.soften(fitting.label_probabilities(estimator, adapted, labels), plain)
    return softened


def _citation(recipe: Recipe, corpus: Corpus) -> str:
    """What to cite for the recordings, and for the encoder."""
    return " ".join(filter(None, (corpus.citation.replace("unknown", ""), _encoder(recipe).citation)))


def _licence(recipe: Recipe, corpus: Corpus) -> str:
    """The licences of the recordings, and of the encoder that the bundle contains."""
    text = corpus.licence or "unknown: ask the owner of the recordings"
    name, licence, _ = _encoder(recipe)
    return f"{text}; {name}: {licence}" if licence else text


class _Encoder(NamedTuple):
    name: str
    licence: str
    citation: str


def _encoder(recipe: Recipe) -> _Encoder:
    """What is to be said of the encoder that answers; empty for acoustic features."""
    if recipe.encoder is not None:
        return _Encoder(recipe.encoder.name, recipe.encoder.licence, recipe.encoder.citation)
    if recipe.embedding is not None:
        shipped = parse_recipe(read_bundle(recipe.embedding.model).manifest.recipe).encoder
        if shipped is not None:
            return _Encoder(shipped.name, shipped.licence, shipped.citation)
    return _Encoder("", "", "")


def _heard(X: np.ndarray) -> dict[str, np.ndarray]:
    """What the graph is given of embeddings (n, d) that were heard."""
    mean, deviation = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    given = {"mean": mean[None], "deviation": deviation[None], "heard": np.array([len(X)])}
    return {name: value.astype(np.float32) for name, value in given.items()}


def _calibration(recipe: Recipe, heard: Corpus, temperature: float) -> str:
    if recipe.calibration is not None:
        folds, new = recipe.calibration.folds, "speakers" if split_rows.has_voices(heard, at_least=3) else "recordings"
        return f"temperature {temperature:.4f}, fitted on answers of {folds} inner models to {new} new to them"
    if recipe.validation.use == "none" and temperature == 1.0:
        return "none"
    return _CALIBRATION[recipe.validation.use].format(temperature)


def attach_scores(
    bundle: Bundle, corpus: Corpus, out: str | os.PathLike[str], *, scores: Sequence[Mapping[str, Any]]
) -> Bundle:
    """Write ``bundle`` again with other scores in its manifest and card; the graph stays as it is.

    Parameters
    ----------
    bundle : Bundle
        What :func:`export_bundle` wrote.
    corpus : Corpus
        The corpus that it was trained on; the card describes it.
    out : path
        Folder; may be the bundle's own, which is then replaced. Other bundles are never replaced.
    scores : sequence of dict
        Contents of results.json files, one per protocol, of the bundle's own recipe.

    Raises
    ------
    TrainingError
        If a score belongs to another recipe, or two have the same protocol.
    BundleError
        If the bundle was trained on another corpus, other labels or another number of recordings.
    """
    check_attachable(bundle)
    recipe = parse_recipe(bundle.manifest.recipe, source=f"of {bundle.path}")
    if bundle.manifest.corpus != corpus.name:
        raise BundleError(
            f"{bundle.path} was trained on the corpus {bundle.manifest.corpus!r}, got {corpus.name!r}: give its own."
        )
    heard = split_rows.trainable(corpus, recipe)
    labels, clips = fitting.corpus_labels(heard), pack_clips(heard.table["audio_hash"])
    if set(labels) != set(bundle.manifest.labels):
        raise BundleError(
            f"{bundle.path} answers {', '.join(bundle.manifest.labels)}, and these recordings have "
            f"{', '.join(labels)}: give the --drop and --label-map that it was trained with."
        )
    rated = bool(bundle.manifest.dimensions)  # clips without a rating took no part, and only --target tells these
    if bundle.clips is not None and len(clips) != len(bundle.clips) and not rated:
        one = len(pack_clips(heard.table["audio_hash"].head(1)))
        raise BundleError(
            f"{bundle.path} was trained on {len(bundle.clips) // one:,} different recordings, and these are "
            f"{len(clips) // one:,}: give the --channel, --drop and --skip-broken that it was trained with."
        )
    by_protocol = check_scores(scores, recipe, corpus)
    own = Path(out).resolve() == bundle.path.resolve()
    numbers = {name: score["dimensions"] for name, score in bundle.manifest.scores.items() if "dimensions" in score}
    parts = bundle.onnx, bundle.manifest, recipe, corpus, by_protocol, bundle.clips
    return _write(out, *parts, numbers=numbers, force=own)


def check_attachable(bundle: Bundle) -> None:
    """Raise BundleError for a bundle of numbers alone: :func:`attach_scores` puts scores of labels on a bundle."""
    if not bundle.manifest.labels:
        raise BundleError(
            f"{bundle.path} answers numbers alone, and its scores come from its training: there is nothing to attach."
        )


def _write(
    out: str | os.PathLike[str],
    onnx_bytes: bytes,
    manifest: Manifest,
    recipe: Recipe,
    corpus: Corpus,
    by_protocol: Mapping[str, Mapping[str, Any]],
    clips: bytes | None,
    *,
    numbers: Mapping[str, Mapping[str, Any]],
    force: bool,
) -> Bundle:
    headline = by_protocol.get("speaker") or next(iter(by_protocol.values()), {})
    scores = {protocol: _summary(document) for protocol, document in by_protocol.items()}
    for protocol, dimensions in numbers.items():
        scores[protocol] = {**scores.get(protocol, {}), "dimensions": dimensions}
    manifest = replace(manifest, split_hash=headline.get("split_hash") or "", scores=scores)
    card = model_card(manifest, recipe, corpus, by_protocol)
    extra: dict[str, str | bytes] = {"LICENSE": licence(manifest)}
    if clips is not None:
        extra[CLIPS] = clips
    return write_bundle(out, onnx_bytes=onnx_bytes, manifest=manifest, card=card, extra=extra, force=force)


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
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # not that an input has a default value
    options.intra_op_num_threads = 1  # as for features: more sum in another order, and 8-bit numbers round otherwise
    session = onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
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


def pipeline_graph(
    pipeline: Pipeline,
    labels: Sequence[str],
    n_features: int,
    *,
    source: str = "features",
    target: str = "probabilities",
) -> onnx.ModelProto:
    """Join scaler, selection, classifier and temperature to one graph; samplers act in training only.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted, over vectors.
    labels : sequence of str
        Order of the output.
    n_features : int
        Width of the input.
    source, target : str
        Names of input and output.

    Returns
    -------
    onnx.ModelProto
        Input `source` float32 (1, n_features), output `target` float32 (1, n_labels).
    """
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(value: Any, dtype: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value, dtype), f"constant_{len(constants)}"))
        return str(constants[-1].name)

    def add(op: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op, list(inputs), [f"value_{len(nodes)}"], **attributes))
        return str(nodes[-1].output[0])

    value, width = source, n_features
    for name, step in pipeline.steps[:-1]:
        if name == "scale":
            # The operations of fitting.Scaler, bit for bit
            value = add("Sub", value, constant(step.mean_, np.float32))
            value = add("Div", value, constant(step.scale_, np.float32))
        elif name == "select":
            kept = step.get_support(indices=True)
            value, width = add("Gather", value, constant(kept, np.int64), axis=1), len(kept)
        elif not hasattr(step, "fit_resample"):
            raise TrainingError(f"The step '{name}' of the pipeline has no ONNX counterpart.")
    model = pipeline.steps[-1][1]
    versions = {"": _OPSET}

    def classify(model: Any, value: str, prefix: str) -> str:
        """The probabilities of ``model``, in the order of its classes."""
        while isinstance(model, (TemperatureScaled, Searched, BestOf, ClassWeighted, SVM, Pipeline)):
            model = model.steps[-1][1] if isinstance(model, Pipeline) else model.estimator_
        if isinstance(model, SoftVoting):
            parts = [classify(part, value, f"{prefix}{k}_") for k, part in enumerate(model.estimators_)]
            return add("Div", add("Sum", *parts), constant(len(parts), np.float32))
        part = compose.add_prefix(_convert(model, width), prefix)
        nodes.append(helper.make_node("Identity", [value], [part.graph.input[0].name]))
        nodes.extend(part.graph.node)
        constants.extend(part.graph.initializer)
        for used in part.opset_import:
            versions[used.domain] = max(used.version, versions.get(used.domain, 1))
        return f"{prefix}probabilities"

    value = classify(model, value, "model_")
    # A deep model has its temperature inside.
    temperature = 1.0 if hasattr(model, "vector_graph") else getattr(model, "temperature_", 1.0)
    if temperature != 1.0:
        value = add("Clip", value, constant(SMALLEST, np.float32), constant(1, np.float32))
        value = add("Div", add("Log", value), constant(temperature, np.float32))
        value = add("Softmax", value, axis=1)
    column = {str(label): k for k, label in enumerate(model.classes_)}
    order = constant([column[label] for label in labels], np.int64)
    nodes.append(helper.make_node("Gather", [value, order], [target], axis=1))
    graph = helper.make_graph(
        nodes,
        "serkit",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, [1, n_features])],
        [helper.make_tensor_value_info(target, TensorProto.FLOAT, [1, len(labels)])],
        constants,
    )
    joined = helper.make_model(
        graph,
        producer_name="serkit",
        ir_version=max(_IR_VERSION, 9 if versions[""] > _OPSET else 0),
        opset_imports=[helper.make_opsetid(domain, number) for domain, number in versions.items()],
    )
    onnx.checker.check_model(joined)
    return joined


def joined(*parts: onnx.ModelProto) -> onnx.ModelProto:
    """Put graphs one behind the other: each takes by name what those before it give.

    The inputs are what no part gives, each once, the outputs what no part takes, those of the last part first.

    Raises
    ------
    BundleError
        If an operator of the last part is not the same in the newer operator set of another one.
    """
    versions = {entry.domain: entry.version for part in parts for entry in part.opset_import}
    versions[""] = max(entry.version for part in parts for entry in part.opset_import if entry.domain == "")
    graphs = [part.graph for part in parts]
    given = {value.name for graph in graphs for value in graph.output}
    taken = {value.name for graph in graphs for value in graph.input}
    graph = helper.make_graph(
        [node for graph in graphs for node in graph.node],
        "serkit",
        list({value.name: value for graph in graphs for value in graph.input if value.name not in given}.values()),
        [value for graph in graphs[::-1] for value in graph.output if value.name not in taken],
        [constant for graph in graphs for constant in graph.initializer],
    )
    made = helper.make_model(
        graph,
        producer_name="serkit",
        ir_version=max(part.ir_version for part in parts),
        opset_imports=[helper.make_opsetid(domain, number) for domain, number in versions.items()],
    )
    try:
        onnx.checker.check_model(made, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BundleError(f"The head does not fit the operator set of its front end: {error}") from error
    return made


def _convert(model: Any, width: int) -> onnx.ModelProto:
    """A classifier by itself, each kind through its own converter."""
    if hasattr(model, "vector_graph"):
        graph: onnx.ModelProto = model.vector_graph(width)
        return graph
    if isinstance(model, XGBoost):
        # By itself, not as a pipeline that skl2onnx converts as a whole: see fitting.Scaler.
        from onnxmltools.convert import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        types = [("input", FloatTensorType([None, width]))]
        return convert_xgboost(model.booster_, initial_types=types, target_opset=_OPSET)
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType as Floats

    with warnings.catch_warnings():  # skl2onnx looks for SVC's own probabilities, which are not used here
        warnings.filterwarnings("ignore", "Attribute `prob[AB]_` was deprecated", FutureWarning)
        return convert_sklearn(
            model,
            initial_types=[("input", Floats([None, width]))],
            options={id(model): {"zipmap": False}},
            target_opset={"": _OPSET, "ai.onnx.ml": 1},
        )


def check_exportable(recipe: Recipe) -> None:
    """Raise BundleError if the recipe's features cannot go into the graph, which training itself does not need."""
    if hasattr(build(recipe.model, labels=LABELS, seed=0, rows=recipe.rows), "to_onnx"):
        recipe.front_end.graph()


def check_scores(
    scores: Sequence[Mapping[str, Any]], recipe: Recipe, corpus: Corpus | None = None
) -> dict[str, Mapping[str, Any]]:
    """Results by protocol, after making sure that all are of ``recipe`` and ``corpus`` and no protocol occurs twice."""
    found: dict[str, Mapping[str, Any]] = {}
    for document in scores:
        if document.get("transfer"):
            raise TrainingError(
                f"A results.json is of the protocol '{document['protocol']}': a model carries scores of its recipe "
                "on its own corpus; give a results.json of 'ser evaluate'."
            )
        if document.get("recipe_hash") != recipe.hash:
            raise TrainingError(
                f"A results.json is of the recipe {document.get('recipe')!r} with other contents than {recipe.name!r}: "
                "a model carries only scores of exactly its own recipe; run 'ser evaluate' again."
            )
        measured = str(document["corpus"]).rsplit(" ", 1)[0]  # the name may have blanks
        if corpus is not None and measured != corpus.name:
            raise TrainingError(
                f"A results.json was measured on the corpus {measured}, the model is trained on {corpus.name}: run "
                "'ser evaluate' on the same corpora."
            )
        labels = document.get("metrics", {}).get("labels")
        if corpus is not None and labels is not None and set(labels) != set(corpus.table["emotion"]):
            own = ", ".join(fitting.corpus_labels(corpus))
            raise TrainingError(
                f"A results.json is of the labels {', '.join(labels)}, the model of {own}: run 'ser evaluate' with the "
                "same --drop and --label-map."
            )
        protocol = str(document["protocol"])
        if protocol in found:
            raise TrainingError(f"Two results.json are of the protocol '{protocol}': give one per protocol.")
        found[protocol] = document
    return found


def _summary(document: Mapping[str, Any]) -> dict[str, Any]:
    metrics = headline(document)
    return {
        **{
            key: value
            for score in ("uar", "accuracy")
            for key, value in ((score, metrics[score]), (f"{score}_interval", metrics["intervals"][score]))
        },
        "n_clips": metrics["n_clips"],
        "n_speakers": metrics["n_speakers"],
        "folds": len(document.get("folds_run") or range(document["folds"])),  # older results ran all of them
        "seed": document["seed"],
        "date": document["date"],
        "warning": document["warning"],
        "confusion": metrics["confusion"],
    }
