"""Tables of clips as people have them: every separator, encoding and spelling gives the same corpus."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pandas as pd
import pytest

from serkit import audio
from serkit.corpora import from_dataset, from_frame, read_corpus
from serkit.errors import AudioError, CorpusError
from tests.conftest import call_ser
from tests.test_corpora import own_cache, write

__all__ = ["own_cache"]

PLAIN = "path,emotion,start,end,speaker,sex\nwavs/a.wav,angry,0.05,0.25,x,f\nwavs/b.wav,happy,,,y,m\n"
WANT = [["wavs/a.wav", 0.05, 0.25, "angry", "x", "female"], ["wavs/b.wav", 0.0, 0.5, "happy", "y", "male"]]
COLUMNS = ["path", "start", "end", "emotion", "speaker", "sex"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a", "b")):
        write(tmp_path / "wavs" / f"{name}.wav", seed, seconds=0.5)
    return tmp_path


def table(where: Path) -> list[list[object]]:
    return read_corpus(where).table[COLUMNS].to_numpy().tolist()


TEXTS: dict[str, bytes] = {
    "plain.csv": PLAIN.encode(),
    "bom.csv": PLAIN.encode("utf-8-sig"),
    "sixteen.csv": PLAIN.replace(",", "\t").encode("utf-16"),
    "tabs.tsv": PLAIN.replace(",", "\t").encode(),
    "tabs.csv": PLAIN.replace(",", "\t").encode(),
    "crlf.csv": PLAIN.replace("\n", "\r\n").encode(),
    "german.csv": PLAIN.replace(",", ";").replace("0.", "0,").encode(),
    "windows.csv": PLAIN.replace("/", "\\").encode(),
    "quoted.csv": PLAIN.replace("0.05", '"0,05"').encode(),
    "nkululeko.csv": PLAIN.replace("path", "file").replace("sex", "gender").encode(),
    "others.csv": PLAIN.replace("path", "Filename")
    .replace("emotion", "CLASS")
    .replace("speaker", "Speaker ID")
    .encode(),
    "audformat.csv": b"file,start,end,emotion,speaker,gender\nwavs/a.wav,0 days 00:00:00.050000,0 days 00:00:00.250000,"
    b"angry,x,female\nwavs/b.wav,0 days,NaT,happy,y,male\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_same_table_in_every_spelling(root: Path, name: str) -> None:
    (root / name).write_bytes(TEXTS[name])
    assert table(root / name) == WANT
    assert table(root) == WANT  # the folder that holds one table is enough


@pytest.mark.parametrize(
    ("name", "more", "labels"),
    [
        ("mine.csv", "", ["01", "02"]),
        ("mine.csv", ",corpus", ["neutral", "calm"]),  # a column says which corpus it is
        ("ravdess.csv", "", ["neutral", "calm"]),
    ],
)
def test_numbers_are_labels_like_any_other_outside_ravdess(root: Path, name: str, more: str, labels: list[str]) -> None:
    value = more.replace("corpus", "ravdess")
    text = f"path,emotion{more}\nwavs/a.wav,01{value}\nwavs/b.wav,02{value}\n"
    (root / name).write_text(text, encoding="utf-8")
    assert read_corpus(root / name).table["emotion"].tolist() == labels


@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ('"1,085",|"1,185",', None),
        ('"1,085",|"0,25",', [0.25, 1.085]),  # the second row shows what commas are
        ("1.085,|1.185,", [1.085, 1.185]),
    ],
)
def test_a_comma_that_may_part_thousands_is_no_decimal_comma(
    root: Path, fields: str, starts: list[float] | None
) -> None:
    write(root / "long.wav", 1, seconds=2.0)
    rows = "\n".join(f"long.wav,{label},{row}" for label, row in zip(("sad", "calm"), fields.split("|"), strict=True))
    (root / "t.csv").write_text(f"path,emotion,start,end\n{rows}\n", encoding="utf-8")
    if starts is not None:
        assert read_corpus(root / "t.csv").table["start"].tolist() == starts
        return
    with pytest.raises(CorpusError, match=r"line 2: start is '1,085', which could be 1\.085 or 1085"):
        read_corpus(root / "t.csv")
    (root / "t.csv").write_text((root / "t.csv").read_text().replace(",", ";").replace('"1;', "1,").replace('"', ""))
    assert read_corpus(root / "t.csv").table["start"].tolist() == [1.085, 1.185]


def frame() -> pd.DataFrame:
    index = pd.MultiIndex.from_arrays(
        [["wavs/a.wav", "wavs/b.wav"], pd.to_timedelta([0.05, 0], "s"), pd.to_timedelta([0.25, None], "s")],
        names=["file", "start", "end"],
    )
    return pd.DataFrame(
        {"emotion": pd.Categorical(["angry", "happy"]), "speaker": ["x", "y"], "sex": ["f", "m"]}, index
    )


@pytest.mark.parametrize("form", ["index", "columns", "parquet", "plain parquet"])
def test_frames_and_parquet(root: Path, form: str) -> None:
    given = frame() if form in ("index", "parquet") else frame().reset_index().assign(age=[31.0, None])
    if "parquet" in form:
        pytest.importorskip("pyarrow")
        given.to_parquet(root / "clips.parquet")
        assert table(root) == table(root / "clips.parquet") == WANT
        return
    corpus = from_frame(given, root=root)
    assert corpus.table[COLUMNS].to_numpy().tolist() == WANT
    assert corpus.name == root.name
    if form == "columns":
        assert corpus.table["age"].tolist() == ["31", ""]
        with pytest.raises(CorpusError, match="the data frame, row 1: the label is missing"):
            from_frame(given.astype({"emotion": str}).replace({"happy": ""}), root=root)


def test_absolute_paths_inside_and_outside_the_folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (root / "inside.csv").write_text(PLAIN.replace("wavs", f"{root.as_posix()}/wavs"))
    assert table(root / "inside.csv") == WANT
    elsewhere = tmp_path_factory.mktemp("lists")
    (elsewhere / "list.csv").write_bytes((root / "inside.csv").read_bytes())
    corpus = read_corpus(elsewhere / "list.csv")
    assert corpus.root == root / "wavs"
    assert corpus.table["path"].tolist() == ["a.wav", "b.wav"]
    assert corpus.load(corpus.table.iloc[0]).digest == corpus.table["audio_hash"][0]


def test_paths_of_another_computer_are_named(root: Path) -> None:
    (root / "list.csv").write_text("path,emotion\nC:\\data\\a.wav,angry\n")
    with pytest.raises(CorpusError, match=r"line 2: .* Windows drive|missing"):
        read_corpus(root / "list.csv")


def test_tables_with_names_that_say_nothing_are_named_after_their_folder(tmp_path: Path) -> None:
    for folder in ("calls", "interviews"):
        write(tmp_path / folder / "a.wav", 0)
        (tmp_path / folder / "labels.csv").write_text("path,emotion\na.wav,angry\n")
    assert [read_corpus(tmp_path / name / "labels.csv").name for name in ("calls", "interviews")] == [
        "calls",
        "interviews",
    ]
    (tmp_path / "calls" / "second.csv").write_text("path,emotion\na.wav,angry\n")
    with pytest.raises(CorpusError, match=r"several tables of clips \(labels.csv, second.csv\): give the file"):
        read_corpus(tmp_path / "calls")
    assert read_corpus(tmp_path / "calls" / "second.csv").name == "second"


def test_a_column_with_serkits_own_name_wins_over_its_other_names(root: Path) -> None:
    (root / "x.csv").write_text("path,file,emotion\nwavs/a.wav,recorder 7,angry\n")
    assert read_corpus(root / "x.csv").table["file"].tolist() == ["recorder 7"]
    assert PurePosixPath(read_corpus(root / "x.csv").table["path"][0]).name == "a.wav"


@pytest.mark.parametrize("word", ["", "nan", "NaN", "NA", "n/a", "None", "NULL", "NaT", "<NA>"])
def test_a_word_for_a_missing_label_is_none_in_every_table(root: Path, word: str) -> None:
    frame = pd.DataFrame({"path": ["wavs/a.wav", "wavs/b.wav"], "emotion": ["angry", word]})
    frame.to_csv(root / "x.csv", index=False)
    frame.to_csv(root / "x.tsv", index=False, sep="\t")
    frame.to_parquet(root / "x.parquet")
    rows = [
        {"audio": {"bytes": (root / row.path).read_bytes(), "path": row.path}, "label": row.emotion}
        for row in frame.itertuples()
    ]
    ways: list[tuple[str, Callable[[], object]]] = [
        ("line 3", lambda: read_corpus(root / "x.csv")),
        ("line 3", lambda: read_corpus(root / "x.tsv")),
        ("row 1", lambda: read_corpus(root / "x.parquet")),
        ("row 1", lambda: from_frame(frame, root=root, name="x")),
        ("row 1", lambda: from_frame(pd.read_csv(root / "x.csv"), root=root, name="x")),
        ("line 3", lambda: from_dataset(rows, root / "unpacked")),
    ]
    for where, way in ways:
        with pytest.raises(CorpusError, match=f"{where}: the label is missing: fill it in"):
            way()


def test_a_word_for_a_missing_label_is_no_label_beside_ratings(root: Path) -> None:
    (root / "x.csv").write_text("path,emotion,arousal\nwavs/a.wav,nan,1\nwavs/b.wav,NA,2\n")
    assert read_corpus(root / "x.csv", targets=["arousal"]).table["emotion"].tolist() == ["", ""]


def test_speakers_that_are_nobody_are_not_one_person(root: Path) -> None:
    (root / "x.csv").write_text("path,emotion,speaker\nwavs/a.wav,angry,nan\nwavs/b.wav,happy,None\n")
    assert read_corpus(root / "x.csv").table["speaker"].tolist() == ["", ""]


@pytest.mark.parametrize(("length", "says"), [(300, "1 of 1 files of .* missing: line 2: aaa"), (5000, "is no path")])
def test_text_in_place_of_a_path_is_a_sentence(root: Path, length: int, says: str) -> None:
    (root / "x.csv").write_text(f"path,emotion\n{'a' * length},angry\n")
    with pytest.raises(CorpusError, match=says):
        read_corpus(root / "x.csv")


# --- data sets of Hugging Face ----------------------------------------------------------------------------------------


def dataset_rows(root: Path) -> list[dict[str, object]]:
    """Rows as a data set gives them, with the names of classes as numbers."""
    data = [(root / "wavs" / f"{name}.wav").read_bytes() for name in "ab"]
    return [
        {"audio": {"bytes": data[0], "path": "a.wav"}, "label": 1, "speaker_id": "x", "sex": "f"},
        {"audio": {"bytes": data[1], "path": None}, "label": 0, "speaker_id": "y", "sex": "m"},
    ]


def saved(root: Path, folder: Path, label: int = 0) -> Path:
    """A data set as save_to_disk writes it: a stream of Arrow, and what it holds as JSON."""
    pa = pytest.importorskip("pyarrow")
    folder.mkdir()
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    schema = pa.schema({"audio": kind, "label": pa.int64(), "speaker_id": pa.string(), "sex": pa.string()})
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), schema) as writer:
        first, second = dataset_rows(root)
        writer.write_table(pa.Table.from_pylist([first, {**second, "label": label}], schema=schema))
    features = {
        "audio": {"sampling_rate": 8000, "_type": "Audio"},
        "label": {"names": ["happy", "angry"], "_type": "ClassLabel"},
        "speaker_id": {"dtype": "string", "_type": "Value"},
    }
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    return folder


def test_a_saved_data_set_is_unpacked(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved(root, root / "saved")
    with pytest.raises(CorpusError, match="is a data set of Hugging Face: 'ser data unpack"):
        read_corpus(folder)
    assert call_ser("data", "unpack", folder, "--to", root / "new") == 0
    assert "2 clips and manifest.csv. Next: ser data check" in capsys.readouterr().out
    table = read_corpus(root / "new").table
    assert table["emotion"].tolist() == ["angry", "happy"]
    assert table[["speaker", "sex"]].to_numpy().tolist() == [["x", "female"], ["y", "male"]]
    assert table["audio_hash"].tolist() == [audio.load(root / "wavs" / f"{name}.wav").digest for name in "ab"]
    with pytest.raises(CorpusError, match="holds files: give a folder that is empty"):
        from_dataset(folder, root / "new")


@pytest.mark.parametrize(
    ("label", "says"),
    [
        (-1, r"manifest\.csv, line 3: the label is missing: fill it in"),  # Hugging Face's number for no class
        (2, "Row 1 of the data set: label is 2: expected the number of a class, 0 to 1"),
    ],
)
def test_a_number_of_no_class_is_no_label(root: Path, label: int, says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        from_dataset(saved(root, root / "saved", label), root / "new")


def test_rows_of_a_data_set_become_a_corpus_and_a_wrong_one_is_named(root: Path) -> None:
    wave = audio.load(root / "wavs/b.wav")
    rows = [{**row, "label": name} for row, name in zip(dataset_rows(root), ("angry", "happy"), strict=True)]
    rows[1]["audio"] = {"array": wave.samples, "sampling_rate": wave.sample_rate}
    rows[0]["path"], rows[1]["note"] = "where.it.was.mp3", "late"  # a column of the recordings' own, and one of a part
    corpus = from_dataset(rows, root / "new")
    assert corpus.table["note"].tolist() == ["", "late"]
    assert corpus.table["audio_hash"].tolist() == [audio.load(root / "wavs/a.wav").digest, wave.digest]
    rows[1]["audio"] = {"bytes": None, "path": None}
    with pytest.raises(CorpusError, match="Row 1 of the data set has no recording that can be read: it has neither"):
        from_dataset(rows, root / "other")
    with pytest.raises(CorpusError, match="Row 0 of the data set has no recording in its column 'sound'"):
        from_dataset(rows, root / "third", column="sound")


def test_rows_that_are_not_decoded_are_recordings(root: Path) -> None:
    file = root / "wavs/a.wav"
    wave = audio.load(file)
    assert audio.load({"bytes": file.read_bytes(), "path": None}) == wave
    assert audio.load({"bytes": None, "path": str(file)}, target_rate=4000).sample_rate == 4000
    assert [piece.duration for piece in audio.stream({"bytes": file.read_bytes(), "path": "x.mp3"})] == [0.5]
    with pytest.raises(AudioError, match="both are empty"):
        audio.load({"bytes": None, "path": None})
