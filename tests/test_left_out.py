"""The protocol ``corpus``: each corpus in turn is left out, its clips are scored over the labels that others taught."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serkit.compare.grid import capped, plan
from serkit.corpora import Corpus
from serkit.errors import ProtocolError
from serkit.evaluation.left_out import headline, mean_over_corpora
from serkit.evaluation.report import summary_table, write_report
from serkit.protocol import Split, make_split
from serkit.training import fold
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


@pytest.fixture(scope="module")
def run_of_three(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run over made-up features, in which each emotion has a place of its own."""
    corpus = three()
    place = {"happy": 0, "sad": 1, "angry": 2, "calm": 3, "disgust": 4}

    def features(corpus: Corpus, clips: Sequence[ClipRequest], *args: Any, **options: Any) -> list[np.ndarray]:
        emotions = dict(zip(corpus.table["path"], corpus.table["emotion"], strict=True))
        found = []
        for clip in clips:
            x = np.random.default_rng(zlib.crc32(clip.path.encode())).normal(0, 0.5, 8).astype(np.float32)
            x[place[emotions[clip.path]]] += 2
            found.append(x)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold, "compute_features", features)
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


def test_a_comparison_runs_a_fold_a_corpus() -> None:
    cells = capped(plan(["s1-mlp"], protocols=["corpus"]), three())
    assert [cell.folds for cell in cells] == [(0, 1, 2)]
