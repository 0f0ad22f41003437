"""Fetching encoders by name, revision and checksum from a hub on this machine, and listing those at hand."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file
from typer.testing import CliRunner, Result

import serkit.cli.encoders  # noqa: F401  (registers the commands)
from serkit.audio import Waveform
from serkit.cli import app
from serkit.encoders import fetch_encoder, hub, read_encoder
from serkit.encoders.folder import weights_hash
from serkit.encoders.hub import Origin, read_origin
from serkit.encoders.part import write_encoder_part
from serkit.errors import FeatureError, MissingExtraError
from tests.encoder_folders import glide, write_encoder
from tests.file_server import Server
from tests.small_recipes import HUB as WHISPER

NAME, COMMIT = "tiny/wavlm", "0123456789abcdef0123456789abcdef01234567"
CONFIG, INPUT, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"


class Hub(Server):
    """One model; the answer of the interface is the file named after the revision."""

    def __init__(self, folder: Path) -> None:
        super().__init__({file.name: file.read_bytes() for file in folder.iterdir()})
        self.url = self.url.removesuffix("/files")
        self.sha256 = hashlib.sha256(self.files[WEIGHTS]).hexdigest()
        self.answer: dict[str, Any] = {
            "id": NAME,
            "sha": COMMIT,
            "cardData": {"license": "mit"},
            "siblings": [
                {"rfilename": "README.md", "size": 3},
                {"rfilename": CONFIG, "size": len(self.files[CONFIG])},
                {"rfilename": INPUT, "size": len(self.files[INPUT])},
                {"rfilename": WEIGHTS, "size": len(self.files[WEIGHTS]), "lfs": {"sha256": self.sha256, "size": 1}},
            ],
        }
        self.publish()

    def publish(self, revision: str = "main") -> None:
        self.files[revision] = json.dumps(self.answer).encode()

    def leave_out(self, *names: str) -> None:
        self.answer["siblings"] = [entry for entry in self.answer["siblings"] if entry["rfilename"] not in names]
        self.publish()


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "published", "wavlm-base", intermediate_size=3000)  # 1.2 MB


@pytest.fixture
def server(encoder: Path) -> Iterator[Hub]:
    with Hub(encoder) as server, server.running():
        yield server


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SERKIT_ENCODERS", str(tmp_path / "encoders"))
    return tmp_path / "encoders"


def fetch(server: Hub, **settings: Any) -> Path:
    return fetch_encoder(NAME, base_url=server.url, **settings)


def test_an_encoder_arrives_where_its_name_finds_it_and_is_not_fetched_twice(
    server: Hub, root: Path, encoder: Path
) -> None:
    folder = fetch(server)
    assert folder == root / "tiny" / "wavlm"
    assert {file.name for file in folder.iterdir()} == {CONFIG, INPUT, WEIGHTS, "origin.json"}
    assert server.paths == [
        f"/api/models/{NAME}/revision/main?blobs=true",
        *(f"/{NAME}/resolve/{COMMIT}/{file}" for file in (CONFIG, INPUT, WEIGHTS)),
    ]
    assert read_origin(folder) == Origin(NAME, COMMIT, server.sha256, "mit")
    wave = Waveform(glide(0.3), 16000)
    np.testing.assert_array_equal(read_encoder(NAME, blocks=[2])(wave), read_encoder(encoder, blocks=[2])(wave))
    server.paths.clear()
    assert fetch(server, sha256=server.sha256) == folder
    assert not any(WEIGHTS in path for path in server.paths)


def test_a_revision_may_be_a_pull_request_and_the_folder_another(server: Hub, root: Path, tmp_path: Path) -> None:
    server.publish("refs%2Fpr%2F1")
    del server.files["main"]
    assert fetch(server, revision="refs/pr/1", to=tmp_path / "other") == tmp_path / "other" / "tiny" / "wavlm"
    assert server.paths[0] == f"/api/models/{NAME}/revision/refs%2Fpr%2F1?blobs=true"
    assert not root.exists()


def test_the_encoder_of_a_whole_model_is_that_of_a_folder_of_encoders(tmp_path: Path) -> None:
    """Whatever the whole model is called inside, and in whatever precision it is stored without loss."""
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / CONFIG).write_bytes((WHISPER / CONFIG).read_bytes())
    tensors = {
        name: value.astype(np.float16).astype(np.float32) for name, value in load_file(WHISPER / WEIGHTS).items()
    }
    alone = {
        f"model.encoder.{name.split('encoder.')[-1]}": value for name, value in tensors.items() if "encoder." in name
    }
    wanted = hashlib.sha256(save(dict(sorted(alone.items())), metadata={"format": "pt"})).hexdigest()
    decoder = {"decoder.embed_tokens.weight": np.zeros((9, 16), np.float32)}
    for prefix, kind in (("model.", np.float32), ("", np.float16)):
        renamed = {prefix + name.removeprefix("model."): value.astype(kind) for name, value in alone.items()}
        save_file({**renamed, **{prefix + name: value for name, value in decoder.items()}}, whole / WEIGHTS)
        assert write_encoder_part(whole, tmp_path / "part", sha256=wanted) == wanted
    wave = Waveform(glide(0.3), 16000)
    one, other = (read_encoder(folder, blocks=[2])(wave) for folder in (whole, tmp_path / "part"))
    np.testing.assert_array_equal(one, other)
    with pytest.raises(FeatureError, match=f"has the SHA-256 {wanted}, expected {'0' * 64}"):
        write_encoder_part(whole, tmp_path / "new", sha256="0" * 64)
    assert not (tmp_path / "new").exists()


def test_only_of_whisper_an_encoder_is_taken_out(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="holds no Whisper model"):
        write_encoder_part(encoder, tmp_path / "part")


def test_a_broken_download_is_kept_and_goes_on(server: Hub, root: Path) -> None:
    server.cut_at = 600_000
    with pytest.raises(FeatureError, match=r"model\.safetensors .* broke off .* run the command again to resume"):
        fetch(server)
    kept = (root / NAME / f"{WEIGHTS}.part").stat().st_size
    assert 0 < kept <= 600_000
    assert not (root / NAME / WEIGHTS).exists()
    server.cut_at = None
    fetch(server)
    assert (WEIGHTS, f"bytes={kept}-", 206) in server.asked
    assert weights_hash(root / NAME) == server.sha256


def test_a_wrong_checksum_removes_what_came_and_keeps_what_was_there(server: Hub, root: Path) -> None:
    folder = fetch(server)
    server.files[WEIGHTS] = server.files[WEIGHTS][:-1] + b"?"
    server.answer["siblings"][-1]["lfs"]["sha256"] = "0" * 64
    server.publish()
    with pytest.raises(FeatureError, match=rf"wrong checksum and were removed: SHA-256 .*, expected {'0' * 64}"):
        fetch(server, force=True)
    assert {file.name for file in folder.iterdir()} == {CONFIG, INPUT, WEIGHTS, "origin.json"}
    assert read_origin(folder) == Origin(NAME, COMMIT, server.sha256, "mit")
    assert weights_hash(folder) == server.sha256


def test_other_weights_are_replaced_only_by_force(server: Hub, root: Path, tmp_path: Path) -> None:
    write_encoder(root / NAME, "wavlm-base", seed=1)
    before = weights_hash(root / NAME)
    with pytest.raises(FeatureError, match=rf"holds other weights, SHA-256 {before}: add --force \(force=True\)"):
        fetch(server)
    assert weights_hash(root / NAME) == before
    fetch(server, force=True)
    assert weights_hash(root / NAME) == server.sha256


def test_another_checksum_than_asked_for_is_refused_before_anything_comes(server: Hub, root: Path) -> None:
    with pytest.raises(
        FeatureError, match=rf"have the SHA-256 {server.sha256} on .*, expected {'1' * 64}: check the rev"
    ):
        fetch(server, sha256="1" * 64)
    with pytest.raises(FeatureError, match=r"A SHA-256 has 64 digits of 0-9 and a-f, got 'ABC'"):
        fetch(server, sha256="ABC")
    assert not root.exists()


def test_a_server_without_checksums_needs_one_from_the_caller(server: Hub, root: Path) -> None:
    del server.answer["siblings"][-1]["lfs"]
    server.publish()
    with pytest.raises(FeatureError, match=r"states no checksum for the weights of tiny/wavlm .*give it \(--sha256\)"):
        fetch(server)
    assert weights_hash(fetch(server, sha256=server.sha256)) == server.sha256


@pytest.mark.parametrize(
    ("others", "gone", "message"),
    [
        ([], (CONFIG,), "has no config.json on http"),
        ([], (INPUT,), "has no preprocessor_config.json on http"),
        (["pytorch_model.bin"], (CONFIG, WEIGHTS), "has no config.json on http"),
        (["model.safetensors.index.json"], (WEIGHTS,), "has its weights in several files, serkit reads one"),
        (
            ["pytorch_model.bin"],
            (WEIGHTS,),
            r"only pickled weights, .* for model.safetensors, and give that revision, such as refs/pr/1",
        ),
    ],
)
def test_a_model_that_lacks_a_file_is_refused(
    server: Hub, root: Path, others: list[str], gone: tuple[str, ...], message: str
) -> None:
    server.answer["siblings"] += [{"rfilename": name, "size": 3} for name in others]
    server.leave_out(*gone)
    with pytest.raises(FeatureError, match=message):
        fetch(server)
    assert not root.exists()


def test_an_unknown_type_is_refused_before_its_weights_come(server: Hub, root: Path) -> None:
    server.files[CONFIG] = b'{"model_type": "llama"}'
    with pytest.raises(FeatureError, match=r"tiny/wavlm on http.* type 'llama'; serkit knows encoders of the types"):
        fetch(server)
    server.files[CONFIG] = b"<html>"
    with pytest.raises(FeatureError, match=r"config\.json cannot be read as JSON"):
        fetch(server)
    assert not root.exists()


def test_without_a_connection_the_sentence_names_folder_and_variable(root: Path) -> None:
    with pytest.raises(
        FeatureError,
        match=rf"http://127\.0\.0\.1:9 cannot be reached \(no connection\)\. Without a connection, copy config\.json, "
        rf"model\.safetensors .* to {root}/tiny/wavlm, and set SERKIT_ENCODERS to {root}\.",
    ):
        fetch_encoder(NAME, base_url="http://127.0.0.1:9")
    assert not root.exists()


def test_names_and_answers_that_cannot_be(server: Hub, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("whisper-base", "../../etc/x", "a/..", "a/b/c", ""):
        with pytest.raises(FeatureError, match=r"is no name on the hub: expected owner/model"):
            fetch_encoder(name, base_url=server.url)
    with pytest.raises(FeatureError, match=r"no public model tiny/wavlm at the revision v9 \(it answers 404\)"):
        fetch(server, revision="v9")
    for rubbish in (b"hello", b"[]", b'{"sha": "1"}', b'{"siblings": [], "sha": "../x"}'):
        server.files["main"] = rubbish
        with pytest.raises(FeatureError, match="does not answer like the hub does"):
            fetch(server)
    monkeypatch.setattr(hub, "_MAX_SMALL", 4)
    with pytest.raises(FeatureError, match="sends more than"):
        fetch(server)
    monkeypatch.delenv("SERKIT_ENCODERS")
    with pytest.raises(FeatureError, match=r"No folder for encoders is named: set SERKIT_ENCODERS to it, or add --to"):
        fetch(server)


def test_without_the_extra_it_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "serkit.downloads", raising=False)
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(MissingExtraError, match=r"the package 'requests', .* run pip install 'serkit\[encoders\]'"):
        fetch_encoder(NAME)


def test_a_folder_that_cannot_be_made_is_named(server: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FeatureError, match=r"tiny/wavlm cannot be written to .*file/tiny/wavlm \(Not a directory\)"):
        fetch(server, to=tmp_path / "file")


# --- the commands -----------------------------------------------------------------------------------------------------


def ser(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["encoders", *map(str, arguments)])


def test_get_prints_what_a_recipe_needs_and_the_list_shows_it(server: Hub, root: Path) -> None:
    done = ser("get", NAME, "--mirror", server.url, "--sha256", server.sha256)
    assert done.exit_code == 0
    assert done.output.splitlines()[:3] == [
        f"{root / NAME}: checksum correct",
        f"revision  {COMMIT}",
        "licence   mit",
    ]
    assert f'[encoder]\nname = "{NAME}"\nsha256 = "{server.sha256}"\nblocks = ' in done.output
    (row,) = json.loads(ser("--json").output)
    assert row == {
        "name": NAME,
        "path": str(root / NAME),
        "type": "wavlm",
        "blocks": 3,
        "width": 16,
        "bytes": len(server.files[WEIGHTS]),
        "sha256": server.sha256,
        "revision": COMMIT,
        "licence": "mit",
    }


def test_the_list_counts_folders_of_one_level_and_names_those_that_fail(root: Path) -> None:
    assert ser().output == f"No encoders below {root}. 'ser encoders get openai/whisper-base' fetches one.\n"
    write_encoder(root / "mine", "hubert-base")
    shown = ser()
    assert shown.exit_code == 0
    assert shown.output.splitlines()[-1].split() == [
        "mine",
        "hubert",
        "3",
        "16",
        "0",
        "MB",
        "–",
        weights_hash(root / "mine"),
    ]
    write_encoder(root / "facebook" / "broken", "hubert-base", model_type="llama")
    shown = ser()
    assert shown.exit_code == 1
    assert "mine" in shown.output
    assert "broken holds a model of type 'llama'" in shown.output


def test_without_folder_or_connection_it_is_a_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline = ser("get", NAME, "--mirror", "http://127.0.0.1:9")
    assert isinstance(offline.exception, FeatureError)
    assert f"set SERKIT_ENCODERS to {root}" in str(offline.exception)
    monkeypatch.delenv("SERKIT_ENCODERS")
    nowhere = ser()
    assert isinstance(nowhere.exception, FeatureError)
    assert str(nowhere.exception) == "No folder for encoders is named: set SERKIT_ENCODERS to it, or add --folder DIR."
