"""Bundles: what is written is read back, and each way to break one is an error that says which."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from serkit.bundle import Manifest, find_bundles, pack, packaged, read_bundle, write_bundle
from serkit.bundle.onnxfile import read_outline
from serkit.emotions import LABELS
from serkit.errors import BundleError
from tests.tiny_models import (
    BIAS,
    SLOPE,
    features_graph,
    model,
    tiny_manifest,
    waveform_graph,
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


def test_what_is_written_is_read(folder: Path) -> None:
    bundle = read_bundle(folder)
    data = waveform_graph().SerializeToString()
    assert bundle.onnx == data == (folder / "model.onnx").read_bytes()
    assert bundle.card == "# Tiny\n\nFor tests.\n"
    assert bundle.manifest.labels == LABELS
    assert bundle.manifest.files["model.onnx"] == hashlib.sha256(data).hexdigest()
    assert bundle.size == len(data) + len(bundle.card)
    assert (bundle.manifest.sample_rate, bundle.manifest.min_seconds, bundle.manifest.max_seconds) == (16000, 0.25, 10)
    assert Manifest.from_dict(json.loads(json.dumps(bundle.manifest.to_dict()))) == bundle.manifest


def test_extra_files_are_listed_and_checked(tmp_path: Path) -> None:
    data = waveform_graph().SerializeToString()
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
    parts = {"onnx_bytes": waveform_graph().SerializeToString(), "manifest": tiny_manifest(version="2.0"), "card": "x"}
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
    with pytest.raises(BundleError, match="is no folder of bundles"):
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
        (lambda m: m["files"].pop("model.onnx"), r"does not list model.onnx under 'files'"),
        (lambda m: m["files"].update({"../x": "0" * 64}), r"'files' names '../x', which is no plain file name"),
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


def test_keys_of_a_later_serkit_are_passed_over(folder: Path) -> None:
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
    with pytest.raises(BundleError, match=r"is no bundle: it holds no manifest.json"):
        read_bundle(folder)
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    with pytest.raises(BundleError, match="is no bundle: expected a folder or a zip"):
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
    with pytest.raises(BundleError, match=r"damaged or truncated zip|cannot be unzipped"):
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
    with pytest.raises(BundleError, match=r"model.onnx of .* is no ONNX model"):
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
    graph.graph.node[0].domain = "local"  # defined in the file itself: not foreign
    graph.graph.input.append(helper.make_tensor_value_info("slope", TensorProto.FLOAT, [1, 8]))  # a constant's default
    outline = read_outline(graph.SerializeToString())
    assert outline.foreign_domains == ()
    assert not outline.external_data
    assert [(v.name, v.float32, v.shape) for v in outline.inputs] == [("waveform", True, (1, None))]
    assert [(v.name, v.float32, v.shape) for v in outline.outputs] == [("probabilities", True, (1, 8))]
    assert read_outline(with_external_data("weights.bin").SerializeToString()).external_data


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
