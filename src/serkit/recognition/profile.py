"""Profiles: what a model has heard of a voice or of a place, which makes its later answers there better.

A voice is a person; a place is a microphone, a room, a language, a style of speaking. The mean and the standard
deviation of the model's embedding over a few unlabelled utterances become the zero point and the unit of what it hears
there. Nothing is labelled and nothing is trained.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serkit.bundle.checks import is_number
from serkit.errors import BundleError, ProfileError
from serkit.files import parse_json, write_atomic

if TYPE_CHECKING:
    from serkit.bundle.manifest import Manifest

__all__ = [
    "KINDS",
    "LEAST_DEVIATION",
    "MAX_SECONDS",
    "Profile",
    "check_profile",
    "need_adaptation",
]

#: What a profile may be of.
KINDS = ("voice", "place")
#: The most speech that the profile of a voice uses, s.
MAX_SECONDS = 30.0
#: The smallest standard deviation that a profile states: one utterance alone has none.
LEAST_DEVIATION = 1e-6

_FORMAT = 2
_MOST_UTTERANCES = 1_000_000
_MOST_SECONDS = 1e9
_LARGEST = 1e6  # of a mean or deviation: the graph's arithmetic with float32 stays finite
_DIGITS = 5  # significant, of means and deviations
_MAX_BYTES = 1 << 22  # of a file; a profile of 3,072 means and deviations has 70 kB


@dataclass(frozen=True, eq=False)
class Profile:
    """What a model needs to know about a voice or a place. It holds no audio and no file names.

    A profile of a voice describes a person's voice much as a voice print does: store it with the same care as a
    recording of that person.

    Attributes
    ----------
    kind : {"voice", "place"}
        ``"voice"``: one person, heard by :meth:`serkit.Recognizer.enrol`. ``"place"``: recordings of a place, heard by
        :meth:`serkit.Recognizer.adapt`.
    model, version : str
        Name and version of the model that heard it.
    model_sha256 : str
        SHA-256 of its ``model.onnx``. The profile works with this model alone.
    mean, deviation : np.ndarray, float32, shape=(d,)
        Mean and standard deviation of the model's embedding over the utterances, in its own unit, rounded to 5
        significant digits. Means are within ±1e6, deviations from 1e-6 to 1e6.
    utterances : int
        How many were heard. Of a voice: windows with speech; a long recording has several. Of a place: recordings with
        speech.
    seconds : float
        Their total length, s; at most 30 for a voice.
    created : str
        Date, ISO 8601.

    Raises
    ------
    ProfileError
        If a value is of the wrong type, not finite or out of its range.

    See Also
    --------
    serkit.recognition.recognizer.Recognizer.enrol : Makes one of a voice.
    serkit.recognition.recognizer.Recognizer.adapt : Makes one of a place.

    Examples
    --------
    >>> ann = Profile("voice", "tiny", "1.0", 64 * "0", np.array([0.25, -1]), np.array([1, 2]), 4, 12.5, "2025-01-31")
    >>> Profile.from_dict(ann.to_dict()) == ann
    True
    """

    kind: str
    model: str
    version: str
    model_sha256: str
    mean: np.ndarray = field(repr=False)
    deviation: np.ndarray = field(repr=False)
    utterances: int
    seconds: float
    created: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ProfileError(f"A profile's 'kind' must be voice or place, got {self.kind!r:.80}.")
        for key in ("model", "version", "created"):
            if not isinstance(getattr(self, key), str):
                raise ProfileError(f"A profile's '{key}' must be text, got {getattr(self, key)!r:.80}.")
        if not isinstance(self.model_sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", self.model_sha256):
            raise ProfileError(
                f"A profile's 'model_sha256' must be 64 hexadecimal digits, got {self.model_sha256!r:.80}."
            )
        for key, least in (("mean", -_LARGEST), ("deviation", LEAST_DEVIATION)):
            object.__setattr__(self, key, _vector(key, getattr(self, key), least))
        if len(self.mean) != len(self.deviation):
            raise ProfileError(
                f"A profile's 'mean' and 'deviation' must have the same length, got {len(self.mean):,} and "
                f"{len(self.deviation):,} numbers."
            )
        count = self.utterances
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _MOST_UTTERANCES:
            raise ProfileError(f"A profile's 'utterances' must be a count, 1 or more, got {count!r:.80}.")
        most = MAX_SECONDS if self.kind == "voice" else _MOST_SECONDS
        if not is_number(self.seconds) or not 0 < self.seconds <= most:
            raise ProfileError(
                f"The 'seconds' of a {self.kind}'s profile must be more than 0 and at most {most:,.0f}, got "
                f"{self.seconds!r:.80}."
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Profile) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """A hash of all that changes an answer, 16 hexadecimal digits."""
        parts = [self.model_sha256, self.mean.tolist(), self.deviation.tolist(), self.utterances]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    @property
    def heard(self) -> str:
        """What it was made from, in words: ``"12 s"`` of a voice, ``"57 recordings"`` of a place."""
        return f"{self.seconds:.0f} s" if self.kind == "voice" else f"{self.utterances} recordings"

    def check(self, manifest: Manifest) -> None:
        """Make sure that the profile may be used with the model of `manifest`.

        Raises
        ------
        ProfileError
            If it was made with another one.
        BundleError
            If the model does not adapt.
        """
        if manifest.files.get("model.onnx") != self.model_sha256:
            made, this = f"{self.model} {self.version}", f"{manifest.name} {manifest.version}"
            this = "another model of that name" if made == this else this
            again = "enrol" if self.kind == "voice" else "adapt"
            raise ProfileError(f"The profile was made with {made}, this is {this}: {again} again.")
        need_adaptation(manifest)
        if len(self.mean) != manifest.adaptation["size"]:
            raise ProfileError(
                f"The profile has {len(self.mean):,} means, the model {manifest.name} needs "
                f"{manifest.adaptation['size']:,}: one of the two was changed."
            )

    def inputs(self) -> dict[str, np.ndarray]:
        """Return what the graph is given beside the waveform: ``mean``, ``deviation`` and ``heard``, float32."""
        return {
            "mean": self.mean[np.newaxis],
            "deviation": self.deviation[np.newaxis],
            "heard": np.array([self.utterances], dtype=np.float32),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON-able dictionary."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {"format": _FORMAT, **values, "mean": _rounded(self.mean), "deviation": _rounded(self.deviation)}

    def to_json(self) -> str:
        """Return what :meth:`save` writes: a key on each line."""
        lines = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in self.to_dict().items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_dict(cls, content: object) -> Profile:
        """Make a profile from parsed JSON, checking all of it; unknown keys are ignored.

        Raises
        ------
        ProfileError
            If it is not a profile, damaged, of the first format or of a newer one.

        Examples
        --------
        >>> Profile.from_dict({"format": 1})
        Traceback (most recent call last):
        serkit.errors.ProfileError: The profile has format 1, which only earlier models could use: enrol again.
        >>> Profile.from_dict({"format": 99})
        Traceback (most recent call last):
        serkit.errors.ProfileError: The profile has format 99, this serkit reads 2: upgrade serkit.
        """
        if not isinstance(content, dict):
            raise ProfileError("A profile is a JSON object: make one with 'ser enrol' or 'ser adapt'.")
        version = content.get("format", _FORMAT)
        if version == 1 and not isinstance(version, bool):
            raise ProfileError("The profile has format 1, which only earlier models could use: enrol again.")
        if version != _FORMAT:
            raise ProfileError(f"The profile has format {version!r:.80}, this serkit reads {_FORMAT}: upgrade serkit.")
        names = [item.name for item in fields(cls)]
        for name in ("format", *names):
            if name not in content:
                raise ProfileError(
                    f"The key '{name}' is missing, so this is not a profile: make one with 'ser enrol' or 'ser adapt'."
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
            If there is none, or if it is damaged or of another format; the message names the file.
        """
        name = os.fspath(path)
        try:
            with Path(path).open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ProfileError(f"The profile '{name}' cannot be read: {reason}.") from None
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
            raise ProfileError(f"'{name}' is more than {_MAX_BYTES:,} bytes, so it is not a profile.")
        try:
            content = parse_json(data)
        except ValueError as error:
            raise ProfileError(
                f"'{name}' is not a profile, because it is not valid JSON ({error}): make one with 'ser enrol' or "
                "'ser adapt'."
            ) from None
        try:
            return cls.from_dict(content)
        except ProfileError as error:
            raise ProfileError(f"'{name}': {error}") from None


def check_profile(profile: object, manifest: Manifest) -> None:
    """Raise ProfileError unless `profile` is None or a profile for the model of `manifest`."""
    if profile is None:
        return
    if not isinstance(profile, Profile):
        raise ProfileError(
            f"profile must be a Profile, got {type(profile).__name__}: make one with Recognizer.enrol or "
            "Recognizer.adapt, or read one with Profile.load(path)."
        )
    profile.check(manifest)


def need_adaptation(manifest: Manifest) -> None:
    """Raise BundleError if the model of `manifest` does not adapt to voices and places."""
    if not manifest.adaptation:
        raise BundleError(
            f"The model {manifest.name} {manifest.version} does not adapt to voices or places: use one that does; "
            "'ser models' says which."
        )


def _vector(key: str, values: object, least: float) -> np.ndarray:
    """Check means or deviations, and return them rounded, float32, read-only."""
    if isinstance(values, (list, tuple)):
        odd = next((value for value in values if not is_number(value)), None)
        if odd is not None or not values:
            raise ProfileError(f"A profile's '{key}' must be a list of finite numbers, got {odd!r:.80}.")
    elif not isinstance(values, np.ndarray) or values.ndim != 1 or not values.size or values.dtype.kind not in "fiu":
        raise ProfileError(f"A profile's '{key}' must be a list of finite numbers, got {type(values).__name__}.")
    found = np.array(_rounded(np.asarray(values)), dtype=np.float64)
    wrong = found[~((found >= least) & (found <= _LARGEST))]  # also nan
    if wrong.size:
        raise ProfileError(
            f"A profile's '{key}' must have numbers from {least:g} to {_LARGEST:g}, got {float(wrong[0])!r}."
        )
    single = found.astype(np.float32)
    single.flags.writeable = False
    return single


def _rounded(values: np.ndarray) -> list[float]:
    """The numbers with the digits that a profile keeps; read as float32, they round back to the same."""
    return [float(f"{value:.{_DIGITS}g}") for value in values.tolist()]
