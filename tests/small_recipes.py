"""A quick recipe; and the packaged ones, small enough for the tiny corpus: fewer epochs, trees, channels and trials."""

from __future__ import annotations

import re
from pathlib import Path

from serkit.encoders.folder import weights_hash
from serkit.training.recipe import Recipe
from serkit.training.recipe_files import load_recipe, parse_recipe

#: For tests that need any model: no network, no trees.
QUICK_TEXT = """
name = "quick"
description = "MFCC means and logistic regression"
[features]
sample_rate = 16000
features = [{ name = "mfcc", params = { n_mfcc = 13 } }]
[model]
name = "logistic"
"""

#: A Whisper of three blocks and 16 values a frame with random weights, for clips of up to 1.4 s.
HUB = Path(__file__).parent / "golden" / "whisper-random" / "hub"

_SMALLER = {
    r"^epochs = \d+": "epochs = 2",
    r"^members = \d+": "members = 1",
    r"\bwidth = (16|24)": "width = 4",
    r"\bwidth = 32": "width = 8",
    r"widths = \[.*?\]": "widths = [8, 8]",
    r"channels = \[.*?\]": "channels = [8, 8]",
    r"\bhidden = (64|128|256)": "hidden = 8",
    r"hidden = \[.*?\]": "hidden = [16, 8]",
    r"hidden_layer_sizes = \[.*?\]": "hidden_layer_sizes = [16]",
    r"max_iter = \d+": "max_iter = 60",
    r"n_estimators = \d+": "n_estimators = 30",
    r"n_estimators = \[.*?\]": "n_estimators = [20, 30]",
    r"max_depth = \[.*?\]": "max_depth = [4, 6]",
    r"min_samples_leaf = \[.*?\]": "min_samples_leaf = [1]",
    r"n_iter = \d+": "n_iter = 2",
    r"^folds = \d+": "folds = 2",
    r"k_neighbors = \d+": "k_neighbors = 1",
    r"early_stopping = \d+": "early_stopping = 1",
    r"reduce_on_plateau = \d+": "reduce_on_plateau = 1",
    r"length = [23]\.\d": "length = 0.3",
    r"n_mfcc = 20": "n_mfcc = 2",
    r"n_mels = 64, fmin = 40.0, fmax = 8000.0 \} \}": "n_mels = 16, fmin = 40.0, fmax = 8000.0 } }",
    r"^c = 0\.02$": "c = 1.0",  # of [select]: with few clips, the penalty would drop every feature
    r'^name = "whisper-.*"': f'name = "{HUB.as_posix()}"',
    r"^sha256 = .*": f'sha256 = "{weights_hash(HUB)}"',
    r"^blocks = \[.*": "blocks = [1, 3]",
}


def shrunk(name: str) -> Recipe:
    """The packaged recipe `name` with smaller numbers in the same places."""
    text = load_recipe(name).text
    for old, new in _SMALLER.items():
        if "sha256" in old and "[embedding]" in text:
            continue  # of a model that ships
        text = re.sub(old, new, text, flags=re.MULTILINE)
    return parse_recipe(text, source=name)
