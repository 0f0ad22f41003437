"""API keys: who may ask, and how often."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict
from pathlib import Path

from serkit.errors import SerkitError

__all__ = ["Keys", "Rates", "new_key"]

_LINE = re.compile(r"([\w.@-]{1,64}):([0-9a-fA-F]{64})")
_LOOK = 1.0  # s between two looks at the file
_MOST_RATES = 10_000


def new_key(name: str) -> tuple[str, str]:
    """Return a new random key and the line for it in the file of keys.

    Raises
    ------
    SerkitError
        If `name` has other characters than letters, digits and ``._@-``, or more than 64.
    """
    key = secrets.token_urlsafe(32)
    line = f"{name}:{_hash(key)}"
    if not _LINE.fullmatch(line):
        raise SerkitError(f"A key's name has up to 64 letters, digits and . _ @ -, got {name!r:.80}.")
    return key, line


class Keys:
    """The keys of a file and of the environment; a file that changes is read again.

    Parameters
    ----------
    lines : list of str
        ``name:SHA-256 of the key, in hexadecimal``.
    file : path, optional
        The same, one a line; empty lines and those that begin with # are skipped.

    Raises
    ------
    SerkitError
        If a line is not of this form, a name is there twice, or the file cannot be read or holds no key.
    """

    def __init__(self, lines: list[str], file: Path | None = None) -> None:
        self._lines, self._file = lines, file
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._state = self._now()
        self._known = self._read()
        self.wrong: str | None = None

    @property
    def needed(self) -> bool:
        """Whether a request needs a key."""
        return bool(self._lines) or self._file is not None

    def name_of(self, key: str) -> str | None:
        """Return the name of a key, None if it is none. It is compared with every key in constant time."""
        self.look()
        given = _hash(key)
        found = None
        for digest, name in self._known.items():
            if hmac.compare_digest(digest, given):
                found = name
        return found

    def look(self, *, now: bool = False) -> None:
        """Read the file again if it has changed. If it is wrong then, the keys before stay; ``wrong`` says why."""
        if self._file is None or not (now or time.monotonic() - self._looked > _LOOK):
            return
        with self._lock:
            self._looked = time.monotonic()
            state = self._now()
            if state == self._state and not now:
                return
            try:
                self._known, self.wrong = self._read(), None
                self._state = state
            except SerkitError as error:
                self.wrong = str(error)

    def _now(self) -> tuple[int, int, int] | None:
        try:
            facts = self._file.stat() if self._file is not None else None
        except OSError:
            return None
        return None if facts is None else (facts.st_mtime_ns, facts.st_size, facts.st_ino)

    def _read(self) -> dict[str, str]:
        lines = list(self._lines)
        if self._file is not None:
            try:
                lines += self._file.read_text(encoding="utf-8").splitlines()
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
                raise SerkitError(f"The file of keys '{self._file}' cannot be read: {reason}.") from None
        found: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            parts = _LINE.fullmatch(text)
            if parts is None:
                raise SerkitError(f"Key {number} is not name:SHA-256: ser serve --new-key NAME makes such a line.")
            if parts[1] in found.values() or parts[2].lower() in found:
                raise SerkitError(f"The key {parts[1]!r} is there twice: give each its own name and value.")
            found[parts[2].lower()] = parts[1]
        if not found and self._file is not None:
            raise SerkitError(f"The file of keys '{self._file}' holds no key: nobody could ask.")
        return found


class Rates:
    """A token bucket for each key.

    Parameters
    ----------
    per_minute : float
        Tokens that come back in a minute; 0: no limit.
    burst : int
        Tokens that a bucket holds.

    Examples
    --------
    >>> rates = Rates(60, 2)
    >>> [rates.wait("ann", now) for now in (0.0, 0.0, 0.0, 1.0)]
    [0.0, 0.0, 1.0, 0.0]
    """

    def __init__(self, per_minute: float, burst: int) -> None:
        self._each, self._burst = per_minute / 60, float(burst)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str, now: float | None = None) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        if not self._each:
            return 0.0
        at = time.monotonic() if now is None else now
        left, before = self._left.pop(name, (self._burst, at))
        left = min(self._burst, left + (at - before) * self._each)
        taken = left >= 1
        self._left[name] = (left - taken, at)
        while len(self._left) > _MOST_RATES:
            self._left.popitem(last=False)
        return 0.0 if taken else (1 - left) / self._each


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
