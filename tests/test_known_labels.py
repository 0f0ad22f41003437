"""Labels of published corpora that no model knows are left out, and said; a user's own are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from serkit.cli import extras
from serkit.corpora.known import with_known_labels
from tests.test_protocol import corpus_of

ROWS = [
    {"path": "resd/1.wav", "emotion": "enthusiasm", "corpus": "resd"},
    {"path": "resd/2.wav", "emotion": "sad", "corpus": "resd"},
    {"path": "resd/3.wav", "emotion": "enthusiasm", "corpus": "resd"},
    {"path": "own/4.wav", "emotion": "hapy", "corpus": "own"},
]


def test_clips_of_published_corpora_without_a_known_label_are_left_out() -> None:
    kept, counts = with_known_labels(corpus_of(ROWS))
    assert counts == {"enthusiasm": 2}
    assert kept.table["path"].tolist() == ["own/4.wav", "resd/2.wav"]


def test_a_corpus_of_known_labels_stays_itself() -> None:
    corpus = corpus_of(ROWS[1:2])
    assert with_known_labels(corpus) == (corpus, {})


def test_the_command_line_says_what_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("serkit.corpora.read_corpus", lambda *args, **options: corpus_of(ROWS[:3]))
    assert len(extras.read_to_learn(Path("data"), "resd", "both")) == 1
    assert capsys.readouterr().err == (
        "2 clips of enthusiasm are left out: it is none of serkit's eight labels. "
        "A --label-map that names it keeps it.\n"
    )
