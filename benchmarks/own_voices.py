"""What adapting a timeline to its voices is worth: recordings of eight actors whom no shipped model has heard.

python benchmarks/own_voices.py --data DATA      writes the figures into docs/long-recordings.md

Each actor's clips of CREMA-D, in random order with pauses of 0.3 to 2 s, make one recording. Its timeline is answered
plainly and with ``adapt=True``; each clip gets the answer of the utterance that overlaps it most.
"""

from __future__ import annotations

import argparse
import os
import re
from datetime import date
from pathlib import Path

import numpy as np
from measure import ROOT

import serkit
from serkit.confusion import scores_of
from serkit.corpora import read_corpus
from serkit.recognition.tracks import Timeline
from serkit.training.recipe_files import load_recipe

PAGE = ROOT / "docs" / "long-recordings.md"
RATE = 16000


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SERKIT_DATA"))
    parser.add_argument("--models", nargs="+", default=["default", "fast"])
    parser.add_argument("--clips", type=int, help="of each actor, to try it out; the page is not written then")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    corpus = read_corpus(given.data, kind="crema_d")
    actors = [voice.partition("/")[2] for voice in load_recipe("default").unheard]
    lines = []
    for model in given.models:
        recognizer = serkit.load(model)
        labels = sorted(set(corpus.table["emotion"]))
        uars: dict[bool, list[float]] = {False: [], True: []}
        adapted = 0
        for actor in actors:
            rows = corpus.table[corpus.table["speaker"] == actor].sample(frac=1, random_state=given.seed)[: given.clips]
            sound, places = joined(
                [corpus.load(row, target_rate=RATE).samples for _, row in rows.iterrows()], given.seed
            )
            for adapt in (False, True):
                found = recognizer.timeline(
                    sound, sample_rate=RATE, adapt=adapt, min_confidence=0.0, labels=",".join(labels)
                )
                adapted += bool(found.tracks[0].adapted)
                uars[adapt].append(uar(rows["emotion"].tolist(), answers(found, places), labels))
        plain, own = (np.array(uars[key]) for key in (False, True))
        low, high = interval(own - plain, given.seed)
        lines.append(
            f"| `{model}` | {100 * plain.mean():.1f} | {100 * own.mean():.1f} | {100 * (own - plain).mean():+.1f} "
            f"[{100 * low:+.1f}, {100 * high:+.1f}] | {adapted} of {len(actors)} |"
        )
    head = "| model | plain | adapted | difference | recordings adapted |\n| --- | --- | --- | --- | --- |"
    text = "\n".join([head, *lines, "", f"Written by `python benchmarks/own_voices.py`, {date.today()}."])
    print(text)
    if given.clips is None:
        old = PAGE.read_text(encoding="utf-8")
        marked = re.compile(r"(<!-- own voices -->\n).*?(\n<!-- /own voices -->)", re.DOTALL)
        PAGE.write_text(marked.sub(lambda m: m[1] + text + m[2], old), encoding="utf-8")


def joined(clips: list[np.ndarray], seed: int) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Return one recording, and start and end of each clip in it, s."""
    rng = np.random.default_rng(seed)
    pieces: list[np.ndarray] = []
    places, at = [], 0
    for clip in clips:
        pause = np.zeros(int(rng.uniform(0.3, 2.0) * RATE), np.float32)
        pieces += [pause, clip]
        places.append(((at + len(pause)) / RATE, (at + len(pause) + len(clip)) / RATE))
        at += len(pause) + len(clip)
    return np.concatenate(pieces), places


def answers(found: Timeline, places: list[tuple[float, float]]) -> list[str | None]:
    """Return for each clip the answer of the segment with speech that overlaps it most; None without one."""
    chosen = []
    for start, end in places:
        over = [(min(end, part.end) - max(start, part.start), part.emotion) for part in found.tracks[0].speech]
        best = max(over, key=lambda pair: pair[0], default=(0.0, None))
        chosen.append(best[1] if best[0] > 0 else None)
    return chosen


def uar(truth: list[str], given: list[str | None], labels: list[str]) -> float:
    """Return the mean recall of the labels; a clip without an answer counts as wrong."""
    rows = [
        (label, answer or next(other for other in labels if other != label))
        for label, answer in zip(truth, given, strict=True)
    ]
    confusion = np.array([[sum(row == (a, b) for row in rows) for b in labels] for a in labels])
    return float(scores_of(confusion)["uar"])


def interval(differences: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean, from 1,000 draws of actors."""
    rng = np.random.default_rng(seed)
    means = rng.choice(differences, (1000, len(differences))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
