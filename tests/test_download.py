"""Fetching corpora, against a server on this machine that also breaks off, forgets ranges and sends rubbish."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import serkit.cli.data  # noqa: F401  (registers the commands)
from serkit.cli import app
from serkit.corpora import download
from serkit.corpora.download import CHECKSUMS, ZENODO, fetch_ravdess
from serkit.corpora.readers import ravdess
from serkit.corpora.registry import published
from serkit.corpora.repositories import Repository, fetch_repository
from serkit.errors import CorpusError
from tests.file_server import Server

SPEECH, SONG = ravdess.ARCHIVES["speech"], ravdess.ARCHIVES["song"]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server({SPEECH: bytes(range(256)) * 4000, SONG: b"la" * 5000}) as server, server.running():
        yield server


def fetch(server: Server, to: Path, channel: str = "both") -> list[Path]:
    return fetch_ravdess(to, channel=channel, base_url=server.url, checksums=server.checksums)


def test_both_archives_arrive_and_are_not_fetched_twice(server: Server, tmp_path: Path) -> None:
    to = tmp_path / "new" / "folder"
    assert fetch(server, to) == [to / SPEECH, to / SONG]
    assert {path.name: path.read_bytes() for path in to.iterdir()} == server.files
    assert fetch(server, to) == [to / SPEECH, to / SONG]
    assert server.asked == [(SPEECH, None, 200), (SONG, None, 200)]


def test_channel_chooses_the_archive(server: Server, tmp_path: Path) -> None:
    assert fetch(server, tmp_path, "song") == [tmp_path / SONG]
    assert fetch(server, tmp_path, "speech") == [tmp_path / SPEECH]
    with pytest.raises(CorpusError, match="Unknown channel 'video'"):
        fetch(server, tmp_path, "video")


def test_a_broken_download_is_kept_and_goes_on(server: Server, tmp_path: Path) -> None:
    server.cut_at = 600_000
    with pytest.raises(CorpusError, match=r"broke off .* run the command again to resume"):
        fetch(server, tmp_path, "speech")
    part = tmp_path / f"{SPEECH}.part"
    kept = part.stat().st_size
    assert 0 < kept <= 600_000
    assert [path.name for path in tmp_path.iterdir()] == [part.name]
    server.cut_at = None
    fetch(server, tmp_path, "speech")
    assert server.asked[-1] == (SPEECH, f"bytes={kept}-", 206)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {SPEECH: server.files[SPEECH]}


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{SONG}.part").write_bytes(server.files[SONG][:100])
    server.ranges = False
    fetch(server, tmp_path, "song")
    assert server.asked == [(SONG, "bytes=100-", 200)]
    assert (tmp_path / SONG).read_bytes() == server.files[SONG]


def test_a_complete_part_needs_no_more_bytes(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{SONG}.part").write_bytes(server.files[SONG])
    fetch(server, tmp_path, "song")
    assert [status for _, _, status in server.asked] == [416]
    assert (tmp_path / SONG).read_bytes() == server.files[SONG]


def test_a_part_that_is_too_long_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{SONG}.part").write_bytes(server.files[SONG] + b"more")
    fetch(server, tmp_path, "song")
    assert [status for _, _, status in server.asked] == [416, 200]
    assert (tmp_path / SONG).read_bytes() == server.files[SONG]


def test_another_part_than_asked_for_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{SONG}.part").write_bytes(server.files[SONG][:100])
    server.shift = 10
    with pytest.raises(CorpusError, match="sent a different part"):
        fetch(server, tmp_path, "song")
    server.shift = 0
    fetch(server, tmp_path, "song")
    assert (tmp_path / SONG).read_bytes() == server.files[SONG]


@pytest.mark.parametrize("start", [b"", b"wrong"])
def test_a_wrong_checksum_removes_the_file(server: Server, tmp_path: Path, start: bytes) -> None:
    if start:  # the beginning of another file
        (tmp_path / f"{SONG}.part").write_bytes(start)
    else:
        server.checksums[SONG] = f"md5:{'0' * 32}"
    with pytest.raises(
        CorpusError, match=f"{SONG} .* wrong checksum and was removed: expected {server.checksums[SONG]}"
    ):
        fetch(server, tmp_path, "song")
    assert list(tmp_path.iterdir()) == []


def test_a_changed_archive_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / SONG).write_bytes(b"something else")
    fetch(server, tmp_path, "song")
    assert (tmp_path / SONG).read_bytes() == server.files[SONG]


def test_a_server_that_refuses_or_is_not_there(server: Server, tmp_path: Path) -> None:
    del server.files[SPEECH]
    with pytest.raises(CorpusError, match=rf"answered 404 Not Found for {server.url}/{SPEECH}: .*--mirror"):
        fetch(server, tmp_path)
    with pytest.raises(CorpusError, match=r"broke off \(no connection\). Try again later"):
        fetch_ravdess(tmp_path, base_url="http://127.0.0.1:9/files")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match=r"cannot be created .* change --to"):
        fetch(server, tmp_path / "file" / "folder")


def test_the_published_record() -> None:
    assert ZENODO == "https://zenodo.org/records/1188976/files"
    assert CHECKSUMS == {
        "Audio_Speech_Actors_01-24.zip": "md5:bc696df654c87fed845eb13823edef8a",
        "Audio_Song_Actors_01-24.zip": "md5:5411230427d67a21e18aa4d466e6d1b9",
    }


def test_the_command_shows_the_licence_and_fetches(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ser(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["data", *map(str, arguments)])

    monkeypatch.setattr(download, "CHECKSUMS", server.checksums)
    result = ser("get", "ravdess", "--to", tmp_path, "--mirror", server.url, "--channel", "song")
    assert result.exit_code == 0
    assert result.output.index("CC BY-NC-SA 4.0") < result.output.index("checksum correct")
    assert [path.name for path in tmp_path.iterdir()] == ["Audio_Song_Actors_01-24.zip"]
    server.checksums = dict.fromkeys(server.files, f"md5:{'0' * 32}")
    monkeypatch.setattr(download, "CHECKSUMS", server.checksums)
    failed = ser("get", "ravdess", "--to", tmp_path, "--mirror", server.url)
    assert isinstance(failed.exception, CorpusError)
    assert "CC BY-NC-SA 4.0" in failed.output
    with pytest.raises(CorpusError, match="Unknown corpus 'iemocap'"):
        raise ser("get", "iemocap", "--to", tmp_path).exception  # type: ignore[misc]
    elsewhere = ser("get", "tess", "--to", tmp_path)
    assert "CC BY-NC-ND 4.0" in elsewhere.output
    assert "get it from https://tspace.library.utoronto.ca/handle/1807/24487" in str(elsewhere.exception)


@pytest.fixture
def repository() -> Iterator[tuple[Server, Repository]]:
    """Two recordings in the archive and one apart from it, as CREMA-D has all of its recordings."""
    sounds = {"Audio/a.wav": b"RIFF one", "Audio/b.wav": b"RIFF two", "Audio/c.wav": b"RIFF three"}
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in sounds.items()}
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digests['Audio/c.wav']}\nsize 10\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, data in {**sounds, "Audio/c.wav": pointer.encode(), "Copies/a.wav": b"RIFF copy"}.items():
            archive.writestr(f"Corpus-0123/{path}", data)
        archive.writestr("Corpus-0123/tables/people.csv", "who,sex")
        archive.writestr("Corpus-0123/README.md", "Read me.")
    lines = "".join(sorted(f"{digest}  {path}\n" for path, digest in digests.items()))
    known = Repository(
        "https://example.org/Corpus",
        "0123",
        hashlib.sha256(lines.encode()).hexdigest(),
        3,
        "Audio/",
        ("tables/people.csv",),
    )
    with Server({"0123.zip": packed.getvalue(), "c.wav": sounds["Audio/c.wav"]}) as server, server.running():
        yield server, known


def test_a_repository_arrives_checked_and_is_not_fetched_twice(
    repository: tuple[Server, Repository], tmp_path: Path
) -> None:
    server, known = repository
    paths = fetch_repository(known, tmp_path / "new", address=server.url)
    found = {path.relative_to(tmp_path / "new").as_posix() for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert found == {"Audio/a.wav", "Audio/b.wav", "Audio/c.wav", "people.csv"}
    assert [path.read_bytes() for path in sorted(paths)] == [b"RIFF one", b"RIFF two", b"RIFF three"]
    assert server.paths == ["/files/archive/0123.zip", "/files/raw/0123/Audio/c.wav"]
    (tmp_path / "new/Audio/a.wav").write_bytes(b"RIFF odd")
    fetch_repository(known, tmp_path / "new", address=server.url)
    assert (tmp_path / "new/Audio/a.wav").read_bytes() == b"RIFF one"
    assert server.paths[2:] == ["/files/archive/0123.zip"]  # c.wav is there


@pytest.mark.parametrize("wrong", [None, b"RIFF throo"])
def test_recordings_that_do_not_arrive_are_named_and_the_next_call_goes_on(
    repository: tuple[Server, Repository], tmp_path: Path, wrong: bytes | None
) -> None:
    server, known = repository
    right = server.files.pop("c.wav")
    if wrong:
        server.files["c.wav"] = wrong
    reason = "wrong checksum" if wrong else "the server answered 404"
    with pytest.raises(
        CorpusError, match=f"1 of 3 recordings did not arrive: .*c.wav: {reason}.*run the command again"
    ):
        fetch_repository(known, tmp_path, address=server.url)
    server.files["c.wav"] = right
    fetch_repository(known, tmp_path, address=server.url)
    assert [path.rsplit("/", 1)[-1] for path in server.paths] == ["0123.zip", "c.wav", "c.wav"]


def test_a_repository_with_other_recordings_is_refused(repository: tuple[Server, Repository], tmp_path: Path) -> None:
    server, known = repository
    with pytest.raises(CorpusError, match="3 recordings that are not the 3 published ones"):
        fetch_repository(replace(known, digest="0" * 64), tmp_path, address=server.url)
    assert list(tmp_path.iterdir()) == []


def test_the_published_commits() -> None:
    """Worked out from the repositories at these commits, for CREMA-D from its pointers of Git LFS."""
    known = {name: corpus.repository for name, corpus in published().items() if corpus.repository}
    assert {name: (entry.files, entry.commit[:8], entry.digest[:8]) for name, entry in known.items()} == {
        "ased": (2474, "30fee034", "e46112ab"),
        "baved": (1935, "6e3d5126", "cea42f3b"),
        "crema_d": (7442, "1658cd34", "f721bb0a"),
        "turev": (1735, "be9873ec", "45b0f3d3"),
        "urdu": (400, "4b546d4e", "59f81060"),
    }
