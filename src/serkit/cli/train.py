"""``ser train`` and ``ser attach``: a model from a recipe or from one's own recordings, and its scores."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
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
    SeedOption,
    TargetOption,
    print_ratings,
    print_summary,
    ready_recipe,
    tell,
)
from serkit.cli.options import DropOption, ForceOption, LabelMapOption, SkipBrokenOption
from serkit.cli.tracking import MlflowOption, TracksRuns, close_tracker, open_tracker
from serkit.errors import TrainingError
from serkit.waiting import Waiting

if TYPE_CHECKING:
    from serkit.bundle import Bundle
    from serkit.corpora import Corpus
    from serkit.training.tracked_runs import Training

ResultsOption = Annotated[
    list[Path] | None, typer.Option(help="results.json of 'ser evaluate' for this recipe; may be repeated.")
]

# What a bundle takes from results.json.
_RESULTS = {"serkit", "date", "recipe", "recipe_hash", "corpus", "protocol", "split_hash", "folds", "seed", "warning"}
_RESULTS |= {"metrics"}


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
    loaded = None if own else ready_recipe(recipe)
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
    bundle = train_own(recordings, out, targets=targets, n_jobs=jobs, progress=progress, tell=tell, **how)
    if targets:
        ratings = json.loads((scores / "ratings.json").read_text("utf-8"))
        tracked.rated(scores, ratings)
        print_ratings(ratings)
        print(f"Ratings, answers and pictures: {scores}")
    if bundle.manifest.labels:
        results = json.loads((scores / "results.json").read_text("utf-8"))
        tracked.scored(recordings, scores, results)
        print_summary(results)
        print(f"Report: {scores / 'report.html'}")
    return bundle


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
