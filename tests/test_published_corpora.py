"""The published corpora by their file names, on miniatures with real names; on the real folders where they are."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from serkit.corpora import read_corpus
from serkit.corpora import readers as package
from serkit.corpora.files import list_audio
from serkit.corpora.readers import banglaser, emospeech, nemo, resd
from serkit.corpora.registry import published
from serkit.emotions import LABELS
from serkit.errors import CorpusError
from tests.test_corpora import write

USER = "340a803168cbebd76b289a6adaf5622430355128c75e67ef2f3ec11e"
UNKNOWN = "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f"

#: Names as published -> emotion, speaker, sex.
MINIATURES: dict[str, dict[str, tuple[str, str, str]]] = {
    "banglaser": {
        "Actor_15/01-01-04-02-03-01-15": ("surprised", "15", "male"),
        "Actor_28/03-01-03-01-02-03-28": ("angry", "28", "female"),
        "Actor_34/03-01-05-01-01-02-34": ("neutral", "34", "female"),
        "Actor_01/03-01-01-02-01-01-01": ("happy", "01", "male"),
        "Actor_02/03-01-02-01-03-01-02": ("sad", "02", "female"),
    },
    "emospeech": {
        f"webservice/go-safe-angry-1566229421468-{USER}": ("angry", USER[:10], ""),
        f"webservice/help-safe-happy-??-{USER}": ("happy", USER[:10], ""),
        f"webservice/bacho-safe-fearful-1563210933117-{USER}": ("fearful", USER[:10], ""),
    },
    "nemo": {
        "samples/SM0_anger_77": ("angry", "SM0", "male"),
        "samples/EB0_fear_3": ("fearful", "EB0", "female"),
        "samples/EB0_surprised_3": ("surprised", "EB0", "female"),
    },
    "resd": {
        "train/sadness_disgust_12/12_sadness_disgust_s_060": ("sad", "12", ""),
        "test/03_disgust_neutral/03_disgust_neutral n_010": ("neutral", "03", ""),
        "test/04_fear_enthusiasm/04_fear_enthusiasm e_020": ("enthusiasm", "04", ""),
        "test/11_disgust_anger/11_anger_disgust a_020": ("angry", "11", ""),
    },
}


def miniature(root: Path, name: str, suffix: str = ".wav") -> Path:
    for seed, stem in enumerate(MINIATURES[name]):
        write(root / f"{stem}{suffix}", seed)
    if name == "nemo":
        people = [("SM0_anger_77", "male", "23"), ("EB0_fear_3", "female", "27"), ("EB0_surprised_3", "female", "27")]
        lines = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
        lines += [f"{stem}.wav\tx\tUcho.\tucho\t     {stem[:3]}\t{sex}\t{age}" for stem, sex, age in people]
        (root / "data.tsv").write_text("\n".join(lines), encoding="utf-8")
    return root


@pytest.mark.parametrize("name", MINIATURES)
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_original_names_say_everything_whatever_the_container(tmp_path: Path, name: str, suffix: str) -> None:
    corpus = read_corpus(miniature(tmp_path, name, suffix))
    assert corpus.name == name
    found = {row.path.removesuffix(suffix): (row.emotion, row.speaker, row.sex) for row in corpus.table.itertuples()}
    assert found == MINIATURES[name]
    assert (corpus.licence, corpus.citation) == (published()[name].licence, published()[name].citation)


def test_nemo_gives_age_and_text_where_its_table_is(tmp_path: Path) -> None:
    table = read_corpus(miniature(tmp_path, "nemo")).table.set_index("path")
    assert table.loc["samples/SM0_anger_77.wav", ["age", "text", "statement"]].tolist() == ["23", "Ucho.", "77"]


def test_a_table_of_nemo_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    (miniature(tmp_path, "nemo") / "data.tsv").write_text("file_id\tage\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"data\.tsv lacks the column gender"):
        read_corpus(tmp_path)


def test_emospeech_leaves_out_unknown_people_and_recordings_without_speech(tmp_path: Path) -> None:
    miniature(tmp_path, "emospeech")
    write(tmp_path / f"webservice/go-safe-angry-1566229421469-{UNKNOWN}.wav", 5)
    write(tmp_path / f"webservice/background-safe-None-20190701193438-{USER}.wav", 6)
    assert len(read_corpus(tmp_path).table) == len(MINIATURES["emospeech"])


@pytest.mark.parametrize(
    ("parse", "stem"),
    [
        (banglaser.parse_stem, "03-01-06-01-01-01-01"),
        (banglaser.parse_stem, "03-01-01-01-01-01-35"),
        (banglaser.parse_stem, "03-01-01-03-01-01-01"),
        (emospeech.parse_stem, "go-safe-angry-1566229421468-340a"),
        (nemo.parse_stem, "SM0_joy_77"),
        (resd.parse_stem, "12_sadness_disgust_x_060"),
        (resd.parse_stem, "12_sadness_fear_060"),
    ],
)
def test_other_names_are_refused_with_an_example(parse: object, stem: str) -> None:
    with pytest.raises(CorpusError, match=r"is not an? \w+ name: expected"):
        parse(stem)  # type: ignore[operator]


def test_names_that_fit_two_corpora_need_a_word(tmp_path: Path) -> None:
    write(tmp_path / "03-01-03-01-02-02-12.wav", 0)
    with pytest.raises(CorpusError, match="could be banglaser or ravdess by its file names: name one"):
        read_corpus(tmp_path)
    assert read_corpus(tmp_path, kind="banglaser").table["emotion"].tolist() == ["angry"]
    assert read_corpus(tmp_path, kind="ravdess").table["emotion"].tolist() == ["happy"]


def test_any_number_of_corpora_can_be_joined(tmp_path: Path) -> None:
    for name in MINIATURES:
        miniature(tmp_path / name, name)
    joined = read_corpus(tmp_path, kind="resd+nemo+emospeech+banglaser")
    assert Counter(joined.table["corpus"]) == {name: len(rows) for name, rows in MINIATURES.items()}
    with pytest.raises(CorpusError, match=r"Unknown corpus 'nema' in 'resd\+nema': did you mean 'nemo'\?"):
        read_corpus(tmp_path, kind="resd+nema")
    with pytest.raises(CorpusError, match="names a corpus twice"):
        read_corpus(tmp_path, kind="resd+resd")


def test_a_new_corpus_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        Path(nemo.__file__).read_text("utf-8").replace('"nemo"', '"nemo_two"').replace('title="nEMO"', 'title="Two"')
    )
    (tmp_path / "nemo_two.py").write_text(source.replace("[A-Z]{2}", "[a-z]{2}"), encoding="utf-8")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    published.cache_clear()
    try:
        assert "nemo_two" in published()
        write(tmp_path / "data" / "sm0_anger_77.wav", 1)
        assert published()["nemo_two"].read(tmp_path / "data", "both").rows[0]["speaker"] == "sm0"
    finally:
        published.cache_clear()


@pytest.mark.ravdess
@pytest.mark.parametrize("name", MINIATURES)
def test_real_corpora_read_as_their_label_tables_say(ravdess_dir: Path, name: str) -> None:
    root = ravdess_dir.parent / name
    if not root.is_dir():
        pytest.skip(f"{name} is not in SERKIT_DATA")
    with (root / "labels.csv").open(encoding="utf-8", newline="") as file:
        expected = {row["path"]: row for row in csv.DictReader(file)}
    rows = {row["path"]: row for row in published()[name].read(root, "both").rows}
    assert set(rows) == set(expected) == set(list_audio(root))
    for path, row in rows.items():
        assert row["emotion"] == expected[path]["emotion"]
        assert row["emotion"] in {*LABELS, "enthusiasm"}
        if name != "resd":  # whose speakers are dialogues
            assert expected[path]["speaker"] == f"{name}_{row['speaker']}"
