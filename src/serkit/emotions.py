"""The eight emotions in RAVDESS order, their names in other corpora, colours and places on the affect plane."""

from __future__ import annotations

from dataclasses import dataclass

from serkit.errors import CorpusError

__all__ = ["ALIASES", "EMOTIONS", "LABELS", "Emotion", "canonical", "colour"]


@dataclass(frozen=True)
class Emotion:
    """One emotion.

    Attributes
    ----------
    label : str
        The name used everywhere in serkit.
    code : int
        Its number in RAVDESS file names, 1 to 8.
    colour : str
        Hex colour, the same in the terminal, in reports and in the app. The eight colours stay distinct under the
        common forms of colour blindness (after Okabe and Ito, 2008).
    valence, arousal : int
        Sign of its quadrant on the affect plane (Russell, 1980): -1, 0 or 1.
    """

    label: str
    code: int
    colour: str
    valence: int
    arousal: int


EMOTIONS: tuple[Emotion, ...] = (
    Emotion("neutral", 1, "#8C8C8C", 0, 0),
    Emotion("calm", 2, "#56B4E9", 1, -1),
    Emotion("happy", 3, "#F0C808", 1, 1),
    Emotion("sad", 4, "#0072B2", -1, -1),
    Emotion("angry", 5, "#D55E00", -1, 1),
    Emotion("fearful", 6, "#7B4FA3", -1, 1),
    Emotion("disgust", 7, "#009E73", -1, 0),
    Emotion("surprised", 8, "#E78AC3", 0, 1),
)

#: The labels in RAVDESS order.
LABELS: tuple[str, ...] = tuple(e.label for e in EMOTIONS)

#: Names that other corpora and people use for the eight labels; every key is lower case.
ALIASES: dict[str, str] = {
    **{label: label for label in LABELS},
    **{f"{e.code:02d}": e.label for e in EMOTIONS},
    "neu": "neutral",
    "n": "neutral",
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

_BY_LABEL = {e.label: e for e in EMOTIONS}


def canonical(name: str) -> str:
    """Return serkit's label for an emotion's name in any of the supported corpora.

    Parameters
    ----------
    name : str
        A label such as ``"ANG"``, ``"Fear"`` or ``"happy"``; case and surrounding blanks do not matter.

    Returns
    -------
    str
        One of :data:`LABELS`.

    Raises
    ------
    CorpusError
        If nobody knows the name.

    Examples
    --------
    >>> canonical("ANG"), canonical(" Fear ")
    ('angry', 'fearful')
    """
    try:
        return ALIASES[name.strip().lower().replace(" ", "_")]
    except KeyError:
        raise CorpusError(
            f"Unknown emotion label {name!r}: expected one of {', '.join(LABELS)} or a common alias "
            "such as ANG or fear."
        ) from None


def colour(label: str) -> str:
    """Return the hex colour of a label; labels outside the eight get a neutral dark grey.

    Examples
    --------
    >>> colour("angry")
    '#D55E00'
    """
    emotion = _BY_LABEL.get(label)
    return emotion.colour if emotion else "#4D4D4D"
