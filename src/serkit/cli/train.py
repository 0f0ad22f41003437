"""``ser train``, ``ser evaluate``, ``ser recipes``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from serkit.cli import app
from serkit.cli.extras import need_train, read_to_learn
from serkit.cli.options import DropOption, ForceOption, LabelMapOption, SkipBrokenOption
from serkit.cli.tracking import MlflowOption, TracksRuns, close_tracker, open_tracker
from serkit.errors import TrainingError
from serkit.waiting import Waiting

if TYPE_CHECKING:
    from serkit.bundle import Bundle
    from serkit.corpora import Corpus
    from serkit.training.recipe import Recipe
    from serkit.training.run_folder import Run
    from serkit.training.tracked_runs import Training
    from serkit.training.tracking import Tracker

recipes_app = typer.Typer(help="The packaged recipes.", invoke_without_command=True)
app.add_typer(recipes_app, name="recipes")

RecipeArgument = Annotated[str, typer.Argument(help="A packaged recipe ('ser recipes') or the path of a .toml file.")]
DataOption = Annotated[Path, typer.Option("--data", envvar="SERKIT_DATA", help="Folder with the labelled recordings.")]
CorpusOption = Annotated[
    str | None,
    typer.Option(
        "--corpus",
        "--kind",
        help="A published corpus (ser data list), several joined by +, folders or manifest; recognised if left out.",
    ),
]
ChannelOption = Annotated[str, typer.Option(help="speech, song or both.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of splits, augmentation and models.")]
ResultsOption = Annotated[
    list[Path] | None, typer.Option(help="results.json of 'ser evaluate' for this recipe; may be repeated.")
]
TargetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="COLUMN",
        help="A column of numbers to learn from your own table, such as arousal; may be repeated.",
    ),
]
JobsOption = Annotated[int, typer.Option(min=1, help="Number of threads.", show_default="all cores")]

JOBS = os.cpu_count() or 1
_LATER = "the same command with --resume logs it without computing anything again"

# What a bundle takes from results.json.
_RESULTS = {"serkit", "date", "recipe", "recipe_hash", "corpus", "protocol", "split_hash", "folds", "seed", "warning"}
_RESULTS |= {"metrics"}


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
    loaded = _loaded(recipe)
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

    loaded = _loaded(recipe)
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
        _told(note)
    with Waiting() as waiting, Training(tracker, folder, seed) as tracked:
        progress = tracked.begin_own(recordings, folder, targets, waiting, recipe=loaded)
        rated, rows = train_ratings(recordings, plan, loaded.front_end, seed=seed, n_jobs=jobs, progress=progress)
        ratings = score_ratings(rated, rows, recordings, folder, seed)
        tracked.rated(folder, ratings)
    _print_ratings(ratings)
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


@app.command(cls=TracksRuns)
def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|RECORDINGS",
            help="A recipe, as for 'ser evaluate', with --data; or recordings of your own: a folder with a folder per "
            "label, or a table with the columns path and emotion.",
        ),
    ],
    data: Annotated[
        Path | None, typer.Option("--data", envvar="SERKIT_DATA", help="With a recipe: the labelled recordings.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; for your own recordings NAME-model.")] = None,
    corpus: CorpusOption = None,
    channel: ChannelOption = "both",
    seed: SeedOption = 0,
    results: ResultsOption = None,
    model_version: Annotated[str, typer.Option(help="The model's version, for its manifest.")] = "1",
    drop: DropOption = None,
    label_map: LabelMapOption = None,
    skip_broken: SkipBrokenOption = False,
    target: TargetOption = None,
    self_contained: Annotated[
        bool, typer.Option("--self-contained", help="Your own recordings: put the encoder into the bundle.")
    ] = False,
    jobs: JobsOption = JOBS,
    force: ForceOption = False,
    mlflow: MlflowOption = None,
) -> None:
    """Train a model from a recipe, or from your own recordings and labels, and write it as a bundle.

    'ser train my-folder/' checks the recordings, scores a small model on the encoder of the shipped model 'default',
    trains it on all of them and writes it: about a minute for 200 clips.
    """
    need_train("Training")
    own = _is_recordings(recipe)
    if not own and self_contained:
        raise TrainingError("--self-contained is for your own recordings: a bundle of a recipe is always whole.")
    if not own and target:
        raise TrainingError("--target is for your own recordings: give a table with that column instead of a recipe.")
    if own and results:
        raise TrainingError("--results is for a recipe: your own recordings are scored as they are trained.")
    source = Path(recipe) if own else data
    if source is None:
        raise TrainingError(f"Name the labelled recordings for the recipe {recipe}: add --data FOLDER.")
    if out is None and not own:
        raise TrainingError(f"Name the folder for the bundle of {recipe}: add --out FOLDER.")
    folder = out or Path(f"{source.resolve().stem if source.is_file() else source.resolve().name}-model")
    loaded = None if own else _loaded(recipe)
    from serkit.bundle import check_target
    from serkit.training.export import check_exportable, check_scores, export_bundle
    from serkit.training.run import train_final
    from serkit.training.tracked_runs import Training

    scores = [_read_results(path) for path in results or []]
    if loaded is not None:
        check_scores(scores, loaded)
        check_exportable(loaded)
    check_target(folder, force=force)
    tracker = open_tracker(mlflow)
    try:
        recordings = read_to_learn(
            source, corpus, channel, skip_broken=skip_broken, drop=drop, label_map=label_map, targets=target or ()
        )
        if loaded is not None:
            check_scores(scores, loaded, recordings)
        with Waiting() as waiting, Training(tracker, folder, seed) as tracked:
            if loaded is None:
                how: dict[str, Any] = {"seed": seed, "force": force, "self_contained": self_contained}
                bundle = _own(recordings, folder, waiting, tracked, jobs, target or (), **how)
            else:
                tracked.begin(loaded, recordings, scores)
                fitted = train_final(loaded, recordings, seed=seed, n_jobs=jobs, progress=waiting)
                waiting.line("Writing the bundle, and checking it on clips.")
                bundle = export_bundle(
                    fitted,
                    loaded,
                    recordings,
                    folder,
                    scores=scores,
                    seed=seed,
                    version=model_version,
                    n_jobs=jobs,
                    force=force,
                )
            tracked.bundle(bundle.path)
    except KeyboardInterrupt:
        print(
            f"ser: interrupted; {folder} was not written. Computed features are kept: the same command starts with "
            "them.",
            file=sys.stderr,
        )
        close_tracker(tracker, "the same command logs it", code=130)
        raise typer.Exit(130) from None
    holds = [f"{len(bundle.manifest.labels)} emotions"] if bundle.manifest.labels else []
    holds += bundle.manifest.dimensions
    print(f"Bundle: {bundle.path} ({bundle.size / 1e6:.2f} MB, {', '.join(holds)})")
    if own:
        print(f"Try it: ser predict RECORDING --model {folder}")
    elif not scores:
        print("It states no scores: give --results with a results.json of 'ser evaluate'.", file=sys.stderr)
    close_tracker(tracker, "the same command with --force trains and logs again")


def _is_recordings(given: str) -> bool:
    """Whether the argument of ``ser train`` names recordings: a path that is neither a recipe nor called like one."""
    from serkit.training.recipe_files import list_recipes

    return given not in list_recipes() and not given.endswith(".toml") and Path(given).exists()


def _own(
    recordings: Corpus,
    out: Path,
    waiting: Waiting,
    tracked: Training,
    jobs: int,
    targets: Sequence[str],
    **how: Any,
) -> Bundle:
    """Train on the user's own recordings, and print the scores."""
    from serkit.training.own import train_own

    scores = Path(f"{out}-scores")
    progress = tracked.begin_own(recordings, scores, targets, waiting)
    bundle = train_own(recordings, out, targets=targets, n_jobs=jobs, progress=progress, tell=_told, **how)
    if targets:
        ratings = json.loads((scores / "ratings.json").read_text("utf-8"))
        tracked.rated(scores, ratings)
        _print_ratings(ratings)
        print(f"Ratings, answers and pictures: {scores}")
    if bundle.manifest.labels:
        results = json.loads((scores / "results.json").read_text("utf-8"))
        tracked.scored(recordings, scores, results)
        print_summary(results)
        print(f"Report: {scores / 'report.html'}")
    return bundle


def _told(note: str) -> None:
    print(note, file=sys.stderr)


def _print_ratings(document: dict[str, Any]) -> None:
    table = Table("number", "CCC", "95 % interval", "correlation", "RMSE", "clips", "speakers")
    for name, row in document["dimensions"].items():
        low, high = row["ccc_interval"]
        numbers = f"{row['ccc']:.2f}", f"{low:.2f} to {high:.2f}", f"{row['correlation']:.2f}", f"{row['rmse']:.3g}"
        table.add_row(name, *numbers, str(row["n_clips"]), str(row["n_speakers"]))
    console = Console(markup=False)
    by = "speakers that the model had not heard" if document["protocol"] == "speaker" else "clips held out"
    console.print(f"Numbers, on {by} (protocol {document['protocol']}, {document['folds']} folds):")
    console.print(table)


@app.command()
def attach(
    bundle: Annotated[Path, typer.Argument(help="A bundle of 'ser train': a folder.")],
    data: DataOption,
    results: ResultsOption = None,
    corpus: CorpusOption = None,
    channel: ChannelOption = "both",
    drop: DropOption = None,
    label_map: LabelMapOption = None,
    skip_broken: SkipBrokenOption = False,
) -> None:
    """Put the scores of finished evaluations on a trained bundle: into its manifest and its card."""
    need_train("Writing a model card")
    from serkit.bundle import read_bundle
    from serkit.training.export import attach_scores, check_attachable

    trained = read_bundle(bundle)
    check_attachable(trained)
    if not results:
        raise TrainingError("Name the scores to attach: add --results with a results.json of 'ser evaluate'.")
    scores = [_read_results(path) for path in results]
    recordings = read_to_learn(data, corpus, channel, skip_broken=skip_broken, drop=drop, label_map=label_map)
    written = attach_scores(trained, recordings, bundle, scores=scores)
    print(f"Bundle: {written.path} now states {', '.join(written.manifest.scores) or 'no scores'}.")


@recipes_app.callback()
def recipes(context: typer.Context) -> None:
    """List the packaged recipes."""
    if context.invoked_subcommand is not None:
        return
    need_train("Training")
    from serkit.training.recipe_files import list_recipes, recipe_systems

    systems = recipe_systems()
    table = Table("recipe", "system", "description", box=None, pad_edge=False)
    for name, description in list_recipes().items():
        table.add_row(name, systems[name], description)
    Console().print(table)


@recipes_app.command()
def show(name: RecipeArgument) -> None:
    """Print a recipe as TOML, to copy and edit."""
    need_train("Training")
    from serkit.training.recipe_files import load_recipe

    print(load_recipe(name).text, end="")


def _loaded(name: str) -> Recipe:
    """Read a recipe, and its encoder: one that is missing is noticed before any recording is read."""
    from serkit.training.recipe_files import load_recipe

    recipe = load_recipe(name)
    assert recipe.front_end is not None
    return recipe


def _read_results(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise TrainingError(f"The results {path} cannot be read ({error.strerror}).") from None
    except ValueError:
        raise TrainingError(f"{path} is not JSON: give a results.json of 'ser evaluate'.") from None
    if not isinstance(document, dict) or not set(document) >= _RESULTS:
        raise TrainingError(f"{path} is not a results.json: give a results.json of 'ser evaluate'.")
    return document


def print_summary(document: dict[str, Any]) -> None:
    from serkit.evaluation.report import summary_table

    console = Console(markup=False)
    console.print(summary_table(document))
    per_class = Table("emotion", "recall", "precision", "F1", "clips")
    for label, row in document["metrics"]["per_class"].items():
        shown = ("–" if row[key] is None else f"{row[key]:.1%}" for key in ("recall", "precision", "f1"))
        per_class.add_row(label, *shown, str(row["support"]))
    console.print(per_class)
