"""Whisper's encoder as a front end: equal to transformers, one graph from the waveform on, sentences for mistakes."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from safetensors.numpy import load_file, save_file

import serkit
from serkit.audio import Waveform
from serkit.encoders import WhisperEncoder, find_encoder, read_encoder, whisper_graph
from serkit.encoders.folder import weights_hash
from serkit.encoders.whisper_graph import log_mel
from serkit.errors import FeatureError, RecipeError
from serkit.features import FrontEnd
from serkit.features.graph import GraphBuilder
from serkit.training.feature_cache import FeatureCache
from serkit.training.recipe_files import parse_recipe
from tests.conftest import voice
from tests.small_recipes import HUB

GOLDEN = HUB.parent


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "expected.npz") as file:
        return dict(file)


@pytest.fixture
def wave(expected: dict[str, np.ndarray]) -> Waveform:
    return Waveform(expected["wave"], 16000)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HUB, tmp_path / "hub"))


def test_log_mel_equals_transformers(expected: dict[str, np.ndarray]) -> None:
    g = GraphBuilder()
    log_mel(g, "waveform", 80)
    g.nodes[-1].output[0] = "log_mel"
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        g.nodes,
        "log_mel",
        [value("waveform", onnx.TensorProto.FLOAT, [1, None])],
        [value("log_mel", onnx.TensorProto.FLOAT, [1, 80, None])],
        g.constants,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    (found,) = ort.InferenceSession(model.SerializeToString()).run(None, {"waveform": expected["wave"][None]})
    np.testing.assert_allclose(found[0], expected["log_mel"], atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_every_block_equals_transformers(expected: dict[str, np.ndarray], wave: Waveform, precision: str) -> None:
    encoder = WhisperEncoder(HUB, blocks=[1, 2, 3], layout="frames", precision=precision)  # type: ignore[arg-type]
    rows = expected["blocks"].transpose(0, 2, 1).reshape(48, -1)
    np.testing.assert_allclose(encoder(wave), rows, atol=1e-4 if precision == "float32" else 5e-3)


def test_int8_is_near_and_small(expected: dict[str, np.ndarray], wave: Waveform) -> None:
    encoder = WhisperEncoder(HUB, blocks=[2], layout="frames", precision="int8")
    found, true = encoder(wave), expected["blocks"][1].T
    assert 0 < np.sqrt(np.mean((found - true) ** 2) / np.mean(true**2)) < 0.03


def test_pooled_are_mean_and_deviation_of_the_frames_block_by_block(wave: Waveform) -> None:
    frames = [WhisperEncoder(HUB, blocks=[k], layout="frames")(wave) for k in (1, 3)]
    pooled = WhisperEncoder(HUB, blocks=[1, 3])(wave)
    by_hand = np.concatenate([part for rows in frames for part in (rows.mean(axis=1), rows.std(axis=1))])
    np.testing.assert_allclose(pooled, by_hand, atol=1e-5)


def test_it_keeps_the_protocol_of_front_ends(wave: Waveform) -> None:
    for layout, shape in (("mean_std", (64,)), ("frames", (32, None))):
        front: FrontEnd = WhisperEncoder(HUB, blocks=[1, 2], layout=layout)  # type: ignore[arg-type]
        assert (front.sample_rate, front.layout, front.shape) == (16000, layout, shape)
        assert front(wave).shape[0] == shape[0]
        assert json.loads(json.dumps(front.to_dict())) == front.to_dict()


def test_the_key_tells_settings_and_weights_apart_but_not_folders(copy: Path) -> None:
    def key(folder: Path = HUB, blocks: tuple[int, ...] = (1, 2), **settings: str) -> str:
        return WhisperEncoder(folder, blocks=blocks, **settings).key  # type: ignore[arg-type]

    assert key() == key(copy)
    assert len({key(), key(blocks=(1,)), key(layout="frames"), key(precision="int8")}) == 4
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    assert key(copy) != key()


def test_the_key_tells_heads_apart_and_stays_for_those_of_published_models(copy: Path) -> None:
    usual = WhisperEncoder(HUB, blocks=[1]).key
    _config(copy, encoder_attention_heads=1)
    assert WhisperEncoder(copy, blocks=[1]).key != usual
    _config(copy, d_model=512, encoder_attention_heads=8)
    encoder = WhisperEncoder(copy, blocks=[1])
    text = json.dumps({"whisper_version": 2, **encoder.to_dict()}, sort_keys=True)
    assert encoder.key == hashlib.sha256(text.encode()).hexdigest()[:16]  # as before: arrays in caches stay in use


def test_the_graph_holds_only_the_blocks_that_are_used_and_standard_operators() -> None:
    sizes = [len(WhisperEncoder(HUB, blocks=[k]).graph().SerializeToString()) for k in (1, 2, 3)]
    assert sizes[0] < sizes[1] < sizes[2]
    for precision in ("float32", "float16", "int8"):
        model = WhisperEncoder(HUB, blocks=[2], precision=precision).graph()  # type: ignore[arg-type]
        assert {(entry.domain, entry.version) for entry in model.opset_import} == {("", 18)}
        assert {node.domain for node in model.graph.node} == {""}


def test_sinusoids_are_computed_and_not_stored(copy: Path, wave: Waveform, monkeypatch: pytest.MonkeyPatch) -> None:
    file = copy / "model.safetensors"
    tensors = load_file(file)
    (name,) = (name for name in tensors if name.endswith("encoder.embed_positions.weight"))
    exact = whisper_graph.sinusoids(*tensors[name].shape)
    assert exact[0].tolist() == [0.0] * 8 + [1.0] * 8
    tensors[name] = exact.astype(np.float16).astype(np.float32)
    save_file(tensors, file)
    encoder = WhisperEncoder(copy, blocks=[3])
    computed, small = encoder(wave), len(encoder.graph().SerializeToString())
    monkeypatch.setattr(whisper_graph, "sinusoids", lambda n, width: np.zeros((n, width)))
    stored = WhisperEncoder(copy, blocks=[3])
    np.testing.assert_allclose(computed, stored(wave), atol=2e-3)
    assert small < len(stored.graph().SerializeToString()) - 4000


def test_a_silent_clip_and_the_shortest_one_give_finite_values() -> None:
    encoder = WhisperEncoder(HUB, blocks=[1], precision="int8")
    for samples in (np.zeros(1600, np.float32), np.zeros(16000, np.float32), voice(3, 1)[:1600]):
        assert np.isfinite(encoder(Waveform(samples, 16000))).all()


def test_other_rates_are_resampled(wave: Waveform) -> None:
    from serkit.audio import resample

    encoder = WhisperEncoder(HUB, blocks=[2])
    at_48 = encoder(resample(wave, 48000))
    assert np.corrcoef(at_48, encoder(wave))[0, 1] > 0.999


def test_it_pickles_and_answers_the_same(wave: Waveform) -> None:
    encoder = WhisperEncoder(HUB, blocks=[2])
    before = encoder(wave)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder))(wave), before)


def test_a_name_is_looked_for_below_the_folder_of_the_variable(monkeypatch: pytest.MonkeyPatch, copy: Path) -> None:
    monkeypatch.setenv("SERKIT_ENCODERS", str(copy.parent))
    assert find_encoder("hub") == copy
    with pytest.raises(
        FeatureError, match=r"no encoder 'bass': looked for .*bass and .*bass\. Give the path of a folder"
    ):
        find_encoder("bass")
    monkeypatch.delenv("SERKIT_ENCODERS")
    with pytest.raises(FeatureError, match="or set SERKIT_ENCODERS to the folder that holds it"):
        find_encoder("hub-of-nobody")


def _config(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8")) | values
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}), "utf-8")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "it has no model.safetensors"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read as JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "does not hold a JSON object"),
        (lambda folder: _config(folder, model_type="bert"), "a model of type 'bert', expected 'whisper'"),
        (lambda folder: _config(folder, d_model=None), "lacks a size or has a wrong one: 'd_model'"),
        (lambda folder: _config(folder, d_model=15), "impossible sizes"),
        (lambda folder: _config(folder, activation_function="relu"), "activation_function is 'relu', expected 'gelu'"),
        (
            lambda folder: _config(folder, d_model=32),
            r"has the shape \(16, 80, 3\), config.json expects \(32, 80, 3\)",
        ),
        (lambda folder: _config(folder, encoder_layers=4), r"lacks the tensor layers\.3\."),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"no weights"), "truncated or damaged"),
    ],
)
def test_a_damaged_folder_is_one_sentence(copy: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(copy)
    with pytest.raises(FeatureError, match=message):
        WhisperEncoder(copy, blocks=[4 if "layers" in message else 1]).graph()


@pytest.mark.parametrize("blocks", [[], [0], [4], [2, 1], [1, 1], [True], [1.0]])
def test_impossible_blocks_are_refused(blocks: list[int]) -> None:
    with pytest.raises(FeatureError, match="blocks must be numbers from 1 to 3 in rising order"):
        WhisperEncoder(HUB, blocks=blocks)


def test_settings_and_lengths_that_cannot_be_are_refused(wave: Waveform) -> None:
    with pytest.raises(FeatureError, match="layout must be one of mean_std, frames, got 'flat'"):
        WhisperEncoder(HUB, blocks=[1], layout="flat")  # type: ignore[arg-type]
    with pytest.raises(FeatureError, match=r"precision must be one of .* got 'int4'"):
        WhisperEncoder(HUB, blocks=[1], precision="int4")  # type: ignore[arg-type]
    for seconds in (0.09, 1.41):
        with pytest.raises(FeatureError, match=r"takes 0\.1 to 1\.4 s"):
            WhisperEncoder(HUB, blocks=[1])(Waveform(np.zeros(round(16000 * seconds), np.float32), 16000))


# --- in recipes -------------------------------------------------------------------------------------------------------

RECIPE = """
name = "tiny-whisper"
description = "A random encoder, for tests."
[encoder]
name = "{folder}"
sha256 = "{sha256}"
blocks = [1, 3]
precision = "int8"
[model]
name = "logistic"
"""


def recipe_text(folder: Path = HUB, sha256: str | None = None) -> str:
    return RECIPE.format(folder=folder, sha256=sha256 or weights_hash(HUB))


def test_a_recipe_names_an_encoder_and_runs_from_recordings_to_a_bundle(tiny_corpus: Path, tmp_path: Path) -> None:
    recipe = parse_recipe(recipe_text())
    corpus = serkit.read_corpus(tiny_corpus)
    split = serkit.make_split(corpus, "speaker", n_folds=3)
    cache = FeatureCache(tmp_path / "cache")
    run = serkit.run_evaluation(recipe, corpus, split, tmp_path / "run", cache=cache)
    assert len(run.predictions) == len(corpus)
    fitted = serkit.train_final(recipe, corpus, cache=cache)
    bundle = serkit.export_bundle(fitted, recipe, corpus, tmp_path / "bundle", scores=[run.results], cache=cache)
    assert bundle.manifest.input["kind"] == "waveform"
    recognizer = serkit.load(tmp_path / "bundle")
    row = corpus.table.iloc[5]
    wave = corpus.load(row)
    expected = dict(zip(fitted.classes_, fitted.predict_proba(recipe.front_end(wave)[None])[0], strict=True))
    found = dict(zip(recognizer.labels, recognizer.probabilities(wave), strict=True))
    assert found == pytest.approx(expected, abs=1e-4)


def test_the_hash_of_a_recipe_follows_the_weights_and_not_the_folder(copy: Path) -> None:
    assert parse_recipe(recipe_text()).hash == parse_recipe(recipe_text(copy)).hash
    other = recipe_text().replace("[1, 3]", "[1, 2]")
    assert parse_recipe(other).hash != parse_recipe(recipe_text()).hash


@pytest.mark.parametrize(
    "text",
    [
        recipe_text() + "[features]\nfeatures = [{name = 'rms'}]\n",
        "name = 'x'\ndescription = ''\n[model]\nname = 'logistic'\n",
    ],
)
def test_a_recipe_needs_one_front_end(text: str) -> None:
    with pytest.raises(RecipeError, match="needs one front end"):
        parse_recipe(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (recipe_text(sha256="0" * 64), "have the SHA-256 .* the recipe needs 0000"),
        (recipe_text(Path("/nowhere")), "There is no encoder '/nowhere'"),
        (recipe_text().replace("[1, 3]", "[4]"), r"blocks must be numbers from 1 to 3"),
    ],
)
def test_a_recipe_can_be_read_without_its_encoder_but_not_trained(
    text: str, message: str, tiny_corpus: Path, tmp_path: Path
) -> None:
    recipe = parse_recipe(text)
    assert (recipe.layout, len(recipe.hash)) == ("mean_std", 64)
    corpus = serkit.read_corpus(tiny_corpus)
    with pytest.raises((RecipeError, FeatureError), match=message):
        serkit.train_final(recipe, corpus)
    with pytest.raises((RecipeError, FeatureError), match=message):
        serkit.run_evaluation(recipe, corpus, serkit.make_split(corpus, "speaker", n_folds=3), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif("SERKIT_ENCODERS" not in os.environ, reason="SERKIT_ENCODERS names no folder of encoders")
def test_the_real_encoder_in_int8_stays_near_itself() -> None:
    clip = Waveform(voice(3, 1), 16000)
    true, found = (
        read_encoder("whisper-base", blocks=[3], precision=precision)(clip)  # type: ignore[arg-type]
        for precision in ("float32", "int8")
    )
    assert np.corrcoef(true, found)[0, 1] > 0.95
