"""Tiny random encoders in Hugging Face's layout: wav2vec 2.0, HuBERT and WavLM, in the variants that are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

WIDTH, HEADS, HIDDEN, BLOCKS, CHANNELS = 16, 2, 24, 3, 12

#: The published convolutions: 400 samples a frame, 320 from frame to frame.
KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)

#: Variant -> what differs in config.json from the sizes above. "older" and "prefix" are about names of tensors.
VARIANTS: dict[str, dict[str, Any]] = {
    "wav2vec2-base": {"model_type": "wav2vec2", "older": True},
    "wav2vec2-large": {
        "model_type": "wav2vec2",
        "feat_extract_norm": "layer",
        "conv_bias": True,
        "do_stable_layer_norm": True,
        "prefix": "wav2vec2.",
    },
    "hubert-base": {"model_type": "hubert", "num_conv_pos_embeddings": 7, "prefix": "hubert.", "older": True},
    "mhubert": {"model_type": "hubert", "conv_pos_batch_norm": True, "feat_proj_layer_norm": False},
    "wavlm-base": {"model_type": "wavlm", "do_normalize": False},
    "wavlm-large": {
        "model_type": "wavlm",
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "layer_norm_eps": 1e-3,
        "older": True,
    },
}


def config_of(variant: str) -> dict[str, Any]:
    """What config.json of a variant says."""
    config = {
        "hidden_size": WIDTH,
        "num_attention_heads": HEADS,
        "intermediate_size": HIDDEN,
        "num_hidden_layers": BLOCKS,
        "hidden_act": "gelu",
        "feat_extract_norm": "group",
        "feat_extract_activation": "gelu",
        "conv_dim": [CHANNELS] * len(KERNELS),
        "conv_kernel": list(KERNELS),
        "conv_stride": list(STRIDES),
        "conv_bias": False,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 4,
        "do_stable_layer_norm": False,
        "layer_norm_eps": 1e-5,
        "vocab_size": 4,
    }
    if VARIANTS[variant]["model_type"] == "wavlm":
        config |= {"num_buckets": 32, "max_bucket_distance": 80}  # 1 to 8 frames exactly, then by logarithm
    return config | {k: v for k, v in VARIANTS[variant].items() if k not in ("older", "prefix", "do_normalize")}


def write_encoder(folder: Path, variant: str, seed: int = 0, **changes: Any) -> Path:
    """Write the folder of a random encoder; `changes` replace keys of config.json."""
    config = config_of(variant) | changes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    given = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "sampling_rate": 16000,
        "do_normalize": VARIANTS[variant].get("do_normalize", True),
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(given), "utf-8")
    prefix = VARIANTS[variant].get("prefix", "")
    tensors = _tensors(config, np.random.default_rng(seed), older=VARIANTS[variant].get("older", False))
    save_file({prefix + name: value for name, value in tensors.items()}, folder / "model.safetensors")
    return folder


def _tensors(config: dict[str, Any], random: np.random.Generator, *, older: bool) -> dict[str, np.ndarray]:
    made: dict[str, np.ndarray] = {}
    width, heads, hidden = config["hidden_size"], config["num_attention_heads"], config["intermediate_size"]

    def add(name: str, *shape: int, size: float = 0.5, around: float = 0.0) -> None:
        made[name] = (around + size * (2 * random.random(shape) - 1)).astype(np.float32)

    def norm(name: str, n: int) -> None:
        add(f"{name}.weight", n, around=1.0)
        add(f"{name}.bias", n)

    def dense(name: str, inputs: int, outputs: int) -> None:
        add(f"{name}.weight", outputs, inputs)
        add(f"{name}.bias", outputs)

    inputs = 1
    for k, (outputs, taps) in enumerate(zip(config["conv_dim"], config["conv_kernel"], strict=True)):
        name = f"feature_extractor.conv_layers.{k}"
        add(f"{name}.conv.weight", outputs, inputs, taps)
        if config["conv_bias"]:
            add(f"{name}.conv.bias", outputs)
        if k == 0 or config["feat_extract_norm"] == "layer":
            norm(f"{name}.layer_norm", outputs)
        inputs = outputs
    if config.get("feat_proj_layer_norm", True):
        norm("feature_projection.layer_norm", inputs)
    dense("feature_projection.projection", inputs, width)
    name, taps = "encoder.pos_conv_embed", config["num_conv_pos_embeddings"]
    shape = (width, width // config["num_conv_pos_embedding_groups"], taps)
    if config.get("conv_pos_batch_norm", False):
        norm(f"{name}.batch_norm", width)
        add(f"{name}.batch_norm.running_mean", width)
        add(f"{name}.batch_norm.running_var", width, around=1.0)
        add(f"{name}.conv.weight", *shape)
    else:
        parametrized = ("parametrizations.weight.original0", "parametrizations.weight.original1")
        of_length, of_direction = ("weight_g", "weight_v") if older else parametrized
        add(f"{name}.conv.{of_length}", 1, 1, taps, around=2.0)
        add(f"{name}.conv.{of_direction}", *shape)
    add(f"{name}.conv.bias", width)
    norm("encoder.layer_norm", width)
    for k in range(config["num_hidden_layers"]):
        name = f"encoder.layers.{k}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            dense(f"{name}.attention.{part}", width, width)
        if config["model_type"] == "wavlm":
            if k == 0:
                add(f"{name}.attention.rel_attn_embed.weight", config["num_buckets"], heads, size=2.0)
            add(f"{name}.attention.gru_rel_pos_const", 1, heads, 1, 1, around=1.0)
            dense(f"{name}.attention.gru_rel_pos_linear", width // heads, 8)
        dense(f"{name}.feed_forward.intermediate_dense", width, hidden)
        dense(f"{name}.feed_forward.output_dense", hidden, width)
        norm(f"{name}.layer_norm", width)
        norm(f"{name}.final_layer_norm", width)
    return made


def glide(seconds: float = 0.8, seed: int = 0) -> np.ndarray:
    """A rising tone with noise, float32, at 16 kHz."""
    t = np.arange(round(16000 * seconds)) / 16000
    noise = np.random.default_rng(seed).random(len(t)) - 0.5
    tone = np.sin(2 * np.pi * (200 + 60 * t) * t) * (1 + np.sin(2 * np.pi * 3 * t)) / 2
    return (0.05 + 0.3 * tone + 0.03 * noise).astype(np.float32)
