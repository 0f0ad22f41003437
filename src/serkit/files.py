"""Writing files so that a reader never sees half of one, and reading JSON that a stranger may have written."""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["parse_json", "plain", "write_atomic", "write_json"]


def write_atomic(text: str, path: str | os.PathLike[str]) -> Path:
    """Write UTF-8 text through a file beside it: a reader sees the old text or the new, never a half."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return target


def write_json(data: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write a dictionary as JSON, all or nothing; NumPy values become plain ones, NaN becomes ``null``.

    Parameters
    ----------
    data : mapping
        Strings, numbers, booleans, None, NumPy scalars and arrays, in lists and mappings.
    path : path
        The file to write or replace; its folder is made.

    Returns
    -------
    Path
        Where it stands.
    """
    return write_atomic(json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)


def plain(value: Any) -> Any:
    """Turn NumPy values and containers into what JSON knows; what is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def parse_json(data: bytes) -> Any:
    """Parse UTF-8 JSON as the standard has it: Python's own parser also takes NaN, Infinity and a key given twice.

    Raises
    ------
    ValueError
        Says what is wrong, as the end of a sentence without its full stop.

    Examples
    --------
    >>> parse_json(b'{"uar": NaN}')
    Traceback (most recent call last):
    ValueError: NaN is not a number that JSON knows
    """

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is not a number that JSON knows")

    def number(text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else refuse(text[:40])

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            again = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise ValueError(f"the key {again!r:.80} is listed twice")
        return found

    try:
        return json.loads(data.decode("utf-8"), parse_constant=refuse, parse_float=number, object_pairs_hook=unique)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
