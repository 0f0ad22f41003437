"""Is this run better than an earlier one? The paired test over speakers, for two runs of the same split."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from serkit.emotions import in_order
from serkit.errors import TrainingError
from serkit.evaluation.metrics import group_values
from serkit.evaluation.paired import PairedResult, paired_test
from serkit.protocol import Split
from serkit.training.run_folder import Run, read_table

__all__ = ["against", "finished_run"]


def finished_run(
    folder: str | os.PathLike[str],
    split: Split,
    folds: Sequence[int] | None = None,
    *,
    labels: Collection[str] | None = None,
) -> Run:
    """Read a finished run to compare with.

    Parameters
    ----------
    folder : path
        Of ``ser evaluate`` or :func:`serkit.run_evaluation`.
    split : Split
        That of the run that is to be compared.
    folds : sequence of int, optional
        Those of its folds that are run; all by default.
    labels : collection of str, optional
        Those of its clips: a label map may leave the split as it is.

    Raises
    ------
    TrainingError
        If there is no finished run, or it is of another split, other folds or other labels.
    """
    place = Path(folder)
    try:
        document: dict[str, Any] = json.loads((place / "results.json").read_text("utf-8"))
        found, ran, corpus = document["split_hash"], document["folds_run"], document["corpus"]
        protocol, seed, known = document["protocol"], document["seed"], document["metrics"]["labels"]
        predictions = read_table(place / "predictions.csv")
    except (OSError, ValueError, KeyError, TypeError):
        raise TrainingError(
            f"There is no finished run to compare with in {place}: give the folder of a run of 'ser evaluate'."
        ) from None
    if found != split.hash:
        raise TrainingError(
            f"The run in {place} has another split ({protocol}, seed {seed}, {corpus}) than this one "
            f"({split.protocol}, seed {split.seed}, {split.corpus}), so its models learnt from other clips: compare "
            "runs of one split."
        )
    if labels is not None and set(known) != set(labels):
        said = (", ".join(in_order(names)) for names in (known, labels))
        raise TrainingError("The run in {} has the labels {}, and this one {}: use the same.".format(place, *said))
    chosen = sorted(set(range(split.n_folds) if folds is None else folds))
    if ran != chosen:
        said = (", ".join(map(str, numbers)) for numbers in (ran, chosen))
        raise TrainingError("The run in {} has run the folds {}, and this one {}: run the same.".format(place, *said))
    return Run(place, predictions, document)


def against(run: Run, other: Run) -> PairedResult:
    """Compare the accuracy of two runs of the same split, speaker by speaker.

    Parameters
    ----------
    run, other : Run
        A positive difference says that `run` is better.

    Returns
    -------
    PairedResult

    Raises
    ------
    TrainingError
        If fewer than two speakers are known.

    See Also
    --------
    serkit.evaluation.paired.paired_test : the test.
    """
    return paired_test(_by_speaker(run.predictions), _by_speaker(other.predictions))


def _by_speaker(predictions: pd.DataFrame) -> dict[str, float]:
    """The accuracy of each known speaker."""
    names, codes = group_values(predictions, "speaker")
    right = (predictions["emotion"] == predictions["predicted"]).groupby(codes).mean()
    return {name: float(right[k]) for k, name in enumerate(names) if name != "unknown"}
