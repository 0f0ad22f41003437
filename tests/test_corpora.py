"""Folders, archives and manifests become the one table, or an error that says what is wrong with them."""

from __future__ import annotations

import csv
import json
import os
import pickle
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from serkit import audio, ravdess_names
from serkit.corpora import COLUMNS, KINDS, Corpus, folders, read_corpus
from serkit.corpora.describe import describe, plot
from serkit.corpora.digests import cache_dir
from serkit.corpora.readers import crema_d, ravdess
from serkit.corpora.table import Listing, build
from serkit.errors import AudioError, CorpusError

RATE = 8000


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads what another has remembered, and none writes to the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SERKIT_CACHE", str(folder))
    return folder


def sound(seed: int, seconds: float = 0.25) -> np.ndarray:
    return (3000 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.int16)


def write(file: Path, seed: int, *, seconds: float = 0.25) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    sf.write(file, sound(seed, seconds), RATE, subtype="PCM_16")
    return file


# --- RAVDESS ----------------------------------------------------------------------------------------------------------

NAMES = (
    "03-01-01-01-01-01-01",
    "03-01-05-02-02-01-01",
    "03-01-08-01-01-02-02",
    "03-02-03-01-01-01-02",
    "03-02-06-02-02-02-13",
)


def write_ravdess(root: Path, layout: str) -> Path:
    """The same five clips in each of the layouts in which the corpus is found in the wild."""
    suffix = "flac" if layout == "flac" else "wav"
    for i, name in enumerate(NAMES):
        channel = ("speech", "song")[int(name[4]) - 1]
        folder = {"flat": "", "flac": "", "actors": f"Actor_{name[-2:]}", "channels": channel}.get(layout, "all")
        write(root / folder / f"{name}.{suffix}", i)
    if layout == "zips":
        for channel, archive in ravdess.ARCHIVES.items():
            with zipfile.ZipFile(root / archive, "w", zipfile.ZIP_DEFLATED) as opened:
                for file in sorted((root / "all").iterdir()):
                    if ravdess_names.parse_stem(file.stem)["channel"] == channel:
                        opened.write(file, f"Actor_{file.stem[-2:]}/{file.name}")
        shutil.rmtree(root / "all")
    return root


@pytest.mark.parametrize("layout", ["flat", "flac", "actors", "channels", "zips"])
def test_ravdess_is_the_same_corpus_in_every_layout(tmp_path: Path, layout: str) -> None:
    corpus = read_corpus(write_ravdess(tmp_path / layout, layout))
    table = corpus.table.assign(stem=[Path(path).stem for path in corpus.table["path"]]).set_index("stem")
    assert corpus.name == "ravdess"
    assert tuple(corpus.table.columns) == COLUMNS
    assert table["path"].is_monotonic_increasing
    assert sorted(table.index) == sorted(NAMES)
    row = table.loc["03-01-05-02-02-01-01"]
    fields = ["emotion", "speaker", "sex", "channel", "intensity", "statement", "repetition", "start", "end"]
    assert row[fields].tolist() == ["angry", "01", "male", "speech", "strong", "dogs", "1", 0.0, 0.25]
    assert table.loc["03-02-03-01-01-01-02", "sex"] == "female"
    assert table.loc["03-02-03-01-01-01-02", "channel"] == "song"
    # the hash is of the sound, not of the container
    reference = write(tmp_path / "reference.wav", 1)
    assert row["audio_hash"] == audio.load(reference).digest
    assert "CC BY-NC-SA 4.0" in corpus.licence
    assert "Livingstone" in corpus.citation


def test_clips_load_from_files_and_archives_by_row_and_by_path(tmp_path: Path) -> None:
    flat = read_corpus(write_ravdess(tmp_path / "flat", "flat"))
    zipped = read_corpus(write_ravdess(tmp_path / "zips", "zips"))
    assert any(".zip/Actor_" in path for path in zipped.table["path"])
    by_name = {Path(path).stem: path for path in flat.table["path"]}
    for row in zipped.table.itertuples():
        wave = zipped.load(row)
        assert wave.digest == row.audio_hash
        assert wave == flat.load(by_name[Path(row.path).stem])
    series = zipped.table.iloc[0]
    assert zipped.load(series) == zipped.load(dict(series)) == zipped.load(series["path"])
    assert zipped.load(series, target_rate=4000).sample_rate == 4000
    assert pickle.loads(pickle.dumps(zipped)).load(series) == zipped.load(series)  # as a worker process gets it
    with pytest.raises(AudioError, match=r"no member 'Actor_01/nothing.wav'"):
        zipped.load(f"{ravdess.ARCHIVES['speech']}/Actor_01/nothing.wav")


def test_one_published_archive_is_a_corpus(tmp_path: Path) -> None:
    write_ravdess(tmp_path, "zips")
    corpus = read_corpus(tmp_path / ravdess.ARCHIVES["song"])
    assert set(corpus.table["channel"]) == {"song"}
    assert len(corpus) == 2


def test_channel_takes_a_part(tmp_path: Path) -> None:
    write_ravdess(tmp_path, "flat")
    assert [len(read_corpus(tmp_path, channel=c)) for c in ("both", "speech", "song")] == [5, 3, 2]
    with pytest.raises(CorpusError, match="Unknown channel 'sing': expected one of both, speech, song"):
        read_corpus(tmp_path, channel="sing")
    for name in NAMES[:3]:
        (tmp_path / f"{name}.wav").unlink()
    with pytest.raises(CorpusError, match="no speech recordings"):
        read_corpus(tmp_path, channel="speech")


def test_recordings_with_video_are_left_out(tmp_path: Path) -> None:
    write_ravdess(tmp_path, "flat")
    write(tmp_path / "01-01-05-02-02-01-01.wav", 9)
    assert len(read_corpus(tmp_path)) == 5


@pytest.mark.parametrize(
    ("stem", "reason"),
    [
        ("03-01-09-01-01-01-01", "emotion is 09, expected 01 to 08"),
        ("03-03-01-01-01-01-01", "channel is 03, expected 01 to 02"),
        ("03-01-01-01-01-01-25", "actor is 25, expected 01 to 24"),
        ("03-01-01-02-01-01-01", "neutral has no strong intensity"),
        ("03-01-01-01-01-01", "expected seven two-digit numbers"),
        ("my recording", "expected seven two-digit numbers"),
    ],
)
def test_malformed_ravdess_names_are_named(tmp_path: Path, stem: str, reason: str) -> None:
    write_ravdess(tmp_path, "flat")
    write(tmp_path / f"{stem}.wav", 9)
    with pytest.raises(CorpusError, match=reason) as caught:
        read_corpus(tmp_path)
    assert f"{stem}.wav" in str(caught.value)
    assert "1 of 6 audio files" in str(caught.value)


def test_a_recording_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write_ravdess(tmp_path, "zips")
    write(tmp_path / "Actor_01" / f"{NAMES[0]}.wav", 0)
    with pytest.raises(CorpusError, match=f"{NAMES[0]} occurs twice"):
        read_corpus(tmp_path)


def test_an_unfinished_download_is_not_a_smaller_corpus(tmp_path: Path) -> None:
    write_ravdess(tmp_path, "zips")
    song = tmp_path / ravdess.ARCHIVES["song"]
    song.rename(f"{song}.part")
    with pytest.raises(CorpusError, match="unfinished download"):
        read_corpus(tmp_path)
    assert len(read_corpus(tmp_path, channel="speech")) == 3


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    write_ravdess(tmp_path, "zips")
    song = tmp_path / ravdess.ARCHIVES["song"]
    content = song.read_bytes()
    song.write_bytes(content[: len(content) // 2])
    with pytest.raises(CorpusError, match=r"Audio_Song_Actors_01-24.zip is a damaged or truncated zip"):
        read_corpus(tmp_path)


def test_a_damaged_member_is_an_unreadable_clip(tmp_path: Path) -> None:
    archive = tmp_path / ravdess.ARCHIVES["speech"]
    file = write(tmp_path / "x.wav", 0)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
        opened.write(file, f"Actor_01/{NAMES[0]}.wav")
    content = bytearray(archive.read_bytes())
    content[500] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(CorpusError, match=rf"1 of 1 clips .*{NAMES[0]}.wav .*CRC"):
        read_corpus(archive)


def test_a_member_with_a_password_is_an_unreadable_clip(tmp_path: Path) -> None:
    archive = tmp_path / ravdess.ARCHIVES["speech"]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
        opened.write(write(tmp_path / "x.wav", 0), f"Actor_01/{NAMES[0]}.wav")
    content = bytearray(archive.read_bytes())
    for at in (6, content.index(b"PK\1\2") + 8):  # the flags of both headers
        content[at] |= 1
    archive.write_bytes(content)
    with pytest.raises(CorpusError, match=r"1 of 1 clips .*encrypted"):
        read_corpus(archive)


# --- CREMA-D ----------------------------------------------------------------------------------------------------------


def write_crema(root: Path, folder: str = "AudioWAV", *, tables: bool = True) -> Path:
    for i, name in enumerate(["1001_DFA_ANG_XX", "1001_IEO_SAD_LO", "1002_IEO_FEA_HI", "1040_ITH_SAD_X"]):
        write(root / folder / f"{name}.wav", i)
    if tables:
        (root / "VideoDemographics.csv").write_text(
            '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
            '1002,21,"Female","Asian","Not Hispanic"\n1040,30,"Female","Caucasian","Hispanic"\n'
        )
        (root / "summaryTable.csv").write_text(
            '"","FileName","VoiceVote","VoiceLevel"\n"1","1001_DFA_ANG_XX","A:D","60:50"\n'
            '"2","1001_IEO_SAD_LO","N","70"\n"3","1002_IEO_FEA_HI","F","80"\n'
        )
    return root


@pytest.mark.parametrize("folder", ["AudioWAV", "audio", "", "anywhere/else"])
def test_crema_d(tmp_path: Path, folder: str) -> None:
    corpus = read_corpus(write_crema(tmp_path / "c", folder))
    table = corpus.table.assign(stem=[Path(path).stem for path in corpus.table["path"]]).set_index("stem")
    assert corpus.name == "crema_d"
    assert tuple(corpus.table.columns) == (*COLUMNS, "age", "race", "ethnicity", "listeners")
    fields = ["emotion", "speaker", "sex", "statement", "intensity", "channel", "age", "ethnicity", "listeners"]
    assert table.loc["1001_DFA_ANG_XX", fields].tolist() == [
        "angry", "1001", "male", "DFA", "XX", "speech", "51", "Not Hispanic", "angry:disgust",
    ]  # fmt: skip
    assert table.loc["1040_ITH_SAD_X", ["intensity", "listeners"]].tolist() == ["XX", ""]
    assert "ODbL" in corpus.licence


def test_crema_d_without_its_tables_and_from_its_audio_folder(tmp_path: Path) -> None:
    bare = read_corpus(write_crema(tmp_path / "bare", tables=False))
    assert set(bare.table["sex"]) == {""}
    assert tuple(bare.table.columns) == COLUMNS
    inner = read_corpus(write_crema(tmp_path / "full") / "AudioWAV")
    assert set(inner.table["sex"]) == {"male", "female"}
    with pytest.raises(CorpusError, match="expected actor, sentence, emotion, level"):
        crema_d.parse_stem("1001_DFA_CAL_XX")


def test_a_crema_d_table_without_its_columns_is_named(tmp_path: Path) -> None:
    write_crema(tmp_path)
    (tmp_path / "summaryTable.csv").write_text("FileName,Vote\n")
    with pytest.raises(CorpusError, match=r"summaryTable.csv lacks the column VoiceVote"):
        read_corpus(tmp_path)


# --- folders ----------------------------------------------------------------------------------------------------------


def test_folders_take_emotion_and_speaker_from_the_way_to_the_file(tmp_path: Path) -> None:
    files = {
        "Anger/anna/1.wav": ("angry", "anna"),
        "ben/FEAR/1.wav": ("fearful", "ben"),
        "happy/carl_1.wav": ("happy", "carl"),
        "sad/carl_2.wav": ("sad", "carl"),
        "sad/only_1.wav": ("sad", ""),  # nobody else is called "only": no speaker
        "sad/sad_7.wav": ("sad", ""),
        "pleasant surprise/9.wav": ("surprised", ""),
        "site a/dora/neutral/9.wav": ("neutral", "site a/dora"),
    }
    for i, name in enumerate(files):
        write(tmp_path / name, i)
    corpus = read_corpus(tmp_path)
    got = {row.path: (row.emotion, row.speaker) for row in corpus.table.itertuples()}
    assert got == files
    assert corpus.name == tmp_path.name
    assert not folders.is_emotion("01")


def test_folders_refuse_what_has_no_emotion_or_two(tmp_path: Path) -> None:
    write(tmp_path / "angry" / "1.wav", 0)
    write(tmp_path / "bordom" / "2.wav", 1)
    write(tmp_path / "happy" / "sad" / "3.wav", 2)
    with pytest.raises(CorpusError, match=r"2 of 3 audio files .* bordom/2.wav, happy/sad/3.wav"):
        read_corpus(tmp_path)


def test_folders_of_own_labels(tmp_path: Path) -> None:
    for place in (
        "beside/angry",
        "beside/Stressed",
        "alone/pleased",
        "alone/very bored",
        "deep/anna/angry",
        "deep/anna/up",
    ):
        write(tmp_path / place / "anna_1.wav", 1)
        write(tmp_path / place / "anna_2.wav", 2)

    def labels(folder: str) -> list[tuple[str, str]]:
        table = read_corpus(tmp_path / folder).table
        return sorted(set(zip(table["emotion"], table["speaker"], strict=True)))

    assert labels("beside") == [("angry", "anna"), ("stressed", "anna")]
    assert labels("alone") == [("pleased", "anna"), ("very_bored", "anna")]
    assert labels("deep") == [("angry", "anna"), ("up", "anna")]
    (tmp_path / "alone" / "07").mkdir()
    write(tmp_path / "alone" / "07" / "1.wav", 3)  # a number may be a speaker: nobody can tell
    with pytest.raises(CorpusError, match="is not a corpus that serkit knows"):
        read_corpus(tmp_path / "alone")


def test_folders_of_a_division_are_neither_speakers_nor_labels(tmp_path: Path) -> None:
    for k, name in enumerate(("train/angry/anna_1", "Test/angry/anna_2", "val/happy/ben/1", "train/happy/2")):
        write(tmp_path / "known" / f"{name}.wav", k)
        write(tmp_path / "own" / f"{name.replace('angry', 'up').replace('happy', 'down')}.wav", k)
    for folder, (one, other) in {"known": ("angry", "happy"), "own": ("up", "down")}.items():
        corpus = read_corpus(tmp_path / folder)
        table = corpus.table.sort_values("emotion", kind="stable")
        found = sorted(zip(table["emotion"], table["speaker"], strict=True))
        assert found == sorted([(one, "anna"), (one, "anna"), (other, "ben"), (other, "")])
        assert corpus.notes[0].startswith("The folders Test and train and val are read together")


def test_a_name_that_is_no_text_is_named(tmp_path: Path) -> None:
    rows = [{"path": "a.wav", "emotion": "sad"}, {"path": "Col\udce8re/b.wav", "emotion": "angry"}]
    with pytest.raises(CorpusError, match=r"The name 'Col\\udce8re/b.wav' in .* is not UTF-8 text, .*: rename it"):
        build(Listing("mine", tmp_path, rows, "", ""), channel="both")


# --- manifest ---------------------------------------------------------------------------------------------------------


def test_manifest_with_pieces_of_files(tmp_path: Path) -> None:
    write(tmp_path / "wavs" / "long, one.wav", 3, seconds=1.0)
    write(tmp_path / "b.wav", 4)
    (tmp_path / "manifest.tsv").write_text(
        "path\temotion\tstart\tend\tspeaker\tsex\tchannel\troom\n"
        "wavs/long, one.wav\tANG\t0.5\t0.75\tx\tF\tspeech\tA\n"
        "\n"
        "wavs/long, one.wav\tjoy\t\t0.5\tx\tfemale\tsong\tB\n"
        "wavs/long, one.wav\tjoy\t0.75\t\tx\tfemale\t\tB\n"
        "./b.wav\tneutral\t\t\ty\tm\t\t\n",
        encoding="utf-8-sig",
    )
    corpus = read_corpus(tmp_path)
    keys = ["path", "start", "end", "emotion", "sex", "channel", "room", "corpus"]
    name = tmp_path.name
    assert corpus.table[keys].values.tolist() == [
        ["b.wav", 0.0, 0.25, "neutral", "male", "speech", "", name],
        ["wavs/long, one.wav", 0.0, 0.5, "happy", "female", "song", "B", name],
        ["wavs/long, one.wav", 0.5, 0.75, "angry", "female", "speech", "A", name],
        ["wavs/long, one.wav", 0.75, 1.0, "happy", "female", "speech", "B", name],
    ]
    whole = corpus.load("wavs/long, one.wav").samples
    for row in corpus.table.itertuples():
        wave = corpus.load(row)
        assert wave.digest == row.audio_hash
        if row.path != "b.wav":
            np.testing.assert_array_equal(wave.samples, whole[round(row.start * RATE) : round(row.end * RATE)])


def test_a_table_written_as_manifest_reads_back(tmp_path: Path) -> None:
    first = read_corpus(write_ravdess(tmp_path, "actors"))
    first.table.to_csv(tmp_path / "again.csv", index=False)
    again = read_corpus(tmp_path / "again.csv")
    assert again.name == "again"
    assert again.table.astype(str).equals(first.table.astype(str))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,mood", "a.wav,sad"], "lacks the column emotion: its header is path, mood"),
        (["path,emotion,emotion", "a.wav,sad,sad"], "two columns named 'emotion'"),
        (["path,emotion", "a.wav,sad", "a.wav,<b>"], "line 3: '<b>' cannot be a label"),
        (["path,emotion", "a.wav,sad,1"], r"line 2: 3 fields, expected the 2 of the header"),
        (["path,emotion", ",sad"], "line 2: the path is empty"),
        (["path,emotion", "/no/a.wav,sad"], "1 of 1 files .* are missing: line 2: /no/a.wav"),
        (
            ["path,emotion", "a.wav,sad", *(f"{x}.wav,sad" for x in "bcde")],
            "4 of 5 .*: b.wav; .* line 5: d.wav; \\.\\.\\.",
        ),
        (["path,emotion,start,end", "a.wav,sad,0.2,0.1"], "line 2: end 0.1 s is not after start 0.2 s"),
        (["path,emotion,start,end", "a.wav,sad,-1,"], "line 2: start is '-1': expected seconds"),
        (["path,emotion,start,end", "a.wav,sad,x,"], "line 2: start is 'x': expected seconds"),
        (["path,emotion,start,end", "a.wav,sad,0,9"], "a.wav is 0.250 s long and has nothing from 0 to 9 s"),
        (["path,emotion,sex", "a.wav,sad,woman"], "line 2: sex is 'woman': expected female, male"),
        (["path,emotion,channel", "a.wav,sad,video"], "line 2: channel is 'video': expected speech or song"),
        (["path,emotion", "a.wav,sad", "a.wav,angry"], "a.wav from 0 to 0.25 s is listed 2 times"),
        (["path,emotion"], "a header but no clips"),
        ([], "lacks the column path: its header is empty"),
        (["path,emotion", '"a.wav,sad'], "cannot be read as a table"),
        (["wav,audio,label", "a.wav,a.wav,sad"], "columns 'wav', 'audio', which all mean path: rename one"),
    ],
)
def test_manifest_mistakes_are_named(tmp_path: Path, lines: list[str], message: str) -> None:
    write(tmp_path / "a.wav", 0)
    (tmp_path / "list.csv").write_text("\n".join(lines))
    with pytest.raises(CorpusError, match=message):
        read_corpus(tmp_path / "list.csv")


def test_manifest_in_another_encoding_says_so(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes("path,emotion\nä.wav,sad\n".encode("latin-1"))
    with pytest.raises(CorpusError, match="not UTF-8 text"):
        read_corpus(tmp_path / "list.csv")


# --- which corpus is it? ----------------------------------------------------------------------------------------------


def test_the_folder_above_is_understood(tmp_path: Path) -> None:
    write_ravdess(tmp_path / "RAVDESS", "flat")
    above, given = read_corpus(tmp_path), read_corpus(tmp_path / "RAVDESS", kind="ravdess")
    assert above.root == given.root == tmp_path / "RAVDESS"
    write_crema(tmp_path / "CREMA-D")
    with pytest.raises(CorpusError, match=r"several corpora \(crema_d, ravdess\): name one"):
        read_corpus(tmp_path)
    assert [read_corpus(tmp_path, kind=kind).name for kind in ("ravdess", "crema_d")] == ["ravdess", "crema_d"]


def test_what_is_no_corpus_says_why(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="the path does not exist"):
        read_corpus(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"not a corpus that serkit knows \(0 audio files\)"):
        read_corpus(tmp_path)
    with pytest.raises(CorpusError, match=r"Unknown kind of corpus 'ravdes': expected .* Did you mean ravdess\?"):
        read_corpus(tmp_path, kind="ravdes")
    for kind in KINDS:
        with pytest.raises(CorpusError, match=r"holds no|contains no|has no manifest"):
            read_corpus(tmp_path, kind=kind)
    file = write(tmp_path / "x" / "hello.wav", 0)
    with pytest.raises(CorpusError, match=r"not a corpus that serkit knows \(1 audio files\)"):
        read_corpus(tmp_path)
    with pytest.raises(CorpusError, match="expected a folder, a CSV, TSV or Parquet table"):
        read_corpus(file)
    write(tmp_path / f"{NAMES[0]}.wav", 0)
    write(tmp_path / "1001_DFA_ANG_XX.wav", 1)
    with pytest.raises(CorpusError, match=r"mixture \(ravdess, crema_d\)"):
        read_corpus(tmp_path)


def test_hidden_files_and_the_rubbish_of_archives_are_skipped(tmp_path: Path) -> None:
    write_ravdess(tmp_path, "flat")
    write(tmp_path / ".hidden" / "a.wav", 0)
    (tmp_path / f"._{NAMES[0]}.wav").write_bytes(b"resource fork")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "b.wav").write_bytes(b"")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(read_corpus(tmp_path)) == 5


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    write_ravdess(tmp_path, "actors")
    (tmp_path / "Actor_01").chmod(0)
    try:
        with pytest.raises(CorpusError, match=r"Actor_01 cannot be read .* check its permissions"):
            read_corpus(tmp_path)
    finally:
        (tmp_path / "Actor_01").chmod(0o755)


# --- hashes -----------------------------------------------------------------------------------------------------------


def test_unreadable_recordings_are_all_counted(tmp_path: Path) -> None:
    write_ravdess(tmp_path, "flat")
    broken = [f"03-01-02-01-01-01-{actor:02d}.wav" for actor in range(1, 8)]
    for name in broken:
        (tmp_path / name).write_text("not a recording")
    with pytest.raises(CorpusError, match="7 of 12 clips") as caught:
        read_corpus(tmp_path)
    assert [name in str(caught.value) for name in broken] == [True] * 5 + [False] * 2


def test_a_second_read_decodes_nothing_and_a_changed_file_again(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ravdess(tmp_path, "actors")
    decoded: list[str] = []
    real = audio.load
    monkeypatch.setattr(audio, "load", lambda source, **options: decoded.append(source) or real(source, **options))
    first = read_corpus(tmp_path)
    assert len(decoded) == 5
    second = read_corpus(tmp_path)
    assert len(decoded) == 5
    assert second.table.equals(first.table)
    changed = tmp_path / first.table["path"][2]
    write(changed, 77, seconds=0.5)
    third = read_corpus(tmp_path)
    assert decoded[5:] == [changed]
    assert (third.table["audio_hash"] != first.table["audio_hash"]).tolist() == [False, False, True, False, False]
    assert third.table["end"][2] == 0.5


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"clips": 3}', "entries"])
def test_a_damaged_memory_is_made_anew(tmp_path: Path, own_cache: Path, damage: str) -> None:
    write_ravdess(tmp_path, "flat")
    first = read_corpus(tmp_path)
    (memory,) = own_cache.rglob("*.json")
    if damage == "entries":
        content = json.loads(memory.read_text())
        content["clips"] = {key: [*value[:2], "rubbish", 0.0, 1.0] for key, value in content["clips"].items()}
        damage = json.dumps(content)
    memory.write_text(damage)
    assert read_corpus(tmp_path).table.equals(first.table)


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ravdess(tmp_path / "c", "flat")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SERKIT_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="Set SERKIT_CACHE"):
        assert len(read_corpus(tmp_path / "c")) == 5


def test_the_cache_lies_where_the_user_says(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    assert cache_dir() == own_cache
    monkeypatch.delenv("SERKIT_CACHE")
    assert cache_dir() == Path.home() / ".cache" / "serkit"


def test_duplicates_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "03-01-03-01-02-01-07.wav", 1)
    write(tmp_path / "03-01-03-01-02-02-07.wav", 1)
    table = read_corpus(tmp_path, kind="ravdess").table
    assert len(table) == 2
    assert table["audio_hash"].nunique() == 1


# --- description ------------------------------------------------------------------------------------------------------


def test_describe_counts(tmp_path: Path) -> None:
    write_ravdess(tmp_path, "flat")
    write(tmp_path / "03-01-05-02-02-02-01.wav", 1)  # the same sound as 03-01-05-02-02-01-01
    numbers = describe(read_corpus(tmp_path))
    assert [row["emotion"] for row in numbers["classes"]] == ["neutral", "happy", "angry", "fearful", "surprised"]
    assert [row["clips"] for row in numbers["classes"]] == [1, 1, 2, 1, 1]
    assert (numbers["clips"], numbers["recordings"], numbers["speakers"]) == (6, 5, 3)
    assert numbers["by_sex"] == {"female": 2, "male": 4}
    assert numbers["by_channel"] == {"song": 2, "speech": 4}
    assert {row["speaker"]: (row["sex"], row["clips"]) for row in numbers["by_speaker"]} == {
        "01": ("male", 3),
        "02": ("female", 2),
        "13": ("male", 1),
    }
    assert numbers["seconds"] == 1.5
    assert set(numbers["duration"].values()) == {0.25}
    assert sum(row["share"] for row in numbers["classes"]) == pytest.approx(1)
    assert json.loads(json.dumps(numbers)) == numbers


def test_plot_draws_in_the_colours_of_the_emotions(tmp_path: Path) -> None:
    corpus = read_corpus(write_ravdess(tmp_path, "flat"))
    plot(corpus, tmp_path / "a.svg")
    drawing = (tmp_path / "a.svg").read_text().lower()
    assert all(ink in drawing for ink in ("#8c8c8c", "#f0c808", "#d55e00", "#7b4fa3", "#e78ac3"))
    assert "#009e73" not in drawing  # nobody is disgusted here
    plot(corpus, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(CorpusError, match=r"'a.gif': expected .png, .svg or .pdf"):
        plot(corpus, tmp_path / "a.gif")
    with pytest.raises(CorpusError, match="cannot be written"):
        plot(corpus, tmp_path / "nowhere" / "a.png")


# --- the real ones ----------------------------------------------------------------------------------------------------


@pytest.fixture
def links(tmp_path: Path, ravdess_dir: Path) -> Path:
    """A few real clips: all of actor 07's happy speech, and one song of actor 02."""
    files = [
        *sorted((ravdess_dir / "speech").glob("03-01-03-*-07.*")),
        *sorted((ravdess_dir / "song").glob("*-02.*"))[:1],
    ]
    for file in files:
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


@pytest.mark.ravdess
def test_the_documented_duplicate_has_one_hash(links: Path) -> None:
    table = read_corpus(links, kind="ravdess").table.set_index("path")
    twins = table.loc[["03-01-03-01-02-01-07.flac", "03-01-03-01-02-02-07.flac"]]
    assert len(table) == 9
    assert twins["audio_hash"].nunique() == 1
    assert table["audio_hash"].nunique() == 8


@pytest.mark.ravdess
def test_ravdess_has_the_published_numbers(ravdess_dir: Path) -> None:
    listing = ravdess.read(ravdess_dir)
    assert len(listing.rows) == 2452
    assert Counter(row["channel"] for row in listing.rows) == {"speech": 1440, "song": 1012}
    assert Counter(row["emotion"] for row in listing.rows) == {
        "neutral": 188, "calm": 376, "happy": 376, "sad": 376, "angry": 376, "fearful": 376, "disgust": 192,
        "surprised": 192,
    }  # fmt: skip
    assert {row["speaker"] for row in listing.rows} == {f"{actor:02d}" for actor in range(1, 25)}
    assert {row["speaker"] for row in listing.rows if row["channel"] == "song"} == {
        f"{actor:02d}" for actor in range(1, 25) if actor != 18
    }


@pytest.mark.ravdess
def test_crema_d_has_the_published_numbers(crema_dir: Path) -> None:
    listing = crema_d.read(crema_dir)
    assert len(listing.rows) == 7435
    assert len({row["speaker"] for row in listing.rows}) == 91
    assert len({row["statement"] for row in listing.rows}) == 12
    with (crema_dir / "VideoDemographics.csv").open() as file:
        sexes = {person["ActorID"]: person["Sex"].lower() for person in csv.DictReader(file)}
    assert {row["speaker"]: row["sex"] for row in listing.rows} == sexes
    # 44.6 % of the majority votes name the intended emotion, a tie of k counting 1/k
    votes = [(row["emotion"], row["listeners"].split(":")) for row in listing.rows]
    right = sum((emotion in heard) / len(heard) for emotion, heard in votes) / len(votes)
    assert right == pytest.approx(0.446, abs=0.0005)


def test_the_tiny_corpus(tiny_corpus: Path) -> None:
    corpus = read_corpus(tiny_corpus)
    assert isinstance(corpus, Corpus)
    assert len(corpus) == 90
    assert corpus.table["audio_hash"].nunique() == 90
