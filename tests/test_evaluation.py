"""Scores against scikit-learn and hand-made examples, intervals against a plain loop, bad tables."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from serkit.emotions import LABELS
from serkit.errors import TrainingError
from serkit.evaluation.scores import environment, evaluate, results
from serkit.files import write_json


def table(
    truth: list[str], probabilities: np.ndarray, labels: list[str], speakers: list[str] | None = None
) -> pd.DataFrame:
    """A table of predictions whose answer is the most probable label."""
    n = len(truth)
    best = probabilities.argmax(axis=1)
    return pd.DataFrame(
        {
            "path": [f"clip{k}.wav" for k in range(n)],
            "start": 0.0,
            "end": 1.5,
            "copy": 0,
            "fold": np.arange(n) % 3,
            "emotion": truth,
            "predicted": [labels[k] for k in best],
            "confidence": probabilities[np.arange(n), best],
            **{f"p_{label}": probabilities[:, k] for k, label in enumerate(labels)},
            "speaker": speakers if speakers is not None else [f"{k % 4:02d}" for k in range(n)],
            "sex": ["female" if k % 2 else "male" for k in range(n)],
            "channel": "speech",
            "intensity": ["", "normal", "strong"] * (n // 3) + [""] * (n % 3),
            "statement": "",
            "corpus": "made-up",
        }
    )


def random_table(
    n: int, labels: list[str], seed: int, *, n_speakers: int = 4, skill: float = 1.5, used: int | None = None
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    truth = rng.integers(used or len(labels), size=n)
    logits = rng.standard_normal((n, len(labels)))
    logits[np.arange(n), truth] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    speakers = [f"{k:02d}" for k in rng.integers(n_speakers, size=n)]
    return table([labels[k] for k in truth], probabilities, labels, speakers)


def answers(truth: list[str], predicted: list[str], speakers: list[str] | None = None) -> pd.DataFrame:
    """A table of answers that are all given with certainty."""
    labels = sorted(set(truth) | set(predicted))
    sure = np.eye(len(labels))[[labels.index(label) for label in predicted]]
    return table(truth, sure, labels, speakers)


@given(st.integers(1, 120), st.integers(2, 8), st.integers(0, 10_000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_scores_equal_scikit_learn(n: int, n_labels: int, seed: int, some_missing: bool) -> None:
    labels = list(LABELS[:n_labels])
    frame = random_table(n, labels, seed, used=max(1, n_labels - 2) if some_missing else None)
    got = evaluate(frame, labels, n_boot=2)
    truth, predicted = frame["emotion"], frame["predicted"]
    present = [label for label in labels if (truth == label).any()]
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(truth, predicted))
    assert got["uar"] == pytest.approx(
        sk.recall_score(truth, predicted, labels=present, average="macro", zero_division=0)
    )
    for average in ("macro", "micro", "weighted"):
        if average == "micro":
            expected = sk.f1_score(truth, predicted, average="micro")
        else:
            expected = sk.f1_score(truth, predicted, labels=present, average=average, zero_division=0)
        assert got[f"f1_{average}"] == pytest.approx(expected), average
    np.testing.assert_array_equal(got["confusion"], sk.confusion_matrix(truth, predicted, labels=labels))
    expected_rows = zip(
        *sk.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0), strict=True
    )
    for label, (precision, recall, f1, support) in zip(labels, expected_rows, strict=True):
        row = got["per_class"][label]
        assert row["support"] == support
        assert row["accuracy"] == pytest.approx(sk.accuracy_score(truth == label, predicted == label))
        if support:
            assert (row["precision"], row["recall"], row["f1"]) == pytest.approx((precision, recall, f1))
        else:
            assert (row["precision"], row["recall"], row["f1"]) == (None, None, None)
    assert got["missing_classes"] == [label for label in labels if label not in present]
    probabilities = frame[[f"p_{label}" for label in labels]].to_numpy()
    order = sorted(labels)
    expected_loss = sk.log_loss(truth, frame[[f"p_{label}" for label in order]].to_numpy(), labels=order)
    assert got["log_loss"] == pytest.approx(expected_loss)
    target = np.array([[label == t for label in labels] for t in truth], dtype=float)
    assert got["brier"] == pytest.approx(((probabilities - target) ** 2).sum(axis=1).mean())
    assert got["ece"] == pytest.approx(looped_ece(frame))


def test_uar_is_balanced_accuracy() -> None:
    frame = random_table(500, list(LABELS), 5)
    expected = sk.balanced_accuracy_score(frame["emotion"], frame["predicted"])
    assert evaluate(frame, LABELS, n_boot=2)["uar"] == pytest.approx(expected)


def looped_ece(frame: pd.DataFrame) -> float:
    """Formula (3) of Guo et al. (2017), clip by clip."""
    total = 0.0
    for m in range(15):
        inside = [
            (row.confidence, row.emotion == row.predicted)
            for row in frame.itertuples()
            if m / 15 < row.confidence <= (m + 1) / 15
        ]
        if inside:
            gap = abs(sum(right for _, right in inside) - sum(confidence for confidence, _ in inside))
            total += gap / len(frame)
    return total


def test_ece_by_hand() -> None:
    # Bin (0.5333, 0.6]: two clips at 0.6, one right -> gap 0.1. Bin (0.8667, 0.9333]: three at 0.9, all
    # right -> gap 0.1. Bin (0.9333, 1]: one at 1.0, wrong -> gap 1. ECE = (2 * 0.1 + 3 * 0.1 + 1 * 1) / 6.
    p_happy = np.array([0.6, 0.6, 0.9, 0.9, 0.9, 1.0])
    truth = ["happy", "sad", "happy", "happy", "happy", "sad"]
    got = evaluate(table(truth, np.stack([p_happy, 1 - p_happy], axis=1), ["happy", "sad"]), ["happy", "sad"])
    assert got["ece"] == pytest.approx(0.25)
    assert [row["n"] for row in got["reliability"]] == [0] * 8 + [2, 0, 0, 0, 0, 3, 1]
    assert got["reliability"][13] == {
        "low": 13 / 15,
        "high": 14 / 15,
        "n": 3,
        "confidence": pytest.approx(0.9),
        "accuracy": 1.0,
    }
    assert got["mean_confidence"] == pytest.approx(4.9 / 6)


def test_surest_half_and_risk_coverage_by_hand() -> None:
    p_happy = np.array([0.9, 0.8, 0.7, 0.6])
    frame = table(["happy", "sad", "happy", "sad"], np.stack([p_happy, 1 - p_happy], axis=1), ["happy", "sad"])
    got = evaluate(frame, ["happy", "sad"], n_boot=2)
    assert got["accuracy_surest_half"] == 0.5
    risk = {round(point["coverage"], 2): point["risk"] for point in got["risk_coverage"]}
    assert len(risk) == 20
    assert (risk[0.25], risk[0.5], risk[0.75], risk[1.0]) == pytest.approx((0, 1 / 2, 1 / 3, 1 / 2))


def test_equal_confidences_count_in_proportion() -> None:
    truth, predicted = ["a", "b", "a", "b"], ["a", "a", "b", "b"]
    for order in ([0, 1, 2, 3], [1, 2, 0, 3], [3, 0, 2, 1]):
        frame = answers([truth[k] for k in order], [predicted[k] for k in order])
        got = evaluate(frame, ["a", "b"], n_boot=2)
        assert got["accuracy_surest_half"] == 0.5
        assert [point["risk"] for point in got["risk_coverage"]] == pytest.approx([0.5] * 20)


def test_order_of_rows_has_no_say() -> None:
    frame = random_table(200, list(LABELS), 3)
    first = evaluate(frame, LABELS, n_boot=50)
    second = evaluate(frame.sample(frac=1, random_state=1), LABELS, n_boot=50)
    assert first["intervals"] == second["intervals"]
    assert first["groups"] == second["groups"]
    assert first["ece"] == pytest.approx(second["ece"])


def test_intervals_equal_a_plain_loop_over_resampled_tables() -> None:
    labels = list(LABELS[:4])
    frame = random_table(80, labels, 11, n_speakers=5)
    got = evaluate(frame, labels, n_boot=30, seed=9)["intervals"]
    speakers = sorted(frame["speaker"].unique())
    draws = np.random.default_rng(9).integers(len(speakers), size=(30, len(speakers)))
    naive: dict[str, list[float]] = {"accuracy": [], "uar": [], "f1_macro": [], "f1_weighted": []}
    for draw in draws:
        sample = pd.concat([frame[frame["speaker"] == speakers[k]] for k in draw])
        truth, predicted = sample["emotion"], sample["predicted"]
        present = sorted(set(truth))
        naive["accuracy"].append(sk.accuracy_score(truth, predicted))
        naive["uar"].append(sk.recall_score(truth, predicted, labels=present, average="macro"))
        for average in ("macro", "weighted"):
            value = sk.f1_score(truth, predicted, labels=present, average=average, zero_division=0)
            naive[f"f1_{average}"].append(value)
    for name, values in naive.items():
        assert got[name] == pytest.approx([np.quantile(values, 0.025), np.quantile(values, 0.975)]), name


def test_intervals_hold_the_point_and_follow_the_seed() -> None:
    frame = random_table(600, list(LABELS), 2, n_speakers=24)
    got = evaluate(frame, LABELS, seed=1)
    assert got["interval_unit"] == "speaker"
    for name, (low, high) in got["intervals"].items():
        assert low < got[name] < high
    assert evaluate(frame, LABELS, seed=1) == got
    assert evaluate(frame, LABELS, seed=2)["intervals"] != got["intervals"]


def test_interval_is_wider_where_speakers_differ() -> None:
    # 12 speakers x 20 clips, 60 % right in both tables: alike in one, six at 100 and six at 20 % in
    # the other.
    speakers = [f"{s:02d}" for s in range(12) for _ in range(20)]
    truth = ["a", "b"] * 120

    def score(rights: list[int]) -> dict[str, Any]:
        right = [clip < rights[s] for s in range(12) for clip in range(20)]
        predicted = [t if r else {"a": "b", "b": "a"}[t] for t, r in zip(truth, right, strict=True)]
        return evaluate(answers(truth, predicted, speakers), ["a", "b"])

    alike, apart = score([12] * 12), score([20] * 6 + [4] * 6)
    assert alike["accuracy"] == apart["accuracy"] == 0.6
    assert alike["intervals"]["accuracy"] == pytest.approx([0.6, 0.6])
    low, high = apart["intervals"]["accuracy"]
    assert high - low > 0.3
    assert alike["spread"]["speaker"]["accuracy_sd"] == pytest.approx(0)
    assert apart["spread"]["speaker"]["accuracy_sd"] == pytest.approx(0.4 * math.sqrt(12 / 11))


@pytest.mark.parametrize("speaker", ["", "07"])
def test_without_two_known_speakers_clips_are_resampled(speaker: str) -> None:
    right = [True] * 64 + [False] * 36
    predicted = ["a" if r else "b" for r in right]
    got = evaluate(answers(["a"] * 100, predicted, [speaker] * 100), ["a", "b"], n_boot=4000)
    assert got["interval_unit"] == "clip"
    assert got["n_speakers"] == (1 if speaker else 0)
    half_width = 1.96 * math.sqrt(0.64 * 0.36 / 100)  # normal approximation of the binomial
    assert got["intervals"]["accuracy"] == pytest.approx([0.64 - half_width, 0.64 + half_width], abs=0.015)
    assert got["spread"]["speaker"]["accuracy_sd"] is None


def test_a_channel_of_two_corpora_is_two_groups() -> None:
    frame = random_table(301, LABELS, 4)
    frame["corpus"] = np.where(np.arange(301) % 2, "a", "b")
    frame["channel"] = np.where((np.arange(301) % 6) == 1, "song", "speech")
    got = evaluate(frame, LABELS, n_boot=50)["groups"]["channel"]
    assert set(got) == {"a/speech", "b/speech", "song"}
    alone = evaluate(frame[(frame["corpus"] == "a") & (frame["channel"] == "speech")], LABELS, n_boot=50)
    assert got["a/speech"]["uar"] == alone["uar"]
    assert got["a/speech"]["n"] == alone["n_clips"]


def test_a_channel_is_scored_as_if_it_were_alone() -> None:
    frame = random_table(301, LABELS, 3)
    frame["channel"] = np.where(np.arange(301) % 3, "song", "speech")
    got = evaluate(frame, LABELS, n_boot=50)["groups"]["channel"]
    assert sorted(got) == ["song", "speech"]
    for name, row in got.items():
        alone = evaluate(frame[frame["channel"] == name], LABELS, n_boot=50)
        for score in ("accuracy", "uar", "ece", "accuracy_surest_half"):
            assert row[score] == pytest.approx(alone[score], abs=1e-12)
        for score in ("accuracy", "uar"):
            assert row["intervals"][score] == pytest.approx(alone["intervals"][score], abs=1e-12)


def test_groups_sum_up_to_the_whole() -> None:
    frame = random_table(301, list(LABELS), 8)
    got = evaluate(frame, LABELS, n_boot=2)
    assert list(got["groups"]) == ["speaker", "sex", "intensity", "statement", "channel", "corpus", "fold"]
    for groups in got["groups"].values():
        assert sum(row["n"] for row in groups.values()) == 301
        right = sum(row["n"] * row["accuracy"] for row in groups.values())
        assert right == pytest.approx(301 * got["accuracy"])
    assert list(got["groups"]["intensity"]) == ["normal", "strong", "unknown"]
    assert list(got["groups"]["fold"]) == ["0", "1", "2"]
    part = frame[frame["sex"] == "female"]
    female = got["groups"]["sex"]["female"]
    assert female["n"] == len(part)
    assert female["uar"] == pytest.approx(sk.balanced_accuracy_score(part["emotion"], part["predicted"]))
    per_fold = [row["uar"] for row in got["groups"]["fold"].values()]
    assert got["spread"]["fold"]["uar_sd"] == pytest.approx(np.std(per_fold, ddof=1))


def test_group_uar_is_over_the_classes_of_the_group() -> None:
    frame = answers(["a", "a", "b", "b"], ["a", "a", "b", "a"], ["1", "1", "2", "2"])
    got = evaluate(frame, ["a", "b"], n_boot=2)["groups"]["speaker"]
    assert got["1"] == {"n": 2, "accuracy": 1.0, "uar": 1.0, "classes": 1}
    assert got["2"] == {"n": 2, "accuracy": 0.5, "uar": 0.5, "classes": 1}


def test_speakers_of_two_corpora_stay_apart() -> None:
    frame = answers(["a"] * 5, ["a", "b", "a", "a", "a"], ["1", "1", "2", "10", ""])
    frame["corpus"] = ["one", "two", "two", "two", "two"]
    got = evaluate(frame, ["a", "b"], n_boot=2)
    assert list(got["groups"]["speaker"]) == ["2", "10", "one/1", "two/1", "unknown"]
    assert got["n_speakers"] == 4


def test_unknown_values_as_nan_are_unknown() -> None:
    frame = random_table(12, ["a", "b"], 0)
    frame["intensity"] = np.nan
    assert list(evaluate(frame, ["a", "b"], n_boot=2)["groups"]["intensity"]) == ["unknown"]


def _set(frame: pd.DataFrame, column: str, value: object, row: int = 3) -> pd.DataFrame:
    changed = frame.copy()
    changed[column] = changed[column].astype(object)
    changed.loc[row, column] = value
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=["p_b", "speaker"]), r"lack the column\(s\) p_b, speaker"),
        (lambda t: t.iloc[:0], "empty"),
        (lambda t: _set(t, "p_a", 0.5), r"clip3.wav \(0.0 to 1.5 s\) with the sum"),
        (lambda t: t.assign(p_a=t["p_a"] + 2, p_b=t["p_b"] - 2), "must be in"),
        (lambda t: _set(t, "p_b", np.nan), r"'p_b' has 1 missing value\(s\) \(NaN\), first at clip3.wav"),
        (lambda t: _set(t, "emotion", None), "'emotion' has 1 missing"),
        (lambda t: _set(t, "emotion", "joyful"), r"\['joyful'\] in 'emotion': the labels are a, b"),
        (lambda t: _set(t, "predicted", "x"), r"\['x'\] in 'predicted'"),
        (lambda t: _set(t, "path", "clip2.wav"), "more than once in the predictions, first clip2.wav"),
        (lambda t: _set(t, "p_a", "high"), "'p_a' must contain numbers"),
        (lambda t: t.rename(columns={"p_a": "p_b", "p_b": "p_a"}), "model's order"),
    ],
)
def test_bad_tables_say_what_is_wrong(change: Any, message: str) -> None:
    frame = random_table(10, ["a", "b"], 4)
    with pytest.raises(TrainingError, match=message):
        evaluate(change(frame), ["a", "b"])


def test_bad_arguments() -> None:
    frame = random_table(10, ["a", "b"], 4)
    with pytest.raises(TrainingError, match="must be distinct"):
        evaluate(frame, ["a", "a"])
    with pytest.raises(TrainingError, match="at least one resample"):
        evaluate(frame, ["a", "b"], n_boot=0)


def test_copies_of_a_clip_are_clips_of_their_own() -> None:
    frame = random_table(10, ["a", "b"], 4)
    both = pd.concat([frame, frame.assign(copy=1)], ignore_index=True)
    assert evaluate(both, ["a", "b"], n_boot=2)["n_clips"] == 20


def test_results_document() -> None:
    frame = random_table(60, ["a", "b"], 4)
    info = {"seed": 3, "recipe": "svm", "protocol": "random", "warning": "known voices", "folds": 5}
    got = results(info, frame, ["a", "b"], n_boot=10)
    assert list(got) == [
        *("format", "serkit", "date", "recipe", "recipe_hash", "recipe_text", "corpus", "protocol"),
        *("split_hash", "folds", "folds_run", "choices", "seed", "warning", "environment", "time", "metrics"),
    ]
    assert (got["format"], got["recipe"], got["seed"], got["split_hash"]) == (1, "svm", 3, None)
    assert got["environment"]["numpy"] == np.__version__
    assert got["metrics"] == evaluate(frame, ["a", "b"], n_boot=10)
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    with pytest.raises(TrainingError, match="recipy"):
        results({"recipy": "svm"}, frame, ["a", "b"])


def test_environment_names_only_what_is_installed() -> None:
    found = environment()
    assert found["serkit"] == "0.1.0"
    assert all(isinstance(version, str) and version for version in found.values())


def test_write_json_makes_plain_values(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "r.json"
    data = {"b": np.float32(0.5), "a": [math.nan, math.inf, np.int64(3)], "c": np.array([[1.0, np.nan]]), "é": None}
    assert write_json(data, path) == path
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == {"b": 0.5, "a": [None, None, 3], "c": [[1.0, None]], "é": None}
    assert list(json.loads(text)) == ["b", "a", "c", "é"]
    assert "NaN" not in text
    name = os.fsdecode(b"caf\xe9.wav")
    assert json.loads(write_json({"name": name}, path).read_bytes()) == {"name": name}


@pytest.mark.skipif(sys.platform == "win32", reason="needs links and pipes")
def test_a_link_a_pipe_and_a_long_name_are_written_to(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("real.json")
    assert write_json({"a": 1}, tmp_path / "link.json") == tmp_path / "link.json"
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_bytes()) == {"a": 1}
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    write_json({"a": 2}, tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    assert json.loads(os.read(pipe, 100)) == {"a": 2}
    os.close(pipe)
    assert write_json({}, tmp_path / ("n" * 250 + ".json")).is_file()


def test_write_json_keeps_the_old_file_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.json"
    write_json({"score": 1}, path)
    with pytest.raises(TypeError):
        write_json({"score": object()}, path)

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_json({"score": 2}, path)
    assert json.loads(path.read_text()) == {"score": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]
