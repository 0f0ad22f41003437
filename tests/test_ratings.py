"""Numbers as targets: from a table of ratings to a bundle that answers numbers."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

import serkit
from serkit.agreement import concordance, correlation, rmse
from serkit.bundle import Manifest, read_bundle
from serkit.corpora.tables import number
from serkit.errors import BundleError, CorpusError, SerkitError, TrainingError
from serkit.evaluation.ratings import rate
from serkit.evaluation.ratings_svg import ratings_svg
from serkit.models.rating import RatingRegression
from serkit.training.rating_plan import plan_ratings
from tests.conftest import Ser, call_ser, voice
from tests.small_recipes import shrunk

series = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=3, max_size=20)


def test_concordance_is_lins() -> None:
    """Lin (1989) by hand: t 1 2 3 4 5, g 2 2 4 4 6: cov 2.0, variances 2 and 2.24, means 3 and 3.6."""
    t, g = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 2, 4, 4, 6])
    assert concordance(t, g) == pytest.approx(2 * 2.0 / (2 + 2.24 + 0.36))
    assert correlation(t, g) == pytest.approx(np.corrcoef(t, g)[0, 1])
    assert rmse(t, g) == pytest.approx(np.sqrt(3 / 5))


@given(series, st.floats(-5, 5), st.floats(0.2, 5))
def test_shift_and_spread_lower_concordance_but_not_correlation(values: list[float], by: float, times: float) -> None:
    t = np.array(values)
    if t.std() < 0.01:
        return
    g = t * times + by
    assert concordance(t, t) == pytest.approx(1)
    assert correlation(t, g) == pytest.approx(1, abs=1e-6)
    assert concordance(t, g) <= correlation(t, g) + 1e-9
    assert concordance(t, g) == pytest.approx(concordance(g, t))
    assert concordance(t, -t + 2 * t.mean()) == pytest.approx(-1)


@pytest.mark.parametrize("unit", [1e-12, 1e-9, 1e12, 1e200])
def test_scores_do_not_depend_on_the_unit(unit: float) -> None:
    rng = np.random.default_rng(4)
    t = rng.normal(size=60)
    g, names = t + rng.normal(size=60), np.repeat(list("abcdef"), 10).tolist()
    plain, scaled = rate(t, g, names), rate(t * unit, g * unit, names)
    for name in ("ccc", "correlation", "ccc_interval"):
        assert scaled[name] == pytest.approx(plain[name])
    assert scaled["rmse"] == pytest.approx(plain["rmse"] * unit)
    assert concordance(t * unit, g * unit) == pytest.approx(plain["ccc"])
    assert rmse(t * unit, g * unit) == pytest.approx(plain["rmse"] * unit)


def test_intervals_resample_speakers() -> None:
    rng = np.random.default_rng(0)
    offset = np.repeat(rng.normal(size=6) * 2, 40)  # each speaker is answered too high or too low
    t = rng.normal(size=240)
    by_speaker = rate(t, t + offset, np.repeat(list("abcdef"), 40).tolist())
    by_clip = rate(t, t + offset, [""] * 240)
    width = {name: np.diff(row["ccc_interval"])[0] for name, row in (("s", by_speaker), ("c", by_clip))}
    assert [by_speaker["ccc"], by_clip["ccc"]] == pytest.approx([concordance(t, t + offset)] * 2)
    assert width["s"] > 1.5 * width["c"]
    assert (by_speaker["interval_unit"], by_clip["interval_unit"]) == ("speaker", "clip")
    assert by_speaker["ccc_interval"][0] < by_speaker["ccc"] < by_speaker["ccc_interval"][1]


def test_the_regression_finds_the_weights_and_keeps_the_spread_of_the_ratings() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(400, 12))
    clean = 4 + X[:, :1] * 0.8 - X[:, 1:2] * 0.4
    noisy = clean + rng.normal(size=clean.shape)
    model = RatingRegression().fit(X, noisy, np.arange(400) // 10)
    told = model.predict(X)
    assert correlation(clean[:, 0], told[:, 0]) > 0.95
    assert told.std() == pytest.approx(noisy.std(), rel=0.1)  # least squares alone would give 0.67 of it
    assert told.mean() == pytest.approx(noisy.mean(), abs=0.05)
    shifted = RatingRegression().fit(X * 5 - 2, noisy * 10, np.arange(400) // 10)  # other units
    assert np.allclose(shifted.predict(X * 5 - 2), told * 10)


def test_nothing_of_the_tested_clips_is_in_the_scale() -> None:
    X = np.random.default_rng(2).normal(size=(60, 3))
    y = X[:, :1].copy()
    groups = np.arange(60) // 6
    before = RatingRegression().fit(X[:48], y[:48], groups[:48]).predict(X[48:])
    y[48:] = 1000
    assert (RatingRegression().fit(X[:48], y[:48], groups[:48]).predict(X[48:]) == before).all()


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of five people whose rating is how loud they speak, with a decimal comma, and a label in a second table."""
    root = tmp_path_factory.mktemp("rated")
    rng = np.random.default_rng(3)
    rows = []
    for person in range(1, 6):
        for take in range(8):
            level = float(rng.uniform(0, 1))
            sound = voice(2, person, seed=take, seconds=0.6) * 10 ** (-1.5 * (1 - level))
            sf.write(root / f"p{person}_{take}.wav", sound, 16000, subtype="FLOAT")
            rows.append((f"p{person}_{take}.wav", f"p{person}", f"{1 + 6 * level:.2f}".replace(".", ",")))
    rows[5] = (*rows[5][:2], "")
    with (root / "ratings.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([("path", "speaker", "loudness"), *rows])
    with (root / "both.csv").open("w", newline="") as file:
        labelled = [(*row, ("calm", "hasty")[k % 2]) for k, row in enumerate(rows)]
        csv.writer(file, delimiter=";").writerows([("path", "speaker", "loudness", "label"), *labelled])
    return root


@pytest.fixture(scope="module")
def trained(rated: Path) -> tuple[Path, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", str(rated / "cache"))
        out = rated / "loud"
        assert call_ser("train", rated / "ratings.csv", "--target", "loudness", "--out", out, "--jobs", 1) == 0
    return out, json.loads((rated / "loud-scores/ratings.json").read_text("utf-8"))


def test_a_table_of_ratings_becomes_a_bundle_of_numbers(trained: tuple[Path, Any], ser: Ser) -> None:
    out, document = trained
    manifest = read_bundle(out).manifest
    assert manifest.labels == ()
    assert manifest.dimensions["loudness"]["low"] >= 1
    assert manifest.dimensions["loudness"]["high"] <= 7
    score = manifest.scores["speaker"]["dimensions"]["loudness"]
    assert (score["n_clips"], score["n_speakers"]) == (39, 5)
    assert score["ccc"] == document["dimensions"]["loudness"]["ccc"]
    assert read_bundle(out).size < 1_000_000
    assert "| loudness |" in read_bundle(out).card
    assert (out.parent / "loud-scores/loudness.svg").read_text("utf-8").startswith("<?xml")
    with (out.parent / "loud-scores/ratings.csv").open() as file:
        table = list(csv.DictReader(file))
    truth, told = (np.array([float(row[name]) for row in table]) for name in ("loudness", "loudness_answer"))
    assert concordance(truth, told) == pytest.approx(score["ccc"])
    for row in table:  # nobody is heard in training and test
        assert {other["fold"] for other in table if other["speaker"] == row["speaker"]} == {row["fold"]}


def test_answers_are_numbers_in_every_format(trained: tuple[Path, Any], ser: Ser, tmp_path: Path) -> None:
    out, _ = trained
    clip = out.parent / "p2_1.wav"
    told = serkit.load(out).predict(clip)
    assert (told.emotion, told.confidence, told.probabilities, told.speech) == (None, None, {}, True)
    value = told.dimensions["loudness"]
    assert -5 < value < 13
    assert told.answer == f"loudness {value:.3g}"
    code, text, _ = ser("predict", clip, "--model", out, "--json")
    assert code == 0
    assert json.loads(text)[0]["dimensions"] == {"loudness": value}
    code, text, _ = ser("predict", clip, "--model", out)
    assert code == 0
    assert "loudness" in text
    assert f"{value:.3g}" in text
    assert "confidence" not in text
    for name in ("rows.csv", "rows.parquet", "rows.jsonl"):
        assert ser("predict", clip, "--model", out, "--out", tmp_path / name)[0] == 0
    with (tmp_path / "rows.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["loudness"]) == value
    assert row["emotion"] == ""
    import pyarrow.parquet as pq

    assert pq.read_table(tmp_path / "rows.parquet")["loudness"].to_pylist() == [value]
    sf.write(tmp_path / "silence.wav", np.zeros(16000), 16000)
    code, text, _ = ser("predict", tmp_path / "silence.wav", "--model", out)
    assert (code, text.split()[:2], "no speech" in text) == (0, ["file", "loudness"], True)


def test_features_of_recipes_are_compared_on_the_same_folds(
    rated: Path, trained: tuple[Path, Any], ser: Ser, tmp_path: Path
) -> None:
    command = ("evaluate", "s1-mlp", "--data", rated / "ratings.csv", "--target", "loudness", "--jobs", 1)
    code, text, err = ser(*command, "--out", tmp_path / "s1")
    assert code == 0, err
    assert "loudness" in text
    found = json.loads((tmp_path / "s1/ratings.json").read_text("utf-8"))
    assert found["dimensions"]["loudness"]["ccc"] > 0.2  # of 39 clips and 120 features
    with (tmp_path / "s1/ratings.csv").open() as one, (rated / "loud-scores/ratings.csv").open() as other:
        folds = [[(row["path"], row["fold"]) for row in csv.DictReader(file)] for file in (one, other)]
    assert folds[0] == folds[1]
    before = (tmp_path / "s1/ratings.json").read_bytes()
    code, _, err = ser(*command, "--out", tmp_path / "s1")
    assert code == 2
    assert "s1 exists already: use another --out" in " ".join(err.split())
    assert (tmp_path / "s1/ratings.json").read_bytes() == before
    code, _, err = ser(*command, "--protocol", "random")
    assert code == 2
    assert "leave out --protocol" in " ".join(err.split())
    code, _, err = ser("evaluate", "cnn", *command[2:])
    assert code == 2
    assert "learns from frames" in " ".join(err.split())
    tuned = shrunk("fast").text.replace('precision = "int8"\n', 'precision = "int8"\n[encoder.tuning]\nafter = 1\n')
    (tmp_path / "tuned.toml").write_text(tuned)
    code, _, err = ser("evaluate", tmp_path / "tuned.toml", *command[2:])
    assert code == 2
    assert "tunes an encoder by labels, and numbers are learned from one vector a clip" in " ".join(err.split())


def test_an_evaluation_of_numbers_obeys_its_options_and_replaces_nothing(
    rated: Path, trained: tuple[Path, Any], ser: Ser, tmp_path: Path
) -> None:
    command = ("evaluate", "own", "--data", rated / "both.csv", "--target", "loudness", "--jobs", 1)
    code, _, err = ser(*command, "--drop", "calm", "--out", tmp_path / "new")
    assert code == 2  # 20 of 40 clips have the other label, and one of them no rating
    assert "20 clips of calm are left out" in err or "19 clips of calm are left out" in err
    code, _, err = ser(*command, "--folds", 3)
    assert code == 2
    assert "five folds" in err
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/results.json").write_text("earlier")
    for name in ("file", "full"):
        code, _, err = ser(*command, "--out", tmp_path / name)
        assert code == 2
        assert "exists already: use another --out" in " ".join(err.split())
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["results.json"]
    (tmp_path / "m-scores").write_text("mine")
    code, _, err = ser("train", rated / "both.csv", "--target", "loudness", "--out", tmp_path / "m")
    assert code == 2
    assert "m-scores is a file" in " ".join(err.split())
    code, _, err = ser("attach", trained[0], "--data", rated / "ratings.csv")
    assert code == 2
    assert "answers numbers alone" in " ".join(err.split())


def test_what_needs_labels_says_so(trained: tuple[Path, Any], ser: Ser) -> None:
    out, _ = trained
    clip = out.parent / "p2_1.wav"
    says = "answers numbers (loudness) and no emotions, so it cannot"
    for words in (
        ("timeline", clip),
        ("predict", clip, "--labels", "sad,happy"),
        ("predict", clip, "--min-confidence", "0.5"),
    ):
        code, _, err = ser(*words, "--model", out)
        assert code == 2, words
        assert says in " ".join(err.split()), words
    with pytest.raises(SerkitError, match="answer live"):
        serkit.Stream(serkit.load(out), sample_rate=16000)
    with pytest.raises(SerkitError, match="explain an answer"):
        serkit.load(out).explain(clip)
    code, _, err = ser("enrol", clip, "--model", out, "--out", out.parent / "me.json")
    assert code == 2
    assert "does not adapt" in err


def test_labels_and_numbers_from_one_bundle(rated: Path, trained: tuple[Path, Any], ser: Ser) -> None:
    shutil.copytree(rated / "loud-scores", rated / "both-scores")  # of an earlier training on numbers alone
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", str(rated / "cache"))
        corpus = serkit.read_corpus(rated / "both.csv", targets=["loudness"])
        bundle = serkit.train_own(corpus, rated / "both", targets=["loudness"], self_contained=True)
    assert bundle.manifest.labels == ("calm", "hasty")
    assert set(bundle.manifest.scores["speaker"]) >= {"uar", "dimensions"}
    clip = rated / "p4_3.wav"
    told = serkit.load(rated / "both").predict(clip)
    assert told.emotion in ("calm", "hasty")
    alone = serkit.load(trained[0]).predict(clip).dimensions["loudness"]
    assert told.dimensions["loudness"] == pytest.approx(
        alone, abs=0.05
    )  # the same clips, and int8 cut out of the graph
    code, text, _ = ser("predict", clip, "--model", rated / "both", "--csv", "-")
    assert code == 0
    assert text.splitlines()[0].endswith("warnings,calm,hasty,loudness,derived_valence,derived_arousal")
    code, _, err = ser("attach", rated / "both", "--data", rated / "both.csv")
    assert (code, "Name the scores" in err) == (2, True)
    results = rated / "both-scores/results.json"
    code, _, err = ser("attach", rated / "both", "--data", rated / "both.csv", "--results", results)
    assert code == 0, err
    attached = read_bundle(rated / "both").manifest.scores["speaker"]
    assert attached["dimensions"] == bundle.manifest.scores["speaker"]["dimensions"]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["path;arousal", "a.wav;high"], "line 2: arousal is 'high': expected a number"),
        (["path;arousal", "a.wav;inf"], "line 2: arousal is 'inf': expected a number"),
        (["path;valence", "a.wav;1"], "has no column arousal to learn from: its header is path, valence"),
        (["path;arousal", "a.wav;"], "has a header but no clips with ratings"),
        (["path,arousal", 'a.wav,"1,085"'], "line 2: arousal is '1,085', which could be 1.085 or 1085"),
        (["path;arousal;label", "a.wav;1;sad", "b.wav;2;"], "has no label for 1 of 2 clips, first b.wav"),
    ],
)
def test_a_table_that_holds_no_ratings_is_refused(tmp_path: Path, lines: list[str], says: str) -> None:
    for name in ("a.wav", "b.wav"):
        sf.write(tmp_path / name, np.zeros(8000), 16000)
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(CorpusError) as raised:
        serkit.read_corpus(tmp_path / "t.csv", targets=["arousal"])
    assert says in str(raised.value)


def test_a_comma_is_decimal_where_it_can_be_nothing_else() -> None:
    assert number("x", "1,085", commas=True) == 1.085
    assert (number("x", "0,125"), number("x", "4,5")) == (0.125, 4.5)


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        ("arousal", "must be a list of columns"),
        (["arousal", "arousal"], "named twice"),
        (["confidence"], "cannot hold ratings"),
        (["derived_valence"], "cannot hold ratings"),
        (["fold"], "cannot hold ratings"),
        (["x", "x_answer"], "x_answer cannot hold ratings"),
        (["<b>"], "The name of a target must have"),
        (["x" * 65], "The name of a target must have"),
        ([f"x{k}" for k in range(65)], "at most 64"),
    ],
)
def test_names_that_no_number_can_have_are_refused(rated: Path, targets: Any, says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        serkit.read_corpus(rated / "ratings.csv", targets=targets)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["$\\frac{", "日本", "a_b^c"])
def test_any_name_is_drawn(name: str) -> None:
    truth = np.array([1.0, 2, 4])
    assert "</svg>" in ratings_svg(truth, truth + 1, name, rate(truth, truth + 1, ["", "", ""]))


def test_kinds_without_columns_are_refused(rated: Path) -> None:
    with pytest.raises(CorpusError, match="ratings come from a table"):
        serkit.read_corpus(rated, kind="ravdess+crema_d", targets=["loudness"])


def test_ratings_that_nothing_can_be_learned_from_are_refused(rated: Path, ser: Ser) -> None:
    corpus = serkit.read_corpus(rated / "ratings.csv", targets=["loudness"])
    assert corpus.notes == ("1 of 40 rows have no loudness and are left out.",)
    with pytest.raises(TrainingError, match="without a label: to learn numbers, name their columns as targets"):
        serkit.train_own(corpus, rated / "y")
    with pytest.raises(TrainingError, match="loudness is 3 in all clips"):
        plan_ratings(replace(corpus, table=corpus.table.assign(loudness=3.0)), ["loudness"])
    with pytest.raises(TrainingError, match="12 different recordings with ratings: at least 20"):
        plan_ratings(replace(corpus, table=corpus.table.head(12)), ["loudness"])
    hashes = corpus.table["audio_hash"]
    twin = hashes.where(hashes.index > 0, hashes.iloc[-1])
    for change, says in (
        ({"loudness": corpus.table["loudness"] * 1e-6 + 1e6}, "subtract 1000000"),
        ({"loudness": corpus.table["loudness"] * 1e35}, "too extreme"),
        ({"loudness": corpus.table["speaker"].eq("p1") * 1.0}, "loudness is 0 in 32 of 39 clips"),
        ({"emotion": "loudness"}, "a label and a column of numbers"),
        ({"audio_hash": twin}, r"The same recording is listed under different speakers \(p1, p5\)"),
    ):
        with pytest.raises(TrainingError, match=says):
            plan_ratings(replace(corpus, table=corpus.table.assign(**change)), ["loudness"])
    nobody = plan_ratings(replace(corpus, table=corpus.table.assign(speaker="")), ["loudness"])
    assert nobody.protocol == "random"
    assert "expect less for new voices" in nobody.notes[1]
    one = corpus.table["speaker"].where(corpus.table.index > 0, "")
    some = plan_ratings(replace(corpus, table=corpus.table.assign(speaker=one)), ["loudness"])
    assert some.notes[1].startswith("The speaker of 1 of 39 clips is not known, so clips of the same voice")
    code, _, err = ser("train", "s0-forest", "--target", "arousal", "--data", rated, "--out", rated / "x")
    assert code == 2
    assert "--target is for your own recordings" in err


@pytest.mark.parametrize(
    ("dimensions", "says"),
    [
        ({}, "must name at least two emotions"),
        ({"arousal": {"low": 7, "high": 1}}, "must have numbers low and high"),
        ({"<b>": {"low": 1, "high": 7}}, "printable characters"),
    ],
)
def test_a_manifest_of_numbers_is_checked(dimensions: dict[str, dict[str, float]], says: str) -> None:
    rate = {"kind": "waveform", "sample_rate": 16000, "min_seconds": 0.1, "max_seconds": 30.0}
    with pytest.raises(BundleError) as raised:
        Manifest(name="a", version="1", labels=(), dimensions=dimensions, input=rate, licence="MIT")
    assert says in str(raised.value)
