"""Speech emotion recognition: recognise emotions in recordings, and train models whose scores hold for new voices.

Every public name is importable from here and loaded on first use. Names for training need the extra ``train``.

Examples
--------
>>> import serkit
>>> recognizer = serkit.load()                                  # doctest: +SKIP
>>> recognizer.predict("examples/angry_1038.opus").emotion      # doctest: +SKIP
'angry'
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from serkit._version import __version__ as __version__

# ONNX Runtime would send telemetry and store an identifier in the home folder. It checks this when imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Public name -> the module that defines it. Loaded on first use, so `import serkit` is fast.
_PUBLIC = {
    "AudioError": "serkit.errors",
    "Bundle": "serkit.bundle",
    "BundleError": "serkit.errors",
    "CorpusError": "serkit.errors",
    "Explanation": "serkit.recognition.explain",
    "FeatureError": "serkit.errors",
    "MissingExtraError": "serkit.errors",
    "Prediction": "serkit.recognition.prediction",
    "Profile": "serkit.recognition.profile",
    "ProfileError": "serkit.errors",
    "ProtocolError": "serkit.errors",
    "RecipeError": "serkit.errors",
    "Recognizer": "serkit.recognition.recognizer",
    "SerkitError": "serkit.errors",
    "Stream": "serkit.recognition.stream",
    "Timeline": "serkit.recognition.tracks",
    "TrainingError": "serkit.errors",
    "TruncatedError": "serkit.errors",
    "Waveform": "serkit.audio",
    "evaluate": "serkit.evaluation.scores",
    "export_bundle": "serkit.training.export",
    "load": "serkit.recognition.recognizer",
    "load_audio": "serkit.audio",
    "load_recipe": "serkit.training.recipe_files",
    "make_split": "serkit.protocol",
    "predict": "serkit.recognition.recognizer",
    "read_bundle": "serkit.bundle",
    "read_corpus": "serkit.corpora",
    "run_evaluation": "serkit.training.run",
    "run_transfer": "serkit.training.transfer",
    "train_final": "serkit.training.run",
    "train_own": "serkit.training.own",
}

# Names for training: their modules need the extra `train`.
_LEARN = frozenset(
    {
        "evaluate",
        "export_bundle",
        "load_recipe",
        "make_split",
        "read_corpus",
        "run_evaluation",
        "run_transfer",
        "train_final",
        "train_own",
    }
)

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
    from serkit.bundle import Bundle as Bundle
    from serkit.bundle import read_bundle as read_bundle
    from serkit.corpora import read_corpus as read_corpus
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
    from serkit.errors import TruncatedError as TruncatedError
    from serkit.evaluation.scores import evaluate as evaluate
    from serkit.protocol import make_split as make_split
    from serkit.recognition.explain import Explanation as Explanation
    from serkit.recognition.prediction import Prediction as Prediction
    from serkit.recognition.profile import Profile as Profile
    from serkit.recognition.recognizer import Recognizer as Recognizer
    from serkit.recognition.recognizer import load as load
    from serkit.recognition.recognizer import predict as predict
    from serkit.recognition.stream import Stream as Stream
    from serkit.recognition.tracks import Timeline as Timeline
    from serkit.training.export import export_bundle as export_bundle
    from serkit.training.own import train_own as train_own
    from serkit.training.recipe_files import load_recipe as load_recipe
    from serkit.training.run import run_evaluation as run_evaluation
    from serkit.training.run import train_final as train_final
    from serkit.training.transfer import run_transfer as run_transfer
