"""The ``[model]`` section of a recipe: the name of an estimator, its parameters and its search."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Member", "Model", "Search", "Section"]


class Section(BaseModel):
    """A section of a recipe: unknown keys are refused and values are never converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Search(Section):
    """Choose parameters by cross-validation inside the training clips; the score is UAR.

    ``grid`` tries every combination of the lists in ``params``, ``random`` ``n_iter`` of them.
    """

    kind: Literal["grid", "random"]
    params: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(min_length=1)
    n_iter: int | None = Field(default=None, ge=1)
    folds: int = Field(default=3, ge=2)


class Member(Section):
    """An estimator: a name of :data:`serkit.models.MODELS`, its parameters and its search."""

    name: str
    params: dict[str, Any] = {}
    search: Search | None = None


class Model(Member):
    """The estimator; ``members`` are those of ``soft_voting`` and ``best_of``."""

    members: Annotated[tuple[Member, ...], Field(strict=False)] = ()
