"""The finished cells of a comparison as one document: scores, means over seeds, tests between recipes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from serkit._version import __version__
from serkit.confusion import scores_of
from serkit.evaluation.left_out import chance, headline, mean_over_corpora
from serkit.evaluation.metrics import (
    confusions,
    drawn_values,
    group_table,
    group_values,
    interval,
    resample,
    resampling_unit,
    shared_names,
)
from serkit.evaluation.paired import MIN_SPEAKERS, holm, paired_test
from serkit.evaluation.scores import environment
from serkit.protocol import LEAVES_OUT
from serkit.training import run_folder

if TYPE_CHECKING:
    from serkit.compare.cells import Cell, Outcome
    from serkit.corpora import Corpus

__all__ = ["collect"]


def collect(
    outcomes: Sequence[Outcome],
    corpus: Corpus,
    *,
    command: str | None = None,
    earlier: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Collect outcomes into the document for ``results.json``.

    Parameters
    ----------
    outcomes : sequence of Outcome
    corpus : Corpus
    command : str, optional
        The command that made them, for the reader.
    earlier : mapping, optional
        A document of another comparison, checked by :func:`serkit.compare.earlier.read`. Its rows stay, except those
        that ``outcomes`` replace.

    Returns
    -------
    dict
        ``format``, ``date``, ``serkit``, ``command``, ``corpus``, ``environment``; ``grid``, the planned runs, one per
        recipe; ``cells``, one per run; ``rows``, one per recipe and protocol: means over the seeds with 95 % intervals
        (the clips of all seeds; ``interval_unit``, speakers or clips, drawn with replacement; under ``corpus`` and
        ``corpus+adapted`` means over the corpora left out, speakers drawn within each, and so is ``chance``, the UAR of
        always giving the same answer; ``recall`` is None for a label that no test clip has; ``adapted``, under
        ``corpus+adapted`` only, counts the clips to adapt with), and
        ``against_best``, the test against the best recipe of the protocol (None for itself, or with fewer than two
        shared speakers); ``best``, protocol -> that recipe; ``paired``, the tests of all pairs under ``speaker``;
        ``failed``, the cells without a run. ``written`` in a row names the command that measured it, with date and
        version. p-values are adjusted for all pairs of recipes under the protocol (Holm, 1979): ``p_holm``.
    """
    done = [(outcome.cell, outcome.run) for outcome in outcomes if outcome.run is not None]
    failed = [
        {**_titles(outcome.cell), "seed": outcome.cell.seed, "error": outcome.error}
        for outcome in outcomes
        if outcome.error is not None
    ]
    by_row: dict[tuple[str, str], list[tuple[Cell, run_folder.Run]]] = {}
    for cell, finished in done:
        by_row.setdefault((cell.recipe.name, cell.protocol), []).append((cell, finished))
    shared = shared_names(corpus.table, "speaker")
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    written = {"command": command, "date": now, "serkit": __version__}
    cells = [_cell(cell, finished, shared) for cell, finished in done]
    rows = [{**_row(members, shared), "written": written} for members in by_row.values()]
    planned = {o.cell.recipe.name: asdict(o.cell.row) | {"recipe": o.cell.recipe.name} for o in outcomes}
    if earlier is not None:
        ran = {(outcome.cell.recipe.name, outcome.cell.protocol) for outcome in outcomes}
        kept = _but(earlier["rows"], by_row)
        rows = [{"written": {key: earlier[key] for key in written}, **row} for row in kept] + rows
        cells = _but(earlier["cells"], by_row) + cells
        failed = _but(earlier["failed"], ran) + failed
        planned = {entry["recipe"]: entry for entry in earlier["grid"]} | planned
    best, tests = {}, {}
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        best[protocol] = _best([row for row in rows if row["protocol"] == protocol])
        tests[protocol] = _paired([cell for cell in cells if cell["protocol"] == protocol])
    for row in rows:
        row["against_best"] = _against(row["recipe"], best[row["protocol"]], tests[row["protocol"]])
    return {
        "format": 1,
        "date": now,
        "serkit": __version__,
        "command": command,
        "corpus": run_folder.corpus_title(corpus),
        "environment": environment(),
        "grid": list(planned.values()),
        "cells": cells,
        "rows": rows,
        "best": best,
        "paired": tests.get("speaker", []),
        "failed": failed,
    }


def _but(entries: Iterable[Mapping[str, Any]], replaced: Collection[tuple[str, str]]) -> list[Any]:
    """Entries of an earlier comparison, without those of these recipes and protocols."""
    return [entry for entry in entries if (entry["recipe"], entry["protocol"]) not in replaced]


def _titles(cell: Cell) -> dict[str, Any]:
    return {
        "recipe": cell.recipe.name,
        "system": cell.recipe.system or "serkit",
        "reported": cell.row.reported,
        "reported_as": cell.row.reported_as,
        "protocol": cell.protocol,
    }


def _cell(cell: Cell, finished: run_folder.Run, shared: Collection[str]) -> dict[str, Any]:
    document = finished.results
    metrics = headline(document)
    return {
        **_titles(cell),
        "recipe_hash": document["recipe_hash"],
        **{key: document[key] for key in ("seed", "split_hash", "folds", "folds_run", "warning", "date")},
        "reduced": cell.reduced,
        "n_clips": metrics["n_clips"],
        **{key: metrics[key] for key in ("accuracy", "uar", "f1_macro", "f1_weighted", "intervals", "ece")},
        "recall": {label: scores["recall"] for label, scores in metrics["per_class"].items()},
        "channels": metrics["groups"]["channel"],
        "corpora": metrics["groups"]["corpus"],
        "speakers": _by_voice(finished.predictions, metrics["labels"], shared),
        "choices": document["choices"],
        "seconds": document["time"]["folds"],
        **_adapted(document),
    }


def _adapted(document: Mapping[str, Any]) -> dict[str, Any]:
    """How many clips of each corpus the results were adapted with; {} where nothing was adapted."""
    return {"adapted": document["adapted"]} if document.get("adapted") else {}


def _by_voice(table: pd.DataFrame, labels: Sequence[str], shared: Collection[str]) -> dict[str, Any]:
    """The scores of each speaker of some predictions."""
    names, codes = group_values(table, "speaker", shared=shared)
    return group_table(names, _stack(table, labels, names, codes))


def _stack(table: pd.DataFrame, labels: Sequence[str], names: Sequence[str], codes: np.ndarray) -> np.ndarray:
    """The confusion matrix of each group of predictions: (n_groups, n_labels, n_labels)."""
    truth, said = (pd.Index(labels).get_indexer(table[name]) for name in ("emotion", "predicted"))
    return confusions(truth, said, codes, len(names), len(labels))


def _row(members: Sequence[tuple[Cell, run_folder.Run]], shared: Collection[str]) -> dict[str, Any]:
    cell, first = members[0]
    documents = [headline(finished.results) for _, finished in members]
    tables = pd.concat([finished.predictions for _, finished in members], ignore_index=True)
    labels = first.results["metrics"]["labels"]
    speakers, codes = group_values(tables, "speaker", shared=shared)
    together, which = drawn_values(tables, speakers, codes, several=len(members) > 1)
    again = resample(_stack(tables, labels, together, which), together, 1000, 0)
    drawn = {score: interval(v) for score, v in scores_of(again).items()}
    means = mean_over_corpora(tables, labels, shared=shared) if cell.protocol in LEAVES_OUT else None
    if means is not None:
        drawn = means["intervals"]
    recalls = {label: _mean(m["per_class"][label]["recall"] for m in documents) for label in labels}
    tested = {label: recall for label, recall in recalls.items() if recall is not None}
    lowest = min(tested, key=tested.__getitem__)
    channels = dict.fromkeys(channel for m in documents for channel in m["groups"]["channel"])
    row: dict[str, Any] = {
        **_titles(cell),
        "seeds": [member.seed for member, _ in members],
        "folds_run": len(cell.folds),
        "folds": first.results["folds"],
        "warning": first.results["warning"],
        "reduced": cell.reduced,
        "n_speakers": sum(name != "unknown" for name in speakers),
        "interval_unit": resampling_unit(speakers),
        "chance": float(np.mean([chance(finished.results) for _, finished in members])),
        "recall": recalls,
        "lowest": {"label": lowest, "recall": recalls[lowest]},
        "channels": {
            channel: {
                score: _mean(m["groups"]["channel"].get(channel, {}).get(score) for m in documents)
                for score in ("accuracy", "uar")
            }
            for channel in channels
        },
        **_adapted(first.results),
    }
    for score in ("accuracy", "uar", "f1_macro", "f1_weighted", "ece"):
        values = [metrics[score] for metrics in documents]
        row[score] = float(np.mean(values))
        row[f"{score}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
        if score in drawn:
            row[f"{score}_interval"] = drawn[score]
    return row


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that there are; None where there are none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _best(rows: Sequence[Mapping[str, Any]]) -> str:
    """The recipe with the highest accuracy; whole runs go before reduced ones."""
    first = max(rows, key=lambda row: (row["reduced"] is None, row["folds_run"], row["accuracy"]))
    return str(first["recipe"])


def _against(recipe: str, best: str, tests: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The test of ``recipe`` against ``best``; a negative difference says that it is worse."""
    for test in tests:
        if {test["a"], test["b"]} == {recipe, best}:
            sign = 1 if test["a"] == recipe else -1
            low, high = sorted((sign * test["low"], sign * test["high"]))
            said = {key: test[key] for key in ("seeds", "p_value", "p_holm", "n_speakers")}
            return {"best": best, "difference": sign * test["difference"], "low": low, "high": high, **said}
    return None


def _paired(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every pair of recipes on the seeds and speakers that both were tested with."""
    by_recipe: dict[str, dict[int, Mapping[str, Any]]] = {}
    for cell in cells:
        by_recipe.setdefault(cell["recipe"], {})[cell["seed"]] = cell["speakers"]
    tests: list[dict[str, Any]] = []
    for a, b in combinations(by_recipe, 2):
        seeds = sorted(set(by_recipe[a]) & set(by_recipe[b]))
        sides = [_by_speaker([by_recipe[name][seed] for seed in seeds]) for name in (a, b)]
        shared = set(sides[0]) & set(sides[1])
        if len(shared) < MIN_SPEAKERS:
            continue
        result = paired_test(*({speaker: side[speaker] for speaker in shared} for side in sides))
        tests.append({"a": a, "b": b, "seeds": seeds, **vars(result)})
    for test, p_value in zip(tests, holm([test["p_value"] for test in tests]), strict=True):
        test["p_holm"] = p_value
    return tests


def _by_speaker(tables: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Each speaker's accuracy, averaged over the seeds in which the speaker was tested."""
    found: dict[str, list[float]] = {}
    for table in tables:
        for speaker, scores in table.items():
            if speaker == "unknown":  # any number of people
                continue
            found.setdefault(speaker, []).append(scores["accuracy"])
    return {speaker: float(np.mean(values)) for speaker, values in found.items()}
