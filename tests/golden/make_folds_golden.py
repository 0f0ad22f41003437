"""Probabilities of small recipes on the made-up corpus, fold by fold and as final models, kept to compare with.

Made by the code of 2026-11-27, which had one path for evaluations and another for final models. Run it again only
after a change that is meant to move numbers: python -m tests.golden.make_folds_golden CORPUS, with the folder that the
fixture tiny_corpus writes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from tests.small_recipes import QUICK_TEXT

from serkit.corpora import Corpus, read_corpus
from serkit.emotions import LABELS
from serkit.protocol import make_split
from serkit.training import fitting
from serkit.training.feature_cache import FeatureCache
from serkit.training.recipe_files import parse_recipe
from serkit.training.run import run_evaluation, train_final

GOLDEN = Path(__file__).with_name("folds.npz")
PROTOCOLS = ("random", "speaker", "speaker+enrolled")
RECIPES = {
    "plain": QUICK_TEXT,
    "calibrated": QUICK_TEXT + '[validation]\nuse = "calibration"\n',
}


def probabilities(corpus: Corpus, cache: FeatureCache) -> dict[str, np.ndarray]:
    """Return recipe and protocol -> probabilities of the test clips (n, 8), sorted by path."""
    found = {}
    for name, text in RECIPES.items():
        recipe = parse_recipe(text)
        for protocol in PROTOCOLS:
            split = make_split(corpus, protocol, n_folds=3, seed=1)
            with tempfile.TemporaryDirectory() as folder:
                table = run_evaluation(recipe, corpus, split, Path(folder, "run"), cache=cache).predictions
            columns = [f"p_{label}" for label in LABELS]
            found[f"{name} {protocol}"] = table.sort_values("path")[columns].to_numpy()
        final = train_final(recipe, corpus, seed=1, cache=cache)
        arrays = [recipe.front_end(corpus.load(row, target_rate=16000)) for row in corpus.table.head(12).itertuples()]
        found[f"{name} final"] = fitting.label_probabilities(final, np.stack(arrays), LABELS)
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        np.savez_compressed(GOLDEN, **probabilities(read_corpus(sys.argv[1]), FeatureCache(folder)))
