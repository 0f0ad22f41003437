"""Checks of a recipe beyond the types of its values; every mistake is one sentence that names it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from serkit.errors import FeatureError, RecipeError, nearest

if TYPE_CHECKING:
    from serkit.training.recipe import Recipe

__all__ = ["check_keys", "check_parts", "sentence"]


def check_parts(recipe: Recipe, source: str) -> None:
    """Checks across sections: the features exist, the model takes them and has these parameters."""
    from serkit.models import check_model

    try:
        n_features = None if recipe.layout == "frames" else _width(recipe)
    except FeatureError as error:
        raise RecipeError(f"Recipe {source}, [features]: {error}") from None
    _check_augment(recipe, source)
    if recipe.calibration is not None and recipe.validation.use == "calibration":
        raise RecipeError(
            f"Recipe {source}: [calibration] and use = 'calibration' in [validation] both fit a temperature: leave one "
            "out."
        )
    _check_vectors(recipe, n_features, source)
    try:
        check_model(
            recipe.model,
            layout=recipe.layout,
            shape=("bands", "frames")
            if n_features is None
            else (int(n_features),)
            if recipe.features
            else ("features",),
            rows=recipe.rows,
            class_weight=recipe.balance.class_weight,
            use=recipe.validation.use,
        )
    except RecipeError as error:
        raise RecipeError(f"Recipe {source}: {error}") from None


def _width(recipe: Recipe) -> float:
    """Length of the vector of a clip.

    That of an encoder is not known without its folder, which a recipe needs in training only: infinite here.
    """
    return math.inf if recipe.features is None else len(recipe.extractor.feature_names())


def _shape(n_features: float | None) -> tuple[int | str, ...]:
    """The shape of a clip, for messages."""
    if n_features is None:
        return ("bands", "frames")
    return ("features" if math.isinf(n_features) else int(n_features),)


def _check_augment(recipe: Recipe, source: str) -> None:
    if recipe.augment is None:
        return
    from serkit.training.augment import FOLDER_CHAINS, check_chain

    try:
        used = {part for chain in recipe.augment.chains for part in check_chain(chain)}
    except RecipeError as error:
        raise RecipeError(f"Recipe {source}, [augment]: {error}") from None
    for kind in FOLDER_CHAINS:
        named = getattr(recipe.augment, f"{kind}_folder") is not None
        if named and kind not in used:
            raise RecipeError(
                f"Recipe {source}, [augment]: {kind}_folder is there, but chains lack '{kind}': add it to chains, or "
                "leave the folder out."
            )
        if kind in used and not named:
            raise RecipeError(
                f"Recipe {source}, [augment]: the chain '{kind}' takes recordings from a folder: give it as "
                f"{kind}_folder."
            )


def _check_vectors(recipe: Recipe, n_features: float | None, source: str) -> None:
    """What is done to vectors in front of the model."""
    from serkit.models import MODELS

    select = recipe.select
    if n_features is None and (select or recipe.balance.smote):
        what = "[select]" if select else "[balance] kind 'smote'"
        raise RecipeError(f"Recipe {source}: {what} works on vectors, and layout 'frames' gives none: leave it out.")
    if select and select.kind == "anova" and select.k is None:
        raise RecipeError(f"Recipe {source}: [select] needs k, the number of features to keep: add it.")
    if select and "c" in select.model_fields_set and select.kind != "l1":
        raise RecipeError(f"Recipe {source}: [select] c belongs to kind 'l1', got kind '{select.kind}': leave it out.")
    named = [recipe.model.name, *(member.name for member in recipe.model.members)]
    folding = [name for name in named if name in MODELS and MODELS[name].rows]
    if select and folding:
        raise RecipeError(
            f"Recipe {source}: '{folding[0]}' folds the vector back to rows and frames, so [select] may not "
            "take values out of it: leave it out."
        )
    if n_features is not None and select and select.k is not None and select.k > n_features:
        raise RecipeError(
            f"Recipe {source}: [select] k = {select.k}, but [features] gives {n_features} features: "
            f"use a k of at most {n_features}."
        )
    if recipe.balance.smote and recipe.model.name in ("softmax", "linear_network"):
        raise RecipeError(
            f"Recipe {source}: '{recipe.model.name}' asks where clips come from, and those that SMOTE makes come from "
            "nowhere: use the kind 'class_weight' or 'oversample' in [balance]."
        )
    if recipe.scale == "row" and recipe.rows is None:
        raise RecipeError(
            f"Recipe {source}: scale = 'row' needs layout 'flat' and features with frames, got layout "
            f"'{recipe.layout}': change layout in [features], or use scale = 'feature'."
        )
    if recipe.adaptation is not None and (recipe.encoder is None or n_features is None):
        raise RecipeError(
            f"Recipe {source}: [adaptation] works on the embedding of an encoder, of layout 'mean_std': use [encoder], "
            "or leave it out."
        )
    if recipe.scale != "feature" and n_features is None:
        raise RecipeError(f"Recipe {source}: scale works on vectors, and layout 'frames' gives none: leave it out.")


def check_keys(data: Any, section: type[BaseModel], source: str, where: str = "") -> None:
    """Refuse unknown keys first, with the nearest known one."""
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        if key not in section.model_fields:
            place = f"[{where}]" if where else "the top level"
            raise RecipeError(
                f"Recipe {source}: unknown key '{key}' in {place}{nearest(key, section.model_fields)} "
                f"Known keys are {', '.join(section.model_fields)}."
            )
        inner = _sections(section.model_fields[key].annotation)
        for item in value if isinstance(value, list) else [value]:
            for candidate in inner:
                check_keys(item, candidate, source, f"{where}.{key}" if where else key)


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [s for part in getattr(annotation, "__args__", ()) for s in _sections(part)]


def sentence(error: ValidationError) -> str:
    """The first of pydantic's complaints as one sentence."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "recipe"
    if first["type"] == "missing":
        return f"'{key}' is missing: add it."
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"'{key}': {message}, got {first['input']!r}."
