"""The scores of a cross-corpus comparison: a cell for each pair of corpora, with intervals over the tested speakers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from serkit._version import __version__
from serkit.compare.cross_corpus import OTHERS, Part, PartOutcome
from serkit.confusion import scores_of
from serkit.evaluation.left_out import mean_over_corpora
from serkit.evaluation.metrics import (
    confusions,
    drawn_values,
    group_values,
    interval,
    resample,
    resampling_unit,
    shared_names,
)
from serkit.evaluation.scores import environment
from serkit.training import run_folder

if TYPE_CHECKING:
    from serkit.corpora import Corpus

__all__ = ["collect", "to_csv"]

_DRAWS = 1000
_SCORES = ("uar", "accuracy")
_COLUMNS = [
    *("recipe", "adapted", "trained_on", "tested_on", "uar", "uar_low", "uar_high"),
    *("accuracy", "accuracy_low", "accuracy_high", "chance", "labels", "clips", "speakers", "interval_unit", "seeds"),
    "reduced",
]


def collect(outcomes: Sequence[PartOutcome], corpus: Corpus, *, command: str | None = None) -> dict[str, Any]:
    """Collect outcomes into the document for ``cross-corpus.json``.

    Parameters
    ----------
    outcomes : sequence of PartOutcome
    corpus : Corpus
        The joined one.
    command : str, optional
        The command that made them, for the reader.

    Returns
    -------
    dict
        ``format, date, serkit, command, corpus, corpora, environment``; ``recipes`` (name -> hash); ``reduced`` (name
        -> what was cut, for recipes on a reduced schedule); ``seeds``;
        ``cells``, one for each recipe, plain or ``adapted``, training corpus and tested corpus: ``labels`` (shared
        ones, that are scored), ``chance`` (1 / their number), ``n_clips, n_speakers, uar, accuracy`` (means over the
        ``seeds``), ``uar_interval, accuracy_interval`` (95 %; ``interval_unit`` drawn with replacement, the answers of
        all seeds to a speaker together) and, where ``trained_on`` is the tested corpus, scores of voices that the
        model has not heard (protocol ``speaker``); ``means``, one for each recipe, plain or adapted, and training
        corpus: the mean over the other corpora (``n``) with its interval; ``failed``: what has no run, and why;
        ``unscored``: pairs without a score, and why.
    """
    names = sorted(set(corpus.table["corpus"]))
    shared = shared_names(corpus.table, "speaker")
    groups: dict[tuple[str, bool, str], list[tuple[Part, run_folder.Run]]] = {}
    for outcome in outcomes:
        if outcome.run is not None:
            key = (outcome.part.recipe.name, outcome.part.adapted, _source(outcome.part))
            groups.setdefault(key, []).append((outcome.part, outcome.run))
    cells, means, unscored = [], [], []
    for (recipe, adapted, source), members in groups.items():
        head = {"recipe": recipe, "adapted": adapted, "trained_on": source.removeprefix("=")}
        tables = [done.predictions.assign(seed=part.seed) for part, done in members]
        labels = members[0][1].results["metrics"]["labels"]
        table = pd.concat(tables, ignore_index=True)
        tested = [source[1:]] if source.startswith("=") else [name for name in names if name != source]
        for name in tested:
            own = table[table["corpus"] == name]
            if len(own):
                cells.append({**head, "tested_on": name, **_cell(own, labels, shared)})
            else:
                unscored.append({**head, "tested_on": name, "why": _why(corpus, source, name)})
        if len(tested) > 1:
            found = mean_over_corpora(table, labels, shared=shared, n_boot=_DRAWS)
            if found is not None:
                kept = {f"{score}_interval": found["intervals"][score] for score in _SCORES}
                means.append({**head, "n": found["n"], **{score: found[score] for score in _SCORES}, **kept})
    return {
        "format": 1,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "serkit": __version__,
        "command": command,
        "corpus": run_folder.corpus_title(corpus),
        "corpora": {name: int(n) for name, n in corpus.table["corpus"].value_counts().sort_index().items()},
        "environment": environment(),
        "recipes": {outcome.part.recipe.name: outcome.part.recipe.hash for outcome in outcomes},
        "reduced": {outcome.part.recipe.name: outcome.part.reduced for outcome in outcomes if outcome.part.reduced},
        "seeds": sorted({outcome.part.seed for outcome in outcomes}),
        "cells": cells,
        "means": means,
        "unscored": unscored,
        "failed": [
            {
                "recipe": outcome.part.recipe.name,
                "adapted": outcome.part.adapted,
                "trained_on": outcome.part.trained_on,
                "protocol": outcome.part.protocol,
                "seed": outcome.part.seed,
                "error": outcome.error,
            }
            for outcome in outcomes
            if outcome.error is not None
        ],
    }


def _source(part: Part) -> str:
    """What trained; with ``=`` in front where it is the tested corpus too."""
    return f"={part.trained_on}" if part.protocol == "speaker" else part.trained_on


def _cell(table: pd.DataFrame, labels: Sequence[str], shared: set[str]) -> dict[str, Any]:
    """Score the answers of all seeds to the clips of one corpus."""
    truth, said = (pd.Index(labels).get_indexer(table[column]) for column in ("emotion", "predicted"))
    voices, voice = group_values(table, "speaker", shared=shared)
    by_seed, seed = np.unique(table["seed"], return_inverse=True)
    scores = scores_of(confusions(truth, said, seed, len(by_seed), len(labels)))
    together, which = drawn_values(table, voices, voice, several=len(by_seed) > 1)
    stack = confusions(truth, said, which, len(together), len(labels))
    drawn = scores_of(resample(stack, together, _DRAWS, 0))
    given = [label for k, label in enumerate(labels) if (truth == k).any()]
    return {
        "labels": given,
        "chance": 1 / len(given),
        "seeds": [int(one) for one in by_seed],
        "n_clips": len(table) // len(by_seed),
        "n_speakers": sum(name != "unknown" for name in voices),
        "interval_unit": resampling_unit(voices),
        **{score: float(np.mean(scores[score])) for score in _SCORES},
        **{f"{score}_interval": interval(drawn[score]) for score in _SCORES},
    }


def _why(corpus: Corpus, source: str, tested: str) -> str:
    """Why a pair of corpora has no score."""
    table = corpus.table
    given = set(table.loc[table["corpus"] == tested, "emotion"])
    others = table["corpus"] != tested if source == OTHERS else table["corpus"] == source
    both = sorted(given & set(table.loc[others, "emotion"]))
    if len(both) < 2:
        return f"{source} and {tested} share {' and '.join(both) or 'no label'}; at least two labels are needed."
    return f"{tested} is too small to set clips aside to adapt with."


def to_csv(document: Mapping[str, Any]) -> str:
    """Return the cells as CSV, one row each; scores in [0, 1]."""
    rows = []
    for cell in document["cells"]:
        bounds = {
            f"{score}_{side}": cell[f"{score}_interval"][k]
            for score in _SCORES
            for k, side in enumerate(("low", "high"))
        }
        counts = {"clips": cell["n_clips"], "speakers": cell["n_speakers"]}
        lists = {name: ";".join(map(str, cell[name])) for name in ("labels", "seeds")}
        rows.append({**cell, **bounds, **counts, **lists, "reduced": document["reduced"].get(cell["recipe"])})
    text: str = pd.DataFrame(rows, columns=_COLUMNS).to_csv(index=False, lineterminator="\n")
    return text
