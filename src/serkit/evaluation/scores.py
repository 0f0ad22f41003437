"""From out-of-fold predictions to one dictionary of numbers: scores, intervals, calibration, groups.

Everything is computed from counts: one confusion matrix per group, stacked to shape (groups, labels, labels).
Their sum is the confusion matrix of all clips, and a bootstrap resample of speakers is a weighted sum, so 1000
resamples are one matrix product.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pandas as pd

from serkit._version import __version__
from serkit.confusion import scores_of
from serkit.corpora.columns import GROUPS
from serkit.errors import TrainingError
from serkit.evaluation.left_out import mean_over_corpora
from serkit.evaluation.metrics import (
    accuracy_surest_half,
    calibration,
    checked,
    confusions,
    correct_among_surest,
    group_table,
    group_values,
    interval,
    per_class,
    resample,
    resampling_unit,
    spread,
)
from serkit.files import plain

__all__ = ["WHOLE", "environment", "evaluate", "results"]

#: The scores that come with an interval.
INTERVALS = ("accuracy", "uar", "f1_macro", "f1_weighted")
#: The groups that are scored like all clips, with intervals and calibration.
WHOLE = ("channel", "corpus")
#: The packages whose versions may change a result.
PACKAGES = (
    "numpy",
    "scipy",
    "soxr",
    "soundfile",
    "onnxruntime",
    "scikit-learn",
    "imbalanced-learn",
    "torch",
    "skorch",
    "xgboost",
    "xgboost-cpu",
    "librosa",
    "audiomentations",
)
#: What a run may record about itself in :func:`results`.
RUN_INFO = (
    "recipe",
    "recipe_hash",
    "recipe_text",
    "corpus",
    "protocol",
    "split_hash",
    "folds",
    "folds_run",
    "choices",
    "seed",
    "warning",
    "environment",
    "time",
)
#: What only some results contain: those of a finished model on another corpus, of ``corpus+adapted``, and what was
#: noted about the recordings.
SOME_INFO = ("model", "transfer", "adapted", "notes", "broken")


def evaluate(predictions: pd.DataFrame, labels: Sequence[str], *, n_boot: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Score a table of predictions.

    Parameters
    ----------
    predictions : pandas.DataFrame
        One row per test clip with the columns ``path, start, end, copy, fold, emotion`` (the truth),
        ``predicted, confidence`` (the probability of ``predicted``), ``p_<label>`` for each label, and
        ``speaker, sex, channel, intensity, statement, corpus`` (strings, ``""`` where unknown). The order of
        the rows does not matter.
    labels : sequence of str
        The labels in the order of the model; the confusion matrix has the same order.
    n_boot : int, at least 1
        Number of bootstrap resamples behind the intervals.
    seed : int
        Seed of the resamples.

    Returns
    -------
    dict
        Plain Python values, ready for JSON; scores are in [0, 1], or ``None`` where undefined.

        - ``n_clips``, ``n_speakers`` (known ones), ``labels``, ``missing_classes`` (labels that the truth
          lacks)
        - ``accuracy``; ``uar``: unweighted average recall, the mean recall of the classes in the
          truth; ``f1_macro`` over the same classes; ``f1_micro`` (equals the accuracy where each clip has
          one label); ``f1_weighted`` by support
        - ``intervals``: 95 % percentile interval ``[low, high]`` of accuracy, uar, f1_macro and f1_weighted,
          by resampling ``interval_unit`` with replacement: ``"speaker"`` (the cluster bootstrap; clips of
          one voice are not independent draws), or ``"clip"`` where fewer than two speakers are known, which
          is too narrow. Clips of unknown speakers among known ones count as one more speaker. Channels and
          corpora follow the same rule. The interval covers other speakers, not another training run.
        - ``per_class``: for each label ``precision, recall, f1, accuracy, support``. ``accuracy`` is one
          against the rest and too optimistic: with eight balanced classes, never answering "sad" scores 0.875 for
          sad. A class that is never predicted has precision 0; a class missing from the truth has ``None``.
        - ``confusion``: counts, rows truth, columns predicted
        - ``ece``: expected calibration error, 15 equal-width bins of the confidence, open on the left (Guo
          et al., 2017, On calibration of modern neural networks); ``reliability``: its bins;
          ``mean_confidence``
        - ``log_loss`` (natural logarithm, probabilities not below 2.2e-16) and ``brier`` (sum over the
          labels, so 0 to 2; Brier, 1950)
        - ``accuracy_surest_half``: accuracy of the most confident half of the clips;
          ``risk_coverage``: the share of wrong answers at 20 coverages. Clips with equal confidence count in
          proportion, so the order of the rows does not matter.
        - ``groups``: for speaker, sex, intensity, statement, channel, corpus and fold, a table value -> ``n,
          accuracy, uar, classes``; ``uar`` is over the ``classes`` present in that group; unknown values are
          ``"unknown"``; speakers that share a name across corpora are ``corpus/speaker``. Channels and corpora also
          have their own ``intervals`` (of accuracy and uar), ``ece`` and ``accuracy_surest_half``
        - ``mean_over_corpora``: of :func:`serkit.evaluation.left_out.mean_over_corpora`; the headline of the
          protocols ``corpus`` and ``corpus+adapted``
        - ``spread``: over speakers and over folds, mean and standard deviation (ddof 1) of their accuracy
          and UAR

    Raises
    ------
    TrainingError
        If the table is empty, lacks a column or a value, lists a clip twice, has a label that is not in `labels`,
        or has probabilities that do not sum to 1 within 0.001 or disagree with the confidence.

    See Also
    --------
    serkit.run_evaluation : trains and tests a recipe fold by fold and evaluates its predictions.
    serkit.evaluation.report.write_report : the scores as an HTML report.
    serkit.evaluation.paired.paired_test : whether one model is better than another.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"path": ["a.wav", "b.wav", "c.wav"], "start": 0.0, "end": 1.0, "copy": 0,
    ...     "fold": 0, "emotion": ["sad", "sad", "happy"], "predicted": ["sad", "happy", "happy"],
    ...     "confidence": [0.9, 0.6, 0.8], "p_happy": [0.1, 0.6, 0.8], "p_sad": [0.9, 0.4, 0.2],
    ...     "speaker": ["1", "2", "2"], "sex": "", "channel": "", "intensity": "", "statement": "",
    ...     "corpus": ""})
    >>> scores = evaluate(table, ["happy", "sad"])
    >>> scores["uar"], scores["confusion"], scores["interval_unit"]
    (0.75, [[1, 0], [1, 1]], 'speaker')
    """
    labels = list(labels)
    truth, predicted, probabilities = checked(predictions, labels)
    if n_boot < 1:
        raise TrainingError(f"n_boot is {n_boot}: the intervals need at least one resample.")
    n, n_labels = len(predictions), len(labels)
    confidence = probabilities[np.arange(n), predicted]
    correct = (truth == predicted).astype(float)

    values = {column: group_values(predictions, column) for column in GROUPS}
    stacks = {
        column: confusions(truth, predicted, codes, len(names), n_labels) for column, (names, codes) in values.items()
    }
    voices, voice = values["speaker"]
    speakers = [name for name in voices if name != "unknown"]
    confusion = stacks["speaker"].sum(axis=0)
    scores = {name: float(value) for name, value in scores_of(confusion).items()}
    resampled = scores_of(resample(stacks["speaker"], voices, n_boot, seed))
    ece, reliability = calibration(confidence, correct)
    of_truth = probabilities[np.arange(n), truth]
    tiny = np.finfo(np.float64).eps
    sure = correct_among_surest(confidence, correct)
    groups = {column: group_table(values[column][0], stacks[column]) for column in GROUPS}
    for column in WHOLE:
        for k, row in enumerate(groups[column].values()):
            inside = values[column][1] == k
            own = confusions(truth[inside], predicted[inside], voice[inside], len(voices), n_labels)
            again = scores_of(resample(own, voices, n_boot, seed))
            row |= {
                "intervals": {score: interval(again[score]) for score in ("accuracy", "uar")},
                "ece": calibration(confidence[inside], correct[inside])[0],
                "accuracy_surest_half": accuracy_surest_half(confidence[inside], correct[inside]),
            }
    return {
        "n_clips": n,
        "n_speakers": len(speakers),
        "labels": labels,
        "missing_classes": [name for name, k in zip(labels, confusion.sum(axis=1), strict=True) if k == 0],
        "accuracy": scores["accuracy"],
        "uar": scores["uar"],
        "f1_macro": scores["f1_macro"],
        "f1_micro": scores["accuracy"],
        "f1_weighted": scores["f1_weighted"],
        "intervals": {name: interval(resampled[name]) for name in INTERVALS},
        "interval_unit": resampling_unit(voices),
        "interval_level": 0.95,
        "n_boot": n_boot,
        "boot_seed": seed,
        "per_class": per_class(confusion, labels),
        "confusion": confusion.tolist(),
        "ece": ece,
        "reliability": reliability,
        "mean_confidence": float(confidence.mean()),
        "log_loss": float(-np.log(np.clip(of_truth, tiny, 1 - tiny)).mean()),
        "brier": float((probabilities**2).sum(axis=1).mean() - 2 * of_truth.mean() + 1),
        "accuracy_surest_half": accuracy_surest_half(confidence, correct),
        "risk_coverage": [
            {"coverage": share, "risk": 1 - sure(share * n) / (share * n)} for share in (k / 20 for k in range(1, 21))
        ],
        "groups": groups,
        "mean_over_corpora": mean_over_corpora(predictions, labels, n_boot=n_boot, seed=seed),
        "spread": {
            column: spread([row for name, row in groups[column].items() if name != "unknown"])
            for column in ("speaker", "fold")
        },
    }


def results(
    run_info: Mapping[str, Any],
    predictions: pd.DataFrame,
    labels: Sequence[str],
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Make the document for ``results.json``: what was run, on which data, how, and the scores.

    Parameters
    ----------
    run_info : mapping
        Any of ``recipe`` (name), ``recipe_hash``, ``recipe_text`` (the TOML), ``corpus`` (name),
        ``protocol``, ``split_hash``, ``folds`` (number), ``folds_run`` (which of them, from 0), ``choices`` (per
        fold: what a search or ``best_of`` chose), ``seed``, ``warning`` (the leakage warning of the
        protocol), ``environment`` (name -> version; :func:`environment` where absent) and ``time`` (stage ->
        seconds). Missing entries become ``None``. ``model`` and ``transfer``, from
        :func:`serkit.training.transfer.run_transfer`, and ``adapted`` (corpus -> how many of its clips were set aside
        to adapt), ``notes`` (sentences about the recordings) and ``broken`` (what is wrong with those that were left
        out) are included if given.
    predictions, labels, n_boot, seed
        As in :func:`evaluate`; `seed` is for the intervals, and the seed of the run is in `run_info`.

    Returns
    -------
    dict
        ``format`` (1), ``serkit`` (version), ``date`` (UTC, ISO 8601), the entries of `run_info` in the
        order above, and last ``metrics``, the return value of :func:`evaluate`.

    Raises
    ------
    TrainingError
        If `run_info` has an unknown entry, and as :func:`evaluate`.
    """
    unknown = sorted(set(run_info) - {*RUN_INFO, *SOME_INFO})
    if unknown:
        raise TrainingError(f"Unknown run information {unknown}: a results document knows {', '.join(RUN_INFO)}.")
    info = {name: run_info.get(name) for name in RUN_INFO}
    if info["environment"] is None:
        info["environment"] = environment()
    return plain(
        {
            "format": 1,
            "serkit": __version__,
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            **info,
            **{name: run_info[name] for name in SOME_INFO if name in run_info},
            "metrics": evaluate(predictions, labels, n_boot=n_boot, seed=seed),
        }
    )


def environment() -> dict[str, str]:
    """Return the versions that may change a result: Python, platform and the installed learning packages.

    Examples
    --------
    >>> environment()["serkit"]
    '0.1.0'
    """
    found = {
        "serkit": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
