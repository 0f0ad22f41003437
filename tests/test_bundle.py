"""Bundles: what is written is read back, and each way to break one is an error that says which."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from serkit.bundle import Manifest, add_metadata, find_bundles, pack, packaged, read_bundle, write_bundle
from serkit.bundle.clips import known_clips, pack_clips
from serkit.bundle.outline import read_outline
from serkit.emotions import LABELS
from serkit.errors import BundleError
from tests.tiny_models import (
    BIAS,
    SLOPE,
    embedding_graph,
    features_graph,
    model,
    tiny_manifest,
    waveform_graph,
    write_adaptable,
    write_tiny,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny(tmp_path / "tiny")
    return tmp_path / "tiny"


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the manifest on disk."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def replace_graph(folder: Path, data: bytes) -> None:
    """Put another graph in place, with the right hash, so that only the graph itself can be the fault."""
    (folder / "model.onnx").write_bytes(data)

    def note(content: dict[str, Any]) -> None:
        content["files"]["model.onnx"] = hashlib.sha256(data).hexdigest()
        content["sizes"]["model.onnx"] = len(data)

    edit(folder, note)


def listed(manifest: dict[str, Any], more: int) -> None:
    """List so many more files."""
    for k in range(more - 1):
        manifest["files"][f"more-{k}"], manifest["sizes"][f"more-{k}"] = "0" * 64, 1


def nested(levels: int) -> list[Any]:
    return [nested(levels - 1)] if levels else []


def swap_two(manifest: dict[str, Any]) -> None:
    manifest["labels"][:2] = reversed(manifest["labels"][:2])


def test_what_is_written_is_read(folder: Path) -> None:
    bundle = read_bundle(folder)
    data = add_metadata(waveform_graph().SerializeToString(), tiny_manifest())
    assert bundle.onnx == data == (folder / "model.onnx").read_bytes()
    assert bundle.card == "# Tiny\n\nFor tests.\n"
    assert bundle.manifest.labels == LABELS
    assert bundle.manifest.files["model.onnx"] == hashlib.sha256(data).hexdigest()
    assert bundle.size == len(data) + len(bundle.card)
    assert (bundle.manifest.sample_rate, bundle.manifest.min_seconds, bundle.manifest.max_seconds) == (16000, 0.25, 10)
    assert Manifest.from_dict(json.loads(json.dumps(bundle.manifest.to_dict()))) == bundle.manifest


def test_extra_files_are_listed_and_checked(tmp_path: Path) -> None:
    data = add_metadata(waveform_graph().SerializeToString(), tiny_manifest())
    kwargs = {"onnx_bytes": data, "manifest": tiny_manifest(), "card": "x"}
    bundle = write_bundle(tmp_path / "b", extra={"LICENSE": "all yours"}, **kwargs)
    assert (tmp_path / "b" / "LICENSE").read_text() == "all yours"
    assert bundle.manifest.files["LICENSE"] == hashlib.sha256(b"all yours").hexdigest()
    (tmp_path / "b" / "LICENSE").write_text("all mine!")
    with pytest.raises(BundleError, match=r"LICENSE of .* was changed"):
        read_bundle(tmp_path / "b")
    with pytest.raises(BundleError, match=r"README.md would replace"):
        write_bundle(tmp_path / "c", extra={"README.md": ""}, **kwargs)


def test_an_older_bundle_is_replaced_and_other_folders_are_not(folder: Path, tmp_path: Path) -> None:
    (folder / ".DS_Store").write_text("from a file manager")
    write_tiny(folder, version="2.0")
    assert read_bundle(folder).manifest.version == "2.0"
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "manifest.json", "model.onnx"]
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("precious")
    with pytest.raises(BundleError, match=r"thesis exists and is not a bundle"):
        write_tiny(other)
    assert (other / "chapter.txt").read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thesis", "tiny"]  # no temporary folder is left


def test_a_bundle_is_replaced_only_when_asked(folder: Path, tmp_path: Path) -> None:
    manifest = tiny_manifest(version="2.0")
    graph = add_metadata(waveform_graph().SerializeToString(), manifest)
    parts = {"onnx_bytes": graph, "manifest": manifest, "card": "x"}
    for target in (folder, str(folder)):
        with pytest.raises(BundleError, match=r"tiny holds a bundle: add --force \(force=True\) to replace it"):
            write_bundle(target, **parts)
    assert read_bundle(folder).manifest.version == "1.0"
    assert write_bundle(folder, **parts, force=True).manifest.version == "2.0"
    (tmp_path / "empty").mkdir()
    assert write_bundle(tmp_path / "empty", **parts).card == "x"
    (folder / "notes.txt").write_text("precious")
    with pytest.raises(BundleError, match="which is not part of a bundle"):
        write_bundle(folder, **parts, force=True)


def test_a_card_that_somebody_edited_loads(folder: Path, tmp_path: Path) -> None:
    before = read_bundle(folder)
    for text in ("# Mine\n\nWith more to say than before, and it says so.\n", "", "ö"):
        (folder / "README.md").write_text(text, encoding="utf-8")
        bundle = read_bundle(folder)
        assert (bundle.card, bundle.onnx, bundle.manifest) == (text, before.onnx, before.manifest)
        assert read_bundle(pack(folder, tmp_path / "a.zip")).card == text
    (folder / "README.md").write_bytes(b"\xff")
    with pytest.raises(BundleError, match=r"README.md of .* is not UTF-8 text"):
        read_bundle(folder)
    (folder / "README.md").unlink()
    with pytest.raises(BundleError, match=r"incomplete: README.md is missing"):
        read_bundle(folder)


def test_other_files_in_the_folder_of_a_bundle_are_never_deleted(folder: Path, tmp_path: Path) -> None:
    (folder / "notes.txt").write_text("precious")
    with pytest.raises(BundleError, match=r"tiny holds notes\.txt, which is not part of a bundle"):
        write_tiny(folder)
    assert (folder / "notes.txt").read_text() == "precious"
    page = tmp_path / "page"  # web apps have a manifest.json, too
    page.mkdir()
    (page / "manifest.json").write_text('{"name": "My page"}')
    (page / "index.html").write_text("precious")
    with pytest.raises(BundleError, match="page exists and is not a bundle"):
        write_tiny(page)
    assert (page / "index.html").read_text() == "precious"


def test_the_older_bundle_stays_if_the_new_one_cannot_take_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(BundleError, match=r"cannot be written: Permission denied\."):
        write_tiny(folder, version="2.0")
    assert read_bundle(folder).manifest.version == "1.0"


def test_a_link_to_a_bundle_stays_a_link(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder, target_is_directory=True)
    assert write_tiny(link, version="2.0").path == link
    assert link.is_symlink()
    assert read_bundle(folder).manifest.version == "2.0"


def test_a_bad_graph_is_not_put_in_place(folder: Path) -> None:
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(BundleError, match="gives 7 probabilities, but the manifest names 8 labels"):
        write_tiny(folder, graph=waveform_graph(slope=SLOPE[:, :7], bias=BIAS[:, :7]))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_a_zip_reads_like_its_folder_and_is_reproducible(folder: Path, tmp_path: Path) -> None:
    first, second = pack(folder, tmp_path / "one.zip"), pack(folder, tmp_path / "two.zip")
    assert first.read_bytes() == second.read_bytes()
    bundle = read_bundle(first)
    assert (bundle.manifest, bundle.onnx, bundle.card) == (
        read_bundle(folder).manifest,
        read_bundle(folder).onnx,
        read_bundle(folder).card,
    )
    with zipfile.ZipFile(tmp_path / "nested.zip", "w") as archive:  # as a file manager zips a folder
        for path in folder.iterdir():
            archive.write(path, f"tiny/{path.name}")
    assert read_bundle(tmp_path / "nested.zip").onnx == bundle.onnx


def test_missing_paths_name_the_packaged_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serkit.bundle.store._BUNDLES", tmp_path)
    write_tiny(tmp_path / "small")
    assert packaged() == {"small": tmp_path / "small"}
    assert read_bundle("small").manifest.name == "tiny"
    with pytest.raises(BundleError, match=r"No model 'smal': .*packaged model \(small\)"):
        read_bundle("smal")
    with pytest.raises(BundleError, match="No model"):
        read_bundle("x" * 5000)


def test_find_bundles_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serkit.bundle.store._BUNDLES", tmp_path / "none")
    write_tiny(tmp_path / "a")
    pack(tmp_path / "a", tmp_path / "b.zip")
    (tmp_path / "notes").mkdir()
    assert list(find_bundles(tmp_path)) == [str(tmp_path / "a"), str(tmp_path / "b.zip")]
    assert list(find_bundles(tmp_path / "a")) == [str(tmp_path / "a")]
    with pytest.raises(BundleError, match="is not a folder of bundles"):
        find_bundles(tmp_path / "missing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format_version=3), r"format 3, this serkit reads up to 1: upgrade serkit"),
        (lambda m: m.update(format_version="1"), r"'format_version' must be a whole number, got text"),
        (lambda m: m.update(format_version=0), r"'format_version' must be 1 or more"),
        (lambda m: m.pop("format_version"), r"the key 'format_version' is missing"),
        (lambda m: m.pop("labels"), r"the key 'labels' is missing"),
        (lambda m: m.pop("input"), r"the key 'input' is missing"),
        (lambda m: m.update(labels=[]), r"'labels' must name at least two emotions"),
        (lambda m: m.update(labels="happy"), r"'labels' must be a list, got text"),
        (lambda m: m.update(labels=["a", 1]), r"'labels' must name at least two"),
        (lambda m: m["labels"].pop(), r"model.onnx of .* gives 8 probabilities, but the manifest names 7 labels"),
        (lambda m: m["labels"].__setitem__(1, "happy"), r"'labels' names happy more than once"),
        (lambda m: m["labels"].__setitem__(1, "<img>"), r"at most 64 printable characters.* got '<img>'"),
        (lambda m: m["labels"].__setitem__(1, "a\nb"), r"at most 64 printable characters.* got 'a\\nb'"),
        (lambda m: m["labels"].__setitem__(1, "a" * 65), r"at most 64 printable characters"),
        (lambda m: m.update(name=7), r"'name' must be text, got a number"),
        (lambda m: m.update(name="../evil"), r"'name' must be letters"),
        (lambda m: m.update(seed=True), r"'seed' must be a whole number or null, got true or false"),
        (lambda m: m.update(scores=[]), r"'scores' must be an object, got a list"),
        (lambda m: m.update(scores={"speaker": 0.9}), r"'scores.speaker' must be an object"),
        (lambda m: m["input"].update(kind="image"), r"'input.kind' must be waveform or features, got 'image'"),
        (lambda m: m["input"].update(sample_rate="16000"), r"sample_rate must be 1000 to 192000 Hz, got '16000'"),
        (lambda m: m["input"].update(min_seconds=0), r"'input.min_seconds' must be a positive number"),
        (lambda m: m["input"].update(min_seconds=11), r"min_seconds \(11\) is above max_seconds \(10.0\)"),
        (lambda m: m["input"].pop("max_seconds"), r"must state min_seconds and max_seconds"),
        (lambda m: (m["files"].pop("model.onnx"), m["sizes"].pop("model.onnx")), r"does not list model.onnx under 'f"),
        (lambda m: m["files"].pop("model.onnx"), r"must list the same files, but 'model.onnx' is in one only"),
        (lambda m: m["sizes"].update({"README.md": -1}), r"'sizes.README.md' must be at least 0, got -1"),
        (lambda m: listed(m, 32), r"'files' lists 33 files, at most 32 are read"),
        (lambda m: m.update(seed=10**400), r"'seed' must be below 2\^53"),
        (
            lambda m: m["input"].update(max_seconds=1e300),
            r"'input.max_seconds' must be a positive .*at most 3600, got 1",
        ),
        (lambda m: m["input"].update(max_seconds=10**400), r"'input.max_seconds' must be a positive number of seconds"),
        (lambda m: m["input"].update(gain=nested(9)), r"'input' is nested more than 8 levels deep"),
        (lambda m: m["files"].update({"../x": "0" * 64}), r"'files' names '../x', which is not a plain file name"),
        (lambda m: m["files"].update({"README.md": "abc"}), r"SHA-256 of README.md must be 64 hex"),
        (lambda m: m["sizes"].pop("README.md"), r"'sizes.README.md' must be a whole number of bytes, got null"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong(
    folder: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    edit(folder, change)
    with pytest.raises(BundleError, match=message):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ({"uar": 1.5}, r"'scores.speaker.uar' must be a number from 0 to 1 or null, got 1.5"),
        ({"uar": "high"}, r"'scores.speaker.uar' must be a number from 0 to 1 or null, got 'high'"),
        ({"accuracy": True}, r"'scores.speaker.accuracy' must be a number from 0 to 1 or null, got True"),
        ({"accuracy": float("nan")}, r"'scores.speaker.accuracy' must be a number from 0 to 1 or null, got nan"),
        ({"uar_interval": [0.6, 0.4]}, r"'scores.speaker.uar_interval' must be two numbers from 0 to 1, the lower one"),
        ({"uar_interval": [0.6]}, r"must be two numbers from 0 to 1, the lower one first, got \[0.6\]"),
        ({"uar_interval": ["<b>", 1]}, r"must be two numbers from 0 to 1"),
        ({"n_clips": 0}, r"'scores.speaker.n_clips' must be a count of at least 1, got 0"),
        ({"folds": 2.5}, r"'scores.speaker.folds' must be a count of at least 1, got 2.5"),
        ({"n_speakers": 10**400}, r"'scores.speaker.n_speakers' must be a count of at least 0, got 1000"),
        ({"warning": 3}, r"'scores.speaker.warning' must be text or null, got a number"),
        ({"confusion": "no"}, r"'scores.speaker.confusion' must have as many columns as rows, all of them counts"),
        ({"confusion": [[1, 2], [3]]}, r"as many columns as rows"),
        ({"confusion": [[1, -2], [3, 4]]}, r"all of them counts"),
        (
            {"confusion": [[1, 2], [3, 4]], "n_clips": 11},
            r"'scores.speaker.confusion' counts 10 clips, but 'n_clips' is",
        ),
        ({"later": [float("inf")]}, r"'scores.speaker' holds inf, which is neither text nor a finite number"),
        ({"later": {1: 2}}, r"the keys in 'scores.speaker' must be text"),
    ],
)
def test_scores_that_cannot_be_are_refused(score: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        tiny_manifest(scores={"speaker": score})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_json_does_not_know_is_refused(folder: Path, text: str) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"uar": 0.5', f'"uar": {text}'))
    with pytest.raises(BundleError, match=rf"manifest.json of .* is not valid JSON: {text} is not a number"):
        read_bundle(folder)


def test_a_key_that_is_listed_twice_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"version"', '"labels": ["a", "b"], "version"'))
    with pytest.raises(BundleError, match="the key 'labels' is listed twice"):
        read_bundle(folder)


def test_a_manifest_of_100_mb_is_not_read(folder: Path) -> None:
    with (folder / "manifest.json").open("r+b") as file:
        file.truncate(100 << 20)
    with pytest.raises(BundleError, match=r"manifest.json of .* is 104,857,600 bytes; at most 4,194,304 are read"):
        read_bundle(folder)


def test_a_large_file_beside_the_model_is_not_read(folder: Path) -> None:
    (folder / "LICENSE").write_bytes(bytes(2 << 20))
    edit(folder, lambda m: (m["files"].update(LICENSE="0" * 64), m["sizes"].update(LICENSE=2 << 20)))
    with pytest.raises(BundleError, match=r"LICENSE of .* is 2,097,152 bytes; at most 1,048,576 are read"):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "README.md"])
def test_a_link_that_leads_out_of_the_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    with pytest.raises(BundleError, match=rf"{name} of .* is a link that leads out of the bundle"):
        read_bundle(folder)
    (folder / name).unlink()
    (tmp_path / name).rename(folder / f"real-{name}")
    (folder / name).symlink_to(f"real-{name}")  # one inside is followed
    assert read_bundle(folder).manifest.name == "tiny"
    (folder / name).unlink()
    (folder / name).symlink_to(name)  # to itself
    with pytest.raises(BundleError, match=r"is not a bundle: it holds no manifest\.json|is missing"):
        read_bundle(folder)


# ------------------------------------------------------------------------------ what the ONNX file says of itself


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            swap_two,
            r"model.onnx of .* has the labels neutral, calm, happy, .* but the manifest names calm, neutral, happy",
        ),
        (lambda m: m["labels"].__setitem__(7, "bored"), r"has the labels .* one of the two was changed"),
        (
            lambda m: m["input"].update(sample_rate=8000),
            r"has the sample rate 16000 Hz in its .* manifest says 8000 Hz",
        ),
        (lambda m: m.update(recipe_hash="abc"), r"has the recipe hash of no recipe in its .* the manifest says abc"),
    ],
)
def test_a_manifest_that_contradicts_its_graph_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    edit(folder, change)
    with pytest.raises(BundleError, match=message):
        read_bundle(folder)


def test_a_graph_that_does_not_say_its_labels_is_refused(folder: Path) -> None:
    replace_graph(folder, waveform_graph().SerializeToString())
    with pytest.raises(BundleError, match=r"model.onnx of .* does not state serkit.labels in its metadata"):
        read_bundle(folder)
    with pytest.raises(
        BundleError, match=r"does not state serkit.labels in its metadata.*export it again with 'ser tra"
    ):
        write_bundle(
            folder, onnx_bytes=waveform_graph().SerializeToString(), manifest=tiny_manifest(), card="x", force=True
        )


def test_the_metadata_is_what_onnx_runtime_reads_and_changes_nothing_else() -> None:
    plain = waveform_graph().SerializeToString()
    manifest = tiny_manifest(labels=("gefährlich", *LABELS[1:]), recipe_hash="abc")
    data = add_metadata(plain, manifest)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    stated = session.get_modelmeta().custom_metadata_map
    assert json.loads(stated.pop("serkit.labels")) == list(manifest.labels)
    assert stated == {"serkit.sample_rate": "16000", "serkit.recipe_hash": "abc"}
    stripped = onnx.load_from_string(data)
    del stripped.metadata_props[:]
    assert stripped.SerializeToString() == plain
    assert add_metadata(data, manifest) == data
    with pytest.raises(BundleError, match="cannot be given metadata: has the labels"):
        add_metadata(data, replace(manifest, labels=manifest.labels[::-1]))
    with pytest.raises(BundleError, match="cannot be given metadata: it "):
        add_metadata(b"not a model at all", manifest)


def test_metadata_that_is_there_twice_is_refused(folder: Path) -> None:
    graph = onnx.load(folder / "model.onnx")
    graph.metadata_props.add(key="serkit.labels", value=json.dumps(LABELS[::-1]))
    replace_graph(folder, graph.SerializeToString())
    with pytest.raises(BundleError, match=r"its metadata has the key 'serkit\.labels' twice"):
        read_bundle(folder)


def test_hashes_of_training_clips_are_checked(tmp_path: Path) -> None:
    first, second = "00" * 31 + "01", "ff" * 32
    data = pack_clips([second, first, second])
    assert data == bytes(8) + b"\xff" * 8
    assert write_tiny(tmp_path / "a", clips=data).clips == data
    assert write_tiny(tmp_path / "b").clips is None
    assert known_clips(data, [first, "01" * 32, second]) == [True, False, True]
    for wrong, message in ((data[:-1], "has 15 bytes, which is not a multiple of 8"), (data[::-1], "sorted hashes")):
        with pytest.raises(BundleError, match=rf"clips.bin of .* {message}|clips.bin of .* does not hold {message}"):
            write_tiny(tmp_path / "c", clips=wrong)


def test_keys_of_a_later_serkit_are_skipped(folder: Path) -> None:
    edit(folder, lambda m: m.update(colour_of_the_cover="blue"))
    assert read_bundle(folder).manifest.name == "tiny"


def test_manifests_that_are_no_object(folder: Path, tmp_path: Path) -> None:
    (folder / "manifest.json").write_text("[1, 2]")
    with pytest.raises(BundleError, match="expected a JSON object, got a list"):
        read_bundle(folder)
    for text in ("{", "[" * 100_000, ""):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(BundleError, match=r"manifest.json of .* is not valid JSON"):
            read_bundle(folder)
    (folder / "manifest.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(BundleError, match="not valid JSON"):
        read_bundle(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(BundleError, match=r"is not a bundle: it holds no manifest.json"):
        read_bundle(folder)
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    with pytest.raises(BundleError, match="is not a bundle: expected a folder or a zip"):
        read_bundle(tmp_path / "song.wav")


def test_truncated_changed_and_missing_files(folder: Path) -> None:
    path = folder / "model.onnx"
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    with pytest.raises(BundleError, match=rf"model.onnx of .* is truncated: {len(data) - 10} bytes instead of"):
        read_bundle(folder)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BundleError, match=r"model.onnx of .* was changed .* SHA-256"):
        read_bundle(folder)
    path.unlink()
    with pytest.raises(BundleError, match=r"incomplete: model.onnx is missing"):
        read_bundle(folder)


def test_damaged_zips(folder: Path, tmp_path: Path) -> None:
    data = pack(folder, tmp_path / "a.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleError, match="damaged or truncated zip"):
        read_bundle(tmp_path / "cut.zip")
    hit = data.find(b"model.onnx") + 200  # inside the compressed graph
    (tmp_path / "bits.zip").write_bytes(data[:hit] + bytes([data[hit] ^ 255]) + data[hit + 1 :])
    with pytest.raises(BundleError, match=r"damaged or truncated zip|cannot be unpacked"):
        read_bundle(tmp_path / "bits.zip")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a/manifest.json", "{}")
        archive.writestr("b/manifest.json", "{}")
    with pytest.raises(BundleError, match=r"more than one manifest.json"):
        read_bundle(tmp_path / "two.zip")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("hello.txt", "hi")
    with pytest.raises(BundleError, match=r"no manifest.json"):
        read_bundle(tmp_path / "none.zip")


def test_a_zip_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * (5 << 20))
    with pytest.raises(BundleError, match=r"manifest.json of .* is 5,242,880 bytes; at most"):
        read_bundle(tmp_path / "bomb.zip")


def with_external_data(place: str) -> onnx.ModelProto:
    graph = waveform_graph()
    graph.graph.initializer[0].data_location = TensorProto.EXTERNAL
    entry = graph.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", place
    return graph


def external(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """The tensor, with its data said to be in another file."""
    del tensor.float_data[:]
    tensor.raw_data = b""
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return tensor


def tensor() -> onnx.TensorProto:
    return external(helper.make_tensor("t", TensorProto.FLOAT, [1], [0.0]))


def sparse(at: str) -> onnx.SparseTensorProto:
    values = helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [0])
    external(values if at == "values" else indices)
    return helper.make_sparse_tensor(values, indices, [1])


def branch(node: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])


def constant(**value: Any) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["y"], **value)


def with_node(node: onnx.NodeProto) -> onnx.ModelProto:
    graph = waveform_graph()
    graph.graph.node.append(node)
    return graph


def with_function(
    nodes: list[onnx.NodeProto], defaults: Sequence[onnx.AttributeProto] = (), *, domain: str = "local"
) -> onnx.ModelProto:
    graph = waveform_graph()
    versions = [helper.make_opsetid("", 17)]
    graph.functions.append(
        helper.make_function(domain, "Twice", ["x"], ["y"], nodes, versions, attribute_protos=list(defaults))
    )
    return graph


def with_training() -> onnx.ModelProto:
    graph = waveform_graph()
    info = graph.training_info.add()
    info.algorithm.CopyFrom(branch(constant(value=tensor())))
    return graph


@pytest.mark.parametrize(
    "make",
    [
        lambda: with_node(constant(value=tensor())),
        lambda: with_node(helper.make_node("Any", [], ["y"], several=[tensor()])),
        lambda: with_node(constant(sparse_value=sparse("values"))),
        lambda: with_node(constant(sparse_value=sparse("indices"))),
        lambda: with_node(helper.make_node("Any", [], ["y"], several=[sparse("values")])),
        lambda: with_node(helper.make_node("If", ["c"], ["y"], then_branch=branch(constant(value=tensor())))),
        lambda: with_node(helper.make_node("Any", [], ["y"], several=[branch(constant(value=tensor()))])),
        lambda: with_function([constant(value=tensor())]),
        lambda: with_function([helper.make_node("If", ["x"], ["y"], then_branch=branch(constant(value=tensor())))]),
        lambda: with_function([], [helper.make_attribute("a", tensor())]),
        lambda: with_function([], [helper.make_attribute("a", [tensor()])]),
        lambda: with_function([], [helper.make_attribute("a", sparse("values"))]),
        lambda: with_function([], [helper.make_attribute("a", branch(constant(value=tensor())))]),
        with_training,
    ],
)
def test_external_data_is_found_wherever_a_tensor_may_be(folder: Path, make: Callable[[], onnx.ModelProto]) -> None:
    data = make().SerializeToString()
    assert b"/etc/passwd" in data
    replace_graph(folder, data)
    with pytest.raises(BundleError, match=r"model\.onnx of .* keeps tensors in other files"):
        read_bundle(folder)


def spy(domain: str = "com.evil") -> onnx.NodeProto:
    return helper.make_node("Spy", [], ["y"], domain=domain)


@pytest.mark.parametrize(
    ("make", "domain"),
    [
        (lambda: with_function([spy()]), "com.evil"),
        (lambda: with_function([], [helper.make_attribute("a", branch(spy()))]), "com.evil"),
        (lambda: with_function([], [helper.make_attribute("a", [branch(spy())])]), "com.evil"),
        # A function of one's own in a domain does not open the whole domain.
        (lambda: with_function([spy("com.microsoft")], domain="com.microsoft"), "com.microsoft"),
    ],
)
def test_foreign_operators_are_found_wherever_a_node_may_be(
    folder: Path, make: Callable[[], onnx.ModelProto], domain: str
) -> None:
    replace_graph(folder, make().SerializeToString())
    with pytest.raises(BundleError, match=rf"operators outside the ONNX standard \(domain {domain}\)"):
        read_bundle(folder)


def test_a_number_that_other_readers_cut_off_hides_nothing() -> None:
    # An attribute's tensor whose data_location is 2^32 + 1: read as 32 bits, this is EXTERNAL.
    initializer = b"\x42\x01t\x70\x81\x80\x80\x80\x10"
    graph = waveform_graph().graph.SerializeToString() + b"\x2a" + bytes([len(initializer)]) + initializer
    data = b"\x08\x08\x3a" + bytes([len(graph) & 127 | 128, len(graph) >> 7]) + graph
    assert onnx.load_from_string(data).graph.initializer[-1].data_location == TensorProto.EXTERNAL
    assert read_outline(data).external_data


def with_foreign_node() -> onnx.ModelProto:
    graph = waveform_graph()
    graph.graph.node[0].domain = "com.evil"
    graph.opset_import.append(helper.make_opsetid("com.evil", 1))
    return graph


def with_foreign_node_in_a_branch() -> onnx.ModelProto:
    inner = helper.make_graph(
        [helper.make_node("Spy", ["scores"], ["inner"], domain="com.evil")],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, [1, 8])],
    )
    graph = waveform_graph()
    graph.graph.node.append(helper.make_node("If", ["flag"], ["spied"], then_branch=inner, else_branch=inner))
    return graph


def with_type(kind: int) -> onnx.ModelProto:
    graph = waveform_graph()
    graph.graph.input[0].type.tensor_type.elem_type = kind
    return graph


def without_output() -> onnx.ModelProto:
    graph = waveform_graph()
    graph.graph.output[0].name = "scores"
    return graph


def with_output_rank_one() -> onnx.ModelProto:
    graph = waveform_graph()
    graph.graph.output[0].CopyFrom(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [8]))
    return graph


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: with_external_data("/etc/passwd"), "keeps tensors in other files"),
        (with_foreign_node, r"operators outside the ONNX standard \(domain com.evil\)"),
        (with_foreign_node_in_a_branch, r"operators outside the ONNX standard \(domain com.evil\)"),
        (lambda: waveform_graph(name="audio"), r"inputs \['audio'\], but the manifest expects one input named 'wave"),
        (lambda: waveform_graph(samples=16000), "any number of samples, but takes exactly 16,000"),
        (lambda: with_type(TensorProto.DOUBLE), r"must take 'waveform' as float32 of shape \(1, …\) with 2 axes"),
        (without_output, r"has the outputs \['scores'\], but none named 'probabilities'"),
        (with_output_rank_one, r"must give 'probabilities' as float32 of shape \(1, 8\), but gives .*shape \(8\)"),
        (lambda: features_graph(np.ones((4, 8))), r"has the inputs \['features'\]"),
    ],
)
def test_graphs_that_do_not_fit_are_refused(folder: Path, make: Callable[[], onnx.ModelProto], message: str) -> None:
    replace_graph(folder, make().SerializeToString())
    with pytest.raises(BundleError, match=message):
        read_bundle(folder)


@pytest.mark.parametrize("data", [b"", b"not a model at all", b"\x08\x08", waveform_graph().SerializeToString()[:-40]])
def test_bytes_that_are_no_model_are_refused(folder: Path, data: bytes) -> None:
    replace_graph(folder, data)
    with pytest.raises(BundleError, match=r"model.onnx of .* is not an ONNX model"):
        read_bundle(folder)


def test_a_frames_layout_asks_for_three_axes(tmp_path: Path) -> None:
    extractor = {"sample_rate": 16000, "layout": "frames"}
    with pytest.raises(
        BundleError, match=r"float32 of shape \(1, …\) with 3 axes, but takes float32 of shape \(any, 4"
    ):
        write_tiny(
            tmp_path / "b",
            graph=features_graph(np.ones((4, 8))),
            input={"kind": "features", "extractor": extractor},
        )


def test_the_outline_agrees_with_the_onnx_package() -> None:
    graph = waveform_graph()
    local = helper.make_function("local", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], [])
    graph.functions.append(local)
    graph.graph.node[0].domain, graph.graph.node[0].op_type = "local", "Twice"  # in the file itself: not foreign
    graph.graph.input.append(helper.make_tensor_value_info("slope", TensorProto.FLOAT, [1, 8]))  # a constant's default
    outline = read_outline(graph.SerializeToString())
    assert outline.foreign_domains == ()
    assert not outline.external_data
    assert [(v.name, v.float32, v.shape) for v in outline.inputs] == [("waveform", True, (1, None))]
    assert [(v.name, v.float32, v.shape) for v in outline.outputs] == [("probabilities", True, (1, 8))]
    assert read_outline(with_external_data("weights.bin").SerializeToString()).external_data


@settings(deadline=None)
@given(st.data())
def test_a_damaged_outline_is_a_value_error_or_an_outline(data: st.DataObject) -> None:
    whole = model(
        [helper.make_node("Abs", ["waveform"], ["probabilities"])],
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, "n"])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 8])],
        {"c": np.ones(3, np.float32)},
    ).SerializeToString()
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    if damaged:
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        outline = read_outline(bytes(damaged))
    except ValueError:
        return
    assert all(isinstance(value.name, str) for value in (*outline.inputs, *outline.outputs))


# ----------------------------------------------------------------------- what the manifest promises, the graph keeps


def without(name: str) -> onnx.ModelProto:
    """The made embedding model without one of its outputs."""
    graph = embedding_graph()
    del graph.graph.output[[value.name for value in graph.graph.output].index(name)]
    return graph


def retyped(name: str, kind: int, shape: list[int | None]) -> onnx.ModelProto:
    """The made embedding model with an input or output declared otherwise."""
    graph = embedding_graph()
    for value in (*graph.graph.input, *graph.graph.output):
        if value.name == name:
            value.CopyFrom(helper.make_tensor_value_info(name, kind, shape))
    return graph


def test_optional_inputs_are_found_apart_from_the_others() -> None:
    found = read_outline(embedding_graph().SerializeToString())
    assert [value.name for value in found.inputs] == ["waveform"]
    assert [(value.name, value.float32, value.shape) for value in found.optional] == [
        ("mean", True, (1, 6)),
        ("deviation", True, (1, 6)),
        ("heard", True, (1,)),
    ]
    assert [value.name for value in found.outputs] == ["probabilities", "embedding", "distance"]
    # ONNX Runtime agrees, also that earlier versions of the format have constants instead.
    for version, names in ((4, ["mean", "deviation", "heard"]), (3, [])):
        data = embedding_graph(ir_version=version).SerializeToString()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        assert [value.name for value in session.get_overridable_initializers()] == names
        assert [value.name for value in read_outline(data).optional] == names


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        (waveform_graph(), r"has no optional input 'mean' \(a graph input with an initializer of the same name"),
        (embedding_graph(ir_version=3), r"has no optional input 'mean' .*IR version 4 or later.* promises adaptation"),
        (embedding_graph(required=True), r"has the inputs \['waveform', 'mean', 'deviation', 'heard'\], but"),
        (retyped("mean", TensorProto.FLOAT, [1, 5]), r"must take 'mean' as float32 of shape \(1, 6\) .* \(1, 5\)"),
        (retyped("deviation", TensorProto.DOUBLE, [1, 6]), r"must take 'deviation' as float32 .* takes another type"),
        (retyped("heard", TensorProto.FLOAT, [1, 1]), r"must take 'heard' as float32 of shape \(1,\) .*\(1, 1\)"),
        (without("embedding"), "has no output 'embedding', but the manifest promises adaptation"),
        (without("distance"), "has no output 'distance', but the manifest promises familiarity"),
        (retyped("embedding", TensorProto.FLOAT, [1, 5]), r"must give 'embedding' as float32 of shape \(1, 6\), but"),
        (retyped("distance", TensorProto.FLOAT, [1, 1]), r"must give 'distance' as float32 of shape \(1,\), but gives"),
    ],
)
def test_a_graph_that_lacks_what_is_promised_is_refused(tmp_path: Path, graph: onnx.ModelProto, says: str) -> None:
    with pytest.raises(BundleError, match=f"model.onnx of .* {says}"):
        write_adaptable(tmp_path / "b", graph=graph)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_may_do_more_than_is_promised_and_leave_sizes_free(tmp_path: Path) -> None:
    for name, shape in (("embedding", [None, None]), ("distance", [None])):
        write_adaptable(tmp_path / name, graph=retyped(name, TensorProto.FLOAT, shape))
        assert read_bundle(tmp_path / name).manifest.adaptation == {"size": 6}
    plain = write_tiny(tmp_path / "plain", graph=embedding_graph())
    assert (plain.manifest.adaptation, plain.manifest.familiarity) == ({}, {})
