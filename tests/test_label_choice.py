"""Answers among some of a model's labels: the arithmetic, and where it shows from Python and on the command line."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

import serkit
from serkit.emotions import LABELS, affect
from serkit.errors import SerkitError
from serkit.recognition import listening
from serkit.recognition.label_choice import LabelChoice
from serkit.recognition.profile import Profile
from tests.conftest import Ser, voice
from tests.known_speech import LoudFrames, joined, noise, silence
from tests.tiny_models import adapted_answer, embedding_of, expected, write_adaptable, write_tiny

RATE = 16000
KEPT = ("neutral", "happy", "sad", "angry")
FOUR = "neutral,happy,sad,angry,calm=neutral"
CLIP = voice(3, 1)
CALL = joined(silence(1.024), noise(2.016, 0.03), silence(0.992), noise(1.6, 0.5, 1), silence(0.992))


def four(whole: np.ndarray) -> dict[str, float]:
    """What eight probabilities are for the four labels, calm as neutral."""
    p = dict(zip(LABELS, whole.tolist(), strict=True))
    kept = {"neutral": p["neutral"] + p["calm"], "happy": p["happy"], "sad": p["sad"], "angry": p["angry"]}
    return {label: value / sum(kept.values()) for label, value in kept.items()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels") / "tiny"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def model(tiny: Path) -> serkit.Recognizer:
    return serkit.load(tiny)


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    sf.write("a.wav", CLIP, RATE, subtype="FLOAT")
    return "a.wav"


# ----------------------------------------------------------------------- the arithmetic


@pytest.mark.parametrize(
    ("chosen", "whole", "answer"),
    [
        ("b,d", [0.5, 0.125, 0.0, 0.375], [0.25, 0.75]),
        ("d,b", [0.5, 0.125, 0.0, 0.375], [0.25, 0.75]),  # in the model's order
        ("b,d,a=d", [0.5, 0.125, 0.0, 0.375], [0.125, 0.875]),
        ("b,d,a=d,c=b", [0.25, 0.25, 0.25, 0.25], [0.5, 0.5]),
        ("a,c", [0.0, 0.5, 0.0, 0.5], [0.5, 0.5]),  # nothing of these: equal shares
        ("a,c", [-1e-7, 0.5, 0.25, 0.25], [0.0, 1.0]),
    ],
)
def test_probabilities_of_the_answered_labels(chosen: str, whole: list[float], answer: list[float]) -> None:
    assert LabelChoice.parse(chosen, "abcd").apply(np.array(whole)).tolist() == answer


def test_text_a_sequence_and_a_mapping_say_the_same() -> None:
    text = LabelChoice.parse(" d , b,a = d ", "abcd")
    assert text.names == ("b", "d")
    assert text.spelled == ("a=d", "b", "d")
    for same in (["b", "a=d", "d"], np.array(["d", "b", "a=d"]), {"a": "d", "b": "b", "d": "d"}, text.spelled):
        assert LabelChoice.parse(same, "abcd") == text


def test_a_label_may_hold_an_equals_sign() -> None:
    choice = LabelChoice.parse("x=1,y,z=y", ["x=1", "y", "z", "w"])
    assert choice.names == ("x=1", "y")


@st.composite
def choices(draw: st.DrawFn) -> LabelChoice:
    """Any choice among 2 to 8 labels."""
    labels = LABELS[: draw(st.integers(2, 8))]
    kept = draw(st.lists(st.sampled_from(labels), min_size=2, unique=True))
    rest = {label: draw(st.sampled_from([None, *kept])) for label in labels if label not in kept}
    merged = [f"{label}={answer}" for label, answer in rest.items() if answer is not None]
    return LabelChoice.parse(draw(st.permutations([*kept, *merged])), labels)


@given(choices(), st.data())
def test_any_choice_gives_probabilities_in_order_and_keeps_ratios(choice: LabelChoice, data: st.DataObject) -> None:
    numbers = st.floats(0, 1, width=32)
    weights = np.array(data.draw(st.lists(numbers, min_size=len(choice.labels), max_size=len(choice.labels))))
    whole = weights / weights.sum() if weights.sum() > 1e-30 else np.full(len(weights), 1 / len(weights))
    found = choice.apply(whole)
    assert found.shape == (len(choice.names),)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert [label for label in choice.labels if label in choice.names] == list(choice.names)
    by_hand = np.array(
        [
            sum(p for p, answer in zip(whole.tolist(), choice.answers, strict=True) if answer == name)
            for name in choice.names
        ]
    )
    if by_hand.sum() > 0:
        np.testing.assert_allclose(found * by_hand.sum(), by_hand, atol=1e-12)
    np.testing.assert_allclose(choice.apply(np.stack([whole, whole]))[1], found, rtol=1e-12)  # row by row
    assert LabelChoice.parse(",".join(choice.spelled), choice.labels) == choice


def test_dropping_is_what_scores_on_other_corpora_do() -> None:
    from serkit.training.fitting import restrict

    table = np.random.default_rng(0).dirichlet(np.ones(8), 20)
    choice = LabelChoice.parse(KEPT, LABELS)
    known = np.isin(LABELS, KEPT)
    np.testing.assert_allclose(choice.apply(table), restrict(table, known)[:, known], rtol=1e-12)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ("hapy,sad", "The model has no label 'hapy': did you mean 'happy'? Its labels are neutral, calm, happy,"),
        ("happy,sad,calm=neutrl", "The model has no label 'neutrl': did you mean 'neutral'?"),
        ("happy,sad,calm=neutral", "'calm' cannot be merged into 'neutral', which is not among the answered labels"),
        ("happy,sad,neutral=sad,calm=neutral", "'calm' cannot be merged into 'neutral', which is not among"),
        ("happy,sad,calm,calm=sad", "The label 'calm' is given twice, as 'calm' and 'calm=sad'"),
        ("happy,sad,happy", "The label 'happy' is given twice: give it once"),
        ("happy,calm=happy", "An answer needs at least two labels to choose from, got happy"),
        ("", "An answer needs at least two labels to choose from, got none"),
        ([], "got none"),
        ([1, 2], "The model has no label '1'"),
        (5, "Labels are text, a sequence of labels or a mapping, got int"),
    ],
)
def test_a_choice_that_makes_no_sense(chosen: object, says: str, model: serkit.Recognizer) -> None:
    with pytest.raises(SerkitError) as raised:
        model.predict(CLIP, sample_rate=RATE, labels=chosen)  # type: ignore[call-overload]
    assert says in str(raised.value)
    assert str(raised.value).count("\n") == 0


# ----------------------------------------------------------------------- from Python


def test_every_way_to_ask_gives_the_same_answer(model: serkit.Recognizer, tiny: Path) -> None:
    right = four(expected(CLIP))
    asked = {"sample_rate": RATE, "labels": FOUR}
    found = [
        model.predict(CLIP, **asked),  # type: ignore[call-overload]
        *model.predict([CLIP], **asked),  # type: ignore[call-overload]
        *model.predict_iter([CLIP], sample_rate=RATE, labels=FOUR),
        *next(iter(model.rows_of([CLIP], sample_rate=RATE, labels=FOUR))),
        serkit.predict(CLIP, sample_rate=RATE, labels=FOUR, model=tiny),
        model.among(FOUR).predict(CLIP, sample_rate=RATE),
        pickle.loads(pickle.dumps(model.among(FOUR))).predict(CLIP, sample_rate=RATE),
    ]
    for answer in found:
        assert tuple(answer.probabilities) == KEPT
        assert answer.probabilities == pytest.approx(right, abs=1e-6)
        assert answer.emotion == max(right, key=right.__getitem__)
        assert answer.confidence == max(answer.probabilities.values())
        assert (answer.valence, answer.arousal) == affect(answer.probabilities)
    assert model.labels == LABELS  # the model itself answers as before
    assert tuple(model.predict(CLIP, sample_rate=RATE).probabilities) == LABELS


def test_all_labels_change_nothing(model: serkit.Recognizer) -> None:
    everything = model.among(LABELS[::-1])
    assert everything.choice is None
    assert everything.predict(CLIP, sample_rate=RATE) == model.predict(CLIP, sample_rate=RATE)
    assert model.among(FOUR).among(",".join(LABELS)).labels == LABELS
    assert model.among(FOUR).among(None).labels == KEPT


def test_confidence_is_that_of_the_answered_labels(model: serkit.Recognizer) -> None:
    two = ["surprised", "sad"]
    whole, some = model.predict(CLIP, sample_rate=RATE), model.predict(CLIP, sample_rate=RATE, labels=two)
    assert whole.confidence is not None
    assert some.confidence is not None
    between = (whole.confidence + some.confidence) / 2
    assert some.confidence > whole.confidence
    assert model.predict(CLIP, sample_rate=RATE, min_confidence=between).unsure
    assert not model.predict(CLIP, sample_rate=RATE, min_confidence=between, labels=two).unsure


def test_a_profile_acts_before_labels_are_left_out(tmp_path: Path) -> None:
    write_adaptable(tmp_path / "adaptable")
    model = serkit.load(tmp_path / "adaptable")
    sounds = [voice(1 + k % 8, 1 + k % 5, seconds=0.8, seed=k) * (0.3 if k % 2 else 1.0) for k in range(24)]
    with pytest.warns(UserWarning, match="comes from 24 recordings"):
        here = model.adapt(sounds, sample_rate=RATE)
    embeddings = np.array([embedding_of(sound) for sound in sounds])
    right = four(adapted_answer(CLIP, embeddings.mean(axis=0), embeddings.std(axis=0), 24))
    answer = model.predict(CLIP, sample_rate=RATE, profile=here, labels=FOUR)
    assert answer.probabilities == pytest.approx(right, abs=1e-3)
    with pytest.warns(UserWarning, match="comes from 24 recordings"):
        again: Profile = model.among(FOUR).adapt(sounds, sample_rate=RATE)  # hears what the whole model hears
    assert again.key == here.key


def test_an_explanation_is_about_the_answered_labels(model: serkit.Recognizer) -> None:
    found = model.explain(CLIP, sample_rate=RATE, labels=FOUR)
    right = four(expected(CLIP))
    assert found.prediction.probabilities == pytest.approx(right, abs=1e-6)
    assert found.emotion == max(right, key=right.__getitem__)
    assert found.probability == pytest.approx(max(right.values()), abs=1e-6)
    with pytest.raises(SerkitError, match=r"'calm' is not among the labels that are answered.*one of neutral, happy"):
        model.explain(CLIP, sample_rate=RATE, labels=FOUR, emotion="calm")
    with pytest.raises(SerkitError, match="does not know 'hapy': did you mean 'happy'"):
        model.explain(CLIP, sample_rate=RATE, labels=FOUR, emotion="hapy")


def test_a_timeline_and_a_stream(model: serkit.Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SpeechFrames", LoudFrames)
    whole = model.timeline(CALL, sample_rate=RATE)
    found = model.timeline(CALL, sample_rate=RATE, labels=FOUR)
    assert found.labels == KEPT
    assert set(found.shares()) == set(KEPT)
    assert len(found.segments) == len(whole.segments) == 5
    for part, before in zip(found.segments, whole.segments, strict=True):
        assert (part.start, part.end) == (before.start, before.end)
        if part.speech:
            right = four(np.array(list(before.probabilities.values())))
            assert part.probabilities == pytest.approx(right, abs=1e-6)
    stream = serkit.Stream(model, sample_rate=RATE, labels=FOUR)
    stream.feed(CALL)
    stream.finish()
    finals = [event.segment for event in stream.events() if event.kind == "final"]
    assert finals == [part for part in found.segments if part.speech]


# ----------------------------------------------------------------------- on the command line


def test_ser_predict_answers_among_labels(ser: Ser, clip: str, tiny: Path) -> None:
    right = four(expected(CLIP))
    code, out, err = ser("predict", clip, "-m", tiny, "--labels", FOUR, "--json")
    assert (code, err) == (0, "")
    (row,) = json.loads(out)
    assert row["probabilities"] == pytest.approx(right, abs=1e-6)
    code, out, _ = ser("predict", clip, "-m", tiny, "--labels", FOUR, "--csv", "-")
    (line,) = csv.DictReader(out.splitlines())
    assert [name for name in line if name in LABELS] == list(KEPT)
    assert {name: float(line[name]) for name in KEPT} == pytest.approx(right, abs=1e-5)


@pytest.mark.parametrize("command", ["predict", "timeline", "explain"])
def test_an_unknown_label_is_wrong_usage(ser: Ser, clip: str, tiny: Path, command: str) -> None:
    extra = ["--json"] if command == "explain" else []
    code, out, err = ser(command, clip, "-m", tiny, "--labels", "hapy,sad", *extra)
    assert (code, out) == (2, "")
    assert "The model has no label 'hapy': did you mean 'happy'?" in " ".join(err.split())


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_file_of_answers_is_not_resumed_with_other_labels(ser: Ser, clip: str, tiny: Path, suffix: str) -> None:
    words = ["predict", clip, "-m", tiny, "--out", f"x.{suffix}"]
    assert ser(*words, "--labels", FOUR)[0] == 0
    before = Path(f"x.{suffix}").read_bytes()
    for other in ([], ["--labels", "neutral,happy,sad,angry"]):
        code, _, err = ser(*words, *other, "--resume")
        assert code == 2
        assert "was begun with other options: labels was neutral,calm=neutral," in err
    same = "angry,calm=neutral,sad,happy,neutral"  # in another order
    code, _, err = ser(*words, "--labels", same, "--resume")
    assert code == 0
    assert "1 row is there already, 0 recordings are left" in err
    assert Path(f"x.{suffix}").read_bytes() == before


def test_ser_timeline_explain_and_a_folder_that_was_made_with_other_labels(ser: Ser, clip: str, tiny: Path) -> None:
    code, out, _ = ser("timeline", clip, "-m", tiny, "--labels", FOUR, "--json")
    assert code == 0
    (track,) = json.loads(out)[0]["tracks"]
    assert [list(part["probabilities"]) for part in track["segments"] if part["speech"]] == [list(KEPT)]
    code, out, _ = ser("explain", clip, "-m", tiny, "--labels", FOUR, "--json")
    assert code == 0
    assert list(json.loads(out)["prediction"]["probabilities"]) == list(KEPT)
    sf.write("b.wav", CLIP, RATE)
    assert ser("timeline", clip, "b.wav", "-m", tiny, "--srt", "subtitles", "--labels", FOUR)[0] == 0
    code, _, err = ser("timeline", clip, "b.wav", "-m", tiny, "--srt", "subtitles", "--resume")
    assert code == 2
    assert "were made with other options" in " ".join(err.split())
