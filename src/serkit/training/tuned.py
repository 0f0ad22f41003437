"""A recipe's [encoder.tuning]: the upper blocks of the encoder learn from the training clips of a fold."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit.corpora.digests import cache_dir
from serkit.encoders.tuned import TunedBlocks
from serkit.files import write_atomic
from serkit.training import run_folder, split_rows
from serkit.training.clips import Clips, group_names
from serkit.training.feature_cache import FeatureCache

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
) -> TunedBlocks | None:
    """Tune the recipe's encoder on `train`, whose features are frames; None for a recipe without tuning.

    Corpora count alike, and labels within each of them. ``progress`` is called with the stage ``tuning``.

    The tensors are kept in the folder ``tuned`` of serkit's cache, by everything that they depend on: two protocols
    that train on the same clips tune once. So is the state of a tuning that was interrupted.
    """
    section, tuning = recipe.encoder, recipe.tuning
    if section is None or tuning is None:
        return None
    from serkit.models.tuning import tune

    start = TunedBlocks(recipe.front_end, blocks=section.blocks)  # type: ignore[arg-type]  # Whisper's, as recipe checks
    own = train.originals()
    target = np.array([list(labels).index(label) for label in own.labels])
    could = split_rows.known(own.rows, given)
    if could is None:
        could = np.ones((len(own), len(labels)), dtype=bool)
    places = group_names(own.rows, "place")
    how = {**tuning.model_dump(exclude={"after"}), "seed": seed}
    said = json.dumps([recipe.front_end.key, section.blocks, how, places.tolist()])
    kept = cache_dir() / "tuned" / _key(said.encode(), target, could, *own.arrays)
    tensors = _read(kept.with_suffix(".npz"))
    if tensors is None:
        with run_folder.disk(None):
            state = kept.with_suffix(".pt")
            tensors = tune(start, own.arrays, target, could, places, **how, progress=progress, checkpoint=state)
            file = io.BytesIO()
            np.savez(file, **tensors)  # type: ignore[arg-type]  # numpy reads the names as options
            write_atomic(file.getvalue(), kept.with_suffix(".npz"))
            state.unlink(missing_ok=True)
    return TunedBlocks(start.encoder, blocks=section.blocks, precision=section.precision, tensors=tensors)


def _key(said: bytes, *arrays: np.ndarray) -> str:
    """SHA-256 (hex) of these bytes and of the content of the arrays."""
    found = hashlib.sha256(said)
    for array in arrays:
        found.update(f"\n{array.dtype} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays in a file; None if there is none, with a warning if it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        warnings.warn(f"The tuned encoder in {path} is damaged ({error}) and is tuned again.", stacklevel=3)
        return None


def embedded(
    clips: Clips, tuned: TunedBlocks | None, progress: Callable[[dict[str, Any]], None] | None = None
) -> Clips:
    """Return clips of frames as vectors; clips of vectors, for which nothing was tuned, as they are.

    The vectors are cached like any features. ``progress`` is called with the stage ``embedding``.
    """
    if tuned is None:
        return clips
    said = json.dumps([tuned.encoder.key, tuned.blocks, tuned.precision, sorted(tuned.tensors)])
    blocks = _key(said.encode(), *(tuned.tensors[name] for name in sorted(tuned.tensors))).encode()
    cache, found = FeatureCache(), []
    with run_folder.disk(None):
        for k, frames in enumerate(clips.arrays, 1):
            key = _key(blocks, frames)
            vector = cache.get(key)
            if vector is None:
                vector = tuned(frames)
                cache.put(key, vector)
            found.append(vector)
            if progress is not None:
                progress({"stage": "embedding", "done": k, "total": len(clips)})
    return clips.with_arrays(found)
