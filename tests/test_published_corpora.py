"""The published corpora by their file names, on miniatures with real names; on the real folders where they are."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
import soundfile as sf

from serkit.corpora import read_corpus
from serkit.corpora import readers as package
from serkit.corpora.files import list_audio
from serkit.corpora.readers import banglaser, emospeech, nemo, resd
from serkit.corpora.registry import published
from serkit.emotions import LABELS, OTHERS
from serkit.errors import CorpusError
from tests.test_corpora import write

USER = "340a803168cbebd76b289a6adaf5622430355128c75e67ef2f3ec11e"
UNKNOWN = "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f"

#: Names as published -> emotion, speaker, sex. A new corpus needs its entry here.
MINIATURES: dict[str, dict[str, tuple[str, str, str]]] = {
    "aesdd": {
        "anger/a03 (3)": ("angry", "3", ""),
        "anger/a06 (5)b": ("angry", "5", ""),
        "fear/f10 (01)": ("fearful", "1", ""),
        "disgust/d15 (5)": ("disgust", "5", ""),
        "happiness/h01 (6)": ("happy", "6", ""),
        "sadness/s02 (4)": ("sad", "4", ""),
    },
    "ased": {
        "05Angry/a5-02-01-01-33": ("angry", "33", "female"),
        "01Neutral/n1-06-02-02-60": ("neutral", "60", "male"),
        "03Happy/h3-03-01-01-31": ("happy", "31", "female"),
        "02Fearful/f2-06-02-02-50": ("fearful", "50", "male"),
        "04Sad/S4-04-02-01-29": ("sad", "29", "female"),
    },
    "baved": {
        "0/100-f-6-0-0-0": ("level_0", "100", "female"),
        "5/56-f-40-5-1-1443": ("level_1", "56", "female"),
        "6/47-m-20-6-1-1742": ("level_1", "47", "male"),
        "0/15-m-24-0-2-111": ("level_2", "15", "male"),
    },
    "cafe": {
        "Peur/Fort/12-P-2-5": ("fearful", "12", "female"),
        "Neutre/06-N-1-3": ("neutral", "06", "female"),
        "Col\u010dre/Faible/01-C-1-1": ("angry", "01", "male"),
        "Joie/Fort/04-J-2-1": ("happy", "04", "female"),
        "Surprise/Faible/03-S-1-2": ("surprised", "03", "male"),
        "Tristesse/Faible/12-T-1-5": ("sad", "12", "female"),
        "D/Fort/03-D-2-5": ("disgust", "03", "male"),
    },
    "emodb": {
        "wav/03a01Wa": ("angry", "03", "male"),
        "wav/09b02Tb": ("sad", "09", "female"),
        "wav/14a01Aa": ("fearful", "14", "female"),
        "wav/16b10Lb": ("boredom", "16", "female"),
        "wav/15a04Ea": ("disgust", "15", "male"),
        "wav/08a05Nb": ("neutral", "08", "female"),
        "wav/03a01Fa": ("happy", "03", "male"),
    },
    "emovo": {
        "f2/gio-f2-b2": ("happy", "f2", "female"),
        "m1/rab-m1-n2": ("angry", "m1", "male"),
        "f1/sor-f1-d1": ("surprised", "f1", "female"),
        "f2/dis-f2-b2": ("disgust", "f2", "female"),
        "f3/tri-f3-b2": ("sad", "f3", "female"),
        "f3/neu-f3-n5": ("neutral", "f3", "female"),
        "m3/pau-m3-l1": ("fearful", "m3", "male"),
    },
    "emozionalmente": {
        "audio/1613655062436": ("neutral", "anna", "female"),
        "audio/1613655062437": ("happy", "bruno", "male"),
        "audio/1613655062438": ("fearful", "bruno", "male"),
    },
    "esd": {
        "0001/Angry/train/0001_000351": ("angry", "0001", "female"),
        "0016/Neutral/evaluation/0016_000019": ("neutral", "0016", "female"),
        "0011/Surprise/0011_001401": ("surprised", "0011", "male"),
        "0012/Sad/test/0012_001051": ("sad", "0012", ""),
        "0020/Happy/0020_000701": ("happy", "0020", "male"),
    },
    "jl": {
        "JL(wav+txt)/female1_angry_10a_1": ("angry", "female1", "female"),
        "JL(wav+txt)/male2_concerned_6b_1": ("concerned", "male2", "male"),
        "JL(wav+txt)/female1_apologetic_15b_2": ("apologetic", "female1", "female"),
        "JL(wav+txt)/male1_excited_2a_1": ("excitement", "male1", "male"),
    },
    "mesd": {
        "Anger_F_A_tarde": ("angry", "F", "female"),
        "Happiness_F_A_de_nada": ("happy", "F", "female"),
        "Disgust_C_B_abandono": ("disgust", "C", ""),
        "Fear_M_A_por_favor": ("fearful", "M", "male"),
    },
    "savee": {
        "DC/a01": ("angry", "DC", "male"),
        "DC/sa03": ("sad", "DC", "male"),
        "KL/su15": ("surprised", "KL", "male"),
        "copy/JE_n23": ("neutral", "JE", "male"),
        "JK/d07": ("disgust", "JK", "male"),
    },
    "shemo": {
        "female/F30A02": ("angry", "F30", "female"),
        "male/M02F01": ("fearful", "M02", "male"),
        "male/M36S02": ("sad", "M36", "male"),
        "female/F07H01": ("happy", "F07", "female"),
        "male/M12W11": ("surprised", "M12", "male"),
    },
    "subesco": {
        "F_02_MONIKA_S_1_NEUTRAL_5": ("neutral", "F_02", "female"),
        "F_02_MONIKA_S_2_SURPRISE_3]": ("surprised", "F_02", "female"),
        "M_03_ILIAS_S_10_ANGRY_4": ("angry", "M_03", "male"),
        "F_10_FAHMEE_S_6_FEAR_5": ("fearful", "F_10", "female"),
    },
    "tess": {
        "OAF_Fear/OAF_lid_fear": ("fearful", "OAF", "female"),
        "OAF_neutral/OA_bite_neutral": ("neutral", "OAF", "female"),
        "YAF_angry/YAF_germ_angry": ("angry", "YAF", "female"),
        "YAF_pleasant_surprised/YAF_perch_ps": ("surprised", "YAF", "female"),
        "OAF_disgust/OAF_lean_disgust": ("disgust", "OAF", "female"),
    },
    "turev": {
        "Sound Source/Angry/1157_kz_acik": ("angry", "1157", ""),
        "Sound Source/Calm/1984_sk_eger": ("calm", "1984", ""),
        "Sound Source/Happy/1234_mt_kiler": ("happy", "1234", ""),
        "Sound Source/Sad/7895_hl_ogul1": ("sad", "7895", ""),
    },
    "urdu": {
        "Angry/SM1_F6_A06": ("angry", "SM1", "male"),
        "Sad/SM6_F4_S0100": ("sad", "SM6", "male"),
        "Happy/SF4_F2_H018": ("happy", "SF4", "female"),
        "Neutral/SF9_F1_N01": ("neutral", "SF9", "female"),
    },
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


#: The tables of corpora whose names do not say everything.
TABLES = {
    "emozionalmente": {
        "metadata/samples.csv": "file_name,actor,sentence,emotion_expressed\n1613655062436.wav,anna,Ciao.,neutrality\n"
        "1613655062437.wav,bruno,Ciao.,joy\n1613655062438.wav,bruno,Vieni.,fear\n",
        "metadata/users.csv": "username,gender,age,mother_tongue\nanna,f,31,it\nbruno,m,40,it\n",
    }
}


def miniature(root: Path, name: str, suffix: str = ".wav") -> Path:
    for seed, stem in enumerate(MINIATURES[name]):
        write(root / f"{stem}{suffix}", seed)
    for file, text in TABLES.get(name, {}).items():
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).write_text(text, encoding="utf-8")
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
    known = published()[name]
    assert (corpus.licence, corpus.citation) == (known.licence, known.citation)
    assert set(corpus.table["emotion"]) <= set(known.labels) <= {*LABELS, *OTHERS.values()}
    if known.clips:  # said aloud, because a part of a corpus looks like the corpus
        clips, voices = len(corpus), corpus.table["speaker"].nunique()
        assert corpus.notes == (
            f"{known.title} has {known.clips:,} clips of {known.speakers:,} speakers; {tmp_path} has {clips} clips of "
            f"{voices} speakers.",
        )


def test_every_corpus_has_its_miniature_and_its_facts() -> None:
    assert set(published()) == {*MINIATURES, "ravdess", "crema_d"}  # which have tests of their own
    for corpus in published().values():
        assert corpus.labels, corpus.name
        assert corpus.source.startswith("http"), corpus.name
        assert corpus.licence
        assert corpus.citation.endswith((".", "/")) or "http" in corpus.citation
        assert bool(corpus.clips) == bool(corpus.speakers), corpus.name


def test_a_layout_that_is_nearly_right_names_what_does_not_fit(tmp_path: Path) -> None:
    for seed, number in enumerate(range(1, 37)):
        write(tmp_path / f"DC/a{number:02d}.wav", seed)
    for name in ("noise", "b01", "take", "zzz"):
        write(tmp_path / "DC" / f"{name}.wav", 1)
    with pytest.raises(CorpusError, match=r"4 of 40 audio files in .* do not have SAVEE names") as caught:
        read_corpus(tmp_path)
    assert "expected one such as DC/a01" in str(caught.value)
    assert [name in str(caught.value) for name in ("b01", "noise", "take", "zzz")] == [True, True, True, False]


def test_aiff_under_the_name_of_a_wav_is_read(tmp_path: Path) -> None:
    miniature(tmp_path, "tess")
    file = tmp_path / "YAF_angry/YAF_germ_angry.wav"
    sf.write(file, sf.read(file)[0], 8000, format="AIFF")
    assert len(read_corpus(tmp_path)) == len(MINIATURES["tess"])


def test_emozionalmente_needs_its_tables(tmp_path: Path) -> None:
    miniature(tmp_path, "emozionalmente")
    write(tmp_path / "audio" / "1613655062439.wav", 9)
    with pytest.raises(CorpusError, match=r"1 of 4 recordings .* are not in metadata/samples.csv: audio/1613655062439"):
        read_corpus(tmp_path)
    (tmp_path / "metadata/samples.csv").unlink()
    with pytest.raises(CorpusError, match=r"no metadata/samples.csv"):
        read_corpus(tmp_path, kind="emozionalmente")
    with pytest.raises(CorpusError, match="not a corpus that serkit knows"):  # numbers could be anybody's
        read_corpus(tmp_path)


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
    corpus = read_corpus(tmp_path)
    assert len(corpus.table) == len(MINIATURES["emospeech"])
    assert corpus.notes == ("2 recordings of EmoSpeech are left out: they are of unknown people or without speech.",)


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
    joined = read_corpus(tmp_path, kind="+".join(MINIATURES))
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
@pytest.mark.parametrize("name", ["banglaser", "emospeech", "nemo", "resd"])
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
