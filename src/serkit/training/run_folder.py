"""A run on disk: the files in its folder, when it may be resumed, and how its folds become results and a report."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from serkit.corpora.columns import COPY, FACTS
from serkit.emotions import in_order
from serkit.errors import TrainingError
from serkit.evaluation.report import write_report
from serkit.evaluation.scores import results
from serkit.files import hold, write_atomic, write_json
from serkit.models import MODELS
from serkit.protocol import Split
from serkit.training import split_rows
from serkit.training.adaptation import ADAPTED
from serkit.training.fitting import known_labels
from serkit.training.recipe import Recipe

if TYPE_CHECKING:
    from serkit.corpora import Corpus

__all__ = [
    "Run",
    "begun",
    "check",
    "close",
    "corpus_hash",
    "corpus_title",
    "curves",
    "disk",
    "epochs_folder",
    "finished",
    "put",
    "read",
    "read_table",
    "recipe_hash",
    "replacement",
    "start",
    "write_fold",
]

_STATE = "run.json"
_TEXT = ["path", "emotion", "predicted", *FACTS]


@dataclass(frozen=True)
class Run:
    """A finished evaluation.

    Attributes
    ----------
    folder : Path
        Holds predictions.csv, results.json, report.html, split.csv, recipe.toml and folds/.
    predictions : pandas.DataFrame
        Out-of-fold predictions, one row per test clip: path, start, end, copy, fold, emotion (the truth), predicted,
        confidence, p_<label> for each label, speaker, sex, channel, intensity, statement, corpus.
    results : dict
        The content of results.json.
    """

    folder: Path
    predictions: pd.DataFrame
    results: dict[str, Any]


def _state(recipe: Recipe, corpus: Corpus, split: Split) -> dict[str, str]:
    """What must be the same to resume a run, keyed by its name in errors."""
    state = {
        "recipe": recipe.hash,
        "split": split.hash,
        "corpus": corpus_hash(corpus),
        "version of the features": recipe.front_end.key,
    }
    emotions = corpus.table["emotion"].tolist()
    if known_labels(corpus.table["corpus"].tolist(), emotions, in_order(emotions)) is not None:
        state["way of scoring"] = "each clip over the labels of its corpus"  # never mix folds scored in different ways
        name = recipe.model.name
        deep = name in MODELS and MODELS[name].module == "serkit.models.deep"
        if recipe.calibration is not None or name == "xgboost" or deep:  # once counted labels that a corpus lacks
            state["way of training"] = "by the labels of each clip's corpus"
    by_place = recipe.adaptation is None and ADAPTED.get(split.protocol) == "place"
    if by_place and (split.table["role"] == "outside").any():
        state["way of adapting"] = "a place by the clips set aside alone"
    if recipe.augment is not None:  # the recipe names these folders, not their content
        for kind, folder in recipe.augment.sound_folders()._asdict().items():
            if folder is not None:
                state[f"content of {kind}_folder"] = folder.key
    return state


def corpus_hash(corpus: Corpus) -> str:
    """SHA-256 (hex) of the clips: where they are, what they sound like, and what is said of them."""
    columns = ["path", "start", "end", "emotion", "speaker", "audio_hash"]
    rows = sorted("\0".join(map(str, row)) for row in corpus.table[columns].itertuples(index=False, name=None))
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogateescape")).hexdigest()


def start(out: Path, recipe: Recipe, corpus: Corpus, split: Split, *, resume: bool) -> None:
    """Make the folder of a new run, or make sure that the run in it is this one and may be resumed."""
    state = _state(recipe, corpus, split)
    if resume:
        _check_state(out, state)
    elif begun(out) or (
        out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "ratings.json").is_file()))
    ):
        raise TrainingError(f"{out} exists already: use --resume to continue that run, or another --out.")
    write_json(state, out / _STATE)  # first: a folder without it is no run, and is not continued
    (out / "folds").mkdir(exist_ok=True)
    write_atomic(recipe.text, out / "recipe.toml")
    split.to_csv(out / "split.csv")


def _check_state(out: Path, state: dict[str, str], remedy: str = "use another --out") -> None:
    try:
        before = json.loads((out / _STATE).read_text("utf-8"))
    except FileNotFoundError:
        raise TrainingError(f"There is no run to resume in {out}: leave out --resume to start one.") from None
    except ValueError:
        before = None
    if not isinstance(before, dict):
        raise TrainingError(f"{out / _STATE} is damaged, so the run cannot be resumed: {remedy}.")
    for what, value in state.items():
        if before.get(what) != value:
            raise TrainingError(
                f"The run in {out} was started with another {what}: resume it with the same one, or {remedy}."
            )


def check(out: Path, recipe: Recipe, corpus: Corpus, split: Split, remedy: str) -> None:
    """Make sure that the run in the folder is this one.

    Raises
    ------
    TrainingError
        If it is another one; ``remedy`` says what to do.
    """
    _check_state(out, _state(recipe, corpus, split), remedy)


def replacement(out: Path) -> Path:
    """Where a run grows that will replace another one in the folder: ``NAME.new`` beside it."""
    return out.with_name(f"{out.name}.new")


def put(new: Path, out: Path) -> None:
    """Move a finished run into the folder of another one, whose files go; files that no run wrote stay."""
    with disk(out, keeps=False):
        (out / _STATE).unlink(missing_ok=True)  # first: what is left is no run
        shutil.rmtree(out / "folds", ignore_errors=True)
        for place in sorted(new.iterdir(), key=lambda place: place.name == _STATE):
            place.replace(out / place.name)
        new.rmdir()


def begun(out: Path) -> bool:
    """Whether the folder holds a run, finished or not."""
    return (out / _STATE).is_file()


def recipe_hash(out: Path) -> str | None:
    """The hash of the recipe with which the run in the folder was started; None if it is unknown."""
    try:
        return str(json.loads((out / _STATE).read_text("utf-8"))["recipe"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def read(out: Path, recipe: Recipe, corpus: Corpus, split: Split, chosen: Sequence[int]) -> Run | None:
    """The finished run in the folder, or None if some of its ``chosen`` folds are still to be run.

    Raises
    ------
    TrainingError
        If the run in the folder is another one.
    """
    check(out, recipe, corpus, split, "remove that folder or use another --runs")
    try:
        document = json.loads((out / "results.json").read_text("utf-8"))
        if document["folds_run"] == list(chosen):
            return Run(out, read_table(out / "predictions.csv"), document)
    except (FileNotFoundError, ValueError, KeyError):  # not finished, or by an older version: put together again
        pass
    return None


def _fold_folder(out: Path, k: int) -> Path:
    return out / "folds" / f"fold-{k}"


def epochs_folder(out: Path, k: int) -> Path:
    """Where a model keeps its epochs while fold ``k`` is trained; it goes when the fold is written."""
    return out / "folds" / f".fold-{k}.epochs"


def finished(out: Path, k: int) -> bool:
    """Whether fold ``k`` was written; folds appear whole or not at all."""
    return all((_fold_folder(out, k) / name).is_file() for name in ("predictions.csv", "fold.json"))


def write_fold(
    out: Path,
    k: int,
    table: pd.DataFrame,
    history: list[dict[str, Any]] | None,
    *,
    seconds: float,
    choices: dict[str, Any] | None = None,
) -> None:
    """Write a finished fold beside its place and move it there in one step; ``choices`` is what a search found.

    The folder of the run is held (:func:`disk`), so anything under the temporary name was left by a killed run.
    """
    target = _fold_folder(out, k)
    beside = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    table.to_csv(beside / "predictions.csv", index=False, lineterminator="\n")
    write_json({"seconds": seconds, "choices": choices}, beside / "fold.json")
    if history is not None:
        write_json({"epochs": history}, beside / "curves.json")
    shutil.rmtree(target, ignore_errors=True)
    beside.replace(target)
    shutil.rmtree(epochs_folder(out, k), ignore_errors=True)


def close(out: Path, recipe: Recipe, corpus: Corpus, split: Split, labels: list[str], chosen: Sequence[int]) -> Run:
    """Put the ``chosen`` folds together: predictions, results and report."""
    parts, seconds, choices = [], 0.0, []
    for k in chosen:
        folder = _fold_folder(out, k)
        parts.append(read_table(folder / "predictions.csv"))
        fold = json.loads((folder / "fold.json").read_text("utf-8"))
        seconds += float(fold["seconds"])
        choices.append(fold.get("choices"))
    predictions = pd.concat(parts).sort_values(["fold", *COPY], ignore_index=True)
    write_atomic(predictions.to_csv(index=False, lineterminator="\n"), out / "predictions.csv")
    document = results(
        {
            "recipe": recipe.name,
            "recipe_hash": recipe.hash,
            "recipe_text": recipe.text,
            "corpus": corpus_title(corpus),
            "protocol": split.protocol,
            "split_hash": split.hash,
            "folds": split.n_folds,
            "folds_run": list(chosen),
            "choices": choices if any(choices) else None,
            "seed": split.seed,
            "warning": split.warning,
            "time": {"folds": round(seconds, 3)},
            **({"notes": list(corpus.notes)} if corpus.notes else {}),
            **({"broken": list(corpus.broken)} if corpus.broken else {}),
            **_adapted(corpus, split, chosen),
        },
        predictions,
        labels,
    )
    write_json(document, out / "results.json")
    write_report(document, predictions, out / "report.html", curves=curves(out, chosen))
    return Run(out, predictions, document)


def _adapted(corpus: Corpus, split: Split, chosen: Sequence[int]) -> dict[str, dict[str, int]]:
    """How many clips of each tested corpus were set aside to adapt; {} under other protocols."""
    if split.protocol not in ("corpus+adapted", "cross-corpus+adapted"):
        return {}
    rows = split_rows.joined(split, corpus)
    used = rows[(rows["role"] == "enrol") & rows["fold"].isin(chosen)]
    return {"adapted": {str(name): int(n) for name, n in used.groupby("corpus").size().items()}}


def corpus_title(corpus: Corpus) -> str:
    """Name and channels, e.g. ``"ravdess speech+song"``: scores on one channel say little about the other."""
    return f"{corpus.name} {'+'.join(sorted(set(corpus.table['channel']), reverse=True))}"


def read_table(path: Path) -> pd.DataFrame:
    """Read predictions as they were written: floats to the last bit, text as text."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    kinds = {name: int if name in ("copy", "fold") else float for name in table.columns if name not in _TEXT}
    return table.astype(kinds)


def curves(out: Path, chosen: Sequence[int]) -> list[dict[str, list[float | None]]]:
    """The training curves of the folds as the report takes them; none where the estimator has no epochs."""
    names = {"epoch": "epoch", "loss": "train_loss", "validation_loss": "valid_loss", "uar": "valid_uar"}
    found = []
    for k in chosen:
        path = _fold_folder(out, k) / "curves.json"
        if path.is_file():
            rows = json.loads(path.read_text("utf-8"))["epochs"]
            present = [key for key in names if any(key in row for row in rows)]
            found.append({names[key]: [row.get(key) for row in rows] for key in present})
    return found


@contextmanager
def disk(out: Path | None, *, keeps: bool = True) -> Iterator[None]:
    """Hold the folder of a run, so that no other process writes it, and report disk errors in one sentence.

    If ``out`` ``keeps`` finished folds, the sentence says so.
    """
    try:
        with ExitStack() as stack:
            if out is not None:
                above = out.resolve().parent
                if not above.exists():
                    above.mkdir(parents=True, exist_ok=True)
                stack.enter_context(hold(out))
            yield
    except OSError as error:
        where = error.filename or out or "the cache"
        kept = f" Finished folds in {out} are kept: continue with --resume." if out is not None and keeps else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TrainingError(f"The disk is full (writing {where}): free some space.{kept}") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise TrainingError(
                f"{where} may not be written: use another --out, or set SERKIT_CACHE to a folder of yours.{kept}"
            ) from error
        raise
