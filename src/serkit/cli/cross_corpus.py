"""``ser compare --protocol cross-corpus``: every corpus against every other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from serkit.cli.tracking import close_comparison, show_pages
from serkit.terminal import console
from serkit.waiting import Waiting, duration

if TYPE_CHECKING:
    from serkit.compare.cross_corpus import Part, PartOutcome
    from serkit.corpora import Corpus
    from serkit.training.recipe import Recipe
    from serkit.training.tracking import Tracker

__all__ = ["compare_corpora"]


def compare_corpora(
    recipes: Sequence[Recipe],
    corpus: Corpus,
    *,
    seeds: Sequence[int],
    epochs: int | None,
    runs: Path,
    out: Path,
    jobs: int,
    finished: bool,
    dry_run: bool,
    as_json: bool,
    tracker: Tracker | None,
    command: str,
) -> None:
    """Run what is missing of the matrix, one model after another, and write and print it.

    Raises
    ------
    TrainingError
        If the recipes, corpora or seeds make no matrix.
    typer.Exit
        1 if a part failed or the store of `tracker` lacks something, 130 after Ctrl-C. What is finished is written
        first.
    """
    from serkit.compare import cross_corpus
    from serkit.compare.cross_page import write
    from serkit.compare.cross_scores import collect
    from serkit.compare.tracked import TrackedGrid
    from serkit.errors import TrainingError

    parts = cross_corpus.plan(recipes, corpus, seeds, epochs=epochs)
    todo, seconds = cross_corpus.seconds_left(parts, corpus, runs)
    print(f"{len(parts)} runs, {_left(todo, seconds)}.", file=sys.stderr)
    if dry_run:
        return
    outcomes: list[PartOutcome] = []
    with TrackedGrid(tracker, runs, [part.folder(runs, corpus) for part in parts], command) as tracked:

        def track(outcome: PartOutcome) -> None:
            part = outcome.part
            about = {"protocol": part.protocol, "seed": part.seed, "trained_on": part.trained_on}
            folder = part.folder(runs, corpus)
            tracked.part(part.title, part.recipe, part.corpus(corpus), folder, outcome.run, outcome.error, **about)

        try:
            if finished:
                outcomes = cross_corpus.finished(parts, corpus, runs)
                if not outcomes:
                    raise TrainingError(f"No part of this matrix is finished in {runs}: run it without --finished.")
                for outcome in outcomes:
                    track(outcome)
            else:
                with Waiting() as waiting:
                    found = cross_corpus.run(parts, corpus, runs, n_jobs=jobs, progress=waiting)
                    for k, outcome in enumerate(found, start=1):
                        outcomes.append(outcome)
                        left = _left(*cross_corpus.seconds_left(parts[k:], corpus, runs))
                        waiting.line(f"[{k}/{len(parts)}] {_said(outcome)} ({left})")
                        track(outcome)
        except KeyboardInterrupt:
            tracked.stopped = True
            done = cross_corpus.finished(parts[len(outcomes) :], corpus, runs)
            outcomes += done
            print(f"ser: interrupted; finished folds are kept in {runs}. The same command resumes.", file=sys.stderr)
        finally:
            if any(outcome.run is not None for outcome in outcomes):
                document = collect(outcomes, corpus, command=command)
                show_pages(tracked, write(document, out), document, as_json=as_json)
                if not as_json:
                    _show(document)
        if tracked.stopped:
            for outcome in done:
                track(outcome)
    failed = any(outcome.error is not None for outcome in outcomes)
    close_comparison(tracker, stopped=tracked.stopped, failed=failed)


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


def _show(document: dict[str, Any]) -> None:
    """Print the matrices."""
    from serkit.compare.cross_page import matrix
    from serkit.compare.heat_map import maps

    screen = console()
    for recipe, adapted in maps(document):
        head, *rows = matrix(document, recipe, adapted=adapted)
        how = "adapted" if adapted else "plain"
        how += f" (reduced: {document['reduced'][recipe]})" if recipe in document["reduced"] else ""
        title = f"{recipe}, {how}: UAR in % by training corpus (columns)"
        table = Table(*head, title=title, title_justify="left", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(cell.replace(" [", "\n").replace(", ", "–").rstrip("]") for cell in row))
        screen.print(table)
