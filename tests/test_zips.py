"""Zip archives from strangers: bombs of every kind are one sentence, in a bundle, a corpus and the app alike."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from serkit.app import clips
from serkit.bundle import pack, read_bundle
from serkit.corpora import read_corpus
from serkit.errors import ArchiveError, BundleError, CorpusError
from serkit.zips import open_zip, read_member
from tests.tiny_models import write_tiny

MB = 1 << 20


def bomb(path: Path, members: list[str], megabytes: int, *, beside: Path | None = None) -> Path:
    """A zip whose members are so many MB of zeros each, besides what the archive `beside` holds."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if beside is not None:
            with zipfile.ZipFile(beside) as other:
                for name in other.namelist():
                    archive.writestr(name, other.read(name))
        for member in members:
            archive.writestr(member, bytes(megabytes * MB))
    return path


def claiming(data: bytes, size: int) -> bytes:
    """The archive with another unpacked size of its only member in the table of contents and before the member."""
    changed = bytearray(data)
    at = data.rindex(b"PK\1\2")
    changed[at + 24 : at + 28] = struct.pack("<I", size)
    changed[22:26] = struct.pack("<I", size)
    return bytes(changed)


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file


def test_a_bundle_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    tiny = pack(tmp_path / "tiny", tmp_path / "tiny.zip")
    path = bomb(tmp_path / "bomb.zip", ["extra.bin"], 80, beside=tiny)
    with pytest.raises(
        BundleError, match=r"bomb\.zip is refused: 0\.1 MB would unpack to 84 MB, and more than 100 tim"
    ):
        read_bundle(path)


def test_a_corpus_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    name = "Actor_01/03-01-01-01-01-01-01.wav"
    path = bomb(tmp_path / "Audio_Speech_Actors_01-24.zip", [name], 80)
    for place in (path, tmp_path):
        with pytest.raises(CorpusError, match=r"Audio_Speech_Actors_01-24\.zip is refused: 0\.1 MB would unpack to 84"):
            read_corpus(place, kind="ravdess")


def test_a_bomb_in_the_app_is_one_sentence(tmp_path: Path) -> None:
    class Upload:
        name, file_id = "calls.zip", "1"

        def getvalue(self) -> bytes:
            return bomb(tmp_path / "calls.zip", ["a.wav", "b.wav"], 40).read_bytes()

    found, problem = clips.unpacked(Upload())
    assert found == []
    assert problem is not None
    assert problem.startswith("calls.zip is refused: 0.1 MB would unpack to 84 MB")


def test_a_member_that_is_larger_than_it_claims_takes_no_memory() -> None:
    data = claiming(packed({"a.wav": bytes(60 * MB)}).getvalue(), 1000)
    with open_zip(io.BytesIO(data), name="liar.zip") as archive:
        tracemalloc.start()
        try:
            with pytest.raises(ArchiveError, match=r"a\.wav of liar\.zip cannot be unpacked \(Bad CRC-32"):
                read_member(archive, archive.getinfo("a.wav"), limit=MB, name="liar.zip")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 4 * MB


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_cannot_be_unpacked_piece_by_piece_is_refused(method: int) -> None:
    with (
        open_zip(packed({"a.wav": bytes(1000)}, method), name="x.zip") as archive,
        pytest.raises(ArchiveError, match=rf"is compressed with method {method}: pack it again with Deflate"),
    ):
        read_member(archive, archive.getinfo("a.wav"), limit=MB, name="x.zip")


def test_a_member_that_is_smaller_than_it_claims_is_an_error() -> None:
    data = claiming(packed({"a.wav": bytes(1000)}).getvalue(), 5000)
    with (
        open_zip(io.BytesIO(data), name="short.zip") as archive,
        pytest.raises(ArchiveError, match=r"a\.wav of short\.zip cannot be unpacked"),
    ):
        read_member(archive, archive.getinfo("a.wav"), limit=MB, name="short.zip")


def test_a_member_above_the_limit_is_not_unpacked() -> None:
    with (
        open_zip(packed({"a.wav": bytes(2000)}), name="x.zip") as archive,
        pytest.raises(ArchiveError, match=r"^a\.wav of x\.zip is 2,000 bytes; at most 1,999 are read\.$"),
    ):
        read_member(archive, archive.getinfo("a.wav"), limit=1999, name="x.zip")


@pytest.mark.parametrize("name", ["../up.wav", "a/../../up.wav", "/etc/passwd.wav", "C:\\up.wav", "a\\..\\..\\up.wav"])
def test_names_that_lead_outside_are_refused(name: str) -> None:
    with pytest.raises(ArchiveError, match=r"x\.zip is refused: the name of its member .* leads outside of it"):
        open_zip(packed({name: b""}), name="x.zip")


def test_deep_and_repeated_names_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    open_zip(packed({"a/" * 32 + "a.wav": b""}), name="x.zip").close()
    with pytest.raises(ArchiveError, match=r"is more than 32 folders deep"):
        open_zip(packed({"a/" * 33 + "a.wav": b""}), name="x.zip")
    file = packed({"a.wav": b"1"})
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr("a.wav", b"2")
    with pytest.raises(ArchiveError, match=r"^x\.zip is refused: it holds a\.wav more than once\.$"):
        open_zip(file, name="x.zip")
    many = packed({f"{k}.wav": b"" for k in range(20)})
    monkeypatch.setattr("serkit.zips._MAX_MEMBERS", 19)
    with pytest.raises(ArchiveError, match="it holds 20 files, at most 19 are read"):
        open_zip(many, name="x.zip")
    monkeypatch.setattr("serkit.zips._MAX_DIRECTORY", 900)  # 20 entries of 46 bytes and a name
    with pytest.raises(ArchiveError, match=r"its table of contents has 1,0\d\d bytes, at most 900 are read"):
        open_zip(many, name="x.zip")


def test_a_large_table_of_contents_is_seen_behind_a_comment_and_in_zip64(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.wav", b"")
        archive.comment = b"x" * 65535
    monkeypatch.setattr("serkit.zips._MAX_DIRECTORY", 50)
    with pytest.raises(ArchiveError, match="its table of contents has 51 bytes"):
        open_zip(file, name="x.zip")
    data = packed({"a.wav": b""}).getvalue()
    at = data.rindex(b"PK\5\6")
    start = data.index(b"PK\1\2")
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 10**9, start)
    large = data[:at] + record + struct.pack("<4sLQL", b"PK\6\7", 0, at, 1) + data[at:]
    with pytest.raises(ArchiveError, match="its table of contents has 1,000,000,000 bytes"):
        open_zip(io.BytesIO(large), name="x.zip")


def test_small_archives_of_silence_are_no_bombs() -> None:
    with open_zip(packed({"silence.wav": bytes(60 * MB)}), name="x.zip") as archive:
        assert read_member(archive, archive.getinfo("silence.wav"), limit=64 * MB, name="x.zip") == bytes(60 * MB)


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\5\6" + b"\xff" * 18, bytes(100)])
def test_what_is_not_a_zip_is_one_sentence(data: bytes) -> None:
    with pytest.raises(ArchiveError, match=r"^x\.zip is [^.]*\.$"):
        open_zip(io.BytesIO(data), name="x.zip")
