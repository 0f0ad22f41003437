"""What of an evaluation is logged to a store of MLflow: its settings, the scores of each fold, figures, report."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit.evaluation.figures import save_figures
from serkit.evaluation.left_out import headline
from serkit.evaluation.scores import evaluate
from serkit.training import run_folder
from serkit.training.fold import Progress
from serkit.training.recipe_files import parse_recipe
from serkit.training.run import run_evaluation
from serkit.training.tracking import Tracked, Tracker

if TYPE_CHECKING:
    from serkit.corpora import Corpus
    from serkit.protocol import Split
    from serkit.training.recipe import Recipe
    from serkit.training.run_folder import Run

__all__ = ["Training", "flattened", "key_of", "log_finished", "log_folds", "run_tracked", "settings_of", "stamp_of"]

_SCORES = ("accuracy", "uar", "f1_macro", "f1_weighted", "ece")
_LONGEST = 6000  # letters of a parameter
_FILES = ("report.html", "results.json", "recipe.toml", "split.csv")


def settings_of(recipe: Recipe, corpus: Corpus, **others: Any) -> dict[str, str]:
    """Return the parameters: those of the recipe, with its defaults, and `others`."""
    own = recipe.model_dump(mode="json", exclude={"name", "description"}, exclude_none=True)
    named = {"recipe": recipe.name, "recipe_hash": recipe.hash, "corpus": run_folder.corpus_title(corpus)}
    about = {**named, "data_sha256": run_folder.corpus_hash(corpus), "clips": len(corpus), **others}
    return flattened({**own, **about})


def key_of(*parts: object) -> str:
    """Return what identifies a run in the store: a hash of its folder, recipe and so on."""
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogateescape")).hexdigest()


def log_folds(tracked: Tracked, out: Path) -> None:
    """Take the scores and the training curves of the finished folds of a run."""
    for folder in sorted(out.glob("folds/fold-*")):
        k = int(folder.name.removeprefix("fold-"))
        if ("fold_accuracy", k) in tracked.metrics or not run_folder.finished(out, k):
            continue
        table = run_folder.read_table(folder / "predictions.csv")
        labels = [name.removeprefix("p_") for name in table.columns if name.startswith("p_")]
        when = int(1000 * (folder / "fold.json").stat().st_mtime)
        seconds = float(json.loads((folder / "fold.json").read_text("utf-8"))["seconds"])
        begun = int(when - 1000 * seconds)
        tracked.started = min(begun, tracked.started or begun)
        scores = evaluate(table, labels, n_boot=1)
        for name in _SCORES:
            _log(tracked, f"fold_{name}", scores[name], k, when)
        _log(tracked, "fold_seconds", seconds, k, when)
        for curve in run_folder.curves(out, [k]):
            for name in curve.keys() - {"epoch"}:
                for epoch, value in zip(curve["epoch"], curve[name], strict=True):
                    _log(tracked, f"fold-{k}/{name}", value, int(epoch or 0), when)


def log_finished(tracked: Tracked, out: Path, results: Mapping[str, Any]) -> None:
    """Take the scores, the figures and the report of a finished run."""
    log_folds(tracked, out)
    chosen = results["folds_run"]
    when, step = int(1000 * (out / "results.json").stat().st_mtime), len(chosen)
    metrics = headline(results)
    for name in _SCORES:
        _log(tracked, name, metrics[name], step, when)
    for name, (low, high) in metrics["intervals"].items():
        _log(tracked, f"{name}_low", low, step, when)
        _log(tracked, f"{name}_high", high, step, when)
    for label, row in metrics["per_class"].items():
        _log(tracked, f"recall/{plain_name(label)}", row["recall"], step, when)
    tracked.tags["serkit.folds"] = f"{step} of {results['folds']}"
    if results["warning"]:
        tracked.tags["mlflow.note.content"] = results["warning"]
    tracked.files |= {out / name: "" for name in _FILES}
    tracked.draw = lambda folder: save_figures(results["metrics"], folder, curves=run_folder.curves(out, chosen))
    tracked.stamp, tracked.ended = stamp_of(out), when


def stamp_of(out: Path) -> str:
    """Return what the files of a finished run depend on."""
    return hashlib.sha256((out / "results.json").read_bytes()).hexdigest()


def _log_scores(tracked: Tracked, documents: Iterable[Mapping[str, Any]]) -> None:
    """Take the scores that a bundle states: those of its recipe in earlier evaluations."""
    for document in documents:
        metrics, when = headline(document), int(1000 * time.time())
        for name in _SCORES:
            _log(tracked, f"{plain_name(document['protocol'])}/{name}", metrics[name], 0, when)


def _after_each_fold(tracked: Tracked, out: Path, show: Progress | None) -> Progress:
    """Return what an evaluation calls with its events: each is shown, and the folds that are finished are logged."""

    def call(event: dict[str, Any]) -> None:
        if show is not None:
            show(event)
        if event["stage"] in ("plan", "fold"):
            log_folds(tracked, out)
            tracked.push()

    return call


def run_tracked(
    tracker: Tracker | None,
    recipe: Recipe,
    corpus: Corpus,
    split: Split,
    out: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    **how: Any,
) -> Run:
    """Do what :func:`serkit.training.run.run_evaluation` does, and log it; without a tracker, log nothing."""
    if tracker is None:
        return run_evaluation(recipe, corpus, split, out, resume=resume, progress=progress, **how)
    about = {"protocol": split.protocol, "seed": split.seed, "folds": split.n_folds, "split_hash": split.hash}
    settings = settings_of(recipe, corpus, **about)
    data = settings["data_sha256"]
    key = key_of(out.resolve(), recipe.hash, split.hash, data)
    tracked = tracker.run(out.name, key, continues=resume, params=settings, data=(corpus.name, data))
    with tracked:
        progress = _after_each_fold(tracked, out, progress)
        run = run_evaluation(recipe, corpus, split, out, resume=resume, progress=progress, **how)
        log_finished(tracked, out, run.results)
    return run


class Training:
    """The run of ``ser train`` in the store of a tracker; without one, it does nothing.

    Parameters
    ----------
    tracker : Tracker or None
    out : Path
        Folder of the bundle.
    seed : int
    """

    def __init__(self, tracker: Tracker | None, out: Path, seed: int) -> None:
        self._tracker, self._out, self._seed = tracker, out, seed
        self._run: Tracked | None = None

    def __enter__(self) -> Training:
        return self

    def __exit__(self, *what: Any) -> None:
        if self._run is not None:
            self._run.__exit__(*what)

    def begin(self, recipe: Recipe, corpus: Corpus, scores: Iterable[Mapping[str, Any]]) -> None:
        """Begin a training by a recipe, of which `scores` are known; each is a new run."""
        if self._tracker is not None:
            settings = settings_of(recipe, corpus, seed=self._seed)
            data = (corpus.name, settings["data_sha256"])
            key = key_of(self._out.resolve(), time.time_ns())
            self._run = self._tracker.run(f"train {recipe.name}", key, params=settings, data=data)
            _log_scores(self._run, scores)
            self._run.push()

    def begin_own(
        self, corpus: Corpus, scores: Path, targets: Sequence[str], show: Progress, *, recipe: Recipe | None = None
    ) -> Progress:
        """Begin or continue a training on one's own recordings; return what is called with its events.

        With a `recipe`, numbers are scored on its features, and no model is made.
        """
        if self._tracker is None:
            return show
        data = run_folder.corpus_hash(corpus)
        key = key_of(self._out.resolve(), self._seed, data, *targets)
        about = flattened({"seed": self._seed, "data_sha256": data, "clips": len(corpus)})
        begun, what = scores.is_dir(), (corpus.name, data)
        name = f"train {corpus.name}"
        if recipe is not None:
            name, about = scores.name, settings_of(recipe, corpus, seed=self._seed)
        self._run = self._tracker.run(name, key, continues=begun, params=about, data=what)
        return _after_each_fold(self._run, scores, show)

    def rated(self, scores: Path, document: Mapping[str, Any]) -> None:
        """Take the scores of numbers."""
        if self._run is None:
            return
        when = int(1000 * (scores / "ratings.json").stat().st_mtime)
        about = {name: document[name] for name in ("protocol", "seed", "folds") if name in document}
        self._run.params |= flattened({**about, "targets": list(document["dimensions"])})
        for target, row in document["dimensions"].items():
            for name in ("ccc", "correlation", "rmse"):
                _log(self._run, f"{name}/{plain_name(target)}", row[name], 0, when)
        self._run.stamp = hashlib.sha256((scores / "ratings.json").read_bytes()).hexdigest()
        self._run.files |= {scores / "ratings.json": "", **dict.fromkeys(scores.glob("*.svg"), "figures")}

    def scored(self, corpus: Corpus, scores: Path, results: Mapping[str, Any]) -> None:
        """Take the evaluation of a training on one's own recordings."""
        if self._run is not None:
            about = {name: results[name] for name in ("protocol", "seed", "folds", "split_hash")}
            self._run.params |= settings_of(parse_recipe(results["recipe_text"]), corpus, **about)
            log_finished(self._run, scores, results)

    def bundle(self, path: Path) -> None:
        """Take the bundle."""
        if self._run is not None:
            self._run.files[path] = "bundle"
            manifest = (path / "manifest.json").read_bytes()
            self._run.stamp = hashlib.sha256(self._run.stamp.encode() + manifest).hexdigest()


def flattened(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return nested settings as parameters: names with dots, values as text.

    Lists are JSON; values that are too long for MLflow, and those that are None, are left out.

    Examples
    --------
    >>> flattened({"model": {"name": "svm", "params": {"C": 1.0, "kernels": ["rbf", "linear"]}}, "select": None})
    {'model.name': 'svm', 'model.params.C': '1.0', 'model.params.kernels': '["rbf", "linear"]'}
    """
    return {name: text for name, text in _pairs("", settings) if len(text) <= _LONGEST}


def _pairs(above: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        place = above + plain_name(str(name))
        if isinstance(value, Mapping):
            yield from _pairs(f"{place}.", value)
        elif value is not None:
            yield place, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def plain_name(name: str) -> str:
    """Return a name as MLflow takes it.

    Examples
    --------
    >>> plain_name("happy/excited!")
    'happy_excited_'
    """
    return re.sub(r"[^\w.\- :]", "_", name)


def _log(tracked: Tracked, name: str, value: float | None, step: int, when: int) -> None:
    if value is not None and value == value:
        tracked.metrics[name, step] = (float(value), when)
