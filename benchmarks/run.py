"""Measure everything and write docs/benchmarks.md: ``make bench``.

Peers run in turn with serkit on the same machine, so the ratios hold where the seconds do not.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

import folder
import memory
import predict
import stages
import training
from measure import ROOT, VOICES, all_clips, machine

import features

#: What, model, beginning of the row, unit, the most that it may take.
TARGETS = (
    ("`default`, a clip of about 4 s (target: of 3 s), warm, one thread", "default", "warm", "ms", 30.0),
    ("`default`, `ser predict` in a fresh process", "default", "fresh process", "s", 0.7),
    ("`fast`, a clip of about 4 s, warm, one thread", "fast", "warm", "ms", 12.0),
)


def targets(sections: Mapping[str, str]) -> str:
    """Return the table of targets, with medians from the sections of this run, by model."""
    rows = []
    for what, model, start, unit, most in TARGETS:
        found = re.search(rf"^\| {start}: .*?\| ([\d.,]+) \[.*?\] {unit} \|", sections.get(model, ""), re.MULTILINE)
        if found is not None:
            reached = "reached" if float(found[1]) <= most else "**missed**"
            rows.append(f"| {what} | {most:g} {unit} | {found[1]} {unit} | {reached} |")
    head = "| what | target | median of this run | |\n| --- | --- | --- | --- |"
    return "\n".join(["## Targets", "", head, *rows]) if rows else ""


def main() -> None:
    """Read the options, measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SERKIT_DATA"), help="Folder with ravdess/.")
    parser.add_argument(
        "--models", nargs="+", default=["default", "fast"], help="Packaged models or bundles; the first in every table."
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--quick", action="store_true", help="Two clips, one run: only to check that it works.")
    options = parser.parse_args()
    place, found = all_clips(options.data)
    count, repeats, commands, sample = (2, 1, 1, 2) if options.quick else (24, 5, 7, 200)
    clips = found[:: max(1, len(found) // count)][:count]
    source = "synthetic speech (tests/voices/)" if place == VOICES else "RAVDESS"
    hours = (1 / 60, 1 / 30) if options.quick else (1 / 60, 1.0, 10.0)
    one_clip = {model: predict.measure(clips, commands, model) for model in options.models}
    parts = [
        "# Benchmarks",
        f"Written by `make bench` on {datetime.now(timezone.utc):%Y-%m-%d}. Clips: {source}. {machine()}\n\n"
        "Medians with quartiles in brackets; each ratio compares runs made one right after the other. "
        "[experiments.md](experiments.md#speed) lists what made it fast. Commands of their own measure "
        "[the service](service.md#measured), [long and live recordings](long-recordings.md) and "
        "[several machines](scale.md#a-million-hours).",
        targets(one_clip),
        *one_clip.values(),
        *(folder.measure(place, found, sample, 1 if options.quick else 3, model) for model in options.models),
        memory.measure(hours, options.models[0], whole_up_to=1 / 60 if options.quick else 1.0),
        features.measure(clips, repeats),
        training.measure(16 if options.quick else 512, 1 if options.quick else 4),
        stages.measure(clips, repeats, options.models[0]),
    ]
    text = "\n\n".join(filter(None, parts)) + "\n"
    options.out.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
