"""Copies of file objects on disk, for decoders in other processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import BinaryIO

from serkit.errors import AudioError

__all__ = ["copied"]


def copied(file: BinaryIO, name: str, stack: contextlib.ExitStack) -> str:
    """Copy a file object to a temporary file, which `stack` removes; return its path."""
    try:
        with tempfile.NamedTemporaryFile(prefix="serkit-", delete=False) as copy:
            stack.callback(_remove, copy.name)
            file.seek(0)
            shutil.copyfileobj(file, copy, 1 << 20)
    except OSError as error:
        raise AudioError(f"cannot copy {name} to a temporary file ({error.strerror or error}).") from None
    return copy.name


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108
