"""What a column of ratings may be called."""

from __future__ import annotations

from collections.abc import Sequence

from serkit.bundle.checks import check_dimensions
from serkit.corpora.columns import COPY
from serkit.corpora.table import COLUMNS
from serkit.errors import BundleError, CorpusError
from serkit.recognition.rows import columns

__all__ = ["check_targets"]

# Columns of corpora, of scores and of answers, which a target of the same name would hide.
_TAKEN = {*COLUMNS, *COPY, "fold", *columns(())} - {"intensity"}


def check_targets(targets: Sequence[str]) -> None:
    """Raise CorpusError unless the targets are column names that a model can give to its numbers, each once.

    Examples
    --------
    >>> check_targets(["arousal", "valence"])
    >>> check_targets(["arousal", "arousal"])
    Traceback (most recent call last):
    serkit.errors.CorpusError: The target arousal is named twice: name each column once.
    """
    if isinstance(targets, str):
        raise CorpusError(f"The targets must be a list of columns, such as [{targets!r}], got {targets!r}.")
    repeated = sorted({target for target in targets if list(targets).count(target) > 1})
    if repeated:
        raise CorpusError(f"The target {repeated[0]} is named twice: name each column once.")
    answers = {f"{target}_answer" for target in targets}
    taken = [target for target in targets if target in _TAKEN | answers]
    if taken:
        raise CorpusError(
            f"The column {taken[0]} cannot hold ratings, because serkit's tables have a column of that name: rename it."
        )
    try:
        check_dimensions({target: {"low": 0, "high": 1} for target in targets}, ())
    except BundleError as error:
        said = str(error).replace("a name in 'dimensions'", "The name of a target")
        raise CorpusError(said.removeprefix("Manifest: ").replace("'dimensions' names", "The targets name")) from None
