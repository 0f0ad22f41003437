"""Speech emotion recognition: from a recording to emotions you can trust.

Examples
--------
>>> import serkit
>>> recognizer = serkit.load()                              # doctest: +SKIP
>>> recognizer.predict("examples/cheerful.wav").emotion     # doctest: +SKIP
'happy'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module that defines it. Loaded on first use, so that `import serkit` costs next to nothing.
_PUBLIC = {
    "AudioError": "serkit.errors",
    "BundleError": "serkit.errors",
    "CorpusError": "serkit.errors",
    "FeatureError": "serkit.errors",
    "MissingExtraError": "serkit.errors",
    "Prediction": "serkit.recognizer",
    "ProtocolError": "serkit.errors",
    "RecipeError": "serkit.errors",
    "Recognizer": "serkit.recognizer",
    "SerkitError": "serkit.errors",
    "TrainingError": "serkit.errors",
    "Waveform": "serkit.audio",
    "load": "serkit.recognizer",
    "load_audio": "serkit.audio",
    "predict": "serkit.recognizer",
    "read_corpus": "serkit.corpora",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        module = importlib.import_module(_PUBLIC[name])
        return getattr(module, "load" if name == "load_audio" else name)
    raise AttributeError(f"module 'serkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)


if TYPE_CHECKING:
    from serkit.audio import Waveform as Waveform
    from serkit.audio import load as load_audio  # noqa: F401
    from serkit.corpora import read_corpus as read_corpus
    from serkit.errors import AudioError as AudioError
    from serkit.errors import BundleError as BundleError
    from serkit.errors import CorpusError as CorpusError
    from serkit.errors import FeatureError as FeatureError
    from serkit.errors import MissingExtraError as MissingExtraError
    from serkit.errors import ProtocolError as ProtocolError
    from serkit.errors import RecipeError as RecipeError
    from serkit.errors import SerkitError as SerkitError
    from serkit.errors import TrainingError as TrainingError
    from serkit.recognizer import Prediction as Prediction
    from serkit.recognizer import Recognizer as Recognizer
    from serkit.recognizer import load as load
    from serkit.recognizer import predict as predict
