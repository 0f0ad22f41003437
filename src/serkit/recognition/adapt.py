"""Recordings made at one place -> the profile of that place.

Adapting puts the zero point where the recordings have their mean. That helps if they are as varied as those the model
learned from, and does harm if they are all of one mood. Whether they are cannot be measured, for nobody labelled them.
What can be asked is the model itself, without a profile: if more than 80 % of the recordings get the same label, and
the mean probability of that label over all recordings is above 0.6, they are refused. The confidence of the shipped
models is calibrated on corpora that they never heard, so that this mean estimates the share of recordings that truly
have the label. Where a model is out of its depth and gives one label to everything, but without much confidence, the
recordings are not refused: there, adapting helps most.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any, Literal, TypeVar, cast

import numpy as np

from serkit.audio import Channel, Source, check_channel
from serkit.errors import AudioError
from serkit.recognition.in_parallel import answer_many
from serkit.recognition.inputs import scan
from serkit.recognition.moments import Moments
from serkit.recognition.prediction import Prediction
from serkit.recognition.profile import Profile, need_adaptation
from serkit.recognition.runner import Heard, Runner
from serkit.recognition.sources import many

__all__ = ["ENOUGH", "LEAST", "MOST", "Adaptation", "adapt", "evenly"]

#: The fewest recordings with speech that a place needs.
LEAST = 20
#: From here on a profile is reliable; with fewer there is a remark.
ENOUGH = 50
#: The most recordings that are heard.
MOST = 1000

_ALIKE = 0.8  # of the recordings with one label
_SURE = 0.6  # mean probability of that label
_NAMED = 3  # failures that a warning names

_Item = TypeVar("_Item")


class Adaptation:
    """A profile of a place in the making.

    Parameters
    ----------
    recognizer : Recognizer

    Raises
    ------
    BundleError
        If the model does not adapt to places.

    See Also
    --------
    serkit.Recognizer.adapt : The same in one call.
    """

    def __init__(self, recognizer: Runner) -> None:
        need_adaptation(recognizer.manifest)
        self._recognizer = recognizer.among(recognizer.manifest.labels)  # what is asked is the whole model
        self._moments = Moments(recognizer.manifest.adaptation["size"])
        self._sum = np.zeros(len(self._recognizer.labels))
        self._labels: Counter[str] = Counter()
        self._seconds = 0.0
        self._silent = 0

    def hear(
        self,
        sources: Iterable[Source | Prediction | Callable[[], Source]],
        *,
        sample_rate: int | None = None,
        channel: Channel | Literal["each"] = "auto",
        workers: int | None = None,
        strict: bool = False,
        stop: Event | None = None,
    ) -> Iterator[list[Prediction]]:
        """Take recordings into the profile, and yield the plain answers for each, failures included.

        Parameters
        ----------
        sources, sample_rate, channel, workers, strict
            As for :meth:`serkit.Recognizer.rows_of`.
        stop : threading.Event, optional
            Set when the answers are no longer needed.
        """
        how: dict[str, Any] = {"channel": check_channel(channel, each=True), "strict": strict, "embed": True}

        def listen(source: Source, ended: Event) -> list[Heard]:
            return self._recognizer.listen(source, sample_rate, stop or ended, **how)

        for found in answer_many(listen, sources, workers):
            for heard in found:
                if isinstance(heard, Heard):
                    self._take(heard)
            yield [heard.answer if isinstance(heard, Heard) else heard for heard in found]

    def _take(self, heard: Heard) -> None:
        answer = heard.answer
        if not heard.pieces or answer.emotion is None:
            self._silent += 1
            return
        pieces = [(embedding, seconds / heard.voice) for embedding, seconds in heard.pieces]
        self.take(pieces, np.array(list(answer.probabilities.values())), answer.end - answer.start)

    def take(self, pieces: Iterable[tuple[np.ndarray, float]], probabilities: np.ndarray, seconds: float) -> None:
        """Take in a recording, or an utterance, that was answered.

        Parameters
        ----------
        pieces : iterable of (np.ndarray, float)
            Embeddings, shape (d,), and their weights, which sum to 1.
        probabilities : np.ndarray, shape=(n_labels,)
            Of all labels of the model, without a profile.
        seconds : float
            Its length.
        """
        for embedding, weight in pieces:
            self._moments.add(embedding, weight)
        self._labels[self._recognizer.labels[int(np.argmax(probabilities))]] += 1
        self._sum += probabilities
        self._seconds += seconds

    @property
    def heard(self) -> int:
        """Recordings with speech that were taken in."""
        return self._labels.total()

    def profile(self) -> Profile:
        """Return the profile.

        Raises
        ------
        AudioError
            If fewer than :data:`LEAST` recordings hold speech, or if all are of one mood as far as the model can tell.
        """
        if self.heard < LEAST:
            rest = f" ({self._silent} more hold none)" if self._silent else ""
            raise AudioError(
                f"{_recordings(self.heard)} speech{rest}, but a place needs at least {LEAST}: add recordings, "
                "or answer without adapting."
            )
        label, count = self._labels.most_common(1)[0]
        mean = self._sum[self._recognizer.labels.index(label)] / self.heard
        if count > _ALIKE * self.heard and mean > _SURE:
            raise AudioError(
                f"{count} of {self.heard} recordings sound {label} (mean probability {100 * mean:.0f} %). Adapting to "
                "one mood would make it the zero point: add recordings of other moods, or answer without adapting."
            )
        return self._moments.profile("place", self._recognizer.manifest, utterances=self.heard, seconds=self._seconds)

    def remark(self) -> str | None:
        """A sentence if the profile comes from few recordings, else None."""
        if self.heard >= ENOUGH:
            return None
        return f"The profile comes from {self.heard} recordings; from {ENOUGH} on it is more reliable."


def evenly(items: Sequence[_Item]) -> Sequence[_Item]:
    """Return at most :data:`MOST` of the items, spread evenly over all, first and last included.

    Examples
    --------
    >>> chosen = evenly(range(2500))
    >>> len(chosen), chosen[0], chosen[1], chosen[-1]
    (1000, 0, 3, 2499)
    """
    if len(items) <= MOST:
        return items
    return [items[(k * (len(items) - 1) + (MOST - 1) // 2) // (MOST - 1)] for k in range(MOST)]


def adapt(
    recognizer: Runner,
    sources: Source | Iterable[Source | Prediction],
    *,
    sample_rate: int | None,
    recursive: bool,
    channel: Channel | Literal["each"],
    workers: int | None,
    strict: bool,
    progress: Callable[[list[Prediction]], object] | None,
) -> Profile:
    """Make a profile of the place where `sources` were recorded; see :meth:`serkit.Recognizer.adapt`."""
    made = Adaptation(recognizer)
    failed: list[Prediction] = []
    total = 0
    asked: dict[str, Any] = {"sample_rate": sample_rate, "channel": channel, "workers": workers, "strict": strict}
    for rows in made.hear(evenly(_listed(sources, recursive)), **asked):
        total += 1
        failed += [row for row in rows if row.error is not None]
        if progress is not None:
            progress(rows)
    profile = made.profile()
    if failed:
        named = " ".join(_reason(row) for row in failed[:_NAMED])
        more = f" And {len(failed) - _NAMED} more." if len(failed) > _NAMED else ""
        warnings.warn(f"{len(failed)} of {total} recordings failed and were not used: {named}{more}", stacklevel=3)
    if remark := made.remark():
        warnings.warn(remark, stacklevel=3)
    return profile


def _listed(sources: Any, recursive: bool) -> list[Any]:
    items = many(sources)
    if items is not None:
        return list(items)
    if isinstance(sources, (str, os.PathLike)) and os.path.isdir(sources):  # noqa: PTH112 - also for bad names
        return cast("list[Any]", scan(Path(sources), recursive))
    return [sources]


def _reason(row: Prediction) -> str:
    error, name = row.error or "", row.path or ""
    return error if name in error else f"{name}: {error}"


def _recordings(count: int) -> str:
    return "1 recording holds" if count == 1 else f"{count} recordings hold"
