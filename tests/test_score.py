"""The packaged folds, and ``ser score``: what is scored, what is refused, and that it equals serkit's own scores."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from serkit.corpora import COLUMNS, Corpus, read_corpus
from serkit.corpora.readers import crema_d
from serkit.errors import ProtocolError, TrainingError
from serkit.evaluation import submission_scores
from serkit.evaluation.paired import paired_test
from serkit.evaluation.scores import evaluate
from serkit.evaluation.submission import match, read_predictions
from serkit.protocol import make_split
from serkit.protocol.yardstick import Yardstick, load_yardstick, make_yardstick, packaged, write_yardstick
from serkit.training.recipe_files import load_recipe
from serkit.training.run import run_evaluation
from tests.conftest import Ser
from tests.small_recipes import QUICK_TEXT

SEXES = {"female", "male"}
#: Clips, speakers (dialogues in RESD) and sexes of the corpora whose folds ship.
FACTS: dict[str, tuple[int, int, set[str]]] = {
    "ravdess": (2452, 24, SEXES),
    "crema_d": (7435, 91, SEXES),
    "nemo": (4481, 9, SEXES),
    "emospeech": (2023, 106, {""}),
    "banglaser": (1466, 34, SEXES),
    "resd": (1396, 50, {""}),
}
TWINS = ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]


# --- the fold files ---------------------------------------------------------------------------------------------------


def test_the_packaged_files_are_those_that_were_promised() -> None:
    wanted = [("ravdess", seed) for seed in (0, 1, 2)] + [(corpus, 0) for corpus in FACTS if corpus != "ravdess"]
    protocols = ("random", "speaker", "speaker+enrolled")
    own = {(corpus, protocol, seed) for corpus, seed in wanted for protocol in protocols} - {("resd", "random", 0)}
    assert packaged() == sorted([*own, ("ravdess", "emobox", 0)])
    folder = Path(sys.modules["serkit.protocol.yardstick"].__file__ or "").parent
    for corpus, protocol, seed in packaged():
        assert (folder / f"{corpus}-{protocol}-{seed}.csv").stat().st_size < 130 * FACTS[corpus][0]


@pytest.mark.parametrize("key", packaged(), ids=str)
def test_every_packaged_file_keeps_its_promise(key: tuple[str, str, int]) -> None:
    corpus, protocol, _ = key
    yardstick = load_yardstick(*key)
    table = yardstick.table
    assert (yardstick.corpus, yardstick.protocol, yardstick.seed) == key
    clips, speakers, sexes = FACTS[corpus]
    assert len(table) == (1440 if protocol == "emobox" else clips)
    assert table["clip"].is_unique
    assert table["speaker"].nunique() == speakers
    assert set(table["sex"]) == sexes
    assert set(table["fold"]) == set(range(6 if protocol == "emobox" else 5))
    validates = [{int(k) for k in text.split(";")} if text else set() for text in table["validation"]]
    assert all(fold not in folds for fold, folds in zip(table["fold"], validates, strict=True))
    assert set.union(*validates) == set(table["fold"])
    roles = {"test", "enrol"} if protocol == "speaker+enrolled" else {"test"}
    single = table.groupby("speaker")["clip"].transform("size") == 1
    if protocol == "speaker+enrolled" and single.any():  # nobody can enrol with the one recording that is to be tested
        roles |= {"outside"}
        assert set(table.loc[single, "role"]) == {"outside"}
    assert set(table["role"]) == roles
    if protocol == "random":
        counts = table.groupby(["emotion", "channel", "fold"]).size().unstack()
        assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1 + (corpus == "emospeech")  # it has twins
    else:
        assert (table.groupby("speaker")["fold"].nunique() == 1).all()
        assert (table.groupby("speaker")["validation"].nunique() == 1).all()
    if protocol == "speaker+enrolled":
        plain = load_yardstick(corpus, "speaker", yardstick.seed).table
        pd.testing.assert_frame_equal(plain, table.assign(role="test"))
        assert ((table["role"] == "enrol").groupby(table["speaker"]).mean() <= 0.5).all()
    if corpus == "ravdess":
        assert len(table[table["clip"].isin(TWINS)].drop_duplicates(["fold", "role", "validation"])) == 1


def roles_of(yardstick: Yardstick) -> pd.DataFrame:
    """What each clip does in each fold, read from the file as its description says."""
    parts = []
    for k in range(yardstick.n_folds):
        table = yardstick.table
        validates = np.array([str(k) in text.split(";") for text in table["validation"]])
        role = np.where(table["fold"] == k, table["role"], np.where(validates, "validation", "train"))
        parts.append(pd.DataFrame({"clip": table["clip"], "fold": k, "role": role}))
    return pd.concat(parts).sort_values(["fold", "clip"], ignore_index=True)


def assert_same_folds(corpus: Corpus, key: tuple[str, str, int]) -> None:
    split = make_split(corpus, key[1], seed=key[2])
    made = split.table.assign(clip=split.table["path"].map(lambda path: PurePosixPath(path).stem))
    made = made[["clip", "fold", "role"]].sort_values(["fold", "clip"], ignore_index=True)
    packaged_roles = roles_of(load_yardstick(*key)).astype({"role": made["role"].dtype})
    pd.testing.assert_frame_equal(packaged_roles, made)
    known = ["emotion", "speaker", "sex", "channel"]
    truth = corpus.table.set_index(corpus.table["path"].map(lambda path: PurePosixPath(path).stem))[known]
    assert truth.sort_index().to_numpy().tolist() == load_yardstick(*key).table[known].to_numpy().tolist()


@pytest.mark.ravdess
def test_ravdess_at_hand_has_the_packaged_folds(ravdess_dir: Path) -> None:
    both, speech = (read_corpus(ravdess_dir, channel=channel) for channel in ("both", "speech"))
    for key in packaged():
        if key[0] == "ravdess":
            assert_same_folds(speech if key[1] == "emobox" else both, key)


@pytest.mark.ravdess
def test_crema_d_at_hand_has_the_packaged_folds(crema_dir: Path) -> None:
    listing = crema_d.read(crema_dir)  # no two of its clips have one sound, so nothing need be decoded
    rows = [
        dict.fromkeys(COLUMNS, "")
        | {"start": 0.0, "end": sf.info(crema_dir / row["path"]).duration, "corpus": "crema_d", "channel": "speech"}
        | row
        for row in listing.rows
    ]
    corpus = Corpus("crema_d", crema_dir, pd.DataFrame(rows), "", "")
    for key in packaged():
        if key[0] == "crema_d":
            assert_same_folds(corpus, key)


@pytest.mark.ravdess
@pytest.mark.parametrize(
    "name", ["banglaser", *(pytest.param(name, marks=pytest.mark.slow) for name in ("nemo", "emospeech", "resd"))]
)
def test_the_other_corpora_at_hand_have_the_packaged_folds(name: str, ravdess_dir: Path) -> None:
    corpus = read_corpus(ravdess_dir.parent / name, kind=name)
    for key in packaged():
        if key[0] == name:
            assert_same_folds(corpus, key)


def test_a_label_that_is_none_of_the_eight_is_scored_too() -> None:
    table = load_yardstick("resd").table
    said = table[["clip", "fold"]].assign(predicted=table["emotion"].replace("angry", "enthusiasm").str.upper())
    submission = match(said.astype(str), load_yardstick("resd"))
    assert submission.yardstick.labels[-1] == "enthusiasm"
    metrics = submission_scores.score(submission, "loud")["metrics"]
    assert metrics["per_class"]["angry"]["recall"] == 0
    assert metrics["per_class"]["enthusiasm"] | {"recall": 1.0} == metrics["per_class"]["enthusiasm"]
    assert metrics["uar"] == pytest.approx(6 / 7)


def test_a_fold_file_says_what_the_split_says_and_comes_back(tiny_corpus: Path, tmp_path: Path) -> None:
    corpus = read_corpus(tiny_corpus)
    made = make_yardstick(corpus, "speaker+enrolled", seed=3, n_folds=3)
    split = make_split(corpus, "speaker+enrolled", seed=3, n_folds=3).table
    expected = split.assign(clip=split["path"].map(lambda path: Path(path).stem))[["clip", "fold", "role"]]
    expected = expected.sort_values(["fold", "clip"], ignore_index=True)
    assert roles_of(made).to_numpy().tolist() == expected.to_numpy().tolist()
    path = write_yardstick(corpus, tmp_path, "random", seed=2)
    assert path.name == "ravdess-random-2.csv"
    again = Yardstick.from_csv(path)
    assert again.hash == make_yardstick(corpus, "random", seed=2).hash
    assert pd.read_csv(path, comment="#", dtype=str, keep_default_na=False)["speaker"].tolist() == [
        clip[-2:] for clip in again.table["clip"]
    ]


def test_a_fold_file_that_was_changed_is_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    path = write_yardstick(read_corpus(tiny_corpus), tmp_path, "speaker")
    text = path.read_text()
    path.write_text(text.replace(",fearful,", ",sad,", 1))
    with pytest.raises(ProtocolError, match="was changed after it was written"):
        Yardstick.from_csv(path)
    path.write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ProtocolError, match="was changed after it was written"):
        Yardstick.from_csv(path)
    path.write_text(text.partition("\n")[2])
    with pytest.raises(ProtocolError, match="is not a fold file"):
        Yardstick.from_csv(path)
    with pytest.raises(ProtocolError, match="cannot be read"):
        Yardstick.from_csv(tmp_path / "none.csv")


def test_what_cannot_be_a_yardstick_says_why(tiny_corpus: Path) -> None:
    corpus = read_corpus(tiny_corpus)
    with pytest.raises(ProtocolError, match="altered copies of its test clips are in training"):
        make_yardstick(corpus, "augmented-random")
    table = corpus.table.assign(path=corpus.table["path"].str.replace("03-01", "03.01"))
    with pytest.raises(ProtocolError, match="a dot in its name"):
        make_yardstick(Corpus("ravdess", corpus.root, table, "", ""))
    with pytest.raises(ProtocolError, match="ravdess, protocol speaker, seed 7: the seeds are 0, 1, 2"):
        load_yardstick("ravdess", "speaker", 7)
    with pytest.raises(ProtocolError, match=r"the protocols are emobox, random, speaker, speaker\+enrolled"):
        load_yardstick("ravdess", "speakers")
    with pytest.raises(ProtocolError, match="it leaks, so its scores are not comparable"):
        load_yardstick("ravdess", "augmented-random")
    with pytest.raises(ProtocolError, match="the corpora are banglaser, crema_d, emospeech, nemo, ravdess, resd"):
        load_yardstick("emodb")


# --- scores -----------------------------------------------------------------------------------------------------------


@cache
def _answers(corpus: str, protocol: str, seed: int) -> pd.DataFrame:
    yardstick = load_yardstick(corpus, protocol, seed)
    labels = yardstick.labels
    table = yardstick.table[yardstick.table["role"] == "test"].reset_index(drop=True)
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((len(table), len(labels)))
    scores[np.arange(len(table)), [labels.index(label) for label in table["emotion"]]] += 2
    scores = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    made = table[["clip", "fold"]].assign(predicted=[labels[k] for k in scores.argmax(axis=1)])
    return made.assign(**{f"p_{label}": scores[:, k] for k, label in enumerate(labels)})


def answers(corpus: str = "ravdess", protocol: str = "speaker", seed: int = 0) -> pd.DataFrame:
    """What a model that is right in about two thirds of the tested clips would say, with probabilities."""
    return _answers(corpus, protocol, seed).copy()


@pytest.fixture
def ser(ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ser:
    """``ser score`` on a table, in an empty folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(table: pd.DataFrame | str, *options: str) -> tuple[int, str, str]:
        text = table if isinstance(table, str) else table.to_csv(index=False)
        Path("mine.csv").write_text(text, encoding="utf-8")
        return ser("score", "mine.csv", *options)

    return run


def test_the_scores_are_those_of_scikit_learn(ser: Ser, tmp_path: Path) -> None:
    table = answers()
    code, out, err = ser(table, "--out", "scored")
    assert (code, err) == (0, "")
    truth = load_yardstick("ravdess").table["emotion"]
    results = json.loads((tmp_path / "scored/results.json").read_text())
    metrics = results["metrics"]
    assert metrics["accuracy"] == pytest.approx(accuracy_score(truth, table["predicted"]))
    assert metrics["uar"] == pytest.approx(balanced_accuracy_score(truth, table["predicted"]))
    low, high = metrics["intervals"]["uar"]
    assert f"{metrics['uar']:.1%}" in out
    assert f"{low:.1%} to {high:.1%}" in out
    assert f"{metrics['ece']:.1%}" in out
    assert (results["recipe"], results["corpus"], results["protocol"]) == ("mine", "ravdess speech+song", "speaker")
    assert results["yardstick"] == load_yardstick("ravdess").hash
    assert metrics["groups"]["speaker"]["18"]["n"] == 60
    assert metrics["groups"]["intensity"]["strong"]["n"] == 1132
    assert "mine" in (tmp_path / "scored/report.html").read_text()
    assert "none packaged" in out or "paired by speaker" in out


@pytest.mark.parametrize("protocol", ["speaker", "speaker+enrolled", "random"])
def test_the_predictions_of_an_evaluation_give_exactly_its_results(
    protocol: str, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "quick.toml").write_text(QUICK_TEXT)
    corpus = read_corpus(tiny_corpus)
    split = make_split(corpus, protocol, seed=1, n_folds=3)
    run = run_evaluation(load_recipe(tmp_path / "quick.toml"), corpus, split, tmp_path / "run")
    table = read_predictions(tmp_path / "run/predictions.csv")
    submission = match(table, make_yardstick(corpus, protocol, seed=1, n_folds=3))
    assert submission.notes == []
    document = submission_scores.score(submission, "quick")
    stored = json.loads((tmp_path / "run/results.json").read_text())
    assert json.loads(json.dumps(document["metrics"])) == stored["metrics"]
    assert run.results["metrics"]["n_clips"] == len(submission.table)


def test_names_folders_order_and_labels_of_others_are_understood() -> None:
    plain = answers()
    one = submission_scores.score(match(plain.astype(str), load_yardstick("ravdess")), "x")["metrics"]
    short = {"neutral": "NEU", "happy": "Happiness", "fearful": "fear", "angry": "ANG", "surprised": "surprise"}
    other = plain.sample(frac=1, random_state=3).reset_index(drop=True)
    other["file"] = [f"C:\\RAVDESS\\Actor\\{name}.wav.npy" for name in other.pop("clip")]
    other["predicted"] = other["predicted"].replace(short)
    other = other.rename(columns={f"p_{label}": f"p_{alias}" for label, alias in short.items()})
    two = submission_scores.score(match(other.astype(str), load_yardstick("ravdess")), "x")["metrics"]
    for name, value in one.items():
        if isinstance(value, float):
            assert two[name] == pytest.approx(value, abs=1e-12), name
    assert two["confusion"] == one["confusion"]
    assert two["intervals"] == one["intervals"]


def test_probabilities_alone_or_labels_alone_are_enough(ser: Ser, tmp_path: Path) -> None:
    table = answers()
    both = json.loads(ser(table, "--json")[1])
    only_p = json.loads(ser(table.drop(columns="predicted"), "--json")[1])
    assert only_p["metrics"] == both["metrics"]
    code, out, err = ser(table[["clip", "fold", "predicted"]], "--json", "--out", "scored")
    assert (code, err) == (0, "")
    labels = json.loads(out)
    assert json.loads((tmp_path / "scored/results.json").read_text()) == labels
    assert not (tmp_path / "scored/report.html").exists()
    needing = {"ece", "reliability", "mean_confidence", "log_loss", "brier", "accuracy_surest_half", "risk_coverage"}
    needing |= {"mean_over_corpora"}  # of the protocol corpus alone
    assert {name for name, value in labels["metrics"].items() if value is None} == needing
    for column in ("channel", "corpus"):
        for name, row in labels["metrics"]["groups"][column].items():
            assert {key for key, value in row.items() if value is None} == {"ece", "accuracy_surest_half"}
            row |= {key: both["metrics"]["groups"][column][name][key] for key in ("ece", "accuracy_surest_half")}
    assert {name: value for name, value in labels["metrics"].items() if name not in needing} == {
        name: value for name, value in both["metrics"].items() if name not in needing
    }
    code, out, _ = ser(table[["clip", "fold", "predicted"]])
    assert code == 0
    assert "the calibration error" in out
    assert "calibration error │" not in out


def test_a_channel_alone_is_scored_with_the_same_folds(ser: Ser) -> None:
    table = answers()
    channel = load_yardstick("ravdess").table["channel"]
    whole = json.loads(ser(table, "--json")[1])["metrics"]
    for name in ("speech", "song"):
        alone = json.loads(ser(table[channel == name], "--json", "--channel", name)[1])
        # The packaged rows were scored on both channels.
        assert all(note.startswith("Not compared, because scored on other clips: ") for note in alone["notes"])
        assert alone["corpus"] == f"ravdess {name}"
        group = whole["groups"]["channel"][name]
        assert (alone["metrics"]["n_clips"], alone["metrics"]["accuracy"]) == (group["n"], group["accuracy"])
        more = json.loads(ser(table, "--json", "--channel", name)[1])
        assert more["metrics"] == alone["metrics"]
        assert "of the other channel were ignored" in more["notes"][0]
    song = table[channel == "song"].drop(columns=["p_disgust", "p_surprised"])  # nobody sings these
    song = song.assign(predicted="calm", **{name: 0.0 for name in song if name.startswith("p_")}).assign(p_calm=1.0)
    assert json.loads(ser(song, "--json", "--channel", "song")[1])["metrics"]["n_clips"] == 1012
    code, _, err = ser(table[channel == "speech"])
    assert code == 2
    assert "1012 of 2452 clips" in err
    assert "To score only speech, use --channel speech." in err


def test_clips_to_enrol_with_are_not_scored(ser: Ser) -> None:
    plain = answers()
    clips = load_yardstick("ravdess", "speaker+enrolled").table
    enrolled = clips.loc[clips["role"] == "enrol", "clip"]
    scored = json.loads(ser(plain, "--protocol", "speaker+enrolled", "--json")[1])
    assert scored["metrics"]["n_clips"] == 2452 - len(enrolled)
    assert scored["notes"] == [f"{len(enrolled)} predictions of clips that enrol, or cannot be scored, were ignored."]
    without = json.loads(ser(plain[~plain["clip"].isin(enrolled)], "--protocol", "speaker+enrolled", "--json")[1])
    assert without["metrics"] == scored["metrics"]


def test_crema_d_is_scored_in_its_six_classes(ser: Ser) -> None:
    results = json.loads(ser(answers("crema_d"), "--corpus", "crema_d", "--json")[1])
    assert results["metrics"]["labels"] == ["neutral", "happy", "sad", "angry", "fearful", "disgust"]
    assert results["metrics"]["n_speakers"] == 91
    code, _, err = ser(answers("crema_d").assign(p_calm=0.0), "--corpus", "crema_d")
    assert code == 2
    assert "p_calm does not belong to a label of crema_d" in err


def test_a_prediction_against_its_own_probabilities_is_pointed_out(ser: Ser) -> None:
    table = answers()
    table.loc[:9, "predicted"] = "disgust"
    less = (table["p_disgust"] < table.filter(like="p_").max(axis=1)).loc[:9].sum()
    assert (
        f"In {less} rows, predicted is not the label with the highest"
        in json.loads(ser(table, "--json")[1])["notes"][0]
    )


# --- what is refused --------------------------------------------------------------------------------------------------


def edited(column: str, row: int, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype(object)
        table.loc[row, column] = value
        return table

    return edit


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (edited("fold", 1, 4), "1 of 2452 clips were predicted in the wrong fold, first 03-01-01-01-01-01-02 in"),
        (lambda t: t.assign(fold=t["fold"] + 1), "with other numbers: 0 is called 1, 1 is called 2"),
        (lambda t: t.assign(fold=answers(seed=1)["fold"]), "They are the folds of --protocol speaker --seed 1."),
        (edited("fold", 0, "x"), "The fold of 03-01-01-01-01-01-01 is 'x': expected a number from 0 to 4"),
        (edited("fold", 0, ""), "is '': expected a number"),
        (lambda t: t.drop(index=[3, 7]), "2 of 2452 clips of ravdess-speaker-0 are missing: 03-01-01-01-01-01-04, 03"),
        (lambda t: pd.concat([t, t[:2]]), "2 of 2454 rows repeat a clip: 03-01-01-01-01-01-01, 03"),
        (edited("clip", 0, "a.wav"), "1 of 2452 rows do not name a clip of ravdess-speaker-0: a"),
        (edited("predicted", 5, "bored"), "first 'bored' (03-01-01-01-01-01-06): expected one of neutral, calm"),
        (edited("predicted", 5, ""), "first '' (03-01-01-01-01-01-06)"),
        (edited("p_sad", 2, 0.99), "1 of 2452 rows have invalid probabilities, first 03-01-01-01-01-01-03"),
        (edited("p_sad", 2, "high"), "have invalid probabilities"),
        (edited("p_sad", 2, "nan"), "have invalid probabilities"),
        (lambda t: t.drop(columns="p_sad"), "no p_sad: give a column for each label, or none"),
        (lambda t: t.rename(columns={"p_sad": "p_bored"}), "p_bored does not belong to a label of ravdess"),
        (lambda t: t.assign(p_sadness=0.0), "are the same label"),
        (lambda t: t.assign(emotion="sad"), "2076 of 2452 rows, first 03-01-01-01-01-01-01: 'sad', expected"),
        (lambda t: t.drop(columns="fold"), "lack the column fold"),
        (lambda t: t.rename(columns={"clip": "name"}), "lack the column clip (or path, or file): they have name, fold"),
        (lambda t: t[["clip", "fold"]], "have neither a column predicted nor p_<label>"),
        (lambda t: t[:0], "has no predictions"),
        (lambda t: "", "has no predictions"),
        (lambda t: "clip,fold,fold\na,1,2\n", "two columns named 'fold'"),
        (lambda t: "clip,fold,predicted\na,1\n", "line 2: 2 fields, expected the 3"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(ser: Ser, change: Callable[[Any], Any], says: str) -> None:
    code, out, err = ser(change(answers()))
    assert (code, out) == (2, "")
    assert err.startswith("ser: ")
    assert says in err
    assert err.count("\n") == 1


def test_all_missing_clips_are_written_down(ser: Ser, tmp_path: Path) -> None:
    table = answers()
    gone = table.sample(30, random_state=1).sort_values("clip")
    code, _, err = ser(table.drop(index=gone.index), "--out", "scored")
    assert code == 2
    assert "30 of 2452 clips" in err
    assert "All missing clips: scored/missing.csv" in err
    listed = pd.read_csv(tmp_path / "scored/missing.csv")
    assert listed.to_numpy().tolist() == gone[["clip", "fold"]].to_numpy().tolist()
    assert not (tmp_path / "scored/results.json").exists()


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="No such file"):
        read_predictions(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("clip,fold,predicted\né,0,sad\n".encode("latin-1"))
    with pytest.raises(TrainingError, match="not UTF-8 text"):
        read_predictions(tmp_path / "latin.csv")


# --- against serkit's rows --------------------------------------------------------------------------------------------


def row_of(table: pd.DataFrame, recipe: str, folds: list[int], **more: Any) -> dict[str, Any]:
    """A row as ``ser compare`` writes it, from predictions."""
    submission = match(table.astype(str), load_yardstick("ravdess"))
    part = submission.table[submission.table["fold"].isin(folds)]
    scores = evaluate(part, submission.yardstick.labels, n_boot=1)
    return {
        "recipe": recipe,
        "corpus": "ravdess speech+song",
        "protocol": "speaker",
        "seed": 0,
        "folds_run": folds,
        "reduced": None,
        "accuracy": scores["accuracy"],
        "speakers": scores["groups"]["speaker"],
    } | more


def test_the_paired_test_is_over_speakers(ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    table = answers()
    worse = table.copy()
    worse.loc[::4, "predicted"] = "calm"
    rows = [
        row_of(worse, "worse", [0, 1, 2, 3, 4]),
        row_of(table, "same", [0, 2], reduced="3 of 40 epochs"),
        row_of(worse, "other seed", [0, 1, 2, 3, 4], seed=1),
    ]
    monkeypatch.setattr(submission_scores, "our_rows", lambda: rows)
    code, out, _ = ser(table, "--json")
    assert code == 0
    first, second = json.loads(out)["against"]
    clips = load_yardstick("ravdess").table
    right = [(t["predicted"] == clips["emotion"]).groupby(clips["speaker"]).mean().to_dict() for t in (table, worse)]
    expected = paired_test(*right)
    assert first["recipe"] == "worse"
    assert first["difference"] == pytest.approx(expected.difference)
    assert (first["p_value"], first["n_speakers"]) == (expected.p_value, 24)
    assert first["p_holm"] == min(1, 2 * expected.p_value)
    assert first["accuracy"] - first["accuracy_ours"] > 0.1
    assert (second["difference"], second["p_value"], second["folds"]) == (0, 1, 2)
    assert second["accuracy"] == second["accuracy_ours"]
    code, out, _ = ser(table)
    assert "paired by speaker" in out
    assert "same (3 of 40 epochs)" in out
    only = json.loads(ser(table, "--json", "--against", "same")[1])["against"]
    assert [row["recipe"] for row in only] == ["same"]
    code, _, err = ser(table, "--against", "best")
    assert code == 2
    assert "There are no results of best for ravdess-speaker-0: the recipes are same, worse." in err
    speech = clips["channel"] == "speech"
    notes = json.loads(ser(table[speech], "--json", "--channel", "speech")[1])["notes"]
    assert "Not compared, because scored on other clips: worse, same." in notes


def test_without_rows_it_says_so(ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission_scores, "our_rows", list)
    code, out, _ = ser(answers())
    assert code == 0
    assert "none packaged" in out
    code, _, err = ser(answers(), "--against", "default")
    assert code == 2
    assert "there are no results for it" in err


def test_the_packaged_rows_can_be_tested_against() -> None:
    rows = [row for row in submission_scores.our_rows() if (row["protocol"], row["seed"]) == ("speaker", 0)]
    submission = match(answers().astype(str), load_yardstick("ravdess"))
    tested, notes = submission_scores.compare(submission, submission_scores.our_rows())
    assert notes == []
    assert [row["recipe"] for row in tested] == [row["recipe"] for row in rows]


def test_what_compare_writes_can_be_tested_against(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serkit.compare import grid as compare
    from serkit.compare.scores import collect

    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "quick.toml").write_text(QUICK_TEXT)
    corpus = read_corpus(tiny_corpus)
    for folds in (5, 3):
        cells = compare.plan([str(tmp_path / "quick.toml")], protocols=["speaker"], seeds=[0], folds=folds)
        outcomes = list(compare.run(cells, corpus, tmp_path / f"runs{folds}"))
        rows = submission_scores.our_rows(json.loads(json.dumps(collect(outcomes, corpus))))
        if folds == 5:
            assert outcomes[0].run is not None
            table = read_predictions(outcomes[0].run.folder / "predictions.csv")
            submission = match(table, make_yardstick(corpus))
        tested, notes = submission_scores.compare(submission, rows)
        if folds == 5:
            assert notes == []
            assert [(row["recipe"], row["difference"], row["p_value"]) for row in tested] == [("quick", 0, 1)]
            assert tested[0]["accuracy"] == tested[0]["accuracy_ours"]
        else:
            assert notes == []
            assert tested[0]["n_speakers"] == len(rows[0]["speakers"]) < 5
            assert (tested[0]["difference"], tested[0]["p_value"]) == (0, 1)
