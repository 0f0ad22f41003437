"""A finished model on another corpus: only what both know is scored, exactly, and never what it was trained on."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serkit.bundle import Bundle, read_bundle
from serkit.bundle.clips import known_clips, pack_clips
from serkit.corpora import Corpus, read_corpus
from serkit.emotions import LABELS
from serkit.errors import TrainingError
from serkit.recognition.recognizer import Recognizer
from serkit.training import fitting, transfer
from serkit.training.export import check_scores
from serkit.training.recipe_files import load_recipe
from serkit.training.transfer import check_transfer, run_transfer
from tests.conftest import Ser, voice
from tests.tiny_models import softmax, tiny_manifest, waveform_graph, write_tiny

#: The model knows these; the corpus gives happy, sad, angry and surprised.
KNOWN = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust")
SHARED = ["happy", "sad", "angry"]
SLOPE = np.linspace(-60, 60, 7, dtype=np.float32)[np.newaxis]
BIAS = np.array([[0.5, 1.0, 1.6, 1.5, 0.9, -0.1, -2.0]], dtype=np.float32)
INPUT = {"kind": "waveform", "sample_rate": 16000, "min_seconds": 0.25, "max_seconds": 2.0}


def bundle_at(folder: Path, *, clips: bytes | None = b"", **changes: Any) -> Bundle:
    """A bundle that was trained on the clips with these hashes, by default on none; None keeps no hashes."""
    values = {"labels": KNOWN, "input": INPUT, "corpus": "ravdess", "recipe_hash": "abc", "scores": {}, **changes}
    return write_tiny(folder, graph=waveform_graph(slope=SLOPE, bias=BIAS), clips=clips, **values)


def write_corpus(root: Path, rows: list[dict[str, Any]]) -> Corpus:
    pd.DataFrame(rows).to_csv(root / "manifest.csv", index=False)
    return read_corpus(root, kind="manifest")


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERKIT_CACHE", str(tmp_path_factory.mktemp("digests")))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_at(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """24 files of three speakers at different levels, one without any voice, one long one with two clips in it."""
    root = tmp_path / "foreign"
    root.mkdir()
    rows = []
    for speaker in range(3):
        for e, emotion in enumerate((*SHARED, "surprised")):
            for k, gain in enumerate((0.02, 1.0)):
                sound = gain * (0.5 + 0.5 * e) * voice(e, speaker, seconds=0.6, seed=k)
                name = f"{speaker}_{emotion}_{k}.wav"
                sf.write(root / name, sound, 16000, subtype="FLOAT")
                rows.append({"path": name, "emotion": emotion, "speaker": f"s{speaker}", "start": "", "end": ""})
    sf.write(root / "silence.wav", np.zeros(9600, np.float32), 16000, subtype="FLOAT")
    rows.append({"path": "silence.wav", "emotion": "sad", "speaker": "s0", "start": "", "end": ""})
    sf.write(root / "bored.wav", voice(1, 1, seconds=0.6), 16000, subtype="FLOAT")
    rows.append({"path": "bored.wav", "emotion": "Boredom", "speaker": "s0", "start": "", "end": ""})
    long = voice(2, 1, seconds=7.0) * np.linspace(0.01, 2, 112000, dtype=np.float32)
    sf.write(root / "long.wav", long, 16000, subtype="FLOAT")
    rows.append({"path": "long.wav", "emotion": "angry", "speaker": "s1", "start": 0.5, "end": 1.25})
    rows.append({"path": "long.wav", "emotion": "angry", "speaker": "s1", "start": 1.5, "end": 6.75})
    write_corpus(root, rows)
    return root


def over_shared(corpus: Corpus, row: Any) -> np.ndarray:
    """Probabilities of the shared labels for one clip: softmax over their scores only, averaged over windows of 2 s."""
    sound, rate = sf.read(corpus.root / row.path, dtype="float64")
    sound = sound[round(row.start * rate) : round(row.end * rate)]
    windows = [sound[k : k + 2 * rate] for k in range(0, len(sound), 2 * rate)]
    full = [softmax(np.abs(x).mean() * SLOPE[0] + BIAS[0]) for x in windows]
    mean = np.average(full, axis=0, weights=[len(x) for x in windows])
    kept = mean[[KNOWN.index(label) for label in SHARED]]
    return kept / kept.sum()


# ---------------------------------------------------------------------------------------------- restricting


@given(
    hnp.arrays(float, (7, 5), elements=st.floats(0, 1)).filter(lambda p: (p.sum(1) > 0).all()),
    hnp.arrays(bool, (7, 5)),
)
def test_what_stays_keeps_its_ratios_and_sums_to_1(p: np.ndarray, known: np.ndarray) -> None:
    p /= p.sum(1, keepdims=True)
    got = fitting.restrict(p, known)
    np.testing.assert_allclose(got.sum(1), 1, atol=1e-12)
    for row, before, stays in zip(got, p, known, strict=True):
        if stays.sum() in (1, 0, 5):  # one label would always be right; five are all
            np.testing.assert_array_equal(row, before)
            continue
        assert (row[~stays] == 0).all()
        if before[stays].sum() > 0:
            np.testing.assert_allclose(row[stays] * before[stays].sum(), before[stays], atol=1e-12)
    np.testing.assert_allclose(fitting.restrict(got, known), got, atol=1e-12)


def test_a_model_that_gives_nothing_to_what_stays_shares_equally() -> None:
    p = np.array([[0.0, 1.0, 0.0, 0.0], [-1e-7, 1.0, 1e-12, 0.0]])  # the second: a softmax in float32
    got = fitting.restrict(p, np.array([True, False, True, True]))
    np.testing.assert_allclose(got, [[1 / 3, 0, 1 / 3, 1 / 3], [0, 0, 1, 0]])


# ---------------------------------------------------------------------------------------------- the whole way


def test_the_scores_are_those_of_scikit_learn_on_the_formulas_answers(
    bundle: Bundle, foreign: Path, tmp_path: Path
) -> None:
    corpus = read_corpus(foreign)
    events: list[dict[str, Any]] = []
    run = run_transfer(bundle, corpus, tmp_path / "out", progress=events.append)
    clips = corpus.table[corpus.table["emotion"].isin(SHARED)].reset_index(drop=True)
    wanted = np.array([over_shared(corpus, row) for row in clips.itertuples()])
    table = run.predictions
    pd.testing.assert_frame_equal(
        table[["path", "start", "end", "emotion"]], clips[["path", "start", "end", "emotion"]]
    )
    p = table[["p_happy", "p_sad", "p_angry"]].to_numpy()
    np.testing.assert_allclose(p, wanted, atol=1e-5)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-12)
    assert not {"p_calm", "p_neutral", "p_surprised"} & set(table.columns)
    predicted = np.array(SHARED)[wanted.argmax(1)]
    assert set(predicted) == set(SHARED)  # else the test would say little
    np.testing.assert_array_equal(table["predicted"], predicted)
    np.testing.assert_allclose(table["confidence"], p.max(1))
    metrics = run.results["metrics"]
    truth = clips["emotion"]
    assert metrics["labels"] == SHARED
    assert metrics["uar"] == pytest.approx(sk.balanced_accuracy_score(truth, predicted))
    assert metrics["accuracy"] == pytest.approx(sk.accuracy_score(truth, predicted))
    np.testing.assert_array_equal(metrics["confusion"], sk.confusion_matrix(truth, predicted, labels=SHARED))
    order = sorted(SHARED)
    columns = wanted[:, [SHARED.index(label) for label in order]]
    assert metrics["log_loss"] == pytest.approx(sk.log_loss(truth, columns, labels=order), abs=1e-4)
    assert metrics["n_speakers"] == 3
    assert [event["done"] for event in events] == list(range(len(clips) + 1))
    assert {(event["stage"], event["total"]) for event in events} == {("answers", len(clips))}


def test_the_document_says_which_model_and_what_was_left_out(bundle: Bundle, foreign: Path, tmp_path: Path) -> None:
    run = run_transfer(Recognizer(bundle), read_corpus(foreign), tmp_path / "deep" / "out", n_jobs=3)
    document = json.loads((run.folder / "results.json").read_text())
    assert document == run.results
    assert (document["protocol"], document["corpus"]) == ("cross-corpus", "foreign speech")
    assert document["recipe_hash"] == "abc"
    assert document["model"] == {
        **{"name": "tiny", "version": "1.0", "recipe_hash": "abc", "trained_on": "ravdess", "labels": list(KNOWN)},
        "sha256": bundle.manifest.files["model.onnx"],
    }
    found = document["transfer"]
    assert found["labels"] == SHARED
    assert found["left_out"] == {"boredom": 1, "surprised": 6}
    assert found["heard"] == 0
    assert found["dropped"] == ["neutral", "calm", "fearful", "disgust"]
    assert found["failures"] == []
    free = run.predictions["unrestricted"]
    outside = free[~free.isin(SHARED)]
    assert 0 < len(outside) < len(free)
    assert found["outside"]["labels"] == outside.value_counts().to_dict()
    assert (found["outside"]["n"], found["outside"]["share"]) == (len(outside), len(outside) / len(free))
    inside = free.isin(SHARED)  # where the unrestricted answer stays, it is the answer
    assert (run.predictions["predicted"][inside] == free[inside]).all()
    written = pd.read_csv(run.folder / "predictions.csv", keep_default_na=False, dtype={"intensity": str})
    np.testing.assert_array_equal(written["p_sad"], run.predictions["p_sad"])
    assert list(written.columns) == list(run.predictions.columns)
    page = (run.folder / "report.html").read_text()
    assert "On a corpus it was never trained on" in page
    assert "tiny, version 1.0, trained on ravdess" in page
    assert "boredom 1, surprised 6" in page
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["out"]
    assert sorted(path.name for path in run.folder.iterdir()) == ["predictions.csv", "report.html", "results.json"]


def test_a_part_of_a_joined_corpus_is_scored_over_its_own_labels(bundle: Bundle, tmp_path: Path) -> None:
    root = tmp_path / "mixed"
    root.mkdir()
    rows = []
    for name, emotions in {"x": ("happy", "sad", "angry"), "y": ("sad", "angry")}.items():
        for k, emotion in enumerate(emotions):
            sf.write(root / f"{name}{k}.wav", 0.05 * voice(k, 1, seconds=0.5), 16000, subtype="FLOAT")
            rows.append({"path": f"{name}{k}.wav", "emotion": emotion, "corpus": name})
    run = run_transfer(bundle, write_corpus(root, rows), tmp_path / "out")
    table = run.predictions.set_index("path")
    assert (table["p_happy"] > 0).tolist() == [True, True, True, False, False]
    np.testing.assert_allclose(table[["p_happy", "p_sad", "p_angry"]].sum(axis=1), 1, atol=1e-12)
    assert table.loc["y0.wav", "unrestricted"] == "happy"  # so its answer was dropped, for y only
    assert table.loc["x0.wav", "unrestricted"] == "happy"
    assert run.results["transfer"]["outside"]["labels"] == {"happy": 2}


def test_a_broken_clip_leaves_the_others_answered(bundle: Bundle, foreign: Path, tmp_path: Path) -> None:
    corpus = read_corpus(foreign)
    whole = run_transfer(bundle, corpus, tmp_path / "whole").predictions
    (foreign / "1_sad_0.wav").write_bytes(b"RIFF, but not for long")
    (foreign / "2_happy_1.wav").unlink()
    sf.write(foreign / "0_angry_1.wav", voice(0, 0, seconds=0.2), 16000)
    run = run_transfer(bundle, corpus, tmp_path / "out")
    failures = {row["path"]: row["error"] for row in run.results["transfer"]["failures"]}
    assert list(failures) == ["0_angry_1.wav", "1_sad_0.wav", "2_happy_1.wav"]
    assert "lasts 0.200 s; the model tiny needs at least 0.25 s" in failures["0_angry_1.wav"]
    rest = whole[~whole["path"].isin(failures)].reset_index(drop=True)
    pd.testing.assert_frame_equal(run.predictions, rest)
    assert run.results["metrics"]["n_clips"] == len(rest)
    assert "1_sad_0.wav: " in (run.folder / "report.html").read_text()


def test_no_answer_at_all_is_an_error(bundle: Bundle, foreign: Path, tmp_path: Path) -> None:
    corpus = read_corpus(foreign)
    for file in foreign.glob("*.wav"):
        file.unlink()
    with pytest.raises(TrainingError, match=r"None of the 21 clips could be answered; the first is 0_angry_0\.wav"):
        run_transfer(bundle, corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_stops_it_leaves_nothing_behind(
    error: Any, bundle: Bundle, foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(transfer, "write_report", stop)  # the last of three files
    with pytest.raises(
        (KeyboardInterrupt, TrainingError), match=r"^$|^The disk is full \(writing .*\): free some space.$"
    ):
        run_transfer(bundle, read_corpus(foreign), tmp_path / "runs" / "out")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_folder_that_is_taken_is_left_alone(
    bundle: Bundle, foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    run_transfer(bundle, read_corpus(foreign), tmp_path / "out")  # an empty one may be used
    before = (tmp_path / "out" / "results.json").read_bytes()
    monkeypatch.setattr(Recognizer, "predict_iter", None)  # said before the work, not after it
    with pytest.raises(TrainingError, match="out exists already: use another --out"):
        run_transfer(bundle, read_corpus(foreign), tmp_path / "out")
    assert (tmp_path / "out" / "results.json").read_bytes() == before


# ---------------------------------------------------------------------------------------------- what is refused


def corpus_of(name: str, emotions: list[str], parts: list[str] | None = None) -> Corpus:
    table = {
        "path": [f"{k}.wav" for k in range(len(emotions))],
        "emotion": emotions,
        "corpus": parts or [name] * len(emotions),
        "audio_hash": [f"{k:016x}" + 48 * "0" for k in range(len(emotions))],
    }
    return Corpus(name, Path(), pd.DataFrame(table), "", "")


def made_from(bundle: Bundle, clips: bytes | None = b"", **changes: Any) -> Bundle:
    return replace(bundle, manifest=tiny_manifest(**{"labels": KNOWN, "corpus": "ravdess", **changes}), clips=clips)


TWO = ["happy", "sad"]


@pytest.mark.parametrize(
    ("trained", "corpus", "message"),
    [
        ("ravdess", corpus_of("ravdess", TWO), "trained on ravdess, so its answers on ravdess say nothing"),
        ("ravdess+crema_d", corpus_of("crema_d", TWO), r"trained on ravdess\+crema_d, so its answers on crema_d say"),
        ("crema_d", corpus_of("CREMA-D", TWO), "trained on crema_d, so its answers on CREMA-D say"),
        ("crema_d", corpus_of("ravdess+crema_d", TWO, ["ravdess", "crema_d"]), "answers on crema_d say nothing"),
        ("ravdess", corpus_of("collection", TWO, ["savee", "ravdess"]), "its answers on ravdess say nothing"),
        ("", corpus_of("savee", TWO), "does not say what it was trained on"),
        ("ravdess", corpus_of("savee", ["happy", "happy"]), r"\(happy\) share happy: at least two"),
        ("ravdess", corpus_of("savee", ["surprised", "bored"]), r"\(bored, surprised\) share no label: at least two"),
    ],
)
def test_what_would_say_nothing_is_refused(bundle: Bundle, trained: str, corpus: Corpus, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        check_transfer(made_from(bundle, corpus=trained), corpus)


def test_shared_labels_are_in_the_order_of_the_model(bundle: Bundle) -> None:
    model = made_from(bundle, labels=("sad", "bored", "happy"))
    shared, heard = check_transfer(model, corpus_of("ravdess_2", ["happy", "calm", "sad"]))
    assert shared == ["sad", "happy"]
    assert heard.tolist() == [False, False, False]


def test_a_bundle_that_keeps_no_hashes_is_refused(bundle: Bundle) -> None:
    with pytest.raises(TrainingError, match="tiny does not keep the hashes of its training clips, so it is unknown"):
        check_transfer(made_from(bundle, clips=None), corpus_of("savee", TWO))


def test_a_renamed_copy_of_the_training_corpus_is_refused(foreign: Path, tmp_path: Path, ser: Ser) -> None:
    table = read_corpus(foreign).table
    model = bundle_at(tmp_path / "model", clips=pack_clips(table["audio_hash"]))
    copy = tmp_path / "copy"
    for k, row in enumerate(table[table["emotion"].isin(SHARED)].itertuples()):  # other names, folders and containers
        sound, rate = sf.read(foreign / row.path, start=round(row.start * 16000), stop=round(row.end * 16000))
        (copy / row.emotion).mkdir(parents=True, exist_ok=True)
        sf.write(copy / row.emotion / f"{k:03d}.{'aiff' if k % 2 else 'wav'}", sound, rate, subtype="FLOAT")
    code, out, err = ser("transfer", model.path, "--data", copy, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert "The model tiny was trained on 21 of the 21 clips of copy (as part of ravdess)" in err
    assert not (tmp_path / "out").exists()


def test_a_few_clips_of_the_training_are_left_out_and_counted(
    bundle: Bundle, foreign: Path, tmp_path: Path, ser: Ser
) -> None:
    corpus = read_corpus(foreign)
    whole = run_transfer(bundle, corpus, tmp_path / "whole").predictions
    known = corpus.table[corpus.table["path"].isin(["0_sad_1.wav", "2_angry_0.wav"])]
    model = bundle_at(tmp_path / "model", clips=pack_clips(known["audio_hash"]))
    run = run_transfer(model, corpus, tmp_path / "part")
    assert run.results["transfer"]["heard"] == 2
    rest = whole[~whole["path"].isin(known["path"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(run.predictions, rest)
    assert run.results["metrics"]["n_clips"] == len(whole) - 2
    page = html.unescape((run.folder / "report.html").read_text())
    assert "because they were in the model's training</th><td class='left'>2</td>" in page.replace('"', "'")
    code, out, _ = ser("transfer", model.path, "--data", foreign, "--out", tmp_path / "again")
    assert code == 0
    assert "Left out, because they were in the model's training: 2 clips." in out


@pytest.mark.parametrize(("heard", "refused"), [(2, False), (3, True)])
def test_more_than_a_tenth_is_a_copy(bundle: Bundle, heard: int, refused: bool) -> None:
    corpus = corpus_of("savee", TWO * 10)
    model = made_from(bundle, clips=pack_clips(corpus.table["audio_hash"][-heard:]))
    if refused:
        with pytest.raises(TrainingError, match=r"was trained on 3 of the 20 clips of savee \(as part of ravdess\)"):
            check_transfer(model, corpus)
    else:
        assert check_transfer(model, corpus)[1].tolist() == [False] * 18 + [True] * 2


@pytest.mark.parametrize(
    ("trained", "name", "refused"),
    [
        ("ravdess", "happy/03-01-03-01-01-01-01.mp3", True),
        ("ravdess", "happy/1001_DFA_HAP_XX.wav", False),
        ("ravdess+crema_d", "happy/1001_DFA_HAP_XX.wav", True),
        ("ravdess", "happy/03-01-03-01.wav", False),
    ],
)
def test_recordings_of_a_training_corpus_are_known_by_their_names(
    bundle: Bundle, trained: str, name: str, refused: bool
) -> None:
    corpus = corpus_of("altered", TWO)
    corpus.table["path"] = [name, "sad/other.wav"]
    if refused:
        with pytest.raises(TrainingError, match="was trained on 1 of the 2 clips of altered"):
            check_transfer(made_from(bundle, corpus=trained), corpus)
    else:
        assert not check_transfer(made_from(bundle, corpus=trained), corpus)[1].any()


@pytest.mark.ravdess
def test_the_shipped_default_knows_its_training_clips(ravdess_dir: Path) -> None:
    bundle = read_bundle("default")
    assert bundle.clips is not None
    hashes = read_corpus(ravdess_dir, kind="ravdess", channel="song").table["audio_hash"]
    assert len(hashes) == 1012
    assert all(known_clips(bundle.clips, hashes))


def test_such_scores_do_not_stand_on_a_model(bundle: Bundle, foreign: Path, tmp_path: Path) -> None:
    recipe = load_recipe("default")
    model = replace(bundle, manifest=replace(bundle.manifest, recipe_hash=recipe.hash))
    document = run_transfer(model, read_corpus(foreign), tmp_path / "out").results
    with pytest.raises(TrainingError, match="'cross-corpus': a model carries scores of its recipe"):
        check_scores([document], recipe)


# ---------------------------------------------------------------------------------------------- ser transfer


def test_ser_transfer(bundle: Bundle, foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ser: Ser) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = ser("transfer", bundle.path, "--data", foreign, "--jobs", "1")
    assert (code, err) == (0, "")
    document = json.loads((tmp_path / "runs/tiny-on-foreign/results.json").read_text())
    assert f"{document['metrics']['uar']:.1%}" in out
    assert "Shared labels: happy, sad, angry." in out
    assert "Left out, because the model lacks their label: boredom 1, surprised 6." in out
    n = document["transfer"]["outside"]["n"]
    assert f"knows neutral, calm, fearful, disgust: its answer before they were dropped for {n} clips" in out
    assert "Report: runs/tiny-on-foreign/report.html" in out
    code, out, err = ser("transfer", bundle.path, "--data", foreign, "--out", "again", "--json")
    assert (code, err) == (0, "")
    again = json.loads(out)
    assert again == json.loads((tmp_path / "again/results.json").read_text())
    assert again["metrics"] == document["metrics"]
    assert ser("transfer", bundle.path, "--data", foreign, "--out", "again")[0] == 2


def test_ser_transfer_with_a_clip_that_fails(bundle: Bundle, foreign: Path, tmp_path: Path, ser: Ser) -> None:
    sf.write(foreign / "0_sad_0.wav", voice(0, 0, seconds=0.2), 16000)
    code, out, err = ser("transfer", bundle.path, "--data", foreign, "--out", tmp_path / "out")
    assert code == 1
    assert err.splitlines()[0] == "ser: 1 of 21 clips failed and are not scored:"
    assert err.splitlines()[1].startswith("  0_sad_0.wav: The recording lasts 0.200 s")
    assert "20 clips" in out
    assert (tmp_path / "out/report.html").is_file()


def test_ser_transfer_refuses_and_stops(
    bundle: Bundle,
    tiny_corpus: Path,
    foreign: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ser: Ser,
) -> None:
    out = tmp_path / "out"
    code, _, err = ser("transfer", bundle.path, "--data", tiny_corpus, "--out", out)
    assert code == 2
    assert err.splitlines()[0].startswith("RAVDESS has 2,452 clips")
    assert err.splitlines()[1].startswith("ser: The model tiny was trained on ravdess")
    code, _, err = ser("transfer", "no-such-model", "--data", tiny_corpus, "--out", out)
    assert code == 2
    assert "No model 'no-such-model'" in err
    answers = 0

    def stop(*_: object, **__: object) -> np.ndarray:
        nonlocal answers
        answers += 1
        raise KeyboardInterrupt

    monkeypatch.setattr(Recognizer, "outputs", stop)
    code, _, err = ser("transfer", bundle.path, "--data", foreign, "--out", out)
    assert (code, err) == (130, "ser: interrupted; nothing was written.\n")
    assert answers
    assert not out.exists()


def test_the_labels_of_the_tests_are_what_they_say() -> None:
    assert [*KNOWN, "surprised"] == list(LABELS)
