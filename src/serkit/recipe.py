"""A system as data: a TOML file -> a frozen, checked :class:`Recipe`.

A recipe says how a clip becomes features, what happens to the training side only (augmentation, balancing, feature
selection), which estimator learns, and what the validation clips are for. It never says what is tested: that is the
protocol's business.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from serkit.errors import RecipeError, nearest
from serkit.recipe_checks import check_keys, check_parts, sentence

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from serkit.features import Extractor
    from serkit.surroundings import Surroundings

__all__ = [
    "Augment",
    "Balance",
    "Enrolment",
    "Features",
    "Member",
    "Model",
    "Recipe",
    "Search",
    "Select",
    "Validation",
    "list_recipes",
    "load_recipe",
    "recipe_systems",
]

# What came after the first recipes, with its default: left out of the hash there, so that their scores stay theirs.
_ADDED: dict[str, Any] = {
    "scale": "feature",
    "augment.room_folder": None,
    "augment.background_folder": None,
    "select.kind": "anova",
    "select.c": 0.1,
    "model.search": None,
    "model.members": [],
}

Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Window(_Section):
    """How a clip is cut, in this order: ``offset`` (s), ``trim_db``, ``level``, ``length`` (s)."""

    offset: float = Field(default=0.0, ge=0)
    trim_db: float | None = Field(default=None, gt=0)
    level: Literal["none", "peak", "rms"] = "none"
    length: float | None = Field(default=None, gt=0)


class FeatureSpec(_Section):
    """One feature by name with its parameters, e.g. ``{name = "mfcc", params = {n_mfcc = 13}}``."""

    name: str
    params: dict[str, Any] = {}


class Features(_Section):
    """The ``[features]`` section: what :class:`serkit.features.Extractor` needs, key for key."""

    sample_rate: int = Field(default=22050, ge=4000, le=192_000)
    window: Window = Window()
    features: Annotated[tuple[FeatureSpec, ...], Field(strict=False, min_length=1)]
    layout: Literal["mean_std", "flat", "frames"] = "mean_std"
    n_fft: int = Field(default=2048, ge=16)
    hop_length: int = Field(default=512, ge=1)
    win_length: int | None = Field(default=None, ge=1)
    taper: str = "hann"
    center: bool = True
    pad_mode: str = "constant"


class Augment(_Section):
    """Copies of the training clips: copy ``k`` goes through chain ``k`` (then around again).

    The folders are those of the chains ``room`` (impulse responses) and ``background`` (any recordings), relative to
    the working directory.
    """

    chains: Names
    copies: int = Field(default=1, ge=1)
    room_folder: str | None = Field(default=None, min_length=1)
    background_folder: str | None = Field(default=None, min_length=1)

    def surroundings(self) -> Surroundings:
        """Read the folders: TrainingError if one is missing, has no recordings, or one that cannot be read."""
        from serkit.surroundings import Surroundings

        return Surroundings.read(room=self.room_folder, background=self.background_folder)

    @model_validator(mode="before")
    @classmethod
    def _one_copy_a_chain(cls, data: Any) -> Any:
        chains = data.get("chains") if isinstance(data, dict) else None
        return {"copies": len(chains), **data} if isinstance(chains, (list, tuple)) and chains else data


class Balance(_Section):
    """What is done about rare classes, on the training side only."""

    kind: Literal["none", "smote", "class_weight", "smote+class_weight"] = "none"
    k_neighbors: int = Field(default=5, ge=1)

    @property
    def smote(self) -> bool:
        """Whether rare classes get synthetic neighbours (Chawla et al., 2002)."""
        return self.kind.startswith("smote")

    @property
    def class_weight(self) -> bool:
        """Whether rare classes weigh more."""
        return self.kind.endswith("class_weight")


class Select(_Section):
    """Which features are kept, decided on the training side only.

    ``anova``: the ``k`` with the largest F value between classes (one-way ANOVA). ``l1``: those that a linear SVM
    with an L1 penalty of inverse strength ``c`` gives a weight (Zhu et al., 2003, "1-norm Support Vector Machines").
    ``forest``: the half that a random forest finds more important. With ``k``, the latter two keep at most so many.
    """

    kind: Literal["anova", "l1", "forest"] = "anova"
    k: int | None = Field(default=None, ge=1)
    c: float = Field(default=0.1, gt=0)


class Search(_Section):
    """Choose parameters by cross-validation inside the training clips; the score is UAR.

    ``grid`` tries every combination of the lists in ``params``, ``random`` ``n_iter`` of them.
    """

    kind: Literal["grid", "random"]
    params: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(min_length=1)
    n_iter: int | None = Field(default=None, ge=1)
    folds: int = Field(default=3, ge=2)


class Member(_Section):
    """An estimator: a name of :data:`serkit.models.MODELS`, its parameters, and what is searched for."""

    name: str
    params: dict[str, Any] = {}
    search: Search | None = None


class Model(Member):
    """The estimator; ``members`` are those of ``soft_voting`` and ``best_of``."""

    members: Annotated[tuple[Member, ...], Field(strict=False)] = ()


class Validation(_Section):
    """What the split's validation clips are for.

    ``none``: they are training clips like the others. ``calibration``: they fit the temperature of the probabilities.
    ``early-stopping``: the estimator may schedule and stop its training on them (and calibrate). ``selection``:
    ``best_of`` chooses among its members by them.
    """

    use: Literal["none", "calibration", "early-stopping", "selection"] = "none"


class Enrolment(_Section):
    """What some of a new person's unlabelled voice is used for: by the protocol ``speaker+enrolled``, and in bundles.

    ``standardise``: features are standardised speaker by speaker, in training too; for evaluations alone.
    ``answers``: the model is the one of ``speaker``, and a voice's lean is taken off its answers
    (:func:`serkit.enrolment.adjust`): ``weight`` of it for a voice heard without end, half as much after ``seconds``.
    """

    method: Literal["standardise", "answers"] = "standardise"
    weight: float = Field(default=0.6, gt=0, le=2)
    seconds: float = Field(default=5.0, gt=0, allow_inf_nan=False)


class Recipe(_Section):
    """A checked recipe; see ``ser recipes show NAME`` for one in full.

    Attributes
    ----------
    name, description, system : str
        What ``ser recipes`` lists; ``system`` is the published system that the recipe follows, or empty.
    scale : {"feature", "row", "none"}
        What vectors are standardised by, on the training side: each value by itself, or all values of a row of the
        flat matrix together, so that what lies between frames is kept.
    features, augment, balance, select, model, validation, enrolment
        The sections.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str
    system: str = ""
    scale: Literal["feature", "row", "none"] = "feature"
    features: Features
    augment: Augment | None = None
    balance: Balance = Balance()
    select: Select | None = None
    model: Model
    validation: Validation = Validation()
    enrolment: Enrolment = Enrolment()

    _text: str = PrivateAttr("")

    @property
    def text(self) -> str:
        """The TOML text that the recipe was read from."""
        return self._text

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of everything that can change a number: not of name, description, comments or formatting."""
        content = self.model_dump(mode="json", exclude={"name", "description", "system", "features"})
        content["features"] = self.extractor.to_dict()
        if self.enrolment.method == "standardise":  # as before there was a choice; nothing else in the section counts
            del content["enrolment"]
        for path, default in _ADDED.items():
            *sections, key = path.split(".")
            section = content
            for name in sections:
                section = section[name] or {}
            if section.get(key, default) == default:
                section.pop(key, None)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def extractor(self) -> Extractor:
        """The feature extractor of the ``[features]`` section."""
        from serkit.features import Extractor

        return Extractor.from_dict(self.features.model_dump(mode="json", exclude_unset=True))

    @property
    def rows(self) -> int | None:
        """Rows of the flat matrix; None for other layouts and where a feature has one value a clip."""
        if self.features.layout != "flat" or any(feature.per_clip for feature in self.extractor.features):
            return None
        return sum(len(feature.row_names()) for feature in self.extractor.features)

    @property
    def epochs(self) -> int | None:
        """Epochs of the training, None for models without."""
        return self.model.params.get("epochs")

    def shortened(self, epochs: int) -> Recipe:
        """This recipe with at most ``epochs`` epochs: a reduced schedule, which its text says too."""
        if self.epochs is None or self.epochs <= epochs:
            return self
        changed = f"epochs = {epochs}  # a reduced schedule: the recipe has {self.epochs}"
        text, count = re.subn(rf"(?m)^epochs\s*=\s*{self.epochs}\b.*$", changed, self.text)
        if count != 1:
            raise RecipeError(f"Recipe {self.name}: 'epochs = {self.epochs}' must stand once, on a line of its own.")
        return parse_recipe(text, source=f"{self.name}, shortened")


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
    """The packaged recipes as they stand in their files, unchecked, sorted by name."""
    entries = resources.files("serkit.recipes").iterdir()
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
            f"Packaged recipes are {', '.join(names)}; a recipe of your own is given as the path of a .toml file."
        )
    text = resources.files("serkit.recipes").joinpath(f"{name_or_path}.toml").read_text("utf-8")
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
