"""Recipe + arrays -> fitted pipeline -> probabilities by label: shared by evaluations and final trainings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectFromModel, SelectKBest, f_classif
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted, validate_data

from serkit.emotions import in_order
from serkit.errors import TrainingError
from serkit.models import COMBINED, MODELS, build
from serkit.models.classical import TemperatureScaled

if TYPE_CHECKING:
    from serkit.corpora import Corpus
    from serkit.training.recipe import Recipe, Select

__all__ = [
    "Scaler",
    "as_input",
    "check_classes",
    "corpus_labels",
    "fit",
    "known_labels",
    "label_probabilities",
    "make_pipeline",
    "restrict",
    "speaker_statistics",
    "standardise",
    "told_apart",
]

Progress = Callable[[dict[str, Any]], None]
Statistics = tuple[np.ndarray, np.ndarray]

# Messages of torch and XGBoost about CPU and GPU memory, and of joblib when the system kills a search's process
_NO_MEMORY = (
    "not enough memory",
    "out of memory",
    "can't allocate memory",
    "bad_alloc",
    "ALLOC_FAILED",
    "excessive memory usage",
)


class Scaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """scikit-learn's StandardScaler, in float32 throughout: the same bits as Sub and Div of an ONNX graph.

    XGBoost splits at values of training clips, so a difference of one bit sends clips down other branches:
    with skl2onnx's scaler, which multiplies by the reciprocal, probabilities were wrong by several percent.

    Parameters
    ----------
    rows : int, optional
        Take all values of a row of the flat matrix (rows, frames) together: one mean and one standard deviation each.

    Attributes
    ----------
    mean_, var_, scale_ : ndarray of shape (d,), float64
        ``scale_`` is the standard deviation, or 1 for constant features.
    """

    mean_: np.ndarray
    var_: np.ndarray
    scale_: np.ndarray

    def __init__(self, rows: int | None = None) -> None:
        self.rows = rows

    def fit(self, X: np.ndarray, y: Any = None) -> Scaler:
        """Learn means and standard deviations of ``X`` (n, d)."""
        found = StandardScaler().fit(validate_data(self, X, dtype=[np.float32, np.float64]))
        self.mean_, self.var_, self.scale_ = found.mean_, found.var_, found.scale_
        if self.rows is not None:
            mean, square = (v.reshape(self.rows, -1) for v in (self.mean_, self.var_ + self.mean_**2))
            frames = mean.shape[1]
            of_row = mean.mean(1)
            variance = np.maximum(square.mean(1) - of_row**2, 0)
            scale = np.where(variance > 1e-12 * np.maximum(1, of_row**2), np.sqrt(variance), 1.0)
            self.mean_, self.var_, self.scale_ = (np.repeat(v, frames) for v in (of_row, variance, scale))
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return (X - mean) / scale, float32 of shape (n, d); ``X`` is not changed."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return (X.astype(np.float32) - self.mean_.astype(np.float32)) / self.scale_.astype(np.float32)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def corpus_labels(corpus: Corpus) -> list[str]:
    """The labels that ``corpus`` holds: the eight in RAVDESS order, then others by alphabet.

    Raises
    ------
    TrainingError
        If fewer than two are there.
    """
    present = set(corpus.table["emotion"])
    if len(present) < 2:
        raise TrainingError(
            f"The corpus {corpus.name} holds {len(present)} label(s), {', '.join(sorted(present)) or 'none'}: "
            "at least two are needed."
        )
    return in_order(present)


def known_labels(
    corpora: Sequence[str], emotions: Sequence[str], labels: Sequence[str]
) -> dict[str, np.ndarray] | None:
    """Which labels each corpus of a joined one gives at all.

    Parameters
    ----------
    corpora, emotions : sequence of str
        Corpus and emotion of every clip.
    labels : sequence of str

    Returns
    -------
    dict or None
        corpus -> boolean array (n_labels,); None if all of them give every label.

    Examples
    --------
    >>> known_labels(["a", "a", "b"], ["sad", "calm", "sad"], ["sad", "calm"])
    {'a': array([ True,  True]), 'b': array([ True, False])}
    """
    given: dict[str, set[str]] = {}
    for corpus, emotion in zip(corpora, emotions, strict=True):
        given.setdefault(corpus, set()).add(emotion)
    found = {corpus: np.array([label in own for label in labels]) for corpus, own in given.items()}
    return None if all(known.all() for known in found.values()) else found


def restrict(probabilities: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Probabilities over the labels that a clip could have had: the others become 0, the rest sums to 1 again.

    Parameters
    ----------
    probabilities : np.ndarray, shape=(n, n_labels)
    known : np.ndarray of bool, shape=(n, n_labels) or (n_labels,)
        The labels to keep. A row that keeps all of them is not changed, and neither is one that would keep fewer than
        two: with one label, any answer would be right.

    Returns
    -------
    np.ndarray, float64, shape=(n, n_labels)
        If a model gives no probability to the labels that are kept, they get equal shares.

    Examples
    --------
    >>> restrict(np.array([[0.5, 0.3, 0.2]]), np.array([False, True, True]))
    array([[0. , 0.6, 0.4]])
    """
    known = told_apart(np.broadcast_to(known, probabilities.shape))
    stay = known.sum(axis=1, keepdims=True)
    kept = np.where(known, np.maximum(probabilities, 0), 0).astype(np.float64)  # a softmax may fall 1e-7 below 0
    total = kept.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, kept / np.where(total > 0, total, 1), known / stay)
    return np.where(stay < known.shape[1], shares, probabilities)


def told_apart(known: np.ndarray) -> np.ndarray:
    """The labels that each clip is scored over: those that it could have had, or all where these are fewer than two.

    Parameters
    ----------
    known : np.ndarray of bool, shape=(n, n_labels)

    Returns
    -------
    np.ndarray of bool, shape=(n, n_labels)

    Examples
    --------
    >>> told_apart(np.array([[True, True, False], [True, False, False]]))
    array([[ True,  True, False],
           [ True,  True,  True]])
    """
    return np.asarray(known | (known.sum(axis=1, keepdims=True) < 2))


def check_classes(recipe: Recipe, y: Sequence[str], labels: Sequence[str], *, where: str) -> None:
    """Raise TrainingError if a label is missing from the training clips, or is too rare for SMOTE."""
    counts = Counter(y)
    missing = [label for label in labels if not counts[label]]
    if missing:
        raise TrainingError(
            f"{where} has no training clip of {', '.join(missing)}, which the corpus has: use fewer folds, "
            "another seed, or more clips of it."
        )
    if not recipe.balance.smote:
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
    sampler = None
    if recipe.balance.smote:
        sampler = SMOTE(k_neighbors=recipe.balance.k_neighbors, random_state=seed)
    # A search resamples inside its folds: neighbours across them would leak the clips that it scores.
    name = recipe.model.name
    inside = recipe.model.search is not None or name in COMBINED or MODELS[name].samples
    model = build(
        recipe.model,
        labels=labels,
        seed=seed,
        class_weight=recipe.balance.class_weight,
        rows=recipe.rows,
        sampler=sampler if inside else None,
        n_jobs=n_jobs,
    )
    tempered = recipe.validation.use != "none" or recipe.calibration is not None
    if tempered and not getattr(model, "uses_validation", False):
        model = TemperatureScaled(model, labels=list(labels))
    steps: list[tuple[str, Any]] = []
    if recipe.layout != "frames" and recipe.scale != "none":
        steps.append(("scale", Scaler(recipe.rows if recipe.scale == "row" else None)))
    if recipe.select is not None:
        steps.append(("select", _selector(recipe.select, seed)))
    if sampler is not None and not inside:
        steps.append(("balance", sampler))
    return Pipeline([*steps, ("model", model)])


def _selector(select: Select, seed: int) -> Any:
    if select.kind == "anova":
        return SelectKBest(f_classif, k=select.k)
    if select.kind == "l1":
        return SelectFromModel(
            LinearSVC(penalty="l1", dual=False, C=select.c, max_iter=5000, random_state=seed), max_features=select.k
        )
    judge = RandomForestClassifier(200, random_state=seed)
    return SelectFromModel(judge, threshold="median", max_features=select.k)


def fit(
    pipeline: Pipeline,
    X: np.ndarray,
    y: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    known: np.ndarray | None = None,
    channels: np.ndarray | None = None,
    corpora: np.ndarray | None = None,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    validation_known: np.ndarray | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> Pipeline:
    """Fit ``pipeline`` in place; all steps before the estimator see only ``X`` and ``y``.

    ``groups`` (n,) says which clips inner folds must keep together, for estimators that make inner folds. ``known``
    and ``validation_known`` (n, n_labels) are those of :func:`known_labels`, for estimators with ``uses_known``;
    ``channels`` and ``corpora`` (n,) say where the clips come from, for estimators with ``uses_origin``. In the folder
    ``checkpoint`` estimators with ``uses_checkpoint`` keep their epochs, and continue after those that are there.

    Raises
    ------
    TrainingError
        If the estimator refuses the data, or there is not enough memory.
    """
    model = pipeline.steps[-1][1]
    given: dict[str, Any] = {"groups": groups} if getattr(model, "uses_groups", False) else {}
    if getattr(model, "uses_known", False):
        given |= {"known": known, "validation_known": validation_known}
    if getattr(model, "uses_origin", False):
        given |= {"channels": channels, "corpora": corpora}
    if getattr(model, "uses_checkpoint", False):
        given |= {"checkpoint": checkpoint}
    try:
        if not getattr(model, "uses_validation", False):
            if getattr(model, "uses_progress", False):
                given |= {"progress": progress}
            pipeline.fit(X, y, **{f"model__{name}": value for name, value in given.items()})
        else:
            for _, step in pipeline.steps[:-1]:
                if hasattr(step, "fit_resample"):
                    own = y
                    X, y = step.fit_resample(X, y)
                    if known is not None and "known" in given:  # new clips come last
                        made = [known[own == label].all(axis=0) for label in y[len(own) :]]
                        given["known"] = np.vstack([known, *made])
                else:
                    X = step.fit_transform(X, y)
                    validation = validation and (step.transform(validation[0]), validation[1])
            model.fit(X, y, validation=validation, progress=progress, **given)
    except (ValueError, TypeError, MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
            raise TrainingError(
                f"Not enough memory to fit {type(model).__name__} on {len(X)} clips: lower batch_size in "
                "[model.params], make fewer copies in [augment], or use a machine with more memory."
            ) from error
        if isinstance(error, RuntimeError):
            raise
        if "0 feature(s)" in str(error):
            raise TrainingError(
                f"[select] keeps none of the features on these {len(X)} clips: raise c, or take another kind."
            ) from error
        raise TrainingError(f"{type(model).__name__} cannot be fitted: {' '.join(str(error).split())}") from error
    _one_thread(model)
    return pipeline


def _one_thread(model: Any) -> None:
    """Use one thread: forests add up their trees in the order in which threads finish, so sums would differ."""
    if isinstance(model, Pipeline):
        model = model.steps[-1][1]
    parts = getattr(model, "estimators_", None)
    for inner in (getattr(model, "estimator_", None), *(parts if isinstance(parts, list) else ())):
        if isinstance(inner, BaseEstimator):
            _one_thread(inner)
    if getattr(model, "n_jobs", None) is not None:
        model.set_params(n_jobs=1)


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
        One per clip: vectors (d,), or frames (bands, n_frames), where every frame counts as one.
    speakers : sequence of str
        One per clip.

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
    """Each clip minus its speaker's mean, divided by its speaker's standard deviation; float32."""
    result = []
    for array, speaker in zip(arrays, speakers, strict=True):
        if speaker not in statistics:
            raise TrainingError(f"The speaker {speaker!r} has no enrolment clips, which 'speaker+enrolled' needs.")
        mean, std = statistics[speaker]
        result.append(((array - mean) / std).astype(np.float32))
    return result
