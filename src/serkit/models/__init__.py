"""Name + parameters -> scikit-learn estimator.

Every estimator has ``fit(X, y)`` with label strings and ``predict_proba(X)`` with columns in the order of
``classes_``. ``X`` is float32 (n, d) for the layouts ``mean_std`` and ``flat``, and an object array (n,) of float32
(bands, frames) for ``frames``. An estimator with the class attribute ``uses_validation = True`` is fitted with
``fit(X, y, validation=(X_val, y_val) or None, progress=callable(dict) or None)``.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serkit.emotions import LABELS
from serkit.errors import RecipeError

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from serkit.recipe import Model

__all__ = ["MODELS", "ModelKind", "build", "check_numbers", "check_params"]

Builder = Callable[..., "BaseEstimator"]
_VECTORS = ("mean_std", "flat")


@dataclass(frozen=True)
class ModelKind:
    """A model that recipes can name.

    Attributes
    ----------
    module, function : str
        Where the function ``(params, *, labels, seed) -> estimator`` is; the module is imported on first use.
    layouts : tuple of str
        The feature layouts that it takes.
    threads : bool
        Whether it has a parameter ``n_jobs`` that speeds it up.
    """

    module: str
    function: str
    layouts: tuple[str, ...] = _VECTORS
    threads: bool = False

    def builder(self) -> Builder:
        """Import the function ``(params, *, labels, seed) -> estimator``."""
        import importlib

        builder: Builder = getattr(importlib.import_module(self.module), self.function)
        return builder


MODELS: dict[str, ModelKind] = {
    "random_forest": ModelKind("serkit.models.classical", "random_forest", threads=True),
    "gradient_boosting": ModelKind("serkit.models.classical", "gradient_boosting"),
    "xgboost": ModelKind("serkit.models.classical", "xgboost"),
    "svm": ModelKind("serkit.models.classical", "svm"),
    "logistic": ModelKind("serkit.models.classical", "logistic"),
    "mlp": ModelKind("serkit.models.classical", "mlp"),
    "cnn": ModelKind("serkit.models.cnn", "build", ("frames",)),
}

# What the learn road sets itself: never a recipe's business.
_RESERVED = frozenset({"labels", "seed", "random_state", "n_jobs", "verbose", "class_weight"})


def build(model: Model, *, labels: Sequence[str], seed: int, class_weight: bool = False) -> BaseEstimator:
    """Make the estimator of a recipe's ``[model]`` section.

    Parameters
    ----------
    model : Model
        Name and parameters.
    labels : sequence of str
        The labels of the corpus, in RAVDESS order.
    seed : int
        Seeds everything that the estimator draws.
    class_weight : bool
        Weigh classes by the inverse of their frequency (``[balance] kind = "class_weight"``).

    Raises
    ------
    RecipeError
        If the model or a parameter is unknown, or the estimator knows no class weights.
    """
    make = MODELS[model.name].builder()
    default = make({}, labels=list(labels), seed=seed).get_params(deep=False)
    known = sorted(set(default) - _RESERVED)
    for key in model.params:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f": did you mean '{close[0]}'?" if close else "."
            raise RecipeError(
                f"unknown key '{key}' in [model.params] of '{model.name}'{hint} Known keys are {', '.join(known)}."
            )
    if class_weight and "class_weight" not in default:
        raise RecipeError(f"the model '{model.name}' takes no class weights: use another [balance] kind.")
    estimator = make(dict(model.params), labels=list(labels), seed=seed)
    if class_weight:
        estimator.set_params(class_weight="balanced")
    return estimator


def check_numbers(estimator: BaseEstimator, limits: Mapping[str, tuple[type, float, float | None]]) -> None:
    """Raise ValueError unless each parameter is of its kind, int or float, and lies between its two limits."""
    for name, (kind, low, high) in limits.items():
        value = getattr(estimator, name)
        if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
            raise ValueError(f"{name} must be {'an integer' if kind is int else 'a number'}, got {value!r}.")
        if not low <= value <= (math.inf if high is None else high):
            limit = f"at least {low}" if high is None else f"between {low} and {high}"
            raise ValueError(f"{name} must be {limit}, got {value}.")


def check_params(model: Model, *, class_weight: bool = False, stops_early: bool = False) -> None:
    """Raise :class:`RecipeError` unless :func:`build` can make ``model`` with possible values.

    ``stops_early`` is what the recipe's ``[validation]`` asks for; the model has to be able to, and to be told so.
    """
    estimator = build(model, labels=LABELS, seed=0, class_weight=class_weight)
    rounds = getattr(estimator, "early_stopping_rounds", None)
    if stops_early and rounds is None:
        can = (
            "set early_stopping_rounds in [model.params]"
            if hasattr(estimator, "early_stopping_rounds")
            else "it cannot"
        )
        raise RecipeError(
            f"[validation] use = 'early-stopping', but the model '{model.name}' does not stop early: {can}, or use "
            "'calibration'."
        )
    if rounds is not None and not stops_early:
        raise RecipeError("early_stopping_rounds in [model.params] needs [validation] use = 'early-stopping'.")
    try:
        if hasattr(estimator, "check"):
            estimator.check()
        elif hasattr(estimator, "_parameter_constraints"):  # scikit-learn's own estimators know their ranges
            estimator._validate_params()
    except (ValueError, TypeError) as error:
        raise RecipeError(f"[model.params] of '{model.name}': {' '.join(str(error).split())}") from None
