# ruff: noqa: E501 - rows of a table
"""Measure everything and write docs/benchmarks.md: ``make bench``.

Peers run in turn with serkit on the same machine, so the ratios hold where the seconds do not.
"""

from __future__ import annotations

import argparse
import os
from datetime import datetime, timezone
from pathlib import Path

import folder
import memory
import predict
import stages
import training
from measure import ROOT, VOICES, all_clips, machine

import features

#: The numbers were measured on the day of each change, as processor time on one busy core.
TRIED = """## What was tried

| change | effect |
| --- | --- |
| voice activity detection: blocks of 32 frames that fit the cache, voicing of loud frames only | 5.5 to 2.9 ms a clip of 4.1 s, same answer for all 2,452 clips |
| front end: one FFT step as matrices before the convolution, power for the trim per hop | graph 3.4 to 2.4 ms, file 2.2 to 1.6 MB |
| feature vectors: mel bands without their zeros, RMS per hop, zero crossings by binary search | S3's vector 1.7 to 1.2 ms |
| import only the file of the command that runs, no `numpy.ma` | about 50 ms less per cold start |
| batches of clips of equal length through the network | none: 1.06 ms a clip alone, 1.03 ms in a batch of 16 (2 s), 1.99 and 2.15 ms (4 s); not kept |
| batches through forests and small networks on feature vectors | 0.03 ms of the 2 to 16 ms that the features take; not kept |

The rest of a cold start is Python and imports of other packages: ONNX Runtime, NumPy, Typer with pydantic, rich.

As of 2026-11-21, three targets are missed. Warm, 20 times the Keras peer: even with every stage at its limit above, serkit would be about 21 times
as fast, so only less decoding or cheaper voice activity detection could reach the target. S3's vector, 3 times librosa: about 0.5 ms of its 1.3 ms are
the 108 transforms of 2,048 samples that librosa also makes. Two workers, 1.8 times one: both figures include the third of a second that the process
takes to start; without it the ratio is 1.97."""


def main() -> None:
    """Read the options, measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SERKIT_DATA"), help="Folder with ravdess/.")
    parser.add_argument("--model", default="default", help="A packaged model or a bundle.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="Two clips, one run: only to check that it works.")
    options = parser.parse_args()
    place, found = all_clips(options.data)
    count, repeats, commands, sample = (2, 1, 1, 2) if options.quick else (24, 5, 7, 200)
    clips = found[:: max(1, len(found) // count)][:count]
    source = "synthetic speech (tests/voices/)" if place == VOICES else "RAVDESS"
    hours = (1 / 60, 1 / 30) if options.quick else (1 / 60, 1.0, 10.0)
    parts = [
        "# Benchmarks",
        f"Written by `make bench` on {datetime.now(timezone.utc):%Y-%m-%d}. Clips: {source}. {machine()}\n\n"
        "Medians with quartiles in brackets; each ratio compares runs made one right after the other.",
        predict.measure(clips, commands, options.model),
        folder.measure(place, found, sample, 1 if options.quick else 3, options.model),
        memory.measure(hours, options.model, whole_up_to=1 / 60 if options.quick else 1.0),
        features.measure(clips, repeats),
        training.measure(16 if options.quick else 512, 1 if options.quick else 4),
        stages.measure(clips, repeats, options.model),
        TRIED,
    ]
    text = "\n\n".join(parts) + "\n"
    options.out.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
