"""``ser evaluate``: a recipe, trained and tested fold by fold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serkit.cli import app
from serkit.cli.extras import need_train, read_to_learn
from serkit.cli.learning import (
    JOBS,
    ChannelOption,
    CorpusOption,
    DataOption,
    JobsOption,
    RecipeArgument,
    SeedOption,
    TargetOption,
    print_ratings,
    print_summary,
    ready_recipe,
    tell,
)
from serkit.cli.options import DropOption, LabelMapOption, SkipBrokenOption
from serkit.cli.tracking import MlflowOption, TracksRuns, close_tracker, open_tracker
from serkit.errors import TrainingError
from serkit.waiting import Waiting

if TYPE_CHECKING:
    from serkit.training.run_folder import Run
    from serkit.training.tracking import Tracker

_LATER = "the same command with --resume logs it without computing anything again"


@app.command(cls=TracksRuns)
def evaluate(
    recipe: RecipeArgument,
    data: DataOption,
    corpus: CorpusOption = None,
    channel: ChannelOption = "both",
    protocol: Annotated[str, typer.Option(help="What is held out; see 'ser data split --help'.")] = "speaker",
    seed: SeedOption = 0,
    folds: Annotated[int, typer.Option(min=2, help="Number of folds.")] = 5,
    adapt_clips: Annotated[
        int, typer.Option(min=1, help="Clips of each left-out corpus to adapt with, under corpus+adapted.")
    ] = 50,
    only_fold: Annotated[
        list[int] | None, typer.Option(min=0, help="Run this fold only, counted from 0; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default below runs/.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    drop: DropOption = None,
    label_map: LabelMapOption = None,
    skip_broken: SkipBrokenOption = False,
    target: TargetOption = None,
    compare_to: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Folder of a finished run of the same split: also print the paired test."),
    ] = None,
    jobs: JobsOption = JOBS,
    mlflow: MlflowOption = None,
) -> None:
    """Train and test a recipe fold by fold; write predictions, results and a report.

    Of several corpora (ravdess+crema_d), each clip is scored over the labels that its own corpus gives.

    docs/protocols.md explains the protocols.

    With --target, numbers are learned instead of labels, by ridge regression on the recipe's features, and scored on
    held-out speakers: docs/your-own-numbers.md.

    Exit code 1: everything is computed, but not everything could be logged with --mlflow.
    """
    need_train("Training")
    if target:
        if compare_to is not None or only_fold or resume or protocol != "speaker" or folds != 5:
            raise TrainingError(
                "--target is scored on held-out speakers, five folds at once: leave out --protocol, --folds, "
                "--only-fold, --resume and --compare-to."
            )
        tracker = open_tracker(mlflow)
        reading: dict[str, Any] = {"skip_broken": skip_broken, "drop": drop, "label_map": label_map}
        _evaluate_ratings(recipe, data, corpus, channel, target, seed, out, jobs, tracker, reading)
        close_tracker(tracker, "the same command with another --out computes and logs it again")
        return
    from serkit.protocol import make_split
    from serkit.training.against import finished_run
    from serkit.training.tracked_runs import run_tracked

    tracker = open_tracker(mlflow)
    loaded = ready_recipe(recipe)
    folder: Path | None = None
    if protocol == "emobox" and channel == "both":
        print("The protocol emobox has speech alone: song is left out.", file=sys.stderr)
        channel = "speech"
    try:
        recordings = read_to_learn(data, corpus, channel, skip_broken=skip_broken, drop=drop, label_map=label_map)
        copies = {"n_copies": loaded.augment.copies} if loaded.augment else {}
        split = make_split(recordings, protocol, seed=seed, n_folds=folds, n_adapt=adapt_clips, **copies)
        labels = set(recordings.table["emotion"])
        other = None if compare_to is None else finished_run(compare_to, split, only_fold or None, labels=labels)
        what = recordings.name if channel == "both" else f"{recordings.name}-{channel}"
        folder = out or Path("runs") / f"{loaded.name}-{what}-{protocol}-{split.n_folds}-{seed}"
        if split.warning:
            print(f"Warning: {split.warning}", file=sys.stderr)
        with Waiting() as waiting:
            how: dict[str, Any] = {"folds": only_fold or None, "resume": resume, "n_jobs": jobs, "progress": waiting}
            run = run_tracked(tracker, loaded, recordings, split, folder, **how)
    except KeyboardInterrupt:
        if folder is None or not (folder / "run.json").is_file():
            raise
        print(
            f"ser: interrupted; finished folds are kept in {folder}. Resume with the same command and --resume.",
            file=sys.stderr,
        )
        close_tracker(tracker, _LATER, code=130)
        raise typer.Exit(130) from None
    print_summary(run.results)
    if other is not None:
        _print_paired(run, other)
    print(f"Report: {run.folder / 'report.html'}")
    close_tracker(tracker, _LATER)


def _evaluate_ratings(
    recipe: str,
    data: Path,
    corpus: str | None,
    channel: str,
    targets: list[str],
    seed: int,
    out: Path | None,
    jobs: int,
    tracker: Tracker | None,
    reading: dict[str, Any],
) -> None:
    """Score a regression on the features of a recipe."""
    from serkit.training.rating_plan import plan_ratings
    from serkit.training.ratings import score_ratings, train_ratings
    from serkit.training.tracked_runs import Training

    loaded = ready_recipe(recipe)
    assert loaded.front_end is not None
    if loaded.layout == "frames" or loaded.tuning is not None:
        what = "learns from frames" if loaded.tuning is None else "tunes an encoder by labels"
        raise TrainingError(
            f"The recipe {loaded.name} {what}, and numbers are learned from one vector a clip: choose one with means "
            "over time and no tuning, such as s1-mlp or own."
        )
    recordings = read_to_learn(data, corpus, channel, targets=targets, **reading)
    named = "".join(c if c.isalnum() or c in "-_" else "-" for c in "-".join(targets))
    folder = out or Path("runs") / f"{loaded.name}-{recordings.name}-{named}-{seed}"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TrainingError(f"{folder} exists already: use another --out.")
    plan = plan_ratings(recordings, targets, seed=seed)
    for note in plan.notes:
        tell(note)
    with Waiting() as waiting, Training(tracker, folder, seed) as tracked:
        progress = tracked.begin_own(recordings, folder, targets, waiting, recipe=loaded)
        rated, rows = train_ratings(recordings, plan, loaded.front_end, seed=seed, n_jobs=jobs, progress=progress)
        ratings = score_ratings(rated, rows, recordings, folder, seed)
        tracked.rated(folder, ratings)
    print_ratings(ratings)
    print(f"Ratings, answers and pictures: {folder}")


def _print_paired(run: Run, other: Run) -> None:
    from serkit.training.against import against

    found = against(run, other)
    difference, low, high = (f"{100 * value:+.1f}" for value in (found.difference, found.low, found.high))
    p = "p < 0.001" if found.p_value < 0.001 else f"p = {found.p_value:.3f}"
    print(
        f"Against {other.results['recipe']} ({other.folder}): accuracy {difference} points, 95 % interval {low} to "
        f"{high}, {p}; mean over {found.n_speakers} speakers, paired sign-flip test."
    )
