"""The protocol ``emobox``: EmoBox's own folds of RAVDESS' speech, from clip names alone."""

from __future__ import annotations

import hashlib
import json
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
from serkit.corpora.readers import ravdess
from serkit.emotions import LABELS
from serkit.errors import ProtocolError, TrainingError
from serkit.evaluation.submission import match
from serkit.evaluation.submission_scores import compare, our_rows, score
from serkit.protocol import make_split
from serkit.protocol.yardstick import load_yardstick, make_yardstick
from serkit.training import fold
from serkit.training.feature_cache import ClipRequest
from serkit.training.recipe_files import parse_recipe
from serkit.training.run import run_evaluation
from tests.conftest import Ser
from tests.small_recipes import QUICK_TEXT
from tests.test_protocol import corpus_of

#: Of each of EmoBox's files ravdess_test_fold_<k>.jsonl: sha256sum of its sorted keys without "ravdess-", a line each.
THEIRS = (
    "fd3d58b45cff13a5",
    "bfac88585e66ce16",
    "6baa67b4f2d6bd5c",
    "cf3bbe77707ddfb7",
    "6fe3e7afb6bbd608",
    "44d945619ebd7107",
)


def speech(*, actors: Sequence[int] = range(1, 25), channel: str = "01") -> Corpus:
    """The clips of RAVDESS by their names alone; neutral has no strong intensity."""
    stems = [
        f"03-{channel}-{emotion:02}-{intensity:02}-{statement:02}-{repetition:02}-{actor:02}"
        for actor in actors
        for emotion in range(1, 9)
        for intensity in ((1,) if emotion == 1 else (1, 2))
        for statement in (1, 2)
        for repetition in (1, 2)
    ]
    rows = [
        {"path": f"Actor_{stem[-2:]}/{stem}.wav", **ravdess.CORPUS.parse(stem), "corpus": "ravdess", "audio_hash": stem}
        for stem in stems
    ]
    return replace(corpus_of(rows), name="ravdess")


def test_the_test_clips_of_each_fold_are_those_of_emobox() -> None:
    split = make_split(speech(), "emobox")
    assert split.n_folds == 6
    for k, digest in enumerate(THEIRS):
        rows = split.fold(k)
        stems = sorted(Path(path).stem for path in rows.loc[rows["role"] == "test", "path"])
        assert hashlib.sha256("".join(f"{stem}\n" for stem in stems).encode()).hexdigest()[:16] == digest
        voices = rows.assign(voice=rows["path"].str[:8]).groupby("role")["voice"].nunique()
        assert voices.to_dict() == {"test": 4, "train": 17, "validation": 3}


def test_the_seed_chooses_who_validates_and_nothing_else() -> None:
    one, two = (make_split(speech(), "emobox", seed=seed, n_folds=9).table for seed in (0, 1))
    assert (one["role"] == "test").equals(two["role"] == "test")
    assert not one["role"].equals(two["role"])


def test_the_packaged_fold_file_has_these_folds() -> None:
    packaged, made = load_yardstick("ravdess", "emobox"), make_yardstick(speech(), "emobox")
    pd.testing.assert_frame_equal(packaged.table.drop(columns="validation"), made.table.drop(columns="validation"))
    assert packaged.hash == made.hash


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (speech(actors=range(1, 24)), r"the 1,440 speech clips of all 24 actors of RAVDESS, got 1,380 of 23: complete"),
        (speech(channel="02"), "speech alone, got 1,440 clips of song: use --channel speech"),
        (
            replace(speech(), table=speech().table.assign(corpus=["crema_d"] * 60 + ["ravdess"] * 1380)),
            "the speech of RAVDESS alone, got crema_d and ravdess: use --corpus ravdess --channel speech",
        ),
    ],
)
def test_other_clips_are_refused(corpus: Corpus, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        make_split(corpus, "emobox")


def test_the_command_line_leaves_song_out(ser: Ser, tiny_corpus: Path, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    code, _, err = ser("evaluate", "s1-mlp", "--data", tiny_corpus, "--protocol", "emobox", "--out", run)
    assert code == 2
    assert "The protocol emobox has speech alone: song is left out." in err
    assert "needs the 1,440 speech clips of all 24 actors" in err


def test_a_comparison_runs_six_folds() -> None:
    cells = capped(plan(["s1-mlp"], protocols=["emobox"]), speech())
    assert [cell.folds for cell in cells] == [(0, 1, 2, 3, 4, 5)]


def test_an_evaluation_is_scored_as_a_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def features(corpus: Corpus, clips: Sequence[ClipRequest], *args: Any, **options: Any) -> list[np.ndarray]:
        emotions = dict(zip(corpus.table["path"], corpus.table["emotion"], strict=True))
        found = []
        for clip in clips:
            x = np.random.default_rng(zlib.crc32(clip.path.encode())).normal(0, 1, 8).astype(np.float32)
            x[LABELS.index(emotions[clip.path])] += 2
            found.append(x)
        return found

    monkeypatch.setattr(fold, "compute_features", features)
    corpus = speech()
    split = make_split(corpus, "emobox", seed=0)
    run = run_evaluation(parse_recipe(QUICK_TEXT), corpus, split, tmp_path / "run")
    assert (run.results["folds"], run.results["metrics"]["n_clips"]) == (6, 1440)
    assert "EmoBox" in (tmp_path / "run/report.html").read_text("utf-8")
    table = pd.read_csv(tmp_path / "run/predictions.csv", dtype=str, keep_default_na=False)
    submission = match(table, load_yardstick("ravdess", "emobox"))
    scored = json.loads(json.dumps(score(submission, "quick")))
    assert scored["metrics"] == json.loads((tmp_path / "run/results.json").read_text())["metrics"]
    with pytest.raises(TrainingError, match="do not name a clip of ravdess-emobox-0: 03-02-01-01-01-01-01"):
        match(pd.DataFrame({"clip": ["03-02-01-01-01-01-01"], "fold": ["0"]}), submission.yardstick)
    assert compare(submission, our_rows()) == ([], [])  # no row of serkit's is packaged; older ones are of other folds
