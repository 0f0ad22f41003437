"""``ser transfer``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from serkit.cli import app
from serkit.cli.extras import need_train, read_to_learn
from serkit.cli.learning import JOBS, ChannelOption, CorpusOption, DataOption, JobsOption, print_summary
from serkit.cli.options import DeviceOption, DropOption, LabelMapOption, SkipBrokenOption
from serkit.terminal import print_failures
from serkit.waiting import Waiting


@app.command()
def transfer(
    model: Annotated[str, typer.Argument(help="Name of a packaged model, or a bundle.")],
    data: DataOption,
    corpus: CorpusOption = None,
    channel: ChannelOption = "both",
    drop: DropOption = None,
    label_map: LabelMapOption = None,
    skip_broken: SkipBrokenOption = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the run; default below runs/.")] = None,
    jobs: JobsOption = JOBS,
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json and nothing else.")] = False,
) -> None:
    """Score a finished model on a corpus that it was never trained on; write predictions, results and a report.

    Only the labels that both know are scored. Nothing is tuned. A copy of the training corpus is refused under any
    name; single clips of the training are left out and counted.

    Exit code 0: all clips are answered. 1: some failed; standard error names them. 2: wrong usage, or the model was
    trained on this corpus.
    """
    need_train("Scoring")
    from serkit.recognition.recognizer import load
    from serkit.training.transfer import run_transfer

    try:
        recognizer = load(model, device=device)
        recognizer.need_labels("be scored on labels")
        recordings = read_to_learn(
            data, corpus, channel, skip_broken=skip_broken, drop=drop, label_map=label_map, finished=True
        )
        what = recordings.name if channel == "both" else f"{recordings.name}-{channel}"
        folder = out or Path("runs") / f"{recognizer.manifest.name}-on-{what}"
        with Waiting() as waiting:
            run = run_transfer(recognizer, recordings, folder, n_jobs=jobs, progress=waiting)
    except KeyboardInterrupt:
        print("ser: interrupted; nothing was written.", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        print(json.dumps(run.results, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_summary(run.results)
        _show(run.results["transfer"])
        print(f"Report: {run.folder / 'report.html'}")
    failures = run.results["transfer"]["failures"]
    if failures:
        total = run.results["metrics"]["n_clips"] + len(failures)
        heading = f"ser: {len(failures)} of {total} clips failed and are not scored"
        reasons = ((row["path"], row["error"]) for row in failures)
        print_failures(heading, reasons, total=len(failures), rest_in="results.json")
        raise typer.Exit(1)


def _show(found: Mapping[str, Any]) -> None:
    print(f"Shared labels: {', '.join(found['labels'])}.")
    if found["left_out"]:
        print(f"Left out, because the model lacks their label: {_counted(found['left_out'])}.")
    if found["heard"]:
        print(f"Left out, because they were in the model's training: {found['heard']:,} clips.")
    if found["dropped"]:
        outside = found["outside"]
        counts = f" ({_counted(outside['labels'])})" if outside["n"] else ""
        print(
            f"The model also knows {', '.join(found['dropped'])}: its answer before they were dropped for "
            f"{outside['n']:,} clips, {outside['share']:.1%}{counts}."
        )


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{label} {n:,}" for label, n in counts.items())
