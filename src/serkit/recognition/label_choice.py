"""Some of a model's labels, or groups of them: which ones are answered, and what their probabilities are then.

A model that knows eight emotions answers a question with four of them better if it cannot answer with the other four.
Leaving labels out is not a threshold: the probabilities of the labels that stay are rescaled to sum to 1, as they are
where a model is scored on a corpus that lacks some of its labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from serkit.errors import SerkitError, nearest

__all__ = ["LabelChoice", "Labels"]

#: How labels are chosen: ``"sad,happy,calm=sad"``, its parts in a sequence, or a mapping from labels to answers.
Labels: TypeAlias = "str | Iterable[str] | Mapping[str, str]"


@dataclass(frozen=True)
class LabelChoice:
    """The labels that are answered, and those that are merged into them; :meth:`parse` makes and checks one.

    Attributes
    ----------
    labels : tuple of str
        All labels of the model, in its order.
    answers : tuple of str or None
        What each of them is answered as: itself, the label that it is merged into, or None where it is dropped.

    See Also
    --------
    serkit.recognition.model.Model.among : A model that answers with such a choice.

    Examples
    --------
    >>> choice = LabelChoice.parse("sad,neutral,calm=neutral", ["neutral", "calm", "happy", "sad"])
    >>> choice.names, choice.spelled
    (('neutral', 'sad'), ('neutral', 'calm=neutral', 'sad'))
    >>> choice.apply(np.array([0.25, 0.125, 0.5, 0.125])).tolist()
    [0.75, 0.25]
    """

    labels: tuple[str, ...]
    answers: tuple[str | None, ...]

    @classmethod
    def parse(cls, chosen: Labels, labels: Sequence[str]) -> LabelChoice:
        """Read a choice among `labels`.

        Parameters
        ----------
        chosen : str, iterable of str, or mapping of str to str
            Text: labels to keep, and ``label=kept`` to merge a label into one of them, with commas between; or the
            same parts one by one. A mapping: from each label to the one that it is answered as, itself if it is kept.
            The order makes no difference.
        labels : sequence of str
            All labels of the model, in its order.

        Raises
        ------
        SerkitError
            If a label is unknown or given twice, if one is merged into a label that is not kept, or if fewer than two
            are kept.
        """
        answers: dict[str, str] = {}
        for label, answer in _pairs(chosen, labels):
            for name in (label, answer):
                if name not in labels:
                    raise SerkitError(
                        f"The model has no label {name!r}{nearest(str(name), labels)} Its labels are "
                        f"{', '.join(labels)}."
                    )
            if label in answers:
                both = f", as {_spelled(label, answers[label])!r} and {_spelled(label, answer)!r}"
                same = answers[label] == answer
                raise SerkitError(f"The label {label!r} is given twice{'' if same else both}: give it once.")
            answers[label] = answer
        kept = [label for label in labels if answers.get(label) == label]
        for label, answer in answers.items():
            if answer not in kept:
                raise SerkitError(
                    f"{label!r} cannot be merged into {answer!r}, which is not among the answered labels: "
                    f"keep {answer!r}, or merge into one of those that are kept ({', '.join(kept) or 'none'})."
                )
        if len(kept) < 2:
            raise SerkitError(
                f"An answer needs at least two labels to choose from, got {', '.join(kept) or 'none'}: name more of "
                f"{', '.join(labels)}."
            )
        return cls(tuple(labels), tuple(answers.get(label) for label in labels))

    @property
    def names(self) -> tuple[str, ...]:
        """The labels that are answered, in the model's order."""
        return tuple(label for label, answer in zip(self.labels, self.answers, strict=True) if label == answer)

    @property
    def spelled(self) -> tuple[str, ...]:
        """The choice as :meth:`parse` reads it, in the model's order: equal choices are spelled alike."""
        pairs = zip(self.labels, self.answers, strict=True)
        return tuple(_spelled(label, answer) for label, answer in pairs if answer is not None)

    @property
    def everything(self) -> bool:
        """Whether all labels are answered, so that nothing changes."""
        return self.labels == self.answers

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the probabilities of the answered labels.

        Parameters
        ----------
        probabilities : np.ndarray, shape=(..., n_labels)
            Of all labels of the model.

        Returns
        -------
        np.ndarray, float64, shape=(..., n_answered)
            In the order of :attr:`names`. Merged labels add theirs to that of the answer; the sum is 1. Where all of
            it would be 0, equal shares. If all labels are answered, the given array itself.
        """
        if self.everything:
            return probabilities
        goes_to = np.array([[answer == name for name in self.names] for answer in self.answers], dtype=np.float64)
        kept = np.maximum(probabilities, 0).astype(np.float64) @ goes_to  # a softmax may fall 1e-7 below 0
        total = kept.sum(axis=-1, keepdims=True)
        return np.where(total > 0, kept / np.where(total > 0, total, 1), 1 / len(self.names))


def _pairs(chosen: Labels, labels: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each label that is named, and what it is answered as."""
    if isinstance(chosen, Mapping):
        yield from chosen.items()
        return
    if not isinstance(chosen, Iterable):
        raise SerkitError(f"Labels are text, a sequence of labels or a mapping, got {type(chosen).__name__}.")
    for part in chosen.split(",") if isinstance(chosen, str) else chosen:
        text = str(part).strip()
        if not text:
            continue
        label, merged, answer = (text, "", "") if text in labels else text.partition("=")  # a label may hold "="
        yield label.strip(), answer.strip() if merged else label.strip()


def _spelled(label: str, answer: str) -> str:
    return label if label == answer else f"{label}={answer}"
