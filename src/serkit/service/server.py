"""Start the service: a socket, one or several worker processes, and a clean end."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from serkit.bundle import read_bundle
from serkit.errors import SerkitError
from serkit.service import logs
from serkit.service.keys import Keys
from serkit.service.models import Models
from serkit.service.problems import Problem
from serkit.service.protocol import Protocol
from serkit.service.settings import Settings
from serkit.service.traces import Traces

__all__ = ["listen", "serve"]


@dataclass(frozen=True)
class _Application:
    """Makes the application in the process that serves it."""

    settings: Settings
    models: Models | None

    def __call__(self) -> Any:
        logs.start()
        from serkit.service.application import create

        try:
            return create(self.settings, self.models)
        except SerkitError as error:  # what was right when the first worker started has become wrong
            logging.getLogger("serkit.service").error("not started", extra={"fields": {"error": str(error)}})
            sys.exit(1)


class _Workers(Multiprocess):
    """Worker processes; one that dies is replaced.

    uvicorn would also ask each for a sign of life, twice a second, and wait for it even if the worker dies meanwhile.
    """

    def keep_subprocess_alive(self) -> None:
        """Replace the workers that have died."""
        if not all(one.process.is_alive() for one in self.processes):
            super().keep_subprocess_alive()


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens on the address of the settings.

    Raises
    ------
    SerkitError
        If that cannot be.
    """
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        found = socket.socket(family, socket.SOCK_STREAM)
        if sys.platform != "win32":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((settings.host, settings.port))
        found.listen(2048)
    except OSError as error:
        raise SerkitError(
            f"Cannot listen on port {settings.port} of {settings.host} ({error.strerror or error}): choose others with "
            "--port and --host."
        ) from None
    found.set_inheritable(True)
    return found


def serve(settings: Settings, ready: Callable[[str], object]) -> None:
    """Serve until a signal ends it; what was begun is finished.

    Parameters
    ----------
    settings : Settings
    ready : callable
        Called with the address once it can be connected to.

    Raises
    ------
    SerkitError
        If it cannot listen, or a model, the file of keys or the certificate cannot be read.
    """
    from serkit.service.metrics import FOLDER

    models = Models(settings.models, settings.device)
    Keys(settings.keys, settings.keys_file)
    if settings.telemetry:
        Traces().end()  # reports now what is missing
    if settings.workers > 1:
        for name in settings.models:
            read_bundle(name)
    else:
        with ThreadPoolExecutor(1) as executor:
            loading = executor.submit(models.load)
            importlib.import_module("serkit.service.application")  # takes as long
            try:
                loading.result()
            except Problem as error:
                raise SerkitError(error.detail) from None
    with tempfile.TemporaryDirectory(prefix="serkit-serve-", ignore_cleanup_errors=True) as folder:
        if settings.jobs_folder is None:
            settings = settings.model_copy(update={"jobs_folder": Path(folder) / "jobs"})
        if settings.workers > 1:
            counters = Path(folder) / "metrics"
            counters.mkdir()
            os.environ[FOLDER] = str(counters)
        config = _config(settings, models)
        logs.start()
        with listen(settings) as found:
            host, port = found.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            ready(f"{'https' if settings.tls_certificate else 'http'}://{shown}:{port}")
            if settings.workers > 1:
                _Workers(config, sockets=[found]).run()
            else:
                for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again when it has ended well
                    signal.signal(number, lambda *_: None)
                uvicorn.Server(config).run(sockets=[found])


def _config(settings: Settings, models: Models) -> uvicorn.Config:
    _check_tls(settings.tls_certificate, settings.tls_key)
    return uvicorn.Config(
        _Application(settings, models if settings.workers == 1 else None),
        http=Protocol,
        factory=True,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=round(settings.shutdown_seconds),
        timeout_worker_healthcheck=60,
        ws_max_size=settings.stream_message_bytes,
        ws_max_queue=16,
        ws_ping_interval=None,  # a pong waits behind the sound; stream_idle_seconds ends what is dead
        ws_per_message_deflate=False,  # it hardly shrinks sound, costs time, and could unpack to much
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


def _check_tls(certificate: Path | None, key: Path | None) -> None:
    if certificate is None:
        if key is not None:
            raise SerkitError("There is a key for TLS but no certificate: give --tls-certificate too.")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        says = "they are no PEM files that belong together" if isinstance(error, ssl.SSLError) else str(error)
        raise SerkitError(f"Cannot serve HTTPS with '{certificate}' and '{key or certificate}': {says}.") from None
