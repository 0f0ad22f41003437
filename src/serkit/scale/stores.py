"""Files at addresses such as ``s3://bucket/key``, through fsspec: read, listed and written, or refused in a sentence.

Nothing here waits without end: a store that sends nothing for ``timeout`` seconds is an error.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast

from serkit.audio.spool import spool
from serkit.errors import AudioError, MissingExtraError, SerkitError
from serkit.files import write_atomic

__all__ = ["TIMEOUT", "Entry", "Store", "is_address"]

#: Longest silence of a store, seconds.
TIMEOUT = 60.0

#: The package that fsspec needs for each kind of address, as imported, as installed, and how to install it.
_NEEDS = {
    **dict.fromkeys(("s3", "s3a"), ("s3fs", "s3fs")),
    **dict.fromkeys(("gs", "gcs"), ("gcsfs", "gcsfs")),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), ("adlfs", "adlfs")),
    **dict.fromkeys(("http", "https"), ("aiohttp", "aiohttp")),
    "hdfs": ("pyarrow", "pyarrow"),
    **dict.fromkeys(("file", "memory"), ("fsspec", "fsspec")),
}
_T = TypeVar("_T")


class Entry(NamedTuple):
    """A file or a folder in a folder."""

    name: str
    folder: bool


def is_address(place: str | os.PathLike[str]) -> bool:
    """Return whether this is an address rather than a path of this machine.

    Examples
    --------
    >>> is_address("s3://calls/2026/"), is_address("C:\\\\calls"), is_address("calls/a.wav")
    (True, False, False)
    """
    kind, colon, _ = os.fspath(place).partition("://")
    return bool(colon) and kind.isalnum()


class Store:
    """Where an address is, or a path of this machine.

    Parameters
    ----------
    address : str
        An address of the store; the other methods take further ones of the same kind.
    timeout : float
        Longest silence, s.

    Raises
    ------
    SerkitError
        If the kind of address is unknown, or a package is missing.
    """

    def __init__(self, address: str, *, timeout: float = TIMEOUT) -> None:
        self.timeout = timeout
        self._kind = address.partition("://")[0].lower() if is_address(address) else ""
        self._fs: Any = self._opened(address) if self._kind else None

    def open(self, address: str) -> BinaryIO:
        """Copy a file and return it opened; the first 16 MiB stay in memory, the rest goes to a temporary file.

        Raises
        ------
        SerkitError
            If it is not there, may not be read, or the store breaks off or sends nothing for the timeout.
        """
        source = self._call(address, lambda: self._fs.open(address, "rb", block_size=1 << 22, cache_type="readahead"))
        try:
            return spool(cast("BinaryIO", _Bounded(self, address, source)), address)
        finally:
            _quietly(source.close)

    def read(self, address: str) -> bytes | None:
        """Return the content of a file, or None if there is none."""
        try:
            if not self._kind:
                with open(address, "rb") as file:  # noqa: PTH123 - an address
                    return file.read()
            return self._wait(address, lambda: cast("bytes", self._fs.cat_file(address)))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._refused(address, error) from None

    def write(self, address: str, data: bytes) -> None:
        """Write a file, all of it or nothing.

        Raises
        ------
        SerkitError
            If it cannot be written.
        """
        try:
            if not self._kind:
                write_atomic(data, address)
            else:
                self._wait(address, lambda: self._fs.pipe_file(address, data))
        except Exception as error:
            raise self._refused(address, error, "written") from None

    def remove(self, address: str) -> None:
        """Remove a file, if it is there."""
        try:
            if self._kind:
                self._wait(address, lambda: self._fs.rm_file(address))
            else:
                os.unlink(address)  # noqa: PTH108 - an address
        except FileNotFoundError:
            pass
        except Exception as error:
            raise self._refused(address, error, "removed") from None

    def entries(self, folder: str) -> list[Entry] | None:
        """Return what a folder holds, unsorted; None if it is no folder."""
        try:
            if not self._kind:
                with os.scandir(folder) as found:
                    return [Entry(one.name, one.is_dir()) for one in found]
            listed = self._wait(folder, lambda: self._fs.ls(folder, detail=True, refresh=True))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:
            raise self._refused(folder, error, "listed") from None
        base = self._path(folder)
        names = [(one["name"].rstrip("/"), one["type"] == "directory") for one in listed]
        if [self._path(name) for name, _ in names] == [base]:
            return None  # the file itself
        return [Entry(name.rsplit("/", 1)[-1], is_folder) for name, is_folder in names if self._path(name) != base]

    def glob(self, pattern: str) -> list[str]:
        """Return the addresses that a pattern matches, sorted; they begin as the pattern does."""
        found = self._call(pattern, lambda: self._fs.glob(pattern))
        scheme = pattern.partition("://")[0]  # fsspec has one name for several: az:// would become abfs://
        return sorted(f"{scheme}://{self._fs.unstrip_protocol(one).partition('://')[2]}" for one in found)

    def _path(self, address: str) -> str:
        return str(self._fs._strip_protocol(address)).rstrip("/")

    def _opened(self, address: str) -> Any:
        if importlib.util.find_spec("fsspec") is None:
            raise MissingExtraError(f"Reading {self._kind}:// addresses", "fsspec", "scale")
        import fsspec

        if self._kind not in _NEEDS and self._kind not in fsspec.available_protocols():
            raise SerkitError(
                f"There is no kind of address '{self._kind}://' in {address!r}: use s3, gs, az, hdfs, http."
            )
        module, package = _NEEDS.get(self._kind, ("fsspec", "fsspec"))
        if importlib.util.find_spec(module) is None:
            raise SerkitError(
                f"Addresses of {self._kind}:// need the package '{package}', which is not installed: run pip install "
                f"{package}."
            )
        options: dict[str, Any] = {}
        if package == "gcsfs":
            logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # a line for each request without credentials
        if package == "s3fs":
            waits = {"connect_timeout": min(10.0, self.timeout), "read_timeout": self.timeout}
            options = {"config_kwargs": {**waits, "retries": {"max_attempts": 2}}, "use_listings_cache": False}
        try:
            return self._wait(address, lambda: fsspec.filesystem(self._kind, **options))
        except Exception as error:
            if self._kind == "hdfs" and "Unable to load" in str(error):
                raise SerkitError(
                    f"{address!r} cannot be read: addresses of hdfs:// need Java and Hadoop's libhdfs (JAVA_HOME, "
                    "HADOOP_HOME)."
                ) from None
            raise self._refused(address, error) from None

    def _call(self, address: str, call: Callable[[], _T]) -> _T:
        try:
            return self._wait(address, call)
        except Exception as error:
            raise self._refused(address, error) from None

    def _wait(self, address: str, call: Callable[[], _T]) -> _T:
        """Return what `call` returns, or raise TimeoutError; a thread that hangs ends with the process."""
        answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        def attempt() -> None:
            try:
                answers.put((True, call()))
            except BaseException as error:  # handed to the thread that waits
                answers.put((False, error))

        threading.Thread(target=attempt, daemon=True, name="serkit-store").start()
        try:
            good, found = answers.get(timeout=self.timeout)
        except queue.Empty:
            raise TimeoutError from None
        if not good:
            raise found
        return cast("_T", found)

    def _refused(self, address: str, error: Exception, what: str = "read") -> SerkitError:
        if isinstance(error, SerkitError):
            return error
        kind = AudioError if what == "read" else SerkitError
        if not self._kind and isinstance(error, OSError):
            return kind(f"{address!r} cannot be {what}: {error.strerror or error}.")
        if isinstance(error, (TimeoutError, _named("FSTimeoutError"))) or "Timeout" in type(error).__name__:
            return kind(
                f"{address!r} cannot be {what}: the store sent nothing for {self.timeout:g} s; try again later."
            )
        if isinstance(error, FileNotFoundError) or type(error).__name__ == "ResourceNotFoundError":  # of Azure
            return kind(f"There is no {address!r}: check the name.")
        text = " ".join(str(error).split())[:200].rstrip(".")
        if isinstance(error, PermissionError) or "redential" in text + type(error).__name__:
            return kind(f"{address!r} cannot be {what}: the store refuses the credentials ({text}); check them.")
        return kind(f"{address!r} cannot be {what}: the connection failed ({type(error).__name__}: {text}); try again.")


class _Bounded:
    """A file of a store, of which each piece must come within the timeout."""

    def __init__(self, store: Store, address: str, file: Any) -> None:
        self._store, self._address, self._file = store, address, file

    def read(self, size: int) -> bytes:
        return self._store._call(self._address, lambda: cast("bytes", self._file.read(size)))


def _named(name: str) -> type[BaseException]:
    """The exception of fsspec with this name."""
    module = importlib.import_module("fsspec.exceptions")
    return cast("type[BaseException]", getattr(module, name))


def _quietly(close: Callable[[], object]) -> None:
    """Close what may be broken already."""
    import contextlib

    with contextlib.suppress(Exception):
        close()
