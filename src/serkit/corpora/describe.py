"""The content of a corpus: classes, speakers and durations, as numbers and as a picture."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from serkit.corpora.table import Corpus, voice_names
from serkit.emotions import colour, in_order
from serkit.errors import CorpusError
from serkit.files import write_atomic

__all__ = ["describe", "plot"]

_QUANTILES = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "max": 1.0}


def describe(corpus: Corpus) -> dict[str, Any]:
    """Return the statistics of a corpus, ready for JSON.

    Parameters
    ----------
    corpus : Corpus

    Returns
    -------
    dict
        ``corpus``, ``root``, ``licence``, ``citation``; ``clips``, ``recordings`` (different audio hashes),
        ``speakers``, ``seconds``; ``classes``: a list in RAVDESS order of emotion, clips, share (0 to 1), speakers,
        seconds and median duration; ``by_speaker``: corpus, sex and clips of each; ``by_sex`` and ``by_channel``:
        clips; ``duration``: quantiles in seconds.
    """
    table = corpus.table
    seconds = table["end"] - table["start"]
    voices = voice_names(table)
    known = voices[table["speaker"] != ""]
    classes = []
    for emotion in _order(set(table["emotion"])):
        rows = table["emotion"] == emotion
        classes.append(
            {
                "emotion": emotion,
                "clips": int(rows.sum()),
                "share": float(rows.mean()),
                "speakers": int(known[rows].nunique()),
                "seconds": round(float(seconds[rows].sum()), 3),
                "median_duration": round(float(seconds[rows].median()), 3),
            }
        )
    return {
        "corpus": corpus.name,
        "root": str(corpus.root),
        "licence": corpus.licence,
        "citation": corpus.citation,
        "clips": len(table),
        "recordings": int(table["audio_hash"].nunique()),
        "speakers": int(known.nunique()),
        "seconds": round(float(seconds.sum()), 3),
        "classes": classes,
        "by_speaker": [
            {"corpus": corpus_name, "speaker": speaker, "sex": rows["sex"].iloc[0], "clips": len(rows)}
            for (corpus_name, speaker), rows in table.groupby(["corpus", "speaker"], sort=True)
        ],
        "by_sex": {str(name or "unknown"): int(n) for name, n in table["sex"].value_counts().sort_index().items()},
        "by_channel": {str(name): int(n) for name, n in table["channel"].value_counts().sort_index().items()},
        "duration": {name: round(float(seconds.quantile(q)), 3) for name, q in _QUANTILES.items()},
    }


def _order(emotions: set[str]) -> list[str]:
    return in_order(emotions)


def plot(corpus: Corpus, path: str | os.PathLike[str]) -> None:
    """Draw the clips per class, per speaker and by duration in one picture.

    Parameters
    ----------
    corpus : Corpus
    path : path
        ``.png``, ``.svg`` or ``.pdf``.

    Raises
    ------
    CorpusError
        If the suffix is not one of these, or the file cannot be written.
    """
    file = Path(path)
    if file.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise CorpusError(f"A picture cannot be written as {file.name!r}: expected .png, .svg or .pdf.")
    from matplotlib.figure import Figure

    numbers = describe(corpus)
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    axes = figure.subplot_mosaic([["classes", "durations"], ["speakers", "speakers"]])

    classes = axes["classes"]
    labels = [row["emotion"] for row in numbers["classes"]]
    bars = classes.bar(
        labels, [row["clips"] for row in numbers["classes"]], color=[colour(label, labels) for label in labels]
    )
    classes.bar_label(bars, fontsize=8)
    classes.tick_params(axis="x", rotation=35)
    classes.set(title="Clips per emotion", ylabel="clips")

    seconds = (corpus.table["end"] - corpus.table["start"]).to_numpy()
    edges = np.histogram_bin_edges(seconds, bins=30)
    durations = axes["durations"]
    durations.hist(
        [seconds[(corpus.table["emotion"] == label).to_numpy()] for label in labels],
        bins=edges.tolist(),
        stacked=True,
        color=[colour(label, labels) for label in labels],
    )
    durations.set(title="Duration", xlabel="seconds", ylabel="clips")

    speakers = axes["speakers"]
    at = np.arange(len(numbers["by_speaker"]))
    bottom = np.zeros(len(at))
    for label in labels:
        counts = corpus.table[corpus.table["emotion"] == label].groupby(["corpus", "speaker"]).size().to_dict()
        heights = np.array([counts.get((row["corpus"], row["speaker"]), 0) for row in numbers["by_speaker"]])
        speakers.bar(at, heights, bottom=bottom, color=colour(label, labels), label=label, width=0.85)
        bottom += heights
    speakers.set(
        title=f"Clips per speaker ({numbers['speakers']} speakers)", ylabel="clips", xlim=(-0.6, len(at) - 0.4)
    )
    names = [row["speaker"] or "unknown" for row in numbers["by_speaker"]]
    step = max(1, len(at) // 32)
    speakers.set_xticks(at[::step], names[::step], rotation=0 if len(at) <= 26 else 90, fontsize=8)
    speakers.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)

    figure.suptitle(f"{numbers['corpus']}: {numbers['clips']:,} clips, {numbers['seconds'] / 60:.0f} minutes")
    drawn = io.BytesIO()
    figure.savefig(drawn, format=file.suffix[1:].lower(), dpi=140)
    try:
        write_atomic(drawn.getvalue(), file, new_folder=False)
    except OSError as error:
        raise CorpusError(f"The picture {file} cannot be written ({error.strerror or error}).") from None
