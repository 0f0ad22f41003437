"""Estimators: from a name and parameters to a scikit-learn estimator.

Every estimator has ``fit(X, y)`` with label strings and ``predict_proba(X)`` with columns in the order of
``classes_``. ``X`` is float32 (n, d) for the layouts ``mean_std`` and ``flat``, and an object array (n,) of float32
(bands, frames) for ``frames``. Class attributes say what else ``fit`` takes, by keyword:

- ``uses_validation``: ``validation=(X_val, y_val) or None`` and ``progress``
- ``uses_progress``: ``progress=callable(dict) or None``, which hears of epochs, members and searches
- ``uses_groups``: ``groups`` (n,), what inner folds must not tear apart
- ``uses_checkpoint``: ``checkpoint=folder or None``, in which a training keeps its epochs, to continue with them
- ``uses_known``, ``uses_origin``: see :func:`serkit.training.fitting.fit`
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serkit.emotions import LABELS
from serkit.errors import RecipeError, nearest

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from serkit.models.spec import Member, Model

__all__ = ["COMBINED", "MODELS", "ModelKind", "build", "check_model", "check_numbers"]

Builder = Callable[..., "BaseEstimator"]
_VECTORS = ("mean_std", "flat")


@dataclass(frozen=True)
class ModelKind:
    """A model that recipes can use.

    Attributes
    ----------
    module, function : str
        Where the function ``(params, *, labels, seed) -> estimator`` is; the module is imported on first use.
    layouts : tuple of str
        The feature layouts it accepts.
    threads : bool
        Whether its parameter ``n_jobs`` speeds it up.
    rows : bool
        Whether it reshapes the vector to (rows, frames); the function then also takes ``rows``.
    samples : bool
        Whether it has a parameter ``sampler`` and resamples behind inner folds of its own.
    """

    module: str
    function: str
    layouts: tuple[str, ...] = _VECTORS
    threads: bool = False
    rows: bool = False
    samples: bool = False

    def builder(self) -> Builder:
        """Import the function ``(params, *, labels, seed) -> estimator``."""
        import importlib

        builder: Builder = getattr(importlib.import_module(self.module), self.function)
        return builder


_CLASSICAL, _DEEP = "serkit.models.classical", "serkit.models.deep"

MODELS: dict[str, ModelKind] = {
    "random_forest": ModelKind(_CLASSICAL, "random_forest", threads=True),
    "gradient_boosting": ModelKind(_CLASSICAL, "gradient_boosting"),
    "xgboost": ModelKind(_CLASSICAL, "xgboost"),
    "svm": ModelKind(_CLASSICAL, "svm", samples=True),
    "logistic": ModelKind(_CLASSICAL, "logistic"),
    "softmax": ModelKind("serkit.models.softmax", "build"),
    "linear_network": ModelKind("serkit.models.linear_network", "build"),
    "mlp": ModelKind(_CLASSICAL, "mlp"),
    "cnn": ModelKind("serkit.models.cnn", "build", ("frames",)),
    "dense": ModelKind(_DEEP, "dense"),
    "attention": ModelKind(_DEEP, "attention"),
    "cnn1d": ModelKind(_DEEP, "cnn1d"),
    "cnn_frames": ModelKind(_DEEP, "cnn_frames", ("flat",), rows=True),
    "cnn_bilstm": ModelKind(_DEEP, "cnn_bilstm", ("flat",), rows=True),
    "eca_cnn": ModelKind(_DEEP, "eca_cnn", ("flat",), rows=True),
}

#: Models that combine others, their members.
COMBINED = ("soft_voting", "best_of")

# Parameters that training sets itself; a recipe may not.
_RESERVED = frozenset(
    {"labels", "network", "rows", "estimator", "seed", "random_state", "n_jobs", "verbose", "class_weight", "sampler"}
)


def build(
    model: Model | Member,
    *,
    labels: Sequence[str],
    seed: int,
    class_weight: bool = False,
    rows: int | None = None,
    sampler: BaseEstimator | None = None,
    n_jobs: int = 1,
) -> BaseEstimator:
    """Build the estimator of a recipe's ``[model]`` section.

    Parameters
    ----------
    model : Model or Member
        Name, parameters, search, members.
    labels : sequence of str
        The labels of the corpus, in RAVDESS order.
    seed : int
        Seed of all the estimator's randomness.
    class_weight : bool
        Weigh classes by the inverse of their frequency (``[balance] kind = "class_weight"``).
    rows : int, optional
        Rows of the flat matrix, for models that reshape it.
    sampler : sampler of imbalanced-learn, optional
        Resamples the training clips of each estimator, inside the folds of a search.
    n_jobs : int
        Threads, for estimators that can use them.

    Raises
    ------
    RecipeError
        If the model or a parameter is unknown, or the estimator does not support class weights.
    """
    members = getattr(model, "members", ())
    if model.name in COMBINED:
        from serkit.models.selection import BestOf, SoftVoting

        parts = [
            build(m, labels=labels, seed=seed, class_weight=class_weight, rows=rows, sampler=sampler, n_jobs=n_jobs)
            for m in members
        ]
        names = [member.name for member in members]
        names = [n if names.count(n) == 1 else f"{n} {names[: k + 1].count(n)}" for k, n in enumerate(names)]
        return BestOf(parts, names) if model.name == "best_of" else SoftVoting(parts)
    estimator = _plain(model.name, model.params, labels, seed, rows)
    if MODELS[model.name].threads and model.search is None:
        estimator.set_params(n_jobs=n_jobs)
    if class_weight:
        if "class_weight" in estimator.get_params(deep=False):
            estimator.set_params(class_weight="balanced")
        elif model.name in ("gradient_boosting", "mlp"):
            from serkit.models.classical import ClassWeighted

            estimator = ClassWeighted(estimator)
        else:
            raise RecipeError(f"the model '{model.name}' does not support class weights: use oversample in [balance].")
    if sampler is not None and MODELS[model.name].samples:
        estimator.set_params(sampler=sampler)
        sampler = None
    if model.search is not None:
        from serkit.models.selection import Searched

        search = model.search
        return Searched(
            estimator,
            kind=search.kind,
            params=search.params,
            n_iter=search.n_iter,
            folds=search.folds,
            sampler=sampler,
            seed=seed,
            n_jobs=n_jobs,
        )
    if sampler is not None:
        from imblearn.pipeline import Pipeline

        return Pipeline([("balance", sampler), ("model", estimator)])
    return estimator


def _plain(name: str, params: Mapping[str, Any], labels: Sequence[str], seed: int, rows: int | None) -> BaseEstimator:
    """Build one estimator and check that it has these parameters."""
    make = MODELS[name].builder()
    folded = {"rows": rows} if MODELS[name].rows else {}
    known = sorted(set(make({}, labels=list(labels), seed=seed, **folded).get_params(deep=False)) - _RESERVED)
    for key in params:
        if key not in known:
            raise RecipeError(
                f"unknown key '{key}' in [model.params] of '{name}'{nearest(key, known)} "
                f"Known keys are {', '.join(known)}."
            )
    return make(dict(params), labels=list(labels), seed=seed, **folded)


def check_numbers(estimator: BaseEstimator, limits: Mapping[str, tuple[type, float, float | None]]) -> None:
    """Raise ValueError unless each parameter has the right type, int or float, and is within its limits."""
    for name, (kind, low, high) in limits.items():
        value = getattr(estimator, name)
        if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
            raise ValueError(f"{name} must be {'an integer' if kind is int else 'a number'}, got {value!r}.")
        if not low <= value <= (math.inf if high is None else high):
            limit = f"at least {low}" if high is None else f"between {low} and {high}"
            raise ValueError(f"{name} must be {limit}, got {value}.")


def check_model(
    model: Model,
    *,
    layout: str,
    shape: tuple[int | str, ...],
    rows: int | None = None,
    class_weight: bool = False,
    use: str = "none",
) -> None:
    """Raise :class:`RecipeError` unless :func:`build` can make ``model`` for these features, with possible values.

    ``layout`` and ``shape`` are those of the features of a clip; ``use`` is the recipe's ``[validation]``.
    """
    names = sorted({*MODELS, *COMBINED})
    for name in (model.name, *(member.name for member in model.members)):
        if name not in names:
            raise RecipeError(f"unknown model '{name}'{nearest(name, names)} Models are {', '.join(names)}.")
    if model.name in COMBINED:
        if len(model.members) < 2:
            raise RecipeError(
                f"'{model.name}' needs two [[model.members]] or more, got {len(model.members)}: add them."
            )
        if model.params or model.search:
            raise RecipeError(f"'{model.name}' has no parameters itself: give them to its [[model.members]].")
        nested = [member.name for member in model.members if member.name in COMBINED]
        if nested:
            raise RecipeError(f"'{nested[0]}' cannot be a member of '{model.name}': give its members instead.")
        if use == "early-stopping" and model.name == "soft_voting":
            raise RecipeError(
                "[validation] use = 'early-stopping', but members of 'soft_voting' learn only from training clips: "
                "use 'calibration' or 'none', and remove early stopping and schedules from their params."
            )
    elif model.members:
        raise RecipeError(
            f"the model '{model.name}' has no members: use 'soft_voting' or 'best_of', or leave them out."
        )
    if (model.name == "best_of") != (use == "selection"):
        raise RecipeError(
            "'best_of' chooses by the validation clips: it needs [validation] use = 'selection', and no other model "
            "may "
            "use that."
        )
    for member in model.members or (model,):
        _check_member(member, layout, shape, rows, class_weight=class_weight, use=use)


def _check_member(
    model: Member,
    layout: str,
    shape: tuple[int | str, ...],
    rows: int | None,
    *,
    class_weight: bool,
    use: str,
) -> None:
    kind = MODELS[model.name]
    if layout not in kind.layouts or (kind.rows and rows is None):
        takes = "(rows x frames,)" if kind.rows else "(bands, frames)" if kind.layouts == ("frames",) else "(features,)"
        got = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        raise RecipeError(
            f"the model '{model.name}' needs features of layout {' or '.join(kind.layouts)}, of shape {takes} per "
            "clip, "
            f"got '{layout}' of shape ({got}): change [features]."
        )
    if model.search is not None and (model.search.n_iter is None) != (model.search.kind == "grid"):
        raise RecipeError("[model.search] needs n_iter with kind 'random' and must not have it with kind 'grid'.")
    plain = model.model_copy(update={"search": None})
    settings = [model.params]
    if model.search is not None:
        settings += [{**model.params, key: value} for key, values in model.search.params.items() for value in values]
    for params in settings:
        estimator = build(
            plain.model_copy(update={"params": params}), labels=LABELS, seed=0, class_weight=class_weight, rows=rows
        )
        _check_values(model.name, estimator, use)
    if model.search is not None and (use == "early-stopping" or kind.module != _CLASSICAL):
        raise RecipeError(
            f"[model.search] only works for models that learn only from training clips, and '{model.name}' does not "
            "here."
        )


def _check_values(name: str, estimator: BaseEstimator, use: str) -> None:
    stops = getattr(estimator, "stops_early", None)
    if use == "early-stopping" and not stops:
        can = "it cannot" if stops is None else "set early stopping or a schedule in [model.params]"
        raise RecipeError(
            f"[validation] use = 'early-stopping', but the model '{name}' does not stop early: {can}, or use "
            "'calibration'."
        )
    if stops and use != "early-stopping":
        raise RecipeError(
            f"[model.params] of '{name}' stop or schedule the training by validation clips, which needs [validation] "
            "use = 'early-stopping'."
        )
    held_out = {"mlp": "early_stopping", "gradient_boosting": "n_iter_no_change"}.get(name)
    if held_out and estimator.get_params().get(f"estimator__{held_out}", estimator.get_params().get(held_out)):
        raise RecipeError(
            f"{held_out} of '{name}' stops the training by clips drawn at random, whose speakers and copies it also "
            "learns from: leave it out of [model.params]."
        )
    try:
        if hasattr(estimator, "check"):
            estimator.check()
        elif hasattr(estimator, "_parameter_constraints"):  # scikit-learn's own estimators know their ranges
            estimator._validate_params()
    except (ValueError, TypeError) as error:
        raise RecipeError(f"[model.params] of '{name}': {' '.join(str(error).split())}") from None
