"""Make tests/golden/whisper-random: a random Whisper model and its values by transformers, which this needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).with_name("whisper-random")
RATE, N = 16000, 19200


def main() -> None:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    torch.manual_seed(0)
    decoder = {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16, "max_target_positions": 8}
    tokens = {"vocab_size": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    config = WhisperConfig(
        d_model=16,
        encoder_layers=3,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        num_mel_bins=80,
        max_source_positions=70,
        **decoder,
        **tokens,
    )
    model = WhisperModel(config).eval()
    with torch.no_grad():
        for values in model.encoder.parameters():
            if values.ndim > 1:
                values.mul_(3)
    model.save_pretrained(FOLDER / "hub", safe_serialization=True)
    t = np.arange(N) / RATE
    noise = np.random.default_rng(0).standard_normal(N)
    tone = np.sin(2 * np.pi * (200 + 60 * t) * t) * (1 + np.sin(2 * np.pi * 3 * t)) / 2
    wave = (0.3 * tone + 0.01 * noise).astype(np.float32)
    extractor = WhisperFeatureExtractor(feature_size=80)
    given = extractor(wave, sampling_rate=RATE, padding=False, return_tensors="np", return_attention_mask=False)
    log_mel = given["input_features"][0].astype(np.float32)
    encoder, gelu = model.encoder, torch.nn.functional.gelu
    with torch.inference_mode():
        x = gelu(encoder.conv2(gelu(encoder.conv1(torch.tensor(log_mel)[None])))).permute(0, 2, 1)
        x = x + encoder.embed_positions.weight[: x.shape[1]]
        blocks = []
        for layer in encoder.layers:
            x = layer(x, None, None)[0]
            x = x if x.ndim == 3 else x[None]
            blocks.append(x[0].numpy())
    np.savez_compressed(FOLDER / "expected.npz", wave=wave, log_mel=log_mel, blocks=np.stack(blocks))


if __name__ == "__main__":
    main()
