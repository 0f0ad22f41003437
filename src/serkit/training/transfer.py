"""A finished model on a corpus that it was never trained on: shared labels, nothing tuned."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from serkit.bundle import Bundle
from serkit.bundle.clips import known_clips
from serkit.corpora.columns import FACTS
from serkit.corpora.registry import published
from serkit.errors import TrainingError
from serkit.evaluation.report import write_report
from serkit.evaluation.scores import results
from serkit.files import write_atomic, write_json
from serkit.recognition.recognizer import Recognizer
from serkit.training import fitting, run_folder
from serkit.training.run_folder import Run

if TYPE_CHECKING:
    from serkit.bundle.manifest import Manifest
    from serkit.corpora import Corpus
    from serkit.recognition.prediction import Prediction

__all__ = ["PROTOCOL", "check_transfer", "run_transfer"]

#: The protocol named in the results.
PROTOCOL = "cross-corpus"

Progress = Callable[[dict[str, Any]], None]

# If a larger share of a corpus was in training, its other clips are not new either: their voices were heard.
_MOST_HEARD = 0.1
# Names that only recordings of these corpora have.


def run_transfer(
    model: Bundle | Recognizer,
    corpus: Corpus,
    out_dir: str | os.PathLike[str],
    *,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> Run:
    """Answer every clip of `corpus` with `model`, score the labels that both know, and write the run to `out_dir`.

    Every clip gets an answer: there is no search for speech. One longer than the model's window is answered window
    by window. Clips whose label the model lacks are left out, and so are clips that were in its training
    (:func:`check_transfer`). Probabilities of labels that a clip's corpus never gives
    are dropped and the rest is renormalised (:func:`serkit.training.fitting.restrict`).

    Parameters
    ----------
    model : Bundle or Recognizer
    corpus : Corpus
        One that the model was not trained on, under any name.
    out_dir : path
        A new folder. It appears, complete, when all clips are answered, or not at all.
    n_jobs : int
        Clips answered at the same time.
    progress : callable, optional
        Called with ``{"stage": "answers", "done", "total"}``.

    Returns
    -------
    Run
        Its predictions have the shared labels, and besides the columns of an evaluation ``unrestricted``: the label
        that the model gives if it may give any of its labels. ``copy`` and ``fold`` are 0. Its results hold

        - ``model``: ``name, version, recipe_hash``, ``sha256`` of the graph, ``trained_on``, ``labels``
        - ``transfer``: ``labels`` (shared, in the order of the model), ``left_out`` (label -> clips that were left
          out), ``heard`` (how many clips were left out because they were in training), ``dropped`` (labels of the
          model that no clip has), ``outside`` (``n`` and ``share`` of the unrestricted answers on a label that the
          clip's corpus never gives, and label -> n), ``failures`` (``path, start, end, emotion, error`` of each clip
          without an answer; it is not scored)

    Raises
    ------
    TrainingError
        As :func:`check_transfer`; or if the folder exists, no clip can be answered, or the disk is full.

    See Also
    --------
    serkit.run_evaluation : Scores a recipe on its own corpus.
    serkit.evaluate : Scores a table of predictions.
    """
    recognizer = model if isinstance(model, Recognizer) else Recognizer(model)
    manifest = recognizer.manifest
    shared, heard = check_transfer(recognizer.bundle, corpus)
    out = Path(out_dir)
    new = corpus.table[~heard]
    rows = new[new["emotion"].isin(shared)].reset_index(drop=True)
    started = time.monotonic()
    with run_folder.disk(out, keeps=False), _appearing(out) as folder:
        answers = list(_answers(recognizer, corpus, rows, n_jobs, progress))
        seconds = time.monotonic() - started
        predictions, failures = _scored(manifest, shared, rows, answers)
        left_out = new.loc[~new["emotion"].isin(shared), "emotion"]
        document = results(
            {
                "recipe": manifest.name,
                "recipe_hash": manifest.recipe_hash or None,
                "recipe_text": manifest.recipe or None,
                "corpus": run_folder.corpus_title(corpus),
                "protocol": PROTOCOL,
                "time": {"answers": round(seconds, 3)},
                "model": {
                    "name": manifest.name,
                    "version": manifest.version,
                    "recipe_hash": manifest.recipe_hash or None,
                    "sha256": manifest.files.get("model.onnx"),
                    "trained_on": manifest.corpus,
                    "labels": list(manifest.labels),
                },
                "transfer": {
                    "labels": shared,
                    "left_out": dict(sorted(Counter(left_out).items())),
                    "heard": int(heard.sum()),
                    "dropped": [label for label in manifest.labels if label not in shared],
                    "outside": _outside(manifest, predictions),
                    "failures": failures,
                },
            },
            predictions,
            shared,
        )
        write_atomic(predictions.to_csv(index=False, lineterminator="\n"), folder / "predictions.csv")
        write_json(document, folder / "results.json")
        write_report(document, predictions, folder / "report.html")
    return Run(out, predictions, document)


def check_transfer(bundle: Bundle, corpus: Corpus) -> tuple[list[str], np.ndarray]:
    """Return what a model can be scored on: the labels that both know, and which clips were in its training.

    A clip counts as heard in training if the bundle holds its content hash (:mod:`serkit.bundle.clips`), or if its
    file is named as only the recordings of a training corpus are (``03-01-05-01-02-01-12.wav``, RAVDESS). A corpus of
    which more than a tenth was heard is a copy, and is refused. Fewer clips, such as those that two collections
    share, are left out. A copy that is both renamed and altered (resampled, cut, compressed with loss) goes unnoticed.

    Returns
    -------
    shared : list of str
        In the order of the model.
    heard : np.ndarray, bool, shape=(n_clips,)
        In the order of the corpus table.

    Raises
    ------
    TrainingError
        If the model was trained on the corpus or a part of it, does not say what it was trained on, or shares fewer
        than two labels with what is new to it.
    """
    manifest = bundle.manifest
    if not manifest.corpus:
        raise TrainingError(
            f"The model {manifest.name} does not say what it was trained on, so it is unknown whether "
            f"{corpus.name} is new to it: make its bundle with 'ser train'."
        )
    parts = {*corpus.name.split("+"), *corpus.table["corpus"]}
    trained = {_plain(name) for name in manifest.corpus.split("+")}
    known = sorted(part for part in parts if part and _plain(part) in trained)
    if known:
        raise TrainingError(
            f"The model {manifest.name} was trained on {manifest.corpus}, so its answers on {' and '.join(known)} say "
            "nothing about recordings that it never heard: use another corpus, or score its recipe with 'ser "
            "evaluate'."
        )
    if bundle.clips is None:
        raise TrainingError(
            f"The bundle of {manifest.name} does not keep the hashes of its training clips, so it is unknown whether "
            f"{corpus.name} is a copy of them: make it again with 'ser train'."
        )
    stems = [known.stem for name, known in published().items() if name in trained]
    named = [
        part not in published() and any(stem.fullmatch(PurePosixPath(path).stem) for stem in stems)
        for part, path in zip(corpus.table["corpus"], corpus.table["path"], strict=True)
    ]  # two published corpora may use the same file names
    heard = np.array(known_clips(bundle.clips, corpus.table["audio_hash"]), dtype=bool) | np.array(named, dtype=bool)
    if heard.sum() > _MOST_HEARD * len(heard):
        raise TrainingError(
            f"The model {manifest.name} was trained on {heard.sum():,} of the {len(heard):,} clips of {corpus.name} "
            f"(as part of {manifest.corpus}), so its answers on them say nothing about recordings that it never heard: "
            "use another corpus, or score its recipe with 'ser evaluate'."
        )
    given = set(corpus.table["emotion"][~heard])
    shared = [label for label in manifest.labels if label in given]
    if len(shared) < 2:
        raise TrainingError(
            f"The model {manifest.name} ({', '.join(manifest.labels)}) and the corpus {corpus.name} "
            f"({', '.join(sorted(given)) or 'no clips'}) share {', '.join(shared) or 'no label'}: at least two labels "
            "are needed."
        )
    return shared, heard


def _plain(name: str) -> str:
    """CREMA-D and crema_d are one corpus."""
    return name.strip().lower().replace("-", "_")


def _answers(
    recognizer: Recognizer, corpus: Corpus, rows: pd.DataFrame, n_jobs: int, progress: Progress | None
) -> Iterator[Prediction]:
    """The answer to each row in order, with ``error`` where there is none."""
    # Decoded in the threads: libsndfile's callbacks would swallow a Ctrl-C that reaches them in the main thread.
    sounds = (partial(corpus.load, row) for _, row in rows.iterrows())
    given = recognizer.predict_iter(sounds, workers=n_jobs, detect_speech=False)
    if progress is not None:
        progress({"stage": "answers", "done": 0, "total": len(rows)})
    for done, answer in enumerate(given, start=1):
        yield answer
        if progress is not None:
            progress({"stage": "answers", "done": done, "total": len(rows)})


def _scored(
    manifest: Manifest, shared: list[str], rows: pd.DataFrame, answers: list[Prediction]
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The table of predictions over the shared labels, and the clips without an answer."""
    failed = np.array([answer.error is not None for answer in answers])
    failures = [
        {**row, "error": answer.error}
        for row, answer in zip(rows[["path", "start", "end", "emotion"]].to_dict("records"), answers, strict=True)
        if answer.error is not None
    ]
    if failed.all():
        raise TrainingError(
            f"None of the {len(rows)} clips could be answered; the first is {failures[0]['path']}: "
            f"{failures[0]['error']}"
        )
    # The labels of a corpus do not depend on which of its clips failed.
    given = fitting.known_labels(rows["corpus"].tolist(), rows["emotion"].tolist(), shared)
    rows = rows[~failed].reset_index(drop=True)
    free = np.array([[a.probabilities[label] for label in manifest.labels] for a in answers if a.error is None])
    kept = np.array([label in shared for label in manifest.labels])
    probabilities = fitting.restrict(free, kept)[:, kept]
    if given is not None:  # a joined corpus, of which one lacks a label that the other gives
        probabilities = fitting.restrict(probabilities, np.array([given[name] for name in rows["corpus"]]))
    table = rows[["path", "start", "end"]].assign(
        copy=0,
        fold=0,
        emotion=rows["emotion"],
        predicted=np.array(shared)[probabilities.argmax(1)],
        confidence=probabilities.max(1),
        **{f"p_{label}": probabilities[:, i] for i, label in enumerate(shared)},
        unrestricted=np.array(manifest.labels)[free.argmax(1)],
    )
    return table.join(rows[FACTS]), failures


def _outside(manifest: Manifest, predictions: pd.DataFrame) -> dict[str, Any]:
    """How often the unrestricted answer was dropped: the most probable label keeps some probability otherwise."""
    dropped = [
        row["unrestricted"]
        for row in predictions.to_dict("records")
        if not row.get(f"p_{row['unrestricted']}", 0.0)  # no column: no clip has the label
    ]
    counts = Counter(dropped)
    return {
        "n": len(dropped),
        "share": len(dropped) / len(predictions),
        "labels": {label: counts[label] for label in manifest.labels if counts[label]},
    }


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """A folder to write in, which becomes `out` at the end, or vanishes if anything goes wrong."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TrainingError(f"{out} exists already: use another --out.")
    target = out.resolve()  # a link stays a link
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        folder = Path(temporary, "new")
        folder.mkdir()
        yield folder
        if target.exists():
            target.rmdir()
        folder.rename(target)
