"""What a bundle says of its model, and among which labels it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from serkit.bundle import Bundle, Manifest
from serkit.errors import SerkitError
from serkit.recognition.prediction import check_confidence

if TYPE_CHECKING:
    from serkit.recognition.label_choice import LabelChoice, Labels
    from serkit.recognition.profile import Profile

__all__ = ["Model"]

_Self = TypeVar("_Self", bound="Model")


class Model:
    """A bundle and the labels that it answers; :class:`serkit.recognition.graph.Graph` runs it.

    Parameters
    ----------
    bundle : Bundle
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._choice: LabelChoice | None = None

    @property
    def manifest(self) -> Manifest:
        """What the bundle says about its model."""
        return self.bundle.manifest

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that are answered, in the order of the probabilities: the model's, or those of :meth:`among`."""
        return self.manifest.labels if self._choice is None else self._choice.names

    @property
    def columns(self) -> tuple[str, ...]:
        """The labels that are answered, then the names of the dimensions: what has a column in a table of answers."""
        return (*self.labels, *self.manifest.dimensions)

    @property
    def choice(self) -> LabelChoice | None:
        """Which of the model's labels are answered; None: all of them."""
        return self._choice

    @property
    def sample_rate(self) -> int:
        """The rate that the model works at, Hz. Recordings of any rate are converted."""
        return self.manifest.sample_rate

    def __repr__(self) -> str:
        name, version = self.manifest.name, self.manifest.version
        return f"{type(self).__name__}({name!r}, version={version!r}, labels={len(self.labels)})"

    def among(self: _Self, labels: Labels | None) -> _Self:
        """Return this model, answering among some of its labels, or merging them.

        Parameters
        ----------
        labels : str, iterable of str, mapping or None
            As :meth:`serkit.recognition.label_choice.LabelChoice.parse` reads them, of all labels of the model. None:
            those that are answered already.

        Returns
        -------
        Model
            Of the same class and with the same session, so that this costs nothing. Profiles act before: what they
            adapt is the answer among all labels.

        Raises
        ------
        SerkitError
            If these cannot be answered.

        See Also
        --------
        serkit.Recognizer.predict : Its parameter `labels` does this for one call.
        """
        if labels is None:
            return self
        self.need_labels("choose among labels")
        from serkit.recognition.label_choice import LabelChoice

        choice = LabelChoice.parse(labels, self.manifest.labels)
        found = self._copy()
        found._choice = None if choice.everything else choice
        return found

    def _copy(self: _Self) -> _Self:
        found = object.__new__(type(self))
        vars(found).update(vars(self))
        return found

    def need_labels(self, what: str) -> None:
        """Raise SerkitError if the model answers numbers alone; `what` is what it then cannot do."""
        if not self.manifest.labels:
            numbers = ", ".join(self.manifest.dimensions)
            raise SerkitError(
                f"The model {self.manifest.name} answers numbers ({numbers}) and no emotions, so it cannot {what}: use "
                "'ser predict', or a model with labels."
            )

    def check_profile(self, profile: Profile | None) -> None:
        """Raise ProfileError unless `profile` is None or a profile for this model."""
        if profile is not None:
            from serkit.recognition.profile import check_profile

            check_profile(profile, self.manifest)

    def least(self, min_confidence: float | None) -> float:
        """Return the confidence below which an answer is "unsure": the caller's, else the model's own.

        Raises
        ------
        SerkitError
            If `min_confidence` is neither None nor a probability.
        """
        if min_confidence is None:
            return self.manifest.min_confidence or 0.0
        if min_confidence:
            self.need_labels("compare a confidence")
        check_confidence(min_confidence)
        return min_confidence
