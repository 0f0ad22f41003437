"""Export: the graph is the estimator, is proved to be, and says what it is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from imblearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from serkit.bundle import read_bundle
from serkit.bundle.clips import pack_clips
from serkit.bundle.outline import read_outline
from serkit.corpora import Corpus, read_corpus
from serkit.emotions import LABELS
from serkit.errors import BundleError, TrainingError
from serkit.protocol import make_split
from serkit.recognition.recognizer import Recognizer
from serkit.training import export, fitting, head_graph
from serkit.training.export import attach_scores, check_scores, export_bundle, pipeline_graph, verify
from serkit.training.feature_cache import FeatureCache
from serkit.training.recipe import Recipe
from serkit.training.recipe_files import list_recipes, load_recipe, parse_recipe, shortened
from serkit.training.run import run_evaluation, train_final
from tests.small_recipes import shrunk

TEXT = """
name = "quick"
description = "MFCC means and logistic regression"
[features]
sample_rate = 16000
layout = "mean_std"
features = [{{ name = "mfcc", params = {{ n_mfcc = 13 }} }}]
[model]
name = "{model}"
params = {{ {params} }}
[validation]
use = "{use}"
"""
MODELS = [
    ("logistic", "", "none"),
    ("random_forest", "n_estimators = 20", "none"),
    ("gradient_boosting", "n_estimators = 5", "none"),
    ("mlp", "hidden_layer_sizes = [16], max_iter = 400", "none"),
    ("svm", "C = 5.0", "none"),
    ("xgboost", "n_estimators = 20", "none"),
    ("random_forest", "n_estimators = 20", "calibration"),
    ("svm", "", "calibration"),
    ("xgboost", "n_estimators = 20, early_stopping_rounds = 2, learning_rate = 0.9", "early-stopping"),
]
SPECIAL = {"smote": '[balance]\nkind = "smote"\n[select]\nk = 9\n'}


def recipe_of(model: str, params: str, use: str, more: str = "") -> Recipe:
    return parse_recipe(TEXT.format(model=model, params=params, use=use) + more)


def fitted(recipe: Recipe, labels: list[str], n: int = 160) -> tuple[Pipeline, np.ndarray]:
    """A pipeline fitted on made-up vectors of 26 features; those vectors, and 50 that it has not seen."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(len(labels), 26))

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.arange(n) % len(labels)
        X = 30 * (centres[y] + rng.normal(size=(n, 26))) + 100
        return X.astype(np.float32), np.array(labels)[y]

    X, y = draw(n)
    pipeline = fitting.make_pipeline(recipe, labels, seed=0)
    validation = draw(60) if recipe.validation.use != "none" else None
    return fitting.fit(pipeline, X, y, validation=validation), np.concatenate([X, draw(50)[0]])


def run_graph(model: onnx.ModelProto, X: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.concatenate([session.run(["probabilities"], {"features": x[None]})[0] for x in X])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("more", ["", SPECIAL["smote"]])
@pytest.mark.parametrize(("model", "params", "use"), MODELS)
def test_the_graph_gives_the_estimators_probabilities(model: str, params: str, use: str, more: str) -> None:
    pipeline, X = fitted(recipe_of(model, params, use, more), list(LABELS))
    graph = pipeline_graph(pipeline, LABELS, 26)
    got = run_graph(graph, X)
    by_name = {label: pipeline.predict_proba(X)[:, k] for k, label in enumerate(pipeline.classes_)}
    for k, label in enumerate(LABELS):
        np.testing.assert_allclose(got[:, k], by_name[label], atol=1e-5)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.sum(1), 1, atol=1e-5)
    assert [(i.name, [d.dim_value for d in i.type.tensor_type.shape.dim]) for i in graph.graph.input] == [
        ("features", [1, 26])
    ]
    assert [o.name for o in graph.graph.output] == ["probabilities"]
    assert {node.domain for node in graph.graph.node} <= {"", "ai.onnx.ml"}


@pytest.mark.parametrize("model", ["logistic", "random_forest", "svm", "xgboost"])
def test_two_labels(model: str) -> None:
    labels = ["sad", "angry"]  # not in alphabetical order
    pipeline, X = fitted(recipe_of(model, "", "none"), labels)
    got = run_graph(pipeline_graph(pipeline, labels, 26), X)
    np.testing.assert_allclose(got[:, ::-1], pipeline.predict_proba(X), atol=1e-5)


def test_calibration_and_early_stopping_do_something() -> None:
    pipeline, _ = fitted(recipe_of("random_forest", "n_estimators = 20", "calibration"), list(LABELS))
    assert pipeline.named_steps["model"].temperature_ != pytest.approx(1, abs=0.02)
    stopping = recipe_of("xgboost", "early_stopping_rounds = 2, learning_rate = 0.9", "early-stopping")
    model = fitted(stopping, list(LABELS))[0].named_steps["model"]
    assert len(model.history_) < model.n_estimators == 300


def test_a_temperature_lowers_the_loss_on_clips_like_the_validation_clips() -> None:
    rng = np.random.default_rng(1)
    labels = list(LABELS)
    centres = rng.normal(size=(8, 26))
    y = np.arange(1600) % 8
    X = (centres[y] + 1.5 * rng.normal(size=(1600, 26))).astype(np.float32)
    names = np.array(labels)[y]
    losses = {}
    for use in ("none", "calibration"):
        recipe = recipe_of("random_forest", "n_estimators = 30", use)
        held = (X[400:1000], names[400:1000]) if use == "calibration" else None
        pipeline = fitting.fit(fitting.make_pipeline(recipe, labels, seed=0), X[:400], names[:400], validation=held)
        p = fitting.label_probabilities(pipeline, X[1000:], labels)
        losses[use] = -np.log(np.maximum(p[np.arange(600), y[1000:]], 1e-6)).mean()
    assert losses["calibration"] < 0.9 * losses["none"]


# ------------------------------------------------------------------------------------------- wrong graphs


def wrong_leaf(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same trees with one weight in ten a little off."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "class_weights":
                weights = list(attribute.floats)
                weights[::10] = [w + 0.05 for w in weights[::10]]
                attribute.ClearField("floats")
                attribute.floats.extend(weights)
    return model


def through_skl2onnx(pipeline: Pipeline) -> onnx.ModelProto:
    """Scaler and XGBoost converted as one pipeline by skl2onnx, which goes wrong without a word."""
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import to_onnx, update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
    from sklearn.pipeline import make_pipeline
    from xgboost import XGBClassifier

    update_registered_converter(
        XGBClassifier,
        "XGBoostXGBClassifier",
        calculate_linear_classifier_output_shapes,
        convert_xgboost,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    scaler = StandardScaler()
    scaler.__dict__.update(vars(pipeline.named_steps["scale"]))
    whole = make_pipeline(scaler, pipeline.named_steps["model"].booster_)
    example = np.zeros((1, 26), np.float32)
    return to_onnx(whole, example, options={id(whole): {"zipmap": False}}, target_opset={"": 15, "ai.onnx.ml": 3})


def test_verification_stops_the_known_wrong_conversion_of_xgboost() -> None:
    pipeline, X = fitted(recipe_of("xgboost", "n_estimators = 20", "none"), list(LABELS))
    expected = pipeline.predict_proba(X)
    names = [f"clip {i}" for i in range(len(X))]
    inputs = [x[None] for x in X]
    right = pipeline_graph(pipeline, list(pipeline.classes_), 26)
    assert verify(right.SerializeToString(), inputs, expected, names=names) < 1e-5
    wrong = through_skl2onnx(pipeline).SerializeToString()
    with pytest.raises(BundleError, match=r"differs from the trained one by .* no bundle was written"):
        verify(wrong, inputs, expected, names=names)


def test_verification_looks_at_every_number() -> None:
    pipeline, X = fitted(recipe_of("logistic", "", "none"), list(LABELS))
    data = pipeline_graph(pipeline, LABELS, 26).SerializeToString()
    expected = fitting.label_probabilities(pipeline, X, LABELS)
    for row, column, value in ((0, 0, 2e-4), (len(X) - 1, 7, -2e-4), (7, 3, np.nan)):
        off = expected.copy()
        off[row, column] += value
        with pytest.raises(BundleError, match=f"on clip-{row},"):
            verify(data, [x[None] for x in X], off, names=[f"clip-{i}" for i in range(len(X))])
    with pytest.raises(BundleError, match=r"shape \(1, 8\).* expected \(1, 7\)"):
        verify(data, [X[:1]], expected[:1, :7], names=["a"])


def test_verification_runs_the_graph_as_features_were_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one thread: on two, an 8-bit encoder gave other probabilities for one clip of 64, by 0.002."""
    threads = []
    session = onnxruntime.InferenceSession

    def spy(data: bytes, options: Any, **rest: Any) -> Any:
        threads.append(options.intra_op_num_threads)
        return session(data, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    pipeline, X = fitted(recipe_of("logistic", "", "none"), list(LABELS))
    data = pipeline_graph(pipeline, LABELS, 26).SerializeToString()
    verify(data, [X[:1]], fitting.label_probabilities(pipeline, X[:1], LABELS), names=["a"])
    assert threads == [1]


# ------------------------------------------------------------------------------------------- bundles


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return recipe_of("logistic", "", "calibration")


@pytest.fixture(scope="module")
def scores(
    corpus: Corpus, cache: FeatureCache, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    found = []
    for protocol in ("speaker", "augmented-random"):
        out = tmp_path_factory.mktemp("runs") / protocol
        run_evaluation(recipe, corpus, make_split(corpus, protocol, n_folds=3, seed=4), out, cache=cache)
        found.append(json.loads((out / "results.json").read_text()))
    return found


def test_a_bundle_answers_as_the_estimator_does(
    corpus: Corpus, cache: FeatureCache, recipe: Recipe, scores: list[dict[str, Any]], tmp_path: Path
) -> None:
    estimator = train_final(recipe, corpus, seed=4, cache=cache)
    written = export_bundle(estimator, recipe, corpus, tmp_path / "bundle", scores=scores, seed=4, cache=cache)
    bundle = read_bundle(tmp_path / "bundle")
    assert bundle.manifest == written.manifest
    recognizer = Recognizer(bundle)
    for path in corpus.table["path"][::20]:
        prediction = recognizer.predict(corpus.root / path)
        X = recipe.front_end(corpus.load(path))[None]
        expected = fitting.label_probabilities(estimator, X, LABELS)[0]
        assert list(prediction.probabilities) == list(LABELS)
        np.testing.assert_allclose(list(prediction.probabilities.values()), expected, atol=1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", list_recipes())
def test_every_packaged_recipe_becomes_a_bundle(name: str, corpus: Corpus, cache: FeatureCache, tmp_path: Path) -> None:
    recipe = shrunk(name)
    labels = list(LABELS)
    if "search" in recipe.text:  # its inner folds would be left with one neutral clip
        corpus = replace(corpus, table=corpus.table[corpus.table["emotion"] != "neutral"].reset_index(drop=True))
        labels.remove("neutral")
    estimator = train_final(recipe, corpus, cache=cache)
    export_bundle(estimator, recipe, corpus, tmp_path / name, cache=cache)
    recognizer = Recognizer(read_bundle(tmp_path / name))
    clips = corpus.table.iloc[::13]
    assert clips["emotion"].nunique() > 3
    paths = clips["path"]
    X = fitting.as_input([recipe.front_end(corpus.load(path)) for path in paths], recipe.layout)
    if recipe.adaptation is not None:
        X = estimator.reference_.standardise(X)
    expected = fitting.label_probabilities(estimator, X, labels)
    if recipe.adaptation is not None:
        expected = estimator.distance_.soften(expected, X)
    for path, row in zip(paths, expected, strict=True):
        got = recognizer.predict(corpus.root / path).probabilities
        np.testing.assert_allclose([got[label] for label in labels], row, atol=1e-4)
    says = {
        "calibration": "held out of a separate training",
        "early-stopping": "speakers that also scheduled",
        "selection": "none",
    }
    says["none"] = "temperature 0.8000, set in the recipe" if name == "cnn" else "none"
    expects = says[recipe.validation.use] if recipe.calibration is None else "speakers new to them"
    assert expects in recognizer.bundle.manifest.calibration
    # A constant answer would prove nothing; that of a network after two epochs nearly is one: see test_deep.
    assert recipe.epochs or np.ptp(expected, axis=0).max() > 0.1


def test_bundles_need_nothing_of_what_trained_them(corpus: Corpus, cache: FeatureCache, tmp_path: Path) -> None:
    """A forest and a network, as test_imports does with models that nobody trained."""
    folders = []
    for name in ("s0-forest", "s0-dense"):
        recipe = shrunk(name)
        export_bundle(train_final(recipe, corpus, cache=cache), recipe, corpus, tmp_path / name, cache=cache)
        folders.append(str(tmp_path / name))
    code = (
        "import sys, serkit\n"
        f"for folder in {folders!r}: serkit.load(folder).predict({str(corpus.root / corpus.table['path'][0])!r})\n"
        "print(sorted({'torch', 'sklearn', 'imblearn', 'xgboost', 'skorch', 'pandas', 'librosa'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_manifest_and_card_say_what_was_measured(
    corpus: Corpus, cache: FeatureCache, recipe: Recipe, scores: list[dict[str, Any]], tmp_path: Path
) -> None:
    estimator = train_final(recipe, corpus, cache=cache)
    bundle = export_bundle(estimator, recipe, corpus, tmp_path / "bundle", scores=scores, seed=0, cache=cache)
    manifest, metrics = bundle.manifest, scores[0]["metrics"]
    assert manifest.input == {"kind": "features", "extractor": json.loads(json.dumps(recipe.front_end.to_dict()))}
    assert manifest.recipe == recipe.text
    assert manifest.recipe_hash == recipe.hash
    assert manifest.split_hash == scores[0]["split_hash"]
    assert set(manifest.scores) == {"speaker", "augmented-random"}
    speaker = manifest.scores["speaker"]
    assert speaker["uar"] == metrics["uar"]
    assert speaker["accuracy_interval"] == metrics["intervals"]["accuracy"]
    assert (speaker["folds"], speaker["seed"], speaker["n_clips"]) == (3, 4, 90)
    temperature = estimator.named_steps["model"].temperature_
    assert manifest.calibration.startswith(f"temperature {temperature:.4f}")
    assert bundle.clips == pack_clips(corpus.table["audio_hash"])
    stated = read_outline(bundle.onnx).metadata
    assert json.loads(stated["serkit.labels"]) == list(manifest.labels)
    assert stated["serkit.sample_rate"] == str(recipe.front_end.sample_rate)
    assert stated["serkit.recipe_hash"] == recipe.hash
    card = bundle.card
    for text in (
        "Protocol `speaker`",
        f"| UAR | {100 * metrics['uar']:.1f} % |",
        "3 folds, seed 4, 90 test clips (ravdess speech) of 6 speakers",
        "augmented-random leaks",
        "| sex | female | 45 |",
        "CC BY-NC-SA 4.0",
        "Livingstone SR",
        "No hiring",
        "North American English",
        "90 clips of the corpus `ravdess`",
    ):
        assert text in card


def test_the_card_says_that_some_folds_only_were_run(
    corpus: Corpus, cache: FeatureCache, recipe: Recipe, tmp_path: Path
) -> None:
    split = make_split(corpus, "speaker", n_folds=3, seed=4)
    run = run_evaluation(recipe, corpus, split, tmp_path / "run", folds=[2], cache=cache)
    estimator = train_final(recipe, corpus, seed=4, cache=cache)
    bundle = export_bundle(estimator, recipe, corpus, tmp_path / "bundle", scores=[run.results], cache=cache)
    assert bundle.manifest.scores["speaker"]["folds"] == 1
    assert "\n1 of 3 folds, seed 4, " in (tmp_path / "bundle/README.md").read_text("utf-8")


def test_without_scores_the_card_claims_none(
    corpus: Corpus, cache: FeatureCache, recipe: Recipe, tmp_path: Path
) -> None:
    estimator = train_final(recipe, corpus, cache=cache)
    other = replace(corpus, name="mine", licence="", citation="")
    bundle = export_bundle(estimator, recipe, other, tmp_path / "bundle", cache=cache)
    assert bundle.manifest.scores == {}
    assert "This bundle was made without scores" in bundle.card
    assert "%" not in bundle.card
    assert "North American" not in bundle.card
    assert "unknown: ask the owner" in bundle.card


def test_scores_of_another_recipe_or_corpus_cannot_be_attached(
    corpus: Corpus, cache: FeatureCache, recipe: Recipe, scores: list[dict[str, Any]], tmp_path: Path
) -> None:
    estimator = train_final(recipe, corpus, cache=cache)
    bundle = export_bundle(estimator, recipe, corpus, tmp_path / "bundle", cache=cache)
    with pytest.raises(TrainingError, match="exactly its own recipe"):
        attach_scores(bundle, corpus, tmp_path / "bundle", scores=[{**scores[0], "recipe_hash": "0"}])
    with pytest.raises(BundleError, match="trained on the corpus 'ravdess', got 'mine'"):
        attach_scores(bundle, replace(corpus, name="mine"), tmp_path / "bundle", scores=scores)
    table = corpus.table
    for kept, says in (
        (table["emotion"] != "sad", "answers neutral, calm, happy, sad, .* have neutral, calm, happy, angry"),
        (table.index > 0, "was trained on 90 different recordings, and these are 89: give"),
    ):
        part = replace(corpus, table=table[kept].reset_index(drop=True))
        with pytest.raises(BundleError, match=says):
            attach_scores(bundle, part, tmp_path / "bundle", scores=scores)
    assert read_bundle(tmp_path / "bundle").manifest.scores == {}
    attached = attach_scores(bundle, corpus, tmp_path / "bundle", scores=scores)
    assert (attached.onnx, attached.clips) == (bundle.onnx, bundle.clips)
    assert set(attached.manifest.scores) == {"speaker", "augmented-random"}


def test_a_wrong_conversion_leaves_no_bundle(
    corpus: Corpus, cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of("xgboost", "n_estimators = 20", "none")
    estimator = train_final(recipe, corpus, cache=cache)
    convert = head_graph._convert
    monkeypatch.setattr(head_graph, "_convert", lambda model, width: wrong_leaf(convert(model, width)))
    with pytest.raises(BundleError, match="no bundle was written"):
        export_bundle(estimator, recipe, corpus, tmp_path / "bundle", cache=cache)
    assert not (tmp_path / "bundle").exists()


def test_scores_of_another_recipe_are_refused(recipe: Recipe, scores: list[dict[str, Any]]) -> None:
    assert set(check_scores(scores, recipe)) == {"speaker", "augmented-random"}
    with pytest.raises(TrainingError, match="of the recipe 'quick' with other contents"):
        check_scores(scores, recipe_of("logistic", "C = 2.0", "calibration"))
    with pytest.raises(TrainingError, match=r"Two results.json are of the protocol 'speaker'"):
        check_scores([scores[0], scores[0]], recipe)


def test_the_manifest_calls_nobody_a_speaker(corpus: Corpus) -> None:
    nobody = replace(corpus, table=corpus.table.assign(speaker=""))
    for heard, new in ((corpus, "speakers"), (nobody, "recordings")):
        assert f"inner models to {new} new to them" in export._calibration(load_recipe("own"), heard, 1.25)


def test_scores_on_other_recordings_are_refused(recipe: Recipe, scores: list[dict[str, Any]], corpus: Corpus) -> None:
    assert set(check_scores(scores, recipe, corpus)) == {"speaker", "augmented-random"}
    with pytest.raises(TrainingError, match=r"was measured on the corpus ravdess, the model is trained on crema_d"):
        check_scores(scores, recipe, replace(corpus, name="crema_d"))
    part = replace(corpus, table=corpus.table[corpus.table["emotion"] != "sad"].reset_index(drop=True))
    with pytest.raises(TrainingError, match=r"is of the labels .*sad.*, the model of neutral, calm, happy, angry"):
        check_scores(scores, recipe, part)
    spaced = [{**document, "corpus": f"my calls {document['corpus'].rpartition(' ')[2]}"} for document in scores]
    assert set(check_scores(spaced, recipe, replace(corpus, name="my calls"))) == {"speaker", "augmented-random"}


@pytest.mark.ravdess
def test_real_clips_go_through_unchanged(ravdess_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for path in sorted((ravdess_dir / "speech").glob("03-01-0[1356]-0[12]-01-0[12]-0[123].flac")):
        (clips / path.name).symlink_to(path)
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    corpus = read_corpus(clips, kind="ravdess")
    assert len(corpus.table) == 3 * (2 + 3 * 4)
    recipe = recipe_of("random_forest", "n_estimators = 30", "none")
    estimator = train_final(recipe, corpus)
    bundle = export_bundle(estimator, recipe, corpus, tmp_path / "bundle")
    assert bundle.manifest.labels == ("neutral", "happy", "angry", "fearful")
    recognizer = Recognizer(bundle)
    answers = [recognizer.predict(clips / name).emotion for name in corpus.table["path"]]
    assert np.mean(np.array(answers) == corpus.table["emotion"]) > 0.9  # its own training clips


@pytest.mark.ravdess
@pytest.mark.parametrize("name", ["s0-ensemble", "s1-mlp", "s3-efficient", "s4-cnn-bilstm"])
def test_recipes_in_full_size_answer_real_clips_as_their_bundles_do(
    name: str, ravdess_dir: Path, tmp_path: Path
) -> None:
    whole = read_corpus(ravdess_dir, kind="ravdess")
    speakers = sorted(whole.table["speaker"].unique())
    known = whole.table[whole.table["speaker"].isin(speakers[:4])]
    known = known.groupby(["speaker", "emotion", "channel"]).head(2).reset_index(drop=True)
    unknown = whole.table[whole.table["speaker"] == speakers[8]].groupby("emotion").head(1)["path"]
    recipe = shortened(load_recipe(name), 2)
    small = replace(whole, table=known)
    estimator = train_final(recipe, small)
    recognizer = Recognizer(export_bundle(estimator, recipe, small, tmp_path / "bundle"))
    clips = [whole.load(path) for path in unknown]
    X = fitting.as_input([recipe.front_end(clip) for clip in clips], recipe.layout)
    expected = fitting.label_probabilities(estimator, X, list(recognizer.labels))
    assert len(clips) == 8
    assert np.ptp(expected, axis=0).max() > 1e-3
    np.testing.assert_allclose([recognizer.probabilities(clip) for clip in clips], expected, atol=1e-4)
