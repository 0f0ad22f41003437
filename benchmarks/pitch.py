"""How near the measures of a voice are to Praat's, on clips of several corpora.

python benchmarks/pitch.py --data DATA      writes the figures into docs/voice-measures.md

It needs praat-parselmouth (``pip install praat-parselmouth==0.4.7``; GPL), which serkit itself never does. Praat's
settings are its own: autocorrelation, 75 to 600 Hz, a frame every 10 ms; formants by Burg's method below 5,500 Hz.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
from measure import ROOT

from serkit.audio import Waveform
from serkit.corpora import read_corpus
from serkit.features import measure_voice

sys.path.insert(0, str(ROOT / "tests" / "golden"))
from make_praat_golden import HOP, praat

PAGE = ROOT / "docs" / "voice-measures.md"
CORPORA = ("ravdess", "crema_d", "nemo", "emospeech", "banglaser", "resd")
NEAR = 0.2  # octaves
CLIP = ("pitch", "jitter", "shimmer", "hnr", "f1", "f2", "f3")
UNITS = {**dict.fromkeys(CLIP, "Hz, median"), "jitter": "%", "shimmer": "%", "hnr": "dB"}
DECIMALS = {"pitch": 1, "jitter": 2, "shimmer": 2, "hnr": 2, "f1": 0, "f2": 0, "f3": 0}


@dataclass
class Count:
    """Frames and clips of a corpus."""

    clips: int = 0
    praat: int = 0  # voiced frames
    shared: int = 0  # of these, voiced here too
    near: int = 0  # of these, within 0.2 octave
    ours: int = 0
    apart: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in CLIP})

    def add(self, other: Count) -> None:
        """Add the counts of another corpus."""
        for name in ("clips", "praat", "shared", "near", "ours"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, values in other.apart.items():
            self.apart[name] += values

    def row(self, name: str) -> str:
        """The row of the first table."""
        return (
            f"| {name} | {self.clips:,} | {self.praat:,} | {100 * self.shared / self.praat:.1f} % | "
            f"{100 * self.near / self.shared:.1f} % | {100 * (self.ours - self.shared) / self.ours:.1f} % |"
        )


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SERKIT_DATA"))
    parser.add_argument("--clips", type=int, default=40, help="of each corpus; other numbers do not write the page")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    total, rows = Count(), []
    for name in CORPORA:
        found = compared(given.data, name, given.clips, given.seed)
        rows.append(found.row(name))
        total.add(found)
        print(rows[-1], flush=True)
    text = "\n".join(
        [
            "| corpus | clips | voiced in Praat, frames | here too | of these within 0.2 octave | here only |",
            "|---|--:|--:|--:|--:|--:|",
            *rows,
            total.row("all"),
            "",
            f"Targets: 95 % voiced here too ({met(total.shared / total.praat, 0.95)}), 98 % of these within 0.2 octave "
            f"({met(total.near / total.shared, 0.98)}).",
            "",
            "| measure of a clip | median difference from Praat | 90 % of clips differ by less than | |",
            "|---|--:|--:|---|",
            *(
                f"| {name} | {np.median(total.apart[name]):.{DECIMALS[name]}f} | "
                f"{np.quantile(total.apart[name], 0.9):.{DECIMALS[name]}f} | {UNITS[name]} |"
                for name in CLIP
            ),
            "",
            f"Written by `python benchmarks/pitch.py`, {date.today()}, with praat-parselmouth "
            f"{version('praat-parselmouth')}, seed {given.seed}.",
        ]
    )
    print(text)
    if given.clips == parser.get_default("clips"):
        old = PAGE.read_text(encoding="utf-8")
        marked = re.compile(r"(<!-- praat -->\n).*?(<!-- /praat -->)", re.DOTALL)
        new, number = marked.subn(lambda m: f"{m[1]}{text}\n{m[2]}", old)
        assert number == 1, f"{PAGE.name} has no region <!-- praat --> … <!-- /praat -->."
        PAGE.write_text(new, encoding="utf-8")


def met(share: float, target: float) -> str:
    """Say whether a target is met."""
    return "met" if share >= target else "missed"


def compared(data: Path, name: str, clips: int, seed: int) -> Count:
    """Measure clips of one corpus with both."""
    corpus = read_corpus(data / name, kind=name)
    count = Count()
    for _, row in corpus.table.sample(n=clips, random_state=seed).iterrows():
        wave = corpus.load(row, target_rate=16000)
        hop = round(HOP * wave.sample_rate)  # whole hops, so that Praat's frames are at multiples of the hop
        wave = Waveform(wave.samples[: len(wave.samples) // hop * hop], wave.sample_rate)
        theirs = praat(wave)
        ours = measure_voice(wave)
        hertz = np.array(theirs["hz"])
        here = ours.track.hz[np.round(np.array(theirs["times"]) / HOP).astype(int)]
        shared = (hertz > 0) & np.isfinite(here)
        count.clips += 1
        count.praat += int((hertz > 0).sum())
        count.ours += int(np.isfinite(here).sum())
        count.shared += int(shared.sum())
        count.near += int((np.abs(np.log2(here[shared] / hertz[shared])) <= NEAR).sum())
        for measure, value in theirs["measures"].items():
            apart = abs(ours.measures[measure] - value)
            if not math.isnan(apart):
                count.apart[measure].append(apart)
    return count


if __name__ == "__main__":
    main()
