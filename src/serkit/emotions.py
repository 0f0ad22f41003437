"""The eight emotions in RAVDESS order, their names in other corpora, colours and places on the affect plane."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from serkit.errors import CorpusError

__all__ = [
    "ALIASES",
    "CODES",
    "EMOTIONS",
    "LABELS",
    "OTHERS",
    "UNNAMED",
    "Emotion",
    "affect",
    "canonical",
    "colour",
    "contrast",
    "in_order",
    "own",
    "readable",
]


@dataclass(frozen=True)
class Emotion:
    """One emotion.

    Its place on the affect plane (Russell, 1980) is that of its name: what people mean by the word, not what a voice
    shows. Six places are the mean ratings of pleasure and arousal in table 4 of Russell and Mehrabian (1977), where
    the terms are happy, sad, angry, fearful, disgusted and surprised. That table has no calm: its direction is the
    316.2 degrees of Russell (1980), its distance from the middle the mean of the other six. Neutral is the middle.

    Attributes
    ----------
    label : str
        The name used everywhere in serkit.
    code : int
        Its number in RAVDESS file names, 1 to 8.
    colour : str
        Hex colour, the same in the terminal, in reports and in the app. The eight colours stay distinct under the
        common forms of colour blindness (after Okabe and Ito, 2008).
    valence, arousal : float
        Its place: unpleasant to pleasant and quiet to excited, both in [-1, 1].

    References
    ----------
    Russell JA, Mehrabian A (1977). Evidence for a three-factor theory of emotions. Journal of Research in
    Personality 11, 273-294.
    Russell JA (1980). A circumplex model of affect. Journal of Personality and Social Psychology 39, 1161-1178.
    """

    label: str
    code: int
    colour: str
    valence: float
    arousal: float

    @property
    def quadrant(self) -> tuple[int, int]:
        """Signs of valence and arousal, each -1, 0 or 1.

        Examples
        --------
        >>> {emotion.label: emotion.quadrant for emotion in EMOTIONS}["sad"]
        (-1, -1)
        """
        return _sign(self.valence), _sign(self.arousal)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


EMOTIONS: tuple[Emotion, ...] = (
    Emotion("neutral", 1, "#8C8C8C", 0.0, 0.0),
    Emotion("calm", 2, "#56B4E9", 0.57, -0.55),
    Emotion("happy", 3, "#F0C808", 0.81, 0.51),
    Emotion("sad", 4, "#0072B2", -0.63, -0.27),
    Emotion("angry", 5, "#D55E00", -0.51, 0.59),
    Emotion("fearful", 6, "#7B4FA3", -0.64, 0.60),
    Emotion("disgust", 7, "#009E73", -0.60, 0.35),
    Emotion("surprised", 8, "#E78AC3", 0.40, 0.67),
)

#: The labels in RAVDESS order.
LABELS: tuple[str, ...] = tuple(e.label for e in EMOTIONS)

#: Names that other corpora and people use for the eight labels; every key is lower case.
ALIASES: dict[str, str] = {
    **{label: label for label in LABELS},
    "neu": "neutral",
    "cal": "calm",
    "hap": "happy",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "ang": "angry",
    "anger": "angry",
    "fea": "fearful",
    "fear": "fearful",
    "dis": "disgust",
    "disgusted": "disgust",
    "sur": "surprised",
    "surprise": "surprised",
    "pleasant_surprise": "surprised",
    "ps": "surprised",
}

#: The numbers of the emotions in RAVDESS' file names. Other corpora may mean anything by them.
CODES: dict[str, str] = {f"{e.code:02d}": e.label for e in EMOTIONS}

#: Other emotions in corpora: no model here knows them, and `ser transfer` leaves them out.
OTHERS: dict[str, str] = {
    "boredom": "boredom",
    "bored": "boredom",
    "contempt": "contempt",
    "enthusiasm": "enthusiasm",
    "excitement": "excitement",
    "excited": "excitement",
    "exc": "excitement",
    "frustration": "frustration",
    "frustrated": "frustration",
    "fru": "frustration",
    "anxious": "anxious",
    "apologetic": "apologetic",
    "assertive": "assertive",
    "concerned": "concerned",
    "encouraging": "encouraging",
    "level_0": "level_0",
    "level_1": "level_1",
    "level_2": "level_2",
}

_BY_LABEL = {e.label: e for e in EMOTIONS}

#: What is said where no emotion is named. Neither looks like neutral: unsure is hatched, no speech is an empty frame.
UNNAMED = ("unsure", "no speech")

#: Colours of other labels: ten for few, then a lighter or darker one of each.
_OWN = (
    "#8C564B", "#17BECF", "#BCBD22", "#2F4B7C", "#A05195", "#665191", "#FF7C43", "#488F31", "#7A5C00", "#C2185B",
    "#C49C94", "#0B6E78", "#6B6C14", "#7F9BCB", "#D39BCB", "#A99BCF", "#A33C0E", "#A3CF94", "#C9A84A", "#7A0F3A",
)  # fmt: skip
_HUES = 10


def canonical(name: str, *, others: bool = False, corpus: str = "") -> str:
    """Return serkit's label for an emotion's name in any of the supported corpora.

    Parameters
    ----------
    name : str
        A label such as ``"ANG"``, ``"Fear"`` or ``"happy"``; case and surrounding blanks do not matter.
    others : bool
        Take the names in :data:`OTHERS` too.
    corpus : str
        Where the name is from: in ``"ravdess"`` the numbers in :data:`CODES` are names too.

    Returns
    -------
    str
        One of :data:`LABELS`, or a value of :data:`OTHERS`.

    Raises
    ------
    CorpusError
        If the name is unknown.

    Examples
    --------
    >>> canonical("ANG"), canonical(" Fear ")
    ('angry', 'fearful')
    """
    known = _names(corpus) | (OTHERS if others else {})
    try:
        return known[name.strip().lower().replace(" ", "_")]
    except KeyError:
        more = f", {', '.join(sorted(set(OTHERS.values())))}" if others else ""
        raise CorpusError(
            f"Unknown emotion label {name!r}: expected one of {', '.join(LABELS)}{more} or a common alias "
            "such as ANG or fear."
        ) from None


def own(name: str, *, corpus: str = "") -> str:
    """Return the label for a name that a user gave a class: one of the eight if it means one, else the name itself.

    Parameters
    ----------
    name : str
        Such as ``"ANG"``, ``"Stressed"`` or ``"very calm"``; case and surrounding blanks do not matter, and blanks
        inside become ``_``.
    corpus : str
        The corpus of the clip: in ``"ravdess"`` the numbers in :data:`CODES` mean its emotions, elsewhere they are
        labels like any other.

    Raises
    ------
    CorpusError
        If it is empty, longer than 64 characters, or has a character that cannot be shown, ``<`` or ``>``.

    Examples
    --------
    >>> own("ANG"), own(" Stressed "), own("very calm")
    ('angry', 'stressed', 'very_calm')
    >>> own("05"), own("05", corpus="ravdess")
    ('05', 'angry')
    """
    key = "_".join(name.strip().lower().split())
    if not key or len(key) > 64 or not key.isprintable() or "<" in key or ">" in key:
        raise CorpusError(f"{name!r:.80} cannot be a label: expected 1 to 64 characters that can be shown, no < or >.")
    return (_names(corpus) | OTHERS).get(key, key)


def _names(corpus: str) -> dict[str, str]:
    """The names of the eight labels in a corpus."""
    return ALIASES | CODES if corpus.lower() == "ravdess" else ALIASES


def in_order(labels: Iterable[str]) -> list[str]:
    """Return labels in the order of serkit: the eight as in RAVDESS, then all others by alphabet, each once.

    Examples
    --------
    >>> in_order(["stressed", "sad", "bored", "neutral"])
    ['neutral', 'sad', 'bored', 'stressed']
    """
    present = set(labels)
    return [label for label in LABELS if label in present] + sorted(present - set(LABELS))


def colour(label: str, among: Iterable[str] = ()) -> str:
    """Return the hex colour of a label.

    Labels outside the eight get one of twenty hues that differ from those of the eight. The name decides which, so a
    label looks the same everywhere; where two names that are shown together decide for the same hue, the later one in
    the alphabet takes the next. Of more than twenty own labels some share a hue.

    Parameters
    ----------
    label : str
    among : iterable of str
        The labels that it is shown together with, in any order.

    Examples
    --------
    >>> colour("angry"), colour("stressed")
    ('#D55E00', '#C2185B')
    >>> colour("relaxed") == colour("weary"), colour("relaxed", ["weary"]) == colour("weary", ["relaxed"])
    (True, False)
    """
    emotion = _BY_LABEL.get(label)
    if emotion is not None:
        return emotion.colour
    taken: set[int] = set()
    at = 0
    for name in sorted({label, *among} - _BY_LABEL.keys()):
        first = zlib.crc32(name.encode("utf-8", "surrogateescape")) % _HUES
        ring = [(first + step) % _HUES for step in range(_HUES)]
        at = next((k for k in [*ring, *(k + _HUES for k in ring)] if k not in taken), first)
        if name == label:
            break
        taken.add(at)
    return _OWN[at]


def contrast(one: str, two: str) -> float:
    """Return the contrast of two hex colours by WCAG 2.2: 1 (none) to 21; letters need 4.5.

    Examples
    --------
    >>> contrast("#000000", "#ffffff"), round(contrast("#8C8C8C", "#ffffff"), 2)
    (21.0, 3.36)
    """
    low, high = sorted(map(_luminance, (one, two)))
    return (high + 0.05) / (low + 0.05)


def _channels(hue: str) -> list[int]:
    return [int(hue[k : k + 2], 16) for k in (1, 3, 5)]


def _luminance(hue: str) -> float:
    parts = [value / 255 for value in _channels(hue)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def readable(hue: str, background: str, *, least: float = 4.5) -> str:
    """Return a colour for lines and letters: the given one, darker or lighter as far as the background asks for.

    Parameters
    ----------
    hue, background : str
        Hex colours.
    least : float
        The contrast to reach, 1 to 4.5.

    Examples
    --------
    >>> readable("#0072B2", "#ffffff"), readable("#F0C808", "#ffffff")
    ('#0072B2', '#8b7405')
    """
    end = 0 if contrast("#000000", background) > contrast("#ffffff", background) else 255
    found = hue
    for step in range(1, 51):
        if contrast(found, background) >= least:
            break
        found = "#" + "".join(f"{round(value + (end - value) * step / 50):02x}" for value in _channels(hue))
    return found


def affect(probabilities: Mapping[str, float]) -> tuple[float, float] | None:
    """Derive valence and arousal from the probabilities of emotions: the mean of the emotions' places.

    Nothing is measured: the result is the average place of the model's emotions on the affect plane of
    :class:`Emotion`. The places are those of words, and those of fearful and angry are almost the same.

    Parameters
    ----------
    probabilities : mapping of str to float
        Probability of each label; aliases count as the label that they mean.

    Returns
    -------
    tuple of float, or None
        Valence and arousal, each in [-1, 1]; None without probabilities, or if a label has no place.

    Examples
    --------
    >>> affect({"happy": 1.0})
    (0.81, 0.51)
    >>> affect({"boredom": 0.9, "happy": 0.1}) is None
    True
    """
    places = [(_BY_LABEL.get(ALIASES.get(label.lower(), "")), share) for label, share in probabilities.items()]
    total = sum(share for _, share in places)
    if total <= 0 or any(emotion is None for emotion, _ in places):
        return None
    known = [(emotion, share / total) for emotion, share in places if emotion is not None]
    return sum(e.valence * share for e, share in known), sum(e.arousal * share for e, share in known)
