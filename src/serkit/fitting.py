"""Recipe + arrays -> fitted pipeline -> probabilities by label: what an evaluation and a final training share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.preprocessing import StandardScaler

from serkit.emotions import LABELS
from serkit.errors import TrainingError
from serkit.models import MODELS, build
from serkit.models.classical import TemperatureScaled

if TYPE_CHECKING:
    from serkit.corpora import Corpus
    from serkit.recipe import Recipe

__all__ = [
    "Scaler",
    "as_input",
    "check_classes",
    "corpus_labels",
    "fit",
    "label_probabilities",
    "make_pipeline",
    "speaker_statistics",
    "standardise",
]

Progress = Callable[[dict[str, Any]], None]
Statistics = tuple[np.ndarray, np.ndarray]


class Scaler(StandardScaler):
    """scikit-learn's StandardScaler, in float32 all the way: the same bits as Sub and Div of an ONNX graph.

    XGBoost cuts at values of training clips, so one bit of difference in front of it sends clips down other branches:
    with skl2onnx's scaler, which multiplies by the reciprocal, probabilities were wrong by several percent.
    """

    def transform(self, X: np.ndarray, copy: bool | None = None) -> np.ndarray:
        """Return (X - mean) / scale, float32 of shape (n, d); ``X`` is left as it is, whatever ``copy`` says."""
        return (X.astype(np.float32) - self.mean_.astype(np.float32)) / self.scale_.astype(np.float32)


def corpus_labels(corpus: Corpus) -> list[str]:
    """The labels that ``corpus`` holds, in RAVDESS order.

    Raises
    ------
    TrainingError
        If a label is none of the eight, or fewer than two are there.
    """
    present = set(corpus.table["emotion"])
    unknown = sorted(present - set(LABELS))
    if unknown:
        raise TrainingError(
            f"The corpus {corpus.name} has labels that no recipe knows: {', '.join(map(repr, unknown))}; "
            f"expected some of {', '.join(LABELS)}."
        )
    if len(present) < 2:
        raise TrainingError(
            f"The corpus {corpus.name} holds {len(present)} label(s), {', '.join(sorted(present)) or 'none'}: "
            "at least two are needed to tell apart."
        )
    return [label for label in LABELS if label in present]


def check_classes(recipe: Recipe, y: Sequence[str], labels: Sequence[str], *, where: str) -> None:
    """Raise TrainingError if a label is missing from the training clips, or is too rare for SMOTE."""
    counts = Counter(y)
    missing = [label for label in labels if not counts[label]]
    if missing:
        raise TrainingError(
            f"{where} has no training clip of {', '.join(missing)}, which the corpus does hold: use fewer folds, "
            "another seed, or more clips of it."
        )
    if recipe.balance.kind != "smote":
        return
    k = recipe.balance.k_neighbors
    rarest = min(labels, key=lambda label: counts[label])
    if counts[rarest] <= k and counts[rarest] < max(counts.values()):
        raise TrainingError(
            f"{where} has {counts[rarest]} training clip(s) of {rarest}, and SMOTE with {k} neighbours needs at least "
            f"{k + 1}: lower k_neighbors in [balance], or use kind 'none' or 'class_weight'."
        )


def make_pipeline(recipe: Recipe, labels: Sequence[str], *, seed: int, n_jobs: int = 1) -> Pipeline:
    """The unfitted pipeline of ``recipe``: scaler, selection and SMOTE (for vectors), estimator last."""
    model = build(recipe.model, labels=labels, seed=seed, class_weight=recipe.balance.kind == "class_weight")
    if MODELS[recipe.model.name].threads:
        model.set_params(n_jobs=n_jobs)
    if recipe.validation.use != "none" and not getattr(model, "uses_validation", False):
        model = TemperatureScaled(model)
    steps: list[tuple[str, Any]] = []
    if recipe.features.layout != "frames":
        steps.append(("scale", Scaler()))
    if recipe.select is not None:
        steps.append(("select", SelectKBest(f_classif, k=recipe.select.k)))
    if recipe.balance.kind == "smote":
        steps.append(("balance", SMOTE(k_neighbors=recipe.balance.k_neighbors, random_state=seed)))
    return Pipeline([*steps, ("model", model)])


def fit(
    pipeline: Pipeline,
    X: np.ndarray,
    y: np.ndarray,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    progress: Progress | None = None,
) -> Pipeline:
    """Fit ``pipeline`` in place; everything in front of the estimator sees ``X`` and ``y`` only.

    Raises
    ------
    TrainingError
        If the estimator refuses the data.
    """
    model = pipeline.steps[-1][1]
    try:
        if not getattr(model, "uses_validation", False):
            pipeline.fit(X, y)
        else:
            for _, step in pipeline.steps[:-1]:
                if hasattr(step, "fit_resample"):
                    X, y = step.fit_resample(X, y)
                else:
                    X = step.fit_transform(X, y)
                    validation = validation and (step.transform(validation[0]), validation[1])
            model.fit(X, y, validation=validation, progress=progress)
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{type(model).__name__} cannot be fitted: {' '.join(str(error).split())}") from error
    # Forests add up their trees in the order in which the threads finish; one thread always gives the same bits.
    fitted = getattr(model, "estimator_", model)
    if getattr(fitted, "n_jobs", None) is not None:
        fitted.set_params(n_jobs=1)
    return pipeline


def label_probabilities(pipeline: Pipeline, X: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Probabilities (n, n_labels), float64, columns found by name and put in the order of ``labels``."""
    probabilities = np.asarray(pipeline.predict_proba(X), dtype=np.float64)
    column = {str(label): k for k, label in enumerate(pipeline.classes_)}
    if set(column) != set(labels):
        raise TrainingError(f"The model knows the labels {sorted(column)}, expected {sorted(labels)}.")
    return probabilities[:, [column[label] for label in labels]]


def as_input(arrays: Sequence[np.ndarray], layout: str) -> np.ndarray:
    """What an estimator takes: (n, d) for vectors, an object array (n,) of (bands, frames) for ``frames``."""
    if layout != "frames":
        return np.stack(arrays)
    X = np.empty(len(arrays), dtype=object)
    X[:] = [np.ascontiguousarray(array) for array in arrays]
    return X


def speaker_statistics(arrays: Sequence[np.ndarray], speakers: Sequence[str]) -> dict[str, Statistics]:
    """Mean and standard deviation of each speaker's features.

    Parameters
    ----------
    arrays : sequence of np.ndarray
        One a clip: vectors (d,), or frames (bands, n_frames), of which every frame counts as one.
    speakers : sequence of str
        One a clip.

    Returns
    -------
    dict
        speaker -> (mean, std), float64 of shape (d,) or (bands, 1); a feature that does not vary has std 1.
    """
    by_speaker: dict[str, list[np.ndarray]] = {}
    for array, speaker in zip(arrays, speakers, strict=True):
        by_speaker.setdefault(speaker, []).append(array if array.ndim == 2 else array[:, None])
    found = {}
    for speaker, parts in by_speaker.items():
        frames = np.concatenate(parts, axis=1, dtype=np.float64)
        std = frames.std(axis=1, keepdims=True)
        mean = frames.mean(axis=1, keepdims=True)
        shape = (-1, 1) if arrays[0].ndim == 2 else (-1,)
        flat = std <= 1e-6 * np.maximum(1, np.abs(mean))
        found[speaker] = (mean.reshape(shape), np.where(flat, 1.0, std).reshape(shape))
    return found


def standardise(
    arrays: Sequence[np.ndarray], speakers: Sequence[str], statistics: Mapping[str, Statistics]
) -> list[np.ndarray]:
    """Each clip with its speaker's mean taken off, in units of its speaker's standard deviation; float32."""
    result = []
    for array, speaker in zip(arrays, speakers, strict=True):
        if speaker not in statistics:
            raise TrainingError(f"The speaker {speaker!r} has no enrolment clips, and 'speaker+enrolled' needs some.")
        mean, std = statistics[speaker]
        result.append(((array - mean) / std).astype(np.float32))
    return result
