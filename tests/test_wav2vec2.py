"""wav2vec 2.0, HuBERT and WavLM as front ends: equal to transformers in every variant, right lengths, sentences."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import serkit
from serkit.audio import Waveform
from serkit.encoders import Encoder, Wav2Vec2Encoder, WhisperEncoder, read_encoder
from serkit.encoders.folder import weights_hash
from serkit.encoders.wav2vec2_graph import bucket_of
from serkit.errors import FeatureError
from serkit.features import FrontEnd
from serkit.training.feature_cache import FeatureCache
from serkit.training.recipe_files import parse_recipe
from tests.encoder_folders import BLOCKS, VARIANTS, WIDTH, glide, write_encoder

GOLDEN = Path(__file__).parent / "golden"
DOCS = Path(__file__).parent.parent / "docs"
WHISPER = GOLDEN / "whisper-random" / "hub"


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "wav2vec2.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("encoders")
    return lambda variant: root / variant if (root / variant).exists() else write_encoder(root / variant, variant)


@pytest.fixture
def wave() -> Waveform:
    return Waveform(glide(), 16000)


def _change(folder: Path, name: str = "config.json", **values: object) -> None:
    content = json.loads((folder / name).read_text("utf-8")) | values
    (folder / name).write_text(json.dumps({k: v for k, v in content.items() if v is not None}), "utf-8")


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_block_equals_transformers(
    expected: dict[str, np.ndarray], folder: Callable[[str], Path], wave: Waveform, variant: str
) -> None:
    rows = expected[variant].transpose(0, 2, 1).reshape(BLOCKS * WIDTH, -1)
    assert rows.std(axis=1).min() > 0.02
    found = {
        precision: read_encoder(folder(variant), blocks=[1, 2, 3], layout="frames", precision=precision)(wave)  # type: ignore[arg-type]
        for precision in ("float32", "float16", "int8")
    }
    np.testing.assert_allclose(found["float32"], rows, atol=1e-4)
    off = {name: np.sqrt(np.mean((values - rows) ** 2) / np.mean(rows**2)) for name, values in found.items()}
    assert off["float32"] < off["float16"] < 0.005 < off["int8"] < 0.05


@pytest.mark.parametrize("variant", ["wav2vec2-large", "wavlm-base"])
def test_pooled_are_mean_and_deviation_of_the_frames_block_by_block(
    folder: Callable[[str], Path], wave: Waveform, variant: str
) -> None:
    frames = [read_encoder(folder(variant), blocks=[k], layout="frames")(wave) for k in (1, 3)]
    by_hand = np.concatenate([part for rows in frames for part in (rows.mean(axis=1), rows.std(axis=1))])
    np.testing.assert_allclose(read_encoder(folder(variant), blocks=[1, 3])(wave), by_hand, atol=1e-5)


def test_loudness_and_offset_matter_only_where_input_is_not_normalised(folder: Callable[[str], Path]) -> None:
    wave = glide()
    for variant, same in (("hubert-base", True), ("wavlm-large", True), ("wavlm-base", False)):
        encoder = read_encoder(folder(variant), blocks=[2])
        loud, quiet = (encoder(Waveform(x, 16000)) for x in (wave, 0.25 * wave + 0.1))
        assert np.allclose(loud, quiet, atol=1e-3) is same, variant


def test_distances_share_buckets_as_in_wavlm() -> None:
    near = bucket_of(np.arange(-80, 81), 320, 800)
    assert near.tolist() == [*range(80, -1, -1), *range(161, 241)]
    far = bucket_of(np.array([100, 253, 799, 800, 5000, -100, -5000]), 320, 800)
    assert far.tolist() == [247, 280, 319, 319, 319, 87, 159]  # 80 + 80 lg(d / 80), at most 159; 160 more to the right


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    layers=st.lists(st.tuples(st.integers(1, 7), st.integers(1, 4)), min_size=1, max_size=4),
    taps=st.integers(1, 9),
    variant=st.sampled_from(sorted(VARIANTS)),
    lengths=st.lists(st.integers(1600, 4000), min_size=1, max_size=4),
)
def test_any_length_through_any_convolutions_gives_the_frames_that_fit(
    tmp_path: Path, layers: list[tuple[int, int]], taps: int, variant: str, lengths: list[int]
) -> None:
    place = next(tmp_path / str(k) for k in count() if not (tmp_path / str(k)).exists())
    kernels, strides = ([4, *(k for k, _ in layers)], [8, *(s for _, s in layers)])
    sizes = {"conv_dim": [4] * len(kernels), "conv_kernel": kernels, "conv_stride": strides}
    write_encoder(place, variant, num_hidden_layers=1, num_conv_pos_embeddings=taps, **sizes)
    encoder = read_encoder(place, blocks=[1], layout="frames")
    for n in lengths:
        frames = n
        for kernel, stride in zip(kernels, strides, strict=True):
            frames = len(range(0, frames - kernel + 1, stride))
        wave = Waveform(glide(n / 16000), 16000)
        if frames:
            assert encoder(wave).shape == (WIDTH, frames)
        else:
            with pytest.raises(FeatureError, match=rf"takes {encoder.min_seconds:g} to 30 s"):
                encoder(wave)


def test_the_shortest_clip_fills_one_frame(tmp_path: Path) -> None:
    write_encoder(tmp_path, "wavlm-base", conv_kernel=[1000, 3], conv_stride=[500, 2], conv_dim=[4, 4])
    encoder = read_encoder(tmp_path, blocks=[1], layout="frames")
    assert encoder.min_seconds == 2000 / 16000
    assert encoder(Waveform(glide(2000 / 16000), 16000)).shape == (WIDTH, 1)
    for n in (1999, 16000 * 30 + 1):
        with pytest.raises(FeatureError, match=r"the encoder takes 0\.125 to 30 s"):
            encoder(Waveform(np.zeros(n, np.float32), 16000))


@pytest.mark.parametrize("variant", VARIANTS)
def test_silence_and_the_shortest_clip_give_finite_values(folder: Callable[[str], Path], variant: str) -> None:
    encoder = read_encoder(folder(variant), blocks=[1], precision="int8")
    for samples in (np.zeros(16000, np.float32), glide(0.1)):
        assert np.isfinite(encoder(Waveform(samples, 16000))).all()


def test_the_graph_holds_only_the_blocks_in_use_in_standard_operators(folder: Callable[[str], Path]) -> None:
    for variant in VARIANTS:
        sizes = []
        for k, precision in ((3, "float32"), (2, "float32"), (2, "float16"), (1, "int8")):
            model = read_encoder(folder(variant), blocks=[k], precision=precision).graph()  # type: ignore[arg-type]
            assert {(entry.domain, entry.version) for entry in model.opset_import} == {("", 18)}
            assert {node.domain for node in model.graph.node} == {""}
            sizes.append(sum(len(constant.raw_data) for constant in model.graph.initializer))
        assert sizes == sorted(sizes, reverse=True)


def test_it_keeps_the_protocol_of_front_ends(folder: Callable[[str], Path], wave: Waveform) -> None:
    front: FrontEnd = read_encoder(folder("wavlm-base"), blocks=[1, 2])
    assert (front.sample_rate, front.layout, front.shape) == (16000, "mean_std", (4 * WIDTH,))
    assert front(wave).shape == front.shape
    assert json.loads(json.dumps(front.to_dict())) == front.to_dict()
    assert front.to_dict()["family"] == "wavlm"


def test_the_key_follows_all_that_changes_values_and_not_the_place(
    tmp_path: Path, folder: Callable[[str], Path]
) -> None:
    def key(name: str, **changes: object) -> str:
        place = write_encoder(tmp_path / name, "wavlm-base", **changes)
        return read_encoder(place, blocks=[1]).key

    same = read_encoder(folder("wavlm-base"), blocks=[1]).key
    assert key("copy") == same
    place = write_encoder(tmp_path / "loudness", "wavlm-base")
    _change(place, "preprocessor_config.json", do_normalize=True)
    others = {
        key("stable", do_stable_layer_norm=True),
        key("epsilon", layer_norm_eps=0.1),
        key("far", max_bucket_distance=90),
    }
    assert len({same, *others, read_encoder(place, blocks=[1]).key}) == 5


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": None}, "lacks a size or has a wrong one: 'hidden_size'"),
        ({"conv_stride": [5, 2]}, "conv_dim, conv_kernel and conv_stride must have the same length"),
        ({"num_attention_heads": 3}, "impossible sizes"),
        ({"conv_kernel": [0] * 7}, "impossible sizes"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu', expected 'gelu'"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm is 'batch', expected 'group' or 'layer'"),
        ({"adapter_attn_dim": 16}, "adapters for languages"),
        ({"do_stable_layer_norm": "yes"}, "do_stable_layer_norm is 'yes', expected true or false"),
        ({"intermediate_size": 25}, r"has the shape \(24, 16\), config.json expects \(25, 16\)"),
        ({"num_hidden_layers": 4}, r"lacks the tensor encoder\.layers\.3\."),
    ],
)
def test_a_config_that_cannot_be_is_one_sentence(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    write_encoder(tmp_path, "wav2vec2-base")
    _change(tmp_path, **changes)
    with pytest.raises(FeatureError, match=message):
        read_encoder(tmp_path, blocks=[4 if "layers" in message else 1]).graph()


def test_a_folder_without_the_way_of_its_input_is_refused(tmp_path: Path) -> None:
    write_encoder(tmp_path, "hubert-base")
    _change(tmp_path, "preprocessor_config.json", do_normalize=1)
    with pytest.raises(FeatureError, match=r"do_normalize of preprocessor_config\.json is 1, expected true or false"):
        read_encoder(tmp_path, blocks=[1])
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(FeatureError, match=r"has no preprocessor_config.json, which says how waveforms are normalised"):
        read_encoder(tmp_path, blocks=[1])


def test_weights_that_no_onnx_file_can_hold_are_refused(
    folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from serkit.encoders import layers

    monkeypatch.setattr(layers, "_MOST_BYTES", 20_000)
    with pytest.raises(FeatureError, match="use lower blocks or the precision float16 or int8"):
        read_encoder(folder("hubert-base"), blocks=[3]).graph()
    read_encoder(folder("hubert-base"), blocks=[1], precision="int8").graph()


def test_the_class_follows_the_model_type(tmp_path: Path, folder: Callable[[str], Path]) -> None:
    kinds: dict[Path, type[Encoder]] = {WHISPER: WhisperEncoder, folder("mhubert"): Wav2Vec2Encoder}
    for place, kind in kinds.items():
        assert type(read_encoder(place, blocks=[1])) is kind
    with pytest.raises(FeatureError, match="a model of type 'whisper', expected 'wav2vec2', 'hubert' or 'wavlm'"):
        Wav2Vec2Encoder(WHISPER, blocks=[1])
    write_encoder(tmp_path, "hubert-base")
    for name in ("bert", None, ["hubert"]):
        _change(tmp_path, model_type=name)
        with pytest.raises(
            FeatureError, match=r"serkit knows encoders of the types whisper, wav2vec2, hubert and wavlm\."
        ):
            read_encoder(tmp_path, blocks=[1])


# --- in recipes -------------------------------------------------------------------------------------------------------


def test_the_recipe_of_the_docs_runs_from_recordings_to_a_bundle(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (DOCS / "encoders.md").read_text("utf-8").split("```toml\n")[1].split("```")[0]
    monkeypatch.setenv("SERKIT_ENCODERS", str(tmp_path))
    place = write_encoder(tmp_path / "openai" / "whisper-base", "wavlm-large", num_hidden_layers=4)
    recipe = parse_recipe(text.replace('"..."', f'"{weights_hash(place)}"'))
    assert recipe.front_end.shape == (3 * 2 * WIDTH,)
    corpus = serkit.read_corpus(tiny_corpus)
    cache = FeatureCache(tmp_path / "cache")
    fitted = serkit.train_final(recipe, corpus, cache=cache)
    serkit.export_bundle(fitted, recipe, corpus, tmp_path / "bundle", cache=cache)
    recognizer = serkit.load(tmp_path / "bundle")
    wave = corpus.load(corpus.table.iloc[5])
    expected = dict(zip(fitted.classes_, fitted.predict_proba(recipe.front_end(wave)[None])[0], strict=True))
    found = dict(zip(recognizer.labels, recognizer.probabilities(wave), strict=True))
    assert found == pytest.approx(expected, abs=1e-4)
