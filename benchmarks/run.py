"""Measure everything and write docs/benchmarks.md: ``make bench``.

Peers run beside serkit in the same run on the same machine, so that the ratios hold where the seconds do not.
"""

from __future__ import annotations

import argparse
import os
from datetime import datetime, timezone
from pathlib import Path

import predict
from measure import ROOT, find_clips, machine

import features


def main() -> None:
    """Read the options, measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SERKIT_DATA"), help="Folder with ravdess/.")
    parser.add_argument("--model", default="default", help="A packaged model or a bundle.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="Two clips, one run: only to see that it works.")
    options = parser.parse_args()
    count, repeats, commands = (2, 1, 1) if options.quick else (24, 5, 7)
    clips = find_clips(options.data, count)
    source = "RAVDESS" if clips[0].parent != ROOT / "examples" else "synthetic speech (examples/)"
    parts = [
        "# Benchmarks",
        f"Written by `make bench` on {datetime.now(timezone.utc):%Y-%m-%d}. Clips: {source}. {machine()}\n\n"
        "Medians with quartiles in brackets; the ratio is that of runs that stood side by side.",
        features.measure(clips, repeats),
        predict.measure(clips, commands, options.model),
    ]
    text = "\n\n".join(parts) + "\n"
    options.out.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
