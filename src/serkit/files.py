"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["plain", "write_atomic", "write_json"]


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
