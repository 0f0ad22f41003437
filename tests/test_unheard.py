"""Voices that a recipe never trains on."""

from __future__ import annotations

import pandas as pd
import pytest

from serkit.corpora.table import voice_names
from serkit.errors import RecipeError
from serkit.training.split_rows import without_voices

ROWS = pd.DataFrame(
    [("crema_d", "1005", "test"), ("crema_d", "1006", "train"), ("ravdess", "05", "train"), ("nemo", "", "train")] * 3,
    columns=["corpus", "speaker", "role"],
    index=range(100, 112),
)


def test_the_named_voices_and_no_others_are_left_out() -> None:
    mask = without_voices(ROWS, ["crema_d/1005", "ravdess/05"])
    assert mask.dtype == bool
    assert mask.tolist() == [False, True, False, True] * 3
    assert set(voice_names(ROWS[mask])) == {"crema_d/1006", "nemo/"}
    assert without_voices(ROWS, []).all()


def test_the_same_name_in_another_corpus_is_another_voice() -> None:
    both = pd.DataFrame({"corpus": ["ravdess", "banglaser"], "speaker": ["05", "05"]})
    assert without_voices(both, ["banglaser/05"]).tolist() == [True, False]


def test_voices_of_a_published_corpus_that_is_not_used_have_no_say() -> None:
    assert without_voices(ROWS[ROWS["corpus"] == "ravdess"], ["crema_d/1005"]).all()


@pytest.mark.parametrize(
    ("voice", "message"),
    [
        ("crema_d/1007", "the corpus crema_d has no such voice.* Did you mean 'crema_d/100"),
        ("crema_d:1005", "there is no such voice.* as in 'crema_d/1005'. Did you mean 'crema_d/1005'"),
        ("cremad/1005", "there is no such voice.* Did you mean 'crema_d/1005'"),
        ("nemo/", "the corpus nemo has no such voice"),
        ("", "'' cannot be left unheard: there is no such voice"),
        ("crema_d", "there is no such voice. Expected a corpus and one of its speakers"),
    ],
)
def test_a_voice_that_is_not_there_is_named(voice: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        without_voices(ROWS, ["ravdess/05", voice])
