"""Scores of a submission, and paired tests over speakers against serkit's own results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np

from serkit.errors import TrainingError
from serkit.evaluation.metrics import group_values
from serkit.evaluation.paired import MIN_SPEAKERS, holm, paired_test
from serkit.evaluation.scores import WHOLE, results
from serkit.evaluation.submission import Submission

__all__ = ["compare", "our_rows", "score"]

#: Metrics that need probabilities.
OF_PROBABILITIES = (
    "ece",
    "reliability",
    "mean_confidence",
    "log_loss",
    "brier",
    "accuracy_surest_half",
    "risk_coverage",
)


def score(submission: Submission, name: str) -> dict[str, Any]:
    """Score predictions.

    Parameters
    ----------
    submission : Submission
    name : str
        Name of the predictions, used in place of a recipe's name.

    Returns
    -------
    dict
        As :func:`serkit.evaluation.scores.results`, with ``yardstick`` (its hash), ``channel``, ``probabilities`` and
        ``notes``. Without probabilities, the metrics that need them are None.
    """
    yardstick = submission.yardstick
    channels = "+".join(sorted(set(submission.table["channel"]), reverse=True))
    info = {
        "recipe": name,
        "corpus": f"{yardstick.corpus} {channels}",
        "protocol": yardstick.protocol,
        "folds": yardstick.n_folds,
        "folds_run": list(range(yardstick.n_folds)),
        "seed": yardstick.seed,
    }
    document = results(info, submission.table, yardstick.labels)
    if not submission.probabilities:
        metrics = document["metrics"]
        for row in (metrics, *(row for column in WHOLE for row in metrics["groups"][column].values())):
            row |= {name: None for name in OF_PROBABILITIES if name in row}
    return document | {
        "yardstick": yardstick.hash,
        "channel": submission.channel,
        "probabilities": submission.probabilities,
        "notes": submission.notes,
    }


def our_rows(document: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the scores of serkit's recipes, one row per recipe, protocol and seed.

    Parameters
    ----------
    document : mapping, optional
        The ``results.json`` of ``ser compare``; default: the one that ships with serkit, if any.

    Returns
    -------
    list of dict
        Its cells, each with the ``corpus``; [] if there is no document.
    """
    if document is None:
        file = resources.files("serkit.protocol.yardstick") / "results.json"
        if not file.is_file():
            return []
        document = json.loads(file.read_text(encoding="utf-8"))
    return [{**cell, "corpus": document["corpus"]} for cell in document["cells"]]


def compare(
    submission: Submission, rows: Sequence[Mapping[str, Any]], *, against: str | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Test a submission against rows from the same folds, paired by speaker.

    The test compares the accuracy of each speaker. If a row covers only some folds, only the submission's clips of
    these folds are compared with it.

    Parameters
    ----------
    submission : Submission
    rows : sequence of mapping
        As of :func:`our_rows`. Rows of another corpus, protocol or seed are left out.
    against : str, optional
        Compare only with this recipe.

    Returns
    -------
    rows : list of dict
        ``recipe``, ``folds`` (of how many), ``reduced`` (None, or how the schedule was cut), ``accuracy`` of the
        submission and ``accuracy_ours`` on the same clips, ``difference`` (mean over speakers, the submission's minus
        ours), its 95 % interval ``low`` and ``high``, ``p_value``, ``p_holm`` (adjusted for all tested rows)
        and ``n_speakers``. See :func:`serkit.evaluation.paired.paired_test`.
    notes : list of str
        Why a row could not be tested.

    Raises
    ------
    TrainingError
        If no row belongs to `against`.
    """
    yardstick = submission.yardstick
    fits = [
        row
        for row in rows
        if (str(row["corpus"]).split(" ")[0], row["protocol"], row["seed"])
        == (yardstick.corpus, yardstick.protocol, yardstick.seed)
    ]
    if against is not None:
        known = sorted({str(row["recipe"]) for row in fits})
        fits = [row for row in fits if row["recipe"] == against]
        if not fits:
            there = f"the recipes are {', '.join(known)}" if known else "there are no results for it"
            raise TrainingError(f"There are no results of {against} for {yardstick.name}: {there}.")
    tested: list[dict[str, Any]] = []
    notes: list[str] = []
    other: list[str] = []
    table = submission.table.assign(right=submission.table["predicted"] == submission.table["emotion"])
    for row in fits:
        part = table[table["fold"].isin(row["folds_run"])]
        names, codes = group_values(part, "speaker")
        own = part["right"].groupby(np.array(names)[codes])
        ours = row["speakers"]
        if {name: int(n) for name, n in own.size().items()} != {name: cell["n"] for name, cell in ours.items()}:
            other.append(str(row["recipe"]))
            continue
        known = [name for name in names if name != "unknown"]
        if len(known) < MIN_SPEAKERS:
            notes.append(f"{row['recipe']} is not compared: fewer than two speakers of its test clips are known.")
            continue
        right = own.mean()
        result = paired_test({name: right[name] for name in known}, {name: ours[name]["accuracy"] for name in known})
        tested.append(
            {
                "recipe": row["recipe"],
                "folds": len(row["folds_run"]),
                "reduced": row["reduced"],
                "accuracy": float(part["right"].mean()),
                "accuracy_ours": row["accuracy"],
                **vars(result),
            }
        )
    if other:
        notes.append(f"Not compared, because scored on other clips: {', '.join(other)}.")
    for row, p_value in zip(tested, holm([row["p_value"] for row in tested]), strict=True):
        row["p_holm"] = p_value
    return tested, notes
