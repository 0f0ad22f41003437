"""A connection to Ray: a cluster that runs already, or one of this machine's cores that ends with the command."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from serkit.errors import MissingExtraError, SerkitError

__all__ = ["cores", "need_ray", "session"]

_PATIENCE = 10.0  # s for a cluster to accept a connection
_MEMORY = 256 << 20  # bytes of the local object store, which holds the model


def need_ray(what: str) -> None:
    """Raise MissingExtraError unless Ray and pyarrow are installed; `what` starts the sentence."""
    for package in ("ray", "pyarrow"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(what, package, "scale")


@contextlib.contextmanager
def session(address: str | None = None, *, workers: int | None = None) -> Iterator[str | None]:
    """Connect to Ray, and yield the address of its dashboard, if that is on.

    Parameters
    ----------
    address : str, optional
        Of a cluster, as ``ray.init`` takes it; default: the environment variable RAY_ADDRESS, else a cluster on this
        machine that ends with the block. A connection that exists already is used and kept.
    workers : int, optional
        Cores of a local cluster, by default those that this process may use.

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    SerkitError
        If there is no cluster at the address.
    """
    need_ray("--engine ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it announces a change
    import ray

    if ray.is_initialized():
        yield _dashboard()
        return
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    given: dict[str, Any] = {}
    folder = None
    if where == "local":
        folder = tempfile.mkdtemp(prefix="ser-")
        given = {"num_cpus": workers or _own_cores(), "include_dashboard": False, "object_store_memory": _MEMORY}
        if len(folder) < 40:  # the paths of its sockets are longer by 60, and must have less than 107 letters
            given["_temp_dir"] = folder
    with contextlib.ExitStack() as stack:
        if folder is not None:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(_only_own_errors())
        stack.enter_context(_without_reports())
        try:
            _reach(where)
            ray.init(
                address=where, log_to_driver=False, configure_logging=False, logging_level=logging.CRITICAL, **given
            )
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())[:200].rstrip(".")
            if "ersion mismatch" in reason:
                raise SerkitError(
                    f"The Ray cluster at {where!r} does not fit this machine ({reason}): install the same versions of "
                    "Ray and Python on all machines."
                ) from None
            raise SerkitError(
                f"There is no Ray cluster at {where!r} ({reason}): start one by 'ray start --head', or leave "
                "--address out."
            ) from None
        stack.callback(ray.shutdown)
        yield _dashboard()


def _reach(where: str) -> None:
    """Raise OSError unless something answers at the host and port: Ray itself would try for minutes."""
    host, colon, port = where.rpartition("://")[2].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()


@contextlib.contextmanager
def _without_reports() -> Iterator[None]:
    """Keep Ray from printing a paragraph on standard output for each worker that dies: serkit says what matters."""
    from ray._private import worker

    told = getattr(worker, "print_to_stdstream", None)  # there is no public switch for it
    if told is not None:
        worker.print_to_stdstream = lambda *data, **how: None
    try:
        yield
    finally:
        if told is not None:
            worker.print_to_stdstream = told


@contextlib.contextmanager
def _only_own_errors() -> Iterator[None]:
    """Keep what Ray's own code writes to file descriptor 2 off the terminal; Python's standard error still works."""
    own = sys.stderr
    try:
        if own.fileno() != 2:
            raise ValueError
    except (ValueError, OSError):  # replaced, as by a notebook or a test
        yield
        return
    own.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        with open(kept, "w", encoding=own.encoding, errors=own.errors, buffering=1, closefd=False) as terminal:
            sys.stderr = terminal
            yield
    finally:
        sys.stderr = own
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def cores() -> int:
    """Return the cores of the cluster as it is now."""
    import ray

    return int(ray.cluster_resources().get("CPU", 0))


def _own_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _dashboard() -> str | None:
    from ray._private import worker

    found = worker.get_dashboard_url()
    return f"http://{found}" if found else None
