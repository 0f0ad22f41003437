"""``ser score``: score any software's predictions on the packaged folds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from serkit.cli import app
from serkit.cli.data import Channel
from serkit.cli.extras import need_train
from serkit.cli.options import ForceOption


@app.command()
def score(
    predictions: Annotated[
        Path, typer.Argument(help="CSV: clip (or path), fold, and predicted or p_<label> for each label, or both.")
    ],
    protocol: Annotated[str, typer.Option(help="random, speaker, speaker+enrolled, or emobox (ravdess).")] = "speaker",
    corpus: Annotated[str, typer.Option(help="ravdess, crema_d, nemo, emospeech, banglaser or resd.")] = "ravdess",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the folds.")] = 0,
    channel: Annotated[Channel, typer.Option(help="Which clips to score; the folds stay the same.")] = Channel.both,
    against: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="Compare only with this recipe of serkit; default: all.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for results.json and report.html, or missing.csv.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    force: ForceOption = False,
) -> None:
    """Score predictions made by any software on the public folds; see docs/yardstick.md."""
    need_train("Scoring")
    from serkit.evaluation import submission, submission_scores
    from serkit.evaluation.report import write_report
    from serkit.files import check_new, write_atomic, write_json
    from serkit.protocol.yardstick import load_yardstick

    if out:
        for name in ("results.json", "report.html", "missing.csv"):
            check_new(out / name, force=force)
    yardstick = load_yardstick(corpus, protocol, seed)
    table = submission.read_predictions(predictions)
    try:
        matched = submission.match(table, yardstick, channel=channel.value)
    except submission.MissingClipsError as error:
        if out:
            folds = yardstick.table.set_index("clip")["fold"]
            rows = "".join(f"{clip},{folds[clip]}\n" for clip in error.clips)
            listed = write_atomic(f"clip,fold\n{rows}", out / "missing.csv")
            print(f"All missing clips: {listed}", file=sys.stderr)
        raise
    document = submission_scores.score(matched, predictions.stem)
    document["against"], untested = submission_scores.compare(matched, submission_scores.our_rows(), against=against)
    document["notes"] = [*document["notes"], *untested]
    if out:
        write_json(document, out / "results.json")
        if matched.probabilities:
            write_report(document, matched.table, out / "report.html")
    if as_json:
        print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
        return
    _show(document)
    if out:
        print(f"Results: {out / ('report.html' if matched.probabilities else 'results.json')}")


def _show(document: dict[str, Any]) -> None:
    from serkit.cli.learning import print_summary

    print_summary(document)
    console = Console(markup=False, highlight=False)
    groups = Table("group", "clips", "accuracy", "UAR")
    for column in ("channel", "sex"):
        for name, row in document["metrics"]["groups"][column].items():
            groups.add_row(name, f"{row['n']:,}", f"{row['accuracy']:.1%}", f"{row['uar']:.1%}")
    console.print(groups)
    if document["against"]:
        title = "accuracy against serkit's rows, paired by speaker"
        paired = Table("recipe", "this", "recipe's", "difference", "95 % interval", "p", "p (Holm)", title=title)
        for row in document["against"]:
            paired.add_row(
                row["recipe"] + (f" ({row['reduced']})" if row["reduced"] else ""),
                *(f"{row[name]:.1%}" for name in ("accuracy", "accuracy_ours")),
                f"{100 * row['difference']:+.1f}",
                f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}",
                *(f"{row[name]:.4f}" for name in ("p_value", "p_holm")),
            )
        console.print(paired)
    else:
        console.print("No row of serkit to compare with: none packaged for this corpus, protocol and seed.")
    for note in document["notes"]:
        console.print(f"Note: {note}", soft_wrap=True)
