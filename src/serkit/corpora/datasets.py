"""Data sets of Hugging Face with a column of recordings, as a folder of files and a table."""

from __future__ import annotations

import csv
import io
import json
import numbers
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import soundfile

from serkit import audio
from serkit.corpora import tables
from serkit.corpora.manifest import read as read_manifest
from serkit.corpora.table import Corpus, build
from serkit.errors import AudioError, CorpusError, MissingExtraError
from serkit.files import write_atomic

__all__ = ["from_dataset", "is_saved"]

_NO_CLASS = -1  # what a ClassLabel holds where a row has none
_INFO, _STATE, _SPLITS = "dataset_info.json", "state.json", "dataset_dict.json"


def is_saved(folder: Path) -> bool:
    """Return whether a folder is a data set that ``save_to_disk`` wrote."""
    return (folder / _SPLITS).is_file() or ((folder / _STATE).is_file() and (folder / _INFO).is_file())


def from_dataset(
    dataset: Any, to: str | os.PathLike[str], *, column: str = "audio", skip_broken: bool = False
) -> Corpus:
    """Write the recordings of a data set as files with a table, and read them as a corpus.

    Parameters
    ----------
    dataset : datasets.Dataset, path, or iterable of mappings
        Its rows have a recording in `column`, decoded (``{"array", "sampling_rate"}``) or not (``{"bytes", "path"}``),
        and the columns of a manifest (:func:`serkit.corpora.manifest.read`). The number of a class becomes its name;
        -1 means no class and leaves the field empty. A path is a folder that ``save_to_disk`` wrote, which pyarrow
        reads; its splits come after one another.
    to : path
        Folder for ``clips/`` and ``manifest.csv``; it must not exist or be empty.
    column : str
        The column of the recordings.
    skip_broken : bool
        As for :func:`serkit.read_corpus`.

    Returns
    -------
    Corpus

    Raises
    ------
    CorpusError
        If a row has no recording, or a number of no class; the message names the row, counted from 0. If a row has no
        label; the message names its line in the written table. If a column is missing, or `to` holds files.
    """
    folder = Path(to).expanduser()
    if folder.exists() and any(folder.iterdir()):
        raise CorpusError(f"{folder} holds files: give a folder that is empty or does not exist.")
    names = _class_names(dataset)
    saved = isinstance(dataset, (str, os.PathLike))
    rows: list[dict[str, str]] = []
    for at, row in enumerate(_saved_rows(Path(dataset), names) if saved else _undecoded(dataset, column)):
        if not isinstance(row, Mapping) or not isinstance(row.get(column), Mapping):
            raise CorpusError(f"Row {at} of the data set has no recording in its column {column!r}.")
        try:
            path = _write(row[column], folder / "clips" / f"{at:06d}")
        except (AudioError, OSError) as error:
            raise CorpusError(f"Row {at} of the data set has no recording that can be read: {error}") from None
        try:
            others = {k: _named(k, value, names.get(k)) for k, value in row.items() if k not in (column, "path")}
        except CorpusError as error:
            raise CorpusError(f"Row {at} of the data set: {error}") from None
        rows.append({"path": path.relative_to(folder).as_posix(), **others})
    if not rows:
        raise CorpusError("The data set has no rows.")
    text = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)  # those of one split may lack some of another
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(text.getvalue(), folder / "manifest.csv")
    return build(read_manifest(folder), channel="both", skip_broken=skip_broken)


def _undecoded(dataset: Any, column: str) -> Iterable[Any]:
    """The rows, without decoding the recordings where the data set can leave that out."""
    features = getattr(dataset, "features", None)
    if features is not None and column in features and hasattr(features[column], "decode"):
        feature = type(features[column])(decode=False)
        return dataset.cast_column(column, feature)
    return dataset


def _write(recording: Mapping[str, Any], target: Path) -> Path:
    """Write the bytes of a file as they are, and an array as WAV."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if "array" in recording:
        wave = audio.load(recording)
        target = target.with_suffix(".wav")
        soundfile.write(target, wave.samples, wave.sample_rate, subtype="FLOAT")
        return target
    content = recording.get("bytes")
    if not content:
        if not recording.get("path"):
            raise AudioError("it has neither bytes nor a path.")
        content = Path(recording["path"]).read_bytes()
    target = target.with_suffix(Path(recording.get("path") or "").suffix or ".audio")  # the content decides
    target.write_bytes(content)
    return target


def _named(column: str, value: Any, names: list[str] | None) -> str:
    """A value as text; the number of a class as its name, and ``""`` for the number that says that there is none."""
    if names is None or not isinstance(value, numbers.Integral):
        return tables.text_of(value)
    number = int(value)
    if number == _NO_CLASS:
        return ""
    if not 0 <= number < len(names):
        raise CorpusError(f"{column} is {number}: expected the number of a class, 0 to {len(names) - 1}.")
    return names[number]


def _class_names(dataset: Any) -> dict[str, list[str]]:
    features = getattr(dataset, "features", None) or {}
    return {name: list(feature.names) for name, feature in features.items() if hasattr(feature, "names")}


def _saved_rows(folder: Path, names: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    """The rows of a saved data set, split after split; `names` takes the names of its classes."""
    try:
        import pyarrow
    except ImportError:
        raise MissingExtraError("Reading a saved data set", "pyarrow", "parquet") from None
    try:
        if (folder / _SPLITS).is_file():
            parts = [folder / name for name in json.loads((folder / _SPLITS).read_text("utf-8"))["splits"]]
        else:
            parts = [folder]
        for part in parts:
            features = json.loads((part / _INFO).read_text("utf-8"))["features"]
            classes = {name: kind for name, kind in features.items() if isinstance(kind, dict) and "names" in kind}
            names |= {name: list(kind["names"]) for name, kind in classes.items()}
            for file in json.loads((part / _STATE).read_text("utf-8"))["_data_files"]:
                with pyarrow.memory_map(str(part / file["filename"])) as mapped:
                    for batch in pyarrow.ipc.open_stream(mapped):
                        yield from batch.to_pylist()
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise CorpusError(f"{folder} cannot be read as a data set that save_to_disk wrote ({error}).") from None
