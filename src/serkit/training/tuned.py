"""A recipe's [encoder.tuning]: the upper blocks of the encoder learn from the training clips of a fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit.encoders.tuned import TunedBlocks
from serkit.training import split_rows
from serkit.training.clips import Clips, group_names

if TYPE_CHECKING:
    from serkit.training.recipe import Recipe

__all__ = ["embedded", "tuned_blocks"]


def tuned_blocks(
    train: Clips,
    recipe: Recipe,
    labels: Sequence[str],
    given: Mapping[str, np.ndarray] | None,
    *,
    seed: int,
    progress: Callable[[dict[str, Any]], None] | None = None,
    checkpoint: Path | None = None,
) -> TunedBlocks | None:
    """Tune the recipe's encoder on `train`, whose features are frames; None for a recipe without tuning.

    Corpora count alike, and labels within each of them. ``progress`` is called with the stage ``tuning``. The file
    `checkpoint` keeps the state.
    """
    section, tuning = recipe.encoder, recipe.tuning
    if section is None or tuning is None:
        return None
    from serkit.models.tuning import tune

    start = TunedBlocks(recipe.front_end, blocks=section.blocks)  # type: ignore[arg-type]  # Whisper's, as recipe checks
    own = train.originals()
    target = np.array([list(labels).index(label) for label in own.labels])
    could = split_rows.known(own.rows, given)
    how = tuning.model_dump(exclude={"after"})
    tensors = tune(
        start,
        own.arrays,
        target,
        np.ones((len(own), len(labels)), dtype=bool) if could is None else could,
        group_names(own.rows, "place"),
        **how,
        seed=seed,
        progress=progress,
        checkpoint=checkpoint,
    )
    return TunedBlocks(start.encoder, blocks=section.blocks, precision=section.precision, tensors=tensors)


def embedded(
    clips: Clips, tuned: TunedBlocks | None, progress: Callable[[dict[str, Any]], None] | None = None
) -> Clips:
    """Return clips of frames as vectors; clips of vectors, for which nothing was tuned, as they are.

    ``progress`` is called with the stage ``embedding``.
    """
    if tuned is None:
        return clips
    found = []
    for k, frames in enumerate(clips.arrays, 1):
        found.append(tuned(frames))
        if progress is not None:
            progress({"stage": "embedding", "done": k, "total": len(clips)})
    return clips.with_arrays(found)
