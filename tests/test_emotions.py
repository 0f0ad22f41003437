"""Places of the emotions on the affect plane, and what is derived from them."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serkit import emotions
from serkit.emotions import EMOTIONS, LABELS, affect
from serkit.errors import SerkitError
from serkit.recognition.prediction import Prediction

#: Where Russell's circumplex has them, as signs of valence and arousal.
QUADRANTS = {
    "neutral": (0, 0),
    "calm": (1, -1),
    "happy": (1, 1),
    "sad": (-1, -1),
    "angry": (-1, 1),
    "fearful": (-1, 1),
    "disgust": (-1, 1),
    "surprised": (1, 1),
}


def test_every_place_lies_in_its_quadrant_of_the_plane() -> None:
    assert {emotion.label: emotion.quadrant for emotion in EMOTIONS} == QUADRANTS
    for emotion in EMOTIONS:
        assert emotion.quadrant == (np.sign(emotion.valence), np.sign(emotion.arousal))
        assert max(abs(emotion.valence), abs(emotion.arousal)) <= 1


def test_calm_has_the_published_direction_at_the_mean_distance_of_the_others() -> None:
    places = {e.label: complex(e.valence, e.arousal) for e in EMOTIONS}
    distance = np.mean([abs(place) for label, place in places.items() if label not in ("neutral", "calm")])
    assert places["calm"] == pytest.approx(distance * np.exp(1j * np.deg2rad(316.2)), abs=0.006)


def answer(probabilities: dict[str, float]) -> Prediction:
    label = max(probabilities, key=probabilities.__getitem__)
    return Prediction("a.wav", 0.0, 1.0, label, probabilities[label], probabilities, speech=True)


def test_derived_values_are_the_weighted_mean_of_the_places() -> None:
    given = answer({"happy": 0.5, "sad": 0.25, "neutral": 0.25})
    assert given.valence == pytest.approx(0.5 * 0.81 - 0.25 * 0.63)
    assert given.arousal == pytest.approx(0.5 * 0.51 - 0.25 * 0.27)
    assert given.to_dict()["derived"] == {"valence": given.valence, "arousal": given.arousal}
    for emotion in EMOTIONS:
        certain = answer({label: float(label == emotion.label) for label in LABELS})
        assert (certain.valence, certain.arousal) == (emotion.valence, emotion.arousal)


def test_other_names_count_and_unknown_ones_leave_nothing_to_derive() -> None:
    assert affect({"ANG": 0.5, "joy": 0.5}) == affect({"angry": 0.5, "happy": 0.5})
    assert answer({"bored": 0.1, "happy": 0.9}).valence is None
    silent = Prediction(None, 0.0, 1.0, None, None, {}, speech=False)
    assert silent.to_dict()["derived"] == {"valence": None, "arousal": None}


def test_an_unsure_answer_keeps_everything_but_the_emotion() -> None:
    given = answer({"happy": 0.6, "sad": 0.4})
    assert given.at_least(0.6) == given
    doubtful = given.at_least(0.61)
    assert (doubtful.emotion, doubtful.unsure, doubtful.answer) == (None, True, "unsure")
    assert (doubtful.confidence, doubtful.probabilities, doubtful.speech) == (0.6, given.probabilities, True)
    assert (doubtful.valence, doubtful.arousal) == (given.valence, given.arousal)
    for other in (
        Prediction(None, 0.0, 1.0, None, None, {}, speech=False),
        Prediction("b.wav", 0.0, 0.0, None, None, {}, error="It is empty."),
    ):
        assert other.at_least(1.0) == other
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(SerkitError, match="from 0 to 1"):
            given.at_least(wrong)


def test_the_codes_are_those_of_ravdess() -> None:
    names = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
    assert [(emotion.code, emotion.label) for emotion in EMOTIONS] == list(enumerate(names, start=1))


@given(st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_labels_that_are_shown_together_differ_in_colour(labels: set[str], random: Random) -> None:
    order = sorted(labels)
    random.shuffle(order)
    found = {label: emotions.colour(label, order) for label in labels}
    assert len(set(found.values())) == len(labels)
    assert found == {label: emotions.colour(label, sorted(labels)) for label in labels}
    assert emotions.colour("angry", labels) == "#D55E00"


@pytest.mark.parametrize("background", ["#ffffff", "#171614", "#f6f7f9", "#12151a"])
def test_lines_of_every_colour_stand_out(background: str) -> None:
    """WCAG AA for letters, on the light and dark backgrounds of the app and of the pages."""
    labels = [f"own {k}" for k in range(20)]
    others = [emotions.colour(label, labels) for label in labels]
    hues = {*(emotion.colour for emotion in EMOTIONS), *others, "#8C8C8C", "#D01C8B", "#e69f00", "#cc79a7"}
    assert len(hues) == 31  # neutral is #8C8C8C
    for hue in hues:
        seen = emotions.readable(hue, background)
        assert emotions.contrast(seen, background) >= 4.5
        if emotions.contrast(hue, background) >= 4.5:
            assert seen == hue


def test_contrast_is_that_of_wcag() -> None:
    assert emotions.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    assert emotions.contrast("#ffffff", "#767676") == emotions.contrast("#767676", "#ffffff")
    assert emotions.contrast("#123456", "#123456") == 1
