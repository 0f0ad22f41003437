"""A system as data: a TOML file -> a frozen, checked :class:`Recipe`.

A recipe says how a clip becomes features, what happens to the training side only (augmentation, balancing, feature
selection), which estimator learns, and what the validation clips are for. It never says what is tested: that is up
to the protocol.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from serkit.errors import RecipeError
from serkit.models.spec import Model, Section

if TYPE_CHECKING:
    from serkit.features import Extractor, FrontEnd
    from serkit.training.noise_and_rooms import SoundFolders

__all__ = [
    "Adaptation",
    "Augment",
    "Balance",
    "Calibration",
    "Encoder",
    "Features",
    "Recipe",
    "Select",
    "Tuning",
    "Validation",
]

# Keys added after the first recipes, with defaults: not hashed at their default, so that older scores stay valid.
_ADDED: dict[str, Any] = {
    "scale": "feature",
    "augment.room_folder": None,
    "augment.background_folder": None,
    "select.kind": "anova",
    "select.c": 0.1,
    "model.search": None,
    "model.members": [],
    "adaptation": None,
    "calibration": None,
    "unheard": [],
    "encoder.tuning": None,
}

Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class Window(Section):
    """How a clip is cut, in this order: ``offset`` (s), ``trim_db``, ``level``, ``length`` (s)."""

    offset: float = Field(default=0.0, ge=0)
    trim_db: float | None = Field(default=None, gt=0)
    level: Literal["none", "peak", "rms"] = "none"
    length: float | None = Field(default=None, gt=0)


class FeatureSpec(Section):
    """One feature by name with its parameters, e.g. ``{name = "mfcc", params = {n_mfcc = 13}}``."""

    name: str
    params: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies defaults


class Features(Section):
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


class Tuning(Section):
    """The section ``[encoder.tuning]``: each fold first trains a copy of the encoder's upper blocks.

    The blocks up to number ``after`` stay as they are; ``clips`` are drawn for training in all, in batches of
    ``batch_size``, with a ``learning_rate`` that peaks there; of clips longer than ``seconds`` the middle is used
    (:func:`serkit.models.tuning.tune`). The encoder must be one of Whisper's, with the layout "mean_std".
    """

    after: int = Field(ge=1)
    clips: int = Field(default=16000, ge=1)
    batch_size: int = Field(default=24, ge=2)
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    seconds: float = Field(default=5.0, ge=0.5, le=30)


class Encoder(Section):
    """The ``[encoder]`` section, in place of ``[features]``: a pretrained encoder as front end, frozen or tuned.

    ``name`` is a folder or the name of one (:func:`serkit.encoders.find_encoder`), ``sha256`` the hash of its weights;
    ``licence`` and ``citation`` are those of these weights, which bundles contain. ``blocks``, ``layout`` and
    ``precision`` are those of :func:`serkit.encoders.read_encoder`.
    """

    name: str = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    licence: str = ""
    citation: str = ""
    blocks: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]
    layout: Literal["mean_std", "frames"] = "mean_std"
    precision: Literal["float32", "float16", "int8"] = "float32"
    tuning: Tuning | None = None

    @model_validator(mode="after")
    def _tuning_fits(self) -> Encoder:
        if self.tuning is not None and (self.layout != "mean_std" or not self.tuning.after < max(self.blocks)):
            raise ValueError("tuning needs the layout 'mean_std' and a block among 'blocks' that comes after 'after'")
        if self.tuning is not None and min(self.blocks) < self.tuning.after:
            raise ValueError(f"tuning starts after block {self.tuning.after}, so 'blocks' cannot have a lower one")
        return self


class Embedding(Section):
    """The ``[embedding]`` section, in place of ``[features]``: the encoder of a model that ships, frozen, as front end.

    ``model`` is its name and ``sha256`` that of its graph (:class:`serkit.training.shipped.ShippedEncoder`).
    """

    model: str = Field(min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    layout: Literal["mean_std"] = "mean_std"


class Augment(Section):
    """Copies of the training clips: copy ``k`` goes through chain ``k`` (then around again).

    The folders are those of the chains ``room`` (impulse responses) and ``background`` (any recordings), relative to
    the working directory.
    """

    chains: Names
    copies: int = Field(default=1, ge=1)
    room_folder: str | None = Field(default=None, min_length=1)
    background_folder: str | None = Field(default=None, min_length=1)

    def sound_folders(self) -> SoundFolders:
        """Read the folders: TrainingError if one is missing, has no recordings, or one that cannot be read."""
        from serkit.training.noise_and_rooms import SoundFolders

        return SoundFolders.read(room=self.room_folder, background=self.background_folder)

    @model_validator(mode="before")
    @classmethod
    def _one_copy_a_chain(cls, data: Any) -> Any:
        chains = data.get("chains") if isinstance(data, dict) else None
        return {"copies": len(chains), **data} if isinstance(chains, (list, tuple)) and chains else data


class Balance(Section):
    """What is done about rare classes, on the training side only.

    ``class_weight``: their clips weigh more. ``smote``: they get synthetic neighbours, for vectors. ``oversample``:
    their clips are repeated, for any model.
    """

    kind: Literal["none", "smote", "class_weight", "smote+class_weight", "oversample"] = "none"
    k_neighbors: int = Field(default=5, ge=1)

    @property
    def smote(self) -> bool:
        """Whether rare classes get synthetic neighbours (Chawla et al., 2002)."""
        return self.kind.startswith("smote")

    @property
    def class_weight(self) -> bool:
        """Whether rare classes weigh more."""
        return self.kind.endswith("class_weight")


class Select(Section):
    """Which features are kept, decided on the training side only.

    ``anova``: the ``k`` with the largest F value between classes (one-way ANOVA). ``l1``: those that a linear SVM
    with an L1 penalty of inverse strength ``c`` gives a weight (Zhu et al., 2003, "1-norm Support Vector Machines").
    ``forest``: the half that a random forest finds more important. With ``k``, the latter two keep at most that many.
    """

    kind: Literal["anova", "l1", "forest"] = "anova"
    k: int | None = Field(default=None, ge=1)
    c: float = Field(default=0.1, gt=0)


class Validation(Section):
    """What the split's validation clips are for.

    ``none``: they are training clips like all others. ``calibration``: they fit the temperature of the probabilities.
    ``early-stopping``: the estimator may schedule and stop its training on them (and calibrate). ``selection``:
    ``best_of`` uses them to choose among its members.
    """

    use: Literal["none", "calibration", "early-stopping", "selection"] = "none"


class Calibration(Section):
    """The ``[calibration]`` section: a temperature of the probabilities, fitted on training speakers only.

    Models are fitted on inner ``folds`` of the training clips, which keep the clips of a speaker (or of a recording)
    together. Their answers to the clips that they have not learnt from give the temperature
    (:func:`serkit.models.classical.fit_temperature`) of the model that learns from all of them. So nothing is held
    out, and training takes ``folds`` times longer. ``use = "calibration"`` in ``[validation]`` is the cheaper way,
    which holds speakers out.
    """

    folds: int = Field(default=5, ge=2, le=20)


class Adaptation(Section):
    """The ``[adaptation]`` section: the model adapts to a voice or a place, from unlabelled clips, in its embedding.

    ``prior`` is how many clips the usual statistics count for beside those of the voice or place
    (:class:`serkit.training.adaptation.Reference`). Answers for clips that are far from the training clips, along as
    many ``directions``, are softened with ``caution`` (:class:`serkit.training.familiarity.Distance`).
    """

    prior: float = Field(default=8.0, gt=0, allow_inf_nan=False)
    directions: int = Field(default=256, ge=1)
    caution: float = Field(default=4.0, ge=0, allow_inf_nan=False)


class Recipe(Section):
    """A checked recipe; see ``ser recipes show NAME`` for one in full.

    Attributes
    ----------
    name, description, system : str
        What ``ser recipes`` lists; ``system`` is the published system that the recipe follows, or empty.
    scale : {"feature", "row", "none"}
        What vectors are standardised by, on the training side: each value by itself, or all values of a row of the
        flat matrix together, so that differences between frames are kept.
    features, encoder, embedding
        The front end: exactly one of the three is set.
    augment, balance, select, model, validation, calibration, adaptation
        The other sections.
    unheard : tuple of str
        Voices that never train, such as ``"crema_d/1005"``: the model's examples are theirs.
    min_confidence : float, optional
        Below it, an answer of the bundle is "unsure" unless its user says otherwise.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str
    system: str = ""
    scale: Literal["feature", "row", "none"] = "feature"
    features: Features | None = None
    encoder: Encoder | None = None
    embedding: Embedding | None = None
    augment: Augment | None = None
    balance: Balance = Balance()
    select: Select | None = None
    model: Model
    validation: Validation = Validation()
    calibration: Calibration | None = None
    adaptation: Adaptation | None = None
    unheard: Annotated[tuple[str, ...], Field(strict=False)] = ()
    min_confidence: float | None = Field(default=None, gt=0, lt=1)

    _text: str = PrivateAttr("")
    _front_end: Any = PrivateAttr(None)

    @property
    def text(self) -> str:
        """The TOML text that the recipe was read from."""
        return self._text

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of everything that can change a number: not of name, description, comments or formatting."""
        left_out: Any = {
            **dict.fromkeys(("name", "description", "system", "features", "min_confidence"), True),
            "encoder": {"name", "licence", "citation"},
        }
        content = self.model_dump(mode="json", exclude=left_out)
        if self.encoder is None:
            del content["encoder"]
        if self.embedding is None:
            del content["embedding"]
        if self.features is not None:
            content["features"] = self.front_end.to_dict()
        for path, default in _ADDED.items():
            *sections, key = path.split(".")
            section = content
            for name in sections:
                section = section.get(name) or {}
            if section.get(key, default) == default:
                section.pop(key, None)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def front_end(self) -> FrontEnd:
        """What turns clips into arrays: the extractor of ``[features]``, or an encoder up to where its tuning begins.

        Raises
        ------
        RecipeError
            If the folder of the encoder is missing or holds other weights.
        """
        if self._front_end is None:
            if self.embedding is not None:
                from serkit.training.shipped import ShippedEncoder

                self._front_end = ShippedEncoder(self.embedding.model, self.embedding.sha256)
            else:
                self._front_end = self.extractor if self.encoder is None else _encoder(self.encoder)
        return self._front_end

    @property
    def tuning(self) -> Tuning | None:
        """How each fit tunes the encoder; None for a recipe that tunes none."""
        return None if self.encoder is None else self.encoder.tuning

    @property
    def extractor(self) -> Extractor:
        """The extractor of ``[features]``."""
        from serkit.features import Extractor

        assert self.features is not None
        return Extractor.from_dict(self.features.model_dump(mode="json", exclude_unset=True))

    @model_validator(mode="after")
    def _one_front_end(self) -> Recipe:
        if sum(section is not None for section in (self.features, self.encoder, self.embedding)) != 1:
            raise ValueError(
                "a recipe needs one front end, the section [features], the section [encoder] or the section [embedding]"
            )
        return self

    @property
    def layout(self) -> str:
        """How the front end arranges a clip: ``mean_std``, ``flat`` or ``frames``."""
        section = self.features or self.encoder or self.embedding
        assert section is not None
        return section.layout

    @property
    def rows(self) -> int | None:
        """Rows of the flat matrix; None for other layouts and where a feature has one value a clip."""
        if self.layout != "flat":
            return None
        extractor = self.extractor
        if any(feature.per_clip for feature in extractor.features):
            return None
        return sum(len(feature.row_names()) for feature in extractor.features)

    @property
    def epochs(self) -> int | None:
        """Epochs of the training, None for models without."""
        return self.model.params.get("epochs")


def _encoder(section: Encoder) -> FrontEnd:
    from serkit.encoders import read_encoder
    from serkit.encoders.folder import weights_hash

    lower: Any = {} if section.tuning is None else {"blocks": [section.tuning.after], "layout": "frames"}
    settings: Any = {"blocks": section.blocks, "layout": section.layout, "precision": section.precision, **lower}
    encoder = read_encoder(section.name, **settings)
    found = weights_hash(encoder.folder)
    if found != section.sha256:
        raise RecipeError(
            f"The weights in {encoder.folder} have the SHA-256 {found}, the recipe needs {section.sha256}: give the "
            "folder of the encoder that it was written for."
        )
    if section.tuning is not None and encoder.family != "whisper":
        raise RecipeError(f"[encoder.tuning] is for Whisper's encoders only, {encoder.folder} is of {encoder.family}.")
    return encoder
