"""Speech emotion recognition: from a recording to emotions you can trust.

Examples
--------
>>> import serkit
>>> recognizer = serkit.load()                              # doctest: +SKIP
>>> recognizer.predict("examples/plain.flac").emotion      # doctest: +SKIP
'sad'
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# ONNX Runtime would report to its makers and keep an identifier in the home folder. It asks when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Public name -> the module that defines it. Loaded on first use, so that `import serkit` costs next to nothing.
_PUBLIC = {
    "AudioError": "serkit.errors",
    "BundleError": "serkit.errors",
    "CorpusError": "serkit.errors",
    "Explanation": "serkit.explain",
    "FeatureError": "serkit.errors",
    "MissingExtraError": "serkit.errors",
    "Prediction": "serkit.recognizer",
    "Profile": "serkit.enrolment",
    "ProfileError": "serkit.errors",
    "ProtocolError": "serkit.errors",
    "RecipeError": "serkit.errors",
    "Recognizer": "serkit.recognizer",
    "SerkitError": "serkit.errors",
    "TrainingError": "serkit.errors",
    "Waveform": "serkit.audio",
    "load": "serkit.recognizer",
    "load_audio": "serkit.audio",
    "load_recipe": "serkit.recipe",
    "make_split": "serkit.protocol",
    "predict": "serkit.recognizer",
    "read_corpus": "serkit.corpora",
    "run_evaluation": "serkit.training",
    "train_final": "serkit.training",
}

# Names of the learn road: their modules need the extra `train`.
_LEARN = frozenset({"load_recipe", "make_split", "read_corpus", "run_evaluation", "train_final"})

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        try:
            module = importlib.import_module(_PUBLIC[name])
        except ModuleNotFoundError as error:
            package = error.name or ""
            if name not in _LEARN or package.startswith("serkit"):
                raise
            from serkit.errors import MissingExtraError

            raise MissingExtraError(f"serkit.{name}", package, "train") from error
        return getattr(module, "load" if name == "load_audio" else name)
    raise AttributeError(f"module 'serkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)


if TYPE_CHECKING:
    from serkit.audio import Waveform as Waveform
    from serkit.audio import load as load_audio  # noqa: F401
    from serkit.corpora import read_corpus as read_corpus
    from serkit.enrolment import Profile as Profile
    from serkit.errors import AudioError as AudioError
    from serkit.errors import BundleError as BundleError
    from serkit.errors import CorpusError as CorpusError
    from serkit.errors import FeatureError as FeatureError
    from serkit.errors import MissingExtraError as MissingExtraError
    from serkit.errors import ProfileError as ProfileError
    from serkit.errors import ProtocolError as ProtocolError
    from serkit.errors import RecipeError as RecipeError
    from serkit.errors import SerkitError as SerkitError
    from serkit.errors import TrainingError as TrainingError
    from serkit.explain import Explanation as Explanation
    from serkit.protocol import make_split as make_split
    from serkit.recipe import load_recipe as load_recipe
    from serkit.recognizer import Prediction as Prediction
    from serkit.recognizer import Recognizer as Recognizer
    from serkit.recognizer import load as load
    from serkit.recognizer import predict as predict
    from serkit.training import run_evaluation as run_evaluation
    from serkit.training import train_final as train_final
