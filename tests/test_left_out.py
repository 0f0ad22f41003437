"""``corpus`` and ``corpus+adapted``: each corpus in turn is left out and scored over the labels that others taught."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serkit.bundle import Manifest
from serkit.compare import grid, page, picture, scores
from serkit.compare.grid import capped, plan
from serkit.corpora import Corpus
from serkit.errors import ProtocolError
from serkit.evaluation.left_out import chance, headline, mean_over_corpora
from serkit.evaluation.report import summary_table, write_report
from serkit.protocol import LEAVES_OUT, Split, make_split
from serkit.training import fold, run_folder
from serkit.training.card import model_card
from serkit.training.clips import Clips
from serkit.training.feature_cache import ClipRequest
from serkit.training.recipe_files import load_recipe
from serkit.training.run import Run, run_evaluation
from tests.test_protocol import corpus_of

LABELS = {"a": ("happy", "sad", "angry", "calm"), "b": ("happy", "sad", "angry"), "c": ("sad", "angry", "disgust")}


def three(**changes: object) -> Corpus:
    """Corpora a, b and c of eight speakers each; calm stands in a alone, disgust in c alone."""
    rows = [
        {
            "path": f"{corpus}/{speaker}-{emotion}-{i}.wav",
            "emotion": emotion,
            "speaker": f"s{speaker}",
            "sex": "female" if speaker % 2 else "male",
            "corpus": corpus,
            "audio_hash": f"{corpus} {speaker} {emotion} {i}",
        }
        for corpus, emotions in LABELS.items()
        for speaker in range(8)
        for emotion in emotions
        for i in range(2)
    ]
    return corpus_of([row | changes for row in rows])


def with_facts(split: Split, corpus: Corpus) -> pd.DataFrame:
    return split.table.merge(corpus.table, on=["path", "start", "end"], validate="many_to_one")


def test_each_corpus_is_left_out_once() -> None:
    corpus = three()
    split = make_split(corpus, "corpus", seed=3)
    rows = with_facts(split, corpus)
    assert split.n_folds == 3
    for k, name in enumerate("abc"):
        fold = rows[rows["fold"] == k]
        assert set(fold.loc[fold["corpus"] == name, "role"]) <= {"test", "outside"}
        assert set(fold.loc[fold["corpus"] != name, "role"]) == {"train", "validation"}
        assert set(fold.loc[fold["role"] == "outside", "emotion"]) == set(LABELS[name]) & {"calm", "disgust"}
        for other in set("abc") - {name}:
            own = fold[fold["corpus"] == other]
            voices = own.groupby("role")["speaker"].unique()
            assert len(voices["validation"]) == 1
            assert set(voices["validation"]).isdisjoint(voices["train"])
            assert set(own.loc[own["role"] == "train", "emotion"]) == set(LABELS[other])


def test_the_same_voices_validate_whichever_corpus_is_left_out() -> None:
    corpus = three()
    rows = with_facts(make_split(corpus, "corpus"), corpus)
    seen = rows[rows["role"] == "validation"].groupby(["corpus", "fold"])["speaker"].unique().map(tuple)
    assert (seen.groupby("corpus").nunique() == 1).all()
    others = with_facts(make_split(corpus, "corpus", seed=1), corpus)
    assert set(others[others["role"] == "validation"]["path"]) != set(rows[rows["role"] == "validation"]["path"])


def test_a_split_survives_its_file(tmp_path: Path) -> None:
    split = make_split(three(), "corpus")
    split.to_csv(tmp_path / "split.csv")
    again = Split.from_csv(tmp_path / "split.csv")
    again.check(three())
    assert again.hash == split.hash


def test_a_corpus_without_speakers_validates_by_recording() -> None:
    corpus = three()
    nameless = corpus.table["speaker"].where(corpus.table["corpus"] != "b", "")
    corpus = replace(corpus, table=corpus.table.assign(speaker=nameless))
    rows = with_facts(make_split(corpus, "corpus"), corpus)
    own = rows[(rows["fold"] == 0) & (rows["corpus"] == "b")]
    assert 3 <= (own["role"] == "validation").sum() <= 9
    assert set(own.loc[own["role"] == "train", "emotion"]) == set(LABELS["b"])


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (("a",), "needs at least 2, got a alone: join some"),
        (("a", "b", "lone"), "lone shares sad with the others, and the protocol corpus needs at least two labels"),
    ],
)
def test_what_cannot_be_left_out_says_why(kept: tuple[str, ...], message: str) -> None:
    corpus = three()
    rows = corpus.table
    lone = rows[(rows["corpus"] == "b") & (rows["emotion"] == "sad")]
    lone = lone.assign(corpus="lone", path="lone/" + lone["path"], audio_hash="lone " + lone["audio_hash"])
    table = pd.concat([rows, lone], ignore_index=True)
    table = table[table["corpus"].isin(kept)].reset_index(drop=True)
    with pytest.raises(ProtocolError, match=message):
        make_split(replace(corpus, table=table), "corpus")


def test_one_recording_in_two_corpora_is_refused() -> None:
    corpus = three()
    twins = corpus.table["audio_hash"].where(~corpus.table["path"].isin(["a/0-sad-0.wav", "b/0-sad-0.wav"]), "twin")
    with pytest.raises(ProtocolError, match="one recording on two sides"):
        make_split(replace(corpus, table=corpus.table.assign(audio_hash=twins)), "corpus")


def test_a_corpus_on_two_sides_is_noticed() -> None:
    corpus = three()
    split = make_split(corpus, "corpus")
    table = split.table.copy()
    moved = table.index[(table["fold"] == 0) & (table["role"] == "outside")]
    table.loc[moved, "role"] = "train"
    other = table.index[(table["fold"] == 1) & table["path"].isin(table.loc[moved, "path"])]
    table.loc[other, "role"] = "outside"
    with pytest.raises(ProtocolError, match="on two sides"):
        replace(split, table=table).check(corpus)


def test_the_mean_counts_each_corpus_alike() -> None:
    big = pd.DataFrame({"emotion": ["sad", "happy"] * 50, "predicted": ["sad", "happy"] * 50, "corpus": "big"})
    small = pd.DataFrame({"emotion": ["sad", "happy"], "predicted": ["happy", "sad"], "corpus": "small"})
    table = pd.concat([big, small], ignore_index=True).assign(confidence=0.75)
    table["speaker"] = (np.arange(len(table)) % 3).astype(str)
    means = mean_over_corpora(table, ["happy", "sad"])
    assert means is not None
    assert (means["n"], means["uar"], means["accuracy"]) == (2, 0.5, 0.5)
    assert means["ece"] == pytest.approx((0.25 + 0.75) / 2)
    low, high = means["intervals"]["uar"]
    assert low <= 0.5 <= high
    assert mean_over_corpora(big.assign(confidence=1.0, speaker="1"), ["happy", "sad"]) is None


def test_several_seeds_do_not_make_clips_of_nobody_more() -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"emotion": ["sad", "happy"] * 40, "corpus": ["a"] * 40 + ["b"] * 40, "speaker": ""})
    table["predicted"] = np.where(rng.random(80) < 0.7, table["emotion"], table["emotion"].shift(1, fill_value="happy"))
    table = table.assign(path=[f"{k}.wav" for k in range(80)], start=0.0, end=1.0, copy=0, confidence=0.75)
    one, nine = (mean_over_corpora(pd.concat([table] * seeds), ["happy", "sad"]) for seeds in (1, 9))
    assert one is not None
    assert nine is not None
    widths = [np.ptp(found["intervals"]["uar"]) for found in (one, nine)]
    assert nine["uar"] == one["uar"]
    assert 0.8 < widths[1] / widths[0] < 1.25


PLACES = {"happy": 0, "sad": 1, "angry": 2, "calm": 3, "disgust": 4}


def made_up(corpus: Corpus, clips: Sequence[ClipRequest], *args: Any, **options: Any) -> list[np.ndarray]:
    """Features in which each emotion has a place of its own."""
    emotions = dict(zip(corpus.table["path"], corpus.table["emotion"], strict=True))
    found = []
    for clip in clips:
        x = np.random.default_rng(zlib.crc32(clip.path.encode())).normal(0, 0.5, 8).astype(np.float32)
        x[PLACES[emotions[clip.path]]] += 2
        found.append(x)
    return found


@pytest.fixture(scope="module")
def run_of_three(tmp_path_factory: pytest.TempPathFactory) -> Run:
    corpus = three()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold, "compute_features", made_up)
        folder = tmp_path_factory.mktemp("runs") / "corpus"
        return run_evaluation(load_recipe("s1-mlp"), corpus, make_split(corpus, "corpus"), folder)


def test_a_model_is_scored_over_the_labels_that_it_learnt_and_the_corpus_gives(run_of_three: Run) -> None:
    table = run_of_three.predictions
    assert set(table["emotion"]) == {"happy", "sad", "angry"}
    for name, labels in {"a": ("happy", "sad", "angry"), "b": ("happy", "sad", "angry"), "c": ("sad", "angry")}.items():
        own = table[table["corpus"] == name]
        given = own[[f"p_{label}" for label in labels]].sum(axis=1)
        np.testing.assert_allclose(given, 1, atol=1e-6)
        assert set(own["predicted"]) <= set(labels)
    means = run_of_three.results["metrics"]["mean_over_corpora"]
    rows = run_of_three.results["metrics"]["groups"]["corpus"].values()
    assert means["uar"] == pytest.approx(np.mean([row["uar"] for row in rows]))
    assert headline(run_of_three.results)["uar"] == means["uar"]


def test_report_and_summary_name_each_corpus(run_of_three: Run, tmp_path: Path) -> None:
    page = write_report(run_of_three.results, run_of_three.predictions, tmp_path / "r.html").read_text("utf-8")
    assert "On corpora it never heard" in page
    assert "Each corpus, left out" in page
    caption = str(summary_table(run_of_three.results).caption)
    assert "Means over 3 corpora left out; UAR of each: a " in caption
    # a and b share happy, sad and angry with others, c only sad and angry
    assert chance(run_of_three.results) == pytest.approx((1 / 3 + 1 / 3 + 1 / 2) / 3)
    assert "always giving the same answer finds 38.9" in page
    assert '<u style="left:38.9%" title="chance">' in page
    assert chance({**run_of_three.results, "protocol": "speaker"}) == 1 / 3


def test_a_comparison_runs_a_fold_a_corpus() -> None:
    cells = capped(plan(["s1-mlp"], protocols=list(LEAVES_OUT)), three())
    assert [cell.folds for cell in cells] == [(0, 1, 2), (0, 1, 2)]


# --- adapted ----------------------------------------------------------------------------------------------------------


def test_adapted_has_the_folds_of_corpus_and_sets_clips_of_the_tested_one_aside() -> None:
    corpus = three()
    plain, adapted = (with_facts(make_split(corpus, name, seed=3, n_adapt=9), corpus) for name in LEAVES_OUT)
    set_aside = adapted["role"] == "enrol"
    assert plain.loc[~set_aside, "role"].tolist() == adapted.loc[~set_aside, "role"].tolist()
    assert set(plain.loc[set_aside, "role"]) == {"test", "outside"}
    counts = adapted[set_aside].groupby(["fold", "corpus"]).size()
    assert counts.to_dict() == {(0, "a"): 9, (1, "b"): 9, (2, "c"): 9}


def test_fifty_clips_are_set_aside_and_at_most_half_of_a_corpus() -> None:
    corpus = three()  # of 64, 48 and 48 clips
    rows = with_facts(make_split(corpus, "corpus+adapted"), corpus)
    assert rows[rows["role"] == "enrol"].groupby("corpus").size().to_dict() == {"a": 32, "b": 24, "c": 24}
    table = pd.concat([corpus.table.assign(path=f"{k}/" + corpus.table["path"], audio_hash="") for k in range(3)])
    large = replace(corpus, table=table.sort_values("path", ignore_index=True))
    rows = with_facts(make_split(large, "corpus+adapted"), large)
    assert rows[rows["role"] == "enrol"].groupby("corpus").size().to_dict() == {"a": 50, "b": 50, "c": 50}


def test_the_draw_knows_neither_labels_nor_voices() -> None:
    def drawn(corpus: Corpus, seed: int = 0) -> set[str]:
        table = make_split(corpus, "corpus+adapted", n_adapt=12, seed=seed).table
        return set(table.loc[table["role"] == "enrol", "path"])

    corpus = three()
    table = corpus.table
    other = {"happy": "sad", "sad": "happy", "angry": "angry", "calm": "calm", "disgust": "disgust"}
    turned = table.assign(emotion=table["emotion"].map(other), speaker="v" + table["speaker"].str[::-1])
    assert drawn(replace(corpus, table=turned)) == drawn(corpus)
    assert drawn(corpus, seed=1) != drawn(corpus)


def test_copies_of_a_recording_are_set_aside_together() -> None:
    corpus = three()
    table = corpus.table
    pairs = table["audio_hash"].str.replace(r"\d$", "", regex=True)  # both takes of a voice's emotion
    corpus = replace(corpus, table=table.assign(audio_hash=pairs))
    rows = with_facts(make_split(corpus, "corpus+adapted", n_adapt=11), corpus)
    held = rows[rows["role"].isin(["test", "enrol", "outside"])]
    assert (held["role"] == "enrol").groupby(held["audio_hash"]).nunique().max() == 1
    assert (held["role"] == "enrol").groupby(held["corpus"]).sum().tolist() == [10, 10, 10]


def test_too_few_clips_to_adapt_with_are_refused() -> None:
    corpus = three()
    with pytest.raises(ProtocolError, match="n_copies=3 and n_adapt=0"):
        make_split(corpus, "corpus+adapted", n_adapt=0)
    one_sound = corpus.table["audio_hash"].where(corpus.table["corpus"] != "b", "same")
    one_voice = corpus.table["speaker"].where(corpus.table["corpus"] != "b", "s0")
    corpus = replace(corpus, table=corpus.table.assign(audio_hash=one_sound, speaker=one_voice))
    with pytest.raises(ProtocolError, match=r"corpus b has 48 clips, too few for corpus\+adapted"):
        make_split(corpus, "corpus+adapted")


def test_labels_that_only_clips_to_adapt_with_have_need_no_training() -> None:
    corpus = three()
    split = make_split(corpus, "corpus+adapted", n_adapt=30)
    rows = with_facts(split, corpus)
    assert "calm" in set(rows.loc[rows["role"] == "enrol", "emotion"])
    assert "calm" not in set(rows.loc[(rows["fold"] == 0) & (rows["role"] == "train"), "emotion"])
    split.check(corpus)


def test_a_place_is_measured_on_the_clips_set_aside_alone() -> None:
    roles = ["train", "train", "enrol", "enrol", "outside", "test"]
    rows = pd.DataFrame({"role": roles, "copy": 0, "corpus": ["a", "a", "b", "b", "b", "b"]})
    arrays = [np.array([value], np.float32) for value in (0, 2, 10, 14, 1000, 16)]
    found = Clips(rows, arrays).standardised("place")
    assert found.rows["role"].tolist() == [*roles[:4], "test"]
    assert np.ravel(found.arrays).tolist() == [-1, 1, -1, 1, 2]
    corpus, recipe = three(), load_recipe("s1-mlp")
    states = [run_folder._state(recipe, corpus, make_split(corpus, name)) for name in LEAVES_OUT]
    assert ["way of adapting" in state for state in states] == [False, True]  # no fold of before goes on


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, scores.Outcome, Run]:
    """A comparison's run under ``corpus+adapted``, of labels that every corpus has."""
    whole = three()
    corpus = replace(whole, table=whole.table[whole.table["emotion"].isin(["sad", "angry"])].reset_index(drop=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold, "compute_features", made_up)
        patch.setattr(grid, "make_split", partial(make_split, n_adapt=7))
        cells = capped(plan(["s1-mlp"], protocols=["corpus+adapted"]), corpus)
        (outcome,) = grid.run(cells, corpus, tmp_path_factory.mktemp("runs"))
    assert outcome.run is not None, outcome.error
    return corpus, outcome, outcome.run


def test_clips_to_adapt_with_are_not_scored_and_counted(adapted: tuple[Corpus, scores.Outcome, Run]) -> None:
    corpus, _, run = adapted
    assert run.results["adapted"] == {"a": 7, "b": 7, "c": 7}
    split = Split.from_csv(run.folder / "split.csv")
    rows = split.table
    assert set(run.predictions["path"]) == set(rows.loc[rows["role"] == "test", "path"])
    assert len(run.predictions) == len(corpus) - 21
    metrics = run.results["metrics"]
    assert headline(run.results)["uar"] == metrics["mean_over_corpora"]["uar"]
    assert run.results["metrics"]["mean_over_corpora"]["n"] == 3


def test_report_card_and_comparison_say_how_many_clips_adapted(
    adapted: tuple[Corpus, scores.Outcome, Run], tmp_path: Path
) -> None:
    corpus, outcome, run = adapted
    text = write_report(run.results, run.predictions, tmp_path / "r.html").read_text("utf-8")
    assert "On corpora it never heard, adapted to each by unlabelled clips" in text
    assert "<th>clips to adapt</th>" in text
    assert '<th scope="row">b</th><td>25</td><td>7</td><td>2</td>' in text
    assert "Unlabelled clips to adapt with, not scored: a 7, b 7, c 7" in str(summary_table(run.results).caption)
    manifest = Manifest.__new__(Manifest)
    vars(manifest).update(
        name="m",
        version="1",
        labels=["sad", "angry"],
        calibration="none",
        licence="MIT",
        citation="",
        adaptation={},
        description="",
        dimensions={},
        scores={},
    )
    card = model_card(manifest, load_recipe("s1-mlp"), corpus, {"corpus+adapted": run.results})
    assert "each tested by a model that was trained on the others. It was adapted by unlabelled clips" in card
    document = scores.collect([outcome], corpus)
    assert document["rows"][0]["adapted"] == document["cells"][0]["adapted"] == {"a": 7, "b": 7, "c": 7}
    assert document["rows"][0]["uar"] == run.results["metrics"]["mean_over_corpora"]["uar"]
    table = page.markdown(document)
    assert "1. Unlabelled clips to adapt with: a 7, b 7, c 7." in table
    assert "- **corpus+adapted**: each corpus left out in turn" in table
    document["rows"].append({**document["rows"][0], "protocol": "speaker", "chance": 0.25})
    drawn = picture.picture(document)
    assert ">chance 25 %, 50 %</text>" in drawn
    assert "<title>s1-mlp, corpus+adapted: " in drawn
    assert ">corpus+adapted</text>" in drawn


def test_older_documents_and_unknown_protocols_are_still_shown(adapted: tuple[Corpus, scores.Outcome, Run]) -> None:
    corpus, outcome, run = adapted
    document = scores.collect([outcome], corpus)
    del document["rows"][0]["chance"]
    for row in (*document["rows"], *document["cells"]):
        del row["adapted"]
        row["protocol"] = "of-tomorrow"
    document["best"] = {"of-tomorrow": "s1-mlp"}
    assert "| system | recipe | reported | of-tomorrow |" in page.markdown(document)
    assert "of-tomorrow" not in picture.picture(document)
    old = {**run.results, "protocol": "of-tomorrow"}
    del old["adapted"]
    assert headline(old)["uar"] == old["metrics"]["uar"]
    assert "of-tomorrow" in str(summary_table(old).title)
