"""Rows of predictions as Parquet, through pyarrow (extra ``parquet``)."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from serkit.errors import MissingExtraError

__all__ = ["merge", "need", "rows"]

_GROUP = 1 << 15  # rows of a row group: what is held in memory at a time
_MERGED = b"serkit.merged"  # which rows that waited are in the file
_TEXT, _TRUTH = ("path", "channel", "emotion", "error", "warnings"), ("unsure", "speech")


def need() -> None:
    """Raise MissingExtraError unless pyarrow is installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError("Writing .parquet", "pyarrow", "parquet")


def merge(target: Path, waiting: Path, names: Sequence[str]) -> None:
    """Write the rows of `target`, if there is one, and those that wait as JSON lines into a new `target`.

    The old file stands until the new one takes its place; the rows that waited are removed after that.

    Parameters
    ----------
    target, waiting : Path
    names : sequence of str
        The columns.
    """
    import pyarrow
    import pyarrow.parquet as pq

    digest = _digest(waiting)
    kinds = {**dict.fromkeys(_TEXT, pyarrow.string()), **dict.fromkeys(_TRUTH, pyarrow.bool_())}
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.float64())) for name in names])
    beside = target.with_name(f".{target.name}.tmp")
    try:
        with pq.ParquetWriter(beside, schema.with_metadata({_MERGED: digest})) as writer:
            if target.exists():
                with pq.ParquetFile(target) as old:
                    for batch in old.iter_batches(_GROUP):
                        writer.write_batch(pyarrow.RecordBatch.from_arrays(batch.columns, schema=writer.schema))
            with waiting.open("rb") as file:
                while lines := list(islice(file, _GROUP)):
                    found = [_storable(json.loads(line)) for line in lines]
                    table = pyarrow.Table.from_pylist(found, schema=schema)
                    writer.write_table(table.replace_schema_metadata(writer.schema.metadata), _GROUP)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    waiting.unlink()


def rows(target: Path, waiting: Path) -> Iterator[tuple[str, bool]]:
    """Yield path and whether it failed for each row of `target`, if there is one.

    Rows that wait beside it and are in it already, because the run ended between the last two steps of :func:`merge`,
    are removed.
    """
    if not target.exists():
        return
    import pyarrow.parquet as pq

    with pq.ParquetFile(target) as file:
        if waiting.exists() and (file.schema_arrow.metadata or {}).get(_MERGED) == _digest(waiting):
            waiting.unlink()
        for batch in file.iter_batches(_GROUP, columns=["path", "error"]):
            for row in batch.to_pylist():
                yield row["path"], row["error"] is not None


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest().encode()


def _storable(row: dict[str, Any]) -> dict[str, Any]:
    """The row with text that is no Unicode, as names of files may be, escaped."""
    for name in _TEXT:
        if row[name] is not None:
            row[name] = row[name].encode("utf-8", "backslashreplace").decode("utf-8")
    return row
