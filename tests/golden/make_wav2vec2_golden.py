"""Make tests/golden/wav2vec2.npz: what transformers gives for the random encoders of tests/encoder_folders.py.

    python -m tests.golden.make_wav2vec2_golden

It was made with transformers 5.24.0 and torch 2.13.0; 4.57.6 gives the same to 1e-5.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from tests.encoder_folders import VARIANTS, glide, write_encoder

FILE = Path(__file__).with_name("wav2vec2.npz")
ONLY_TRAINING = ("masked_spec_embed", "num_batches_tracked")


class Outputs:
    """Collects what layers return: hidden states, or a tuple that begins with them."""

    def __init__(self) -> None:
        self.found: list[torch.Tensor] = []

    def __call__(self, layer: object, given: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
        self.found.append(output[0] if isinstance(output, tuple) else output)


def main() -> None:
    from transformers import AutoFeatureExtractor, AutoModel

    wave, found = glide(), {}
    for variant in VARIANTS:
        with tempfile.TemporaryDirectory() as place:
            folder = write_encoder(Path(place), variant)
            model, info = AutoModel.from_pretrained(folder, output_loading_info=True)
            missing = [name for name in info["missing_keys"] if not name.endswith(ONLY_TRAINING)]
            assert not any((missing, info["unexpected_keys"], info["mismatched_keys"])), info
            extractor = AutoFeatureExtractor.from_pretrained(folder)
        given = extractor(wave, sampling_rate=16000, return_tensors="pt")["input_values"]
        blocks = Outputs()
        for layer in model.encoder.layers:  # "hidden_states" differs between transformers 4 and 5 for the last block
            layer.register_forward_hook(blocks)
        with torch.inference_mode():
            model.eval()(given)
        found[variant] = torch.stack(blocks.found)[:, 0].numpy()
    np.savez_compressed(FILE, **found)


if __name__ == "__main__":
    main()
