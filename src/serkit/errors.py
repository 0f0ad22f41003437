"""The errors that serkit raises for a user's mistake or a broken input.

Each message is one or two sentences: what was given, what was expected, what to do. The command line prints the message
without a traceback; from Python, ``except serkit.SerkitError`` catches them all.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SerkitError(Exception):
    """Base of all errors that serkit raises on purpose."""


class AudioError(SerkitError):
    """A recording that cannot be read or that holds nothing usable."""


class TruncatedError(AudioError):
    """A recording that breaks off or is damaged part of the way through; what comes before can be read."""


class FeatureError(SerkitError):
    """A feature request that cannot be met, such as more coefficients than mel bands."""


class ArchiveError(SerkitError):
    """A zip archive that is damaged or unpacks to too much."""


class CorpusError(SerkitError):
    """A folder or manifest that is not a corpus, or unknown labels."""


class ProtocolError(SerkitError):
    """A split that cannot be made from this corpus, or a split that is not disjoint."""


class RecipeError(SerkitError):
    """A recipe with an unknown key or an impossible value."""


class TrainingError(SerkitError):
    """A training run that cannot continue."""


class BundleError(SerkitError):
    """A model bundle that is truncated, changed, too new or incomplete."""


class ProfileError(SerkitError):
    """A profile of a voice or place that is damaged, or belongs to another model."""


class ServiceError(SerkitError):
    """A service that does not answer, or refuses to.

    Parameters
    ----------
    message : str
    status : int, optional
        The HTTP status of its answer; None: there was none.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class MissingExtraError(SerkitError, ImportError):
    """An optional dependency is needed; the message names the extra that installs it.

    Parameters
    ----------
    need : str
        What needs it, as the start of the sentence, e.g. ``"Reading .m4a"``.
    package : str
        The package that is missing.
    extra : str
        The extra of serkit that installs it.

    Examples
    --------
    >>> print(MissingExtraError("Reading .m4a", "av", "formats"))
    Reading .m4a needs the package 'av', which is not installed: run pip install 'serkit[formats]'.
    """

    def __init__(self, need: str, package: str, extra: str) -> None:
        super().__init__(
            f"{need} needs the package '{package}', which is not installed: run pip install 'serkit[{extra}]'."
        )
        self.need, self.package, self.extra = need, package, extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str]]:
        return type(self), (self.need, self.package, self.extra)  # the message alone would not rebuild it


def nearest(name: str, known: Iterable[str]) -> str:
    """The middle of a sentence about an unknown name: the nearest known one, or nothing but a full stop.

    Examples
    --------
    >>> nearest("sad", ["sat", "calm"]), nearest("xyz", ["sat", "calm"])
    (": did you mean 'sat'?", '.')
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f": did you mean '{close[0]}'?" if close else "."
