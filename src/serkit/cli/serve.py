"""``ser serve``: the HTTP service, on this machine only by default."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from serkit.cli import app
from serkit.errors import MissingExtraError

_PACKAGES = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "websockets": "websockets",
    "pydantic_settings": "pydantic-settings",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
}


@app.command()
def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", help="Name of a packaged model, or a bundle; may be repeated. The first is the default."
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", help="Address to listen on, 127.0.0.1 if left out; 0.0.0.0 lets other machines in."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65535, help="Port to listen on, 8000 if left out; 0: any free one."),
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, max=256, help="Processes that answer.")] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="DEVICE", help="Where models run: auto (the default), cpu or cuda."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings; docs/service.md lists them.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="API keys: a line name:SHA-256 for each.")
    ] = None,
    new_key: Annotated[
        str | None,
        typer.Option("--new-key", metavar="NAME", help="Print a new key and its line for the file of keys, and exit."),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", metavar="FILE.pem", help="Serve HTTPS with this certificate.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE.pem", help="The private key of the certificate.")
    ] = None,
) -> None:
    """Serve predictions, timelines, profiles, streams and jobs over HTTP. Ctrl-C ends it; /docs lists the routes.

    Options win over environment variables (SERKIT_SERVE_PORT), and those over the file of --config. Needs the extra
    `serve`.

    Exit code 0: ended by Ctrl-C or SIGTERM, after finishing open requests. 2: wrong usage, no such model, no free port.
    """
    for module, package in _PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError("The service", package, "serve")
    if new_key is not None:
        from serkit.service.keys import new_key as made

        key, line = made(new_key)
        typer.echo(f"key   {key}\nline  {line}")
        return
    from serkit.service.server import serve as run
    from serkit.service.settings import load_settings

    settings = load_settings(
        config,
        models=model or None,
        host=host,
        port=port,
        workers=workers,
        device=device,
        keys_file=keys,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
    )
    run(settings, lambda address: typer.echo(f"ser: serving {', '.join(settings.models)} on {address}", err=True))
