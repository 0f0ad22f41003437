"""Enrolment: up to 30 s of a person's voice make a small profile, which later answers for that person use.

A model is biased towards some labels for each voice, whatever it says. The mean log-probability over a few
utterances, minus the same mean over other voices, estimates that bias; subtracting a part of it improves the answers
(:func:`adjust`). Nothing is labelled and nothing is trained.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit.bundle.checks import FLOOR, is_number
from serkit.errors import BundleError, ProfileError
from serkit.files import parse_json, write_atomic

if TYPE_CHECKING:
    from serkit.bundle.manifest import Manifest

__all__ = ["FLOOR", "MAX_SECONDS", "Profile", "adjust", "check_speaker", "need_enrolment", "voice_mean"]

#: The most speech that a profile uses, s.
MAX_SECONDS = 30.0

_FORMAT = 1
_MOST_UTTERANCES = 1_000_000
_LOWEST = math.log(FLOOR) - 1e-6
_MAX_BYTES = 1 << 20  # of a file; a profile has less than one kB


def voice_mean(probabilities: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the mean log-probability of each label over utterances of one voice.

    Parameters
    ----------
    probabilities : np.ndarray, shape=(n, n_labels)
        In [0, 1]; values below :data:`FLOOR` are raised to it.
    weights : np.ndarray, shape=(n,), optional
        Weight of each utterance, by default the same for all.

    Returns
    -------
    np.ndarray, float64, shape=(n_labels,)
        In [-9.22, 0].
    """
    logs = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), FLOOR))
    return np.asarray(np.average(logs, axis=0, weights=weights))


def adjust(
    probabilities: np.ndarray, voice: np.ndarray, reference: np.ndarray, *, seconds: float, weight: float, half: float
) -> np.ndarray:
    """Correct answers for the model's bias towards a voice.

    ``log p'(label) = log p(label) - w * (voice(label) - reference(label))``, then softmax, where
    ``w = weight * seconds / (seconds + half)``: the less speech was heard, the smaller the correction.

    Parameters
    ----------
    probabilities : np.ndarray, shape=(..., n_labels)
        In [0, 1].
    voice, reference : np.ndarray, shape=(n_labels,)
        :func:`voice_mean` of this voice, and its mean over other voices.
    seconds : float
        How much of the voice was heard, s.
    weight : float
        The part of the bias that is corrected in the limit of endless speech.
    half : float
        Seconds of speech after which half of that is corrected.

    Returns
    -------
    np.ndarray, float64, shape=(..., n_labels)
        In [0, 1], summing to 1.

    Examples
    --------
    A voice that sounds half as happy again as others do, heard for as long as ``half``:

    >>> voice, reference = np.log([0.6, 0.4]), np.log([0.4, 0.4])
    >>> adjust(np.array([0.6, 0.4]), voice, reference, seconds=5.0, weight=1.0, half=5.0).round(3)
    array([0.551, 0.449])
    """
    strength = weight * seconds / (seconds + half)
    # Softmax of sums of logarithms, without the logarithm: a probability of 0 stays 0.
    values = np.maximum(np.asarray(probabilities, dtype=np.float64), 0) * np.exp(-strength * (voice - reference))
    return np.asarray(values / values.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Profile:
    """What a model needs to know about a voice. It holds no audio and no file names.

    Attributes
    ----------
    model, version : str
        Name and version of the model that heard the voice.
    model_sha256 : str
        SHA-256 of its ``model.onnx``. The profile is for this model alone.
    log_probabilities : dict of str to float
        Mean log-probability of each label over the utterances, in the order of the model's labels; in [-9.22, 0].
    utterances : int
        How many were heard; a long recording counts as several.
    seconds : float
        Their total length, s, at most 30.
    created : str
        Date, ISO 8601.

    Raises
    ------
    ProfileError
        If a value is of the wrong type, not finite or out of its range.

    See Also
    --------
    serkit.recognition.recognizer.Recognizer.enrol : Makes one.
    """

    model: str
    version: str
    model_sha256: str
    log_probabilities: dict[str, float]
    utterances: int
    seconds: float
    created: str

    def __post_init__(self) -> None:
        for key in ("model", "version", "created"):
            if not isinstance(getattr(self, key), str):
                raise ProfileError(f"A speaker profile's '{key}' must be text, got {getattr(self, key)!r}.")
        if not isinstance(self.model_sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", self.model_sha256):
            raise ProfileError(
                f"A speaker profile's 'model_sha256' must be 64 hexadecimal digits, got {self.model_sha256!r}."
            )
        means = self.log_probabilities
        if not isinstance(means, dict) or len(means) < 2 or not all(isinstance(label, str) for label in means):
            raise ProfileError(
                f"A speaker profile's 'log_probabilities' must have a number for each of two labels or more, got "
                f"{means!r}."
            )
        for label, value in means.items():
            if not is_number(value) or not _LOWEST <= value <= 0:
                raise ProfileError(
                    f"A speaker profile's log-probability of {label:.80} must be from {_LOWEST:.2f} to 0, got "
                    f"{value!r:.80}."
                )
        count = self.utterances
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _MOST_UTTERANCES:
            raise ProfileError(f"A speaker profile's 'utterances' must be a count, 1 or more, got {count!r:.80}.")
        if not is_number(self.seconds) or not 0 < self.seconds <= MAX_SECONDS:
            raise ProfileError(
                f"A speaker profile's 'seconds' must be more than 0 and at most {MAX_SECONDS:g}, got "
                f"{self.seconds!r:.80}."
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the model, in its order."""
        return tuple(self.log_probabilities)

    @property
    def key(self) -> str:
        """A hash of all that changes an answer, 16 hexadecimal digits."""
        parts = [self.model_sha256, list(self.log_probabilities.items()), self.seconds]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def check(self, manifest: Manifest) -> None:
        """Make sure that the profile may be used with the model of `manifest`.

        Raises
        ------
        ProfileError
            If it was made with another one.
        BundleError
            If the model does not enrol voices.
        """
        if manifest.files.get("model.onnx") != self.model_sha256 or manifest.labels != self.labels:
            made, this = f"{self.model} {self.version}", f"{manifest.name} {manifest.version}"
            this = "another model of that name" if made == this else this
            raise ProfileError(f"The speaker profile was made with {made}, this is {this}: enrol again.")
        need_enrolment(manifest)

    def adjust(self, probabilities: np.ndarray, manifest: Manifest) -> np.ndarray:
        """Correct answers of the model that the voice was enrolled with.

        Parameters
        ----------
        probabilities : np.ndarray, shape=(..., n_labels)
            In the order of the labels.
        manifest : Manifest
            Of the model that gave them.

        Returns
        -------
        np.ndarray, float64, shape=(..., n_labels)
            As :func:`adjust`.

        Raises
        ------
        ProfileError
            If it is another model.
        BundleError
            If the model does not enrol.
        """
        self.check(manifest)
        given = manifest.enrolment
        return adjust(
            probabilities,
            np.array(list(self.log_probabilities.values())),
            np.array([given["reference"][label] for label in self.labels]),
            seconds=self.seconds,
            weight=given["weight"],
            half=given["seconds"],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON-able dictionary."""
        return {"format": _FORMAT, **asdict(self)}

    def to_json(self) -> str:
        """Return what :meth:`save` writes."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, content: object) -> Profile:
        """Make a profile from parsed JSON, checking all of it; unknown keys are ignored.

        Raises
        ------
        ProfileError
            If it is not a profile, damaged, or of a newer format.

        Examples
        --------
        >>> Profile.from_dict({"format": 99})
        Traceback (most recent call last):
        serkit.errors.ProfileError: The speaker profile has format 99, this serkit reads 1: upgrade serkit.
        """
        if not isinstance(content, dict):
            raise ProfileError("A speaker profile is a JSON object: make one with 'ser enrol'.")
        names = [field.name for field in fields(cls)]
        if "format" in content and content["format"] != _FORMAT:
            raise ProfileError(
                f"The speaker profile has format {content['format']!r:.80}, this serkit reads {_FORMAT}: "
                "upgrade serkit."
            )
        for name in ("format", *names):
            if name not in content:
                raise ProfileError(
                    f"The key '{name}' is missing, so this is not a speaker profile: make one with 'ser enrol'."
                )
        return cls(**{name: content[name] for name in names})

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the profile as JSON, all or nothing; an existing file is replaced.

        Raises
        ------
        ProfileError
            If it cannot be written.
        """
        try:
            if Path(path).is_dir():
                raise ProfileError(f"Cannot write '{os.fspath(path)}': it is a folder.")
            return write_atomic(self.to_json(), path)
        except (OSError, ValueError) as error:  # ValueError: a name with a null byte
            reason = getattr(error, "strerror", None) or error
            raise ProfileError(f"Cannot write '{os.fspath(path)}': {reason}.") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Profile:
        """Read a profile that :meth:`save` wrote, checking all of it.

        Raises
        ------
        ProfileError
            If there is none, or if it is damaged or of a newer format; the message names the file.
        """
        name = os.fspath(path)
        try:
            with Path(path).open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ProfileError(f"The speaker profile '{name}' cannot be read: {reason}.") from None
        return cls.from_json(raw, name=name)

    @classmethod
    def from_json(cls, data: bytes, *, name: str) -> Profile:
        """Read what :meth:`save` wrote from memory, checking all of it.

        Parameters
        ----------
        data : bytes
        name : str
            Of the file, for messages.

        Raises
        ------
        ProfileError
            As :meth:`load`.
        """
        if len(data) > _MAX_BYTES:
            raise ProfileError(f"'{name}' is more than {_MAX_BYTES:,} bytes, so it is not a speaker profile.")
        try:
            content = parse_json(data)
        except ValueError as error:
            raise ProfileError(
                f"'{name}' is not a speaker profile, because it is not valid JSON ({error}): make one with 'ser enrol'."
            ) from None
        try:
            return cls.from_dict(content)
        except ProfileError as error:
            raise ProfileError(f"'{name}': {error}") from None


def check_speaker(speaker: object, manifest: Manifest) -> None:
    """Raise ProfileError unless `speaker` is None or a profile for the model of `manifest`."""
    if speaker is None:
        return
    if not isinstance(speaker, Profile):
        raise ProfileError(
            f"speaker must be a Profile, got {type(speaker).__name__}: make one with Recognizer.enrol, or read one "
            "with Profile.load(path)."
        )
    speaker.check(manifest)


def need_enrolment(manifest: Manifest) -> None:
    """Raise BundleError if the model of `manifest` does not enrol voices."""
    if not manifest.enrolment:
        raise BundleError(
            f"The model {manifest.name} {manifest.version} does not enrol voices: use one that does, such as "
            "'ser train' makes from a recipe with method = \"answers\" in its [enrolment]."
        )
