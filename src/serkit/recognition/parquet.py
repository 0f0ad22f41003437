"""Rows of predictions as Parquet, through pyarrow (extra ``parquet``)."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from serkit.errors import MissingExtraError

__all__ = ["encode", "escape", "merge", "merged", "need", "remove", "rows", "unescape"]

_GROUP = 1 << 15  # rows of a row group: what is held in memory at a time
_MERGED = b"serkit.merged"  # which rows that waited are in the file
_ESCAPED = "ud[89a-f][0-9a-f]{2}"
_TEXT, _TRUTH = ("path", "track", "channel", "emotion", "error", "warnings"), ("unsure", "speech")


def need() -> None:
    """Raise MissingExtraError unless pyarrow is installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError("Writing .parquet", "pyarrow", "parquet")


def merge(target: Path, waiting: Path, names: Sequence[str], *, keep: bool = True) -> None:
    """Write the rows of `target`, if there is one, and those that wait as JSON lines into a new `target`.

    The old file stays until the new one takes its place; the rows that waited are removed after that.

    Parameters
    ----------
    target, waiting : Path
    names : sequence of str
        The columns.
    keep : bool
        Keep the rows of `target`; otherwise it is replaced.
    """
    import pyarrow
    import pyarrow.parquet as pq

    digest = _digest(waiting)
    schema = _schema(names)
    beside = target.with_name(f".{target.name}.tmp")
    try:
        with pq.ParquetWriter(beside, schema.with_metadata({_MERGED: digest})) as writer:
            if keep and target.exists():
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


def merged(target: Path, waiting: Path) -> bool:
    """Whether :func:`merge` has written the rows that wait, but could not remove them."""
    if not target.exists() or not waiting.exists():
        return False
    import pyarrow.parquet as pq

    with pq.ParquetFile(target) as file:
        return bool((file.schema_arrow.metadata or {}).get(_MERGED) == _digest(waiting))


def encode(found: Sequence[dict[str, Any]], names: Sequence[str]) -> bytes:
    """Return rows as a Parquet file of these columns."""
    import pyarrow
    import pyarrow.parquet as pq

    table = pyarrow.Table.from_pylist([_storable(row) for row in found], schema=_schema(names))
    sink = pyarrow.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def _schema(names: Sequence[str]) -> Any:
    import pyarrow

    kinds = {**dict.fromkeys(_TEXT, pyarrow.string()), **dict.fromkeys(_TRUTH, pyarrow.bool_())}
    return pyarrow.schema([(name, kinds.get(name, pyarrow.float64())) for name in names])


def remove(target: Path, gone: Callable[[str | None], bool]) -> None:
    """Write `target` again without the rows whose path is `gone`."""
    import pyarrow
    import pyarrow.parquet as pq

    beside = target.with_name(f".{target.name}.tmp")
    try:
        with pq.ParquetFile(target) as old, pq.ParquetWriter(beside, old.schema_arrow) as writer:
            for batch in old.iter_batches(_GROUP):
                paths = batch.column("path").to_pylist()
                writer.write_batch(batch.filter(pyarrow.array([not gone(unescape(path)) for path in paths])))
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def rows(target: Path, waiting: Path) -> Iterator[tuple[str, str | None, bool]]:
    """Yield path, channel and whether it failed for each row of `target`, if there is one.

    Rows that wait beside it and are in it already, because the run ended between the last two steps of :func:`merge`,
    are removed.
    """
    if not target.exists():
        return
    import pyarrow.parquet as pq

    if merged(target, waiting):
        waiting.unlink()
    with pq.ParquetFile(target) as file:
        names = [name for name in ("path", "channel", "error") if name in file.schema_arrow.names]
        for batch in file.iter_batches(_GROUP, columns=names):
            for row in batch.to_pylist():
                yield unescape(row["path"]) or "-", row.get("channel"), row["error"] is not None


def escape(text: str) -> str:
    """Return text as Parquet, which is Unicode, can hold it: a byte of a name that is not text becomes ``\\udcXX``.

    Backslashes before what looks like such an escape are doubled, so that :func:`unescape` gives the text back.

    Examples
    --------
    >>> print(escape("caf" + chr(0xDCE9) + ".wav"), escape("C:\\\\clips"), escape("caf\\\\udce9.wav"))
    caf\\udce9.wav C:\\clips caf\\\\udce9.wav
    """
    doubled = re.sub(rf"\\+(?={_ESCAPED}|[\ud800-\udfff])", lambda found: 2 * found[0], text)
    return doubled.encode("utf-8", "backslashreplace").decode("utf-8")


def unescape(text: str | None) -> str | None:
    """Return the text that :func:`escape` was given."""
    if text is None or "\\ud" not in text:
        return text

    def back(found: re.Match[str]) -> str:
        half, odd = divmod(len(found[1]), 2)
        return "\\" * half + (chr(int(found[2][1:], 16)) if odd else found[2])

    return re.sub(rf"(\\+)({_ESCAPED})", back, text)


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest().encode()


def _storable(row: dict[str, Any]) -> dict[str, Any]:
    """The row with text that is not Unicode, as names of files may be, escaped."""
    return {name: escape(value) if isinstance(value, str) else value for name, value in row.items()}
