"""Recipes as TOML: packaged ones by name, your own by path, each checked as it is read."""

from __future__ import annotations

import re
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from serkit.errors import RecipeError, nearest
from serkit.training.recipe import Recipe
from serkit.training.recipe_checks import check_keys, check_parts, sentence

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["list_recipes", "load_recipe", "parse_recipe", "recipe_systems", "reduced", "shortened"]


def list_recipes() -> dict[str, str]:
    """Names of the packaged recipes with their descriptions, sorted by name.

    Examples
    --------
    >>> "s0-forest" in list_recipes()
    True
    """
    return {name: str(data["description"]) for name, data in _packaged().items()}


def recipe_systems() -> dict[str, str]:
    """Names of the packaged recipes with the published systems that they follow, ``""`` for none.

    Examples
    --------
    >>> recipe_systems()["s3-cnn"]
    'S3'
    """
    return {name: str(data.get("system", "")) for name, data in _packaged().items()}


def _packaged() -> dict[str, dict[str, Any]]:
    """The packaged recipes as in their files, unchecked, sorted by name."""
    entries = resources.files("serkit.training.recipes").iterdir()
    texts = {entry.name[:-5]: entry.read_text("utf-8") for entry in entries if entry.name.endswith(".toml")}
    return {name: tomllib.loads(texts[name]) for name in sorted(texts)}


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read and check a recipe.

    Parameters
    ----------
    name_or_path : str or Path
        The name of a packaged recipe, or the path of a ``.toml`` file.

    Raises
    ------
    RecipeError
        If there is no such recipe, or it is not TOML, or holds an unknown key or an impossible value.

    See Also
    --------
    list_recipes : Names of the packaged recipes.
    serkit.run_evaluation : Measures a recipe.
    serkit.train_final : Trains a recipe on all clips.

    Examples
    --------
    >>> load_recipe("s0-forest").model.name
    'random_forest'
    >>> load_recipe("s0-forst")
    Traceback (most recent call last):
    ...
    serkit.errors.RecipeError: There is no recipe 's0-forst': did you mean 's0-forest'? ...
    """
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.is_file():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            raise RecipeError(f"The recipe {path} is not UTF-8 text: save it as UTF-8.") from None
        except OSError as error:
            raise RecipeError(
                f"The recipe {path} cannot be read ({error.strerror}): give the path of a file."
            ) from None
        return parse_recipe(text, source=str(path))
    names = list_recipes()
    if str(name_or_path) not in names:
        raise RecipeError(
            f"There is no recipe '{name_or_path}'{nearest(str(name_or_path), names)} "
            f"Packaged recipes are {', '.join(names)}; give the path of a .toml file for a recipe of your own."
        )
    text = resources.files("serkit.training.recipes").joinpath(f"{name_or_path}.toml").read_text("utf-8")
    return parse_recipe(text, source=str(name_or_path))


def parse_recipe(text: str, *, source: str = "<text>") -> Recipe:
    """Check the TOML ``text`` of a recipe; ``source`` names it in errors."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"The recipe {source} is not valid TOML: {error}.") from None
    check_keys(data, Recipe, source)
    try:
        recipe = Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"Recipe {source}: {sentence(error)}") from None
    recipe._text = text
    check_parts(recipe, source)
    return recipe


def reduced(recipe: Recipe, epochs: int | None) -> tuple[Recipe, str | None]:
    """The recipe with at most ``epochs`` epochs, and what was cut, as in "2 of 9 epochs"; None if nothing was."""
    made = recipe if epochs is None else shortened(recipe, epochs)
    return made, None if made.epochs == recipe.epochs else f"{made.epochs} of {recipe.epochs} epochs"


def shortened(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with at most ``epochs`` epochs: a reduced schedule, which its text says too."""
    if recipe.epochs is None or recipe.epochs <= epochs:
        return recipe
    changed = f"epochs = {epochs}  # a reduced schedule: the recipe has {recipe.epochs}"
    text, count = re.subn(rf"(?m)^epochs\s*=\s*{recipe.epochs}\b.*$", changed, recipe.text)
    if count != 1:
        raise RecipeError(f"Recipe {recipe.name}: 'epochs = {recipe.epochs}' must occur exactly once, on its own line.")
    return parse_recipe(text, source=f"{recipe.name}, shortened")
