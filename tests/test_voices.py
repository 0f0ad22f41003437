"""Enrolment by answers in training: evaluations, final models and bundles correct for voices as documented."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

import serkit
from serkit.bundle import read_bundle
from serkit.corpora import Corpus, read_corpus
from serkit.emotions import LABELS
from serkit.errors import RecipeError, TrainingError
from serkit.protocol import make_split
from serkit.training import fitting, fold, split_rows
from serkit.training.export import attach_scores, export_bundle
from serkit.training.feature_cache import ClipRequest, FeatureCache
from serkit.training.recipe import Recipe
from serkit.training.recipe_files import parse_recipe
from serkit.training.run import run_evaluation, train_final
from serkit.training.voice_adjustment import reference, reference_rows
from tests.conftest import Ser, voice
from tests.small_recipes import QUICK_TEXT

ANSWERS = '[enrolment]\nmethod = "answers"\n'
CALIBRATION = '[validation]\nuse = "calibration"\n'
QUICK = parse_recipe(QUICK_TEXT + ANSWERS)
CALIBRATED = parse_recipe(QUICK_TEXT + CALIBRATION + ANSWERS)
COLUMNS = [f"p_{label}" for label in LABELS]


@pytest.fixture(scope="module")
def corpus(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", str(tmp_path_factory.mktemp("digests")))
        return read_corpus(tiny_corpus)


def noise(text: str) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(text.encode())).normal(size=8)


def features(path: str, emotion: str, speaker: str) -> np.ndarray:
    """What the clips sound like here: the emotion, a voice, and chance."""
    return (2 * np.eye(8)[LABELS.index(emotion)] + 1.5 * noise(speaker) + noise(path)).astype(np.float32)


@pytest.fixture
def sounds(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Features made from what the true table says, without any sound; what is added to each clip's, by path."""
    shift: dict[str, float] = {}

    def compute(corpus: Corpus, clips: Sequence[ClipRequest], *args: Any, **options: Any) -> list[np.ndarray]:
        rows = corpus.table.set_index("path")
        # The emotion that is heard is that of the name, whatever the table says.
        said = {path: LABELS[int(Path(path).name.split("-")[2]) - 1] for path in rows.index}
        return [
            features(c.path, said[c.path], rows.loc[c.path, "speaker"]) * (1 + (c.chain is not None))
            + np.float32(shift.get(c.path, 0.0)) * np.eye(8, dtype=np.float32)[0]
            for c in clips
        ]

    monkeypatch.setattr(fold, "compute_features", compute)
    return shift


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The pipelines that were fitted, in order."""
    found: list[Any] = []
    fit = fitting.fit

    def spy(*args: Any, **options: Any) -> Any:
        found.append(fit(*args, **options))
        return found[-1]

    monkeypatch.setattr(fitting, "fit", spy)
    return found


def logs(pipeline: Any, rows: pd.DataFrame) -> dict[str, list[np.ndarray]]:
    """Floored log-probabilities of clips by speaker, asked of the pipeline one by one."""
    found: dict[str, list[np.ndarray]] = {}
    order = [list(pipeline.classes_).index(label) for label in LABELS]
    for row in rows.itertuples():
        (p,) = pipeline.predict_proba(features(row.path, row.emotion, row.speaker)[None])
        found.setdefault(row.speaker, []).append(np.log(np.maximum(p[order], 1e-4)))
    return found


@pytest.mark.parametrize(
    ("more", "weight", "half"),
    [
        (CALIBRATION + ANSWERS, 0.6, 5.0),
        (ANSWERS, 0.6, 5.0),
        (CALIBRATION + ANSWERS + "weight = 1.0\nseconds = 2.0\n", 1.0, 2.0),
        (CALIBRATION + ANSWERS + '[augment]\nchains = ["noise"]\n', 0.6, 5.0),
    ],
)
def test_an_evaluation_is_that_of_speaker_with_each_voice_taken_off(
    more: str, weight: float, half: float, corpus: Corpus, tmp_path: Path, sounds: dict[str, float], fitted: list[Any]
) -> None:
    recipe = parse_recipe(QUICK_TEXT + more)
    plain = run_evaluation(recipe, corpus, make_split(corpus, "speaker", n_folds=3, seed=2), tmp_path / "speaker")
    models = list(fitted)
    split = make_split(corpus, "speaker+enrolled", n_folds=3, seed=2)
    got = run_evaluation(recipe, corpus, split, tmp_path / "enrolled").predictions.set_index("path")
    before = plain.predictions.set_index("path")
    assert set(got.index) < set(before.index)
    table = corpus.table.set_index("path")
    changed = 0
    for k in range(3):
        rows = split.fold(k).merge(corpus.table[["path", "emotion", "speaker"]], on="path")
        asked = ["validation"] if "calibration" in more else ["train", "validation"]
        by_voice = logs(models[k], rows[rows["role"].isin(asked)])
        assert not set(by_voice) & set(rows.loc[rows["role"] == "test", "speaker"])
        others = np.mean([np.mean(own, axis=0) for own in by_voice.values()], axis=0)
        for speaker, clips in rows[rows["role"] == "enrol"].groupby("speaker"):
            seconds = (clips["end"] - clips["start"]).sum()
            heard = np.mean([np.log(np.maximum(before.loc[p, COLUMNS].astype(float), 1e-4)) for p in clips["path"]], 0)
            strength = weight * seconds / (seconds + half)
            for path in rows.loc[(rows["role"] == "test") & (rows["speaker"] == speaker), "path"]:
                z = np.log(before.loc[path, COLUMNS].to_numpy(float)) - strength * (heard - others)
                p = np.exp(z) / np.exp(z).sum()
                np.testing.assert_allclose(got.loc[path, COLUMNS].to_numpy(float), p, rtol=1e-6, atol=1e-12)
                assert got.loc[path, "predicted"] == LABELS[int(p.argmax())]
                assert got.loc[path, "confidence"] == pytest.approx(p.max())
                assert got.loc[path, "emotion"] == table.loc[path, "emotion"]
                changed += got.loc[path, "predicted"] != before.loc[path, "predicted"]
    assert changed > 0


def test_the_standard_is_to_standardise(corpus: Corpus, tmp_path: Path, sounds: dict[str, float]) -> None:
    split = make_split(corpus, "speaker+enrolled", n_folds=3)
    texts = QUICK_TEXT, QUICK_TEXT + '[enrolment]\nmethod = "standardise"\n', QUICK_TEXT + ANSWERS
    tables = [
        run_evaluation(parse_recipe(text), corpus, split, tmp_path / str(i)).predictions for i, text in enumerate(texts)
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    assert not np.allclose(tables[0][COLUMNS], tables[2][COLUMNS], atol=0.05)
    # Other protocols have no voice to take off.
    split = make_split(corpus, "speaker", n_folds=3)
    tables = [
        run_evaluation(parse_recipe(text), corpus, split, tmp_path / f"speaker {i}").predictions
        for i, text in enumerate(texts)
    ]
    pd.testing.assert_frame_equal(tables[0], tables[2], check_exact=True)


def test_test_labels_and_other_test_clips_have_no_say(corpus: Corpus, tmp_path: Path, sounds: dict[str, float]) -> None:
    split = make_split(corpus, "speaker+enrolled", n_folds=3)
    fold = split.fold(0)
    held = corpus.table["path"].isin(fold.loc[fold["role"].isin(["test", "enrol"]), "path"])
    table = corpus.table.copy()
    table.loc[held, "emotion"] = np.roll(table.loc[held, "emotion"].to_numpy(), 1)
    sources = {"true": corpus, "false labels": replace(corpus, table=table), "test": corpus, "enrol": corpus}
    found = {}
    strange = {role: fold.loc[fold["role"] == role, "path"].iloc[0] for role in ("test", "enrol")}
    for name, source in sources.items():
        sounds.clear()
        sounds.update({strange[name]: 50.0} if name in strange else {})
        run_evaluation(CALIBRATED, source, split, tmp_path / name)
        found[name] = pd.read_csv(tmp_path / name / "folds/fold-0/predictions.csv").set_index("path")[COLUMNS]
    assert found["false labels"].equals(found["true"])
    changed = {role: found["true"].index[(found[role] != found["true"]).any(axis=1)] for role in strange}
    assert list(changed["test"]) == [strange["test"]]
    speakers = corpus.table.set_index("path")["speaker"]
    own = [path for path in found["true"].index if speakers[path] == speakers[strange["enrol"]]]
    assert sorted(changed["enrol"]) == sorted(own)


# ---------------------------------------------------------------------------------------------- the reference


def test_every_voice_counts_the_same() -> None:
    p = np.array([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    got = reference(p, ["a/1", "a/1", "b/1"])
    wanted = [(np.log(0.5) + np.log(0.25)) / 4, (np.log(0.5) + np.log(0.75)) / 4 + np.log(1e-4) / 2]
    np.testing.assert_allclose(got, wanted)


def test_voices_of_corpora_that_lack_labels_are_no_reference() -> None:
    rows = pd.DataFrame(
        {
            "role": ["train", "validation", "validation", "validation", "test", "enrol"],
            "copy": [0, 0, 0, 1, 0, 0],
            "corpus": ["a", "a", "b", "a", "a", "a"],
            "speaker": ["1", "2", "3", "2", "4", "4"],
        }
    )
    given = {"a": np.array([True, True]), "b": np.array([True, False])}
    assert reference_rows(rows, CALIBRATED, None).tolist() == [False, True, True, False, False, False]
    assert reference_rows(rows, CALIBRATED, given).tolist() == [False, True, False, False, False, False]
    assert reference_rows(rows, QUICK, given).tolist() == [True, True, False, False, False, False]


def test_corpora_that_all_lack_labels(corpus: Corpus, tmp_path: Path, sounds: dict[str, float]) -> None:
    table = corpus.table
    first = table["speaker"].isin(sorted(set(table["speaker"]))[:3])
    table = table[first & (table["emotion"] != "calm") | ~first & (table["emotion"] != "sad")]
    table = table.assign(corpus=np.where(table["speaker"].isin(set(corpus.table["speaker"][first])), "a", "b"))
    two = replace(corpus, table=table.reset_index(drop=True))
    split = make_split(two, "speaker+enrolled", n_folds=3)
    with pytest.raises(TrainingError, match=r"Fold 0 has no voice to compare with, .* 'standardise'"):
        run_evaluation(CALIBRATED, two, split, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    run_evaluation(parse_recipe(QUICK_TEXT + CALIBRATION), two, split, tmp_path / "run")
    assert train_final(CALIBRATED, two).enrolment_ == {}


# ---------------------------------------------------------------------------------------------- final models


def test_the_final_reference_is_of_voices_that_the_fit_did_not_hear(
    corpus: Corpus, sounds: dict[str, float], fitted: list[Any]
) -> None:
    final = train_final(CALIBRATED, corpus, seed=1)
    first, second = fitted
    assert final is second
    roles = split_rows.final_roles(corpus, 1)
    by_voice = logs(first, corpus.table[roles == "validation"])
    wanted = np.mean([np.mean(own, axis=0) for own in by_voice.values()], axis=0)
    assert (final.enrolment_["weight"], final.enrolment_["seconds"]) == (0.6, 5.0)
    assert list(final.enrolment_["reference"]) == list(LABELS)
    np.testing.assert_allclose(list(final.enrolment_["reference"].values()), wanted, rtol=1e-6)
    # Without validation, as in the evaluation: the voices that it learnt from.
    alone = train_final(QUICK, corpus)
    by_voice = logs(alone, corpus.table)
    assert len(by_voice) == 6
    wanted = np.mean([np.mean(own, axis=0) for own in by_voice.values()], axis=0)
    np.testing.assert_allclose(list(alone.enrolment_["reference"].values()), wanted, rtol=1e-6)


@pytest.mark.parametrize("speaker", ["", "01"])
@pytest.mark.parametrize("recipe", [QUICK, CALIBRATED])
def test_without_voices_to_compare_there_is_no_enrolment(
    recipe: Recipe, speaker: str, corpus: Corpus, sounds: dict[str, float]
) -> None:
    assert train_final(recipe, replace(corpus, table=corpus.table.assign(speaker=speaker))).enrolment_ == {}


def test_from_recipe_to_profile(corpus: Corpus, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "features")
    final = train_final(CALIBRATED, corpus, seed=4, cache=cache)
    bundle = export_bundle(final, CALIBRATED, corpus, tmp_path / "bundle", seed=4, cache=cache)
    assert bundle.manifest.enrolment == final.enrolment_
    assert json.loads((tmp_path / "bundle/manifest.json").read_text())["enrolment"] == final.enrolment_
    assert "approaches 0.6 of the bias" in bundle.card
    assert "after\n5 s it is half of that" in bundle.card
    assert attach_scores(bundle, corpus, tmp_path / "bundle", scores=[]).manifest.enrolment == final.enrolment_
    recognizer = serkit.load(tmp_path / "bundle")
    speaker = corpus.table["speaker"].iloc[0]
    paths = [corpus.root / path for path in corpus.table.loc[corpus.table["speaker"] == speaker, "path"]]
    who = recognizer.enrol(*paths[:9])
    plain = np.array([list(recognizer.predict(path).probabilities.values()) for path in paths])
    own = np.log(np.maximum(plain[:9], 1e-4)).mean(0)
    np.testing.assert_allclose(list(who.log_probabilities.values()), own, atol=1e-6)
    assert (who.utterances, who.seconds) == (9, 9.0)
    z = np.log(plain[9:]) - 0.6 * 9 / 14 * (own - np.array(list(final.enrolment_["reference"].values())))
    got = np.array([list(answer.probabilities.values()) for answer in recognizer.predict(paths[9:], speaker=who)])
    np.testing.assert_allclose(got, np.exp(z) / np.exp(z).sum(1, keepdims=True), atol=1e-5)
    plain_recipe = parse_recipe(QUICK_TEXT + CALIBRATION)
    other = export_bundle(
        train_final(plain_recipe, corpus, cache=cache), plain_recipe, corpus, tmp_path / "other", cache=cache
    )
    assert other.manifest.enrolment == {}
    assert "Enrolment" not in other.card


def test_ser_train_says_that_a_model_does_not_enrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ser: Ser) -> None:
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    for emotion, label in ((3, "happy"), (4, "sad")):
        (tmp_path / "data" / label).mkdir(parents=True)
        for k in range(4):
            sf.write(tmp_path / "data" / label / f"{k}.wav", voice(emotion, k), 16000)
    (tmp_path / "mine.toml").write_text(QUICK_TEXT + ANSWERS)
    words = ["train", tmp_path / "mine.toml", "--data", tmp_path / "data", "--kind", "folders", "--out", tmp_path / "b"]
    code, _, err = ser(*words, "--jobs", "1")
    assert not code
    assert "It cannot enrol voices: that needs two or more speakers" in err
    assert read_bundle(tmp_path / "b").manifest.enrolment == {}


# ---------------------------------------------------------------------------------------------- recipes


def test_hashes_of_recipes_without_the_section_stay() -> None:
    manifest = read_bundle("default").manifest  # written before there was one
    assert parse_recipe(manifest.recipe).hash == manifest.recipe_hash
    base = parse_recipe(QUICK_TEXT).hash
    assert parse_recipe(QUICK_TEXT + '[enrolment]\nmethod = "standardise"\n').hash == base
    hashes = {parse_recipe(QUICK_TEXT + ANSWERS + more).hash for more in ("", "weight = 0.7\n", "seconds = 6.0\n")}
    assert len({base, *hashes}) == 4
    assert parse_recipe(QUICK_TEXT + ANSWERS + "weight = 0.6\n").hash == parse_recipe(QUICK_TEXT + ANSWERS).hash


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[enrolment]\nmethod = "answer"\n', r"'enrolment.method': .*'answers', got 'answer'"),
        ("[enrolment]\nmetod = 1\n", r"unknown key 'metod' in \[enrolment\]: did you mean 'method'\?"),
        ("[enrolment]\nweight = 0.5\n", r"\[enrolment\] weight belongs to method 'answers', got method 'standardise'"),
        (ANSWERS + "weight = 0.0\n", r"'enrolment.weight': .*greater than 0, got 0.0"),
        (ANSWERS + "weight = 60\n", r"'enrolment.weight': .*less than or equal to 2, got 60"),
        (ANSWERS + "seconds = -1.0\n", r"'enrolment.seconds': .*greater than 0, got -1.0"),
        (ANSWERS + "seconds = inf\n", r"'enrolment.seconds': .*finite.*, got inf"),
    ],
)
def test_a_mistake_in_the_section_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        parse_recipe(QUICK_TEXT + text)
