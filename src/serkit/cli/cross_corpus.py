"""``ser compare --protocol cross-corpus``: every corpus against every other."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from serkit.terminal import console
from serkit.waiting import Waiting, duration

if TYPE_CHECKING:
    from serkit.compare.cross_corpus import Part, PartOutcome
    from serkit.corpora import Corpus
    from serkit.training.recipe import Recipe

__all__ = ["compare_corpora"]


def compare_corpora(
    recipes: Sequence[Recipe],
    corpus: Corpus,
    *,
    seeds: Sequence[int],
    runs: Path,
    out: Path,
    jobs: int,
    finished: bool,
    dry_run: bool,
    as_json: bool,
    command: str,
) -> None:
    """Run what is missing of the matrix, one model after another, and write and print it.

    Raises
    ------
    TrainingError
        If the recipes, corpora or seeds make no matrix.
    typer.Exit
        1 if a part failed, 130 after Ctrl-C; what is finished is written first.
    """
    from serkit.compare import cross_corpus
    from serkit.compare.cross_page import write
    from serkit.compare.cross_scores import collect
    from serkit.errors import TrainingError

    parts = cross_corpus.plan(recipes, corpus, seeds)
    todo, seconds = cross_corpus.seconds_left(parts, corpus, runs)
    print(f"{len(parts)} runs, {_left(todo, seconds)}.", file=sys.stderr)
    if dry_run:
        return
    outcomes: list[PartOutcome] = []
    try:
        if finished:
            outcomes = cross_corpus.finished(parts, corpus, runs)
            if not outcomes:
                raise TrainingError(f"No part of this matrix is finished in {runs}: run it without --finished.")
        else:
            outcomes = []
            with Waiting() as waiting:
                found = cross_corpus.run(parts, corpus, runs, n_jobs=jobs, progress=waiting)
                for k, outcome in enumerate(found, start=1):
                    outcomes.append(outcome)
                    left = _left(*cross_corpus.seconds_left(parts[k:], corpus, runs))
                    waiting.line(f"[{k}/{len(parts)}] {_said(outcome)} ({left})")
    except KeyboardInterrupt:
        outcomes += cross_corpus.finished(parts[len(outcomes) :], corpus, runs)
        print(f"ser: interrupted; finished folds are kept in {runs}. The same command resumes.", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        if any(outcome.run is not None for outcome in outcomes):
            document = collect(outcomes, corpus, command=command)
            for path in write(document, out):
                print(f"Wrote {path}", file=sys.stderr)
            if as_json:
                print(json.dumps(document, indent=2, ensure_ascii=False))
            else:
                _show(document)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        raise typer.Exit(1)


def _left(todo: int, seconds: float | None) -> str:
    if not todo:
        return "nothing left to train"
    models = "1 model" if todo == 1 else f"{todo} models"
    return f"{models} left to train" + ("" if seconds is None else f", about {duration(seconds)}")


def _said(outcome: PartOutcome) -> str:
    part: Part = outcome.part
    if outcome.run is None:
        return f"{part.title}: failed: {outcome.error}"
    return f"{part.title}: UAR {outcome.run.results['metrics']['uar']:.1%} over all its test clips"


def _show(document: dict[str, object]) -> None:
    """Print the matrices."""
    from serkit.compare.cross_page import matrix
    from serkit.compare.heat_map import maps

    screen = console()
    for recipe, adapted in maps(document):
        head, *rows = matrix(document, recipe, adapted=adapted)
        title = f"{recipe}, {'adapted' if adapted else 'plain'}: UAR in % by training corpus (columns)"
        table = Table(*head, title=title, title_justify="left", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(cell.replace(" [", "\n").replace(", ", "–").rstrip("]") for cell in row))
        screen.print(table)
