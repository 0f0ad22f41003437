"""Fetching RAVDESS, against a server on this machine that also breaks off, forgets ranges and sends rubbish."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import serkit.cli.data  # noqa: F401  (registers the commands)
from serkit.cli import app
from serkit.corpora import download
from serkit.corpora.download import CHECKSUMS, ZENODO, fetch_ravdess
from serkit.corpora.readers import ravdess
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
    assert ser("get", "iemocap", "--to", tmp_path).exit_code == 2
