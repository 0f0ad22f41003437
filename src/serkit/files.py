"""Write files: never half of one, never by two processes at once, never over another unasked; read untrusted JSON."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import platform
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from serkit.errors import SerkitError

__all__ = ["check_new", "followed", "hold", "is_special", "parse_json", "plain", "write_atomic", "write_json"]

_BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def check_new(path: str | os.PathLike[str], *, force: bool) -> None:
    """Make sure that writing `path` replaces nothing, unless `force` is set.

    An empty file, a device and a pipe hold nothing that could be lost. The caller decides about folders.

    Raises
    ------
    SerkitError
        If a file with content is there.
    """
    place = Path(path)
    if force:
        return
    try:
        taken = place.is_file() and place.stat().st_size > 0
    except (OSError, ValueError):  # writing it reports what is wrong
        return
    if taken:
        raise SerkitError(
            f"'{os.fspath(path)}' exists: add --force (force=True) to replace it, or choose another name."
        )


def differences(was: object, now: dict[str, object]) -> str:
    """Name the options of two runs that differ.

    Examples
    --------
    >>> differences({"min_confidence": 0.0, "channel": "left"}, {"min_confidence": 0.5})
    "channel was 'left', now the default; min-confidence was 0.0, now 0.5"
    """
    before = was if isinstance(was, dict) else {}

    def value(options: dict[str, object], name: str) -> str:
        found = options.get(name)
        return "the default" if found is None else ",".join(found) if isinstance(found, list) else repr(found)

    return "; ".join(
        f"{name.replace('_', '-')} was {value(before, name)}, now {value(now, name)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    )


@contextlib.contextmanager
def hold(target: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes from writing `target`, a file or a folder, while the ``with`` block runs.

    The lock is the operating system's and ends with the process, however that ends. ``.NAME.lock`` beside the
    target carries the lock and names the process; a file that was left behind blocks nothing.

    Raises
    ------
    SerkitError
        If another process, or this one, is writing `target`.
    OSError
        If nothing can be written beside `target`.
    """
    path = followed(target)
    place = path.with_name(f".{path.name}.lock")
    descriptor = _locked(place, os.fspath(target))
    owner = os.getpid()
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{owner} {platform.node()}\n".encode())
        yield
    finally:
        if os.getpid() == owner:  # not in a forked child
            with contextlib.suppress(OSError):
                place.unlink()  # before the lock is released, so that waiting processes look for a new file
        os.close(descriptor)
        if os.name == "nt":  # an open file cannot be removed there
            with contextlib.suppress(OSError):
                place.unlink()


def _locked(place: Path, name: str) -> int:
    """Open the lock file and lock it; another process may remove it in between."""
    while True:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                _lock(descriptor)
            except OSError as error:
                if error.errno in _BUSY:
                    raise SerkitError(_in_use(descriptor, name)) from None
                if error.errno not in _NO_LOCKS:
                    raise
                warnings.warn(
                    f"The file system of '{name}' has no locks: make sure that no other process writes it.",
                    stacklevel=4,
                )
                return descriptor
            if os.path.samestat(os.fstat(descriptor), place.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock the file for this descriptor alone, or raise OSError at once."""
    if os.name == "nt":
        import msvcrt

        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # after the text, which others may read
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _in_use(descriptor: int, name: str) -> str:
    number, _, machine = os.read(descriptor, 300).decode("utf-8", "replace").strip().partition(" ")
    who = f"process {number}" if number else "another process"
    if machine and machine != platform.node():
        who += f" on {machine}"
    return f"'{name}' is in use: {who} is writing it. Wait until it has finished, or choose another name."


def followed(path: str | os.PathLike[str]) -> Path:
    """Return where a path leads, so that writing there leaves a link a link; links in a loop raise nothing here."""
    return Path(os.path.realpath(path))  # Path.resolve() raises RuntimeError for a loop


def is_special(path: Path) -> bool:
    """Whether a device, a pipe or the like is there: something to write to, not to replace."""
    return path.exists() and not path.is_file() and not path.is_dir()


def write_atomic(content: str | bytes, path: str | os.PathLike[str], *, new_folder: bool = True) -> Path:
    """Write UTF-8 text or bytes through a file beside it: a reader sees the old content or the new, never a part.

    A link stays a link, and a device or a pipe, such as ``/dev/stdout``, is written to, not replaced. The folder is
    made, unless `new_folder` is False: then it must be there.
    """
    target = followed(path)
    data = content if isinstance(content, bytes) else content.encode("utf-8")
    if is_special(target):
        target.write_bytes(data)
        return Path(path)
    if new_folder:
        target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name[:40]}.{uuid.uuid4().hex}.tmp")  # fits where the name itself fits
    try:
        beside.write_bytes(data)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return Path(path)


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
        The file.
    """
    text = json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return write_atomic(text.encode("utf-8", "backslashreplace"), path)  # names that are no text become \\udcXX


def plain(value: Any) -> Any:
    """Turn NumPy values and containers into JSON types; values that are not finite become None."""
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
        The message is the end of a sentence, without its full stop.

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
