"""Every corpus against every other: which runs fill the matrix, and the runs themselves, one after another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from serkit.compare.grid import Progress, Splits, finished_or_run, n_folds, read_finished
from serkit.errors import SerkitError, TrainingError
from serkit.protocol import ONE_CORPUS, Split, train_on_one
from serkit.training import run_folder
from serkit.training.recipe_files import reduced

if TYPE_CHECKING:
    from serkit.corpora import Corpus
    from serkit.training.recipe import Recipe

__all__ = ["OTHERS", "Part", "PartOutcome", "finished", "plan", "run", "seconds_left"]

#: What the column of the models that were trained on all corpora but the tested one is called.
OTHERS = "all others"

# Corpora whose joined name is longer are counted in the names of folders, which the file system limits.
_LONGEST = 80


@dataclass(frozen=True)
class Part:
    """One run of the matrix.

    Attributes
    ----------
    recipe : Recipe
    protocol : str
        ``cross-corpus`` and ``cross-corpus+adapted``: one corpus trains, every other one is tested. ``corpus`` and
        ``corpus+adapted``: each in turn is tested by a model of all others. ``speaker``: unheard voices of one corpus.
    seed : int
    trained_on : str
        The corpus that trains, or :data:`OTHERS`.
    reduced : str or None
        What was cut from the recipe, as in "2 of 9 epochs".
    """

    recipe: Recipe
    protocol: str
    seed: int
    trained_on: str
    reduced: str | None = None

    @property
    def adapted(self) -> bool:
        """Whether the model hears unlabelled clips of a tested corpus first."""
        return self.protocol.endswith("+adapted")

    @property
    def title(self) -> str:
        """What it is, for people."""
        how = {"speaker": "its own unheard voices"}.get(self.protocol, "adapted" if self.adapted else "plain")
        return f"{self.recipe.name}, trained on {self.trained_on}, {how}, seed {self.seed}"

    def corpus(self, joined: Corpus) -> Corpus:
        """Return the recordings of this run: all of them, or the training corpus alone."""
        if self.protocol != "speaker":
            return joined
        own = joined.table[joined.table["corpus"] == self.trained_on].reset_index(drop=True)
        return replace(joined, name=self.trained_on, table=own)

    def split(self, joined: Corpus) -> Split:
        """Make its split.

        Raises
        ------
        ProtocolError
            If the corpus is too small for it.
        """
        if self.protocol in ONE_CORPUS:
            return train_on_one(joined, self.trained_on, adapted=self.adapted, seed=self.seed)
        own = self.corpus(joined)
        return Splits(own).make(self.protocol, self.seed)

    def folder(self, root: Path, joined: Corpus) -> Path:
        """Return the folder of its run."""
        name = joined.name
        if len(name) > _LONGEST:
            name = f"{name.count('+') + 1}-corpora-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        source = "" if self.trained_on == OTHERS else f"{self.trained_on}-of-"
        short = f"-e{self.recipe.epochs}" if self.reduced else ""
        return root / f"{self.recipe.name}-{source}{name}-{self.protocol}-{self.seed}{short}"


@dataclass(frozen=True)
class PartOutcome:
    """The outcome of a part: its finished run, or the sentence that says why there is none."""

    part: Part
    run: run_folder.Run | None
    error: str | None = None


def plan(recipes: Sequence[Recipe], corpus: Corpus, seeds: Sequence[int], *, epochs: int | None = None) -> list[Part]:
    """Lay out the runs: for each recipe and seed the column of all others, the matrix and its diagonal.

    Parameters
    ----------
    recipes : sequence of Recipe
        With different names.
    corpus : Corpus
        Two or more joined corpora.
    seeds : sequence of int
    epochs : int, optional
        Train for at most this many epochs: a reduced schedule.

    Raises
    ------
    TrainingError
        If there is one corpus only, a seed is missing, or two recipes have the same name.
    """
    names = sorted(set(corpus.table["corpus"]))
    if len(names) < 2:
        raise TrainingError(
            f"cross-corpus tests each corpus with models of others and needs at least 2, got {names[0]} alone: join "
            "some, as in --corpus ravdess+crema_d."
        )
    if not seeds:
        raise TrainingError("cross-corpus needs a seed: give one, as in --seeds 0.")
    called = [recipe.name for recipe in recipes]
    twice = sorted({name for name in called if called.count(name) > 1})
    if twice:
        raise TrainingError(f"Two recipes are called '{twice[0]}': give each its own name.")
    parts = []
    for whole in recipes:
        recipe, cut = reduced(whole, epochs)
        for seed in dict.fromkeys(seeds):
            for suffix in ("", "+adapted"):
                parts.append(Part(recipe, f"corpus{suffix}", seed, OTHERS, cut))
                parts += [Part(recipe, f"cross-corpus{suffix}", seed, name, cut) for name in names]
            parts += [Part(recipe, "speaker", seed, name, cut) for name in names]
    return parts


def run(
    parts: Sequence[Part], corpus: Corpus, root: Path, *, n_jobs: int = 1, progress: Progress | None = None
) -> Iterator[PartOutcome]:
    """Run the parts one after another; finished ones are read, interrupted ones resumed after their last fold.

    Parameters
    ----------
    parts : sequence of Part
    corpus : Corpus
        The joined one.
    root : Path
        Folder of the runs.
    n_jobs, progress
        As for :func:`serkit.training.run.run_evaluation`.

    Yields
    ------
    PartOutcome
        One per part. A part that fails has an error, and the others continue.
    """
    for part in parts:
        folder = part.folder(root, corpus)
        try:
            split = part.split(corpus)
            done = finished_or_run(
                folder,
                part.recipe,
                part.corpus(corpus),
                split,
                range(split.n_folds),
                n_jobs=n_jobs,
                progress=progress,
            )
            yield PartOutcome(part, done)
        except SerkitError as error:
            yield PartOutcome(part, None, str(error))


def finished(parts: Sequence[Part], corpus: Corpus, root: Path) -> list[PartOutcome]:
    """Read the finished parts without running any; one that cannot be read has an error."""
    found = []
    for part in parts:
        split = partial(part.split, corpus)
        done, error = read_finished(part.folder(root, corpus), part.recipe, part.corpus(corpus), split)
        if done is not None or error is not None:
            found.append(PartOutcome(part, done, error))
    return found


def seconds_left(parts: Sequence[Part], corpus: Corpus, root: Path) -> tuple[int, float | None]:
    """Return how many models are still to be trained, and the seconds for these; None where nothing tells.

    The time for a training clip comes from the finished folds of the same recipe, or of all recipes if it has none.
    """
    spent: dict[str, list[float]] = {}
    todo: list[tuple[str, float]] = []
    for part in parts:
        folder, clips = part.folder(root, corpus), _training_clips(part, corpus)
        for k, number in enumerate(clips):
            if run_folder.finished(folder, k):
                seconds = json.loads((folder / "folds" / f"fold-{k}" / "fold.json").read_text("utf-8"))["seconds"]
                spent.setdefault(part.recipe.name, []).append(float(seconds) / number)
            else:
                todo.append((part.recipe.name, number))
    rates = {name: sum(values) / len(values) for name, values in spent.items()}
    if todo and any(name not in rates for name, _ in todo):
        return len(todo), None
    return len(todo), sum(rates[name] * number for name, number in todo)


def _training_clips(part: Part, corpus: Corpus) -> list[float]:
    """About how many clips each model of a part is trained on."""
    counts = corpus.table["corpus"].value_counts()
    if part.protocol in ONE_CORPUS:
        return [float(counts[part.trained_on])]
    if part.trained_on == OTHERS:
        return [float(counts.sum() - counts[name]) for name in sorted(counts.index)]
    number = max(2, n_folds(part.corpus(corpus), "speaker"))
    return [counts[part.trained_on] * (1 - 1 / number)] * number
