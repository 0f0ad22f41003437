"""Which extra a command needs, said before a module deep inside fails to import."""

from __future__ import annotations

import importlib.util

from serkit.errors import MissingExtraError

__all__ = ["need_train"]

# What the extra `train` brings, as imported and as installed.
_TRAIN = {
    "pandas": "pandas",
    "pydantic": "pydantic",
    "matplotlib": "matplotlib",
    "pooch": "pooch",
    "sklearn": "scikit-learn",
    "imblearn": "imbalanced-learn",
    "torch": "torch",
    "onnx": "onnx",
}


def need_train(what: str) -> None:
    """Raise :class:`MissingExtraError` unless the extra ``train`` is installed; ``what`` starts the sentence."""
    for module, package in _TRAIN.items():
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(what, package, "train")
