"""EmoBox's six folds of RAVDESS' speech: which actors are tested together.

Ma Z et al. (2024), EmoBox: Multilingual Multi-corpus Speech Emotion Recognition Toolkit and Benchmark, Interspeech,
arXiv:2406.07162. Its files list clips; they amount to four whole actors a fold. It has no validation clips of RAVDESS,
so these are chosen here as for ``speaker``.
"""

from __future__ import annotations

import pandas as pd

from serkit.errors import ProtocolError

__all__ = ["CLIPS", "FOLDS", "emobox_folds"]

#: The actors that are tested in each fold; EmoBox counts its folds from 1.
FOLDS = (
    ("01", "11", "20", "21"),
    ("04", "10", "12", "14"),
    ("08", "09", "19", "23"),
    ("03", "05", "07", "24"),
    ("02", "15", "16", "18"),
    ("06", "13", "17", "22"),
)
#: The clips of RAVDESS' speech, 60 of each actor.
CLIPS = 1440


def emobox_folds(clips: pd.DataFrame) -> dict[str, int]:
    """Return the fold of each voice, 0 to 5.

    Parameters
    ----------
    clips : DataFrame
        Of :func:`serkit.protocol.assignment.clip_table`.

    Raises
    ------
    ProtocolError
        If the clips are not those of RAVDESS' speech, all of them.
    """
    corpora = sorted(set(clips["corpus"]))
    if corpora != ["ravdess"]:
        raise ProtocolError(
            f"The protocol emobox has the speech of RAVDESS alone, got {' and '.join(corpora)}: use --corpus ravdess "
            "--channel speech."
        )
    other = int((clips["channel"] != "speech").sum())
    if other:
        raise ProtocolError(
            f"The protocol emobox trains and tests on speech alone, got {other:,} clips of song: use --channel speech."
        )
    fold_of = {actor: k for k, actors in enumerate(FOLDS) for actor in actors}
    if len(clips) != CLIPS or set(clips["speaker"]) != set(fold_of):
        raise ProtocolError(
            f"The protocol emobox needs the {CLIPS:,} speech clips of all {len(fold_of)} actors of RAVDESS, got "
            f"{len(clips):,} of {clips['speaker'].nunique()}: complete the recordings ('ser data get ravdess')."
        )
    voices = clips.drop_duplicates("voice")
    return {voice: fold_of[actor] for voice, actor in zip(voices["voice"], voices["speaker"], strict=True)}
