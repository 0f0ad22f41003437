"""Measure the recipes of the models that ship, into docs/scores/: ``make scores SERKIT_DATA=folder``.

Every result is that of ``ser evaluate`` with the recipe, corpora, protocol and seed in its name. One that is there,
made by the recipe as it is now, is not made again, and an interrupted run continues after its last finished fold.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from serkit.corpora import Corpus, read_corpus
from serkit.corpora.known import with_known_labels
from serkit.protocol import make_split
from serkit.training.recipe_files import load_recipe
from serkit.training.run import run_evaluation
from serkit.waiting import Waiting

SCORES = Path(__file__).resolve().parent / "scores"
SIX = "ravdess+crema_d+nemo+emospeech+banglaser+resd"
FREE = "crema_d+banglaser+resd"
VOICES, PLACES = ("speaker", "speaker+enrolled"), ("corpus", "corpus+adapted")


class Measurement(NamedTuple):
    """One run of ``ser evaluate`` for each protocol and seed."""

    recipe: str
    corpus: str
    protocols: tuple[str, ...]
    channel: str = "both"
    seeds: tuple[int, ...] = (0, 1, 2)


MEASUREMENTS = (
    Measurement("default", SIX, VOICES + PLACES),
    Measurement("fast", SIX, VOICES + PLACES),
    Measurement("open", FREE, VOICES),
    Measurement("default", "ravdess", ("emobox",), "speech"),
)


def target(recipe: str, corpus: str, protocol: str, seed: int) -> Path:
    """Return the file of a result."""
    part = "" if "+" in corpus else f"{corpus}-"
    return SCORES / f"{recipe}-{part}{protocol.replace('+', '-')}-{seed}.json"


def measure(one: Measurement, protocol: str, seed: int, data: Path, runs: Path) -> None:
    """Run one evaluation and keep its results."""
    recipe = load_recipe(one.recipe)
    file = target(one.recipe, one.corpus, protocol, seed)
    if file.is_file() and json.loads(file.read_text("utf-8"))["recipe_hash"] == recipe.hash:
        return
    print(f"{file.name}", flush=True)
    corpus = _read(data, one.corpus, one.channel)
    folder = runs / f"{file.stem}-{recipe.hash[:8]}"
    split = make_split(corpus, protocol, seed=seed)
    with Waiting() as waiting:
        run = run_evaluation(
            recipe, corpus, split, folder, resume=folder.is_dir(), n_jobs=os.cpu_count() or 1, progress=waiting
        )
    SCORES.mkdir(exist_ok=True)
    shutil.copy(run.folder / "results.json", file)


def _read(data: Path, names: str, channel: str) -> Corpus:
    return with_known_labels(read_corpus(data, kind=names, channel=channel))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with the folders of the corpora")
    parser.add_argument("--recipe", action="append", help="this one only; may be repeated")
    parser.add_argument("--protocol", action="append", help="this one only; may be repeated")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs are kept while they last")
    given = parser.parse_args()
    for one in MEASUREMENTS:
        for seed, protocol in itertools.product(one.seeds, one.protocols):
            if one.recipe in (given.recipe or [one.recipe]) and protocol in (given.protocol or [protocol]):
                measure(one, protocol, seed, given.data, given.runs)


if __name__ == "__main__":
    main()
