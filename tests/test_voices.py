"""Adaptation in training: views of clips, voices and places heard before the test, voices kept unheard, and bundles."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
import pytest

import serkit
from serkit.bundle import Bundle
from serkit.bundle.clips import known_clips
from serkit.corpora import Corpus, read_corpus
from serkit.corpora.registry import published
from serkit.corpora.table import voice_names
from serkit.errors import BundleError, RecipeError, TrainingError
from serkit.protocol import Split, make_split
from serkit.training import export, fitting, fold
from serkit.training.card import model_card
from serkit.training.export import attach_scores, export_bundle
from serkit.training.feature_cache import ClipRequest, FeatureCache
from serkit.training.recipe import Recipe
from serkit.training.recipe_files import parse_recipe
from serkit.training.run import run_evaluation, train_final
from tests.conftest import Ser
from tests.small_recipes import HUB, QUICK_TEXT, weights_hash
from tests.test_protocol import corpus_of

ENCODER = f"""
name = "adaptive"
description = "An encoder with random weights, which adapts"
scale = "none"
[encoder]
name = "{HUB.as_posix()}"
sha256 = "{weights_hash(HUB)}"
blocks = [1, 3]
precision = "int8"
"""
ADAPTATION = "[adaptation]\nprior = 2.0\ncaution = 0.0\n"
TEXT = ENCODER + '[model]\nname = "softmax"\n' + ADAPTATION
CALIBRATION = '[validation]\nuse = "calibration"\n'
ADAPTIVE = parse_recipe(TEXT)
EMOTIONS = ("calm", "happy", "sad", "angry")
COLUMNS = [f"p_{label}" for label in EMOTIONS]
ALIKE = {"speaker+enrolled": ["corpus", "speaker"], "corpus+adapted": ["corpus"]}


def with_top(recipe: str, *lines: str) -> str:
    """The recipe's text with more keys in front of its sections."""
    return "\n".join(lines) + recipe


def two(names: str = "ab") -> Corpus:
    """Corpora a and b, or others, of six voices each, with the same names and the same labels."""
    return corpus_of(
        [
            {
                "path": f"{corpus}/{speaker}-{emotion}-{i}.wav",
                "emotion": emotion,
                "speaker": f"s{speaker}",
                "sex": "female" if speaker % 2 else "male",
                "corpus": corpus,
                "audio_hash": f"{corpus} {speaker} {emotion} {i}",
            }
            for corpus in names
            for speaker in range(6)
            for emotion in EMOTIONS
            for i in range(3)
        ]
    )


def noise(text: str) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(text.encode())).normal(size=8)


def heard(path: str) -> np.ndarray:
    """What a clip sounds like: its emotion, its voice, its place, and chance."""
    corpus, name = path.split("/")
    speaker, emotion, _ = name.split("-")
    said = 2 * np.eye(8)[EMOTIONS.index(emotion)] + 0.4 * noise(path)
    return (said + 1.5 * noise(f"{corpus} {speaker}") + 3 * noise(f"place {corpus}")).astype(np.float32)


@pytest.fixture
def sounds(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Features without any sound; what is added to those of a path or voice. Altered copies are 1000 away."""
    shift: dict[str, float] = {}

    def compute(corpus: Corpus, clips: Sequence[ClipRequest], *args: Any, **options: Any) -> list[np.ndarray]:
        keys = [(c.path, c.path.split("-")[0]) for c in clips]
        more = [1000.0 * (c.chain is not None) for c in clips]
        moved = [m + sum(shift.get(key, 0.0) for key in pair) for m, pair in zip(more, keys, strict=True)]
        return [heard(c.path) + np.float32(m) for c, m in zip(clips, moved, strict=True)]

    monkeypatch.setattr(fold, "compute_features", compute)
    return shift


class Fits(list[Any]):
    """The fitted pipelines in order, and what each was given."""

    def __init__(self) -> None:
        super().__init__()
        self.X: list[np.ndarray] = []
        self.validation: list[np.ndarray | None] = []


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Fits:
    found, fit = Fits(), fitting.fit

    def spy(pipeline: Any, X: np.ndarray, y: np.ndarray, *, validation: Any, **options: Any) -> Any:
        found.X.append(X)
        found.validation.append(None if validation is None else validation[0])
        found.append(fit(pipeline, X, y, validation=validation, **options))
        return found[-1]

    monkeypatch.setattr(fitting, "fit", spy)
    return found


def with_facts(split: Split, corpus: Corpus, k: int) -> pd.DataFrame:
    facts = corpus.table[["path", "emotion", "speaker", "corpus"]]
    return split.fold(k).merge(facts, on="path").sort_values("path")


def usual(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance that a stranger of a model trained on `rows` is standardised by."""
    means, variances = [], []
    for _, place in rows.groupby("corpus"):
        means.append(np.mean([heard(path) for path in place["path"]], axis=0, dtype=np.float64))
        within = [
            np.var([heard(p) for p in own["path"]], axis=0, dtype=np.float64) for _, own in place.groupby("speaker")
        ]
        variances.append(np.mean(within, axis=0))
    return np.mean(means, axis=0), np.mean(variances, axis=0)


def labelled(model: Any, Z: np.ndarray) -> np.ndarray:
    order = [list(model.classes_).index(label) for label in EMOTIONS]
    return np.asarray(model.predict_proba(Z.astype(np.float32)))[:, order]


# ---------------------------------------------------------------------------------------------- evaluations


@pytest.mark.parametrize("protocol", ["speaker", "speaker+enrolled", "corpus", "corpus+adapted"])
def test_each_voice_or_place_is_answered_after_its_clips_were_heard(
    protocol: str, tmp_path: Path, sounds: dict[str, float], fits: Fits
) -> None:
    corpus = two()
    split = make_split(corpus, protocol, n_folds=3, seed=2, n_adapt=9)
    got = run_evaluation(ADAPTIVE, corpus, split, tmp_path / "run").predictions.set_index("path")
    tested = 0
    for k in range(split.n_folds):
        rows = with_facts(split, corpus, k)
        mean, variance = usual(rows[rows["role"].isin(["train", "validation"])])
        for _, clips in rows[rows["role"] == "test"].groupby(ALIKE.get(protocol, ["corpus"])):
            m, v = mean, variance
            if protocol in ALIKE:
                own = rows[rows["role"] == "enrol"].merge(clips[ALIKE[protocol]].drop_duplicates())
                X = np.array([heard(path) for path in own["path"]], dtype=np.float64)
                weight = len(own) / (len(own) + 2.0)
                assert len(own) >= 3
                m, v = weight * X.mean(0) + (1 - weight) * mean, weight * X.var(0) + (1 - weight) * variance
            Z = (np.array([heard(path) for path in clips["path"]]) - m) / np.sqrt(v)
            found = got.loc[clips["path"], COLUMNS].to_numpy(dtype=float)
            np.testing.assert_allclose(found, labelled(fits[k], Z), atol=1e-5)
            tested += len(clips)
    assert tested == len(got)


@pytest.mark.parametrize(("plain", "adapted"), [("speaker", "speaker+enrolled"), ("corpus", "corpus+adapted")])
def test_the_same_model_answers_strangers_and_those_it_heard_and_these_better(
    plain: str, adapted: str, tmp_path: Path, sounds: dict[str, float], fits: Fits
) -> None:
    corpus = two()
    accuracy = []
    for protocol in (plain, adapted):
        split = make_split(corpus, protocol, n_folds=3, n_adapt=24)
        accuracy.append(run_evaluation(ADAPTIVE, corpus, split, tmp_path / protocol).results["metrics"]["accuracy"])
    half = len(fits) // 2
    for one, other in zip(fits[:half], fits[half:], strict=True):
        np.testing.assert_array_equal(one.steps[-1][1].coef_, other.steps[-1][1].coef_)
    assert accuracy[1] > accuracy[0] + 0.05


@pytest.mark.parametrize("protocol", ["speaker+enrolled", "corpus+adapted"])
def test_test_labels_and_other_test_clips_have_no_say(protocol: str, tmp_path: Path, sounds: dict[str, float]) -> None:
    corpus = two()
    split = make_split(corpus, protocol, n_folds=3, n_adapt=9)
    rows = with_facts(split, corpus, 0).set_index("path")
    held = corpus.table["path"].isin(rows.index[rows["role"].isin(["test", "enrol"])])
    table = corpus.table.copy()
    table.loc[held, "emotion"] = np.roll(table.loc[held, "emotion"].to_numpy(), 1)
    strange = {role: str(rows.index[rows["role"] == role][0]) for role in ("test", "enrol")}
    found = {}
    for name in ("true", "false labels", "test", "enrol"):
        sounds.clear()
        sounds.update({strange[name]: 50.0} if name in strange else {})
        source = replace(corpus, table=table) if name == "false labels" else corpus
        run_evaluation(parse_recipe(TEXT + CALIBRATION), source, split, tmp_path / name, folds=[0])
        found[name] = pd.read_csv(tmp_path / name / "folds/fold-0/predictions.csv").set_index("path")[COLUMNS]
    assert found["false labels"].equals(found["true"])
    changed = {role: found["true"].index[(found[role] != found["true"]).any(axis=1)] for role in strange}
    assert list(changed["test"]) == [strange["test"]]
    keys = ALIKE[protocol]
    alike = (rows[keys] == rows.loc[strange["enrol"], keys]).all(axis=1) & (rows["role"] == "test")
    assert sorted(changed["enrol"]) == sorted(rows.index[alike])


def test_validation_clips_are_strangers_and_altered_copies_too(
    tmp_path: Path, sounds: dict[str, float], fits: Fits
) -> None:
    corpus = two()
    split = make_split(corpus, "speaker+enrolled", n_folds=3)
    recipe = parse_recipe(TEXT + CALIBRATION + '[augment]\nchains = ["noise", "gain"]\n')
    run_evaluation(recipe, corpus, split, tmp_path / "run", folds=[0])
    rows = with_facts(split, corpus, 0)
    train, validation = (rows[rows["role"] == role] for role in ("train", "validation"))
    mean, variance = usual(train)
    expected = (np.array([heard(path) for path in validation["path"]]) - mean) / np.sqrt(variance)
    assert fits.validation[0] is not None
    np.testing.assert_allclose(fits.validation[0], expected, atol=1e-5)
    # Each clip in three views, its two copies in one.
    assert len(fits.X[0]) == 5 * len(train)
    assert (fits.X[0][:, 0] > 100).sum() == 2 * len(train)


# ---------------------------------------------------------------------------------------------- voices kept unheard


@pytest.mark.parametrize("protocol", ["random", "speaker", "speaker+enrolled", "corpus", "corpus+adapted"])
@pytest.mark.parametrize("more", ["", CALIBRATION])
def test_unheard_voices_never_train_or_validate_and_are_tested(
    protocol: str, more: str, tmp_path: Path, sounds: dict[str, float], fits: Fits
) -> None:
    corpus = two("abc")
    split = make_split(corpus, protocol, n_folds=3, n_adapt=9)
    rows = with_facts(split, corpus, 0)
    voice = sorted(voice_names(rows[rows["role"] == "validation"]))[0]
    recipe = parse_recipe(with_top(TEXT, f'unheard = ["{voice}"]') + more)
    sounds[voice.replace("/s", "/")] = 1e4
    run = run_evaluation(recipe, corpus, split, tmp_path / "run")
    for X in (*fits.X, *(found for found in fits.validation if found is not None)):
        assert np.abs(X).max() < 100
    tests = split.table[split.table["role"] == "test"]
    assert set(run.predictions["path"]) == set(tests["path"])
    assert voice in set(voice_names(run.predictions))


def test_a_fold_that_would_validate_by_unheard_voices_alone_says_so(tmp_path: Path, sounds: dict[str, float]) -> None:
    corpus = two("a")
    split = make_split(corpus, "speaker", n_folds=3)
    rows = with_facts(split, corpus, 1)
    (voice,) = set(voice_names(rows[rows["role"] == "validation"]))
    text = with_top(TEXT, f'unheard = ["{voice}"]')
    with pytest.raises(TrainingError, match=r"Fold 1 has no clip to validate with .* unheard: .*another seed"):
        run_evaluation(parse_recipe(text + CALIBRATION), corpus, split, tmp_path / "run", folds=[1])
    assert not (tmp_path / "run").exists()
    assert len(run_evaluation(parse_recipe(text), corpus, split, tmp_path / "run", folds=[1]).predictions)


@pytest.mark.parametrize("more", ["", CALIBRATION])
def test_a_final_model_never_hears_them(more: str, sounds: dict[str, float], fits: Fits) -> None:
    corpus = two()
    sounds["a/3"] = 1e4
    final = train_final(parse_recipe(with_top(TEXT, 'unheard = ["a/s3"]') + more), corpus)
    kept = corpus.table[voice_names(corpus.table) != "a/s3"]
    mean, variance = usual(kept)
    np.testing.assert_allclose(final.reference_.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(final.reference_.deviation, np.sqrt(variance), rtol=1e-6)
    assert max(final.familiarity_["distances"]) < 100
    assert all(np.abs(X).max() < 100 for X in fits.X)
    assert len(fits.X[-1]) == 3 * len(kept)
    assert len(fits) == (2 if more else 1)


def test_an_unheard_voice_that_is_not_there_is_one_sentence(tmp_path: Path, sounds: dict[str, float]) -> None:
    corpus = two()
    recipe = parse_recipe(with_top(TEXT, 'unheard = ["a/s1", "a/s9"]'))
    message = r"'a/s9' cannot be left unheard: the corpus a has no such voice\. Expected a corpus and one"
    with pytest.raises(RecipeError, match=message):
        run_evaluation(recipe, corpus, make_split(corpus, "speaker", n_folds=3), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(RecipeError, match=message):
        train_final(recipe, corpus)


# ---------------------------------------------------------------------------------------------- recipes


def test_the_hash_follows_what_changes_numbers() -> None:
    base = parse_recipe(ENCODER + '[model]\nname = "softmax"\n').hash
    assert parse_recipe(with_top(TEXT, "min_confidence = 0.4")).hash == ADAPTIVE.hash
    others = TEXT.replace("2.0", "8.0"), with_top(TEXT, 'unheard = ["a/s1"]')
    assert len({base, ADAPTIVE.hash, *(parse_recipe(text).hash for text in others)}) == 4
    assert parse_recipe(TEXT.replace("prior = 2.0", "")).hash == parse_recipe(others[0]).hash


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TEXT.replace("2.0", "0.0"), r"'adaptation.prior': .*greater than 0, got 0.0"),
        (TEXT.replace("2.0", "inf"), r"'adaptation.prior': .*finite.*, got inf"),
        (TEXT.replace("prior", "pior"), r"unknown key 'pior' in \[adaptation\]: did you mean 'prior'\?"),
        (QUICK_TEXT + ADAPTATION, r"\[adaptation\] works on the embedding of an encoder, of layout 'mean_std'"),
        (
            ENCODER.replace('scale = "none"', "") + 'layout = "frames"\n[model]\nname = "cnn"\n' + ADAPTATION,
            r"\[adaptation\] works on the embedding of an encoder, of layout 'mean_std'",
        ),
        (with_top(TEXT, "min_confidence = 1.0"), r"'min_confidence': .*less than 1, got 1.0"),
        (with_top(TEXT, "min_confidence = 0.0"), r"'min_confidence': .*greater than 0, got 0.0"),
        (TEXT + "[enrolment]\n", r"unknown key 'enrolment' in the top level"),
    ],
)
def test_a_mistake_in_a_recipe_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        parse_recipe(text)


# ---------------------------------------------------------------------------------------------- from sound to bundles

NETWORK = '[model]\nname = "linear_network"\nparams = { hidden = 8, epochs = 3, batch_size = 64 }\n'
SHIPPED = with_top(
    ENCODER + NETWORK + '[balance]\nkind = "class_weight"\n[adaptation]\nprior = 2.0\n',
    'unheard = ["crema_d/1003"]',
    "min_confidence = 0.999",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def joined(both: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", str(tmp_path_factory.mktemp("digests")))
        return read_corpus(both, kind="ravdess+crema_d")


@pytest.fixture(scope="module")
def shipped(
    joined: Corpus, cache: FeatureCache, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recipe, Any, Bundle]:
    recipe = parse_recipe(SHIPPED)
    final = train_final(recipe, joined, seed=4, cache=cache)
    folder = tmp_path_factory.mktemp("bundles") / "adaptive"
    return recipe, final, export_bundle(final, recipe, joined, folder, seed=4, cache=cache)


def embeddings(recipe: Recipe, corpus: Corpus, rows: pd.DataFrame) -> np.ndarray:
    return np.stack([recipe.front_end(corpus.load(row)) for _, row in rows.iterrows()])


def asked(answers: Any) -> np.ndarray:
    return np.array([list(answer.probabilities.values()) for answer in answers])


def test_the_manifest_says_what_the_graph_can(joined: Corpus, shipped: tuple[Recipe, Any, Bundle]) -> None:
    recipe, final, bundle = shipped
    manifest = bundle.manifest
    assert manifest.adaptation == {"size": 64}
    assert manifest.familiarity == final.familiarity_
    assert len(manifest.familiarity["distances"]) == 101
    assert (manifest.min_confidence, manifest.recipe_hash) == (0.999, recipe.hash)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    graph = ort.InferenceSession(bundle.onnx, options)
    assert [value.name for value in graph.get_inputs()] == ["waveform"]
    assert [value.name for value in graph.get_overridable_initializers()] == ["mean", "deviation", "heard"]
    assert [value.name for value in graph.get_outputs()] == ["probabilities", "embedding", "distance"]
    unheard = voice_names(joined.table) == "crema_d/1003"
    assert unheard.sum() == 18
    assert bundle.clips is not None
    assert not any(known_clips(bundle.clips, joined.table["audio_hash"][unheard]))
    assert all(known_clips(bundle.clips, joined.table["audio_hash"][~unheard]))


def test_a_profile_gives_the_answers_of_the_estimator(joined: Corpus, shipped: tuple[Recipe, Any, Bundle]) -> None:
    recipe, final, bundle = shipped
    recognizer = serkit.load(bundle.path)
    own = joined.table[voice_names(joined.table) == "crema_d/1003"]
    X = embeddings(recipe, joined, own)
    paths = [joined.root / path for path in own["path"]]
    who = recognizer.enrol(*paths[:9])
    assert (who.utterances, who.seconds) == (9, pytest.approx(5.4))
    np.testing.assert_allclose(who.mean, X[:9].mean(0), rtol=1e-4, atol=1e-4)
    labels = list(recognizer.labels)
    strangers, usual = final.reference_.standardise(X), final.reference_

    def answers(Z: np.ndarray) -> np.ndarray:
        return np.asarray(final.distance_.soften(fitting.label_probabilities(final, Z, labels), strangers))

    plain, adapted = answers(strangers), answers(usual.standardise(X, X[:9]))
    np.testing.assert_allclose(asked(recognizer.predict(paths)), plain, atol=1e-4)
    found = asked(recognizer.predict(paths, profile=who))
    # A profile is rounded to five digits, and this encoder's values are up to a thousand times their deviation: the
    # answers are those of the estimator for the rounded values, and near those for the exact ones.
    mean = 9 / 11 * who.mean + 2 / 11 * usual.mean
    deviation = np.sqrt(9 / 11 * np.square(who.deviation, dtype=float) + 2 / 11 * np.square(usual.deviation))
    Z = ((X - mean) / deviation).astype(np.float32)
    np.testing.assert_allclose(found, answers(Z), atol=1e-4)
    np.testing.assert_allclose(found, adapted, atol=2e-3)
    assert np.abs(adapted - plain).max() > 0.02


def test_answers_tell_how_familiar_a_clip_is(joined: Corpus, shipped: tuple[Recipe, Any, Bundle]) -> None:
    recipe, final, bundle = shipped
    rows = joined.table.iloc[::20]
    Z = final.reference_.standardise(embeddings(recipe, joined, rows))
    expected = [bundle.manifest.familiarity_of(float(d)) for d in final.distance_(Z)]
    answers = serkit.load(bundle.path).predict([joined.root / path for path in rows["path"]])
    assert [answer.familiarity for answer in answers] == pytest.approx(expected, abs=0.01)
    assert np.mean(expected) > 0.5  # clips of the training


def test_the_recipes_confidence_is_the_default_and_callers_may_ask_for_another(
    joined: Corpus, shipped: tuple[Recipe, Any, Bundle]
) -> None:
    recognizer = serkit.load(shipped[2].path)
    path = joined.root / joined.table["path"][0]
    unsure, sure = recognizer.predict(path), recognizer.predict(path, min_confidence=0.0)
    assert (unsure.answer, unsure.emotion) == ("unsure", None)
    assert sure.emotion == max(sure.probabilities, key=lambda label: sure.probabilities[label])
    assert unsure.probabilities == sure.probabilities


def test_the_card_says_who_was_never_heard_and_how_it_adapts(
    joined: Corpus, shipped: tuple[Recipe, Any, Bundle], tmp_path: Path
) -> None:
    card = shipped[2].card
    assert "Trained on 144 of the 162 clips of the corpus `ravdess+crema_d` (144 speech; 9 speakers;" in card
    assert "It never heard these voices: crema_d/1003." in card
    assert "Adaptation: the model can adapt to a voice, by 3 to 30 s of it, or to a place, by 20 or more" in card
    assert "if all of it is in one mood" in card
    assert "actors who play emotions (North American English)" in card
    again = attach_scores(shipped[2], joined, tmp_path / "again", scores=[])
    assert again.card == card
    assert again.manifest.adaptation == {"size": 64}


def test_cards_of_other_models_say_only_what_holds(joined: Corpus, shipped: tuple[Recipe, Any, Bundle]) -> None:
    manifest = replace(shipped[2].manifest, adaptation={}, citation="")

    def card(name: str) -> str:
        return model_card(manifest, parse_recipe(QUICK_TEXT), replace(joined, name=name), {})

    plain = card("ravdess+crema_d")
    assert "Trained on all 162 clips" in plain
    assert "Adaptation" not in plain
    assert "never heard" not in plain
    acted = [name for name, corpus in published().items() if corpus.acted]
    assert "(Bangla, North American English, Russian). Training included no\n  spontaneous" in card(
        "crema_d+banglaser+resd"
    )
    for name in acted:
        assert "in a quiet room" in card(name)
    mixed = card("ravdess+emospeech")
    assert "Many of the voices are actors" in mixed
    for alone in (mixed, card("mine")):
        assert "quiet room" not in alone
        assert "English" not in alone


def test_a_graph_that_adapts_in_another_way_is_not_written(
    joined: Corpus,
    cache: FeatureCache,
    shipped: tuple[Recipe, Any, Bundle],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe, final, _ = shipped
    right = export.adaptive_graph
    monkeypatch.setattr(
        export, "adaptive_graph", lambda usual, distance: right(replace(usual, prior=9.0), distance)
    )  # a stranger's answers stay
    with pytest.raises(BundleError, match="differs from the trained one by"):
        export_bundle(final, recipe, joined, tmp_path / "bundle", cache=cache)
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_without_the_section_does_not_adapt(joined: Corpus, cache: FeatureCache, tmp_path: Path) -> None:
    recipe = parse_recipe(ENCODER + '[model]\nname = "softmax"\n')
    bundle = export_bundle(train_final(recipe, joined, cache=cache), recipe, joined, tmp_path / "b", cache=cache)
    assert (bundle.manifest.adaptation, bundle.manifest.familiarity, bundle.manifest.min_confidence) == ({}, {}, None)
    assert "Adaptation" not in bundle.card


def test_an_evaluation_of_voices_heard_before(joined: Corpus, cache: FeatureCache, tmp_path: Path) -> None:
    split = make_split(joined, "speaker+enrolled", n_folds=2)
    run = run_evaluation(parse_recipe(SHIPPED), joined, split, tmp_path / "run", cache=cache)
    tests = split.table[split.table["role"] == "test"]
    assert set(run.predictions["path"]) == set(tests["path"])
    assert set(run.results["metrics"]["groups"]["corpus"]) == {"ravdess", "crema_d"}
    curves = json.loads((tmp_path / "run/folds/fold-0/curves.json").read_text("utf-8"))["epochs"]
    assert [row["epoch"] for row in curves] == [1, 2, 3]
    assert "1003" in set(run.predictions["speaker"])


def test_ser_evaluates_places_that_were_heard_before(
    both: Path, tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch, ser: Ser
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERKIT_CACHE", str(shared_cache))
    Path("adaptive.toml").write_text(SHIPPED, "utf-8")
    words = ["evaluate", "adaptive.toml", "--data", both, "--corpus", "ravdess+crema_d", "--out", "run", "--jobs", "1"]
    code, out, err = ser(*words, "--protocol", "corpus+adapted", "--adapt-clips", "20")
    assert code == 0, err
    results = json.loads(Path("run/results.json").read_text("utf-8"))
    assert results["adapted"] == {"crema_d": 20, "ravdess": 20}
    assert results["metrics"]["n_clips"] == 162 - 40 - outside(Path("run/split.csv"))
    assert "Report: run/report.html" in out
    wrong = SHIPPED.replace("crema_d/1003", "crema_d/1030")
    Path("wrong.toml").write_text(wrong, "utf-8")
    code, _, err = ser("train", "wrong.toml", "--data", both, "--corpus", "ravdess+crema_d", "--out", "bundle")
    assert code == 2
    assert "'crema_d/1030' cannot be left unheard: the corpus crema_d has no such voice" in err
    assert not Path("bundle").exists()


def outside(path: Path) -> int:
    """Clips of a left-out corpus whose label no other corpus teaches."""
    return int((Split.from_csv(path).table["role"] == "outside").sum())
