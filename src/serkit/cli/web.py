"""``ser app``: the web app, on this machine only by default."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

import serkit
from serkit.cli import app
from serkit.errors import MissingExtraError, SerkitError

_INK = "#0b0d12"  # Streamlit's captions are this at 60 %: still at least 4.5 : 1 on white
_ACCENT = ("#005a8c", "#56b4e9")  # of sliders and bars, in light and dark: Streamlit's red would look like a warning


@app.command(name="app")
def serve(
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="Name of a packaged model, a bundle, or a folder of bundles to choose from."
        ),
    ] = "default",
    port: Annotated[int, typer.Option("--port", "-p", min=1, max=65535, help="Port to listen on.")] = 8501,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    max_upload: Annotated[
        int,
        typer.Option("--max-upload", min=1, metavar="MB", help="Largest file; 700 hold an hour of 48 kHz stereo WAV."),
    ] = 700,
) -> None:
    """Serve the web app: clips by upload or microphone, long recordings, features, models, results. Ctrl-C ends it."""
    for package in ("streamlit", "plotly"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("The web app", package, "app")
    from serkit.app import MODEL_VARIABLE
    from serkit.app.chosen_model import choices
    from serkit.bundle import read_bundle

    read_bundle(choices(model)[0])  # report errors here, not in the browser
    _check_address(host, port)
    os.environ[MODEL_VARIABLE] = model
    options = {
        "server.address": host,
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": max_upload,
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
        "client.toolbarMode": "viewer",
        "theme.light.textColor": _INK,
        "theme.light.primaryColor": _ACCENT[0],
        "theme.dark.primaryColor": _ACCENT[1],
    }
    page = Path(serkit.__file__).with_name("app") / "page.py"
    from streamlit.web.cli import main

    main(["run", str(page), *(f"--{key}={value}" for key, value in options.items())], prog_name="streamlit")


def _check_address(host: str, port: int) -> None:
    """Give the reason in one sentence why the address cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise SerkitError(
            f"Cannot listen on port {port} of {host} ({error.strerror or error}): choose others with --port and --host."
        ) from None
