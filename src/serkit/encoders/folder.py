"""Folders with pretrained encoders in Hugging Face's layout: ``config.json`` and ``model.safetensors``."""

from __future__ import annotations

import hashlib
import math
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from serkit.errors import FeatureError, MissingExtraError
from serkit.files import parse_json

__all__ = [
    "CONFIG",
    "INPUT",
    "VARIABLE",
    "WEIGHTS",
    "Weights",
    "file_hash",
    "find_encoder",
    "read_config",
    "weights_hash",
]

#: The environment variable that names the folder with the folders of encoders.
VARIABLE = "SERKIT_ENCODERS"

#: The files of an encoder: its sizes, its weights and, for some families, how input is normalised.
CONFIG, WEIGHTS, INPUT = "config.json", "model.safetensors", "preprocessor_config.json"
_MAX_CONFIG = 1 << 20


def find_encoder(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder of an encoder.

    Parameters
    ----------
    name_or_path : str or path
        A folder with ``config.json`` and ``model.safetensors``, or the name of one below the folder that the
        environment variable ``SERKIT_ENCODERS`` names.

    Raises
    ------
    FeatureError
        If there is no such folder, or a file is missing from it.
    """
    given = Path(name_or_path).expanduser()
    root = os.environ.get(VARIABLE)
    places = [given, *([Path(root).expanduser() / given] if root else [])]
    for place in places:
        if place.is_dir():
            missing = [name for name in (CONFIG, WEIGHTS) if not (place / name).is_file()]
            if missing:
                raise FeatureError(f"{place} is not the folder of an encoder: it has no {missing[0]}.")
            return place
    raise FeatureError(
        f"There is no encoder {os.fspath(name_or_path)!r}: looked for the folder {' and '.join(map(str, places))}. "
        f"Give the path of a folder with {CONFIG} and {WEIGHTS}, or set {VARIABLE} to the folder that holds it; "
        "'ser encoders get' downloads one from the hub."
    )


def read_config(folder: Path, name: str = CONFIG) -> dict[str, Any]:
    """Read ``config.json``, or another file; FeatureError if it is not a JSON object."""
    file = folder / name
    try:
        if file.stat().st_size > _MAX_CONFIG:
            raise FeatureError(f"{file} has {file.stat().st_size:,} bytes, too many for an encoder's configuration.")
        text = file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise _unreadable(str(file), error) from None
    return parsed_config(text, str(file))


def parsed_config(text: str, where: str) -> dict[str, Any]:
    """Parse the text of a configuration; FeatureError if it is not a JSON object."""
    try:
        config = parse_json(text.encode())
    except ValueError as error:
        raise _unreadable(where, error) from None
    if not isinstance(config, dict):
        raise FeatureError(f"{where} does not hold a JSON object: fetch the encoder again.")
    return config


def _unreadable(where: str, error: Exception) -> FeatureError:
    return FeatureError(f"{where} cannot be read as JSON ({error}): fetch the encoder again.")


def weights_hash(folder: Path) -> str:
    """SHA-256 (hex) of the weights of an encoder."""
    return file_hash(folder / WEIGHTS)


def file_hash(file: Path) -> str:
    """SHA-256 (hex) of a file; computed again only after a change."""
    status = file.stat()
    return _hash(str(file.resolve()), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _hash(path: str, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


class Weights:
    """The tensors of an encoder by name, read on demand.

    Parameters
    ----------
    folder : Path
    prefixes : sequence of str
        Tried before each name: whole models and encoders alone name their tensors differently.
    """

    def __init__(self, folder: Path, prefixes: tuple[str, ...]) -> None:
        try:
            from safetensors import SafetensorError, safe_open
        except ModuleNotFoundError:
            raise MissingExtraError(f"Reading the encoder {folder}", "safetensors", "encoders") from None
        self.file = folder / WEIGHTS
        try:
            self._opened = safe_open(self.file, framework="numpy")
        except (SafetensorError, OSError) as error:
            raise FeatureError(f"{self.file} is truncated or damaged ({error}): fetch the encoder again.") from None
        self._names = set(self._opened.keys())
        self._prefixes = prefixes

    def __contains__(self, name: str) -> bool:
        return any(prefix + name in self._names for prefix in self._prefixes)

    def __call__(self, name: str, *shape: int) -> np.ndarray:
        """Return one tensor, float32, which must have this shape and finite values."""
        for prefix in self._prefixes:
            if prefix + name in self._names:
                found = np.asarray(self._opened.get_tensor(prefix + name), dtype=np.float32)
                break
        else:
            raise FeatureError(f"{self.file} lacks the tensor {name}: config.json describes another encoder.")
        if found.shape != shape:
            raise FeatureError(f"{self.file}: {name} has the shape {found.shape}, config.json expects {shape}.")
        if not math.isfinite(float(np.abs(found).sum())):
            raise FeatureError(f"{self.file}: {name} holds values that are not finite: fetch the encoder again.")
        return found
